package workers

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/tenancy"
)

// scheduler writes a row for each tenant and tick of the tasks with a clock. The row's cause names the tick, so that
// schedulers of other processes find it there.
type scheduler struct {
	*Config
	reg *registry
	// written is the newest tick of each task whose rows are there for all tenants.
	written map[string]time.Time
}

func newScheduler(cfg *Config, reg *registry) *scheduler {
	return &scheduler{Config: cfg, reg: reg, written: map[string]time.Time{}}
}

func (s *scheduler) run(ctx context.Context) {
	every(ctx, s.Poll, func() { s.tick(ctx, s.Now().UTC()) })
}

// due is a task with the tick that it is to run for.
type due struct {
	task string
	at   time.Time
}

// tick writes what is due at now. Of the ticks that were missed while no scheduler ran only the latest is caught up.
func (s *scheduler) tick(ctx context.Context, now time.Time) {
	var list []due
	for _, name := range s.reg.names {
		at, ok := latestTick(s.reg.tasks[name], now)
		if ok && at.After(s.written[name]) {
			list = append(list, due{name, at})
		}
	}
	if len(list) == 0 {
		return
	}
	var tenants []uuid.UUID
	err := tenancy.Observe(ctx, s.DB, func(ctx context.Context, tx bun.Tx) (err error) {
		tenants, err = tenancy.All(ctx, tx)
		return err
	})
	complete := err == nil
	for _, tenant := range tenants {
		if err := s.write(ctx, tenant, list); err != nil {
			complete = false
			if ctx.Err() != nil {
				return
			}
			s.Logger.WarnContext(ctx, "periodic tasks could not be scheduled, trying again", "tenant", tenant, "error", err)
		}
	}
	if !complete { // writing the rows of the other tenants again changes nothing
		return
	}
	for _, d := range list {
		s.written[d.task] = d.at
	}
}

func (s *scheduler) write(ctx context.Context, tenant uuid.UUID, list []due) error {
	ctx = tenancy.AsSystem(ctx, tenant, "scheduler")
	return tenancy.InTx(ctx, s.DB, func(ctx context.Context, _ bun.Tx) error {
		for _, d := range list {
			s.Outbox.Schedule(ctx, tenant, d.task, tickCause+d.at.Format(time.RFC3339))
		}
		return nil
	})
}

// latestTick is when a task should have run last; ok is false for a task without a clock of its own.
func latestTick(t apps.Task, now time.Time) (at time.Time, ok bool) {
	switch {
	case t.Every > 0:
		return now.Truncate(t.Every), true
	case t.DailyAt != "":
		clock, err := time.Parse("15:04", t.DailyAt)
		if err != nil { // the registry has checked it
			return time.Time{}, false
		}
		at = time.Date(now.Year(), now.Month(), now.Day(), clock.Hour(), clock.Minute(), 0, 0, time.UTC)
		if at.After(now) {
			at = at.AddDate(0, 0, -1)
		}
		return at, true
	default:
		return time.Time{}, false
	}
}
