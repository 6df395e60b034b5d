// Package apps says what an app brings along, as plain data: routes, console pages, background work, checks and
// commands. cmd/countersign lists the apps by name; nothing registers itself.
package apps

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/admin"
	"countersign/internal/web"
)

// App is what one package contributes to the project.
type App struct {
	Name      string
	URLs      []web.Route // below /api/v1/
	Callbacks []web.Callback
	Admin     []admin.Section
	Tasks     []Task
	Doorbells []Doorbell
	Checks    []Check
	Sealed    []SealedColumn
	// SealPlain seals what was stored in the clear before there was a sealed column for it, in the tenant of ctx, and gives
	// how many rows it has changed; nil: nothing ever was. `countersign keys rotate` calls it.
	SealPlain func(ctx context.Context) (sealed int, err error)
	// Alerts gives what staff must see above the console's page of background work, in the tenant of ctx; nil: nothing ever.
	Alerts func(ctx context.Context, tx bun.Tx, r admin.Reader) ([]admin.Note, error)
}

// SealedColumn is a bytea column, null or sealed by internal/keyring, of a tenant's table whose primary key is
// (tenant_id, id). Its purpose on the ring is table.column and its row is id. `countersign keys` counts and re-seals it.
type SealedColumn struct {
	Table  string
	Column string
}

// Purpose is what the column is called on the ring.
func (c SealedColumn) Purpose() string { return c.Table + "." + c.Column }

// Task is a unit of background work. Each run has a row in the outbox, which is marked done in the commit of the
// run's effect; what is committed and not done is handed over again, so running twice must equal running once.
type Task struct {
	Name string
	// On lists the events that hand it work, one run for each event.
	On []string
	// Every makes it periodic, once for each tenant and tick. At most one of Every and DailyAt is set.
	Every time.Duration
	// DailyAt is a time of day in UTC, such as "02:30".
	DailyAt string
	// After names a periodic task of the same tick that must have succeeded first.
	After string
	Queue string // empty: default
	// Timeout ends a run; it is handed over again afterwards. Zero means one minute.
	Timeout time.Duration
	// MaxAttempts is after how many failed runs the task is dead: visible, alarmed, restartable. Zero means 12.
	MaxAttempts int
	// Run does the work in the job's tenant, as a system principal. A business refusal is success with a log line;
	// an error means: try again later.
	Run func(ctx context.Context, job Job) error
}

// Job is one run of a task.
type Job struct {
	ID      uuid.UUID // of the outbox row
	Task    string
	Cause   string
	Payload json.RawMessage // ids only; the handler loads what they mean
	// Done marks the row as done inside tx, so that the effect and its mark are one commit.
	Done func(ctx context.Context, tx bun.Tx) error
}

// Doorbell is background work whose list of what is to do is the domain's own table: whatever waits is done, in sets,
// by whoever hears the bell. There is no row for each ring, so a ring may be lost: Waiting is asked every second.
type Doorbell struct {
	Name string
	// On lists the events that ring it.
	On []string
	// Waiting gives the tenants that have work. It runs as the observer.
	Waiting func(ctx context.Context, tx bun.Tx) ([]uuid.UUID, error)
	Queue   string
	Timeout time.Duration
	// Run does what waits in one tenant until nothing waits.
	Run func(ctx context.Context) error
}

// Check is a system check of `countersign check`, in Django's manner: an id such as payments.W002, and a hint.
type Check struct {
	ID  string
	Run func(ctx context.Context) (*Finding, error)
	// Deep checks read the whole ledger or log of the tenant of ctx. They are part of `countersign verify`, and of the
	// nightly proof, and say beforehand what they look for and what to do when they find it.
	Deep bool
	What string
	Hint string
}

// Finding is what a check has to complain about.
type Finding struct {
	What   string
	Hint   string
	Places []Place // of deep checks: what is wrong, at most PlaceLimit of it
}

// PlaceLimit is how many places a deep check names: after so many, nobody reads on.
const PlaceLimit = 100

// Place is one thing that a deep check has found to be wrong.
type Place struct {
	Object uuid.UUID `bun:"object" json:"object"` // what the check is about: a transaction, a ledger account, an invoice, a payment
	Detail string    `bun:"detail" json:"detail"` // what was found there: states, numbers and currencies
}
