package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"countersign/billing/billingtest"
)

// countsOnly are the files where a float is a count or a number of seconds for monitoring, never money.
var countsOnly = []string{"billing/payments/gauges.go"}

// TestNoFloats reads the source of billing and of what decodes requests: money and quantities meet no binary fraction on
// their way from the wire to the disk (S1-11). Package money has a test of its own that also reads its tests.
func TestNoFloats(t *testing.T) {
	t.Parallel()
	read, allowed := 0, map[string]bool{}
	sources(t, func(files *token.FileSet, file *ast.File) {
		path, err := filepath.Rel(filepath.Join("..", ".."), files.Position(file.Pos()).Filename)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(path, "billing/") && !strings.HasPrefix(path, "internal/web/") {
			return
		}
		read++
		for _, found := range floats(file) {
			if slices.Contains(countsOnly, path) {
				allowed[path] = true
				continue
			}
			t.Errorf("%s: %s", files.Position(found.Pos()), spelling(found))
		}
	})
	if read < 100 {
		t.Errorf("only %d files were read", read)
	}
	if diff := gocmp.Diff(slices.Sorted(slices.Values(countsOnly)), slices.Sorted(maps.Keys(allowed))); diff != "" {
		t.Errorf("countsOnly names files without floats: %s", diff)
	}
}

// floats are the types, functions and constants of a file that bring in a binary fraction.
func floats(file *ast.File) (found []ast.Node) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			if strings.Contains(n.Name, "float") || strings.Contains(n.Name, "Float") {
				found = append(found, n)
			}
		case *ast.BasicLit:
			if n.Kind == token.FLOAT || n.Kind == token.IMAG {
				found = append(found, n)
			}
		}
		return true
	})
	return found
}

func spelling(n ast.Node) string {
	if id, ok := n.(*ast.Ident); ok {
		return id.Name
	}
	return n.(*ast.BasicLit).Value
}

// till reads every answer that passes, and keeps the places where an amount in minor units lacks its currency.
type till struct {
	mu     sync.Mutex
	wrong  map[string]bool
	priced int // how many objects held an amount
}

// around is a middleware.
func (l *till) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes())
		if !strings.HasPrefix(rec.Header().Get("Content-Type"), "application/json") {
			return
		}
		var body any
		if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
			panic(fmt.Sprintf("%s %s: %v", r.Method, r.URL, err))
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.read(r.Method+" "+pattern(r.URL.Path), "", body, nil)
	})
}

// pattern is an address without its ids.
func pattern(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if len(part) == 36 {
			parts[i] = "{id}"
		}
	}
	return strings.Join(parts, "/")
}

// inParent are the parts of an object whose amounts are in the object's own currency.
var inParent = []string{"line_items", "tax_lines", "approvals", "decisions"}

// currencies are the keys that say the currency of the amounts beside them.
var currencies = []string{"currency", "default_currency"}

// read walks through a value. Parent is the object that it is a part of.
func (l *till) read(route, at string, value any, parent map[string]any) {
	switch v := value.(type) {
	case []any:
		for _, one := range v {
			l.read(route, at, one, parent)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if strings.HasSuffix(key, "_minor") && v[key] != nil {
				l.priced++
				if !says(v) && !(slices.Contains(inParent, at[strings.LastIndex(at, ".")+1:]) && says(parent)) {
					l.wrong[route+" "+at+"."+key] = true
				}
			}
			l.read(route, at+"."+key, v[key], v)
		}
	}
}

func says(object map[string]any) bool {
	return slices.ContainsFunc(currencies, func(key string) bool { text, _ := object[key].(string); return len(text) >= 3 })
}

// TestAmountsAreDeclared looks for the same in what the routes say that they answer: there is also what no answer of a
// test holds (S1-56).
func TestAmountsAreDeclared(t *testing.T) {
	t.Parallel()
	amounts := 0
	for _, route := range program(t, billingtest.New(t)).routes() {
		for _, response := range []any{route.Response, route.MemberResponse} {
			if response == nil {
				continue
			}
			amounts += declaredAmounts(reflect.TypeOf(response), "", nil, func(field string) {
				t.Errorf("%s %s: %s has no currency beside it", route.Method, route.Path, field)
			})
		}
	}
	if amounts < 100 {
		t.Errorf("only %d amounts are declared", amounts)
	}
}

// declaredAmounts counts the amounts in minor units of a type, and reports those without a currency. Key is the field
// that has the type, beside are the names of the fields of the object that it is a part of.
func declaredAmounts(typ reflect.Type, key string, beside []string, report func(field string)) (n int) {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct {
		return 0
	}
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(typ) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			fields[name] = f.Type
		}
	}
	names := slices.Sorted(maps.Keys(fields))
	priced := func(names []string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(currencies, name) })
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_minor") {
			n++
			if !priced(names) && !(slices.Contains(inParent, key) && priced(beside)) {
				report(typ.String() + "." + name)
			}
		}
		n += declaredAmounts(fields[name], name, names, report)
	}
	return n
}

// TestTill shows that a till finds what it is there for.
func TestTill(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{
		`{"data":{"amount_minor":1,"currency":"USD"}}`:                          true,
		`{"data":{"amount_minor":1}}`:                                           false,
		`{"data":{"amount_minor":1,"currency":null}}`:                           false,
		`{"data":{"amount_minor":null,"currency":null}}`:                        true,
		`{"results":[{"currency":"USD","line_items":[{"total_minor":1}]}]}`:     true,
		`{"results":[{"line_items":[{"total_minor":1}]}]}`:                      false,
		`{"results":[{"currency":"USD","others":[{"total_minor":1}]}]}`:         false,
		`{"data":{"currency":"USD","deep":{"line_items":[{"total_minor":1}]}}}`: false,
	}
	for body, want := range tests {
		l := &till{wrong: map[string]bool{}}
		h := l.around(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Write([]byte(body))
		}))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if got := len(l.wrong) == 0; got != want || !bytes.Equal(rec.Body.Bytes(), []byte(body)) {
			t.Errorf("%s is right: %v, want %v", body, got, want)
		}
	}
}
