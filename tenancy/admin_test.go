package tenancy_test

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
	b.Get("settings/").Expect(http.StatusOK).Shows(`value="World"`, `value="Asia/Dhaka"`)
	form := url.Values{"name": {"World & sons"}, "country": {"BD"}, "timezone": {"Mars/Base"}, "locale": {"bn"}, "default_currency": {"USD"}, "invoice_prefix": {"WS"},
		"payment_terms_days": {"14"}, "refund_window_days": {"30"}, "duplicate_window_minutes": {"0"}, "payment_limit": {"250000"}, "two_approval_threshold": {"1000"}, "allow_parallel_claims": {"true"}}
	b.Post("settings/", form).Expect(http.StatusBadRequest).Shows("This is not a time zone", `value="Mars/Base"`)
	form.Set("timezone", "Asia/Dhaka")
	form.Set("payment_terms_days", "soon")
	b.Post("settings/", form).Expect(http.StatusBadRequest).Shows(`value="soon"`)
	form.Set("payment_terms_days", "14")
	b.Follow(b.Post("settings/", form)).Shows("Saved.", "World & sons", `value="1000.00"`, `value="14"`, `value="30"`, `value="250000.00"`, "checked")
	form.Set("two_approval_threshold", "")
	form.Del("payment_limit")
	form.Del("allow_parallel_claims")
	b.Follow(b.Post("settings/", form)).Hides(`value="1000.00"`, `value="250000.00"`, "checked")

	w.Browse(site, w.Finance).Get("settings/").Expect(http.StatusForbidden)
	w.Browse(site, w.Finance).Post("settings/", form).Expect(http.StatusForbidden)
}
