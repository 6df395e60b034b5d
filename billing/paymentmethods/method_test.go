package paymentmethods_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	pm "countersign/billing/paymentmethods"
)

// The whole table of C-07. A new method needs a line here, and a decision about who carries it out.
func TestGatewayOf(t *testing.T) {
	t.Parallel()
	want := map[pm.Method]pm.Gateway{
		pm.Cash:          "cash",
		pm.Card:          "stripe",
		pm.MobileBanking: "", // bkash, nagad, rocket or dbbl: the payment says which
		pm.Voucher:       "voucher",
		pm.BankTransfer:  "manual",
		pm.LocalWallet:   "manual",
		pm.PayPal:        "paypal",
		pm.GatewayLink:   "", // whatever the link leads to
		pm.Other:         "",
	}
	got := map[pm.Method]pm.Gateway{}
	for _, m := range pm.Methods() {
		got[m] = pm.GatewayOf(m)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	t.Run("names none for what is no method", func(t *testing.T) {
		t.Parallel()
		for _, m := range []pm.Method{"", "CASH", "stripe", "manual"} {
			if g := pm.GatewayOf(m); g != "" || m.IsManual() {
				t.Errorf("%q: %q", m, g)
			}
		}
	})
}
