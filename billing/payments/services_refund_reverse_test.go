package payments_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/payments"
	"countersign/internal/database"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

func reverseRefund(w *billingtest.World, by *billingtest.Person, id uuid.UUID) testkit.Answer {
	return w.As(by).Post(refundPath(id, "reverse/"), body("reason", "Nobody has paid it"))
}

// trial is what is on each account of the chart, those with nothing left out.
func trial(w *billingtest.World) map[string]string {
	left := map[string]string{}
	w.Read(func(ctx context.Context, tx bun.Tx) error {
		t, err := ledger.TrialBalance(ctx, tx, nil)
		for _, row := range t.Rows {
			if balance := row.BalanceMinor().Format(row.Currency); strings.Trim(balance, "0.") != "" {
				left[row.Code+" "+row.Currency] = balance
			}
		}
		return err
	})
	return left
}

// TestReverseRefund: somebody has booked a refund that nobody has paid. It is taken back whole, by the inverse of each thing
// that it did, and nothing is deleted.
func TestReverseRefund(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	inv := w.OpenInvoice("100.00", func(in *invoices.CreateInput) { in.Lines[0].TaxRate, in.Lines[0].Credits = "0.15", 10 })
	p := w.Pay(inv.ID, stated(12000))
	before, settled := trial(w), w.Payment(p.ID)
	equal(t, "the credit of before", before["customer_credit USD"], "-5.00")
	first := idOf(refundOf(w, w.Finance, p.ID, "amount", "46.00", "payout_reference", "BANK 1").Expect(http.StatusCreated))
	second := idOf(refundOf(w, w.Finance, p.ID, "payout_reference", "BANK 2").Expect(http.StatusCreated))
	status(t, w, p.ID, payments.StatusRefunded)

	key := uuid.NewString()
	take := func() testkit.Answer {
		return w.As(w.Finance).With("Idempotency-Key", key).Post(refundPath(second, "reverse/"), body("reason", "Nobody has paid it"))
	}
	a := take().Expect(http.StatusOK)
	for path, want := range map[string]any{"data.status": "reversed", "data.payment_status": "partially_refunded", "data.refunded_amount": "46.00", "data.refundable_amount": "74.00",
		"data.reversal_reason": "Nobody has paid it", "data.payout_reference": "BANK 2", "data.to_credit_amount": "0.00"} {
		equal(t, path, a.At(path), want)
	}
	same(t, a, take())
	reverseRefund(w, w.Finance, second).Refused(http.StatusConflict, "refund_not_reversible")
	w.AssertBooks(t)

	reverseRefund(w, w.Owner, first).Expect(http.StatusOK)
	status(t, w, p.ID, payments.StatusSucceeded)
	equal(t, "the books", trial(w), before)
	back := w.Payment(p.ID)
	equal(t, "what the payment was", []any{back.RefundedMinor, back.ProcessedAt, *back.AppliedMinor, *back.ExcessMinor}, []any{int64(0), settled.ProcessedAt, *settled.AppliedMinor, *settled.ExcessMinor})
	billed := w.Invoice(inv.ID)
	equal(t, "the invoice", []any{string(billed.Status), billed.PaidMinor, billed.CreditedMinor, billed.BalanceMinor}, []any{"paid", int64(11500), int64(0), int64(0)})
	equal(t, "credit notes, with those that undo them", count(t, "SELECT count(*) FROM credit_notes WHERE tenant_id = ?", w.Tenant.ID), 4)
	equal(t, "events", w.Events("refund."), []string{"refund.requested", "refund.succeeded", "refund.requested", "refund.succeeded", "refund.reversed", "refund.reversed"})
	equal(t, "the audit log", w.Audited("refund.reverse", "payment.refund_reverse"), []string{"payment.refund_reverse", "refund.reverse", "payment.refund_reverse", "refund.reverse"})
	equal(t, "listed", w.As(w.Viewer).Get(base+"/refunds/?status=reversed").Expect(http.StatusOK).Int("count"), int64(2))
	refundOf(w, w.Finance, p.ID, "payout_reference", "BANK 3").Expect(http.StatusCreated) // it can be given back once more
	status(t, w, p.ID, payments.StatusRefunded)
	w.AssertBooks(t)
}

// TestRefundWithoutACreditNote: the sale stands, and the customer owes again what goes back to him (C-22).
func TestRefundWithoutACreditNote(t *testing.T) {
	t.Parallel()
	granting := func(in *invoices.CreateInput) { in.Lines[0].Credits = 10 }
	paid := func(w *billingtest.World) (*invoices.Invoice, uuid.UUID) {
		inv := w.OpenInvoice("100.00", granting)
		return inv, w.Pay(inv.ID, stated(12000)).ID
	}
	owed := func(w *billingtest.World, p uuid.UUID, pairs ...any) testkit.Answer {
		return refundOf(w, w.Finance, p, append([]any{"reason", "duplicate", "credit_note", false, "payout_reference", "BANK 1"}, pairs...)...)
	}
	stands := func(t *testing.T, w *billingtest.World, id uuid.UUID, want ...any) {
		t.Helper()
		inv := w.Invoice(id)
		equal(t, "the invoice", []any{string(inv.Status), inv.PaidMinor, inv.CreditedMinor, inv.BalanceMinor}, want)
		w.AssertBooks(t)
	}
	t.Run("but not with what he has paid with before", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv := w.OpenInvoice("100.00")
		p := w.Pay(inv.ID)
		owed(w, p.ID).Expect(http.StatusCreated)
		stands(t, w, inv.ID, "open", int64(0), int64(0), int64(10000))
		w.Member.Token()
		before := w.Snapshot()
		submit(w, w.Member, claim(w, inv.ID, "transaction_reference", p.Reference)).Refused(http.StatusConflict, "reference_already_counted")
		unchanged(t, w, before)
		submit(w, w.Member, claim(w, inv.ID)).Expect(http.StatusCreated)
	})
	t.Run("and he pays it again", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv, p := paid(w)
		a := owed(w, p, "amount", "40.00").Expect(http.StatusCreated)
		for path, want := range map[string]any{"data.credit_note": false, "data.credit_note_id": nil, "data.from_invoice_amount": "40.00", "data.from_credit_amount": "0.00"} {
			equal(t, path, a.At(path), want)
		}
		stands(t, w, inv.ID, "partially_paid", int64(6000), int64(0), int64(4000))
		equal(t, "owed", w.Balance(ledger.Receivable(w.Account.ID, "USD")), int64(4000))
		equal(t, "returned", usd(w, ledger.SalesReturns), int64(0))
		equal(t, "service credits", w.Balance(ledger.Credits(w.Account.ID)), int64(0))
		w.Pay(inv.ID)
		stands(t, w, inv.ID, "paid", int64(10000), int64(0), int64(0))
		equal(t, "service credits", w.Balance(ledger.Credits(w.Account.ID)), int64(-10))
	})
	t.Run("and it is taken back", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv, p := paid(w)
		before := trial(w)
		id := idOf(owed(w, p).Expect(http.StatusCreated))
		stands(t, w, inv.ID, "open", int64(0), int64(0), int64(10000))
		reverseRefund(w, w.Finance, id).Expect(http.StatusOK)
		stands(t, w, inv.ID, "paid", int64(10000), int64(0), int64(0))
		equal(t, "the books", trial(w), before)
		status(t, w, p, payments.StatusSucceeded)
	})
	t.Run("and it is taken back when a part was paid meanwhile: the rest is his credit", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv, p := paid(w)
		id := idOf(owed(w, p, "amount", "100.00").Expect(http.StatusCreated))
		other := w.Pay(inv.ID, stated(7000)).ID
		a := reverseRefund(w, w.Finance, id).Expect(http.StatusOK)
		equal(t, "to his credit", a.At("data.to_credit_amount"), any("70.00"))
		stands(t, w, inv.ID, "paid", int64(10000), int64(0), int64(0))
		equal(t, "credit", w.Balance(ledger.CustomerCredit(w.Account.ID, "USD")), int64(-9000))
		equal(t, "service credits", w.Balance(ledger.Credits(w.Account.ID)), int64(-10))
		again := refundOf(w, w.Finance, p, "payout_reference", "BANK 2").Expect(http.StatusCreated)
		equal(t, "what the payment has left on the invoice", again.At("data.from_invoice_amount"), any("30.00"))
		equal(t, "and in the credit", again.At("data.from_credit_amount"), any("90.00"))
		status(t, w, p, payments.StatusRefunded)
		refundOf(w, w.Finance, other, "payout_reference", "BANK 3").Expect(http.StatusCreated)
		w.AssertBooks(t)
	})
	t.Run("and it is taken back when the invoice is void: all of it is his credit", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv, p := paid(w)
		id := idOf(owed(w, p, "amount", "100.00").Expect(http.StatusCreated))
		w.As(w.Owner).Post(base+"/invoices/"+inv.ID.String()+"/void/", body("reason", "Withdrawn")).Expect(http.StatusOK)
		equal(t, "to his credit", reverseRefund(w, w.Finance, id).Expect(http.StatusOK).At("data.to_credit_amount"), any("100.00"))
		equal(t, "credit", w.Balance(ledger.CustomerCredit(w.Account.ID, "USD")), int64(-12000))
		w.AssertBooks(t)
	})
	t.Run("not of service credits that are used", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		_, p := paid(w)
		useCredits(t, w, 1)
		w.Finance.Token()
		before := w.Snapshot()
		owed(w, p, "amount", "1.00").Refused(http.StatusConflict, "service_credits_spent")
		unchanged(t, w, before)
	})
	t.Run("not without an invoice", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		refundOf(w, w.Owner, chargeOf(w, "tok_visa"), "credit_note", false).Refused(http.StatusBadRequest, "refund_without_invoice")
	})
	t.Run("by a provider", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		inv := w.OpenInvoice("8.00")
		p := chargeOf(w, "tok_visa", "invoice_id", inv.ID)
		a := refundOf(w, w.Owner, p, "credit_note", false).Expect(http.StatusCreated)
		equal(t, "of the credit", a.At("data.from_credit_amount"), any("2.00"))
		stands(t, w, inv.ID, "open", int64(0), int64(0), int64(800))
		reverseRefund(w, w.Owner, idOf(a)).Refused(http.StatusConflict, "refund_not_reversible") // the money is away
	})
}

// TestWhoReversesRefunds: one person below the limit, somebody else than who asked for it above, and nobody else's.
func TestWhoReversesRefunds(t *testing.T) {
	t.Parallel()
	w, neighbour := billingtest.New(t), billingtest.New(t)
	twoRefund(w, 5000)
	p := w.Pay(w.OpenInvoice("100.00").ID)
	pending := idOf(refundOf(w, w.Finance, p.ID, "amount", "1.00").Expect(http.StatusCreated))
	reverseRefund(w, w.Finance, pending).Refused(http.StatusConflict, "refund_not_reversible")
	asked := refundOf(w, w.Finance, p.ID, "amount", "60.00", "payout_reference", "A").Expect(http.StatusCreated)
	id := idOf(asked)
	reverseRefund(w, w.Owner, id).Refused(http.StatusConflict, "refund_not_reversible")
	w.As(w.Owner).Post(refundPath(id, "approve/"), body("digest", asked.Text("data.digest"))).Expect(http.StatusOK)
	for _, p := range []*billingtest.Person{w.Member, w.Viewer, w.Finance, neighbour.Owner} {
		p.Token()
	}
	before := w.Snapshot()
	reverseRefund(w, w.Member, id).Refused(http.StatusForbidden, "permission_denied")
	reverseRefund(w, w.Viewer, id).Refused(http.StatusForbidden, "permission_denied")
	reverseRefund(w, w.Finance, id).Refused(http.StatusForbidden, "refunder_cannot_decide")
	reverseRefund(neighbour, neighbour.Owner, id).Refused(http.StatusNotFound, "refund_not_found")
	w.As(w.Finance).Post(refundPath(id, "reverse/"), body()).Refused(http.StatusBadRequest, "validation_failed")
	unchanged(t, w, before)
	reverseRefund(w, w.Owner, id).Expect(http.StatusOK)
	// what was taken back counts towards the limit all the same: nobody pays out alone by taking back again and again
	equal(t, "status", refundOf(w, w.Finance, p.ID, "amount", "1.00", "payout_reference", "B").Expect(http.StatusCreated).At("data.status"), any("pending_approval"))
	w.AssertBooks(t)
}

// TestRaceOfReversals: of many who take one refund back at once, one does, and whoever refunds meanwhile sees either side.
func TestRaceOfReversals(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := w.Pay(w.OpenInvoice("100.00").ID)
	id := idOf(refundOf(w, w.Finance, p.ID, "payout_reference", "A").Expect(http.StatusCreated))
	w.Finance.Token()
	done := 0
	for _, a := range atOnce(8, func(i int) testkit.Answer {
		if i%4 == 3 {
			return refundOf(w, w.Finance, p.ID, "payout_reference", "B")
		}
		return reverseRefund(w, w.Finance, id)
	}) {
		switch {
		case a.Status == http.StatusOK:
			done++
		case a.Status != http.StatusConflict && a.Status != http.StatusCreated:
			t.Errorf("%d %s", a.Status, a.Raw)
		}
	}
	equal(t, "reversals", done, 1)
	w.AssertBooks(t)
}

// TestWhatSQLRefusesOfReversals: a payment counts less refunded only when a refund of it was taken back, and a refund that was
// paid by a provider, or has come to another end, never is.
func TestWhatSQLRefusesOfReversals(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := w.Pay(w.OpenInvoice("100.00").ID)
	done := idOf(refundOf(w, w.Owner, p.ID, "payout_reference", "X").Expect(http.StatusCreated))
	for _, set := range []string{"status = 'succeeded', refunded_minor = 0", "status = 'partially_refunded', refunded_minor = 1", "status = 'succeeded'"} {
		err := raw(w.System, w, "UPDATE payments SET "+set+" WHERE tenant_id = $1 AND id = $2", w.Tenant.ID, p.ID)
		if !database.IsCheck(err, "payments_refunded_guard") {
			t.Errorf("payment SET %s: %v", set, err)
		}
	}
	const reversed = "status = 'reversed', reversed_at = now(), reversal_reason = 'x', moved_minor = 0"
	for _, set := range []string{"status = 'reversed'", "reversed_at = now()", reversed + ", amount_minor = 1", reversed + ", payout_reference = 'Y'", reversed + ", credit_note_id = NULL",
		reversed + ", invoice_minor = 0, credit_minor = amount_minor", strings.Replace(reversed, "moved_minor = 0", "moved_minor = 1", 1), strings.Replace(reversed, "'x'", "''", 1)} {
		if err := raw(w.System, w, "UPDATE refunds SET "+set+" WHERE tenant_id = $1 AND id = $2", w.Tenant.ID, done); err == nil {
			t.Errorf("refund SET %s was taken", set)
		}
	}
	err := tenancy.InTx(w.System, w.DB, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.ExecContext(ctx, "UPDATE refunds SET "+reversed+" WHERE tenant_id = ? AND id = ?", w.Tenant.ID, done); err != nil {
			t.Fatal(err)
		}
		_, err := tx.ExecContext(ctx, "UPDATE payments SET status = 'partially_refunded', refunded_minor = 1 WHERE tenant_id = ? AND id = ?", w.Tenant.ID, p.ID)
		return err
	})
	if !database.IsCheck(err, "payments_refunded_guard") {
		t.Errorf("another amount than the refunds say: %v", err)
	}
	reverseRefund(w, w.Owner, done).Expect(http.StatusOK)
	for _, set := range []string{"status = 'succeeded', reversed_at = NULL, reversal_reason = '', moved_minor = NULL", "reversal_reason = 'y'", "moved_minor = NULL"} {
		if err := raw(w.System, w, "UPDATE refunds SET "+set+" WHERE tenant_id = $1 AND id = $2", w.Tenant.ID, done); err == nil {
			t.Errorf("reversed refund SET %s was taken", set)
		}
	}
	w.AssertBooks(t)
}

// TestRefundThatFailsAfterAll: the provider has accepted a refund, and takes that back days later. Staff are told, take the refund back once, and
// the customer's money can be given back in another way.
func TestRefundThatFailsAfterAll(t *testing.T) {
	t.Parallel()
	w, neighbour := charged(t), charged(t)
	inv := w.OpenInvoice("8.00")
	p := chargeOf(w, "tok_visa", "invoice_id", inv.ID)
	first := idOf(refundOf(w, w.Owner, p, "amount_minor", 400).Expect(http.StatusCreated))
	second := idOf(refundOf(w, w.Owner, p, "amount_minor", 300).Expect(http.StatusCreated))
	reverse := func(by *billingtest.Person, refund uuid.UUID) testkit.Answer {
		return w.As(by).Post(refundPath(refund, "reverse/"), body("reason", "His card is closed"))
	}
	reverse(w.Owner, first).Refused(http.StatusConflict, "refund_not_reversible")
	for range 2 {
		tellFailed(t, w, p, first, 0).Expect(http.StatusOK)
	}
	equal(t, "anomalies", notedAnomalies(w, p), []string{"refund_failed"})
	equal(t, "the books, so far", w.Balance(ledger.Clearing("sandbox", "USD")), int64(300))
	reverse(w.Owner, second).Refused(http.StatusConflict, "refund_not_reversible")
	b := w.Browse(w.Console(), w.Owner)
	b.Get("refunds/" + first.String() + "/").Expect(http.StatusOK).Shows("/refunds/" + first.String() + "/reverse/")
	b.Get("refunds/" + second.String() + "/").Expect(http.StatusOK).Hides("/reverse/")
	reverse(w.Viewer, first).Refused(http.StatusForbidden, "permission_denied")
	neighbour.As(neighbour.Owner).Post(refundPath(first, "reverse/"), body("reason", "x")).Refused(http.StatusNotFound, "refund_not_found")
	done := 0
	for _, a := range atOnce(10, func(int) testkit.Answer { return reverse(w.Owner, first) }) {
		if a.Status == http.StatusOK {
			done++
		}
	}
	equal(t, "taken back", done, 1)
	equal(t, "status", w.As(w.Viewer).Get(refundPath(first, "")).Text("data.status"), "reversed")
	equal(t, "open anomalies", w.As(w.Viewer).Get(base+"/payment-anomalies/").Expect(http.StatusOK).Int("count"), int64(0))
	equal(t, "the books", w.Balance(ledger.Clearing("sandbox", "USD")), int64(700))
	equal(t, "refunded", w.Payment(p).RefundedMinor, int64(300))
	status(t, w, p, payments.StatusPartiallyRefunded)
	w.AssertBooks(t)
	refundOf(w, w.Owner, p, "amount_minor", 300).Expect(http.StatusCreated)
	tellFailed(t, w, p, second, 0).Expect(http.StatusOK)
	b.Get("payments/" + p.String() + "/").Shows("Refund failed after all")
	reverse(w.Owner, second).Expect(http.StatusOK)
	equal(t, "refunded in the end", w.Payment(p).RefundedMinor, int64(300))
	w.AssertBooks(t)
}

// TestReverseAfterTheAnomalyIsResolved: somebody has marked as resolved that a refund has failed before it was taken back.
func TestReverseAfterTheAnomalyIsResolved(t *testing.T) {
	t.Parallel()
	w := charged(t)
	p := chargeOf(w, "tok_visa")
	first := idOf(refundOf(w, w.Owner, p, "amount_minor", 300).Expect(http.StatusCreated))
	second := idOf(refundOf(w, w.Owner, p, "amount_minor", 300).Expect(http.StatusCreated))
	tellFailed(t, w, p, first, 300).Expect(http.StatusOK)
	open := w.As(w.Owner).Get(base + "/payment-anomalies/").Expect(http.StatusOK).Text("results.0.id")
	w.As(w.Owner).Post(base+"/payment-anomalies/"+open+"/resolve/", body("note", "Seen")).Expect(http.StatusOK)
	tellFailed(t, w, p, first, 300).Expect(http.StatusOK)
	equal(t, "open anomalies", w.As(w.Owner).Get(base+"/payment-anomalies/").Expect(http.StatusOK).Int("count"), int64(0))
	reverseRefund(w, w.Owner, second).Refused(http.StatusConflict, "refund_not_reversible")
	w.Browse(w.Console(), w.Owner).Get("refunds/" + first.String() + "/").Expect(http.StatusOK).Shows("/refunds/" + first.String() + "/reverse/")
	reverseRefund(w, w.Owner, first).Expect(http.StatusOK)
	reverseRefund(w, w.Owner, first).Refused(http.StatusConflict, "refund_not_reversible")
	equal(t, "refunded", w.Payment(p).RefundedMinor, int64(300))
	equal(t, "how it was dealt with", count(t, "SELECT count(*) FROM payment_anomalies WHERE tenant_id = ? AND kind = 'refund_failed' AND note = 'Seen'", w.Tenant.ID), 1)
	w.AssertBooks(t)
}

// TestReverseARefundWithoutAName: of refunds whose answers were lost, and with them the provider's names, the one is taken back that is over just
// what has come back.
func TestReverseARefundWithoutAName(t *testing.T) {
	t.Parallel()
	w := charged(t)
	p := chargeOf(w, "tok_refund_timeout")
	ids := map[int]uuid.UUID{}
	for i, minor := range []int{400, 300} {
		ids[minor] = idOf(refundOf(w, w.Owner, p, "amount_minor", minor).Expect(http.StatusAccepted))
		tellRefunded(t, w, p, []int64{400, 700}[i]).Expect(http.StatusOK)
	}
	status(t, w, p, payments.StatusPartiallyRefunded)
	tellFailed(t, w, p, ids[300], 0).Expect(http.StatusOK)
	for _, id := range ids {
		reverseRefund(w, w.Owner, id).Refused(http.StatusConflict, "refund_not_reversible") // nobody knows which has failed
	}
	tellFailed(t, w, p, ids[300], 300).Expect(http.StatusOK)
	reverseRefund(w, w.Owner, ids[400]).Refused(http.StatusConflict, "refund_not_reversible")
	reverseRefund(w, w.Owner, ids[300]).Expect(http.StatusOK)
	equal(t, "refunded", w.Payment(p).RefundedMinor, int64(400))
	again := idOf(refundOf(w, w.Owner, p, "amount_minor", 300).Expect(http.StatusAccepted))
	tellRefunded(t, w, p, 1000).Expect(http.StatusOK)
	reverseRefund(w, w.Owner, again).Refused(http.StatusConflict, "refund_not_reversible") // that was another one
	w.AssertBooks(t)
}
