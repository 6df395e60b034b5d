package billingtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/apps"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// Events gives the names of the tenant's events in the order in which they happened, those that begin with one of the
// prefixes; without any, all. An event that goes by two names gives both.
func (w *World) Events(prefixes ...string) []string {
	w.t.Helper()
	var all []string
	w.owner("SELECT n.name FROM events, LATERAL (VALUES (1, type), (2, also)) AS n(place, name) WHERE tenant_id = ? AND n.name <> '' ORDER BY created_at, id, n.place", &all)
	return keep(all, prefixes)
}

// Audited gives the actions in the tenant's audit log, like Events.
func (w *World) Audited(prefixes ...string) []string {
	w.t.Helper()
	var all []string
	w.owner("SELECT action FROM audit_log WHERE tenant_id = ? ORDER BY created_at, id", &all)
	return keep(all, prefixes)
}

func keep(words, prefixes []string) []string {
	kept := []string{}
	for _, word := range words {
		wanted := len(prefixes) == 0
		for _, p := range prefixes {
			wanted = wanted || strings.HasPrefix(word, p)
		}
		if wanted {
			kept = append(kept, word)
		}
	}
	return kept
}

// Balance is the sum of the entries of an account of the chart; positive is a debit.
func (w *World) Balance(ref ledger.Ref) int64 {
	w.t.Helper()
	var sum ledger.Sum
	w.Read(func(ctx context.Context, tx bun.Tx) (err error) {
		sum, err = ledger.Balance(ctx, tx, ref.ID(ctx), nil)
		return err
	})
	minor, fits := sum.Minor()
	if !fits {
		w.t.Fatalf("the balance of %s is %s", ref, sum)
	}
	return minor
}

// Posted gives what was posted for a payment or an invoice, in the order of posting, with entries.
func (w *World) Posted(id uuid.UUID) []ledger.Transaction {
	w.t.Helper()
	var causes []string
	w.must(testkit.OwnerDB(w.t).NewRaw("SELECT cause FROM ledger_transactions WHERE tenant_id = ? AND ? IN (payment_id, invoice_id) ORDER BY id", w.Tenant.ID, id).Scan(w.t.Context(), &causes))
	list := make([]ledger.Transaction, len(causes))
	w.Read(func(ctx context.Context, tx bun.Tx) error {
		for i, cause := range causes {
			t, err := ledger.TransactionOf(ctx, tx, cause)
			if err != nil {
				return err
			}
			list[i] = *t
		}
		return nil
	})
	return list
}

// Reverse takes back in the ledger alone what was posted under a cause, as nobody does through the application.
func (w *World) Reverse(cause, as string) {
	w.t.Helper()
	w.must(tenancy.InTx(w.System, w.DB, func(ctx context.Context, tx bun.Tx) error {
		posted, err := ledger.TransactionOf(ctx, tx, cause)
		if err != nil {
			return err
		}
		return ledger.Reverse(ctx, tx, posted.ID, as, "a test")
	}))
}

// GiveCredit takes cash for nothing yet, which the tenant owes to a customer from then on.
func (w *World) GiveCredit(account uuid.UUID, amount money.Money) {
	w.t.Helper()
	_, err := w.Payments.TakeCash(w.Owner.Ctx, payments.CashInput{Account: account.String(), Currency: amount.Currency, Reference: w.Reference(), Prepayment: true,
		Amount: func(money.Currency) (*money.Money, error) { return &amount, nil }})
	w.must(err)
}

// AssertBooks fails the test unless the books are right: every currency sums to zero, and everything that countersign
// verify checks is as it should be, but for the checks that the test has broken itself.
func (w *World) AssertBooks(t testing.TB, broken ...string) {
	t.Helper()
	w.Read(func(ctx context.Context, tx bun.Tx) error {
		trial, err := ledger.TrialBalance(ctx, tx, nil)
		if err == nil && !trial.Balanced() {
			t.Errorf("the trial balance is not zero: %+v", trial.Totals)
		}
		return err
	})
	for id, finding := range w.Verify() {
		if !slices.Contains(broken, id) {
			t.Errorf("%s: %s", id, finding.What)
		}
	}
}

// Verify gives what countersign verify would find in the tenant, by the ids of its checks.
func (w *World) Verify() map[string]*apps.Finding {
	w.t.Helper()
	found := map[string]*apps.Finding{}
	for _, app := range w.Apps {
		for _, check := range app.Checks {
			if !check.Deep {
				continue
			}
			finding, err := check.Run(w.System)
			w.must(err)
			if finding != nil {
				found[check.ID] = finding
			}
		}
	}
	return found
}

// Tamper changes rows of the tenant past all guards but constraints, as only a superuser can. The query takes the
// tenant's id first. It fails the test when it changes nothing.
func (w *World) Tamper(query string, args ...any) {
	w.t.Helper()
	w.must(testkit.OwnerDB(w.t).RunInTx(w.t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.ExecContext(ctx, "SET LOCAL session_replication_role = replica"); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, query, append([]any{w.Tenant.ID}, args...)...)
		if err != nil {
			return err
		}
		if n, _ := res.RowsAffected(); n == 0 {
			return errors.New("nothing was tampered with: " + query)
		}
		return nil
	}))
}

// owner runs a query over the tenant's rows, whose id it takes once, as the owner of the schema.
func (w *World) owner(query string, into any) {
	w.t.Helper()
	w.must(testkit.OwnerDB(w.t).NewRaw(query, w.Tenant.ID).Scan(w.t.Context(), into))
}

// snapshotTables hold everything that a payment can touch.
var snapshotTables = []string{"payments", "payment_evidence", "invoices", "decisions", "evidence", "events", "audit_log", "outbox",
	"idempotency_keys", "ledger_transactions", "ledger_entries", "ledger_balances"}

// Snapshot gives a hash of all rows of the tenant for each table that a payment can touch. Two equal snapshots mean that
// nothing happened in between.
func (w *World) Snapshot() map[string]string {
	w.t.Helper()
	all := map[string]string{}
	for _, table := range snapshotTables {
		var hash []string
		w.owner("SELECT coalesce(md5(string_agg(r::text, ';' ORDER BY r::text)), 'empty') FROM "+table+" AS r WHERE tenant_id = ?", &hash)
		all[table] = hash[0]
	}
	return all
}
