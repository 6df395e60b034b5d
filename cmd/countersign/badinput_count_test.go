package main

import (
	"net/http"
	"strings"
	"testing"

	"countersign/billing/billingtest"
	"countersign/internal/testkit"
	"countersign/internal/web"
)

// TestCount: a list counts up to a limit, and beyond it does not pretend (S0-102).
func TestCount(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	program(t, w)
	list := func(query string) testkit.Answer { return w.As(w.Owner).Get(base + "/accounts/" + query) }
	there := list("").Expect(http.StatusOK).Int("count")
	fill := func(rows int64) {
		t.Helper()
		_, err := testkit.OwnerDB(t).ExecContext(t.Context(), `INSERT INTO accounts SELECT (jsonb_populate_record(a, jsonb_build_object('id', gen_random_uuid(),
			'number', gen_random_uuid()::text, 'external_id', null))).* FROM accounts AS a, generate_series(1, ?) WHERE a.tenant_id = ? AND a.id = ?`, rows, w.Tenant.ID, w.Account.ID)
		if err != nil {
			t.Fatal(err)
		}
	}
	fill(web.CountLimit - there)
	full := enveloped(t, list("").Expect(http.StatusOK), listKeys...)
	if n := full.Int("count"); n != web.CountLimit {
		t.Errorf("%d of %d rows are counted", n, web.CountLimit)
	}
	fill(1)
	more := enveloped(t, list("").Expect(http.StatusOK), append([]string{"count_is_exact"}, listKeys...)...)
	if n := more.Int("count"); n != web.CountLimit || more.At("count_is_exact") != false {
		t.Errorf("one row more is counted as %d, exact: %v", n, more.At("count_is_exact"))
	}
	enveloped(t, list("?cursor=").Expect(http.StatusOK), "success", "next", "previous", "results", "request_id")
	if last := list("?page=100&page_size=100").Expect(http.StatusOK); len(last.List("results")) != 100 || last.At("next") == nil {
		t.Errorf("the last page that is counted: %.300s", last.Raw)
	}
	list("?page=101&page_size=100").Refused(http.StatusBadRequest, "validation_failed")
	if schema := w.Anonymous().Get("/api/schema/"); !strings.Contains(string(schema.Raw), `"count_is_exact":{`) {
		t.Error("the document does not tell of count_is_exact")
	}
	if page := w.Browse(w.Handler, w.Owner).Get("/console/accounts/"); !strings.Contains(page.Body, "of more than 10000") {
		t.Errorf("the console's list does not say that there are more: %s", page.Body)
	}
}
