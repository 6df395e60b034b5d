package payments

import (
	"context"
	"maps"
	"net/url"
	"slices"

	"github.com/uptrace/bun"

	"countersign/billing/money"
	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/tenancy"
)

// anomalySection is where the console shows what was said of payments and not believed.
const anomalySection = "anomalies"

func (c *console) anomalySection() admin.Section {
	s := c.service
	return admin.ModelAdmin[AnomalyCaseResponse]{
		Name: anomalySection, Title: "Anomalies", Icon: "warn", Group: admin.GroupMoney, Place: 17, Permission: auth.BillingView,
		Description: "What providers have said of payments that does not fit what is known. It has changed nothing, and waits for somebody to look into it.",
		Count:       c.openAnomalies, Spec: AnomalySpec,
		ListFilter: []admin.Filter{
			{Name: "status", Label: "Status", Always: true, Options: []admin.Option{{Value: "open", Label: "Unresolved"}, {Value: "resolved", Label: "Resolved"}, {Value: "all", Label: "Resolved and unresolved"}}},
			{Name: "kind", Label: "What is wrong", Options: kindOptions()},
		},
		ListDisplay: []admin.Column[AnomalyCaseResponse]{
			{Title: "What is wrong", Value: func(a AnomalyCaseResponse) admin.Cell { return admin.Word(kindLabel(a.Kind)) }},
			{Title: "Account", Value: func(a AnomalyCaseResponse) admin.Cell { return admin.Text(textOf(a.Holder)) }},
			{Title: "Provider", Value: func(a AnomalyCaseResponse) admin.Cell { return admin.Text(a.Gateway) }},
			{Title: "Status", Value: func(a AnomalyCaseResponse) admin.Cell { return admin.Status(a.shownStatus()) }},
			{Title: "When", OrderBy: "created_at", Value: func(a AnomalyCaseResponse) admin.Cell { return admin.When(instantOf(a.CreatedAt)) }},
			{Title: "Payment", Numeric: true, Value: func(a AnomalyCaseResponse) admin.Cell { return admin.Amount(a.amount()) }},
		},
		List: s.Anomalies, Key: AnomalyCaseResponse.key, Get: s.LookAtAnomaly, Detail: anomalyPage,
		Actions: []admin.Action[AnomalyCaseResponse]{c.resolveAction()},
		Empty:   admin.Empty{Title: "Nothing is open", Text: "All that providers have said fits what is known."},
	}.Section()
}

// openAnomalies is how many anomalies wait for a person.
func (c *console) openAnomalies(ctx context.Context) (n int, err error) {
	err = tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) error {
		n, err = countAnomalies(ctx, tx)
		return err
	})
	return n, err
}

func kindOptions() []admin.Option {
	var options []admin.Option
	for _, kind := range AnomalyKinds() {
		options = append(options, admin.Option{Value: kind, Label: kindLabel(kind)})
	}
	return options
}

// kindLabel is what the console calls a kind of anomaly.
func kindLabel(kind string) string {
	switch kind {
	case anomalyLate:
		return "Too late"
	case anomalyFailed:
		return "Failed after it was paid"
	case anomalyPaidAfterEnd:
		return "Paid after its end"
	case anomalyAmount:
		return "Another amount"
	case anomalyCurrency:
		return "Another currency"
	case anomalyReference:
		return "Two orders for one payment"
	case anomalyRefunded:
		return "Refunded elsewhere"
	case anomalyRefundFailed:
		return "Refund failed after all"
	case anomalyIllegal:
		return "A step that is not possible"
	case anomalyUnanswered:
		return "No answer"
	default:
		return kind
	}
}

// kindAdvice says what a kind of anomaly means, and what to do about it.
func kindAdvice(kind string) string {
	switch kind {
	case anomalyLate:
		return "The news was older than what is known. Most often there is nothing to do."
	case anomalyFailed:
		return "The provider takes back that the payment was made. Ask the provider, and give the money back here if it is gone."
	case anomalyPaidAfterEnd:
		return "Money has come in for a payment that had ended. Ask the provider to give it back, or record it anew."
	case anomalyAmount, anomalyCurrency:
		return "The provider has taken something else than what was asked for. Nothing is posted. Ask the provider what is true."
	case anomalyReference:
		return "The provider has two orders for one payment, so it may have been paid twice. Ask the provider."
	case anomalyRefunded:
		return "Money was given back in the provider's cabinet, and the books do not know of it."
	case anomalyRefundFailed:
		return "The money of a refund has come back to the provider. Take the refund back, and give the money back in another way."
	case anomalyIllegal:
		return "Somebody asked for a step that was not possible for the payment. It was refused."
	case anomalyUnanswered:
		return "The provider has not answered for two days. It is asked each day. Ask it yourself what became of the payment."
	default:
		return ""
	}
}

func (r AnomalyCaseResponse) shownStatus() string {
	if r.open() {
		return "open_anomaly"
	}
	return "resolved"
}

func (r AnomalyCaseResponse) amount() money.Money {
	return money.New(r.PaymentAmountMinor, money.Currency(r.Currency))
}

func (r AnomalyCaseResponse) subject() string { return r.PaymentAmount + " " + r.Currency }

func anomalyFacts(r admin.Reader, a AnomalyCaseResponse) []admin.Fact {
	payment := &Payment{Gateway: a.Gateway, Status: Status(a.PaymentStatus)}
	facts := []admin.Fact{
		{Label: "Payment", Value: admin.LinkTo(r.Money(a.amount()), admin.URL(section, a.PaymentID))},
		{Label: "It is now", Value: admin.Status(shownStatus(payment))},
		{Label: "Provider", Value: admin.Text(a.Gateway)},
		{Label: "When", Value: admin.When(instantOf(a.CreatedAt))},
		{Label: "Told by", Value: admin.Word(sourceLabel(a.Source))},
	}
	if a.AccountID != nil {
		facts = append(facts, admin.Fact{Label: "Account", Value: admin.LinkTo(textOf(a.Holder), admin.URL("accounts", *a.AccountID))})
	}
	if a.InvoiceID != nil {
		facts = append(facts, admin.Fact{Label: "Invoice", Value: admin.LinkTo(r.Say("Open the invoice"), admin.URL("invoices", *a.InvoiceID))})
	}
	return facts
}

// sourceLabel says who has told of something that does not fit.
func sourceLabel(source string) string {
	switch source {
	case sourceCallback:
		return "The provider, by itself"
	case sourceAnswer:
		return "The provider, when it was asked to do something"
	case sourceStatus, sourceSweep:
		return "The provider, when it was asked where it stands"
	case "request":
		return "A request"
	default:
		return source
	}
}

// toldLabel is what the console calls a value that was told.
func toldLabel(name string) string {
	switch name {
	case "state":
		return "State that was told"
	case "status":
		return "Status at that time"
	case "reference":
		return "Provider's reference"
	case "captured":
		return "Taken"
	case "authorised":
		return "Held"
	case "refunded":
		return "Given back"
	case "failure_code":
		return "Reason of the failure"
	case "refund":
		return "Refund at the provider"
	case "from":
		return "From"
	case "to":
		return "To"
	default:
		return name
	}
}

func anomalyPage(_ context.Context, r admin.Reader, a AnomalyCaseResponse) (admin.DetailPage, error) {
	page := admin.DetailPage{Title: r.Say(kindLabel(a.Kind)), Subtitle: textOf(a.Holder), Status: a.shownStatus(),
		Groups: []admin.FactGroup{{Facts: anomalyFacts(r, a)}}}
	tone := admin.ToneWait
	if !a.open() {
		tone = admin.ToneInfo
	}
	page.Notes = []admin.Note{{Tone: tone, Text: r.Say(kindAdvice(a.Kind))}}
	var told []admin.Fact
	for _, name := range slices.Sorted(maps.Keys(a.Details)) {
		told = append(told, admin.Fact{Label: toldLabel(name), Value: admin.Code(asText(a.Details[name]))})
	}
	if len(told) > 0 {
		page.Groups = append(page.Groups, admin.FactGroup{Title: "What was told", Facts: told})
	}
	if !a.open() {
		page.Groups = append(page.Groups, admin.FactGroup{Title: "Resolved", Facts: []admin.Fact{{Label: "By", Value: admin.Text(textOf(a.Resolver))},
			{Label: "When", Value: admin.When(instantOf(textOf(a.ResolvedAt)))}, {Label: "Note", Value: admin.Text(a.Note), Wide: true}}})
	}
	return page, nil
}

func (c *console) resolveAction() admin.Action[AnomalyCaseResponse] {
	return admin.Action[AnomalyCaseResponse]{
		Name: "resolve", Title: "Mark as resolved", Permission: auth.BillingReconcile, Primary: true, Subject: AnomalyCaseResponse.subject, Facts: anomalyFacts,
		Consequence: "You have dealt with it, and say how. No money moves and nothing is posted. A payment that still waits for its provider is given up after two days.",
		Allowed:     func(_ auth.Principal, a AnomalyCaseResponse) bool { return a.open() },
		Fields: func(context.Context, AnomalyCaseResponse) ([]admin.Field, error) {
			return []admin.Field{{Name: "note", Label: "What was done", Kind: "textarea", Required: true, Wide: true}}, nil
		},
		Run: func(ctx context.Context, a AnomalyCaseResponse, form url.Values) (string, error) {
			var req ResolveAnomalyRequest
			if err := admin.Bind(map[string]any{"note": form.Get("note")}, &req); err != nil {
				return "", err
			}
			_, err := c.service.ResolveAnomaly(ctx, ResolveAnomalyInput{ID: a.key(), Note: req.Note})
			return "It is resolved.", err
		},
	}
}
