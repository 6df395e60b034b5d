package payments_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/gateways"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/database"
)

// outage is a provider that remembers orders and keys, and whose calls fail as long as a test wants.
type outage struct {
	gateways.Unsupported
	mu      sync.Mutex
	failure error
	failing []string // the operations that fail
	inside  int      // calls out of a database transaction
	orders  map[uuid.UUID]gateways.Result
	keys    map[string]bool // of refunds
}

func (*outage) Name() string { return "octo" }

func (*outage) Capabilities() gateways.Capabilities {
	return gateways.Capabilities{Begin: true, Refunds: gateways.RefundByAPI, PartRefund: true, FetchStatus: true, Modes: []gateways.Mode{gateways.Test}}
}

// fail makes operations fail from now on; without a failure they work again.
func (g *outage) fail(failure error, operations ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failure, g.failing = failure, operations
}

func (g *outage) do(ctx context.Context, operation string, act func() gateways.Result) (gateways.Result, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if database.InTransaction(ctx) {
		g.inside++
	}
	if slices.Contains(g.failing, operation) {
		return gateways.Result{}, fmt.Errorf("%w: as the test asks", g.failure)
	}
	return act(), nil
}

func (g *outage) Begin(ctx context.Context, _ gateways.Credentials, o gateways.Order) (gateways.Result, error) {
	return g.do(ctx, "begin", func() gateways.Result {
		if _, known := g.orders[o.ID]; !known {
			g.orders[o.ID] = gateways.Result{State: gateways.StatePaid, Captured: o.Amount, Refunded: money.New(0, o.Amount.Currency)}
		}
		return g.orders[o.ID]
	})
}

func (g *outage) Refund(ctx context.Context, _ gateways.Credentials, o gateways.Operation) (gateways.Result, error) {
	return g.do(ctx, "refund", func() gateways.Result {
		r := g.orders[o.OrderID]
		if !g.keys[o.Key] {
			g.keys[o.Key] = true
			r.State, r.Refunded = gateways.StatePartiallyRefunded, money.New(r.Refunded.Minor+o.Amount.Minor, o.Amount.Currency)
			g.orders[o.OrderID] = r
		}
		return r
	})
}

func (g *outage) FetchStatus(ctx context.Context, _ gateways.Credentials, q gateways.Query) (gateways.Result, error) {
	return g.do(ctx, "status", func() gateways.Result {
		if r, known := g.orders[q.OrderID]; known {
			return r
		}
		return gateways.Result{State: gateways.StateNone}
	})
}

// failing is a world with such a provider.
func failing(t *testing.T) (*billingtest.World, *outage) {
	t.Helper()
	g := &outage{orders: map[uuid.UUID]gateways.Result{}, keys: map[string]bool{}}
	w := billingtest.NewWithProviders(t, g)
	w.As(w.Owner).Put(base+"/gateways/octo/", body("is_enabled", true)).Expect(http.StatusOK)
	return w, g
}

// alarms are the payments of which staff were told that the gateway does not accept the configuration.
func alarms(w *billingtest.World) []any {
	found := []any{}
	for _, e := range eventsOf(w, "type=payment.gateway_alarm") {
		found = append(found, e["object_id"])
	}
	return found
}

// outages are how a provider does not take a call for certain, and what is said then.
var outages = map[string]struct {
	failure error
	code    string
	wait    string
	alarmed bool
}{
	"it stays down":                 {gateways.ErrTransient, "gateway_unavailable", "5", false},
	"it does not know the business": {gateways.ErrConfiguration, "gateway_misconfigured", "", true},
}

// TestChargeWhileTheProviderIsAway: nothing looks as if money were under way, nothing is lost, and the same request goes on as
// soon as the provider is there: the money is taken once (S0-83, S0D-23, W-13).
func TestChargeWhileTheProviderIsAway(t *testing.T) {
	t.Parallel()
	for name, tt := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, g := failing(t)
			g.fail(tt.failure, "begin", "status")
			in := order("tok", "gateway", g.Name())
			for range 2 {
				a := w.As(w.Member).Post(charges, in).Refused(http.StatusBadGateway, tt.code)
				equal(t, "how long to wait", a.Header.Get("Retry-After"), tt.wait)
			}
			made := w.As(w.Member).Get(list).Expect(http.StatusOK)
			equal(t, "payments", made.Int("count"), int64(1))
			id := uuid.MustParse(made.Text("results.0.id"))
			equal(t, "status", made.Text("results.0.status"), "created")
			later(t, w, 2*time.Minute) // the sweeper finds nobody either
			status(t, w, id, payments.StatusCreated)
			told, alarmed := []string{"payment.created"}, []any{}
			if tt.alarmed {
				told, alarmed = append(told, "payment.gateway_alarm"), append(alarmed, id.String())
			}
			equal(t, "events", w.Events("payment."), told)
			equal(t, "alarms", alarms(w), alarmed)
			for _, e := range w.As(w.Member).Get(one(id, "events/")).Expect(http.StatusOK).List("data.events") {
				equal(t, "told to the customer", e.(map[string]any)["type"], any("payment.created"))
			}

			g.fail(nil)
			a := w.As(w.Member).Post(charges, in).Expect(http.StatusCreated)
			equal(t, "the payment", idOf(a), id)
			equal(t, "its end", a.Text("data.status"), "succeeded")
			same(t, a, w.As(w.Member).Post(charges, in))
			equal(t, "orders at the provider", len(g.orders), 1)
			equal(t, "of the payment", g.orders[id].Captured, money.New(1000, "USD"))
			equal(t, "succeeded", w.Events("payment.succeeded"), []string{"payment.succeeded"})
			equal(t, "clearing", w.Balance(ledger.Clearing(g.Name(), "USD")), int64(1000))
			equal(t, "calls inside a transaction", g.inside, 0)
			w.AssertBooks(t)
		})
	}
}

// TestRefundWhileTheProviderIsAway: the refund waits and holds its amount, and is paid once as soon as the provider is there, to who
// repeats his request and to nobody (S0-83, S0D-23).
func TestRefundWhileTheProviderIsAway(t *testing.T) {
	t.Parallel()
	for name, tt := range outages {
		for what, operations := range map[string][]string{"for every call": {"status", "refund"}, "for refunds": {"refund"}} {
			for _, worker := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s, worker %t", name, what, worker), func(t *testing.T) {
					t.Parallel()
					w, g := failing(t)
					p := chargeOf(w, "tok", "gateway", g.Name())
					g.fail(tt.failure, operations...)
					key := uuid.NewString()
					for range 2 {
						a := keyedRefund(w, w.Finance, key, p, "amount_minor", 400).Refused(http.StatusBadGateway, tt.code)
						equal(t, "how long to wait", a.Header.Get("Retry-After"), tt.wait)
					}
					resumeRefunds(t, w)
					refunds := w.As(w.Viewer).Get(one(p, "refunds/")).Expect(http.StatusOK)
					equal(t, "refunds", refunds.Int("count"), int64(1))
					equal(t, "status", refunds.Text("results.0.status"), "pending")
					payment := w.As(w.Viewer).Get(one(p, "")).Expect(http.StatusOK)
					equal(t, "the payment", payment.Text("data.status"), "succeeded")
					equal(t, "left of it", payment.Text("data.refundable_amount"), "6.00")
					equal(t, "given back", g.orders[p].Refunded.Minor, int64(0))
					equal(t, "alarmed", slices.Contains(alarms(w), any(p.String())), tt.alarmed)

					g.fail(nil)
					if worker {
						resumeRefunds(t, w)
						equal(t, "by the worker", w.Payment(p).RefundedMinor, int64(400))
					}
					a := keyedRefund(w, w.Finance, key, p, "amount_minor", 400).Expect(http.StatusCreated)
					equal(t, "its end", a.Text("data.status"), "succeeded")
					equal(t, "the refund", a.Text("data.id"), refunds.Text("results.0.id"))
					same(t, a, keyedRefund(w, w.Finance, key, p, "amount_minor", 400))
					equal(t, "refunds at the provider", len(g.keys), 1)
					equal(t, "given back", g.orders[p].Refunded.Minor, int64(400))
					equal(t, "events", w.Events("refund."), []string{"refund.requested", "refund.succeeded"})
					equal(t, "clearing", w.Balance(ledger.Clearing(g.Name(), "USD")), int64(600))
					equal(t, "calls inside a transaction", g.inside, 0)
					w.AssertBooks(t)
				})
			}
		}
	}
}
