// Package gatewaystest is what every gateway must do, as tests that run unchanged against each of them (S0-26). What a
// gateway says it can do decides what is asked of it; what it says it cannot must be refused.
package gatewaystest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/gateways"
	"countersign/billing/money"
)

// Fixture is a gateway with what is needed to try it.
type Fixture struct {
	Gateway     gateways.Gateway
	Credentials gateways.Credentials
	// Pays is the token of a payer who pays at once; empty when the payer does something else first.
	Pays string
	// Declined is the token of a payer who is refused, Drops of one who pays while the answer to that is lost; empty when the
	// provider cannot be made to.
	Declined, Drops string
	// Effects counts how often money has moved, or was held, at the provider for an order; nil: it cannot be seen.
	Effects func(t testing.TB, order uuid.UUID) int
	// Callback makes a genuine callback that says that an order is paid, signed at a time.
	Callback func(t testing.TB, o gateways.Order, at time.Time) gateways.Callback
}

// amount is what orders are for.
func amount(minor int64) money.Money { return money.New(minor, "USD") }

const full = 10_000

func (f Fixture) order(source string) gateways.Order {
	return gateways.Order{ID: uuid.Must(uuid.NewV7()), Amount: amount(full), Source: source, Description: "Suite", ReturnURL: "https://shop.test/back"}
}

// Suite asks of a gateway everything that the contract says. fixture is called once for each test.
func Suite(t *testing.T, fixture func(t testing.TB) Fixture) {
	run := func(name string, test func(t *testing.T, f Fixture)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, fixture(t))
		})
	}
	can := fixture(t).Gateway.Capabilities()
	run("says what it can, and refuses the rest", refusesTheRest)
	if can.Begin {
		run("begins once", beginsOnce)
	}
	if fixture(t).Pays != "" {
		run("pays", pays)
	}
	if fixture(t).Declined != "" {
		run("a payer who is refused is no error", declines)
	}
	if can.Capture {
		run("captures what is held", capturesAll)
		run("captures again under the same key once", capturesOnce)
	}
	if can.PartCapture {
		run("captures part of what is held", capturesPart)
	}
	if can.Capture && can.Release {
		run("releases what is held", releases)
	}
	if can.Refunds == gateways.RefundByAPI {
		run("refunds everything, and no more", refundsAll)
		run("refunds again under the same key once", refundsOnce)
	}
	if can.Refunds == gateways.RefundByAPI && can.PartRefund {
		run("refunds in parts, and never above what was paid", refundsParts)
	}
	if can.FetchStatus {
		run("says where an order stands", fetches)
	}
	if fixture(t).Drops != "" {
		run("a lost answer is found again", findsLost)
	}
	if can.Callbacks {
		run("believes genuine callbacks", believes)
		run("believes no others", doubts)
		run("makes nothing of nonsense", survives)
	}
}

func refusesTheRest(t *testing.T, f Fixture) {
	can, ctx := f.Gateway.Capabilities(), t.Context()
	if f.Gateway.Name() == "" || len(can.Modes) == 0 || can.Refunds == "" {
		t.Errorf("%q has no name, mode or way of refunds: %+v", f.Gateway.Name(), can)
	}
	o := f.order(f.Pays)
	op := gateways.Operation{Key: uuid.NewString(), OrderID: o.ID, Amount: o.Amount}
	for name, c := range map[string]struct {
		has  bool
		call func() error
	}{
		"Begin":   {can.Begin, func() error { _, err := f.Gateway.Begin(ctx, f.Credentials, o); return err }},
		"Capture": {can.Capture, func() error { _, err := f.Gateway.Capture(ctx, f.Credentials, op); return err }},
		"Release": {can.Release, func() error { _, err := f.Gateway.Release(ctx, f.Credentials, op); return err }},
		"Refund":  {can.Refunds == gateways.RefundByAPI, func() error { _, err := f.Gateway.Refund(ctx, f.Credentials, op); return err }},
		"FetchStatus": {can.FetchStatus, func() error {
			_, err := f.Gateway.FetchStatus(ctx, f.Credentials, gateways.Query{OrderID: o.ID})
			return err
		}},
		"HandleCallback": {can.Callbacks, func() error {
			_, err := f.Gateway.HandleCallback(ctx, f.Credentials, gateways.Callback{})
			return err
		}},
	} {
		if err := c.call(); errors.Is(err, gateways.ErrUnsupported) == c.has {
			t.Errorf("%s: supported is %t, and it answers %v", name, c.has, err)
		}
	}
}

func beginsOnce(t *testing.T, f Fixture) {
	o := f.order(f.Pays)
	results := make([]gateways.Result, 8)
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() {
			var err error
			if results[i], err = f.Gateway.Begin(t.Context(), f.Credentials, o); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, r := range results {
		if r.State != results[0].State || r.Reference != results[0].Reference || r.Captured != results[0].Captured {
			t.Errorf("the answers differ: %+v and %+v", results[0], r)
		}
	}
	if f.Effects != nil && f.Pays != "" {
		if n := f.Effects(t, o.ID); n != 1 {
			t.Errorf("money moved %d times", n)
		}
	}
	if f.Pays == "" && results[0].State != gateways.StateAwaitingCustomer {
		t.Errorf("nobody has paid, and the order is %s", results[0].State)
	}
	if f.Pays == "" {
		return
	}
	other := o
	other.Amount = amount(full + 1)
	if r, err := f.Gateway.Begin(t.Context(), f.Credentials, other); !errors.Is(err, gateways.ErrRefused) {
		t.Errorf("another order under the same id: %+v, %v", r, err)
	}
}

func pays(t *testing.T, f Fixture) {
	r := f.begin(t, f.order(f.Pays))
	if r.State != gateways.StatePaid || r.Captured != amount(full) || r.Reference == "" || r.Failure != nil {
		t.Errorf("got %+v", r)
	}
}

func (f Fixture) begin(t *testing.T, o gateways.Order) gateways.Result {
	t.Helper()
	r, err := f.Gateway.Begin(t.Context(), f.Credentials, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func declines(t *testing.T, f Fixture) {
	o := f.order(f.Declined)
	r := f.begin(t, o)
	if r.State != gateways.StateFailed || r.Failure == nil || r.Failure.Code == "" || r.Captured.Minor != 0 {
		t.Errorf("got %+v", r)
	}
	if again := f.begin(t, o); again.State != r.State || again.Failure == nil || again.Failure.Code != r.Failure.Code {
		t.Errorf("again: %+v", again)
	}
}

// operation is one call that changes an order.
type operation func(ctx context.Context, c gateways.Credentials, o gateways.Operation) (gateways.Result, error)

// change calls an operation under a key.
func (f Fixture) change(t *testing.T, call operation, begun gateways.Result, order uuid.UUID, key string, minor int64) (gateways.Result, error) {
	t.Helper()
	return call(t.Context(), f.Credentials, gateways.Operation{Key: key, OrderID: order, Reference: begun.Reference, Amount: amount(minor), Reason: "requested_by_customer"})
}

// must is change for what must succeed.
func (f Fixture) must(t *testing.T, call operation, begun gateways.Result, order uuid.UUID, minor int64) gateways.Result {
	t.Helper()
	r, err := f.change(t, call, begun, order, uuid.NewString(), minor)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// mustNot is change for what the gateway's rules forbid.
func (f Fixture) mustNot(t *testing.T, call operation, begun gateways.Result, order uuid.UUID, minor int64) {
	t.Helper()
	if r, err := f.change(t, call, begun, order, uuid.NewString(), minor); !errors.Is(err, gateways.ErrRefused) {
		t.Errorf("%d was not refused: %+v, %v", minor, r, err)
	}
}

// hold begins an order of which nothing is taken yet.
func (f Fixture) hold(t *testing.T) (gateways.Order, gateways.Result) {
	t.Helper()
	o := f.order(f.Pays)
	o.Hold = true
	r := f.begin(t, o)
	if r.State != gateways.StateAuthorised || r.Authorised != amount(full) || r.Captured.Minor != 0 {
		t.Fatalf("got %+v", r)
	}
	return o, r
}

func capturesAll(t *testing.T, f Fixture) {
	o, held := f.hold(t)
	f.mustNot(t, f.Gateway.Capture, held, o.ID, full+1)
	if r := f.must(t, f.Gateway.Capture, held, o.ID, full); r.State != gateways.StatePaid || r.Captured != amount(full) {
		t.Errorf("got %+v", r)
	}
	f.mustNot(t, f.Gateway.Capture, held, o.ID, full)
	f.mustNot(t, f.Gateway.Release, held, o.ID, full)
}

func capturesOnce(t *testing.T, f Fixture) {
	o, held := f.hold(t)
	key := uuid.NewString()
	for range 3 {
		if r, err := f.change(t, f.Gateway.Capture, held, o.ID, key, full); err != nil || r.State != gateways.StatePaid || r.Captured != amount(full) {
			t.Errorf("got %+v, %v", r, err)
		}
	}
	if r, err := f.change(t, f.Gateway.Capture, held, o.ID, key, full-1); !errors.Is(err, gateways.ErrRefused) {
		t.Errorf("another amount under the same key: %+v, %v", r, err)
	}
}

func capturesPart(t *testing.T, f Fixture) {
	o, held := f.hold(t)
	if r := f.must(t, f.Gateway.Capture, held, o.ID, full/4); r.State != gateways.StatePaid || r.Captured != amount(full/4) {
		t.Errorf("got %+v", r)
	}
	if f.Gateway.Capabilities().Refunds == gateways.RefundByAPI {
		f.mustNot(t, f.Gateway.Refund, held, o.ID, full/4+1)
	}
}

func releases(t *testing.T, f Fixture) {
	o, held := f.hold(t)
	if r := f.must(t, f.Gateway.Release, held, o.ID, full); r.State != gateways.StateCancelled || r.Captured.Minor != 0 {
		t.Errorf("got %+v", r)
	}
	f.mustNot(t, f.Gateway.Capture, held, o.ID, full)
}

func refundsAll(t *testing.T, f Fixture) {
	o := f.order(f.Pays)
	paid := f.begin(t, o)
	f.mustNot(t, f.Gateway.Refund, paid, o.ID, full+1)
	if r := f.must(t, f.Gateway.Refund, paid, o.ID, full); r.State != gateways.StateRefunded || r.Refunded != amount(full) {
		t.Errorf("got %+v", r)
	}
	f.mustNot(t, f.Gateway.Refund, paid, o.ID, 1)
}

func refundsOnce(t *testing.T, f Fixture) {
	o := f.order(f.Pays)
	paid := f.begin(t, o)
	key := uuid.NewString()
	for range 3 {
		if r, err := f.change(t, f.Gateway.Refund, paid, o.ID, key, full); err != nil || r.Refunded != amount(full) {
			t.Errorf("got %+v, %v", r, err)
		}
	}
}

func refundsParts(t *testing.T, f Fixture) {
	o := f.order(f.Pays)
	paid := f.begin(t, o)
	if r := f.must(t, f.Gateway.Refund, paid, o.ID, full*4/10); r.State != gateways.StatePartiallyRefunded || r.Refunded != amount(full*4/10) {
		t.Errorf("got %+v", r)
	}
	f.mustNot(t, f.Gateway.Refund, paid, o.ID, full*6/10+1)
	if r := f.must(t, f.Gateway.Refund, paid, o.ID, full*6/10); r.State != gateways.StateRefunded || r.Refunded != amount(full) { // W-10
		t.Errorf("got %+v", r)
	}
	f.mustNot(t, f.Gateway.Refund, paid, o.ID, 1)
}

func fetches(t *testing.T, f Fixture) {
	if r, err := f.Gateway.FetchStatus(t.Context(), f.Credentials, gateways.Query{OrderID: uuid.New()}); err != nil || r.State != gateways.StateNone {
		t.Errorf("an order that nobody has placed: %+v, %v", r, err)
	}
	if f.Pays == "" {
		return
	}
	o := f.order(f.Pays)
	begun := f.begin(t, o)
	for _, reference := range []string{begun.Reference, ""} {
		r, err := f.Gateway.FetchStatus(t.Context(), f.Credentials, gateways.Query{OrderID: o.ID, Reference: reference})
		if err != nil || r.State != gateways.StatePaid || r.Captured != amount(full) || r.Reference != begun.Reference {
			t.Errorf("with the reference %q: %+v, %v", reference, r, err)
		}
	}
}

func findsLost(t *testing.T, f Fixture) {
	o := f.order(f.Drops)
	if r, err := f.Gateway.Begin(t.Context(), f.Credentials, o); !errors.Is(err, gateways.ErrUnknown) {
		t.Fatalf("got %+v, %v", r, err)
	}
	asked, err := f.Gateway.FetchStatus(t.Context(), f.Credentials, gateways.Query{OrderID: o.ID})
	if err != nil || asked.State != gateways.StatePaid || asked.Captured != amount(full) || asked.Reference == "" {
		t.Errorf("asked: %+v, %v", asked, err)
	}
	if again := f.begin(t, o); again.State != gateways.StatePaid || again.Reference != asked.Reference {
		t.Errorf("again: %+v", again)
	}
	if f.Effects != nil && f.Effects(t, o.ID) != 1 {
		t.Errorf("money moved %d times", f.Effects(t, o.ID))
	}
}
