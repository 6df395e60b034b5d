package payments_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"countersign/billing/billingtest"
	"countersign/billing/payments"
	"countersign/internal/testkit"
)

// search is the body of a search by one condition, with more of what a list takes.
func search(gateway string, path any, op string, value any, more ...any) map[string]any {
	b := body(more...)
	b["gateway"], b["filters"] = gateway, []any{body("path", path, "op", op, "value", value)}
	return b
}

// named gives a payment an external id, by which searches are compared.
func named(name string) func(*payments.Payment) {
	return func(p *payments.Payment) { p.ExternalID = name }
}

// found are the external ids in a list's answer, sorted.
func found(a testkit.Answer) string {
	names := []string{}
	for i := range a.List("results") {
		names = append(names, a.Text(fmt.Sprintf("results.%d.external_id", i)))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// S0-101, W-02, W-03: values compare by their type, and what is of another type is not met.
func TestSearch(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	for name, details := range map[string]string{
		"nine": `{"payment_id":9,"merchant_trans_id":"B","sign_time":"2026-01-20 10:00:00"}`,
		"ten":  `{"payment_id":10,"merchant_trans_id":"a","sign_time":"2026-01-20T10:00:00+05:00"}`,
		"cent": `{"payment_id":1e2,"merchant_trans_id":"ä","sign_time":"2026-01-21 00:00:00.5"}`,
		"none": `{"error_note":"no id","params":{"lang":"uz"}}`,
	} {
		by(t, w, "click", details, named(name))
	}
	for name, data := range map[string]string{
		"text9": `{"n":"9","kind":"x"}`, "n9": `{"n":9,"kind":"y"}`, "n10": `{"n":10.50,"deep":{"list":[{"a":1},{"a":2}]}}`, "yes": `{"n":true}`, "null": `{"n":null}`, "obj": `{"n":{"m":1}}`,
		"odd": `{"it's \"odd\" {a,b} ? $1 \\":"';--","":"x"}`, "star": `{"*":"s","0":"zero"}`,
	} {
		if name == "odd" { // an empty key is stored, and cannot be asked for
			by(t, w, "integrator", `{"data":{"it's \"odd\" {a,b} ? $1 \\":"';--"}}`, named(name))
			continue
		}
		by(t, w, "integrator", `{"data":`+data+`}`, named(name))
	}
	by(t, w, "stripe", `{"items":[{"price_id":"p1","quantity":2},{"price_id":"p2","quantity":11}]}`, named("two"))
	by(t, w, "stripe", `{"items":[{"price_id":"p2","quantity":9,"adjustable_quantity":{"enabled":true}}]}`, named("one"))
	by(t, w, "octo", `{"test":true,"refunded_sum":0.10}`, named("test"))
	by(t, w, "octo", `{"test":false,"refunded_sum":99.5}`, named("live"))
	// what no path of ours writes: the comparison must not fail on it
	force(t, `UPDATE payments SET details = '{"payment_id":"not a number","sign_time":"2026-02-31 99:00:00","merchant_trans_id":7}' WHERE tenant_id = ? AND external_id = 'none'`, w.Tenant.ID)
	data := func(keys ...any) []any { return append([]any{"data"}, keys...) }

	for _, c := range []struct {
		gateway string
		path    any
		op      string
		value   any
		want    string
	}{
		{"click", "payment_id", "<", 10, "nine"}, // 9 < 10
		{"click", "payment_id", "<=", 10, "nine ten"},
		{"click", "payment_id", ">", 9, "cent ten"},
		{"click", "payment_id", ">=", 10.0, "cent ten"},
		{"click", "payment_id", "=", 100, "cent"},
		{"click", "payment_id", "!=", 100, "nine ten"},
		{"click", "payment_id", "between", []any{9, 10}, "nine ten"},
		{"click", "payment_id", "in", []any{9, 100, 7}, "cent nine"},
		{"CLICK", "payment_id", "BETWEEN", []any{10, 9}, ""},
		{"click", "merchant_trans_id", "=", "a", "ten"},
		{"click", "merchant_trans_id", "=", "A", ""},
		{"click", "merchant_trans_id", "<", "a", "nine"}, // bytewise
		{"click", "merchant_trans_id", ">", "b", "cent"},
		{"click", "merchant_trans_id", "=", "' OR 1=1 --", ""},
		{"click", "sign_time", "=", "2026-01-20T10:00:00Z", "nine"},
		{"click", "sign_time", "<", "2026-01-20T06:00:00Z", "ten"},
		{"click", "sign_time", ">", "2026-01-21", "cent"},
		{"click", "sign_time", "between", []any{"2026-01-20", "2026-01-20T15:00:00+05:00"}, "nine ten"},
		{"integrator", data("n"), "=", 9, "n9"},
		{"integrator", data("n"), "=", "9", "text9"},
		{"integrator", data("n"), ">", 9, "n10"},
		{"integrator", data("n"), "=", 10.5, "n10"},
		{"integrator", data("n"), "=", true, "yes"},
		{"integrator", data("n"), "!=", false, "yes"},
		{"integrator", data("n"), "in", []any{true}, "yes"},
		{"integrator", data("n"), ">=", "", "text9"},
		{"integrator", data("deep", "list", 1, "a"), "=", 2, "n10"},
		{"integrator", data("deep", "list", "1", "a"), ">", 1, "n10"},
		{"integrator", data("it's \"odd\" {a,b} ? $1 \\"), "=", "';--", "odd"},
		{"integrator", data("it's \"odd\" {a,b} ? $1 \\"), "<", "z", "odd"},
		{"integrator", data("*"), "=", "s", "star"},
		{"integrator", data("0"), "=", "zero", "star"},
		{"stripe", []any{"items", "0", "quantity"}, "<", 10, "one two"},
		{"stripe", []any{"items", 1, "quantity"}, ">", 9, "two"},
		{"stripe", []any{"items", "0", "price_id"}, "=", "p2", "one"},
		{"stripe", []any{"items", "0", "adjustable_quantity", "enabled"}, "=", true, "one"},
		{"octo", "test", "=", false, "live"},
		{"octo", "test", "!=", false, "test"},
		{"octo", "refunded_sum", "=", 0.1, "test"},
		{"octo", "refunded_sum", ">", 0.1, "live"},
		{"payme", "state", "=", 2, ""},
	} {
		t.Run(fmt.Sprint(c.gateway, c.path, c.op, c.value), func(t *testing.T) {
			a := w.As(w.Viewer).Post(list+"search/", search(c.gateway, c.path, c.op, c.value)).Expect(http.StatusOK)
			equal(t, "found", found(a), c.want)
			equal(t, "count", a.Int("count"), int64(len(strings.Fields(c.want))))
		})
	}
	t.Run("numbers with an exponent are numbers", func(t *testing.T) {
		a := w.As(w.Viewer).Post(list+"search/", `{"gateway":"click","filters":[{"path":"payment_id","op":"=","value":1e2}]}`).Expect(http.StatusOK)
		equal(t, "found", found(a), "cent")
	})
	t.Run("all conditions and all filters hold", func(t *testing.T) {
		b := body("gateway", "click", "status", "created", "payment_method", "other", "filters", []any{body("path", "payment_id", "op", ">", "value", 8),
			body("path", "merchant_trans_id", "op", "in", "value", []any{"a", "B"})})
		equal(t, "found", found(w.As(w.Viewer).Post(list+"search/", b).Expect(http.StatusOK)), "nine ten")
		b["status"] = "succeeded"
		equal(t, "found", found(w.As(w.Viewer).Post(list+"search/", b).Expect(http.StatusOK)), "")
	})
}

// Pages, cursors and counts are those of the list, and the same body is sent to next.
func TestSearchPages(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	for i := range 5 {
		by(t, w, "click", fmt.Sprintf(`{"service_id":%d}`, i), named(fmt.Sprint("p", i)))
	}
	by(t, w, "click", `{"service_id":1}`, named("theirs"), func(p *payments.Payment) { p.AccountID = w.Other.ID })
	read := func(p *billingtest.Person, b map[string]any) (pages []string) {
		t.Helper()
		path := list + "search/"
		for path != "" {
			a := w.As(p).Post(path, b).Expect(http.StatusOK)
			pages = append(pages, found(a))
			path = ""
			if next, ok := a.At("next").(string); ok {
				path = next
			}
		}
		return pages
	}
	equal(t, "pages", read(w.Viewer, search("click", "service_id", ">=", 0, "page_size", 4, "ordering", "created_at")), []string{"p0 p1 p2 p3", "p4 theirs"})
	equal(t, "by cursor", read(w.Viewer, search("click", "service_id", ">=", 0, "page_size", 4, "cursor", "")), []string{"p2 p3 p4 theirs", "p0 p1"})
	equal(t, "a member's", read(w.Member, search("click", "service_id", ">=", 0)), []string{"p0 p1 p2 p3 p4"})
	equal(t, "a member's of another account", read(w.Member, search("click", "service_id", ">=", 0, "account", w.Other.ID.String())), []string{""})
	b := search("click", "service_id", "<=", 1)
	a := w.As(w.Viewer).Post(list+"search/?page_size=1", b).Expect(http.StatusOK)
	equal(t, "count", a.Int("count"), int64(3))
	equal(t, "results", len(a.List("results")), 1)
	stranger := billingtest.New(t)
	equal(t, "another tenant's", read(stranger.Viewer, search("click", "service_id", ">=", 0)), []string{""})
}

func TestSearchRefusals(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	number := func(n int) []any { return slices.Repeat([]any{1}, n) }
	for _, c := range []struct {
		name  string
		body  map[string]any
		field string
		says  string
	}{
		{"an unknown gateway", search("visa", "id", "=", 1), "gateway", "click"},
		{"an unknown path", search("click", "octo_shop_id", "=", 1), "filters.0.path", "merchant_trans_id"},
		{"a path into a text", search("click", []any{"merchant_trans_id", "0"}, "=", "a"), "filters.0.path", "merchant_trans_id"},
		{"a path that is an object", search("stripe", "items", "=", "a"), "filters.0.path", "items/*/price_id"},
		{"a star in a path", search("stripe", []any{"items", "*", "price_id"}, "=", "a"), "filters.0.path", "items/*/price_id"},
		{"a secret", search("octo", "signature", "=", "a"), "filters.0.path", "rrn"},
		{"a quote in a path", search("click", `x' OR '1'='1`, "=", "a"), "filters.0.path", "merchant_trans_id"},
		{"an empty path", search("click", []any{}, "=", "a"), "filters.0.path", "key"},
		{"an empty key", search("integrator", []any{"data", ""}, "=", "a"), "filters.0.path", "key"},
		{"a fraction as a place", search("stripe", []any{"items", 0.5}, "=", "a"), "filters.0.path", "key"},
		{"an operator of another language", search("click", "service_id", "LIKE", 1), "filters.0.op", "between"},
		{"more of a sealed value", search("octo", "card_masked_pan", ">", "8"), "filters.0.op", "=, in"},
		{"more of true", search("octo", "test", ">", true), "filters.0.op", "=, !=, in"},
		{"between true and false", search("integrator", []any{"data", "a"}, "between", []any{true, false}), "filters.0.op", "=, !=, in"},
		{"a text for a number", search("click", "service_id", "=", "12"), "filters.0.value", "whole number"},
		{"a number for a text", search("click", "merchant_trans_id", "=", 12), "filters.0.value", "text"},
		{"a number for true", search("octo", "test", "=", 1), "filters.0.value", "true or false"},
		{"a day that is none", search("click", "sign_time", "=", "2026-02-31"), "filters.0.value", "time"},
		{"nothing", search("click", "service_id", "=", nil), "filters.0.value", "whole number"},
		{"an object", search("integrator", []any{"data", "a"}, "=", body("b", 1)), "filters.0.value", "text"},
		{"one value for two", search("click", "service_id", "between", 1), "filters.0.value", "two values"},
		{"three values for two", search("click", "service_id", "between", number(3)), "filters.0.value", "two values"},
		{"no values", search("click", "service_id", "in", []any{}), "filters.0.value", "1 to 100"},
		{"too many values", search("click", "service_id", "in", number(101)), "filters.0.value", "1 to 100"},
		{"values of two types", search("integrator", []any{"data", "a"}, "in", []any{1, "1"}), "filters.0.value", "number"},
		{"no conditions", body("gateway", "click", "filters", []any{}), "filters", ""},
		{"an unknown status", search("click", "service_id", "=", 1, "status", "lost"), "status", "succeeded"},
		{"an unknown order", search("click", "service_id", "=", 1, "ordering", "amount"), "ordering", "created_at"},
		{"page 0", search("click", "service_id", "=", 1, "page", 0), "page", "1"},
		{"a made-up cursor", search("click", "service_id", "=", 1, "cursor", "abc"), "cursor", "cursor"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := w.As(w.Viewer).Post(list+"search/", c.body).Refused(http.StatusBadRequest, "validation_failed")
			if text := fmt.Sprint(a.At("errors").(map[string]any)[c.field]); !strings.Contains(text, c.says) || text == "<nil>" {
				t.Errorf("%s: %s", c.field, a.Raw)
			}
		})
	}
}
