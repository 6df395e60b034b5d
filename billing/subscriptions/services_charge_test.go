package subscriptions_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/gateways"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/paymentmethods"
	"countersign/billing/payments"
)

// TestDeclinedMonth: the invoice stays open, people are told, and the provider is not asked again for it.
func TestDeclinedMonth(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	id := subscribe(t, w, "tok_decline")
	for range 3 {
		work(t, w)
		w.Clock.Move(24 * time.Hour)
	}
	m := billed(t, w, id)[0]
	equal(t, "why", m.FailureCode, "card_declined")
	equal(t, "payment", w.Payment(m.PaymentID).Status, payments.StatusFailed)
	equal(t, "invoice", w.Invoice(m.InvoiceID).Status, invoices.StatusOpen)
	equal(t, "what the provider was asked for", asked(t, w), 1)
	equal(t, "events", w.Events("subscription."), []string{"subscription.created", "subscription.renewed", "subscription.charge_failed"})
	w.Clock.Move(month)
	work(t, w)
	equal(t, "what the provider was asked for after a month", asked(t, w), 2)
	w.AssertBooks(t)
}

// away is a provider that cannot be reached until a test says so, and then pays.
type away struct {
	gateways.Unsupported
	back atomic.Bool
	paid atomic.Int64
}

func (*away) Name() string { return "octo" }

func (*away) Capabilities() gateways.Capabilities {
	return gateways.Capabilities{Begin: true, FetchStatus: true, Modes: []gateways.Mode{gateways.Test}}
}

func (g *away) Begin(_ context.Context, _ gateways.Credentials, o gateways.Order) (gateways.Result, error) {
	if !g.back.Load() {
		return gateways.Result{}, gateways.ErrTransient
	}
	g.paid.Add(1)
	return gateways.Result{State: gateways.StatePaid, Captured: o.Amount, Refunded: money.New(0, o.Amount.Currency)}, nil
}

func (g *away) FetchStatus(context.Context, gateways.Credentials, gateways.Query) (gateways.Result, error) {
	if !g.back.Load() {
		return gateways.Result{}, gateways.ErrTransient
	}
	return gateways.Result{State: gateways.StateNone}, nil
}

// TestMonthWhileTheProviderIsAway: who cannot be reached is asked again each hour with the same key, and takes the money once. No
// other month waits for that.
func TestMonthWhileTheProviderIsAway(t *testing.T) {
	t.Parallel()
	g := &away{}
	w := billingtest.NewWithProviders(t, g)
	w.EnableSandbox()
	on := true
	if _, err := w.Gateways.Configure(w.System, gateways.ConfigureInput{Name: g.Name(), IsEnabled: &on}); err != nil {
		t.Fatal(err)
	}
	in := hosting(t, w, "tok_visa")
	saved, err := w.Methods.Save(w.Owner.Ctx, paymentmethods.SaveInput{Account: w.Account.ID.String(), Method: "card", DisplayName: "A card", Details: paymentmethods.Details{"token": "tok_of_octo", "gateway": g.Name()}})
	if err != nil {
		t.Fatal(err)
	}
	in.PaymentSource = uuid.MustParse(saved.ID)
	made, err := w.Subscriptions.Create(w.Owner.Ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	id, other := uuid.MustParse(made.ID), subscribe(t, w, "tok_visa")
	for range 3 {
		work(t, w)
		m := billed(t, w, id)[0]
		if !m.ChargeAt.Equal(w.Clock.Now().Add(time.Hour)) || m.PaymentID != uuid.Nil || m.FailureCode != "" {
			t.Fatalf("the provider was away, and the month says %+v", m)
		}
		equal(t, "the other one's invoice", w.Invoice(billed(t, w, other)[0].InvoiceID).Status, invoices.StatusPaid)
		w.Clock.Move(time.Hour)
	}
	g.back.Store(true)
	for range 2 {
		work(t, w)
		w.Clock.Move(time.Hour)
	}
	m := billed(t, w, id)[0]
	equal(t, "invoice", w.Invoice(m.InvoiceID).Status, invoices.StatusPaid)
	equal(t, "payment", w.Payment(m.PaymentID).InvoiceID, m.InvoiceID)
	equal(t, "payments", count(t, w, "SELECT count(*) FROM payments WHERE tenant_id = ?"), 2)
	equal(t, "what the provider was paid for", g.paid.Load(), int64(1))
	w.AssertBooks(t)
}

// TestCrashAfterTheCharge: the worker dies when the provider has paid and the month does not say so yet. The next one gets the
// first answer.
func TestCrashAfterTheCharge(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"tok_visa", "tok_decline"} {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			w := monthly(t)
			id := subscribe(t, w, token)
			work(t, w)
			before := billed(t, w, id)
			w.Tamper("UPDATE subscription_months SET charge_at = ?1, payment_id = NULL, failure_code = '' WHERE tenant_id = ?0", w.Clock.Now())
			w.Clock.Move(time.Hour)
			work(t, w)
			equal(t, "the month", billed(t, w, id), before)
			equal(t, "what the provider was asked for", asked(t, w), 1)
			equal(t, "payments", count(t, w, "SELECT count(*) FROM payments WHERE tenant_id = ?"), 1)
			w.AssertBooks(t)
		})
	}
}

// TestPaidOtherwise: what is void or paid by the time of the charge is not charged.
func TestPaidOtherwise(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	id := subscribe(t, w, "tok_visa")
	if err := w.Subscriptions.Renew(w.System); err != nil {
		t.Fatal(err)
	}
	m := billed(t, w, id)[0]
	if _, err := w.Invoices.Void(w.Owner.Ctx, invoices.VoidInput{Invoice: m.InvoiceID.String(), Reason: "A mistake"}); err != nil {
		t.Fatal(err)
	}
	work(t, w)
	m = billed(t, w, id)[0]
	equal(t, "month", [3]any{m.ChargeAt.IsZero(), m.PaymentID, m.FailureCode}, [3]any{true, uuid.Nil, ""})
	equal(t, "what the provider was asked for", asked(t, w), 0)
	w.AssertBooks(t)
}

// TestClaimUnderWay: while somebody claims to have paid the invoice, the card waits; what came of the claim decides.
func TestClaimUnderWay(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	rejected, approved := subscribe(t, w, "tok_visa"), subscribe(t, w, "tok_visa")
	if err := w.Subscriptions.Renew(w.System); err != nil {
		t.Fatal(err)
	}
	refused, paid := w.Submit(billed(t, w, rejected)[0].InvoiceID), w.Submit(billed(t, w, approved)[0].InvoiceID)
	work(t, w)
	equal(t, "what the provider was asked for", asked(t, w), 0)
	w.Reject(refused.ID, w.Approver, "No such transfer")
	w.Approve(paid.ID, w.Approver)
	w.SettleAll()
	w.Clock.Move(2 * time.Hour)
	work(t, w)
	equal(t, "what the provider was asked for", asked(t, w), 1)
	for _, id := range []uuid.UUID{rejected, approved} {
		equal(t, "invoice", w.Invoice(billed(t, w, id)[0].InvoiceID).Status, invoices.StatusPaid)
	}
	w.AssertBooks(t)
}

// TestRemovedMethod: who removes the saved method is charged no more, and the invoice says what is owed.
func TestRemovedMethod(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	id := subscribe(t, w, "tok_visa")
	work(t, w)
	source := uuid.MustParse(w.As(w.Owner).Get(base + id.String() + "/").Expect(200).Text("data.payment_source"))
	if err := w.Methods.DeleteSaved(w.Member.Ctx, source); err != nil {
		t.Fatal(err)
	}
	w.Clock.Move(month)
	work(t, w)
	m := billed(t, w, id)[1]
	equal(t, "month", [2]any{m.PaymentID, m.FailureCode}, [2]any{uuid.Nil, "unknown_payment_source"})
	equal(t, "invoice", w.Invoice(m.InvoiceID).Status, invoices.StatusOpen)
	equal(t, "what the provider was asked for", asked(t, w), 1)
	w.AssertBooks(t)
}

// TestNeverReached: what certainly never reached the provider is asked for anew, under another key.
func TestNeverReached(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	id := subscribe(t, w, "tok_lost")
	for range 50 { // given up in two days
		work(t, w)
		w.Clock.Move(time.Hour)
		if err := w.Payments.AskAgain(w.System); err != nil {
			t.Fatal(err)
		}
	}
	m := billed(t, w, id)[0]
	if m.Attempt < 2 || m.ChargeAt.IsZero() || m.FailureCode != "" {
		t.Errorf("the month says %+v", m)
	}
	equal(t, "invoice", w.Invoice(m.InvoiceID).Status, invoices.StatusOpen)
	equal(t, "attempts that came to nothing", count(t, w, "SELECT count(*) FROM payments WHERE tenant_id = ? AND status = 'failed' AND failure_code = 'never_reached'"), m.Attempt-1)
	equal(t, "events", w.Events("subscription.charge_failed"), []string{})
	w.AssertBooks(t)
}
