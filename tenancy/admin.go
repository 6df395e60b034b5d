package tenancy

import (
	"cmp"
	"context"
	"net/url"
	"strconv"

	"countersign/billing/money"
	"countersign/internal/admin"
	"countersign/internal/auth"
)

// section is the settings of the tenant.
func (v *views) section() admin.Section {
	form := admin.SingleForm{Title: "Settings", Description: "What holds for your whole organisation.", URL: admin.URL("settings"), Back: admin.URL("settings"),
		Groups: v.settingsForm, Save: v.saveSettings}
	return admin.Section{Name: "settings", Title: "Settings", Icon: "settings", Group: admin.GroupSetUp, Place: 40, Permission: auth.TenantManage, Routes: form.Routes("/")}
}

func (v *views) settingsForm(ctx context.Context) ([]admin.FieldGroup, error) {
	t, err := v.current(ctx)
	if err != nil {
		return nil, err
	}
	limit := func(minor *int64) string {
		if minor == nil || *minor == 0 {
			return ""
		}
		return money.New(*minor, t.DefaultCurrency).String()
	}
	hourly := ""
	if t.HourlyPayments != nil {
		hourly = strconv.Itoa(*t.HourlyPayments)
	}
	var locales []admin.Option
	for _, l := range []admin.Option{{Value: "en", Label: "English"}, {Value: "ru", Label: "Русский"}, {Value: "uz", Label: "Oʻzbekcha"}, {Value: "bn", Label: "বাংলা"}} {
		l.Selected = l.Value == t.Locale
		locales = append(locales, l)
	}
	return []admin.FieldGroup{
		{Title: "Organisation", Fields: []admin.Field{
			{Name: "name", Label: "Name", Kind: "text", Value: t.Name, Required: true, Wide: true},
			{Name: "country", Label: "Country", Kind: "text", Value: t.Country, Required: true, Hint: "Two letters, such as BD, or the English name."},
			{Name: "timezone", Label: "Time zone", Kind: "text", Value: t.Timezone, Required: true, Hint: "Such as Asia/Dhaka. Days begin and end there."},
			{Name: "locale", Label: "Language", Kind: "select", Options: locales, Required: true},
			{Name: "default_currency", Label: "Currency", Kind: "text", Value: string(t.DefaultCurrency), Required: true, Hint: "Three letters, such as BDT."}}},
		{Title: "Invoices", Fields: []admin.Field{
			{Name: "invoice_prefix", Label: "Prefix of invoice numbers", Kind: "text", Value: t.InvoicePrefix, Required: true, Hint: "Up to 12 capital letters and digits."},
			{Name: "payment_terms_days", Label: "Days to pay", Kind: "number", Value: strconv.Itoa(t.PaymentTermsDays), Required: true},
			{Name: "write_off_tolerance", Label: "One person may write off up to", Kind: "text", Value: limit(&t.WriteOffToleranceMinor), Hint: "An amount in your currency. Above it a second person decides."},
			{Name: "apply_credit_automatically", Label: "A finalised invoice takes the customer's credit", Kind: "checkbox", Checked: t.ApplyCreditAutomatically}}},
		{Title: "Payments", Fields: []admin.Field{
			{Name: "two_approval_threshold", Label: "Two approvals above", Kind: "text", Value: limit(t.TwoApprovalThresholdMinor), Hint: "An amount in your currency. Empty: one approval is enough, unless the approval rules say otherwise."},
			{Name: "allow_parallel_claims", Label: "An invoice may have several undecided payments", Kind: "checkbox", Checked: t.AllowParallelClaims},
			{Name: "payment_limit", Label: "Largest payment", Kind: "text", Value: limit(t.PaymentLimitMinor), Hint: "An amount in your currency. Empty: no limit."},
			{Name: "daily_limit", Label: "Most that one account pays in 24 hours", Kind: "text", Value: limit(t.DailyLimitMinor), Hint: "An amount in your currency. Empty: no limit."},
			{Name: "hourly_payments", Label: "Most payments of one account in an hour", Kind: "number", Value: hourly, Hint: "Empty: any number."},
			{Name: "duplicate_window_minutes", Label: "An equal payment is a mistake for so many minutes", Kind: "number", Value: strconv.Itoa(t.DuplicateWindowMinutes), Required: true, Hint: "0: never."}}},
		{Title: "Refunds", Fields: []admin.Field{
			{Name: "refund_window_days", Label: "Days to refund", Kind: "number", Value: strconv.Itoa(t.RefundWindowDays), Required: true, Hint: "0: for ever."},
			{Name: "two_refund_approvals_above", Label: "Two people refund above", Kind: "text", Value: limit(t.TwoRefundApprovalsAboveMinor), Hint: "An amount in your currency. Empty: one person is enough."}}},
	}, nil
}

func (v *views) saveSettings(ctx context.Context, form url.Values) (string, error) {
	t, err := v.current(ctx)
	if err != nil {
		return "", err
	}
	values := map[string]any{"allow_parallel_claims": form.Has("allow_parallel_claims"), "apply_credit_automatically": form.Has("apply_credit_automatically")}
	for _, name := range []string{"name", "country", "timezone", "locale", "default_currency", "invoice_prefix"} {
		values[name] = form.Get(name)
	}
	for _, name := range []string{"payment_terms_days", "refund_window_days", "duplicate_window_minutes", "hourly_payments"} {
		values[name] = form.Get(name)
		if n, err := strconv.Atoi(form.Get(name)); err == nil {
			values[name] = n
		}
	}
	if form.Get("hourly_payments") == "" {
		values["hourly_payments"] = 0
	}
	for _, name := range []string{"two_approval_threshold", "two_refund_approvals_above", "write_off_tolerance", "payment_limit", "daily_limit"} {
		values[name] = cmp.Or(form.Get(name), "0") // the API takes a limit away by 0
	}
	var req UpdateRequest
	if err := admin.Bind(values, &req); err != nil {
		return "", err
	}
	in, err := req.input(t)
	if err != nil {
		return "", err
	}
	_, err = v.service.Update(ctx, in)
	return "Saved.", err
}
