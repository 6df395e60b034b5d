package admin

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Reader is what the template functions need to know about who reads a page.
type Reader struct {
	Language string         // one of i18n.Languages
	Zone     *time.Location // the tenant's; nil means UTC
	Now      time.Time
	Path     string // of the page itself, with its query
}

// Renderer executes pages. Template functions depend on the reader, and html/template binds functions when it parses;
// therefore the renderer keeps a few parsed copies of all pages and lends each to one reader at a time. Executing only
// fills memory, so a copy for each processor is enough.
type Renderer struct {
	copies chan *pageSet
	// blocks names, page by page, the blocks that the page itself defines: they are its htmx fragments.
	blocks map[string][]string
}

// pageSet is one parsed copy of all pages.
type pageSet struct {
	pages  map[string]*template.Template
	reader *Reader // of the execution that has borrowed the set
}

// NewRenderer parses layout.html, partials/*.html and the pages in every other folder of fsys but emails. A page is named by its path
// without ending, such as "payments/queue". Any fault in any template is an error here and not at a reader's desk.
func NewRenderer(fsys fs.FS, assets *Assets) (*Renderer, error) {
	n := max(2, runtime.GOMAXPROCS(0))
	r := &Renderer{copies: make(chan *pageSet, n), blocks: map[string][]string{}}
	for range n {
		set, err := r.parse(fsys, assets)
		if err != nil {
			return nil, err
		}
		r.copies <- set
	}
	return r, nil
}

func (r *Renderer) parse(fsys fs.FS, assets *Assets) (*pageSet, error) {
	set := &pageSet{pages: map[string]*template.Template{}}
	base, err := template.New("base").Funcs(set.funcs(assets)).Option("missingkey=error").
		ParseFS(fsys, "layout.html", "partials/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse the layout: %w", err)
	}
	files, err := fs.Glob(fsys, "*/*.html")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if strings.HasPrefix(file, "partials/") || strings.HasPrefix(file, "emails/") {
			continue
		}
		name := strings.TrimSuffix(file, ".html")
		text, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, err
		}
		own, err := template.New(path.Base(file)).Funcs(set.funcs(assets)).Parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("parse page %s: %w", name, err)
		}
		r.blocks[name] = blockNames(own)
		page, err := template.Must(base.Clone()).Parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("parse page %s: %w", name, err)
		}
		set.pages[name] = page
	}
	return set, nil
}

func blockNames(t *template.Template) []string {
	var names []string
	for _, b := range t.Templates() {
		if b.Name() != "title" && !strings.HasSuffix(b.Name(), ".html") {
			names = append(names, b.Name())
		}
	}
	return names
}

// Pages lists the names of all pages.
func (r *Renderer) Pages() []string { return slices.Sorted(maps.Keys(r.blocks)) }

// HasBlock says whether the page defines a block of this name, which may be answered alone.
func (r *Renderer) HasBlock(page, block string) bool { return slices.Contains(r.blocks[page], block) }

// Execute runs a page's block, or "layout" for the whole page, with data.
func (r *Renderer) Execute(page, block string, reader Reader, data any) ([]byte, error) {
	set := <-r.copies
	defer func() { r.copies <- set }()
	t, ok := set.pages[page]
	if !ok {
		return nil, fmt.Errorf("there is no page %q", page)
	}
	if reader.Zone == nil {
		reader.Zone = time.UTC
	}
	set.reader = &reader
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, block, data); err != nil {
		return nil, fmt.Errorf("page %s: %w", page, err)
	}
	return b.Bytes(), nil
}
