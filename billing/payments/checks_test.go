package payments_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/tenancy"
)

func settlementOf(payment uuid.UUID) string { return "payment:" + payment.String() + ":settle" }

// TestChecks holds S1-08: no change of money without entries, and no entries without a change of money.
func TestChecks(t *testing.T) {
	t.Parallel()
	post := func(t *testing.T, w *billingtest.World, p ledger.Posting) {
		t.Helper()
		if err := tenancy.InTx(w.System, w.DB, func(ctx context.Context, tx bun.Tx) error { return ledger.Post(ctx, tx, p) }); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name  string
		check string
		// also are the checks of others and of ours that see the same damage from their side
		also   string
		what   string // of what is found, after the object
		breaks func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment)
	}{
		{"a settled payment without entries", "payments.E001", "invoices.E002 invoices.E003 ledger.E005", "succeeded over 5500 USD, posted 0 times",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				w.Tamper(`WITH t AS (DELETE FROM ledger_transactions WHERE tenant_id = ?0 AND payment_id = ?1 RETURNING id)
					DELETE FROM ledger_entries e USING t WHERE e.tenant_id = ?0 AND e.transaction_id = t.id`, settled.ID)
			}},
		{"a payment that became money by hand", "payments.E001", "payments.E004 payments.E005 payments.E014", "succeeded over 2000 USD, posted 0 times",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				w.Tamper(`UPDATE payments SET status = 'succeeded', applied_minor = amount_minor, excess_minor = 0, processed_at = now() WHERE tenant_id = ? AND id = ?`, waiting.ID)
			}},
		{"entries of a payment that nobody approved", "payments.E001", "payments.E002 invoices.E002 invoices.E003 ledger.E008", "pending_approval over 2000 USD, posted 1 times",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				post(t, w, ledger.Posting{Cause: "x", Kind: ledger.KindPaymentSettled, CustomerID: w.Account.ID, InvoiceID: waiting.InvoiceID, PaymentID: waiting.ID, Entries: []ledger.Entry{
					{Account: ledger.Clearing("bank_transfer", "USD"), AmountMinor: 2000}, {Account: ledger.Receivable(w.Account.ID, "USD"), AmountMinor: -2000}}})
			}},
		{"a payment that was posted twice", "payments.E001", "payments.E002 ledger.E008", "succeeded over 5500 USD, posted 2 times",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				post(t, w, ledger.Posting{Cause: "x", Kind: ledger.KindPaymentSettled, CustomerID: w.Account.ID, InvoiceID: settled.InvoiceID, PaymentID: settled.ID, Entries: []ledger.Entry{
					{Account: ledger.Clearing("bank_transfer", "USD"), AmountMinor: 500}, {Account: ledger.CustomerCredit(w.Account.ID, "USD"), AmountMinor: -500}}})
			}},
		{"a settlement that was reversed", "payments.E001", "invoices.E002 invoices.E003 ledger.E008", "succeeded over 5500 USD, posted 0 times",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				w.Reverse(settlementOf(settled.ID), "by hand")
			}},
		{"a settlement without an invoice that was reversed", "payments.E001", "ledger.E008", "succeeded over 700 USD, posted 0 times",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				seven := money.New(700, "USD")
				paid, err := w.Payments.TakeCash(w.Owner.Ctx, payments.CashInput{Currency: "USD", Reference: w.Reference(), Amount: func(money.Currency) (*money.Money, error) { return &seven, nil }})
				if err != nil {
					t.Fatal(err)
				}
				w.AssertBooks(t)
				w.Reverse(settlementOf(uuid.MustParse(paid.ID)), "by hand")
			}},
		{"money that came into another account", "payments.E002", "", "received 5500 USD on clearing:bank_transfer, 5000 applied, 0 earned and 500 too much; entries say 5500 on discounts:, 5000, 0 and 500",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				w.OpenInvoice("5.00", func(in *invoices.CreateInput) { in.Lines[0].Discount = "1.00" }) // makes the account
				w.Tamper(`UPDATE ledger_entries e SET ledger_account_id = a.id FROM ledger_transactions t, ledger_accounts a
					WHERE e.tenant_id = ?0 AND t.tenant_id = ?0 AND a.tenant_id = ?0 AND t.id = e.transaction_id AND t.payment_id = ?1 AND e.amount_minor > 0 AND a.code = 'discounts'`, settled.ID)
			}},
		{"entries over another amount", "payments.E002", "", "received 5500 USD on clearing:bank_transfer, 5000 applied, 0 earned and 500 too much; entries say 5501 on clearing:bank_transfer, 5000, 1 and 500",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				w.Tamper(`WITH t AS (SELECT id FROM ledger_transactions WHERE tenant_id = ?0 AND payment_id = ?1), more AS (
						UPDATE ledger_entries e SET amount_minor = e.amount_minor + 1 FROM t WHERE e.tenant_id = ?0 AND e.transaction_id = t.id AND e.line = 1),
					header AS (UPDATE ledger_transactions h SET lines = 4 FROM t WHERE h.tenant_id = ?0 AND h.id = t.id)
					INSERT INTO ledger_entries (tenant_id, transaction_id, line, ledger_account_id, amount_minor, currency)
					SELECT ?0, t.id, 4, a.id, -1, 'USD' FROM t, ledger_accounts a WHERE a.tenant_id = ?0 AND a.code = 'revenue'`, settled.ID)
			}},
		{"money that went to another customer", "payments.E002", "ledger.E005 ledger.E008", "received 5500 USD on clearing:bank_transfer, 5000 applied, 0 earned and 500 too much; entries say 5500 on clearing:bank_transfer, 5000, 0 and 500",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				post(t, w, ledger.Posting{Cause: "x", Kind: "x", Entries: []ledger.Entry{{Account: ledger.Bank("USD"), AmountMinor: 1}, {Account: ledger.CustomerCredit(w.Other.ID, "USD"), AmountMinor: -1}}})
				w.Tamper(`UPDATE ledger_entries e SET ledger_account_id = other.id FROM ledger_accounts mine, ledger_accounts other
					WHERE e.tenant_id = ?0 AND mine.tenant_id = ?0 AND other.tenant_id = ?0 AND e.ledger_account_id = mine.id
					AND mine.code = 'customer_credit' AND mine.customer_id = ?1 AND other.code = 'customer_credit' AND other.customer_id = ?2`, w.Account.ID, w.Other.ID)
			}},
		{"entries for a payment that does not exist", "payments.E003", "ledger.E008", "payment_settled for payment 01900000-0000-7000-8000-000000000000",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				post(t, w, ledger.Posting{Cause: "x", Kind: ledger.KindPaymentSettled, PaymentID: uuid.MustParse("01900000-0000-7000-8000-000000000000"), Entries: []ledger.Entry{
					{Account: ledger.Bank("USD"), AmountMinor: 1}, {Account: ledger.Suspense("USD"), AmountMinor: -1}}})
			}},
		{"a settlement that names no payment", "payments.E003", "ledger.E008", "payment_settled for no payment",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				post(t, w, ledger.Posting{Cause: "x", Kind: ledger.KindPaymentSettled, Entries: []ledger.Entry{
					{Account: ledger.Bank("USD"), AmountMinor: 1}, {Account: ledger.Suspense("USD"), AmountMinor: -1}}})
			}},
		{"an invoice that has forgotten its payment", "payments.E004", "invoices.E002 invoices.E003", "open, paid 0 USD, its payments applied 5000, refunds took 0",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				w.Tamper("UPDATE invoices SET status = 'open', paid_at = NULL, paid_minor = 0, balance_minor = total_minor WHERE tenant_id = ? AND id = ?", settled.InvoiceID)
			}},
		{"a claim that an invoice does not count", "payments.E005", "", "0 are counted, 1 are waiting",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				w.Tamper("UPDATE invoices SET pending_claims = 0, clock_paused_at = NULL WHERE tenant_id = ? AND id = ?", waiting.InvoiceID)
			}},
		{"a claim that nobody has made", "payments.E005", "", "2 are counted, 1 are waiting",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				w.Tamper("UPDATE invoices SET pending_claims = 2 WHERE tenant_id = ? AND id = ?", waiting.InvoiceID)
			}},
		{"an approved payment that the worker will never see", "payments.E006", "", "approved, not in the queue",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				w.Approve(waiting.ID, w.Approver)
				w.Tamper("DELETE FROM settlement_queue WHERE tenant_id = ? AND payment_id = ?", waiting.ID)
			}},
		{"a payment in the queue that nobody approved", "payments.E006", "", "in the queue, and unknown",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				w.Tamper(`INSERT INTO settlement_queue (tenant_id, payment_id, account_id, invoice_id, method, amount_minor, received_minor, currency, approved_at)
					SELECT tenant_id, id, account_id, invoice_id, method, amount_minor, amount_minor, currency, now() FROM payments WHERE tenant_id = ? AND id = ?`, waiting.ID)
			}},
		{"money that nobody has approved", "payments.E014", "", "succeeded over 2000 USD, nobody has approved it",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				err := tenancy.InTx(w.System, w.DB, func(ctx context.Context, tx bun.Tx) error { // as the program's own role, which the triggers let pass
					_, err := tx.NewRaw("UPDATE payments SET status = 'processing', approved_at = now(), received_minor = amount_minor WHERE tenant_id = ? AND id = ?", w.Tenant.ID, waiting.ID).Exec(ctx)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				w.SettleAll()
			}},
		{"a payment with one approval of two", "payments.E014", "", "succeeded over 5500 USD, 1 of 2 have approved 5500",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				w.Tamper("UPDATE decisions SET required = 2 WHERE tenant_id = ? AND subject_id = ?", settled.ID)
			}},
		{"a payment that its submitter has approved", "payments.E014", "", "succeeded over 5500 USD, 1 of 1 have approved 5500, who has submitted it among them",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				w.Tamper("UPDATE decisions SET user_id = ?2 WHERE tenant_id = ?0 AND subject_id = ?1", settled.ID, w.Member.ID)
			}},
		{"a payment over another amount than was approved", "payments.E014", "", "succeeded over 5500 USD, 1 of 1 have approved 5499",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				w.Tamper("UPDATE decisions SET received_minor = 5499 WHERE tenant_id = ? AND subject_id = ?", settled.ID)
			}},
		{"a waiting payment that nobody approved", "payments.E014", "", "processing over 2000 USD, nobody has approved it",
			func(t *testing.T, w *billingtest.World, settled, waiting *payments.Payment) {
				w.Approve(waiting.ID, w.Approver)
				w.Tamper("DELETE FROM decisions WHERE tenant_id = ? AND subject_id = ?", waiting.ID)
			}},
	} {
		t.Run("find "+tt.name, func(t *testing.T) {
			t.Parallel()
			w := billingtest.New(t)
			settled := w.Submit(w.OpenInvoice("50.00").ID)
			w.Approve(settled.ID, w.Approver, received(5500))
			w.SettleAll()
			waiting := w.Submit(w.OpenInvoice("20.00").ID)
			w.Reject(w.Submit(w.OpenInvoice("7.00").ID).ID, w.Approver, "Not ours")
			w.AssertBooks(t)
			tt.breaks(t, w, w.Payment(settled.ID), waiting)
			found := w.Verify()
			want := append(strings.Fields(tt.also), tt.check)
			slices.Sort(want)
			if diff := cmp.Diff(want, slices.Sorted(maps.Keys(found))); diff != "" {
				t.Fatal(diff)
			}
			if f := found[tt.check]; !strings.Contains(f.What, "("+tt.what+")") || !strings.HasSuffix(f.Hint, ".") {
				t.Errorf("it says %+v", f)
			}
		})
	}
}

// TestMendedReversals: who reverses something by mistake reverses the reversal, and what was there before stands again, for every proof.
func TestMendedReversals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, check string
		cause       func(paid, refund, back uuid.UUID) string
	}{
		{"of a settlement", "payments.E001", func(paid, _, _ uuid.UUID) string { return settlementOf(paid) }},
		{"of a refund", "payments.E011", func(_, refund, _ uuid.UUID) string { return "refund:" + refund.String() }},
		{"of a refund that was taken back", "payments.E011", func(_, _, back uuid.UUID) string { return "refund:" + back.String() + ":reverse" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := billingtest.New(t)
			paid, given := w.Pay(w.OpenInvoice("50.00").ID).ID, w.Pay(w.OpenInvoice("100.00").ID).ID
			refund := idOf(refundOf(w, w.Owner, given, "amount_minor", 1000, "payout_reference", "X"))
			back := idOf(refundOf(w, w.Owner, given, "amount_minor", 500, "payout_reference", "Y"))
			reverseRefund(w, w.Owner, back).Expect(http.StatusOK)
			w.AssertBooks(t)
			cause := tt.cause(paid, refund, back)
			finds := func(check string, want bool, when string) {
				t.Helper()
				if found := w.Verify()[check]; (found != nil) != want {
					t.Errorf("%s finds %+v once %s", check, found, when)
				}
			}
			w.Reverse(cause, "mistaken")
			finds(tt.check, true, "it was reversed")
			w.Reverse("mistaken", "mended")
			w.AssertBooks(t)
			w.Reverse("mended", "mistaken again")
			finds(tt.check, true, "its mending was reversed")
			w.Reverse("mistaken again", "mended at last")
			finds(tt.check, false, "that was mended as well")

			w.Tamper("UPDATE payments SET amount_minor = amount_minor + 1, received_minor = received_minor + 1, excess_minor = excess_minor + 1 WHERE tenant_id = ? AND id = ?", paid)
			finds("payments.E002", true, "the amount of a settlement that stands was changed")
			w.Tamper("UPDATE ledger_transactions SET corrects = (SELECT r.id FROM ledger_transactions r WHERE r.tenant_id = ?0 AND r.cause = 'mended at last') WHERE tenant_id = ?0 AND cause = ?1", cause)
			finds("ledger.E008", true, "everything reverses something")
		})
	}
}
