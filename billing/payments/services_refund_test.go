package payments_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// refundOf asks for a refund over HTTP, with a key of its own.
func refundOf(w *billingtest.World, by *billingtest.Person, payment uuid.UUID, pairs ...any) testkit.Answer {
	return keyedRefund(w, by, uuid.NewString(), payment, pairs...)
}

func keyedRefund(w *billingtest.World, by *billingtest.Person, key string, payment uuid.UUID, pairs ...any) testkit.Answer {
	in := body("reason", "item_return")
	for k, v := range body(pairs...) {
		in[k] = v
	}
	return w.As(by).With("Idempotency-Key", key).Post(one(payment, "refund/"), in)
}

func refundPath(id uuid.UUID, more string) string {
	return base + "/refunds/" + id.String() + "/" + more
}

// stated makes a claim over an amount of its own.
func stated(minor int64) func(*payments.SubmitManualInput) {
	return func(in *payments.SubmitManualInput) {
		in.Amount = func(c money.Currency) (*money.Money, error) { m := money.New(minor, c); return &m, nil }
	}
}

// noCause is the proof that finds what tests post that nothing in this program does, such as the use of service credits.
const noCause = "ledger.E008"

// useCredits spends service credits of w.Account.
func useCredits(t *testing.T, w *billingtest.World, n int64) {
	t.Helper()
	err := tenancy.InTx(w.System, w.DB, func(ctx context.Context, tx bun.Tx) error {
		return ledger.Post(ctx, tx, ledger.Posting{Cause: "use:" + uuid.NewString(), Kind: ledger.KindCreditsUsed, CustomerID: w.Account.ID, Entries: []ledger.Entry{
			{Account: ledger.Credits(w.Account.ID), AmountMinor: n}, {Account: ledger.CreditsIssued(), AmountMinor: -n}}})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// twoRefund makes a second person decide above an amount.
func twoRefund(w *billingtest.World, above int64) {
	w.Configure(tenancy.UpdateInput{TwoRefundApprovalsAboveMinor: &above})
}

// TestRefundByHand: 100 are paid, 40 go back and then 60 (S0-90 to S0-94, S0D-06).
func TestRefundByHand(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	inv := w.OpenInvoice("100.00")
	p := w.Pay(inv.ID)
	for _, wrong := range []any{0, -1, 10001} {
		a := refundOf(w, w.Finance, p.ID, "amount_minor", wrong).Expect(http.StatusBadRequest)
		if code := a.Text("code"); code != "refund_exceeds_payment" && code != "validation_failed" {
			t.Errorf("%v: %s", wrong, code)
		}
	}
	refundOf(w, w.Finance, p.ID, "reason", "mood").Refused(http.StatusBadRequest, "validation_failed")
	refundOf(w, w.Finance, p.ID, "currency", "EUR").Refused(http.StatusBadRequest, "currency_mismatch")
	w.As(w.Finance).Post(one(p.ID, "refund/"), body("reason", "other")).Refused(http.StatusBadRequest, "idempotency_key_required")

	key := uuid.NewString()
	a := keyedRefund(w, w.Finance, key, p.ID, "amount", "40.00", "payout_reference", "BANK 1").Expect(http.StatusCreated)
	for path, want := range map[string]any{"data.status": "succeeded", "data.amount": "40.00", "data.refunded_amount": "40.00", "data.refundable_amount": "60.00", "data.payment_status": "partially_refunded",
		"data.from_invoice_amount": "40.00", "data.from_credit_amount": "0.00", "data.payout_reference": "BANK 1", "data.mode": "manual", "data.digest": nil} {
		equal(t, path, a.At(path), want)
	}
	if made, paid := a.Text("data.created_at"), a.Text("data.succeeded_at"); paid < made {
		t.Errorf("it was paid at %s and made at %s", paid, made)
	}
	same(t, a, keyedRefund(w, w.Finance, key, p.ID, "amount", "40.00", "payout_reference", "BANK 1"))
	keyedRefund(w, w.Finance, key, p.ID, "amount", "41.00", "payout_reference", "BANK 1").Refused(http.StatusConflict, "idempotency_key_reused")
	equal(t, "events of the first", w.Events("refund.", "payment.part", "payment.refunded"), []string{"refund.requested", "payment.partially_refunded", "refund.succeeded"})
	billed := w.Invoice(inv.ID)
	equal(t, "the invoice", []int64{billed.PaidMinor, billed.CreditedMinor, billed.BalanceMinor}, []int64{6000, 4000, 0})
	equal(t, "its status", string(billed.Status), "paid")
	w.AssertBooks(t)

	b := refundOf(w, w.Finance, p.ID).Expect(http.StatusCreated) // somebody has still to pay it
	equal(t, "the second", b.At("data.status"), any("pending"))
	equal(t, "what is left beside it", b.At("data.refundable_amount"), any("0.00"))
	equal(t, "of the payment", w.As(w.Viewer).Get(one(p.ID, "")).At("data.refundable_amount"), any("0.00"))
	equal(t, "in the list", w.As(w.Viewer).Get(list).Expect(http.StatusOK).At("results.0.refundable_amount"), any("0.00"))
	refundOf(w, w.Finance, p.ID).Refused(http.StatusConflict, "payment_not_refundable")
	refundOf(w, w.Finance, p.ID, "amount_minor", 1).Refused(http.StatusBadRequest, "refund_exceeds_payment")
	status(t, w, p.ID, payments.StatusPartiallyRefunded)
	w.As(w.Finance).Post(refundPath(idOf(b), "complete/"), body()).Refused(http.StatusBadRequest, "payout_reference_required")
	done := w.As(w.Finance).Post(refundPath(idOf(b), "complete/"), body("payout_reference", "BANK 2")).Expect(http.StatusOK)
	equal(t, "the second, paid", done.At("data.payment_status"), any("refunded"))
	w.As(w.Finance).Post(refundPath(idOf(b), "complete/"), body("payout_reference", "BANK 3")).Refused(http.StatusConflict, "refund_state")
	w.As(w.Finance).Post(refundPath(idOf(b), "cancel/"), body()).Refused(http.StatusConflict, "refund_state")
	status(t, w, p.ID, payments.StatusRefunded)
	refundOf(w, w.Finance, p.ID).Refused(http.StatusConflict, "payment_not_refundable")
	refundOf(w, w.Finance, p.ID, "amount_minor", 1).Refused(http.StatusBadRequest, "refund_exceeds_payment")
	equal(t, "clearing", w.Balance(ledger.Clearing("bank_transfer", "USD")), int64(0))
	equal(t, "returned", usd(w, ledger.SalesReturns), int64(10000))
	equal(t, "the refunds", w.As(w.Viewer).Get(one(p.ID, "refunds/")).Expect(http.StatusOK).Int("count"), int64(2))
	equal(t, "of the tenant", w.As(w.Viewer).Get(base+"/refunds/?status=succeeded&reason=item_return&payment="+p.ID.String()).Expect(http.StatusOK).Int("count"), int64(2))
	equal(t, "events", events(w)[len(events(w))-5:], []string{"partially_refunded", "updated", "refunded", "updated", "anomaly"})
	equal(t, "the audit log", w.Audited("refund."), []string{"refund.request", "refund.succeed", "refund.request", "refund.succeed"})
	w.AssertBooks(t)
}

// TestRefundOfTooMuch: what was paid too much is the customer's credit; it goes first when that is the reason (5.6).
func TestRefundOfTooMuch(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	paid := func() *payments.Payment {
		return w.Pay(w.OpenInvoice("100.00").ID, stated(12000))
	}
	tests := []struct {
		reason          string
		amount          int64
		invoice, credit string
	}{
		{"overpayment", 1500, "0.00", "15.00"},
		{"overpayment", 3000, "10.00", "20.00"},
		{"item_return", 1500, "15.00", "0.00"},
		{"item_return", 11000, "100.00", "10.00"},
	}
	for _, tt := range tests {
		a := refundOf(w, w.Finance, paid().ID, "reason", tt.reason, "amount_minor", tt.amount, "payout_reference", "X").Expect(http.StatusCreated)
		equal(t, tt.reason+" of the invoice", a.Text("data.from_invoice_amount"), tt.invoice)
		equal(t, tt.reason+" of the credit", a.Text("data.from_credit_amount"), tt.credit)
		if tt.invoice == "0.00" {
			equal(t, "the note", a.At("data.credit_note_id"), nil)
		}
	}
	w.AssertBooks(t)

	t.Run("credit that is spent does not go back", func(t *testing.T) {
		w := billingtest.New(t)
		p := w.Pay(w.OpenInvoice("100.00").ID, stated(12000))
		if _, err := w.Invoices.ApplyCredit(w.Owner.Ctx, invoices.ApplyCreditInput{Invoice: w.OpenInvoice("15.00").ID.String()}); err != nil {
			t.Fatal(err)
		}
		w.Finance.Token()
		before := w.Snapshot()
		refundOf(w, w.Finance, p.ID, "reason", "overpayment", "amount_minor", 600, "payout_reference", "X").Refused(http.StatusConflict, "credit_exceeded")
		unchanged(t, w, before)
		refundOf(w, w.Finance, p.ID, "reason", "overpayment", "amount_minor", 500, "payout_reference", "X").Expect(http.StatusCreated)
		w.AssertBooks(t)
	})
	t.Run("nor do service credits that are used", func(t *testing.T) {
		w := billingtest.New(t)
		credits := int64(10)
		p := w.Pay(w.OpenInvoice("100.00", func(in *invoices.CreateInput) { in.Lines[0].Credits = credits }).ID)
		useCredits(t, w, 8)
		refundOf(w, w.Finance, p.ID, "amount", "50.00", "payout_reference", "X").Refused(http.StatusConflict, "service_credits_spent")
		refundOf(w, w.Finance, p.ID, "amount", "20.00", "payout_reference", "X").Expect(http.StatusCreated)
		equal(t, "credits", w.Balance(ledger.Credits(w.Account.ID)), int64(0))
		w.AssertBooks(t, noCause)
	})
}

// TestRefundNeedsASecondPerson: above the tenant's limit, counted over the whole payment (5.8).
func TestRefundNeedsASecondPerson(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	twoRefund(w, 5000)
	p := w.Pay(w.OpenInvoice("100.00").ID)
	equal(t, "within the limit", refundOf(w, w.Finance, p.ID, "amount", "30.00", "payout_reference", "A").Expect(http.StatusCreated).At("data.status"), any("succeeded"))
	a := refundOf(w, w.Finance, p.ID, "amount", "30.00", "payout_reference", "B").Expect(http.StatusCreated)
	id := idOf(a)
	equal(t, "above it", a.At("data.status"), any("pending_approval"))
	equal(t, "posted", w.Balance(ledger.Clearing("bank_transfer", "USD")), int64(7000))
	digest := func() string { return w.As(w.Viewer).Get(refundPath(id, "")).Expect(http.StatusOK).Text("data.digest") }
	decide := func(by *billingtest.Person, what string, pairs ...any) testkit.Answer {
		return w.As(by).Post(refundPath(id, what+"/"), body(pairs...))
	}
	decide(w.Finance, "approve", "digest", digest()).Refused(http.StatusForbidden, "refunder_cannot_decide")
	decide(w.Viewer, "approve", "digest", digest()).Refused(http.StatusForbidden, "permission_denied")
	decide(w.Owner, "approve").Refused(http.StatusBadRequest, "digest_required")
	decide(w.Owner, "cancel").Refused(http.StatusForbidden, "not_refunder")
	seen := digest()
	refundOf(w, w.Owner, p.ID, "amount", "1.00").Expect(http.StatusCreated) // what was seen has changed
	decide(w.Owner, "approve", "digest", seen).Refused(http.StatusConflict, "refund_changed")
	done := decide(w.Owner, "approve", "digest", digest(), "note", "Seen the goods").Expect(http.StatusOK)
	equal(t, "approved", done.At("data.status"), any("succeeded"))
	equal(t, "the decision", done.At("data.decisions.0.verdict"), any("approve"))
	decide(w.Owner, "reject", "digest", seen, "reason", "No").Refused(http.StatusConflict, "refund_not_pending")
	equal(t, "events", w.Events("refund."), []string{"refund.requested", "refund.succeeded", "refund.requested", "refund.requested", "refund.approved", "refund.succeeded"})

	id = idOf(refundOf(w, w.Finance, p.ID, "amount", "39.00").Expect(http.StatusCreated))
	refundOf(w, w.Owner, p.ID, "amount_minor", 1).Refused(http.StatusBadRequest, "refund_exceeds_payment")
	no := decide(w.Owner, "reject", "digest", digest(), "reason", "Not returned").Expect(http.StatusOK)
	equal(t, "rejected", no.At("data.failure_code"), any("rejected"))
	id = idOf(refundOf(w, w.Finance, p.ID, "amount", "39.00").Expect(http.StatusCreated)) // its amount is free again
	decide(w.Finance, "cancel").Expect(http.StatusOK)
	w.AssertBooks(t)

	t.Run("an amount in another currency is above any limit", func(t *testing.T) {
		w := billingtest.New(t)
		twoRefund(w, 1_000_000)
		p := w.Pay(w.OpenInvoice("1.00", func(in *invoices.CreateInput) { in.Currency = "EUR" }).ID)
		equal(t, "status", refundOf(w, w.Finance, p.ID).Expect(http.StatusCreated).At("data.status"), any("pending_approval"))
	})
	t.Run("two logins of one person are one", func(t *testing.T) {
		w := billingtest.New(t)
		twoRefund(w, 1)
		p := w.Pay(w.OpenInvoice("1.00").ID)
		email := uuid.NewString() + "@people.test"
		made, err := w.Accounts.CreateUser(w.Owner.Ctx, accounts.CreateUserInput{Email: email, Name: "Puppet", Password: "a password of the owner's", Role: auth.RoleFinance})
		if err != nil {
			t.Fatal(err)
		}
		puppet := tenancy.Enter(t.Context(), auth.Principal{Kind: auth.KindUser, UserID: made.UserID, TenantID: w.Tenant.ID, Role: auth.RoleFinance, Permissions: auth.PermissionsOf(auth.RoleFinance), Label: email})
		asked, err := w.Payments.Refund(puppet, payments.RefundInput{PaymentID: p.ID, Reason: payments.RefundOther})
		if err != nil {
			t.Fatal(err)
		}
		id := uuid.MustParse(asked.Refund.ID)
		digest := w.As(w.Viewer).Get(refundPath(id, "")).Expect(http.StatusOK).Text("data.digest")
		w.As(w.Owner).Post(refundPath(id, "approve/"), body("digest", digest)).Refused(http.StatusForbidden, "password_reset_between_refunders")
	})
}

// TestRefundWindow: S0D-05.
func TestRefundWindow(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := w.Pay(w.OpenInvoice("10.00").ID)
	force(t, "UPDATE payments SET processed_at = now() - interval '91 days' WHERE tenant_id = ?", w.Tenant.ID)
	refundOf(w, w.Finance, p.ID).Refused(http.StatusConflict, "refund_window_closed")
	refundOf(w, w.Finance, p.ID, "override_window", true).Refused(http.StatusForbidden, "permission_denied")
	a := refundOf(w, w.Owner, p.ID, "override_window", true, "amount_minor", 1, "payout_reference", "X").Expect(http.StatusCreated)
	equal(t, "it is kept", a.At("data.overrides_window"), any(true))
	equal(t, "and audited", count(t, "SELECT count(*) FROM audit_log WHERE tenant_id = ? AND action = 'refund.request' AND after::text LIKE '%overrides_window%'", w.Tenant.ID), 1)
	forever := 0
	w.Configure(tenancy.UpdateInput{RefundWindowDays: &forever})
	a = refundOf(w, w.Finance, p.ID, "override_window", true, "payout_reference", "X").Expect(http.StatusCreated)
	equal(t, "nothing to override", a.At("data.overrides_window"), any(false))
}

// TestWhoRefunds: members never, neighbours find nothing, and only money that was taken goes back.
func TestWhoRefunds(t *testing.T) {
	t.Parallel()
	w, neighbour := billingtest.New(t), billingtest.New(t)
	inv := w.OpenInvoice("10.00")
	p := w.Pay(inv.ID)
	waiting := w.Submit(w.OpenInvoice("10.00").ID)
	id := idOf(refundOf(w, w.Finance, p.ID, "amount_minor", 1).Expect(http.StatusCreated))
	w.Member.Token()
	w.Viewer.Token()
	before := w.Snapshot()
	refundOf(w, w.Member, p.ID).Refused(http.StatusForbidden, "permission_denied")
	w.As(w.Member).Get(refundPath(id, "")).Refused(http.StatusForbidden, "staff_only")
	refundOf(w, w.Viewer, p.ID).Refused(http.StatusForbidden, "permission_denied")
	refundOf(neighbour, neighbour.Owner, p.ID).Refused(http.StatusNotFound, "not_found")
	neighbour.As(neighbour.Owner).Get(refundPath(id, "")).Refused(http.StatusNotFound, "refund_not_found")
	neighbour.As(neighbour.Owner).Post(refundPath(id, "complete/"), body("payout_reference", "X")).Refused(http.StatusNotFound, "refund_not_found")
	neighbour.As(neighbour.Owner).Get(one(p.ID, "refunds/")).Refused(http.StatusNotFound, "not_found")
	unchanged(t, w, before)
	refundOf(w, w.Finance, waiting.ID).Refused(http.StatusConflict, "payment_not_refundable")
	mine := w.As(w.Member).Get(one(p.ID, "")).Expect(http.StatusOK)
	equal(t, "what is left", mine.At("data.refundable_amount"), any("10.00"))
}
