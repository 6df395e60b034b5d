package payments_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/payments"
)

// Who has asked for a refund so slowly that his lease is somebody else's by now touches nothing of it.
func TestOvertakenRefund(t *testing.T) {
	t.Parallel()
	w := charged(t)
	p := chargeOf(w, "tok_refund_timeout")
	var theirs time.Time
	slow := pausing(w, func(_ context.Context, point string) {
		if strings.HasPrefix(point, "2") && theirs.IsZero() {
			theirs = w.Clock.Now().Add(5 * time.Minute).UTC().Truncate(time.Microsecond)
			force(t, "UPDATE refunds SET busy_until = ? WHERE tenant_id = ? AND payment_id = ?", theirs, w.Tenant.ID, p)
		}
	})
	reply, err := slow.Refund(w.Owner.Ctx, refundInput(p, keyOf(t, w, "refund", "x")))
	if err != nil || reply.HTTP != http.StatusAccepted {
		t.Fatal(reply.HTTP, err)
	}
	equal(t, "still theirs", count(t, "SELECT count(*) FROM refunds WHERE tenant_id = ? AND payment_id = ? AND busy_until = ?", w.Tenant.ID, p, theirs), 1)
	w.Clock.Move(10 * time.Minute)
	resumeRefunds(t, w)
	equal(t, "refunded", w.Payment(p).RefundedMinor, int64(400))
	equal(t, "calls", calls(t, w, p, "refund"), 1)
	w.AssertBooks(t)
}

// A refund that cannot be asked for, because the program cannot read its payment, holds back no other of the tenant's.
func TestSweepOfRefunds(t *testing.T) {
	t.Parallel()
	w := charged(t)
	lost, other := chargeOf(w, "tok_refund_timeout"), chargeOf(w, "tok_refund_timeout")
	for _, p := range []uuid.UUID{lost, other} {
		refundOf(w, w.Owner, p).Expect(http.StatusAccepted)
	}
	force(t, "UPDATE payments SET currency = 'ZZZ' WHERE tenant_id = ? AND id = ?", w.Tenant.ID, lost)
	w.Clock.Move(2 * time.Minute)
	if err := w.Payments.ResumeRefunds(w.System); err != nil {
		t.Fatal(err)
	}
	equal(t, "the other", w.Payment(other).Status, payments.StatusRefunded)
	equal(t, "the lost one waits", count(t, "SELECT count(*) FROM refunds WHERE tenant_id = ? AND payment_id = ? AND next_ask_at > ? AND busy_until IS NULL", w.Tenant.ID, lost, w.Clock.Now()), 1)
}
