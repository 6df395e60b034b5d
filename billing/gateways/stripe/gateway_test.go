package stripe_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	stripego "github.com/stripe/stripe-go/v76"

	"countersign/billing/gateways"
	"countersign/billing/gateways/gatewaystest"
	"countersign/billing/gateways/stripe"
	"countersign/billing/money"
)

// at gives the adapter for a provider on this machine.
func at(url string, now func() time.Time) *stripe.Gateway {
	return stripe.New(gateways.NewLocalClient(strings.TrimPrefix(url, "http://")), url, now)
}

func credentials(key string) gateways.Credentials {
	return gateways.Credentials{TenantID: uuid.New(), Mode: gateways.Test, Secrets: map[string]string{"secret_key": key, "webhook_secret": webhookSecret}}
}

func order(source string) gateways.Order {
	return gateways.Order{ID: uuid.Must(uuid.NewV7()), Amount: money.New(10_000, "USD"), Source: source}
}

func TestSuite(t *testing.T) {
	t.Parallel()
	gatewaystest.Suite(t, func(t testing.TB) gatewaystest.Fixture {
		f := newFake(t)
		return gatewaystest.Fixture{Gateway: at(f.URL, time.Now), Credentials: credentials("sk_test_suite"), Pays: "tok_visa", Declined: "tok_decline", Drops: "tok_drop", Callback: paid,
			Effects: func(_ testing.TB, id uuid.UUID) int {
				f.mu.Lock()
				defer f.mu.Unlock()
				return f.moved[id.String()]
			}}
	})
}

func TestBegin(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	g, c := at(f.URL, time.Now), credentials("sk_test_a")
	for token, code := range map[string]string{"tok_decline": "card_declined", "tok_poor": "insufficient_funds", "tok_old": "expired_card", "tok_nobody_knows": "invalid_token"} {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			r, err := g.Begin(t.Context(), c, order(token))
			if err != nil || r.State != gateways.StateFailed || r.Failure.Code != code || r.Failure.Reason == "" {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
	t.Run("a payer who must approve is sent on", func(t *testing.T) {
		t.Parallel()
		o := order("tok_3ds")
		o.ReturnURL = "https://shop.test/back"
		r, err := g.Begin(t.Context(), c, o)
		if err != nil || r.State != gateways.StateAwaitingCustomer || r.Redirect == nil || !strings.HasPrefix(r.Redirect.URL, "https://hooks.stripe.com/3ds/") {
			t.Errorf("got %+v, %v", r, err)
		}
		if r, err = g.Release(t.Context(), c, gateways.Operation{Key: "k" + o.ID.String(), OrderID: o.ID, Amount: o.Amount}); err != nil || r.State != gateways.StateCancelled {
			t.Errorf("released without a reference: %+v, %v", r, err)
		}
	})
	t.Run("every POST carries a key", func(t *testing.T) {
		t.Parallel()
		f := newFake(t)
		g := at(f.URL, time.Now)
		o := order("tok_visa")
		begun, err := g.Begin(t.Context(), c, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Refund(t.Context(), c, gateways.Operation{Key: "r", OrderID: o.ID, Reference: begun.Reference, Amount: o.Amount, Reason: "not one of theirs"}); err != nil {
			t.Error(err)
		}
		if len(f.missing) > 0 || len(f.answers) != 3 {
			t.Errorf("without a key: %v; %d were kept", f.missing, len(f.answers))
		}
	})
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	g := at(f.URL, time.Now)
	t.Run("tenants use their own keys at the same time", func(t *testing.T) { // W-14
		t.Parallel()
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() {
				c, other := credentials("sk_test_one"), credentials("sk_test_two")
				if i%2 == 0 {
					c, other = other, c
				}
				o := order("tok_visa")
				begun, err := g.Begin(t.Context(), c, o)
				if err != nil {
					t.Error(err)
				}
				if r, err := g.FetchStatus(t.Context(), c, gateways.Query{OrderID: o.ID, Reference: begun.Reference}); err != nil || r.State != gateways.StatePaid {
					t.Errorf("its own: %+v, %v", r, err)
				}
				if r, err := g.FetchStatus(t.Context(), other, gateways.Query{OrderID: o.ID, Reference: begun.Reference}); !errors.Is(err, gateways.ErrRefused) {
					t.Errorf("the other's: %+v, %v", r, err)
				}
			})
		}
		group.Wait()
		if stripego.Key != "" {
			t.Errorf("the library's own key is %q", stripego.Key)
		}
	})
	for name, tt := range map[string]struct {
		key  string
		mode gateways.Mode
	}{"a test key for real money": {"sk_test_a", gateways.Live}, "a live key for test money": {"sk_live_a", gateways.Test}, "no key": {"", gateways.Test}, "a key that was revoked": {"sk_test_revoked", gateways.Test}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := credentials(tt.key)
			c.Mode = tt.mode
			o := order("tok_visa")
			if r, err := g.Begin(t.Context(), c, o); !errors.Is(err, gateways.ErrConfiguration) {
				t.Errorf("got %+v, %v", r, err)
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.moved[o.ID.String()] != 0 {
				t.Error("money has moved")
			}
		})
	}
}

func TestErrorsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	g, c := at(f.URL, time.Now), credentials("sk_test_hush")
	_, err := g.Capture(t.Context(), c, gateways.Operation{Key: "k", OrderID: uuid.New(), Reference: "pi_nobody", Amount: money.New(1, "USD")})
	if !errors.Is(err, gateways.ErrRefused) || !strings.Contains(err.Error(), "resource_missing") || strings.Contains(err.Error(), "hush") {
		t.Errorf("got %v", err)
	}
	f.Close()
	if _, err = at(f.URL, time.Now).Begin(t.Context(), c, order("pm_card_visa")); !errors.Is(err, gateways.ErrTransient) || strings.Contains(err.Error(), "hush") {
		t.Errorf("nobody there: %v", err)
	}
}

// TestSearchLag: Stripe's search does not find an order at once, which is not the same as that there is none.
func TestSearchLag(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.searches = false
	now := time.Now()
	g, c := at(f.URL, func() time.Time { return now }), credentials("sk_test_a")
	o := order("tok_visa")
	if _, err := g.Begin(t.Context(), c, o); err != nil {
		t.Fatal(err)
	}
	if r, err := g.FetchStatus(t.Context(), c, gateways.Query{OrderID: o.ID}); err != nil || r.State != gateways.StateUnknown {
		t.Errorf("young: %+v, %v", r, err)
	}
	if r, err := g.Refund(t.Context(), c, gateways.Operation{Key: "k", OrderID: o.ID, Amount: o.Amount}); !errors.Is(err, gateways.ErrTransient) {
		t.Errorf("refund: %+v, %v", r, err)
	}
	now = now.Add(2 * time.Hour)
	if r, err := g.FetchStatus(t.Context(), c, gateways.Query{OrderID: o.ID}); err != nil || r.State != gateways.StateNone {
		t.Errorf("old: %+v, %v", r, err)
	}
}

// TestAmounts reads from the wire what is sent: JPY 500 as 500, USD 5.00 as 500, KWD 5.000 as 5000.
func TestAmounts(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	g, c := at(f.URL, time.Now), credentials("sk_test_a")
	for _, tt := range []struct {
		amount money.Money
		wire   int64 // -1: refused
	}{
		{money.New(500, "USD"), 500}, {money.New(500, "JPY"), 500}, {money.New(5000, "KWD"), 5000}, {money.New(5001, "KWD"), -1}, {money.New(500, "UGX"), 50_000}, {money.New(500, "ISK"), 50_000},
		{money.New(500, "MGA"), 5}, {money.New(501, "MGA"), -1}, {money.New(100, "UZS"), 100}, {money.New(100, "CLF"), -1}, {money.New(0, "USD"), -1}, {money.New(-1, "USD"), -1}, {money.New(1<<62, "UGX"), -1},
	} {
		t.Run(string(tt.amount.Currency)+" "+tt.amount.String(), func(t *testing.T) {
			t.Parallel()
			o := order("tok_visa")
			o.Amount = tt.amount
			r, err := g.Begin(t.Context(), c, o)
			if tt.wire < 0 {
				if !errors.Is(err, gateways.ErrRefused) {
					t.Errorf("got %+v, %v", r, err)
				}
				return
			}
			if err != nil || r.Captured != tt.amount {
				t.Fatalf("got %+v, %v", r, err)
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if sent := f.intents[r.Reference]["amount"]; sent != tt.wire {
				t.Errorf("sent as %v", sent)
			}
		})
	}
}

// TestValidRequests sends every request to stripe-mock, which knows Stripe's own description of the API and refuses what
// does not fit it.
func TestValidRequests(t *testing.T) {
	t.Parallel()
	g, c := at(startMock(t), time.Now), credentials("sk_test_123")
	ctx, o := t.Context(), order("tok_visa")
	o.Description, o.ReturnURL = "An order", "https://shop.test/back"
	op := gateways.Operation{Key: "k", OrderID: o.ID, Reference: "pi_1", Amount: o.Amount, Reason: "requested_by_customer"}
	held := o
	held.Hold, held.Source = true, "pm_card_visa"
	for name, call := range map[string]func() (gateways.Result, error){
		"begin":   func() (gateways.Result, error) { return g.Begin(ctx, c, o) },
		"hold":    func() (gateways.Result, error) { return g.Begin(ctx, c, held) },
		"capture": func() (gateways.Result, error) { return g.Capture(ctx, c, op) },
		"release": func() (gateways.Result, error) { return g.Release(ctx, c, op) },
		"refund":  func() (gateways.Result, error) { return g.Refund(ctx, c, op) },
		"status": func() (gateways.Result, error) {
			return g.FetchStatus(ctx, c, gateways.Query{OrderID: o.ID, Reference: "pi_1"})
		},
		"search": func() (gateways.Result, error) { return g.FetchStatus(ctx, c, gateways.Query{OrderID: o.ID}) },
	} {
		t.Run(name, func(t *testing.T) { // the fixtures say what they like; that there is an intent is all that counts
			if r, err := call(); err != nil || r.Reference == "" || r.Captured.Currency != "USD" {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}
