package workers

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/hibiken/asynq"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/database"
	"countersign/internal/outbox"
	"countersign/tenancy"
)

const (
	// claimBatch is how many rows one transaction claims.
	claimBatch = 200
	// maxQueued is how many tasks wait in Redis at most, more or less: a backlog stays in PostgreSQL, which has room for it.
	maxQueued = 5000
	// returnAfter is when rows that could not be handed over are due again.
	returnAfter = time.Second
	// network bounds one round of talking to Redis.
	network = 5 * time.Second
)

// relay hands to asynq what is due: rows of the outbox, and doorbells of tenants for whom something waits.
type relay struct {
	*Config
	reg   *registry
	work  *tray[uuid.UUID]           // tenants whose rows are to be claimed
	bells *tray[outbox.Announcement] // doorbells that are to be rung
	down  atomic.Bool                // Redis did not answer the last time
}

func newRelay(cfg *Config, reg *registry) *relay {
	return &relay{Config: cfg, reg: reg, work: newTray[uuid.UUID](), bells: newTray[outbox.Announcement]()}
}

// listen hears announcements. A broken connection is opened again; until then the poll finds what waits.
func (r *relay) listen(ctx context.Context) {
	const first, last = 250 * time.Millisecond, 10 * time.Second
	deaf := false
	for wait := first; ; wait = min(2*wait, last) {
		err := database.Listen(ctx, r.DatabaseURL, outbox.Channel, func() { wait, deaf = first, false }, func(payload string) {
			a, err := outbox.ParseAnnouncement(payload)
			switch {
			case err != nil:
				r.Logger.WarnContext(ctx, "an announcement names no tenant", "channel", outbox.Channel)
			case a.What == outbox.Rows:
				r.work.put(a.Tenant)
			case a.What == "": // a version that did not say what
				r.work.put(a.Tenant)
				for _, bell := range r.reg.bells {
					r.bells.put(outbox.Announcement{Tenant: a.Tenant, What: bell.Name})
				}
			default:
				r.bells.put(a)
			}
		})
		if ctx.Err() != nil {
			return
		}
		if !deaf {
			r.Logger.WarnContext(ctx, "announcements of work are not heard, work may start a second later", "error", err)
		}
		deaf = true
		if !sleep(ctx, wait) {
			return
		}
	}
}

// poll looks for what nobody announced, and for what is due again.
func (r *relay) poll(ctx context.Context) {
	broken := false
	every(ctx, r.Poll, func() {
		r.Queue.renew()
		err := tenancy.Observe(ctx, r.DB, func(ctx context.Context, tx bun.Tx) error {
			tenants, err := outbox.Waiting(ctx, tx, r.reg.names)
			if err == nil && len(tenants) > 0 {
				r.work.put(tenants...)
			}
			return err
		})
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !broken:
			r.Logger.WarnContext(ctx, "the database does not say what work waits", "error", err)
		case err == nil && broken:
			r.Logger.InfoContext(ctx, "the database says again what work waits")
		}
		broken = err != nil
		if !broken {
			r.sweep(ctx)
		}
	})
}

// rung is a doorbell of a tenant for whom something waits.
type rung struct {
	bell   apps.Doorbell
	tenant uuid.UUID
}

// sweep asks all doorbells in one transaction who waits. A doorbell that cannot say breaks its transaction, so those
// after it are asked in another.
func (r *relay) sweep(ctx context.Context) {
	for rest := r.reg.bells; len(rest) > 0 && ctx.Err() == nil; {
		var rings []rung
		asked := 0
		err := tenancy.Observe(ctx, r.DB, func(ctx context.Context, tx bun.Tx) error {
			rings, asked = nil, 0
			for _, bell := range rest {
				asked++
				tenants, err := bell.Waiting(ctx, tx)
				if err != nil {
					return fmt.Errorf("ask doorbell %s who waits: %w", bell.Name, err)
				}
				for _, tenant := range tenants {
					rings = append(rings, rung{bell, tenant})
				}
			}
			return nil
		})
		r.press(ctx, rings)
		if err != nil && ctx.Err() == nil {
			r.Logger.ErrorContext(ctx, "sweep of the doorbells", "error", err)
		}
		if err == nil || asked == 0 {
			return
		}
		rest = rest[asked:]
	}
}

// ring rings the doorbells that were announced. One that is not known here is another version's.
func (r *relay) ring(ctx context.Context) {
	for ctx.Err() == nil {
		var rings []rung
		for a := range r.bells.take(ctx) {
			if bell, ok := r.reg.doorbells[a.What]; ok {
				rings = append(rings, rung{bell, a.Tenant})
			}
		}
		r.press(ctx, rings)
	}
}

// press rings. The id is the tenant's and the second's: rings of one moment are one, and a ring that died with its
// worker does not keep the next one out. What cannot be rung is found by the next sweep.
func (r *relay) press(ctx context.Context, rings []rung) {
	if len(rings) == 0 || !r.reachable(ctx) {
		return
	}
	limited, cancel := context.WithTimeout(ctx, network)
	defer cancel()
	second := strconv.FormatInt(time.Now().Unix(), 10)
	for _, g := range rings {
		task := asynq.NewTask(bellType+g.bell.Name, []byte(g.tenant.String()))
		id := g.bell.Name + ":" + g.tenant.String() + ":" + second
		err := r.Queue.enqueue(limited, task, g.bell.Queue, id, g.bell.Timeout+r.Grace)
		r.noteRedis(ctx, err)
		if err != nil {
			return
		}
	}
}

// reachable says whether Redis can be talked to: when it did not answer the last time, it is asked first.
func (r *relay) reachable(ctx context.Context) bool {
	if !r.down.Load() {
		return true
	}
	err := r.Queue.Ready(ctx)
	r.noteRedis(ctx, err)
	return err == nil
}

// noteRedis logs when Redis goes and when it comes back, and nothing in between.
func (r *relay) noteRedis(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
	case err != nil && !r.down.Swap(true):
		r.Logger.WarnContext(ctx, "Redis does not take work, it stays in the database", "error", err)
	case err == nil && r.down.Swap(false):
		r.Logger.InfoContext(ctx, "Redis takes work again")
	}
}

// drain claims and hands over the rows of the tenants on the tray.
func (r *relay) drain(ctx context.Context) {
	for ctx.Err() == nil {
		for tenant := range r.work.take(ctx) {
			if ctx.Err() != nil {
				return
			}
			if err := r.drainTenant(ctx, tenant); err != nil && ctx.Err() == nil {
				r.Logger.WarnContext(ctx, "work could not be claimed, it stays where it is", "tenant", tenant, "error", err)
			}
		}
	}
}

func (r *relay) drainTenant(ctx context.Context, tenant uuid.UUID) error {
	ctx = tenancy.AsSystem(ctx, tenant, "relay")
	for {
		if !r.reachable(ctx) { // what cannot be handed over is not claimed
			return nil
		}
		batch, err := r.claim(ctx)
		if err != nil {
			return err
		}
		handed, err := r.handOver(ctx, tenant, batch)
		r.noteRedis(ctx, err)
		if err != nil {
			return r.putBack(ctx, batch[handed:])
		}
		if len(batch) < claimBatch {
			return nil
		}
		if waiting, err := r.Queue.depth(r.reg.queues); err != nil || waiting > maxQueued {
			return nil // the next poll goes on
		}
	}
}

func (r *relay) claim(ctx context.Context) (batch []outbox.Handover, err error) {
	err = tenancy.InTx(ctx, r.DB, func(ctx context.Context, tx bun.Tx) error {
		batch, err = outbox.Claim(ctx, tx, r.reg.names, r.Handover, claimBatch)
		return err
	})
	return batch, err
}

// ticket is the payload of a task in asynq: which row, and how many runs of it were started before.
type ticket struct {
	Tenant   uuid.UUID `json:"tenant"`
	ID       uuid.UUID `json:"id"`
	Attempts int       `json:"attempts"`
}

// handOver gives claimed rows to asynq and says how many it got rid of.
//
// The id keeps a row from being queued twice while it waits for a worker. It changes with each started run and each
// hour, because asynq keeps the id of a task whose worker was killed, in the worst case for ever.
func (r *relay) handOver(ctx context.Context, tenant uuid.UUID, batch []outbox.Handover) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, network)
	defer cancel()
	hour := strconv.FormatInt(time.Now().Unix()/3600, 10)
	for i, h := range batch {
		payload, err := json.Marshal(ticket{tenant, h.ID, h.Attempts})
		if err != nil {
			return i, err
		}
		task := r.reg.tasks[h.Task]
		id := h.ID.String() + ":" + strconv.Itoa(h.Attempts) + ":" + hour
		if err := r.Queue.enqueue(ctx, asynq.NewTask(taskType+h.Task, payload), task.Queue, id, task.Timeout+r.Grace); err != nil {
			return i, err
		}
	}
	return len(batch), nil
}

func (r *relay) putBack(ctx context.Context, batch []outbox.Handover) error {
	ids := make([]uuid.UUID, len(batch))
	for i, h := range batch {
		ids[i] = h.ID
	}
	return tenancy.InTx(context.WithoutCancel(ctx), r.DB, func(ctx context.Context, tx bun.Tx) error {
		return outbox.PutBack(ctx, tx, ids, returnAfter)
	})
}
