package payments_test

import (
	"net/http"
	"testing"
)

// TestConsoleOfCharges opens what has no customer, no invoice and no claim.
func TestConsoleOfCharges(t *testing.T) {
	t.Parallel()
	w := charged(t)
	b := w.Browse(w.Console(), w.Owner)
	for _, body := range []map[string]any{order("tok_visa"), order("tok_wrong_amount"), order("tok_3ds", "account_id", w.Account.ID)} {
		id := idOf(w.As(w.Owner).Post(charges, body))
		b.Get("payments/" + id.String() + "/").Expect(http.StatusOK).Shows("10.00")
	}
	for _, page := range []string{"payments/", "payments/?status=succeeded", "payments/?status=processing", "payments/all/"} {
		if got := b.Get(page); got.Status >= 500 {
			t.Errorf("%s: %d %s", page, got.Status, got.Body)
		}
	}
}
