package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/internal/web"
)

// bodies are what routes with an id need in their body before they look for the object.
var bodies = map[string]any{
	"PATCH /users/{id}/":                          map[string]any{"name": "Changed"},
	"PATCH /billing/accounts/{id}/":               map[string]any{"holder": "Changed"},
	"PATCH /billing/invoices/{id}/":               map[string]any{"notes": "Changed"},
	"POST /billing/invoices/{id}/void/":           map[string]any{"reason": "Changed"},
	"PATCH /billing/payment-method-configs/{id}/": map[string]any{"display_name": "Changed"},
	"PATCH /billing/payment-methods/{id}/":        map[string]any{"display_name": "Changed"},
	"PATCH /billing/payments/{id}/":               map[string]any{"notes": "Changed"},
	"POST /billing/payments/{id}/approve/":        map[string]any{"digest": strings.Repeat("0", 64)},
	"POST /billing/payments/{id}/reject/":         map[string]any{"digest": strings.Repeat("0", 64), "reason": "Changed"},
}

// TestForeignIDs calls every route with ids of another tenant and of another account. Each must answer what it answers
// to an id that nobody has, and change nothing (S0-18, S3-50, S3-51, W-01).
func TestForeignIDs(t *testing.T) {
	t.Parallel()
	e, foreign := newEstate(t), newEstate(t)
	before := []map[string]string{everything(t, e), everything(t, foreign)}
	callers := []struct {
		name    string
		person  *billingtest.Person
		owner   *estate
		holding holding
		hidden  []string
	}{
		{"an owner and another tenant", e.Owner, foreign, foreign.First, foreign.ids()},
		{"a member and another tenant", e.Member, foreign, foreign.First, foreign.ids()},
		{"a member and another account", e.Member, e, e.Second, e.Second.ids()},
	}
	for _, c := range callers {
		client := e.As(c.person)
		for _, route := range e.project.routes() {
			name := route.Method + " " + route.Path
			if strings.Contains(route.Path, "{id}") {
				if c.owner == e && strings.HasPrefix(route.Path, "/billing/payment-method-configs/") || c.owner == e && strings.HasPrefix(route.Path, "/billing/jobs/") {
					continue // no customer's
				}
				t.Run(c.name+"/"+name, func(t *testing.T) {
					got, want := pair(client, route, c.owner.id(t, route.Path, c.holding))
					status := http.StatusNotFound
					if !allowed(c.person, route) {
						status = http.StatusForbidden
					}
					if got.Status != status {
						t.Errorf("status is %d, want %d: %s", got.Status, status, got.Raw)
					}
					same(t, got, want, c.owner.id(t, route.Path, c.holding))
				})
				continue
			}
			if route.Method != http.MethodGet || !allowed(c.person, route) {
				continue
			}
			t.Run(c.name+"/"+name, func(t *testing.T) {
				leaks(t, client.Get(apiPrefix+route.Path), c.hidden)
				for _, spec := range []*web.ListSpec{route.List, route.Query} {
					if spec == nil {
						continue
					}
					for _, filter := range spec.Filters {
						for _, id := range []string{c.holding.Account, c.holding.Open, c.holding.Settled, c.holding.User, c.holding.Ledger} {
							got, want := client.Get(apiPrefix+route.Path+"?"+filter.Name+"="+id), client.Get(apiPrefix+route.Path+"?"+filter.Name+"="+unknown)
							same(t, got, want, id)
						}
					}
				}
			})
		}
		for name, call := range references(t, e, c.person) {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				id := call.id(c.holding)
				got := call.do(id)
				if got.Status < 400 && !call.each {
					t.Errorf("status is %d: %s", got.Status, got.Raw)
				}
				same(t, got, call.do(unknown), id)
			})
		}
	}
	t.Run("nothing has changed", func(t *testing.T) {
		if diff := gocmp.Diff(before, []map[string]string{everything(t, e), everything(t, foreign)}); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("the same calls work for those who may", func(t *testing.T) {
		for _, route := range e.project.routes() {
			if route.Method != http.MethodGet {
				continue
			}
			path := strings.ReplaceAll(apiPrefix+route.Path, "{id}", foreignOr(t, e, route))
			if strings.HasPrefix(route.Path, "/billing/credits/") {
				path += "?account=" + e.First.Account
			}
			if got := e.As(e.Owner).Get(path); got.Status != http.StatusOK && !strings.HasSuffix(route.Path, "/available/") {
				t.Errorf("%s: status is %d: %s", path, got.Status, got.Raw)
			}
		}
	})
}

func foreignOr(t *testing.T, e *estate, route web.Route) string {
	t.Helper()
	if !strings.Contains(route.Path, "{id}") {
		return ""
	}
	return e.id(t, route.Path, e.First)
}

// unknown is an id that nobody has.
var unknown = uuid.Must(uuid.NewV7()).String()

// allowed says whether the route lets the person's role in.
func allowed(p *billingtest.Person, route web.Route) bool {
	return (route.Permission == "" || slices.Contains(auth.PermissionsOf(p.Role), route.Permission)) && !(route.Staff && p.Role == auth.RoleMember)
}

// pair calls a route with an id and with one that nobody has.
func pair(client *testkit.Client, route web.Route, id string) (got, want testkit.Answer) {
	body, ok := bodies[route.Method+" "+route.Path]
	if !ok {
		body = map[string]any{}
	}
	return request(client, route, id, body), request(client, route, unknown, body)
}

func request(client *testkit.Client, route web.Route, id string, body any) testkit.Answer {
	path := apiPrefix + strings.NewReplacer("{id}", id, "{name}", id).Replace(route.Path)
	switch route.Method {
	case http.MethodPost:
		return client.Post(path, body)
	case http.MethodPatch:
		return client.Patch(path, body)
	case http.MethodPut:
		return client.Put(path, body)
	case http.MethodDelete:
		return client.Delete(path)
	default:
		return client.Get(path)
	}
}

// same fails the test when two answers differ in more than their request's id and the id that was asked for.
func same(t *testing.T, got, want testkit.Answer, id string) {
	t.Helper()
	if diff := gocmp.Diff(plain(want, unknown), plain(got, id)); diff != "" || got.Status != want.Status {
		t.Errorf("a foreign id answers %d, an unknown one %d: %s", got.Status, want.Status, diff)
	}
}

func plain(a testkit.Answer, id string) string {
	if requestID, ok := a.Body["request_id"].(string); ok {
		return strings.NewReplacer(requestID, "request", id, "id").Replace(string(a.Raw))
	}
	return string(a.Raw)
}

// leaks fails the test when an answer holds an id that the caller must not see.
func leaks(t *testing.T, a testkit.Answer, hidden []string) {
	t.Helper()
	for _, id := range hidden {
		if strings.Contains(string(a.Raw), id) {
			t.Errorf("the answer names the foreign %s", id)
		}
	}
}

type reference struct {
	id   func(holding) string
	do   func(id string) testkit.Answer
	each bool // the answer is a list of outcomes
}

// references are the calls whose body names an object.
func references(t *testing.T, e *estate, p *billingtest.Person) map[string]reference {
	t.Helper()
	client, file := e.As(p), picture(t)
	account := func(h holding) string { return h.Account }
	post := func(path string, body func(id string) map[string]any) func(string) testkit.Answer {
		return func(id string) testkit.Answer { return client.Post(base+path, body(id)) }
	}
	claim := func(key string, list bool) func(string) testkit.Answer {
		return post("/payments/manual/", func(id string) map[string]any {
			body := map[string]any{"invoice_id": e.First.Free, "payment_method": "bank_transfer", "transaction_reference": "FOREIGN ID"}
			body[key] = id
			if list {
				body[key] = []string{id}
			}
			return body
		})
	}
	return map[string]reference{
		"the invoice of a claim":        {id: func(h holding) string { return h.Free }, do: claim("invoice_id", false)},
		"the evidence of a claim":       {id: func(h holding) string { return h.Evidence }, do: claim("evidence_ids", true)},
		"the claim that is tried again": {id: func(h holding) string { return h.Undecided }, do: claim("retry_of", false)},
		"the account of an invoice": {id: account, do: post("/invoices/", func(id string) map[string]any {
			return map[string]any{"account_id": id, "line_items": []any{map[string]any{"description": "Work", "quantity": "1", "unit_price": "1"}}}
		})},
		"the account of a saved method": {id: account, do: post("/payment-methods/", func(id string) map[string]any {
			return map[string]any{"account_id": id, "payment_method": "bank_transfer", "display_name": "Theirs"}
		})},
		"the account of a file": {id: account, do: func(id string) testkit.Answer {
			return client.PostFile(base+"/evidence/", "file", "a.png", file, map[string]string{"account_id": id})
		}},
		"the account of a new user": {id: account, do: func(id string) testkit.Answer {
			return client.Post(apiPrefix+"/users/", map[string]any{"email": "foreign@people.test", "name": "F", "password": "correct horse battery", "role": "member", "account_id": id})
		}},
		"the account of a user": {id: account, do: func(id string) testkit.Answer {
			return client.Patch(apiPrefix+"/users/"+e.First.User+"/", map[string]any{"account_id": id})
		}},
		"payments approved together": {each: true, id: func(h holding) string { return h.Undecided }, do: post("/payments/bulk_approve/", func(id string) map[string]any {
			return map[string]any{"items": []any{map[string]any{"id": id, "digest": strings.Repeat("0", 64)}}}
		})},
	}
}

// everything gives a hash of a tenant's rows in every table.
func everything(t *testing.T, e *estate) map[string]string {
	t.Helper()
	hashes := map[string]string{}
	for table := range walls {
		var hash string
		err := testkit.OwnerDB(t).NewRaw("SELECT coalesce(md5(string_agg(r::text, ';' ORDER BY r::text)), 'empty') FROM ? AS r WHERE tenant_id = ?",
			bun.Ident(table), e.Tenant.ID).Scan(t.Context(), &hash)
		if err != nil {
			t.Fatal(err)
		}
		hashes[table] = hash
	}
	return hashes
}

// TestCredentials calls every route that is not public without a working credential.
func TestCredentials(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := program(t, w)
	expired := w.As(w.Owner)
	expired.Get(apiPrefix + "/auth/me/").Expect(http.StatusOK)
	w.Clock.Move(400 * 24 * time.Hour)
	cases := []struct {
		name   string
		client *testkit.Client
		status int
		code   string
	}{
		{"no token", w.Anonymous(), http.StatusUnauthorized, "authentication_required"},
		{"an unknown token", w.Anonymous().As("nonsense"), http.StatusUnauthorized, "invalid_token"},
		{"an empty token", w.Anonymous().With("Authorization", "Bearer "), http.StatusUnauthorized, "invalid_token"},
		{"another scheme", w.Anonymous().With("Authorization", "Basic b3duZXI6cGFzc3dvcmQ="), http.StatusUnauthorized, "invalid_token"},
		{"an expired token", expired, http.StatusUnauthorized, "invalid_token"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, route := range p.routes() {
				if route.Public {
					continue
				}
				got := request(c.client, route, unknown, map[string]any{})
				if got.Status != c.status || got.Body["code"] != c.code {
					t.Errorf("%s %s answers %d %v", route.Method, route.Path, got.Status, got.Body["code"])
				}
				if c.status == http.StatusUnauthorized && got.Header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s %s does not say how to sign in", route.Method, route.Path)
				}
			}
		})
	}
	t.Run("only signing in is public", func(t *testing.T) {
		t.Parallel()
		for _, route := range p.routes() {
			if route.Public && route.Method+route.Path != "POST/auth/token/" {
				t.Errorf("%s %s asks for no credential", route.Method, route.Path)
			}
		}
	})
	t.Run("a deactivated user", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		p := program(t, w)
		admin := w.Join("deactivated", auth.RoleAdmin, nil)
		client := w.As(admin)
		client.Get(apiPrefix + "/auth/me/").Expect(http.StatusOK)
		w.As(w.Owner).Patch(apiPrefix+"/users/"+admin.ID.String()+"/", map[string]any{"is_active": false}).Expect(http.StatusOK)
		for _, route := range p.routes() {
			if route.Public {
				continue
			}
			if got := request(client, route, unknown, map[string]any{}); got.Status != http.StatusForbidden || got.Body["code"] != "user_inactive" {
				t.Errorf("%s %s answers %d %v", route.Method, route.Path, got.Status, got.Body["code"])
			}
		}
	})
}

// TestRoles compares which role may call which route with a list that people have read (S0-103 to S0-109, C-15).
func TestRoles(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := program(t, w)
	cast := map[string]*billingtest.Person{auth.RoleOwner: w.Owner, auth.RoleAdmin: w.Approver, auth.RoleFinance: w.Finance, auth.RoleViewer: w.Viewer,
		auth.RoleMember: w.Member, auth.RoleCashier: w.Join("cashier", auth.RoleCashier, nil), auth.RoleClaims: w.Join("claims", auth.RoleClaims, nil)}
	var lines []string
	for _, route := range p.routes() {
		line := fmt.Sprintf("%-6s %-45s", route.Method, route.Path)
		for _, role := range auth.Roles() {
			word := role
			if got := request(asRole(t, w, cast[role], route), route, unknown, map[string]any{}); got.Status == http.StatusForbidden {
				word = "-"
				if code := got.Body["code"]; code != "permission_denied" && code != "staff_only" {
					t.Errorf("%s %s refuses %s as %v", route.Method, route.Path, role, code)
				}
			} else if got.Status == http.StatusUnauthorized && !route.Public || got.Status >= 500 {
				t.Errorf("%s %s answers %s with %d", route.Method, route.Path, role, got.Status)
			}
			line += fmt.Sprintf(" %-7s", word)
		}
		lines = append(lines, strings.TrimRight(line, " "))
	}
	slices.SortFunc(lines, func(a, b string) int { return cmp.Or(strings.Compare(a[7:52], b[7:52]), strings.Compare(a, b)) })
	golden(t, "testdata/roles.golden", strings.Join(lines, "\n")+"\n")
}

// asRole signs in once more where the call would end the session that others use.
func asRole(t *testing.T, w *billingtest.World, p *billingtest.Person, route web.Route) *testkit.Client {
	t.Helper()
	if route.Method+route.Path != "DELETE/auth/token/" {
		return w.As(p)
	}
	token := w.Anonymous().Post(apiPrefix+"/auth/token/", map[string]any{"email": p.Email, "password": "correct horse battery", "tenant": w.Tenant.Slug})
	return w.Anonymous().As(token.Expect(http.StatusOK).Text("data.access_token"))
}

// golden compares got with a file, or writes it with -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what is so (rewrite it with -update, and read it):\n%s", path, diff)
	}
}

// TestServedIsDocumented compares what the router answers with what the OpenAPI document says (S0-64).
func TestServedIsDocumented(t *testing.T) {
	t.Parallel()
	p := program(t, billingtest.New(t))
	served := map[string]bool{}
	err := chi.Walk(p.api(), func(method, path string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		served[method+" "+apiPrefix+path] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	handlerOf(t, p).ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/schema/", nil))
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for path, operations := range document.Paths {
		for method := range operations {
			documented[strings.ToUpper(method)+" "+path] = true
		}
	}
	if len(served) < 50 {
		t.Errorf("only %d routes are served", len(served))
	}
	if diff := gocmp.Diff(slices.Sorted(maps.Keys(served)), slices.Sorted(maps.Keys(documented))); diff != "" {
		t.Error(diff)
	}
}
