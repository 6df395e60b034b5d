package payments_test

import (
	"net/http"
	"net/url"
	"testing"

	"countersign/billing/billingtest"
	"countersign/billing/payments"
)

// TestConsoleOfRefunds gives money back where people look at the payment, and has a second person decide.
func TestConsoleOfRefunds(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	twoRefund(w, 5000)
	p := w.Pay(w.OpenInvoice("100.00").ID)
	site := w.Console()
	first, second := w.Browse(site, w.Finance), w.Browse(site, w.Approver)
	w.Browse(site, w.Viewer).Get(page(p.ID, "")).Expect(http.StatusOK).Hides("/refund/")
	first.Get("refunds/").Shows("No refunds")
	const backTo = `<ol class="crumbs"><li><a href="/console/` // a decided payment is no longer in the queue
	first.Get(page(w.Submit(w.OpenInvoice("1.00").ID).ID, "")).Shows(backTo + `payments/"`)
	first.Get(page(p.ID, "")).Shows("/refund/", backTo+`payment-list/"`).Hides("refunds/?payment=")
	seen := first.Get(page(p.ID, "refund/")).Shows("Paid twice", "Reference of the payout", backTo+`payment-list/"`).Hidden("seen")
	form := url.Values{"seen": seen, "amount": {"30.00"}, "refund_reason": {"duplicate"}, "payout_reference": {"BANK 1"}}
	first.Post(page(p.ID, "refund/"), url.Values{"seen": seen, "amount": {"300.00"}, "refund_reason": {"duplicate"}}).Expect(http.StatusBadRequest).Shows("Only 100.00 USD of this payment")
	first.Post(page(p.ID, "refund/"), url.Values{"seen": seen, "refund_reason": {"mood"}}).Expect(http.StatusBadRequest)
	first.Follow(first.Post(page(p.ID, "refund/"), form)).Shows("The money is given back.", "Partly refunded", "refunds/?payment=")
	first.Post(page(p.ID, "refund/"), form).Expect(http.StatusConflict).Shows("has changed since you opened it") // sent twice
	equal(t, "refunded", w.Payment(p.ID).RefundedMinor, int64(3000))

	form.Set("seen", "3000")
	form.Del("payout_reference")
	first.Follow(first.Post(page(p.ID, "refund/"), form)).Shows("A second person must approve the refund.")
	id := w.As(w.Viewer).Get(base + "/refunds/?status=pending_approval").Expect(http.StatusOK).Text("results.0.id")
	one := "refunds/" + id + "/"
	first.Get("refunds/?status=pending_approval").Shows("First customer", "Awaiting approval", "30.00", "Paid twice")
	first.Get(one).Shows("Somebody else than who asked", "/cancel/").Hides("/approve/", "/reject/")
	second.Get(one).Shows("/approve/", "/reject/").Hides("/cancel/", "/complete/")
	digest := second.Get(one+"approve/").Shows("Paid twice", "Held by other refunds").Hidden("digest")
	first.Post(one+"approve/", url.Values{"digest": digest}).Expect(http.StatusForbidden)
	second.Post(one+"reject/", url.Values{"digest": digest, "reason": {""}}).Expect(http.StatusBadRequest)
	second.Follow(second.Post(one+"approve/", url.Values{"digest": digest, "reason": {"I have called him"}})).Shows("The refund is approved.", "I have called him", w.Approver.Email, "pay this by hand", "/complete/")
	first.Post(one+"complete/", url.Values{"payout_reference": {""}}).Expect(http.StatusBadRequest)
	first.Follow(first.Post(one+"complete/", url.Values{"payout_reference": {"BANK 2"}})).Shows("The refund is posted.", "BANK 2", "Succeeded", "/reverse/").Hides("/complete/", "/cancel/")
	status(t, w, p.ID, payments.StatusPartiallyRefunded)
	equal(t, "refunded", w.Payment(p.ID).RefundedMinor, int64(6000))
	first.Post(one+"reverse/", url.Values{"reason": {"The bank sent it back"}}).Expect(http.StatusForbidden) // he has asked for it, and another has let it go on
	second.Post(one+"reverse/", url.Values{"reason": {""}}).Expect(http.StatusBadRequest)
	second.Follow(second.Post(one+"reverse/", url.Values{"reason": {"The bank sent it back"}})).Shows("The refund is taken back.").Hides("/reverse/")
	equal(t, "refunded", w.Payment(p.ID).RefundedMinor, int64(3000))

	neighbour := billingtest.New(t)
	neighbour.Browse(neighbour.Console(), neighbour.Owner).Get(one).Expect(http.StatusNotFound)
	w.AssertBooks(t)
}
