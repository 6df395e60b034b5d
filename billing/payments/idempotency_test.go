package payments_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/internal/testkit"
)

func TestIdempotency(t *testing.T) { // S1-35, S1-42 to S1-47
	t.Parallel()
	w := billingtest.New(t)
	inv := w.OpenInvoice("10.00")
	request := claim(w, inv.ID)
	keyed := func(p *billingtest.Person, key string) *testkit.Client { return w.As(p).With("Idempotency-Key", key) }
	first := keyed(w.Member, "k-1").Post(list+"manual/", request).Expect(http.StatusCreated)
	equal(t, "first time", first.Header.Get("Idempotent-Replayed"), "")

	// replay expects the same answer from the same call, byte by byte apart from the request id, and nothing done.
	replay := func(t *testing.T, first testkit.Answer, call func() testkit.Answer) {
		t.Helper()
		before := w.Snapshot()
		again := call()
		equal(t, "status", again.Status, first.Status)
		equal(t, "header", again.Header.Get("Idempotent-Replayed"), "true")
		equal(t, "bytes", withoutID(again), withoutID(first))
		unchanged(t, w, before)
	}
	t.Run("the same key and body", func(t *testing.T) { // S1-43
		replay(t, first, func() testkit.Answer { return keyed(w.Member, "k-1").Post(list+"manual/", request) })
	})
	t.Run("the same in camelCase is the same body", func(t *testing.T) {
		replay(t, first, func() testkit.Answer {
			return keyed(w.Member, "k-1").Post(list+"manual/", body("invoiceId", request["invoice_id"], "paymentMethod", request["payment_method"],
				"transactionReference", request["transaction_reference"], "notes", request["notes"]))
		})
	})
	t.Run("another body", func(t *testing.T) { // S1-44
		before := w.Snapshot()
		keyed(w.Member, "k-1").Post(list+"manual/", claim(w, inv.ID, "amount", "1.00")).Refused(http.StatusConflict, "idempotency_key_reused")
		unchanged(t, w, before)
	})
	t.Run("another account's key is another key", func(t *testing.T) { // S1-47
		theirs := w.OpenInvoice("10.00", func(in *invoices.CreateInput) { in.Account = w.Other.ID.String() })
		equal(t, "replayed", keyed(w.OtherMember, "k-1").Post(list+"manual/", claim(w, theirs.ID)).Expect(http.StatusCreated).Header.Get("Idempotent-Replayed"), "")
	})
	t.Run("staff's key is another key", func(t *testing.T) {
		keyed(w.Finance, "k-1").Post(list+"manual/", claim(w, w.OpenInvoice("10.00").ID)).Expect(http.StatusCreated)
	})
	t.Run("another tenant's key is another key", func(t *testing.T) { // S1-47
		n := billingtest.New(t)
		n.As(n.Member).With("Idempotency-Key", "k-1").Post(list+"manual/", claim(n, n.OpenInvoice("10.00").ID)).Expect(http.StatusCreated)
	})
	t.Run("decisions and withdrawals", func(t *testing.T) {
		id := idOf(first)
		decision := body("digest", w.Digest(id))
		approved := keyed(w.Approver, "d-1").Post(one(id, "approve/"), decision).Expect(http.StatusOK)
		replay(t, approved, func() testkit.Answer { return keyed(w.Approver, "d-1").Post(one(id, "approve/"), decision) })
		w.SettleAll() // and later, whatever became of it
		replay(t, approved, func() testkit.Answer { return keyed(w.Approver, "d-1").Post(one(id, "approve/"), decision) })
		other := w.Submit(w.OpenInvoice("10.00").ID).ID
		keyed(w.Approver, "d-1").Post(one(other, "approve/"), body("digest", w.Digest(other))).Refused(http.StatusConflict, "idempotency_key_reused")

		refused := body("digest", w.Digest(other), "reason", "no")
		rejected := keyed(w.Approver, "d-1").Post(one(other, "reject/"), refused).Expect(http.StatusOK) // another operation
		replay(t, rejected, func() testkit.Answer { return keyed(w.Approver, "d-1").Post(one(other, "reject/"), refused) })

		third := w.Submit(w.OpenInvoice("10.00").ID).ID
		withdrawn := keyed(w.Member, "c-1").Post(one(third, "cancel/"), "").Expect(http.StatusOK)
		replay(t, withdrawn, func() testkit.Answer { return keyed(w.Member, "c-1").Post(one(third, "cancel/"), "") })
	})
	t.Run("a form with files", func(t *testing.T) {
		form := map[string]string{"invoice_id": w.OpenInvoice("10.00").ID.String(), "payment_method": "bank_transfer", "reference": w.Reference()}
		send := func(content string) testkit.Answer {
			return keyed(w.Member, "f-1").PostFile(list+"manual/", "evidence", "r.pdf", pdf(content), form)
		}
		sent := send("one").Expect(http.StatusCreated)
		replay(t, sent, func() testkit.Answer { return send("one") })
		send("two").Refused(http.StatusConflict, "idempotency_key_reused")
	})
	t.Run("a refused request leaves its key free", func(t *testing.T) { // S1-35
		c, id := keyed(w.Member, "r-1"), w.OpenInvoice("10.00").ID
		c.Post(list+"manual/", claim(w, id, "amount", "-1")).Refused(http.StatusBadRequest, "amount_not_positive")
		c.Post(list+"manual/", claim(w, id)).Expect(http.StatusCreated)
	})
	t.Run("a key that is none", func(t *testing.T) {
		for _, key := range []string{"", " ", "a b", "schlüssel"} {
			w.As(w.Member).With("Idempotency-Key", key).Post(list+"manual/", claim(w, uuid.New())).Refused(http.StatusBadRequest, "invalid_idempotency_key")
		}
	})
	w.AssertBooks(t)
}

// withoutID is an answer's text with its request id blanked.
func withoutID(a testkit.Answer) string {
	return strings.ReplaceAll(string(a.Raw), a.Text("request_id"), "…")
}
