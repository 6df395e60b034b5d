// Package audit keeps who did what, when, from where and why: append-only, in the commit of the change, hash-chained
// per tenant by the sealing task. Reading it needs billing.audit.view.
package audit

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"countersign/internal/auth"
	"countersign/internal/database"
)

// Record is one entry. Before and After hold what changed, without references, notes or other texts of customers that
// the record does not need.
type Record struct {
	ID         uuid.UUID // zero: a new one
	Action     string    // such as payment.approve
	ObjectType string
	ObjectID   uuid.UUID
	AccountID  uuid.UUID // the account that the change concerns; zero: none
	Before     map[string]any
	After      map[string]any
	Reason     string
}

var insertRecords = database.NewRows("write the audit log", `
WITH queued AS (INSERT INTO audit_unsealed (tenant_id, id) SELECT unnest($1::uuid[]), unnest($2::uuid[]))
INSERT INTO audit_log (tenant_id, id, actor_kind, actor_id, actor_label, action, object_type, object_id, account_id, before, after, reason, request_id, ip, user_agent)
SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::text[]), unnest($4::uuid[]), unnest($5::text[]), unnest($6::text[]), unnest($7::text[]), unnest($8::uuid[]), unnest($9::uuid[]), unnest($10::jsonb[]), unnest($11::jsonb[]), unnest($12::text[]), unnest($13::text[]), unnest($14::text[]), unnest($15::text[])`)

// Write adds records to the transaction of ctx, signed by the principal of ctx. They travel with its COMMIT.
func Write(ctx context.Context, records ...Record) error {
	p, ok := auth.From(ctx)
	if !ok {
		return fmt.Errorf("audit %s: nobody acts in this context", records[0].Action)
	}
	request := auth.RequestFrom(ctx)
	for _, r := range records {
		id := r.ID
		if id == uuid.Nil {
			id = uuid.Must(uuid.NewV7())
		}
		before, err := encode(r.Before)
		if err != nil {
			return fmt.Errorf("audit %s: %w", r.Action, err)
		}
		after, err := encode(r.After)
		if err != nil {
			return fmt.Errorf("audit %s: %w", r.Action, err)
		}
		database.SendRowWithCommit(ctx, insertRecords, p.TenantID, id, p.Kind, database.Nullable(p.UserID), p.Label, r.Action, r.ObjectType, r.ObjectID,
			database.Nullable(r.AccountID), before, after, r.Reason, request.ID, request.IP, request.UserAgent)
	}
	return nil
}

// encode gives facts as JSON text; nil when there are none.
func encode(facts map[string]any) (any, error) {
	if facts == nil {
		return nil, nil
	}
	raw, err := json.Marshal(facts)
	return string(raw), err
}
