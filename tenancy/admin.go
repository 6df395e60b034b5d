package tenancy

import (
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
	threshold := ""
	if t.TwoApprovalThresholdMinor != nil {
		threshold = money.New(*t.TwoApprovalThresholdMinor, t.DefaultCurrency).String()
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
			{Name: "payment_terms_days", Label: "Days to pay", Kind: "number", Value: strconv.Itoa(t.PaymentTermsDays), Required: true}}},
		{Title: "Payments", Fields: []admin.Field{
			{Name: "two_approval_threshold", Label: "Two approvals above", Kind: "text", Value: threshold, Hint: "An amount in your currency. Empty: one approval is enough, unless the approval rules say otherwise."},
			{Name: "allow_parallel_claims", Label: "An invoice may have several undecided payments", Kind: "checkbox", Checked: t.AllowParallelClaims}}},
	}, nil
}

func (v *views) saveSettings(ctx context.Context, form url.Values) (string, error) {
	t, err := v.current(ctx)
	if err != nil {
		return "", err
	}
	values := map[string]any{"allow_parallel_claims": form.Has("allow_parallel_claims"), "payment_terms_days": form.Get("payment_terms_days"),
		"two_approval_threshold": form.Get("two_approval_threshold")}
	for _, name := range []string{"name", "country", "timezone", "locale", "default_currency", "invoice_prefix"} {
		values[name] = form.Get(name)
	}
	if n, err := strconv.Atoi(form.Get("payment_terms_days")); err == nil {
		values["payment_terms_days"] = n
	}
	if form.Get("two_approval_threshold") == "" { // the API switches it off by 0
		values["two_approval_threshold"] = "0"
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
