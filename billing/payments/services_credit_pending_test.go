package payments_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"

	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/internal/testkit"
)

// TestCreditBesideWhatIsUnderWay: what is under way for an invoice fits into what is owed, so credit waits until it has come to an
// end. Otherwise the customer would pay twice, although nobody has said allow_credit.
func TestCreditBesideWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	w := charged(t)
	w.GiveCredit(w.Account.ID, money.New(10000, "USD"))
	apply := func(invoice uuid.UUID) testkit.Answer {
		return w.As(w.Finance).Post(base+"/invoices/"+invoice.String()+"/apply_credit/", body())
	}
	credit := func(want int64) {
		t.Helper()
		equal(t, "credit", -w.Balance(ledger.CustomerCredit(w.Account.ID, "USD")), want)
		w.AssertBooks(t)
	}
	first := w.OpenInvoice("100.00")
	held := idOf(w.As(w.Owner).Post(charges, order("tok_visa", "amount_cents", 10000, "capture", false, "invoice_id", first.ID)).Expect(http.StatusCreated))
	w.Finance.Token()
	before := w.Snapshot()
	apply(first.ID).Refused(http.StatusConflict, "payment_pending")
	unchanged(t, w, before)
	w.As(w.Owner).Post(one(held, "capture/"), body("idempotency_key", uuid.NewString())).Expect(http.StatusOK)
	equal(t, "the invoice", string(w.Invoice(first.ID).Status), "paid")
	credit(10000)

	second := w.OpenInvoice("100.00")
	claim := w.Submit(second.ID)
	apply(second.ID).Refused(http.StatusConflict, "payment_pending")
	w.Reject(claim.ID, w.Approver, "Never came")
	apply(second.ID).Expect(http.StatusOK)
	equal(t, "the invoice", string(w.Invoice(second.ID).Status), "paid")
	credit(0)
}
