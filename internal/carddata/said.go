package carddata

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// securityCode finds a security code behind its name, as people and machines write it into a sentence.
var securityCode = regexp.MustCompile(`(?i)((?:\b(?:cvv2?|cvc2?|cvn2?|cav2|csc)|security code|verification (?:code|value)|код безопасности|নিরাপত্তা কোড)(?:[^\p{L}\p{N}]{1,12}(?:is|code|no|number)?[^\p{L}\p{N}]{0,12})?)\p{Nd}{3,4}(\P{Nd}|$)`)

// Said gives what somebody else has said of a payment without its card data, to be stored or shown: without card numbers,
// as Mask does, and without the security codes that it names. Text without either is given back as it is.
func Said(text string) string {
	return Mask(securityCode.ReplaceAllString(text, "${1}[security code]${2}"))
}

// Excerpt gives the beginning of what somebody else has said, to be stored: at most n bytes of text that PostgreSQL can
// hold, without card numbers.
func Excerpt(text string, n int) string {
	text = Mask(strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\x00", ""))
	if len(text) <= n {
		return text
	}
	for !utf8.RuneStart(text[n]) {
		n--
	}
	return Mask(text[:n]) // the beginning of a longer number may be a card's
}

// Clean gives JSON, as package json decodes it with or without UseNumber, without card data: texts, numbers and keys are
// what Said makes of them, and what Named knows as card data is left out. Value itself stays as it is.
func Clean(value any) any {
	cleaned, _ := clean("", value)
	return cleaned
}

// clean is Clean for what stands under a name; ok is false when nothing of it may stay.
func clean(name string, value any) (cleaned any, ok bool) {
	switch v := value.(type) {
	case string:
		return Said(v), !Named(name, v)
	case json.Number:
		if text := v.String(); Holds(text) || Named(name, text) {
			return Mask(text), !Named(name, text)
		}
	case json.RawMessage:
		return json.RawMessage(CleanJSON(v)), true
	case []any:
		list := make([]any, 0, len(v))
		for _, inner := range v {
			if kept, ok := clean(name, inner); ok {
				list = append(list, kept)
			}
		}
		return list, true
	case map[string]any:
		object := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			name := Said(key)
			if kept, ok := clean(name, v[key]); ok {
				object[name] = kept
			}
		}
		return object, true
	}
	return value, true
}

// CleanJSON is Clean for JSON that nobody has read yet. JSON without card data is given back byte by byte, and what is no
// JSON is taken for a text.
func CleanJSON(raw []byte) []byte {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var value any
	if dec.Decode(&value) != nil {
		return []byte(Said(string(raw)))
	}
	if _, err := dec.Token(); err != io.EOF {
		return []byte(Said(string(raw)))
	}
	before, err := json.Marshal(value)
	if err != nil {
		return []byte(Said(string(raw)))
	}
	after, err := json.Marshal(Clean(value))
	if err != nil {
		return []byte(Said(string(raw)))
	}
	if bytes.Equal(before, after) && Said(string(raw)) == string(raw) { // of a key that stands twice, one was not seen
		return raw
	}
	return after
}
