package decisions

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/database"
	"countersign/tenancy"
)

const ofSubject = `
SELECT id, subject_id, verdict, user_id, user_label, digest, received_minor, note, required, created_at
FROM decisions WHERE tenant_id = $1 AND subject_type = $2 AND subject_id = ANY($3::uuid[]) ORDER BY created_at, id`

// Of gives the decisions about subjects, oldest first.
func Of(ctx context.Context, tx bun.Tx, subjectType string, subjects ...uuid.UUID) ([]Decision, error) {
	rows, err := database.Hot(tx).QueryContext(ctx, ofSubject, tenancy.ID(ctx), subjectType, subjects)
	if err != nil {
		return nil, fmt.Errorf("read decisions: %w", err)
	}
	defer rows.Close()
	var list []Decision
	for rows.Next() {
		d := Decision{TenantID: tenancy.ID(ctx), SubjectType: subjectType}
		if err := rows.Scan(&d.ID, &d.SubjectID, &d.Verdict, &d.UserID, &d.UserLabel, &d.Digest, &d.ReceivedMinor, &d.Note, &d.Required, &d.CreatedAt); err != nil {
			return nil, fmt.Errorf("read decisions: %w", err)
		}
		list = append(list, d)
	}
	return list, rows.Err()
}

const ladder = `
SELECT id, rank, coalesce(payment_method, ''), coalesce(currency, ''), from_amount_minor, to_amount_minor, coalesce(signal, ''), approvals, requires_evidence, permission
FROM approval_policies WHERE tenant_id = $1 AND subject_type = $2 ORDER BY rank`

// Ladder gives the tenant's rungs by rank.
func Ladder(ctx context.Context, tx bun.Tx, subjectType string) ([]Policy, error) {
	rows, err := database.Hot(tx).QueryContext(ctx, ladder, tenancy.ID(ctx), subjectType)
	if err != nil {
		return nil, fmt.Errorf("read approval policies: %w", err)
	}
	defer rows.Close()
	var list []Policy
	for rows.Next() {
		p := Policy{TenantID: tenancy.ID(ctx), SubjectType: subjectType}
		var currency string
		if err := rows.Scan(&p.ID, &p.Rank, &p.PaymentMethod, &currency, &p.FromAmountMinor, &p.ToAmountMinor, &p.Signal, &p.Approvals, &p.RequiresEvidence, &p.Permission); err != nil {
			return nil, fmt.Errorf("read approval policies: %w", err)
		}
		if currency != "" {
			if err := p.Currency.Scan(currency); err != nil {
				return nil, fmt.Errorf("read approval policies: %w", err)
			}
		}
		list = append(list, p)
	}
	return list, rows.Err()
}
