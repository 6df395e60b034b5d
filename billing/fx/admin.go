package fx

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/money"
	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/idempotency"
	"countersign/internal/web"
	"countersign/tenancy"
)

// Where the console shows rates and conversions.
const (
	rateSection       = "fx-rates"
	conversionSection = "conversions"
)

// console answers the console's pages about rates and conversions. They call what the API calls.
type console struct{ service *Service }

func (s *Service) sections() []admin.Section {
	c := &console{service: s}
	return []admin.Section{c.conversionSection(), c.rateSection()}
}

func (c *console) rateSection() admin.Section {
	return admin.ModelAdmin[Rate]{
		Name: rateSection, Title: "Exchange rates", Icon: "again", Group: admin.GroupSetUp, Place: 30, Permission: auth.BillingView,
		Description: "Rates are only added. Of two of the same time the one that was recorded later counts.",
		Spec:        rateSpec,
		ListFilter:  []admin.Filter{{Name: "base", Label: "From", Read: c.currencies("base")}, {Name: "quote", Label: "To", Read: c.currencies("quote")}},
		ListDisplay: []admin.Column[Rate]{
			{Title: "Rate", Value: func(r Rate) admin.Cell { return admin.Text(equation(r.Base, r.Rate.String(), r.Quote)) }},
			{Title: "Source", Value: func(r Rate) admin.Cell { return admin.Text(r.Source) }},
			{Title: "As of", Value: func(r Rate) admin.Cell { return admin.When(r.AsOf) }},
			{Title: "Recorded", OrderBy: "created_at", Value: func(r Rate) admin.Cell { return admin.When(r.CreatedAt) }},
		},
		List: func(ctx context.Context, l web.List) (page web.Page[Rate], err error) {
			err = tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) error {
				page, err = listRates(ctx, tx, l)
				return err
			})
			return page, err
		},
		NoDetail: true,
		Create:   c.rateForm(),
		Empty:    admin.Empty{Title: "No rates yet", Text: "A conversion takes the latest rate of the last seven days, or one that is stated with it."},
	}.Section()
}

// equation says what one of a currency is worth.
func equation(base money.Currency, rate string, quote money.Currency) string {
	return fmt.Sprintf("1 %s = %s %s", base, rate, quote)
}

// currencies are those of a column of the tenant's latest thousand rates.
func (c *console) currencies(column string) func(context.Context) ([]admin.Option, error) {
	return func(ctx context.Context) (options []admin.Option, err error) {
		var found []money.Currency
		err = tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) error {
			latest := tx.NewSelect().Model((*Rate)(nil)).ColumnExpr("r.? AS currency", bun.Ident(column)).Where("r.tenant_id = ?", tenancy.ID(ctx)).OrderExpr("r.id DESC").Limit(1000)
			return tx.NewSelect().TableExpr("(?) AS latest", latest).ColumnExpr("DISTINCT currency").OrderExpr("currency").Scan(ctx, &found)
		})
		for _, currency := range found {
			options = append(options, admin.Option{Value: string(currency), Label: string(currency)})
		}
		return options, err
	}
}

func (c *console) rateForm() *admin.Form[Rate] {
	return &admin.Form[Rate]{
		Title: "New rate", Permission: auth.BillingPricingManage, Description: "One of the first currency is so much of the second.",
		Groups: func(context.Context, *Rate) ([]admin.FieldGroup, error) {
			return []admin.FieldGroup{{Fields: []admin.Field{
				{Name: "base", Label: "From", Kind: "text", Required: true, Hint: "A currency's three letters, such as EUR."},
				{Name: "quote", Label: "To", Kind: "text", Required: true},
				{Name: "rate", Label: "Rate", Kind: "text", Required: true},
				{Name: "source", Label: "Source", Kind: "text", Required: true, Hint: "Who says so, such as a bank or its page."},
				{Name: "as_of", Label: "As of", Kind: "date", Hint: "Empty: now."},
			}}}, nil
		},
		Save: func(ctx context.Context, _ *Rate, form url.Values) (uuid.UUID, string, error) {
			var req RateRequest
			if err := admin.Bind(typed(form, "base", "quote", "rate", "source", "as_of"), &req); err != nil {
				return uuid.Nil, "", err
			}
			in, err := req.input(nil)
			if err != nil {
				return uuid.Nil, "", err
			}
			_, err = c.service.RecordRate(ctx, in)
			return uuid.Nil, "The rate is recorded.", err
		},
	}
}

// typed is what a client of the API would have sent for the fields of a form that are not empty.
func typed(form url.Values, names ...string) map[string]any {
	object := map[string]any{}
	for _, name := range names {
		if text := form.Get(name); text != "" {
			object[name] = text
		}
	}
	return object
}

// shown is a conversion with whose it is.
type shown struct {
	Conversion
	holder string
}

func (c *console) conversionSection() admin.Section {
	return admin.ModelAdmin[shown]{
		Name: conversionSection, Title: "Conversions", Icon: "again", Group: admin.GroupMoney, Place: 45, Permission: auth.BillingView,
		Description: "A customer's credit of one currency that became credit of another.",
		Spec:        conversionSpec,
		ListFilter:  []admin.Filter{{Name: "account", Label: "Account", Describe: func(ctx context.Context, text string) string { return accounts.Describe(ctx, c.service.db, text) }}},
		ListDisplay: []admin.Column[shown]{
			{Title: "Account", Value: func(s shown) admin.Cell { return admin.Text(s.holder) }},
			{Title: "Rate", Value: func(s shown) admin.Cell { return admin.Text(s.rate()).WithNote(s.RateSource) }},
			{Title: "Status", Value: func(s shown) admin.Cell { return admin.Status(s.status()) }},
			{Title: "When", OrderBy: "created_at", Value: func(s shown) admin.Cell { return admin.When(s.CreatedAt) }},
			{Title: "Given", Numeric: true, Value: func(s shown) admin.Cell { return admin.Amount(s.From()) }},
			{Title: "Got", Numeric: true, Value: func(s shown) admin.Cell { return admin.Amount(s.To()) }},
		},
		List: c.list, Key: func(s shown) uuid.UUID { return s.ID }, Get: c.get, Detail: conversionPage,
		Create:  c.conversionForm(),
		Actions: []admin.Action[shown]{c.reverseAction()},
		Empty:   admin.Empty{Title: "No conversions yet", Text: "Credit in one currency can become credit in another, at a rate with its source and time."},
	}.Section()
}

func (s shown) rate() string { return equation(s.RateBase, s.Rate.String(), s.RateQuote()) }

func (s shown) status() string {
	if s.IsReversed() {
		return "reversed"
	}
	return "converted"
}

func (s shown) subject() string {
	return s.From().String() + " " + string(s.FromCurrency) + " → " + s.To().String() + " " + string(s.ToCurrency)
}

func (c *console) list(ctx context.Context, l web.List) (web.Page[shown], error) {
	var page web.Page[shown]
	err := tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) error {
		found, err := listConversions(ctx, tx, l)
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
		list, err := withHolders(ctx, tx, *found)
		if err == nil {
			one = list[0]
		}
		return err
	})
	return one, err
}

func withHolders(ctx context.Context, tx bun.Tx, list ...Conversion) ([]shown, error) {
	ids, out := make([]uuid.UUID, len(list)), make([]shown, len(list))
	for i, c := range list {
		ids[i] = c.AccountID
	}
	owners, err := accounts.ByIDs(ctx, tx, ids...)
	for i, c := range list {
		out[i] = shown{Conversion: c}
		if a := owners[c.AccountID]; a != nil {
			out[i].holder = a.Holder
		}
	}
	return out, err
}

func conversionFacts(r admin.Reader, s shown) []admin.Fact {
	facts := []admin.Fact{
		{Label: "Account", Value: admin.LinkTo(s.holder, admin.IDURL("accounts", s.AccountID))},
		{Label: "Given", Value: admin.Amount(s.From())},
		{Label: "Got", Value: admin.Amount(s.To())},
		{Label: "Rate", Value: admin.Text(s.rate())},
		{Label: "Source", Value: admin.Text(s.RateSource)},
		{Label: "As of", Value: admin.When(s.RateAsOf)},
	}
	if !s.Difference().IsZero() {
		facts = append(facts, admin.Fact{Label: "By the rate", Value: admin.Amount(s.Computed())}, admin.Fact{Label: "Difference", Value: admin.Amount(s.Difference())})
	}
	if s.Reason != "" {
		facts = append(facts, admin.Fact{Label: "Reason", Value: admin.Text(s.Reason), Wide: true})
	}
	return facts
}

func conversionPage(_ context.Context, r admin.Reader, s shown) (admin.DetailPage, error) {
	page := admin.DetailPage{Title: s.subject(), Status: s.status(), Subtitle: r.DateTime(s.CreatedAt), Groups: []admin.FactGroup{{Facts: conversionFacts(r, s)}}}
	if s.IsReversed() {
		page.Groups = append(page.Groups, admin.FactGroup{Title: "Taken back", Facts: []admin.Fact{{Label: "When", Value: admin.When(s.ReversedAt)}, {Label: "Reason", Value: admin.Text(s.ReversalReason)}}})
	}
	return page, nil
}

// maxRates is how many of the latest rates a form offers.
const maxRates = 50

func (c *console) conversionForm() *admin.Form[shown] {
	return &admin.Form[shown]{
		Title: "Convert credit", Permission: auth.BillingReconcile, Submit: "Convert",
		Description: "Credit that you owe a customer in one currency becomes credit in another. It can be taken back as long as the customer still has it.",
		Groups: func(ctx context.Context, _ *shown) ([]admin.FieldGroup, error) {
			var account admin.Field
			var rates []Rate
			err := tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) (err error) {
				if account, err = accounts.AccountField(ctx, tx, "", true); err == nil {
					rates, err = newestRates(ctx, tx, maxRates)
				}
				return err
			})
			recorded := admin.Field{Name: "rate_id", Label: "Recorded rate", Kind: "select", Hint: "Empty: the latest from the one currency to the other, not older than seven days."}
			for _, r := range rates {
				recorded.Options = append(recorded.Options, admin.Option{Value: r.ID.String(), Label: equation(r.Base, r.Rate.String(), r.Quote) + " · " + r.Source + " · " + r.AsOf.Format(time.DateOnly)})
			}
			return []admin.FieldGroup{
				{Fields: []admin.Field{{Name: "key", Kind: "hidden", Value: uuid.NewString()}, account,
					{Name: "from_currency", Label: "From", Kind: "text", Required: true, Hint: "A currency's three letters, such as EUR."},
					{Name: "from_amount", Label: "Amount", Kind: "text", Required: true},
					{Name: "to_currency", Label: "To", Kind: "text", Required: true},
					{Name: "to_amount", Label: "What the bank has given", Kind: "text", Hint: "When it is not what the rate makes of it."},
					{Name: "reason", Label: "Reason", Kind: "textarea", Wide: true}}},
				{Title: "Rate", Fields: []admin.Field{recorded,
					{Name: "rate", Label: "Or another rate", Kind: "text"},
					{Name: "source", Label: "Source", Kind: "text", Hint: "Of the other rate."},
					{Name: "rate_base", Label: "The rate is for one", Kind: "text", Hint: "One of the two currencies. Empty: the first."}}},
			}, err
		},
		Save: func(ctx context.Context, _ *shown, form url.Values) (uuid.UUID, string, error) {
			var req ConvertRequest
			if err := admin.Bind(typed(form, "account_id", "from_currency", "from_amount", "to_currency", "to_amount", "reason", "rate_id", "rate", "source", "rate_base"), &req); err != nil {
				return uuid.Nil, "", err
			}
			once, err := idempotency.FromForm(form.Get("key"), "fx.convert.form", req) // a form that is sent twice converts once
			if err != nil {
				return uuid.Nil, "", err
			}
			in, err := req.input(once)
			if err != nil {
				return uuid.Nil, "", err
			}
			made, err := c.service.Convert(ctx, in)
			if err != nil {
				return uuid.Nil, "", err
			}
			return uuid.MustParse(made.ID), "The credit is converted.", nil
		},
	}
}

func (c *console) reverseAction() admin.Action[shown] {
	return admin.Action[shown]{
		Name: "reverse", Title: "Take back", Permission: auth.BillingReconcile, Danger: true, Reason: admin.MustReason, Subject: shown.subject, Facts: conversionFacts,
		Consequence: "Everything is posted the other way. The customer must still have what he got.",
		Allowed:     func(_ auth.Principal, s shown) bool { return !s.IsReversed() },
		Run: func(ctx context.Context, s shown, form url.Values) (string, error) {
			var req ReverseRequest
			if err := admin.Bind(map[string]any{"reason": form.Get("reason")}, &req); err != nil {
				return "", err
			}
			_, err := c.service.Reverse(ctx, ReverseInput{ID: s.ID, Reason: req.Reason})
			return "It is taken back.", err
		},
	}
}
