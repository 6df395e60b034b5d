package main

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/billingtest"
	"countersign/billing/gateways"
	"countersign/billing/money"
	"countersign/internal/apps"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// base is where the billing routes are.
const base = apiPrefix + "/billing"

// estate is a tenant with a row in every table, and in those of customers with a row for each of its two customers.
// All of it is made through the program's own HTTP interface.
type estate struct {
	*billingtest.World
	project *project
	// Config is a row of the payment methods of a country, Job a dead background job, Task a task that runs by hand, Event
	// and Record are the newest event and the oldest record of the audit log.
	Config, Job, Task, Event, Record string
	First, Second                    holding
	till                             *billingtest.Person // a cashier
}

// holding is what one customer has; all are ids.
type holding struct {
	person                                  *billingtest.Person
	Account, User, Method, Evidence, Ledger string
	Odd, Anomaly                            string // a charge of which the provider says what cannot be, and what was kept of that
	Sandbox                                 string // an order of the sandbox's, which waits for its payer
	Draft, Open, Paid, Free                 string // invoices: Open is claimed, Free is not
	Undecided, Settled, Withdrawn           string // payments, the last one of Free
	Rate, Conversion, Reversed              string // of exchange; the rate is the tenant's
	Lowered, Adjustment, Note               string // an invoice that was lowered, by credit and by a credit note
	WriteOff                                string // of it, which waits for a second person
	Refund                                  string // of Settled, which is still to be paid
	Card, Subscription                      string // a saved card, and what is charged to it each month
}

// newEstate makes one. Each of around sees all of its requests, on their way to the program.
func newEstate(t *testing.T, around ...func(http.Handler) http.Handler) *estate {
	t.Helper()
	w := billingtest.NewInTestMode(t) // so that the sandbox has orders, too
	e := &estate{World: w, project: program(t, w)}
	for _, f := range around {
		w.Handler = f(w.Handler)
	}
	owner := e.As(e.Owner)
	owner.Put(base+"/approval-policies/", map[string]any{"rules": []any{map[string]any{"rank": 1, "payment_method": "cash", "approvals": 1}}}).Expect(http.StatusOK)
	e.Config = e.config("PK")
	owner.Put(base+"/gateways/acme/", map[string]any{"gateway": "integrator", "is_enabled": true, "secrets": map[string]any{"shared_secret": "the secret of acme's own processor"}}).Expect(http.StatusOK)
	sandbox := e.EnableSandbox()
	if _, err := e.Gateways.Receive(e.System, sandbox, gateways.Callback{Body: []byte("{}")}, gateways.Message{ReplayKey: "estate"}); err != nil {
		t.Fatal(err)
	}
	e.till = e.Join("till", auth.RoleCashier, nil)
	e.First, e.Second = e.furnish(t, w.Account, w.Member), e.furnish(t, w.Other, w.OtherMember)
	for _, due := range []func(context.Context) error{e.Subscriptions.Renew, e.Subscriptions.Charge} {
		if err := due(e.System); err != nil {
			t.Fatal(err)
		}
	}
	e.SettleAll()
	e.lower(&e.First)
	e.lower(&e.Second)
	e.First.Refund, e.Second.Refund = e.refunding(e.First.Settled), e.refunding(e.Second.Settled)
	for _, h := range []*holding{&e.First, &e.Second} {
		e.approved(*h) // waits for the worker for ever
		e.Read(func(ctx context.Context, tx bun.Tx) error {
			return tx.NewRaw("SELECT id::text FROM ledger_accounts WHERE tenant_id = ? AND customer_id = ? AND code = 'receivable'", e.Tenant.ID, h.Account).Scan(ctx, &h.Ledger)
		})
	}
	err := tenancy.InTx(e.System, e.DB, func(ctx context.Context, tx bun.Tx) error { // some records of the audit log, and not all
		_, err := tx.ExecContext(ctx, "SELECT audit_seal(3)")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range e.Integrity.App().Tasks {
		if err := task.Run(e.System, apps.Job{Done: func(context.Context, bun.Tx) error { return nil }}); err != nil {
			t.Fatal(err)
		}
	}
	e.Task = e.runnable(t)
	e.Job = e.deadJob(t)
	e.Event = owner.Get(base + "/events/").Expect(http.StatusOK).Text("results.0.id")
	err = testkit.OwnerDB(t).NewRaw("SELECT id::text FROM audit_log WHERE tenant_id = ? ORDER BY created_at, id LIMIT 1", e.Tenant.ID).Scan(t.Context(), &e.Record)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// config is a bank transfer of a country that has no methods of its own yet.
func (e *estate) config(country string) string {
	return e.As(e.Owner).Post(base+"/payment-method-configs/", map[string]any{"country_code": country, "payment_method": "bank_transfer", "display_name": "Bank"}).
		Expect(http.StatusCreated).Text("data.id")
}

// charge is the body of seed 001, each with a key of its own.
func charge(source string) map[string]any {
	return map[string]any{"idempotency_key": uuid.NewString(), "amount_cents": 1000, "currency": "USD", "payment_source": source}
}

// cash is 10.00 on the counter, each with a receipt of its own.
func (e *estate) cash(h holding) map[string]any {
	return map[string]any{"gateway": "cash", "amount": "10.00", "currency": "USD", "account_id": h.Account, "reference": e.Reference()}
}

// pendingCash is cash that a cashier has taken whom no other test needs.
func (e *estate) pendingCash(h holding) string {
	return e.As(e.till).Post(base+"/payments/", e.cash(h)).Expect(http.StatusCreated).Text("data.id")
}

// held is money that is held and not captured.
func (e *estate) held(h holding) string {
	body := charge("tok_visa")
	body["capture"], body["account_id"] = false, h.Account
	return e.As(e.Owner).Post(base+"/charges/", body).Expect(http.StatusCreated).Text("data.id")
}

// deadJob is a background job that was given up.
func (e *estate) deadJob(t *testing.T) string {
	t.Helper()
	id := e.As(e.Owner).Post(base+"/jobs/tasks/"+e.Task+"/run/", "{}").Expect(http.StatusAccepted).Text("data.id")
	if _, err := testkit.OwnerDB(t).ExecContext(t.Context(), "UPDATE outbox SET dead_at = now() WHERE tenant_id = ? AND id = ?", e.Tenant.ID, id); err != nil {
		t.Fatal(err)
	}
	return id
}

// furnish gives a customer everything that the program knows.
func (e *estate) furnish(t *testing.T, account *accounts.Account, member *billingtest.Person) holding {
	t.Helper()
	h := holding{person: member, Account: account.ID.String()}
	owner, customer := e.As(e.Owner), e.As(member).With("Idempotency-Key", "estate")
	h.User = owner.Post(apiPrefix+"/users/", map[string]any{"email": "u" + uuid.NewString() + "@people.test", "name": "Only here",
		"password": "correct horse battery", "role": "member", "account_id": h.Account}).Expect(http.StatusCreated).Text("data.id")
	h.Method = customer.Post(base+"/payment-methods/", map[string]any{"payment_method": "bank_transfer", "display_name": "Mine"}).
		Expect(http.StatusCreated).Text("data.id")
	h.Card = customer.With("Idempotency-Key", "card").Post(base+"/payment-methods/", map[string]any{"payment_method": "card", "display_name": "My card", "details": map[string]any{"token": "tok_visa"}}).
		Expect(http.StatusCreated).Text("data.id")
	h.Subscription = e.subscribed(h)
	h.Evidence = customer.PostFile(base+"/evidence/", "file", "receipt.png", picture(t), nil).Expect(http.StatusCreated).Text("data.id")
	h.Sandbox = e.sandboxOrder(t)
	h.Odd = e.As(member).Post(base+"/charges/", charge("tok_wrong_amount")).Expect(http.StatusAccepted).Text("data.id")
	h.Anomaly = e.anomaly(h.Odd)
	h.Draft, h.Open, h.Paid, h.Free = e.draft(h), e.finalized(h), e.finalized(h), e.finalized(h)
	h.Undecided = customer.With("Idempotency-Key", "undecided").Post(base+"/payments/manual/", map[string]any{"invoice_id": h.Open, "payment_method": "bank_transfer",
		"transaction_reference": e.Reference(), "evidence_ids": []string{h.Evidence}, "details": map[string]any{"sender_number": "01711-223344", "bank_name": "City"}}).Expect(http.StatusCreated).Text("data.id")
	h.Settled = customer.With("Idempotency-Key", "settled").Post(base+"/payments/manual/", map[string]any{"invoice_id": h.Paid, "payment_method": "bank_transfer",
		"transaction_reference": e.Reference()}).Expect(http.StatusCreated).Text("data.id")
	h.Withdrawn = customer.With("Idempotency-Key", "withdrawn").Post(base+"/payments/manual/", map[string]any{"invoice_id": h.Free, "payment_method": "bank_transfer",
		"transaction_reference": e.Reference()}).Expect(http.StatusCreated).Text("data.id")
	e.As(member).Post(base+"/payments/"+h.Withdrawn+"/cancel/", "{}").Expect(http.StatusOK)
	e.As(e.Approver).Post(base+"/payments/"+h.Settled+"/approve/", map[string]any{"digest": e.Digest(uuid.MustParse(h.Settled))}).Expect(http.StatusOK)
	e.exchange(&h)
	return h
}

// anomaly is what was kept of what was said of a payment.
func (e *estate) anomaly(payment string) string {
	return e.As(e.Owner).Get(base + "/payments/" + payment + "/").Expect(http.StatusOK).Text("data.anomalies.0.id")
}

// odd is an anomaly that nobody else uses.
func (e *estate) odd(h holding) string {
	body := charge("tok_wrong_amount")
	body["account_id"] = h.Account
	return e.anomaly(e.As(e.Owner).Post(base+"/charges/", body).Expect(http.StatusAccepted).Text("data.id"))
}

// approved is a payment that nobody has settled.
func (e *estate) approved(h holding) string {
	id := e.As(h.person).Post(base+"/payments/manual/", map[string]any{"invoice_id": e.finalized(h), "payment_method": "bank_transfer",
		"transaction_reference": e.Reference()}).Expect(http.StatusCreated).Text("data.id")
	e.As(e.Approver).Post(base+"/payments/"+id+"/approve/", map[string]any{"digest": e.Digest(uuid.MustParse(id))}).Expect(http.StatusOK)
	return id
}

// sandboxOrder is a new order that waits for its payer.
func (e *estate) sandboxOrder(t *testing.T) string {
	t.Helper()
	a, err := e.Gateways.Open(e.System, "sandbox")
	if err != nil {
		t.Fatal(err)
	}
	id := uuid.Must(uuid.NewV7())
	for _, o := range []gateways.Order{{ID: uuid.Must(uuid.NewV7()), Source: "tok_duplicate_callback"}, {ID: id, Source: "tok_3ds"}} {
		o.Amount = money.New(15000, "USD")
		if _, err := a.Gateway.Begin(t.Context(), a.Credentials, o); err != nil {
			t.Fatal(err)
		}
	}
	return id.String()
}

// exchange gives a customer euros, some of which are converted, and some of these back again.
func (e *estate) exchange(h *holding) {
	e.GiveCredit(uuid.MustParse(h.Account), money.New(100_000_000, "EUR"))
	h.Rate = e.As(e.Approver).Post(base+"/fx/rates/", map[string]any{"base": "EUR", "quote": "USD", "rate": "1.08", "source": "manual"}).Expect(http.StatusCreated).Text("data.id")
	h.Conversion, h.Reversed = e.converted(*h), e.converted(*h)
	e.As(e.Owner).Post(base+"/fx/conversions/"+h.Reversed+"/reverse/", map[string]any{"reason": "A mistake"}).Expect(http.StatusOK)
}

// convertible is the body of a conversion of the customer's.
func (h holding) convertible() map[string]any {
	return map[string]any{"account_id": h.Account, "from_currency": "EUR", "to_currency": "USD", "from_amount": "10.00", "rate_id": h.Rate, "reason": "Agreed"}
}

// converted is a conversion of the customer's that nobody else uses.
func (e *estate) converted(h holding) string {
	return keyed(e.As(e.Owner)).Post(base+"/fx/conversions/", h.convertible()).Expect(http.StatusCreated).Text("data.id")
}

// keyed is the client with an idempotency key of its own.
func keyed(client *testkit.Client) *testkit.Client {
	return client.With("Idempotency-Key", uuid.NewString())
}

// monthly is the body of a subscription of the customer's.
func (h holding) monthly() map[string]any {
	return map[string]any{"account_id": h.Account, "description": "Hosting", "unit_price": "12.00", "payment_source": h.Card}
}

// subscribed is a subscription of the customer's that nobody else uses.
func (e *estate) subscribed(h holding) string {
	return keyed(e.As(e.Owner)).Post(base+"/subscriptions/", h.monthly()).Expect(http.StatusCreated).Text("data.id")
}

// lower makes one more invoice, and lowers it in every way.
func (e *estate) lower(h *holding) {
	e.overpaid(*h)
	h.Lowered = e.finalized(*h)
	h.Adjustment, h.Note = e.applied(h.Lowered), e.credited(h.Lowered)
	h.WriteOff = e.asked(h.Lowered)
}

// overpaid gives a customer more credit.
func (e *estate) overpaid(h holding) { e.GiveCredit(uuid.MustParse(h.Account), money.New(1000, "USD")) }

// applied pays the least there is of an invoice with credit.
func (e *estate) applied(invoice string) string {
	return e.As(e.Owner).Post(base+"/invoices/"+invoice+"/apply_credit/", map[string]any{"amount_minor": 1}).Expect(http.StatusOK).Text("data.adjustments.0.id")
}

// asked asks for a write-off that needs a second person.
func (e *estate) asked(invoice string) string {
	return e.As(e.Owner).Post(base+"/invoices/"+invoice+"/write_off/", map[string]any{"reason": "Bankrupt"}).Expect(http.StatusCreated).Text("data.id")
}

// seen is the digest of a write-off as it is now.
func (e *estate) seen(id string) string {
	return e.As(e.Viewer).Get(base + "/write-offs/" + id + "/").Expect(http.StatusOK).Text("data.digest")
}

// writtenOff asks for a write-off, and has it approved.
func (e *estate) writtenOff(invoice string) string {
	id := e.asked(invoice)
	e.As(e.Approver).Post(base+"/write-offs/"+id+"/approve/", map[string]any{"digest": e.seen(id)}).Expect(http.StatusOK)
	return id
}

// settled is a payment that has brought money, and that nobody else uses.
func (e *estate) settled(h holding) string {
	id := e.approved(h)
	e.SettleAll()
	e.approved(h) // for the worker, as before
	return id
}

// refunding asks for the least there is of a payment back, to be paid by hand.
func (e *estate) refunding(payment string) string { return e.refundBy(e.Owner, payment) }

func (e *estate) refundBy(by *billingtest.Person, payment string) string {
	return keyed(e.As(by)).Post(base+"/payments/"+payment+"/refund/", map[string]any{"amount_minor": 1, "reason": "other"}).Expect(http.StatusCreated).Text("data.id")
}

// refunded is a refund that was paid by hand.
func (e *estate) refunded(payment string) string {
	id := e.refunding(payment)
	e.As(e.Owner).Post(base+"/refunds/"+id+"/complete/", map[string]any{"payout_reference": "BANK 1"}).Expect(http.StatusOK)
	return id
}

// undecidedRefund is a refund that waits for a second person.
func (e *estate) undecidedRefund(by *billingtest.Person, h holding) string {
	payment, limit, none := e.settled(h), int64(1), int64(0)
	e.Configure(tenancy.UpdateInput{TwoRefundApprovalsAboveMinor: &limit})
	defer e.Configure(tenancy.UpdateInput{TwoRefundApprovalsAboveMinor: &none})
	return keyed(e.As(by)).Post(base+"/payments/"+payment+"/refund/", map[string]any{"amount_minor": 2, "reason": "other"}).Expect(http.StatusCreated).Text("data.id")
}

// seenRefund is the digest of a refund as it is now.
func (e *estate) seenRefund(id string) string {
	return e.As(e.Viewer).Get(base + "/refunds/" + id + "/").Expect(http.StatusOK).Text("data.digest")
}

// givenUp is an invoice that nobody is expected to pay.
func (e *estate) givenUp(h holding) string {
	id := e.finalized(h)
	e.As(e.Owner).Post(base+"/invoices/"+id+"/mark_uncollectible/", map[string]any{"reason": "Gone"}).Expect(http.StatusOK)
	return id
}

// credited takes the least there is of an invoice back by a credit note.
func (e *estate) credited(invoice string) string {
	return e.As(e.Owner).Post(base+"/invoices/"+invoice+"/credit-notes/", map[string]any{"amount_minor": 1, "reason": "Less was delivered"}).Expect(http.StatusCreated).Text("data.id")
}

func (e *estate) draft(h holding) string {
	return e.As(e.Owner).Post(base+"/invoices/", map[string]any{"account_id": h.Account,
		"line_items": []any{map[string]any{"description": "Work", "quantity": "1", "unit_price": "150.00", "credits": 10}}}).Expect(http.StatusCreated).Text("data.id")
}

func (e *estate) finalized(h holding) string {
	id := e.draft(h)
	e.As(e.Owner).Post(base+"/invoices/"+id+"/finalize/", "{}").Expect(http.StatusOK)
	return id
}

func (e *estate) runnable(t *testing.T) string {
	t.Helper()
	for _, task := range e.As(e.Owner).Get(base + "/jobs/tasks/").Expect(http.StatusOK).List("data.tasks") {
		if one := task.(map[string]any); one["runnable_by_hand"] == true {
			return one["name"].(string)
		}
	}
	t.Fatal("no task can be run by hand")
	return ""
}

// kinds say what the {id} of a path names, the longer beginnings first. A route that fits none fails the tests that
// walk the routes, so that a new one gets its place on purpose.
var kinds = []struct {
	prefix string
	id     func(*estate, holding) string
}{
	{"/users/", func(_ *estate, h holding) string { return h.User }},
	{"/billing/accounts/", func(_ *estate, h holding) string { return h.Account }},
	{"/billing/payment-method-configs/", func(e *estate, _ holding) string { return e.Config }},
	{"/billing/payment-methods/", func(_ *estate, h holding) string { return h.Method }},
	{"/billing/sandbox/orders/", func(_ *estate, h holding) string { return h.Sandbox }},
	{"/billing/evidence/", func(_ *estate, h holding) string { return h.Evidence }},
	{"/billing/invoices/{id}/finalize/", func(_ *estate, h holding) string { return h.Draft }},
	{"/billing/payments/{id}/refund/", func(_ *estate, h holding) string { return h.Settled }},
	{"/billing/payments/{id}/refunds/", func(_ *estate, h holding) string { return h.Settled }},
	{"/billing/payment-anomalies/", func(_ *estate, h holding) string { return h.Anomaly }},
	{"/billing/refunds/", func(_ *estate, h holding) string { return h.Refund }},
	{"/billing/write-offs/", func(_ *estate, h holding) string { return h.WriteOff }},
	{"/billing/credit-notes/", func(_ *estate, h holding) string { return h.Note }},
	{"/billing/invoices/{id}/unapply_credit/", func(_ *estate, h holding) string { return h.Lowered }},
	{"/billing/invoices/", func(_ *estate, h holding) string { return h.Open }},
	{"/billing/payments/", func(_ *estate, h holding) string { return h.Undecided }},
	{"/billing/transactions/", func(_ *estate, h holding) string { return h.Settled }},
	{"/billing/ledger/accounts/", func(_ *estate, h holding) string { return h.Ledger }},
	{"/billing/fx/rates/", func(_ *estate, h holding) string { return h.Rate }},
	{"/billing/fx/conversions/", func(_ *estate, h holding) string { return h.Conversion }},
	{"/billing/subscriptions/", func(_ *estate, h holding) string { return h.Subscription }},
	{"/billing/jobs/", func(e *estate, _ holding) string { return e.Job }},
}

// ofTenant says whether the {id} of a path names something that is no customer's.
func ofTenant(path string) bool {
	return slices.ContainsFunc([]string{
		"/billing/payment-method-configs/",
		"/billing/sandbox/",
		"/billing/jobs/",
		"/billing/fx/rates/",
	}, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}

// id is the object of h that the {id} of path names.
func (e *estate) id(t *testing.T, path string, h holding) string {
	t.Helper()
	for _, k := range kinds {
		if strings.HasPrefix(path, k.prefix) {
			return k.id(e, h)
		}
	}
	t.Fatalf("%s: say in kinds what its id names", path)
	return ""
}

// ids are all objects of the customer, and what stands for them in a path.
func (h holding) ids() []string {
	return []string{
		h.Account, h.User, h.Method, h.Evidence, h.Ledger,
		h.Draft, h.Open, h.Paid, h.Free,
		h.Undecided, h.Settled, h.Withdrawn,
		h.Sandbox,
		h.Rate, h.Conversion, h.Reversed,
		h.Lowered, h.Adjustment, h.Note, h.WriteOff, h.Refund,
		h.Odd, h.Anomaly,
		h.Card, h.Subscription,
	}
}

// ids are all objects of the tenant.
func (e *estate) ids() []string {
	return slices.Concat([]string{e.Config, e.Job, e.Event, e.Record, e.Tenant.ID.String()}, e.First.ids(), e.Second.ids())
}

// everything gives a hash of a tenant's rows in every table, of its own row, and of its users.
func everything(t *testing.T, e *estate) map[string]string {
	t.Helper()
	hashes := map[string]string{}
	hash := func(name, query string, args ...any) {
		t.Helper()
		var sum string
		if err := testkit.OwnerDB(t).NewRaw("SELECT coalesce(md5(string_agg(r::text, ';' ORDER BY r::text)), 'empty') FROM "+query, args...).Scan(t.Context(), &sum); err != nil {
			t.Fatal(name, err)
		}
		if hashes[name] = sum; sum == "empty" {
			t.Fatalf("the estate has no row in %s, so nobody can see whether it changes", name)
		}
	}
	for table := range walls {
		hash(table, "? AS r WHERE tenant_id = ?", bun.Ident(table), e.Tenant.ID)
	}
	hash("tenants", "tenants AS r WHERE id = ?", e.Tenant.ID)
	// People of the casts of all tests work here too, and other tests choose languages for them.
	hash("users", `(SELECT u.id, u.email, u.name, u.password_hash, u.is_active, u.home_tenant_id, CASE WHEN u.home_tenant_id = ?0 THEN u::text END
		FROM users AS u JOIN memberships AS m ON m.user_id = u.id WHERE m.tenant_id = ?0) AS r`, e.Tenant.ID)
	return hashes
}

// picture is a small PNG that no other is like.
func picture(t *testing.T) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 16, 16))
	seed := uuid.New()
	for i := range 256 {
		img.Set(i%16, i/16, color.RGBA{seed[i%16], seed[i/16], byte(i), 255})
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
