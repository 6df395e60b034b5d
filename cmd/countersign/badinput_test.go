package main

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"countersign/internal/web"
)

// TestBadInput sends to every route with a JSON body everything that could be wrong with it, field by field, as the
// request's own type has them: a new route or field is in it by itself. Each is refused with a code that is documented,
// names the field and changes nothing. After that the same body succeeds when it is right.
func TestBadInput(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	j := judge{codes: listedCodes(t)}
	for _, route := range e.project.routes() {
		if route.Request == nil {
			continue
		}
		t.Run(route.Method+" "+route.Path, func(t *testing.T) {
			if route.Path == "/billing/evidence/" { // a form with a file: TestBadForms
				return
			}
			s := soundFor(t, e, route, "UZ")
			send := s.sender(t, route)
			before := everything(t, e)
			body := reflect.TypeOf(route.Request)
			for _, b := range badBodies(t, s.body) {
				if route.Optional && b.what == "nothing" {
					continue
				}
				j.refused(t, b.what, send(b.contentType, b.text), "")
			}
			all := slots(body, nil)
			for _, at := range all {
				for _, b := range badValues(at) {
					j.refused(t, at.name()+": "+b.what, send(jsonType, at.with(t, s.body, b.raw)), at.name())
				}
				if at.necessary(route, s.body) {
					j.refused(t, at.name()+": null", send(jsonType, at.with(t, s.body, "null")), at.name())
					missing, ok := without(s.body, at.path)
					if ok {
						j.refused(t, at.name()+": missing", send(jsonType, jsonOf(t, missing)), at.name())
					}
				}
			}
			if diff := gocmp.Diff(before, everything(t, e)); diff != "" {
				t.Errorf("something has changed: %s", diff)
			}

			s = soundFor(t, e, route, "BD")
			complete := any(s.body)
			for _, at := range all {
				if len(at.path) == 1 && !at.necessary(route, s.body) {
					if _, given := s.body[at.path[0]]; !given {
						complete = set(complete, at.path, nil)
					}
				}
			}
			if got := s.sender(t, route)(jsonType, jsonOf(t, complete)); got.Status >= 300 {
				t.Errorf("null is not the same as absent: %d %s", got.Status, got.Raw)
			}
			s = soundFor(t, e, route, "PK")
			if got := s.sender(t, route)("application/json; charset=UTF-8", jsonOf(t, s.body)); got.Status >= 300 {
				t.Errorf("what is right is refused: %d %s", got.Status, got.Raw)
			}
		})
	}
}

const jsonType = "application/json"

func jsonOf(t *testing.T, body any) string {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// necessary says whether the body is nothing without the field: the type says so, or it is in the sound body of a call
// that makes something.
func (s slot) necessary(route web.Route, body map[string]any) bool {
	if s.path[len(s.path)-1] == "0" {
		return false
	}
	_, given := without(body, s.path)
	if _, required := s.rule("required"); required {
		return given // a field of an object that the body does not have is not missing
	}
	return given && route.Method != http.MethodPatch
}

type badBody struct{ what, contentType, text string }

// badBodies are bodies that are wrong as a whole.
func badBodies(t *testing.T, body map[string]any) []badBody {
	t.Helper()
	right := jsonOf(t, body)
	var utf16 strings.Builder
	utf16.WriteString("\xff\xfe")
	for _, c := range []byte(right) {
		utf16.WriteByte(c)
		utf16.WriteByte(0)
	}
	bodies := []badBody{
		{"another content type", "text/plain", right},
		{"a form's content type", "application/x-www-form-urlencoded", right},
		{"a multipart form without a boundary", "multipart/form-data", right},
		{"no content type", "", right},
		{"another charset", "application/json; charset=utf-16", right},
		{"a content type that is none", "application/json; charset", right},
	}
	for what, text := range map[string]string{
		"nothing": "", "blanks": " \n", "a list": "[" + right + "]", "an empty list": "[]", "null": "null", "a text": `"a"`, "a number": "1", "true": "true",
		"truncated JSON": right[:len(right)-1], "half of it": right[:len(right)/2], "trailing garbage": right + "x", "two objects": right + right, "a trailing comma": right[:len(right)-1] + ",}",
		"10 MB": `{"a":"` + strings.Repeat("x", 10<<20) + `"}`, "10 MB of blanks": strings.Repeat(" ", 10<<20) + right, "10 MB behind it": right + strings.Repeat(" ", 10<<20),
		"UTF-16": utf16.String(), "a byte order mark": "\xef\xbb\xbf" + right, "a NUL byte": "\x00" + right, "a comment": "/* */" + right, "single quotes": strings.ReplaceAll(right, `"`, "'"),
		"deep lists": `{"a":` + strings.Repeat("[", 5000), "deep objects": strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000), "gzip": "\x1f\x8b\x08\x00\x00\x00\x00\x00",
		"many values": `{"a":[` + strings.Repeat("0,", 100_000) + "0]}", "many keys": "{" + manyKeys(15_000) + `"z":1}`,
		"an unknown field": right[:len(right)-1] + `,"nonsense":1}`, "an unknown field with a long name": right[:len(right)-1] + `,"` + strings.Repeat("n", 100_000) + `":1}`,
		"an unknown field that is null": right[:len(right)-1] + `,"nonsense":null}`, "a field without a name": right[:len(right)-1] + `,"":1}`,
		"a field with a NUL in its name": right[:len(right)-1] + `,"a\u0000":1}`, "prototype": right[:len(right)-1] + `,"__proto__":{}}`,
	} {
		bodies = append(bodies, badBody{what, jsonType, text})
	}
	if len(body) == 0 { // quotes and keys are what these are about
		bodies = slices.DeleteFunc(bodies, func(b badBody) bool { return b.what == "single quotes" })
	}
	for name, value := range body {
		raw := jsonOf(t, value)
		bodies = append(bodies, badBody{name + " twice", jsonType, right[:len(right)-1] + `,"` + name + `":` + raw + "}"},
			badBody{name + " in upper case as well", jsonType, right[:len(right)-1] + `,"` + strings.ToUpper(name[:1]) + name[1:] + `":` + raw + "}"})
		if camel := camelCase(name); camel != name {
			bodies = append(bodies, badBody{name + " in both spellings", jsonType, right[:len(right)-1] + `,"` + camel + `":` + raw + "}"})
		}
	}
	return bodies
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`"k` + strconv.Itoa(i) + `":1,`)
	}
	return b.String()
}

func camelCase(name string) string {
	words := strings.Split(name, "_")
	for i := 1; i < len(words); i++ {
		words[i] = strings.ToUpper(words[i][:1]) + words[i][1:]
	}
	return strings.Join(words, "")
}

type badValue struct{ what, raw string }

var (
	numberType   = reflect.TypeFor[web.Number]()
	freeFormType = reflect.TypeFor[web.FreeForm]()
	anythingType = reflect.TypeFor[web.Anything]()
	// notJSON are numbers as other languages write them; in JSON they are no values at all.
	notJSON = []string{"+1", "0x10", "NaN", "Infinity", "-Infinity", "01", ".5", "1.", "1e", "--1", "1_000", "undefined", "None", "1,5"}
	forty   = "1" + strings.Repeat("0", 40)
)

// badValues are what the field must refuse, by its type, its validator's rules and what its name means.
func badValues(s slot) []badValue {
	var bad []badValue
	raw := func(values ...string) {
		for _, v := range values {
			bad = append(bad, badValue{v[:min(len(v), 60)], v})
		}
	}
	texts := func(values ...string) {
		for _, v := range values {
			raw(quoted(v))
		}
	}
	raw(`"` + strings.Repeat("x", web.MaxBody) + `"`)
	switch {
	case s.kind == numberType:
		raw("true", "[]", "{}", "[1]", `{"a":1}`, "1e400", "1e3", "1E-2", "-1e-999999999", forty, tooFine(s))
		raw(notJSON...)
		texts("abc", "+1", "0x10", "NaN", "Infinity", "-Infinity", "1e3", "1E-2", "1e400", forty, "1,000", "1 000", "1_000", "1/2", "$1", "1.", ".5", "--1", "-", "1\x00", "\x00", "１２", "१२", tooFine(s), strings.Repeat("9", 100_000))
		if strings.Contains(s.last(), "amount") || strings.Contains(s.last(), "threshold") {
			raw("1.001", `"1.001"`, `"1.000"`)
		}
		if !slices.Contains(compared, s.last()) {
			raw("-1", `"-1"`, `"-0.01"`)
		}
	case s.kind == anythingType: // what its route makes of it: here a place and a text to compare with
		raw("true", "[]", "{}", "[[]]", `{"a":"b"}`, `["a"]`, `"\u0000"`, `"a\u0000b"`, "1e400", "1e999999", strings.Repeat("9", 100_000), `"4111 1111 1111 1111"`)
		raw(notJSON...)
	case s.kind == freeFormType:
		raw("1", "true", `"a"`, `"{}"`, "[]", "[{}]", `{"a":"x\u0000y"}`, `{"a\u0000":"x"}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"a":{"a":{"a":{"a":"\u0000"}}}}`,
			`{"a":1,"a":2}`, `{"a":`+strings.Repeat("[", 20)+strings.Repeat("]", 20)+`}`, `{"a":"`+strings.Repeat("x", 500_000)+`"}`, `{"a":"4111 1111 1111 1111"}`, `{"a":1e999999}`, `{"a":`+strings.Repeat("9", 200_000)+`}`)
	case s.kind.Kind() == reflect.String:
		raw("1", "1.5", "1e400", "true", "false", "[]", "{}", `["a"]`, `{"a":"b"}`, `"a\u0000b"`, `"\u0000"`, `"a\u001bb"`, "\"a\xffb\"", "\"\xed\xa0\x80\"", `"\ud800"`, `"\udc00\ud800"`, "\"a\nb\"", `"\x41"`,
			`"4111 1111 1111 1111"`)
		if limit, ok := s.rule("max"); ok {
			n, _ := strconv.Atoi(limit)
			raw(`"`+strings.Repeat("x", n+1)+`"`, `"`+strings.Repeat("ж", n+1)+`"`)
		}
		for _, rule := range []string{"oneof", "uuid", "email", "len", "datetime", "alphanum"} {
			if _, ok := s.rule(rule); ok {
				texts("no such word", "../../etc/passwd", "'; DROP TABLE payments; --")
			}
		}
		if strings.HasSuffix(s.last(), "_date") || strings.HasSuffix(s.last(), "_at") {
			texts("yesterday", "2026-02-30", "2026-13-01", "0000-01-01", "0001-01-01", "10000-01-01", "2026-1-1", "20260101", "2026-01-01T25:00:00Z", "2026-06-30T23:59:60Z",
				"2026-01-01T00:00:00", "2026-01-01T00:00:00+24:00", "9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00Z", "2026-01-01 00:00:00Z", "1767225600", "infinity", "now")
		}
		if strings.Contains(s.last(), "currency") {
			texts("QQQ", "US", "USDT", "U$D", "$", "ＵＳＤ")
		}
	case s.kind.Kind() == reflect.Bool:
		raw("1", "0", `"true"`, `"yes"`, `"on"`, "[]", "{}", "1.5", "[true]")
	case s.kind.Kind() == reflect.Int || s.kind.Kind() == reflect.Int64:
		raw(`"1"`, "1.5", "1.0", "1e3", "1E-2", "1e400", forty, "9223372036854775808", "-9223372036854775809", "true", "[]", "{}", "[1]")
		raw(notJSON...)
		if _, bounded := s.rule("gte"); bounded || strings.HasSuffix(s.last(), "_minor") {
			raw("-1000001", "-9223372036854775808")
		}
		if _, bounded := s.rule("lte"); bounded || strings.HasSuffix(s.last(), "_minor") {
			raw("9223372036854775807")
		}
	case s.kind.Kind() == reflect.Slice:
		raw("1", "true", `"a"`, "{}", `{"0":"a"}`, "[null]", "[[]]")
		if limit, ok := s.rule("max"); ok {
			n, _ := strconv.Atoi(limit)
			raw("[" + strings.Repeat(`"0b5bdb3e-6a53-4a5e-9d2c-3c1c2f5b1f10",`, n) + `"0b5bdb3e-6a53-4a5e-9d2c-3c1c2f5b1f11"]`)
		}
		if _, ok := s.rule("min"); ok {
			raw("[]")
		}
	case s.kind.Kind() == reflect.Struct:
		raw("1", "true", `"a"`, "[]", "null", `{"nonsense":1}`, `{"nonsense":null}`)
	}
	return bad
}

// tooFine is a number with one decimal place more than the field may have: rates of exchange have ten, all others six.
func tooFine(s slot) string {
	if s.last() == "rate" {
		return "0.00000000001"
	}
	return "0.0000001"
}

// compared are the totals that the sender may add to an invoice: they are compared with ours, and a difference, even of
// the sign, is a warning (Z-20).
var compared = []string{"subtotal_amount", "tax_amount", "total_amount", "paid_amount", "balance_amount", "total_price"}
