package subscriptions

import (
	"context"
	"fmt"
	"net/url"
	"strconv"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/invoices"
	"countersign/billing/paymentmethods"
	"countersign/billing/payments"
	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/idempotency"
	"countersign/internal/web"
	"countersign/tenancy"
)

// section is where the console shows subscriptions.
const section = "subscriptions"

// console answers the console's pages about subscriptions. They call what the API calls.
type console struct{ service *Service }

func (s *Service) section() admin.Section {
	c := &console{service: s}
	return admin.ModelAdmin[shown]{
		Name: section, Title: "Subscriptions", Icon: "again", Group: admin.GroupMoney, Place: 32, Permission: auth.BillingView,
		Description: "What accounts are billed each month, and charged for.",
		Spec:        listSpec,
		ListFilter: []admin.Filter{
			{Name: "status", Label: "Status", Options: []admin.Option{{Value: string(StatusActive), Label: "Active"}, {Value: string(StatusCancelled), Label: "Cancelled"}}},
			{Name: "account", Label: "Account", Describe: func(ctx context.Context, text string) string { return accounts.Describe(ctx, c.service.db, text) }}},
		ListDisplay: []admin.Column[shown]{
			{Title: "Description", Value: func(s shown) admin.Cell { return admin.Text(s.Description) }},
			{Title: "Account", Value: func(s shown) admin.Cell { return admin.Text(s.holder) }},
			{Title: "Status", Value: func(s shown) admin.Cell { return admin.Status(s.shownStatus()) }},
			{Title: "Each month", Numeric: true, Value: func(s shown) admin.Cell { return admin.Amount(s.Amount()) }},
			{Title: "Months billed", Numeric: true, Value: func(s shown) admin.Cell { return admin.Count(int64(s.MonthsBilled)) }},
			{Title: "Next month", Value: shown.next},
		},
		List: c.list, Key: func(s shown) uuid.UUID { return s.ID }, Get: c.get, Detail: c.page,
		Create:  c.form(),
		Actions: []admin.Action[shown]{c.cancelAction()},
		Empty:   admin.Empty{Title: "No subscriptions yet", Text: "A subscription bills an account each month, and charges a saved card or wallet for it."},
	}.Section()
}

// shown is a subscription with whose it is.
type shown struct {
	*Subscription
	holder string
}

// shownStatus is the console's word: what is cancelled here was withdrawn by nobody.
func (s shown) shownStatus() string {
	if s.Status == StatusCancelled {
		return "called_off"
	}
	return string(s.Status)
}

// next is the first day of the month that is billed next.
func (s shown) next() admin.Cell {
	if s.Status == StatusCancelled {
		return admin.Text("")
	}
	return admin.Day(s.firstDay(s.MonthsBilled + 1))
}

func (s shown) subject() string {
	return s.Description + ", " + s.Amount().String() + " " + string(s.Currency)
}

func (c *console) list(ctx context.Context, l web.List) (web.Page[shown], error) {
	var page web.Page[shown]
	err := tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) error {
		found, err := pageOf(ctx, tx, l)
		if err != nil {
			return err
		}
		page = web.Page[shown]{Count: found.Count, Next: found.Next, Previous: found.Previous}
		page.Items, err = withHolders(ctx, tx, found.Items...)
		return err
	})
	return page, err
}

func (c *console) get(ctx context.Context, id uuid.UUID) (one shown, err error) {
	err = tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) error {
		found, err := Get(ctx, tx, id)
		if err != nil {
			return err
		}
		list, err := withHolders(ctx, tx, found)
		if err == nil {
			one = list[0]
		}
		return err
	})
	return one, err
}

func withHolders(ctx context.Context, tx bun.Tx, list ...*Subscription) ([]shown, error) {
	ids, out := make([]uuid.UUID, len(list)), make([]shown, len(list))
	for i, s := range list {
		ids[i] = s.AccountID
	}
	owners, err := accounts.ByIDs(ctx, tx, ids...)
	for i, s := range list {
		out[i] = shown{Subscription: s}
		if a := owners[s.AccountID]; a != nil {
			out[i].holder = a.Holder
		}
	}
	return out, err
}

func facts(_ admin.Reader, s shown) []admin.Fact {
	list := []admin.Fact{
		{Label: "Account", Value: admin.LinkTo(s.holder, admin.IDURL("accounts", s.AccountID))},
		{Label: "Each month", Value: admin.Amount(s.Amount())},
		{Label: "Quantity", Value: admin.Text(s.Quantity.String())},
		{Label: "Unit price", Value: admin.Text(invoices.FormatUnitPrice(s.UnitPrice, s.Currency))},
		{Label: "Tax rate", Value: admin.Text(s.TaxRate.String())},
		{Label: "First day", Value: admin.Day(s.StartsOn)},
	}
	if s.Credits > 0 {
		list = append(list, admin.Fact{Label: "Service credits", Value: admin.Count(s.Credits)})
	}
	if s.Status == StatusActive {
		list = append(list, admin.Fact{Label: "Next month", Value: s.next()})
	}
	return list
}

func (c *console) page(ctx context.Context, r admin.Reader, s shown) (admin.DetailPage, error) {
	page := admin.DetailPage{Title: s.Description, Status: s.shownStatus(), Subtitle: r.DateTime(s.CreatedAt), Groups: []admin.FactGroup{{Facts: facts(r, s)}}}
	if s.Status == StatusCancelled {
		page.Groups = append(page.Groups, admin.FactGroup{Title: "Cancelled", Facts: []admin.Fact{{Label: "When", Value: admin.When(s.CancelledAt)}, {Label: "Reason", Value: admin.Text(s.CancelReason)}}})
	}
	months, err := c.months(ctx, r, s.ID)
	page.Tables = []admin.Table{months}
	return page, err
}

// months is the table of what was billed, the newest first.
func (c *console) months(ctx context.Context, r admin.Reader, id uuid.UUID) (table admin.Table, err error) {
	var rows [][]admin.Cell
	err = tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) error {
		rows = nil
		months, err := monthsOf(ctx, tx, id)
		if err != nil {
			return err
		}
		ids := make([]uuid.UUID, len(months))
		for i, m := range months {
			ids[i] = m.InvoiceID
		}
		billed, err := invoices.ByIDs(ctx, tx, ids...)
		if err != nil {
			return err
		}
		for _, m := range months {
			invoice, status := admin.Text(""), admin.Text("")
			if inv := billed[m.InvoiceID]; inv != nil {
				invoice, status = admin.LinkTo(inv.Number, admin.IDURL("invoices", inv.ID)), admin.Status(inv.Status)
			}
			rows = append(rows, []admin.Cell{admin.Day(m.StartsOn), admin.Day(m.EndsOn), invoice, status, m.charged(r)})
		}
		return nil
	})
	table = admin.NewTable("Months", []string{"First day", "Last day", "Invoice", "Status", "Charge"}, nil, rows)
	table.Empty = "No month has been billed yet."
	return table, err
}

// charged says what came of the charge.
func (m *Month) charged(r admin.Reader) admin.Cell {
	switch {
	case m.FailureCode != "":
		cell := admin.Status("declined").WithNote(m.FailureCode)
		if m.PaymentID != uuid.Nil {
			cell = admin.LinkTo(r.Say("Declined"), admin.IDURL("payments", m.PaymentID)).WithNote(m.FailureCode)
		}
		return cell
	case m.PaymentID != uuid.Nil:
		return admin.LinkTo(r.Say("Payment"), admin.IDURL("payments", m.PaymentID))
	case !m.ChargeAt.IsZero():
		return admin.Status("waiting")
	default:
		return admin.Word("Nothing was owed")
	}
}

// maxSources is how many saved methods a form offers.
const maxSources = 200

// sources is a field that names a saved method: a select as long as the tenant has few of them, a text box otherwise.
func (c *console) sources(ctx context.Context) (field admin.Field, err error) {
	field = admin.Field{Name: "payment_source", Label: "Saved method", Kind: "select", Required: true, Wide: true, Hint: "A card or wallet that the account has saved. Whose it is, is billed."}
	err = tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) error {
		list, all, err := c.service.methods.Chargeables(ctx, tx, maxSources)
		if err != nil {
			return err
		}
		if !all {
			field.Kind = "text"
			field.Hint = "The id of a card or wallet that the account has saved. Whose it is, is billed."
			return nil
		}
		ids := make([]uuid.UUID, len(list))
		for i, m := range list {
			ids[i] = m.AccountID
		}
		owners, err := accounts.ByIDs(ctx, tx, ids...)
		for _, m := range list {
			holder := m.AccountID.String()
			if a := owners[m.AccountID]; a != nil {
				holder = a.Holder
			}
			field.Options = append(field.Options, admin.Option{Value: m.ID.String(), Label: fmt.Sprintf("%s · %s", holder, m.DisplayName)})
		}
		return err
	})
	return field, err
}

func (c *console) form() *admin.Form[shown] {
	return &admin.Form[shown]{
		Title: "New subscription", Permission: auth.BillingSubscriptionsManage, Submit: "Begin",
		Description: "Each month is billed and charged as its first day begins. What is agreed here cannot be changed: cancel it and make another.",
		Groups: func(ctx context.Context, _ *shown) ([]admin.FieldGroup, error) {
			source, err := c.sources(ctx)
			return []admin.FieldGroup{{Fields: []admin.Field{{Name: "key", Kind: "hidden", Value: uuid.NewString()}, source,
				{Name: "description", Label: "Description", Kind: "text", Required: true, Wide: true},
				{Name: "quantity", Label: "Quantity", Kind: "text", Value: "1", Required: true},
				{Name: "unit_price", Label: "Unit price", Kind: "text", Required: true},
				{Name: "currency", Label: "Currency", Kind: "text", Hint: "Empty: the account's own."},
				{Name: "tax_rate", Label: "Tax rate", Kind: "text", Hint: "A fraction: 0.15 is 15 %."},
				{Name: "credits", Label: "Service credits", Kind: "text", Hint: "For each month, once it is paid."},
				{Name: "starts_on", Label: "First day", Kind: "date", Hint: "Empty: today."},
			}}}, err
		},
		Save: func(ctx context.Context, _ *shown, form url.Values) (uuid.UUID, string, error) {
			object, err := c.typed(ctx, form)
			if err != nil {
				return uuid.Nil, "", err
			}
			var req CreateRequest
			if err := admin.Bind(object, &req); err != nil {
				return uuid.Nil, "", err
			}
			once, err := idempotency.FromForm(form.Get("key"), "subscriptions.create.form", req) // a form that is sent twice makes one
			if err != nil {
				return uuid.Nil, "", err
			}
			in, err := req.input(once)
			if err != nil {
				return uuid.Nil, "", err
			}
			made, err := c.service.Create(ctx, in)
			if err != nil {
				return uuid.Nil, "", err
			}
			return uuid.MustParse(made.ID), "The subscription is made.", nil
		},
	}
}

// typed is what a client of the API would have sent for a form: it names the account, which here is whose method it is.
func (c *console) typed(ctx context.Context, form url.Values) (map[string]any, error) {
	object := map[string]any{}
	for _, name := range []string{"payment_source", "description", "quantity", "unit_price", "currency", "tax_rate", "credits", "starts_on"} {
		if text := form.Get(name); text != "" {
			object[name] = text
		}
	}
	if n, err := strconv.ParseInt(form.Get("credits"), 10, 64); err == nil { // what is no number is refused as it is
		object["credits"] = n
	}
	id, err := web.ParseID(form.Get("payment_source"))
	if err != nil {
		return nil, payments.ErrUnknownSource.At("payment_source")
	}
	err = tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) error {
		saved, err := paymentmethods.GetSaved(ctx, tx, id)
		if err != nil {
			return payments.ErrUnknownSource.At("payment_source")
		}
		object["account_id"] = saved.AccountID.String()
		return nil
	})
	return object, err
}

func (c *console) cancelAction() admin.Action[shown] {
	return admin.Action[shown]{
		Name: "cancel", Title: "Cancel the subscription", Permission: auth.BillingSubscriptionsManage, Danger: true, Reason: admin.AskReason, Subject: shown.subject, Facts: facts,
		Consequence: "No further month is billed. What was billed stays owed, and is charged if it was not yet.",
		Allowed:     func(_ auth.Principal, s shown) bool { return s.Status == StatusActive },
		Run: func(ctx context.Context, s shown, form url.Values) (string, error) {
			var req CancelRequest
			if err := admin.Bind(map[string]any{"reason": form.Get("reason")}, &req); err != nil {
				return "", err
			}
			_, err := c.service.Cancel(ctx, CancelInput{ID: s.ID, Reason: req.Reason})
			return "The subscription is cancelled.", err
		},
	}
}
