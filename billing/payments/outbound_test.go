package payments_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/internal/auth"
	"countersign/internal/testkit"
)

// cutOff lets no host outside be found, and counts who looks for one.
func cutOff(t *testing.T) *atomic.Int64 {
	t.Helper()
	var asked atomic.Int64
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		asked.Add(1)
		return nil, errors.New("there is nobody outside")
	}}
	t.Cleanup(func() { net.DefaultResolver = before })
	return &asked
}

// TestNobodyOutside drives cash, a claim and a processor of the tenant's own from their beginning to their refund while no host
// outside can be reached: nobody looks for one (S0-02, S0-40). The next to look is who charges a card, and not before his request
// is found to be right (S0-80). It is not parallel, since all tests share the resolver.
func TestNobodyOutside(t *testing.T) {
	w := billingtest.New(t)
	w.As(w.Owner).Put(base+"/gateways/stripe/", body("is_enabled", true, "secrets", body("secret_key", "sk_live_for_nobody"))).Expect(http.StatusOK)
	processor := newAcme(t, w)
	till := w.Join("till", auth.RoleCashier, nil)
	outside := cutOff(t)
	create := func(by *billingtest.Person, in map[string]any) testkit.Answer { return w.As(by).Post(list, in) }
	refunded := func(t *testing.T, id uuid.UUID) {
		t.Helper()
		for i, minor := range []int{400, 600} {
			refundOf(w, w.Owner, id, "amount_minor", minor, "payout_reference", w.Reference()).Expect(http.StatusCreated)
			equal(t, "status", w.As(w.Viewer).Get(one(id, "")).Text("data.status"), []string{"partially_refunded", "refunded"}[i])
		}
	}
	for name, drive := range map[string]func(t *testing.T) uuid.UUID{
		"cash": func(t *testing.T) uuid.UUID {
			a := create(till, cash(w)).Expect(http.StatusCreated)
			equal(t, "gateway", a.Text("data.gateway"), "cash")
			w.As(w.Finance).Post(one(idOf(a), "complete/"), "").Expect(http.StatusOK)
			return idOf(a)
		},
		"cash that is posted at once": func(*testing.T) uuid.UUID { return idOf(create(w.Owner, cash(w)).Expect(http.StatusCreated)) },
		"a claim": func(t *testing.T) uuid.UUID {
			a := create(w.Owner, cash(w, "gateway", "manual", "invoice_id", w.OpenInvoice("10.00").ID.String())).Expect(http.StatusCreated)
			equal(t, "gateway", a.Text("data.gateway"), "manual")
			w.As(w.Approver).Post(one(idOf(a), "approve/"), body("digest", w.Digest(idOf(a)))).Expect(http.StatusOK)
			w.SettleAll()
			return idOf(a)
		},
		"a processor of the tenant's own": func(t *testing.T) uuid.UUID {
			a := create(w.Owner, asked(w, "acme", "details", body("data", body("desk", 7)))).Expect(http.StatusCreated)
			equal(t, "gateway", a.Text("data.gateway"), "integrator")
			processor.tell(acmeSecret, `{"payment_id":"`+a.Text("data.id")+`","status":"paid"}`).Expect(http.StatusOK)
			return idOf(a)
		},
	} {
		t.Run(name, func(t *testing.T) {
			refunded(t, drive(t))
			equal(t, "who looked for somebody outside", outside.Load(), int64(0))
		})
	}
	t.Run("what is wrong is refused before", func(t *testing.T) {
		large := body("x", strings.Repeat("x", 20<<10))
		for name, in := range map[string]map[string]any{
			"no source":                asked(w, "stripe"),
			"a card for a source":      asked(w, "stripe", "payment_source", "4242424242424242"),
			"details":                  asked(w, "stripe", "payment_source", "tok_visa", "details", body("x", 1)),
			"large details":            asked(w, "stripe", "payment_source", "tok_visa", "details", large),
			"another method":           asked(w, "stripe", "payment_source", "tok_visa", "payment_method", "cash"),
			"a reference":              asked(w, "stripe", "payment_source", "tok_visa", "reference", "R"),
			"no amount":                asked(w, "stripe", "payment_source", "tok_visa", "amount", nil),
			"nothing":                  asked(w, "stripe", "payment_source", "tok_visa", "amount", "0"),
			"no such currency":         asked(w, "stripe", "payment_source", "tok_visa", "currency", "XXZ"),
			"a way back in plain HTTP": asked(w, "stripe", "payment_source", "tok_visa", "return_url", "http://shop.test/"),
			"no key":                   asked(w, "stripe", "payment_source", "tok_visa", "idempotency_key", nil),
			"a card in a processor's":  asked(w, "acme", "details", body("data", body("n", "4242424242424242"))),
			"large ones of its":        asked(w, "acme", "details", large),
			"a card in those of cash":  cash(w, "details", body("data", "4242424242424242")),
			"cash without a receipt":   cash(w, "reference", nil),
			"an unknown one of a claim": cash(w, "gateway", "manual", "invoice_id", w.OpenInvoice("10.00").ID.String(),
				"details", body("x", "y")),
		} {
			if a := create(w.Owner, in); a.Status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", name, a.Status, a.Raw)
			}
			equal(t, name+": who looked for somebody outside", outside.Load(), int64(0))
		}
	})
	t.Run("a card is the first to go outside", func(t *testing.T) {
		create(w.Owner, asked(w, "stripe", "payment_source", "tok_visa", "force", true)).Refused(http.StatusBadGateway, "gateway_unavailable")
		if outside.Load() == 0 {
			t.Error("nobody was counted who goes outside")
		}
	})
	w.AssertBooks(t)
}
