package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/internal/testkit"
)

// witness holds every request and answer of the API against the OpenAPI document that the same program serves.
type witness struct {
	t      *testing.T
	once   sync.Once
	next   http.Handler
	router routers.Router
	// seen says which routes succeeded and which refused, by method and path.
	mu   sync.Mutex
	seen map[string]*outcomes
}

type outcomes struct{ succeeded, refused bool }

func (o *witness) around(next http.Handler) http.Handler {
	o.next = next
	return o
}

// document loads what is served at /api/schema/.
func document(t *testing.T, h http.Handler) *openapi3.T {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/schema/", nil))
	if rec.Code != http.StatusOK || !strings.Contains(rec.Header().Get("Content-Type"), "openapi+json;version=3.1") {
		t.Fatalf("/api/schema/ answers %d as %s", rec.Code, rec.Header().Get("Content-Type"))
	}
	doc, err := openapi3.NewLoader().LoadFromData(rec.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// ServeHTTP serves, and reports what does not fit the document.
func (o *witness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.once.Do(func() {
		router, err := gorillamux.NewRouter(document(o.t, o.next))
		if err != nil {
			o.t.Fatal(err)
		}
		o.router = router
		openapi3filter.RegisterBodyDecoder("image/png", openapi3filter.FileBodyDecoder)
	})
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	rec := httptest.NewRecorder()
	o.next.ServeHTTP(rec, r)
	o.testify(r, body, rec)
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes())
}

func (o *witness) testify(r *http.Request, body []byte, rec *httptest.ResponseRecorder) {
	name := r.Method + " " + r.URL.Path
	route, params, err := o.router.FindRoute(r)
	if err != nil {
		o.t.Errorf("%s: %v", name, err)
		return
	}
	o.mu.Lock()
	key := route.Method + " " + route.Path
	if o.seen[key] == nil {
		o.seen[key] = &outcomes{}
	}
	o.seen[key].succeeded = o.seen[key].succeeded || rec.Code < 400
	o.seen[key].refused = o.seen[key].refused || rec.Code >= 400
	o.mu.Unlock()

	r = r.Clone(context.WithoutCancel(r.Context()))
	body = keyInBothPlaces(o.t, route.Operation, r.Header, body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, MultiError: true,
		ExcludeRequestQueryParams: strings.Contains(r.URL.RawQuery, "cursor=&"),                  // the validator takes no empty text for a text
		ExcludeRequestBody:        strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/"), // files have no JSON form to compare
		SchemaValidationOptions:   []openapi3.SchemaValidationOption{openapi3.EnableJSONSchema2020()}}}
	if rec.Code < 400 { // a request that was refused may be wrong
		if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
			o.t.Errorf("%s: the document refuses a request that was served: %v", name, err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: rec.Code, Header: rec.Header(), Options: in.Options}
	out.SetBodyBytes(rec.Body.Bytes())
	if err := openapi3filter.ValidateResponse(r.Context(), out); err != nil {
		o.t.Errorf("%s: the document does not say that the answer is %d %.300s: %s", name, rec.Code, rec.Body, faults(err))
	}
	o.checkCode(name, route, rec)
}

// keyInBothPlaces writes the key of a request into both places where the document's words let it stand, of which it requires
// one: OpenAPI has no keywords for a header or a field.
func keyInBothPlaces(t *testing.T, op *openapi3.Operation, header http.Header, body []byte) []byte {
	p := op.Parameters.GetByInAndName("header", "Idempotency-Key")
	var fields map[string]any
	if p == nil || !strings.Contains(p.Description, "may stand in the field idempotency_key instead") || json.Unmarshal(body, &fields) != nil {
		return body
	}
	key, inBody := fields["idempotency_key"].(string)
	switch given := header.Get("Idempotency-Key"); {
	case inBody && given == "":
		header.Set("Idempotency-Key", key)
	case !inBody && given != "":
		fields["idempotency_key"] = given
		whole, err := json.Marshal(fields)
		if err != nil {
			t.Error(err)
		}
		return whole
	}
	return body
}

// faults are the lines of a validation error that name a fault, without the schemas.
func faults(err error) string {
	var lines []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if strings.Contains(line, "Error at") || len(lines) == 0 {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines[:min(len(lines), 8)], "; ")
}

var errorCode = regexp.MustCompile(`"success":false,"code":"([a-z_]+)"`)

// checkCode: a program that calls the API reads from the document which codes it must expect.
func (o *witness) checkCode(name string, route *routers.Route, rec *httptest.ResponseRecorder) {
	found := errorCode.FindStringSubmatch(rec.Body.String())
	answer := route.Operation.Responses.Status(rec.Code)
	if rec.Code < 400 || found == nil || answer == nil {
		return
	}
	if text := *answer.Value.Description; !slices.Contains(strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(" ,.:", c) }), found[1]) {
		o.t.Errorf("%s: %d %s is not among the document's codes: %s", name, rec.Code, found[1], text)
	}
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	t.Run("the document is valid", func(t *testing.T) {
		t.Parallel()
		doc := document(t, handlerOf(t, program(t, billingtest.New(t))))
		if !doc.IsOpenAPI31OrLater() {
			t.Errorf("openapi is %s", doc.OpenAPI)
		}
		if err := doc.Validate(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("every answer is as the document says", func(t *testing.T) {
		t.Parallel()
		o := &witness{t: t, seen: map[string]*outcomes{}}
		e := newEstate(t, o.around)
		e.everyRoute(t)
		for _, route := range e.project.routes() {
			seen := o.seen[route.Method+" "+apiPrefix+route.Path]
			if seen == nil || !seen.succeeded || !seen.refused {
				t.Errorf("the story lacks a success or a refusal of %s %s: %+v", route.Method, route.Path, seen)
			}
		}
	})
	t.Run("an answer's fields are required, and optional ones may be null", func(t *testing.T) {
		t.Parallel()
		doc := document(t, handlerOf(t, program(t, billingtest.New(t))))
		schema := doc.Components.Schemas["PaymentsResponse"].Value
		for name, property := range schema.Properties {
			if !slices.Contains(schema.Required, name) {
				t.Errorf("%s is not required", name)
			}
			if nullable := property.Value.Type.Includes("null"); nullable != slices.Contains(nullables, name) {
				t.Errorf("%s may be null: %v", name, nullable)
			}
		}
	})
}

// nullables are the fields of a payment that have no value at first.
var nullables = []string{"external_id", "invoice_id", "invoice_number", "received_amount", "received_amount_minor", "applied_amount", "applied_amount_minor",
	"credit_amount", "credit_amount_minor", "failure_code", "failure_reason", "retry_of", "paid_at", "approved_at", "processed_at", "failed_at", "cancelled_at", "refunded_at",
	"account_id", "revenue_amount", "revenue_amount_minor", "receipt_number", "expired_at"}

// everyRoute calls every route at least once with success and once without a credential, as a program would.
func (e *estate) everyRoute(t *testing.T) {
	t.Helper()
	owner, approver, member := e.As(e.Owner), e.As(e.Approver), e.As(e.Member)
	h := e.First
	ok := func(a testkit.Answer) testkit.Answer {
		t.Helper()
		if a.Status >= 300 {
			t.Errorf("status is %d: %s", a.Status, a.Raw)
		}
		return a
	}
	for _, route := range e.project.routes() {
		request(e.Anonymous(), route, unknown, map[string]any{})
		if route.Path != "/auth/token/" {
			request(owner, route, unknown, map[string]any{"unknown": true})
			request(member, route, unknown, map[string]any{})
		}
		if route.Method != http.MethodGet {
			continue
		}
		path := apiPrefix + route.Path
		if strings.Contains(path, "{id}") {
			path = strings.ReplaceAll(path, "{id}", e.id(t, route.Path, h))
		}
		path = strings.ReplaceAll(path, "{name}", e.idOr(t, route.Path, h))
		switch {
		case strings.HasPrefix(route.Path, "/billing/credits/"):
			path += "?account=" + h.Account
		case strings.HasSuffix(route.Path, "/available/"):
			ok(owner.Get(path + "?country=BD"))
		}
		if allowed(e.Member, route) {
			member.Get(path)
		}
		if strings.HasSuffix(route.Path, "/available/") {
			continue
		}
		ok(owner.Get(path))
		if route.List != nil {
			separator := "?"
			if strings.Contains(path, "?") {
				separator = "&"
			}
			ok(owner.Get(path + separator + "page_size=1"))
			ok(owner.Get(path + separator + "cursor=&page_size=1"))
			owner.Get(path+separator+"nonsense=1").Refused(http.StatusBadRequest, "validation_failed")
		}
	}

	ok(e.Anonymous().Post(apiPrefix+"/auth/token/", map[string]any{"email": e.Member.Email, "password": "correct horse battery", "tenant": e.Tenant.Slug}))
	e.Anonymous().Post(apiPrefix+"/auth/token/", map[string]any{"email": e.Member.Email, "password": "wrong", "tenant": e.Tenant.Slug}).Refused(http.StatusUnauthorized, "invalid_login")
	ok(owner.Patch(apiPrefix+"/tenant/", map[string]any{"name": "Renamed", "two_approval_threshold": "1000.00"}))
	ok(owner.Patch(apiPrefix+"/users/"+h.User+"/", map[string]any{"name": "Renamed"}))
	newcomer := ok(owner.Post(apiPrefix+"/users/", map[string]any{"email": "n" + uuid.NewString() + "@people.test", "name": "New", "password": "correct horse battery", "role": "viewer"})).Text("data.email")
	token := ok(e.Anonymous().Post(apiPrefix+"/auth/token/", map[string]any{"email": newcomer, "password": "correct horse battery"})).Text("data.access_token")
	ok(e.Anonymous().As(token).Post(apiPrefix+"/auth/password/", map[string]any{"current_password": "correct horse battery", "new_password": "another battery"}))
	ok(owner.Post(base+"/accounts/", map[string]any{"holder": "Third customer", "external_id": "third"}))
	owner.Post(base+"/accounts/", map[string]any{"holder": "Third customer", "external_id": "third"}).Refused(http.StatusConflict, "external_id_taken")
	ok(owner.Patch(base+"/accounts/"+h.Account+"/", map[string]any{"holder": "Renamed", "billing_address": map[string]any{"city": "Dhaka"}}))
	ok(owner.Patch(base+"/payment-method-configs/"+e.Config+"/", map[string]any{"currency": "USD", "min_amount": "1.00"}))
	ok(owner.Delete(base + "/payment-method-configs/" + e.Config + "/"))
	ok(owner.Post(base+"/sandbox/orders/"+h.Sandbox+"/complete/", map[string]any{"approve": true}))
	owner.Post(base+"/sandbox/orders/"+h.Sandbox+"/complete/", map[string]any{"approve": true}).Refused(http.StatusConflict, "sandbox_order_not_waiting")
	ok(member.Patch(base+"/payment-methods/"+h.Method+"/", map[string]any{"display_name": "Renamed"}))
	ok(member.Post(base+"/payment-methods/"+h.Method+"/set_default/", map[string]any{}))
	ok(member.Delete(base + "/payment-methods/" + h.Method + "/"))

	ok(owner.Patch(base+"/invoices/"+h.Draft+"/", map[string]any{"notes": "Changed"}))
	owner.Patch(base+"/invoices/"+h.Open+"/", map[string]any{"notes": "Changed"}).Expect(http.StatusConflict)
	ok(owner.Post(base+"/invoices/"+h.Draft+"/void/", map[string]any{"reason": "A mistake"}))
	owner.Post(base+"/invoices/"+h.Open+"/void/", map[string]any{"reason": "A mistake"}).Refused(http.StatusConflict, "payment_pending")
	ok(owner.Post(base+"/invoices/"+h.Lowered+"/unapply_credit/", map[string]any{"adjustment_id": h.Adjustment, "reason": "A mistake"}))
	ok(owner.Post(base+"/invoices/"+h.Lowered+"/apply_credit/", map[string]any{"amount": "1.00", "currency": "USD"}))
	ok(owner.Post(base+"/invoices/"+h.Lowered+"/credit-notes/", map[string]any{"amount": "1.00", "reason": "Less was delivered"}))
	ok(owner.Post(base+"/credit-notes/"+h.Note+"/reverse/", map[string]any{"reason": "A mistake"}))
	owner.Post(base+"/write-offs/"+h.WriteOff+"/approve/", map[string]any{"digest": e.seen(h.WriteOff)}).Refused(http.StatusForbidden, "requester_cannot_decide")
	ok(approver.Post(base+"/write-offs/"+h.WriteOff+"/reject/", map[string]any{"digest": e.seen(h.WriteOff), "reason": "Ask again"}))
	ok(owner.Post(base+"/write-offs/"+e.writtenOff(h.Lowered)+"/reverse/", map[string]any{"reason": "A mistake"}))
	ok(owner.Post(base+"/invoices/"+e.givenUp(h)+"/reopen/", map[string]any{"reason": "Back again"}))
	refund := ok(keyed(owner).Post(base+"/payments/"+e.settled(h)+"/refund/", map[string]any{"amount": "1.00", "reason": "overpayment", "payout_reference": "BANK 1"})).Text("data.payment_id")
	ok(keyed(owner).Get(base + "/payments/" + refund + "/refunds/"))
	undecided := e.undecidedRefund(e.Owner, h)
	owner.Post(base+"/refunds/"+undecided+"/approve/", map[string]any{"digest": e.seenRefund(undecided)}).Refused(http.StatusForbidden, "refunder_cannot_decide")
	ok(approver.Post(base+"/refunds/"+undecided+"/approve/", map[string]any{"digest": e.seenRefund(undecided)}))
	ok(owner.Post(base+"/refunds/"+undecided+"/complete/", map[string]any{"payout_reference": "BANK 2"}))
	ok(approver.Post(base+"/refunds/"+undecided+"/reverse/", map[string]any{"reason": "A mistake"}))
	undecided = e.undecidedRefund(e.Owner, h)
	ok(approver.Post(base+"/refunds/"+undecided+"/reject/", map[string]any{"digest": e.seenRefund(undecided), "reason": "Ask again"}))
	ok(owner.Post(base+"/refunds/"+e.refunding(e.settled(h))+"/cancel/", "{}"))
	claim := func(invoice string) string {
		return ok(member.Post(base+"/payments/manual/", map[string]any{"invoice_id": invoice, "payment_method": "bank_transfer", "reference": e.Reference()})).Text("data.id")
	}
	member.Post(base+"/payments/manual/", map[string]any{"invoice_id": h.Paid, "payment_method": "bank_transfer", "reference": "X1"}).Refused(http.StatusBadRequest, "invoice_already_paid")
	ok(owner.Post(base+"/payments/search/", searched(nil)))
	withdrawn := claim(h.Free)
	ok(member.Patch(base+"/payments/"+withdrawn+"/", map[string]any{"notes": "Changed"}))
	ok(member.Post(base+"/payments/"+withdrawn+"/cancel/", map[string]any{}))
	member.Post(base+"/payments/"+withdrawn+"/cancel/", map[string]any{}).Refused(http.StatusConflict, "payment_not_pending")
	rejected := claim(h.Free)
	digest := e.Digest(uuid.MustParse(rejected))
	approver.Post(base+"/payments/"+rejected+"/reject/", map[string]any{"digest": strings.Repeat("0", 64), "reason": "No"}).Refused(http.StatusConflict, "payment_changed")
	ok(approver.Post(base+"/payments/"+rejected+"/reject/", map[string]any{"digest": digest, "reason": "No such transfer"}))
	approved := claim(h.Free)
	ok(approver.Post(base+"/payments/bulk_approve/", map[string]any{"items": []any{
		map[string]any{"id": approved, "digest": e.Digest(uuid.MustParse(approved))}, map[string]any{"id": unknown, "digest": digest}}}))
	e.meddle(t, "WITH q AS (DELETE FROM settlement_queue WHERE tenant_id = ?0 AND payment_id = ?1) UPDATE payments SET set_aside = 'too odd' WHERE tenant_id = ?0 AND id = ?1", approved)
	ok(owner.Post(base+"/payments/"+approved+"/resume/", map[string]any{}))
	ok(owner.Delete(base + "/payments/" + e.pendingCash(h) + "/"))
	ok(approver.Get(base + "/payments/" + approved + "/"))

	ok(owner.Post(base+"/fx/rates/", map[string]any{"base": "USD", "quote": "BDT", "rate": "122.5", "source": "manual", "as_of": "2026-01-20"}))
	ok(keyed(owner).Post(base+"/fx/conversions/", h.convertible()))
	owner.Post(base+"/fx/conversions/", h.convertible()).Refused(http.StatusBadRequest, "idempotency_key_required")
	ok(owner.Post(base+"/fx/conversions/"+h.Conversion+"/reverse/", map[string]any{"reason": "A mistake"}))
	owner.Post(base+"/fx/conversions/"+h.Conversion+"/reverse/", map[string]any{"reason": "A mistake"}).Refused(http.StatusConflict, "already_reversed")

	ok(keyed(owner).Post(base+"/subscriptions/", h.monthly()))
	owner.Post(base+"/subscriptions/", h.monthly()).Refused(http.StatusBadRequest, "idempotency_key_required")
	ok(owner.Post(base+"/subscriptions/"+h.Subscription+"/cancel/", map[string]any{"reason": "He has moved"}))
	owner.Post(base+"/subscriptions/"+h.Subscription+"/cancel/", map[string]any{}).Refused(http.StatusConflict, "subscription_cancelled")

	ok(member.Post(base+"/charges/", charge("tok_visa")))
	headed := charge("tok_async")
	delete(headed, "idempotency_key")
	ok(keyed(member).Post(base+"/charges/", headed))
	member.Post(base+"/charges/", charge("tok_decline")).Refused(http.StatusPaymentRequired, "card_declined")
	ok(owner.Post(base+"/payments/", e.cash(h)))
	owner.Post(base+"/payments/", charge("tok_visa")).Expect(http.StatusBadRequest)
	held := e.held(h)
	ok(keyed(owner).Post(base+"/payments/"+held+"/capture/", map[string]any{"amount": "4.00"}))
	keyed(owner).Post(base+"/payments/"+held+"/capture/", map[string]any{}).Refused(http.StatusConflict, "illegal_transition")
	ok(owner.Post(base+"/payments/"+e.held(h)+"/capture/", map[string]any{"idempotency_key": uuid.NewString()}))
	ok(owner.Post(base+"/payments/"+e.held(h)+"/release/", map[string]any{}))
	owner.Post(base+"/payments/"+held+"/release/", map[string]any{}).Refused(http.StatusConflict, "illegal_transition")
	ok(owner.Post(base+"/payment-anomalies/"+h.Anomaly+"/resolve/", map[string]any{"note": "The provider has given it back"}))
	owner.Post(base+"/payment-anomalies/"+h.Anomaly+"/resolve/", map[string]any{"note": "Again"}).Refused(http.StatusConflict, "anomaly_resolved")
	ok(owner.Post(base+"/payments/"+e.pendingCash(h)+"/complete/", map[string]any{"reason": "Counted"}))
	owner.Post(base+"/payments/"+held+"/complete/", map[string]any{}).Refused(http.StatusConflict, "illegal_transition")

	ok(owner.Post(base+"/ledger/rebuild/", map[string]any{}))
	ok(owner.Post(base+"/jobs/"+e.Job+"/restart/", map[string]any{}))
	owner.Post(base+"/jobs/"+e.Job+"/restart/", map[string]any{}).Refused(http.StatusConflict, "job_not_dead")
	ok(e.As(e.Finance).Delete(apiPrefix + "/auth/token/"))
}

// meddle changes a payment past all guards, into a state that no call of this API leads to.
func (e *estate) meddle(t *testing.T, query, payment string) {
	t.Helper()
	err := testkit.OwnerDB(t).RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.ExecContext(ctx, "SET LOCAL session_replication_role = replica"); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, query, e.Tenant.ID, payment)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDocsPage(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	program(t, w)
	page := w.Anonymous().Get("/api/docs/").Expect(http.StatusOK)
	policy := page.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "script-src 'self'") || strings.Contains(policy, "script-src 'self' 'unsafe-inline'") {
		t.Errorf("the content policy is %q", policy)
	}
	if !strings.Contains(string(page.Raw), `data-schema="/api/schema/"`) {
		t.Error("the page does not read the document")
	}
	for _, asset := range regexp.MustCompile(`(?:href|src)="([^"]+)"`).FindAllStringSubmatch(string(page.Raw), -1) {
		if got := w.Anonymous().Get(asset[1]); got.Status != http.StatusOK {
			t.Errorf("%s answers %d", asset[1], got.Status)
		}
	}
}
