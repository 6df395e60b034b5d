package invoices

import (
	"context"
	"net/url"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/money"
	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/web"
	"countersign/tenancy"
)

// writeOffSection is where the console shows write-offs, and where the second person decides.
const writeOffSection = "write-offs"

func (s *Service) writeOffSection() admin.Section {
	c := &console{service: s}
	return admin.ModelAdmin[WriteOffResponse]{
		Name: writeOffSection, Title: "Write-offs", Icon: "cross", Group: admin.GroupMoney, Place: 35, Permission: auth.BillingView,
		Description: "What was given up, and what somebody wants to give up and a second person has not decided yet.",
		Count:       c.waiting, Spec: WriteOffSpec,
		ListFilter: []admin.Filter{{Name: "status", Label: "Status", Options: writeOffOptions()}},
		ListDisplay: []admin.Column[WriteOffResponse]{
			{Title: "Invoice", Value: func(w WriteOffResponse) admin.Cell { return admin.Text(w.InvoiceNumber) }},
			{Title: "Account", Value: func(w WriteOffResponse) admin.Cell { return admin.Text(w.Holder) }},
			{Title: "Status", Value: func(w WriteOffResponse) admin.Cell { return admin.Status(w.shownStatus()) }},
			{Title: "Amount", Numeric: true, Value: func(w WriteOffResponse) admin.Cell { return admin.Amount(w.amount(w.AmountMinor)) }},
			{Title: "Asked for by", Value: func(w WriteOffResponse) admin.Cell { return admin.Text(w.Requester) }},
			{Title: "When", OrderBy: "created_at", Value: func(w WriteOffResponse) admin.Cell { return admin.When(instant(w.CreatedAt)) }},
		},
		List: s.WriteOffs,
		Key:  func(w WriteOffResponse) uuid.UUID { return uuid.MustParse(w.ID) },
		Get:  s.LookAtWriteOff, Detail: c.writeOffPage, Actions: c.deciding(),
		Empty: admin.Empty{Title: "No write-offs", Text: "What nobody will pay is written off on the page of its invoice."},
	}.Section()
}

// waiting is how many write-offs wait for a second person.
func (c *console) waiting(ctx context.Context) (n int, err error) {
	err = tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) error {
		found, err := tx.NewSelect().Model((*WriteOff)(nil)).Where("wo.tenant_id = ?", tenancy.ID(ctx)).Where("wo.status = ?", WriteOffPending).Count(ctx)
		n = int(found)
		return err
	})
	return n, err
}

func writeOffOptions() []admin.Option {
	var options []admin.Option
	for _, s := range WriteOffStatuses() {
		options = append(options, admin.Option{Value: string(s), Label: admin.StatusBadge(WriteOffResponse{Status: s}.shownStatus()).Label})
	}
	return options
}

// shownStatus is the console's word: what waits for a person waits for approval here as everywhere.
func (w WriteOffResponse) shownStatus() string {
	if w.Status == WriteOffPending {
		return "pending_approval"
	}
	return string(w.Status)
}

func (w WriteOffResponse) amount(minor int64) money.Money {
	return money.New(minor, money.Currency(w.Currency))
}

func (w WriteOffResponse) facts(admin.Reader) []admin.Fact {
	return []admin.Fact{
		{Label: "Amount", Value: admin.Amount(w.amount(w.AmountMinor))},
		{Label: "Invoice", Value: admin.LinkTo(w.InvoiceNumber, admin.URL(section, w.InvoiceID))},
		{Label: "Total", Value: admin.Amount(w.amount(w.InvoiceMinor))},
		{Label: "Open balance", Value: admin.Amount(w.amount(w.BalanceMinor))},
		{Label: "Account", Value: admin.LinkTo(w.Holder, admin.URL("accounts", w.AccountID))},
		{Label: "Reason", Value: admin.Text(w.Reason)},
		{Label: "Asked for by", Value: admin.Text(w.Requester)},
	}
}

func (c *console) writeOffPage(_ context.Context, r admin.Reader, w WriteOffResponse) (admin.DetailPage, error) {
	page := admin.DetailPage{Title: w.InvoiceNumber + ", " + w.Amount + " " + w.Currency, Status: w.shownStatus(), Groups: []admin.FactGroup{{Facts: w.facts(r)}}}
	if w.Status == WriteOffPending {
		page.Notes = append(page.Notes, admin.Note{Tone: admin.ToneWait, Text: r.Say("Somebody else than who asked for it must decide.")})
	}
	if w.WithinLimit {
		page.Notes = append(page.Notes, admin.Note{Tone: admin.ToneInfo, Text: r.Say("It was within the tolerance of the settings, so nobody else had to decide.")})
	}
	var rows [][]admin.Cell
	for _, d := range w.Decisions {
		word := "Approved"
		if d.Verdict == "reject" {
			word = "Rejected"
		}
		rows = append(rows, []admin.Cell{admin.Text(r.Say(word)), admin.Text(d.User), admin.Text(d.Note)})
	}
	if len(rows) > 0 {
		page.Tables = append(page.Tables, admin.NewTable("Decisions", []string{"Decision", "By", "Note"}, nil, rows))
	}
	return page, nil
}

// deciding are what the second person may do, and the way back.
func (c *console) deciding() []admin.Action[WriteOffResponse] {
	subject := func(w WriteOffResponse) string { return w.InvoiceNumber + ", " + w.Amount + " " + w.Currency }
	bind := func(w WriteOffResponse) []admin.Pair {
		if w.Digest == nil {
			return nil
		}
		return []admin.Pair{{Name: "digest", Value: *w.Digest}}
	}
	others := func(p auth.Principal, w WriteOffResponse) bool {
		return w.Status == WriteOffPending && p.Can(auth.BillingApprove) && p.UserID.String() != w.RequestedBy
	}
	return []admin.Action[WriteOffResponse]{
		{Name: "approve", Title: "Approve the write-off", Permission: auth.BillingApprove, Primary: true, Reason: admin.AskReason, Subject: subject, Facts: factsOf, Bind: bind, Allowed: others,
			Consequence: "The amount is taken off the invoice and becomes a loss. It can be taken back.",
			Run: func(ctx context.Context, w WriteOffResponse, form url.Values) (string, error) {
				var req ApproveWriteOffRequest
				if err := admin.Bind(map[string]any{"digest": form.Get("digest"), "note": form.Get("reason")}, &req); err != nil {
					return "", err
				}
				_, err := c.service.ApproveWriteOff(ctx, DecideInput{ID: uuid.MustParse(w.ID), Digest: req.Digest, Note: req.Note})
				return "It is written off.", err
			}},
		{Name: "reject", Title: "Reject the write-off", Permission: auth.BillingApprove, Danger: true, Reason: admin.MustReason, Subject: subject, Facts: factsOf, Bind: bind, Allowed: others,
			Consequence: "The invoice stays as it is.",
			Run: func(ctx context.Context, w WriteOffResponse, form url.Values) (string, error) {
				var req RejectWriteOffRequest
				if err := admin.Bind(map[string]any{"digest": form.Get("digest"), "reason": form.Get("reason")}, &req); err != nil {
					return "", err
				}
				_, err := c.service.RejectWriteOff(ctx, DecideInput{ID: uuid.MustParse(w.ID), Digest: req.Digest, Note: req.Reason})
				return "The write-off is rejected.", err
			}},
		{Name: "reverse", Title: "Take back", Permission: auth.BillingInvoicesManage, Danger: true, Reason: admin.MustReason, Subject: subject, Facts: factsOf,
			Consequence: "The invoice owes again what was taken off it. If it was paid, its service credits are taken back.",
			Allowed:     func(_ auth.Principal, w WriteOffResponse) bool { return w.Status == WriteOffPosted },
			Run: func(ctx context.Context, w WriteOffResponse, form url.Values) (string, error) {
				var req ReverseRequest
				if err := web.DecodeForm(map[string][]string{"reason": {form.Get("reason")}}, &req); err != nil {
					return "", err
				}
				_, err := c.service.ReverseWriteOff(ctx, ReverseWriteOffInput{ID: uuid.MustParse(w.ID), Reason: req.Reason})
				return "It is taken back.", err
			}},
	}
}

func factsOf(r admin.Reader, w WriteOffResponse) []admin.Fact { return w.facts(r) }
