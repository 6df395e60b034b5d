package payments_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/idempotency"
	"countersign/internal/testkit"
)

const charges = base + "/charges/"

// charged is a world whose sandbox takes charges.
func charged(t *testing.T) *billingtest.World {
	t.Helper()
	w := billingtest.NewInTestMode(t)
	w.EnableSandbox()
	return w
}

// order is the body of seed 001, with pairs added, changed, or left out where they are nil.
func order(source string, pairs ...any) map[string]any {
	m := body("idempotency_key", uuid.NewString(), "amount_cents", 1000, "currency", "USD", "payment_source", source)
	for k, v := range body(pairs...) {
		m[k] = v
		if v == nil {
			delete(m, k)
		}
	}
	return m
}

func usd(w *billingtest.World, ref func(money.Currency) ledger.Ref) int64 {
	return w.Balance(ref("USD"))
}

// calls counts what the sandbox was asked about a payment.
func calls(t *testing.T, w *billingtest.World, id uuid.UUID, operation string) int {
	t.Helper()
	list, err := w.Sandbox.Calls(w.System, id)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range list {
		if c.Operation == operation {
			n++
		}
	}
	return n
}

// same fails the test unless two answers are equal but for the request's id, and the second says that it is a replay.
func same(t *testing.T, first, second testkit.Answer) {
	t.Helper()
	strip := func(a testkit.Answer) []byte {
		return bytes.ReplaceAll(a.Raw, []byte(a.Text("request_id")), nil)
	}
	if first.Status != second.Status || !bytes.Equal(strip(first), strip(second)) {
		t.Errorf("the repetition answers %d %s, the first %d %s", second.Status, second.Raw, first.Status, first.Raw)
	}
	if second.Header.Get("Idempotent-Replayed") != "true" {
		t.Error("the repetition does not say that it is one")
	}
}

func TestCharge(t *testing.T) {
	t.Parallel()
	w := charged(t)
	in := order("tok_visa")
	a := w.As(w.Member).Post(charges, in).Expect(http.StatusCreated)
	id := idOf(a)
	for path, want := range map[string]any{"data.status": "succeeded", "data.lifecycle": "CAPTURED", "data.amount": "10.00", "data.currency": "USD", "data.test": true,
		"data.account_id": w.Account.ID.String(), "data.next_action": nil, "data.failure_code": nil, "data.gateway": "sandbox", "data.revenue_amount": "10.00"} {
		equal(t, path, a.At(path), want)
	}
	equal(t, "the amount", a.Int("data.amount_cents"), int64(1000))
	equal(t, "events", events(w), []string{"created", "succeeded", "updated"})
	equal(t, "revenue", usd(w, ledger.Revenue), int64(-1000))
	equal(t, "clearing", w.Balance(ledger.Clearing("sandbox", "USD")), int64(1000))
	same(t, a, w.As(w.Member).Post(charges, in))
	delete(in, "idempotency_key")
	key := uuid.NewString()
	client := w.As(w.Member).With("Idempotency-Key", key)
	b := client.Post(charges, in).Expect(http.StatusCreated)
	in["idempotency_key"] = key
	same(t, b, client.Post(charges, in))
	in["idempotency_key"] = uuid.NewString()
	client.Post(charges, in).Refused(http.StatusBadRequest, "idempotency_keys_differ")
	in["idempotency_key"], in["amount_cents"] = key, 1001
	w.As(w.Member).Post(charges, in).Refused(http.StatusConflict, "idempotency_key_reused")
	equal(t, "calls", calls(t, w, id, "begin"), 1)
	w.AssertBooks(t)
}

// TestCharge_tokens tries every token that changes how a charge ends.
// keptSource is what is still known of the token that a charge was made with.
func keptSource(t testing.TB, w *billingtest.World, id uuid.UUID) (source string) {
	t.Helper()
	if err := testkit.OwnerDB(t).NewRaw("SELECT source FROM payment_orders WHERE tenant_id = ? AND payment_id = ?", w.Tenant.ID, id).Scan(t.Context(), &source); err != nil {
		t.Fatal(err)
	}
	return source
}

func TestCharge_tokens(t *testing.T) {
	t.Parallel()
	tests := []struct {
		token  string
		status int
		code   string
		state  payments.Status
		calls  int
		again  string // the state after the same request once more
	}{
		{"tok_visa", 201, "", payments.StatusSucceeded, 1, "succeeded"},
		{"tok_mastercard", 201, "", payments.StatusSucceeded, 1, "succeeded"},
		{"tok_decline", 402, "card_declined", payments.StatusFailed, 1, "failed"},
		{"tok_insufficient_funds", 402, "insufficient_funds", payments.StatusFailed, 1, "failed"},
		{"tok_expired_card", 402, "expired_card", payments.StatusFailed, 1, "failed"},
		{"tok_nobody_knows", 402, "invalid_payment_source", payments.StatusFailed, 1, "failed"},
		{"tok_timeout", 202, "", payments.StatusProcessing, 1, "succeeded"},
		{"tok_timeout_decline", 202, "", payments.StatusProcessing, 1, "failed"},
		{"tok_lost", 202, "", payments.StatusProcessing, 0, "processing"},
		{"tok_slow", 201, "", payments.StatusSucceeded, 1, "succeeded"},
		{"tok_down", 201, "", payments.StatusSucceeded, 3, "succeeded"},
		{"tok_wrong_amount", 202, "", payments.StatusProcessing, 1, "processing"},
		{"tok_3ds", 201, "", payments.StatusPending, 1, "pending"},
		{"tok_async", 202, "", payments.StatusProcessing, 1, "succeeded"},
		{"tok_late_decline", 202, "", payments.StatusProcessing, 1, "failed"},
	}
	for _, tt := range tests {
		t.Run(tt.token, func(t *testing.T) {
			t.Parallel()
			w := charged(t)
			in := order(tt.token)
			a := w.As(w.Member).Post(charges, in).Expect(tt.status)
			if tt.code != "" {
				a.Refused(tt.status, tt.code)
			}
			id := idOf(a)
			status(t, w, id, tt.state)
			equal(t, "calls", calls(t, w, id, "begin"), tt.calls)
			equal(t, "clearing", w.Balance(ledger.Clearing("sandbox", "USD")) != 0, tt.state == payments.StatusSucceeded)
			b := w.As(w.Member).Post(charges, in)
			equal(t, "then", b.Text("data.status"), tt.again)
			if tt.status != 202 {
				same(t, a, b)
			} else if tt.again == "failed" {
				b.Refused(402, "card_declined")
				same(t, b, w.As(w.Member).Post(charges, in))
			}
			if got := calls(t, w, id, "begin"); got != tt.calls {
				t.Errorf("the provider was asked %d times, then %d", tt.calls, got)
			}
			equal(t, "the token is kept for another call", keptSource(t, w, id) != "", tt.token == "tok_lost")
			w.AssertBooks(t)
		})
	}
}

func TestCharge_refused(t *testing.T) {
	t.Parallel()
	w := charged(t)
	plain := billingtest.New(t)
	w.Member.Token()
	w.Viewer.Token()
	before := w.Snapshot()
	for name, tt := range map[string]struct {
		body  any
		code  string
		field string
	}{
		"no key":             {order("tok_visa", "idempotency_key", nil), "idempotency_key_required", ""},
		"an empty key":       {order("tok_visa", "idempotency_key", ""), "idempotency_key_required", ""},
		"a long key":         {order("tok_visa", "idempotency_key", string(bytes.Repeat([]byte("k"), 300))), "invalid_idempotency_key", ""},
		"a text":             {order("tok_visa", "amount_cents", "10"), "validation_failed", "amount_cents"},
		"a fraction":         {order("tok_visa", "amount_cents", 10.5), "validation_failed", "amount_cents"},
		"nothing":            {order("tok_visa", "amount_cents", 0), "validation_failed", "amount_cents"},
		"less":               {order("tok_visa", "amount_cents", -5), "validation_failed", "amount_cents"},
		"too much":           {`{"idempotency_key":"k","amount_cents":9223372036854775808,"currency":"USD","payment_source":"tok_visa"}`, "validation_failed", "amount_cents"},
		"no amount":          {order("tok_visa", "amount_cents", nil), "validation_failed", "amount_cents"},
		"two amounts":        {order("tok_visa", "amount_minor", 7), "validation_failed", "amount_cents"},
		"no currency":        {order("tok_visa", "currency", nil), "validation_failed", "currency"},
		"a card":             {order("4242424242424242"), "card_data_rejected", "payment_source"},
		"no source":          {order(""), "required", "payment_source"},
		"paypal":             {order("paypal"), "unsupported_payment_method", "gateway"},
		"an unknown one":     {order("tok_visa", "gateway", "nowhere"), "unsupported_payment_method", "gateway"},
		"an unknown invoice": {order("tok_visa", "invoice_id", uuid.NewString()), "invoice_not_found", ""},
	} {
		a := w.As(w.Member).Post(charges, tt.body)
		if a.Body["code"] != tt.code || a.Status >= 500 {
			t.Errorf("%s: %d %s, want %s", name, a.Status, a.Raw, tt.code)
		} else if fields, _ := a.Body["errors"].(map[string]any); tt.field != "" && fields[tt.field] == nil {
			t.Errorf("%s: %s does not blame %s", name, a.Raw, tt.field)
		}
	}
	w.As(w.Viewer).Post(charges, order("tok_visa")).Refused(http.StatusForbidden, "permission_denied")
	unchanged(t, w, before)
	plain.As(plain.Member).Post(charges, order("tok_visa")).Refused(http.StatusBadRequest, "unsupported_payment_method")
}

// pausing are the services of a world that stop where a test wants.
func pausing(w *billingtest.World, pause func(ctx context.Context, point string)) *payments.Service {
	return w.Payments.Pausing(pause)
}

// keyOf is a member's wish to charge once, for a request whose body is text.
func keyOf(t *testing.T, w *billingtest.World, key, text string) *idempotency.Once {
	t.Helper()
	r := httptest.NewRequestWithContext(w.Member.Ctx, http.MethodPost, "/", nil)
	r.Header.Set("Idempotency-Key", key)
	once, err := idempotency.FromRequest(r, "payments.charge", uuid.Nil, text)
	if err != nil {
		t.Fatal(err)
	}
	return once
}

// chargeInput charges 10.00 USD.
func chargeInput(once *idempotency.Once) payments.ChargeInput {
	return payments.ChargeInput{Currency: "USD", Source: "tok_visa", Once: once, Amount: func(c money.Currency) (*money.Money, error) {
		m := money.New(1000, c)
		return &m, nil
	}}
}
