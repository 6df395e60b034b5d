package web

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

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
	// ErrCardData means that a text holds what looks like a card number, which is never stored (S1-14, S3-56).
	ErrCardData = errs.Invalid("card_data_rejected", "This looks like a card number. Never send card data here; it was not stored.")
	// ErrSecretData means that a text holds a bank account together with its PIN, which is never stored (S3-56).
	ErrSecretData = errs.Invalid("secret_data_rejected", "This looks like a bank account with its PIN. Never send a PIN here; it was not stored.")
	// ErrBadText names a text that is not valid UTF-8 or holds control characters.
	ErrBadText = errs.Invalid("invalid_text", "This text holds characters that cannot be stored.")
)

// Number is a number as its sender wrote it: a JSON string or a JSON number literal, kept as text and never a float.
type Number string

// FreeForm is a JSON object whose keys are the sender's own, such as bank details. Keys are kept as they are.
type FreeForm map[string]any

// Decode reads one JSON object into dst, a pointer to a struct with json tags, and validates it. Keys may be
// snake_case or camelCase (C-03); unknown and repeated keys are refused; all faults are reported at once.
func Decode(r *http.Request, dst any) error {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return ErrNotJSON
	}
	dec := json.NewDecoder(http.MaxBytesReader(nil, r.Body, MaxBody))
	dec.UseNumber()
	var fields errs.Fields
	tree, err := readValue(dec, "", &fields, 0)
	if err == nil {
		if _, trailing := dec.Token(); trailing != io.EOF {
			err = errors.New("something follows the object")
		}
	}
	if err != nil {
		if isTooLarge(err) {
			return ErrBodyTooLarge
		}
		return ErrMalformed.With("detail", err.Error())
	}
	object, ok := tree.(map[string]any)
	if !ok {
		return ErrMalformed.With("detail", "it is not an object")
	}
	bindStruct(object, reflect.ValueOf(dst).Elem(), "", &fields)
	if err := fields.Err(); err != nil {
		return err
	}
	return Validate(dst)
}

// DecodeForm reads form values into dst the way Decode reads JSON. A repeated name becomes a list.
func DecodeForm(values map[string][]string, dst any) error {
	object := map[string]any{}
	for name, given := range values {
		if len(given) == 1 {
			object[name] = given[0]
			continue
		}
		list := make([]any, len(given))
		for i, v := range given {
			list[i] = v
		}
		object[name] = list
	}
	numbersOf(reflect.TypeOf(dst).Elem(), object)
	var fields errs.Fields
	bindStruct(object, reflect.ValueOf(dst).Elem(), "", &fields)
	if err := fields.Err(); err != nil {
		return err
	}
	return Validate(dst)
}

// numbersOf lets a form, which has nothing but texts, fill whole-number fields. An empty one is absent.
func numbersOf(t reflect.Type, object map[string]any) {
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		kind := t.Field(i).Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		text, given := object[name].(string)
		if !given || kind.Kind() != reflect.Int && kind.Kind() != reflect.Int64 {
			continue
		}
		object[name] = json.Number(strings.TrimSpace(text))
		if strings.TrimSpace(text) == "" {
			delete(object, name)
		}
	}
}

// maxDepth bounds nesting: nothing we accept is deeper, and a parser must not be led into recursion by its input.
const maxDepth = 16

// readValue reads one JSON value token by token, because only so can repeated keys be seen.
func readValue(dec *json.Decoder, path string, fields *errs.Fields, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("it is nested too deeply")
	}
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if delim == '[' {
		list := []any{}
		for dec.More() {
			v, err := readValue(dec, join(path, strconv.Itoa(len(list))), fields, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.Token()
		return list, err
	}
	object := map[string]any{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name := key.(string)
		v, err := readValue(dec, join(path, name), fields, depth+1)
		if err != nil {
			return nil, err
		}
		if _, dup := object[name]; dup {
			fields.Add(join(path, name), ErrDuplicateField)
		}
		object[name] = v
	}
	_, err = dec.Token()
	return object, err
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
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

func bindStruct(object map[string]any, dst reflect.Value, path string, fields *errs.Fields) {
	known := map[string]reflect.Value{}
	for i := range dst.NumField() {
		name, _, _ := strings.Cut(dst.Type().Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			known[name] = dst.Field(i)
		}
	}
	seen := map[string]bool{}
	for key, value := range object {
		name := snake(key)
		field, ok := known[name]
		switch {
		case !ok:
			fields.Add(join(path, key), ErrUnknownField)
		case seen[name]:
			fields.Add(join(path, name), ErrDuplicateField)
		case value != nil: // null is the same as absent
			bindValue(value, field, join(path, name), fields)
		}
		seen[name] = true
	}
}

var (
	numberType   = reflect.TypeFor[Number]()
	freeFormType = reflect.TypeFor[FreeForm]()
)

func bindValue(value any, dst reflect.Value, path string, fields *errs.Fields) {
	if dst.Kind() == reflect.Pointer {
		dst.Set(reflect.New(dst.Type().Elem()))
		bindValue(value, dst.Elem(), path, fields)
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
			fields.Add(path, ErrWrongType.With("expected", "a number"))
		}
		return
	case freeFormType:
		object, ok := value.(map[string]any)
		if !ok {
			fields.Add(path, ErrWrongType.With("expected", "an object"))
			return
		}
		checkTexts(object, path, fields)
		dst.Set(reflect.ValueOf(FreeForm(object)))
		return
	}
	switch dst.Kind() {
	case reflect.String:
		v, ok := value.(string)
		if !ok {
			fields.Add(path, ErrWrongType.With("expected", "a text"))
			return
		}
		checkTexts(v, path, fields)
		dst.SetString(strings.TrimSpace(v))
	case reflect.Bool:
		switch v := value.(type) {
		case bool:
			dst.SetBool(v)
		case string: // forms
			b, err := strconv.ParseBool(v)
			if err != nil && v != "on" {
				fields.Add(path, ErrWrongType.With("expected", "true or false"))
			}
			dst.SetBool(b || v == "on")
		default:
			fields.Add(path, ErrWrongType.With("expected", "true or false"))
		}
	case reflect.Int, reflect.Int64:
		n, ok := integer(value)
		if !ok {
			fields.Add(path, ErrWrongType.With("expected", "a whole number"))
			return
		}
		dst.SetInt(n)
	case reflect.Struct:
		object, ok := value.(map[string]any)
		if !ok {
			fields.Add(path, ErrWrongType.With("expected", "an object"))
			return
		}
		bindStruct(object, dst, path, fields)
	case reflect.Slice:
		bindSlice(value, dst, path, fields)
	default:
		panic("web: cannot bind a " + dst.Type().String() + " at " + path)
	}
}

func bindSlice(value any, dst reflect.Value, path string, fields *errs.Fields) {
	list, ok := value.([]any)
	if !ok {
		if s, isText := value.(string); isText && dst.Type().Elem().Kind() == reflect.String {
			list = []any{s} // a form field that is given once
		} else {
			fields.Add(path, ErrWrongType.With("expected", "a list"))
			return
		}
	}
	dst.Set(reflect.MakeSlice(dst.Type(), len(list), len(list)))
	for i, v := range list {
		if v == nil {
			fields.Add(join(path, strconv.Itoa(i)), ErrWrongType.With("expected", "a value, not null"))
			continue
		}
		bindValue(v, dst.Index(i), join(path, strconv.Itoa(i)), fields)
	}
}

// integer reads a JSON integer literal. A string is refused (S1-18); a form has nothing but strings, so its request
// structs use Number.
func integer(value any) (int64, bool) {
	v, ok := value.(json.Number)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(v.String(), 10, 64)
	return n, err == nil
}

// checkTexts refuses, in a text or anywhere in free-form data, what must never be stored.
func checkTexts(value any, path string, fields *errs.Fields) {
	switch v := value.(type) {
	case string:
		switch {
		case !utf8.ValidString(v) || strings.ContainsFunc(v, isControl):
			fields.Add(path, ErrBadText)
		case HoldsCardNumber(v):
			fields.Add(path, ErrCardData)
		case holdsAccountWithPIN(v):
			fields.Add(path, ErrSecretData)
		}
	case json.Number:
		if HoldsCardNumber(v.String()) {
			fields.Add(path, ErrCardData)
		}
	case []any:
		for i, e := range v {
			checkTexts(e, join(path, strconv.Itoa(i)), fields)
		}
	case map[string]any:
		for k, e := range v {
			checkTexts(k, join(path, k), fields)
			checkTexts(e, join(path, k), fields)
		}
	}
}

func isControl(c rune) bool {
	return c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f || c == utf8.RuneError
}

// digitRun finds 13 to 19 digits that may be grouped by single spaces or hyphens, as cards are written.
var digitRun = regexp.MustCompile(`[0-9](?:[ -]?[0-9]){12,18}`)

// cardPrefix is how numbers of card networks begin: Visa, Mastercard, American Express, Discover, JCB, Diners,
// UnionPay, Mir, Uzcard and Humo. A bank reference of the same length rarely does.
var cardPrefix = regexp.MustCompile(`^(4|5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720|3[47]|6011|64[4-9]|65|35|30[0-5]|36|38|62|220[0-4]|8600|5614|9860)`)

// machineWord finds ids, hashes and digests: their digits may look like a card's by chance, and nobody types a card so.
var machineWord = regexp.MustCompile(`\b(?:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32,})\b`)

// HoldsCardNumber says whether text holds a number that a card could have: right length, right prefix, right check digit.
func HoldsCardNumber(text string) bool {
	for _, run := range digitRun.FindAllString(machineWord.ReplaceAllString(text, " "), -1) {
		digits := strings.Map(func(c rune) rune {
			if c >= '0' && c <= '9' {
				return c
			}
			return -1
		}, run)
		if cardPrefix.MatchString(digits) && luhn(digits) {
			return true
		}
	}
	return false
}

// iban and pin find a bank account and a PIN beside it, in the words of our languages.
var (
	iban = regexp.MustCompile(`\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}\b`)
	pin  = regexp.MustCompile(`(?i)(?:\b(?:pin|cvv|cvc|parol)|пин|পিন)[^0-9a-z]{0,12}[0-9]{3,8}\b`)
)

func holdsAccountWithPIN(text string) bool {
	return pin.MatchString(text) && iban.MatchString(strings.ToUpper(text))
}

func luhn(digits string) bool {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			d *= 2
			if d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}
