package gateways_test

import (
	"bytes"
	"net/http"
	"testing"

	"countersign/billing/billingtest"
	"countersign/billing/paymentmethods"
)

// TestWrongMode: a key for the other kind of money is refused where it is given, and not at the first charge.
func TestWrongMode(t *testing.T) {
	t.Parallel()
	live, test := billingtest.New(t), billingtest.NewInTestMode(t)
	for _, tt := range []struct {
		w            *billingtest.World
		secret, open string
		done         bool
	}{
		{live, "sk_live_a", "pk_live_a", true}, {live, "sk_test_a", "pk_live_a", false}, {live, "sk_live_a", "pk_test_a", false}, {live, "rk_test_a", "pk_live_a", false},
		{test, "sk_test_a", "pk_test_a", true}, {test, "sk_live_a", "pk_test_a", false}, {test, "sk_test_a", "pk_live_a", false}, {test, "sk_a", "pk_test_a", false},
	} {
		got := tt.w.As(tt.w.Owner).Put(base+"stripe/", map[string]any{"is_enabled": true, "settings": map[string]any{"publishable_key": tt.open, "return_url": "https://shop.test/back"},
			"secrets": map[string]any{"secret_key": tt.secret}})
		if tt.done {
			got.Expect(http.StatusOK)
		} else {
			got.Refused(http.StatusBadRequest, "validation_failed")
		}
	}
	live.As(live.Owner).Put(base+"stripe/", map[string]any{"is_enabled": true, "settings": map[string]any{"return_url": "shop.test"}}).Refused(http.StatusBadRequest, "validation_failed")
}

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
