package payments_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
)

// TestSharedKeys has two people send one request under one key: it has one effect, and both get its answer (S1-13, S1-47).
func TestSharedKeys(t *testing.T) {
	t.Parallel()
	w := charged(t)
	w.Finance.Token() // signing in writes to the audit log
	held, released := hold(t, w, "tok_visa"), hold(t, w, "tok_visa")
	paid := idOf(w.As(w.Member).Post(charges, order("tok_visa")).Expect(http.StatusCreated))
	for name, tt := range map[string]struct {
		path string
		body any
	}{
		"a charge":  {charges, order("tok_visa", "idempotency_key", nil)},
		"a capture": {one(held, "capture/"), body()},
		"a release": {one(released, "release/"), ""},
		"a refund":  {one(paid, "refund/"), body("amount", "1.00", "reason", "duplicate")},
		"cash":      {list, cash(w, "account_id", nil)},
		"a claim":   {list, cash(w, "gateway", "manual", "invoice_id", w.OpenInvoice("10.00").ID.String())},
	} {
		key := uuid.NewString()
		first := w.As(w.Owner).With("Idempotency-Key", key).Post(tt.path, tt.body)
		if first.Status >= 300 {
			t.Fatalf("%s: %d %s", name, first.Status, first.Raw)
		}
		before := w.Snapshot()
		same(t, first, w.As(w.Finance).With("Idempotency-Key", key).Post(tt.path, tt.body))
		unchanged(t, w, before)
	}

	in := order("tok_visa")
	mine := w.As(w.Member).Post(charges, in).Expect(http.StatusCreated)
	w.OtherMember.Token()
	before := w.Snapshot()
	same(t, mine, w.As(w.Owner).Post(charges, in))
	w.As(w.OtherMember).Post(charges, in).Refused(http.StatusConflict, "idempotency_key_reused")
	unchanged(t, w, before)
	w.AssertBooks(t)
}

// What two people decide stays apart: one's verdict is no answer to the other's.
func TestKeysOfDecisions(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	id := w.Submit(w.OpenInvoice("10.00").ID).ID
	verdict := body("digest", w.Digest(id))
	w.As(w.Approver).With("Idempotency-Key", "k").Post(one(id, "approve/"), verdict).Expect(http.StatusOK)
	w.As(w.Owner).With("Idempotency-Key", "k").Post(one(id, "approve/"), verdict).Refused(http.StatusConflict, "payment_not_pending")
}
