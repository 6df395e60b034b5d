package invoices_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// during gives the shop for one input of a fuzz test, whose lifetime is shorter than the shop's.
func (s *shop) during(t *testing.T) *shop {
	p, _ := auth.From(s.ctx)
	shop := *s
	shop.t, shop.ctx = t, tenancy.Enter(t.Context(), p)
	return &shop
}

// wellAnswered fails for what no input may cause: an internal error, or a refusal without a code.
func wellAnswered(t *testing.T, a testkit.Answer, input string) {
	t.Helper()
	if a.Status >= 500 || a.Status >= 400 && a.Text("code") == "" {
		t.Errorf("%d for %q: %s", a.Status, input, a.Raw)
	}
}

// sameWhenRead fails when an invoice is read otherwise than it was answered when it was written.
func (s *shop) sameWhenRead(a testkit.Answer) {
	s.t.Helper()
	again := s.owner().Get(path + a.Text("data.id") + "/").Expect(http.StatusOK)
	for _, field := range []string{"invoice_date", "due_date", "total_amount", "currency", "invoice_number", "external_id", "notes"} {
		if a.At("data."+field) != again.At("data."+field) {
			s.t.Errorf("%s: stored %s, read %s", field, a.Raw, again.Raw)
		}
	}
}

// bodies are requests as people get them wrong.
var bodies = []string{`{}`, `{"account_id":"billing-acc-123","line_items":[{"description":"x","quantity":1,"unit_price":1}]}`,
	`{"accountId":"billing-acc-123","lineItems":[{"description":"x","quantity":"1e400","unitPrice":-0}],"invoiceDate":"0000-00-00"}`,
	`{"account_id":"billing-acc-123","line_items":[{"description":"x","quantity":0.000001,"unit_price":"00000000000000000000.1","tax_rate":1.0}],"due_date":"9999-12-31"}`,
	`{"account_id":"billing-acc-123","invoice_date":"9999-12-31","line_items":[{"description":"x","quantity":1,"unit_price":1}]}`,
	`{"account_id":"billing-acc-123","invoice_date":"0001-01-01","line_items":[{"description":"x","quantity":1,"unit_price":1}]}`,
	`{"account_id":"billing-acc-123","external_id":"a\u0000b","line_items":[null]}`, `[`, `{"line_items":{}}`,
	`{"account_id":"billing-acc-123","line_items":[{"description":"x","quantity":1000,"unit_price":"10000000000","discount_amount":"10000000000000.00","credits":1000000000000},{"description":"x","quantity":1,"unit_price":0,"credits":1}]}`,
	`{"line_items":[{"description":"x","quantity":"99999999999999.999999","unit_price":"99999999999999.999999","discount_amount_minor":9223372036854775807}]}`,
	`{"currency":"jpy","line_items":[{"description":"x","quantity":3,"unit_price":"0.5","tax_rate":"0.999999","total_price":"2","tax_amount":"1"}],"total_amount":"-1"}`,
	`{"invoice_number":"INV-2026-000001"}`, `{"invoice_number":"ACME-0000-9999999","notes":"\ud800"}`, `{"external_id":"","invoice_number":"","notes":null}`}

// FuzzCreate sends any body at all: it is refused or stored, and never an internal error.
func FuzzCreate(f *testing.F) {
	s := newShop(f)
	for _, body := range bodies {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		shop := s.during(t)
		a := shop.owner().Post(path, body)
		wellAnswered(t, a, body)
		if a.Status == http.StatusCreated {
			shop.sameWhenRead(a)
		}
	})
}

// FuzzUpdate does the same to a draft, which a refusal leaves as it was.
func FuzzUpdate(f *testing.F) {
	s := newShop(f)
	draft := path + s.draft([]map[string]any{line("10.25", "tax_rate", "0.15", "credits", 7)}).String() + "/"
	for _, body := range bodies {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		shop := s.during(t)
		before := shop.owner().Get(draft).Raw
		a := shop.owner().Patch(draft, body)
		wellAnswered(t, a, body)
		if a.Status == http.StatusOK {
			shop.sameWhenRead(a)
			return
		}
		if after := shop.owner().Get(draft); data(after.Raw) != data(before) {
			t.Errorf("the refusal of %q has changed %s into %s", body, before, after.Raw)
		}
	})
}

// data is an answer without the id of its request.
func data(raw []byte) string {
	text, _, _ := strings.Cut(string(raw), `"request_id"`)
	return text
}

// FuzzVoid sends any reason for an invoice that cannot be voided.
func FuzzVoid(f *testing.F) {
	s := newShop(f)
	id := s.open("10")
	s.addClaim(id)
	for _, body := range []string{`{}`, `{"reason":"x"}`, `{"reason":"\u0000"}`, `{"reason":null}`, `[]`, `{"reason":"` + strings.Repeat("x", 501) + `"}`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		a := s.during(t).owner().Post(path+id.String()+"/void/", body)
		wellAnswered(t, a, body)
		if a.Status < 400 {
			t.Errorf("an invoice with a claim was voided by %q", body)
		}
	})
}

// FuzzList sends any value for any parameter of the list.
func FuzzList(f *testing.F) {
	s := newShop(f)
	s.open("10")
	for _, name := range []string{"status", "overdue", "account", "currency", "due_after", "due_before", "created_after", "created_before", "search", "ordering", "page", "page_size", "cursor", "x"} {
		for _, value := range []string{"", "true", "paid", "usd", "2026-01-31", "0000-01-01", "9999-12-31", "2026-01-31T00:00:00+23:59", "-due_date", "1", "0", "99999999999999999999", "\x00", "\xff", "%", "INV-", "billing-acc-123",
			"eyJ0IjoiMDAwMC0wMS0wMVQwMDowMDowMFoiLCJpIjoiMDE5MDAwMDAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAxIn0"} {
			f.Add(name, value)
		}
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		query := url.Values{name: {value}}.Encode()
		wellAnswered(t, s.during(t).owner().Get(path+"?"+query), query)
	})
}

// FuzzReference sends any text as the id of an invoice.
func FuzzReference(f *testing.F) {
	s := newShop(f)
	id := s.draft([]map[string]any{line("1")}, "external_id", "order-7")
	for _, ref := range []string{id.String(), "order-7", "", ".", "..", "a/b", "\x00", "\xff", "%2F", uuid.Nil.String(), strings.Repeat("x", 500)} {
		f.Add(ref)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		a := s.during(t).owner().Get(path + url.PathEscape(ref) + "/balance/")
		wellAnswered(t, a, ref)
		if a.Status == http.StatusOK && a.Text("data.invoice_id") != id.String() {
			t.Errorf("%q is %s", ref, a.Raw)
		}
	})
}
