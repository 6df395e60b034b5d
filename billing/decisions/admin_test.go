package decisions_test

import (
	"net/http"
	"net/url"
	"testing"

	"countersign/billing/billingtest"
)

func TestConsole(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	site := w.Console()
	b := w.Browse(site, w.Owner)
	b.Get("approval-rules/").Expect(http.StatusOK).Shows("every other payment", "one approval")
	rule := func(form url.Values, i, approvals, rank, currency, from, signal string) {
		form.Set("rules."+i+".approvals", approvals)
		form.Set("rules."+i+".rank", rank)
		form.Set("rules."+i+".currency", currency)
		form.Set("rules."+i+".from_amount", from)
		form.Set("rules."+i+".signal", signal)
	}
	form := url.Values{}
	rule(form, "0", "", "", "", "", "") // left out
	rule(form, "1", "2", "10", "USD", "much", "")
	b.Post("approval-rules/edit/", form).Expect(http.StatusBadRequest).Shows(`id="e-rules.1.from_amount"`, `value="much"`)
	rule(form, "1", "2", "10", "USD", "500", "")
	rule(form, "2", "1", "20", "", "", "same_receipt")
	form.Set("rules.2.requires_evidence", "true")
	b.Follow(b.Post("approval-rules/edit/", form)).Shows("The rules hold from now on.", "of 500.00", "two approvals by different people", "with the signal “receipt seen before”", "a receipt")
	rule(form, "2", "1", "10", "", "", "same_receipt")
	b.Post("approval-rules/edit/", form).Expect(http.StatusConflict).Shows("Another rule has this rank.")

	p := w.Submit(w.OpenInvoice("600.00").ID)
	b.Get("payments/" + p.ID.String() + "/").Shows("0 of 2")

	w.Browse(site, w.Viewer).Get("approval-rules/").Expect(http.StatusOK).Hides("approval-rules/edit/")
	w.Browse(site, w.Viewer).Post("approval-rules/edit/", form).Expect(http.StatusForbidden)
}
