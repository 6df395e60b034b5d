package subscriptions_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/accounts"
	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/internal/database"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// S1-05: the clock moves on by a month, and there is exactly one new invoice and one charge for each subscription.
func TestAMonth(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	ids := []uuid.UUID{subscribe(t, w, "tok_visa"), subscribe(t, w, "tok_mastercard"), subscribe(t, w, "tok_timeout")}
	for n := 1; n <= 3; n++ {
		for range 2 { // whoever rings again finds nothing to do
			work(t, w)
			w.Clock.Move(2 * time.Minute)
			if err := w.Payments.AskAgain(w.System); err != nil { // what became of the charge whose answer was lost
				t.Fatal(err)
			}
		}
		equal(t, "invoices", count(t, w, "SELECT count(*) FROM invoices WHERE tenant_id = ?"), 3*n)
		equal(t, "payments", count(t, w, "SELECT count(*) FROM payments WHERE tenant_id = ?"), 3*n)
		equal(t, "what the provider was asked for", asked(t, w), 3*n)
		for _, id := range ids {
			months := billed(t, w, id)
			if len(months) != n {
				t.Fatalf("%d months are billed, want %d", len(months), n)
			}
			m := months[n-1]
			equal(t, "invoice", w.Invoice(m.InvoiceID).Status, invoices.StatusPaid)
			p := w.Payment(m.PaymentID)
			equal(t, "payment", [2]any{p.InvoiceID, p.AmountMinor}, [2]any{m.InvoiceID, int64(1200)})
		}
		w.Clock.Move(month)
	}
	equal(t, "service credits", count(t, w, "SELECT sum(credits) FROM invoices WHERE tenant_id = ? AND status = 'paid'"), 90)
	w.AssertBooks(t)
}

// TestInvoiceOfAMonth shows what the customer is billed, and what is told of it.
func TestInvoiceOfAMonth(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	in := hosting(t, w, "tok_visa")
	in.Line.Quantity, in.Line.TaxRate = "2", "0.15"
	in.StartsOn = w.Tenant.Today(w.Clock.Now()).AddDate(0, 0, 3)
	made, err := w.Subscriptions.Create(w.Owner.Ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "what each month comes to", made.Amount+" "+made.Currency, "27.60 USD")
	work(t, w)
	equal(t, "months before it begins", made.MonthsBilled+len(billed(t, w, uuid.MustParse(made.ID))), 0)
	w.Clock.Move(72 * time.Hour)
	work(t, w)
	m := billed(t, w, uuid.MustParse(made.ID))[0]
	got := w.As(w.Member).Get(billingtest.Base + "/billing/invoices/" + m.InvoiceID.String() + "/").Expect(200)
	equal(t, "line", got.Text("data.line_items.0.description"), "Hosting ("+in.StartsOn.Format(time.DateOnly)+" – "+in.StartsOn.AddDate(0, 1, -1).Format(time.DateOnly)+")")
	equal(t, "total", got.Text("data.total_amount"), "27.60")
	equal(t, "paid", got.Text("data.paid_amount"), "27.60")
	equal(t, "day", got.Text("data.invoice_date"), in.StartsOn.Format(time.DateOnly))
	equal(t, "events", w.Events("subscription."), []string{"subscription.created", "subscription.renewed"})
	equal(t, "audit log", w.Audited("subscription."), []string{"subscription.create", "subscription.renew", "subscription.charge"})
	shown := w.As(w.Member).Get(base + made.ID + "/").Expect(200)
	equal(t, "shown month", [3]string{shown.Text("data.months.0.invoice_id"), shown.Text("data.months.0.payment_id"), shown.Text("data.next_month_on")},
		[3]string{m.InvoiceID.String(), m.PaymentID.String(), in.StartsOn.AddDate(0, 1, 0).Format(time.DateOnly)})
	w.AssertBooks(t)
}

// TestMonthsWithoutAWorker: what nobody was there for is made up, each month once and in order.
func TestMonthsWithoutAWorker(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	id := subscribe(t, w, "tok_visa")
	w.Clock.Move(3 * month)
	work(t, w)
	months := billed(t, w, id)
	equal(t, "months", len(months), 4)
	for i, m := range months {
		equal(t, "number", m.Number, i+1)
		if i > 0 && !m.StartsOn.Equal(months[i-1].EndsOn.AddDate(0, 0, 1)) {
			t.Errorf("month %d begins on %s, and the one before ends on %s", m.Number, m.StartsOn, months[i-1].EndsOn)
		}
		equal(t, "invoice", w.Invoice(m.InvoiceID).Status, invoices.StatusPaid)
	}
	equal(t, "what the provider was asked for", asked(t, w), 4)
	w.AssertBooks(t)
}

// TestWorkersAtOnce: doorbells that ring in two processes at the same time bill and charge each month once.
func TestWorkersAtOnce(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	db, err := database.Open(database.Config{URL: testkit.OwnerURL(), Role: database.AppRole, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	workers := []*billingtest.World{w, w.Replica(db)}
	var ids []uuid.UUID
	for range 5 {
		ids = append(ids, subscribe(t, w, "tok_visa"))
	}
	for n := 1; n <= 3; n++ {
		atOnce(t, 8, func(i int) error {
			worker := workers[i%2]
			if err := worker.Subscriptions.Renew(worker.System); err != nil {
				return err
			}
			return worker.Subscriptions.Charge(worker.System)
		})
		w.Clock.Move(2 * time.Hour) // who found another one asking comes again
		work(t, w)
		equal(t, "invoices", count(t, w, "SELECT count(*) FROM invoices WHERE tenant_id = ?"), 5*n)
		equal(t, "what the provider was asked for", asked(t, w), 5*n)
		for _, id := range ids {
			months := billed(t, w, id)
			if len(months) != n || months[n-1].PaymentID == uuid.Nil {
				t.Fatalf("after %d months there are %+v", n, months)
			}
		}
		w.Clock.Move(month)
	}
	w.AssertBooks(t)
}

// TestClosedAccount: what nobody may be billed for is cancelled, and says why.
func TestClosedAccount(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	id := subscribe(t, w, "tok_visa")
	work(t, w)
	closed := false
	if _, err := w.Accounts.UpdateAccount(w.Owner.Ctx, w.Account.ID.String(), accounts.UpdateAccountInput{IsActive: &closed}); err != nil {
		t.Fatal(err)
	}
	w.Clock.Move(month)
	work(t, w)
	equal(t, "months", len(billed(t, w, id)), 1)
	got := w.As(w.Owner).Get(base + id.String() + "/").Expect(200)
	equal(t, "shown", [2]string{got.Text("data.status"), got.Text("data.cancel_reason")}, [2]string{"cancelled", "The account is inactive."})
	equal(t, "events", w.Events("subscription."), []string{"subscription.created", "subscription.renewed", "subscription.cancelled"})
	work(t, w)
	w.AssertBooks(t)
}

// TestCannotBeBilled: a subscription that cannot be billed waits for an hour, holds back no other, and misses no month.
func TestCannotBeBilled(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	stuck, other := subscribe(t, w, "tok_visa"), subscribe(t, w, "tok_visa")
	w.Tamper("UPDATE subscriptions SET quantity = 1000000000000 WHERE tenant_id = ? AND id = ?", stuck)
	work(t, w)
	equal(t, "months", [2]int{len(billed(t, w, stuck)), len(billed(t, w, other))}, [2]int{0, 1})
	w.Tamper("UPDATE subscriptions SET quantity = 1 WHERE tenant_id = ? AND id = ?", stuck)
	work(t, w)
	equal(t, "months before the hour is over", len(billed(t, w, stuck)), 0)
	w.Clock.Move(2 * time.Hour)
	work(t, w)
	equal(t, "days", billed(t, w, stuck)[0].StartsOn, billed(t, w, other)[0].StartsOn)
	w.AssertBooks(t)
}

// TestCreditPaysAMonth: what the customer's credit pays by itself is not charged.
func TestCreditPaysAMonth(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	on := true
	w.Configure(tenancy.UpdateInput{ApplyCreditAutomatically: &on})
	w.GiveCredit(w.Account.ID, money.New(1700, "USD"))
	id := subscribe(t, w, "tok_visa")
	work(t, w)
	w.Clock.Move(month)
	work(t, w)
	months := billed(t, w, id)
	equal(t, "payments", [2]bool{months[0].PaymentID == uuid.Nil, months[1].PaymentID == uuid.Nil}, [2]bool{true, false})
	equal(t, "what the first month failed for", months[0].FailureCode, "")
	equal(t, "what is charged of the second", w.Payment(months[1].PaymentID).AmountMinor, int64(700))
	w.AssertBooks(t)
}

// TestNothingIsDue: doorbells that ring for nothing write nothing.
func TestNothingIsDue(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	id := subscribe(t, w, "tok_visa")
	work(t, w)
	before, months := w.Snapshot(), billed(t, w, id)
	work(t, w)
	equal(t, "rows", w.Snapshot(), before)
	equal(t, "months", billed(t, w, id), months)
}
