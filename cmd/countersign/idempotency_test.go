package main

import (
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	gocmp "github.com/google/go-cmp/cmp"

	"countersign/internal/idempotency"
)

// anyGateway is the call that needs a key only when its gateway is a provider that is asked.
const anyGateway = "POST /billing/payments/"

// TestKeyRequired compares the calls that do nothing without an idempotency key with those of which the OpenAPI document
// and docs/idempotency.md say so (S1-16, S1-62). That no other call asks for a key is seen by TestSealed, which makes them
// without one.
func TestKeyRequired(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	owner, doc := &caller{Person: e.Owner, own: e}, document(t, handlerOf(t, e.project))
	var want []string
	for _, route := range e.project.routes() {
		name := route.Method + " " + route.Path
		if route.Method != http.MethodPost {
			continue
		}
		refuses := slices.Contains(route.Errors, idempotency.ErrRequired)
		inBody, required := keyOf(doc.Paths.Find(apiPrefix + route.Path).Post)
		if required != (refuses && name != anyGateway) {
			t.Errorf("%s: the document says that a key is required: %v", name, required)
		}
		if !refuses {
			continue
		}
		made, body, line := owner.prepare(t, route, calls[name]), map[string]any{}, "| `"+strings.Replace(name, "/billing/", "", 1)+"`"
		if name == anyGateway {
			made.body = map[string]any{"gateway": "sandbox", "amount": "10.00", "currency": "USD", "payment_source": "tok_visa", "account_id": e.First.Account}
			line += ", when a provider is asked"
		}
		if given, ok := made.body.(map[string]any); ok {
			body = maps.Clone(given)
			delete(body, "idempotency_key")
		}
		request(owner.client(t), route, made.id, body).Refused(http.StatusBadRequest, "idempotency_key_required")
		line += " | the header"
		if inBody {
			line += ", or the field `idempotency_key`"
		}
		want = append(want, line+" |")
	}
	page, err := os.ReadFile("../../docs/idempotency.md")
	if err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile("(?m)^\\| `POST .*$").FindAllString(string(page), -1)
	slices.Sort(want)
	slices.Sort(got)
	if diff := gocmp.Diff(want, got); diff != "" || len(want) == 0 {
		t.Errorf("docs/idempotency.md names other calls: %s", diff)
	}
}

// keyOf says whether the key of a call may stand in its body, and whether the document requires one, there or in the header.
func keyOf(op *openapi3.Operation) (inBody, required bool) {
	if p := op.Parameters.GetByInAndName("header", "Idempotency-Key"); p != nil {
		required = p.Required
	}
	if op.RequestBody == nil {
		return false, required
	}
	body := op.RequestBody.Value.Content.Get("application/json")
	if body == nil {
		return false, required
	}
	return body.Schema.Value.Properties["idempotency_key"] != nil, required || slices.Contains(body.Schema.Value.Required, "idempotency_key")
}
