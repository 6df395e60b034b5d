package payments_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// taken is what the sandbox has taken of a tenant's customers, in minor units.
func taken(t *testing.T, w *billingtest.World) int {
	t.Helper()
	return count(t, "SELECT coalesce(sum(captured_minor), 0) FROM sandbox_orders WHERE tenant_id = ?", w.Tenant.ID)
}

// paymentNow is the only payment of a tenant.
func paymentNow(t *testing.T, w *billingtest.World) uuid.UUID {
	t.Helper()
	var id uuid.UUID
	if err := testkit.OwnerDB(t).NewRaw("SELECT id FROM payments WHERE tenant_id = ?", w.Tenant.ID).Scan(t.Context(), &id); err != nil {
		t.Fatal(err)
	}
	return id
}

// TestRaceOfChargesForOneInvoice: whatever customers do at once, a provider never takes more for an invoice than it owes
// (S1-59).
func TestRaceOfChargesForOneInvoice(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		parallel bool
		amount   int
		done     int
	}{"each all of it": {false, 10000, 1}, "each all of it, side by side": {true, 10000, 1}, "each a third, side by side": {true, 3334, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, both := chargedTwice(t)
			w.Configure(tenancy.UpdateInput{AllowParallelClaims: &tt.parallel})
			inv := w.OpenInvoice("100.00")
			for _, p := range both {
				p.Member.Token()
			}
			done := 0
			for _, a := range atOnce(5, func(i int) testkit.Answer {
				return both[i%2].As(w.Member).Post(charges, order("tok_visa", "amount_cents", tt.amount, "invoice_id", inv.ID))
			}) {
				if a.Status == http.StatusCreated {
					done++
				} else if code := a.Text("code"); code != "payment_pending" && code != "overpayment" && code != "invoice_already_paid" {
					t.Errorf("refused with %d %s", a.Status, a.Raw)
				}
			}
			equal(t, "charges that took money", done, tt.done)
			equal(t, "what the provider took", taken(t, w), tt.done*tt.amount)
			equal(t, "claims", w.Invoice(inv.ID).PendingClaims, 0)
			w.AssertBooks(t)
		})
	}
}

// TestClaimsOfCharges: while a charge is under way its invoice counts it like a claim of a customer's.
func TestClaimsOfCharges(t *testing.T) {
	t.Parallel()
	claims := func(t *testing.T, w *billingtest.World, invoice uuid.UUID, want int) {
		t.Helper()
		equal(t, "claims", w.Invoice(invoice).PendingClaims, want)
		w.AssertBooks(t)
	}
	void := func(w *billingtest.World, invoice uuid.UUID) testkit.Answer {
		return w.As(w.Owner).Post(base+"/invoices/"+invoice.String()+"/void/", body("reason", "not sent"))
	}
	for token, capture := range map[string]bool{"tok_visa": false, "tok_3ds": true, "tok_async": true, "tok_timeout": true} {
		t.Run("while "+token+" is under way nothing else is taken", func(t *testing.T) {
			t.Parallel()
			w := charged(t)
			inv := w.OpenInvoice("10.00")
			id := idOf(w.As(w.Member).Post(charges, order(token, "invoice_id", inv.ID, "capture", capture)))
			claims(t, w, inv.ID, 1)
			w.As(w.Member).Post(charges, order("tok_visa", "invoice_id", inv.ID)).Refused(http.StatusConflict, "payment_pending")
			submit(w, w.Member, claim(w, inv.ID)).Refused(http.StatusConflict, "payment_pending")
			void(w, inv.ID).Refused(http.StatusConflict, "payment_pending")
			status(t, w, id, w.Payment(id).Status)
			equal(t, "taken", taken(t, w), map[string]int{"tok_timeout": 1000}[token])
		})
	}
	t.Run("what comes to nothing is given back", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		inv := w.OpenInvoice("10.00")
		in := func(token string) map[string]any {
			return order(token, "invoice_id", inv.ID, "account_id", w.Account.ID)
		}
		w.As(w.Owner).Post(charges, in("tok_decline")).Refused(http.StatusPaymentRequired, "card_declined")
		claims(t, w, inv.ID, 0)
		held := in("tok_visa")
		held["capture"] = false
		id := idOf(w.As(w.Owner).Post(charges, held).Expect(http.StatusCreated))
		w.As(w.Owner).Post(one(id, "release/"), "").Expect(http.StatusOK)
		claims(t, w, inv.ID, 0)
		w.As(w.Owner).Post(charges, in("tok_3ds")).Expect(http.StatusCreated)
		for range 3 {
			later(t, w, 25*time.Hour)
		}
		claims(t, w, inv.ID, 0) // it has expired
		w.As(w.Owner).Post(charges, in("tok_lost")).Expect(http.StatusAccepted)
		claims(t, w, inv.ID, 1)
		later(t, w, 2*time.Minute)
		claims(t, w, inv.ID, 0)
		void(w, inv.ID).Expect(http.StatusOK)
		claims(t, w, inv.ID, 0)
	})
	t.Run("side by side they fit into what is owed", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		w.Configure(tenancy.UpdateInput{AllowParallelClaims: ptr(true)})
		inv := w.OpenInvoice("100.00")
		in := func(minor int, pairs ...any) map[string]any {
			return order("tok_visa", append([]any{"invoice_id", inv.ID, "account_id", w.Account.ID, "amount_cents", minor}, pairs...)...)
		}
		held := idOf(w.As(w.Owner).Post(charges, in(6000, "capture", false)).Expect(http.StatusCreated))
		a := w.As(w.Owner).Post(charges, in(5000))
		a.Refused(http.StatusBadRequest, "overpayment")
		if !strings.Contains(a.Text("error"), "40.00 USD") {
			t.Errorf("it does not say what is left: %s", a.Raw)
		}
		w.As(w.Owner).Post(list, cash(w, "invoice_id", inv.ID.String(), "amount", "40.01")).Refused(http.StatusBadRequest, "overpayment")
		w.As(w.Owner).Post(charges, in(4000)).Expect(http.StatusCreated)
		w.As(w.Owner).Post(charges, in(1)).Refused(http.StatusConflict, "payment_pending")
		claims(t, w, inv.ID, 1)
		capture(w, held, "k", "amount", "50.00").Expect(http.StatusOK)
		claims(t, w, inv.ID, 0)
		b := w.As(w.Owner).Post(charges, in(1500, "allow_credit", true)).Expect(http.StatusCreated)
		equal(t, "credit", b.At("data.credit_amount"), any("5.00"))
		equal(t, "the invoice", string(w.Invoice(inv.ID).Status), "paid")
		claims(t, w, inv.ID, 0)
	})
	t.Run("what somebody died over is given back by the sweeper", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		inv := w.OpenInvoice("10.00")
		in := chargeInput(keyOf(t, w, "dead", "x"))
		in.Invoice = inv.ID.String()
		func() {
			defer func() { recover() }()
			pausing(w, func(_ context.Context, point string) { panic(point) }).Charge(w.Member.Ctx, in)
		}()
		claims(t, w, inv.ID, 1)
		w.As(w.Member).Post(charges, order("tok_visa", "invoice_id", inv.ID)).Refused(http.StatusConflict, "payment_pending")
		later(t, w, 2*time.Minute)
		claims(t, w, inv.ID, 0)
		w.As(w.Member).Post(charges, order("tok_visa", "invoice_id", inv.ID)).Expect(http.StatusCreated)
		claims(t, w, inv.ID, 0)
	})
	t.Run("cash that somebody else has to complete", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		inv := w.OpenInvoice("10.00")
		cashier := w.Join("cashier", auth.RoleCashier, nil)
		a := w.As(cashier).Post(list, cash(w, "invoice_id", inv.ID.String())).Expect(http.StatusCreated)
		claims(t, w, inv.ID, 1)
		w.As(w.Member).Post(charges, order("tok_visa", "invoice_id", inv.ID)).Refused(http.StatusConflict, "payment_pending")
		w.As(cashier).Post(one(idOf(a), "cancel/"), "").Expect(http.StatusOK)
		claims(t, w, inv.ID, 0)
		b := w.As(cashier).Post(list, cash(w, "invoice_id", inv.ID.String())).Expect(http.StatusCreated)
		w.As(w.Finance).Post(one(idOf(b), "complete/"), "").Expect(http.StatusOK)
		claims(t, w, inv.ID, 0)
		equal(t, "the invoice", string(w.Invoice(inv.ID).Status), "paid")
	})
}

// midway runs fn while a charge stands at a point between its commit and its end, and gives what became of the charge.
func midway(t *testing.T, w *billingtest.World, point string, fn func(id uuid.UUID)) payments.Reply {
	t.Helper()
	reply, err := pausing(w, func(_ context.Context, at string) {
		if strings.HasPrefix(at, point) {
			fn(paymentNow(t, w))
		}
	}).Charge(w.Member.Ctx, chargeInput(keyOf(t, w, "k", "x")))
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// TestDeleteOfACharge: what a provider is asked for cannot be hidden, by whatever way.
func TestDeleteOfACharge(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"1", "2"} {
		w := charged(t)
		reply := midway(t, w, point, func(id uuid.UUID) {
			w.As(w.Member).Delete(one(id, "")).Refused(http.StatusConflict, "payment_not_deletable")
			w.As(w.Owner).Delete(one(id, "")).Refused(http.StatusConflict, "payment_not_deletable")
			if err := raw(w.System, w, "UPDATE payments SET deleted_at = now() WHERE tenant_id = $1", w.Tenant.ID); err == nil || !strings.Contains(err.Error(), "cannot be deleted") {
				t.Errorf("SQL hides it: %v", err)
			}
		})
		equal(t, "the charge", reply.Charge.Status, "succeeded")
		w.AssertBooks(t)
		force(t, "UPDATE payments SET status = 'created', deleted_at = now() WHERE tenant_id = ?", w.Tenant.ID)
		if f := w.Verify()["payments.E013"]; f == nil || !strings.Contains(f.What, "created over 1000 USD, asked of sandbox") {
			t.Errorf("verify does not find it: %+v", w.Verify())
		}
	}
}

// TestCancelOfACharge: while the provider is asked nobody can say whether there is something to cancel; before and after
// that it is looked (S0-14).
func TestCancelOfACharge(t *testing.T) {
	t.Parallel()
	t.Run("while it is asked for", func(t *testing.T) {
		t.Parallel()
		for _, point := range []string{"1", "2"} {
			w := charged(t)
			reply := midway(t, w, point, func(id uuid.UUID) {
				w.As(w.Member).Post(one(id, "cancel/"), "").Refused(http.StatusConflict, "operation_pending")
				w.As(w.Owner).Post(one(id, "release/"), "").Refused(http.StatusConflict, "operation_pending")
			})
			equal(t, "the charge", reply.Charge.Status, "succeeded")
			w.AssertBooks(t)
		}
	})
	for point, want := range map[string]struct {
		status payments.Status
		cancel int
		again  string
	}{"1": {payments.StatusCancelled, http.StatusOK, "cancelled"}, "2": {payments.StatusSucceeded, http.StatusConflict, "succeeded"}} {
		t.Run("after somebody died at point "+point, func(t *testing.T) {
			t.Parallel()
			w := charged(t)
			inv := w.OpenInvoice("10.00")
			in := chargeInput(keyOf(t, w, "dead", "x"))
			in.Invoice = inv.ID.String()
			func() {
				defer func() { recover() }()
				pausing(w, func(_ context.Context, at string) {
					if strings.HasPrefix(at, point) {
						panic(point)
					}
				}).Charge(w.Member.Ctx, in)
			}()
			id := paymentNow(t, w)
			w.Clock.Move(2 * time.Minute)
			client := w.As(w.Member).With("Idempotency-Key", "c")
			a := client.Post(one(id, "cancel/"), "").Expect(want.cancel)
			same(t, a, client.Post(one(id, "cancel/"), ""))
			status(t, w, id, want.status)
			in.Once = keyOf(t, w, "dead", "x")
			reply, err := w.Payments.Charge(w.Member.Ctx, in)
			if err != nil || reply.Charge.Status != want.again {
				t.Errorf("the charge once more: %v %+v", err, reply)
			}
			equal(t, "claims", w.Invoice(inv.ID).PendingClaims, 0)
			equal(t, "taken", taken(t, w) > 0, want.status == payments.StatusSucceeded)
			w.AssertBooks(t)
		})
	}
}

// TestOvertakenOperation: who was so slow that somebody else has taken over changes nothing of what that one does.
func TestOvertakenOperation(t *testing.T) {
	t.Parallel()
	w := charged(t)
	id := hold(t, w, "tok_capture_decline")
	slow := pausing(w, func(_ context.Context, point string) {
		if !strings.HasPrefix(point, "2") {
			return
		}
		later(t, w, 2*time.Minute) // nothing has come of it, the sweeper finds
		defer func() { recover() }()
		pausing(w, func(context.Context, string) { panic("it has begun") }).Release(w.Owner.Ctx, payments.StepInput{ID: id, Once: keyOf(t, w, "release", "x")})
	})
	_, err := slow.Capture(w.Owner.Ctx, payments.CaptureInput{ID: id, Once: keyOf(t, w, "capture", "x")})
	if err != nil {
		t.Error(err)
	}
	equal(t, "releases under way", count(t, "SELECT count(*) FROM payment_orders WHERE tenant_id = ? AND operation = 'release' AND busy_until IS NOT NULL", w.Tenant.ID), 1)
	equal(t, "keys without an answer", count(t, "SELECT count(*) FROM idempotency_keys WHERE tenant_id = ? AND answer IS NULL", w.Tenant.ID), 1)
	w.Clock.Move(2 * time.Minute)
	w.As(w.Owner).Post(one(id, "cancel/"), "").Refused(http.StatusConflict, "operation_pending")
	if _, err := w.Payments.Release(w.Owner.Ctx, payments.StepInput{ID: id, Once: keyOf(t, w, "release", "x")}); err != nil {
		t.Error(err)
	}
	status(t, w, id, payments.StatusCancelled)
	w.AssertBooks(t)
}

// TestTraces holds S1-32: who asks for a step that there is not is refused, and it is kept who did and where to.
func TestTraces(t *testing.T) {
	t.Parallel()
	w := charged(t)
	w.Configure(tenancy.UpdateInput{AllowParallelClaims: ptr(true)})
	cashier := w.Join("cashier", auth.RoleCashier, nil)
	pending := idOf(w.As(cashier).Post(list, cash(w)).Expect(http.StatusCreated))
	refused := w.Submit(w.OpenInvoice("5.00").ID)
	digest := w.Digest(refused.ID)
	w.Reject(refused.ID, w.Approver, "Not ours")
	paid := idOf(w.As(w.Member).Post(charges, order("tok_visa")).Expect(http.StatusCreated))
	for _, tt := range []struct {
		name string
		by   *billingtest.Person
		id   uuid.UUID
		path string
		body any
		code string
		to   string
	}{
		{"cancel", w.Member, paid, "cancel/", "", "payment_not_pending", "cancelled"},
		{"approve", w.Approver, refused.ID, "approve/", body("digest", digest), "payment_not_pending", "processing"},
		{"reject", w.Approver, refused.ID, "reject/", body("digest", digest, "reason", "Twice"), "payment_not_pending", "failed"},
		{"refund", w.Owner, refused.ID, "refund/", body("reason", "other"), "payment_not_refundable", "refunded"},
		{"release of cash", w.Owner, pending, "release/", "", "illegal_transition", "cancelled"},
		{"capture of cash", w.Owner, pending, "capture/", body(), "illegal_transition", "succeeded"},
	} {
		from := w.Payment(tt.id).Status
		for range 2 { // it is kept once
			w.As(tt.by).With("Idempotency-Key", uuid.NewString()).Post(one(tt.id, tt.path), tt.body).Refused(http.StatusConflict, tt.code)
		}
		status(t, w, tt.id, from)
		found := 0
		for _, a := range w.As(w.Owner).Get(one(tt.id, "")).Expect(http.StatusOK).List("data.anomalies") {
			a := a.(map[string]any)
			details := a["details"].(map[string]any)
			if a["kind"] == "illegal_transition" && details["to"] == tt.to && details["from"] == string(from) && details["actor"] == tt.by.ID.String() {
				found++
			}
		}
		equal(t, tt.name+": traces", found, 1)
	}
	equal(t, "who did it, in the audit log", count(t, "SELECT count(*) FROM audit_log WHERE tenant_id = ? AND action = 'payment.anomaly' AND actor_id IS NOT NULL", w.Tenant.ID), 6)
	w.AssertBooks(t)
}
