package payments_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/gateways"
	"countersign/billing/money"
	"countersign/billing/payments"
)

// played is a provider that a test plays: what it says when it is asked where a payment stands, and which calls for refunds get lost.
type played struct {
	teller
	silent  bool // it cannot be asked where a payment stands
	failure error
	given   int64
	loses   string          // the call, or the answer
	paid    map[string]bool // by key, which it never forgets
	calls   int
}

func (g *played) Capabilities() gateways.Capabilities {
	c := g.teller.Capabilities()
	c.FetchStatus = !g.silent
	return c
}

func (g *played) FetchStatus(context.Context, gateways.Credentials, gateways.Query) (gateways.Result, error) {
	if g.failure != nil {
		return gateways.Result{}, g.failure
	}
	state := gateways.StatePaid
	if g.given > 0 {
		state = gateways.StatePartiallyRefunded
	}
	return gateways.Result{State: state, Captured: money.New(1000, "USD"), Refunded: money.New(g.given, "USD")}, nil
}

func (g *played) Refund(ctx context.Context, c gateways.Credentials, o gateways.Operation) (gateways.Result, error) {
	if g.calls++; g.loses == "call" {
		return gateways.Result{}, gateways.ErrUnknown
	}
	if !g.paid[o.Key] {
		g.paid[o.Key] = true
		g.given += o.Amount.Minor
	}
	if g.loses == "answer" {
		return gateways.Result{}, gateways.ErrUnknown
	}
	said, err := g.FetchStatus(ctx, c, gateways.Query{})
	said.Details = map[string]any{"refund": nameOf(o.Key)}
	return said, err
}

// nameOf is what the provider calls the refund of a key.
func nameOf(key string) string { return "rf-" + key }

// playing is a world with such a provider, and a payment of 10.00 USD there. Its clock is PostgreSQL's.
func playing(t *testing.T) (w *billingtest.World, g *played, p uuid.UUID) {
	t.Helper()
	g = &played{teller: teller{name: "octo", asks: true}, paid: map[string]bool{}}
	w = billingtest.NewWithProviders(t, g)
	w.Clock.Move(time.Since(w.Clock.Now()))
	w.As(w.Owner).Put(base+"/gateways/octo/", body("is_enabled", true)).Expect(http.StatusOK)
	return w, g, chargeOf(w, "tok", "gateway", g.name)
}

// losing asks for a refund of which the call or the answer is lost.
func (g *played) losing(w *billingtest.World, what string, payment uuid.UUID, minor int64) uuid.UUID {
	g.loses = what
	a := refundOf(w, w.Owner, payment, "amount_minor", minor).Expect(http.StatusAccepted)
	g.loses = ""
	return idOf(a)
}

// resume has the worker ask after some time.
func resume(t *testing.T, w *billingtest.World, after time.Duration) {
	t.Helper()
	w.Clock.Move(after)
	if err := w.Payments.ResumeRefunds(w.System); err != nil {
		t.Fatal(err)
	}
}

func refundIs(t *testing.T, w *billingtest.World, id uuid.UUID, want payments.RefundStatus) {
	t.Helper()
	equal(t, "the refund", w.As(w.Viewer).Get(refundPath(id, "")).Expect(http.StatusOK).At("data.status"), any(string(want)))
}

// TestRefusedStatus: a provider that refuses to say where a payment stands, such as because it is another account's, has not refused the refund.
func TestRefusedStatus(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{gateways.ErrRefused, gateways.ErrUnsupported} {
		t.Run(failure.Error()+", before it is asked for the refund", func(t *testing.T) {
			t.Parallel()
			w, g, p := playing(t)
			g.failure = failure
			key := uuid.NewString()
			keyedRefund(w, w.Owner, key, p, "amount_minor", 300).Refused(http.StatusBadGateway, "gateway_unavailable")
			equal(t, "calls", g.calls, 0)
			g.failure = nil
			keyedRefund(w, w.Owner, key, p, "amount_minor", 300).Expect(http.StatusCreated)
			equal(t, "given back", g.given, int64(300))
			equal(t, "refunded", w.Payment(p).RefundedMinor, int64(300))
			w.AssertBooks(t)
		})
		t.Run(failure.Error()+", after it has paid the refund", func(t *testing.T) {
			t.Parallel()
			w, g, p := playing(t)
			id := g.losing(w, "answer", p, 300)
			g.failure = failure
			resume(t, w, 2*time.Minute)
			refundIs(t, w, id, payments.RefundPending)
			refundOf(w, w.Owner, p, "amount_minor", 800).Refused(http.StatusBadRequest, "refund_exceeds_payment") // what it holds is not free
			g.failure = nil
			resume(t, w, 2*time.Minute)
			refundIs(t, w, id, payments.RefundSucceeded)
			equal(t, "given back", g.given, int64(300))
			equal(t, "refunded", w.Payment(p).RefundedMinor, int64(300))
			w.AssertBooks(t)
		})
	}
}
