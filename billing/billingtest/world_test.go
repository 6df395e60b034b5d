package billingtest_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/billing/billingtest"
	"countersign/billing/payments"
	"countersign/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

func TestWorld(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	inv := w.OpenInvoice("150.00")
	p := w.Pay(inv.ID)
	if p.Status != payments.StatusSucceeded {
		t.Errorf("the payment is %s, want succeeded", p.Status)
	}
	if got := w.Invoice(inv.ID).BalanceMinor; got != 0 {
		t.Errorf("%d is still owed", got)
	}
	w.AssertBooks(t)
	want := []string{payments.EventCreated, payments.EventSubmitted, payments.EventApproved, payments.EventUpdated, payments.EventSucceeded, payments.EventUpdated}
	if diff := cmp.Diff(want, w.Events("payment.")); diff != "" {
		t.Error(diff)
	}
	w.As(w.Member).Get(billingtest.Base + "/billing/payments/").Expect(200)
}
