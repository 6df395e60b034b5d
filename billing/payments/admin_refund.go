package payments

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/gateways"
	"countersign/billing/money"
	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/web"
	"countersign/tenancy"
)

// refundSection is where the console shows refunds, and where the second person decides.
const refundSection = "refunds"

func (c *console) refundSection() admin.Section {
	s := c.service
	return admin.ModelAdmin[RefundResponse]{
		Name: refundSection, Title: "Refunds", Icon: "ledger", Group: admin.GroupMoney, Place: 15, Permission: auth.BillingView,
		Description: "Money that went back, and money that somebody wants to give back.",
		Count:       c.undecidedRefunds, Spec: RefundSpec,
		ListFilter: []admin.Filter{{Name: "status", Label: "Status", Options: refundOptions()}},
		ListDisplay: []admin.Column[RefundResponse]{
			{Title: "Account", Value: func(f RefundResponse) admin.Cell { return admin.Text(textOf(f.Holder)) }},
			{Title: "Status", Value: func(f RefundResponse) admin.Cell { return admin.Status(string(f.Status)) }},
			{Title: "Amount", Numeric: true, Value: func(f RefundResponse) admin.Cell { return admin.Amount(f.money(f.AmountMinor)) }},
			{Title: "Reason", Value: func(f RefundResponse) admin.Cell { return admin.Word(f.Reason.label()) }},
			{Title: "Asked for by", Value: func(f RefundResponse) admin.Cell { return admin.Text(f.Requester) }},
			{Title: "When", OrderBy: "created_at", Value: func(f RefundResponse) admin.Cell { return admin.When(instantOf(f.CreatedAt)) }},
		},
		List: func(ctx context.Context, l web.List) (web.Page[RefundResponse], error) {
			return s.Refunds(ctx, l, uuid.Nil)
		},
		Key: func(f RefundResponse) uuid.UUID { return uuid.MustParse(f.ID) },
		Get: s.LookAtRefund, Detail: refundPage, Actions: c.refundSteps(),
		Empty: admin.Empty{Title: "No refunds", Text: "Money is given back on the page of its payment."},
	}.Section()
}

// undecidedRefunds is how many refunds wait for a second person.
func (c *console) undecidedRefunds(ctx context.Context) (n int, err error) {
	err = tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) error {
		found, err := tx.NewSelect().Model((*Refund)(nil)).Where("rf.tenant_id = ?", tenancy.ID(ctx)).Where("rf.status = ?", RefundPendingApproval).Count(ctx)
		n = int(found)
		return err
	})
	return n, err
}

func refundOptions() []admin.Option {
	var options []admin.Option
	for _, s := range RefundStatuses() {
		options = append(options, admin.Option{Value: string(s), Label: admin.StatusBadge(string(s)).Label})
	}
	return options
}

// label is what the console calls a reason.
func (r RefundReason) label() string {
	switch r {
	case RefundOverpayment:
		return "Too much was paid"
	case RefundDispute:
		return "Disputed"
	case RefundItemReturn:
		return "Returned"
	case RefundDuplicate:
		return "Paid twice"
	default:
		return "Another reason"
	}
}

func (f RefundResponse) money(minor int64) money.Money {
	return money.New(minor, money.Currency(f.Currency))
}

func (f RefundResponse) subject() string {
	text := f.Amount + " " + f.Currency
	if f.Holder != nil {
		text += ", " + *f.Holder
	}
	return text
}

func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func instantOf(text string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, text) // the answer's own
	return t
}

func refundFactsOf(_ admin.Reader, f RefundResponse) []admin.Fact {
	facts := []admin.Fact{
		{Label: "Amount", Value: admin.Amount(f.money(f.AmountMinor))},
		{Label: "Reason", Value: admin.Word(f.Reason.label())},
		{Label: "Note", Value: admin.Text(f.Note)},
		{Label: "Payment", Value: admin.LinkTo(f.PaymentAmount+" "+f.Currency, admin.URL(section, f.PaymentID))},
		{Label: "Given back so far", Value: admin.Amount(f.money(f.RefundedAmountMinor))},
		{Label: "Held by other refunds", Value: admin.Amount(f.money(f.HeldAmountMinor))},
		{Label: "Asked for by", Value: admin.Text(f.Requester)},
	}
	if f.AccountID != nil {
		facts = append(facts, admin.Fact{Label: "Account", Value: admin.LinkTo(textOf(f.Holder), admin.URL("accounts", *f.AccountID))})
	}
	if f.InvoiceID != nil {
		facts = append(facts, admin.Fact{Label: "Invoice", Value: admin.LinkTo(textOf(f.InvoiceNumber), admin.URL("invoices", *f.InvoiceID))})
	}
	if f.PayoutReference != nil {
		facts = append(facts, admin.Fact{Label: "Reference of the payout", Value: admin.Code(*f.PayoutReference)})
	}
	return facts
}

func refundPage(_ context.Context, r admin.Reader, f RefundResponse) (admin.DetailPage, error) {
	page := admin.DetailPage{Title: f.subject(), Status: string(f.Status), Groups: []admin.FactGroup{{Facts: refundFactsOf(r, f)}}}
	note := func(tone admin.Tone, text string) {
		page.Notes = append(page.Notes, admin.Note{Tone: tone, Text: r.Say(text)})
	}
	switch {
	case f.Status == RefundPendingApproval:
		note(admin.ToneWait, "Somebody else than who asked for it must decide.")
	case f.Status == RefundPending && f.Mode == gateways.RefundByHand:
		note(admin.ToneWait, "Somebody must pay this by hand, and then give the reference of the payout.")
	case f.Status == RefundPending && f.FailureCode != nil:
		note(admin.ToneBad, "The provider has paid this, and the books do not take it: the customer has spent his credit meanwhile. The worker tries again.")
	case f.Status == RefundPending:
		note(admin.ToneWait, "The provider is asked. It is not known yet whether the money has left.")
	case f.Status == RefundFailed && f.FailureReason != nil:
		page.Notes = append(page.Notes, admin.Note{Tone: admin.ToneBad, Text: *f.FailureReason})
	}
	if f.OverridesWindow {
		note(admin.ToneInfo, "It was asked for after the time for refunds was over.")
	}
	var rows [][]admin.Cell
	for _, d := range f.Decisions {
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

// refundSteps are what may be done with a refund.
func (c *console) refundSteps() []admin.Action[RefundResponse] {
	bind := func(f RefundResponse) []admin.Pair {
		if f.Digest == nil {
			return nil
		}
		return []admin.Pair{{Name: "digest", Value: *f.Digest}}
	}
	others := func(p auth.Principal, f RefundResponse) bool {
		return f.Status == RefundPendingApproval && p.Can(auth.BillingRefund) && p.UserID.String() != textOf(f.RequestedBy)
	}
	byHand := func(f RefundResponse) bool { return f.Status == RefundPending && f.Mode == gateways.RefundByHand }
	return []admin.Action[RefundResponse]{
		{Name: "approve", Title: "Approve the refund", Permission: auth.BillingRefund, Primary: true, Reason: admin.AskReason, Subject: RefundResponse.subject, Facts: refundFactsOf, Bind: bind,
			Allowed: others, Consequence: "The money goes back. This cannot be undone.",
			Run: func(ctx context.Context, f RefundResponse, form url.Values) (string, error) {
				var req ApproveRefundRequest
				if err := admin.Bind(map[string]any{"digest": form.Get("digest"), "note": form.Get("reason")}, &req); err != nil {
					return "", err
				}
				_, err := c.service.ApproveRefund(ctx, DecideRefundInput{ID: uuid.MustParse(f.ID), Digest: req.Digest, Note: req.Note})
				return "The refund is approved.", err
			}},
		{Name: "reject", Title: "Reject the refund", Permission: auth.BillingRefund, Danger: true, Reason: admin.MustReason, Subject: RefundResponse.subject, Facts: refundFactsOf, Bind: bind,
			Allowed: others, Consequence: "Nothing goes back.",
			Run: func(ctx context.Context, f RefundResponse, form url.Values) (string, error) {
				var req RejectRefundRequest
				if err := admin.Bind(map[string]any{"digest": form.Get("digest"), "reason": form.Get("reason")}, &req); err != nil {
					return "", err
				}
				_, err := c.service.RejectRefund(ctx, DecideRefundInput{ID: uuid.MustParse(f.ID), Digest: req.Digest, Note: req.Reason})
				return "The refund is rejected.", err
			}},
		{Name: "complete", Title: "It is paid", Permission: auth.BillingRefund, Primary: true, Subject: RefundResponse.subject, Facts: refundFactsOf,
			Consequence: "The refund is posted.",
			Allowed:     func(_ auth.Principal, f RefundResponse) bool { return byHand(f) },
			Fields: func(context.Context, RefundResponse) ([]admin.Field, error) {
				return []admin.Field{{Name: "payout_reference", Label: "Reference of the payout", Kind: "text", Required: true}}, nil
			},
			Run: func(ctx context.Context, f RefundResponse, form url.Values) (string, error) {
				var req CompleteRefundRequest
				if err := admin.Bind(map[string]any{"payout_reference": form.Get("payout_reference")}, &req); err != nil {
					return "", err
				}
				_, err := c.service.CompleteRefund(ctx, CompleteRefundInput{ID: uuid.MustParse(f.ID), PayoutReference: req.PayoutReference})
				return "The refund is posted.", err
			}},
		{Name: "reverse", Title: "It was not paid", Permission: auth.BillingRefund, Danger: true, Reason: admin.MustReason, Subject: RefundResponse.subject, Facts: refundFactsOf,
			Consequence: "All that the refund has posted is taken back.",
			Allowed:     func(_ auth.Principal, f RefundResponse) bool { return f.Reversible },
			Run: func(ctx context.Context, f RefundResponse, form url.Values) (string, error) {
				var req ReverseRefundRequest
				if err := admin.Bind(map[string]any{"reason": form.Get("reason")}, &req); err != nil {
					return "", err
				}
				_, err := c.service.ReverseRefund(ctx, ReverseRefundInput{ID: uuid.MustParse(f.ID), Reason: req.Reason})
				return "The refund is taken back.", err
			}},
		{Name: "cancel", Title: "Cancel the refund", Permission: auth.BillingRefund, Danger: true, Subject: RefundResponse.subject, Facts: refundFactsOf,
			Consequence: "Nothing goes back.",
			Allowed: func(p auth.Principal, f RefundResponse) bool {
				return byHand(f) || f.Status == RefundPendingApproval && p.UserID.String() == textOf(f.RequestedBy)
			},
			Run: func(ctx context.Context, f RefundResponse, _ url.Values) (string, error) {
				_, err := c.service.CancelRefund(ctx, uuid.MustParse(f.ID), nil)
				return "The refund is cancelled.", err
			}},
	}
}

// refundAction asks for a refund on the page of a payment. It is bound to what of the payment was given back when the page
// was made, so that a form that is sent twice gives back once.
func (c *console) refundAction() admin.Action[*claimed] {
	return admin.Action[*claimed]{
		Name: "refund", Title: "Give money back", Permission: auth.BillingRefund, Danger: true, Reason: admin.AskReason, Subject: subject, Facts: claimFacts,
		Consequence: "The money goes back to who paid it, by the provider or by hand. Above the limit of the settings a second person decides first.",
		Allowed:     func(_ auth.Principal, f *claimed) bool { return f.Payment.Refundable().IsPositive() },
		Bind: func(f *claimed) []admin.Pair {
			return []admin.Pair{{Name: "seen", Value: strconv.FormatInt(f.Payment.RefundedMinor+f.held, 10)}}
		},
		Fields: func(ctx context.Context, f *claimed) ([]admin.Field, error) {
			var reasons []admin.Option
			for _, r := range RefundReasons() {
				reasons = append(reasons, admin.Option{Value: string(r), Label: r.label()})
			}
			fields := []admin.Field{{Name: "amount", Label: "Amount", Kind: "text", Hint: "All that is left, when it is empty."},
				{Name: "refund_reason", Label: "Why", Kind: "select", Required: true, Options: reasons}}
			if mode, err := c.service.refundMode(f.Payment); err == nil && mode == gateways.RefundByHand {
				fields = append(fields, admin.Field{Name: "payout_reference", Label: "Reference of the payout", Kind: "text", Hint: "When it is paid already."})
			}
			override, err := c.overriding(ctx, f.Payment)
			return append(fields, override...), err
		},
		Run: func(ctx context.Context, f *claimed, form url.Values) (string, error) {
			object := map[string]any{"reason": form.Get("refund_reason"), "note": form.Get("reason"), "payout_reference": form.Get("payout_reference"), "override_window": form.Has("override_window")}
			if amount := form.Get("amount"); amount != "" {
				object["amount"] = amount
			}
			var req RefundRequest
			if err := admin.Bind(object, &req); err != nil {
				return "", err
			}
			in, err := req.input(f.Payment.ID, nil)
			if err != nil {
				return "", err
			}
			seen, err := strconv.ParseInt(form.Get("seen"), 10, 64)
			if err != nil {
				return "", ErrRefundChanged
			}
			in.Seen = &seen
			reply, err := c.service.Refund(ctx, in)
			switch {
			case err != nil:
				return "", err
			case reply.Code != "":
				return "", ErrGatewayRefused
			case reply.Refund.Status == RefundPendingApproval:
				return "A second person must approve the refund.", nil
			case reply.Refund.Status == RefundSucceeded:
				return "The money is given back.", nil
			}
			return "The refund is asked for.", nil
		},
	}
}

// overriding is the box to tick for who may give money back after the time for that is over (S0D-05); nothing for others, and
// while it is not.
func (c *console) overriding(ctx context.Context, p *Payment) ([]admin.Field, error) {
	var t tenancy.Tenant
	if err := tenancy.Fetch(ctx, c.service.db, tenancy.SelectCurrent(ctx, &t)); err != nil {
		return nil, err
	}
	if by, _ := auth.From(ctx); !by.Can(auth.TenantManage) || !windowClosed(&t, p, time.Now()) {
		return nil, nil
	}
	return []admin.Field{{Name: "override_window", Label: "Although the time for refunds is over", Kind: "checkbox", Hint: "This is kept in the audit log."}}, nil
}
