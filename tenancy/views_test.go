package tenancy_test

import (
	"net/http"
	"testing"

	"countersign/billing/billingtest"
	"countersign/internal/testkit"
)

// TestUpdate_limits sets every limit and takes it away again, by null as by zero.
func TestUpdate_limits(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	owner := w.As(w.Owner)
	const path = billingtest.Base + "/tenant/"
	limits := []string{"payment_limit", "daily_limit", "hourly_payments", "two_approval_threshold", "two_refund_approvals_above", "write_off_tolerance"}
	for _, off := range []any{nil, 0} {
		on, taken := map[string]any{}, map[string]any{}
		for _, name := range limits {
			on[name], taken[name] = 50, off
		}
		for name := range owner.Patch(path, on).Expect(http.StatusOK).At("data").(map[string]any) {
			if _, limit := on[name]; limit {
				if got := owner.Get(path).At("data." + name); got == nil || got == "0.00" {
					t.Errorf("%s is %v after it was set", name, got)
				}
			}
		}
		owner.Patch(path, map[string]any{"name": "Other", "payment_terms_days": nil}).Expect(http.StatusOK)
		if got := owner.Get(path).Text("data.payment_limit"); got != "50.00" {
			t.Errorf("what is not named becomes %s", got)
		}
		owner.Patch(path, taken).Expect(http.StatusOK)
		after := owner.Get(path).Expect(http.StatusOK)
		for _, name := range limits {
			if got := after.At("data." + name); got != nil && name != "write_off_tolerance" || name == "write_off_tolerance" && got != "0.00" {
				t.Errorf("%s is %v after %v", name, got, off)
			}
		}
	}
}

// TestUpdate_currency: limits are amounts of the tenant's currency, and none becomes another one by itself.
func TestUpdate_currency(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	owner := w.As(w.Owner)
	const path = billingtest.Base + "/tenant/"
	limits := map[string]any{"payment_limit": 50, "daily_limit": 50, "two_approval_threshold": 50, "two_refund_approvals_above": 50, "write_off_tolerance": 50}
	owner.Patch(path, map[string]any{"default_currency": "EUR"}).Expect(http.StatusOK)
	owner.Patch(path, limits).Expect(http.StatusOK)
	refused := owner.Patch(path, map[string]any{"default_currency": "JPY", "payment_limit": 5000}).Refused(http.StatusBadRequest, "validation_failed")
	if got := len(refused.At("errors").(map[string]any)); got != len(limits)-1 {
		t.Errorf("%d limits are missing, want all but one: %s", got, refused.Raw)
	}
	if got := owner.Get(path); got.Text("data.default_currency") != "EUR" || got.Text("data.payment_limit") != "50.00" {
		t.Errorf("afterwards: %s", got.Raw)
	}
	owner.Patch(path, map[string]any{"default_currency": "EUR"}).Expect(http.StatusOK)
	limits["default_currency"], limits["two_approval_threshold"] = "JPY", nil
	owner.Patch(path, limits).Expect(http.StatusOK)
	if got := owner.Get(path); got.Text("data.payment_limit") != "50" || got.At("data.two_approval_threshold") != nil {
		t.Errorf("in yen: %s", got.Raw)
	}
}

// TestUpdate_nothing: who saves the settings as they are changes nothing, and leaves no trace.
func TestUpdate_nothing(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	owner := w.As(w.Owner)
	const path = billingtest.Base + "/tenant/"
	same := map[string]any{"name": "As it is", "payment_limit": 50, "hourly_payments": 5, "refund_window_days": 7, "two_refund_approvals_above": nil, "allow_parallel_claims": true}
	owner.Patch(path, same).Expect(http.StatusOK)
	changed := func() (at string) {
		t.Helper()
		if err := testkit.OwnerDB(t).NewRaw("SELECT updated_at::text FROM tenants WHERE id = ?", w.Tenant.ID).Scan(t.Context(), &at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	before, audited := changed(), len(w.Audited())
	for _, body := range []map[string]any{{}, same, {"payment_limit": "50.00"}, {"two_refund_approvals_above": 0}} {
		if got := owner.Patch(path, body).Expect(http.StatusOK).Text("data.payment_limit"); got != "50.00" {
			t.Errorf("%v answers %s", body, got)
		}
	}
	if after := changed(); after != before || len(w.Audited()) != audited {
		t.Errorf("changed at %s, and then at %s with %d more records", before, after, len(w.Audited())-audited)
	}
	for _, body := range []map[string]any{{"payment_limit": 51}, {"hourly_payments": 0}, {"two_refund_approvals_above": 1}} {
		last := changed()
		owner.Patch(path, body).Expect(http.StatusOK)
		if changed() == last {
			t.Errorf("%v has changed nothing", body)
		}
	}
}
