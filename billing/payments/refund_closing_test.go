package payments_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/payments"
	"countersign/internal/testkit"
)

// TestRefundThatNobodyCanFindOut: when its provider may not know a refund's key any more and does not say enough, staff look in its dashboard and
// say here what they have seen. Who has asked for the refund hears of it by his key.
func TestRefundThatNobodyCanFindOut(t *testing.T) {
	t.Parallel()
	unknown := func(t *testing.T, lost string) (w *billingtest.World, g *played, p, id uuid.UUID, key string) {
		t.Helper()
		w, g, p = playing(t)
		g.silent, g.loses = true, lost
		key = uuid.NewString()
		id = idOf(keyedRefund(w, w.Owner, key, p, "amount_minor", 300).Expect(http.StatusAccepted))
		g.loses = ""
		return w, g, p, id, key
	}
	complete := func(w *billingtest.World, id uuid.UUID) testkit.Answer {
		return w.As(w.Finance).Post(refundPath(id, "complete/"), body("payout_reference", "re_seen"))
	}
	cancel := func(w *billingtest.World, id uuid.UUID) testkit.Answer {
		return w.As(w.Finance).Post(refundPath(id, "cancel/"), body())
	}
	t.Run("as long as the same key finds out, nobody else says anything", func(t *testing.T) {
		t.Parallel()
		w, g, p, id, _ := unknown(t, "answer")
		w.Clock.Move(known)
		complete(w, id).Refused(http.StatusConflict, "refund_state")
		cancel(w, id).Refused(http.StatusConflict, "refund_state")
		resume(t, w, 0)
		refundIs(t, w, id, payments.RefundSucceeded)
		equal(t, "given back", g.given, int64(300))
		equal(t, "refunded", w.Payment(p).RefundedMinor, int64(300))
		w.AssertBooks(t)
	})
	t.Run("it is there", func(t *testing.T) {
		t.Parallel()
		w, g, p, id, key := unknown(t, "answer")
		resume(t, w, forgotten)
		refundIs(t, w, id, payments.RefundPending)
		calls := g.calls
		complete(w, id).Expect(http.StatusOK)
		complete(w, id).Refused(http.StatusConflict, "refund_state")
		a := keyedRefund(w, w.Owner, key, p, "amount_minor", 300).Expect(http.StatusCreated)
		equal(t, "the answer to the key", a.Text("data.status"), "succeeded")
		equal(t, "the provider's name", a.Text("data.provider_reference"), "re_seen")
		resume(t, w, forgotten)
		equal(t, "asked again", g.calls-calls, 0)
		equal(t, "refunded", w.Payment(p).RefundedMinor, int64(300))
		g.tell(t, w, p, "refund_failed 300 re_seen") // by that name it is known
		reverseRefund(w, w.Owner, id).Expect(http.StatusOK)
		equal(t, "refunded", w.Payment(p).RefundedMinor, int64(0))
		w.AssertBooks(t)
	})
	t.Run("it is not there", func(t *testing.T) {
		t.Parallel()
		w, g, p, id, key := unknown(t, "call")
		resume(t, w, forgotten)
		calls := g.calls
		w.As(w.Viewer).Post(refundPath(id, "cancel/"), body()).Refused(http.StatusForbidden, "permission_denied")
		cancel(w, id).Expect(http.StatusOK)
		cancel(w, id).Refused(http.StatusConflict, "refund_state")
		complete(w, id).Refused(http.StatusConflict, "refund_state")
		a := keyedRefund(w, w.Owner, key, p, "amount_minor", 300).Expect(http.StatusCreated)
		equal(t, "the answer to the key", a.Text("data.status"), "cancelled")
		resume(t, w, forgotten)
		equal(t, "asked again", g.calls-calls, 0)
		equal(t, "refunded", w.Payment(p).RefundedMinor, int64(0))
		refundOf(w, w.Owner, p).Expect(http.StatusCreated) // what it held is free
		equal(t, "given back", g.given, int64(1000))
		w.AssertBooks(t)
	})
	t.Run("it was cancelled, and the provider tells of it after all", func(t *testing.T) {
		t.Parallel()
		w, g, p, id, _ := unknown(t, "answer")
		resume(t, w, forgotten)
		cancel(w, id).Expect(http.StatusOK)
		g.tell(t, w, p, "partially_refunded 300")
		refundIs(t, w, id, payments.RefundCancelled)
		equal(t, "refunded", w.Payment(p).RefundedMinor, int64(0))
		equal(t, "anomalies", count(t, "SELECT count(*) FROM payment_anomalies WHERE tenant_id = ? AND kind = 'refunded_elsewhere'", w.Tenant.ID), 1)
	})
	t.Run("its provider was never asked, because its credentials do not open", func(t *testing.T) {
		t.Parallel()
		for name, step := range map[string]func(*billingtest.World, uuid.UUID) testkit.Answer{"complete": complete, "cancel": cancel} {
			w, g, p := playing(t)
			twoRefund(w, 1)
			a := refundOf(w, w.Finance, p, "amount_minor", 300).Expect(http.StatusCreated)
			w.As(w.Owner).Post(refundPath(idOf(a), "approve/"), body("digest", a.Text("data.digest"))).Expect(http.StatusOK)
			step(w, idOf(a)).Expect(http.StatusOK)
			resume(t, w, time.Minute)
			equal(t, name+": asked", g.calls, 0)
			w.AssertBooks(t)
		}
	})
	t.Run("while somebody asks the provider", func(t *testing.T) {
		t.Parallel()
		w, _, _, id, _ := unknown(t, "answer")
		w.Clock.Move(forgotten)
		force(t, "UPDATE refunds SET busy_until = ? WHERE id = ?", w.Clock.Now().Add(time.Second), id)
		complete(w, id).Refused(http.StatusConflict, "refund_state")
		cancel(w, id).Refused(http.StatusConflict, "refund_state")
		w.Clock.Move(time.Minute)
		complete(w, id).Expect(http.StatusOK)
		w.AssertBooks(t)
	})
	t.Run("the books do not take what the provider has paid", func(t *testing.T) {
		t.Parallel()
		w, _, _, id, _ := unknown(t, "answer")
		w.Clock.Move(forgotten)
		force(t, "UPDATE refunds SET failure_code = 'credit_exceeded' WHERE id = ?", id)
		cancel(w, id).Refused(http.StatusConflict, "refund_state")
		complete(w, id).Refused(http.StatusConflict, "refund_state")
	})
	t.Run("two people at once", func(t *testing.T) {
		t.Parallel()
		w, _, p, id, _ := unknown(t, "answer")
		w.Clock.Move(forgotten)
		answers := atOnce(4, func(i int) testkit.Answer {
			if i%2 == 0 {
				return cancel(w, id)
			}
			return complete(w, id)
		})
		var done []int
		for _, a := range answers {
			done = append(done, a.Status)
		}
		slices.Sort(done)
		equal(t, "done", done, []int{200, 409, 409, 409})
		if got := w.Payment(p).RefundedMinor; got != 0 && got != 300 {
			t.Errorf("refunded: %d", got)
		}
		w.AssertBooks(t)
	})
}
