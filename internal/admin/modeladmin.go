package admin

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"countersign/internal/auth"
	"countersign/internal/web"
)

// ModelAdmin declares the console's pages for one kind of object: a list, a page for each, forms, and actions. Only
// Name, Title, Icon, Group, Permission, Spec, List, ListDisplay and Key are required; each other part adds its pages.
type ModelAdmin[T any] struct {
	Name        string // the section's path: "invoices"
	Title       string // English, plural
	Description string
	Icon        string
	Group       Group
	Place       int // in the group, the smallest first
	Hidden      bool
	Permission  string // to see list and pages
	Count       func(ctx context.Context) (int, error)

	// Spec is the list's filters and orderings, usually the very ones of the API. A filter named "search" gets the
	// text box when SearchPlaceholder is set.
	Spec              *web.ListSpec
	SearchPlaceholder string
	ListFilter        []Filter
	ListDisplay       []Column[T]
	List              func(ctx context.Context, l web.List) (web.Page[T], error)
	Empty             Empty
	// ListView answers in place of the generic list, for a page of the app's own. Spec, List and ListDisplay are not
	// needed then.
	ListView web.Handler
	// RowURL is where a row of the list leads; nil: to the object's page in this section.
	RowURL func(T) string

	// Key is what stands in the address of one object.
	Key func(T) uuid.UUID
	// Get reads one object; whatever the principal may not see is web.ErrNotFound.
	Get func(ctx context.Context, id uuid.UUID) (T, error)
	// Detail makes the generic page of one object. Buttons of actions and of Edit are added to it.
	Detail func(ctx context.Context, r Reader, object T) (DetailPage, error)
	// DetailView answers in place of Detail, for a page of the app's own. ActionButtons gives it the buttons.
	DetailView web.Handler
	// Parent is the list that an object's pages lead back to; nil: this section's.
	Parent func(T) Link
	// NoDetail means that rows lead nowhere.
	NoDetail bool

	Create *Form[T]
	Edit   *Form[T]
	// Actions change one object. Each has a page that says what will happen and asks for what it needs.
	Actions []Action[T]
	// ListButtons stand above the list, besides the one of Create; nil: none.
	ListButtons func(auth.Principal) []Button
	// Routes are further pages below the section.
	Routes []web.Route
	// Samples are the section's own pages, for the check at start.
	Samples []Sample
}

// Column is one column of a list: a head and a function, no reflection.
type Column[T any] struct {
	Title string
	Value func(T) Cell
	// OrderBy is the word of the list's spec that sorts by this column; empty when none does.
	OrderBy string
	// Numeric columns stand at the right edge. Money and counts do by themselves once there is a row.
	Numeric bool
}

// Filter is a select above a list. Name is a filter of the list's spec. Options may be given as they are, or read for
// the reader's tenant.
type Filter struct {
	Name    string
	Label   string
	Options []Option
	// Always says that one of the options holds at any time, the first when none is chosen.
	Always bool
	Read   func(ctx context.Context) ([]Option, error)
	// Describe makes it a filter that only links bring, such as one for an account: it has no select, and its chip says
	// what Describe makes of the value.
	Describe func(ctx context.Context, value string) string
}

// Section gives the declaration to apps.App.
func (m ModelAdmin[T]) Section() Section {
	m.mustBeComplete()
	s := Section{Name: m.Name, Title: m.Title, Icon: m.Icon, Group: m.Group, Place: m.Place, Permission: m.Permission, Hidden: m.Hidden,
		Count: m.Count, Samples: m.Samples}
	add := func(method, path, permission string, h web.Handler) {
		s.Routes = append(s.Routes, web.Route{Method: method, Path: path, Permission: permission, Handler: h})
	}
	if m.ListView != nil {
		add(http.MethodGet, "/", "", m.ListView)
	} else {
		add(http.MethodGet, "/", "", m.listView)
	}
	if m.Create != nil {
		add(http.MethodGet, "/new/", m.Create.Permission, m.formView(*m.Create, true))
		add(http.MethodPost, "/new/", m.Create.Permission, m.formSave(*m.Create, true))
	}
	switch {
	case m.DetailView != nil:
		add(http.MethodGet, "/{id}/", "", m.DetailView)
	case !m.NoDetail:
		add(http.MethodGet, "/{id}/", "", m.detailView)
	}
	if m.Edit != nil {
		add(http.MethodGet, "/{id}/edit/", m.Edit.Permission, m.formView(*m.Edit, false))
		add(http.MethodPost, "/{id}/edit/", m.Edit.Permission, m.formSave(*m.Edit, false))
	}
	for _, a := range m.Actions {
		add(http.MethodGet, "/{id}/"+a.Name+"/", a.Permission, m.actionView(a))
		add(http.MethodPost, "/{id}/"+a.Name+"/", a.Permission, m.actionRun(a))
	}
	s.Routes = append(s.Routes, m.Routes...)
	return s
}

// mustBeComplete finds what was forgotten when the program starts.
func (m ModelAdmin[T]) mustBeComplete() {
	needsGet := !m.NoDetail && m.DetailView == nil || m.Edit != nil || len(m.Actions) > 0
	for field, missing := range map[string]bool{
		"Name": m.Name == "", "Title": m.Title == "", "Spec": m.ListView == nil && m.Spec == nil, "List": m.ListView == nil && m.List == nil,
		"ListDisplay": m.ListView == nil && len(m.ListDisplay) == 0, "Key": m.Key == nil && !m.NoDetail,
		"Get": needsGet && m.Get == nil, "Detail": !m.NoDetail && m.DetailView == nil && m.Detail == nil,
	} {
		if missing {
			panic(fmt.Sprintf("admin: the ModelAdmin %q has no %s", m.Name, field))
		}
	}
}

func (m ModelAdmin[T]) listView(w http.ResponseWriter, r *http.Request) error {
	page, err := m.ListPage(r)
	if err != nil {
		return err
	}
	return Render(w, r, "admin/list", page)
}

// ListPage makes the page of the list for a request, for a section that shows it in a page of its own.
func (m ModelAdmin[T]) ListPage(r *http.Request) (ListPage, error) {
	l, err := web.ParseList(r, m.Spec)
	if err != nil {
		return ListPage{}, err
	}
	rows, err := m.List(r.Context(), l)
	if err != nil {
		return ListPage{}, err
	}
	filters, err := m.filters(r)
	if err != nil {
		return ListPage{}, err
	}
	page := ListPage{Title: m.Title, Description: m.Description, Filters: filters, Table: m.table(r, l, rows.Items),
		Pager: PagerOf(r, l, rows.Count, len(rows.Items), rows.Next, rows.Previous), Empty: m.empty(len(filters.Chips) > 0)}
	p, _ := auth.From(r.Context())
	if m.ListButtons != nil {
		page.Buttons = m.ListButtons(p)
	}
	if m.Create != nil && p.Can(orElse(m.Create.Permission, m.Permission)) {
		page.Buttons = append(page.Buttons, Button{Title: m.Create.Title, URL: URL(m.Name, "new"), Icon: "plus", Primary: true})
	}
	return page, nil
}

func (m ModelAdmin[T]) empty(narrowed bool) Empty {
	if narrowed {
		return Empty{Title: "Nothing matches", Text: "Take a filter away to see more.", URL: URL(m.Name), Label: "Show all"}
	}
	if m.Empty.Title != "" {
		return m.Empty
	}
	return Empty{Title: "Nothing here yet", Text: "It appears here as soon as there is something."}
}

func (m ModelAdmin[T]) table(r *http.Request, l web.List, rows []T) Table {
	t := Table{Columns: make([]Head, len(m.ListDisplay))}
	for i, c := range m.ListDisplay {
		t.Columns[i] = Head{Title: c.Title, Numeric: c.Numeric}
		if c.OrderBy != "" {
			t.Columns[i].SortURL, t.Columns[i].Sorted = sortLink(r, l.Ordering, c.OrderBy)
		}
	}
	for _, row := range rows {
		out := Row{Cells: make([]Placed, len(m.ListDisplay))}
		switch {
		case m.RowURL != nil:
			out.URL = m.RowURL(row)
		case !m.NoDetail:
			out.URL = IDURL(m.Name, m.Key(row))
		}
		for i, c := range m.ListDisplay {
			out.Cells[i] = place(c.Value(row), c.Title, i == 0)
			out.Cells[i].Numeric = out.Cells[i].Numeric || c.Numeric
			t.Columns[i].Numeric = t.Columns[i].Numeric || out.Cells[i].Numeric
		}
		t.Rows = append(t.Rows, out)
	}
	return t
}

func sortLink(r *http.Request, current, word string) (link, sorted string) {
	query := r.URL.Query()
	query.Del("page")
	query.Del("cursor")
	query.Set("ordering", word)
	switch current {
	case word:
		sorted = "ascending"
		query.Set("ordering", "-"+word)
	case "-" + word:
		sorted = "descending"
	}
	return r.URL.Path + "?" + query.Encode(), sorted
}

func (m ModelAdmin[T]) filters(r *http.Request) (Filters, error) {
	return FiltersOf(r, m.SearchPlaceholder, m.ListFilter)
}

// FiltersOf makes the row of filters for a request's list. An empty placeholder means that the list has no search.
func FiltersOf(r *http.Request, placeholder string, filters []Filter) (Filters, error) {
	query := r.URL.Query()
	out := Filters{Action: r.URL.Path}
	if placeholder != "" {
		text := query.Get("search")
		out.Search = &Search{Name: "search", Value: text, Placeholder: placeholder}
		out.addChip(r, "search", "Search", text)
	}
	known := map[string]bool{"search": true, "page": true, "page_size": true, "cursor": true}
	for _, f := range filters {
		known[f.Name] = true
		if f.Describe != nil {
			if value := query.Get(f.Name); value != "" {
				out.addChip(r, f.Name, f.Label, f.Describe(r.Context(), value))
				out.Hidden = append(out.Hidden, Pair{f.Name, value})
			}
			continue
		}
		options := slices.Clone(f.Options)
		if f.Read != nil {
			read, err := f.Read(r.Context())
			if err != nil {
				return out, fmt.Errorf("options of filter %s: %w", f.Name, err)
			}
			options = read
		}
		chosen := query.Get(f.Name)
		label := chosen
		for i := range options {
			options[i].Selected = chosen != "" && options[i].Value == chosen
			if options[i].Selected {
				label = options[i].Label
			}
		}
		if f.Always && chosen == "" {
			options[0].Selected = true
		}
		out.addChip(r, f.Name, f.Label, label)
		out.Selects = append(out.Selects, Select{Name: f.Name, Label: f.Label, Options: options, Always: f.Always})
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if known[name] || query.Get(name) == "" {
			continue
		}
		out.Hidden = append(out.Hidden, Pair{name, query.Get(name)})
		if name != "ordering" { // a filter that came with a link and has no select
			out.addChip(r, name, strings.ReplaceAll(name, "_", " "), query.Get(name))
		}
	}
	return out, nil
}

func (f *Filters) addChip(r *http.Request, name, label, value string) {
	if value == "" {
		return
	}
	query := url.Values{}
	for other, values := range r.URL.Query() {
		if other != name && other != "page" && other != "cursor" && values[0] != "" {
			query[other] = values
		}
	}
	link := r.URL.Path
	if len(query) > 0 {
		link += "?" + query.Encode()
	}
	f.Chips = append(f.Chips, Chip{Name: label, Label: value, URL: link})
}

// PagerOf makes the pager of a list from what web.Paginate gave: count, how many rows this page has, and the links.
func PagerOf(r *http.Request, l web.List, count, shown int, next, previous string) Pager {
	p := Pager{Next: next, Previous: previous}
	if count > 0 && shown > 0 && !l.ByCursor {
		p.From = (l.Page-1)*l.Size + 1
		p.To = p.From + shown - 1
		p.Total = count
		p.TotalText = CountText(r, count)
	}
	return p
}

// CountText writes a count that web.Paginate gave. It counts no further than web.CountLimit, and says so.
func CountText(r *http.Request, count int) string {
	reader := ReaderOf(r)
	if count > web.CountLimit {
		return reader.Say("more than {{.n}}", "n", reader.digits(web.CountLimit))
	}
	return reader.digits(count)
}

func (m ModelAdmin[T]) detailView(w http.ResponseWriter, r *http.Request) error {
	object, err := m.object(r)
	if err != nil {
		return err
	}
	page, err := m.Detail(r.Context(), ReaderOf(r), object)
	if err != nil {
		return err
	}
	if page.Crumbs == nil {
		page.Crumbs = m.crumbs(&object)
	}
	page.Buttons = append(page.Buttons, m.ActionButtons(r.Context(), object)...)
	return Render(w, r, "admin/detail", page)
}

func (m ModelAdmin[T]) object(r *http.Request) (T, error) {
	id, err := web.ID(r)
	if err != nil {
		var none T
		return none, err
	}
	object, err := m.Get(r.Context(), id)
	if err == nil && m.Parent != nil {
		Under(r, m.Parent(object))
	}
	return object, err
}

// crumbs lead from the pages of an object, or of none, back to its list.
func (m ModelAdmin[T]) crumbs(object *T) []Link {
	if object != nil && m.Parent != nil {
		return []Link{m.Parent(*object)}
	}
	return []Link{{Text: m.Title, URL: URL(m.Name)}}
}

// ActionButtons are the buttons of Edit and of the actions that the principal may do to the object.
func (m ModelAdmin[T]) ActionButtons(ctx context.Context, object T) []Button {
	p, _ := auth.From(ctx)
	var buttons []Button
	if m.Edit != nil && p.Can(orElse(m.Edit.Permission, m.Permission)) && (m.Edit.Allowed == nil || m.Edit.Allowed(p, object)) {
		buttons = append(buttons, Button{Title: orElse(m.Edit.Button, "Edit"), URL: IDURL(m.Name, m.Key(object), "edit")})
	}
	for _, a := range m.Actions {
		if p.Can(orElse(a.Permission, m.Permission)) && (a.Allowed == nil || a.Allowed(p, object)) {
			buttons = append(buttons, Button{Title: a.Title, URL: IDURL(m.Name, m.Key(object), a.Name), Danger: a.Danger, Primary: a.Primary})
		}
	}
	return buttons
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
