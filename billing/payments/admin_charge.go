package payments

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"countersign/billing/paymentmethods"
	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/tenancy"
)

// providerCard is what is known of a payment at its provider.
type providerCard struct {
	Name, ProviderID, Text string
	Hold, Test             bool
}

// anomalyLine is something that was said of a payment and not believed.
type anomalyLine struct {
	Text, URL, Note string
	At              time.Time
	Open            bool
}

// withProvider adds what the provider of a payment has said, and was asked.
func (page *paymentPage) withProvider(r admin.Reader, f *claimed, tenant *tenancy.Tenant) {
	p := f.Payment
	page.Cash, page.ReceiptNumber = p.Gateway == string(paymentmethods.GatewayCash), p.ReceiptNumber
	if !asksNobody(p) {
		page.Provider = &providerCard{Name: p.Gateway, Test: tenant.TestMode}
		if f.order != nil {
			page.Provider = &providerCard{Name: f.order.Name, ProviderID: f.order.ProviderID, Hold: f.order.Hold, Test: tenant.TestMode, Text: r.Say(asked(p, f.order))}
		}
	}
	for _, a := range f.Anomalies {
		page.Anomalies = append(page.Anomalies, anomalyLine{Text: r.Say(kindLabel(a.Kind)), URL: admin.IDURL(anomalySection, a.ID), Note: a.Note, At: a.CreatedAt, Open: a.ResolvedAt.IsZero()})
	}
}

// asked says what the provider is doing about a payment.
func asked(p *Payment, o *order) string {
	switch {
	case o.Operation == opBegin && p.Status != StatusPending:
		return "It is not known yet what the provider has done. It is asked again by itself."
	case o.Operation == opCapture:
		return "The provider is asked to take the money."
	case o.Operation == opRelease:
		return "The provider is asked to release the money."
	case p.Status == StatusPending:
		return "The payer must act on the provider's page."
	case p.Status == StatusAuthorized:
		return "The money is held and not taken yet."
	case p.Status == StatusProcessing:
		return "The provider works on it, and is asked again by itself."
	}
	return ""
}

// steps are the buttons for what the reader may do with a payment that is no undecided claim.
func steps(principal auth.Principal, f *claimed) []admin.Button {
	p := f.Payment
	var buttons []admin.Button
	add := func(title, action string, primary bool) {
		buttons = append(buttons, admin.Button{Title: title, URL: admin.IDURL(section, p.ID, action), Primary: primary, Danger: !primary})
	}
	if mayCapture(principal, f) {
		add("Take what is held", "capture", true)
	}
	if mayComplete(principal, f) {
		add("It is paid", "complete", true)
	}
	if mayRelease(principal, f) {
		title := "Cancel the payment"
		if p.Status == StatusAuthorized {
			title = "Release the hold"
		}
		add(title, "release", false)
	}
	if p.Refundable().IsPositive() && principal.Can(auth.BillingRefund) {
		add("Give money back", "refund", false)
	}
	return buttons
}

func mayCapture(p auth.Principal, f *claimed) bool {
	return f.Payment.Status == StatusAuthorized && f.order != nil && p.Can(auth.BillingCreate)
}

func mayRelease(p auth.Principal, f *claimed) bool {
	undecided := f.Payment.Status == StatusPending || f.Payment.Status == StatusCreated && f.order == nil
	return (undecided || f.Payment.Status == StatusAuthorized) && p.Can(auth.BillingCancel) || undecided && f.Payment.SubmittedBy == p.UserID
}

func mayComplete(p auth.Principal, f *claimed) bool {
	return f.Payment.Gateway == string(paymentmethods.GatewayCash) && f.Payment.Status == StatusPending && f.Payment.SubmittedBy != p.UserID &&
		(p.Can(auth.BillingApprove) || p.Role == auth.RoleCashier)
}

// step reads why somebody takes a payment a step further.
func step(f *claimed, form url.Values) (StepInput, error) {
	var req StepRequest
	err := admin.Bind(map[string]any{"reason": form.Get("reason")}, &req)
	return StepInput{ID: f.Payment.ID, Reason: req.Reason}, err
}

func (c *console) captureAction() admin.Action[*claimed] {
	return admin.Action[*claimed]{
		Name: "capture", Title: "Take what is held", Permission: auth.BillingCreate, Primary: true, Subject: subject, Facts: claimFacts, Allowed: mayCapture,
		Consequence: "The provider takes the money, and it is posted. What is held above the amount is released.",
		Fields: func(_ context.Context, f *claimed) ([]admin.Field, error) {
			field := admin.Field{Name: "amount", Label: "Amount", Kind: "text", Hint: "All that is held, when it is empty."}
			if g, known := c.service.gateways.Registry().Get(f.Payment.Gateway); known && !g.Capabilities().PartCapture {
				field.Value, field.ReadOnly, field.Hint = f.Payment.Amount().String(), true, "This provider takes all that is held, or nothing."
			}
			return []admin.Field{field}, nil
		},
		Run: func(ctx context.Context, f *claimed, form url.Values) (string, error) {
			object := map[string]any{}
			if amount := form.Get("amount"); amount != "" {
				object["amount"] = amount
			}
			var req CaptureRequest
			if err := admin.Bind(object, &req); err != nil {
				return "", err
			}
			reply, err := c.service.Capture(ctx, CaptureInput{ID: f.Payment.ID, Amount: amountOf("amount", req.Amount, nil)})
			return said(reply, err, "The money is taken.")
		},
	}
}

func (c *console) releaseAction() admin.Action[*claimed] {
	return admin.Action[*claimed]{
		Name: "release", Title: "Cancel the payment", Danger: true, Reason: admin.AskReason, Subject: subject, Facts: claimFacts,
		Consequence: "What is held is released, or the payer can no longer pay. Nothing is posted. This cannot be undone.",
		Allowed:     mayRelease,
		Run: func(ctx context.Context, f *claimed, form url.Values) (string, error) {
			in, err := step(f, form)
			if err != nil {
				return "", err
			}
			_, err = c.service.Cancel(ctx, in)
			return "The payment is cancelled.", err
		},
	}
}

func (c *console) completeAction() admin.Action[*claimed] {
	return admin.Action[*claimed]{
		Name: "complete", Title: "It is paid", Permission: auth.BillingCreate, Primary: true, Reason: admin.AskReason, Subject: subject, Facts: claimFacts,
		Consequence: "The cash is there and is posted. This cannot be undone.",
		Allowed:     mayComplete,
		Run: func(ctx context.Context, f *claimed, form url.Values) (string, error) {
			in, err := step(f, form)
			if err != nil {
				return "", err
			}
			_, err = c.service.Complete(ctx, in)
			return "The payment is completed.", err
		},
	}
}

// said is what an answer of a provider's means to who has asked for it.
func said(reply Reply, err error, done string) (string, error) {
	switch {
	case err != nil:
		return "", err
	case reply.Code != "":
		return "", refusalOf(reply.Code)
	case reply.HTTP == http.StatusAccepted:
		return "The provider is asked.", nil
	}
	return done, nil
}
