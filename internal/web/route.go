package web

import (
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"countersign/internal/auth"
	"countersign/internal/errs"
)

// Route is one row of an app's urls.go: what is mounted and what the OpenAPI document says about it.
type Route struct {
	Method string
	// Path begins and ends with a slash; a missing slash at the end of a request's path is added, never redirected.
	Path string
	// Permission is what the caller must hold; empty means that any valid credential will do.
	Permission string
	// Public routes ask for no credential.
	Public bool
	// Staff routes are closed to members, whatever their permissions.
	Staff   bool
	Handler Handler

	Tag     string // the group in the documentation
	Summary string // what it does, in a few words
	// Request is a zero value of the struct the body is decoded into; nil without a body.
	Request any
	// Optional says that a call without a body is one with an empty object.
	Optional bool
	// Files names the multipart form field for files of routes that accept them.
	Files string
	// Response is a zero value of what stands in "data", or of one result when List is set; nil for 204.
	Response any
	// MemberResponse is what members get in "data" where it is less than Response; nil when all get the same.
	MemberResponse any
	// List makes this a list route with the pages, filters and orderings of the spec.
	List *ListSpec
	// Query holds the filters of a route that is no list but takes them. Others are refused before the handler runs.
	Query *ListSpec
	// Status is the success status; zero means 200.
	Status int
	// Later says that the route may also answer 202, with the same in "data": the outcome is not known yet.
	Later bool
	// NeedsKey says that the call is not made without the header Idempotency-Key, which is then documented as required. A call
	// that has its key in the body says so in the request's struct (S1-62).
	NeedsKey bool
	// Errors are the refusals a caller should expect besides those that every route shares.
	Errors []*errs.Error
	// Unwrapped routes answer in a shape of their own: a file, or what a monitoring system expects.
	Unwrapped string // media types of the answer, separated by a comma and a space
}

// Callback is an address below /api/v1/ where providers call. They have no credential of ours and no envelope: whoever
// handles it knows how they prove who they are, and what they want to read.
type Callback struct {
	Pattern string // chi's
	Handler http.HandlerFunc
}

// Mount adds the routes to r. Each checks its permission before its handler runs.
func Mount(r chi.Router, routes []Route) {
	for _, route := range routes {
		if !strings.HasPrefix(route.Path, "/") || !strings.HasSuffix(route.Path, "/") {
			panic("route must begin and end with a slash: " + route.Path)
		}
		r.Method(route.Method, route.Path, Handle(guard(route)))
	}
}

func guard(route Route) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := route.admit(r); err != nil {
			return err
		}
		if err := route.understands(r.URL.Query()); err != nil {
			return err
		}
		switch {
		case route.Optional && isEmpty(r):
			r.Header.Set("Content-Type", "application/json")
			r.Body = io.NopCloser(strings.NewReader("{}"))
		case route.ignoresBody():
			if err := decodeNothing(r); err != nil {
				return err
			}
		}
		return route.Handler(w, r)
	}
}

func (route Route) admit(r *http.Request) error {
	if route.Public {
		return nil
	}
	p, err := auth.Require(r.Context(), route.Permission)
	if err != nil {
		return err
	}
	if route.Staff && p.IsMember() {
		return ErrStaffOnly
	}
	return nil
}

// ignoresBody says whether a call could have a body and reads none.
func (route Route) ignoresBody() bool {
	return route.Request == nil && route.Files == "" && (route.Method == http.MethodPost || route.Method == http.MethodPut || route.Method == http.MethodPatch)
}

// understands refuses parameters given twice and, where filters are declared and the call is no list, which says more
// of its own, parameters and values that the filters do not know: a misspelt as_of must not answer with today.
func (route Route) understands(query url.Values) error {
	if err := once(query); err != nil || route.Query == nil {
		return err
	}
	var fields errs.Fields
	for name, given := range query {
		if err := route.Query.check(name, given[0]); err != nil {
			fields.Add(told(cut(name, maxName)), errs.As(err))
		}
	}
	return fields.Err()
}

// once refuses a parameter that is given twice: whichever of the two were taken, the caller may have meant the other.
func once(query url.Values) error {
	var fields errs.Fields
	for name, given := range query {
		if len(given) > 1 {
			fields.Add(told(cut(name, maxName)), ErrDuplicateField)
		}
	}
	return fields.Err()
}

// ErrStaffOnly means that a customer's user called something that is for staff.
var ErrStaffOnly = errs.Forbidden("staff_only", "This is for the tenant's staff.")

// NewRouter gives a chi router whose 404 and 405 use the envelope.
func NewRouter() *chi.Mux {
	r := chi.NewRouter()
	r.NotFound(Handle(func(http.ResponseWriter, *http.Request) error { return ErrNotFound }))
	r.MethodNotAllowed(Handle(func(_ http.ResponseWriter, r *http.Request) error {
		return ErrMethodNotAllowed.With("method", r.Method)
	}))
	return r
}

// ID gives the path parameter "id". A malformed id is as unknown as any other: 404.
func ID(r *http.Request) (uuid.UUID, error) {
	id, err := ParseID(chi.URLParam(r, "id"))
	if err != nil {
		return uuid.Nil, ErrNotFound
	}
	return id, nil
}

// ParseID accepts the 36-character form only, so that one id has one spelling.
func ParseID(text string) (uuid.UUID, error) {
	if len(text) != 36 {
		return uuid.Nil, errUUID
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, errUUID
	}
	return id, nil
}
