package decisions

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/admin"
	"countersign/internal/audit"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/outbox"
	"countersign/tenancy"
)

var insertDecisions = database.NewRows("record decisions", `
INSERT INTO decisions (tenant_id, id, subject_type, subject_id, verdict, user_id, user_label, digest, received_minor, note, required, created_at)
SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::text[]), unnest($4::uuid[]), unnest($5::text[]), unnest($6::uuid[]), unnest($7::text[]), unnest($8::bytea[]), unnest($9::bigint[]), unnest($10::text[]), unnest($11::int[]), unnest($12::timestamptz[])`)

// Record writes a verdict of the person of ctx into the caller's transaction. The caller holds the lock on the subject,
// has compared the digest, has made sure that the person has not decided before, and says when it is. The row travels
// with COMMIT, which fails for a second decision of one person.
func Record(ctx context.Context, _ bun.Tx, d *Decision) error {
	p, ok := auth.From(ctx)
	if !ok || p.UserID == uuid.Nil {
		return fmt.Errorf("record a decision: only people decide")
	}
	d.TenantID, d.ID, d.UserID, d.UserLabel = tenancy.ID(ctx), uuid.Must(uuid.NewV7()), p.UserID, p.Label
	database.SendRowWithCommit(ctx, insertDecisions, d.TenantID, d.ID, d.SubjectType, d.SubjectID, d.Verdict, d.UserID, d.UserLabel,
		d.Digest, d.ReceivedMinor, d.Note, d.Required, d.CreatedAt)
	return nil
}

// Service changes the ladder.
type Service struct {
	db      *bun.DB
	outbox  *outbox.Outbox
	signals []admin.Option // of the console's form
}

// New gives the service.
func New(db *bun.DB, box *outbox.Outbox) *Service { return &Service{db: db, outbox: box} }

// SetLadder replaces the tenant's whole ladder: rules only make sense together. It needs tenant.manage.
func (s *Service) SetLadder(ctx context.Context, rungs []Policy) ([]Policy, error) {
	var saved []Policy
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		before, err := Ladder(ctx, tx, SubjectPayment)
		if err != nil {
			return err
		}
		if _, err := tx.NewDelete().Model((*Policy)(nil)).Where("ap.tenant_id = ?", tenancy.ID(ctx)).Exec(ctx); err != nil {
			return fmt.Errorf("clear the ladder: %w", err)
		}
		saved = make([]Policy, len(rungs))
		for i, p := range rungs {
			p.TenantID, p.ID, p.SubjectType = tenancy.ID(ctx), uuid.Must(uuid.NewV7()), SubjectPayment
			saved[i] = p
		}
		if len(saved) > 0 {
			// without RETURNING: bun would read an empty currency back, which is none
			if _, err := tx.NewInsert().Model(&saved).Returning("NULL").Exec(ctx); err != nil {
				if database.IsUnique(err, "approval_policies_rank_key") {
					return ErrPolicyRank
				}
				return fmt.Errorf("insert the ladder: %w", err)
			}
		}
		if err := s.outbox.Emit(ctx, outbox.Event{Type: "approval_policies.replaced", ObjectType: "tenant", ObjectID: tenancy.ID(ctx),
			Payload: map[string]any{"rules": len(saved)}}); err != nil {
			return err
		}
		return audit.Write(ctx, audit.Record{Action: "approval_policies.replace", ObjectType: "tenant", ObjectID: tenancy.ID(ctx),
			Before: map[string]any{"rules": facts(before)}, After: map[string]any{"rules": facts(saved)}})
	})
	return saved, err
}

func facts(rungs []Policy) []PolicyResponse {
	out := make([]PolicyResponse, len(rungs))
	for i, p := range rungs {
		out[i] = newPolicyResponse(p)
	}
	return out
}
