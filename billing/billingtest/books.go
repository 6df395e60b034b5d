package billingtest

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/ledger"
	"countersign/internal/testkit"
)

// Events gives the types of the tenant's events in the order in which they happened, those that begin with one of the
// prefixes; without any, all.
func (w *World) Events(prefixes ...string) []string {
	w.t.Helper()
	var all []string
	w.owner("SELECT type FROM events WHERE tenant_id = ? ORDER BY created_at, id", &all)
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
	var sum int64
	w.Read(func(ctx context.Context, tx bun.Tx) (err error) {
		sum, err = ledger.Balance(ctx, tx, ref.ID(ctx), nil)
		return err
	})
	return sum
}

// wrongs finds what must never be, each query with a sentence about it. They read the rows as they are, and not through
// the code under test.
var wrongs = []struct{ what, query string }{
	{"an invoice's paid amount is not the sum of what payments applied to it", `
SELECT i.id FROM invoices i LEFT JOIN payments p ON p.tenant_id = i.tenant_id AND p.invoice_id = i.id
WHERE i.tenant_id = ? GROUP BY i.id, i.paid_minor HAVING i.paid_minor <> coalesce(sum(p.applied_minor), 0)`},
	{"an invoice is paid above its total", `SELECT id FROM invoices WHERE tenant_id = ? AND paid_minor > total_minor`},
	{"an invoice counts other claims than it has", `
SELECT i.id FROM invoices i LEFT JOIN payments p ON p.tenant_id = i.tenant_id AND p.invoice_id = i.id AND p.status IN ('pending_approval', 'processing')
WHERE i.tenant_id = ? GROUP BY i.id, i.pending_claims HAVING i.pending_claims <> count(p.id)`},
	{"a payment is not posted once when it succeeded, and never before", `
SELECT p.id FROM payments p LEFT JOIN ledger_transactions l ON l.tenant_id = p.tenant_id AND l.payment_id = p.id
WHERE p.tenant_id = ? GROUP BY p.id, p.status HAVING count(l.id) <> (p.status = 'succeeded')::int`},
	{"a payment's money is not all applied or owed to the customer", `
SELECT id FROM payments WHERE tenant_id = ? AND status = 'succeeded' AND applied_minor + excess_minor <> received_minor`},
	{"an account's receivable is not what its invoices say", `
SELECT b.ledger_account_id FROM ledger_balances b JOIN ledger_accounts a ON a.tenant_id = b.tenant_id AND a.id = b.ledger_account_id AND a.code = 'receivable'
LEFT JOIN invoices i ON i.tenant_id = b.tenant_id AND i.account_id = a.customer_id AND i.currency = a.currency AND i.status NOT IN ('draft', 'void')
WHERE b.tenant_id = ? GROUP BY b.ledger_account_id, b.amount_minor HAVING b.amount_minor <> coalesce(sum(i.balance_minor), 0)`},
}

// AssertBooks fails the test unless the books are right: every currency sums to zero, cached balances are the sums of
// their entries, and invoices, payments and ledger tell the same story.
func (w *World) AssertBooks(t testing.TB) {
	t.Helper()
	w.Read(func(ctx context.Context, tx bun.Tx) error {
		trial, err := ledger.TrialBalance(ctx, tx, nil)
		if err == nil && !trial.Balanced() {
			t.Errorf("the trial balance is not zero: %+v", trial.Totals)
		}
		return err
	})
	problems, err := ledger.Verify(w.System, w.DB)
	w.must(err)
	for _, p := range problems {
		t.Errorf("ledger: %+v", p)
	}
	for _, wrong := range wrongs {
		var ids []uuid.UUID
		if w.owner(wrong.query, &ids); len(ids) > 0 {
			t.Errorf("%s: %v", wrong.what, ids)
		}
	}
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
