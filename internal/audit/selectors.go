package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/web"
)

// entriesSpec is the list of the audit log.
var entriesSpec = web.ListSpec{
	Filters: []web.Filter{
		web.Text("action", "An action such as payment.approve."),
		web.Text("object_type", "What was acted on, such as payment."),
		web.Identifier("object_id", "The id of what was acted on."),
		{Name: "actor", Doc: "Who acted: a user's id or e-mail address, or the name of a program.", Parse: parseActor},
		web.Instant("created_after", "At this time or later."),
		web.Instant("created_before", "Before this time."),
	},
	Ordering: map[string]string{"created_at": "id"},
	Default:  "-created_at",
}

// actor is a user's id or a label.
type actor struct {
	id    uuid.UUID
	label string
}

func parseActor(raw string) (any, error) {
	if id, err := web.ParseID(raw); err == nil {
		return actor{id: id}, nil
	}
	label, err := web.Text("actor", "").Parse(raw)
	if err != nil {
		return nil, err
	}
	return actor{label: label.(string)}, nil
}

// Entries gives a page of the current tenant's log.
func Entries(ctx context.Context, tx bun.Tx, l web.List) (web.Page[Entry], error) {
	q := tx.NewSelect().Model((*Entry)(nil)).
		Column("id", "created_at", "actor_kind", "actor_id", "actor_label", "action", "object_type", "object_id", "account_id",
			"before", "after", "reason", "request_id", "ip", "user_agent", "chain_seq").
		Where("a.tenant_id = ?", database.ScopeFrom(ctx).TenantID)
	if v, ok := web.Value[string](l, "action"); ok {
		q = q.Where("a.action = ?", v)
	}
	if v, ok := web.Value[string](l, "object_type"); ok {
		q = q.Where("a.object_type = ?", v)
	}
	if v, ok := web.Value[uuid.UUID](l, "object_id"); ok {
		// one record may tell of what was done to many things; their events name it
		q = q.Where(`a.id IN (SELECT o.id FROM audit_log AS o WHERE o.tenant_id = ?0 AND o.object_id = ?1
			UNION ALL SELECT e.audit_id FROM events AS e WHERE e.tenant_id = ?0 AND e.object_id = ?1 AND e.audit_id IS NOT NULL)`, database.ScopeFrom(ctx).TenantID, v)
	}
	if v, ok := web.Value[actor](l, "actor"); ok {
		if v.id != uuid.Nil {
			q = q.Where("a.actor_id = ?", v.id)
		} else {
			q = q.Where("a.actor_label = ?", v.label)
		}
	}
	q = l.CreatedBetween(q, "a")
	return web.Paginate(ctx, q, l, "a", func(e Entry) (time.Time, uuid.UUID) { return e.CreatedAt, e.ID })
}

// Reasons gives what people have said why they did something to one object, by the request that they made; of the latest
// thousand. Whoever sees the object's history may see them; the rest of the log needs billing.audit.view.
func Reasons(ctx context.Context, tx bun.Tx, object uuid.UUID) (map[string]string, error) {
	var list []Entry
	err := tx.NewSelect().Model(&list).Column("request_id", "reason").Where("a.tenant_id = ?", database.ScopeFrom(ctx).TenantID).Where("a.object_id = ?", object).
		Where("a.actor_kind = ?", auth.KindUser).Where("a.reason <> '' AND a.request_id <> ''").OrderExpr("a.id DESC").Limit(1000).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read why something was done to %s: %w", object, err)
	}
	reasons := map[string]string{}
	for _, e := range list {
		reasons[e.RequestID] = e.Reason
	}
	return reasons, nil
}

// EntryByID gives one record of the current tenant's log, or web.ErrNotFound.
func EntryByID(ctx context.Context, tx bun.Tx, id uuid.UUID) (Entry, error) {
	var e Entry
	err := tx.NewSelect().Model(&e).
		Column("id", "created_at", "actor_kind", "actor_id", "actor_label", "action", "object_type", "object_id", "account_id",
			"before", "after", "reason", "request_id", "ip", "user_agent", "chain_seq").
		Where("a.tenant_id = ?", database.ScopeFrom(ctx).TenantID).Where("a.id = ?", id).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return e, web.ErrNotFound
	}
	if err != nil {
		return e, fmt.Errorf("read an audit record: %w", err)
	}
	return e, nil
}
