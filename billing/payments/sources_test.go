package payments_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/internal/testkit"
)

const savedMethods = base + "/payment-methods/"

// save gives the id of a card of the first customer's that he has saved.
func save(t *testing.T, w *billingtest.World, details map[string]any) string {
	t.Helper()
	return w.As(w.Member).Post(savedMethods, body("payment_method", "card", "display_name", "My card", "details", details)).Expect(http.StatusCreated).Text("data.id")
}

// TestChargeSaved charges what a customer has saved (S1-04).
func TestChargeSaved(t *testing.T) {
	t.Parallel()
	w := charged(t)
	visa := save(t, w, map[string]any{"token": "tok_visa", "brand": "Visa"})

	t.Run("without the customer, for his account", func(t *testing.T) {
		got := w.As(w.Finance).Post(charges, order(visa)).Expect(http.StatusCreated)
		equal(t, "status", got.Text("data.status"), "succeeded")
		equal(t, "account", got.Text("data.account_id"), w.Account.ID.String())
	})
	t.Run("by himself, for his invoice", func(t *testing.T) {
		inv := w.OpenInvoice("10.00")
		w.As(w.Member).Post(charges, order(strings.ToUpper(visa), "invoice_id", inv.ID.String())).Expect(http.StatusCreated)
		equal(t, "invoice", string(w.Invoice(inv.ID).Status), "paid")
	})
	t.Run("by payments as well", func(t *testing.T) {
		keyed := w.As(w.Finance).With("Idempotency-Key", uuid.NewString())
		keyed.Post(base+"/payments/", body("gateway", "sandbox", "amount", "4.00", "currency", "USD", "payment_source", visa)).Expect(http.StatusCreated)
	})
	t.Run("at the gateway that has made the token", func(t *testing.T) {
		stripes := save(t, w, map[string]any{"token": "pm_of_stripe", "customer_id": "cus_7", "gateway": "stripe"})
		w.As(w.Finance).Post(charges, order(stripes)).Refused(http.StatusBadRequest, "unsupported_payment_method")
		w.As(w.Finance).Post(charges, order(stripes, "gateway", "sandbox")).Refused(http.StatusBadRequest, "unknown_payment_source")
	})
	t.Run("and the provider's refusal is the payer's", func(t *testing.T) {
		declined := save(t, w, map[string]any{"token": "tok_decline"})
		w.As(w.Finance).Post(charges, order(declined)).Refused(http.StatusPaymentRequired, "card_declined")
	})
	t.Run("but none that is another's, unknown, removed, or without a token", func(t *testing.T) {
		stranger := charged(t)
		removed := save(t, w, map[string]any{"token": "tok_visa"})
		w.As(w.Member).Delete(savedMethods + removed + "/").Expect(http.StatusNoContent)
		bare := save(t, w, map[string]any{"brand": "Visa"})
		w.OtherMember.Token() // signing in is on record as well
		before := w.Snapshot()
		refuse := func(by *testkit.Client, source string, pairs ...any) {
			t.Helper()
			by.Post(charges, order(source, pairs...)).Refused(http.StatusBadRequest, "unknown_payment_source")
		}
		refuse(w.As(w.OtherMember), visa)
		refuse(w.As(w.Finance), visa, "account_id", w.Other.ID.String())
		refuse(stranger.As(stranger.Finance), visa)
		refuse(w.As(w.Finance), uuid.NewString())
		refuse(w.As(w.Finance), removed)
		refuse(w.As(w.Member), bare)
		unchanged(t, w, before)
	})
	t.Run("and its token stands nowhere", func(t *testing.T) {
		shown := w.As(w.Member).Get(savedMethods + visa + "/").Expect(http.StatusOK)
		if strings.Contains(string(shown.Raw), "tok_visa") || shown.Text("data.details.brand") != "Visa" {
			t.Errorf("it is shown as %s", shown.Raw)
		}
		n := 0
		err := testkit.OwnerDB(t).NewRaw("SELECT (SELECT count(*) FROM account_payment_methods a WHERE a.tenant_id = ?0 AND a::text LIKE '%tok_visa%') + (SELECT count(*) FROM payment_orders o WHERE o.tenant_id = ?0 AND o::text LIKE '%tok_visa%')",
			w.Tenant.ID).Scan(t.Context(), &n)
		if err != nil || n != 0 {
			t.Errorf("%d rows hold it: %v", n, err)
		}
	})
	w.AssertBooks(t)
}

// TestReturnURL sends the payer's browser back to where the charge says.
func TestReturnURL(t *testing.T) {
	t.Parallel()
	w := charged(t)
	got := w.As(w.Finance).Post(charges, order("tok_3ds", "return_url", "https://shop.test/back?cart=7")).Expect(http.StatusCreated)
	if url := got.Text("data.next_action.redirect_url"); !strings.HasSuffix(url, "?return_url=https%3A%2F%2Fshop.test%2Fback%3Fcart%3D7") {
		t.Errorf("the payer is sent to %s", url)
	}
	for _, address := range []string{"shop.test/back", "http://shop.test/", "javascript:alert(1)", "https://a:b@shop.test/", "https://", "https://shop.test/" + strings.Repeat("x", 2000)} {
		w.As(w.Finance).Post(charges, order("tok_3ds", "return_url", address)).Refused(http.StatusBadRequest, "validation_failed")
	}
}
