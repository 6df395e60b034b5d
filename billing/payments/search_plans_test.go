package payments_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"countersign/billing/billingtest"
	"countersign/billing/payments"
	"countersign/internal/database"
	"countersign/internal/testkit"
)

// clicks gives the tenant n payments by Click, each a second older than the one before, and what they are found by: random
// as hashes are.
func clicks(t testing.TB, w *billingtest.World, n int) {
	t.Helper()
	force(t, `INSERT INTO payments (tenant_id, id, account_id, method, gateway, amount_minor, currency, status, details, submitted_by, created_at)
		SELECT ?0, overlay(gen_random_uuid()::text placing lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') from 1 for 13)::uuid, ?1, 'other', 'click', 100, 'USD', 'created',
		jsonb_build_object('merchant_trans_id', 'crowd-' || g, 'payment_id', g, 'payment_status', g % 7, 'sign_time', to_char(at, 'YYYY-MM-DD HH24:MI:SS')), ?2, at
		FROM generate_series(1, ?3) AS g, LATERAL (SELECT now() - g * interval '1 second' AS at) AS a`, w.Tenant.ID, w.Account.ID, w.Member.ID, n)
	force(t, `INSERT INTO payment_terms (tenant_id, term, payment_id, account_id)
		SELECT tenant_id, sha256(convert_to(id::text || k, 'UTF8')), id, account_id FROM payments, generate_series(1, 2) AS k WHERE tenant_id = ?`, w.Tenant.ID)
	if _, err := testkit.OwnerDB(t).ExecContext(t.Context(), "ANALYZE payments, payment_terms"); err != nil {
		t.Fatal(err)
	}
}

// S0D-37, W-30: equality asks the index of terms, what has no such index reads the gateway's payments in their order, and
// never more of them than a caller can wait for.
func TestSearchPlans(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	clicks(t, w, payments.MaxSearched+100)
	by(t, w, "click", `{"merchant_trans_id":"needle","payment_id":7}`, named("needle"))
	by(t, w, "octo", `{"card_masked_pan":"860012******1234"}`, named("sealed"))

	var mu sync.Mutex
	var sent []string
	db, err := database.Open(database.Config{URL: testkit.OwnerURL(), Role: database.AppRole, MaxConns: 1, Trace: func(_ context.Context, statements ...string) {
		mu.Lock()
		defer mu.Unlock()
		for _, query := range statements {
			if strings.Contains(query, `"payments"`) {
				sent = append(sent, query)
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	watched := w.Replica(db)
	for _, c := range []struct {
		name  string
		by    *billingtest.Person
		body  map[string]any
		found string
		index string
	}{
		{"an id", w.Viewer, search("click", "merchant_trans_id", "=", "needle"), "needle", "payment_terms_pkey"},
		{"an id, by a member", w.Member, search("click", "merchant_trans_id", "=", "needle"), "needle", "payment_terms_pkey"},
		{"ids", w.Viewer, search("click", "merchant_trans_id", "in", []any{"needle", "other"}), "needle", "payment_terms_pkey"},
		{"a number", w.Viewer, search("click", "payment_id", "=", 7), "needle", "payment_terms_pkey"},
		{"a sealed value", w.Viewer, search("octo", "card_masked_pan", "=", "860012******1234"), "sealed", "payment_terms_pkey"},
		{"a range in a time", w.Viewer, search("click", "payment_id", "between", []any{10, 11}, "created_after", watched.Clock.Now().AddDate(-50, 0, 0).Format("2006-01-02"),
			"created_before", "1999-01-01"), "", "payments_gateway_idx"},
	} {
		t.Run(c.name, func(t *testing.T) {
			sent = nil
			equal(t, "found", found(watched.As(c.by).Post(list+"search/", c.body).Expect(http.StatusOK)), c.found)
			if len(sent) == 0 {
				t.Fatal("no statement was seen")
			}
			for _, query := range sent {
				if strings.Contains(query, "$1") {
					t.Errorf("a search is planned for what it looks for, and this one was prepared: %s", query)
				}
				plan := explain(t, w, c.by.Ctx, query)
				if !strings.Contains(plan, c.index) || strings.Contains(plan, "Seq Scan on payment") {
					t.Errorf("%s\n%s", query, plan)
				}
			}
		})
	}
	t.Run("what would read too much is refused, and narrower is not", func(t *testing.T) {
		wide := search("click", "payment_id", "between", []any{20, 21})
		watched.As(w.Viewer).Post(list+"search/", wide).Refused(http.StatusBadRequest, "search_too_wide")
		var at string
		if err := testkit.OwnerDB(t).NewRaw("SELECT to_char((min(created_at) + interval '1 hour') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM payments WHERE tenant_id = ?",
			w.Tenant.ID).Scan(t.Context(), &at); err != nil {
			t.Fatal(err)
		}
		wide["created_after"] = at
		a := watched.As(w.Viewer).Post(list+"search/", wide).Expect(http.StatusOK)
		equal(t, "count", fmt.Sprint(a.At("count")), "2")
	})
}
