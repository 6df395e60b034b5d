package billingtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/uptrace/bun"

	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// Console serves the console with the pages of all apps, as the program does.
func (w *World) Console() http.Handler {
	w.t.Helper()
	var sections []admin.Section
	for _, app := range w.Apps {
		sections = append(sections, app.Admin...)
	}
	site, err := admin.NewSite(admin.Config{Sections: sections, Public: w.Accounts.ConsoleRoutes(), PublicSamples: w.Accounts.ConsoleSamples(), Home: "payments",
		Authenticate: w.Accounts.SessionFromCookie, SavePreferences: w.Accounts.SetPreferences, Now: w.Clock.Now,
		Tenant: func(ctx context.Context) (t admin.Tenant, err error) {
			err = tenancy.Read(ctx, w.DB, func(ctx context.Context, tx bun.Tx) error {
				current, err := tenancy.Current(ctx, tx)
				if err == nil {
					t = admin.Tenant{Name: current.Name, Zone: current.Location()}
				}
				return err
			})
			return t, err
		}})
	w.must(err)
	return site
}

// Browser visits a console without running scripts. It keeps cookies.
type Browser struct {
	t       testing.TB
	site    http.Handler
	cookies map[string]string
	from    string
	Headers map[string]string
}

// Browse gives a browser in which p is signed in; nil: nobody.
func (w *World) Browse(site http.Handler, p *Person) *Browser {
	w.t.Helper()
	var raw [4]byte
	rand.Read(raw[:])
	b := &Browser{t: w.t, site: site, cookies: map[string]string{}, from: netip.AddrFrom4(raw).String(), Headers: map[string]string{}}
	if p != nil {
		page := b.Post("login/", url.Values{"email": {p.Email}, "password": {password}, "tenant": {w.Tenant.Slug}})
		page.Expect(http.StatusSeeOther)
	}
	return b
}

// Copy gives another browser with the cookies that b has now.
func (b *Browser) Copy() *Browser {
	c := *b
	c.cookies = maps.Clone(b.cookies)
	return &c
}

// Page is what a browser got.
type Page struct {
	t        testing.TB
	Status   int
	Header   http.Header
	Location string
	Body     string
}

// Get opens a page of the console: Get("payments/") or an address as a page gives it.
func (b *Browser) Get(path string) Page {
	b.t.Helper()
	return b.GetIn(b.t.Context(), path)
}

// GetIn is Get with a context, such as one that counts statements.
func (b *Browser) GetIn(ctx context.Context, path string) Page {
	b.t.Helper()
	return b.send(httptest.NewRequestWithContext(ctx, http.MethodGet, address(path), nil))
}

// Post sends a form, from a page of the console.
func (b *Browser) Post(path string, form url.Values) Page {
	b.t.Helper()
	r := httptest.NewRequestWithContext(b.t.Context(), http.MethodPost, address(path), strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.send(r)
}

func address(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return admin.Base + path
}

func (b *Browser) send(r *http.Request) Page {
	b.t.Helper()
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for name, value := range b.Headers {
		r.Header.Set(name, value)
	}
	r = r.WithContext(auth.WithRequest(r.Context(), auth.Request{IP: b.from}))
	var sent bytes.Buffer
	r.Body = io.NopCloser(io.TeeReader(r.Body, &sent))
	rec := httptest.NewRecorder()
	b.site.ServeHTTP(rec, r)
	testkit.Harvest(r, sent.Bytes(), rec.Code, rec.Body.Bytes())
	for _, c := range rec.Result().Cookies() {
		if strings.HasPrefix(c.Value, "css_") {
			testkit.Secret(testkit.SecretToken, c.Value)
		}
		b.cookies[c.Name] = c.Value
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return Page{t: b.t, Status: rec.Code, Header: rec.Header(), Location: rec.Header().Get("Location"), Body: rec.Body.String()}
}

// Follow opens the page that an answer leads to.
func (b *Browser) Follow(p Page) Page {
	b.t.Helper()
	p.Expect(http.StatusSeeOther)
	return b.Get(p.Location)
}

// Expect fails the test unless the page has the status.
func (p Page) Expect(status int) Page {
	p.t.Helper()
	if p.Status != status {
		p.t.Fatalf("the page has status %d to %q, want %d: %s", p.Status, p.Location, status, p.Text())
	}
	return p
}

// Shows fails the test unless the page holds all texts.
func (p Page) Shows(texts ...string) Page {
	p.t.Helper()
	for _, text := range texts {
		if !strings.Contains(html.UnescapeString(p.Body), text) {
			p.t.Errorf("the page does not show %q: %s", text, p.Text())
		}
	}
	return p
}

// Hides fails the test when the page holds one of the texts.
func (p Page) Hides(texts ...string) Page {
	p.t.Helper()
	for _, text := range texts {
		if strings.Contains(html.UnescapeString(p.Body), text) {
			p.t.Errorf("the page shows %q: %s", text, p.Text())
		}
	}
	return p
}

var hiddenInput = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

// Hidden gives the values of the hidden inputs of a name, in their order.
func (p Page) Hidden(name string) []string {
	var values []string
	for _, m := range hiddenInput.FindAllStringSubmatch(p.Body, -1) {
		if m[1] == name {
			values = append(values, html.UnescapeString(m[2]))
		}
	}
	return values
}

var (
	tags   = regexp.MustCompile(`(?s)<(script|style|head|svg).*?</(script|style|head|svg)>|<[^>]*>`)
	spaces = regexp.MustCompile(`\s+`)
)

// Text is what a reader sees of the page, for messages.
func (p Page) Text() string {
	return spaces.ReplaceAllString(html.UnescapeString(tags.ReplaceAllString(p.Body, " ")), " ")
}
