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
	Action     string // such as payment.approve
	ObjectType string
	ObjectID   uuid.UUID
	AccountID  uuid.UUID // the account that the change concerns; zero: none
	Before     map[string]any
	After      map[string]any
	Reason     string
}

const insertRecords = `
WITH queued AS (INSERT INTO audit_unsealed (tenant_id, id) SELECT $1, unnest($8::uuid[]))
INSERT INTO audit_log (tenant_id, id, actor_kind, actor_id, actor_label, action, object_type, object_id, account_id, before, after, reason, request_id, ip, user_agent)
SELECT $1, r.id, $2, $3, $4, r.action, r.object_type, r.object_id, nullif(r.account_id, '00000000-0000-0000-0000-000000000000'), r.before::jsonb, r.after::jsonb, r.reason, $5, $6, $7
FROM unnest($8::uuid[], $9::text[], $10::text[], $11::uuid[], $12::uuid[], $13::text[], $14::text[], $15::text[])
  AS r(id, action, object_type, object_id, account_id, before, after, reason)`

// Write adds records to the transaction of ctx, signed by the principal of ctx. They travel with its COMMIT.
func Write(ctx context.Context, records ...Record) error {
	p, ok := auth.From(ctx)
	if !ok {
		return fmt.Errorf("audit %s: nobody acts in this context", records[0].Action)
	}
	n := len(records)
	ids, objects, accounts := make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n)
	actions, types, reasons := make([]string, n), make([]string, n), make([]string, n)
	before, after := make([]*string, n), make([]*string, n)
	for i, r := range records {
		ids[i], objects[i], accounts[i] = uuid.Must(uuid.NewV7()), r.ObjectID, r.AccountID
		actions[i], types[i], reasons[i] = r.Action, r.ObjectType, r.Reason
		var err error
		if before[i], err = encode(r.Before); err != nil {
			return fmt.Errorf("audit %s: %w", r.Action, err)
		}
		if after[i], err = encode(r.After); err != nil {
			return fmt.Errorf("audit %s: %w", r.Action, err)
		}
	}
	var actor *uuid.UUID
	if p.UserID != uuid.Nil {
		actor = &p.UserID
	}
	request := auth.RequestFrom(ctx)
	database.Defer(ctx, insertRecords, p.TenantID, p.Kind, actor, p.Label, request.ID, request.IP, request.UserAgent,
		ids, actions, types, objects, accounts, before, after, reasons)
	return nil
}

func encode(facts map[string]any) (*string, error) {
	if facts == nil {
		return nil, nil
	}
	raw, err := json.Marshal(facts)
	if err != nil {
		return nil, err
	}
	text := string(raw)
	return &text, nil
}
