package payments

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"

	"countersign/billing/decisions"
	"countersign/billing/money"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
)

// refusal fails the test unless err is one that a caller can act on.
func refusal(t *testing.T, text string, err error) {
	t.Helper()
	if e := errs.As(err); e == nil || web.Status(e.Kind) >= 500 {
		t.Fatalf("%q: %v", text, err)
	}
}

func decodeJSON(text string, dst any) error {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text))
	r.Header.Set("Content-Type", "application/json")
	return web.Decode(r, dst)
}

// storable says whether PostgreSQL takes a text of at most so many characters.
func storable(text string, limit int) bool {
	return utf8.ValidString(text) && !strings.ContainsRune(text, 0) && utf8.RuneCountInString(text) <= limit
}

// checkAmount reads an amount in currencies with and without decimals.
func checkAmount(t *testing.T, text string, amount func(money.Currency) (*money.Money, error)) {
	t.Helper()
	if amount == nil {
		return
	}
	for _, currency := range []money.Currency{"USD", "JPY", "KWD"} {
		m, err := amount(currency)
		if err != nil {
			refusal(t, text, err)
			continue
		}
		again, err := money.Parse(m.String(), currency)
		if err != nil || again != *m || m.Currency != currency || m.Minor > maxMinor {
			t.Fatalf("%q is read as %v, and that as %v, %v", text, m, again, err)
		}
	}
}

func checkSubmission(t *testing.T, text string, req SubmitManualRequest) {
	t.Helper()
	in, err := req.input(&idempotency.Once{})
	if err != nil {
		refusal(t, text, err)
		return
	}
	if !in.Method.IsManual() || in.Invoice == "" || in.Reference == "" || !storable(in.Reference, 120) || !storable(in.Notes, 1000) || len(in.Evidence) > 10 {
		t.Fatalf("%q is read as %+v", text, in)
	}
	if !in.PaidAt.IsZero() && (in.PaidAt.Year() < 1900 || in.PaidAt.Year() > 9999) {
		t.Fatalf("%q is paid at %s", text, in.PaidAt)
	}
	for key, value := range in.Details {
		if !slices.Contains(detailKeys(), key) || !storable(value, 200) {
			t.Fatalf("%q has the detail %q: %q", text, key, value)
		}
	}
	checkAmount(t, text, in.Amount)
}

// FuzzSubmitJSON: a submission is refused with what to mend, or holds nothing that cannot be stored.
func FuzzSubmitJSON(f *testing.F) {
	for _, seed := range []string{
		`{"invoice_id":"INV-1","payment_method":"bank_transfer","transaction_reference":"FT-1","amount":"920.00","currency":"USD","paid_at":"2026-01-31T13:45:00Z"}`,
		`{"invoiceId":"x","paymentMethod":"local_wallet","reference":"R","amount_minor":100,"amount":1,"details":{"bank_name":"B","payer_name":7}}`,
		`{"invoice_id":"x","payment_method":"cash","reference":"R","transaction_reference":"S","evidence_ids":["0b5bdb3e-6a53-4a5e-9d2c-3c1c2f5b1f10"],"retry_of":"x"}`,
		`{"amount":1e400,"amount_minor":-0}`, `{"paid_at":"0000-01-01"}`, `[]`, ``,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var req SubmitManualRequest
		if err := decodeJSON(text, &req); err != nil {
			refusal(t, text, err)
			return
		}
		checkSubmission(t, text, req)
	})
}

// FuzzSubmitForm is the same for the fields of a form.
func FuzzSubmitForm(f *testing.F) {
	for _, seed := range []string{"invoice_id=x&payment_method=bank_transfer&reference=R&amount=1.50&amount_minor=150", "invoice_id=x&payment_method=local_wallet&reference=R&evidence_ids=a&evidence_ids=b",
		"amount_minor=%2B1", "details=x&details=y", "paid_at=2026-01-31&currency=usd", "notes=%00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		var req SubmitManualRequest
		if err := web.DecodeForm(values, &req); err != nil {
			refusal(t, query, err)
			return
		}
		checkSubmission(t, query, req)
	})
}

// FuzzDecisionBodies reads every text as an approval, a rejection, an edit and a bulk approval.
func FuzzDecisionBodies(f *testing.F) {
	digest := strings.Repeat("0a", 32)
	for _, seed := range []string{`{"digest":"` + digest + `","note":"n","received_amount":"10.00","received_amount_minor":1000}`, `{"digest":"` + digest + `","reason":"r"}`,
		`{"items":[{"id":"0b5bdb3e-6a53-4a5e-9d2c-3c1c2f5b1f10","digest":"` + digest + `"}],"note":"n"}`, `{"notes":"n"}`, `{"items":[null]}`, `{"received_amount":{}}`, `{}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var approval ApproveRequest
		if err := decodeJSON(text, &approval); err != nil {
			refusal(t, text, err)
		} else {
			checkAmount(t, text, amountOf("received_amount", approval.ReceivedAmount, approval.ReceivedAmountMinor))
			checkDigest(t, approval.Digest)
			if !storable(approval.Note, 1000) {
				t.Fatalf("%q has the note %q", text, approval.Note)
			}
		}
		var rejection RejectRequest
		if err := decodeJSON(text, &rejection); err != nil {
			refusal(t, text, err)
		} else if !storable(rejection.Reason, 1000) {
			t.Fatalf("%q has the reason %q", text, rejection.Reason)
		}
		var edit EditRequest
		if err := decodeJSON(text, &edit); err != nil {
			refusal(t, text, err)
		} else if edit.Notes == nil || !storable(*edit.Notes, 1000) {
			t.Fatalf("%q is read as %+v", text, edit)
		}
		var bulk BulkApproveRequest
		if err := decodeJSON(text, &bulk); err != nil {
			refusal(t, text, err)
			return
		}
		if len(bulk.Items) == 0 || len(bulk.Items) > 100 {
			t.Fatalf("%q names %d payments", text, len(bulk.Items))
		}
		for _, item := range bulk.Items {
			if _, err := uuid.Parse(item.ID); err != nil || item.Digest == "" {
				t.Fatalf("%q has the item %+v", text, item)
			}
		}
	})
}

// checkDigest: a text is no digest, or the digest it is written as.
func checkDigest(t *testing.T, text string) {
	t.Helper()
	if d, ok := decisions.ParseDigest(text); ok && (!strings.EqualFold(d.String(), text) || len(text) != 64) {
		t.Fatalf("%q is read as %s", text, d)
	}
}
