package fx_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/web"
)

// TestCreditInEurosPaysDollars tells S1-58 from its beginning: a customer pays too many euros, his credit is converted at a rate
// that somebody has recorded with its source, the bank gives seven cents less than the rate makes, and the dollars pay an
// invoice. What he reads in his statement is what the ledger holds.
func TestCreditInEurosPaysDollars(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	began := time.Now().UTC()
	billed := func(amount string, currency money.Currency) string {
		return w.OpenInvoice(amount, func(in *invoices.CreateInput) { in.Currency = string(currency) }).ID.String()
	}
	w.Pay(uuid.MustParse(billed("50.00", "EUR")), func(in *payments.SubmitManualInput) {
		in.Amount = func(c money.Currency) (*money.Money, error) { m := money.New(15000, c); return &m, nil }
	})
	dollars := billed("100.00", "USD")
	invoicePath := billingtest.Base + "/billing/invoices/" + dollars
	w.As(w.Owner).Post(invoicePath+"/apply_credit/", map[string]any{}).Refused(http.StatusConflict, "no_credit")

	rate := w.As(w.Approver).Post(base+"/rates/", map[string]any{"base": "EUR", "quote": "USD", "rate": "1.08", "source": "ecb.europa.eu"}).Expect(http.StatusCreated).Text("data.id")
	in := body(w, "to_amount", "107.93", "reason", "He is billed in dollars", "rate_id", rate)
	delete(in, "rate")
	delete(in, "source")
	client := finance(w)
	made := client.Post(base+"/conversions/", in).Expect(http.StatusCreated)
	again := client.Post(base+"/conversions/", in).Expect(http.StatusCreated)
	if diff := cmp.Diff(made.At("data"), again.At("data")); diff != "" || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the repetition: %s", diff)
	}
	for path, want := range map[string]any{"data.rate.rate_id": rate, "data.rate.rate": "1.08", "data.rate.source": "ecb.europa.eu", "data.from.amount": "100.00", "data.computed.amount": "108.00",
		"data.to.amount": "107.93", "data.difference.amount": "-0.07"} {
		if got := made.At(path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	want := map[string]int64{"customer_credit:EUR": 10000, "fx:EUR": -10000, "fx:USD": 10800, "customer_credit:USD": -10793, "fx_difference:USD": -7}
	if diff := cmp.Diff(want, entries(t, w, "fx:"+made.Text("data.id")+":convert")); diff != "" {
		t.Errorf("four entries and the difference: %s", diff)
	}

	w.As(w.Owner).Post(invoicePath+"/apply_credit/", map[string]any{}).Expect(http.StatusOK)
	paid := w.As(w.Member).Get(invoicePath + "/").Expect(http.StatusOK)
	if paid.Text("data.status") != "paid" || paid.Text("data.balance_amount") != "0.00" {
		t.Errorf("the invoice: %s", paid.Raw)
	}
	if credit(w, "EUR") != 0 || credit(w, "USD") != 793 {
		t.Errorf("the customer has %d EUR and %d USD", credit(w, "EUR"), credit(w, "USD"))
	}

	statement := w.As(w.Member).Get(billingtest.Base + "/billing/accounts/" + w.Account.ID.String() + "/statement/?from=" + web.Time(began)).Expect(http.StatusOK)
	lines := []string{}
	for i := range statement.List("data.movements") {
		at := func(field string) any { return statement.At(fmt.Sprintf("data.movements.%d.%s", i, field)) }
		lines = append(lines, fmt.Sprint(at("currency"), " ", at("code"), " ", at("kind"), " ", at("change"), " ", at("balance")))
	}
	if diff := cmp.Diff([]string{
		"EUR receivable invoice_finalized 50.00 50.00", "EUR receivable payment_settled -50.00 0.00", "EUR customer_credit payment_settled -100.00 -100.00",
		"USD receivable invoice_finalized 100.00 100.00",
		"EUR customer_credit fx_converted 100.00 0.00", "USD customer_credit fx_converted -107.93 -7.93",
		"USD customer_credit credit_applied 100.00 92.07", "USD receivable credit_applied -100.00 -7.93",
	}, lines); diff != "" {
		t.Errorf("the statement: %s", diff)
	}
	w.AssertBooks(t)
}
