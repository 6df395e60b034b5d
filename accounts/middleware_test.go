package accounts_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"countersign/accounts"
	"countersign/accounts/accountstest"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

// who answers with who acts in the request's context.
var who = web.Handle(func(w http.ResponseWriter, r *http.Request) error {
	p, ok := auth.From(r.Context())
	return web.OK(w, map[string]any{"signed_in": ok, "label": p.Label})
})

func TestMiddleware(t *testing.T) {
	t.Parallel()
	home := accountstest.NewTenant(t)
	token := home.Owner.Token(t)
	handler := web.RequestID(nil)(home.Service.Middleware(who))
	for _, tt := range []struct {
		name   string
		given  []string
		status int
		label  string
	}{
		{"no header is nobody", nil, 200, ""},
		{"a token is its user", []string{"Bearer " + token}, 200, home.Owner.Email},
		{"the scheme is read in any case", []string{"bearer " + token}, 200, home.Owner.Email},
		{"an empty header", []string{""}, 401, ""},
		{"a scheme alone", []string{"Bearer"}, 401, ""},
		{"a token alone", []string{token}, 401, ""},
		{"an unknown token", []string{"Bearer nonsense"}, 401, ""},
		{"a session", []string{"Bearer " + home.Owner.Session(t).Secret}, 401, ""},
		{"another scheme", []string{"Basic " + token}, 401, ""},
		{"two headers", []string{"Bearer " + token, "Bearer " + token}, 401, ""},
		{"spaces around the token", []string{"Bearer  " + token + " "}, 401, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			for _, v := range tt.given {
				r.Header.Add("Authorization", v)
			}
			a := testkit.NewClient(t, handler).Do(r).Expect(tt.status)
			if tt.status == 401 {
				a.Refused(401, "invalid_token")
				if a.Header.Get("WWW-Authenticate") == "" {
					t.Error("the answer does not say how to authenticate")
				}
				return
			}
			if got := a.Text("data.label"); got != tt.label || a.At("data.signed_in") != (tt.label != "") {
				t.Errorf("acts as %q, want %q", got, tt.label)
			}
		})
	}
	t.Run("a deactivated user is told so", func(t *testing.T) {
		t.Parallel()
		u := home.NewUser(t, auth.RoleViewer)
		c := testkit.NewClient(t, handler).As(u.Token(t))
		c.Get("/").Expect(200)
		if _, err := home.Service.UpdateUser(home.Owner.Ctx, u.ID, accounts.UpdateUserInput{IsActive: ref(false)}); err != nil {
			t.Fatal(err)
		}
		c.Get("/").Refused(403, "user_inactive")
	})
}

func TestSessionCookie(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{true, false} {
		name := map[bool]string{true: "__Host-countersign_session", false: "countersign_session"}[secure]
		t.Run("a session lives in "+name, func(t *testing.T) {
			t.Parallel()
			s, _ := newService(t, func(d *accounts.Deps) { d.SecureCookies = secure })
			home := accountstest.NewTenantWith(t, s, tenancy.CreateInput{})
			handler := web.RequestID(nil)(s.SessionFromCookie(who))
			session := home.Owner.Session(t)

			rec := httptest.NewRecorder()
			s.KeepSession(rec, session)
			cookie := rec.Result().Cookies()[0]
			if cookie.Name != name || cookie.Value != session.Secret || cookie.Path != "/" || cookie.Domain != "" || !cookie.HttpOnly || cookie.Secure != secure ||
				cookie.SameSite != http.SameSiteLaxMode || cookie.MaxAge != int(accounts.SessionLife.Seconds()) {
				t.Errorf("cookie is %s", cookie)
			}

			ask := func(value string) testkit.Answer {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
				if value != "" {
					r.AddCookie(&http.Cookie{Name: name, Value: value})
				}
				return testkit.NewClient(t, handler).Do(r).Expect(200)
			}
			if a := ask(session.Secret); a.Text("data.label") != home.Owner.Email || a.Header.Get("Set-Cookie") != "" {
				t.Errorf("with the cookie: %s %v", a.Raw, a.Header)
			}
			if a := ask(""); a.At("data.signed_in") != false {
				t.Errorf("without a cookie: %s", a.Raw)
			}
			if a := ask(home.Owner.Token(t)); a.At("data.signed_in") != false {
				t.Errorf("with a token as cookie: %s", a.Raw)
			}

			p, err := s.Authenticate(t.Context(), session.Secret, accounts.KindSession)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Logout(tenancy.Enter(t.Context(), p)); err != nil {
				t.Fatal(err)
			}
			a := ask(session.Secret)
			taken := (&http.Response{Header: a.Header}).Cookies()
			if a.At("data.signed_in") != false || len(taken) != 1 || taken[0].Name != name || taken[0].MaxAge >= 0 {
				t.Errorf("after logging out: %s, cookies %v", a.Raw, taken)
			}
		})
	}
}
