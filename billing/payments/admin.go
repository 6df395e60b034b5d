package payments

import (
	"context"
	"net/http"
	"net/url"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/paymentmethods"
	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/web"
	"countersign/tenancy"
)

// section is where the console shows payments.
const section = "payments"

// console answers the console's pages about payments.
type console struct{ service *Service }

// sections are the console's pages of payments: what waits for a decision, and all of them.
func (s *Service) sections() []admin.Section {
	c := &console{service: s}
	return []admin.Section{c.queueSection(), c.refundSection(), c.anomalySection(), c.listSection()}
}

// claimed is a payment with what a decision about it is made on, and whose it is.
type claimed struct {
	*Facts
	Account *accounts.Account
	held    int64 // by refunds that are under way
}

func (c *console) queueSection() admin.Section {
	return admin.ModelAdmin[*claimed]{
		Name: section, Title: "Waiting for approval", Icon: "inbox", Group: admin.GroupMoney, Place: 10, Permission: auth.BillingView,
		Count:    c.count,
		ListView: c.queueView,
		Key:      func(f *claimed) uuid.UUID { return f.Payment.ID },
		Get:      c.get, DetailView: c.paymentView, Parent: parent,
		Actions: []admin.Action[*claimed]{c.cancelAction(), c.captureAction(), c.releaseAction(), c.completeAction(), c.resumeAction(), c.refundAction()},
		Routes: []web.Route{
			{Method: http.MethodGet, Path: "/bulk/", Permission: auth.BillingApprove, Handler: c.bulkView},
			{Method: http.MethodPost, Path: "/bulk/", Permission: auth.BillingApprove, Handler: c.bulkApprove},
			{Method: http.MethodPost, Path: "/{id}/approve/", Permission: auth.BillingApprove, Handler: c.approve},
			{Method: http.MethodPost, Path: "/{id}/reject/", Permission: auth.BillingApprove, Handler: c.reject},
		},
		Samples: samples(),
	}.Section()
}

// parent is the list where a payment is looked for: the queue, until it is decided.
func parent(f *claimed) admin.Link {
	if f.Payment.Status == StatusPendingApproval {
		return admin.Link{Text: "Waiting for approval", URL: admin.URL(section)}
	}
	return admin.Link{Text: "Payments", URL: admin.URL(listName)}
}

func (c *console) count(ctx context.Context) (n int, err error) {
	err = tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) error {
		n, err = CountUndecided(ctx, tx)
		return err
	})
	return n, err
}

// get reads one payment with all that a decision needs.
func (c *console) get(ctx context.Context, id uuid.UUID) (f *claimed, err error) {
	err = tenancy.Read(ctx, c.service.db, func(ctx context.Context, tx bun.Tx) error {
		f, err = c.one(ctx, tx, id)
		return err
	})
	return f, err
}

func (c *console) one(ctx context.Context, tx bun.Tx, id uuid.UUID) (*claimed, error) {
	p, err := Get(ctx, tx, id.String())
	if err != nil {
		return nil, err
	}
	list, err := c.claims(ctx, tx, p)
	if err != nil {
		return nil, err
	}
	o := &order{}
	if err := database.Send(ctx, selectOrder(ctx, o, p.ID)); err != nil {
		return nil, err
	}
	if o.PaymentID != uuid.Nil {
		list[0].order = o
	}
	list[0].held, _, err = heldRefunds(ctx, tx, p.ID)
	return list[0], err
}

// claims gathers the facts and the accounts of payments, in their order, with a number of statements that does not
// depend on how many they are.
func (c *console) claims(ctx context.Context, tx bun.Tx, list ...*Payment) ([]*claimed, error) {
	if len(list) == 0 {
		return nil, nil
	}
	facts, err := c.service.factsOf(ctx, tx, list...)
	if err != nil {
		return nil, err
	}
	owners, err := accountsOf(ctx, tx, list)
	if err != nil {
		return nil, err
	}
	out := make([]*claimed, len(list))
	for i, f := range facts {
		out[i] = &claimed{Facts: f, Account: owners[f.Payment.AccountID]}
	}
	return out, nil
}

func accountsOf(ctx context.Context, tx bun.Tx, list []*Payment) (map[uuid.UUID]*accounts.Account, error) {
	ids := make([]uuid.UUID, len(list))
	for i, p := range list {
		ids[i] = p.AccountID
	}
	return accounts.ByIDs(ctx, tx, ids...)
}

// whyNot says why the reader may neither approve nor refuse a claim; empty when he may.
func whyNot(r admin.Reader, p auth.Principal, f *Facts) string {
	switch {
	case !p.Can(auth.BillingApprove):
		return r.Say("Your role does not allow decisions about payments.")
	case f.Payment.SubmittedBy == p.UserID:
		return r.Say("You submitted this claim yourself. Somebody else must decide it.")
	}
	for _, d := range f.Decisions {
		if d.UserID == p.UserID {
			return r.Say("You have approved this claim already. A second person must approve it too.")
		}
	}
	return ""
}

// whyNotApprove says why the reader may not approve a claim; empty when he may.
func whyNotApprove(r admin.Reader, p auth.Principal, f *Facts) string {
	if why := whyNot(r, p, f); why != "" {
		return why
	}
	switch {
	case !p.Can(f.Requirement.Permission):
		return r.Say("Your role does not allow you to approve this one. It needs the permission {{.permission}}.", "permission", f.Requirement.Permission)
	case f.Requirement.RequiresEvidence && len(f.Files) == 0:
		return r.Say("This payment needs a receipt, and none is attached. It can only be refused.")
	}
	return ""
}

func (c *console) cancelAction() admin.Action[*claimed] {
	return admin.Action[*claimed]{
		Name: "cancel", Title: "Withdraw the claim", Submit: "Withdraw", Danger: true, Reason: admin.AskReason,
		Consequence: "The claim is taken back. The invoice is open again, and nothing is posted. This cannot be undone.",
		Subject:     subject,
		Facts:       claimFacts,
		Allowed:     func(p auth.Principal, f *claimed) bool { return mayCancel(p, f.Facts) },
		Run: func(ctx context.Context, f *claimed, form url.Values) (string, error) {
			in, err := step(f, form)
			if err != nil {
				return "", err
			}
			_, err = c.service.Cancel(ctx, in)
			return "The claim was withdrawn.", err
		},
	}
}

func mayCancel(p auth.Principal, f *Facts) bool {
	return f.Payment.Status == StatusPendingApproval && (p.Can(auth.BillingCancel) || f.Payment.SubmittedBy == p.UserID)
}

func (c *console) resumeAction() admin.Action[*claimed] {
	return admin.Action[*claimed]{
		Name: "resume", Title: "Let the worker try again", Submit: "Try again", Permission: auth.BillingJobsManage, Primary: true,
		Consequence: "The payment goes back to the worker, which posts it if what stood in the way is gone.",
		Subject:     subject,
		Facts:       claimFacts,
		Allowed:     func(_ auth.Principal, f *claimed) bool { return f.Payment.SetAside != "" },
		Run: func(ctx context.Context, f *claimed, _ url.Values) (string, error) {
			_, err := c.service.Resume(ctx, f.Payment.ID)
			return "The worker takes the payment again.", err
		},
	}
}

func subject(f *claimed) string {
	text := f.Payment.Amount().String() + " " + string(f.Payment.Currency)
	if f.Account != nil {
		text += ", " + f.Account.Holder
	}
	return text
}

func claimFacts(_ admin.Reader, f *claimed) []admin.Fact {
	facts := []admin.Fact{{Label: "Method", Value: admin.Word(paymentmethods.Label(f.Payment.Method))}}
	if f.Payment.Reference != "" {
		facts = append(facts, admin.Fact{Label: "Reference", Value: admin.Code(f.Payment.Reference)})
	}
	facts = append(facts, admin.Fact{Label: "Submitted", Value: admin.When(f.Payment.CreatedAt)})
	if f.Invoice != nil {
		facts = append(facts, admin.Fact{Label: "Invoice", Value: admin.Text(f.Invoice.Number)})
	}
	return facts
}
