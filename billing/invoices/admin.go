package invoices

import (
	"context"
	"net/http"
	"net/url"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/money"
	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/web"
	"countersign/tenancy"
)

// section is where the console shows invoices.
const section = "invoices"

// console answers the console's pages about invoices.
type console struct{ service *Service }

// listed is an invoice in the list, with whose it is.
type listed struct {
	Summary
	holder      string
	adjustments []AdjustmentResponse // on the page of one only
}

func (s *Service) section() admin.Section {
	c := &console{service: s}
	return admin.ModelAdmin[listed]{
		Name: section, Title: "Invoices", Icon: "invoices", Group: admin.GroupMoney, Place: 30, Permission: auth.BillingView,
		Spec: ListSpec, SearchPlaceholder: "Beginning of a number or external id",
		ListFilter: []admin.Filter{
			{Name: "status", Label: "Status", Options: statusOptions()},
			{Name: "overdue", Label: "Overdue", Options: []admin.Option{{Value: "true", Label: "Overdue only"}, {Value: "false", Label: "Not overdue"}}},
			{Name: "currency", Label: "Currency", Read: c.currencies},
			{Name: "account", Label: "Account", Describe: func(ctx context.Context, text string) string { return accounts.Describe(ctx, s.db, text) }},
		},
		ListDisplay: []admin.Column[listed]{
			{Title: "Number", Value: func(i listed) admin.Cell { return admin.Word(i.shownNumber()) }},
			{Title: "Account", Value: func(i listed) admin.Cell { return admin.Text(i.holder) }},
			{Title: "Status", Value: func(i listed) admin.Cell { return admin.Status(i.shownStatus()) }},
			{Title: "Due", OrderBy: "due_date", Value: func(i listed) admin.Cell { return admin.Date(i.DueDate) }},
			{Title: "Total", Numeric: true, Value: func(i listed) admin.Cell { return admin.Amount(i.amount(i.TotalAmountMinor)) }},
			{Title: "Open balance", Numeric: true, Value: func(i listed) admin.Cell { return admin.Amount(i.amount(i.BalanceAmountMinor)) }},
		},
		List: c.list,
		Key:  func(i listed) uuid.UUID { return uuid.MustParse(i.ID) },
		Get:  c.get, DetailView: c.invoiceView,
		Actions: append(c.actions(), c.adjusting()...),
		Routes: []web.Route{
			{Method: http.MethodGet, Path: "/new/", Permission: auth.BillingInvoicesManage, Handler: c.newView},
			{Method: http.MethodPost, Path: "/new/", Permission: auth.BillingInvoicesManage, Handler: c.create},
			{Method: http.MethodGet, Path: "/{id}/edit/", Permission: auth.BillingInvoicesManage, Handler: c.editView},
			{Method: http.MethodPost, Path: "/{id}/edit/", Permission: auth.BillingInvoicesManage, Handler: c.save},
		},
		ListButtons: func(p auth.Principal) []admin.Button {
			if !p.Can(auth.BillingInvoicesManage) {
				return nil
			}
			return []admin.Button{{Title: "New invoice", URL: admin.URL(section, "new"), Icon: "plus", Primary: true}}
		},
		Samples: samples(),
		Empty:   admin.Empty{Title: "No invoices yet", Text: "An invoice begins as a draft and is due once it is finalised."},
	}.Section()
}

func (i listed) shownNumber() string {
	if i.InvoiceNumber == nil {
		return "Draft"
	}
	return *i.InvoiceNumber
}

// shownStatus is overdue for what is late: the list has one badge.
func (i listed) shownStatus() string {
	if i.IsOverdue {
		return "overdue"
	}
	return string(i.Status)
}

func (i listed) amount(minor int64) money.Money { return money.New(minor, money.Currency(i.Currency)) }

func statusOptions() []admin.Option {
	var options []admin.Option
	for _, s := range Statuses() {
		options = append(options, admin.Option{Value: string(s), Label: admin.StatusBadge(string(s)).Label})
	}
	return options
}

func (c *console) list(ctx context.Context, l web.List) (web.Page[listed], error) {
	found, err := c.service.List(ctx, l)
	if err != nil {
		return web.Page[listed]{}, err
	}
	page := web.Page[listed]{Count: found.Count, Next: found.Next, Previous: found.Previous}
	ids := make([]uuid.UUID, len(found.Items))
	for i, s := range found.Items {
		ids[i] = uuid.MustParse(s.AccountID)
	}
	err = tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) error {
		owners, err := accounts.ByIDs(ctx, tx, ids...)
		if err != nil {
			return err
		}
		page.Items = make([]listed, len(found.Items))
		for i, s := range found.Items {
			page.Items[i] = listed{Summary: s}
			if a := owners[ids[i]]; a != nil {
				page.Items[i].holder = a.Holder
			}
		}
		return nil
	})
	return page, err
}

// get gives one invoice for an action's page.
func (c *console) get(ctx context.Context, id uuid.UUID) (listed, error) {
	answer, err := c.service.Detail(ctx, id.String())
	if err != nil {
		return listed{}, err
	}
	return listed{Summary: answer.Summary, adjustments: answer.Adjustments}, nil
}

// currencies are those of the tenant's latest invoices, for the filter.
func (c *console) currencies(ctx context.Context) ([]admin.Option, error) {
	var found []money.Currency
	err := tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) (err error) {
		found, err = recentCurrencies(ctx, tx)
		return err
	})
	var options []admin.Option
	for _, currency := range found {
		options = append(options, admin.Option{Value: string(currency), Label: string(currency)})
	}
	return options, err
}

func (c *console) actions() []admin.Action[listed] {
	facts := func(r admin.Reader, i listed) []admin.Fact {
		return []admin.Fact{{Label: "Total", Value: admin.Amount(i.amount(i.TotalAmountMinor))}, {Label: "Due", Value: admin.Date(i.DueDate)}}
	}
	return []admin.Action[listed]{
		{Name: "finalize", Title: "Finalise the invoice", Permission: auth.BillingInvoicesManage, Primary: true, Subject: listed.subject, Facts: facts,
			Consequence: "The invoice gets its number, is due, and is seen by the customer. Its lines cannot be changed any more.",
			Allowed:     func(_ auth.Principal, i listed) bool { return i.Status == StatusDraft },
			Run: func(ctx context.Context, i listed, _ url.Values) (string, error) {
				_, err := c.service.Finalize(ctx, FinalizeInput{Invoice: i.ID})
				return "The invoice is finalised.", err
			}},
		{Name: "void", Title: "Void the invoice", Permission: auth.BillingInvoicesManage, Danger: true, Reason: admin.MustReason, Subject: listed.subject, Facts: facts,
			Consequence: "The invoice keeps its number and is owed no longer. This cannot be undone.",
			Allowed: func(p auth.Principal, i listed) bool {
				return i.Status.CanBecome(StatusVoid) && i.PaidAmountMinor == 0 && i.Reductions.none() && mayVoid(p, i.Status)
			},
			Run: func(ctx context.Context, i listed, form url.Values) (string, error) {
				var req VoidRequest
				if err := web.DecodeForm(map[string][]string{"reason": {form.Get("reason")}}, &req); err != nil {
					return "", err
				}
				_, err := c.service.Void(ctx, VoidInput{Invoice: i.ID, Reason: req.Reason})
				return "The invoice is void.", err
			}},
	}
}

func (i listed) subject() string { return i.shownNumber() + ", " + i.TotalAmount + " " + i.Currency }

// mayVoid hides the button from who takes cash; the service decides for itself.
func mayVoid(p auth.Principal, s Status) bool { return s == StatusDraft || p.Can(auth.BillingRefund) }
