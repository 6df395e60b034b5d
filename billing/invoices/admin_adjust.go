package invoices

import (
	"context"
	"net/url"
	"time"

	"github.com/google/uuid"

	"countersign/billing/money"
	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/i18n"
	"countersign/internal/idempotency"
	"countersign/internal/web"
)

// adjusting are the console's actions that lower an invoice, and that take it back. Each calls what the API calls.
func (c *console) adjusting() []admin.Action[listed] {
	facts := func(r admin.Reader, i listed) []admin.Fact {
		return []admin.Fact{{Label: "Total", Value: admin.Amount(i.amount(i.TotalAmountMinor))}, {Label: "Open balance", Value: admin.Amount(i.amount(i.BalanceAmountMinor))}}
	}
	owed := func(_ auth.Principal, i listed) bool { return i.finalized() && i.BalanceAmountMinor > 0 }
	return []admin.Action[listed]{
		{Name: "apply-credit", Title: "Apply credit", Permission: auth.BillingInvoicesManage, Subject: listed.subject, Facts: facts, Allowed: owed,
			Consequence: "Money that you owe the customer pays this invoice.", Fields: amountField("As much as both allow, when it is empty."),
			Run: func(ctx context.Context, i listed, form url.Values) (string, error) {
				var req ApplyCreditRequest
				if err := admin.Bind(amountOf(form), &req); err != nil {
					return "", err
				}
				once, err := sentOnce(i, form, "invoices.apply_credit.form", req)
				if err != nil {
					return "", err
				}
				_, err = c.service.ApplyCredit(ctx, ApplyCreditInput{Invoice: i.ID, Amount: Stated{Text: string(req.Amount)}, Once: once})
				return "The credit is applied.", err
			}},
		{Name: "credit-note", Title: "Credit note", Permission: auth.BillingRefund, Reason: admin.MustReason, Subject: listed.subject, Facts: facts, Allowed: owed,
			Consequence: "A part of the sale is taken back, with its tax and its service credits. The customer sees the note and the reason.",
			Fields:      amountField("All that is owed, when it is empty."),
			Run: func(ctx context.Context, i listed, form url.Values) (string, error) {
				var req CreditNoteRequest
				if err := admin.Bind(amountOf(form, "reason"), &req); err != nil {
					return "", err
				}
				once, err := sentOnce(i, form, "invoices.credit_note.form", req)
				if err != nil {
					return "", err
				}
				_, err = c.service.CreateCreditNote(ctx, CreateCreditNoteInput{Invoice: i.ID, Amount: Stated{Text: string(req.Amount)}, Reason: req.Reason, Once: once})
				return "The credit note is issued.", err
			}},
		{Name: "write-off", Title: "Write off", Permission: auth.BillingInvoicesManage, Danger: true, Reason: admin.MustReason, Subject: listed.subject, Facts: facts, Allowed: owed,
			Consequence: "What is owed is given up. Above the tolerance of the settings somebody else must decide first.",
			Fields:      amountField("All that is owed, when it is empty."),
			Run: func(ctx context.Context, i listed, form url.Values) (string, error) {
				var req WriteOffRequest
				if err := admin.Bind(amountOf(form, "reason"), &req); err != nil {
					return "", err
				}
				once, err := sentOnce(i, form, "invoices.write_off.form", req)
				if err != nil {
					return "", err
				}
				asked, err := c.service.WriteOff(ctx, WriteOffInput{Invoice: i.ID, Amount: Stated{Text: string(req.Amount)}, Reason: req.Reason, Once: once})
				if asked.Status == WriteOffPending {
					return "Somebody else must decide about the write-off.", err
				}
				return "It is written off.", err
			}},
		{Name: "mark-uncollectible", Title: "Mark uncollectible", Permission: auth.BillingInvoicesManage, Danger: true, Reason: admin.MustReason, Subject: listed.subject, Facts: facts,
			Consequence: "Nobody expects a payment any more. The invoice is still owed, and the books do not change.",
			Allowed: func(_ auth.Principal, i listed) bool {
				return i.Status == StatusOpen || i.Status == StatusPartiallyPaid
			},
			Run: func(ctx context.Context, i listed, form url.Values) (string, error) {
				return "The invoice is marked uncollectible.", c.giveUp(ctx, i, form, c.service.MarkUncollectible)
			}},
		{Name: "reopen", Title: "Open again", Permission: auth.BillingInvoicesManage, Reason: admin.MustReason, Subject: listed.subject, Facts: facts,
			Consequence: "Payment is expected again.",
			Allowed: func(_ auth.Principal, i listed) bool {
				return i.Status == StatusUncollectible && i.BalanceAmountMinor > 0
			},
			Run: func(ctx context.Context, i listed, form url.Values) (string, error) {
				return "The invoice is open again.", c.giveUp(ctx, i, form, c.service.Reopen)
			}},
		{Name: "take-back", Title: "Take back", Permission: auth.BillingInvoicesManage, Danger: true, Reason: admin.MustReason, Subject: listed.subject, Facts: facts,
			Consequence: "The invoice owes again what was taken off it. If it was paid, its service credits are taken back.",
			Allowed:     func(p auth.Principal, i listed) bool { return len(live(p, i.adjustments)) > 0 },
			Fields: func(ctx context.Context, i listed) ([]admin.Field, error) {
				return []admin.Field{{Name: "adjustment_id", Label: "What", Kind: "select", Required: true, Options: takeable(ctx, i.adjustments)}}, nil
			},
			Run: c.takeBack},
	}
}

func (i listed) finalized() bool { return i.FinalizedAt != nil && i.Status != StatusVoid }

// amountField is the input for an amount that may be left out, with the key that sentOnce asks for.
func amountField(hint string) func(context.Context, listed) ([]admin.Field, error) {
	return func(context.Context, listed) ([]admin.Field, error) {
		return []admin.Field{{Name: "key", Kind: "hidden", Value: uuid.NewString()}, {Name: "amount", Label: "Amount", Kind: "text", Hint: hint}}, nil
	}
}

// sentOnce makes a form that is sent twice lower its invoice once: a part of what is owed could be taken off twice.
func sentOnce(i listed, form url.Values, scope string, req any) (*idempotency.Once, error) {
	return idempotency.FromForm(form.Get("key"), scope, target{i.ID, req})
}

// amountOf is what a client of the API would have sent for a form with an amount, and with more fields.
func amountOf(form url.Values, more ...string) map[string]any {
	object := map[string]any{}
	if text := form.Get("amount"); text != "" {
		object["amount"] = text
	}
	for _, name := range more {
		object[name] = form.Get(name)
	}
	return object
}

func (c *console) giveUp(ctx context.Context, i listed, form url.Values, do func(context.Context, GiveUpInput) (Response, error)) error {
	var req ReverseRequest
	if err := admin.Bind(map[string]any{"reason": form.Get("reason")}, &req); err != nil {
		return err
	}
	_, err := do(ctx, GiveUpInput{Invoice: i.ID, Reason: req.Reason})
	return err
}

// live are the adjustments that p can take back; credit notes are for who may refund.
func live(p auth.Principal, list []AdjustmentResponse) []AdjustmentResponse {
	var found []AdjustmentResponse
	for _, a := range list {
		if a.Reverses == nil && a.ReversedBy == nil && (a.Kind != CreditNoted || p.Can(auth.BillingRefund)) {
			found = append(found, a)
		}
	}
	return found
}

func takeable(ctx context.Context, list []AdjustmentResponse) []admin.Option {
	reader := admin.Reader{Language: i18n.From(ctx)}
	p, _ := auth.From(ctx)
	var options []admin.Option
	for _, a := range live(p, list) {
		options = append(options, admin.Option{Value: a.ID, Label: a.Amount + " " + a.Currency + " · " + reader.Say(admin.StatusBadge(string(a.Kind)).Label)})
	}
	return options
}

// takeBack undoes the chosen adjustment in the way of its kind.
func (c *console) takeBack(ctx context.Context, i listed, form url.Values) (string, error) {
	var req UnapplyCreditRequest
	if err := admin.Bind(map[string]any{"adjustment_id": form.Get("adjustment_id"), "reason": form.Get("reason")}, &req); err != nil {
		return "", err
	}
	id, err := web.ParseID(req.AdjustmentID)
	if err != nil {
		return "", ErrAdjustmentNotFound
	}
	p, _ := auth.From(ctx)
	for _, a := range live(p, i.adjustments) {
		if a.ID == id.String() {
			return "It is taken back.", c.undo(ctx, i, a.Kind, id, req.Reason)
		}
	}
	return "", ErrAdjustmentNotFound
}

func (c *console) undo(ctx context.Context, i listed, kind AdjustmentKind, id uuid.UUID, reason string) (err error) {
	switch kind {
	case CreditApplied:
		_, err = c.service.UnapplyCredit(ctx, UnapplyCreditInput{Invoice: i.ID, Adjustment: id, Reason: reason})
	case CreditNoted:
		_, err = c.service.ReverseCreditNote(ctx, ReverseCreditNoteInput{ID: id, Reason: reason})
	case WrittenOff:
		_, err = c.service.ReverseWriteOff(ctx, ReverseWriteOffInput{ID: id, Reason: reason})
	}
	return err
}

// adjustButtons lead p to the actions that make sense for an invoice of a customer with so much credit.
func adjustButtons(p auth.Principal, inv *Invoice, adjustments []AdjustmentResponse, credit int64) []admin.Button {
	var list []admin.Button
	at := func(action string) string { return admin.IDURL(section, inv.ID, action) }
	if len(live(p, adjustments)) > 0 {
		list = append(list, admin.Button{Title: "Take back", URL: at("take-back")})
	}
	switch owed := inv.Status != StatusDraft && inv.BalanceMinor > 0; {
	case !owed:
		return list
	case inv.Status == StatusUncollectible:
		list = append(list, admin.Button{Title: "Open again", URL: at("reopen")})
	default:
		list = append(list, admin.Button{Title: "Mark uncollectible", URL: at("mark-uncollectible")})
	}
	list = append(list, admin.Button{Title: "Write off", URL: at("write-off")})
	if p.Can(auth.BillingRefund) {
		list = append(list, admin.Button{Title: "Credit note", URL: at("credit-note")})
	}
	if credit > 0 {
		list = append(list, admin.Button{Title: "Apply credit", URL: at("apply-credit"), Primary: true})
	}
	return list
}

// instant reads a time as answers have it.
func instant(text string) time.Time {
	at, _ := time.Parse(time.RFC3339Nano, text) // web.Time has written it
	return at
}

func adjustmentsTable(list []AdjustmentResponse) admin.Table {
	var rows [][]admin.Cell
	for _, a := range list {
		cell := admin.Status(a.Kind)
		if a.Reverses != nil {
			cell = admin.Word("Taken back")
		}
		by := ""
		if a.MadeBy != nil {
			by = *a.MadeBy
		}
		rows = append(rows, []admin.Cell{cell, admin.Amount(money.New(a.AmountMinor, money.Currency(a.Currency))), admin.Text(a.Reason), admin.Text(by), admin.When(instant(a.CreatedAt))})
	}
	return admin.NewTable("Credit and write-offs", []string{"What", "Amount", "Reason", "By", "When"}, nil, rows)
}
