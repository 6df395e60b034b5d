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

// back says that a refund has failed after all, and how much is given back without it.
func (g *played) back(t *testing.T, w *billingtest.World, payment, refund uuid.UUID, given int64) {
	t.Helper()
	g.given = given
	g.tell(t, w, payment, "refund_failed 300 "+nameOf(refund.String()))
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

// Longer than providers surely know keys, and less long.
const (
	forgotten = 21 * time.Hour
	known     = 19 * time.Hour
)

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

// TestForgottenKeys: as long as a provider knows keys, the call that may have arrived is made again. Afterwards it is not, unless what the
// provider has given back says that it has not arrived.
func TestForgottenKeys(t *testing.T) {
	t.Parallel()
	for name, play := range map[string]struct {
		known, forgotten int // calls that are made again
		lose             func(*testing.T, *billingtest.World, *played, uuid.UUID)
	}{
		"nothing is new": {1, 1, func(_ *testing.T, w *billingtest.World, g *played, p uuid.UUID) {
			g.losing(w, "call", p, 300)
		}},
		"the provider does not say what it has given back": {1, 0, func(_ *testing.T, w *billingtest.World, g *played, p uuid.UUID) {
			g.silent = true
			g.losing(w, "answer", p, 300)
		}},
		"the provider did not say what it had given back before": {1, 0, func(_ *testing.T, w *billingtest.World, g *played, p uuid.UUID) {
			g.silent = true
			g.losing(w, "answer", p, 300)
			g.silent = false
		}},
		"what is new may be another's": {1, 0, func(_ *testing.T, w *billingtest.World, g *played, p uuid.UUID) {
			g.losing(w, "call", p, 300)
			g.losing(w, "answer", p, 300)
		}},
		"another has failed after all, and is taken off": {1, 0, func(t *testing.T, w *billingtest.World, g *played, p uuid.UUID) {
			other := idOf(refundOf(w, w.Owner, p, "amount_minor", 300).Expect(http.StatusCreated))
			g.losing(w, "answer", p, 300)
			g.back(t, w, p, other, 300)
		}},
		"another that had failed before is reversed, and is taken off": {1, 0, func(t *testing.T, w *billingtest.World, g *played, p uuid.UUID) {
			other := idOf(refundOf(w, w.Owner, p, "amount_minor", 300).Expect(http.StatusCreated))
			g.back(t, w, p, other, 300)
			g.losing(w, "answer", p, 300)
			reverseRefund(w, w.Owner, other).Expect(http.StatusOK)
			g.given = 300
		}},
		"another is taken off without a word": {1, 0, func(_ *testing.T, w *billingtest.World, g *played, p uuid.UUID) {
			refundOf(w, w.Owner, p, "amount_minor", 400).Expect(http.StatusCreated)
			g.losing(w, "answer", p, 300)
			g.given = 300
		}},
	} {
		for _, after := range []time.Duration{known, forgotten} {
			t.Run(name+", after "+after.String(), func(t *testing.T) {
				t.Parallel()
				w, g, p := playing(t)
				play.lose(t, w, g, p)
				before, waiting := g.calls, count(t, "SELECT count(*) FROM refunds WHERE tenant_id = ? AND status = 'pending'", w.Tenant.ID)
				resume(t, w, after)
				asked, left := play.known, 0
				if after == forgotten {
					if asked = play.forgotten; asked == 0 {
						left = waiting
					}
				}
				equal(t, "asked again", g.calls-before, asked)
				equal(t, "not known", count(t, "SELECT count(*) FROM refunds WHERE tenant_id = ? AND status = 'pending'", w.Tenant.ID), left)
				w.AssertBooks(t)
			})
		}
	}
	t.Run("from when the provider was asked, and not from when somebody has asked for the refund", func(t *testing.T) {
		t.Parallel()
		w, g, p := playing(t)
		twoRefund(w, 1)
		g.silent, g.loses = true, "answer"
		a := refundOf(w, w.Finance, p, "amount_minor", 300).Expect(http.StatusCreated)
		force(t, "UPDATE refunds SET created_at = ? WHERE tenant_id = ?", w.Clock.Now().Add(-forgotten), w.Tenant.ID)
		w.As(w.Owner).Post(refundPath(idOf(a), "approve/"), body("digest", a.Text("data.digest"))).Expect(http.StatusOK)
		resume(t, w, time.Minute)
		equal(t, "asked", g.calls, 1)
		g.loses = ""
		resume(t, w, 2*time.Hour)
		equal(t, "asked again", g.calls, 2)
		refundIs(t, w, idOf(a), payments.RefundSucceeded)
		equal(t, "given back", g.given, int64(300))
	})
}

// TestRefundBesideOneThatFailed: a provider goes on counting a refund that has failed after all, and that was reversed. It is not taken for another
// one, of which the call was lost.
func TestRefundBesideOneThatFailed(t *testing.T) {
	t.Parallel()
	failed := func(t *testing.T) (*billingtest.World, *played, uuid.UUID, uuid.UUID) {
		w, g, p := playing(t)
		lost := g.losing(w, "call", p, 300)
		other := idOf(refundOf(w, w.Owner, p, "amount_minor", 300).Expect(http.StatusCreated))
		g.back(t, w, p, other, 300)
		reverseRefund(w, w.Owner, other).Expect(http.StatusOK)
		return w, g, p, lost
	}
	sent := func(t *testing.T, w *billingtest.World, g *played, p, lost uuid.UUID) {
		resume(t, w, 2*time.Minute)
		equal(t, "given back, with what has failed", g.given, int64(600))
		refundIs(t, w, lost, payments.RefundSucceeded)
		equal(t, "refunded", w.Payment(p).RefundedMinor, int64(300))
		w.AssertBooks(t)
	}
	t.Run("when the worker asks", func(t *testing.T) {
		t.Parallel()
		w, g, p, lost := failed(t)
		sent(t, w, g, p, lost)
	})
	t.Run("when the provider tells", func(t *testing.T) {
		t.Parallel()
		w, g, p, lost := failed(t)
		g.tell(t, w, p, "partially_refunded 300")
		refundIs(t, w, lost, payments.RefundPending)
		equal(t, "refunded", w.Payment(p).RefundedMinor, int64(0))
		sent(t, w, g, p, lost)
	})
	t.Run("when the provider tells, and did not say what it had given back before", func(t *testing.T) {
		t.Parallel()
		w, g, p := playing(t)
		other := idOf(refundOf(w, w.Owner, p, "amount_minor", 300).Expect(http.StatusCreated))
		g.back(t, w, p, other, 300)
		reverseRefund(w, w.Owner, other).Expect(http.StatusOK)
		g.silent = true
		lost := g.losing(w, "call", p, 300)
		g.tell(t, w, p, "partially_refunded 300")
		refundIs(t, w, lost, payments.RefundPending)
		sent(t, w, g, p, lost)
	})
	t.Run("which was so before it was asked for", func(t *testing.T) {
		t.Parallel()
		w, g, p := playing(t)
		other := idOf(refundOf(w, w.Owner, p, "amount_minor", 300).Expect(http.StatusCreated))
		g.back(t, w, p, other, 300)
		reverseRefund(w, w.Owner, other).Expect(http.StatusOK)
		mine := g.losing(w, "answer", p, 300)
		g.tell(t, w, p, "partially_refunded 600")
		refundIs(t, w, mine, payments.RefundSucceeded)
		equal(t, "given back, with what has failed", g.given, int64(600))
		w.AssertBooks(t)
	})
}
