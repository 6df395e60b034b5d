package sandbox

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/gateways"
	"countersign/billing/money"
)

// order is what the sandbox knows of somebody's money. One in the state none is only a lock: nothing has happened yet.
type order struct {
	bun.BaseModel `bun:"table:sandbox_orders,alias:so"`

	TenantID        uuid.UUID      `bun:"tenant_id,pk,type:uuid"`
	ID              uuid.UUID      `bun:"id,pk,type:uuid"`
	Token           string         `bun:"token"`
	Hold            bool           `bun:"hold"`
	Currency        money.Currency `bun:"currency"`
	AmountMinor     int64          `bun:"amount_minor"`
	State           gateways.State `bun:"state"`
	AuthorisedMinor int64          `bun:"authorised_minor"`
	CapturedMinor   int64          `bun:"captured_minor"`
	RefundedMinor   int64          `bun:"refunded_minor"`
	FailureCode     string         `bun:"failure_code"`
	Becomes         gateways.State `bun:"becomes"`
	BecomesAt       *time.Time     `bun:"becomes_at"`
	CreatedAt       time.Time      `bun:"created_at,nullzero"`
}

// reference is the sandbox's own name of the order.
func (o *order) reference() string { return "sbx_" + o.ID.String() }

// pay takes or holds the money.
func (o *order) pay() {
	taken := max(o.AmountMinor-behaviourOf(o.Token).short, 0)
	o.State, o.AuthorisedMinor, o.CapturedMinor, o.FailureCode = gateways.StatePaid, taken, taken, ""
	if o.Hold {
		o.State, o.CapturedMinor = gateways.StateAuthorised, 0
	}
}

func (o *order) fail(code string) {
	o.State, o.FailureCode, o.AuthorisedMinor, o.CapturedMinor = gateways.StateFailed, code, 0, 0
}

// to makes the order what it becomes.
func (o *order) to(state gateways.State) {
	switch state {
	case gateways.StatePaid:
		o.pay()
	case gateways.StateFailed:
		o.fail("card_declined")
	default:
		o.State = state
	}
}

// ripen makes the order what it has become by itself.
func (o *order) ripen(now time.Time) (changed bool) {
	if o.BecomesAt == nil || now.Before(*o.BecomesAt) {
		return false
	}
	o.to(o.Becomes)
	o.Becomes, o.BecomesAt = "", nil
	return true
}

// result is what the sandbox says of the order.
func (o *order) result() gateways.Result {
	if o.State == gateways.StateNone {
		return gateways.Result{State: gateways.StateNone}
	}
	r := gateways.Result{State: o.State, Reference: o.reference(), Details: map[string]any{"sandbox_reference": o.reference()},
		Authorised: money.New(o.AuthorisedMinor, o.Currency), Captured: money.New(o.CapturedMinor, o.Currency), Refunded: money.New(o.RefundedMinor, o.Currency)}
	switch o.State {
	case gateways.StateFailed:
		r.Failure = &gateways.Failure{Code: o.FailureCode, Reason: reasons[o.FailureCode]}
	case gateways.StateAwaitingCustomer:
		r.Redirect = &gateways.Redirect{URL: "https://sandbox.invalid/pay/" + o.reference(), Method: "GET"}
	}
	return r
}

// request is a line of the log.
type request struct {
	bun.BaseModel `bun:"table:sandbox_requests,alias:sr"`

	TenantID  uuid.UUID       `bun:"tenant_id,pk,type:uuid"`
	ID        uuid.UUID       `bun:"id,pk,type:uuid"`
	OrderID   uuid.UUID       `bun:"order_id,type:uuid"`
	Operation string          `bun:"operation"`
	Key       string          `bun:"key"`
	BodyHash  []byte          `bun:"body_hash"`
	Outcome   string          `bun:"outcome"`
	Answer    json.RawMessage `bun:"answer,type:jsonb,nullzero"`
	CreatedAt time.Time       `bun:"created_at,nullzero"`
}

// What became of a request.
const (
	acted    = "acted"
	replayed = "replayed" // the answer to an earlier one under the same key
	refused  = "refused"
	down     = "down" // nothing has happened
	read     = "read"
)

// message is a callback in the queue.
type message struct {
	bun.BaseModel `bun:"table:sandbox_callbacks,alias:sc"`

	TenantID    uuid.UUID  `bun:"tenant_id,pk,type:uuid"`
	ID          uuid.UUID  `bun:"id,pk,type:uuid"`
	OrderID     uuid.UUID  `bun:"order_id,type:uuid"`
	Body        []byte     `bun:"body"`
	NextAt      *time.Time `bun:"next_at"`
	Attempts    int        `bun:"attempts"`
	DeliveredAt *time.Time `bun:"delivered_at"`
	LastError   string     `bun:"last_error"`
}
