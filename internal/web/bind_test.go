package web_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"countersign/internal/errs"
	"countersign/internal/web"
)

type inner struct {
	Name  string `json:"name" validate:"max=5"`
	Count *int64 `json:"count"`
}

type body struct {
	Text   string       `json:"text" validate:"max=10"`
	Amount web.Number   `json:"unit_price"`
	Flag   *bool        `json:"is_active"`
	Free   web.FreeForm `json:"free"`
	Inner  inner        `json:"inner"`
	Items  []inner      `json:"line_items" validate:"max=3,dive"`
	Words  []string     `json:"words"`
}

func post(contentType, text string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text))
	r.Header.Set("Content-Type", contentType)
	return r
}

func decode(text string) (body, error) {
	var b body
	err := web.Decode(post("application/json", text), &b)
	return b, err
}

func TestDecode(t *testing.T) {
	t.Parallel()
	t.Run("reads both spellings, trims texts and keeps numbers as written", func(t *testing.T) {
		t.Parallel()
		got, err := decode(`{"text":" a ","unitPrice":10.50,"isActive":false,"free":{"camelCase":1},"inner":{"name":"x"},"lineItems":[{"count":3}],"words":["a","b"]}`)
		if err != nil {
			t.Fatal(err)
		}
		no, three := false, int64(3)
		want := body{Text: "a", Amount: "10.50", Flag: &no, Inner: inner{Name: "x"}, Items: []inner{{Count: &three}}, Words: []string{"a", "b"}}
		got.Free = nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("never makes a float of a number", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"0.1", "1e3", "9007199254740993", "0.07", "-0"} {
			if got, err := decode(`{"unit_price":` + text + `}`); err != nil || string(got.Amount) != text {
				t.Errorf("%s is read as %s, %v", text, got.Amount, err)
			}
		}
	})
	t.Run("reports every fault at once", func(t *testing.T) {
		t.Parallel()
		_, err := decode(`{"text":1,"nope":2,"line_items":[{"name":true},null],"free":[]}`)
		var fields []string
		for name := range errs.As(err).Fields {
			fields = append(fields, name)
		}
		if len(fields) != 5 {
			t.Errorf("blames %v", fields)
		}
	})
	t.Run("checks rules once all types are right", func(t *testing.T) {
		t.Parallel()
		_, err := decode(`{"text":"much too long","line_items":[{"name":"also long"}]}`)
		got := errs.As(err).Fields
		if len(got["text"]) != 1 || len(got["line_items.0.name"]) != 1 {
			t.Errorf("blames %v", got)
		}
	})
	t.Run("takes null for absent", func(t *testing.T) {
		t.Parallel()
		if got, err := decode(`{"text":null,"is_active":null,"line_items":null}`); err != nil || got.Text != "" || got.Flag != nil || got.Items != nil {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	for name, c := range map[string]struct {
		contentType, text string
		want              error
	}{
		"a form":          {"application/x-www-form-urlencoded", "text=a", web.ErrNotJSON},
		"garbage type":    {";;", "{}", web.ErrNotJSON},
		"nothing":         {"application/json", "", web.ErrMalformed},
		"a text":          {"application/json", `"a"`, web.ErrMalformed},
		"null":            {"application/json", `null`, web.ErrMalformed},
		"trailing things": {"application/json", `{} x`, web.ErrMalformed},
		"NaN":             {"application/json", `{"unit_price":NaN}`, web.ErrMalformed},
		"too deep":        {"application/json", `{"free":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, web.ErrMalformed},
		"too large":       {"application/json", `{"text":"` + strings.Repeat("a", web.MaxBody) + `"}`, web.ErrBodyTooLarge},
		"a charset":       {"application/json; charset=UTF-8", `{}`, nil},
		"another charset": {"application/json; charset=utf-16", `{}`, web.ErrNotJSON},
		"a broken type":   {"application/json; charset", `{}`, web.ErrNotJSON},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b body
			if err := web.Decode(post(c.contentType, c.text), &b); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// problem says whether err blames field with want and nothing else; a want of nil is no error.
func problem(err error, field string, want *errs.Error) bool {
	if want == nil {
		return err == nil
	}
	e := errs.As(err)
	return e != nil && len(e.Fields) == 1 && len(e.Fields[field]) == 1 && e.Fields[field][0].Code == want.Code
}

func TestDecode_types(t *testing.T) {
	t.Parallel()
	for text, field := range map[string]string{`{"is_active":"true"}`: "is_active", `{"is_active":1}`: "is_active", `{"words":"a"}`: "words", `{"inner":{"count":"1"}}`: "inner.count",
		`{"inner":{"count":1.0}}`: "inner.count", `{"free":{"a":1e999999}}`: "free.a", `{"unit_price":true}`: "unit_price", `{"text":["a"]}`: "text", `{"free":"{}"}`: "free", `{"inner":[]}`: "inner"} {
		if _, err := decode(text); !problem(err, field, web.ErrWrongType) {
			t.Errorf("%s gives %v", text, err)
		}
	}
}

func TestDecode_limits(t *testing.T) {
	t.Parallel()
	t.Run("refuses more values than anything has", func(t *testing.T) {
		t.Parallel()
		if _, err := decode(`{"line_items":[` + strings.Repeat("0,", 30_000) + `0]}`); !errors.Is(err, web.ErrBodyTooLarge) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("does not answer with more than was sent", func(t *testing.T) {
		t.Parallel()
		var text strings.Builder
		for i := range 10_000 {
			fmt.Fprintf(&text, `"key%d":1,`, i)
		}
		_, err := decode(`{` + text.String() + `"` + strings.Repeat("n", 10_000) + `":1}`)
		fields := errs.As(err).Fields
		if len(fields) == 0 || len(fields) > 100 {
			t.Errorf("%d fields are blamed", len(fields))
		}
		for name := range fields {
			if len(name) > 100 {
				t.Errorf("a name of %d bytes is given back", len(name))
			}
		}
	})
}

func TestDecodeForm(t *testing.T) {
	t.Parallel()
	var b body
	err := web.DecodeForm(url.Values{"text": {"a"}, "unit_price": {"1.50"}, "is_active": {"on"}, "words": {"x", "y"}}, &b)
	if err != nil || b.Text != "a" || b.Amount != "1.50" || !*b.Flag || len(b.Words) != 2 {
		t.Errorf("got %+v, %v", b, err)
	}
	if err := web.DecodeForm(url.Values{"nope": {"a"}}, &b); !errors.Is(err, errs.ErrValidation) {
		t.Errorf("an unknown name gives %v", err)
	}
	if err := web.DecodeForm(url.Values{"text": {"a", "b"}}, &b); !errors.Is(err, errs.ErrValidation) {
		t.Errorf("a name twice gives %v", err)
	}
	if err := web.DecodeForm(url.Values{"words": {"x"}, "isActive": {"false"}, "unitPrice": {""}}, &b); err != nil || len(b.Words) != 1 || *b.Flag {
		t.Errorf("got %+v, %v", b, err)
	}
	if err := web.DecodeForm(url.Values{"is_active": {"perhaps"}}, &b); !problem(err, "is_active", web.ErrWrongType) {
		t.Errorf("a word for a flag gives %v", err)
	}
}

// FuzzDecodeForm: a form is read like a body, from texts alone.
func FuzzDecodeForm(f *testing.F) {
	for _, seed := range []string{"text=a&unit_price=1.5", "text=a&text=b", "isActive=on", "words=a&words=b", "text=%00", "inner=x", "nope=1", "free=%7B%7D", "is_active="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		var got body
		if err := web.DecodeForm(values, &got); err != nil {
			if e := errs.As(err); e == nil || web.Status(e.Kind) >= 500 {
				t.Fatalf("%q: %v", query, err)
			}
			return
		}
		for _, text := range append(got.Words, got.Text) {
			if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
				t.Fatalf("%q is bound as %+v", query, got)
			}
		}
	})
}

// FuzzDecode: whatever is sent, there is an answer that a caller can act on, and nothing is bound that cannot be stored.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{}`, `{"text":"a","line_items":[{"name":"b","count":1}]}`, `{"a":{"a":[1,2,{"b":null}]}}`, `{"text":"\ud800"}`, "{\"text\":\"\xff\"}",
		`{"unitPrice":1e999999}`, `[]`, `{"text":"a","text":"b"}`, `{"":1}`, `{"is_active":"true"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := decode(text)
		if err != nil {
			if e := errs.As(err); e == nil || web.Status(e.Kind) >= 500 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if !utf8.ValidString(got.Text) || strings.ContainsRune(got.Text, 0) || len([]rune(got.Text)) > 10 || len(got.Items) > 3 {
			t.Fatalf("%q is bound as %+v", text, got)
		}
	})
}

var spec = &web.ListSpec{
	Filters: []web.Filter{web.Text("search", "Text"), web.Flag("open", "Flag"), web.Instant("after", "Time"), web.Identifier("account", "Id"),
		web.Choice("status", "Word", map[string]int{"paid": 1})},
	Ordering: map[string]string{"created_at": "created_at", "amount": "amount_minor"},
	Default:  "-created_at",
}

func parse(query string) (web.List, error) {
	r := httptest.NewRequest(http.MethodGet, "/list/", nil)
	r.URL.RawQuery = query
	return web.ParseList(r, spec)
}

func TestParseList(t *testing.T) {
	t.Parallel()
	l, err := parse("page=2&page_size=10&ordering=-amount&status=PAID&open=true&search=+x+")
	if err != nil || l.Page != 2 || l.Size != 10 || l.Ordering != "-amount" {
		t.Fatalf("got %+v, %v", l, err)
	}
	if v, ok := web.Value[int](l, "status"); !ok || v != 1 {
		t.Errorf("status is %v, %v", v, ok)
	}
	if v, _ := web.Value[string](l, "search"); v != "x" {
		t.Errorf("search is %q", v)
	}
	for _, query := range []string{"page=0", "page=-1", "page=x", "page_size=101", "page_size=0", "ordering=password", "nope=1", "status=unknown", "after=yesterday",
		"account=1", "open=maybe", "cursor=!!", "cursor=e30", "cursor=&ordering=amount", "page=1000&page_size=100", "search=" + strings.Repeat("x", 201), "search=%00", "search=%ff",
		"status=paid&status=paid", "page=1&page=2", "cursor=&cursor=", "search=a&search=",
		"cursor=" + base64.RawURLEncoding.EncodeToString([]byte(`{"t":"0000-01-01T00:00:00Z","i":"019b0000-0000-7000-8000-000000000000"}`))} {
		if _, err := parse(query); !errors.Is(err, errs.ErrValidation) {
			t.Errorf("%.40s gives %v", query, err)
		}
	}
}

// FuzzCursor: whatever stands in a cursor, it is refused or names a place in a list.
func FuzzCursor(f *testing.F) {
	for _, seed := range []string{`{"t":"2026-01-01T00:00:00Z","i":"019b0000-0000-7000-8000-000000000000"}`, `{}`, `null`, `{"t":"0000-01-01T00:00:00Z","i":"019b0000-0000-7000-8000-000000000000"}`, "\x00"} {
		f.Add(base64.RawURLEncoding.EncodeToString([]byte(seed)))
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		l, err := parse(url.Values{"cursor": {cursor}}.Encode())
		if err != nil {
			if !errors.Is(err, errs.ErrValidation) {
				t.Fatalf("%q: %v", cursor, err)
			}
			return
		}
		if !l.ByCursor {
			t.Fatalf("%q is not read as a cursor", cursor)
		}
	})
}

// FuzzParseList: no query string is an internal error, and pages stay within their limits.
func FuzzParseList(f *testing.F) {
	for _, seed := range []string{"", "page=2", "cursor=", "cursor=eyJ0IjoiMjAyNi0wMS0wMVQwMDowMDowMFoiLCJpIjoiMDE5YjAwMDAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAwIn0", "search=%00", "a;b", "ordering=-amount&page_size=100"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		l, err := parse(query)
		if err != nil {
			if !errors.Is(err, errs.ErrValidation) {
				t.Fatalf("%q: %v", query, err)
			}
			return
		}
		if l.Page < 1 || l.Size < 1 || l.Size > 100 {
			t.Fatalf("%q: page %d of %d", query, l.Page, l.Size)
		}
		if text, ok := web.Value[string](l, "search"); ok && (strings.ContainsRune(text, 0) || !utf8.ValidString(text)) {
			t.Fatalf("%q: a text that cannot be stored: %q", query, text)
		}
	})
}
