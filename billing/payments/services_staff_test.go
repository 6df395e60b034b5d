package payments_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/ledger"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// cash is what cash needs, with pairs added, changed, or left out where they are nil.
func cash(w *billingtest.World, pairs ...any) map[string]any {
	m := body("gateway", "cash", "amount", "10.00", "currency", "USD", "account_id", w.Account.ID.String(), "reference", w.Reference())
	for k, v := range body(pairs...) {
		m[k] = v
		if v == nil {
			delete(m, k)
		}
	}
	return m
}

func TestCash(t *testing.T) {
	t.Parallel()
	t.Run("who may approve has decided", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv := w.OpenInvoice("8.00")
		w.As(w.Approver).Post(list, cash(w, "invoice_id", inv.ID.String())).Refused(http.StatusBadRequest, "overpayment") // S2-88
		in := cash(w, "invoice_id", inv.ID.String(), "allow_credit", true, "details", map[string]any{"data": map[string]any{"till": map[string]any{"n": 3, "open": true, "tags": []any{"a", nil, "1.50"}}}})
		client := w.As(w.Approver).With("Idempotency-Key", "k")
		a := client.Post(list, in).Expect(http.StatusCreated)
		for path, want := range map[string]any{"data.status": "succeeded", "data.gateway": "cash", "data.payment_method": "cash", "data.receipt_number": "R-2026-000001", "data.applied_amount": "8.00",
			"data.credit_amount": "2.00", "data.lifecycle": "CAPTURED", "data.details.data.till.tags.2": "1.50", "data.test": false} {
			equal(t, path, a.At(path), want)
		}
		same(t, a, client.Post(list, in))
		equal(t, "the till", usd(w, ledger.Cash), int64(1000))
		equal(t, "events", events(w), []string{"created", "succeeded", "updated"})
		w.As(w.Approver).Post(list, cash(w, "prepayment", true)).Expect(http.StatusCreated)
		equal(t, "credit", w.Balance(ledger.CustomerCredit(w.Account.ID, "USD")), int64(-1200))
		b := w.As(w.Approver).Post(list, cash(w, "account_id", nil)).Expect(http.StatusCreated)
		equal(t, "receipts have no gap", b.At("data.receipt_number"), any("R-2026-000003"))
		equal(t, "revenue", usd(w, ledger.Revenue), int64(-800-1000))
		w.AssertBooks(t)
	})
	t.Run("what a cashier takes somebody else completes", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		first, second := w.Join("cashier", auth.RoleCashier, nil), w.Join("cashier2", auth.RoleCashier, nil)
		a := w.As(first).Post(list, cash(w)).Expect(http.StatusCreated)
		equal(t, "status", a.Text("data.status"), "pending")
		equal(t, "the till", usd(w, ledger.Cash), int64(0))
		w.As(first).Post(one(idOf(a), "complete/"), "").Refused(http.StatusForbidden, "submitter_cannot_decide")
		w.As(w.Viewer).Post(one(idOf(a), "complete/"), "").Refused(http.StatusForbidden, "permission_denied")
		w.As(w.Member).Post(one(idOf(a), "complete/"), "").Refused(http.StatusForbidden, "staff_only")
		done := w.As(second).With("Idempotency-Key", "k").Post(one(idOf(a), "complete/"), "").Expect(http.StatusOK)
		same(t, done, w.As(second).With("Idempotency-Key", "k").Post(one(idOf(a), "complete/"), ""))
		w.As(w.Finance).Post(one(idOf(a), "complete/"), "").Refused(http.StatusConflict, "illegal_transition")
		equal(t, "a trace", w.As(w.Owner).Get(one(idOf(a), "")).Text("data.anomalies.0.kind"), "illegal_transition")
		equal(t, "the till", usd(w, ledger.Cash), int64(1000))
		b := w.As(first).Post(list, cash(w)).Expect(http.StatusCreated)
		w.As(first).Post(one(idOf(b), "cancel/"), "").Expect(http.StatusOK)
		w.As(second).Post(one(idOf(b), "complete/"), "").Refused(http.StatusConflict, "illegal_transition")
		claimed := w.Submit(w.OpenInvoice("5.00").ID)
		w.As(w.Finance).Post(one(claimed.ID, "complete/"), "").Refused(http.StatusConflict, "illegal_transition")
		w.AssertBooks(t)
	})
	t.Run("completed by twenty at once, it counts once", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		a := w.As(w.Join("cashier", auth.RoleCashier, nil)).Post(list, cash(w)).Expect(http.StatusCreated)
		w.Finance.Token()
		done := 0
		for _, answer := range atOnce(20, func(int) testkit.Answer { return w.As(w.Finance).Post(one(idOf(a), "complete/"), "") }) {
			if answer.Status == http.StatusOK {
				done++
			}
		}
		equal(t, "completed", done, 1)
		w.AssertBooks(t)
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		w, neighbour := billingtest.New(t), billingtest.New(t)
		w.Owner.Token()
		w.Member.Token()
		twin := cash(w, "invoice_id", w.OpenInvoice("80.00").ID.String())
		w.As(w.Owner).Post(list, twin).Expect(http.StatusCreated)
		theirs := neighbour.OpenInvoice("5.00")
		before := w.Snapshot()
		for name, tt := range map[string]struct {
			body        map[string]any
			code, field string
		}{
			"no reference":         {cash(w, "reference", nil), "reference_required", "reference"}, // S0D-12
			"an empty reference":   {cash(w, "reference", "--"), "reference_without_content", "reference"},
			"the same reference":   {twin, "reference_already_counted", "reference"},
			"no amount":            {cash(w, "amount", nil), "validation_failed", "amount"},
			"no currency":          {cash(w, "currency", nil), "validation_failed", "currency"},
			"no gateway":           {cash(w, "gateway", nil), "required", "gateway"},
			"nothing":              {cash(w, "amount", "0"), "amount_not_positive", "amount"},
			"less":                 {cash(w, "amount", "-1"), "amount_not_positive", "amount"},
			"another currency":     {cash(w, "currency", "BDT", "invoice_id", twin["invoice_id"]), "currency_mismatch", ""},
			"an unknown gateway":   {cash(w, "gateway", "nowhere"), "unsupported_payment_method", "gateway"},
			"a neighbour's":        {cash(w, "account_id", nil, "invoice_id", theirs.ID.String()), "invoice_not_found", ""},
			"a neighbour":          {cash(w, "account_id", neighbour.Account.ID.String()), "unknown_account", "account_id"},
			"a card":               {cash(w, "details", map[string]any{"x": "4242424242424242"}), "card_data_rejected", "details.x"},
			"an unknown detail":    {cash(w, "details", map[string]any{"x": 1}), "validation_failed", "details.x"},
			"in advance by nobody": {cash(w, "account_id", nil, "prepayment", true), "invalid_prepayment", "prepayment"},
		} {
			a := w.As(w.Owner).Post(list, tt.body)
			if fields, _ := a.Body["errors"].(map[string]any); a.Body["code"] != tt.code || a.Status >= 500 || tt.field != "" && fields[tt.field] == nil {
				t.Errorf("%s: %d %s, want %s at %s", name, a.Status, a.Raw, tt.code, tt.field)
			}
		}
		if a := w.As(w.Owner).Post(list, cash(w, "gateway", "nowhere")); !strings.Contains(a.Text("error"), "cash, manual") { // S0-01
			t.Errorf("it does not say which gateways there are: %s", a.Raw)
		}
		w.As(w.Member).Post(list, cash(w)).Refused(http.StatusForbidden, "staff_only")
		unchanged(t, w, before)
	})
}

// TestCreateByGateway makes a payment by each gateway with the same call (S0-01, C-06).
func TestCreateByGateway(t *testing.T) {
	t.Parallel()
	w := charged(t)
	newAcme(t, w)
	for gateway, tt := range map[string]struct {
		body  map[string]any
		state string
	}{
		"cash":       {cash(w), "succeeded"},
		"manual":     {cash(w, "gateway", nil, "payment_method", "bank_transfer", "invoice_id", w.OpenInvoice("10.00").ID.String()), "pending_approval"},
		"integrator": {cash(w, "gateway", "acme", "details", map[string]any{"data": map[string]any{"desk": 7}}), "pending"},
		"sandbox":    {cash(w, "gateway", "sandbox", "payment_source", "tok_visa"), "succeeded"},
	} {
		a := w.As(w.Owner).Post(list, tt.body).Expect(http.StatusCreated)
		equal(t, gateway, a.Text("data.gateway"), gateway)
		equal(t, gateway, a.Text("data.status"), tt.state)
	}
	w.As(w.Owner).Post(list, cash(w, "gateway", "sandbox", "payment_source", "tok_visa", "details", map[string]any{"x": 1})).Refused(http.StatusBadRequest, "unknown_field")
	w.As(w.Owner).Post(list, cash(w, "gateway", "sandbox", "payment_source", "tok_decline")).Refused(http.StatusPaymentRequired, "card_declined")
	w.AssertBooks(t)
}

func TestLimits(t *testing.T) {
	t.Parallel()
	number := func(n int64) *int64 { return &n }
	t.Run("of one payment, and of a day", func(t *testing.T) { // S0D-28
		t.Parallel()
		w := charged(t)
		w.Configure(tenancy.UpdateInput{PaymentLimitMinor: number(5000), DailyLimitMinor: number(8000)})
		w.As(w.Member).Post(charges, order("tok_visa", "amount_cents", 5001)).Refused(http.StatusBadRequest, "amount_limit")
		w.As(w.Owner).Post(list, cash(w, "amount", "50.01")).Refused(http.StatusBadRequest, "amount_limit")
		w.As(w.Member).Post(charges, order("tok_visa", "amount_cents", 5000)).Expect(http.StatusCreated)
		w.As(w.Member).Post(charges, order("tok_decline", "amount_cents", 3000)).Expect(http.StatusPaymentRequired) // which comes to nothing
		w.As(w.Owner).Post(list, cash(w, "amount", "30.01")).Refused(http.StatusBadRequest, "amount_limit")
		w.As(w.Owner).Post(list, cash(w, "amount", "30.00")).Expect(http.StatusCreated)
		w.As(w.OtherMember).Post(charges, order("tok_visa", "amount_cents", 5000)).Expect(http.StatusCreated)
	})
	t.Run("of an hour, however they come", func(t *testing.T) { // S0D-27
		t.Parallel()
		w := charged(t)
		five := 5
		w.Configure(tenancy.UpdateInput{HourlyPayments: &five})
		w.Member.Token()
		made, refused := 0, 0
		for _, a := range atOnce(12, func(int) testkit.Answer { return w.As(w.Member).Post(charges, order("tok_visa")) }) {
			switch a.Status {
			case http.StatusCreated:
				made++
			case http.StatusTooManyRequests:
				refused++
				if a.Header.Get("Retry-After") == "" {
					t.Error("nobody says for how long to wait")
				}
			}
		}
		equal(t, "made", made, 5)
		equal(t, "refused", refused, 7)
	})
	t.Run("two that are alike", func(t *testing.T) { // S0D-26
		t.Parallel()
		w := charged(t)
		minutes := 10
		w.Configure(tenancy.UpdateInput{DuplicateWindowMinutes: &minutes})
		w.As(w.Member).Post(charges, order("tok_decline")).Expect(http.StatusPaymentRequired)
		in := order("tok_visa")
		a := w.As(w.Member).Post(charges, in).Expect(http.StatusCreated)
		w.As(w.Member).Post(charges, order("tok_visa")).Refused(http.StatusConflict, "possible_duplicate")
		same(t, a, w.As(w.Member).Post(charges, in)) // a repetition is none
		w.As(w.Member).Post(charges, order("tok_visa", "amount_cents", 1001)).Expect(http.StatusCreated)
		w.As(w.Member).Post(charges, order("tok_visa", "force", true)).Expect(http.StatusCreated)
		w.As(w.Owner).Post(list, cash(w)).Expect(http.StatusCreated)
		w.As(w.Owner).Post(list, cash(w)).Refused(http.StatusConflict, "possible_duplicate")
	})
}

// TestStepsOfTheRoutes tries every step from every status through every route, and finds that only those of the state diagram
// are made (S0-51, S1-32).
func TestStepsOfTheRoutes(t *testing.T) {
	t.Parallel()
	steps := map[string]payments.Status{"capture/": payments.StatusSucceeded, "release/": payments.StatusCancelled, "cancel/": payments.StatusCancelled, "complete/": payments.StatusSucceeded}
	w := charged(t)
	for _, from := range payments.Statuses() {
		for step, to := range steps {
			id := hold(t, w, "tok_visa")
			amounts := ""
			if from == payments.StatusSucceeded || from == payments.StatusPartiallyRefunded || from == payments.StatusRefunded {
				amounts = ", received_minor = 1000, applied_minor = 0, excess_minor = 0, revenue_minor = 1000, processed_at = now()"
			}
			force(t, `UPDATE payments SET status = ?`+amounts+` WHERE tenant_id = ? AND id = ?`, from, w.Tenant.ID, id)
			a := w.As(w.Owner).With("Idempotency-Key", uuid.NewString()).Post(one(id, step), map[bool]any{true: body(), false: ""}[step == "capture/"])
			got := w.Payment(id).Status
			switch {
			case got != from && (got != to || !from.CanBecome(to)):
				t.Errorf("%s: %s makes it %s: %s", from, step, got, a.Raw)
			case got == from && a.Status < 400 && from != payments.StatusProcessing && from != payments.StatusPending:
				t.Errorf("%s: %s answers %d, and it stays", from, step, a.Status)
			case a.Status >= 400 && a.Status != http.StatusConflict && a.Status != http.StatusPaymentRequired:
				t.Errorf("%s: %s answers %d %s", from, step, a.Status, a.Raw)
			}
		}
	}
}
