package subscriptions_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
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
	"countersign/internal/database"
	"countersign/internal/testkit"
	"countersign/tenancy"
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

// TestPayerMustAct: a month waits for the payer as long as its payment does, and says what became of it.
func TestPayerMustAct(t *testing.T) {
	t.Parallel()
	answer := func(approve bool) func(t *testing.T, w *billingtest.World, payment uuid.UUID) {
		return func(_ *testing.T, w *billingtest.World, payment uuid.UUID) {
			w.As(w.Owner).Post(billingtest.Base+"/billing/sandbox/orders/"+payment.String()+"/complete/", map[string]any{"approve": approve}).Expect(http.StatusOK)
		}
	}
	for name, tt := range map[string]struct {
		happens func(t *testing.T, w *billingtest.World, payment uuid.UUID)
		why     string
	}{
		"he approves": {answer(true), ""},
		"he declines": {answer(false), "card_declined"},
		"staff cancel it": {func(_ *testing.T, w *billingtest.World, payment uuid.UUID) {
			w.As(w.Owner).Post(billingtest.Base+"/billing/payments/"+payment.String()+"/cancel/", "{}").Expect(http.StatusOK)
		}, "cancelled"},
		"he never comes": {func(*testing.T, *billingtest.World, uuid.UUID) {}, "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := monthly(t)
			id := subscribe(t, w, "tok_3ds")
			for range 2 {
				work(t, w)
				m := billed(t, w, id)[0]
				if m.PaymentID == uuid.Nil || !m.ChargeAt.Equal(w.Clock.Now().Add(time.Hour)) || m.FailureCode != "" {
					t.Fatalf("the payer must act, and the month says %+v", m)
				}
				equal(t, "payment", w.Payment(m.PaymentID).Status, payments.StatusPending)
				w.Clock.Move(time.Hour)
			}
			tt.happens(t, w, billed(t, w, id)[0].PaymentID)
			for range 100 { // what nobody answers expires in days
				if err := w.Payments.AskAgain(w.System); err != nil {
					t.Fatal(err)
				}
				work(t, w)
				if billed(t, w, id)[0].ChargeAt.IsZero() {
					break
				}
				w.Clock.Move(time.Hour)
			}
			m := billed(t, w, id)[0]
			equal(t, "waits", m.ChargeAt, time.Time{})
			equal(t, "why", m.FailureCode, tt.why)
			told, status := []string{"subscription.charge_failed"}, invoices.StatusOpen
			if tt.why == "" {
				told, status = []string{}, invoices.StatusPaid
			}
			equal(t, "events", w.Events("subscription.charge_failed"), told)
			equal(t, "invoice", w.Invoice(m.InvoiceID).Status, status)
			equal(t, "what the provider was asked for", asked(t, w), 1)
			w.AssertBooks(t)
		})
	}
}

// TestLimitsOfPayments: what an account may not pay today it may pay tomorrow, and what it may never pay is not tried again.
func TestLimitsOfPayments(t *testing.T) {
	t.Parallel()
	number := func(n int64) *int64 { return &n }
	t.Run("of a day", func(t *testing.T) {
		t.Parallel()
		w := monthly(t)
		w.Configure(tenancy.UpdateInput{DailyLimitMinor: number(1500)})
		first, second := subscribe(t, w, "tok_visa"), subscribe(t, w, "tok_visa")
		work(t, w)
		equal(t, "what the provider was asked for", asked(t, w), 1)
		waits := 0
		for _, id := range []uuid.UUID{first, second} {
			if m := billed(t, w, id)[0]; m.ChargeAt.Equal(w.Clock.Now().Add(time.Hour)) && m.FailureCode == "" {
				waits++
			}
		}
		equal(t, "months that wait", waits, 1)
		w.Configure(tenancy.UpdateInput{DailyLimitMinor: number(2400)}) // as much as a day that has passed
		w.Clock.Move(time.Hour)
		work(t, w)
		for _, id := range []uuid.UUID{first, second} {
			equal(t, "invoice", w.Invoice(billed(t, w, id)[0].InvoiceID).Status, invoices.StatusPaid)
		}
		w.AssertBooks(t)
	})
	for name, in := range map[string]tenancy.UpdateInput{
		"of a day, which the month alone is above": {DailyLimitMinor: number(1000)},
		"of a payment": {PaymentLimitMinor: number(1000)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := monthly(t)
			w.Configure(in)
			id := subscribe(t, w, "tok_visa")
			work(t, w)
			m := billed(t, w, id)[0]
			equal(t, "month", [3]any{m.ChargeAt.IsZero(), m.PaymentID, m.FailureCode}, [3]any{true, uuid.Nil, "amount_limit"})
			equal(t, "events", w.Events("subscription.charge_failed"), []string{"subscription.charge_failed"})
			equal(t, "what the provider was asked for", asked(t, w), 0)
		})
	}
}

// whenAsked is the same tenant in another process, to which something happens just before it first asks for a table.
func whenAsked(t *testing.T, w *billingtest.World, table string, happens func()) *billingtest.World {
	t.Helper()
	var once sync.Once
	var armed atomic.Bool
	db, err := database.Open(database.Config{URL: testkit.OwnerURL(), Role: database.AppRole, MaxConns: 4, Trace: func(_ context.Context, sent ...string) {
		if armed.Load() && strings.Contains(strings.Join(sent, ";"), table) {
			once.Do(happens)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	other := w.Replica(db)
	armed.Store(true)
	return other
}

// TestVoidedMeanwhile: an invoice that is voided after it was read and before it is charged is no failed charge.
func TestVoidedMeanwhile(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	id := subscribe(t, w, "tok_visa")
	if err := w.Subscriptions.Renew(w.System); err != nil {
		t.Fatal(err)
	}
	voided := false
	worker := whenAsked(t, w, "account_payment_methods", func() { // whose card it is, it asks once it knows what is owed
		_, err := w.Invoices.Void(w.Owner.Ctx, invoices.VoidInput{Invoice: billed(t, w, id)[0].InvoiceID.String(), Reason: "A mistake"})
		if err != nil {
			t.Error(err)
		}
		voided = true
	})
	work(t, worker)
	m := billed(t, w, id)[0]
	equal(t, "voided meanwhile", voided, true)
	equal(t, "month", [3]any{m.ChargeAt.IsZero(), m.PaymentID, m.FailureCode}, [3]any{true, uuid.Nil, ""})
	equal(t, "events", w.Events("subscription.charge_failed"), []string{})
	equal(t, "what the provider was asked for", asked(t, w), 0)
	w.AssertBooks(t)
}

// TestChargedMeanwhile: a worker that finds the invoice paid by another worker's charge of the same month says which payment that was.
func TestChargedMeanwhile(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	id := subscribe(t, w, "tok_visa")
	if err := w.Subscriptions.Renew(w.System); err != nil {
		t.Fatal(err)
	}
	charged := false
	worker := whenAsked(t, w, `"subscriptions"`, func() {
		work(t, w) // which dies before the month says so
		w.Tamper("UPDATE subscription_months SET charge_at = ?1, payment_id = NULL WHERE tenant_id = ?0", w.Clock.Now())
		charged = true
	})
	if err := worker.Subscriptions.Charge(worker.System); err != nil {
		t.Fatal(err)
	}
	m := billed(t, w, id)[0]
	equal(t, "charged meanwhile", charged, true)
	if m.PaymentID == uuid.Nil || !m.ChargeAt.IsZero() || m.FailureCode != "" {
		t.Errorf("another worker has charged the month, which says %+v", m)
	}
	equal(t, "what the provider was asked for", asked(t, w), 1)
	w.AssertBooks(t)
}
