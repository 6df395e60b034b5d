package main

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/billing/billingtest"
	"countersign/internal/apps"
	"countersign/internal/database"
	"countersign/internal/testkit"
	"countersign/internal/web"
)

// enveloped fails the test unless an answer is in the envelope of seed 003: these keys and no others, and the request's
// id as in the header (S3-39).
func enveloped(t *testing.T, a testkit.Answer, keys ...string) testkit.Answer {
	t.Helper()
	got := slices.Sorted(maps.Keys(a.Body))
	slices.Sort(keys)
	if diff := cmp.Diff(keys, got); diff != "" {
		t.Errorf("the envelope is not right: %s: %s", diff, a.Raw)
	}
	if id := a.Header.Get("X-Request-ID"); id == "" || a.Body["request_id"] != id {
		t.Errorf("request_id is %v, the header says %q", a.Body["request_id"], id)
	}
	if success := a.Status < 400; a.Body["success"] != success {
		t.Errorf("success is %v with status %d", a.Body["success"], a.Status)
	}
	if told := internals.Find(a.Raw); told != nil {
		t.Errorf("the answer tells of %s: %s", told, a.Raw)
	}
	return a
}

// internals are what no answer tells of: whole words, because tenants of tests have random names.
var internals = regexp.MustCompile(`\b(SELECT|INSERT|SQLSTATE|relation|pgx|goroutine)\b|\.go:`)

var (
	successKeys = []string{"success", "data", "request_id"}
	listKeys    = []string{"success", "count", "next", "previous", "results", "request_id"}
	errorKeys   = []string{"success", "code", "error", "errors", "request_id"}
)

func TestEnvelope(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := program(t, w)
	p.apps = append(p.apps, apps.App{URLs: []web.Route{
		{Method: http.MethodGet, Path: "/panic/", Public: true, Handler: func(http.ResponseWriter, *http.Request) error { panic("SELECT secrets") }},
		{Method: http.MethodGet, Path: "/broken/", Public: true, Handler: func(_ http.ResponseWriter, r *http.Request) error {
			_, err := w.DB.ExecContext(r.Context(), "SELECT * FROM nowhere")
			return err
		}},
	}})
	w.Handler = handlerOf(t, p)
	owner := w.As(w.Owner)
	invoices := base + "/invoices/"
	line := map[string]any{"description": "Work", "quantity": "1", "unit_price": "150.00"}
	valid := map[string]any{"account_id": w.Account.ID, "line_items": []any{line}}
	refused := func(name string, status int, code string, call func() testkit.Answer) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			enveloped(t, call().Refused(status, code), errorKeys...)
		})
	}
	post := func(path, contentType, body string) func() testkit.Answer {
		return func() testkit.Answer {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
			if contentType != "" {
				r.Header.Set("Content-Type", contentType)
			}
			return owner.Do(r)
		}
	}
	t.Run("success", func(t *testing.T) {
		t.Parallel()
		enveloped(t, owner.Get(apiPrefix+"/auth/me/").Expect(http.StatusOK), successKeys...)
		enveloped(t, owner.Post(invoices, valid).Expect(http.StatusCreated), successKeys...)
	})
	t.Run("a list", func(t *testing.T) {
		t.Parallel()
		enveloped(t, owner.Get(invoices).Expect(http.StatusOK), listKeys...)
		enveloped(t, owner.Get(invoices+"?cursor=").Expect(http.StatusOK), "success", "next", "previous", "results", "request_id")
	})
	refused("a validation error", http.StatusBadRequest, "validation_failed", func() testkit.Answer { return owner.Post(invoices, map[string]any{}) })
	refused("no credential", http.StatusUnauthorized, "authentication_required", func() testkit.Answer { return w.Anonymous().Get(invoices) })
	refused("no permission", http.StatusForbidden, "permission_denied", func() testkit.Answer { return w.As(w.Viewer).Post(invoices, valid) })
	refused("an unknown id", http.StatusNotFound, "invoice_not_found", func() testkit.Answer { return owner.Get(invoices + unknown + "/") })
	refused("an unknown path", http.StatusNotFound, "not_found", func() testkit.Answer { return owner.Get(base + "/nowhere/") })
	refused("an unknown path outside the API", http.StatusNotFound, "not_found", func() testkit.Answer { return owner.Get("/nowhere/") })
	refused("an unknown method", http.StatusMethodNotAllowed, "method_not_allowed", func() testkit.Answer { return owner.Put(invoices, valid) })
	refused("another content type", http.StatusUnsupportedMediaType, "json_required", post(invoices, "text/plain", "{}"))
	refused("no content type", http.StatusUnsupportedMediaType, "json_required", post(invoices, "", "{}"))
	refused("a huge body", http.StatusRequestEntityTooLarge, "body_too_large", post(invoices, "application/json", `{"notes":"`+strings.Repeat("x", 2*web.MaxBody)+`"}`))
	refused("a huge body of keys", http.StatusRequestEntityTooLarge, "body_too_large", post(invoices, "application/json", "{"+strings.Repeat(`"a":1,`, web.MaxBody/4)))
	refused("an empty body", http.StatusBadRequest, "malformed_json", post(invoices, "application/json", ""))
	refused("truncated JSON", http.StatusBadRequest, "malformed_json", post(invoices, "application/json", `{"account_id":"x"`))
	refused("two objects", http.StatusBadRequest, "malformed_json", post(invoices, "application/json", `{}{}`))
	refused("a list for an object", http.StatusBadRequest, "malformed_json", post(invoices, "application/json", `[]`))
	refused("deep JSON", http.StatusBadRequest, "malformed_json", post(invoices, "application/json", strings.Repeat(`{"a":`, 5000)))
	refused("a panic", http.StatusInternalServerError, "internal_error", func() testkit.Answer { return w.Anonymous().Get(apiPrefix + "/panic/") })
	refused("a broken statement", http.StatusInternalServerError, "internal_error", func() testkit.Answer { return w.Anonymous().Get(apiPrefix + "/broken/") })

	fields := map[string]struct{ body, field, code string }{
		"an unknown field":              {`{"nonsense":1}`, "nonsense", "unknown_field"},
		"a key twice":                   {`{"notes":"a","notes":"b"}`, "notes", "duplicate_field"},
		"a key in both spellings":       {`{"account_id":"a","accountId":"b"}`, "account_id", "duplicate_field"},
		"a key twice inside a line":     {`{"line_items":[{"credits":1,"credits":2}]}`, "line_items.0.credits", "duplicate_field"},
		"a NUL byte":                    {`{"notes":"a\u0000b"}`, "notes", "invalid_text"},
		"a control character":           {`{"notes":"a\u0007b"}`, "notes", "invalid_text"},
		"invalid UTF-8":                 {"{\"notes\":\"a\xff\"}", "notes", "invalid_text"},
		"half a surrogate":              {`{"notes":"\ud800"}`, "notes", "invalid_text"},
		"a number for a text":           {`{"notes":1}`, "notes", "wrong_type"},
		"a text for a list":             {`{"line_items":"x"}`, "line_items", "wrong_type"},
		"a fraction for a whole number": {`{"line_items":[{"credits":1.5}]}`, "line_items.0.credits", "wrong_type"},
		"a whole number that is huge":   {`{"line_items":[{"credits":99999999999999999999}]}`, "line_items.0.credits", "wrong_type"},
		"null in a list":                {`{"line_items":[null]}`, "line_items.0", "wrong_type"},
	}
	texts := catalogue(t, "en")
	for name, c := range fields {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := enveloped(t, owner.Post(invoices, c.body).Refused(http.StatusBadRequest, "validation_failed"), errorKeys...)
			sentences, _ := got.At("errors").(map[string]any)[c.field].([]any)
			want, _, _ := strings.Cut(texts["error."+c.code], "{{")
			if len(sentences) == 0 || !strings.HasPrefix(sentences[0].(string), want) {
				t.Errorf("%s is blamed with %v, want %q", c.field, sentences, want)
			}
		})
	}
	t.Run("camelCase is as good as snake_case (C-03)", func(t *testing.T) {
		t.Parallel()
		got := owner.Post(invoices, map[string]any{"accountId": w.Account.ID, "lineItems": []any{map[string]any{"description": "Work", "quantity": 2, "unitPrice": 75.5, "taxRate": "0.1"}}})
		if total := got.Expect(http.StatusCreated).Text("data.total_amount"); total != "166.10" {
			t.Errorf("total_amount is %s", total)
		}
	})
	t.Run("a slash at the end is optional and never redirected", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{base + "/invoices", base + "/invoices/"} {
			owner.Post(path, valid).Expect(http.StatusCreated)
			owner.Get(path + "?page_size=1").Expect(http.StatusOK)
		}
	})
	t.Run("other sites' scripts read nothing", func(t *testing.T) {
		t.Parallel()
		for _, method := range []string{http.MethodGet, http.MethodOptions} {
			r := httptest.NewRequestWithContext(t.Context(), method, invoices, nil)
			r.Header.Set("Origin", "https://elsewhere.test")
			r.Header.Set("Access-Control-Request-Method", "POST")
			for name := range owner.Do(r).Header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s sets %s", method, name)
				}
			}
		}
	})
	t.Run("an answer is never kept or sniffed", func(t *testing.T) {
		t.Parallel()
		h := owner.Get(invoices).Header
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("headers are %v", h)
		}
	})
	t.Run("a client's own request id is not taken over", func(t *testing.T) {
		t.Parallel()
		if got := owner.With("X-Request-ID", "mine").Get(invoices); got.Text("request_id") == "mine" {
			t.Error("it is")
		}
	})
}

// TestOutage: a database that does not answer is an outage, never a wrong credential.
func TestOutage(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	token := w.Owner.Token()
	down, err := database.Open(database.Config{URL: "postgres://nobody@127.0.0.1:1/none?connect_timeout=2"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { down.Close() })
	w.DB = down
	program(t, w)
	for _, got := range []testkit.Answer{
		w.Anonymous().As(token).Get(base + "/payments/"),
		w.Anonymous().As(token).Post(base+"/invoices/", map[string]any{}),
		w.Anonymous().Post(apiPrefix+"/auth/token/", map[string]any{"email": w.Owner.Email, "password": "correct horse battery"}),
	} {
		enveloped(t, got.Refused(http.StatusServiceUnavailable, "storage_unavailable"), errorKeys...)
	}
}
