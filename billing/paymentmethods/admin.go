package paymentmethods

import (
	"context"
	"net/url"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/web"
	"countersign/tenancy"
)

// console answers the console's pages about the methods of countries.
type console struct{ service *Service }

// byCountry is the API's list in another order: the rows of a country stand together.
func byCountry() *web.ListSpec {
	spec := *configList
	spec.Default = "country_code"
	return &spec
}

func (s *Service) section() admin.Section {
	c := &console{service: s}
	return admin.ModelAdmin[*Config]{
		Name: "methods", Title: "Payment methods", Icon: "methods", Group: admin.GroupSetUp, Place: 10, Permission: auth.BillingMethodsManage,
		Description: "What customers of a country can pay with. A row of a country replaces the row for all countries, and can switch the method off there.",
		Spec:        byCountry(),
		ListFilter: []admin.Filter{{Name: "payment_method", Label: "Method", Options: methodOptions("")}, {Name: "country_code", Label: "Country", Read: c.countries},
			{Name: "is_enabled", Label: "Status", Options: []admin.Option{{Value: "true", Label: "On"}, {Value: "false", Label: "Off"}}}},
		ListDisplay: []admin.Column[*Config]{
			{Title: "Country", OrderBy: "country_code", Value: func(m *Config) admin.Cell { return countryCell(m.CountryCode) }},
			{Title: "Method", Value: func(m *Config) admin.Cell { return admin.Word(Label(m.Method)) }},
			{Title: "Shown as", Value: func(m *Config) admin.Cell { return admin.Text(m.DisplayName) }},
			{Title: "Currency", Value: currencyCell},
			{Title: "Receipt", Value: func(m *Config) admin.Cell { return admin.Word(neededWord(m.RequiresEvidence)) }},
			{Title: "Status", Value: func(m *Config) admin.Cell { return admin.Flag(m.IsEnabled) }},
		},
		List: func(ctx context.Context, l web.List) (page web.Page[*Config], err error) {
			err = tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
				page, err = ListConfigs(ctx, tx, l)
				return err
			})
			return page, err
		},
		Key: func(m *Config) uuid.UUID { return m.ID },
		Get: func(ctx context.Context, id uuid.UUID) (m *Config, err error) {
			err = tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
				m, err = GetConfig(ctx, tx, id)
				return err
			})
			return m, err
		},
		Detail:  c.page,
		Create:  &admin.Form[*Config]{Title: "New method", Groups: c.form, Save: c.save},
		Edit:    &admin.Form[*Config]{Title: "Edit the method", Groups: c.form, Save: c.save},
		Actions: c.actions(),
		Empty: admin.Empty{Title: "No methods yet", Text: "Customers can pay by nothing until a method is offered to their country.",
			URL: admin.URL("methods", "new"), Label: "New method"},
	}.Section()
}

func countryCell(code string) admin.Cell {
	if code == Everywhere {
		return admin.Word("All countries")
	}
	return admin.Text(tenancy.CountryName(code))
}

func currencyCell(m *Config) admin.Cell {
	if m.Currency == nil {
		return admin.Word("any")
	}
	return admin.Text(string(*m.Currency))
}

func neededWord(needed bool) string {
	if needed {
		return "required"
	}
	return "optional"
}

func methodOptions(chosen Method) []admin.Option {
	var options []admin.Option
	for _, m := range Methods() {
		options = append(options, admin.Option{Value: string(m), Label: Label(m), Selected: m == chosen})
	}
	return options
}

// countries are those that have rows.
func (c *console) countries(ctx context.Context) ([]admin.Option, error) {
	var codes []string
	err := tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) (err error) {
		codes, err = countriesOf(ctx, tx)
		return err
	})
	var options []admin.Option
	for _, code := range codes {
		label := tenancy.CountryName(code)
		if code == Everywhere {
			label = "All countries"
		}
		options = append(options, admin.Option{Value: code, Label: label})
	}
	return options, err
}

func (c *console) page(_ context.Context, r admin.Reader, m *Config) (admin.DetailPage, error) {
	page := admin.DetailPage{Title: m.DisplayName, Status: "disabled", Subtitle: r.Say(countryCell(m.CountryCode).Text) + " · " + r.Say(Label(m.Method))}
	if m.IsEnabled {
		page.Status = "enabled"
	}
	shown := []admin.Fact{{Label: "Name", Value: admin.Text(m.DisplayName)}, {Label: "Currency", Value: currencyCell(m)}, {Label: "Receipt", Value: admin.Word(neededWord(m.RequiresEvidence))}}
	if limit := m.limit(m.MinAmountMinor); limit != nil {
		shown = append(shown, admin.Fact{Label: "Smallest amount", Value: admin.Amount(*limit)})
	}
	if limit := m.limit(m.MaxAmountMinor); limit != nil {
		shown = append(shown, admin.Fact{Label: "Largest amount", Value: admin.Amount(*limit)})
	}
	shown = append(shown, admin.Fact{Label: "Place in the list", Value: admin.Count(int64(m.SortOrder))})
	if m.Instructions != "" {
		shown = append(shown, admin.Fact{Label: "Instructions", Value: admin.Text(m.Instructions), Wide: true})
	}
	page.Groups = append(page.Groups, admin.FactGroup{Title: "Shown to customers", Facts: shown})
	for _, details := range []struct {
		title string
		of    Details
	}{{"Bank details", m.BankDetails}, {"Wallet details", m.WalletDetails}} {
		if len(details.of) > 0 {
			page.Groups = append(page.Groups, admin.FactGroup{Title: details.title, Facts: detailFacts(details.of)})
		}
	}
	return page, nil
}

func detailFacts(details Details) []admin.Fact {
	text, ok := admin.Lines(details)
	if !ok {
		raw, err := details.Value()
		if err != nil {
			return nil
		}
		return []admin.Fact{{Label: "Details", Value: admin.Code(raw.(string)), Wide: true}}
	}
	return []admin.Fact{{Label: "Details", Value: admin.Text(text), Wide: true}}
}

func (c *console) actions() []admin.Action[*Config] {
	subject := func(m *Config) string { return m.DisplayName + ", " + m.CountryCode }
	switchTo := func(on bool, done string) func(context.Context, *Config, url.Values) (string, error) {
		return func(ctx context.Context, m *Config, _ url.Values) (string, error) {
			_, err := c.service.UpdateConfig(ctx, m.ID, ConfigInput{IsEnabled: &on})
			return done, err
		}
	}
	return []admin.Action[*Config]{
		{Name: "disable", Title: "Switch off", Subject: subject, Run: switchTo(false, "The method is off."),
			Consequence: "Customers of this country are not offered the method any more. Payments that were made with it stay.",
			Allowed:     func(_ auth.Principal, m *Config) bool { return m.IsEnabled }},
		{Name: "enable", Title: "Switch on", Subject: subject, Run: switchTo(true, "The method is on."), Primary: true,
			Consequence: "Customers of this country are offered the method, with what is shown here.",
			Facts: func(r admin.Reader, m *Config) []admin.Fact {
				facts := append(detailFacts(m.BankDetails), detailFacts(m.WalletDetails)...)
				return slices.DeleteFunc(facts, func(f admin.Fact) bool { return f.Value.Text == "" })
			},
			Allowed: func(_ auth.Principal, m *Config) bool { return !m.IsEnabled }},
		{Name: "delete", Title: "Delete", Danger: true, Subject: subject, Next: func(*Config) string { return admin.URL("methods") },
			Consequence: "The row is removed. Where there is a row for all countries, that one holds again.",
			Run: func(ctx context.Context, m *Config, _ url.Values) (string, error) {
				return "The row was removed.", c.service.DeleteConfig(ctx, m.ID)
			}},
	}
}

func (c *console) form(_ context.Context, object **Config) ([]admin.FieldGroup, error) {
	m := &Config{IsEnabled: true}
	if object != nil {
		m = *object
	}
	currency, smallest, largest := "", "", ""
	if m.Currency != nil {
		currency = string(*m.Currency)
	}
	if limit := m.limit(m.MinAmountMinor); limit != nil {
		smallest = limit.String()
	}
	if limit := m.limit(m.MaxAmountMinor); limit != nil {
		largest = limit.String()
	}
	groups := []admin.FieldGroup{{Title: "Where and what", Fields: []admin.Field{
		{Name: "country_code", Label: "Country", Kind: "text", Value: m.CountryCode, Required: true, Hint: "Two letters, such as BD, or the English name; * for all countries."},
		{Name: "payment_method", Label: "Method", Kind: "select", Options: methodOptions(m.Method), Required: true},
		{Name: "sort_order", Label: "Place in the list", Kind: "number", Value: strconv.Itoa(m.SortOrder), Required: true},
		{Name: "is_enabled", Label: "Offered to customers", Kind: "checkbox", Checked: m.IsEnabled},
		{Name: "requires_evidence", Label: "A receipt is required", Kind: "checkbox", Checked: m.RequiresEvidence}}}, {Title: "Limits", Fields: []admin.Field{
		{Name: "currency", Label: "Currency", Kind: "text", Value: currency, Hint: "Empty: any, and then without limits."},
		{Name: "min_amount", Label: "Smallest amount", Kind: "text", Value: smallest},
		{Name: "max_amount", Label: "Largest amount", Kind: "text", Value: largest}}}}
	shown := []admin.Field{{Name: "display_name", Label: "Name", Kind: "text", Value: m.DisplayName, Required: true, Wide: true},
		{Name: "instructions", Label: "Instructions", Kind: "textarea", Value: m.Instructions, Wide: true}}
	const hint = "One line each, such as “iban: PK36 SCBL 0000 0011 2345 6702”. Customers see these."
	if text, ok := admin.Lines(m.BankDetails); ok {
		shown = append(shown, admin.Field{Name: "bank_details", Label: "Bank details", Kind: "textarea", Value: text, Wide: true, Hint: hint})
	}
	if text, ok := admin.Lines(m.WalletDetails); ok {
		shown = append(shown, admin.Field{Name: "wallet_details", Label: "Wallet details", Kind: "textarea", Value: text, Wide: true, Hint: hint})
	}
	return append(groups, admin.FieldGroup{Title: "Shown to customers", Fields: shown}), nil
}

func (c *console) save(ctx context.Context, object **Config, form url.Values) (uuid.UUID, string, error) {
	values := map[string]any{"is_enabled": form.Has("is_enabled"), "requires_evidence": form.Has("requires_evidence")}
	for _, name := range []string{"country_code", "payment_method", "display_name", "instructions", "currency"} {
		values[name] = form.Get(name)
	}
	for _, name := range []string{"min_amount", "max_amount"} { // an empty limit is none, which the API writes as 0
		values[name] = form.Get(name)
		if form.Get(name) == "" {
			values[name] = "0"
		}
	}
	for _, name := range []string{"bank_details", "wallet_details"} {
		if form.Has(name) {
			values[name] = admin.ParseLines(form.Get(name))
		}
	}
	values["sort_order"] = form.Get("sort_order")
	if n, err := strconv.Atoi(form.Get("sort_order")); err == nil {
		values["sort_order"] = n
	}
	if object == nil {
		var req CreateConfigRequest
		if err := admin.Bind(values, &req); err != nil {
			return uuid.Nil, "", err
		}
		m, err := c.service.CreateConfig(ctx, req.input())
		if err != nil {
			return uuid.Nil, "", err
		}
		return m.ID, "The method was created.", nil
	}
	var req UpdateConfigRequest
	if err := admin.Bind(values, &req); err != nil {
		return uuid.Nil, "", err
	}
	m, err := c.service.UpdateConfig(ctx, (*object).ID, req.input())
	if err != nil {
		return uuid.Nil, "", err
	}
	return m.ID, "Saved.", nil
}
