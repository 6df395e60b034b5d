package payments_test

import (
	"context"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/internal/database"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// What a backlog costs, counted and not timed: few round trips and commits for each settlement, as many statements for
// each set, and no transaction that was begun without being committed, which is what a deadlock or a lost race leaves.
// That every list reads an index is what TestPlans of this package, of the ledger and of the migrations are about.
func TestBacklogIsSettledInFewRoundTrips(t *testing.T) {
	t.Parallel()
	const n, set = 4000, 1000
	var mu sync.Mutex
	var trips, statements int
	seen := map[string]int{}
	db, err := database.Open(database.Config{URL: testkit.OwnerURL(), Role: database.AppRole, MaxConns: 8, Trace: func(_ context.Context, sent ...string) {
		mu.Lock()
		defer mu.Unlock()
		trips++
		for _, query := range sent {
			if strings.HasPrefix(query, "SET ") { // the tenant of a transaction
				continue
			}
			statements++
			seen[query]++
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w := billingtest.New(t)
	backlog(t, w, n)
	worker := w.Replica(db)
	mu.Lock()
	trips, statements, seen = 0, 0, map[string]int{} // whatever building the replica has asked
	mu.Unlock()
	worker.SettleAll()
	mu.Lock()
	defer mu.Unlock()

	equal(t, "unsettled", unsettled(t, w), 0)
	equal(t, "begun and committed", seen["BEGIN"], seen["COMMIT"])
	times := func(fragment string) (n int) {
		for query, count := range seen {
			if strings.Contains(query, fragment) {
				n += count
			}
		}
		return n
	}
	for _, each := range []string{"UPDATE payments", "UPDATE invoices", "FROM invoices", "INSERT INTO ledger_entries", "INSERT INTO audit_log"} {
		equal(t, each, times(each), n/set)
	}
	// a writer that finds nothing left asks once: begin, claim and commit, in two round trips
	idle := seen["COMMIT"] - n/set
	if most := runtime.GOMAXPROCS(0) + 1; idle < 1 || idle > most {
		t.Errorf("%d transactions found nothing, want one for each writer, of which there are at most %d", idle, most)
	}
	// the first set opens the accounts, which this database's memory does not have yet, and the others find them there
	opening := times("ledger_open")
	equal(t, "openings", opening, 1)
	trips, statements = trips-2*idle, statements-3*idle-opening
	if trips > n*5/100 || seen["COMMIT"]-idle > n/100 {
		t.Errorf("%d settlements took %d round trips and %d commits", n, trips, seen["COMMIT"]-idle)
	}
	if per := statements / (n / set); statements%(n/set) != 0 || per > 10 {
		t.Errorf("%d sets took %d statements: %v", n/set, statements, seen)
	}
	w.AssertBooks(t)

	// A set locks payments and invoices in the order of their ids: of the set, whose rows are looked up one after the other, or of the key of
	// payments, which the planner may prefer to walk along while the table has a few rows.
	for table, pattern := range map[string]string{
		"payments": `Nested Loop[^>]*->  (Subquery Scan on s(?s:.*)Index Scan using payments_pkey|Index Scan using payments_pkey(?s:.*)Subquery Scan on s)`,
		"invoices": `Nested Loop[^>]*->  Subquery Scan on a(?s:.*)Tid Scan on invoices`,
	} {
		var query string
		for text := range seen {
			if strings.Contains(text, "UPDATE "+table) {
				query = text
			}
		}
		err := tenancy.Read(w.System, testkit.DB(t), func(ctx context.Context, tx bun.Tx) error {
			if plan := testkit.Explain(ctx, t, tx, query); !regexp.MustCompile(pattern).MatchString(plan) {
				t.Errorf("%s are not locked in the order of their ids:\n%s", table, plan)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// What invoices owe is read without locking them. When one has changed before it is written the set begins anew, and locks it.
func TestInvoiceChangesWhileItIsSettled(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	backlog(t, w, 20)
	var mu sync.Mutex
	written, locked := 0, 0
	db, err := database.Open(database.Config{URL: testkit.OwnerURL(), Role: database.AppRole, MaxConns: 4, Trace: func(_ context.Context, sent ...string) {
		mu.Lock()
		defer mu.Unlock()
		for _, query := range sent {
			switch {
			case strings.Contains(query, "UPDATE invoices"):
				if written++; written == 1 {
					force(t, "UPDATE invoices SET notes = 'changed', version = version + 1 WHERE tenant_id = ? AND id = (SELECT min(invoice_id::text)::uuid FROM payments WHERE tenant_id = ?0)", w.Tenant.ID)
				}
			case strings.Contains(query, "FROM invoices") && strings.Contains(query, "FOR NO KEY UPDATE"):
				locked++
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w.Replica(db).SettleAll()
	equal(t, "written", written, 2)
	equal(t, "locked", locked, 1)
	equal(t, "unsettled", unsettled(t, w), 0)
	equal(t, "set aside", count(t, "SELECT count(*) FROM payments WHERE tenant_id = ? AND set_aside <> ''", w.Tenant.ID), 0)
	equal(t, "changes that were lost", count(t, "SELECT 1 - count(*) FROM invoices WHERE tenant_id = ? AND notes = 'changed'", w.Tenant.ID), 0)
	w.AssertBooks(t)
}
