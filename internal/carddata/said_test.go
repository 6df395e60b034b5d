package carddata_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"countersign/internal/carddata"
)

const number = "4242 4242 4242 4242"

func TestSaid(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"declined":                 "declined",
		"card " + number + ", sir": "card [card number], sir",
		"cvv 123":                  "cvv [security code]",
		"CVV2: 1234.":              "CVV2: [security code].",
		"the security code is 123": "the security code is [security code]",
		"cvc=123&a=b":              "cvc=[security code]&a=b",
		"cvv123":                   "cvv[security code]",
		"код безопасности: 123":    "код безопасности: [security code]",
		"cvv \u0967\u0968\u0969":   "cvv [security code]",
		"wrong cvv, try again":     "wrong cvv, try again",
		"cvv error 12345":          "cvv error 12345",
		"code 123":                 "code 123",
		"csc check of 2026":        "csc check of 2026",
	} {
		if got := carddata.Said(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestExcerpt(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"leaves what is short as it is":                 {"declined, রশিদ", "declined, রশিদ"},
		"cuts between characters":                       {strings.Repeat("x", 38) + "রশিদ", strings.Repeat("x", 38)},
		"leaves nothing that PostgreSQL refuses":        {"a\x00b\xff", "ab?"},
		"masks a number":                                {"declined: " + number, "declined: [card number]"},
		"masks a number that lacks what cannot be kept": {strings.ReplaceAll(number, " ", "\x00\x00\x00\x00"), "[card number]"},
		"masks a number before it cuts it":              {strings.Repeat("x", 24) + " " + number, strings.Repeat("x", 24) + " [card number]"},
		"masks a number that the cut makes of a longer": {strings.Repeat("x", 23) + " 4242424242424242999999", strings.Repeat("x", 23) + " [card number]"},
		"masks a number that the cut takes from a word": {strings.Repeat("x", 23) + " 4242424242424242AB7", strings.Repeat("x", 23) + " [card number]"},
		"cuts what it has masked, and leaves no digit":  {strings.Repeat("x", 34) + " " + number, strings.Repeat("x", 34) + " [card"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := carddata.Excerpt(tt.text, 40); got != tt.want {
				t.Errorf("%q becomes %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}

// FuzzExcerpt: whatever is cut wherever, what is kept is short and holds no card number.
func FuzzExcerpt(f *testing.F) {
	for _, text := range []string{"", number, "x 4242424242424242999999", "4242\x00\x00\x00\x004242\xff4242 4242", "৪২৪২৪২৪২৪২৪২৪২৪২"} {
		f.Add(text, 16)
	}
	f.Fuzz(func(t *testing.T, text string, n int) {
		n = max(0, n)
		if got := carddata.Excerpt(text, n); len(got) > n || !utf8.ValidString(got) || strings.Contains(got, "\x00") || carddata.Holds(got) {
			t.Fatalf("%q becomes %q", text, got)
		}
	})
}

func TestCleanJSON(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"a": [1.50, "x", null, true],  "cid": 77123}`:                       `{"a": [1.50, "x", null, true],  "cid": 77123}`,
		`{"a":{"b":["` + number + `"]}}`:                                      `{"a":{"b":["[card number]"]}}`,
		`{"a":4242424242424242}`:                                              `{"a":"[card number]"}`,
		`{"` + number + `":1}`:                                                `{"[card number]":1}`,
		`{"cvv":"123","a":1,"data":{"CVC2":456,"card_code":["789","1 2 3"]}}`: `{"a":1,"data":{"card_code":[]}}`,
		`{"pan":"860012345678","card":"8600 12** **** 1234"}`:                 `{"card":"8600 12** **** 1234"}`,
		`{"a":"x","a":"` + number + `"}`:                                      `{"a":"[card number]"}`,
		`{"a":"` + number + `","a":"x"}`:                                      `{"a":"x"}`,
		`status=failed&pan=4242424242424242&note=cvv+123`:                     `status=failed&pan=[card number]&note=cvv+[security code]`,
		`{"a":1} {"b":"` + number + `"}`:                                      `{"a":1} {"b":"[card number]"}`,
		``:                                                                    ``,
	} {
		if got := string(carddata.CleanJSON([]byte(raw))); got != want {
			t.Errorf("%s becomes %s, want %s", raw, got, want)
		}
	}
}

// FuzzClean: whatever a provider says, nothing of it that is kept holds a card number, and cleaning it twice changes nothing.
func FuzzClean(f *testing.F) {
	for _, text := range []string{``, `{"a":"4242 4242 4242 4242","cvv":123}`, `[{"4242424242424242":4242424242424242}]`, `cvv 123 4242-4242-4242-4242`, `"\u0664242424242424242"`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		once := carddata.CleanJSON(raw)
		var value any
		if json.Unmarshal(once, &value) != nil {
			if strings.ToValidUTF8(string(raw), "") == string(raw) && carddata.Holds(string(once)) {
				t.Fatalf("%q becomes %q", raw, once)
			}
			return
		}
		if text, ok := value.(string); ok && carddata.Holds(text) {
			t.Fatalf("%q becomes %q", raw, once)
		}
		if twice := carddata.CleanJSON(once); string(twice) != string(once) {
			t.Fatalf("%q becomes %q, and then %q", raw, once, twice)
		}
	})
}
