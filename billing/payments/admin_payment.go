package payments

import (
	"context"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/money"
	"countersign/billing/paymentmethods"
	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/web"
	"countersign/tenancy"
)

// paymentPage is the page payments/payment.
type paymentPage struct {
	Crumbs                                               []admin.Link
	ID, Digest, Status                                   string
	Undecided                                            bool
	Amount                                               money.Money
	Account                                              accountLine
	Method, Reference, SubmittedBy, Notes, FailureReason string
	Details                                              []detailLine
	SubmittedAt, PaidAt                                  time.Time
	Received, Applied, Excess, Revenue                   *money.Money
	RetryOf                                              *admin.Link
	Invoice                                              *invoiceLine
	Difference                                           money.Money
	DifferenceText                                       string
	Signals                                              []admin.Note
	Evidence                                             []evidenceCard
	Decisions                                            []verdictLine
	Approvals                                            admin.Approvals
	CanApprove, CanReject, Final                         bool
	WhyNot                                               string
	DecideURL                                            decideURLs
	Form                                                 decisionForm
	Reasons                                              []string
	History                                              accountHistory
	Warnings                                             []admin.Note
	Buttons                                              []admin.Button
	Provider                                             *providerCard // nil: nobody was asked
	Cash                                                 bool
	ReceiptNumber                                        string
	Anomalies                                            []anomalyLine
	Events                                               []admin.Event
}

type accountLine struct{ Name, URL, Note string }

type invoiceLine struct {
	Number, URL, Status string
	Total, Balance      money.Money
	DueDate             time.Time
	Overdue             bool
	Credits             string // what its payment grants besides
}

type evidenceCard struct {
	Name, URL, TypeLabel, SizeText, Hash string
	UploadedAt                           time.Time
	Image                                bool
}

type verdictLine struct {
	Verdict, Who, Note string
	At                 time.Time
	Received           *money.Money
}

type decideURLs struct{ Approve, Reject, Cancel string }

// decisionForm is what was typed, when a decision was refused.
type decisionForm struct {
	Received, Note, Reason, Error string
	ReceivedErrors, ReasonErrors  []string
	Rejecting                     bool
}

type accountHistory struct {
	Claims, Succeeded, Rejected int
	Paid                        []money.Money
	Table                       admin.Table
}

func (c *console) paymentView(w http.ResponseWriter, r *http.Request) error {
	page, err := c.paymentPage(r)
	if err != nil {
		return err
	}
	return admin.Render(w, r, "payments/payment", page)
}

func (c *console) paymentPage(r *http.Request) (page paymentPage, err error) {
	id, err := web.ID(r)
	if err != nil {
		return page, err
	}
	var f *claimed
	var a around
	err = tenancy.Read(r.Context(), c.service.db, func(ctx context.Context, tx bun.Tx) error {
		if f, err = c.one(ctx, tx, id); err != nil {
			return err
		}
		a, err = c.around(ctx, tx, f)
		return err
	})
	if err != nil {
		return page, err
	}
	admin.Under(r, parent(f))
	principal, _ := auth.From(r.Context())
	return newPaymentPage(admin.ReaderOf(r), principal, f, a), nil
}

func newPaymentPage(r admin.Reader, principal auth.Principal, f *claimed, a around) paymentPage {
	p := f.Payment
	page := paymentPage{Crumbs: []admin.Link{parent(f)}, ID: p.ID.String(), Status: shownStatus(p),
		Undecided: p.Status == StatusPendingApproval, Amount: p.Amount(), Method: paymentmethods.Label(p.Method), Reference: p.Reference, Notes: p.Notes,
		FailureReason: p.FailureReason, SubmittedAt: p.CreatedAt, PaidAt: p.PaidAt, Difference: money.New(0, p.Currency), Decisions: a.verdicts(f.Facts),
		Approvals: admin.Approvals{Done: f.Approvals(), Needed: f.Requirement.Approvals}, History: a.history(p), Events: a.timeline(r, f.Facts)}
	for _, line := range detailLines(r, principal, p) {
		if f.order == nil || line.Value != f.order.ProviderID { // which stands with the provider
			page.Details = append(page.Details, line)
		}
	}
	if f.Account != nil {
		page.Account.URL, page.Account.Name = admin.IDURL("accounts", p.AccountID), f.Account.Holder
		page.Account.Note = accountNote(r, f.Account) + " · " + r.Say("customer since {{.date}}", "date", r.Date(f.Account.CreatedAt))
	}
	if person := a.people[p.SubmittedBy]; person != nil {
		page.SubmittedBy = person.Name
		if person.AccountID != uuid.Nil {
			page.SubmittedBy += " (" + r.Say("customer") + ")"
		}
	}
	if a.retryOf != nil {
		page.RetryOf = &admin.Link{Text: r.Say("payment of {{.date}}", "date", r.Date(a.retryOf.CreatedAt)), URL: admin.IDURL(section, a.retryOf.ID)}
	}
	for _, e := range f.Files {
		page.Evidence = append(page.Evidence, evidenceCard{Name: e.Filename, URL: admin.IDURL("evidence", e.ID) + inline(e.IsImage()),
			TypeLabel: r.Say(typeLabel(e.ContentType)), SizeText: sizeText(e.SizeBytes), Hash: hex.EncodeToString(e.SHA256), UploadedAt: e.CreatedAt, Image: e.IsImage()})
	}
	if p.ReceivedMinor != nil && *p.ReceivedMinor != p.AmountMinor {
		page.Received = amountPointer(p.ReceivedMinor, p.Currency)
	}
	page.Excess, page.Revenue = amountPointer(p.ExcessMinor, p.Currency), amountPointer(p.RevenueMinor, p.Currency)
	if p.InvoiceID != uuid.Nil {
		page.Applied = amountPointer(p.AppliedMinor, p.Currency)
	}
	page.withInvoice(r, f, a.tenant)
	page.withProvider(r, f, a.tenant)
	if p.SetAside != "" {
		page.Warnings = append(page.Warnings, admin.Note{Tone: admin.ToneBad, Text: r.Say("The settlement could not take this payment ({{.reason}}). It is approved and not lost, and waits until somebody lets the worker try again.", "reason", p.SetAside)})
		if principal.Can(auth.BillingJobsManage) {
			page.Buttons = append(page.Buttons, admin.Button{Title: "Let the worker try again", URL: admin.IDURL(section, p.ID, "resume"), Primary: true})
		}
	}
	page.Buttons = append(page.Buttons, steps(principal, f)...)
	if f.held > 0 || p.RefundedMinor > 0 {
		page.Buttons = append(page.Buttons, admin.Button{Title: "Refunds", URL: admin.URL(refundSection) + "?payment=" + p.ID.String()})
	}
	if page.Undecided {
		page.withDecision(r, principal, f)
	}
	return page
}

func inline(image bool) string {
	if image {
		return "?inline=1"
	}
	return ""
}

func amountPointer(minor *int64, currency money.Currency) *money.Money {
	if minor == nil {
		return nil
	}
	m := money.New(*minor, currency)
	return &m
}

func (page *paymentPage) withInvoice(r admin.Reader, f *claimed, tenant *tenancy.Tenant) {
	inv := f.Invoice
	if inv == nil {
		return
	}
	page.Invoice = &invoiceLine{Number: inv.Number, URL: admin.IDURL("invoices", inv.ID), Status: string(inv.Status), Total: inv.Amount(inv.TotalMinor),
		Balance: inv.Balance(), DueDate: inv.DueDate, Overdue: inv.IsOverdue(r.Now, tenant.Location())}
	if inv.Credits > 0 {
		page.Invoice.Credits = r.Say("{{.n}} credits once it is paid", "n", inv.Credits)
	}
	if difference, err := f.Payment.Amount().Sub(inv.Balance()); err == nil {
		page.Difference = difference
		switch difference.Sign() {
		case 1:
			page.DifferenceText = r.Say("The claim is above the open balance. What is above it becomes credit of the customer.")
		case -1:
			page.DifferenceText = r.Say("The claim is below the open balance. The invoice stays partly paid.")
		}
	}
}

// withDecision adds what the reader may decide, bound to what the page shows.
func (page *paymentPage) withDecision(r admin.Reader, principal auth.Principal, f *claimed) {
	p := f.Payment
	page.Digest, page.Signals, page.Reasons = f.Digest.String(), signalNotes(r, f.Signals), reasons(r)
	page.Final = f.Approvals()+1 >= f.Requirement.Approvals
	page.WhyNot = whyNotApprove(r, principal, f.Facts)
	page.CanApprove, page.CanReject = page.WhyNot == "", whyNot(r, principal, f.Facts) == ""
	page.DecideURL = decideURLs{Approve: admin.IDURL(section, p.ID, "approve"), Reject: admin.IDURL(section, p.ID, "reject")}
	if mayCancel(principal, f.Facts) {
		page.DecideURL.Cancel = admin.IDURL(section, p.ID, "cancel")
	}
	page.Form.Received = p.Amount().String()
	if stated := f.statedReceived(); stated != nil {
		page.Form.Received = money.New(*stated, p.Currency).String()
	}
}

// approve and reject call the service that the API calls. A refusal comes back on the payment's page, which shows the
// facts as they are now.
func (c *console) approve(w http.ResponseWriter, r *http.Request) error {
	form, err := admin.FormValues(w, r)
	if err != nil {
		return err
	}
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	var req ApproveRequest
	err = web.DecodeForm(form, &req)
	if err == nil {
		var done Detail
		done, err = c.service.Approve(r.Context(), ApproveInput{ID: id, Digest: req.Digest, Note: req.Note, Received: amountOf("received_amount", req.ReceivedAmount, nil)})
		if err == nil {
			return admin.Redirect(w, r, admin.IDURL(section, id), approvedText(done))
		}
	}
	return c.refuse(w, r, err, func(page *paymentPage, refusal admin.Refusal) {
		page.Form.Received, page.Form.Note = form.Get("received_amount"), form.Get("note")
		page.Form.ReceivedErrors = append(refusal.Fields["received_amount"], refusal.Fields["amount"]...)
	})
}

func approvedText(d Detail) string {
	if d.Status == string(StatusPendingApproval) {
		return "Your approval is recorded. A second person must approve too."
	}
	return "Approved. The worker posts it next."
}

func (c *console) reject(w http.ResponseWriter, r *http.Request) error {
	form, err := admin.FormValues(w, r)
	if err != nil {
		return err
	}
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	var req RejectRequest
	err = web.DecodeForm(form, &req)
	if err == nil {
		if _, err = c.service.Reject(r.Context(), RejectInput{ID: id, Digest: req.Digest, Reason: req.Reason}); err == nil {
			return admin.Redirect(w, r, admin.IDURL(section, id), "Refused. The customer sees the reason, and the invoice is open again.")
		}
	}
	return c.refuse(w, r, err, func(page *paymentPage, refusal admin.Refusal) {
		page.Form.Rejecting, page.Form.Reason = true, form.Get("reason")
		page.Form.ReasonErrors = refusal.Fields["reason"]
	})
}

func (c *console) refuse(w http.ResponseWriter, r *http.Request, err error, fill func(*paymentPage, admin.Refusal)) error {
	refusal, ok := admin.Refused(r, err)
	if !ok {
		return err
	}
	page, readErr := c.paymentPage(r)
	if readErr != nil {
		return readErr
	}
	fill(&page, refusal)
	page.Form.Error = refusal.Text
	if !page.Undecided { // there is no form any more to show it beside
		page.Warnings = append(page.Warnings, admin.Note{Tone: admin.ToneBad, Text: refusal.Text})
	}
	return admin.RenderStatus(w, r, refusal.Status, "payments/payment", page)
}
