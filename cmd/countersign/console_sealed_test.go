package main

import (
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"countersign/billing/billingtest"
	"countersign/internal/admin"
	"countersign/internal/auth"
)

// page is a route of the console.
type page struct {
	Method, Path, Permission string
	Public                   bool
}

func (p page) String() string { return p.Method + " " + p.Path }

// at gives the page's address for an object.
func (p page) at(id, task string) string {
	return strings.NewReplacer("{id}", id, "{name}", task).Replace(p.Path)
}

// pages are all routes of the console: those of the apps' sections, the way in and out, and the two of the frame itself.
func (p *project) pages() []page {
	list := []page{{Method: http.MethodGet, Path: admin.Base}, {Method: http.MethodPost, Path: admin.URL("preferences"), Public: true}}
	for _, route := range p.accounts.ConsoleRoutes() {
		list = append(list, page{Method: route.Method, Path: strings.TrimSuffix(admin.Base, "/") + route.Path, Public: true})
	}
	for _, app := range p.apps {
		for _, section := range app.Admin {
			for _, route := range section.Routes {
				permission := route.Permission
				if permission == "" {
					permission = section.Permission
				}
				list = append(list, page{Method: route.Method, Path: admin.Base + section.Name + route.Path, Permission: permission})
			}
		}
	}
	return list
}

// pageKinds say what the {id} of a console page names, the longer beginnings first, as kinds do for the API.
var pageKinds = []struct {
	prefix string
	id     func(*estate, holding) string
}{
	{"accounts/", func(_ *estate, h holding) string { return h.Account }},
	{"anomalies/", func(_ *estate, h holding) string { return h.Anomaly }},
	{"audit/", func(e *estate, _ holding) string { return e.Record }},
	{"conversions/", func(_ *estate, h holding) string { return h.Conversion }},
	{"events/", func(e *estate, _ holding) string { return e.Event }},
	{"evidence/", func(_ *estate, h holding) string { return h.Evidence }},
	{"invoices/{id}/edit/", func(_ *estate, h holding) string { return h.Draft }},
	{"invoices/{id}/finalize/", func(_ *estate, h holding) string { return h.Draft }},
	{"invoices/{id}/take-back/", func(_ *estate, h holding) string { return h.Lowered }},
	{"invoices/", func(_ *estate, h holding) string { return h.Open }},
	{"jobs/", func(e *estate, _ holding) string { return e.Job }},
	{"methods/", func(e *estate, _ holding) string { return e.Config }},
	{"payments/{id}/refund/", func(_ *estate, h holding) string { return h.Settled }},
	{"payments/", func(_ *estate, h holding) string { return h.Undecided }},
	{"refunds/", func(_ *estate, h holding) string { return h.Refund }},
	{"statements/", func(_ *estate, h holding) string { return h.Account }},
	{"subscriptions/", func(_ *estate, h holding) string { return h.Subscription }},
	{"users/", func(_ *estate, h holding) string { return h.User }},
	{"write-offs/", func(_ *estate, h holding) string { return h.WriteOff }},
}

func (e *estate) pageID(t *testing.T, path string, h holding) string {
	t.Helper()
	if !strings.Contains(path, "{id}") {
		return ""
	}
	for _, k := range pageKinds {
		if strings.HasPrefix(path, admin.Base+k.prefix) {
			return k.id(e, h)
		}
	}
	t.Fatalf("%s: say in pageKinds what its id names", path)
	return ""
}

// objectRules are what a service asks of who does something to another's object, besides the page's permission.
var objectRules = map[string]string{"POST /console/payments/{id}/cancel/": auth.BillingCancel, "POST /console/payments/{id}/release/": auth.BillingCancel}

// shut is how a page refuses a role: the status and a sentence; status 0: it does not.
func (p page) shut(role string) (status int, sentence string) {
	switch {
	case p.Public:
		return 0, ""
	case role == auth.RoleMember:
		return http.StatusForbidden, admin.ErrStaffOnly.Text
	case p.Permission != "" && !slices.Contains(auth.PermissionsOf(role), p.Permission):
		return http.StatusForbidden, "needs the permission " + p.Permission
	}
	return 0, ""
}

// closedPages opens and sends every page that a role must not, and those that it may with what is another tenant's.
func (m *matrix) closedPages(t *testing.T, c *caller) {
	for _, p := range m.own.project.pages() {
		if p.Public {
			continue
		}
		own := p.at(m.own.pageID(t, p.Path, m.own.First), m.own.Task)
		status, sentence := p.shut(c.Role)
		if status != 0 {
			c.visit(t, p.Method, own, nil).refused(t, p.String(), status, sentence)
		}
		if rule := objectRules[p.String()]; status == 0 && rule != "" && !slices.Contains(auth.PermissionsOf(c.Role), rule) {
			c.visit(t, p.Method, own, nil).refused(t, p.String(), http.StatusForbidden, "")
		}
		if !strings.Contains(p.Path, "{id}") {
			continue
		}
		id := m.theirs.pageID(t, p.Path, m.theirs.First)
		got, want := c.visit(t, p.Method, p.at(id, ""), nil), c.visit(t, p.Method, p.at(unknown, ""), nil)
		if status == 0 && got.Status != http.StatusNotFound {
			t.Errorf("%s with another tenant's id: %d, want 404: %s", p, got.Status, got.Text())
		}
		got.same(t, p.String()+" with another tenant's id", want, id)
	}
	if c.Role == auth.RoleOwner { // who may open every page; tenants are kept apart for all roles in the same way
		m.foreignFilters(t, c)
	}
	if c.Role != auth.RoleMember {
		m.foreignFields(t, c)
	}
}

// foreignFilters narrows every list of the console by another tenant's ids, with every filter that a list of the API has
// and that takes an id: the console's lists have the same.
func (m *matrix) foreignFilters(t *testing.T, c *caller) {
	t.Helper()
	names := map[string]bool{"id": true}
	for _, route := range m.own.project.routes() {
		for _, name := range takingIDs(route) {
			names[name] = true
		}
	}
	h, narrowed := m.theirs.First, map[string]bool{}
	for _, p := range m.own.project.pages() {
		if p.Public || p.Method != http.MethodGet || p.Path == admin.Base || strings.Contains(p.Path, "{") {
			continue
		}
		plain := c.visit(t, p.Method, p.Path, nil)
		for name := range names {
			want := c.visit(t, p.Method, p.Path+"?"+name+"="+unknown, nil)
			if want.Status == http.StatusBadRequest || strings.ReplaceAll(want.plain(unknown), "?"+name+"=id", "") == plain.plain(unknown) {
				continue // this page has no such filter
			}
			narrowed[p.Path] = true
			for _, id := range []string{h.Account, h.Open, h.Undecided, h.User, h.Ledger} {
				what := p.String() + "?" + name + "= with another tenant's id"
				got := c.visit(t, p.Method, p.Path+"?"+name+"="+id, nil)
				got.same(t, what, want, id)
				leaks(t, what, []byte(got.Body), slices.DeleteFunc(m.hidden(c), func(s string) bool { return s == id }))
			}
		}
	}
	if len(narrowed) < 5 {
		t.Errorf("only the pages %v were narrowed", slices.Sorted(maps.Keys(narrowed)))
	}
}

// foreignFields sends every form in which an id of the caller's own tenant stands, with another tenant's id in its place.
// The answer must be the one to an id that nobody has.
func (m *matrix) foreignFields(t *testing.T, c *caller) {
	t.Helper()
	tried := map[string]bool{}
	for _, p := range m.own.project.pages() {
		if status, _ := p.shut(c.Role); status != 0 || p.Public || p.Method != http.MethodGet || p.Path == admin.Base {
			continue
		}
		address := p.at(m.own.pageID(t, p.Path, m.own.First), m.own.Task)
		shown := formsOf(c.visit(t, p.Method, address, nil))
		if !slices.ContainsFunc(shown, func(f sheet) bool { return len(f.places(m.own.ids())) > 0 }) { // perhaps it is about what is chosen in a list
			shown = formsOf(c.visit(t, p.Method, address+"?id="+m.own.First.Undecided, nil))
		}
		for _, f := range shown {
			for _, at := range f.places(m.own.ids()) {
				id := m.theirs.ids()[slices.Index(m.own.ids(), at.id)]
				what := "POST " + f.action + " with another tenant's id as " + at.name
				got := c.visit(t, http.MethodPost, f.action, f.with(at, id))
				got.same(t, what, c.visit(t, http.MethodPost, f.action, f.with(at, unknown)), id)
				if got.Status == http.StatusSeeOther {
					t.Errorf("%s is done", what)
				}
				tried[f.action+" "+at.name] = true
			}
		}
	}
	for _, field := range []string{"/console/invoices/new/ account_id", "/console/users/new/ account_id", "/console/payments/bulk/ item"} {
		if c.Role == auth.RoleOwner && !tried[field] {
			t.Errorf("%s was not tried, only %v", field, slices.Sorted(maps.Keys(tried)))
		}
	}
}

// withoutSession opens and sends every page without being signed in.
func (m *matrix) withoutSession(t *testing.T) {
	c := &caller{own: m.own, browser: m.own.Browse(m.own.Handler, nil)}
	for _, p := range m.own.project.pages() {
		if p.Public {
			continue
		}
		got := c.visit(t, p.Method, p.at(m.own.pageID(t, p.Path, m.own.First), m.own.Task), nil)
		if got.Status != http.StatusSeeOther || !strings.HasPrefix(got.Location, admin.URL("login")) || len(got.Body) > 500 {
			t.Errorf("%s without a session: %d to %q, want the page to sign in: %s", p, got.Status, got.Location, got.Text())
		}
	}
}

// fromElsewhere sends every form from another site's page, in the session of somebody who may everything.
func (m *matrix) fromElsewhere(t *testing.T) {
	for _, headers := range []map[string]string{{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "", "Origin": "https://elsewhere.test"},
		{"Sec-Fetch-Site": "", "Origin": "null"}} {
		c := &caller{own: m.own, browser: m.callers[0].browser.Copy()}
		c.browser.Headers = headers
		sent := 0
		for _, p := range m.own.project.pages() {
			if p.Method == http.MethodGet {
				continue
			}
			sent++
			c.visit(t, p.Method, p.at(m.own.pageID(t, p.Path, m.own.First), m.own.Task), nil).refused(t, p.String(), http.StatusForbidden, admin.ErrCrossOrigin.Text)
		}
		if sent < 20 {
			t.Errorf("only %d pages take a form", sent)
		}
	}
}

// openPages opens every page that a role may, and follows the console's bare address to the first of them.
func (m *matrix) openPages(t *testing.T, c *caller) {
	if home := c.visit(t, http.MethodGet, admin.Base, nil); c.Role != auth.RoleMember && (home.Status != http.StatusSeeOther || c.visit(t, http.MethodGet, home.Location, nil).Status != http.StatusOK) {
		t.Errorf("%s: %d to %q", admin.Base, home.Status, home.Location)
	}
	for _, p := range m.own.project.pages() {
		if status, _ := p.shut(c.Role); status != 0 || p.Public || p.Method != http.MethodGet || p.Path == admin.Base {
			continue
		}
		address := p.at(m.own.pageID(t, p.Path, m.own.First), m.own.Task)
		got := c.visit(t, p.Method, address, nil)
		if got.Status != http.StatusOK {
			t.Errorf("%s: %d (say in pageKinds what its id names): %s", address, got.Status, got.Text())
			continue
		}
		leaks(t, address, []byte(got.Body), m.hidden(c))
		for _, found := range links.FindAllStringSubmatch(got.Body, -1) {
			if !m.mayOpen(c, found[1]) && (toldOf[p.Path] == "" || !strings.HasPrefix(found[1], toldOf[p.Path])) {
				t.Errorf("%s leads to %s, which the role may not open", address, found[1])
			}
		}
	}
}

// toldOf are pages that tell everybody of objects whose own pages not everybody may open, and lead there all the same.
var toldOf = map[string]string{"/console/events/": "/console/users/"}

var links = regexp.MustCompile(`(?:href|action)="(/console/[^"?#]*)`)

// mayOpen says whether a role may open an address of the console, or send something there.
func (m *matrix) mayOpen(c *caller, address string) bool {
	open := address == admin.Base || strings.HasPrefix(address, admin.Base+"static/")
	for _, p := range m.own.project.pages() {
		status, _ := p.shut(c.Role)
		switch {
		case p.Path == address: // new/ is not an object's page, though the pattern of those fits it
			return status == 0
		case p.fits(address):
			open = open || status == 0
		}
	}
	return open
}

// fits says whether an address is one of the page's.
func (p page) fits(address string) bool {
	pattern, given := strings.Split(p.Path, "/"), strings.Split(address, "/")
	return slices.EqualFunc(pattern, given, func(a, b string) bool { return a == b || strings.HasPrefix(a, "{") })
}

// sendPages sends every form that a role may, empty: the page does what it is for, or says what is missing.
func (m *matrix) sendPages(t *testing.T, c *caller) {
	for _, p := range m.own.project.pages() {
		if status, _ := p.shut(c.Role); status != 0 || p.Public || p.Method == http.MethodGet {
			continue
		}
		if rule := objectRules[p.String()]; rule != "" && !slices.Contains(auth.PermissionsOf(c.Role), rule) {
			continue
		}
		id := m.own.pageID(t, p.Path, m.own.First)
		if p.Path == admin.URL("methods", "{id}", "delete") {
			id = m.own.config(countries[c.n])
		}
		got := c.visit(t, p.Method, p.at(id, m.own.Task), nil)
		if !slices.Contains([]int{http.StatusSeeOther, http.StatusBadRequest, http.StatusConflict}, got.Status) || strings.HasPrefix(got.Location, admin.URL("login")) {
			t.Errorf("%s: %d to %q: %s", p, got.Status, got.Location, got.Text())
		}
	}
}

// answer is a page as a caller got it.
type answer struct{ billingtest.Page }

// visit opens a page, or sends its form from the console itself.
func (c *caller) visit(t *testing.T, method, address string, form url.Values) answer {
	t.Helper()
	if method == http.MethodGet {
		return answer{c.browser.GetIn(t.Context(), address)}
	}
	return answer{c.browser.Post(address, form)}
}

func (a answer) refused(t *testing.T, what string, status int, sentence string) {
	t.Helper()
	if a.Status != status || !strings.Contains(html.UnescapeString(a.Body), sentence) {
		t.Errorf("%s: %d, want %d and %q: %s", what, a.Status, status, sentence, a.Text())
	}
}

// same is same for pages, which tell their request's id too.
func (a answer) same(t *testing.T, what string, want answer, id string) {
	t.Helper()
	if diff := gocmp.Diff(want.plain(unknown), a.plain(id)); diff != "" || a.Status != want.Status || plainText(a.Location, id) != plainText(want.Location, unknown) {
		t.Errorf("%s: %d, with an unknown one %d: %s", what, a.Status, want.Status, diff)
	}
}

func (a answer) plain(id string) string {
	return strings.NewReplacer(a.Header.Get("X-Request-ID"), "request", id, "id").Replace(formKey.ReplaceAllString(a.Body, ""))
}

// formKey is made anew for each page with a form that must have one effect.
var formKey = regexp.MustCompile(`name="key" value="[^"]*"`)

func plainText(text, id string) string { return strings.ReplaceAll(text, id, "id") }
