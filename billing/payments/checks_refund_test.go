package payments_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/database"
	"countersign/tenancy"
)

// TestChecksOfRefunds breaks what the proofs of refunds look for.
func TestChecksOfRefunds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, check, also, what string
		breaks                  func(w *billingtest.World, refund uuid.UUID)
	}{
		{"a refund that became money by hand", "payments.E007", "payments.E004 payments.E008", "succeeded over 500 USD, no entries", func(w *billingtest.World, _ uuid.UUID) {
			w.Tamper(`UPDATE refunds SET status = 'succeeded', payout_reference = 'X', succeeded_at = now(), invoice_minor = amount_minor, credit_minor = 0, revenue_minor = 0 WHERE tenant_id = ? AND status = 'pending'`)
		}},
		{"a refund that was undone by hand", "payments.E007", "ledger.E008 payments.E004 payments.E008", "pending over 1000 USD, entries say 1000 off clearing:bank_transfer, 1000 and 0 of tax returned and 0 of credit", func(w *billingtest.World, id uuid.UUID) {
			w.Tamper(`UPDATE refunds SET status = 'pending', succeeded_at = NULL, invoice_minor = NULL, credit_minor = NULL, revenue_minor = NULL, credit_note_id = NULL WHERE tenant_id = ? AND id = ?`, id)
		}},
		{"a refund from another source than was posted", "payments.E007", "payments.E004", "succeeded over 1000 USD, entries say 1000 off clearing:bank_transfer, 1000 and 0 of tax returned and 0 of credit", func(w *billingtest.World, id uuid.UUID) {
			w.Tamper(`UPDATE refunds SET invoice_minor = 0, credit_minor = amount_minor WHERE tenant_id = ? AND id = ?`, id)
		}},
		{"a payment that counts too little", "payments.E008", "", "partially_refunded, 999 of 10000 USD refunded, its refunds say 1000", func(w *billingtest.World, _ uuid.UUID) {
			w.Tamper(`UPDATE payments SET refunded_minor = 999 WHERE tenant_id = ?`)
		}},
		{"a payment in the wrong state", "payments.E008", "", "refunded, 1000 of 10000 USD refunded, its refunds say 1000", func(w *billingtest.World, _ uuid.UUID) {
			w.Tamper(`UPDATE payments SET status = 'refunded' WHERE tenant_id = ?`)
		}},
		{"a posting without a refund", "payments.E009", "ledger.E008", "payment_refunded for refund:elsewhere", func(w *billingtest.World, _ uuid.UUID) {
			posting := ledger.Posting{Cause: "refund:elsewhere", Kind: ledger.KindPaymentRefunded, Entries: []ledger.Entry{
				{Account: ledger.SalesReturns("USD"), AmountMinor: 1}, {Account: ledger.Clearing("bank_transfer", "USD"), AmountMinor: -1}}}
			if err := tenancy.InTx(w.System, w.DB, func(ctx context.Context, tx bun.Tx) error { return ledger.Post(ctx, tx, posting) }); err != nil {
				t.Error(err)
			}
		}},
		{"a refund that nobody has approved", "payments.E010", "", "succeeded over 1000 USD, approved by 0", func(w *billingtest.World, id uuid.UUID) {
			w.Tamper(`UPDATE refunds SET by_one = false, approved_at = now() WHERE tenant_id = ? AND id = ?`, id)
		}},
		{"a refund above the limit that one person has made", "payments.E010", "", "succeeded over 1000 USD, by one person, when 1000 of the payment went back and the limit is 999 USD", func(w *billingtest.World, _ uuid.UUID) {
			twoRefund(w, 999)
			w.Tamper(`UPDATE refunds SET status = 'cancelled', cancelled_at = now() WHERE tenant_id = ? AND status = 'pending'`)
			w.Tamper(`UPDATE tenants SET updated_at = updated_at - interval '1 hour' WHERE id = ?`)
		}},
		{"refunds that are above the limit together", "payments.E010", "", "pending over 500 USD, by one person, when 1500 of the payment went back and the limit is 1000 USD", func(w *billingtest.World, _ uuid.UUID) {
			twoRefund(w, 1000)
			w.Tamper(`UPDATE tenants SET updated_at = updated_at - interval '1 hour' WHERE id = ?`)
		}},
		{"refunds that are above the limit together, though somebody has saved the settings as they are", "payments.E010", "", "pending over 500 USD, by one person, when 1500 of the payment went back and the limit is 1000 USD", func(w *billingtest.World, _ uuid.UUID) {
			twoRefund(w, 1000)
			w.Tamper(`UPDATE tenants SET updated_at = updated_at - interval '1 hour' WHERE id = ?`)
			w.As(w.Owner).Patch(billingtest.Base+"/tenant/", body()).Expect(http.StatusOK)
			twoRefund(w, 1000)
		}},
		{"a refund that left another account than its payment came into", "payments.E007", "", "succeeded over 1000 USD, entries say 1000 off cash:, 1000 and 0 of tax returned and 0 of credit", func(w *billingtest.World, id uuid.UUID) {
			w.GiveCredit(w.Account.ID, money.New(1, "USD")) // makes the account
			w.Tamper(`UPDATE ledger_entries e SET ledger_account_id = a.id FROM ledger_transactions t, ledger_accounts a
				WHERE e.tenant_id = ?0 AND t.tenant_id = ?0 AND a.tenant_id = ?0 AND t.id = e.transaction_id AND t.cause = 'refund:' || ?1::text AND e.amount_minor < 0 AND a.code = 'cash'`, id)
		}},
		{"a refund whose tax stays ours", "payments.E007", "invoices.E011", "succeeded over 1000 USD, entries say 1000 off clearing:bank_transfer, 1000 and 0 of tax returned and 0 of credit", func(w *billingtest.World, _ uuid.UUID) {
			w.Tamper(`UPDATE credit_notes SET net_minor = net_minor - 10, tax_minor = 10 WHERE tenant_id = ?`)
		}},
		{"a refund whose credit note is denied", "payments.E007", "", "succeeded over 1000 USD, entries say 1000 off clearing:bank_transfer, 1000 and 0 of tax returned and 0 of credit", func(w *billingtest.World, id uuid.UUID) {
			w.Tamper(`UPDATE refunds SET owed_again = true, credit_note_id = NULL WHERE tenant_id = ? AND id = ?`, id)
		}},
		{"a refund that was taken back by hand", "payments.E011", "payments.E004 payments.E008", "reversed over 1000 USD, reversed 0 times, 0 moved to credit", func(w *billingtest.World, id uuid.UUID) {
			w.Tamper(`UPDATE refunds SET status = 'reversed', reversed_at = now(), reversal_reason = 'x', moved_minor = 0 WHERE tenant_id = ? AND id = ?`, id)
		}},
		{"a refund that is reversed in the ledger only", "payments.E011", "ledger.E008", "succeeded over 1000 USD, reversed 1 times, 0 moved to credit", func(w *billingtest.World, id uuid.UUID) {
			err := tenancy.InTx(w.System, w.DB, func(ctx context.Context, tx bun.Tx) error {
				posted, err := ledger.TransactionOf(ctx, tx, "refund:"+id.String())
				if err != nil {
					return err
				}
				return ledger.Reverse(ctx, tx, posted.ID, "by hand", "x")
			})
			if err != nil {
				t.Error(err)
			}
		}},
		{"a payment that was moved to credit for no reason", "payments.E009", "invoices.E003 ledger.E008", "payment_moved for refund:elsewhere:credit", func(w *billingtest.World, _ uuid.UUID) {
			posting := ledger.Posting{Cause: "refund:elsewhere:credit", Kind: ledger.KindPaymentMoved, CustomerID: w.Account.ID, Entries: []ledger.Entry{
				{Account: ledger.Receivable(w.Account.ID, "USD"), AmountMinor: 1}, {Account: ledger.CustomerCredit(w.Account.ID, "USD"), AmountMinor: -1}}}
			if err := tenancy.InTx(w.System, w.DB, func(ctx context.Context, tx bun.Tx) error { return ledger.Post(ctx, tx, posting) }); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := billingtest.New(t)
			p := w.Pay(w.OpenInvoice("100.00").ID)
			id := idOf(refundOf(w, w.Owner, p.ID, "amount_minor", 1000, "payout_reference", "X"))
			refundOf(w, w.Owner, p.ID, "amount_minor", 500)
			w.AssertBooks(t)
			tt.breaks(w, id)
			found := w.Verify()
			finding := found[tt.check]
			if finding == nil || len(finding.Places) != 1 || finding.Places[0].Detail != tt.what {
				t.Fatalf("%s finds %+v, want %s", tt.check, finding, tt.what)
			}
			delete(found, tt.check)
			equal(t, "what others find", strings.Join(slices.Sorted(maps.Keys(found)), " "), tt.also)
		})
	}
}

// TestWhatSQLRefusesOfRefunds: nobody gives back more than was taken, or changes what was asked for (W-10).
func TestWhatSQLRefusesOfRefunds(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := w.Pay(w.OpenInvoice("100.00").ID)
	waiting := w.Submit(w.OpenInvoice("100.00").ID)
	done := idOf(refundOf(w, w.Owner, p.ID, "amount_minor", 4000, "payout_reference", "X"))
	open := idOf(refundOf(w, w.Owner, p.ID, "amount_minor", 5000))
	insert := func(payment uuid.UUID, minor int64, currency, status string) error {
		return raw(w.System, w, `INSERT INTO refunds (tenant_id, id, payment_id, amount_minor, currency, status, mode, reason, by_one, requested_label)
			VALUES ($1, gen_random_uuid(), $2, $3, $4, $5, 'manual', 'other', true, 'x')`, w.Tenant.ID, payment, minor, currency, status)
	}
	for name, err := range map[string]error{"refunds_sum_check": insert(p.ID, 1001, "USD", "pending"), "refunds_payment_check": insert(waiting.ID, 1, "USD", "pending")} {
		if !database.IsCheck(err, name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, err := range []error{insert(p.ID, 1, "EUR", "pending"), insert(p.ID, 1, "USD", "cancelled"), insert(p.ID, 0, "USD", "pending"), insert(uuid.New(), 1, "USD", "pending")} {
		if err == nil {
			t.Error("a refund was taken that cannot be")
		}
	}
	for _, change := range []struct {
		id   uuid.UUID
		sets []string
	}{
		{open, []string{"amount_minor = 1", "currency = 'EUR'", "payment_id = '" + waiting.ID.String() + "'", "mode = 'api'", "reason = 'dispute'", "requested_label = 'y'", "by_one = false",
			"status = 'succeeded'", "status = 'pending_approval'", "status = 'failed'", "invoice_minor = 1", "next_ask_at = now()", "created_at = now()", "asked_at = now(), asked_minor = 1"}},
		{done, []string{"status = 'pending'", "status = 'failed', failed_at = now()", "payout_reference = 'Y'", "invoice_minor = 0, credit_minor = 4000", "note = 'x'", "asked_at = now()"}},
	} {
		for _, set := range change.sets {
			if err := raw(w.System, w, "UPDATE refunds SET "+set+" WHERE tenant_id = $1 AND id = $2", w.Tenant.ID, change.id); err == nil {
				t.Errorf("SET %s was taken", set)
			}
		}
	}
	if err := raw(w.System, w, "DELETE FROM refunds WHERE tenant_id = $1", w.Tenant.ID); err == nil {
		t.Error("refunds were deleted")
	}
	status(t, w, p.ID, payments.StatusPartiallyRefunded)
	w.AssertBooks(t)
}
