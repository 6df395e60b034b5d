package paymentmethods_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"countersign/billing/billingtest"
)

func TestConsole(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	site := w.Console()
	b := w.Browse(site, w.Approver)
	form := url.Values{"country_code": {"PK"}, "payment_method": {"bank_transfer"}, "display_name": {"Bank transfer, Pakistan"}, "sort_order": {"5"}, "is_enabled": {"true"},
		"currency": {"PKR"}, "min_amount": {"1000"}, "max_amount": {""}, "bank_details": {"bank_name: Meezan\niban: PK36 SCBL"}, "wallet_details": {""}, "instructions": {"Write the invoice number."}}
	form.Set("min_amount", "10.123")
	b.Post("methods/new/", form).Expect(http.StatusBadRequest).Shows(`value="10.123"`, `aria-invalid="true"`, "bank_name: Meezan")
	form.Set("min_amount", "1000")
	made := b.Post("methods/new/", form)
	b.Follow(made).Shows("The method was created.", "Pakistan", "1,000.00", "iban: PK36 SCBL", "On")
	page := strings.TrimPrefix(made.Location, "/console/")
	b.Post("methods/new/", form).Expect(http.StatusConflict).Shows("already has a row")

	list := b.Get("methods/").Shows("All countries", "Pakistan").Text()
	if strings.LastIndex(list, "All countries") > strings.LastIndex(list, "Bank transfer, Pakistan") {
		t.Error("the rows of a country do not stand together")
	}
	form.Set("min_amount", "")
	form.Set("display_name", "Transfer")
	b.Follow(b.Post(page+"edit/", form)).Shows("Saved.", "Transfer").Hides("Smallest amount")
	b.Follow(b.Post(page+"disable/", nil)).Shows("The method is off.", "Off")
	b.Get(page + "enable/").Shows("iban: PK36 SCBL") // what customers will be told is read once more
	b.Follow(b.Post(page+"enable/", nil)).Shows("The method is on.")
	b.Follow(b.Post(page+"delete/", nil)).Shows("The row was removed.").Hides("Transfer, Pakistan")

	w.Browse(site, w.Finance).Get("methods/").Expect(http.StatusForbidden)
	kept := b.Post("methods/new/", form)
	neighbour := billingtest.New(t)
	n := neighbour.Browse(neighbour.Console(), neighbour.Owner)
	n.Get(kept.Location).Expect(http.StatusNotFound)
	n.Post(strings.TrimPrefix(kept.Location, "/console/")+"delete/", nil).Expect(http.StatusNotFound)
}
