package billing_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing"
	"countersign/billing/billingtest"
	"countersign/billing/ledger"
	"countersign/internal/apps"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// TestRepair posts, one after the other, what each package would post for objects that do not exist, and takes it back as
// the hints of verify say (S1-08, S1-27).
func TestRepair(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	inv := w.OpenInvoice("100.00")
	w.Pay(inv.ID)
	customer, lost := w.Account.ID, uuid.Must(uuid.NewV7())
	repair := func(ctx context.Context, id uuid.UUID, reason string) error {
		return ledger.Repair(ctx, testkit.DB(t), billing.Kinds(), id, reason)
	}
	unchanged := func(t *testing.T, before map[string]string) {
		t.Helper()
		if diff := cmp.Diff(before, w.Snapshot()); diff != "" {
			t.Errorf("something was changed (-before +after):\n%s", diff)
		}
	}
	paid := []ledger.Entry{{Account: ledger.Clearing("bank_transfer", "USD"), AmountMinor: 700}, {Account: ledger.Receivable(customer, "USD"), AmountMinor: -700}}
	for _, tt := range []struct {
		finds  string
		posted ledger.Posting
	}{
		{"payments.E003", ledger.Posting{Cause: "payment:" + lost.String() + ":settle", Kind: ledger.KindPaymentSettled, PaymentID: lost, CustomerID: customer, Entries: paid}},
		{"payments.E009", ledger.Posting{Cause: "refund:" + lost.String(), Kind: ledger.KindPaymentRefunded, CustomerID: customer, Entries: paid}},
		{"invoices.E005", ledger.Posting{Cause: "invoice:" + lost.String() + ":finalize", Kind: ledger.KindInvoiceFinalized, InvoiceID: lost, CustomerID: customer, Entries: paid}},
		{"invoices.E010", ledger.Posting{Cause: "adjustment:" + lost.String(), Kind: ledger.KindWrittenOff, InvoiceID: w.OpenInvoice("5.00").ID, CustomerID: customer, Entries: paid}},
		{"fx.E003", ledger.Posting{Cause: "fx:" + lost.String() + ":convert", Kind: ledger.KindFXConverted, CustomerID: customer, Entries: paid}},
		{"ledger.E008", ledger.Posting{Cause: "fraud", Kind: "unknown", Entries: paid}},
	} {
		t.Run("what "+tt.finds+" finds is no finding once it is repaired", func(t *testing.T) {
			w.AssertBooks(t)
			var posted *ledger.Transaction
			err := tenancy.InTx(w.System, testkit.DB(t), func(ctx context.Context, tx bun.Tx) (err error) {
				if err = ledger.Post(ctx, tx, tt.posted); err == nil {
					posted, err = ledger.TransactionOf(ctx, tx, tt.posted.Cause)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			found := w.Verify()
			for _, id := range []string{tt.finds, "ledger.E008"} {
				if found[id] == nil || !slices.ContainsFunc(found[id].Places, func(p apps.Place) bool { return p.Object == posted.ID }) {
					t.Errorf("%s does not name it: %v", id, found[id])
				}
			}
			before := w.Snapshot()
			if err := repair(w.System, posted.ID, ""); err == nil {
				t.Error("it was repaired for no reason")
			}
			if err := repair(billingtest.New(t).System, posted.ID, "mine"); !errors.Is(err, ledger.ErrCaused) {
				t.Errorf("to a neighbour: %v", err)
			}
			unchanged(t, before)
			if err := repair(w.System, posted.ID, "posted by mistake"); err != nil {
				t.Fatal(err)
			}
			w.AssertBooks(t)
			before = w.Snapshot()
			if err := repair(w.System, posted.ID, "once more"); !errors.Is(err, ledger.ErrCaused) {
				t.Errorf("again: %v", err)
			}
			unchanged(t, before)
		})
	}
	t.Run("what has a cause stays", func(t *testing.T) {
		before := w.Snapshot()
		for _, posted := range w.Posted(inv.ID) {
			if err := repair(w.System, posted.ID, "to see"); !errors.Is(err, ledger.ErrCaused) {
				t.Errorf("%s of %s: %v", posted.Kind, posted.Cause, err)
			}
		}
		unchanged(t, before)
	})
}

// TestRepairOfTwins posts everything that a story has posted once more, and repairs that: no proof minds a twin that is gone.
func TestRepairOfTwins(t *testing.T) {
	t.Parallel()
	for _, story := range []string{"credits_returned", "credit_applied", "credit_note", "write_off_reversed", "invoice_void", "refund_both", "payment_moved", "conversion_difference"} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			w := teller{billingtest.NewInTestMode(t), t}
			stories[story](w)
			var ids, twins []uuid.UUID
			w.Read(func(ctx context.Context, tx bun.Tx) error {
				return tx.NewRaw("SELECT id FROM ledger_transactions WHERE tenant_id = ? ORDER BY id", w.Tenant.ID).Scan(ctx, &ids)
			})
			for _, id := range ids {
				twin := uuid.Must(uuid.NewV7())
				err := tenancy.InTx(w.System, testkit.DB(t), func(ctx context.Context, tx bun.Tx) error {
					_, err := tx.NewRaw(`WITH header AS (
							INSERT INTO ledger_transactions (tenant_id, id, cause, kind, lines, customer_id, invoice_id, payment_id, posted_by)
							SELECT t.tenant_id, ?1, 'again:' || t.id, t.kind, t.lines, t.customer_id, t.invoice_id, t.payment_id, t.posted_by FROM ledger_transactions AS t WHERE t.tenant_id = ?0 AND t.id = ?2)
						INSERT INTO ledger_entries (tenant_id, transaction_id, line, ledger_account_id, amount_minor, currency)
						SELECT e.tenant_id, ?1, e.line, e.ledger_account_id, e.amount_minor, e.currency FROM ledger_entries AS e WHERE e.tenant_id = ?0 AND e.transaction_id = ?2`,
						w.Tenant.ID, twin, id).Exec(ctx)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				twins = append(twins, twin)
			}
			if f := w.Verify()["ledger.E008"]; f == nil || len(f.Places) != len(twins) {
				t.Errorf("%d twins, found is %v", len(twins), f)
			}
			slices.Reverse(twins) // so that no credit is missing in between
			for _, twin := range twins {
				if err := ledger.Repair(w.System, testkit.DB(t), billing.Kinds(), twin, "posted twice"); err != nil {
					t.Fatal(err)
				}
			}
			w.AssertBooks(t)
		})
	}
}
