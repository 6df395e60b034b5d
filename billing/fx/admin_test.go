package fx_test

import (
	"net/http"
	"net/url"
	"testing"

	"countersign/billing/billingtest"
	"countersign/billing/money"
)

// TestConsole records a rate, converts a customer's credit by it, once for each form, and takes that back.
func TestConsole(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	w.GiveCredit(w.Account.ID, money.New(10000, "EUR"))
	site := w.Console()
	b, viewer := w.Browse(site, w.Approver), w.Browse(site, w.Viewer)
	viewer.Get("fx-rates/").Shows("No rates yet").Hides("New rate")
	rate := url.Values{"base": {"eur"}, "quote": {"USD"}, "rate": {"1.08"}, "source": {"cbu.uz"}, "as_of": {""}}
	b.Get("fx-rates/new/").Shows("Who says so")
	b.Post("fx-rates/new/", url.Values{"base": {"EUR"}, "quote": {"EUR"}, "rate": {"0"}, "source": {"x"}}).Expect(http.StatusBadRequest).Shows("must be different", "more than zero")
	viewer.Post("fx-rates/new/", rate).Expect(http.StatusForbidden)
	b.Follow(b.Post("fx-rates/new/", rate)).Shows("The rate is recorded.", "1 EUR = 1.08 USD", "cbu.uz")
	b.Get("fx-rates/?base=EUR&quote=USD").Shows("1 EUR = 1.08 USD")
	b.Get("fx-rates/?base=USD").Hides("1 EUR = 1.08 USD")

	b = w.Browse(site, w.Finance) // nobody converts at a rate that only he has recorded
	viewer.Get("conversions/").Shows("No conversions yet").Hides("Convert credit")
	viewer.Get("conversions/new/").Expect(http.StatusForbidden)
	key := b.Get("conversions/new/").Shows("First customer", "1 EUR = 1.08 USD").Hidden("key")[0]
	form := url.Values{"key": {key}, "account_id": {w.Account.ID.String()}, "from_currency": {"EUR"}, "from_amount": {"1000.00"}, "to_currency": {"USD"}, "reason": {"He asked for it"}}
	b.Post("conversions/new/", form).Expect(http.StatusConflict).Shows(`value="1000.00"`, key)
	form.Set("from_amount", "40.00")
	made := b.Post("conversions/new/", form)
	b.Follow(made).Shows("The credit is converted.", "40.00 EUR", "43.20 USD", "1 EUR = 1.08 USD", "He asked for it", "First customer")
	again := b.Post("conversions/new/", form)
	if again.Location != made.Location || credit(w, "EUR") != 6000 || credit(w, "USD") != 4320 {
		t.Errorf("the form sent twice leads to %q and %q, with %d EUR and %d USD left", made.Location, again.Location, credit(w, "EUR"), credit(w, "USD"))
	}
	form.Del("key")
	b.Post("conversions/new/", form).Expect(http.StatusBadRequest)
	b.Get("conversions/?account="+w.Account.ID.String()).Shows("First customer", "Converted", "cbu.uz")

	one := made.Location[len("/console/"):]
	viewer.Get(one).Expect(http.StatusOK).Hides("Take back")
	b.Post(one+"reverse/", url.Values{"reason": {""}}).Expect(http.StatusBadRequest)
	b.Follow(b.Post(one+"reverse/", url.Values{"reason": {"A mistake"}})).Shows("It is taken back.", "A mistake").Hides(one + "reverse/")
	if credit(w, "EUR") != 10000 {
		t.Errorf("%d EUR are back", credit(w, "EUR"))
	}
	neighbour := billingtest.New(t)
	neighbour.Browse(neighbour.Console(), neighbour.Owner).Get(one).Expect(http.StatusNotFound)
	w.AssertBooks(t)
}
