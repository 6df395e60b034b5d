package admin

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"countersign/internal/auth"
	"countersign/internal/i18n"
)

// document is what layout.html sees.
type document struct {
	Frame frame
	Page  any
}

// frame is everything around a page.
type frame struct {
	Preferences
	Tenant  string
	Zone    string
	User    string // empty for pages without a frame
	Email   string
	Role    string
	Groups  []navGroup
	Waiting *navLink
	Flash   *Note
}

type navGroup struct {
	Title string
	Links []navLink
}

type navLink struct {
	Title   string
	URL     string
	Icon    string
	Current bool
	Counted bool
	Count   int
}

// ErrNoSite means that Render was called for a request that did not come through a Site.
var ErrNoSite = errors.New("admin: this request was not served by a Site")

// Render answers with a page of the console, such as "payments/queue". Data is the page's struct. A request of htmx
// for one block of the page, named by the id of the element it will replace, is answered with that block alone.
func Render(w http.ResponseWriter, r *http.Request, name string, data any) error {
	return RenderStatus(w, r, http.StatusOK, name, data)
}

// RenderStatus is Render with another status, for a form that comes back with its errors.
func RenderStatus(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	v, err := visitOf(r)
	if err != nil {
		return err
	}
	s := v.site
	block, root := "layout", any(nil)
	if target := s.fragment(r, name, status); target != "" {
		block, root = target, data
	} else {
		root = document{Frame: s.frame(w, r, v), Page: data}
	}
	body, err := s.renderer.Execute(name, block, ReaderOf(r), root)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Add("Vary", "HX-Request, HX-Target")
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		slog.DebugContext(r.Context(), "the reader went away", "error", err)
	}
	return nil
}

// isPartial says whether htmx asks for a part of a page.
func isPartial(r *http.Request) bool {
	h := r.Header
	return h.Get("HX-Request") == "true" && h.Get("HX-Boosted") != "true" && h.Get("HX-History-Restore-Request") != "true"
}

// fragment is the block that the request wants alone; empty for the whole page. A refusal replaces the main part.
func (s *Site) fragment(r *http.Request, page string, status int) string {
	if !isPartial(r) {
		return ""
	}
	if status >= http.StatusBadRequest {
		return "content"
	}
	if target := r.Header.Get("HX-Target"); s.renderer.HasBlock(page, target) {
		return target
	}
	return "content"
}

// ReaderOf describes who reads a page, for sentences that a handler puts together itself.
func ReaderOf(r *http.Request) Reader {
	reader := Reader{Language: i18n.From(r.Context()), Zone: time.UTC, Now: time.Now(), Path: r.URL.RequestURI()}
	v, err := visitOf(r)
	if err != nil {
		return reader
	}
	reader.Now = v.site.config.Now()
	if t, err := v.tenant(); err == nil && t.Zone != nil {
		reader.Zone = t.Zone
	}
	return reader
}

// frame gathers what stands around a page. What cannot be read is left out: a page that says why something failed
// must not fail for the same reason.
func (s *Site) frame(w http.ResponseWriter, r *http.Request, v *visit) frame {
	f := frame{Preferences: PreferencesOf(r), Flash: takeFlash(w, r)}
	p, ok := auth.From(r.Context())
	if !ok || p.IsMember() || strings.HasPrefix(r.URL.Path, URL("login")) {
		return f
	}
	f.User, f.Email, f.Role = p.Name, p.Label, p.Role
	if f.User == "" {
		f.User = p.Label
	}
	if t, err := v.tenant(); err == nil {
		f.Tenant = t.Name
		if t.Zone != nil {
			f.Zone = t.Zone.String()
		}
	} else {
		slog.WarnContext(r.Context(), "the frame has no tenant", "error", err)
	}
	for _, group := range groups {
		g := navGroup{Title: string(group)}
		for _, section := range s.config.Sections {
			if section.Group != group || section.Hidden || section.Permission != "" && !p.Can(section.Permission) {
				continue
			}
			g.Links = append(g.Links, s.link(r, v.place, section))
		}
		if len(g.Links) > 0 {
			f.Groups = append(f.Groups, g)
		}
	}
	for _, g := range f.Groups {
		for _, link := range g.Links {
			if link.Counted && f.Waiting == nil {
				f.Waiting = &link
			}
		}
	}
	return f
}

// Under has the navigation mark the list that a page leads back to, where that is not the list of the page's own section.
func Under(r *http.Request, list Link) {
	if v, err := visitOf(r); err == nil {
		v.place = list.URL
	}
}

func (s *Site) link(r *http.Request, place string, section Section) navLink {
	link := navLink{Title: section.Title, URL: URL(section.Name), Icon: section.Icon}
	link.Current = strings.HasPrefix(place, link.URL)
	if section.Count != nil {
		n, err := section.Count(r.Context())
		if err != nil {
			slog.WarnContext(r.Context(), "the navigation has no count", "section", section.Name, "error", err)
			return link
		}
		link.Counted, link.Count = true, n
	}
	return link
}
