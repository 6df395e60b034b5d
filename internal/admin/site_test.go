package admin_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/web"
)

// as is an Authenticate that signs everybody in as p.
func as(p auth.Principal) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(auth.With(r.Context(), p)))
		})
	}
}

func nobody(next http.Handler) http.Handler { return next }

func newSite(t *testing.T, authenticate func(http.Handler) http.Handler, sections ...admin.Section) *admin.Site {
	t.Helper()
	site, err := admin.NewSite(admin.Config{Sections: sections, Home: "things", Authenticate: authenticate, Tenant: karachi,
		Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return site
}

func page(method, path string, h web.Handler) web.Route {
	return web.Route{Method: method, Path: path, Handler: h}
}

func post(site http.Handler, path string, form url.Values, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	return w
}

func TestSite(t *testing.T) {
	t.Parallel()
	section := func(routes ...web.Route) admin.Section {
		return admin.Section{Name: "things", Title: "Things", Icon: "inbox", Group: admin.GroupMoney, Permission: "billing.view", Routes: routes}
	}
	ok := func(w http.ResponseWriter, _ *http.Request) error { _, err := w.Write([]byte("here")); return err }

	t.Run("sends the anonymous to sign in and back", func(t *testing.T) {
		t.Parallel()
		site := newSite(t, nobody, section(page(http.MethodGet, "/", ok)))
		w := get(site, "/console/things/?status=open")
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/console/login/?next=%2Fconsole%2Fthings%2F%3Fstatus%3Dopen" {
			t.Errorf("got %d to %q", w.Code, w.Header().Get("Location"))
		}
	})
	t.Run("sends a fragment's reader to sign in as a whole page", func(t *testing.T) {
		t.Parallel()
		site := newSite(t, nobody, section(page(http.MethodGet, "/", ok)))
		w := get(site, "/console/things/", "HX-Request", "true", "HX-Current-URL", "http://localhost/console/things/?page=2")
		if w.Header().Get("HX-Redirect") != "/console/login/?next=%2Fconsole%2Fthings%2F%3Fpage%3D2" {
			t.Errorf("got %q", w.Header().Get("HX-Redirect"))
		}
	})
	t.Run("keeps customers out and offers to sign out", func(t *testing.T) {
		t.Parallel()
		member := approver()
		member.AccountID = uuid.New()
		w := get(newSite(t, as(member), section(page(http.MethodGet, "/", ok))), "/console/things/")
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), `action="/console/logout/"`) {
			t.Errorf("got %d: %s", w.Code, w.Body)
		}
	})
	t.Run("asks the section's permission of every route that names none", func(t *testing.T) {
		t.Parallel()
		s := section(page(http.MethodGet, "/", ok))
		s.Permission = "billing.audit.view"
		w := get(newSite(t, as(approver()), s), "/console/things/")
		if w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), "here") {
			t.Errorf("got %d", w.Code)
		}
	})
	t.Run("shows in the navigation only what the reader may open", func(t *testing.T) {
		t.Parallel()
		secret := admin.Section{Name: "secret", Title: "Secret", Group: admin.GroupSystem, Permission: "tenant.manage"}
		site := newSite(t, as(approver()), section(page(http.MethodGet, "/", showError)), secret)
		body := get(site, "/console/things/").Body.String()
		if !strings.Contains(body, `href="/console/things/"`) || strings.Contains(body, "/console/secret/") {
			t.Error("the navigation does not follow the permissions")
		}
	})
	t.Run("opens the first section the reader may see", func(t *testing.T) {
		t.Parallel()
		home := admin.Section{Name: "things", Permission: "tenant.manage"}
		other := admin.Section{Name: "other", Permission: "billing.view"}
		if w := get(newSite(t, as(approver()), home, other), "/console/"); w.Header().Get("Location") != "/console/other/" {
			t.Errorf("got %q", w.Header().Get("Location"))
		}
	})
	t.Run("turns a panic into an error page with the request id", func(t *testing.T) {
		t.Parallel()
		site := newSite(t, as(approver()), section(page(http.MethodGet, "/", func(http.ResponseWriter, *http.Request) error { panic("secret detail") })))
		w := httptest.NewRecorder()
		w.Header().Set("X-Request-ID", "req-1")
		site.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/console/things/", nil))
		if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "req-1") || strings.Contains(w.Body.String(), "secret detail") {
			t.Errorf("got %d: %s", w.Code, w.Body)
		}
	})
	t.Run("shows a refusal in its own words and the reader's language", func(t *testing.T) {
		t.Parallel()
		gone := errs.Conflict("thing_gone", "The thing {{.name}} is gone.")
		site := newSite(t, as(approver()), section(page(http.MethodGet, "/", func(http.ResponseWriter, *http.Request) error { return gone.With("name", "<b>X</b>") })))
		w := get(site, "/console/things/", "Accept-Language", "ru")
		body := w.Body.String()
		if w.Code != http.StatusConflict || !strings.Contains(body, "The thing &lt;b&gt;X&lt;/b&gt; is gone.") || !strings.Contains(body, "Тем временем что-то изменилось") {
			t.Errorf("got %d: %s", w.Code, body)
		}
	})
	t.Run("answers an unknown address with a page", func(t *testing.T) {
		t.Parallel()
		w := get(newSite(t, as(approver()), section()), "/console/nowhere/")
		if w.Code != http.StatusNotFound || !strings.Contains(w.Header().Get("Content-Type"), "text/html") {
			t.Errorf("got %d as %q", w.Code, w.Header().Get("Content-Type"))
		}
	})
	t.Run("refuses a form from another site", func(t *testing.T) {
		t.Parallel()
		touched := false
		site := newSite(t, as(approver()), section(page(http.MethodPost, "/", func(http.ResponseWriter, *http.Request) error { touched = true; return nil })))
		w := post(site, "/console/things/", url.Values{}, "Sec-Fetch-Site", "cross-site")
		if w.Code != http.StatusForbidden || touched {
			t.Errorf("got %d, and the handler ran: %v", w.Code, touched)
		}
	})
	t.Run("lets pages load nothing but its own files", func(t *testing.T) {
		t.Parallel()
		h := get(newSite(t, as(approver()), section(page(http.MethodGet, "/", showError))), "/console/things/").Header()
		policy := h.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("the policy is %q", policy)
		}
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("headers: %v", h)
		}
	})
	t.Run("finds a sample that does not fit its template", func(t *testing.T) {
		t.Parallel()
		s := section()
		s.Samples = []admin.Sample{{Page: "payments/queue", Data: struct{ Wrong string }{}}}
		_, err := admin.NewSite(admin.Config{Sections: []admin.Section{s}, Home: "things", Authenticate: nobody, Tenant: karachi, Now: time.Now})
		if err == nil {
			t.Error("a page struct without the template's fields was accepted")
		}
	})
	t.Run("answers even when the tenant and the counts cannot be read", func(t *testing.T) {
		t.Parallel()
		s := section(page(http.MethodGet, "/", showError))
		s.Count = func(context.Context) (int, error) { return 0, errs.Unavailable("down", "down") }
		site, err := admin.NewSite(admin.Config{Sections: []admin.Section{s}, Home: "things", Authenticate: as(approver()), Now: time.Now,
			Tenant: func(context.Context) (admin.Tenant, error) {
				return admin.Tenant{}, errs.Unavailable("down", "down")
			}})
		if err != nil {
			t.Fatal(err)
		}
		if w := get(site, "/console/things/"); w.Code != http.StatusOK {
			t.Errorf("got %d", w.Code)
		}
	})
}

// showError renders some page of the console.
func showError(w http.ResponseWriter, r *http.Request) error {
	return admin.Render(w, r, "admin/list", admin.ListPage{Title: "Things"})
}

func TestPreferences(t *testing.T) {
	t.Parallel()
	things := admin.Section{Name: "things", Title: "Things", Group: admin.GroupMoney, Routes: []web.Route{page(http.MethodGet, "/", showError),
		page(http.MethodPost, "/", func(w http.ResponseWriter, r *http.Request) error {
			return admin.Redirect(w, r, admin.URL("things"), "Approved payments: {{.n}}", "n", 3)
		})}}
	site := newSite(t, as(approver()), things)

	t.Run("language and theme are kept in cookies", func(t *testing.T) {
		t.Parallel()
		w := post(site, "/console/preferences/", url.Values{"language": {"bn"}, "theme": {"dark"}, "next": {"/console/things/?page=2"}})
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/console/things/?page=2" {
			t.Fatalf("got %d to %q", w.Code, w.Header().Get("Location"))
		}
		body := follow(site, w).Body.String()
		if !strings.Contains(body, `lang="bn" data-theme="dark"`) {
			t.Error("the next page has neither")
		}
	})
	t.Run("a next that leads away is not followed", func(t *testing.T) {
		t.Parallel()
		for _, next := range []string{"https://evil.test/console/", "//evil.test/console/things/", "https:/console/things/", "/api/v1/", "javascript:alert(1)", "/console/../api/", "\\\\evil.test", "/console/%2e%2e/x"} {
			w := post(site, "/console/preferences/", url.Values{"next": {next}})
			if got := w.Header().Get("Location"); got != "/console/" {
				t.Errorf("%q leads to %q", next, got)
			}
		}
	})
	t.Run("a success is told once", func(t *testing.T) {
		t.Parallel()
		first := follow(site, post(site, "/console/things/", nil))
		if !strings.Contains(first.Body.String(), "Approved payments: 3") {
			t.Fatal("the next page does not say it")
		}
		if second := follow(site, first, "/console/things/"); strings.Contains(second.Body.String(), "Approved payments: 3") {
			t.Error("the page after says it again")
		}
	})
}

// follow gets the page that an answer leads to, with the cookies that it set.
func follow(site http.Handler, w *httptest.ResponseRecorder, path ...string) *httptest.ResponseRecorder {
	to := w.Header().Get("Location")
	if len(path) > 0 {
		to = path[0]
	}
	r := httptest.NewRequest(http.MethodGet, to, nil)
	for _, c := range w.Result().Cookies() {
		if c.MaxAge >= 0 {
			r.AddCookie(c)
		}
	}
	next := httptest.NewRecorder()
	site.ServeHTTP(next, r)
	return next
}

func TestAssets(t *testing.T) {
	t.Parallel()
	assets := newSite(t, nobody).Assets()
	url, err := assets.URL("app.css")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("are named by their content and kept for ever", func(t *testing.T) {
		t.Parallel()
		w := get(assets, url)
		if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" || url == "/console/static/app.css" {
			t.Errorf("%s answers %d, %v", url, w.Code, w.Header())
		}
	})
	t.Run("a style sheet refers to fonts by their hashed names", func(t *testing.T) {
		t.Parallel()
		font, err := assets.URL("fonts/inter-latin-wght-normal.woff2")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(get(assets, url).Body.String(), font) {
			t.Errorf("%s does not name %s", url, font)
		}
	})
	t.Run("are sent compressed to who can read it", func(t *testing.T) {
		t.Parallel()
		if w := get(assets, url, "Accept-Encoding", "gzip"); w.Header().Get("Content-Encoding") != "gzip" || w.Body.Len() > 15_000 {
			t.Errorf("got %d bytes as %q", w.Body.Len(), w.Header().Get("Content-Encoding"))
		}
	})
	t.Run("an unknown name is not found", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"app.css", "app.0000000000.css", "../templates.go", ""} {
			if w := get(assets, "/console/static/"+name); w.Code != http.StatusNotFound {
				t.Errorf("%q answers %d", name, w.Code)
			}
		}
	})
}
