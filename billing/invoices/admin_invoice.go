package invoices

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/outbox"
	"countersign/internal/web"
	"countersign/tenancy"
)

// invoicePage is the page invoices/invoice.
type invoicePage struct {
	Crumbs                                                 []admin.Link
	Number, Status, AccountNote, ExternalID                string
	Overdue                                                bool
	Account                                                admin.Link
	InvoiceDate, DueDate                                   time.Time
	Lines                                                  []invoiceLine
	Subtotal, Discount, Tax, Total, Paid, Claimed, Balance money.Money
	CreditApplied, Credited, WrittenOff                    money.Money
	PaidShare, ClaimedShare                                int
	Payments, Adjustments                                  admin.Table
	Buttons                                                []admin.Button
	Notes                                                  []admin.Note
	Events                                                 []admin.Event
}

type invoiceLine struct {
	Description, Note, Quantity, UnitPrice, TaxRate, Code string
	Discount, Tax, Net                                    money.Money
	Credits                                               int64
}

// payment is what the page reads of an invoice's payments. They are another package's, which shows them as answers.
type payment struct {
	ID          uuid.UUID `json:"id"`
	Reference   string    `json:"transaction_reference"`
	Method      string    `json:"payment_method"`
	Status      string    `json:"status"`
	AmountMinor int64     `json:"amount_minor"`
	Currency    string    `json:"currency"`
	CreatedAt   time.Time `json:"created_at"`
}

// underWay says whether the payment is claimed, asked for or held, and not yet proven.
func (p payment) underWay() bool {
	return slices.Contains([]string{"created", "pending", "pending_approval", "processing", "authorized"}, p.Status)
}

// sheet is what an invoice's page is made of.
type sheet struct {
	invoice  *Invoice
	lines    []LineItem
	account  *accounts.Account
	tenant   *tenancy.Tenant
	payments []payment
	events   []outbox.Told
	// adjustments are what lowered the invoice besides payments; credit is what the customer has to spend on it.
	adjustments []AdjustmentResponse
	credit      int64
}

func (c *console) sheet(ctx context.Context, ref string) (s sheet, err error) {
	err = tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) error {
		if s.invoice, err = Get(ctx, tx, ref); err != nil {
			return err
		}
		if s.lines, err = linesOf(ctx, tx, s.invoice.ID); err != nil {
			return err
		}
		if s.account, err = accounts.Get(ctx, tx, s.invoice.AccountID); err != nil {
			return err
		}
		if s.tenant, err = tenancy.Current(ctx, tx); err != nil {
			return err
		}
		if s.payments, err = c.paymentsOf(ctx, tx, s.invoice); err != nil {
			return err
		}
		adjustments, err := adjustmentsOf(ctx, tx, s.invoice.ID)
		if err != nil {
			return err
		}
		s.adjustments = newAdjustmentResponses(ctx, adjustments)
		owed, err := ledger.CachedBalance(ctx, tx, ledger.CustomerCredit(s.invoice.AccountID, s.invoice.Currency).ID(ctx))
		if err != nil {
			return err
		}
		s.credit = -owed
		s.events, err = outbox.EventsOf(ctx, tx, s.invoice.ID)
		return err
	})
	return s, err
}

func (c *console) paymentsOf(ctx context.Context, tx bun.Tx, inv *Invoice) ([]payment, error) {
	answers, err := c.service.payments(ctx, tx, inv)
	if err != nil {
		return nil, err
	}
	list := make([]payment, len(answers))
	for i, answer := range answers {
		raw, err := json.Marshal(answer)
		if err != nil {
			return nil, fmt.Errorf("show a payment of invoice %s: %w", inv.ID, err)
		}
		if err := json.Unmarshal(raw, &list[i]); err != nil {
			return nil, fmt.Errorf("show a payment of invoice %s: %w", inv.ID, err)
		}
	}
	return list, nil
}

func (c *console) invoiceView(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	s, err := c.sheet(r.Context(), id.String())
	if err != nil {
		return err
	}
	return admin.Render(w, r, "invoices/invoice", newInvoicePage(r, s, c.service.now()))
}

func newInvoicePage(r *http.Request, s sheet, now time.Time) invoicePage {
	reader, inv := admin.ReaderOf(r), s.invoice
	page := invoicePage{Crumbs: []admin.Link{{Text: "Invoices", URL: admin.URL(section)}}, Number: inv.Number, Status: string(inv.Status),
		Overdue: inv.IsOverdue(now, s.tenant.Location()), Account: admin.Link{Text: s.account.Holder, URL: admin.IDURL("accounts", s.account.ID)},
		AccountNote: s.account.Number + " · " + s.account.Country, ExternalID: inv.ExternalID, InvoiceDate: inv.InvoiceDate, DueDate: inv.DueDate,
		Subtotal: inv.Amount(inv.SubtotalMinor), Discount: inv.Amount(inv.DiscountMinor), Tax: inv.Amount(inv.TaxMinor), Total: inv.Amount(inv.TotalMinor),
		Paid: inv.Amount(inv.PaidMinor), Balance: inv.Balance(), Claimed: inv.Amount(0),
		CreditApplied: inv.Amount(inv.CreditAppliedMinor), Credited: inv.Amount(inv.CreditedMinor), WrittenOff: inv.Amount(inv.WrittenOffMinor)}
	if page.Number == "" {
		page.Number = reader.Say("Draft")
	}
	for i := range s.lines {
		page.Lines = append(page.Lines, newLine(reader, inv, &s.lines[i]))
	}
	claimed := int64(0)
	for _, p := range s.payments {
		if p.underWay() {
			claimed += min(p.AmountMinor, inv.BalanceMinor)
		}
	}
	page.Claimed = inv.Amount(min(claimed, inv.BalanceMinor))
	page.PaidShare = share(inv.PaidMinor+inv.CreditAppliedMinor+inv.CreditedMinor, inv.TotalMinor)
	page.ClaimedShare = min(share(page.Claimed.Minor, inv.TotalMinor), 100-page.PaidShare)
	page.Payments = paymentsTable(s.payments)
	if len(s.adjustments) > 0 {
		page.Adjustments = adjustmentsTable(s.adjustments)
	}
	page.Notes = notes(reader, inv)
	if s.credit > 0 && inv.BalanceMinor > 0 && inv.Status != StatusDraft {
		page.Notes = append(page.Notes, admin.Note{Tone: admin.ToneInfo, Text: reader.Say("The customer has {{.amount}} of credit.", "amount", reader.Money(inv.Amount(s.credit)))})
	}
	page.Buttons = buttons(r.Context(), s)
	page.Events = timeline(reader, inv, s.events)
	return page
}

// share is how much part is of whole, per cent.
func share(part, whole int64) int {
	if whole <= 0 {
		return 0
	}
	percent := decimal.NewFromInt(part).Mul(decimal.NewFromInt(100)).Div(decimal.NewFromInt(whole)).IntPart()
	return int(max(0, min(100, percent)))
}

func newLine(r admin.Reader, inv *Invoice, li *LineItem) invoiceLine {
	line := invoiceLine{Description: li.Description, Quantity: li.Quantity.String(), UnitPrice: FormatUnitPrice(li.UnitPrice, inv.Currency), Code: li.BillingCode,
		Discount: inv.Amount(li.DiscountMinor), Tax: inv.Amount(li.TaxMinor), Net: inv.Amount(li.NetMinor), TaxRate: percent(li.TaxRate) + " %", Credits: li.Credits}
	if price, err := money.Parse(line.UnitPrice, inv.Currency); err == nil { // without a part of a minor unit it is an amount like any other
		line.UnitPrice = money.FormatNumber(price, r.Language)
	}
	if li.Credits > 0 {
		line.Note = r.Say("{{.n}} credits once it is paid", "n", li.Credits)
	}
	return line
}

// percent writes a rate, which is stored as a fraction, as people do.
func percent(rate decimal.Decimal) string { return rate.Shift(2).String() }

func paymentsTable(list []payment) admin.Table {
	var urls []string
	var rows [][]admin.Cell
	for _, p := range list {
		urls = append(urls, admin.IDURL("payments", p.ID))
		rows = append(rows, []admin.Cell{admin.Text(p.Reference), admin.Amount(money.New(p.AmountMinor, money.Currency(p.Currency))), admin.Status(p.Status), admin.Age(p.CreatedAt)})
	}
	return admin.NewTable("Payments", []string{"Reference", "Claimed", "Status", "Submitted"}, urls, rows)
}

func notes(r admin.Reader, inv *Invoice) []admin.Note {
	var list []admin.Note
	if inv.Status == StatusDraft {
		list = append(list, admin.Note{Tone: admin.ToneInfo, Text: r.Say("This is a draft. The customer does not see it, and it is not owed.")})
	}
	if inv.PendingClaims > 0 {
		list = append(list, admin.Note{Tone: admin.ToneInfo, Text: r.Say("The due date is paused while a claim waits for a decision.")})
	}
	if inv.VoidReason != "" {
		list = append(list, admin.Note{Tone: admin.ToneMute, Text: r.Say("Voided: {{.reason}}", "reason", inv.VoidReason)})
	}
	if inv.Notes != "" {
		list = append(list, admin.Note{Tone: admin.ToneMute, Text: inv.Notes})
	}
	return list
}

// buttons are those of what may be done: to a draft, to an open invoice, and where else to look.
func buttons(ctx context.Context, s sheet) []admin.Button {
	inv := s.invoice
	p, _ := auth.From(ctx)
	var list []admin.Button
	if p.Can(auth.BillingLedgerView) && !inv.FinalizedAt.IsZero() {
		list = append(list, admin.Button{Title: "Ledger entries", URL: admin.URL("ledger-entries") + "?invoice_id=" + inv.ID.String()})
	}
	if !p.Can(auth.BillingInvoicesManage) {
		return list
	}
	if inv.Status.CanBecome(StatusVoid) && inv.PaidMinor == 0 && !inv.adjusted() && mayVoid(p, inv.Status) {
		list = append(list, admin.Button{Title: "Void the invoice", URL: admin.IDURL(section, inv.ID, "void"), Danger: true})
	}
	list = append(list, adjustButtons(p, inv, s.adjustments, s.credit)...)
	if inv.Status == StatusDraft {
		list = append(list, admin.Button{Title: "Edit", URL: admin.IDURL(section, inv.ID, "edit")},
			admin.Button{Title: "Finalise the invoice", URL: admin.IDURL(section, inv.ID, "finalize"), Primary: true})
	}
	return list
}

func timeline(r admin.Reader, inv *Invoice, told []outbox.Told) []admin.Event {
	var list []admin.Event
	for _, e := range slices.Backward(told) {
		tone, text := eventText(e.Type)
		if text == "" {
			continue
		}
		var payload Event
		if err := json.Unmarshal(e.Payload, &payload); err != nil {
			continue // an event of another form than ours says nothing here
		}
		list = append(list, admin.Event{At: e.CreatedAt, Tone: tone, By: e.Actor,
			Text: r.Say(text, "number", payload.InvoiceNumber, "amount", r.Money(inv.Amount(payload.PaidMinor)),
				"part", r.Money(inv.Amount(max(payload.AmountMinor, -payload.AmountMinor))))})
	}
	return list
}

func eventText(kind string) (admin.Tone, string) {
	switch kind {
	case EventCreated:
		return admin.ToneMute, "Draft made"
	case EventUpdated:
		return admin.ToneMute, "Draft changed"
	case EventFinalized:
		return admin.ToneInfo, "Finalised as {{.number}}"
	case EventVoided:
		return admin.ToneBad, "Voided"
	case EventPartiallyPaid:
		return admin.ToneWait, "Partly paid: {{.amount}} so far"
	case EventPaid:
		return admin.ToneOK, "Paid in full"
	case EventCreditsGranted:
		return admin.ToneOK, "Credits granted"
	case EventCreditsReturned:
		return admin.ToneWait, "Credits taken back"
	case EventCreditApplied:
		return admin.ToneOK, "Paid with credit: {{.part}}"
	case EventCreditUnapplied:
		return admin.ToneWait, "Credit taken back: {{.part}}"
	case EventCredited:
		return admin.ToneInfo, "Credit note over {{.part}}"
	case EventCreditReversed:
		return admin.ToneWait, "Credit note undone: {{.part}}"
	case EventWrittenOff:
		return admin.ToneBad, "Written off: {{.part}}"
	case EventWriteOffReversed:
		return admin.ToneWait, "Write-off taken back: {{.part}}"
	case EventUncollectible:
		return admin.ToneBad, "Marked uncollectible"
	case EventReopened:
		return admin.ToneInfo, "Opened again"
	case EventPaymentReturned:
		return admin.ToneWait, "A payment was refunded"
	case EventPaymentRestored:
		return admin.ToneOK, "A refund was taken back"
	default:
		return "", ""
	}
}
