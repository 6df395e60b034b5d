package web_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/web"
)

const card = "4242 4242 4242 4242"

// blamed gives the fields that an ErrCardData blames, and fails for any other outcome.
func blamed(t *testing.T, err error) []string {
	t.Helper()
	e := errs.As(err)
	if !errors.Is(err, web.ErrCardData) || web.Status(e.Kind) != http.StatusBadRequest {
		t.Fatalf("got %v, want ErrCardData", err)
	}
	if strings.Contains(strings.ReplaceAll(err.Error(), " ", ""), "42424242") {
		t.Errorf("the refusal gives the number back: %v", err)
	}
	var names []string
	for name, problems := range e.Fields {
		names = append(names, name)
		if len(problems) != 1 {
			t.Errorf("%s is blamed %d times", name, len(problems))
		}
	}
	slices.Sort(names)
	return names
}

func TestDecode_cards(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body string
		want []string
	}{
		"in a text":                              {`{"text":"` + card + `"}`, []string{"text"}},
		"inside an object of a list":             {`{"line_items":[{"name":"` + card + `"}]}`, []string{"line_items.0.name"}},
		"in free form":                           {`{"free":{"a":[{"b":"` + card + `"}]}}`, []string{"free.a.0.b"}},
		"as a key in free form":                  {`{"free":{"` + card + `":1}}`, []string{"free.[card number]"}},
		"under such a key":                       {`{"free":{"` + card + `":{"` + card + `":"` + card + `"}}}`, []string{"free.[card number]", "free.[card number].[card number]"}},
		"as an unknown key":                      {`{"` + card + `":1}`, []string{"[card number]"}},
		"as an unknown key that is long":         {`{"` + strings.Repeat("n", 90) + " " + card + `":1}`, []string{strings.Repeat("n", 90) + " [card num"}},
		"under an unknown key":                   {`{"nope":"` + card + `"}`, []string{"nope"}},
		"as a number":                            {`{"free":{"a":4242424242424242}}`, []string{"free.a"}},
		"as a number of 13 digits":               {`{"free":{"a":4222222222222}}`, []string{"free.a"}},
		"as a number where a text is wanted":     {`{"text":4242424242424242}`, []string{"text"}},
		"as an amount":                           {`{"unit_price":4242424242424242}`, []string{"unit_price"}},
		"as an amount in a text":                 {`{"unit_price":"4242424242424242"}`, []string{"unit_price"}},
		"where an object is wanted":              {`{"free":"` + card + `"}`, []string{"free"}},
		"beside other faults":                    {`{"nope":1,"unit_price":"abc","text":"` + card + `","text":"b"}`, []string{"text"}},
		"in escapes":                             {`{"text":"\u0034242\u20094242\u20094242\u20094242"}`, []string{"text"}},
		"as a security code":                     {`{"cvv":"123"}`, []string{"cvv"}},
		"as a security code in a number":         {`{"free":{"card":{"cvC2":123}}}`, []string{"free.card.cvC2"}},
		"under its own beginnings":               {`{"free":{"4242":{"4242":{"4242":{"4242":{"cvv":"1234"}}}}}}`, []string{"free.[card number].cvv"}},
		"as the beginning of a longer number":    {`{"` + strings.Repeat("n", 83) + ` 4242424242424242999999":"` + card + `"}`, []string{strings.Repeat("n", 83) + " [card number]"}},
		"as a list of security codes":            {`{"free":{"security_code":["123"]}}`, []string{"free.security_code.0"}},
		"as a number whose check digit is wrong": {`{"free":{"Card-Number":"4242424242424241"}}`, []string{"free.Card-Number"}},
	} {
		t.Run("refuses a card "+name, func(t *testing.T) {
			t.Parallel()
			_, err := decode(tt.body)
			if got := blamed(t, err); !slices.Equal(got, tt.want) {
				t.Errorf("blames %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("accepts an amount in small coins that a card of 13 digits could be", func(t *testing.T) {
		t.Parallel()
		if got, err := decode(`{"unit_price":4222222222222}`); err != nil || got.Amount != "4222222222222" {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("tells nothing of a body that is broken behind it", func(t *testing.T) {
		t.Parallel()
		_, err := decode(`{"text":"` + card + `",`)
		if !errors.Is(err, web.ErrMalformed) || strings.Contains(err.Error(), "4242") {
			t.Errorf("got %v", err)
		}
	})
}

// A body may hold thousands of faults far down, and whoever sends it may take his time: what it takes does not grow with
// the length of the way to them. Beside no other test, because what others allocate would be counted.
func TestDecode_memory(t *testing.T) {
	const limit = 16 << 20 // of which the body and its values are the most; the names of all places alone would be 31 MiB
	names, open, end := []string{}, "{", "}"
	for i := range 14 {
		name := strings.Repeat(string(rune('a'+i)), 100)
		names, open, end = append(names, name), open+`"`+name+`":{`, "}"+end
	}
	names, open, end = append(names, "list"), open+`"list":[`, "]"+end
	free := `{"free":` + open[:strings.LastIndex(open, `"n`)] + `"list":[` // one object less: it is an object itself
	for name, tt := range map[string]struct {
		body string
		want *errs.Error
	}{
		"card numbers":                       {open + `"4242424242424242"` + strings.Repeat(`,"4242424242424242"`, 19_899) + end, web.ErrCardData},
		"card numbers and an end that lacks": {open + `"4242424242424242"` + strings.Repeat(`,"4242424242424242"`, 19_899), web.ErrMalformed},
		"zeros":                              {open + "0" + strings.Repeat(",0", 19_899) + end, errs.ErrValidation},
		"texts that cannot be stored":        {free + `"\u0001"` + strings.Repeat(`,"\u0001"`, 19_899) + end, errs.ErrValidation},
		"zeros that are wanted":              {free + "0" + strings.Repeat(",0", 19_899) + end, nil},
		"one key many times":                 {`{"text":"a"` + strings.Repeat(`,"text":"a"`, 19_899) + "}", errs.ErrValidation},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := decode(tt.body)
			runtime.ReadMemStats(&after)
			took := after.TotalAlloc - before.TotalAlloc
			t.Logf("%d KiB of body take %d KiB", len(tt.body)>>10, took>>10)
			if took > limit {
				t.Errorf("it takes %d bytes", took)
			}
			if tt.want == nil && err != nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if tt.want != web.ErrCardData {
				return
			}
			want := []string{}
			for i := range 100 {
				want = append(want, strings.Join(names, ".")+"."+strconv.Itoa(i))
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, blamed(t, err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCheckForm_cards(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		form url.Values
		want string
	}{
		"in a value":        {url.Values{"text": {card}}, "text"},
		"in a second value": {url.Values{"words": {"a", card}}, "words"},
		"in a name":         {url.Values{card: {"a"}}, "[card number]"},
		"as a number":       {url.Values{"count": {"4242424242424242"}}, "count"},
		"unknown":           {url.Values{"nope": {card}}, "nope"},
		"as its code":       {url.Values{"cvv": {"123"}}, "cvv"},
	} {
		t.Run("refuses a card "+name, func(t *testing.T) {
			t.Parallel()
			if got := blamed(t, web.CheckForm(tt.form)); !slices.Equal(got, []string{tt.want}) {
				t.Errorf("blames %q", got)
			}
			var b struct {
				Text  string   `json:"text"`
				Words []string `json:"words"`
				Count int      `json:"count"`
			}
			if got := blamed(t, web.DecodeForm(tt.form, &b)); !slices.Equal(got, []string{tt.want}) {
				t.Errorf("the form is bound, and it blames %q", got)
			}
		})
	}
	if err := web.CheckForm(url.Values{"text": {"4242"}}); err != nil {
		t.Errorf("four digits are refused: %v", err)
	}
}

// The name of a caller's program is stored beside what he does (S1-14).
func TestRequestID_cards(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		"Browser/1.0":                                        "Browser/1.0",
		"Browser/1.0 " + card:                                "Browser/1.0 [card number]",
		"4242\xff\xff\xff\xff4242":                           "4242?4242",
		strings.Repeat("b", 284) + " 4242424242424242":       strings.Repeat("b", 284) + " [card number]",
		strings.Repeat("b", 283) + " 4242424242424242999999": strings.Repeat("b", 283) + " [card number]",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("User-Agent", sent)
		web.RequestID(nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if got := auth.RequestFrom(r.Context()).UserAgent; got != want {
				t.Errorf("%q is kept as %q, want %q", sent, got, want)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
	}
}

func TestNoCards(t *testing.T) {
	t.Parallel()
	handler := web.NoCards(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for target, want := range map[string]int{
		"/payments/": 204, "/payments/019b5bdb-3e6a-7a5e-9d2c-3c1c2f5b1f10/?search=4242&cursor=": 204,
		"/payments/4242424242424242/": 400, "/payments/4242%204242%204242%204242/": 400, "/%34242424242424242/": 400,
		"/?search=4242+4242+4242+4242": 400, "/?search=%E0%A7%AA242424242424242": 400, "/?4242424242424242=a": 400, "/?a=b&c=d&c=4242424242424242": 400,
		"/?next=%2Fpayments%2F%3Fsearch%3D4242%2B4242%2B4242%2B4242": 400, "/?cvv=123": 400,
	} {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, target, nil))
		if rec.Code != want || strings.Contains(rec.Body.String(), "4242") {
			t.Errorf("%s: %d, want %d: %s", target, rec.Code, want, rec.Body)
		}
	}
}
