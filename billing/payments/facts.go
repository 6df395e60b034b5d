package payments

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/decisions"
	"countersign/billing/evidence"
	"countersign/billing/invoices"
	"countersign/billing/paymentmethods"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/web"
	"countersign/tenancy"
)

// Facts is what an approver sees of a claim. Its digest binds his decision: whatever is in here cannot change between
// his look and his word.
type Facts struct {
	Payment     *Payment
	Account     *accounts.Account
	Invoice     *invoices.Invoice
	Files       []*evidence.Evidence
	Decisions   []decisions.Decision
	Signals     []Signal
	Requirement decisions.Requirement
	Anomalies   []Anomaly
	order       *order // nil: no provider is asked, or nobody has looked
	Digest      decisions.Digest
	threshold   decisions.Threshold
	ladder      []decisions.Policy
	people      map[uuid.UUID]*accounts.Person // who submitted, who decided, and who looks
}

// digested are the facts in the form that is hashed: plain values in a fixed order.
type digested struct {
	ID, Account, Invoice, Method, Status   string
	Holder, AccountNumber, Country, Kind   string
	AccountActive                          bool
	Amount                                 int64
	Currency, Reference, Notes, PaidAt     string
	Details                                paymentmethods.Details
	Sensitive                              map[string]any `json:",omitempty"` // opened: what an approver compares with receipts
	Version                                int
	InvoiceNumber, InvoiceStatus, Due      string
	PendingClaims                          int
	InvoiceTotal, InvoicePaid, InvoiceRest int64
	InvoiceCredits                         int64
	Files, Decisions, Signals              []string
	Approvals                              int
	RequiresEvidence                       bool
}

// factsOf gathers the facts about payments that the caller has read, with a number of round trips that does not depend
// on how many they are.
func (s *Service) factsOf(ctx context.Context, _ bun.Tx, list ...*Payment) ([]*Facts, error) {
	ids := make([]uuid.UUID, len(list))
	for i, p := range list {
		ids[i] = p.ID
	}
	k := newKnown()
	if err := database.Send(ctx, k.aboutIDs(ctx, ids...)...); err != nil {
		return nil, err
	}
	return s.facts(ctx, database.Send, k, list...)
}

// look reads a payment with the facts about it, outside a transaction: what changes meanwhile makes another digest, and
// the decision is refused.
func (s *Service) look(ctx context.Context, text string) (*Facts, error) {
	fetch := func(ctx context.Context, statements ...database.Statement) error {
		return tenancy.Fetch(ctx, s.db, statements...)
	}
	p, k, o := &Payment{}, newKnown(), &order{}
	ask := []database.Statement{selectPayment(ctx, p, text)}
	id, err := web.ParseID(text)
	if err == nil {
		ask = append(ask, append(k.aboutIDs(ctx, id), selectOrder(ctx, o, id))...)
	}
	if err := fetch(ctx, ask...); err != nil {
		return nil, err
	}
	if p.ID == uuid.Nil {
		return nil, ErrNotFound
	}
	if p.ID != id { // it was named by its external id
		if err := fetch(ctx, append(k.aboutIDs(ctx, p.ID), selectOrder(ctx, o, p.ID))...); err != nil {
			return nil, err
		}
	}
	found, err := s.facts(ctx, fetch, k, p)
	if err != nil {
		return nil, err
	}
	if o.PaymentID != uuid.Nil {
		found[0].order = o
	}
	return found[0], nil
}

// facts completes what k knows about payments and puts it together.
func (s *Service) facts(ctx context.Context, send sender, k *known, list ...*Payment) ([]*Facts, error) {
	if err := k.complete(ctx, send, s, list); err != nil {
		return nil, err
	}
	out := make([]*Facts, len(list))
	for i, p := range list {
		s.open(ctx, p)
		f := &Facts{Payment: p, Account: k.accounts[p.AccountID], Invoice: k.invoices[p.InvoiceID], Files: k.filesOf(p), Signals: k.signals(p), Anomalies: k.anomalies[p.ID], ladder: k.ladder, people: k.people,
			threshold: decisions.Threshold{Above: k.tenant.TwoApprovalThresholdMinor, Currency: k.tenant.DefaultCurrency}}
		for _, d := range k.decisions {
			if d.SubjectID == p.ID {
				f.Decisions = append(f.Decisions, d)
			}
		}
		f.Requirement = f.require(p.AmountMinor)
		var err error
		if f.Digest, err = f.digest(); err != nil {
			return nil, err
		}
		out[i] = f
	}
	return out, nil
}

// require asks the ladder what the claim needs when received is what an approver states.
func (f *Facts) require(received int64) decisions.Requirement {
	amount := f.Payment.Amount()
	amount.Minor = max(amount.Minor, received)
	for _, d := range f.Decisions {
		if d.ReceivedMinor != nil {
			amount.Minor = max(amount.Minor, *d.ReceivedMinor)
		}
	}
	codes := make([]string, len(f.Signals))
	for i, s := range f.Signals {
		codes[i] = s.Code
	}
	return decisions.Require(f.ladder, f.threshold, decisions.Claim{PaymentMethod: string(f.Payment.Method), Amount: amount, Signals: codes})
}

func (f *Facts) digest() (decisions.Digest, error) {
	p := f.Payment
	d := digested{ID: p.ID.String(), Account: p.AccountID.String(), Invoice: p.InvoiceID.String(), Method: string(p.Method), Status: string(p.Status),
		Amount: p.AmountMinor, Currency: string(p.Currency), Reference: p.Reference, Notes: p.Notes, PaidAt: p.PaidAt.UTC().String(), Details: p.Details, Sensitive: p.Opened,
		Version: p.Version, Approvals: f.Requirement.Approvals, RequiresEvidence: f.Requirement.RequiresEvidence}
	if f.Account != nil {
		d.Holder, d.AccountNumber, d.Country, d.Kind, d.AccountActive = f.Account.Holder, f.Account.Number, f.Account.Country, f.Account.Kind, f.Account.IsActive
	}
	if f.Invoice != nil {
		d.Due, d.PendingClaims = f.Invoice.DueDate.Format(time.DateOnly), f.Invoice.PendingClaims
		d.InvoiceNumber, d.InvoiceStatus = f.Invoice.Number, string(f.Invoice.Status)
		d.InvoiceCredits = f.Invoice.Credits
		d.InvoiceTotal, d.InvoicePaid, d.InvoiceRest = f.Invoice.TotalMinor, f.Invoice.PaidMinor, f.Invoice.BalanceMinor
	}
	for _, e := range f.Files {
		d.Files = append(d.Files, fmt.Sprintf("%s %x %s", e.ID, e.SHA256, e.Filename))
	}
	for _, v := range f.Decisions {
		received := int64(0)
		if v.ReceivedMinor != nil {
			received = *v.ReceivedMinor
		}
		d.Decisions = append(d.Decisions, fmt.Sprintf("%s %s %d %t %s", v.UserID, v.Verdict, received, f.stands(v), v.Note))
	}
	for _, s := range f.Signals {
		if s.Code == SignalFirstPayment {
			continue // it only goes away, when another claim is settled; nobody needs to look again for that
		}
		d.Signals = append(d.Signals, s.Code+" "+s.Sentence)
	}
	return decisions.NewDigest(d)
}

// stands says whether a decision still counts: whoever made it is still there and may still decide. An approval does
// not outlive the right to give it.
func (f *Facts) stands(d decisions.Decision) bool {
	return f.mayDecide(d.UserID, f.Requirement.Permission)
}

// sharesLogin says whether, of the submitter, those who decided and the one who would decide now, two may be one person. Who
// claims a payment for the account that he belongs to is a customer, whose password is the business's matter.
func (f *Facts) sharesLogin(ctx context.Context, decider uuid.UUID, now time.Time) (bool, error) {
	involved := append([]uuid.UUID{decider}, f.deciders()...)
	if p := f.people[f.Payment.SubmittedBy]; p == nil || p.AccountID == uuid.Nil || p.AccountID != f.Payment.AccountID {
		involved = append(involved, f.Payment.SubmittedBy)
	}
	return accounts.ShareLogin(ctx, f.people, now, involved...)
}

func (f *Facts) deciders() []uuid.UUID {
	var ids []uuid.UUID
	for _, d := range f.Decisions {
		ids = append(ids, d.UserID)
	}
	return ids
}

// mayDecide says whether a person is still there, and still has a role that may give this decision. What he was when his
// request began may be over.
func (f *Facts) mayDecide(id uuid.UUID, permission string) bool {
	p := f.people[id]
	return p != nil && p.IsActive && slices.Contains(auth.PermissionsOf(p.Role), permission)
}

// Approvals counts the approvals that stand.
func (f *Facts) Approvals() int {
	n := 0
	for _, d := range f.Decisions {
		if d.Verdict == decisions.Approve && f.stands(d) {
			n++
		}
	}
	return n
}

// statedReceived gives the received amount that an earlier approver stated; nil when none has approved yet. It binds even
// when that approval no longer stands: it may stand again.
func (f *Facts) statedReceived() *int64 {
	for _, d := range f.Decisions {
		if d.Verdict == decisions.Approve && d.ReceivedMinor != nil {
			return d.ReceivedMinor
		}
	}
	return nil
}
