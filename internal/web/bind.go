package web

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"countersign/internal/carddata"
	"countersign/internal/errs"
)

// MaxBody is how many bytes of JSON a request may carry. Files have their own limit.
const MaxBody = 1 << 20

var (
	// ErrBodyTooLarge means that the body exceeds what the route reads.
	ErrBodyTooLarge = errs.TooLarge("body_too_large", "The body is larger than this call accepts.")
	// ErrNotJSON means that the body is declared as something else.
	ErrNotJSON = errs.UnsupportedMedia("json_required", "Send the body as JSON, with Content-Type: application/json.")
	// ErrMalformed means that the body is not one JSON object.
	ErrMalformed = errs.Invalid("malformed_json", "The body is not one valid JSON object: {{.detail}}.")
	// ErrUnknownField names a key that the call does not know.
	ErrUnknownField = errs.Invalid("unknown_field", "This field is unknown here.")
	// ErrDuplicateField names a key that stands twice, also as camelCase and snake_case.
	ErrDuplicateField = errs.Invalid("duplicate_field", "This field is given more than once.")
	// ErrWrongType names a field whose JSON type does not fit.
	ErrWrongType = errs.Invalid("wrong_type", "This must be {{.expected}}.")
	// ErrCardData means that a request holds what looks like a card number or a security code, in a body, a form, a
	// file's name, an address or an idempotency key. It is never stored, logged or given back (S1-14, S3-56).
	ErrCardData = errs.Invalid("card_data_rejected", "This looks like a card number or its security code. Never send card data here; nothing was stored.")
	// ErrSecretData means that a text holds a bank account together with its PIN, which is never stored (S3-56).
	ErrSecretData = errs.Invalid("secret_data_rejected", "This looks like a bank account with its PIN. Never send a PIN here; it was not stored.")
	// ErrBadText names a text that is not valid UTF-8 or holds control characters.
	ErrBadText = errs.Invalid("invalid_text", "This text holds characters that cannot be stored.")
)

// Number is a number as its sender wrote it: a JSON string or a JSON number literal, kept as text and never a float.
type Number string

// Anything is a JSON value of any type, to be compared and not stored. Numbers are json.Number, as their sender wrote them.
type Anything struct{ JSON any }

// FreeForm is a JSON object whose keys are the sender's own, such as bank details. Keys are kept as they are.
type FreeForm map[string]any

// Decode reads one JSON object into dst, a pointer to a struct with json tags, and validates it. Keys may be
// snake_case or camelCase (C-03); unknown and repeated keys are refused; all faults are reported at once. Null is the same as
// absent, and for a field with the tag null:"0" it is that number: null takes a limit away where zero does. Card data
// anywhere in the body, also under unknown keys and in keys, is ErrCardData and no other fault is told.
func Decode(r *http.Request, dst any) error {
	if !declaresJSON(r.Header.Get("Content-Type")) {
		return ErrNotJSON
	}
	var fields faults
	body := reader{dec: json.NewDecoder(http.MaxBytesReader(nil, r.Body, MaxBody)), fields: &fields}
	body.dec.UseNumber()
	tree, err := body.value(nil, "", 0)
	if err == nil {
		if _, trailing := body.dec.Token(); trailing != io.EOF {
			err = errors.New("something follows the object")
		}
	}
	if err != nil {
		if isTooLarge(err) || errors.Is(err, ErrBodyTooLarge) {
			return ErrBodyTooLarge
		}
		return ErrMalformed.With("detail", err.Error())
	}
	object, ok := tree.(map[string]any)
	if !ok {
		return ErrMalformed.With("detail", "it is not an object")
	}
	return bind(object, dst, &fields)
}

// declaresJSON: JSON is UTF-8, so another charset means that somebody else wrote the body.
func declaresJSON(contentType string) bool {
	mediaType, params, err := mime.ParseMediaType(contentType)
	charset, given := params["charset"]
	return err == nil && mediaType == "application/json" && (!given || strings.EqualFold(charset, "utf-8"))
}

// decodeNothing accepts, for a call without a body, no body or an empty object: whoever sends more believes that it
// has an effect.
func decodeNothing(r *http.Request) error {
	if isEmpty(r) {
		return nil
	}
	return Decode(r, &struct{}{})
}

// isEmpty says whether a request has no body. What it has can still be read.
func isEmpty(r *http.Request) bool {
	if r.Body == nil || r.ContentLength == 0 {
		return true
	}
	body := bufio.NewReader(r.Body)
	if _, err := body.Peek(1); err == io.EOF { // a length that was not announced
		return true
	}
	r.Body = io.NopCloser(body)
	return false
}

func bind(object map[string]any, dst any, fields *faults) error {
	bindStruct(object, reflect.ValueOf(dst).Elem(), nil, fields)
	if err := fields.err(); err != nil {
		return err
	}
	return Validate(dst)
}

// DecodeForm reads form values into dst the way Decode reads JSON. A repeated name is a list. A form has nothing but
// texts, so one may stand for a whole number or for true and false; an empty one of these is absent.
func DecodeForm(values map[string][]string, dst any) error {
	types := map[string]reflect.Type{}
	for f := range reflect.TypeOf(dst).Elem().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		types[name] = f.Type
	}
	var fields faults
	object := map[string]any{}
	for name, given := range values {
		value := formValue(given, types[snake(name)])
		fields.checkForm(name, value)
		object[name] = value
	}
	return bind(object, dst, &fields)
}

// formValue is what JSON would hold for a form field of the type; nil is absent. A type that is nil is unknown.
func formValue(given []string, t reflect.Type) any {
	if t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if len(given) != 1 || t != nil && t.Kind() == reflect.Slice {
		list := make([]any, len(given))
		for i, v := range given {
			list[i] = v
		}
		return list
	}
	text := strings.TrimSpace(given[0])
	switch {
	case t == nil:
		return given[0]
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int64:
		if text == "" {
			return nil
		}
		return json.Number(text)
	case t.Kind() == reflect.Bool:
		if text == "" {
			return nil
		}
		if yes, err := strconv.ParseBool(text); err == nil || text == "on" {
			return yes || text == "on"
		}
	}
	return given[0]
}

const (
	// maxDepth bounds nesting: nothing we accept is deeper, and a parser must not be led into recursion by its input.
	maxDepth = 16
	// maxValues bounds how many values a body holds, and so the memory that a body of the allowed size can take. An
	// invoice of 500 lines has fewer than half as many.
	maxValues = 20_000
	// maxNumber bounds, in bytes, a number that is kept as it was sent.
	maxNumber = 40
	// maxName bounds, in bytes, what is given back of a key that the sender made up.
	maxName = 100
)

// reader reads JSON token by token, because only so can repeated keys be seen.
type reader struct {
	dec    *json.Decoder
	fields *faults
	values int
}

// value reads what follows at a place; name is the key under which it stands.
func (b *reader) value(at *place, name string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("it is nested too deeply")
	}
	if b.values++; b.values > maxValues {
		return nil, ErrBodyTooLarge
	}
	token, err := b.dec.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		return b.list(at, name, depth)
	case json.Delim('{'):
		return b.object(at, depth)
	}
	b.fields.checkCards(at, name, token)
	return token, nil
}

func (b *reader) list(at *place, name string, depth int) (any, error) {
	list := []any{}
	for b.dec.More() {
		v, err := b.value(at.item(len(list)), name, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := b.dec.Token()
	return list, err
}

func (b *reader) object(at *place, depth int) (any, error) {
	object := map[string]any{}
	for b.dec.More() {
		key, err := b.dec.Token()
		if err != nil {
			return nil, err
		}
		name := b.fields.checkName(at, key.(string))
		v, err := b.value(at.under(name), name, depth+1)
		if err != nil {
			return nil, err
		}
		if _, dup := object[name]; dup {
			b.fields.add(at.under(name), ErrDuplicateField)
		}
		object[name] = v
	}
	_, err := b.dec.Token()
	return object, err
}

// snake turns camelCase into snake_case and leaves snake_case as it is.
func snake(name string) string {
	var b strings.Builder
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

func bindStruct(object map[string]any, dst reflect.Value, at *place, fields *faults) {
	known, nulls := map[string]reflect.Value{}, map[string]string{}
	for i := range dst.NumField() {
		tag := dst.Type().Field(i).Tag
		name, _, _ := strings.Cut(tag.Get("json"), ",")
		if name != "" && name != "-" {
			known[name], nulls[name] = dst.Field(i), tag.Get("null")
		}
	}
	seen := map[string]bool{}
	for key, value := range object {
		name := snake(key)
		field, ok := known[name]
		if value == nil && nulls[name] != "" {
			value = json.Number(nulls[name])
		}
		switch {
		case !ok:
			fields.add(at.under(key), ErrUnknownField)
		case seen[name]:
			fields.add(at.under(name), ErrDuplicateField)
		case value != nil: // null is the same as absent
			bindValue(value, field, at.under(name), fields)
		}
		seen[name] = true
	}
}

var (
	numberType   = reflect.TypeFor[Number]()
	freeFormType = reflect.TypeFor[FreeForm]()
	anythingType = reflect.TypeFor[Anything]()
)

func bindValue(value any, dst reflect.Value, at *place, fields *faults) {
	if dst.Kind() == reflect.Pointer {
		dst.Set(reflect.New(dst.Type().Elem()))
		bindValue(value, dst.Elem(), at, fields)
		return
	}
	switch dst.Type() {
	case numberType:
		switch v := value.(type) {
		case string:
			dst.SetString(strings.TrimSpace(v))
		case json.Number:
			dst.SetString(v.String())
		default:
			fields.add(at, ErrWrongType.With("expected", "a number"))
		}
		return
	case freeFormType:
		object, ok := value.(map[string]any)
		if !ok {
			fields.add(at, ErrWrongType.With("expected", "an object"))
			return
		}
		checkTexts(object, at, fields)
		dst.Set(reflect.ValueOf(FreeForm(object)))
		return
	}
	if dst.Type() == anythingType {
		dst.Set(reflect.ValueOf(Anything{value}))
		return
	}
	switch dst.Kind() {
	case reflect.String:
		v, ok := value.(string)
		if !ok {
			fields.add(at, ErrWrongType.With("expected", "a text"))
			return
		}
		checkTexts(v, at, fields)
		dst.SetString(strings.TrimSpace(v))
	case reflect.Bool:
		v, ok := value.(bool)
		if !ok {
			fields.add(at, ErrWrongType.With("expected", "true or false"))
			return
		}
		dst.SetBool(v)
	case reflect.Int, reflect.Int64:
		n, ok := integer(value)
		if !ok {
			fields.add(at, ErrWrongType.With("expected", "a whole number"))
			return
		}
		dst.SetInt(n)
	case reflect.Struct:
		object, ok := value.(map[string]any)
		if !ok {
			fields.add(at, ErrWrongType.With("expected", "an object"))
			return
		}
		bindStruct(object, dst, at, fields)
	case reflect.Slice:
		bindSlice(value, dst, at, fields)
	default:
		panic("web: cannot bind a " + dst.Type().String() + " at " + at.String())
	}
}

func bindSlice(value any, dst reflect.Value, at *place, fields *faults) {
	list, ok := value.([]any)
	if !ok {
		fields.add(at, ErrWrongType.With("expected", "a list"))
		return
	}
	dst.Set(reflect.MakeSlice(dst.Type(), len(list), len(list)))
	for i, v := range list {
		if v == nil {
			fields.add(at.item(i), ErrWrongType.With("expected", "a value, not null"))
			continue
		}
		bindValue(v, dst.Index(i), at.item(i), fields)
	}
}

// integer reads a JSON integer literal. A string is refused (S1-18).
func integer(value any) (int64, bool) {
	v, ok := value.(json.Number)
	if !ok || strings.HasPrefix(v.String(), "+") {
		return 0, false
	}
	n, err := strconv.ParseInt(v.String(), 10, 64)
	return n, err == nil
}

// checkTexts refuses, in a text or anywhere in free-form data, what must never be stored.
func checkTexts(value any, at *place, fields *faults) {
	switch v := value.(type) {
	case string:
		switch {
		case !utf8.ValidString(v) || strings.ContainsFunc(v, isControl):
			fields.add(at, ErrBadText)
		case holdsAccountWithPIN(v):
			fields.add(at, ErrSecretData)
		}
	case json.Number:
		switch text := v.String(); {
		case len(text) > maxNumber || strings.ContainsAny(text, "eE"): // PostgreSQL does not store 1e999999
			fields.add(at, ErrWrongType.With("expected", "a number in plain digits, at most 40"))
		case carddata.Holds(text): // also numbers that checkCards takes for amounts
			fields.add(at, ErrCardData)
		}
	case []any:
		for i, e := range v {
			checkTexts(e, at.item(i), fields)
		}
	case map[string]any:
		for k, e := range v {
			checkTexts(k, at.under(k), fields)
			checkTexts(e, at.under(k), fields)
		}
	}
}

func isControl(c rune) bool {
	return c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f || c == utf8.RuneError
}
