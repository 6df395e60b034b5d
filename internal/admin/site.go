package admin

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/i18n"
	"countersign/internal/web"
	"countersign/templates"
)

var (
	// ErrStaffOnly means that somebody signed in as a customer. The console is the tenant's own people's.
	ErrStaffOnly = errs.Forbidden("console_staff_only", "The console is for staff. Use your customer dashboard instead.")
	// ErrCrossOrigin means that another site's page sent the form.
	ErrCrossOrigin = errs.Forbidden("cross_origin_refused", "This form was sent from another site, so nothing was done. Open the page here and try again.")
)

// contentPolicy lets a page load what we serve and nothing else; no inline script or style runs.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Tenant is what the frame shows of the reader's tenant.
type Tenant struct {
	Name string
	Zone *time.Location
}

// Config is what a Site is made of. Home, Tenant, Authenticate and Now are required.
type Config struct {
	Sections []Section
	// Public are pages without a frame and without a credential: signing in. "/login/" must be among them, and
	// "/logout/", which takes a POST. Paths are below Base.
	Public []web.Route
	// PublicSamples are their pages, for the check at start.
	PublicSamples []Sample
	// Home is the section at the console's bare address. Who may not open it starts at the first section he may.
	Home string
	// Authenticate puts the Principal of the console's session into the context, and lets anonymous requests pass.
	Authenticate func(http.Handler) http.Handler
	// Tenant describes the tenant of the context's principal.
	Tenant func(ctx context.Context) (Tenant, error)
	Now    func() time.Time
	// SavePreferences keeps the language and theme of who is signed in, so that they follow him to another browser; nil
	// leaves them in cookies. Theme is light, dark or system; an empty text means that nothing was chosen.
	SavePreferences func(ctx context.Context, language, theme string) error
	// Secure sets the Secure attribute of cookies: the console is reached by HTTPS.
	Secure bool
	// TrustedOrigins may post to the console besides its own origin.
	TrustedOrigins []string
}

// Site is the console. It is an http.Handler for everything below Base.
type Site struct {
	config   Config
	assets   *Assets
	renderer *Renderer
	handler  http.Handler
}

// NewSite parses every template, executes every sample and mounts every route. An error means a fault in the program.
func NewSite(config Config) (*Site, error) {
	for name, missing := range map[string]bool{"Home": config.Home == "", "Authenticate": config.Authenticate == nil,
		"Tenant": config.Tenant == nil, "Now": config.Now == nil} {
		if missing {
			panic("admin: Config." + name + " is required")
		}
	}
	static, err := fs.Sub(templates.Static, "static")
	if err != nil {
		return nil, err
	}
	assets, err := NewAssets(static, Base+"static/")
	if err != nil {
		return nil, err
	}
	renderer, err := NewRenderer(templates.Files, assets)
	if err != nil {
		return nil, err
	}
	config.Sections = slices.Clone(config.Sections)
	slices.SortStableFunc(config.Sections, func(a, b Section) int { return cmp.Compare(a.Place, b.Place) })
	s := &Site{config: config, assets: assets, renderer: renderer}
	if err := s.checkSamples(); err != nil {
		return nil, err
	}
	return s, s.mount()
}

// Assets are the static files, for pages outside the console such as the API documents.
func (s *Site) Assets() *Assets { return s.assets }

// Renderer executes pages outside a request, for tests.
func (s *Site) Renderer() *Renderer { return s.renderer }

// checkSamples executes every sample, with the frame that it will have.
func (s *Site) checkSamples() error {
	samples := append(genericSamples(), s.config.PublicSamples...)
	for _, section := range s.config.Sections {
		samples = append(samples, section.Samples...)
	}
	for _, sample := range samples {
		for _, user := range []string{"", "Somebody"} {
			d := document{Frame: frame{User: user, Preferences: Preferences{Language: "en"}}, Page: sample.Data}
			if _, err := s.renderer.Execute(sample.Page, "layout", Reader{Language: "en", Now: time.Unix(0, 0)}, d); err != nil {
				return fmt.Errorf("sample: %w", err)
			}
		}
	}
	return nil
}

func (s *Site) mount() error {
	r := chi.NewRouter()
	r.NotFound(s.page("", true, func(http.ResponseWriter, *http.Request) error { return web.ErrNotFound }))
	r.MethodNotAllowed(s.page("", true, func(_ http.ResponseWriter, r *http.Request) error {
		return web.ErrMethodNotAllowed.With("method", r.Method)
	}))
	r.Get(Base, s.page("", false, s.home))
	r.Post(Base+"preferences/", s.page("", true, s.savePreferences))
	for _, route := range s.config.Public {
		r.Method(route.Method, strings.TrimSuffix(Base, "/")+route.Path, s.page("", true, route.Handler))
	}
	for _, section := range s.config.Sections {
		for _, route := range section.Routes {
			permission := route.Permission
			if permission == "" {
				permission = section.Permission
			}
			if !strings.HasPrefix(route.Path, "/") || !strings.HasSuffix(route.Path, "/") {
				return fmt.Errorf("section %s: route %q must begin and end with a slash", section.Name, route.Path)
			}
			r.Method(route.Method, Base+section.Name+route.Path, s.page(permission, false, route.Handler))
		}
	}
	origins := http.NewCrossOriginProtection()
	for _, origin := range s.config.TrustedOrigins {
		if err := origins.AddTrustedOrigin(origin); err != nil {
			return fmt.Errorf("trusted origin %s: %w", origin, err)
		}
	}
	origins.SetDenyHandler(s.page("", true, func(http.ResponseWriter, *http.Request) error { return ErrCrossOrigin }))
	s.handler = s.config.Authenticate(s.prepare(origins.Handler(web.Slash(r))))
	return nil
}

// ServeHTTP serves the console. Mount it at Base with all that is below.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, Base+"static/") {
		s.assets.ServeHTTP(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	// The console routes by the whole path, whatever router it is mounted in.
	ctx := context.WithValue(r.Context(), chi.RouteCtxKey, (*chi.Context)(nil))
	s.handler.ServeHTTP(w, r.WithContext(ctx))
}

type visitKey struct{}

// visit is one request to the console. The tenant is read at most once.
type visit struct {
	site   *Site
	tenant func() (Tenant, error)
	place  string // the address that the navigation marks by; the request's own, or the list that an object stands in
}

// prepare puts the visit and the reader's language into the context.
func (s *Site) prepare(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		v := &visit{site: s, place: r.URL.Path, tenant: sync.OnceValues(func() (Tenant, error) {
			if _, ok := auth.From(ctx); !ok {
				return Tenant{}, nil
			}
			return s.config.Tenant(ctx)
		})}
		ctx = context.WithValue(ctx, visitKey{}, v)
		next.ServeHTTP(w, r.WithContext(i18n.With(ctx, chooseLanguage(r))))
	})
}

func visitOf(r *http.Request) (*visit, error) {
	v, ok := r.Context().Value(visitKey{}).(*visit)
	if !ok {
		return nil, ErrNoSite
	}
	return v, nil
}

// page guards a handler and turns its errors and panics into pages.
func (s *Site) page(permission string, public bool, h web.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler {
				panic(v)
			}
			slog.ErrorContext(r.Context(), "panic in the console", "value", v, "stack", string(debug.Stack()))
			s.fail(w, r, web.ErrInternal)
		}()
		if err := web.CheckAddress(r.URL); err != nil { // first: the way to sign in would give the address back
			s.fail(w, withoutAddress(r), err)
			return
		}
		err := s.admit(r, permission, public)
		if err == nil && r.Method == http.MethodPost { // here for all: some handlers need nothing of the form
			_, err = FormValues(w, r)
		}
		if err == nil {
			err = h(w, r)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
}

// withoutAddress gives the request as one for the console's start, for a page that must not show the address.
func withoutAddress(r *http.Request) *http.Request {
	plain := r.WithContext(r.Context())
	plain.URL, plain.RequestURI = &url.URL{Path: Base}, Base
	return plain
}

func (s *Site) admit(r *http.Request, permission string, public bool) error {
	if public {
		return nil
	}
	p, err := auth.Require(r.Context(), "")
	if err != nil {
		return err
	}
	if p.IsMember() {
		return ErrStaffOnly
	}
	_, err = auth.Require(r.Context(), permission)
	return err
}

// home leads to the first section that the reader may open.
func (s *Site) home(w http.ResponseWriter, r *http.Request) error {
	p, _ := auth.From(r.Context())
	first := ""
	for _, section := range s.config.Sections {
		if section.Hidden || section.Permission != "" && !p.Can(section.Permission) {
			continue
		}
		if section.Name == s.config.Home {
			first = section.Name
			break
		}
		if first == "" {
			first = section.Name
		}
	}
	if first == "" {
		return auth.ErrForbidden.With("permission", "billing.view")
	}
	http.Redirect(w, r, URL(first), http.StatusSeeOther)
	return nil
}

// fail answers with the error page, or with the way to sign in.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := web.Public(r, err)
	if e.Kind == errs.KindUnauthenticated {
		s.toLogin(w, r)
		return
	}
	reader := ReaderOf(r)
	page := ErrorPage{Status: web.Status(e.Kind), Heading: reader.Say(heading(e.Kind)), Text: Sentence(r, e),
		RequestID: w.Header().Get("X-Request-ID")}
	for field, problems := range fieldSentences(r, e) {
		page.Details = append(page.Details, field+": "+strings.Join(problems, " "))
	}
	if p, ok := auth.From(r.Context()); ok {
		page.Inside, page.SignOut = !p.IsMember(), p.IsMember()
		if back, err := url.Parse(r.Referer()); err == nil && back.Host == r.Host && back.RequestURI() != r.RequestURI && web.CheckAddress(back) == nil {
			page.BackURL = LocalPath(back.RequestURI())
		}
	}
	if err := RenderStatus(w, r, page.Status, "admin/error", page); err != nil {
		slog.ErrorContext(r.Context(), "the error page itself failed", "error", err)
		http.Error(w, page.Text, page.Status)
	}
}

func (s *Site) toLogin(w http.ResponseWriter, r *http.Request) {
	login := URL("login")
	next := r.URL.RequestURI()
	if isPartial(r) {
		if current, err := url.Parse(r.Header.Get("HX-Current-URL")); err == nil && web.CheckAddress(current) == nil {
			next = current.RequestURI()
		}
	}
	if (r.Method == http.MethodGet || isPartial(r)) && next != Base {
		login += "?next=" + url.QueryEscape(next)
	}
	if isPartial(r) {
		w.Header().Set("HX-Redirect", login)
		w.WriteHeader(http.StatusOK)
		return
	}
	http.Redirect(w, r, login, http.StatusSeeOther)
}

func heading(k errs.Kind) string {
	switch k {
	case errs.KindNotFound:
		return "There is nothing here"
	case errs.KindForbidden:
		return "You may not do this"
	case errs.KindConflict:
		return "Something has changed meanwhile"
	case errs.KindInvalid, errs.KindTooLarge, errs.KindUnsupportedMedia, errs.KindMethodNotAllowed:
		return "This could not be done"
	case errs.KindRateLimited:
		return "Too many tries"
	case errs.KindUnavailable:
		return "Not available right now"
	default:
		return "Something went wrong"
	}
}
