package payments

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"countersign/billing/paymentmethods"
	"countersign/internal/carddata"
	"countersign/internal/errs"
	"countersign/internal/web"
)

// What one payment's details may come to. Each value costs a row of the index.
const (
	maxDetailValues = 64
	maxDetailText   = 1000 // bytes of a text
	maxDetailKey    = 100  // bytes of a key
	maxDetailDepth  = 8
)

// sortedDetails are details taken apart by what becomes of them.
type sortedDetails struct {
	plain  paymentmethods.Details // as stored and shown: of what is sealed the end only
	hidden map[string]any         // what is sealed, by its path as a JSON pointer (RFC 6901)
	terms  []string               // what they are found by
}

// sortDetails takes the details of a gateway's payment apart. What the gateway's shape does not know, or not as this, is
// left out and named in refused: who writes refuses to go on, a provider's answer is kept without it.
func sortDetails(gateway string, raw map[string]any, refused *errs.Fields) (sortedDetails, error) {
	if len(raw) == 0 {
		return sortedDetails{plain: paymentmethods.Details{}}, nil
	}
	text, err := json.Marshal(raw)
	if err != nil {
		return sortedDetails{}, fmt.Errorf("write details: %w", err)
	}
	var whole paymentmethods.Details
	if err := whole.Scan(text); err != nil {
		return sortedDetails{}, fmt.Errorf("read details: %w", err)
	}
	s := sorter{gateway: gateway, refused: refused, hidden: map[string]any{}}
	root := fields[gateway]
	if root == nil {
		root = &detailField{}
	}
	plain, _ := s.object(whole, root, nil)
	return sortedDetails{plain: plain, hidden: s.hidden, terms: s.terms}, nil
}

type sorter struct {
	gateway string
	refused *errs.Fields
	hidden  map[string]any
	terms   []string
	values  int
}

func (s *sorter) refuse(path []string, why *errs.Error) (any, bool) {
	s.refused.Add("details."+strings.Join(path, "."), why)
	return nil, false
}

// sort gives what is stored of a value; ok is false when nothing is.
func (s *sorter) sort(value any, f *detailField, path []string) (stored any, ok bool) {
	if len(path) > maxDetailDepth || len(path[len(path)-1]) > maxDetailKey {
		return s.refuse(path[:1], web.ErrWrongType.With("expected", "made of keys of at most 100 characters, 8 deep"))
	}
	switch value := value.(type) {
	case map[string]any:
		if f.free || f.below != nil && f.below["*"] == nil {
			return s.object(value, f, path)
		}
	case []any:
		if f.kind == kindAny || f.below["*"] != nil {
			return s.list(value, f, path), true
		}
	default:
		if f.kind != "" {
			return s.leaf(value, f, path)
		}
	}
	return s.refuse(path, f.wrong())
}

func (s *sorter) object(value map[string]any, f *detailField, path []string) (map[string]any, bool) {
	stored := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(value)) {
		here := append(path[:len(path):len(path)], key)
		next := f.at(key, false)
		if next == nil || next.secret {
			s.refuse(here, ErrUnknownDetail)
			continue
		}
		if v, ok := s.sort(value[key], next, here); ok {
			stored[key] = v
		}
	}
	return stored, true
}

// list keeps the places of what is left, so that paths into it stay true.
func (s *sorter) list(value []any, f *detailField, path []string) []any {
	stored := make([]any, len(value))
	for i, v := range value {
		key := strconv.Itoa(i)
		stored[i], _ = s.sort(v, f.at(key, true), append(path[:len(path):len(path)], key))
	}
	return stored
}

func (s *sorter) leaf(value any, f *detailField, path []string) (any, bool) {
	if s.values++; s.values > maxDetailValues {
		return s.refuse(path, web.ErrWrongType.With("expected", "one of at most 64 values"))
	}
	if value == nil {
		return nil, true
	}
	value, ok := f.fit(value)
	if !ok {
		return s.refuse(path, f.wrong())
	}
	if _, isNumber := value.(json.Number); (isNumber || f.sealed) && carddata.Holds(paymentmethods.LettersAndDigits(asText(value))) { // as it is kept
		return s.refuse(path, web.ErrCardData)
	}
	if f.sealed || f.keyed {
		s.terms = append(s.terms, term(s.gateway, path, f, value))
	}
	if f.sealed {
		s.hidden[pointer(path)] = value
		if strings.Contains(asText(value), carddata.Masked) { // the end of that would tell nothing
			return carddata.Masked, true
		}
		return paymentmethods.Mask(asText(value)), true
	}
	return value, true
}

// fit gives a value as it is stored: what providers write as text or as a number becomes what the shape says.
func (f *detailField) fit(value any) (any, bool) {
	number, isNumber := value.(json.Number)
	text, isText := value.(string)
	switch f.kind {
	case kindText, kindTime:
		if isNumber {
			text, isText = number.String(), true
		}
		return text, isText && len(text) <= maxDetailText
	case kindNumber, kindInteger:
		if isText {
			number, isNumber = json.Number(strings.TrimSpace(text)), true
		}
		canonical, ok := canonicalNumber(number)
		return json.Number(canonical), isNumber && ok && (f.kind == kindNumber || !strings.Contains(canonical, "."))
	case kindBoolean:
		_, ok := value.(bool)
		return value, ok
	default:
		if isNumber {
			canonical, ok := canonicalNumber(number)
			return json.Number(canonical), ok
		}
		return value, len(text) <= maxDetailText
	}
}

// wrong says what belongs here.
func (f *detailField) wrong() *errs.Error {
	switch {
	case f.kind == kindAny:
		return web.ErrWrongType.With("expected", "a text of at most 1000 characters, a number, true or false")
	case f.kind == kindText:
		return web.ErrWrongType.With("expected", "a text of at most 1000 characters")
	case f.kind == kindInteger:
		return web.ErrWrongType.With("expected", "a whole number")
	case f.kind == kindNumber:
		return web.ErrWrongType.With("expected", "a number")
	case f.kind == kindBoolean:
		return web.ErrWrongType.With("expected", "true or false")
	case f.kind == kindTime:
		return web.ErrWrongType.With("expected", "a time such as 2026-01-31T12:00:00Z")
	case f.below["*"] != nil:
		return web.ErrWrongType.With("expected", "a list")
	default:
		return web.ErrWrongType.With("expected", "an object")
	}
}

// canonicalNumber is the one form of a number: plain digits, no zeros that say nothing. ok is false for what is no
// number, or has more digits than anything that is counted or paid.
func canonicalNumber(n json.Number) (text string, ok bool) {
	if len(n) == 0 || len(n) > 60 || strings.Trim(string(n), "0123456789+-.eE") != "" {
		return "", false
	}
	d, err := decimal.NewFromString(string(n))
	if err != nil || d.Exponent() > 60 || d.Exponent() < -60 {
		return "", false
	}
	return d.String(), true
}

// term is what a value at a path is found by. Of what is sealed only letters and digits count, so that a telephone number
// is found however it is spaced.
func term(gateway string, path []string, f *detailField, value any) string {
	text := asText(value)
	var how string
	switch value.(type) {
	case json.Number:
		how = "number"
	case bool:
		how = "boolean"
	default:
		how = "text"
	}
	if f.sealed {
		how = "sealed"
		if norm := paymentmethods.LettersAndDigits(text); norm != "" {
			text = norm
		}
	}
	return strings.Join([]string{gateway, pointer(path), how, text}, "\x00")
}

func asText(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	default:
		return fmt.Sprint(v)
	}
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// pointer is a path as a JSON pointer.
func pointer(path []string) string {
	var b strings.Builder
	for _, key := range path {
		b.WriteByte('/')
		pointerEscapes.WriteString(&b, key)
	}
	return b.String()
}

// sameDetails says whether two payments' details, as stored, say the same.
func sameDetails(a, b paymentmethods.Details) bool {
	left, err := json.Marshal(a)
	if err != nil {
		return false
	}
	right, err := json.Marshal(b)
	return err == nil && bytes.Equal(left, right)
}
