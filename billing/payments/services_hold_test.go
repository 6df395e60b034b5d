package payments_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/ledger"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/testkit"
)

func hold(t *testing.T, w *billingtest.World, token string) uuid.UUID {
	t.Helper()
	a := w.As(w.Owner).Post(charges, order(token, "capture", false, "account_id", w.Account.ID)).Expect(http.StatusCreated)
	equal(t, "lifecycle", a.Text("data.lifecycle"), "AUTHORIZED")
	return idOf(a)
}

func capture(w *billingtest.World, id uuid.UUID, key string, pairs ...any) testkit.Answer {
	return w.As(w.Owner).With("Idempotency-Key", key).Post(one(id, "capture/"), body(pairs...))
}

func clearing(w *billingtest.World) int64 { return w.Balance(ledger.Clearing("sandbox", "USD")) }

func TestHolds(t *testing.T) {
	t.Parallel()
	t.Run("nothing is posted until all is captured", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		id := hold(t, w, "tok_visa")
		equal(t, "clearing", clearing(w), int64(0))
		w.As(w.Owner).Post(one(id, "capture/"), body()).Refused(http.StatusBadRequest, "idempotency_key_required")
		a := capture(w, id, "k").Expect(http.StatusOK)
		equal(t, "lifecycle", a.Text("data.lifecycle"), "CAPTURED")
		same(t, a, capture(w, id, "k"))
		capture(w, id, "k", "amount", "1.00").Refused(http.StatusConflict, "idempotency_key_reused")
		capture(w, id, "k2").Refused(http.StatusConflict, "illegal_transition")
		equal(t, "clearing", clearing(w), int64(1000))
		equal(t, "events", events(w), []string{"created", "authorized", "updated", "succeeded", "updated", "anomaly"})
		w.AssertBooks(t)
	})
	t.Run("a part is captured, and the rest released", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		id := hold(t, w, "tok_visa")
		capture(w, id, "k", "amount", "10.01").Refused(http.StatusBadRequest, "capture_too_large")
		capture(w, id, "k", "amount_minor", 0).Refused(http.StatusBadRequest, "amount_not_positive")
		a := capture(w, id, "k", "amount", "4.00").Expect(http.StatusOK)
		equal(t, "received", a.At("data.received_amount"), any("4.00"))
		equal(t, "amount", a.Text("data.amount"), "10.00")
		equal(t, "quantity", w.As(w.Owner).Get(base+"/transactions/"+id.String()+"/").Expect(http.StatusOK).Int("data.quantity"), int64(400)) // S0-17
		equal(t, "clearing", clearing(w), int64(400))
		w.AssertBooks(t)
	})
	t.Run("released, by either name", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		id, other := hold(t, w, "tok_visa"), hold(t, w, "tok_visa")
		a := w.As(w.Owner).With("Idempotency-Key", "k").Post(one(id, "release/"), "").Expect(http.StatusOK)
		equal(t, "status", a.Text("data.status"), "cancelled")
		same(t, a, w.As(w.Owner).With("Idempotency-Key", "k").Post(one(id, "release/"), ""))
		b := w.As(w.Owner).With("Idempotency-Key", "k").Post(one(other, "cancel/"), "").Expect(http.StatusOK)
		same(t, b, w.As(w.Owner).With("Idempotency-Key", "k").Post(one(other, "cancel/"), ""))
		status(t, w, other, payments.StatusCancelled)
		equal(t, "calls", calls(t, w, other, "release"), 1)
		capture(w, id, "k2").Refused(http.StatusConflict, "illegal_transition")
		w.As(w.Owner).Post(one(id, "release/"), "").Refused(http.StatusConflict, "illegal_transition")
		equal(t, "posted", count(t, "SELECT count(*) FROM ledger_transactions WHERE tenant_id = ?", w.Tenant.ID), 0)
		w.AssertBooks(t)
	})
	for token, want := range map[string]struct {
		status, again int
		code          string
	}{"tok_capture_down": {200, 200, ""}, "tok_capture_timeout": {202, 200, ""}, "tok_capture_decline": {402, 402, "gateway_refused"}} {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			w := charged(t)
			id := hold(t, w, token)
			a := capture(w, id, "k").Expect(want.status)
			if want.status == 202 {
				capture(w, id, "another").Refused(http.StatusConflict, "operation_pending")
			}
			b := capture(w, id, "k").Expect(want.again)
			if want.code != "" {
				a.Refused(want.status, want.code)
				same(t, a, b)
				status(t, w, id, payments.StatusAuthorized)
				w.As(w.Owner).Post(one(id, "release/"), "").Expect(http.StatusOK)
			} else {
				status(t, w, id, payments.StatusSucceeded)
				equal(t, "clearing", clearing(w), int64(1000))
			}
			w.AssertBooks(t)
		})
	}
	t.Run("tok_release_timeout", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		id := hold(t, w, "tok_release_timeout")
		client := w.As(w.Owner).With("Idempotency-Key", "k")
		client.Post(one(id, "release/"), "").Expect(http.StatusAccepted)
		client.Post(one(id, "release/"), "").Expect(http.StatusOK)
		status(t, w, id, payments.StatusCancelled)
		other := hold(t, w, "tok_release_timeout")
		client.Post(one(other, "cancel/"), "").Refused(http.StatusConflict, "operation_pending")
		client.Post(one(other, "cancel/"), "").Expect(http.StatusOK)
		status(t, w, other, payments.StatusCancelled)
	})
	t.Run("twenty captures at once", func(t *testing.T) {
		t.Parallel()
		w, both := chargedTwice(t)
		id := hold(t, w, "tok_visa")
		both[1].Owner.Token()
		answers := atOnce(20, func(i int) int { return capture(both[i%2], id, uuid.NewString(), "amount_minor", 100+i).Status })
		done := 0
		for _, s := range answers {
			if s == http.StatusOK {
				done++
			}
		}
		equal(t, "captured", done, 1)
		equal(t, "calls", calls(t, w, id, "capture"), 1)
		w.Clock.Move(time.Minute)
		w.AssertBooks(t)
	})
}

// TestCancelOfAHold: one cancels what is one's own and undecided (model.md 5.8). What is held for the tenant is given up by who may
// cancel others' payments, by whichever name and wherever he asks.
func TestCancelOfAHold(t *testing.T) {
	t.Parallel()
	w := charged(t)
	cashier := w.Join("cashier", auth.RoleCashier, nil)
	site := w.Browse(w.Console(), cashier)
	for name, p := range map[string]*billingtest.Person{"a cashier": cashier, "a customer": w.Member} {
		held := idOf(w.As(p).Post(charges, order("tok_visa", "capture", false)).Expect(http.StatusCreated))
		a := w.As(p).With("Idempotency-Key", "k").Post(one(held, "cancel/"), "")
		if a.Refused(http.StatusForbidden, "permission_denied"); !strings.Contains(a.Text("error"), auth.BillingCancel) {
			t.Errorf("%s is not told what it takes: %s", name, a.Raw)
		}
		w.As(p).Post(one(held, "release/"), "").Expect(http.StatusForbidden)
		if p == cashier {
			site.Get("payments/" + held.String() + "/").Expect(http.StatusOK).Hides("Release the hold")
			site.Post("payments/"+held.String()+"/release/", nil).Expect(http.StatusForbidden)
		}
		status(t, w, held, payments.StatusAuthorized)
		equal(t, "calls", calls(t, w, held, "release"), 0)

		waiting := idOf(w.As(p).Post(charges, order("tok_3ds")).Expect(http.StatusCreated)) // nobody has paid, and nothing is held
		if p == cashier {
			site.Get("payments/" + waiting.String() + "/").Expect(http.StatusOK).Shows("Cancel the payment")
		}
		w.As(p).Post(one(waiting, "cancel/"), "").Expect(http.StatusOK)
		claimed := submit(w, p, claim(w, w.OpenInvoice("10.00").ID)).Expect(http.StatusCreated)
		w.As(p).Post(one(idOf(claimed), "cancel/"), "").Expect(http.StatusOK)

		w.As(w.Finance).Post(one(held, "cancel/"), "").Expect(http.StatusOK)
		status(t, w, held, payments.StatusCancelled)
		w.As(p).Post(one(held, "cancel/"), "").Refused(http.StatusConflict, "payment_not_pending")
	}
	w.AssertBooks(t)
}
