package admin

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"countersign/internal/web"
)

// Base is where the console lives.
const Base = "/console/"

// URL gives the address of a console page from its parts: URL("payments", id) is "/console/payments/<id>/".
func URL(parts ...string) string {
	return Base + strings.Join(parts, "/") + "/"
}

// IDURL is URL for an object of a section.
func IDURL(section string, id uuid.UUID, more ...string) string {
	return URL(append([]string{section, id.String()}, more...)...)
}

// Group is a heading of the navigation.
type Group string

// The groups, in the order in which the navigation shows them.
const (
	GroupMoney  Group = "Money in"
	GroupSetUp  Group = "Set-up"
	GroupSystem Group = "System"
)

var groups = []Group{GroupMoney, GroupSetUp, GroupSystem}

// Section is one part of the console: an entry in the navigation and the pages below it. Most are made by
// ModelAdmin.Section; a section with pages of its own is written out.
type Section struct {
	// Name is the first part of the path: "payments" lives at /console/payments/.
	Name  string
	Title string // English; translated by its Key
	Icon  string // a symbol of templates/static/icons.svg
	Group Group
	// Place orders the sections of a group, the smallest first.
	Place int
	// Permission opens the section: it is asked of every route that names none of its own.
	Permission string
	// Hidden sections have pages and no entry in the navigation.
	Hidden bool
	// Count is shown in the navigation beside the title; nil shows none. At most one section should have it: the
	// first that has one is also shown at the top of a phone's screen.
	Count func(ctx context.Context) (int, error)
	// Routes have paths below the section, beginning and ending with a slash. Only Method, Path, Permission and
	// Handler are used.
	Routes []web.Route
	// Samples are the section's own pages with made-up data; NewSite executes each, so that a template that does not
	// fit its struct is found at start.
	Samples []Sample
}

// Sample is a page struct filled with made-up data, for the page of this name.
type Sample struct {
	Page string
	Data any
}
