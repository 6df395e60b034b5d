package gateways_test

import (
	"bytes"
	"net/http"
	"testing"

	"countersign/billing/billingtest"
	"countersign/billing/paymentmethods"
)

// TestPublishableKey: the payer's browser gets the public key with the method that it is for, and never a secret (S1-33).
func TestPublishableKey(t *testing.T) {
	t.Parallel()
	w, other := billingtest.New(t), billingtest.New(t)
	const available = billingtest.Base + "/billing/payment-methods/available/"
	shown := func(w *billingtest.World) map[string]any {
		t.Helper()
		got := w.As(w.Member).Get(available).Expect(http.StatusOK)
		if bytes.Contains(got.Raw, []byte("sk_live")) {
			t.Errorf("a secret is shown: %s", got.Raw)
		}
		keys := map[string]any{}
		for _, m := range got.List("data.methods") {
			row := m.(map[string]any)
			keys[row["payment_method"].(string)] = row["publishable_key"]
		}
		return keys
	}
	configure := func(enabled bool) {
		w.As(w.Owner).Put(base+"stripe/", map[string]any{"is_enabled": enabled, "settings": map[string]any{"publishable_key": "pk_live_for_browsers"},
			"secrets": map[string]any{"secret_key": "sk_live_for_nobody"}}).Expect(http.StatusOK)
	}
	for _, w := range []*billingtest.World{w, other} {
		w.Offer(paymentmethods.Everywhere, paymentmethods.Card, nil)
	}
	configure(false)
	if keys := shown(w); keys["card"] != nil {
		t.Errorf("of a gateway that is switched off: %v", keys)
	}
	configure(true)
	if keys := shown(w); keys["card"] != "pk_live_for_browsers" || keys["bank_transfer"] != nil {
		t.Errorf("got %v", keys)
	}
	if keys := shown(other); keys["card"] != nil {
		t.Errorf("of another tenant: %v", keys)
	}
	w.As(w.Owner).Put(base+"stripe/", map[string]any{"is_enabled": true, "secrets": map[string]any{"secret_key": "pk_live_of_another_kind"}}).
		Refused(http.StatusBadRequest, "validation_failed")
}
