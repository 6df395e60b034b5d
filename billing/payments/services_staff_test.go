package payments_test

import (
	"net/http"
	"slices"
	"strconv"
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
	t.Run("where a claim would need two people, so does cash", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		first, second := w.Join("cashier", auth.RoleCashier, nil), w.Join("cashier2", auth.RoleCashier, nil)
		w.As(w.Owner).Patch(billingtest.Base+"/tenant/", body("two_approval_threshold", "9.99")).Expect(http.StatusOK)
		small := w.As(w.Finance).Post(list, cash(w, "amount", "9.99")).Expect(http.StatusCreated)
		equal(t, "up to the threshold", small.Text("data.status"), "succeeded")
		a := w.As(w.Finance).Post(list, cash(w)).Expect(http.StatusCreated)
		equal(t, "above it", a.Text("data.status"), "pending")
		w.As(w.Finance).Post(one(idOf(a), "complete/"), "").Refused(http.StatusForbidden, "submitter_cannot_decide")
		w.As(second).Post(one(idOf(a), "complete/"), "").Refused(http.StatusForbidden, "permission_denied")
		w.As(w.Approver).Post(one(idOf(a), "complete/"), "").Expect(http.StatusOK)
		b := w.As(first).Post(list, cash(w)).Expect(http.StatusCreated)
		w.As(second).Post(one(idOf(b), "complete/"), "").Refused(http.StatusForbidden, "permission_denied")
		w.As(w.Finance).Post(one(idOf(b), "complete/"), "").Expect(http.StatusOK)
		w.As(w.Owner).Put(base+"/approval-policies/", body("rules", []any{body("rank", 1, "payment_method", "cash", "approvals", 2)})).Expect(http.StatusOK)
		equal(t, "by a rule for cash", w.As(w.Finance).Post(list, cash(w, "amount", "1.00")).Expect(http.StatusCreated).Text("data.status"), "pending")
		equal(t, "the till", usd(w, ledger.Cash), int64(2999))
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
	t.Run("without an invoice, a receipt counts once for each customer", func(t *testing.T) { // C-08
		t.Parallel()
		w := billingtest.New(t)
		cashier := w.Join("cashier", auth.RoleCashier, nil)
		for name, in := range map[string]map[string]any{"a customer": cash(w), "nobody": cash(w, "account_id", nil)} {
			w.As(w.Owner).Post(list, in).Expect(http.StatusCreated)
			a := w.As(w.Finance).Post(list, in).Refused(http.StatusConflict, "reference_already_counted")
			if a.At("errors.reference") == nil {
				t.Errorf("%s: %s", name, a.Raw)
			}
			in["reference"] = " " + strings.ToLower(in["reference"].(string)) + "."
			w.As(w.Finance).Post(list, in).Refused(http.StatusConflict, "reference_already_counted")
			in["account_id"] = w.Other.ID.String()
			w.As(w.Finance).Post(list, in).Expect(http.StatusCreated)
		}
		in := cash(w)
		first := w.As(cashier).Post(list, in).Expect(http.StatusCreated)
		w.As(cashier).Post(list, in).Refused(http.StatusConflict, "reference_already_counted")
		w.As(cashier).Post(one(idOf(first), "cancel/"), "").Expect(http.StatusOK)
		w.As(cashier).Post(list, in).Expect(http.StatusCreated) // what was cancelled counts no more
		w.Finance.Token()
		in, made := cash(w), 0
		for _, answer := range atOnce(10, func(int) testkit.Answer { return w.As(w.Finance).Post(list, in) }) {
			if answer.Status == http.StatusCreated {
				made++
			}
		}
		equal(t, "made at once", made, 1)
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
			"no reference":         {cash(w, "reference", nil), "receipt_reference_required", "reference"}, // S0D-12
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
			"a card, far apart":    {cash(w, "reference", "4242, 4242, 4242, 4242"), "card_data_rejected", "reference"},
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

// asked is what a provider is asked for, with pairs as those of cash.
func asked(w *billingtest.World, gateway string, pairs ...any) map[string]any {
	return cash(w, append([]any{"gateway", gateway, "reference", nil, "idempotency_key", uuid.NewString()}, pairs...)...)
}

// TestCreateByGateway makes a payment by each gateway with the same call (S0-01, C-06).
func TestCreateByGateway(t *testing.T) {
	t.Parallel()
	w := charged(t)
	newAcme(t, w)
	claimed := func() string { return w.OpenInvoice("10.00").ID.String() }
	for gateway, tt := range map[string]struct {
		body  map[string]any
		state string
	}{
		"cash":       {cash(w, "payment_method", "cash"), "succeeded"},
		"manual":     {cash(w, "gateway", nil, "payment_method", "bank_transfer", "invoice_id", claimed()), "pending_approval"},
		"integrator": {asked(w, "acme", "details", map[string]any{"data": map[string]any{"desk": 7}}), "pending"},
		"sandbox":    {asked(w, "sandbox", "payment_source", "tok_visa", "payment_method", "card"), "succeeded"},
	} {
		a := w.As(w.Owner).Post(list, tt.body).Expect(http.StatusCreated)
		equal(t, gateway, a.Text("data.gateway"), gateway)
		equal(t, gateway, a.Text("data.status"), tt.state)
	}
	w.As(w.Owner).Post(list, asked(w, "sandbox", "payment_source", "tok_visa", "details", map[string]any{"x": 1})).Refused(http.StatusBadRequest, "unknown_field")
	w.As(w.Owner).Post(list, asked(w, "sandbox", "payment_source", "tok_decline")).Refused(http.StatusPaymentRequired, "card_declined")
	w.AssertBooks(t)

	theirs := w.OpenInvoice("10.00").ID.String()
	before := w.Snapshot()
	for name, tt := range map[string]struct {
		body        map[string]any
		code, field string
	}{
		"a provider without a key":     {asked(w, "sandbox", "payment_source", "tok_visa", "idempotency_key", nil), "idempotency_key_required", "idempotency_key"}, // S1-13
		"a processor without a key":    {asked(w, "acme", "idempotency_key", nil), "idempotency_key_required", "idempotency_key"},
		"a provider's reference":       {asked(w, "sandbox", "payment_source", "tok_visa", "reference", "R"), "validation_failed", "reference"},
		"a provider's other reference": {asked(w, "sandbox", "payment_source", "tok_visa", "transaction_reference", "R"), "validation_failed", "transaction_reference"},
		"a provider's time":            {asked(w, "sandbox", "payment_source", "tok_visa", "paid_at", "2026-01-01"), "validation_failed", "paid_at"},
		"another method":               {asked(w, "sandbox", "payment_source", "tok_visa", "payment_method", "cash"), "validation_failed", "payment_method"},
		"cash by card":                 {cash(w, "payment_method", "card"), "validation_failed", "payment_method"},
		"cash from a source":           {cash(w, "payment_source", "tok_visa"), "validation_failed", "payment_source"},
		"cash that is held":            {cash(w, "capture", false), "validation_failed", "capture"},
		"two references":               {cash(w, "transaction_reference", "other"), "validation_failed", "reference"},
		"a claim in advance":           {cash(w, "gateway", "manual", "invoice_id", theirs, "prepayment", true), "validation_failed", "prepayment"},
		"a claim that is held":         {cash(w, "gateway", "manual", "invoice_id", theirs, "capture", true), "validation_failed", "capture"},
		"a claim from a source":        {cash(w, "gateway", "manual", "invoice_id", theirs, "payment_source", "tok_visa"), "validation_failed", "payment_source"},
		"a claim by card":              {cash(w, "gateway", "manual", "invoice_id", theirs, "payment_method", "card"), "validation_failed", "payment_method"},
		"a claim for somebody else":    {cash(w, "gateway", "manual", "invoice_id", theirs, "account_id", w.Other.ID.String()), "account_differs", "account_id"},
	} {
		a := w.As(w.Owner).Post(list, tt.body)
		if fields, _ := a.Body["errors"].(map[string]any); a.Body["code"] != tt.code || a.Status != http.StatusBadRequest || fields[tt.field] == nil || len(fields) != 1 {
			t.Errorf("%s: %d %s, want %s at %s", name, a.Status, a.Raw, tt.code, tt.field)
		}
	}
	unchanged(t, w, before)
}

// TestAmounts: an amount may be given in each of its forms wherever one is (model.md 5.5, S0-20), and is blamed under its name.
func TestAmounts(t *testing.T) {
	t.Parallel()
	w := charged(t)
	paid := func() uuid.UUID {
		return idOf(w.As(w.Member).Post(charges, order("tok_visa")).Expect(http.StatusCreated))
	}
	calls := map[string]func(pairs ...any) testkit.Answer{
		"charge": func(pairs ...any) testkit.Answer {
			return w.As(w.Member).Post(charges, order("tok_visa", append([]any{"amount_cents", nil}, pairs...)...))
		},
		"cash": func(pairs ...any) testkit.Answer {
			return w.As(w.Owner).Post(list, cash(w, append([]any{"amount", nil}, pairs...)...))
		},
		"provider": func(pairs ...any) testkit.Answer {
			return w.As(w.Owner).Post(list, asked(w, "sandbox", append([]any{"amount", nil, "payment_source", "tok_visa"}, pairs...)...))
		},
		"claim": func(pairs ...any) testkit.Answer {
			return w.As(w.Owner).Post(list, cash(w, append([]any{"amount", nil, "gateway", "manual", "invoice_id", w.OpenInvoice("10.00").ID.String()}, pairs...)...))
		},
		"capture": func(pairs ...any) testkit.Answer {
			return w.As(w.Owner).With("Idempotency-Key", uuid.NewString()).Post(one(hold(t, w, "tok_visa"), "capture/"), body(pairs...))
		},
		"refund": func(pairs ...any) testkit.Answer {
			return w.As(w.Owner).With("Idempotency-Key", uuid.NewString()).Post(one(paid(), "refund/"), body(append([]any{"reason", "duplicate"}, pairs...)...))
		},
	}
	for name, call := range calls {
		for _, form := range []string{"amount_minor", "amount_cents", "quantity"} {
			if a := call(form, 1000); a.Status >= 300 || a.Int("data.amount_minor") != 1000 {
				t.Errorf("%s by %s: %d %s", name, form, a.Status, a.Raw)
			}
			for what, wrong := range map[string]any{"nothing": 0, "less": -1, "too much": int64(2_000_000_000_000_000)} {
				a := call(form, wrong)
				if fields, _ := a.Body["errors"].(map[string]any); a.Status != http.StatusBadRequest || len(fields) != 1 || fields[form] == nil {
					t.Errorf("%s by %s of %s: %d %s", name, form, what, a.Status, a.Raw)
				}
			}
			a := call(form, 1000, "amount", "9.00")
			if told := a.Text("errors.amount.0"); a.Status != http.StatusBadRequest || a.Body["code"] != "amounts_differ" || !strings.Contains(told, "amount, "+form) {
				t.Errorf("%s by %s and amount: %d %s", name, form, a.Status, a.Raw)
			}
		}
		if a := call("amount_cents", 1000, "quantity", 999); a.At("errors.amount_cents") == nil || a.At("errors.quantity") == nil {
			t.Errorf("%s by two: %d %s", name, a.Status, a.Raw)
		}
	}
	for name, form := range map[string]string{"capture": "quantity", "refund": "amount_cents"} {
		if a := calls[name](form, 1001); !strings.Contains(string(a.Raw), `"errors":{"`+form+`":[`) {
			t.Errorf("%s of more than there is: %s", name, a.Raw)
		}
	}
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
		later := w.As(w.Owner).Post(list, cash(w, "amount", "30.01")).Refused(http.StatusBadRequest, "amount_limit").Header.Get("Retry-After")
		if seconds, err := strconv.Atoi(later); err != nil || seconds < 23*3600 || seconds > 24*3600 {
			t.Errorf("what fits tomorrow is to be tried again in %q seconds", later)
		}
		w.As(w.Owner).Post(list, cash(w, "amount", "30.00")).Expect(http.StatusCreated)
		w.Configure(tenancy.UpdateInput{PaymentLimitMinor: number(9000)})
		never := w.As(w.Owner).Post(list, cash(w, "amount", "80.01")).Refused(http.StatusBadRequest, "amount_limit").Header.Get("Retry-After")
		equal(t, "what never fits is to be tried again in", never, "")
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

// What happened to a payment and its refunds is told under ids of its own, and names nothing that there is not (S0-03, S0-94).
func TestToldOfPayment(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	id := idOf(w.As(w.Owner).Post(list, cash(w, "account_id", nil)).Expect(http.StatusCreated))
	w.As(w.Owner).With("Idempotency-Key", "k").Post(one(id, "refund/"), body("amount", "4.00", "reason", "duplicate", "payout_reference", "P-1")).Expect(http.StatusCreated)
	told := w.As(w.Owner).Get(one(id, "events/")).Expect(http.StatusOK)
	var types []string
	ids := map[any]bool{}
	for _, e := range told.List("data.events") {
		e := e.(map[string]any)
		types, ids[e["id"]] = append(types, e["type"].(string)), true
	}
	equal(t, "ids", len(ids), len(types))
	for _, want := range []string{"payment.created", "payment.succeeded", "payment.updated", "refund.requested", "refund.succeeded", "payment.partially_refunded"} {
		if !slices.Contains(types, want) {
			t.Errorf("%s is not among %v", want, types)
		}
	}
	if strings.Contains(string(told.Raw), uuid.Nil.String()) {
		t.Errorf("an event names what there is not: %s", told.Raw)
	}
	if strings.Contains(string(w.As(w.Owner).Get(one(id, "")).Expect(http.StatusOK).Raw), "first_payment") {
		t.Error("nobody who is known has a first payment")
	}
}
