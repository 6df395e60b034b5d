package admin

import (
	"context"
	"net/http"
	"net/url"

	"countersign/internal/web"
)

// SingleForm is a form about something there is one of, such as the tenant's settings.
type SingleForm struct {
	Crumbs      []Link
	Title       string
	Description string
	Submit      string // empty: "Save"
	URL         string // of the form itself
	Back        string // where Cancel and success lead
	Permission  string // to open and to send it; empty: that of the section
	Groups      func(ctx context.Context) ([]FieldGroup, error)
	// Save calls the service; done is the sentence shown afterwards.
	Save func(ctx context.Context, values url.Values) (done string, err error)
}

// Routes serve the form at a path of its section.
func (f SingleForm) Routes(path string) []web.Route {
	return []web.Route{{Method: http.MethodGet, Path: path, Permission: f.Permission, Handler: f.view},
		{Method: http.MethodPost, Path: path, Permission: f.Permission, Handler: f.save}}
}

func (f SingleForm) page(ctx context.Context) (FormPage, error) {
	groups, err := f.Groups(ctx)
	return FormPage{Crumbs: f.Crumbs, Title: f.Title, Description: f.Description, Action: f.URL, Cancel: f.Back, Submit: orElse(f.Submit, "Save"), Groups: groups}, err
}

func (f SingleForm) view(w http.ResponseWriter, r *http.Request) error {
	page, err := f.page(r.Context())
	if err != nil {
		return err
	}
	return Render(w, r, "admin/form", page)
}

func (f SingleForm) save(w http.ResponseWriter, r *http.Request) error {
	values, err := FormValues(w, r)
	if err != nil {
		return err
	}
	done, err := f.Save(r.Context(), values)
	if err == nil {
		return Redirect(w, r, f.Back, done)
	}
	refusal, ok := Refused(r, err)
	if !ok {
		return err
	}
	page, err := f.page(r.Context())
	if err != nil {
		return err
	}
	page.Error = refusal.Refill(page.Groups, values)
	return RenderStatus(w, r, refusal.Status, "admin/form", page)
}
