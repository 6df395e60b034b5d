package invoices_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/testkit"
)

// paying is a payment of an amount in dollars.
func paying(minor int64) func(*payments.SubmitManualInput) {
	return func(in *payments.SubmitManualInput) {
		in.Amount = func(c money.Currency) (*money.Money, error) { m := money.New(minor, c); return &m, nil }
	}
}

// letGo has two people write an amount of an invoice off, and gives the write-off.
func letGo(w *billingtest.World, invoice uuid.UUID, amount string) uuid.UUID {
	seen := ask(w, invoice, body{"amount": amount})
	id := seen.Text("data.id")
	w.As(w.Approver).Post(writeOffs+id+"/approve/", body{"digest": seen.Text("data.digest")}).Expect(http.StatusOK)
	return uuid.MustParse(id)
}

// takenBack refunds all of a payment by hand and takes that back.
func takenBack(w *billingtest.World, payment uuid.UUID, more body) func() {
	in := body{"reason": "other", "payout_reference": w.Reference()}
	for k, v := range more {
		in[k] = v
	}
	made := w.As(w.Finance).With("Idempotency-Key", uuid.NewString()).Post(billingtest.Base+"/billing/payments/"+payment.String()+"/refund/", in).Expect(http.StatusCreated)
	return func() {
		w.As(w.Finance).Post(billingtest.Base+"/billing/refunds/"+made.Text("data.id")+"/reverse/", body{"reason": "Nobody has paid it"}).Expect(http.StatusOK)
	}
}

// TestGivenUp: of what two people have given a part up, nothing is bought any more. Whatever comes last and leaves nothing of such
// an invoice, it is uncollectible, nobody is told that it is paid, and its service credits are not granted.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	post := func(w *billingtest.World, path string, in body) {
		w.As(w.Finance).Post(routes+path, in).Expect(http.StatusOK)
	}
	noted := func(w *billingtest.World, id uuid.UUID, amount string) string {
		return w.As(w.Owner).Post(routes+id.String()+"/credit-notes/", body{"amount": amount, "reason": "x"}).Expect(http.StatusCreated).Text("data.id")
	}
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, w *billingtest.World, id uuid.UUID)
		want string
	}{
		{"by the write-off", func(_ *testing.T, w *billingtest.World, id uuid.UUID) {
			w.Pay(id, paying(5000))
			letGo(w, id, "50.00")
		}, "uncollectible: 5000 paid, 0 credited, 0 by credit, 5000 written off, 0 left"},
		{"by a refund that is taken back", func(t *testing.T, w *billingtest.World, id uuid.UUID) {
			p := w.Pay(id, paying(5000))
			letGo(w, id, "50.00")
			back := takenBack(w, p.ID, nil)
			stands(t, w, id, "uncollectible: 0 paid, 5000 credited, 0 by credit, 5000 written off, 0 left")
			back()
		}, "uncollectible: 5000 paid, 0 credited, 0 by credit, 5000 written off, 0 left"},
		{"by a refund without a credit note that is taken back", func(t *testing.T, w *billingtest.World, id uuid.UUID) {
			p := w.Pay(id, paying(5000))
			letGo(w, id, "50.00")
			back := takenBack(w, p.ID, body{"credit_note": false})
			stands(t, w, id, "open: 0 paid, 0 credited, 0 by credit, 5000 written off, 5000 left")
			back()
		}, "uncollectible: 5000 paid, 0 credited, 0 by credit, 5000 written off, 0 left"},
		{"by a payment", func(_ *testing.T, w *billingtest.World, id uuid.UUID) {
			letGo(w, id, "50.00")
			w.Pay(id, paying(2000))
			w.Pay(id)
		}, "uncollectible: 5000 paid, 0 credited, 0 by credit, 5000 written off, 0 left"},
		{"by cash", func(_ *testing.T, w *billingtest.World, id uuid.UUID) {
			letGo(w, id, "50.00")
			w.As(w.Owner).Post(billingtest.Base+"/billing/payments/",
				body{"gateway": "cash", "reference": w.Reference(), "invoice_id": id.String(), "amount": "50.00", "currency": "USD"}).Expect(http.StatusCreated)
		}, "uncollectible: 5000 paid, 0 credited, 0 by credit, 5000 written off, 0 left"},
		{"by credit that is applied, taken back and applied again", func(t *testing.T, w *billingtest.World, id uuid.UUID) {
			overpay(t, w, 5000)
			letGo(w, id, "50.00")
			post(w, id.String()+"/apply_credit/", body{})
			applied := w.As(w.Viewer).Get(routes + id.String() + "/").Expect(http.StatusOK).Text("data.adjustments.1.id")
			post(w, id.String()+"/unapply_credit/", body{"adjustment_id": applied, "reason": "x"})
			stands(t, w, id, "open: 0 paid, 0 credited, 0 by credit, 5000 written off, 5000 left")
			post(w, id.String()+"/apply_credit/", body{})
		}, "uncollectible: 0 paid, 0 credited, 5000 by credit, 5000 written off, 0 left"},
		{"by a credit note that is undone and issued again", func(t *testing.T, w *billingtest.World, id uuid.UUID) {
			w.Pay(id, paying(2000))
			letGo(w, id, "50.00")
			note := noted(w, id, "30.00")
			w.As(w.Owner).Post(notes+note+"/reverse/", body{"reason": "x"}).Expect(http.StatusCreated)
			stands(t, w, id, "partially_paid: 2000 paid, 0 credited, 0 by credit, 5000 written off, 3000 left")
			noted(w, id, "30.00")
		}, "uncollectible: 2000 paid, 3000 credited, 0 by credit, 5000 written off, 0 left"},
		{"by one of two write-offs that is taken back, and the rest paid", func(t *testing.T, w *billingtest.World, id uuid.UUID) {
			first := letGo(w, id, "50.00")
			letGo(w, id, "50.00")
			w.As(w.Finance).Post(writeOffs+first.String()+"/reverse/", body{"reason": "x"}).Expect(http.StatusOK)
			stands(t, w, id, "open: 0 paid, 0 credited, 0 by credit, 5000 written off, 5000 left")
			w.Pay(id)
		}, "uncollectible: 5000 paid, 0 credited, 0 by credit, 5000 written off, 0 left"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := billingtest.New(t)
			inv := w.OpenInvoice("100.00", granting(10))
			tt.do(t, w, inv.ID)
			stands(t, w, inv.ID, tt.want)
			seen := w.As(w.Viewer).Get(routes + inv.ID.String() + "/").Expect(http.StatusOK)
			if units := serviceCreditsOf(w); units != 0 || seen.At("data.paid_at") != nil {
				t.Errorf("%d service credits were granted, paid at %v", units, seen.At("data.paid_at"))
			}
			var told []string
			const news = "SELECT type FROM events WHERE tenant_id = ? AND object_id = ? AND (type = 'invoice.paid' OR type LIKE 'credits.%')"
			err := testkit.OwnerDB(t).NewRaw(news, w.Tenant.ID, inv.ID).Scan(t.Context(), &told)
			if err != nil || len(told) > 0 {
				t.Errorf("it was told as %v: %v", told, err)
			}
			w.AssertBooks(t)
		})
	}
	t.Run("is told by the payment that closes it, unless it was told before", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		news := func(id uuid.UUID) (told []string) {
			t.Helper()
			err := testkit.OwnerDB(t).NewRaw(`SELECT type || ', ' || (payload::jsonb->>'status') || ', ' || (payload::jsonb->>'balance_amount_minor') || ' left' FROM events WHERE tenant_id = ? AND object_id = ?
				AND type IN ('invoice.partially_paid', 'invoice.paid', 'invoice.uncollectible') ORDER BY id`, w.Tenant.ID, id).Scan(t.Context(), &told)
			if err != nil {
				t.Fatal(err)
			}
			return told
		}
		first, second := w.OpenInvoice("100.00").ID, w.OpenInvoice("100.00").ID
		letGo(w, first, "50.00")
		w.Pay(first, paying(2000))
		w.Pay(first)
		if diff := cmp.Diff([]string{"invoice.partially_paid, partially_paid, 3000 left", "invoice.uncollectible, uncollectible, 0 left"}, news(first)); diff != "" {
			t.Error(diff)
		}
		letGo(w, second, "50.00")
		post(w, second.String()+"/mark_uncollectible/", body{"reason": "x"})
		w.Pay(second)
		stands(t, w, second, "uncollectible: 5000 paid, 0 credited, 0 by credit, 5000 written off, 0 left")
		if diff := cmp.Diff([]string{"invoice.uncollectible, uncollectible, 5000 left"}, news(second)); diff != "" {
			t.Error(diff)
		}
		w.AssertBooks(t)
	})
	t.Run("not when it was within the tolerance, or is all taken back", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		tolerating(w, "5.00")
		inv := w.OpenInvoice("100.00", granting(10))
		w.As(w.Finance).Post(routes+inv.ID.String()+"/write_off/", body{"amount": "3.00", "reason": "x"}).Expect(http.StatusCreated)
		p := w.Pay(inv.ID)
		stands(t, w, inv.ID, "paid: 9700 paid, 0 credited, 0 by credit, 300 written off, 0 left")
		for _, more := range []body{nil, {"credit_note": false}} {
			takenBack(w, p.ID, more)()
			stands(t, w, inv.ID, "paid: 9700 paid, 0 credited, 0 by credit, 300 written off, 0 left")
			if units := serviceCreditsOf(w); units != 10 {
				t.Errorf("%d service credits", units)
			}
		}
		other := w.OpenInvoice("100.00", granting(10))
		id := letGo(w, other.ID, "50.00")
		w.As(w.Finance).Post(writeOffs+id.String()+"/reverse/", body{"reason": "x"}).Expect(http.StatusOK)
		w.Pay(other.ID)
		stands(t, w, other.ID, "paid: 10000 paid, 0 credited, 0 by credit, 0 written off, 0 left")
		w.AssertBooks(t)
	})
	t.Run("nor is what nobody expects paid anew by taking a refund back", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv := w.OpenInvoice("100.00")
		p := w.Pay(inv.ID, paying(4000))
		w.As(w.Finance).Post(routes+inv.ID.String()+"/mark_uncollectible/", body{"reason": "x"}).Expect(http.StatusOK)
		takenBack(w, p.ID, body{"credit_note": false})()
		stands(t, w, inv.ID, "uncollectible: 4000 paid, 0 credited, 0 by credit, 0 written off, 6000 left")
		w.AssertBooks(t)
	})
}
