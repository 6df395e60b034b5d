package payments_test

import (
	"bytes"
	"encoding/json"
	"image/png"
	"mime/multipart"
	"net/http"
	"testing"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/internal/testkit"
)

// Every request asks once who calls. Then everything that is asked together travels together: BEGIN with the first
// statement, what is written with COMMIT.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	request := func(p *billingtest.Person, method, path, contentType string, body []byte, key string, status int) int64 {
		t.Helper()
		client := w.As(p) // who signs in is not counted
		ctx, trips := testkit.Count(t.Context())
		r, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if body != nil {
			r.Header.Set("Content-Type", contentType)
		}
		if key != "" {
			r.Header.Set("Idempotency-Key", key)
		}
		client.Do(r).Expect(status)
		return trips.Load()
	}
	get := func(p *billingtest.Person, path string) int64 {
		return request(p, http.MethodGet, path, "", nil, "", http.StatusOK)
	}
	post := func(p *billingtest.Person, path string, body map[string]any, key string, status int) int64 {
		t.Helper()
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		return request(p, http.MethodPost, path, "application/json", raw, key, status)
	}
	claim := func(inv *invoices.Invoice) map[string]any {
		return body("invoice_id", inv.ID.String(), "payment_method", "bank_transfer", "transaction_reference", w.Reference())
	}
	with := func(inv *invoices.Invoice) (contentType string, form []byte) {
		var buf bytes.Buffer
		m := multipart.NewWriter(&buf)
		for name, value := range claim(inv) {
			if err := m.WriteField(name, value.(string)); err != nil {
				t.Fatal(err)
			}
		}
		part, err := m.CreateFormFile("evidence", "receipt.png")
		if err != nil {
			t.Fatal(err)
		}
		part.Write(picture(t, 77, png.DefaultCompression))
		m.Close()
		return m.FormDataContentType(), buf.Bytes()
	}
	inv := w.OpenInvoice("10.00")

	got := map[string]int64{
		"the methods of an account": get(w.Member, base+"/payment-methods/available/"),
		"a submission":              post(w.Member, list+"manual/", claim(inv), "a-key", http.StatusCreated),
	}
	got["a second one for the same invoice"] = post(w.Member, list+"manual/", claim(inv), "", http.StatusConflict)
	kind, form := with(w.OpenInvoice("10.00"))
	got["a submission with a receipt"] = request(w.Member, http.MethodPost, list+"manual/", kind, form, "", http.StatusCreated)
	p := w.Submit(w.OpenInvoice("10.00").ID)
	got["the status of a payment"] = get(w.Member, one(p.ID, "status/"))
	got["a payment, for its customer"] = get(w.Member, one(p.ID, ""))
	got["a payment, for who decides"] = get(w.Approver, one(p.ID, ""))
	got["a page of payments"] = get(w.Viewer, list+"?cursor=")
	got["a page of payments, counted"] = get(w.Viewer, list)
	digest := w.Digest(p.ID)
	got["an approval of something else"] = post(w.Approver, one(p.ID, "approve/"), body("digest", w.Digest(w.Submit(w.OpenInvoice("1.00").ID).ID)), "", http.StatusConflict)
	got["an approval"] = post(w.Approver, one(p.ID, "approve/"), body("digest", digest), "another-key", http.StatusOK)
	got["an approval, repeated"] = post(w.Approver, one(p.ID, "approve/"), body("digest", digest), "another-key", http.StatusOK)
	q := w.Submit(w.OpenInvoice("10.00").ID)
	got["a refusal"] = post(w.Approver, one(q.ID, "reject/"), body("digest", w.Digest(q.ID), "reason", "not there"), "", http.StatusOK)
	ctx, trips := testkit.Count(w.System)
	if err := w.Payments.Settle(ctx); err != nil {
		t.Fatal(err)
	}
	got["a settlement of a set of any size"] = trips.Load()
	equal(t, "round trips", got, map[string]int64{
		"the methods of an account":         2, // who calls; account and methods
		"a submission":                      4, // who calls; lock the invoice; what the checks need; write
		"a submission with a receipt":       5, // and the receipt's row
		"a second one for the same invoice": 4, // as many, and nothing written
		"an approval":                       4, // who calls; lock the payment, with what its id leads to; the other facts; write
		"an approval, repeated":             3, // who calls; lock, with the answer; end
		"an approval of something else":     4, // as many, and nothing written
		"a refusal":                         4,
		"a settlement of a set of any size": 4, // claim, lock the invoices, apply, post, finish, write; and nothing is left
		"the status of a payment":           2,
		"a payment, for its customer":       3, // who calls; the payment; its invoice
		"a payment, for who decides":        3,
		"a page of payments":                5, // who calls; begin; the page; their invoices; end
		"a page of payments, counted":       6,
	})
}
