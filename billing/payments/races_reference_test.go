package payments_test

import (
	"testing"

	"countersign/billing/payments"
	"countersign/tenancy"
)

// Whoever takes a claim back and claims again under the same reference does so in two requests that may overlap.
func TestRaceOfOneReference(t *testing.T) {
	t.Parallel()
	w, both := replicas(t)
	w.Configure(tenancy.UpdateInput{AllowParallelClaims: ptr(true)})
	deadlocks := deadlocksSoFar(t)
	for round := range 100 {
		inv := w.OpenInvoice("10.00")
		first := w.Submit(inv.ID)
		digest := w.Digest(first.ID)
		got := atOnce(2, func(i int) error {
			if i == round%2 {
				in := w.Claim(inv.ID, func(in *payments.SubmitManualInput) { in.Reference, in.Amount = first.Reference, fixed(100) })
				_, err := both[i].Payments.SubmitManual(w.Member.Ctx, in)
				return err
			}
			if round%4 < 2 {
				return withdraw(both[i], first.ID, "")
			}
			return rejectBy(w.Approver)(both[i], first.ID, digest)
		})
		again, over := codes(got[round%2:round%2+1]), codes(got[1-round%2:2-round%2])
		live := 0
		if again["done"] == 1 {
			live = 1
		} else {
			equal(t, "the second claim", again, map[string]int{"payment_pending": 1})
		}
		// a second claim that was there first is another fact, so the approver looks again
		if over["payment_changed"] == 1 {
			t.Error("a claim under a live reference was stored")
		}
		equal(t, "the first claim", over, map[string]int{"done": 1})
		equal(t, "claims", w.Invoice(inv.ID).PendingClaims, live)
	}
	equal(t, "deadlocks", deadlocksSoFar(t), deadlocks)
	w.AssertBooks(t)
}
