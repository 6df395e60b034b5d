package outbox

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

func selectJobs(ctx context.Context, db bun.IDB, model any) *bun.SelectQuery {
	return db.NewSelect().Model(model).
		Column("id", "task", "cause", "created_at", "next_at", "attempts", "done_at", "dead_at", "last_error").
		ColumnExpr(stateColumn, states[StateDone], states[StateDead], states[StateRunning]).
		Where("j.tenant_id = ?", tenantOf(ctx))
}

// jobsSpec is the list of jobs.
var jobsSpec = web.ListSpec{
	Filters: []web.Filter{
		web.Text("task", "The name of a task."),
		web.Choice("state", "Where the job stands.", map[string]State{
			"waiting": StateWaiting, "running": StateRunning, "done": StateDone, "dead": StateDead}),
	},
	Ordering: map[string]string{"created_at": "id"},
	Default:  "-created_at",
}

// Jobs gives a page of the current tenant's jobs.
func Jobs(ctx context.Context, tx bun.Tx, l web.List) (web.Page[Job], error) {
	q := selectJobs(ctx, tx, (*Job)(nil))
	if task, ok := web.Value[string](l, "task"); ok {
		q = q.Where("j.task = ?", task)
	}
	if state, ok := web.Value[State](l, "state"); ok {
		q = q.Where("?", states[state])
	}
	return web.Paginate(ctx, q, l, "j", func(j Job) (time.Time, uuid.UUID) { return j.CreatedAt, j.ID })
}

// JobByID gives one job of the current tenant, or web.ErrNotFound.
func JobByID(ctx context.Context, db bun.IDB, id uuid.UUID) (*Job, error) {
	j := &Job{}
	err := selectJobs(ctx, db, j).Where("j.id = ?", id).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, web.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read job: %w", err)
	}
	return j, nil
}

// A row for each task that was asked about: when the newest of its done runs ended, and how many are dead.
const taskStates = `
SELECT t.name,
  (SELECT o.done_at FROM outbox AS o WHERE o.tenant_id = $1 AND o.task = t.name AND o.done_at IS NOT NULL ORDER BY o.id DESC LIMIT 1),
  (SELECT count(*) FROM outbox AS o WHERE o.tenant_id = $1 AND o.task = t.name AND o.dead_at IS NOT NULL)
FROM unnest($2::text[]) WITH ORDINALITY AS t(name, place) ORDER BY t.place`

// TaskStates says how the declared tasks are doing in the current tenant, in the order of their declaration.
func (o *Outbox) TaskStates(ctx context.Context, tx bun.Tx) ([]TaskState, error) {
	names := make([]string, len(o.declared))
	for i, t := range o.declared {
		names[i] = t.Name
	}
	rows, err := database.Hot(tx).QueryContext(ctx, taskStates, tenantOf(ctx), names)
	if err != nil {
		return nil, fmt.Errorf("read states of tasks: %w", err)
	}
	defer rows.Close()
	list := make([]TaskState, 0, len(names))
	for rows.Next() {
		var s TaskState
		var last sql.NullTime
		if err := rows.Scan(&s.Task, &last, &s.Dead); err != nil {
			return nil, fmt.Errorf("read states of tasks: %w", err)
		}
		s.LastSuccess = last.Time
		list = append(list, s)
	}
	return list, rows.Err()
}

// seedWords are the first seed's names of events (S0-72, S0-73).
var seedWords = map[string]string{"TransactionCreatedEvent": "payment.created", "TransactionUpdatedEvent": "payment.updated"}

func parseEventType(raw string) (any, error) {
	if name, ok := seedWords[raw]; ok {
		return name, nil
	}
	return web.Text("type", "").Parse(raw)
}

// eventsSpec is the list of events.
var eventsSpec = web.ListSpec{
	Filters: []web.Filter{
		{Name: "type", Parse: parseEventType,
			Doc: "A type such as payment.approved. TransactionCreatedEvent stands for payment.created, TransactionUpdatedEvent for payment.updated."},
		web.Text("object_type", "What it happened to, such as payment."),
		web.Identifier("object_id", "The id of what it happened to."),
		web.Identifier("account", "The account that it concerns."),
		web.Instant("created_after", "At this time or later."),
		web.Instant("created_before", "Before this time."),
	},
	Ordering: map[string]string{"created_at": "id"},
	Default:  "-created_at",
}

// Events gives a page of what happened in the current tenant.
func Events(ctx context.Context, tx bun.Tx, l web.List) (web.Page[Told], error) {
	q := tx.NewSelect().Model((*Told)(nil)).
		Column("id", "type", "also", "object_type", "object_id", "account_id", "payload", "actor", "request_id", "created_at").
		Where("e.tenant_id = ?", tenantOf(ctx))
	if v, ok := web.Value[string](l, "type"); ok {
		q = q.Where("(e.type = ?0 OR e.also = ?0)", v)
	}
	if v, ok := web.Value[string](l, "object_type"); ok {
		q = q.Where("e.object_type = ?", v)
	}
	if v, ok := web.Value[uuid.UUID](l, "object_id"); ok {
		q = q.Where("e.object_id = ?", v)
	}
	if v, ok := web.Value[uuid.UUID](l, "account"); ok {
		q = q.Where("e.account_id = ?", v)
	}
	q = l.CreatedBetween(q, "e")
	return web.Paginate(ctx, q, l, "e", func(e Told) (time.Time, uuid.UUID) { return e.CreatedAt, e.ID })
}

// EventsOf gives what happened to some objects, the oldest first, at most a thousand events. Members are told of what
// concerns their account.
func EventsOf(ctx context.Context, tx bun.Tx, objects ...uuid.UUID) ([]Told, error) {
	list := []Told{}
	q := tx.NewSelect().Model(&list).
		Column("id", "type", "also", "object_type", "object_id", "account_id", "payload", "actor", "request_id", "created_at").
		Where("e.tenant_id = ?", tenantOf(ctx)).Where("e.object_id IN (?)", bun.List(objects))
	if p, _ := auth.From(ctx); p.IsMember() {
		q = q.Where("e.account_id = ?", p.AccountID)
	}
	if err := q.OrderExpr("e.created_at, e.id").Limit(1000).Scan(ctx); err != nil {
		return nil, fmt.Errorf("read events of %v: %w", objects, err)
	}
	return list, nil
}

// deadJobs gives the latest jobs that were given up.
func deadJobs(ctx context.Context, tx bun.Tx, limit int64) ([]Job, error) {
	list := []Job{}
	if err := selectJobs(ctx, tx, &list).Where("?", states[StateDead]).OrderExpr("j.dead_at DESC").Limit(limit).Scan(ctx); err != nil {
		return nil, fmt.Errorf("read dead jobs: %w", err)
	}
	return list, nil
}

// standing is how the current tenant's jobs stand. What is done is not counted.
type standing struct {
	Waiting int       `bun:"waiting"`
	Running int       `bun:"running"`
	Dead    int       `bun:"dead"`
	Oldest  time.Time `bun:"oldest"` // since when the oldest that could run waits; zero: none
}

func standingOf(ctx context.Context, tx bun.Tx) (standing, error) {
	var s standing
	err := tx.NewSelect().TableExpr("outbox AS j").
		ColumnExpr("count(*) FILTER (WHERE ?) AS waiting", states[StateWaiting]).
		ColumnExpr("count(*) FILTER (WHERE ?) AS running", states[StateRunning]).
		ColumnExpr("count(*) FILTER (WHERE ?) AS dead", states[StateDead]).
		ColumnExpr("min(j.created_at) FILTER (WHERE ? AND j.next_at <= now()) AS oldest", states[StateWaiting]).
		Where("j.tenant_id = ?", tenantOf(ctx)).Where("j.done_at IS NULL").Scan(ctx, &s)
	if err != nil {
		return s, fmt.Errorf("count jobs: %w", err)
	}
	return s, nil
}

func eventByID(ctx context.Context, tx bun.Tx, id uuid.UUID) (Told, error) {
	var e Told
	err := tx.NewSelect().Model(&e).
		Column("id", "type", "also", "object_type", "object_id", "account_id", "payload", "actor", "request_id", "created_at").
		Where("e.tenant_id = ?", tenantOf(ctx)).Where("e.id = ?", id).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return e, web.ErrNotFound
	}
	if err != nil {
		return e, fmt.Errorf("read event: %w", err)
	}
	return e, nil
}
