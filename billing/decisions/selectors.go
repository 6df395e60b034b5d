package decisions

import (
	"context"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/database"
	"countersign/tenancy"
)

const ofSubject = `
SELECT id, subject_id, verdict, user_id, user_label, digest, received_minor, note, required, created_at
FROM decisions WHERE tenant_id = $1 AND subject_type = $2 AND subject_id = ANY($3::uuid[]) ORDER BY created_at, id`

// SelectOf adds the decisions about subjects to list, oldest first.
func SelectOf(ctx context.Context, list *[]Decision, subjectType string, subjects ...uuid.UUID) database.Statement {
	return database.Select("read decisions", ofSubject, func(row database.Row) error {
		d := Decision{TenantID: tenancy.ID(ctx), SubjectType: subjectType}
		err := row.Scan(&d.ID, &d.SubjectID, &d.Verdict, &d.UserID, &d.UserLabel, &d.Digest, &d.ReceivedMinor, &d.Note, &d.Required, &d.CreatedAt)
		*list = append(*list, d)
		return err
	}, tenancy.ID(ctx), subjectType, subjects)
}

const ladder = `
SELECT id, rank, coalesce(payment_method, ''), coalesce(currency, ''), from_amount_minor, to_amount_minor, coalesce(signal, ''), approvals, requires_evidence, permission
FROM approval_policies WHERE tenant_id = $1 AND subject_type = $2 ORDER BY rank`

// SelectLadder adds the tenant's rungs to list, by rank.
func SelectLadder(ctx context.Context, list *[]Policy, subjectType string) database.Statement {
	return database.Select("read approval policies", ladder, func(row database.Row) error {
		p := Policy{TenantID: tenancy.ID(ctx), SubjectType: subjectType}
		var currency string
		if err := row.Scan(&p.ID, &p.Rank, &p.PaymentMethod, &currency, &p.FromAmountMinor, &p.ToAmountMinor, &p.Signal, &p.Approvals, &p.RequiresEvidence, &p.Permission); err != nil {
			return err
		}
		if currency != "" {
			if err := p.Currency.Scan(currency); err != nil {
				return err
			}
		}
		*list = append(*list, p)
		return nil
	}, tenancy.ID(ctx), subjectType)
}

// Ladder gives the tenant's rungs by rank.
func Ladder(ctx context.Context, _ bun.Tx, subjectType string) ([]Policy, error) {
	var list []Policy
	err := database.Send(ctx, SelectLadder(ctx, &list, subjectType))
	return list, err
}
