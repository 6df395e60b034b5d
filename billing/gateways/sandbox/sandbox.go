package sandbox

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/gateways"
	"countersign/internal/database"
	"countersign/tenancy"
)

// Name is the gateway's.
const Name = "sandbox"

const (
	secretField = "webhook_secret"
	slowField   = "slow_ms"
	delayField  = "callback_delay_ms"

	defaultSlow  = 3 * time.Second
	defaultDelay = 2 * time.Second
	maxDelay     = time.Minute

	downTimes = 2 // how often an operation that is down fails
)

// Gateway is the sandbox. It implements gateways.Gateway.
type Gateway struct {
	db  *bun.DB
	now func() time.Time
}

// New gives the sandbox. db acts as the program's own role.
func New(db *bun.DB, now func() time.Time) *Gateway { return &Gateway{db: db, now: now} }

// Name implements gateways.Gateway.
func (g *Gateway) Name() string { return Name }

// Capabilities implements gateways.Gateway: everything, in test mode only.
func (g *Gateway) Capabilities() gateways.Capabilities {
	return gateways.Capabilities{Begin: true, Capture: true, PartCapture: true, Release: true, Refunds: gateways.RefundByAPI, PartRefund: true,
		FetchStatus: true, Callbacks: true, Modes: []gateways.Mode{gateways.Test},
		Fields: []gateways.Field{{Name: secretField, Secret: true, Required: true, Made: true}, {Name: slowField, Check: isDelay}, {Name: delayField, Check: isDelay}}}
}

func isDelay(_ gateways.Mode, text string) bool {
	ms, err := strconv.Atoi(text)
	return err == nil && ms >= 0 && time.Duration(ms)*time.Millisecond <= maxDelay
}

func delay(c gateways.Credentials, field string, otherwise time.Duration) time.Duration {
	ms, err := strconv.Atoi(c.Settings[field])
	if err != nil {
		return otherwise
	}
	return time.Duration(ms) * time.Millisecond
}

// Begin implements gateways.Gateway. The order's id is the key.
func (g *Gateway) Begin(ctx context.Context, c gateways.Credentials, o gateways.Order) (gateways.Result, error) {
	b := behaviourOf(o.Source)
	if b.lost && c.Mode == gateways.Test {
		return gateways.Result{}, gateways.ErrUnknown
	}
	if !o.Amount.IsPositive() {
		return gateways.Result{}, fmt.Errorf("%w: an amount above zero is needed", gateways.ErrRefused)
	}
	call := call{operation: begin, order: o.ID, key: o.ID.String(), body: fmt.Sprint(o.Amount.Minor, o.Amount.Currency, o.Source, o.Hold)}
	call.opens = &order{TenantID: c.TenantID, ID: o.ID, Token: o.Source, Hold: o.Hold, Currency: o.Amount.Currency, AmountMinor: o.Amount.Minor, State: gateways.StateNone}
	call.act = func(ctx context.Context, tx bun.Tx, placed *order) error {
		switch {
		case b.fails != "":
			placed.fail(b.fails)
		case b.answers != "":
			placed.State = b.answers
		default:
			placed.pay()
		}
		wait := delay(c, delayField, defaultDelay)
		if b.becomes != "" {
			at := g.now().Add(wait)
			placed.Becomes, placed.BecomesAt = b.becomes, &at
		}
		return g.queue(ctx, tx, placed, b.news, wait)
	}
	r, err := g.do(ctx, c, call)
	if r.Redirect != nil && o.ReturnURL != "" {
		r.Redirect.URL += "?return_url=" + url.QueryEscape(o.ReturnURL)
	}
	return r, err
}

// Capture implements gateways.Gateway. What is not captured of a hold is released.
func (g *Gateway) Capture(ctx context.Context, c gateways.Credentials, o gateways.Operation) (gateways.Result, error) {
	return g.operate(ctx, c, capture, o, func(_ context.Context, _ bun.Tx, held *order) error {
		if held.State != gateways.StateAuthorised || o.Amount.Currency != held.Currency || o.Amount.Minor <= 0 || o.Amount.Minor > held.AuthorisedMinor {
			return fmt.Errorf("%w: up to %d %s is held, and the order is %s", gateways.ErrRefused, held.AuthorisedMinor, held.Currency, held.State)
		}
		held.State, held.CapturedMinor = gateways.StatePaid, o.Amount.Minor
		return nil
	})
}

// Release implements gateways.Gateway.
func (g *Gateway) Release(ctx context.Context, c gateways.Credentials, o gateways.Operation) (gateways.Result, error) {
	return g.operate(ctx, c, release, o, func(_ context.Context, _ bun.Tx, held *order) error {
		switch held.State {
		case gateways.StateAuthorised, gateways.StateAwaitingCustomer, gateways.StateProcessing:
			held.State, held.AuthorisedMinor, held.Becomes, held.BecomesAt = gateways.StateCancelled, 0, "", nil
			return nil
		}
		return fmt.Errorf("%w: the order is %s", gateways.ErrRefused, held.State)
	})
}

// Refund implements gateways.Gateway. All refunds together never exceed what was captured.
func (g *Gateway) Refund(ctx context.Context, c gateways.Credentials, o gateways.Operation) (gateways.Result, error) {
	r, err := g.operate(ctx, c, refund, o, func(_ context.Context, _ bun.Tx, paid *order) error {
		if paid.State != gateways.StatePaid && paid.State != gateways.StatePartiallyRefunded || o.Amount.Currency != paid.Currency ||
			o.Amount.Minor <= 0 || o.Amount.Minor > paid.CapturedMinor-paid.RefundedMinor {
			return fmt.Errorf("%w: %d of %d %s is refunded, and the order is %s", gateways.ErrRefused, paid.RefundedMinor, paid.CapturedMinor, paid.Currency, paid.State)
		}
		paid.RefundedMinor += o.Amount.Minor
		paid.State = gateways.StatePartiallyRefunded
		if paid.RefundedMinor == paid.CapturedMinor {
			paid.State = gateways.StateRefunded
		}
		return nil
	})
	if err == nil {
		r.Details["refund"] = "sbr_" + o.Key
	}
	return r, err
}

func (g *Gateway) operate(ctx context.Context, c gateways.Credentials, operation string, o gateways.Operation, act func(context.Context, bun.Tx, *order) error) (gateways.Result, error) {
	if o.Key == "" {
		return gateways.Result{}, fmt.Errorf("%w: an idempotency key is needed", gateways.ErrRefused)
	}
	return g.do(ctx, c, call{operation: operation, order: o.OrderID, key: o.Key, body: fmt.Sprint(o.OrderID, o.Amount.Minor, o.Amount.Currency), act: act})
}

// FetchStatus implements gateways.Gateway.
func (g *Gateway) FetchStatus(ctx context.Context, c gateways.Credentials, q gateways.Query) (gateways.Result, error) {
	r, err := g.do(ctx, c, call{operation: status, order: q.OrderID})
	if errors.Is(err, errNoOrder) {
		return gateways.Result{State: gateways.StateNone}, nil
	}
	return r, err
}

// call is one request to the sandbox.
type call struct {
	operation string
	order     uuid.UUID
	key, body string
	opens     *order // what Begin places
	act       func(ctx context.Context, tx bun.Tx, o *order) error
}

// errNoOrder means that the sandbox has never heard of the order.
var errNoOrder = fmt.Errorf("%w: there is no such order", gateways.ErrRefused)

// verdict is what a call has come to. A refusal is written into the log, so it is no error of the transaction.
type verdict struct {
	result gateways.Result
	err    error
	first  bool // it has acted, and this is its first answer
	token  string
}

// do runs a call in a transaction of the sandbox's own and gives its answer, or drops it as the token asks.
func (g *Gateway) do(ctx context.Context, c gateways.Credentials, in call) (gateways.Result, error) {
	if database.InTransaction(ctx) {
		return gateways.Result{}, errors.New("sandbox: a gateway is not called inside a transaction")
	}
	if c.Mode != gateways.Test {
		return gateways.Result{}, errRealMoney
	}
	var v verdict
	err := tenancy.InTx(tenancy.AsSystem(ctx, c.TenantID, Name), g.db, func(ctx context.Context, tx bun.Tx) (err error) {
		v, err = g.answer(ctx, tx, in)
		return err
	})
	switch {
	case errors.Is(err, gateways.ErrRefused):
		return gateways.Result{}, err
	case errors.Is(err, database.ErrOutcomeUnknown):
		return gateways.Result{}, fmt.Errorf("%w: %w", gateways.ErrUnknown, err)
	case err != nil:
		return gateways.Result{}, fmt.Errorf("%w: %w", gateways.ErrTransient, err)
	case v.err != nil:
		return gateways.Result{}, v.err
	}
	b := behaviourOf(v.token)
	if v.first && b.drops == in.operation {
		return gateways.Result{}, gateways.ErrUnknown
	}
	if v.first && b.slow && in.operation == begin {
		select {
		case <-ctx.Done():
			return gateways.Result{}, fmt.Errorf("%w: %w", gateways.ErrUnknown, ctx.Err())
		case <-time.After(delay(c, slowField, defaultSlow)):
		}
	}
	return v.result, nil
}

var errRealMoney = fmt.Errorf("%w: the sandbox takes no real money", gateways.ErrRefused)

// answer does in a transaction what is asked, unless it was done already.
func (g *Gateway) answer(ctx context.Context, tx bun.Tx, in call) (v verdict, err error) {
	t, err := tenancy.Current(ctx, tx)
	if err != nil {
		return v, err
	}
	if !t.TestMode {
		return v, errRealMoney
	}
	o, err := g.lock(ctx, tx, in)
	if err != nil {
		return v, err
	}
	v.token = o.Token
	line := &request{TenantID: o.TenantID, ID: uuid.Must(uuid.NewV7()), OrderID: o.ID, Operation: in.operation, Key: in.key, BodyHash: hash(in.body)}
	if v.result, line.Outcome, err = g.repeated(ctx, tx, line); err != nil {
		return v, err
	}
	b := behaviourOf(o.Token)
	switch {
	case line.Outcome == replayed:
	case line.Outcome == refused:
		v.err = fmt.Errorf("%w: the key was used for another request", gateways.ErrRefused)
	case in.operation == status:
		line.Outcome, v.result = read, o.result()
	case b.refuses == in.operation:
		line.Outcome, v.err = refused, fmt.Errorf("%w: the token asks for it", gateways.ErrRefused)
	default:
		if v, err = g.perform(ctx, tx, in, o, line); err != nil {
			return v, err
		}
		v.token = o.Token
	}
	if _, err := tx.NewInsert().Model(line).Exec(ctx); err != nil {
		return v, fmt.Errorf("log the request: %w", err)
	}
	return v, nil
}

// perform acts for the first time under a key, unless the token says that the sandbox is down.
func (g *Gateway) perform(ctx context.Context, tx bun.Tx, in call, o *order, line *request) (v verdict, err error) {
	if behaviourOf(o.Token).down == in.operation {
		failed, err := tx.NewSelect().Model((*request)(nil)).Where("sr.tenant_id = ?", o.TenantID).Where("sr.order_id = ?", o.ID).
			Where("sr.operation = ?", in.operation).Where("sr.key = ?", in.key).Where("sr.outcome = ?", down).Count(ctx)
		if err != nil {
			return v, fmt.Errorf("count failures: %w", err)
		}
		if failed < downTimes {
			line.Outcome, v.err = down, gateways.ErrTransient
			return v, nil
		}
	}
	err = in.act(ctx, tx, o)
	if errors.Is(err, gateways.ErrRefused) {
		line.Outcome, v.err = refused, err
		return v, nil
	}
	if err != nil {
		return v, err
	}
	line.Outcome, v.result, v.first = acted, o.result(), true
	if line.Answer, err = json.Marshal(v.result); err != nil {
		return v, err
	}
	return v, g.save(ctx, tx, o)
}

// repeated looks for an earlier answer under the key of line: replayed, or refused when it was to another request; an empty
// outcome says that there is none.
func (g *Gateway) repeated(ctx context.Context, tx bun.Tx, line *request) (r gateways.Result, outcome string, err error) {
	if line.Operation == status {
		return r, "", nil
	}
	earlier := &request{}
	err = tx.NewSelect().Model(earlier).Where("sr.tenant_id = ?", line.TenantID).Where("sr.operation = ?", line.Operation).Where("sr.key = ?", line.Key).
		Where("sr.outcome = ?", acted).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return r, "", nil
	}
	if err != nil {
		return r, "", fmt.Errorf("look for an earlier answer: %w", err)
	}
	if string(earlier.BodyHash) != string(line.BodyHash) {
		return r, refused, nil
	}
	return r, replayed, json.Unmarshal(earlier.Answer, &r)
}

// lock gives the order of a call, which nobody else changes until the transaction ends, as it is now.
func (g *Gateway) lock(ctx context.Context, tx bun.Tx, in call) (*order, error) {
	if in.opens != nil {
		if _, err := tx.NewInsert().Model(in.opens).On("CONFLICT (tenant_id, id) DO NOTHING").Exec(ctx); err != nil {
			return nil, fmt.Errorf("place the order: %w", err)
		}
	}
	o := &order{}
	err := tx.NewSelect().Model(o).Where("so.tenant_id = ?", tenancy.ID(ctx)).Where("so.id = ?", in.order).For("UPDATE").Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNoOrder
	}
	if err != nil {
		return nil, fmt.Errorf("lock the order: %w", err)
	}
	if o.ripen(g.now()) {
		return o, g.save(ctx, tx, o)
	}
	return o, nil
}

func (g *Gateway) save(ctx context.Context, tx bun.Tx, o *order) error {
	_, err := tx.NewUpdate().Model(o).Column("state", "authorised_minor", "captured_minor", "refunded_minor", "failure_code", "becomes", "becomes_at").
		Where("so.tenant_id = ?", o.TenantID).Where("so.id = ?", o.ID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("change the order: %w", err)
	}
	return nil
}

func hash(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}
