package outbox

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/audit"
	"countersign/internal/database"
	"countersign/internal/web"
)

const restart = `
UPDATE outbox SET dead_at = NULL, attempts = 0, next_at = now()
WHERE tenant_id = $1 AND id = $2 AND dead_at IS NOT NULL`

// Restart lets a dead job be tried again, with all its attempts. Routes and console ask for billing.jobs.manage; the
// operator's command needs none.
func (o *Outbox) Restart(ctx context.Context, db *bun.DB, id uuid.UUID) (*Job, error) {
	var job *Job
	err := database.InTx(ctx, db, func(ctx context.Context, tx bun.Tx) error {
		before, err := JobByID(ctx, tx, id)
		if err != nil {
			return err
		}
		res, err := database.Hot(tx).ExecContext(ctx, restart, tenantOf(ctx), id)
		if err != nil {
			return fmt.Errorf("restart job: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return ErrJobNotDead
		}
		if job, err = JobByID(ctx, tx, id); err != nil {
			return err
		}
		database.AfterCommit(ctx, func() { o.bell.Ring(Announcement{tenantOf(ctx), Rows}) })
		if err := o.Emit(ctx, Event{Type: "job.restarted", ObjectType: "job", ObjectID: id, Payload: map[string]any{"task": job.Task}}); err != nil {
			return err
		}
		return audit.Write(ctx, audit.Record{Action: "job.restart", ObjectType: "job", ObjectID: id,
			Before: map[string]any{"task": job.Task, "state": before.State, "attempts": before.Attempts},
			After:  map[string]any{"task": job.Task, "state": job.State, "attempts": job.Attempts}})
	})
	if err != nil {
		return nil, err
	}
	return job, nil
}

// RunNow asks for one run of a periodic task outside its schedule and gives the job's id. Who may: see Restart.
func (o *Outbox) RunNow(ctx context.Context, db *bun.DB, task string) (id uuid.UUID, err error) {
	i := slices.IndexFunc(o.declared, func(t apps.Task) bool { return t.Name == task })
	if i < 0 {
		return uuid.Nil, web.ErrNotFound
	}
	if !periodic(o.declared[i]) {
		return uuid.Nil, ErrTaskNeedsEvent
	}
	err = database.InTx(ctx, db, func(ctx context.Context, _ bun.Tx) error {
		id = o.Schedule(ctx, tenantOf(ctx), task, "manual:"+uuid.NewString())
		if err := o.Emit(ctx, Event{Type: "job.requested", ObjectType: "job", ObjectID: id, Payload: map[string]any{"task": task}}); err != nil {
			return err
		}
		return audit.Write(ctx, audit.Record{Action: "job.run", ObjectType: "job", ObjectID: id, After: map[string]any{"task": task}})
	})
	return id, err
}

// periodic says whether the clock runs a task, directly or after another one.
func periodic(t apps.Task) bool { return t.Every > 0 || t.DailyAt != "" || t.After != "" }
