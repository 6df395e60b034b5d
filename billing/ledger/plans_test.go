package ledger_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/ledger"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

var (
	scans = regexp.MustCompile(`Seq Scan on ledger_\w+`)
	sorts = regexp.MustCompile(`(^|-> +)Sort `)
)

// TestPlans asks PostgreSQL how it serves what the routes really send, among 40,000 entries: always by an index, and
// lists without sorting what they do not show.
func TestPlans(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	customers := b.customers(20_000)
	last := ledger.Posting{}
	for n := 0; n < 20_000; {
		postings := make([]ledger.Posting, 500)
		for i := range postings {
			postings[i] = payment(customers[n%len(customers)], 100)
			n++
		}
		b.mustPost(postings...)
		last = postings[0]
	}
	for _, table := range []string{"ledger_entries", "ledger_transactions", "ledger_accounts", "ledger_balances"} {
		if _, err := testkit.OwnerDB(t).ExecContext(t.Context(), "ANALYZE ?", bun.Ident(table)); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	var seen []string
	db, err := database.Open(database.Config{URL: testkit.OwnerURL(), Role: database.AppRole, MaxConns: 1, Trace: func(_ context.Context, statements ...string) {
		mu.Lock()
		defer mu.Unlock()
		for _, query := range statements {
			if strings.HasPrefix(query, "SELECT") {
				seen = append(seen, query)
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r := web.NewRouter()
	r.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(tenancy.Enter(r.Context(), auth.Principal{Kind: auth.KindUser, TenantID: b.tenant, Permissions: auth.PermissionsOf(auth.RoleOwner)})))
		})
	})
	web.Mount(r, ledger.App(db, nil).URLs)

	hot, own := ledger.Clearing("bank_transfer", "USD").ID(b.ctx).String(), ledger.Receivable(customers[7], "USD").ID(b.ctx).String()
	middle := b.transactionOf(last.Cause).ID.String() + ":1"
	for _, tt := range []struct {
		name, path string
		maySort    bool // what it selects is small
	}{
		{"first page of entries", "entries/?cursor=", false},
		{"next page of entries", "entries/?cursor=" + middle, false},
		{"oldest entries first", "entries/?ordering=created_at&cursor=", false},
		{"entries of a busy account", "entries/?cursor=&account=" + hot, false},
		{"next page of a busy account", "entries/?account=" + hot + "&cursor=" + middle, false},
		{"entries of a customer's ledger account", "entries/?cursor=&account=" + own, true},
		{"entries of a payment", "entries/?cursor=&payment_id=" + last.PaymentID.String(), true},
		{"entries of an invoice", "entries/?cursor=&invoice_id=" + uuid.NewString(), true},
		{"entries before a time", "entries/?cursor=&created_before=2020-01-01", false},
		{"pages with a count", "entries/?page=2", false},
		{"the chart", "accounts/?cursor=", false},
		{"an account", "accounts/" + own + "/", false},
		{"a balance at a time", "accounts/" + own + "/balance/?as_of=2120-01-01", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seen = nil
			w := httptest.NewRecorder()
			r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/billing/ledger/"+tt.path, nil))
			if w.Code != http.StatusOK || len(seen) == 0 {
				t.Fatalf("status %d, %d statements: %s", w.Code, len(seen), w.Body)
			}
			for _, query := range seen {
				plan := b.explain(query)
				if found := scans.FindString(plan); found != "" && !strings.Contains(query, "AS capped") { // a count stops at 10,000 rows, however it reads them
					t.Errorf("%s\n%s\n%s", found, query, plan)
				}
				if !tt.maySort && strings.Contains(query, "LIMIT 26") && sorts.MatchString(plan) {
					t.Errorf("sorts all rows\n%s\n%s", query, plan)
				}
			}
		})
	}
}

func (b *book) explain(query string) (plan string) {
	b.t.Helper()
	b.read(func(ctx context.Context, tx bun.Tx) error {
		plan = testkit.Explain(ctx, b.t, tx, query)
		return nil
	})
	return plan
}
