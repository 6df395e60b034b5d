package main

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/internal/web"
)

// change says how a route that changes something is called, and what it answers to a role that may and whose object it is.
type change struct {
	// body is valid, so that the route looks for the object; nil is an empty object. A form is sent with a file.
	body any
	// live prepares an object and a body with which the call does what it is for; nil: the estate's object and body.
	live   func(t *testing.T, c *caller) prepared
	status int
	code   string // when it is refused for another reason than who asks
}

// prepared is what live made. A nil client is the caller's own, a nil body the call's.
type prepared struct {
	id     string
	body   any
	client *testkit.Client
}

// form are the fields that go with a file.
type form map[string]string

// noDigest is well formed and nobody's.
var noDigest = strings.Repeat("0", 64)

// calls are the routes that change something. A new one fails TestSealed until it stands here.
var calls = map[string]change{
	"POST /auth/token/": {status: http.StatusOK, live: func(_ *testing.T, c *caller) prepared {
		return prepared{body: map[string]any{"email": c.Email, "password": "correct horse battery", "tenant": c.own.Tenant.Slug}}
	}},
	"DELETE /auth/token/": {status: http.StatusNoContent, live: func(t *testing.T, c *caller) prepared {
		return prepared{client: asRole(t, c.own.World, c.Person, web.Route{Method: http.MethodDelete, Path: "/auth/token/"})}
	}},
	"POST /auth/password/": {status: http.StatusNoContent, live: func(_ *testing.T, c *caller) prepared {
		return prepared{client: c.double(), body: map[string]any{"current_password": "correct horse battery", "new_password": "another horse battery"}}
	}},
	"PATCH /tenant/": {body: map[string]any{"name": "Changed"}, status: http.StatusOK},

	"POST /users/": {status: http.StatusCreated, live: func(*testing.T, *caller) prepared {
		return prepared{body: map[string]any{"email": uuid.NewString() + "@people.test", "name": "New", "password": "correct horse battery", "role": "viewer"}}
	}},
	"PATCH /users/{id}/":            {body: map[string]any{"name": "Changed"}, status: http.StatusOK},
	"POST /billing/accounts/":       {body: map[string]any{"holder": "New"}, status: http.StatusCreated},
	"PATCH /billing/accounts/{id}/": {body: map[string]any{"holder": "Changed"}, status: http.StatusOK},

	"POST /billing/invoices/": {status: http.StatusCreated, live: func(_ *testing.T, c *caller) prepared {
		return prepared{body: map[string]any{"account_id": c.own.First.Account, "line_items": []any{map[string]any{"description": "Work", "quantity": "1", "unit_price": "1"}}}}
	}},
	"PATCH /billing/invoices/{id}/": {body: map[string]any{"notes": "Changed"}, status: http.StatusOK, live: func(_ *testing.T, c *caller) prepared {
		return prepared{id: c.own.First.Draft}
	}},
	"POST /billing/invoices/{id}/finalize/": {status: http.StatusOK, live: func(_ *testing.T, c *caller) prepared {
		return prepared{id: c.own.draft(c.own.First)}
	}},
	"POST /billing/invoices/{id}/void/": {body: map[string]any{"reason": "Changed"}, status: http.StatusOK, live: func(_ *testing.T, c *caller) prepared {
		if c.Role == auth.RoleCashier { // who takes cash voids drafts only
			return prepared{id: c.own.draft(c.own.First)}
		}
		return prepared{id: c.own.finalized(c.own.First)}
	}},
	"POST /billing/invoices/{id}/apply_credit/": {body: map[string]any{"amount_minor": 1}, status: http.StatusOK, live: func(_ *testing.T, c *caller) prepared {
		return prepared{id: c.own.finalized(c.own.First)}
	}},
	"POST /billing/invoices/{id}/unapply_credit/": {body: map[string]any{"adjustment_id": unknown, "reason": "Changed"}, status: http.StatusOK, live: func(_ *testing.T, c *caller) prepared {
		id := c.own.finalized(c.own.First)
		return prepared{id: id, body: map[string]any{"adjustment_id": c.own.applied(id), "reason": "A mistake"}}
	}},
	"POST /billing/invoices/{id}/credit-notes/": {body: map[string]any{"amount_minor": 1, "reason": "Changed"}, status: http.StatusCreated, live: func(_ *testing.T, c *caller) prepared {
		return prepared{id: c.own.finalized(c.own.First)}
	}},
	"POST /billing/credit-notes/{id}/reverse/": {body: map[string]any{"reason": "Changed"}, status: http.StatusCreated, live: func(_ *testing.T, c *caller) prepared {
		return prepared{id: c.own.credited(c.own.finalized(c.own.First))}
	}},
	"POST /billing/invoices/{id}/write_off/": {body: map[string]any{"amount_minor": 1, "reason": "Changed"}, status: http.StatusCreated, live: func(_ *testing.T, c *caller) prepared {
		return prepared{id: c.own.finalized(c.own.First)}
	}},
	"POST /billing/invoices/{id}/mark_uncollectible/": {body: map[string]any{"reason": "Changed"}, status: http.StatusOK, live: func(_ *testing.T, c *caller) prepared {
		return prepared{id: c.own.finalized(c.own.First)}
	}},
	"POST /billing/invoices/{id}/reopen/": {body: map[string]any{"reason": "Changed"}, status: http.StatusOK, live: func(_ *testing.T, c *caller) prepared {
		return prepared{id: c.own.givenUp(c.own.First)}
	}},
	"POST /billing/write-offs/{id}/approve/": {body: map[string]any{"digest": noDigest}, status: http.StatusOK, live: func(t *testing.T, c *caller) prepared {
		id := c.askedByAnother(t)
		return prepared{id: id, body: map[string]any{"digest": c.own.seen(id)}}
	}},
	"POST /billing/write-offs/{id}/reject/": {body: map[string]any{"digest": noDigest, "reason": "Changed"}, status: http.StatusOK, live: func(t *testing.T, c *caller) prepared {
		id := c.askedByAnother(t)
		return prepared{id: id, body: map[string]any{"digest": c.own.seen(id), "reason": "Ask again"}}
	}},
	"POST /billing/write-offs/{id}/reverse/": {body: map[string]any{"reason": "Changed"}, status: http.StatusOK, live: func(_ *testing.T, c *caller) prepared {
		return prepared{id: c.own.writtenOff(c.own.finalized(c.own.First))}
	}},

	"POST /billing/payments/{id}/refund/": {body: map[string]any{"amount_minor": 1, "reason": "other"}, status: http.StatusCreated, live: func(t *testing.T, c *caller) prepared {
		return prepared{client: keyed(c.client(t)), id: c.own.settled(c.own.First)}
	}},
	"POST /billing/refunds/{id}/approve/": {body: map[string]any{"digest": noDigest}, status: http.StatusOK, live: func(_ *testing.T, c *caller) prepared {
		id := c.own.undecidedRefund(c.another(), c.own.First)
		return prepared{id: id, body: map[string]any{"digest": c.own.seenRefund(id)}}
	}},
	"POST /billing/refunds/{id}/reject/": {body: map[string]any{"digest": noDigest, "reason": "Changed"}, status: http.StatusOK, live: func(_ *testing.T, c *caller) prepared {
		id := c.own.undecidedRefund(c.another(), c.own.First)
		return prepared{id: id, body: map[string]any{"digest": c.own.seenRefund(id), "reason": "Ask again"}}
	}},
	"POST /billing/refunds/{id}/cancel/": {status: http.StatusOK, live: func(_ *testing.T, c *caller) prepared {
		return prepared{id: c.own.refunding(c.own.settled(c.own.First))}
	}},
	"POST /billing/refunds/{id}/complete/": {body: map[string]any{"payout_reference": "Changed"}, status: http.StatusOK, live: func(_ *testing.T, c *caller) prepared {
		return prepared{id: c.own.refunding(c.own.settled(c.own.First))}
	}},
	"POST /billing/refunds/{id}/reverse/": {body: map[string]any{"reason": "Changed"}, status: http.StatusOK, live: func(_ *testing.T, c *caller) prepared {
		return prepared{id: c.own.refunded(c.own.settled(c.own.First))}
	}},

	"POST /billing/payment-method-configs/": {status: http.StatusCreated, live: func(_ *testing.T, c *caller) prepared {
		return prepared{body: map[string]any{"country_code": countries[c.n], "payment_method": "cash", "display_name": "Cash"}}
	}},
	"PATCH /billing/payment-method-configs/{id}/": {body: map[string]any{"display_name": "Changed"}, status: http.StatusOK},
	"DELETE /billing/payment-method-configs/{id}/": {status: http.StatusNoContent, live: func(_ *testing.T, c *caller) prepared {
		return prepared{id: c.own.config(countries[c.n])}
	}},

	"PUT /billing/gateways/{name}/": {body: map[string]any{"is_enabled": true, "display_name": "Changed"}, status: http.StatusOK},

	"POST /billing/sandbox/orders/{id}/complete/": {body: map[string]any{"approve": true}, status: http.StatusOK, live: func(t *testing.T, c *caller) prepared {
		return prepared{id: c.own.sandboxOrder(t)}
	}},

	"POST /billing/payment-methods/": {status: http.StatusCreated, live: func(_ *testing.T, c *caller) prepared {
		return prepared{body: c.naming(map[string]any{"payment_method": "bank_transfer", "display_name": "New"})}
	}},
	"PATCH /billing/payment-methods/{id}/": {body: map[string]any{"display_name": "Changed"}, status: http.StatusOK},
	"DELETE /billing/payment-methods/{id}/": {status: http.StatusNoContent, live: func(t *testing.T, c *caller) prepared {
		return prepared{id: c.client(t).Post(base+"/payment-methods/", c.naming(map[string]any{"payment_method": "bank_transfer", "display_name": "Short-lived"})).
			Expect(http.StatusCreated).Text("data.id")}
	}},
	"POST /billing/payment-methods/{id}/set_default/": {status: http.StatusOK},

	"POST /billing/evidence/": {body: form{}, status: http.StatusCreated, live: func(_ *testing.T, c *caller) prepared {
		if c.isMember() {
			return prepared{}
		}
		return prepared{body: form{"account_id": c.own.First.Account}}
	}},
	"PUT /billing/approval-policies/": {body: map[string]any{"rules": []any{map[string]any{"rank": 1, "payment_method": "cash", "approvals": 1}}}, status: http.StatusOK},

	"POST /billing/payments/search/": {body: searched(nil), status: http.StatusOK},
	"POST /billing/payments/manual/": {status: http.StatusCreated, live: func(_ *testing.T, c *caller) prepared {
		return prepared{body: c.claim()}
	}},
	"POST /billing/payments/bulk_approve/": {status: http.StatusOK, live: func(t *testing.T, c *caller) prepared {
		id := c.own.claimed(t)
		return prepared{body: map[string]any{"items": []any{map[string]any{"id": id, "digest": c.own.Digest(uuid.MustParse(id))}}}}
	}},
	"POST /billing/payments/{id}/approve/": {body: map[string]any{"digest": noDigest}, status: http.StatusOK, live: func(t *testing.T, c *caller) prepared {
		id := c.own.claimed(t)
		return prepared{id: id, body: map[string]any{"digest": c.own.Digest(uuid.MustParse(id))}}
	}},
	"POST /billing/payments/{id}/reject/": {body: map[string]any{"digest": noDigest, "reason": "Changed"}, status: http.StatusOK, live: func(t *testing.T, c *caller) prepared {
		id := c.own.claimed(t)
		return prepared{id: id, body: map[string]any{"digest": c.own.Digest(uuid.MustParse(id)), "reason": "No such transfer"}}
	}},
	"POST /billing/charges/":  {status: http.StatusCreated, live: func(*testing.T, *caller) prepared { return prepared{body: charge("tok_visa")} }},
	"POST /billing/payments/": {status: http.StatusCreated, live: func(_ *testing.T, c *caller) prepared { return prepared{body: c.own.cash(c.own.First)} }},
	"POST /billing/payments/{id}/capture/": {status: http.StatusOK, live: func(t *testing.T, c *caller) prepared {
		return prepared{client: keyed(c.client(t)), id: c.own.held(c.own.First)}
	}},
	"POST /billing/payment-anomalies/{id}/resolve/": {body: map[string]any{"note": "Changed"}, status: http.StatusOK, live: func(_ *testing.T, c *caller) prepared {
		return prepared{id: c.own.odd(c.own.First)}
	}},
	"POST /billing/payments/{id}/release/": {status: http.StatusOK, live: func(_ *testing.T, c *caller) prepared { return prepared{id: c.own.held(c.own.First)} }},
	"POST /billing/payments/{id}/complete/": {status: http.StatusOK, live: func(_ *testing.T, c *caller) prepared {
		return prepared{id: c.own.pendingCash(c.own.First)}
	}},
	"PATCH /billing/payments/{id}/":       {body: map[string]any{"notes": "Changed"}, status: http.StatusOK, live: submitted},
	"POST /billing/payments/{id}/cancel/": {status: http.StatusOK, live: submitted},
	"DELETE /billing/payments/{id}/":      {status: http.StatusConflict, code: "payment_not_deletable", live: submitted},
	"POST /billing/payments/{id}/resume/": {status: http.StatusConflict, code: "payment_not_set_aside"},

	"POST /billing/fx/rates/": {body: map[string]any{"base": "USD", "quote": "BDT", "rate": "122.5", "source": "manual"}, status: http.StatusCreated},
	"POST /billing/fx/conversions/": {status: http.StatusCreated, live: func(t *testing.T, c *caller) prepared {
		return prepared{client: keyed(c.client(t)), body: c.own.First.convertible()}
	}},
	"POST /billing/fx/conversions/{id}/reverse/": {body: map[string]any{"reason": "A mistake"}, status: http.StatusOK, live: func(_ *testing.T, c *caller) prepared {
		return prepared{id: c.own.converted(c.own.First)}
	}},

	"POST /billing/subscriptions/": {status: http.StatusCreated, live: func(t *testing.T, c *caller) prepared {
		return prepared{client: keyed(c.client(t)), body: c.own.First.monthly()}
	}},
	"POST /billing/subscriptions/{id}/cancel/": {status: http.StatusOK, live: func(_ *testing.T, c *caller) prepared {
		return prepared{id: c.own.subscribed(c.own.First)}
	}},

	"POST /billing/ledger/rebuild/":        {status: http.StatusOK},
	"POST /billing/jobs/tasks/{name}/run/": {status: http.StatusAccepted},
	"POST /billing/jobs/{id}/restart/":     {status: http.StatusOK, live: func(t *testing.T, c *caller) prepared { return prepared{id: c.own.deadJob(t)} }},
}

// ofAccount are the lists of one account's, which staff must name.
var ofAccount = []string{"/billing/credits/balance/", "/billing/credits/transactions/", "/billing/payment-methods/available/"}

// countries have no payment methods of their own in an estate; each role has one for its calls.
var countries = []string{"US", "GB", "DE", "FR", "IN", "CN", "JP"}

// TestCallsAreServed finds what calls and ofAccount say of routes that are no more.
func TestCallsAreServed(t *testing.T) {
	t.Parallel()
	served, paths := map[string]bool{}, map[string]bool{}
	for _, route := range program(t, billingtest.New(t)).routes() {
		served[route.Method+" "+route.Path], paths[route.Path] = true, true
	}
	for name := range calls {
		if !served[name] {
			t.Errorf("calls names %s, which is no route", name)
		}
	}
	for _, path := range ofAccount {
		if !paths[path] {
			t.Errorf("ofAccount names %s, which is no route", path)
		}
	}
}

// perform calls a route, with a file where it takes one alone.
func perform(t *testing.T, client *testkit.Client, route web.Route, id string, body any) testkit.Answer {
	t.Helper()
	if fields, ok := body.(form); ok {
		return client.PostFile(apiPrefix+route.Path, route.Files, "a.png", picture(t), fields)
	}
	if body == nil {
		body = map[string]any{}
	}
	return request(client, route, id, body)
}

func (c *caller) isMember() bool { return c.own.Member == c.Person }

// double is a new user with the caller's role, whom nobody else needs, signed in.
func (c *caller) double() *testkit.Client {
	login := map[string]any{"email": uuid.NewString() + "@people.test", "password": "correct horse battery"}
	user := map[string]any{"email": login["email"], "password": login["password"], "name": "Double", "role": c.Role}
	if c.isMember() {
		user["account_id"] = c.own.First.Account
	}
	c.own.As(c.own.Owner).Post(apiPrefix+"/users/", user).Expect(http.StatusCreated)
	return c.own.Anonymous().As(c.own.Anonymous().Post(apiPrefix+"/auth/token/", login).Expect(http.StatusOK).Text("data.access_token"))
}

// naming adds the account that staff must name, and members cannot.
func (c *caller) naming(body map[string]any) map[string]any {
	if !c.isMember() {
		body["account_id"] = c.own.First.Account
	}
	return body
}

// claim is the body of a claim of a new invoice.
func (c *caller) claim() map[string]any {
	return map[string]any{"invoice_id": c.own.finalized(c.own.First), "payment_method": "bank_transfer", "transaction_reference": c.own.Reference()}
}

// another is somebody else who may ask for what a second person decides.
func (c *caller) another() *billingtest.Person {
	if c.Person == c.own.Finance {
		return c.own.Owner
	}
	return c.own.Finance
}

// askedByAnother is a new write-off that somebody else than the caller has asked for.
func (c *caller) askedByAnother(t *testing.T) string {
	t.Helper()
	return c.own.As(c.another()).Post(base+"/invoices/"+c.own.finalized(c.own.First)+"/write_off/", map[string]any{"reason": "Bankrupt"}).Expect(http.StatusCreated).Text("data.id")
}

// submitted is a claim of the caller's own.
func submitted(t *testing.T, c *caller) prepared {
	return prepared{id: c.client(t).Post(base+"/payments/manual/", c.claim()).Expect(http.StatusCreated).Text("data.id")}
}

// claimed is a new claim of the first customer.
func (e *estate) claimed(t *testing.T) string {
	t.Helper()
	return e.As(e.Member).Post(base+"/payments/manual/", map[string]any{"invoice_id": e.finalized(e.First), "payment_method": "bank_transfer",
		"transaction_reference": e.Reference()}).Expect(http.StatusCreated).Text("data.id")
}

// reference is a call that names an object in its body.
type reference struct {
	id   func(holding) string
	do   func(client *testkit.Client, id string) testkit.Answer
	each bool // the answer is a list of outcomes
}

// references are the fields of bodies that name an object, each with a call that is right but for that object.
func references(t *testing.T, e *estate) map[string]reference {
	t.Helper()
	file := picture(t)
	account := func(h holding) string { return h.Account }
	post := func(path string, body func(id string) map[string]any) func(*testkit.Client, string) testkit.Answer {
		return func(client *testkit.Client, id string) testkit.Answer { return client.Post(apiPrefix+path, body(id)) }
	}
	claim := func(key string, list bool) func(*testkit.Client, string) testkit.Answer {
		return post("/billing/payments/manual/", func(id string) map[string]any {
			body := map[string]any{"invoice_id": e.First.Free, "payment_method": "bank_transfer", "transaction_reference": "FOREIGN ID"}
			body[key] = id
			if list {
				body[key] = []string{id}
			}
			return body
		})
	}
	convert := func(key string) func(*testkit.Client, string) testkit.Answer {
		return func(client *testkit.Client, id string) testkit.Answer {
			body := e.First.convertible()
			body[key] = id
			return keyed(client).Post(base+"/fx/conversions/", body)
		}
	}
	subscribe := func(key string) func(*testkit.Client, string) testkit.Answer {
		return func(client *testkit.Client, id string) testkit.Answer {
			body := e.First.monthly()
			body[key] = id
			return keyed(client).Post(base+"/subscriptions/", body)
		}
	}
	return map[string]reference{
		"POST /billing/charges/ invoice_id": {id: func(h holding) string { return h.Free }, do: post("/billing/charges/", func(id string) map[string]any {
			body := charge("tok_visa")
			body["invoice_id"] = id
			return body
		})},
		"POST /billing/charges/ account_id": {id: account, do: post("/billing/charges/", func(id string) map[string]any {
			body := charge("tok_visa")
			body["account_id"] = id
			return body
		})},
		"POST /billing/charges/ retry_of": {id: func(h holding) string { return h.Withdrawn }, do: post("/billing/charges/", func(id string) map[string]any {
			body := charge("tok_decline") // so that it pays nothing
			body["invoice_id"], body["retry_of"] = e.First.Free, id
			return body
		})},
		"POST /billing/payments/ retry_of": {id: func(h holding) string { return h.Withdrawn }, do: post("/billing/payments/", func(id string) map[string]any {
			body := charge("tok_decline")
			body["gateway"], body["invoice_id"], body["retry_of"] = "sandbox", e.First.Free, id
			return body
		})},
		"POST /billing/payments/ invoice_id": {id: func(h holding) string { return h.Free }, do: post("/billing/payments/", func(id string) map[string]any {
			body := e.cash(e.First)
			delete(body, "account_id")
			body["invoice_id"] = id
			return body
		})},
		"POST /billing/payments/ account_id": {id: account, do: post("/billing/payments/", func(id string) map[string]any {
			body := e.cash(e.First)
			body["account_id"] = id
			return body
		})},
		"POST /billing/payments/manual/ invoice_id":   {id: func(h holding) string { return h.Free }, do: claim("invoice_id", false)},
		"POST /billing/payments/manual/ evidence_ids": {id: func(h holding) string { return h.Evidence }, do: claim("evidence_ids", true)},
		"POST /billing/payments/manual/ retry_of":     {id: func(h holding) string { return h.Withdrawn }, do: claim("retry_of", false)},
		"POST /billing/payments/search/ account": {each: true, id: account, do: post("/billing/payments/search/", func(id string) map[string]any {
			return searched(map[string]any{"account": id})
		})},
		"POST /billing/payments/search/ invoice": {each: true, id: func(h holding) string { return h.Open }, do: post("/billing/payments/search/", func(id string) map[string]any {
			return searched(map[string]any{"invoice": id})
		})},
		"POST /billing/payments/bulk_approve/ id": {each: true, id: func(h holding) string { return h.Undecided }, do: post("/billing/payments/bulk_approve/", func(id string) map[string]any {
			return map[string]any{"items": []any{map[string]any{"id": id, "digest": noDigest}}}
		})},
		"POST /billing/invoices/ account_id": {id: account, do: post("/billing/invoices/", func(id string) map[string]any {
			return map[string]any{"account_id": id, "line_items": []any{map[string]any{"description": "Work", "quantity": "1", "unit_price": "1"}}}
		})},
		"POST /billing/subscriptions/ account_id":     {id: account, do: subscribe("account_id")},
		"POST /billing/subscriptions/ payment_source": {id: func(h holding) string { return h.Card }, do: subscribe("payment_source")},
		"POST /billing/fx/conversions/ account_id":    {id: account, do: convert("account_id")},
		"POST /billing/fx/conversions/ rate_id":       {id: func(h holding) string { return h.Rate }, do: convert("rate_id")},
		"POST /billing/invoices/{id}/unapply_credit/ adjustment_id": {id: func(h holding) string { return h.Adjustment }, do: func(client *testkit.Client, id string) testkit.Answer {
			return client.Post(base+"/invoices/"+e.First.Lowered+"/unapply_credit/", map[string]any{"adjustment_id": id, "reason": "Theirs"})
		}},
		"POST /billing/payment-methods/ account_id": {id: account, do: post("/billing/payment-methods/", func(id string) map[string]any {
			return map[string]any{"account_id": id, "payment_method": "bank_transfer", "display_name": "Theirs"}
		})},
		"POST /billing/evidence/ account_id": {id: account, do: func(client *testkit.Client, id string) testkit.Answer {
			return client.PostFile(base+"/evidence/", "file", "a.png", file, map[string]string{"account_id": id})
		}},
		"POST /users/ account_id": {id: account, do: post("/users/", func(id string) map[string]any {
			return map[string]any{"email": "foreign@people.test", "name": "F", "password": "correct horse battery", "role": "member", "account_id": id}
		})},
		"PATCH /users/{id}/ account_id": {id: account, do: func(client *testkit.Client, id string) testkit.Answer {
			return client.Patch(apiPrefix+"/users/"+e.First.User+"/", map[string]any{"account_id": id})
		}},
	}
}

// searched is a search that finds the undecided claims of all customers of all estates, with more that it says.
func searched(more map[string]any) map[string]any {
	body := map[string]any{"gateway": "manual", "filters": []any{map[string]any{"path": "sender_number", "op": "=", "value": "01711223344"}}}
	maps.Copy(body, more)
	return body
}

// theirWords are fields whose ids are the client's own, for his systems: they name nothing of ours.
var theirWords = []string{"external_id", "patient_id", "service_id"}

// TestReferencesAreTried finds fields of bodies that name an object and that TestSealed does not try with foreign ones.
func TestReferencesAreTried(t *testing.T) {
	t.Parallel()
	tried := references(t, &estate{})
	found := map[string]bool{}
	for _, route := range program(t, billingtest.New(t)).routes() {
		if route.Request == nil {
			continue
		}
		for _, field := range naming(reflect.TypeOf(route.Request)) {
			name := route.Method + " " + route.Path + " " + field
			found[name] = true
			if _, ok := tried[name]; !ok {
				t.Errorf("%s names an object: say in references how it is tried with a foreign one, or in theirWords that the id is the client's own", name)
			}
		}
	}
	for name := range tried {
		if !found[name] {
			t.Errorf("references tries %s, which is no field", name)
		}
	}
}

// naming gives the JSON names of the fields of a request that name an object.
func naming(t reflect.Type) (names []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case slices.Contains(theirWords, name):
		case name == "id" || name == "account" || name == "invoice" || strings.HasSuffix(name, "_id") || strings.HasSuffix(name, "_ids") || strings.Contains(field.Tag.Get("validate"), "uuid"):
			names = append(names, name)
		default:
			names = append(names, naming(field.Type)...)
		}
	}
	return names
}
