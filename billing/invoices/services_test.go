package invoices_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"countersign/accounts"
	"countersign/internal/testkit"
)

const path = "/billing/invoices/"

func TestCreate(t *testing.T) {
	t.Parallel()
	t.Run("gives the seed's totals, dates by the tenant's terms, and no number yet", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		a := s.owner().Post(path, `{"accountId":"billing-acc-123","patientId":"p-1","currency":"BDT","status":"DRAFT","externalId":"inv-1","lineItems":[
			{"serviceType":"CONSULTATION","serviceId":"GOPD-001","description":"General OPD Consultation","quantity":1,"unitPrice":500.00,"taxRate":0.15,"billingCode":"GOPD_CONSULT"},
			{"serviceType":"LABORATORY","serviceId":"LAB-001","description":"Complete Blood Count","quantity":"1.0","unitPrice":300.00,"taxRate":"0.15","credits":7}]}`).Expect(http.StatusCreated)
		want := map[string]any{"status": "draft", "currency": "BDT", "external_id": "inv-1", "invoice_number": nil, "invoice_date": "2026-01-21", "due_date": "2026-02-20",
			"is_overdue": false, "subtotal_amount": "800.00", "discount_amount": "0.00", "tax_amount": "120.00", "total_amount": "920.00", "paid_amount": "0.00",
			"balance_amount": "920.00", "account_id": s.account.ID.String(), "payments": []any{}, "insurance_claims": []any{}, "finalized_at": nil}
		got := map[string]any{}
		for field := range want {
			got[field] = a.At("data." + field)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if a.Int("data.total_amount_minor") != 92000 || a.Int("data.credits") != 7 {
			t.Errorf("minor units or credits are wrong: %s", a.Raw)
		}
		wantLine := map[string]string{"service_type": "CONSULTATION", "service_id": "GOPD-001", "billing_code": "GOPD_CONSULT", "quantity": "1", "unit_price": "500.00",
			"total_price": "500.00", "currency": "BDT", "tax_rate": "0.15", "tax_amount": "75.00", "line_total": "575.00"}
		for field, value := range wantLine {
			if got := a.Text("data.line_items.0." + field); got != value {
				t.Errorf("line_items.0.%s is %s, want %s", field, got, value)
			}
		}
		if _, warned := a.At("data").(map[string]any)["warnings"]; warned {
			t.Error("nothing was to be warned of")
		}
		again := s.owner().Get(path + "inv-1/").Expect(http.StatusOK)
		if diff := cmp.Diff(a.At("data"), again.At("data")); diff != "" {
			t.Errorf("reading it gives something else: %s", diff)
		}
		if diff := cmp.Diff([]string{"invoice.created"}, s.events()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("warns of totals that differ and refuses them when asked to be strict", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		lines := []map[string]any{line("500", "tax_rate", "0.15", "total_price", 500, "tax_amount", "75.00"), line("300", "tax_rate", "0.15", "tax_amount", "45.01")}
		body := s.body(lines, "total_amount", 800.00, "balance_amount", "800.00", "paid_amount", 0)
		a := s.owner().Post(path, body).Expect(http.StatusCreated)
		var fields []string
		for _, w := range a.List("data.warnings") {
			fields = append(fields, w.(map[string]any)["field"].(string))
		}
		if diff := cmp.Diff([]string{"line_items.1.tax_amount", "total_amount", "balance_amount"}, fields); diff != "" {
			t.Error(diff)
		}
		if a.Text("data.warnings.1.given") != "800.00" || a.Text("data.warnings.1.computed") != "920.00" || a.Text("data.total_amount") != "920.00" {
			t.Errorf("%s", a.Raw)
		}
		refused := s.owner().With("Prefer", "return=minimal, handling=strict").Post(path, body).Refused(http.StatusBadRequest, "totals_differ")
		if _, ok := refused.At("errors").(map[string]any)["total_amount"]; !ok {
			t.Errorf("the field is not named: %s", refused.Raw)
		}
		if diff := cmp.Diff([]string{"invoice.created"}, s.events()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("writes amounts with the digits of their currency", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		for currency, want := range map[string]string{"EUR": "1234.50", "JPY": "1235", "KWD": "1234.500"} {
			a := s.owner().Post(path, s.body([]map[string]any{line("1234.5")}, "currency", strings.ToLower(currency))).Expect(http.StatusCreated)
			if got := a.Text("data.total_amount"); got != want {
				t.Errorf("%s: got %s, want %s", currency, got, want)
			}
		}
	})
	t.Run("reads a discount in either form", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		for _, l := range []map[string]any{line("500", "tax_rate", "0.15", "discount_amount", "50.00"), line("500", "tax_rate", "0.15", "discount_amount_minor", 5000),
			line("500", "tax_rate", "0.15", "discount_amount_minor", 5000, "discount_amount", 50)} {
			a := s.owner().Post(path, s.body([]map[string]any{l})).Expect(http.StatusCreated)
			if got := a.Text("data.total_amount"); got != "517.50" {
				t.Errorf("got %s", got)
			}
		}
	})
	t.Run("keeps a client's number", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.draft([]map[string]any{line("1")}, "invoice_number", "INV-2026-0001")
		a := s.owner().Post(path+id.String()+"/finalize/", "").Expect(http.StatusOK)
		if got := a.Text("data.invoice_number"); got != "INV-2026-0001" {
			t.Errorf("got %s", got)
		}
		s.owner().Post(path, s.body([]map[string]any{line("1")}, "invoice_number", "INV-2026-0001")).Refused(http.StatusConflict, "invoice_number_taken")
	})
	t.Run("is done once for a key and refuses the key for another body", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		c := s.owner().With("Idempotency-Key", "k-1")
		body := s.body([]map[string]any{line("10")}, "total_amount", "11")
		first := c.Post(path, body).Expect(http.StatusCreated)
		second := c.Post(path, body).Expect(http.StatusCreated)
		if diff := cmp.Diff(first.At("data"), second.At("data")); diff != "" || second.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("not a replay: %s", diff)
		}
		c.Post(path, s.body([]map[string]any{line("11")})).Refused(http.StatusConflict, "idempotency_key_reused")
		if got := s.owner().Get(path).Int("count"); got != 1 {
			t.Errorf("%d invoices", got)
		}
	})
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.draft([]map[string]any{line("1")}, "external_id", "taken")
	idle := s.newAccount(accounts.CreateAccountInput{Holder: "Idle", Inactive: true})
	neighbour := newShop(t)
	ok := []map[string]any{line("1")}
	lines := func(l map[string]any) map[string]any { return s.body([]map[string]any{l}) }
	tests := []struct {
		name   string
		body   any
		status int
		code   string
		field  string // whose error must be there
	}{
		{"no lines", s.body([]map[string]any{}), 400, "validation_failed", "line_items"},
		{"501 lines", s.body(slices.Repeat(ok, 501)), 400, "validation_failed", "line_items"},
		{"a line without description", lines(line("1", "description", "")), 400, "validation_failed", "line_items.0.description"},
		{"a quantity of nothing", lines(line("1", "quantity", 0)), 400, "validation_failed", "line_items.0.quantity"},
		{"a negative quantity", lines(line("1", "quantity", -1)), 400, "validation_failed", "line_items.0.quantity"},
		{"an exponent", s.body([]map[string]any{line("1"), line("1e3")}), 400, "validation_failed", "line_items.1.unit_price"},
		{"a quantity with seven digits", lines(line("1", "quantity", "0.0000001")), 400, "validation_failed", "line_items.0.quantity"},
		{"a negative price", lines(line("-1")), 400, "validation_failed", "line_items.0.unit_price"},
		{"a discount above the net amount", lines(line("500", "discount_amount", "600")), 400, "validation_failed", "line_items.0.discount_amount"},
		{"a negative discount", lines(line("500", "discount_amount", "-1")), 400, "validation_failed", "line_items.0.discount_amount"},
		{"a negative discount in minor units", lines(line("500", "discount_amount_minor", -1)), 400, "validation_failed", "line_items.0.discount_amount"},
		{"a discount with too many digits", lines(line("500", "discount_amount", "0.001")), 400, "validation_failed", "line_items.0.discount_amount"},
		{"two forms of a discount that differ", lines(line("500", "discount_amount", "1", "discount_amount_minor", 1)), 400, "validation_failed", "line_items.0.discount_amount"},
		{"a rate in per cent", lines(line("500", "tax_rate", "15")), 400, "validation_failed", "line_items.0.tax_rate"},
		{"a negative rate", lines(line("500", "tax_rate", "-0.1")), 400, "validation_failed", "line_items.0.tax_rate"},
		{"negative credits", lines(line("500", "credits", -1)), 400, "validation_failed", "line_items.0.credits"},
		{"credits that overflow", s.body([]map[string]any{line("1", "credits", "9223372036854775807"), line("1")}), 400, "validation_failed", "line_items.0.credits"},
		{"an amount that overflows", lines(line("99999999999999", "quantity", "99999999999999")), 400, "validation_failed", "line_items.0.unit_price"},
		{"a sum that overflows", s.body(slices.Repeat([]map[string]any{line("60000000000000", "quantity", 1000)}, 2)), 400, "invoice_too_large", "line_items"},
		{"an amount above what an invoice may be", lines(line("10000000000000.01")), 400, "invoice_too_large", "line_items"},
		{"tax that leads above it", lines(line("9000000000000", "tax_rate", "0.15")), 400, "invoice_too_large", "line_items"},
		{"such an amount behind a discount", lines(line("20000000000000", "discount_amount", "20000000000000")), 400, "invoice_too_large", "line_items"},
		{"more credits than an invoice may grant", s.body([]map[string]any{line("1", "credits", 1_000_000_000_000), line("1", "credits", 1)}), 400, "too_many_credits", "line_items"},
		{"a client total that is no number", s.body(ok, "total_amount", "much"), 400, "validation_failed", "total_amount"},
		{"a status beyond draft", s.body(ok, "status", "PAID"), 400, "initial_status", "status"},
		{"a due date before the invoice's", s.body(ok, "invoice_date", "2026-01-21", "due_date", "2026-01-20"), 400, "due_before_invoice_date", "due_date"},
		{"a day that does not exist", s.body(ok, "due_date", "2026-02-30"), 400, "validation_failed", "due_date"},
		{"the year 0", s.body(ok, "invoice_date", "0000-01-01"), 400, "validation_failed", "invoice_date"},
		{"a year long past", s.body(ok, "invoice_date", "1899-12-31"), 400, "validation_failed", "invoice_date"},
		{"a due date in the year 0", s.body(ok, "due_date", "0000-12-31"), 400, "validation_failed", "due_date"},
		{"a due date after the year 9999", s.body(ok, "invoice_date", "9999-12-31"), 400, "invalid_date", "due_date"},
		{"an unknown currency", s.body(ok, "currency", "XXZ"), 400, "unknown_currency", "currency"},
		{"a number of our own series", s.body(ok, "invoice_number", "INV-2026-000001"), 400, "invoice_number_reserved", "invoice_number"},
		{"a number of a series that may come", s.body(ok, "invoice_number", "X9-2031-1234567"), 400, "invoice_number_reserved", "invoice_number"},
		{"an unknown account", s.body(ok, "account_id", "nobody"), 400, "unknown_account", "account_id"},
		{"a neighbour's account", s.body(ok, "account_id", neighbour.account.ID.String()), 400, "unknown_account", "account_id"},
		{"another patient", s.body(ok, "patient_id", "p-2"), 400, "patient_mismatch", "patient_id"},
		{"an inactive account", s.body(ok, "account_id", idle.ID.String()), 409, "account_inactive", ""},
		{"an external id that is taken", s.body(ok, "external_id", "taken"), 409, "external_id_taken", ""},
		{"an unknown field", s.body(ok, "discount", 1), 400, "validation_failed", "discount"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := s.owner().Post(path, tt.body).Refused(tt.status, tt.code)
			if tt.field == "" {
				return
			}
			if _, ok := a.At("errors").(map[string]any)[tt.field]; !ok {
				t.Errorf("%s is not blamed: %s", tt.field, a.Raw)
			}
		})
	}
	if got := s.owner().Get(path).Int("count"); got != 1 {
		t.Errorf("the refusals left %d invoices behind", got-1)
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	t.Run("replaces lines as a whole and leaves the rest", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.draft([]map[string]any{line("1"), line("2")}, "external_id", "x-1", "notes", "keep")
		a := s.owner().Patch(path+"x-1/", map[string]any{"line_items": []map[string]any{line("7.5", "quantity", "1.5")}, "due_date": "2026-03-01", "total_amount": "11.00"}).Expect(http.StatusOK)
		if a.Text("data.id") != id.String() || a.Text("data.total_amount") != "11.25" || len(a.List("data.line_items")) != 1 || a.Text("data.due_date") != "2026-03-01" ||
			a.Text("data.notes") != "keep" || a.Text("data.external_id") != "x-1" || a.Text("data.warnings.0.computed") != "11.25" {
			t.Errorf("%s", a.Raw)
		}
		if diff := cmp.Diff([]string{"invoice.created", "invoice.updated"}, s.events()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("clears texts and compares totals with the lines that stay", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.draft([]map[string]any{line("10", "discount_amount", "1", "tax_rate", "0.1")}, "external_id", "x-1", "invoice_number", "MINE-1")
		a := s.owner().Patch(path+id.String()+"/", map[string]any{"external_id": "", "invoice_number": "", "total_amount": "9.90"}).Expect(http.StatusOK)
		if a.At("data.external_id") != nil || a.At("data.invoice_number") != nil || len(a.List("data.line_items")) != 1 || a.Text("data.total_amount") != "9.90" {
			t.Errorf("%s", a.Raw)
		}
		s.owner().With("Prefer", "handling=strict").Patch(path+id.String()+"/", map[string]any{"total_amount": "9.91"}).Refused(http.StatusBadRequest, "totals_differ")
	})
	t.Run("changes the currency only with the lines", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.draft([]map[string]any{line("10.25")})
		s.owner().Patch(path+id.String()+"/", map[string]any{"currency": "JPY"}).Refused(http.StatusBadRequest, "currency_needs_lines")
		a := s.owner().Patch(path+id.String()+"/", map[string]any{"currency": "JPY", "line_items": []map[string]any{line("10")}}).Expect(http.StatusOK)
		if a.Text("data.total_amount") != "10" || a.Int("data.total_amount_minor") != 10 {
			t.Errorf("%s", a.Raw)
		}
	})
	t.Run("refuses a finalised invoice", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.open("10")
		s.owner().Patch(path+id.String()+"/", map[string]any{"notes": "late"}).Refused(http.StatusConflict, "invoice_not_draft")
	})
	t.Run("refuses no lines, a due date before the invoice's, and numbers that are reserved or taken", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.draft([]map[string]any{line("1")}, "external_id", "x-1", "invoice_number", "MINE-1")
		at := path + s.draft([]map[string]any{line("10")}).String() + "/"
		s.owner().Patch(at, map[string]any{"line_items": []any{}}).Refused(http.StatusBadRequest, "validation_failed")
		s.owner().Patch(at, map[string]any{"due_date": "2025-01-01"}).Refused(http.StatusBadRequest, "due_before_invoice_date")
		s.owner().Patch(at, map[string]any{"invoice_number": "INV-2026-1234567"}).Refused(http.StatusBadRequest, "invoice_number_reserved")
		s.owner().Patch(at, map[string]any{"line_items": []any{line("10000000000000.01")}}).Refused(http.StatusBadRequest, "invoice_too_large")
		s.owner().Patch(at, map[string]any{"line_items": []any{line("1", "credits", 1_000_000_000_000), line("1", "credits", 1)}}).Refused(http.StatusBadRequest, "too_many_credits")
		s.owner().Patch(at, map[string]any{"due_date": "0001-01-01"}).Refused(http.StatusBadRequest, "validation_failed")
		s.owner().Patch(at, map[string]any{"invoice_number": "MINE-1"}).Refused(http.StatusConflict, "invoice_number_taken")
		s.owner().Patch(at, map[string]any{"external_id": "x-1"}).Refused(http.StatusConflict, "external_id_taken")
	})
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.open("10")
	for _, role := range []string{"viewer", "member"} {
		account := uuid.Nil
		if role == "member" {
			account = s.account.ID
		}
		c := s.client(s.as(role, account))
		c.Get(path + id.String() + "/").Expect(http.StatusOK)
		for _, a := range []testkit.Answer{c.Post(path, s.body([]map[string]any{line("1")})), c.Patch(path+id.String()+"/", map[string]any{"notes": "x"}),
			c.Post(path+id.String()+"/finalize/", ""), c.Post(path+id.String()+"/void/", map[string]any{"reason": "x"})} {
			a.Expect(http.StatusForbidden)
		}
	}
}
