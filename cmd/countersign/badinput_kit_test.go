package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"countersign/internal/testkit"
	"countersign/internal/web"
)

// sound is a request that its route accepts, with nothing in its body that a POST or PUT could do without.
type sound struct {
	client *testkit.Client
	id     string // what the {id} of the path names
	body   map[string]any
}

// soundRequests makes, for each route with a JSON body, a request that succeeds. Each makes objects of its own, so that
// what one changes hinders no other.
var soundRequests = map[string]func(*testing.T, *estate) sound{
	"POST /auth/token/": func(_ *testing.T, e *estate) sound {
		return sound{e.Anonymous(), "", map[string]any{"email": e.Member.Email, "password": "correct horse battery", "tenant": e.Tenant.Slug}}
	},
	"POST /auth/password/": func(_ *testing.T, e *estate) sound { // of a user whom no other test needs
		email := "u" + uuid.NewString() + "@people.test"
		e.As(e.Owner).Post(apiPrefix+"/users/", map[string]any{"email": email, "name": "New", "password": "correct horse battery", "role": "viewer"}).Expect(http.StatusCreated)
		token := e.Anonymous().Post(apiPrefix+"/auth/token/", map[string]any{"email": email, "password": "correct horse battery"}).Expect(http.StatusOK).Text("data.access_token")
		return sound{e.Anonymous().As(token), "", map[string]any{"current_password": "correct horse battery", "new_password": "another horse, another battery"}}
	},
	"POST /users/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), "", map[string]any{"email": "u" + uuid.NewString() + "@people.test", "name": "New", "password": "correct horse battery", "role": "viewer"}}
	},
	"PATCH /users/{id}/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.First.User, map[string]any{"name": "Changed"}}
	},
	"PATCH /tenant/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), "", map[string]any{"name": "Changed"}}
	},
	"POST /billing/accounts/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), "", map[string]any{"holder": "New"}}
	},
	"PATCH /billing/accounts/{id}/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.First.Account, map[string]any{"holder": "Changed"}}
	},
	"POST /billing/invoices/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), "", map[string]any{"account_id": e.First.Account, "line_items": []any{map[string]any{"description": "Work", "quantity": "1", "unit_price": "150.00"}}}}
	},
	"PATCH /billing/invoices/{id}/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.First.Draft, map[string]any{"line_items": []any{map[string]any{"description": "Work", "quantity": "1", "unit_price": "150.00"}}}}
	},
	"POST /billing/invoices/{id}/void/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.draft(e.First), map[string]any{"reason": "A mistake"}}
	},
	"POST /billing/invoices/{id}/apply_credit/": func(_ *testing.T, e *estate) sound {
		e.overpaid(e.First)
		return sound{e.As(e.Owner), e.finalized(e.First), map[string]any{}}
	},
	"POST /billing/invoices/{id}/unapply_credit/": func(_ *testing.T, e *estate) sound {
		e.overpaid(e.First)
		id := e.finalized(e.First)
		return sound{e.As(e.Owner), id, map[string]any{"adjustment_id": e.applied(id), "reason": "A mistake"}}
	},
	"POST /billing/invoices/{id}/credit-notes/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.finalized(e.First), map[string]any{"reason": "Less was delivered"}}
	},
	"POST /billing/credit-notes/{id}/reverse/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.credited(e.finalized(e.First)), map[string]any{"reason": "A mistake"}}
	},
	"POST /billing/invoices/{id}/write_off/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.finalized(e.First), map[string]any{"reason": "Bankrupt"}}
	},
	"POST /billing/invoices/{id}/mark_uncollectible/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.finalized(e.First), map[string]any{"reason": "Gone"}}
	},
	"POST /billing/invoices/{id}/reopen/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.givenUp(e.First), map[string]any{"reason": "Back again"}}
	},
	"POST /billing/write-offs/{id}/approve/": func(_ *testing.T, e *estate) sound {
		id := e.asked(e.finalized(e.First))
		return sound{e.As(e.Approver), id, map[string]any{"digest": e.seen(id)}}
	},
	"POST /billing/write-offs/{id}/reject/": func(_ *testing.T, e *estate) sound {
		id := e.asked(e.finalized(e.First))
		return sound{e.As(e.Approver), id, map[string]any{"digest": e.seen(id), "reason": "Ask again"}}
	},
	"POST /billing/write-offs/{id}/reverse/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.writtenOff(e.finalized(e.First)), map[string]any{"reason": "A mistake"}}
	},
	"POST /billing/payments/{id}/refund/": func(_ *testing.T, e *estate) sound {
		return sound{keyed(e.As(e.Owner)), e.settled(e.First), map[string]any{"reason": "item_return"}}
	},
	"POST /billing/refunds/{id}/approve/": func(_ *testing.T, e *estate) sound {
		id := e.undecidedRefund(e.Owner, e.First)
		return sound{e.As(e.Approver), id, map[string]any{"digest": e.seenRefund(id)}}
	},
	"POST /billing/refunds/{id}/reject/": func(_ *testing.T, e *estate) sound {
		id := e.undecidedRefund(e.Owner, e.First)
		return sound{e.As(e.Approver), id, map[string]any{"digest": e.seenRefund(id), "reason": "Ask again"}}
	},
	"POST /billing/refunds/{id}/cancel/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.refunding(e.settled(e.First)), nil}
	},
	"POST /billing/refunds/{id}/complete/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.refunding(e.settled(e.First)), map[string]any{"payout_reference": "BANK 1"}}
	},
	"POST /billing/refunds/{id}/reverse/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.refunded(e.settled(e.First)), map[string]any{"reason": "A mistake"}}
	},
	"PATCH /billing/payment-method-configs/{id}/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.Config, map[string]any{"display_name": "Changed"}}
	},
	"PUT /billing/gateways/{name}/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), "manual", map[string]any{"is_enabled": true}}
	},
	"POST /billing/sandbox/orders/{id}/complete/": func(t *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.sandboxOrder(t), map[string]any{"approve": true}}
	},
	"POST /billing/payment-methods/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Member), "", map[string]any{"payment_method": "bank_transfer", "display_name": "New"}}
	},
	"PATCH /billing/payment-methods/{id}/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Member), e.First.Method, map[string]any{"display_name": "Changed"}}
	},
	"POST /billing/charges/": func(_ *testing.T, e *estate) sound { return sound{e.As(e.Owner), "", charge("tok_visa")} },
	"POST /billing/payments/": func(_ *testing.T, e *estate) sound {
		body := e.cash(e.First)
		delete(body, "account_id")
		return sound{e.As(e.Owner), "", body}
	},
	"POST /billing/payments/{id}/capture/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.held(e.First), map[string]any{"idempotency_key": uuid.NewString()}}
	},
	"POST /billing/payments/{id}/release/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.held(e.First), map[string]any{}}
	},
	"POST /billing/payments/{id}/complete/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.pendingCash(e.First), map[string]any{}}
	},
	"POST /billing/payments/{id}/cancel/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Member), e.freshClaim(), map[string]any{}}
	},
	"POST /billing/payment-anomalies/{id}/resolve/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.odd(e.First), map[string]any{"note": "The provider has given it back"}}
	},
	"POST /billing/payments/manual/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Member), "", map[string]any{"invoice_id": e.finalized(e.First), "payment_method": "bank_transfer", "transaction_reference": e.Reference()}}
	},
	"POST /billing/payments/search/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Member), "", searched(nil)}
	},
	"PATCH /billing/payments/{id}/": func(t *testing.T, e *estate) sound {
		return sound{e.As(e.Member), e.freshClaim(), map[string]any{"notes": "Changed"}}
	},
	"POST /billing/payments/{id}/approve/": func(t *testing.T, e *estate) sound {
		id := e.freshClaim()
		return sound{e.As(e.Approver), id, map[string]any{"digest": e.Digest(uuid.MustParse(id))}}
	},
	"POST /billing/payments/{id}/reject/": func(t *testing.T, e *estate) sound {
		id := e.freshClaim()
		return sound{e.As(e.Approver), id, map[string]any{"digest": e.Digest(uuid.MustParse(id)), "reason": "No such transfer"}}
	},
	"POST /billing/payments/bulk_approve/": func(t *testing.T, e *estate) sound {
		id := e.freshClaim()
		return sound{e.As(e.Approver), "", map[string]any{"items": []any{map[string]any{"id": id, "digest": e.Digest(uuid.MustParse(id))}}}}
	},
	"POST /billing/fx/rates/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), "", map[string]any{"base": "USD", "quote": "BDT", "rate": "122.5", "source": "manual"}}
	},
	"POST /billing/fx/conversions/": func(_ *testing.T, e *estate) sound {
		return sound{keyed(e.As(e.Owner)), "", map[string]any{"account_id": e.First.Account, "from_currency": "EUR", "to_currency": "USD", "from_amount": "10.00",
			"rate": "1.08", "source": "manual"}}
	},
	"POST /billing/fx/conversions/{id}/reverse/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.converted(e.First), map[string]any{"reason": "A mistake"}}
	},
	"POST /billing/subscriptions/": func(_ *testing.T, e *estate) sound {
		return sound{keyed(e.As(e.Owner)), "", e.First.monthly()}
	},
	"POST /billing/subscriptions/{id}/cancel/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), e.subscribed(e.First), map[string]any{}}
	},
	"PUT /billing/approval-policies/": func(_ *testing.T, e *estate) sound {
		return sound{e.As(e.Owner), "", map[string]any{"rules": []any{map[string]any{"approvals": 1}}}}
	},
}

// freshClaim is an undecided payment of the first customer that nobody else uses.
func (e *estate) freshClaim() string {
	return e.As(e.Member).Post(base+"/payments/manual/", map[string]any{"invoice_id": e.finalized(e.First), "payment_method": "bank_transfer",
		"transaction_reference": e.Reference()}).Expect(http.StatusCreated).Text("data.id")
}

// soundFor makes the route's sound request.
func soundFor(t *testing.T, e *estate, route web.Route, country string) sound {
	t.Helper()
	name := route.Method + " " + route.Path
	if name == "POST /billing/payment-method-configs/" { // there is one for each country
		return sound{e.As(e.Owner), "", map[string]any{"country_code": country, "payment_method": "local_wallet", "display_name": "Wallet"}}
	}
	make, ok := soundRequests[name]
	if !ok {
		t.Fatalf("%s: say in soundRequests what it accepts", name)
	}
	return make(t, e)
}

// sender gives what sends bodies to the route.
func (s sound) sender(t *testing.T, route web.Route) func(contentType, body string) testkit.Answer {
	t.Helper()
	path := apiPrefix + strings.NewReplacer("{id}", s.id, "{name}", s.id).Replace(route.Path)
	return func(contentType, body string) testkit.Answer {
		r := httptest.NewRequestWithContext(t.Context(), route.Method, path, strings.NewReader(body))
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		return s.client.Do(r)
	}
}

// slot is a place in a body where a value goes.
type slot struct {
	path []string // field names, and 0 for the first element of a list
	kind reflect.Type
	tag  string // the validator's
}

func (s slot) name() string { return strings.Join(s.path, ".") }

// last is the field's own name.
func (s slot) last() string {
	name := s.path[len(s.path)-1]
	if name == "0" {
		name = s.path[len(s.path)-2]
	}
	return name
}

// rule gives the parameter of a validator rule.
func (s slot) rule(name string) (string, bool) {
	for rule := range strings.SplitSeq(s.tag, ",") {
		key, value, _ := strings.Cut(rule, "=")
		if key == name {
			return value, true
		}
		if key == "dive" {
			break
		}
	}
	return "", false
}

// slots are all places in a body of the type, also those inside objects and lists.
func slots(t reflect.Type, at []string) []slot {
	var found []slot
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		kind, tag := field.Type, field.Tag.Get("validate")
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		path := append(slices.Clone(at), name)
		found = append(found, slot{path, kind, tag})
		if kind.Kind() == reflect.Slice {
			_, tag, _ := strings.Cut(tag, "dive")
			kind, path = kind.Elem(), append(slices.Clone(path), "0")
			found = append(found, slot{path, kind, strings.TrimPrefix(tag, ",")})
		}
		if kind.Kind() == reflect.Struct {
			found = append(found, slots(kind, path)...)
		}
	}
	return found
}

// hole stands where the raw text of a value goes.
const hole = `"\u0001hole\u0001"`

// with gives the body with raw as the value at s; raw needs to be no JSON.
func (s slot) with(t *testing.T, body map[string]any, raw string) string {
	t.Helper()
	text, err := json.Marshal(set(body, s.path, "\x01hole\x01"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(text), hole, raw, 1)
}

// set gives a copy of node in which path leads to value.
func set(node any, path []string, value any) any {
	if len(path) == 0 {
		return value
	}
	if i, err := strconv.Atoi(path[0]); err == nil {
		list, _ := node.([]any)
		list = slices.Clone(list)
		if len(list) <= i {
			list = append(list, nil)
		}
		list[i] = set(list[i], path[1:], value)
		return list
	}
	object, _ := node.(map[string]any)
	object = maps.Clone(object)
	if object == nil {
		object = map[string]any{}
	}
	object[path[0]] = set(object[path[0]], path[1:], value)
	return object
}

// without gives a copy of node without what path leads to; ok is false when there is nothing.
func without(node any, path []string) (any, bool) {
	switch node := node.(type) {
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i >= len(node) || len(path) == 1 {
			return nil, false
		}
		inner, ok := without(node[i], path[1:])
		node = slices.Clone(node)
		node[i] = inner
		return node, ok
	case map[string]any:
		if _, ok := node[path[0]]; !ok {
			return nil, false
		}
		node = maps.Clone(node)
		if len(path) == 1 {
			delete(node, path[0])
			return node, true
		}
		inner, ok := without(node[path[0]], path[1:])
		node[path[0]] = inner
		return node, ok
	}
	return nil, false
}

var codeInTable = regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|")

// listedCodes are the codes of docs/errors.md.
func listedCodes(t *testing.T) map[string]bool {
	t.Helper()
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]bool{}
	for _, m := range codeInTable.FindAllStringSubmatch(string(page), -1) {
		codes[m[1]] = true
	}
	return codes
}

// judge looks at the answers to bad requests.
type judge struct {
	codes map[string]bool
}

// refused wants a clear refusal, which names the field when one is at fault.
func (j judge) refused(t *testing.T, what string, a testkit.Answer, field string) {
	t.Helper()
	code, _ := a.Body["code"].(string)
	switch {
	case a.Status < 400 || a.Status >= 500:
		t.Errorf("%s: status is %d: %.400s", what, a.Status, a.Raw)
		return
	case !j.codes[code]:
		t.Errorf("%s: docs/errors.md does not know %q: %.400s", what, code, a.Raw)
	case field != "" && !blames(a, field):
		t.Errorf("%s: the refusal does not name %s: %.400s", what, field, a.Raw)
	}
	enveloped(t, a, errorKeys...)
}

// blames says whether the refusal names the field, or what it is part of, or a part of it. The two forms of an amount
// are one field. A whole body that is no JSON or too large has no field, and the code of a rule has it in its name.
func blames(a testkit.Answer, field string) bool {
	code, _ := a.Body["code"].(string)
	if code == "malformed_json" || code == "body_too_large" || strings.HasPrefix(code, field+"_") {
		return true
	}
	fields, _ := a.Body["errors"].(map[string]any)
	field = strings.TrimSuffix(field, "_minor")
	for name := range fields {
		if name = strings.TrimSuffix(name, "_minor"); name == field || strings.HasPrefix(name, field+".") || strings.HasPrefix(field, name+".") {
			return true
		}
	}
	return false
}

func quoted(text string) string {
	raw, err := json.Marshal(text)
	if err != nil {
		panic(fmt.Sprintf("%q: %v", text, err))
	}
	return string(raw)
}
