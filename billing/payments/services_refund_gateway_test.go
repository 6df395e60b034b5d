package payments_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/idempotency"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// chargeOf takes money of w.Account by a token, with pairs added to the body of the charge.
func chargeOf(w *billingtest.World, token string, pairs ...any) uuid.UUID {
	return idOf(w.As(w.Owner).Post(charges, order(token, append([]any{"allow_credit", true}, pairs...)...)).Expect(http.StatusCreated))
}

// TestRefundByProvider: 1000 are charged; 300, 300 and 400 go back, and one more does not (S1-07).
func TestRefundByProvider(t *testing.T) {
	t.Parallel()
	w := charged(t)
	in := order("tok_visa")
	key := in["idempotency_key"].(string)
	p := idOf(w.As(w.Owner).Post(charges, in).Expect(http.StatusCreated))
	for i, minor := range []int{300, 300, 400} {
		if i > 0 {
			key = uuid.NewString()
		} // the first has the key of the charge, which is another operation's (S1-47)
		a := keyedRefund(w, w.Owner, key, p, "amount_minor", minor).Expect(http.StatusCreated)
		equal(t, "status", a.At("data.status"), any("succeeded"))
		equal(t, "mode", a.At("data.mode"), any("api"))
		equal(t, "of revenue", a.Int("data.from_revenue_amount_minor"), int64(minor))
		same(t, a, keyedRefund(w, w.Owner, key, p, "amount_minor", minor))
	}
	refundOf(w, w.Owner, p, "amount_minor", 1).Refused(http.StatusBadRequest, "refund_exceeds_payment")
	status(t, w, p, payments.StatusRefunded)
	equal(t, "calls", calls(t, w, p, "refund"), 3)
	equal(t, "clearing", w.Balance(ledger.Clearing("sandbox", "USD")), int64(0))
	equal(t, "returned", usd(w, ledger.SalesReturns), int64(1000))
	w.AssertBooks(t)

	refundOf(w, w.Owner, chargeOf(w, "tok_visa"), "payout_reference", "X").Refused(http.StatusBadRequest, "payout_reference_unexpected")
	credited := chargeOf(w, "tok_visa", "account_id", w.Account.ID, "prepayment", true)
	equal(t, "a prepayment", refundOf(w, w.Owner, credited).Expect(http.StatusCreated).Int("data.from_credit_amount_minor"), int64(1000))
	paid := chargeOf(w, "tok_visa", "invoice_id", w.OpenInvoice("8.00").ID)
	a := refundOf(w, w.Owner, paid).Expect(http.StatusCreated)
	equal(t, "of an invoice", a.At("data.from_invoice_amount"), any("8.00"))
	equal(t, "of its excess", a.At("data.from_credit_amount"), any("2.00"))
	w.AssertBooks(t)
}

// What waits for a second person has not been asked for: the provider is not called twice because of it.
func TestRefundBesideOneThatIsUndecided(t *testing.T) {
	t.Parallel()
	w := charged(t)
	above := int64(450)
	w.Configure(tenancy.UpdateInput{TwoRefundApprovalsAboveMinor: &above})
	p := chargeOf(w, "tok_refund_timeout")
	key := uuid.NewString()
	keyedRefund(w, w.Owner, key, p, "amount_minor", 400).Expect(http.StatusAccepted)
	equal(t, "the other", refundOf(w, w.Finance, p, "amount_minor", 500).Expect(http.StatusCreated).At("data.status"), any("pending_approval"))
	w.Clock.Move(25 * time.Hour) // the provider has forgotten the key
	a := keyedRefund(w, w.Owner, key, p, "amount_minor", 400).Expect(http.StatusCreated)
	equal(t, "status", a.At("data.status"), any("succeeded"))
	equal(t, "calls", calls(t, w, p, "refund"), 1)
	w.AssertBooks(t)
}

// TestRefund_tokens tries what providers do: the refund is called once, and its end is known (S0-92).
func TestRefund_tokens(t *testing.T) {
	t.Parallel()
	tests := []struct {
		token  string
		status int
		code   string
		state  string
		calls  int
		again  int // the answer to the same request once more
		end    string
	}{
		{"tok_visa", 201, "", "succeeded", 1, 201, "succeeded"},
		{"tok_refund_timeout", 202, "", "pending", 1, 201, "succeeded"},
		{"tok_refund_down", 201, "", "succeeded", 3, 201, "succeeded"},
		{"tok_refund_decline", 402, "gateway_refused", "failed", 1, 402, "failed"},
	}
	for _, tt := range tests {
		for _, worker := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, worker %t", tt.token, worker), func(t *testing.T) {
				t.Parallel()
				w := charged(t)
				p := chargeOf(w, tt.token)
				key := uuid.NewString()
				a := keyedRefund(w, w.Owner, key, p, "amount_minor", 400)
				if tt.code != "" {
					a.Refused(tt.status, tt.code)
				}
				equal(t, "status", a.Status, tt.status)
				equal(t, "state", a.At("data.status"), any(tt.state))
				if worker {
					w.Clock.Move(2 * time.Minute)
					if err := w.Payments.ResumeRefunds(w.System); err != nil {
						t.Fatal(err)
					}
				}
				b := keyedRefund(w, w.Owner, key, p, "amount_minor", 400)
				equal(t, "again", b.Status, tt.again)
				equal(t, "its end", b.At("data.status"), any(tt.end))
				same(t, b, keyedRefund(w, w.Owner, key, p, "amount_minor", 400))
				equal(t, "calls", calls(t, w, p, "refund"), tt.calls)
				left := int64(600)
				if tt.end == "failed" {
					left = 1000
				}
				equal(t, "clearing", w.Balance(ledger.Clearing("sandbox", "USD")), left)
				if tt.end == "failed" { // what it held is free again
					refundOf(w, w.Owner, p, "amount_minor", 1001).Refused(http.StatusBadRequest, "refund_exceeds_payment")
					refundOf(w, w.Owner, p).Refused(http.StatusPaymentRequired, "gateway_refused")
				}
				w.AssertBooks(t)
			})
		}
	}
}

func refundInput(p uuid.UUID, once *idempotency.Once) payments.RefundInput {
	return payments.RefundInput{PaymentID: p, Reason: payments.RefundItemReturn, Once: once,
		Amount: func(c money.Currency) (*money.Money, error) { m := money.New(400, c); return &m, nil }}
}

// TestCrashOfARefund stops a refund at every point between a key that is claimed and its answer, and goes on with the same
// request, or with the worker: the money leaves once, and is posted once (S1-36, S0-92, C-20).
func TestCrashOfARefund(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"1", "2", "3", "4"} {
		for _, worker := range []bool{false, true} {
			t.Run(fmt.Sprintf("point %s, worker %t", point, worker), func(t *testing.T) {
				t.Parallel()
				w := charged(t)
				p := chargeOf(w, "tok_visa", "invoice_id", w.OpenInvoice("8.00").ID)
				var crashed atomic.Bool
				doomed := pausing(w, func(_ context.Context, at string) {
					if strings.HasPrefix(at, point) && !crashed.Swap(true) {
						panic("the process dies")
					}
				})
				func() {
					defer func() { recover() }()
					doomed.Refund(w.Owner.Ctx, refundInput(p, keyOf(t, w, "crash", "x")))
				}()
				if !crashed.Load() {
					t.Fatal("it does not come to that point")
				}
				w.Clock.Move(2 * time.Minute) // the lease of the dead is over
				if worker {
					if err := w.Payments.ResumeRefunds(w.System); err != nil {
						t.Fatal(err)
					}
				}
				reply, err := w.Payments.Refund(w.Owner.Ctx, refundInput(p, keyOf(t, w, "crash", "x")))
				if err != nil || reply.Refund.Status != payments.RefundSucceeded {
					t.Fatalf("the repetition: %v %+v", err, reply)
				}
				equal(t, "calls", calls(t, w, p, "refund"), 1)
				equal(t, "clearing", w.Balance(ledger.Clearing("sandbox", "USD")), int64(600))
				equal(t, "events", count(t, "SELECT count(*) FROM events WHERE tenant_id = ? AND type IN ('refund.succeeded', 'payment.partially_refunded')", w.Tenant.ID), 2)
				w.AssertBooks(t)
			})
		}
	}
}

// TestRefundOfTheWorker: what somebody else has approved is asked for by the worker.
func TestRefundOfTheWorker(t *testing.T) {
	t.Parallel()
	w := charged(t)
	twoRefund(w, 1)
	p := chargeOf(w, "tok_visa")
	a := refundOf(w, w.Finance, p).Expect(http.StatusCreated)
	id := idOf(a)
	approve := w.As(w.Owner).Post(refundPath(id, "approve/"), body("digest", a.Text("data.digest"))).Expect(http.StatusOK)
	equal(t, "approved", approve.At("data.status"), any("pending"))
	equal(t, "calls", calls(t, w, p, "refund"), 0)
	w.As(w.Finance).Post(refundPath(id, "cancel/"), body()).Refused(http.StatusConflict, "refund_state")
	if err := w.Payments.ResumeRefunds(w.System); err != nil {
		t.Fatal(err)
	}
	equal(t, "afterwards", w.As(w.Viewer).Get(refundPath(id, "")).Expect(http.StatusOK).At("data.payment_status"), any("refunded"))
	equal(t, "calls", calls(t, w, p, "refund"), 1)
	w.AssertBooks(t)
}

// TestRefundThatTheBooksDoNotTake: the customer spends his credit while the provider pays it out. The refund waits, people
// are told, and it is booked when the credit is there again.
func TestRefundThatTheBooksDoNotTake(t *testing.T) {
	t.Parallel()
	w := charged(t)
	p := chargeOf(w, "tok_visa", "account_id", w.Account.ID, "prepayment", true)
	inv := w.OpenInvoice("10.00")
	slow := pausing(w, func(_ context.Context, point string) {
		if strings.HasPrefix(point, "2") {
			if _, err := w.Invoices.ApplyCredit(w.Owner.Ctx, invoices.ApplyCreditInput{Invoice: inv.ID.String()}); err != nil {
				t.Error(err)
			}
		}
	})
	reply, err := slow.Refund(w.Owner.Ctx, refundInput(p, keyOf(t, w, "spent", "x")))
	if err != nil || reply.HTTP != http.StatusAccepted || reply.Refund.FailureCode == nil || *reply.Refund.FailureCode != "credit_exceeded" {
		t.Fatalf("%v %+v", err, reply)
	}
	equal(t, "events", w.Events("refund."), []string{"refund.requested", "refund.set_aside"})
	w.AssertBooks(t)
	w.GiveCredit(w.Account.ID, money.New(400, "USD"))
	w.Clock.Move(2 * time.Minute)
	if err := w.Payments.ResumeRefunds(w.System); err != nil {
		t.Fatal(err)
	}
	reply, err = w.Payments.Refund(w.Owner.Ctx, refundInput(p, keyOf(t, w, "spent", "x")))
	if err != nil || reply.Refund.Status != payments.RefundSucceeded || reply.Refund.FailureCode != nil {
		t.Fatalf("%v %+v", err, reply)
	}
	equal(t, "calls", calls(t, w, p, "refund"), 1)
	w.AssertBooks(t)
}

// TestRaceOfRefunds: race 7.
func TestRaceOfRefunds(t *testing.T) {
	t.Parallel()
	t.Run("of two full ones, one wins", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		w.Owner.Token()
		for _, pairs := range [][]any{{}, {"amount_minor", 1000}} {
			p := chargeOf(w, "tok_visa", "force", true)
			answers := atOnce(2, func(int) testkit.Answer { return refundOf(w, w.Owner, p, pairs...) })
			if a, b := answers[0].Status, answers[1].Status; min(a, b) != http.StatusCreated || max(a, b) != http.StatusConflict {
				t.Errorf("%d and %d", a, b)
			}
			equal(t, "calls", calls(t, w, p, "refund"), 1)
		}
		w.AssertBooks(t)
	})
	t.Run("of twenty parts, as many as there is money for", func(t *testing.T) {
		t.Parallel()
		w, both := chargedTwice(t)
		for _, b := range both {
			b.Owner.Token()
		}
		p := chargeOf(w, "tok_visa")
		answers := atOnce(20, func(i int) testkit.Answer { return refundOf(both[i%2], w.Owner, p, "amount_minor", 99) })
		made := 0
		for _, a := range answers {
			switch a.Status {
			case http.StatusCreated:
				made++
			case http.StatusBadRequest:
			default:
				t.Errorf("%d %s", a.Status, a.Raw)
			}
		}
		equal(t, "made", made, 10)
		equal(t, "refunded", w.Payment(p).RefundedMinor, int64(990))
		w.AssertBooks(t)
	})
	t.Run("of one request made twenty times, one is new", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		w.Owner.Token()
		p := chargeOf(w, "tok_visa")
		key := uuid.NewString()
		answers := atOnce(20, func(int) testkit.Answer { return keyedRefund(w, w.Owner, key, p, "amount_minor", 99) })
		fresh := 0
		for _, a := range answers {
			equal(t, "status", a.Status, http.StatusCreated)
			if a.Header.Get("Idempotent-Replayed") == "" {
				fresh++
			}
		}
		equal(t, "new ones", fresh, 1)
		equal(t, "calls", calls(t, w, p, "refund"), 1)
	})
	t.Run("settlements of the same invoice and customer go on", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv := w.OpenInvoice("100.00")
		p := w.Pay(inv.ID, stated(4000))
		for range 3 {
			other := w.Submit(w.OpenInvoice("5.00").ID)
			w.Approve(other.ID, w.Approver)
		}
		same := w.Submit(inv.ID)
		w.Approve(same.ID, w.Approver)
		w.Finance.Token()
		atOnce(6, func(i int) bool {
			if i == 0 {
				w.SettleAll()
				return true
			}
			return refundOf(w, w.Finance, p.ID, "amount_minor", 1000, "payout_reference", "X").Status == http.StatusCreated
		})
		w.SettleAll()
		equal(t, "refunded", w.Payment(p.ID).RefundedMinor, int64(4000))
		status(t, w, same.ID, payments.StatusSucceeded)
		w.AssertBooks(t)
	})
}
