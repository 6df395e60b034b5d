package payments

import (
	"context"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/paymentmethods"
	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/web"
	"countersign/tenancy"
)

// listName is where the console shows all payments.
const listName = "payment-list"

// listed is a payment in the list of all payments.
type listed struct {
	*Payment
	holder string
	number string // of its invoice
}

// listSection is the list of all payments, in whatever state. Its rows lead to the pages of the other section.
func (c *console) listSection() admin.Section {
	return admin.ModelAdmin[listed]{
		Name: listName, Title: "Payments", Icon: "payments", Group: admin.GroupMoney, Place: 20, Permission: auth.BillingView,
		Spec: listSpec(words()), SearchPlaceholder: "Beginning of the reference, or a payment's id",
		ListFilter: []admin.Filter{
			{Name: "status", Label: "Status", Options: statusOptions()},
			{Name: "payment_method", Label: "Method", Options: methodOptions(paymentmethods.Methods()...)},
			{Name: "gateway", Label: "Provider", Options: gatewayOptions(c.service.gateways.Registry().Names())},
			{Name: "currency", Label: "Currency", Read: c.currencies},
		},
		ListDisplay: []admin.Column[listed]{
			{Title: "Reference", Value: func(p listed) admin.Cell { return admin.Code(p.shownReference()) }},
			{Title: "Account", Value: func(p listed) admin.Cell { return admin.Text(p.holder) }},
			{Title: "Invoice", Value: func(p listed) admin.Cell { return admin.Text(p.number) }},
			{Title: "Method", Value: func(p listed) admin.Cell { return admin.Word(paymentmethods.Label(p.Method)).WithNote(p.provider()) }},
			{Title: "Status", Value: func(p listed) admin.Cell { return admin.Status(shownStatus(p.Payment)) }},
			{Title: "Submitted", OrderBy: "created_at", Value: func(p listed) admin.Cell { return admin.When(p.CreatedAt) }},
			{Title: "Amount", Numeric: true, Value: func(p listed) admin.Cell { return admin.Amount(p.Amount()) }},
		},
		List:     c.list,
		RowURL:   func(p listed) string { return admin.IDURL(section, p.ID) },
		NoDetail: true,
		Empty:    admin.Empty{Title: "No payments yet", Text: "What customers claim to have paid appears here."},
	}.Section()
}

// provider is who was asked for the money; empty when nobody was.
func (p listed) provider() string {
	if asksNobody(p.Payment) {
		return ""
	}
	return p.Gateway
}

// asksNobody says that a payment is a claim or cash.
func asksNobody(p *Payment) bool {
	return p.Gateway == string(paymentmethods.GatewayManual) || p.Gateway == string(paymentmethods.GatewayCash)
}

func gatewayOptions(names []string) []admin.Option {
	var options []admin.Option
	for _, name := range names {
		options = append(options, admin.Option{Value: name, Label: name})
	}
	return options
}

func (p listed) shownReference() string {
	if p.Reference == "" {
		return p.ID.String()
	}
	return p.Reference
}

func (c *console) list(ctx context.Context, l web.List) (web.Page[listed], error) {
	var page web.Page[listed]
	err := tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) error {
		found, err := List(ctx, tx, l, uuid.Nil, uuid.Nil)
		if err != nil {
			return err
		}
		owners, err := accountsOf(ctx, tx, found.Items)
		if err != nil {
			return err
		}
		numbers, err := invoiceNumbers(ctx, tx, found.Items)
		if err != nil {
			return err
		}
		page = web.Page[listed]{Count: found.Count, Next: found.Next, Previous: found.Previous}
		for _, p := range found.Items {
			row := listed{Payment: p, number: numbers[p.InvoiceID]}
			if a := owners[p.AccountID]; a != nil {
				row.holder = a.Holder
			}
			page.Items = append(page.Items, row)
		}
		return nil
	})
	return page, err
}

func invoiceNumbers(ctx context.Context, tx bun.Tx, list []*Payment) (map[uuid.UUID]string, error) {
	ids := make([]uuid.UUID, len(list))
	for i, p := range list {
		ids[i] = p.InvoiceID
	}
	invs, err := invoices.ByIDs(ctx, tx, ids...)
	numbers := map[uuid.UUID]string{}
	for id, inv := range invs {
		numbers[id] = inv.Number
	}
	return numbers, err
}

// currencies are those of the tenant's latest payments, for the filter.
func (c *console) currencies(ctx context.Context) ([]admin.Option, error) {
	var found []money.Currency
	err := tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) (err error) {
		found, err = RecentCurrencies(ctx, tx)
		return err
	})
	var options []admin.Option
	for _, currency := range found {
		options = append(options, admin.Option{Value: string(currency), Label: string(currency)})
	}
	return options, err
}
