package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/money"
	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/web"
)

// now is when the previews are looked at.
var now = time.Date(2026, 11, 21, 15, 42, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

// preview is one page of the console with made-up data, at its own address.
type preview struct {
	path string // below /console/
	page string
	data any
}

func previews() []preview {
	return slices.Concat(paymentPreviews(), listPreviews(), objectPreviews())
}

// signedIn stands in for the sessions of accounts: everybody but readers of the sign-in page is an approver.
func signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/console/login") && r.Header.Get("X-Anonymous") == "" {
			r = r.WithContext(auth.With(r.Context(), approver()))
		}
		next.ServeHTTP(w, r)
	})
}

func approver() auth.Principal {
	return auth.Principal{Kind: auth.KindUser, UserID: uuid.New(), Name: "Nadia Rahman", Label: "approver@acme-cloud.test",
		Role: "finance", TenantID: uuid.New(), Permissions: []string{"billing.view", "billing.approve", "users.manage"}}
}

func karachi(context.Context) (admin.Tenant, error) {
	zone, err := time.LoadLocation("Asia/Karachi")
	return admin.Tenant{Name: "Acme Cloud Services (Private) Limited", Zone: zone}, err
}

// previewSite is a console whose sections answer with the previews.
func previewSite(t testing.TB) *admin.Site {
	t.Helper()
	section := func(name, title, icon string, group admin.Group) admin.Section {
		return admin.Section{Name: name, Title: title, Icon: icon, Group: group, Permission: "billing.view"}
	}
	sections := []admin.Section{
		section("queue", "Waiting for approval", "inbox", admin.GroupMoney), section("payments", "Payments", "payments", admin.GroupMoney),
		section("invoices", "Invoices", "invoices", admin.GroupMoney), section("accounts", "Accounts", "accounts", admin.GroupMoney),
		section("ledger", "Ledger", "ledger", admin.GroupMoney),
		section("methods", "Payment methods", "methods", admin.GroupSetUp), section("users", "Users", "users", admin.GroupSetUp),
		section("jobs", "Background work", "jobs", admin.GroupSystem), section("audit", "Audit log", "audit", admin.GroupSystem),
	}
	sections[0].Count = func(context.Context) (int, error) { return 37, nil }
	config := admin.Config{Home: "queue", Authenticate: signedIn, Tenant: karachi, Now: func() time.Time { return now }}
	for _, p := range previews() {
		route := web.Route{Method: http.MethodGet, Handler: func(w http.ResponseWriter, r *http.Request) error {
			if e, ok := p.data.(error); ok {
				return e
			}
			if login, ok := p.data.(LoginPage); ok {
				login.Preferences = admin.PreferencesOf(r)
				return admin.Render(w, r, p.page, login)
			}
			return admin.Render(w, r, p.page, p.data)
		}}
		name, rest, _ := strings.Cut(p.path, "/")
		route.Path = "/" + rest
		if name == "login" {
			route.Path = "/login/" + rest
			config.Public = append(config.Public, route)
			continue
		}
		i := slices.IndexFunc(sections, func(s admin.Section) bool { return s.Name == name })
		sections[i].Routes = append(sections[i].Routes, route)
	}
	receipt := web.Route{Method: http.MethodGet, Path: "/receipt/", Handler: func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "image/png")
		_, err := w.Write(receiptPicture())
		return err
	}}
	sections[0].Routes = append(sections[0].Routes, receipt)
	config.Sections = sections
	site, err := admin.NewSite(config)
	if err != nil {
		t.Fatal(err)
	}
	return site
}

func get(site http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	return w
}

func TestPreviews(t *testing.T) {
	t.Parallel()
	site := previewSite(t)
	t.Run("every page renders whole in every language", func(t *testing.T) {
		t.Parallel()
		for _, p := range previews() {
			for _, language := range []string{"en", "ru", "uz", "bn"} {
				w := get(site, "/console/"+p.path, "Accept-Language", language)
				body := w.Body.String()
				if _, refused := p.data.(error); !refused && w.Code != http.StatusOK {
					t.Errorf("%s in %s answers %d: %s", p.path, language, w.Code, body)
				}
				if !strings.Contains(body, `lang="`+language+`"`) || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
					t.Errorf("%s in %s is no whole page in that language", p.path, language)
				}
				for _, sign := range []string{"<no value>", "%!", "ZgotmplZ", " style=", "<style", "javascript:", " onclick="} {
					if strings.Contains(body, sign) {
						t.Errorf("%s in %s holds %q", p.path, language, sign)
					}
				}
			}
		}
	})
	t.Run("what waits is counted in the reader's digits", func(t *testing.T) {
		t.Parallel()
		for language, count := range map[string]string{"en": ">37<", "bn": ">৩৭<"} {
			if body := get(site, "/console/"+previews()[0].path, "Accept-Language", language).Body.String(); !strings.Contains(body, count) {
				t.Errorf("in %s the menu does not say %s", language, count)
			}
		}
	})
	t.Run("every template has a preview", func(t *testing.T) {
		t.Parallel()
		seen := map[string]bool{}
		for _, p := range previews() {
			seen[p.page] = true
		}
		for _, name := range site.Renderer().Pages() {
			if !seen[name] {
				t.Errorf("%s has no preview", name)
			}
		}
	})
	t.Run("data cannot write markup", func(t *testing.T) {
		t.Parallel()
		body := get(site, "/console/payments/hostile/").Body.String()
		if strings.Contains(body, "<script>alert") || !strings.Contains(body, "&lt;script&gt;alert") {
			t.Error("a reference with a script in it was not escaped")
		}
	})
}

// TestServePreview lets a designer look at every page in a browser:
//
//	COUNTERSIGN_PREVIEW=127.0.0.1:8099 go test ./internal/admin -run TestServePreview -timeout 0
func TestServePreview(t *testing.T) {
	addr := os.Getenv("COUNTERSIGN_PREVIEW")
	if addr == "" {
		t.Skip("only for looking at pages: set COUNTERSIGN_PREVIEW to an address to listen on")
	}
	for _, p := range previews() {
		fmt.Printf("http://%s/console/%s\n", addr, p.path)
	}
	t.Fatal(http.ListenAndServe(addr, previewSite(t)))
}

func usd(minor int64) money.Money { return money.New(minor, "USD") }
func pkr(minor int64) money.Money { return money.New(minor, "PKR") }
func uzs(minor int64) money.Money { return money.New(minor, "UZS") }
func bdt(minor int64) money.Money { return money.New(minor, "BDT") }
