package admin

import (
	"context"
	"net/http"
	"net/url"

	"github.com/google/uuid"

	"countersign/internal/auth"
	"countersign/internal/web"
)

// Ask says whether an action wants a reason.
type Ask int

// What an action asks.
const (
	AskNothing Ask = iota
	AskReason      // may stay empty
	MustReason     // the service refuses an empty one; the form says so first
)

// Action changes one object by calling the service method that the API calls. GET shows a page that says what will
// happen; POST does it. A refusal of the service comes back on that page in the service's own words.
type Action[T any] struct {
	Name        string // path segment: "void"
	Title       string // of the button and of the page
	Consequence string // the sentence that says what will happen
	Submit      string // of the button that does it; empty: Title
	Permission  string // empty: that of the section
	Danger      bool
	Primary     bool
	Reason      Ask
	// Fields are further inputs; nil for none.
	Fields func(ctx context.Context, object T) ([]Field, error)
	// Subject says which object it is about; nil shows nothing.
	Subject func(T) string
	// Facts are shown above the button, so that the reader sees what he decides about.
	Facts func(Reader, T) []Fact
	// Bind are hidden values that go with the form, such as a digest of what is shown; nil for none.
	Bind func(T) []Pair
	// Allowed hides the button where the action makes no sense; the service decides for itself.
	Allowed func(auth.Principal, T) bool
	// Run calls the service. Form has "reason", the fields and what Bind gave. Done is the sentence shown afterwards.
	Run func(ctx context.Context, object T, form url.Values) (done string, err error)
	// Next is where to go afterwards; nil: to the object's page, or to the list where there is none.
	Next func(T) string
}

func (m ModelAdmin[T]) actionView(a Action[T]) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		object, err := m.object(r)
		if err != nil {
			return err
		}
		page, err := m.confirmPage(r, a, object)
		if err != nil {
			return err
		}
		return Render(w, r, "admin/confirm", page)
	}
}

func (m ModelAdmin[T]) confirmPage(r *http.Request, a Action[T], object T) (ConfirmPage, error) {
	id := m.Key(object)
	page := ConfirmPage{Crumbs: m.crumbs(&object), Title: a.Title, Consequence: a.Consequence, Action: IDURL(m.Name, id, a.Name),
		Cancel: m.home(object), Submit: orElse(a.Submit, a.Title), Danger: a.Danger}
	if a.Subject != nil {
		page.Subject = a.Subject(object)
	}
	if a.Facts != nil {
		page.Facts = a.Facts(ReaderOf(r), object)
	}
	if a.Bind != nil {
		page.Hidden = a.Bind(object)
	}
	if a.Fields != nil {
		fields, err := a.Fields(r.Context(), object)
		if err != nil {
			return page, err
		}
		page.Fields = fields
	}
	if a.Reason != AskNothing {
		page.Fields = append(page.Fields, Field{Name: "reason", Label: "Reason", Kind: "textarea", Required: a.Reason == MustReason})
	}
	return page, nil
}

// home is where the reader came from: the object's page, or the list.
func (m ModelAdmin[T]) home(object T) string {
	if m.NoDetail {
		return URL(m.Name)
	}
	return IDURL(m.Name, m.Key(object))
}

func (m ModelAdmin[T]) actionRun(a Action[T]) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		form, err := FormValues(w, r)
		if err != nil {
			return err
		}
		object, err := m.object(r)
		if err != nil {
			return err
		}
		done, err := a.Run(r.Context(), object, form)
		if err == nil {
			next := m.home(object)
			if a.Next != nil {
				next = a.Next(object)
			}
			return Redirect(w, r, next, done)
		}
		refusal, ok := Refused(r, err)
		if !ok {
			return err
		}
		page, err := m.confirmPage(r, a, object)
		if err != nil {
			return err
		}
		groups := []FieldGroup{{Fields: page.Fields}}
		page.Error = refusal.Refill(groups, form)
		return RenderStatus(w, r, refusal.Status, "admin/confirm", page)
	}
}

// Form creates or edits one object.
type Form[T any] struct {
	Title       string // of the page, and of the button above the list when it creates
	Button      string // of the button on the object's page when it edits; empty: "Edit"
	Description string
	Submit      string // empty: "Save"
	Permission  string // empty: that of the section
	// Allowed hides the button of an edit form where it makes no sense.
	Allowed func(auth.Principal, T) bool
	// Groups are the inputs with their present values. Object is nil when one is created.
	Groups func(ctx context.Context, object *T) ([]FieldGroup, error)
	// Save calls the service. Values hold what the inputs were named; an unticked checkbox is absent. Id is where to
	// go when one was created; done is the sentence shown there.
	Save func(ctx context.Context, object *T, values url.Values) (id uuid.UUID, done string, err error)
}

// load gives the object of an edit form, or nil.
func (m ModelAdmin[T]) load(r *http.Request, create bool) (*T, error) {
	if create {
		return nil, nil
	}
	object, err := m.object(r)
	if err != nil {
		return nil, err
	}
	return &object, nil
}

func (m ModelAdmin[T]) formPage(r *http.Request, f Form[T], object *T) (FormPage, error) {
	page := FormPage{Crumbs: m.crumbs(object), Title: f.Title, Description: f.Description, Action: r.URL.Path, Cancel: URL(m.Name),
		Submit: orElse(f.Submit, "Save")}
	if object != nil {
		page.Cancel = m.home(*object)
	}
	groups, err := f.Groups(r.Context(), object)
	page.Groups = groups
	return page, err
}

func (m ModelAdmin[T]) formView(f Form[T], create bool) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		object, err := m.load(r, create)
		if err != nil {
			return err
		}
		page, err := m.formPage(r, f, object)
		if err != nil {
			return err
		}
		return Render(w, r, "admin/form", page)
	}
}

func (m ModelAdmin[T]) formSave(f Form[T], create bool) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		values, err := FormValues(w, r)
		if err != nil {
			return err
		}
		object, err := m.load(r, create)
		if err != nil {
			return err
		}
		id, done, err := f.Save(r.Context(), object, values)
		if err == nil {
			next := URL(m.Name)
			if !m.NoDetail {
				next = IDURL(m.Name, id)
			}
			return Redirect(w, r, next, done)
		}
		refusal, ok := Refused(r, err)
		if !ok {
			return err
		}
		page, err := m.formPage(r, f, object)
		if err != nil {
			return err
		}
		page.Error = refusal.Refill(page.Groups, values)
		return RenderStatus(w, r, refusal.Status, "admin/form", page)
	}
}
