package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/internal/web"
)

// TestSealed calls everything that is served, the routes of the API and the pages of the console, as every role, with
// what is the caller's own, another account's and another tenant's. What is not the caller's answers as an id that
// nobody has, and nothing changes; what is his works. The calls are made from the lists of routes and pages, so a new
// one is called by itself, and fails with a sentence when this test must first be told something about it (S0-18,
// S3-50, S3-51, W-01).
func TestSealed(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	before := m.state(t)
	t.Run("closed", func(t *testing.T) {
		for _, c := range m.callers {
			t.Run("API/"+c.Role, func(t *testing.T) {
				t.Parallel()
				m.closedRoutes(t, c)
			})
			t.Run("console/"+c.Role, func(t *testing.T) {
				t.Parallel()
				m.closedPages(t, c)
			})
		}
		t.Run("console/nobody", func(t *testing.T) {
			t.Parallel()
			m.withoutSession(t)
		})
		t.Run("console/another site", func(t *testing.T) {
			t.Parallel()
			m.fromElsewhere(t)
		})
	})
	t.Run("nothing has changed", func(t *testing.T) {
		if diff := gocmp.Diff(before, m.state(t)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("open", func(t *testing.T) { // one after the other: what one role does is what the next finds
		for _, c := range m.callers {
			t.Run("API/"+c.Role, func(t *testing.T) { m.openRoutes(t, c) })
		}
		t.Run("API/bodies that name an object", m.openReferences)
		for _, c := range m.callers {
			t.Run("console/"+c.Role, func(t *testing.T) { m.openPages(t, c) })
		}
		for _, c := range m.callers {
			t.Run("console sends/"+c.Role, func(t *testing.T) { m.sendPages(t, c) })
		}
	})
	t.Run("the other tenant has not changed", func(t *testing.T) {
		if diff := gocmp.Diff(before["theirs"], everything(t, m.theirs)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("every amount has its currency", func(t *testing.T) { // S1-56
		if m.till.priced < 1000 {
			t.Errorf("only %d amounts were seen", m.till.priced)
		}
		for _, place := range slices.Sorted(maps.Keys(m.till.wrong)) {
			t.Errorf("%s has no currency beside it", place)
		}
	})
	m.own.AssertBooks(t)
}

// matrix is two tenants and one person for each role of the first, who calls.
type matrix struct {
	own, theirs *estate
	callers     []*caller
	till        *till // reads all answers to what happens in the first
}

// caller is a role in the first tenant. A member belongs to its first customer.
type caller struct {
	*billingtest.Person
	n       int // the place of his role in the list of roles
	own     *estate
	browser *billingtest.Browser
}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	l := &till{wrong: map[string]bool{}}
	m := &matrix{own: newEstate(t, l.around), theirs: newEstate(t), till: l}
	e := m.own
	played := map[string]*billingtest.Person{auth.RoleOwner: e.Owner, auth.RoleAdmin: e.Approver, auth.RoleFinance: e.Finance, auth.RoleMember: e.Member, auth.RoleViewer: e.Viewer}
	for i, role := range auth.Roles() {
		person := played[role]
		if person == nil {
			person = e.Join(role, role, nil)
		}
		person.Token()
		m.callers = append(m.callers, &caller{Person: person, n: i, own: e, browser: e.Browse(e.Handler, person)})
	}
	return m
}

// state gives hashes of both tenants' rows.
func (m *matrix) state(t *testing.T) map[string]map[string]string {
	t.Helper()
	return map[string]map[string]string{"own": everything(t, m.own), "theirs": everything(t, m.theirs)}
}

func (c *caller) client(t testing.TB) *testkit.Client {
	return testkit.NewClient(t, c.own.Handler).As(c.Token())
}

// hidden are the ids that a caller must never be shown.
func (m *matrix) hidden(c *caller) []string {
	if c.Role == auth.RoleMember {
		return slices.Concat(m.theirs.ids(), m.own.Second.ids())
	}
	return m.theirs.ids()
}

// strange are holdings that are not the caller's, by whose they are.
func (m *matrix) strange(c *caller) map[string]stranger {
	s := map[string]stranger{"another tenant's": {m.theirs, m.theirs.First}}
	if c.Role == auth.RoleMember {
		s["another account's"] = stranger{m.own, m.own.Second}
	}
	return s
}

type stranger struct {
	estate  *estate
	holding holding
}

// refusal is how a route refuses a role whatever it is asked; status 0: it does not.
func refusal(role string, permission string, staff bool) (status int, code string) {
	switch {
	case permission != "" && !slices.Contains(auth.PermissionsOf(role), permission):
		return http.StatusForbidden, "permission_denied"
	case staff && role == auth.RoleMember:
		return http.StatusForbidden, "staff_only"
	}
	return 0, ""
}

// closedRoutes makes all calls of the API that must come to nothing.
func (m *matrix) closedRoutes(t *testing.T, c *caller) {
	client := keyed(c.client(t)) // some calls ask for a key before they look what it is about
	for _, route := range m.own.project.routes() {
		name := route.Method + " " + route.Path
		status, code := refusal(c.Role, route.Permission, route.Staff)
		if status != 0 {
			got := perform(t, client, route, m.own.idOr(t, route.Path, m.own.First), calls[name].body)
			if got.Status != status || got.Body["code"] != code {
				t.Errorf("%s with what is his own: %d %v, want %d %s", name, got.Status, got.Body["code"], status, code)
			}
		}
		for whose, s := range m.strange(c) {
			if strings.Contains(route.Path, "{id}") && !(s.estate == m.own && ofTenant(route.Path)) {
				strangeID(t, client, route, whose, s.estate.id(t, route.Path, s.holding), cmp.Or(status, http.StatusNotFound))
			}
			if status == 0 && route.Method == http.MethodGet {
				m.filters(t, c, client, route, whose, s.holding)
			}
		}
	}
	for name, r := range references(t, m.own) {
		for whose, s := range m.strange(c) {
			id := r.id(s.holding)
			got := r.do(client, id)
			if got.Status < 400 && !r.each {
				t.Errorf("%s with %s id: %d: %s", name, whose, got.Status, got.Raw)
			}
			same(t, name+" with "+whose+" id", got, r.do(client, unknown), id)
		}
	}
}

// strangeID calls a route with an id that is not the caller's, which must answer as one that nobody has.
func strangeID(t *testing.T, client *testkit.Client, route web.Route, whose, id string, status int) {
	t.Helper()
	name := route.Method + " " + route.Path
	body := calls[name].body
	got := perform(t, client, route, id, body)
	if got.Status != status {
		t.Errorf("%s with %s id: %d, want %d (does calls give it a valid body?): %s", name, whose, got.Status, status, got.Raw)
	}
	same(t, name+" with "+whose+" id", got, perform(t, client, route, unknown, body), id)
}

// filters narrows a list by strange ids, which must show what an unknown one shows.
func (m *matrix) filters(t *testing.T, c *caller, client *testkit.Client, route web.Route, whose string, h holding) {
	t.Helper()
	path := strings.ReplaceAll(apiPrefix+route.Path, "{id}", m.own.idOr(t, route.Path, m.own.First))
	for _, name := range takingIDs(route) {
		want := client.Get(path + "?" + name + "=" + unknown)
		for _, id := range []string{h.Account, h.Open, h.Settled, h.User, h.Ledger} {
			what := fmt.Sprintf("GET %s?%s= with %s id", route.Path, name, whose)
			got := client.Get(path + "?" + name + "=" + id)
			same(t, what, got, want, id)
			leaks(t, what, got.Raw, slices.DeleteFunc(m.hidden(c), func(s string) bool { return s == id }))
		}
	}
}

// takingIDs are the filters of a route that an id is a value of; the others are for dates and words.
func takingIDs(route web.Route) (names []string) {
	for _, spec := range []*web.ListSpec{route.List, route.Query} {
		if spec == nil {
			continue
		}
		for _, f := range spec.Filters {
			if _, err := f.Parse(unknown); err == nil {
				names = append(names, f.Name)
			}
		}
	}
	return names
}

// openRoutes makes all calls that the role may make with what is its own.
func (m *matrix) openRoutes(t *testing.T, c *caller) {
	for _, route := range m.own.project.routes() {
		if status, _ := refusal(c.Role, route.Permission, route.Staff); status != 0 {
			continue
		}
		name := route.Method + " " + route.Path
		if route.Method != http.MethodGet {
			call, ok := calls[name]
			if !ok {
				t.Errorf("%s changes something: say in calls how it is called with one's own, and what it answers", name)
				continue
			}
			got := c.make(t, route, call)
			if got.Status != call.status || call.code != "" && got.Body["code"] != call.code {
				t.Errorf("%s: %d %v, want %d %s (calls says so): %s", name, got.Status, got.Body["code"], call.status, call.code, got.Raw)
			}
			leaks(t, name, got.Raw, m.hidden(c))
			continue
		}
		m.read(t, c, route, m.own.First)
		if c.Role != auth.RoleMember {
			m.read(t, c, route, m.own.Second)
		}
	}
}

// openReferences names the owner's own objects in bodies: the answer must be another than to unknown ones, or those calls
// are refused for another reason, and prove nothing.
func (m *matrix) openReferences(t *testing.T) {
	client := m.callers[0].client(t)
	for name, r := range references(t, m.own) {
		nobodys, own := r.do(client, unknown), r.do(client, r.id(m.own.First))
		if plain(own, r.id(m.own.First)) == plain(nobodys, unknown) {
			t.Errorf("%s with one's own id answers as with an unknown one: %s", name, own.Raw)
		}
		if made, ok := own.Body["data"].(map[string]any); ok && made["status"] == "pending_approval" { // so that its invoice can be claimed again
			client.Post(base+"/payments/"+own.Text("data.id")+"/cancel/", "{}").Expect(http.StatusOK)
		}
	}
}

// read opens a route with what is the caller's own. A list must show something: one that is always empty would leak
// nothing by chance.
func (m *matrix) read(t *testing.T, c *caller, route web.Route, h holding) {
	t.Helper()
	path := strings.NewReplacer("{id}", m.own.idOr(t, route.Path, h), "{name}", m.own.idOr(t, route.Path, h)).Replace(apiPrefix + route.Path)
	if c.Role != auth.RoleMember && slices.Contains(ofAccount, route.Path) {
		path += "?account=" + h.Account
	}
	got := c.client(t).Get(path)
	if got.Status != http.StatusOK {
		t.Errorf("GET %s: %d, want 200 (say in ofAccount that staff must name an account, or in kinds what its id names): %s", path, got.Status, got.Raw)
		return
	}
	if route.List != nil && len(got.List("results")) == 0 {
		t.Errorf("GET %s shows nothing: give each customer of the estate a row of it", path)
	}
	leaks(t, "GET "+path, got.Raw, m.hidden(c))
}

// make calls a route that changes something.
func (c *caller) make(t *testing.T, route web.Route, call change) testkit.Answer {
	t.Helper()
	made := c.prepare(t, route, call)
	return perform(t, made.client, route, made.id, made.body)
}

// prepare makes what a call of the route does something to.
func (c *caller) prepare(t *testing.T, route web.Route, call change) prepared {
	t.Helper()
	made := prepared{}
	if call.live == nil {
		made.id = c.own.idOr(t, route.Path, c.own.First)
	} else {
		made = call.live(t, c)
	}
	if made.client == nil {
		made.client = c.client(t)
	}
	if made.body == nil {
		made.body = call.body
	}
	return made
}

// idOr is id for paths that have one.
func (e *estate) idOr(t *testing.T, path string, h holding) string {
	t.Helper()
	switch {
	case strings.Contains(path, "{id}"):
		return e.id(t, path, h)
	case strings.HasPrefix(path, "/billing/gateways/"):
		return "acme"
	case strings.Contains(path, "{name}"):
		return e.Task
	}
	return ""
}

// unknown is an id that nobody has.
var unknown = uuid.Must(uuid.NewV7()).String()

// same fails the test when two answers differ in more than their request's id and the id that was asked for.
func same(t *testing.T, what string, got, want testkit.Answer, id string) {
	t.Helper()
	if diff := gocmp.Diff(plain(want, unknown), plain(got, id)); diff != "" || got.Status != want.Status {
		t.Errorf("%s answers %d, with an unknown one %d: %s", what, got.Status, want.Status, diff)
	}
}

func plain(a testkit.Answer, id string) string {
	if requestID, ok := a.Body["request_id"].(string); ok {
		return strings.NewReplacer(requestID, "request", id, "id").Replace(string(a.Raw))
	}
	return string(a.Raw)
}

// leaks fails the test when an answer holds an id that the caller must not see.
func leaks(t *testing.T, what string, raw []byte, hidden []string) {
	t.Helper()
	for _, id := range hidden {
		if strings.Contains(string(raw), id) {
			t.Errorf("%s names the foreign %s", what, id)
		}
	}
}
