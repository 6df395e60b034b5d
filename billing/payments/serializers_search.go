package payments

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"countersign/internal/errs"
	"countersign/internal/web"
)

// SearchRequest is the body of POST payments/search/ (S0-101): conditions about what a gateway has said of payments, and
// the filters, order and page of the list. What the address says of these goes before the body, so that the body can be
// sent unchanged to next and previous.
type SearchRequest struct {
	Gateway       string         `json:"gateway" validate:"required,max=40" example:"click"`
	Filters       []SearchFilter `json:"filters" validate:"required,min=1,max=20,dive"`
	Status        string         `json:"status" validate:"max=200"`
	PaymentMethod string         `json:"payment_method" validate:"max=200"`
	Invoice       string         `json:"invoice" validate:"max=200"`
	Account       string         `json:"account" validate:"max=200"`
	Currency      string         `json:"currency" validate:"max=200"`
	CreatedAfter  string         `json:"created_after" validate:"max=200"`
	CreatedBefore string         `json:"created_before" validate:"max=200"`
	Search        string         `json:"search" validate:"max=200"`
	Ordering      string         `json:"ordering" validate:"max=200"`
	Page          *int64         `json:"page"`
	PageSize      *int64         `json:"page_size"`
	Cursor        *string        `json:"cursor" validate:"omitempty,max=200"` // empty: begin to read by cursor
}

// SearchFilter is one condition. Path is a key, or a list of keys and places in lists. Op is one of =, !=, >, <, >=, <=,
// between and in; between takes two values and in takes a list.
type SearchFilter struct {
	Path  web.Anything `json:"path" validate:"required" description:"A key, or a list of keys and of places in lists." examples:"[\"merchant_trans_id\",[\"items\",0,\"price_id\"]]"`
	Op    string       `json:"op" validate:"required,max=20" description:"=, !=, >, <, >=, <=, between or in." example:"between"`
	Value web.Anything `json:"value" description:"A text, a number, true or false, of the type of the place; a list of two for between, and of up to a hundred for in." examples:"[\"order-1\",[9,10]]"`
}

// searchSpec is the list of payments without the gateway, which stands in the body.
func searchSpec() *web.ListSpec {
	spec := listSpec(words())
	spec.Filters = slices.DeleteFunc(spec.Filters, func(f web.Filter) bool { return f.Name == "gateway" })
	spec.AdHoc = true
	return spec
}

// list reads the filters, order and page.
func (req SearchRequest) list(r *http.Request) (web.List, error) {
	query := r.URL.Query()
	say := func(name, text string) {
		if !query.Has(name) {
			query.Set(name, text)
		}
	}
	for name, text := range map[string]string{"status": req.Status, "payment_method": req.PaymentMethod, "invoice": req.Invoice, "account": req.Account,
		"currency": req.Currency, "created_after": req.CreatedAfter, "created_before": req.CreatedBefore, "search": req.Search, "ordering": req.Ordering} {
		if text != "" {
			say(name, text)
		}
	}
	for name, n := range map[string]*int64{"page": req.Page, "page_size": req.PageSize} {
		if n != nil {
			say(name, strconv.FormatInt(*n, 10))
		}
	}
	if req.Cursor != nil {
		say("cursor", *req.Cursor)
	}
	return web.ParseList(&http.Request{Method: r.Method, URL: &url.URL{Path: r.URL.Path, RawQuery: query.Encode()}}, searchSpec())
}

// operators are what conditions compare by.
var operators = []string{"=", "!=", ">", "<", ">=", "<=", "between", "in"}

// condition is a filter that fits its place. Values has one value, two for between, and any number for in: of type string,
// json.Number (canonical), time.Time or bool, all the same.
type condition struct {
	gateway string
	path    []string
	field   *detailField
	op      string
	values  []any
}

// maxOperands is how many values in may list.
const maxOperands = 100

// conditions reads the filters by what the gateway's details hold.
func (req SearchRequest) conditions() (list []condition, err error) {
	gateway := strings.ToLower(req.Gateway)
	var wrong errs.Fields
	if fields[gateway] == nil {
		wrong.Add("gateway", web.ErrNotAChoice.With("allowed", strings.Join(gatewayNames(), ", ")))
		return nil, wrong.Err()
	}
	for i, f := range req.Filters {
		field := func(name string) string { return fmt.Sprintf("filters.%d.%s", i, name) }
		c := condition{gateway: gateway, op: strings.ToLower(f.Op)}
		if c.path, err = pathOf(f.Path); err != nil {
			wrong.Add(field("path"), errs.As(err))
			continue
		}
		if c.field = fields[gateway].find(c.path); c.field == nil {
			wrong.Add(field("path"), web.ErrNotAChoice.With("allowed", strings.Join(searchable(gateway), ", ")))
			continue
		}
		if allowed := c.field.operators(f.Value); !slices.Contains(allowed, c.op) {
			wrong.Add(field("op"), web.ErrNotAChoice.With("allowed", strings.Join(allowed, ", ")))
			continue
		}
		if c.values, err = c.operands(f.Value); err != nil {
			wrong.Add(field("value"), errs.As(err))
			continue
		}
		list = append(list, c)
	}
	return list, wrong.Err()
}

func pathOf(v web.Anything) ([]string, error) {
	malformed := web.ErrWrongType.With("expected", "a key, or a list of up to 8 keys and places in lists")
	keys, isList := v.JSON.([]any)
	if !isList {
		keys = []any{v.JSON}
	}
	if len(keys) == 0 || len(keys) > maxDetailDepth {
		return nil, malformed
	}
	path := make([]string, len(keys))
	for i, k := range keys {
		switch k := k.(type) {
		case string:
			path[i] = k
		case json.Number:
			if path[i] = k.String(); !isIndex(path[i]) {
				return nil, malformed
			}
		}
		if path[i] == "" || len(path[i]) > maxDetailKey || !sound(path[i]) {
			return nil, malformed
		}
	}
	return path, nil
}

// sound says whether PostgreSQL takes a text.
func sound(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

// operators gives what a place can be compared by with a value.
func (f *detailField) operators(v web.Anything) []string {
	_, isBool := v.JSON.(bool)
	if list, ok := v.JSON.([]any); ok && len(list) > 0 {
		_, isBool = list[0].(bool)
	}
	switch {
	case f.sealed:
		return []string{"=", "in"}
	case f.kind == kindBoolean || isBool && f.kind == kindAny:
		return []string{"=", "!=", "in"}
	default:
		return operators
	}
}

// operands reads the values of a condition, which must be of the kind of its place; where that is any, they must be of one
// type.
func (c condition) operands(v web.Anything) ([]any, error) {
	given := []any{v.JSON}
	if c.op == "between" || c.op == "in" {
		list, ok := v.JSON.([]any)
		switch {
		case c.op == "between" && (!ok || len(list) != 2):
			return nil, web.ErrWrongType.With("expected", "a list of two values, the lower and the upper")
		case !ok || len(list) == 0 || len(list) > maxOperands:
			return nil, web.ErrWrongType.With("expected", "a list of 1 to 100 values")
		}
		given = list
	}
	values := make([]any, len(given))
	for i, g := range given {
		value, ok := c.field.operand(g)
		if !ok || i > 0 && fmt.Sprintf("%T", value) != fmt.Sprintf("%T", values[0]) {
			return nil, c.field.wrong()
		}
		values[i] = value
	}
	return values, nil
}

func (f *detailField) operand(given any) (any, bool) {
	switch g := given.(type) {
	case string:
		if f.kind == kindTime {
			t, err := web.ParseInstant(g)
			return t, err == nil
		}
		return g, (f.kind == kindText || f.kind == kindAny) && len(g) <= maxDetailText && sound(g)
	case json.Number:
		text, ok := canonicalNumber(g)
		if f.sealed { // only its digits count
			return text, ok
		}
		return json.Number(text), ok && (f.kind == kindNumber || f.kind == kindInteger || f.kind == kindAny)
	case bool:
		return g, f.kind == kindBoolean || f.kind == kindAny && !f.sealed
	default:
		return nil, false
	}
}
