// Package outbox stores events with the change that they tell of, and the work that they hand out. Nothing else may
// start background work: what is in the outbox is committed, so it is done at last, even when Redis loses everything.
package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/admin"
	"countersign/internal/apps"
	"countersign/internal/auth"
	"countersign/internal/database"
)

// Channel is where a commit with new work is announced. An announcement is a hint: it may be lost.
const Channel = "countersign_work"

// Event is something that happened to one object.
type Event struct {
	Type       string // such as payment.approved
	Also       string // a second name that it goes by, such as payment.updated; empty: none
	ObjectType string
	ObjectID   uuid.UUID
	AccountID  uuid.UUID // whose members may read it; zero: staff only
	Payload    any       // a struct or map of ids, states and amounts
	Audit      uuid.UUID // the record of the audit log that tells of it among others; zero: it has one of its own
}

// Outbox knows who is told of which event.
type Outbox struct {
	declared []apps.Task         // all of them, in the order of the apps
	tasks    map[string][]string // event type → tasks with a row for each event
	bells    map[string][]string // event type → doorbells that it rings
	bell     *Bell
	alerts   []func(ctx context.Context, tx bun.Tx, r admin.Reader) ([]admin.Note, error) // of the apps
}

// New reads from the apps' tasks which events hand out which work. bell is told of every commit that brought some.
func New(list []apps.App, bell *Bell) *Outbox {
	o := &Outbox{tasks: map[string][]string{}, bells: map[string][]string{}, bell: bell}
	for _, app := range list {
		o.subscribe(app)
	}
	return o
}

// subscribe adds what one app listens to. Apps are built with the outbox they write to, so they are added afterwards.
func (o *Outbox) subscribe(app apps.App) {
	o.declared = append(o.declared, app.Tasks...)
	if app.Alerts != nil {
		o.alerts = append(o.alerts, app.Alerts)
	}
	for _, t := range app.Tasks {
		for _, event := range t.On {
			o.tasks[event] = append(o.tasks[event], t.Name)
		}
	}
	for _, d := range app.Doorbells {
		for _, event := range d.On {
			o.bells[event] = append(o.bells[event], d.Name)
		}
	}
}

// Subscribe adds the apps that were built after the outbox. It is called once, before anything runs.
func (o *Outbox) Subscribe(list []apps.App) {
	for _, app := range list {
		o.subscribe(app)
	}
}

var insertEvents = database.NewRows("write events", `
INSERT INTO events (tenant_id, id, type, also, object_type, object_id, account_id, payload, actor, request_id, audit_id)
SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::text[]), unnest($4::text[]), unnest($5::text[]), unnest($6::uuid[]), unnest($7::uuid[]), unnest($8::text[]), unnest($9::text[]), unnest($10::text[]), unnest($11::uuid[])`)

var insertWork = database.NewRows("hand out work", `
INSERT INTO outbox (tenant_id, id, task, cause, payload) SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::text[]), unnest($4::text[]), unnest($5::jsonb[])
ON CONFLICT (tenant_id, task, cause) DO NOTHING`)

// Many are events of one kind, which tell of different objects in the same way: they share everything but what the slices
// say, of which each event has one.
type Many struct {
	Kind     Event
	Objects  []uuid.UUID
	Accounts []uuid.UUID
	Payloads []any
}

// Add adds an event.
func (m *Many) Add(object, account uuid.UUID, payload any) {
	m.Objects, m.Accounts, m.Payloads = append(m.Objects, object), append(m.Accounts, account), append(m.Payloads, payload)
}

const insertEventsOfKind = `
INSERT INTO events (tenant_id, id, type, also, object_type, object_id, account_id, payload, actor, request_id, audit_id)
SELECT $1, unnest($8::uuid[]), $2, $3, $4, unnest($9::uuid[]), unnest($10::uuid[]), unnest($11::text[]), $5, $6, $7`

// EmitMany is Emit for sets: what the events share travels once.
func (o *Outbox) EmitMany(ctx context.Context, m Many) error {
	p, ok := auth.From(ctx)
	if !ok {
		return fmt.Errorf("emit many %s: nobody acts in this context", m.Kind.Type)
	}
	if len(m.Objects) == 0 {
		return nil
	}
	ids, payloads := make([]uuid.UUID, len(m.Objects)), make([]string, len(m.Objects))
	var raw strings.Builder // all payloads, one behind the other
	raw.Grow(512 * len(ids))
	encoder := json.NewEncoder(&raw)
	for i := range ids {
		from := raw.Len()
		if err := encoder.Encode(m.Payloads[i]); err != nil {
			return fmt.Errorf("emit %s: %w", m.Kind.Type, err)
		}
		ids[i], payloads[i] = uuid.Must(uuid.NewV7()), raw.String()[from:raw.Len()-1] // without the end of its line
		for _, task := range o.tasks[m.Kind.Type] {
			handOut(ctx, p.TenantID, task, "event:"+ids[i].String(), payloads[i])
		}
	}
	database.SendWithCommit(ctx, database.Change("write events", insertEventsOfKind, p.TenantID, m.Kind.Type, m.Kind.Also, m.Kind.ObjectType, p.Label,
		auth.RequestFrom(ctx).ID, database.Nullable(m.Kind.Audit), ids, m.Objects, m.Accounts, payloads))
	o.ringAfter(ctx, p.TenantID, m.Kind.Type)
	return nil
}

// Emit adds events, and the work they hand out, to the transaction of ctx. They travel with its COMMIT.
func (o *Outbox) Emit(ctx context.Context, events ...Event) error {
	p, ok := auth.From(ctx)
	if !ok {
		return fmt.Errorf("emit %s: nobody acts in this context", events[0].Type)
	}
	for _, e := range events {
		payload, err := json.Marshal(e.Payload)
		if err != nil {
			return fmt.Errorf("emit %s: %w", e.Type, err)
		}
		id := uuid.Must(uuid.NewV7())
		database.SendRowWithCommit(ctx, insertEvents, p.TenantID, id, e.Type, e.Also, e.ObjectType, e.ObjectID, database.Nullable(e.AccountID), string(payload), p.Label, auth.RequestFrom(ctx).ID,
			database.Nullable(e.Audit))
		for _, task := range o.tasks[e.Type] {
			handOut(ctx, p.TenantID, task, "event:"+id.String(), string(payload))
		}
		o.ringAfter(ctx, p.TenantID, e.Type)
	}
	return nil
}

// ringAfter announces after the commit what an event of a type brings.
func (o *Outbox) ringAfter(ctx context.Context, tenant uuid.UUID, event string) {
	announced := o.bells[event]
	if len(o.tasks[event]) > 0 {
		announced = append(slices.Clone(announced), Rows)
	}
	for _, what := range announced {
		database.AfterCommit(ctx, func() { o.bell.Ring(Announcement{tenant, what}) })
	}
}

// Schedule adds one run of a task to the transaction of ctx and gives its id. cause makes it happen once: tick:<time>
// for the clock, manual:<id> for a person. When the run is there already nothing happens, and the id means nothing.
func (o *Outbox) Schedule(ctx context.Context, tenant uuid.UUID, task, cause string) uuid.UUID {
	id := handOut(ctx, tenant, task, cause, "{}")
	database.AfterCommit(ctx, func() { o.bell.Ring(Announcement{tenant, Rows}) })
	return id
}

func handOut(ctx context.Context, tenant uuid.UUID, task, cause, payload string) uuid.UUID {
	id := uuid.Must(uuid.NewV7())
	database.SendRowWithCommit(ctx, insertWork, tenant, id, task, cause, payload)
	return id
}
