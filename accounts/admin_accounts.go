package accounts

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/outbox"
	"countersign/internal/web"
	"countersign/tenancy"
)

func (c *console) accountSection() admin.Section {
	return admin.ModelAdmin[*Account]{
		Name: "accounts", Title: "Accounts", Description: "Your customers: who is billed, and how he may pay.", Icon: "accounts",
		Group: admin.GroupMoney, Place: 40, Permission: auth.BillingView,
		Spec: accountList, SearchPlaceholder: "Beginning of number, holder or external id",
		ListFilter: []admin.Filter{{Name: "kind", Label: "Kind", Options: kindOptions("")},
			{Name: "is_active", Label: "Status", Options: []admin.Option{{Value: "true", Label: "Active"}, {Value: "false", Label: "Inactive"}}}},
		ListDisplay: []admin.Column[*Account]{
			{Title: "Holder", Value: func(a *Account) admin.Cell { return admin.Text(a.Holder) }},
			{Title: "Number", Value: func(a *Account) admin.Cell { return admin.Code(a.Number) }},
			{Title: "Kind", Value: func(a *Account) admin.Cell { return admin.Word(KindLabel(a.Kind)) }},
			{Title: "Country", Value: func(a *Account) admin.Cell { return admin.Text(tenancy.CountryName(a.Country)) }},
			{Title: "Currency", Value: func(a *Account) admin.Cell { return admin.Text(string(a.Currency)) }},
			{Title: "Status", Value: func(a *Account) admin.Cell { return admin.Status(activeWord(a.IsActive)) }},
			{Title: "Customer since", OrderBy: "created_at", Value: func(a *Account) admin.Cell { return admin.Day(a.CreatedAt) }},
		},
		List: func(ctx context.Context, l web.List) (page web.Page[*Account], err error) {
			err = c.read(ctx, func(ctx context.Context, tx bun.Tx) error {
				page, err = ListAccounts(ctx, tx, l)
				return err
			})
			return page, err
		},
		Key: func(a *Account) uuid.UUID { return a.ID }, Get: c.account, Detail: c.accountPage,
		Create: &admin.Form[*Account]{Title: "New account", Submit: "Create the account", Permission: auth.BillingAccountsManage, Groups: c.accountForm, Save: c.saveAccount},
		Edit:   &admin.Form[*Account]{Title: "Edit the account", Permission: auth.BillingAccountsManage, Groups: c.accountForm, Save: c.saveAccount},
		Actions: []admin.Action[*Account]{
			{Name: "deactivate", Title: "Deactivate", Permission: auth.BillingAccountsManage, Danger: true, Subject: holderOf,
				Consequence: "The account takes no new invoice or payment. What is open stays open, and its people can still sign in.",
				Allowed:     func(_ auth.Principal, a *Account) bool { return a.IsActive },
				Run: func(ctx context.Context, a *Account, _ url.Values) (string, error) {
					return "The account is inactive.", c.switchAccount(ctx, a, false)
				}},
			{Name: "activate", Title: "Activate", Permission: auth.BillingAccountsManage, Subject: holderOf,
				Consequence: "The account takes invoices and payments again.",
				Allowed:     func(_ auth.Principal, a *Account) bool { return !a.IsActive },
				Run: func(ctx context.Context, a *Account, _ url.Values) (string, error) {
					return "The account is active.", c.switchAccount(ctx, a, true)
				}},
		},
		Empty: admin.Empty{Title: "No customers yet", Text: "Create the first account, then send it an invoice.", URL: admin.URL("accounts", "new"), Label: "New account"},
	}.Section()
}

func holderOf(a *Account) string { return a.Number + ", " + a.Holder }

func activeWord(active bool) string {
	if active {
		return "active"
	}
	return "inactive"
}

func (c *console) read(ctx context.Context, fn func(ctx context.Context, tx bun.Tx) error) error {
	return tenancy.Read(ctx, c.service.db, fn)
}

func (c *console) account(ctx context.Context, id uuid.UUID) (a *Account, err error) {
	err = c.read(ctx, func(ctx context.Context, tx bun.Tx) error {
		a, err = Get(ctx, tx, id)
		return err
	})
	return a, err
}

func (c *console) switchAccount(ctx context.Context, a *Account, active bool) error {
	_, err := c.service.UpdateAccount(ctx, a.ID.String(), UpdateAccountInput{IsActive: &active})
	return err
}

// accountPage is the page of one account. What it owes and has paid belongs to packages above this one; the page leads
// to their lists.
func (c *console) accountPage(ctx context.Context, r admin.Reader, a *Account) (admin.DetailPage, error) {
	var told []outbox.Told
	var people []*Person
	err := c.read(ctx, func(ctx context.Context, tx bun.Tx) (err error) {
		if told, err = outbox.EventsOf(ctx, tx, a.ID); err != nil {
			return err
		}
		people, err = Members(ctx, tx, a.ID)
		return err
	})
	if err != nil {
		return admin.DetailPage{}, err
	}
	page := admin.DetailPage{Title: a.Holder, Status: activeWord(a.IsActive), Subtitle: a.Number + " · " + r.Say(KindLabel(a.Kind)), Groups: accountFactGroups(r, a),
		Tables: []admin.Table{peopleTable(ctx, people)}}
	page.Buttons = []admin.Button{{Title: "Invoices", URL: admin.URL("invoices") + "?account=" + a.ID.String()},
		{Title: "Payments", URL: admin.URL("payment-list") + "?account=" + a.ID.String()}, {Title: "Statement", URL: admin.IDURL("statements", a.ID)}}
	if p, _ := auth.From(ctx); p.Can(auth.BillingInvoicesManage) && a.IsActive {
		page.Buttons = append(page.Buttons, admin.Button{Title: "New invoice", URL: admin.URL("invoices", "new") + "?account=" + a.ID.String(), Primary: true})
	}
	for _, e := range slices.Backward(told) {
		switch e.Type {
		case EventAccountCreated:
			page.Events = append(page.Events, admin.Event{At: e.CreatedAt, Tone: admin.ToneOK, Text: r.Say("Created"), By: e.Actor})
		case EventAccountUpdated:
			page.Events = append(page.Events, admin.Event{At: e.CreatedAt, Tone: admin.ToneInfo, Text: r.Say("Changed"), By: e.Actor})
		}
	}
	return page, nil
}

func accountFactGroups(r admin.Reader, a *Account) []admin.FactGroup {
	facts := []admin.Fact{{Label: "Country", Value: admin.Text(tenancy.CountryName(a.Country))}, {Label: "Currency", Value: admin.Text(string(a.Currency))},
		{Label: "Customer since", Value: admin.Day(a.CreatedAt)}}
	add := func(label, text string, cell admin.Cell) {
		if text != "" {
			facts = append(facts, admin.Fact{Label: label, Value: cell})
		}
	}
	add("External id", a.ExternalID, admin.Code(a.ExternalID))
	add("E-mail", a.Email, admin.Text(a.Email))
	add("Patient id", a.PatientID, admin.Code(a.PatientID))
	address := map[string]any{}
	if json.Unmarshal(a.BillingAddress, &address) == nil && len(address) > 0 {
		text, ok := admin.Lines(address)
		if !ok {
			text = string(a.BillingAddress)
		}
		facts = append(facts, admin.Fact{Label: "Address", Value: admin.Text(text), Wide: true})
	}
	methods := admin.Word("All that the country offers")
	if len(a.PaymentMethods) > 0 {
		var names []string
		for _, m := range a.PaymentMethods {
			names = append(names, r.Say(MethodLabel(m)))
		}
		methods = admin.Text(strings.Join(names, ", "))
	}
	paying := []admin.Fact{{Label: "Allowed methods", Value: methods}}
	if a.DefaultPaymentMethod != "" {
		paying = append(paying, admin.Fact{Label: "Default method", Value: admin.Word(MethodLabel(a.DefaultPaymentMethod))})
	}
	return []admin.FactGroup{{Title: "Details", Facts: facts}, {Title: "How it may pay", Facts: paying}}
}

func peopleTable(ctx context.Context, people []*Person) admin.Table {
	p, _ := auth.From(ctx)
	var urls []string
	var rows [][]admin.Cell
	for _, m := range people {
		link := ""
		if p.Can(auth.UsersManage) {
			link = admin.IDURL("users", m.UserID)
		}
		urls = append(urls, link)
		rows = append(rows, []admin.Cell{admin.Text(m.Name), admin.Text(m.Email), admin.Status(activeWord(m.IsActive))})
	}
	t := admin.NewTable("People who sign in for it", []string{"Name", "E-mail", "Status"}, urls, rows)
	t.Empty = "Nobody can sign in for this account yet."
	return t
}

func kindOptions(chosen string) []admin.Option {
	var options []admin.Option
	for _, kind := range Kinds() {
		options = append(options, admin.Option{Value: kind, Label: KindLabel(kind), Selected: kind == chosen})
	}
	return options
}

// methodField begins the names of the checkboxes for allowed methods.
const methodField = "method_"

func (c *console) accountForm(ctx context.Context, object **Account) ([]admin.FieldGroup, error) {
	a := &Account{Kind: KindOrganization}
	if object != nil {
		a = *object
	} else {
		err := c.read(ctx, func(ctx context.Context, tx bun.Tx) error {
			tenant, err := tenancy.Current(ctx, tx)
			if err == nil {
				a.Country, a.Currency = tenant.Country, tenant.DefaultCurrency
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	who := []admin.Field{
		{Name: "holder", Label: "Holder", Kind: "text", Value: a.Holder, Required: true, Wide: true},
		{Name: "kind", Label: "Kind", Kind: "select", Options: kindOptions(a.Kind), Required: true},
		{Name: "country", Label: "Country", Kind: "text", Value: a.Country, Required: true, Hint: "Two letters, such as BD, or the English name."},
		{Name: "currency", Label: "Currency", Kind: "text", Value: string(a.Currency), Required: true, Hint: "Three letters, such as BDT."},
		{Name: "email", Label: "E-mail", Kind: "email", Value: a.Email},
		{Name: "external_id", Label: "External id", Kind: "text", Value: a.ExternalID, Hint: "Your own system's name for this customer."},
		{Name: "patient_id", Label: "Patient id", Kind: "text", Value: a.PatientID},
	}
	address := map[string]any{}
	if len(a.BillingAddress) > 0 {
		if err := json.Unmarshal(a.BillingAddress, &address); err != nil {
			return nil, err
		}
	}
	if text, ok := admin.Lines(address); ok {
		who = append(who, admin.Field{Name: "billing_address", Label: "Address", Kind: "textarea", Value: text, Wide: true, Hint: "One line each, such as “city: Dhaka”."})
	}
	var paying []admin.Field
	options := []admin.Option{}
	for _, m := range Methods() {
		paying = append(paying, admin.Field{Name: methodField + m, Label: MethodLabel(m), Kind: "checkbox", Checked: slices.Contains(a.PaymentMethods, m)})
		options = append(options, admin.Option{Value: m, Label: MethodLabel(m), Selected: m == a.DefaultPaymentMethod})
	}
	paying = append(paying, admin.Field{Name: "default_payment_method", Label: "Default method", Kind: "select", Options: options, Wide: true})
	return []admin.FieldGroup{{Title: "Details", Fields: who}, {Title: "How it may pay (nothing ticked: all that the country offers)", Fields: paying}}, nil
}

// accountFields are the texts of the form, under the names that the API knows.
var accountFields = []string{"holder", "kind", "country", "currency", "email", "external_id", "patient_id", "default_payment_method"}

func (c *console) saveAccount(ctx context.Context, object **Account, form url.Values) (uuid.UUID, string, error) {
	values := map[string]any{}
	for _, name := range accountFields {
		values[name] = form.Get(name)
	}
	methods := []any{}
	for _, m := range Methods() {
		if form.Has(methodField + m) {
			methods = append(methods, m)
		}
	}
	values["payment_methods"] = methods
	if form.Has("billing_address") {
		values["billing_address"] = admin.ParseLines(form.Get("billing_address"))
	}
	if object == nil {
		return c.newAccount(ctx, values)
	}
	var req UpdateAccountRequest
	if err := admin.Bind(values, &req); err != nil {
		return uuid.Nil, "", err
	}
	in, err := req.input()
	if err != nil {
		return uuid.Nil, "", err
	}
	a, err := c.service.UpdateAccount(ctx, (*object).ID.String(), in)
	if err != nil {
		return uuid.Nil, "", err
	}
	return a.ID, "Saved.", nil
}

func (c *console) newAccount(ctx context.Context, values map[string]any) (uuid.UUID, string, error) {
	var req CreateAccountRequest
	if err := admin.Bind(values, &req); err != nil {
		return uuid.Nil, "", err
	}
	in, err := req.input()
	if err != nil {
		return uuid.Nil, "", err
	}
	a, err := c.service.CreateAccount(ctx, in)
	if err != nil {
		return uuid.Nil, "", err
	}
	return a.ID, "The account was created.", nil
}
