package accounts

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/web"
)

// loginPage is the page accounts/login.
type loginPage struct {
	Action, Next, Email, Tenant, Error string
	AskTenant                          bool
	DemoPassword                       string // empty outside the demo
	Demo                               []demoLogin
	Preferences                        admin.Preferences
}

// demoLogin is somebody of the demo who can sign in with its password.
type demoLogin struct{ Email, Role, Tenant string }

// ConsoleRoutes are the console's pages for people who are not signed in: the way in, and the way out.
func (s *Service) ConsoleRoutes() []web.Route {
	c := &console{service: s}
	return []web.Route{
		{Method: http.MethodGet, Path: "/login/", Public: true, Handler: c.loginView},
		{Method: http.MethodPost, Path: "/login/", Public: true, Handler: c.login},
		{Method: http.MethodPost, Path: "/logout/", Public: true, Handler: c.logout},
	}
}

// ConsoleSamples are the pages of ConsoleRoutes with made-up data, for the check at start.
func (s *Service) ConsoleSamples() []admin.Sample {
	full := loginPage{Action: admin.URL("login"), Next: admin.Base, Email: "a@b.test", Tenant: "acme", Error: "no", AskTenant: true,
		DemoPassword: "secret", Demo: []demoLogin{{"a@b.test", "finance", "Acme"}}}
	return []admin.Sample{{Page: "accounts/login", Data: loginPage{}}, {Page: "accounts/login", Data: full}}
}

// console answers the console's pages about accounts and people.
type console struct{ service *Service }

func (c *console) loginView(w http.ResponseWriter, r *http.Request) error {
	next := admin.LocalPath(r.URL.Query().Get("next"))
	if p, ok := auth.From(r.Context()); ok && !p.IsMember() {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	return admin.Render(w, r, "accounts/login", c.loginPage(r, next))
}

func (c *console) loginPage(r *http.Request, next string) loginPage {
	return loginPage{Action: admin.URL("login"), Next: next, Preferences: admin.PreferencesOf(r)}
}

// login signs in as the API does: the same attempts are counted, and the same refusals given. A session that the
// browser still had ends: signing in as somebody else leaves nothing of the first behind.
func (c *console) login(w http.ResponseWriter, r *http.Request) error {
	form, err := admin.FormValues(w, r)
	if err != nil {
		return err
	}
	page := c.loginPage(r, admin.LocalPath(form.Get("next")))
	page.Email, page.Tenant = form.Get("email"), form.Get("tenant")
	session, err := c.service.Login(r.Context(), LoginInput{Email: page.Email, Password: form.Get("password"), Tenant: page.Tenant, Kind: KindSession})
	if err != nil {
		return c.refuseLogin(w, r, page, err)
	}
	if _, ok := auth.From(r.Context()); ok {
		if err := c.service.Logout(r.Context()); err != nil {
			return err
		}
	}
	if err := admin.KeepPreferences(w, r, session.Language, session.Theme); err != nil {
		return err
	}
	c.service.KeepSession(w, session)
	http.Redirect(w, r, page.Next, http.StatusSeeOther)
	return nil
}

// refuseLogin shows the form again. Wrong e-mail address or password is a refusal of this form, not a reason to send
// the reader to it.
func (c *console) refuseLogin(w http.ResponseWriter, r *http.Request, page loginPage, err error) error {
	e := web.Public(r, err)
	switch e.Kind {
	case errs.KindUnauthenticated, errs.KindInvalid, errs.KindForbidden, errs.KindRateLimited:
	default:
		return err
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter/time.Second)+1))
	}
	page.Error = admin.Sentence(r, e)
	page.AskTenant = page.Tenant != "" || errors.Is(err, ErrTenantRequired)
	return admin.RenderStatus(w, r, web.Status(e.Kind), "accounts/login", page)
}

func (c *console) logout(w http.ResponseWriter, r *http.Request) error {
	if _, ok := auth.From(r.Context()); ok {
		if err := c.service.Logout(r.Context()); err != nil {
			return err
		}
	}
	c.service.ClearSession(w)
	http.Redirect(w, r, admin.URL("login"), http.StatusSeeOther)
	return nil
}
