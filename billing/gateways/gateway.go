package gateways

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"countersign/billing/money"
)

// Gateway is one provider, or one way to take money without a provider. An adapter holds no credentials and no state of
// a payment: both come with each call, so one value serves all tenants (W-14, W-15). No method is called inside a database
// transaction (W-13), and each may be called again with the same key without a second effect.
//
// An operation that a gateway does not have gives ErrUnsupported, never a silent success.
type Gateway interface {
	// Name is the word of the payment's gateway column, such as stripe.
	Name() string
	Capabilities() Capabilities
	// Begin asks for the money: it takes it, holds it, or says what the payer must do.
	Begin(ctx context.Context, c Credentials, o Order) (Result, error)
	// Capture takes what is held, all of it or part.
	Capture(ctx context.Context, c Credentials, o Operation) (Result, error)
	// Release gives up what is held or begun and not taken.
	Release(ctx context.Context, c Credentials, o Operation) (Result, error)
	// Refund gives back what was taken, all of it or part.
	Refund(ctx context.Context, c Credentials, o Operation) (Result, error)
	// FetchStatus asks where an order stands. It is how an unknown outcome becomes known.
	FetchStatus(ctx context.Context, c Credentials, q Query) (Result, error)
	// HandleCallback checks and reads what the provider has sent to us. It changes nothing.
	HandleCallback(ctx context.Context, c Credentials, in Callback) (Message, error)
}

// RefundMode is how a gateway gives money back.
type RefundMode string

// The refund modes.
const (
	RefundByAPI      RefundMode = "api"                // we ask, it pays
	RefundByProvider RefundMode = "provider_initiated" // begun in the provider's cabinet, and told to us
	RefundByHand     RefundMode = "manual"             // somebody pays, and gives us the reference of the payout
)

// Capabilities say what may be asked of a gateway; callers look before they ask, and screens hide what is missing.
type Capabilities struct {
	Begin         bool // there is somebody to ask; false: staff or the payer report the payment
	Capture       bool // holds and captures separately
	PartCapture   bool
	Release       bool
	Refunds       RefundMode
	PartRefund    bool
	FetchStatus   bool
	Callbacks     bool
	PublicKey     bool             // has a key for the payer's browser (S1-33)
	Currencies    []money.Currency // nil: all
	Modes         []Mode           // live, test or both
	NeedsNoConfig bool             // works without a row in gateway_configs
	Fields        []Field          // what a tenant configures; anything else is refused
	Named         bool             // a tenant registers it under names of his own, each with an error map (S0-11, S0-43)
}

// Field is one setting or secret that a tenant gives a gateway.
type Field struct {
	Name     string
	Secret   bool // sealed, and never shown again
	Required bool // before the gateway is switched on
	Made     bool // a secret that we make up when the tenant gives none: no provider has to know it
	// Check says whether a value can be right for the kind of money that the tenant takes; nil: any text can.
	Check func(mode Mode, value string) bool
}

// PublicKeyField is the setting that holds the key for the payer's browser, of gateways that have one (S1-33).
const PublicKeyField = "publishable_key"

// Mode tells real money from the other kind. Records of the two never share references.
type Mode string

// The modes.
const (
	Live Mode = "live"
	Test Mode = "test"
)

// Credentials are one tenant's for one gateway and mode, opened for the call.
type Credentials struct {
	TenantID uuid.UUID
	Mode     Mode
	Secrets  map[string]string // by the adapter's own names
	Settings map[string]string // what is no secret
	ErrorMap map[string]string // the provider's codes to ours, of gateways that have such a map
}

// Order is money that is asked for.
type Order struct {
	ID          uuid.UUID // the payment's; the provider is given it as our reference and as the key of the call
	Amount      money.Money
	Source      string // the payer's token (S1-20); empty where the payer chooses on the provider's page
	Customer    string // the payer's id at the provider, where Source was kept for him there (S1-04); empty: none
	Hold        bool   // authorise only, capture later (S1-30)
	Description string
	ReturnURL   string // where the payer's browser comes back to; it proves nothing; empty: where the tenant's settings say
}

// Operation is a change of an order that has begun.
type Operation struct {
	Key       string    // the provider's idempotency key; the same for each attempt
	OrderID   uuid.UUID // the payment's
	Reference string    // the provider's
	Amount    money.Money
	Reason    string
}

// Query asks for an order by what is known of it: its own id always, the provider's reference when there is one.
type Query struct {
	OrderID   uuid.UUID
	Reference string
}

// State is where an order stands at the provider, in our words.
type State string

// The states. Unknown is no failure: it is cleared by asking again or by a person, never by a second request without the
// same key (S0D-21).
const (
	StateNone              State = "none" // the provider has never heard of the order
	StateAwaitingCustomer  State = "awaiting_customer"
	StateAuthorised        State = "authorised"
	StateProcessing        State = "processing"
	StatePaid              State = "paid"
	StatePartiallyRefunded State = "partially_refunded"
	StateRefunded          State = "refunded"
	StateFailed            State = "failed"
	StateCancelled         State = "cancelled"
	StateExpired           State = "expired"
	StateRefundFailed      State = "refund_failed" // what it had given back has come back: the Detail "refund" names which
	StateUnknown           State = "unknown"
)

// Result is what a provider says of an order after a call or when asked.
type Result struct {
	State     State
	Reference string // the provider's id of the order; kept from the first answer on
	// Amounts are what the provider says, to be compared with ours before anything is posted. All are of the order's
	// currency; zero where the state has none. One without a currency was not told, and there is nothing to compare.
	// Of StateRefundFailed, Refunded is what has come back.
	Authorised money.Money
	Captured   money.Money
	Refunded   money.Money
	Redirect   *Redirect // what the payer must do
	Failure    *Failure  // why it failed
	// Details are the provider's codes and ids, on the adapter's allow-list: searchable, and no secret.
	Details map[string]any
}

// Redirect sends the payer's browser somewhere.
type Redirect struct {
	URL    string
	Method string            // GET, or POST with Form
	Form   map[string]string // fields of a POST
}

// Failure is why a provider refused the payer (402).
type Failure struct {
	Code   string // ours where we have a word for it, such as card_declined; else the provider's
	Reason string // in the provider's words, for the payer
}

// Callback is a request that claims to come from a provider.
type Callback struct {
	Method  string
	Path    string // below the endpoint
	Header  http.Header
	Query   string // raw
	Body    []byte // raw: signatures are over bytes
	Peer    string
	Arrived time.Time
}

// Message is a callback that the adapter has believed and understood.
type Message struct {
	ReplayKey string // the same for each copy of one message
	OrderID   uuid.UUID
	Reference string // the provider's id of the order, when OrderID is not echoed
	Result    Result
	// Verify says that the message proves too little by itself: the state is read from the provider before it counts.
	Verify bool
	// Answer gives what the provider wants to read, once it is known whether the message was taken.
	Answer func(taken error) Response
}

// Response is what is written to a provider, as it is, without our envelope.
type Response struct {
	Status      int
	ContentType string
	Body        []byte
}

// How calls fail. Which it is decides whether they are made again. A payer who is declined is no error but a Result.
var (
	// ErrUnsupported means that the gateway has no such operation.
	ErrUnsupported = errors.New("the gateway has no such operation")
	// ErrTransient means that nothing has happened, and that the same call may be made again.
	ErrTransient = errors.New("the gateway could not be reached")
	// ErrUnknown means that it may have happened: ask before anything else is done.
	ErrUnknown = errors.New("the gateway's answer was lost")
	// ErrRefused means that the gateway's rules forbid it, and would again.
	ErrRefused = errors.New("the gateway refused the operation")
	// ErrConfiguration means that the tenant's credentials or settings are wrong: he is alarmed.
	ErrConfiguration = errors.New("the gateway does not accept the tenant's configuration")
	// ErrNotGenuine means that a callback's signature or time is wrong. Nothing about it is believed.
	ErrNotGenuine = errors.New("the callback is not genuine")
)
