package payments_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// reasonsOf are the reasons in the audit log of what was done to a payment by people.
func reasonsOf(t *testing.T, w *billingtest.World, id uuid.UUID) (found []string) {
	t.Helper()
	err := testkit.OwnerDB(t).NewRaw("SELECT action || ': ' || reason FROM audit_log WHERE tenant_id = ? AND object_id = ? AND reason <> '' AND actor_kind = 'user' ORDER BY id",
		w.Tenant.ID, id).Scan(t.Context(), &found)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestReasons: who takes a payment a step further by hand may say why, and it is kept and shown (S0-15). Of cash there is always a reason
// (S0D-13).
func TestReasons(t *testing.T) {
	t.Parallel()
	w := charged(t)
	till := w.Join("till", auth.RoleCashier, nil)
	taken := func() testkit.Answer { return w.As(till).Post(list, cash(w)).Expect(http.StatusCreated) }
	receipt := func(a testkit.Answer) string { return "Receipt " + a.Text("data.receipt_number") }
	off, done, silent := taken(), taken(), taken()
	for name, tt := range map[string]struct {
		id   uuid.UUID
		step string
		by   *billingtest.Person
		kept []string
	}{
		"a claim is withdrawn": {w.Submit(w.OpenInvoice("10.00").ID).ID, "cancel/", w.Finance, []string{"payment.cancel: He called"}},
		"cash is called off":   {idOf(off), "cancel/", w.Finance, []string{"payment.take_cash: " + receipt(off), "payment.cancel: He called"}},
		"cash is completed":    {idOf(done), "complete/", w.Finance, []string{"payment.take_cash: " + receipt(done), "payment.complete: He called"}},
		"a hold is released":   {hold(t, w, "tok_visa"), "release/", w.Owner, []string{"payment.release: He called"}},
		"a hold is cancelled":  {hold(t, w, "tok_visa"), "cancel/", w.Owner, []string{"payment.release: He called"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := w.As(tt.by).With("Idempotency-Key", tt.id.String())
			client.Post(one(tt.id, tt.step), body("reason", "4242 4242 4242 4242")).Refused(http.StatusBadRequest, "card_data_rejected")
			client.Post(one(tt.id, tt.step), body("why", "x")).Refused(http.StatusBadRequest, "validation_failed")
			a := client.Post(one(tt.id, tt.step), body("reason", "He called")).Expect(http.StatusOK)
			same(t, a, client.Post(one(tt.id, tt.step), body("reason", "He called")))
			client.Post(one(tt.id, tt.step), "").Refused(http.StatusConflict, "idempotency_key_reused")
			equal(t, "kept", reasonsOf(t, w, tt.id), tt.kept)
			told := w.As(w.Viewer).Get(one(tt.id, "events/")).Expect(http.StatusOK)
			last := told.List("data.events")[len(told.List("data.events"))-1].(map[string]any)
			equal(t, "told", last["reason"], any("He called"))
			for _, e := range w.As(w.Member).Get(one(tt.id, "events/")).List("data.events") {
				equal(t, "told to the customer", e.(map[string]any)["reason"], nil)
			}
			w.Browse(w.Console(), w.Viewer).Get(page(tt.id, "")).Shows("He called")
		})
	}
	t.Run("cash that nobody says a word of has its receipt for a reason", func(t *testing.T) {
		t.Parallel()
		w.As(w.Finance).Post(one(idOf(silent), "complete/"), "").Expect(http.StatusOK)
		equal(t, "kept", reasonsOf(t, w, idOf(silent)), []string{"payment.take_cash: " + receipt(silent), "payment.complete: " + receipt(silent)})
		at := w.As(w.Finance).Post(list, cash(w)).Expect(http.StatusCreated)
		equal(t, "kept of cash that is posted at once", reasonsOf(t, w, idOf(at)), []string{"payment.take_cash: " + receipt(at)})
	})
}

// TestNextAction: who comes back to a charge that waits for its payer is told where to send him.
func TestNextAction(t *testing.T) {
	t.Parallel()
	w := charged(t)
	a := w.As(w.Member).Post(charges, order("tok_3ds")).Expect(http.StatusCreated)
	id := idOf(a)
	want := a.At("data.next_action")
	if want == nil {
		t.Fatalf("the charge tells of no next action: %s", a.Raw)
	}
	for _, by := range []*billingtest.Person{w.Member, w.Viewer} {
		equal(t, "next action", w.As(by).Get(one(id, "")).Expect(http.StatusOK).At("data.next_action"), want)
	}
	w.As(w.OtherMember).Get(one(id, "")).Refused(http.StatusNotFound, "not_found")
	if _, err := w.Sandbox.Complete(w.System, id, true); err != nil {
		t.Fatal(err)
	}
	w.Clock.Move(5 * time.Minute)
	if err := w.Payments.AskAgain(w.System); err != nil {
		t.Fatal(err)
	}
	status(t, w, id, payments.StatusSucceeded)
	for _, by := range []*billingtest.Person{w.Member, w.Viewer} {
		equal(t, "next action", w.As(by).Get(one(id, "")).Expect(http.StatusOK).At("data.next_action"), nil)
	}
	claimed := w.Submit(w.OpenInvoice("10.00").ID)
	equal(t, "of a claim", w.As(w.Member).Get(one(claimed.ID, "")).At("data.next_action"), nil)
}

// TestLimits_claims: what is claimed counts like any other payment (S0D-26 to S0D-28).
func TestLimits_claims(t *testing.T) {
	t.Parallel()
	number := func(n int64) *int64 { return &n }
	t.Run("amounts", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		w.Configure(tenancy.UpdateInput{PaymentLimitMinor: number(5000), DailyLimitMinor: number(8000)})
		submit(w, w.Member, claim(w, w.OpenInvoice("50.01").ID)).Refused(http.StatusBadRequest, "amount_limit")
		submit(w, w.Member, claim(w, w.OpenInvoice("50.00").ID)).Expect(http.StatusCreated)
		submit(w, w.Member, claim(w, w.OpenInvoice("30.01").ID)).Refused(http.StatusBadRequest, "amount_limit")
		submit(w, w.Member, claim(w, w.OpenInvoice("30.00").ID)).Expect(http.StatusCreated)
		submit(w, w.OtherMember, claim(w, billOf(w, w.Other, "50.00").ID)).Expect(http.StatusCreated)
	})
	t.Run("how many, however they come", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		five := 5
		w.Configure(tenancy.UpdateInput{HourlyPayments: &five})
		w.Member.Token()
		var bodies []map[string]any
		for range 12 {
			bodies = append(bodies, claim(w, w.OpenInvoice("10.00").ID))
		}
		made := 0
		for _, a := range atOnce(12, func(i int) testkit.Answer { return submit(w, w.Member, bodies[i]) }) {
			switch a.Status {
			case http.StatusCreated:
				made++
			case http.StatusTooManyRequests:
				if a.Header.Get("Retry-After") == "" {
					t.Error("nobody says for how long to wait")
				}
			default:
				t.Errorf("%d %s", a.Status, a.Raw)
			}
		}
		equal(t, "made", made, 5)
	})
	t.Run("two that are alike", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		minutes := 10
		w.Configure(tenancy.UpdateInput{DuplicateWindowMinutes: &minutes})
		first := claim(w, w.OpenInvoice("10.00").ID)
		a := submit(w, w.Member, first).Expect(http.StatusCreated)
		equal(t, "the same claim once more", idOf(submit(w, w.Member, first).Expect(http.StatusCreated)), idOf(a))
		twin := claim(w, w.OpenInvoice("10.00").ID)
		submit(w, w.Member, twin).Refused(http.StatusConflict, "possible_duplicate")
		submit(w, w.Member, claim(w, w.OpenInvoice("10.01").ID)).Expect(http.StatusCreated)
		twin["force"] = true
		submit(w, w.Member, twin).Expect(http.StatusCreated)
	})
}

// TestConsoleOfSteps takes what is held, lets a payer go, completes cash, and overrides the time for refunds.
func TestConsoleOfSteps(t *testing.T) {
	t.Parallel()
	w := charged(t)
	site := w.Console()
	b, viewer := w.Browse(site, w.Owner), w.Browse(site, w.Viewer)
	held := hold(t, w, "tok_visa")
	viewer.Get(page(held, "")).Expect(http.StatusOK).Shows("Held", "At the provider").Hides(page(held, "capture/"), page(held, "release/"))
	b.Get(page(held, "")).Shows(page(held, "capture/"), page(held, "release/"), "Release the hold")
	b.Get(page(held, "capture/")).Shows("All that is held, when it is empty.")
	b.Post(page(held, "capture/"), url.Values{"amount": {"10.01"}}).Expect(http.StatusBadRequest).Shows("Only 10.00 USD is held.")
	b.Follow(b.Post(page(held, "capture/"), url.Values{"amount": {"7.50"}})).Shows("The money is taken.", "7.50", "Succeeded", "gateway sandbox").Hides(page(held, "capture/"), "payments.ask")
	b.Post(page(held, "capture/"), url.Values{"amount": {"7.50"}}).Expect(http.StatusConflict)
	equal(t, "received", *w.Payment(held).ReceivedMinor, int64(750))

	refused := hold(t, w, "tok_capture_decline")
	b.Post(page(refused, "capture/"), nil).Expect(http.StatusPaymentRequired).Shows("The provider does not allow this.")
	b.Follow(b.Post(page(refused, "release/"), url.Values{"reason": {"Out of stock"}})).Shows("The payment is cancelled.", "Cancelled")
	equal(t, "kept", reasonsOf(t, w, refused), []string{"payment.release: Out of stock"})
	waiting := idOf(w.As(w.Owner).Post(charges, order("tok_3ds")).Expect(http.StatusCreated))
	b.Get(page(waiting, "")).Shows("Waiting for the payer", "Cancel the payment", "Nobody who is known here")
	b.Follow(b.Post(page(waiting, "release/"), nil)).Shows("The payment is cancelled.")

	paid := idOf(w.As(w.Join("till", auth.RoleCashier, nil)).Post(list, cash(w)).Expect(http.StatusCreated))
	viewer.Get(page(paid, "")).Shows("To be completed", "R-2026-000001").Hides(page(paid, "complete/"))
	b.Follow(b.Post(page(paid, "complete/"), url.Values{"reason": {"Counted twice"}})).Shows("The payment is completed.", "Succeeded")
	equal(t, "kept", reasonsOf(t, w, paid), []string{"payment.take_cash: Receipt R-2026-000001", "payment.complete: Counted twice"})

	old := w.Pay(w.OpenInvoice("90.00").ID)
	clerk := w.Browse(site, w.Finance)
	b.Get(page(old.ID, "refund/")).Hides("override_window")
	w.Tamper("UPDATE payments SET processed_at = now() - interval '91 days' WHERE tenant_id = ? AND id = ?", old.ID)
	clerk.Get(page(old.ID, "refund/")).Hides("override_window")
	b.Get(page(old.ID, "refund/")).Shows("override_window", "Although the time for refunds is over")
	form := url.Values{"seen": {"0"}, "amount": {"5.00"}, "refund_reason": {"dispute"}, "payout_reference": {"BANK 1"}}
	b.Post(page(old.ID, "refund/"), form).Expect(http.StatusConflict).Shows("more than 90 days old")
	form.Set("override_window", "true")
	clerk.Post(page(old.ID, "refund/"), form).Expect(http.StatusForbidden)
	b.Follow(b.Post(page(old.ID, "refund/"), form)).Shows("The money is given back.")
	status(t, w, old.ID, payments.StatusPartiallyRefunded)
	b.Get("payment-list/?gateway=sandbox").Shows("sandbox", "Cancelled", page(held, "")).Hides(page(paid, ""))
	w.AssertBooks(t)
}
