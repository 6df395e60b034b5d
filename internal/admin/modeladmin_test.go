package admin_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/web"
)

type thing struct {
	ID    uuid.UUID
	Name  string
	Price int64
	Void  bool
}

var (
	errVoid = errs.Conflict("thing_void", "This thing was voided before.")
	errName = errs.Invalid("name_taken", "This name is taken.")
)

// shelf is the service behind the tests' section.
type shelf struct{ things []thing }

func (s *shelf) list(_ context.Context, l web.List) (web.Page[thing], error) {
	page := web.Page[thing]{Count: len(s.things)}
	name, _ := web.Value[string](l, "search")
	for _, t := range s.things {
		if strings.Contains(t.Name, name) {
			page.Items = append(page.Items, t)
		}
	}
	return page, nil
}

func (s *shelf) get(_ context.Context, id uuid.UUID) (thing, error) {
	i := slices.IndexFunc(s.things, func(t thing) bool { return t.ID == id })
	if i < 0 {
		return thing{}, web.ErrNotFound
	}
	return s.things[i], nil
}

func (s *shelf) void(_ context.Context, t thing, form url.Values) (string, error) {
	if form.Get("reason") == "" {
		return "", errs.Invalid("required", "This field is required.").At("reason")
	}
	for i := range s.things {
		if s.things[i].ID != t.ID {
			continue
		}
		if s.things[i].Void {
			return "", errVoid
		}
		s.things[i].Void = true
	}
	return "The thing was voided.", nil
}

func (s *shelf) save(_ context.Context, old *thing, form url.Values) (uuid.UUID, string, error) {
	if form.Get("name") == "taken" {
		return uuid.Nil, "", errName.At("name")
	}
	if old != nil {
		return old.ID, "Saved.", nil
	}
	t := thing{ID: uuid.New(), Name: form.Get("name")}
	s.things = append(s.things, t)
	return t.ID, "Created.", nil
}

func (s *shelf) admin() admin.ModelAdmin[thing] {
	return admin.ModelAdmin[thing]{
		Name: "things", Title: "Things", Icon: "inbox", Group: admin.GroupMoney, Permission: "billing.view",
		Spec: &web.ListSpec{Filters: []web.Filter{web.Text("search", "by name"), web.Flag("void", "voided")},
			Ordering: map[string]string{"created_at": "created_at", "name": "name"}, Default: "-created_at"},
		SearchPlaceholder: "Name",
		ListFilter:        []admin.Filter{{Name: "void", Label: "Void", Options: []admin.Option{{Value: "true", Label: "yes"}, {Value: "false", Label: "no"}}}},
		ListDisplay: []admin.Column[thing]{
			{Title: "Name", OrderBy: "name", Value: func(t thing) admin.Cell { return admin.Text(t.Name) }},
			{Title: "Price", Value: func(t thing) admin.Cell { return admin.Amount(usd(t.Price)) }},
		},
		List: s.list, Key: func(t thing) uuid.UUID { return t.ID }, Get: s.get,
		Detail: func(_ context.Context, r admin.Reader, t thing) (admin.DetailPage, error) {
			return admin.DetailPage{Title: t.Name, Subtitle: r.Money(usd(t.Price))}, nil
		},
		Create: &admin.Form[thing]{Title: "New thing", Permission: "billing.approve", Groups: nameField, Save: s.save},
		Edit:   &admin.Form[thing]{Title: "Edit the thing", Permission: "tenant.manage", Groups: nameField, Save: s.save},
		Actions: []admin.Action[thing]{{Name: "void", Title: "Void", Consequence: "It is owed no longer.", Permission: "billing.approve", Danger: true,
			Reason: admin.MustReason, Allowed: func(_ auth.Principal, t thing) bool { return !t.Void }, Run: s.void}},
	}
}

func nameField(_ context.Context, t *thing) ([]admin.FieldGroup, error) {
	f := admin.Field{Name: "name", Label: "Name", Kind: "text", Required: true}
	if t != nil {
		f.Value = t.Name
	}
	return []admin.FieldGroup{{Fields: []admin.Field{f}}}, nil
}

func newShelf() *shelf {
	return &shelf{things: []thing{{ID: uuid.New(), Name: "Anvil <heavy>", Price: 13900}, {ID: uuid.New(), Name: "Bell", Price: 5}}}
}

func TestModelAdmin(t *testing.T) {
	t.Parallel()
	open := func(t *testing.T) (*shelf, *admin.Site, string) {
		s := newShelf()
		return s, newSite(t, as(approver()), s.admin().Section()), admin.IDURL("things", s.things[0].ID)
	}
	contains := func(t *testing.T, body string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%q is missing in %s", w, body)
			}
		}
	}
	t.Run("lists rows with their links, escaped", func(t *testing.T) {
		t.Parallel()
		_, site, one := open(t)
		contains(t, get(site, "/console/things/").Body.String(), "Anvil &lt;heavy&gt;", `href="`+one+`"`, "139.00", "New thing", "1–2 of 2")
	})
	t.Run("answers a fragment alone when htmx asks for it", func(t *testing.T) {
		t.Parallel()
		_, site, _ := open(t)
		body := get(site, "/console/things/?search=Bell", "HX-Request", "true", "HX-Target", "list").Body.String()
		if !strings.HasPrefix(body, `<div id="list">`) || strings.Contains(body, "<html") || strings.Contains(body, "Anvil") {
			t.Errorf("got %s", body)
		}
		contains(t, body, "Bell", `href="/console/things/"`)
	})
	t.Run("answers the whole page when a browser restores it", func(t *testing.T) {
		t.Parallel()
		_, site, _ := open(t)
		contains(t, get(site, "/console/things/", "HX-Request", "true", "HX-History-Restore-Request", "true").Body.String(), "</html>")
	})
	t.Run("refuses a filter that it does not know", func(t *testing.T) {
		t.Parallel()
		_, site, _ := open(t)
		if w := get(site, "/console/things/?colour=red"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "colour") {
			t.Errorf("got %d: %s", w.Code, w.Body)
		}
	})
	t.Run("sorts by a column and turns it round", func(t *testing.T) {
		t.Parallel()
		_, site, _ := open(t)
		contains(t, get(site, "/console/things/").Body.String(), "?ordering=name")
		contains(t, get(site, "/console/things/?ordering=name").Body.String(), `aria-sort="ascending"`, "?ordering=-name")
	})
	t.Run("shows an object with the buttons of what the reader may do", func(t *testing.T) {
		t.Parallel()
		_, site, one := open(t)
		body := get(site, one).Body.String()
		contains(t, body, "139.00", one+"void/")
		if strings.Contains(body, one+"edit/") {
			t.Error("the button of a form that needs another permission is shown")
		}
	})
	t.Run("marks the list that an object leads back to", func(t *testing.T) {
		t.Parallel()
		s := newShelf()
		a := s.admin()
		a.Parent = func(thing) admin.Link { return admin.Link{Text: "Others", URL: admin.URL("others")} }
		a.Actions[0].Allowed = nil
		others := admin.Section{Name: "others", Title: "Others", Icon: "inbox", Group: admin.GroupMoney, Permission: "billing.view"}
		site, one := newSite(t, as(approver()), a.Section(), others), admin.IDURL("things", s.things[0].ID)
		for path, list := range map[string]string{admin.URL("things"): "things", one: "others", one + "void/": "others"} {
			body := get(site, path).Body.String()
			contains(t, body, `href="`+admin.URL(list)+`" aria-current="page"`)
			if n := strings.Count(body, "aria-current"); n != 1 {
				t.Errorf("%s marks %d lists", path, n)
			}
		}
	})
	t.Run("hides the button of an action that makes no sense any more", func(t *testing.T) {
		t.Parallel()
		s, site, one := open(t)
		s.things[0].Void = true
		if strings.Contains(get(site, one).Body.String(), one+"void/") {
			t.Error("a voided thing can be voided")
		}
	})
	t.Run("guards a form by its own permission", func(t *testing.T) {
		t.Parallel()
		_, site, one := open(t)
		if w := post(site, one+"edit/", url.Values{"name": {"x"}}); w.Code != http.StatusForbidden {
			t.Errorf("got %d", w.Code)
		}
	})
	t.Run("an unknown and a malformed id are the same nothing", func(t *testing.T) {
		t.Parallel()
		_, site, _ := open(t)
		for _, path := range []string{admin.IDURL("things", uuid.New()), "/console/things/x/", admin.IDURL("things", uuid.New(), "void")} {
			if w := get(site, path); w.Code != http.StatusNotFound {
				t.Errorf("%s answers %d", path, w.Code)
			}
		}
	})
	t.Run("an action's page changes nothing", func(t *testing.T) {
		t.Parallel()
		s, site, one := open(t)
		contains(t, get(site, one+"void/").Body.String(), "It is owed no longer.", `name="reason"`)
		if s.things[0].Void {
			t.Error("GET voided the thing")
		}
	})
	t.Run("an action runs the service once and says so", func(t *testing.T) {
		t.Parallel()
		s, site, one := open(t)
		w := post(site, one+"void/", url.Values{"reason": {"broken"}})
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != one || !s.things[0].Void {
			t.Fatalf("got %d to %q, void: %v", w.Code, w.Header().Get("Location"), s.things[0].Void)
		}
		contains(t, follow(site, w).Body.String(), "The thing was voided.")
	})
	t.Run("an action shows the service's refusal and keeps what was typed", func(t *testing.T) {
		t.Parallel()
		s, site, one := open(t)
		s.things[0].Void = true
		w := post(site, one+"void/", url.Values{"reason": {"broken & old"}})
		if w.Code != http.StatusConflict {
			t.Errorf("got %d", w.Code)
		}
		contains(t, w.Body.String(), "This thing was voided before.", "broken &amp; old")
	})
	t.Run("an action blames the field that is wrong", func(t *testing.T) {
		t.Parallel()
		_, site, one := open(t)
		contains(t, post(site, one+"void/", nil).Body.String(), `id="e-reason"`, `aria-invalid="true"`)
	})
	t.Run("a form creates and leads to what it made", func(t *testing.T) {
		t.Parallel()
		s, site, _ := open(t)
		w := post(site, "/console/things/new/", url.Values{"name": {"Clock"}})
		if w.Header().Get("Location") != admin.IDURL("things", s.things[2].ID) {
			t.Errorf("got %d to %q", w.Code, w.Header().Get("Location"))
		}
	})
	t.Run("a form comes back with its errors", func(t *testing.T) {
		t.Parallel()
		s, site, _ := open(t)
		w := post(site, "/console/things/new/", url.Values{"name": {"taken"}})
		if w.Code != http.StatusBadRequest || len(s.things) != 2 {
			t.Errorf("got %d and %d things", w.Code, len(s.things))
		}
		contains(t, w.Body.String(), "This name is taken.", `value="taken"`)
	})
	t.Run("a column that panics gives the error page", func(t *testing.T) {
		t.Parallel()
		m := newShelf().admin()
		m.ListDisplay[1].Value = func(thing) admin.Cell { panic("column") }
		w := get(newSite(t, as(approver()), m.Section()), "/console/things/")
		if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "Something went wrong") {
			t.Errorf("got %d: %s", w.Code, w.Body)
		}
	})
	t.Run("a list without rows says so", func(t *testing.T) {
		t.Parallel()
		s := &shelf{}
		site := newSite(t, as(approver()), s.admin().Section())
		contains(t, get(site, "/console/things/").Body.String(), "Nothing here yet")
		contains(t, get(site, "/console/things/?search=x").Body.String(), "Nothing matches")
	})
	t.Run("a declaration that forgot something does not start", func(t *testing.T) {
		t.Parallel()
		defer func() {
			if v := recover(); v == nil || !strings.Contains(v.(string), "List") {
				t.Errorf("got %v", v)
			}
		}()
		m := newShelf().admin()
		m.List = nil
		m.Section()
	})
}
