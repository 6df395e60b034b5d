package payments_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"countersign/billing/billingtest"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/errs"
)

// refunding is a payment and what is to be expected of its refunds.
type refunding struct {
	w        *billingtest.World
	payment  uuid.UUID
	taken    int64
	held     int64 // by refunds that are under way
	refunded int64
	open     map[uuid.UUID]int64 // undecided, or to be paid by hand
	paid     map[uuid.UUID]int64 // by hand, so that they can be taken back
}

// ask asks for a refund, which must be taken exactly when there is money for it.
func (r *refunding) ask(t *rapid.T, minor int64, payout string) {
	in := payments.RefundInput{PaymentID: r.payment, Reason: rapid.SampledFrom(payments.RefundReasons()).Draw(t, "reason"), PayoutReference: payout, OwedAgain: rapid.Bool().Draw(t, "owed again"),
		Amount: func(c money.Currency) (*money.Money, error) { m := money.New(minor, c); return &m, nil }}
	reply, err := r.w.Payments.Refund(r.w.Finance.Ctx, in)
	if fits := minor > 0 && minor <= r.taken-r.refunded-r.held; (err == nil) != fits {
		t.Fatalf("%d of %d, of which %d are refunded and %d held: %v", minor, r.taken, r.refunded, r.held, err)
	}
	if err != nil {
		if errs.As(err) == nil {
			t.Fatal(err)
		}
		return
	}
	id := uuid.MustParse(reply.Refund.ID)
	switch reply.Refund.Status {
	case payments.RefundSucceeded:
		r.succeed(id, minor, reply.Refund)
	case payments.RefundFailed:
	default:
		r.held += minor
		r.open[id] = minor
	}
}

// succeed counts a refund as paid.
func (r *refunding) succeed(id uuid.UUID, minor int64, now payments.RefundResponse) {
	r.refunded += minor
	if now.Mode == "manual" {
		r.paid[id] = minor
	}
}

// takeBack takes one of those back that were paid by hand.
func (r *refunding) takeBack(t *rapid.T) {
	for id, minor := range r.paid {
		if _, err := r.w.Payments.ReverseRefund(r.w.Owner.Ctx, payments.ReverseRefundInput{ID: id, Reason: "A mistake"}); err != nil {
			t.Fatal(err)
		}
		r.refunded -= minor
		delete(r.paid, id)
		return
	}
}

// end takes one of the refunds that are under way to its end, or on its way.
func (r *refunding) end(t *rapid.T) {
	for id, minor := range r.open {
		now, err := r.w.Payments.LookAtRefund(r.w.Viewer.Ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		over := func(succeeded bool) {
			r.held -= minor
			delete(r.open, id)
			if succeeded {
				r.succeed(id, minor, now)
			}
		}
		if now.Status == payments.RefundPending {
			if now.Mode == "manual" && rapid.Bool().Draw(t, "paid") {
				_, err = r.w.Payments.CompleteRefund(r.w.Owner.Ctx, payments.CompleteRefundInput{ID: id, PayoutReference: "PAID"})
				over(true)
			} else if now.Mode == "manual" {
				_, err = r.w.Payments.CancelRefund(r.w.Owner.Ctx, id, nil)
				over(false)
			} else {
				r.w.Clock.Move(time.Minute * 2)
				err = r.w.Payments.ResumeRefunds(r.w.System)
				r.collect(t) // it resumes all that are due, not this one only
			}
		} else if verdict := (payments.DecideRefundInput{ID: id, Digest: *now.Digest, Note: "Seen"}); rapid.Bool().Draw(t, "approved") {
			var done payments.RefundResponse
			if done, err = r.w.Payments.ApproveRefund(r.w.Owner.Ctx, verdict); done.Status == payments.RefundSucceeded {
				over(true)
			}
		} else {
			_, err = r.w.Payments.RejectRefund(r.w.Owner.Ctx, verdict)
			over(false)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
}

// collect takes over what the provider has paid meanwhile.
func (r *refunding) collect(t *rapid.T) {
	for id, minor := range r.open {
		now, err := r.w.Payments.LookAtRefund(r.w.Viewer.Ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if now.Status == payments.RefundSucceeded {
			r.held -= minor
			r.refunded += minor
			delete(r.open, id)
		}
	}
}

// check compares the payment and its refunds with what is expected, in state and books.
func (r *refunding) check(t *rapid.T) {
	p := r.w.Payment(r.payment)
	want := payments.StatusSucceeded
	switch {
	case r.refunded == r.taken:
		want = payments.StatusRefunded
	case r.refunded > 0:
		want = payments.StatusPartiallyRefunded
	}
	if p.Status != want || p.RefundedMinor != r.refunded {
		t.Fatalf("the payment is %s with %d refunded, want %s with %d", p.Status, p.RefundedMinor, want, r.refunded)
	}
	if got := r.w.Balance(ledger.Clearing(r.clearing(p), p.Currency)); got != r.taken-r.refunded {
		t.Fatalf("%d are left of %d - %d", got, r.taken, r.refunded)
	}
}

func (r *refunding) clearing(p *payments.Payment) string {
	if p.Gateway == "sandbox" {
		return p.Gateway
	}
	return string(p.Method)
}

// Any sequence of refunds, decisions, payouts and reversals gives back what was taken at most, leaves the books balanced, and the
// payment in the state that fits.
func TestAnySequenceOfRefunds(t *testing.T) {
	t.Parallel()
	left := walks()
	rapid.Check(t, func(rt *rapid.T) {
		if left == 0 {
			return
		}
		w := billingtest.NewInTestMode(t)
		w.EnableSandbox()
		twoRefund(w, 1500) // what is taken back counts towards it
		r := &refunding{w: w, taken: 1000, open: map[uuid.UUID]int64{}, paid: map[uuid.UUID]int64{}}
		providers := rapid.Bool().Draw(rt, "by a provider")
		if invoice := w.OpenInvoice("8.00").ID; providers {
			token := rapid.SampledFrom([]string{"tok_visa", "tok_refund_timeout", "tok_refund_down"}).Draw(rt, "token")
			r.payment = chargeOf(w, token, "invoice_id", invoice)
		} else {
			r.payment = w.Pay(invoice, stated(1000)).ID
		}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			if rapid.IntRange(0, 4).Draw(rt, "take back") == 0 {
				r.takeBack(rt)
			} else if rapid.Bool().Draw(rt, "ask") {
				payout := ""
				if !providers && rapid.Bool().Draw(rt, "paid already") {
					payout = "PAID"
				}
				r.ask(rt, rapid.Int64Range(-1, 1001).Draw(rt, "amount"), payout)
			} else {
				r.end(rt)
			}
			r.check(rt)
		}
		w.AssertBooks(t)
		if t.Failed() {
			rt.Fatal(errors.New("the books are wrong"))
		}
		left--
	})
}
