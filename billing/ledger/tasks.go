package ledger

import (
	"context"
	"log/slog"
	"time"

	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/audit"
	"countersign/internal/outbox"
	"countersign/tenancy"
)

// integrityTask verifies the tenant's books every night. What it finds is no error of the task: trying again would find
// the same. It is an event, an audit record and a line in the log at error level, on which an operator is alarmed.
func integrityTask(db *bun.DB, out *outbox.Outbox) apps.Task {
	return apps.Task{Name: "ledger.integrity", DailyAt: "02:30", Timeout: 30 * time.Minute, Run: func(ctx context.Context, job apps.Job) error {
		problems, err := Verify(ctx, db)
		if err != nil {
			return err
		}
		return tenancy.InTx(ctx, db, func(ctx context.Context, tx bun.Tx) error {
			if len(problems) > 0 {
				if err := alarm(ctx, out, problems); err != nil {
					return err
				}
			}
			return job.Done(ctx, tx)
		})
	}}
}

func alarm(ctx context.Context, out *outbox.Outbox, problems []Problem) error {
	tenant := tenancy.ID(ctx)
	finding := IntegrityBroken{Count: len(problems), Problems: problems[:min(len(problems), summaryLimit)]}
	slog.ErrorContext(ctx, "the ledger is broken", "tenant", tenant, "problems", finding.Count, "first", problems[0])
	if err := out.Emit(ctx, outbox.Event{Type: EventIntegrityBroken, ObjectType: "tenant", ObjectID: tenant, Payload: finding}); err != nil {
		return err
	}
	return audit.Write(ctx, audit.Record{Action: "ledger.integrity_broken", ObjectType: "tenant", ObjectID: tenant,
		After: map[string]any{"count": finding.Count, "problems": finding.Problems}})
}
