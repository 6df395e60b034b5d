package subscriptions_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/google/uuid"
)

// TestConsole makes a subscription by a form, once for each form, looks at its months, and cancels it.
func TestConsole(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	source := card(t, w, w.Account, "tok_visa")
	site := w.Console()
	b, viewer := w.Browse(site, w.Approver), w.Browse(site, w.Viewer)
	viewer.Get("subscriptions/").Shows("No subscriptions yet").Hides("New subscription")
	viewer.Get("subscriptions/new/").Expect(http.StatusForbidden)
	key := b.Get("subscriptions/new/").Shows("First customer · A card", "Empty: the account's own.").Hidden("key")[0]
	form := url.Values{"key": {key}, "payment_source": {source.String()}, "description": {"Hosting"}, "quantity": {"1"}, "unit_price": {"0"}, "currency": {""}, "tax_rate": {""}, "credits": {""}, "starts_on": {""}}
	b.Post("subscriptions/new/", form).Expect(http.StatusBadRequest).Shows("more than zero", "Hosting")
	form.Set("unit_price", "12.00")
	form.Set("credits", "a few")
	b.Post("subscriptions/new/", form).Expect(http.StatusBadRequest).Shows("whole number", "a few")
	form.Set("credits", "10")
	viewer.Post("subscriptions/new/", form).Expect(http.StatusForbidden)
	made := b.Post("subscriptions/new/", form)
	b.Follow(made).Shows("The subscription is made.", "First customer", "12.00", "No month has been billed yet.")
	equal(t, "the form sent twice leads to", b.Post("subscriptions/new/", form).Location, made.Location)
	equal(t, "subscriptions", count(t, w, "SELECT count(*) FROM subscriptions WHERE tenant_id = ? AND credits = 10"), 1)
	form.Set("payment_source", uuid.NewString())
	b.Post("subscriptions/new/", form).Expect(http.StatusBadRequest).Shows("no such saved payment method")

	work(t, w)
	w.Clock.Move(month)
	subscribe(t, w, "tok_decline")
	work(t, w)
	page := made.Location[len("/console/"):]
	b = w.Browse(site, w.Approver)
	b.Get(page).Shows("Months", "INV-2026-", "Paid", "Payment", "Cancel the subscription")
	b.Get("subscriptions/?status=active").Shows("Hosting", "First customer", "Active")
	b.Get("subscriptions/?status=cancelled").Hides("First customer")
	b.Get(page+"cancel/").Shows("No further month is billed.", "First customer")
	b.Follow(b.Post(page+"cancel/", url.Values{"reason": {"He has moved"}})).Shows("The subscription is cancelled.", "He has moved", "Cancelled").Hides("Cancel the subscription")
	w.AssertBooks(t)
}
