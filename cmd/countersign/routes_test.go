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

	"countersign/billing/billingtest"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/internal/web"
)

// allowed says whether the route lets the person's role in.
func allowed(p *billingtest.Person, route web.Route) bool {
	status, _ := refusal(p.Role, route.Permission, route.Staff)
	return status == 0
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
