package payments_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"countersign/accounts"
	"countersign/billing/billingtest"
	"countersign/billing/payments"
	"countersign/internal/database"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// crowd gives the tenant n settled payments of an account, on one invoice, each a second older than the one before.
func crowd(t *testing.T, w *billingtest.World, account *accounts.Account, n int) {
	t.Helper()
	force(t, `INSERT INTO payments (tenant_id, id, account_id, invoice_id, method, gateway, amount_minor, received_minor, applied_minor, excess_minor, currency, status,
		reference, reference_norm, submitted_by, created_at, approved_at, processed_at)
		SELECT ?, gen_random_uuid(), ?, gen_random_uuid(), 'bank_transfer', 'manual', 100, 100, 100, 0, 'USD', 'succeeded', 'CROWD ' || g, 'CROWD' || g, ?,
		now() - g * interval '1 second', now(), now() FROM generate_series(1, ?) AS g`, w.Tenant.ID, account.ID, w.Member.ID, n)
}

// S0-100, S0-102: what people and workers wait for reads an index, however many payments there are.
func TestPlans(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	crowd(t, w, w.NewAccount(accounts.CreateAccountInput{Holder: "Crowd"}), 20_000)
	crowd(t, w, w.Account, 100)
	w.Configure(tenancy.UpdateInput{AllowParallelClaims: ptr(true)})
	inv := w.OpenInvoice("1000.00")
	for range 5 {
		w.Approve(w.Submit(inv.ID).ID, w.Approver)
		w.Submit(inv.ID)
	}
	if _, err := testkit.OwnerDB(t).ExecContext(t.Context(), "ANALYZE payments"); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var sent []string
	db, err := database.Open(database.Config{URL: testkit.OwnerURL(), Role: database.AppRole, MaxConns: 1, Trace: func(_ context.Context, statements ...string) {
		mu.Lock()
		defer mu.Unlock()
		for _, query := range statements {
			if strings.Contains(query, `"payments"`) || strings.Contains(query, "FROM payments") || strings.Contains(query, "FROM settlement_queue") {
				sent = append(sent, query)
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	watched := w.Replica(db)
	get := func(p *billingtest.Person, path string) func() {
		token := p.Token()
		return func() { watched.Anonymous().As(token).Get(path).Expect(http.StatusOK) }
	}
	for _, c := range []struct {
		name, index string
		as          context.Context
		call        func()
	}{
		{"a page of the tenant", "payments_pkey", w.Viewer.Ctx, get(w.Viewer, list+"?cursor=")},
		{"a page of the tenant, counted", "payments_pkey", w.Viewer.Ctx, get(w.Viewer, list)},
		{"a page of a member", "payments_account_idx", w.Member.Ctx, get(w.Member, list+"?cursor=")},
		{"a page of an account", "payments_account_idx", w.Viewer.Ctx, get(w.Viewer, list+"?cursor=&account="+w.Account.ID.String())},
		{"transactions", "payments_pkey", w.Viewer.Ctx, get(w.Viewer, base+"/transactions/?cursor=")},
		{"payments of an invoice", "payments_invoice_idx", w.Viewer.Ctx, get(w.Viewer, base+"/invoices/"+inv.ID.String()+"/payments/?cursor=")},
		{"payments of an invoice, for a member", "payments_invoice_idx", w.Member.Ctx, get(w.Member, base+"/invoices/"+inv.ID.String()+"/payments/?cursor=")},
		{"a search by reference", "payments_reference_idx", w.Viewer.Ctx, get(w.Viewer, list+"?cursor=&search=crowd%2019999")},
		{"a search by id", "payments_pkey", w.Viewer.Ctx, get(w.Viewer, list+"?cursor=&search="+uuid.NewString())},
		{"what has failed", "payments_rare_status_idx", w.Viewer.Ctx, get(w.Viewer, list+"?status=failed&cursor=")},
		{"what has failed, counted", "payments_rare_status_idx", w.Viewer.Ctx, get(w.Viewer, list+"?status=failed")},
		{"what was refunded", "payments_rare_status_idx", w.Viewer.Ctx, get(w.Viewer, list+"?status=refunded&cursor=")},
		{"what was refunded in part", "payments_rare_status_idx", w.Viewer.Ctx, get(w.Viewer, list+"?status=partially_refunded&cursor=")},
		{"what was withdrawn", "payments_rare_status_idx", w.Viewer.Ctx, get(w.Viewer, list+"?status=cancelled&cursor=")},
		{"what has expired", "payments_rare_status_idx", w.Viewer.Ctx, get(w.Viewer, list+"?status=expired&cursor=")},
		{"what is held", "payments_rare_status_idx", w.Viewer.Ctx, get(w.Viewer, list+"?status=authorized&cursor=")},
		{"what the payer must finish", "payments_rare_status_idx", w.Viewer.Ctx, get(w.Viewer, list+"?status=pending&cursor=")},
		{"what nobody was asked for", "payments_rare_status_idx", w.Viewer.Ctx, get(w.Viewer, list+"?status=created&cursor=")},
		{"what is open", "payments_", // several at once: whichever indexes cost least
			w.Viewer.Ctx, get(w.Viewer, list+"?status=open&cursor=")},
		{"what is at its provider or with the worker", "payments_in_flight_idx", w.Viewer.Ctx, get(w.Viewer, list+"?status=processing&cursor=")},
		{"transactions that were cancelled", "payments_rare_status_idx", w.Viewer.Ctx, get(w.Viewer, base+"/transactions/?status=canceled&cursor=")},
		{"what waits for a decision", "payments_undecided_idx", w.Viewer.Ctx, get(w.Viewer, list+"?status=pending_approval&cursor=")},
		{"the queue", "payments_undecided_idx", w.Viewer.Ctx, func() {
			err := tenancy.Read(w.Viewer.Ctx, db, func(ctx context.Context, tx bun.Tx) error {
				_, err := payments.Undecided(ctx, tx, 100)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}},
		{"the same claim again", "payments_reference", w.Member.Ctx, func() {
			if _, err := watched.Payments.SubmitManual(w.Member.Ctx, w.Claim(inv.ID)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sent = nil
			c.call()
			if len(sent) == 0 {
				t.Fatal("no statement was seen")
			}
			used := false
			for _, query := range sent {
				plan := explain(t, w, c.as, query)
				used = used || strings.Contains(plan, c.index)
				if strings.Contains(plan, "Seq Scan on payments") && !strings.Contains(query, "capped") { // the count reads up to ten thousand rows
					t.Errorf("%s\n%s", query, plan)
				}
			}
			if !used {
				t.Errorf("%s is not used by any of:\n%s", c.index, strings.Join(sent, "\n"))
			}
		})
	}
}

// The claim of the settlement walks along its key and stops, and takes what it has found by its place: it reads what it
// takes, however much waits, whatever the planner believes.
func TestPlanOfTheClaim(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	found := planIn(t, w, "settlement_claim", regexp.MustCompile(`(?s)ARRAY\((.*?)\);`), "tenant uuid", "after uuid", "most integer", "shards integer", "shard integer")
	if !strings.Contains(found, "Index Scan using settlement_queue_pkey") || !strings.Contains(found, "payment_id > $2") || strings.Contains(found, "Sort") || strings.Contains(found, "Bitmap") {
		t.Error(found)
	}
	taken := planIn(t, w, "settlement_take", regexp.MustCompile(`(?s)RETURN QUERY (.*?);`), "tenant uuid", "places tid[]")
	if !strings.Contains(taken, "Tid Scan") || strings.Contains(taken, "Index") {
		t.Error(taken)
	}
}

// planIn gives the plan, for all values, of a statement in a function, with the function's settings.
func planIn(t *testing.T, w *billingtest.World, function string, statement *regexp.Regexp, parameters ...string) string {
	t.Helper()
	var lines []string
	err := tenancy.InTx(w.System, w.DB, func(ctx context.Context, tx bun.Tx) error {
		var source string
		var settings []string
		if err := tx.NewRaw("SELECT prosrc, proconfig FROM pg_proc WHERE proname = ?", function).Scan(ctx, &source, pgdialect.Array(&settings)); err != nil {
			return err
		}
		for _, s := range append(settings, "plan_cache_mode = force_generic_plan") {
			if _, err := tx.ExecContext(ctx, "SET LOCAL "+s); err != nil {
				return err
			}
		}
		query := statement.FindStringSubmatch(source)[1]
		types, values := []string{}, []string{}
		for i, p := range parameters {
			name, typ, _ := strings.Cut(p, " ")
			query = regexp.MustCompile(`([^.])\b`+name+`\b`).ReplaceAllString(query, fmt.Sprintf("${1}$$%d", i+1))
			types, values = append(types, typ), append(values, "NULL")
		}
		if _, err := tx.ExecContext(ctx, "PREPARE looked ("+strings.Join(types, ", ")+") AS "+query); err != nil {
			return err
		}
		defer tx.ExecContext(ctx, "DEALLOCATE looked")
		return tx.NewRaw("EXPLAIN EXECUTE looked ("+strings.Join(values, ", ")+")").Scan(ctx, &lines)
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// explain gives the plan of a statement as its sender gets it.
func explain(t *testing.T, w *billingtest.World, ctx context.Context, query string) (plan string) {
	t.Helper()
	err := tenancy.InTx(ctx, w.DB, func(ctx context.Context, tx bun.Tx) error {
		plan = testkit.Explain(ctx, t, tx, query)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// What everybody asks for is one statement for all; what is asked for with values of its own is planned for them.
func TestListsThatArePrepared(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	var mu sync.Mutex
	var pages []string
	db, err := database.Open(database.Config{URL: testkit.OwnerURL(), Role: database.AppRole, Trace: func(_ context.Context, statements ...string) {
		mu.Lock()
		defer mu.Unlock()
		for _, query := range statements {
			if strings.Contains(query, `FROM "payments"`) && !strings.Contains(query, "capped") {
				pages = append(pages, query)
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	watched := w.Replica(db)
	cursor := base64.RawURLEncoding.EncodeToString([]byte(`{"t":"2026-01-01T00:00:00Z","i":"` + uuid.Must(uuid.NewV7()).String() + `"}`))
	for _, c := range []struct {
		query    string
		prepared bool
	}{
		{"", true},
		{"?page_size=100", true},
		{"?cursor=", true},
		{"?ordering=created_at&cursor=" + cursor, true},
		{"?cursor=&page_size=50", true},
		{"?page_size=26", false},
		{"?page=2", false},
		{"?status=succeeded", false},
		{"?cursor=&account=" + w.Account.ID.String(), false},
	} {
		pages = nil
		watched.Anonymous().As(w.Viewer.Token()).Get(list + c.query).Expect(http.StatusOK)
		mu.Lock()
		if len(pages) != 1 || strings.Contains(pages[0], "$1") != c.prepared || strings.Contains(pages[0], w.Tenant.ID.String()) == c.prepared {
			t.Errorf("%s: prepared should be %v: %q", c.query, c.prepared, pages)
		}
		mu.Unlock()
	}
}
