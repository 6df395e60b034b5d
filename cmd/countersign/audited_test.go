package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"countersign/internal/testkit"
)

// recorded are the calls whose success does not write one record into the audit log: what they write, and why. Records of
// others than the caller begin with who they are.
var recorded = map[string]struct {
	actions []string
	why     string
}{
	"POST /billing/payments/search/": {nil, "it changes nothing"},

	"POST /billing/charges/":               {[]string{"payment.charge", "gateway sandbox: payment.answer"}, asksProvider},
	"POST /billing/payments/{id}/capture/": {[]string{"payment.capture", "gateway sandbox: payment.answer"}, asksProvider},
	"POST /billing/payments/{id}/release/": {[]string{"payment.release", "gateway sandbox: payment.answer"}, asksProvider},
	"POST /billing/payments/":              {[]string{"payment.take_cash", "payment.take_cash"}, "cash of who needs no second person is taken, and counts: two states of one payment"},

	"POST /billing/invoices/{id}/void/":           {[]string{"ledger.reverse", "invoice.void"}, reversesPosting},
	"POST /billing/invoices/{id}/unapply_credit/": {[]string{"ledger.reverse", "invoice.unapply_credit"}, reversesPosting},
	"POST /billing/credit-notes/{id}/reverse/":    {[]string{"ledger.reverse", "invoice.credit_reverse"}, reversesPosting},
	"POST /billing/write-offs/{id}/reverse/":      {[]string{"ledger.reverse", "invoice.write_off_reverse"}, reversesPosting},
	"POST /billing/fx/conversions/{id}/reverse/":  {[]string{"ledger.reverse", "fx_conversion.reverse"}, reversesPosting},

	"POST /billing/write-offs/{id}/approve/": {[]string{"write_off.approve", "invoice.write_off"}, "the write-off, and the invoice that it lowers"},
	"POST /billing/refunds/{id}/complete/":   {[]string{"invoice.credit", "payment.refund", "refund.succeed"}, "the invoice, the payment and the refund"},
	"POST /billing/refunds/{id}/reverse/": {[]string{"invoice.credit_reverse", "ledger.reverse", "payment.refund_reverse", "refund.reverse"},
		"the invoice, the transaction, the payment and the refund"},
}

const (
	asksProvider    = "what is asked is committed before the provider is asked, and what it has said after"
	reversesPosting = "the transaction that is reversed, and the object that it was posted for"
)

// alive makes, for calls that find nothing to do in an estate, something to do.
var alive = map[string]func(t *testing.T, c *caller) string{
	"POST /billing/payment-methods/{id}/set_default/": func(t *testing.T, c *caller) string { // the only one is the default
		return c.client(t).Post(base+"/payment-methods/", c.naming(map[string]any{"payment_method": "bank_transfer", "display_name": "Another"})).Expect(http.StatusCreated).Text("data.id")
	},
	"DELETE /billing/payments/{id}/": func(t *testing.T, c *caller) string {
		id := submitted(t, c).id
		c.own.meddle(t, "UPDATE payments SET status = 'created' WHERE tenant_id = ? AND id = ?", id)
		return id
	},
	"POST /billing/payments/{id}/resume/": func(t *testing.T, c *caller) string {
		id := c.own.approved(c.own.First)
		c.own.meddle(t, "WITH q AS (DELETE FROM settlement_queue WHERE tenant_id = ?0 AND payment_id = ?1) UPDATE payments SET set_aside = 'too odd' WHERE tenant_id = ?0 AND id = ?1", id)
		return id
	},
}

// TestAudited calls all that changes something, as staff and as a customer's user: each call that succeeds writes one
// record into the tenant's audit log, in the name of who called, or what recorded says (S0-15).
func TestAudited(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	for _, person := range []*caller{{Person: e.Owner, own: e}, {Person: e.Member, own: e, n: 1}} {
		for _, route := range e.project.routes() {
			name := route.Method + " " + route.Path
			if route.Method == http.MethodGet || !allowed(person.Person, route) {
				continue
			}
			made := person.prepare(t, route, calls[name])
			if prepare := alive[name]; prepare != nil {
				made.id = prepare(t, person)
			}
			me := made.client.Get(apiPrefix + "/auth/me/").Expect(http.StatusOK).Text("data.user.id")
			got := perform(t, made.client, route, made.id, made.body)
			if got.Status >= 300 {
				t.Errorf("%s: %d (say in alive how it succeeds): %s", name, got.Status, got.Raw)
				continue
			}
			actions := e.recordsOf(got, me)
			if want, ok := recorded[name]; ok {
				if diff := gocmp.Diff(want.actions, actions); diff != "" {
					t.Errorf("%s writes other records than recorded says: %s", name, diff)
				}
			} else if len(actions) != 1 || strings.Contains(actions[0], ":") {
				t.Errorf("%s by %s: the records are %q, want one of the caller's (or say in recorded why)", name, person.Role, actions)
			}
		}
	}
	for name, r := range recorded {
		if _, ok := calls[name]; !ok || r.why == "" {
			t.Errorf("recorded says of %s nothing, or of no call", name)
		}
	}
}

// recordsOf are the actions that the audit log holds of a request, the oldest first.
func (e *estate) recordsOf(a testkit.Answer, caller string) (actions []string) {
	page := e.As(e.Owner).Get(base + "/audit-log/?page_size=100").Expect(http.StatusOK)
	for _, row := range page.List("results") {
		record := row.(map[string]any)
		if record["request_id"] != a.Header.Get("X-Request-Id") {
			continue
		}
		actor, action := record["actor"].(map[string]any), record["action"].(string)
		if actor["id"] != caller {
			action = actor["label"].(string) + ": " + action
		}
		actions = append(actions, action)
	}
	slices.Reverse(actions)
	return actions
}
