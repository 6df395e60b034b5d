package admin

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// Assets serves files under names that hold a hash of their content, so that a browser may keep them for ever and
// still sees every new version at once.
type Assets struct {
	prefix string
	urls   map[string]string // file name → URL
	files  map[string]*asset // name with hash → file
}

type asset struct {
	contentType string
	plain       []byte
	// zipped is made at the first request that wants it; nil for what is compressed already.
	zipped func() []byte
}

var contentTypes = map[string]string{
	".css":   "text/css; charset=utf-8",
	".js":    "text/javascript; charset=utf-8",
	".svg":   "image/svg+xml",
	".txt":   "text/plain; charset=utf-8",
	".woff2": "font/woff2",
}

// NewAssets reads every file of fsys. prefix is the path they are served under, such as "/console/static/". A style
// sheet's references to its neighbours are rewritten to their hashed names.
func NewAssets(fsys fs.FS, prefix string) (*Assets, error) {
	a := &Assets{prefix: prefix, urls: map[string]string{}, files: map[string]*asset{}}
	var sheets []string
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if path.Ext(name) == ".css" {
			sheets = append(sheets, name) // after everything they may refer to
			return nil
		}
		return a.add(fsys, name)
	})
	if err != nil {
		return nil, fmt.Errorf("read static files: %w", err)
	}
	for _, name := range sheets {
		if err := a.add(fsys, name); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *Assets) add(fsys fs.FS, name string) error {
	raw, err := fs.ReadFile(fsys, name)
	if err != nil {
		return fmt.Errorf("read static file %s: %w", name, err)
	}
	ext := path.Ext(name)
	contentType, ok := contentTypes[ext]
	if !ok {
		return fmt.Errorf("static file %s: no content type is known for %s", name, ext)
	}
	if ext == ".css" {
		for other, url := range a.urls {
			raw = bytes.ReplaceAll(raw, []byte("("+other), []byte("("+url))
			raw = bytes.ReplaceAll(raw, []byte(`("`+other), []byte(`("`+url))
		}
	}
	sum := sha256.Sum256(raw)
	hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:5]) + ext
	file := &asset{contentType: contentType, plain: raw}
	if ext != ".woff2" {
		file.zipped = sync.OnceValue(func() []byte { return zip(raw) })
	}
	a.urls[name] = a.prefix + hashed
	a.files[hashed] = file
	return nil
}

func zip(raw []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(raw) // a bytes.Buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// URL gives the address of a file by its plain name, such as "app.css" or "swagger/swagger-ui.css".
func (a *Assets) URL(name string) (string, error) {
	url, ok := a.urls[name]
	if !ok {
		return "", fmt.Errorf("there is no static file %q", name)
	}
	return url, nil
}

// ServeHTTP answers with a file, which the browser may keep for a year.
func (a *Assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, ok := a.files[strings.TrimPrefix(r.URL.Path, a.prefix)]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	h := w.Header()
	h.Set("Content-Type", file.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	body := file.plain
	if file.zipped != nil {
		h.Set("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			body = file.zipped()
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // the reader went away: nothing to tell him
	}
}
