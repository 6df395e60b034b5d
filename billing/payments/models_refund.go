package payments

import (
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/decisions"
	"countersign/billing/gateways"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/tenancy"
)

// RefundStatus is where a refund stands.
type RefundStatus string

// The statuses: pending → succeeded or failed, with the approval before where the tenant asks for one, and cancelled while
// nobody can have paid. What was booked by mistake goes succeeded → reversed. The trigger refunds_guard has the same edges.
const (
	RefundPendingApproval RefundStatus = "pending_approval"
	RefundPending         RefundStatus = "pending" // the provider is asked, or somebody pays by hand
	RefundSucceeded       RefundStatus = "succeeded"
	RefundFailed          RefundStatus = "failed"
	RefundCancelled       RefundStatus = "cancelled"
	RefundReversed        RefundStatus = "reversed" // nobody has paid it after all: it was booked by mistake
)

// RefundStatuses lists them in the order of a refund's life.
func RefundStatuses() []RefundStatus {
	return []RefundStatus{RefundPendingApproval, RefundPending, RefundSucceeded, RefundFailed, RefundCancelled, RefundReversed}
}

// RefundReason is why money goes back (S0D-06).
type RefundReason string

// The reasons.
const (
	RefundOverpayment RefundReason = "overpayment"
	RefundDispute     RefundReason = "dispute"
	RefundItemReturn  RefundReason = "item_return"
	RefundDuplicate   RefundReason = "duplicate"
	RefundOther       RefundReason = "other"
)

// RefundReasons lists them.
func RefundReasons() []RefundReason {
	return []RefundReason{RefundOverpayment, RefundDispute, RefundItemReturn, RefundDuplicate, RefundOther}
}

// sentence is what the customer reads on the credit note.
func (r RefundReason) sentence() string {
	switch r {
	case RefundOverpayment:
		return "Refund: too much was paid"
	case RefundDispute:
		return "Refund: disputed"
	case RefundItemReturn:
		return "Refund: returned"
	case RefundDuplicate:
		return "Refund: paid twice"
	default:
		return "Refund"
	}
}

// Refund is money of a payment that goes back. Its amount is held from when it is asked for until it fails or is cancelled.
// Whoever changes a refund holds the lock on its payment.
type Refund struct {
	bun.BaseModel `bun:"table:refunds,alias:rf"`

	TenantID          uuid.UUID           `bun:"tenant_id,pk,type:uuid"`
	ID                uuid.UUID           `bun:"id,pk,type:uuid"` // also the provider's idempotency key (S0-92)
	PaymentID         uuid.UUID           `bun:"payment_id,type:uuid"`
	InvoiceID         uuid.UUID           `bun:"invoice_id,type:uuid,nullzero"`
	AccountID         uuid.UUID           `bun:"account_id,type:uuid,nullzero"`
	AmountMinor       int64               `bun:"amount_minor"`
	Currency          money.Currency      `bun:"currency"`
	Status            RefundStatus        `bun:"status"`
	Mode              gateways.RefundMode `bun:"mode"` // RefundByAPI or RefundByHand
	Reason            RefundReason        `bun:"reason"`
	Note              string              `bun:"note"`
	PayoutReference   string              `bun:"payout_reference"`   // of what was paid by hand
	ProviderReference string              `bun:"provider_reference"` // the provider's name of it, where it has one
	OverridesWindow   bool                `bun:"overrides_window"`
	OwedAgain         bool                `bun:"owed_again"` // without a credit note: the sale stands, and what goes back is owed again
	ByOne             bool                `bun:"by_one"`     // below the tenant's limit, so that nobody else had to decide
	// FailureCode of a pending refund says why the books could not take what the provider has paid.
	FailureCode    string    `bun:"failure_code"`
	FailureReason  string    `bun:"failure_reason"`
	InvoiceMinor   *int64    `bun:"invoice_minor"` // what the invoice is paid less; nil until succeeded
	CreditMinor    *int64    `bun:"credit_minor"`  // what the customer's credit is less
	RevenueMinor   *int64    `bun:"revenue_minor"` // what is taken back of revenue without an invoice
	CreditNoteID   uuid.UUID `bun:"credit_note_id,type:uuid,nullzero"`
	MovedMinor     *int64    `bun:"moved_minor"` // of InvoiceMinor, what was not owed any more when it was reversed: it is credit; nil until then
	RequestedBy    uuid.UUID `bun:"requested_by,type:uuid,nullzero"`
	RequestedLabel string    `bun:"requested_label"`
	AskedAt        time.Time `bun:"asked_at,nullzero"`    // when its provider was first asked for it
	AskedMinor     *int64    `bun:"asked_minor"`          // what the provider had given back of the payment until then; nil: it did not say
	BusyUntil      time.Time `bun:"busy_until,nullzero"`  // who asks the provider has this lease
	NextAskAt      time.Time `bun:"next_ask_at,nullzero"` // when the worker asks
	Version        int       `bun:"version"`
	CreatedAt      time.Time `bun:"created_at,nullzero"`
	UpdatedAt      time.Time `bun:"updated_at,nullzero"`
	ApprovedAt     time.Time `bun:"approved_at,nullzero"`
	SucceededAt    time.Time `bun:"succeeded_at,nullzero"`
	FailedAt       time.Time `bun:"failed_at,nullzero"`
	CancelledAt    time.Time `bun:"cancelled_at,nullzero"`
	ReversedAt     time.Time `bun:"reversed_at,nullzero"`
	ReversedBy     uuid.UUID `bun:"reversed_by,type:uuid,nullzero"`
	ReversedLabel  string    `bun:"reversed_label"`
	ReversalReason string    `bun:"reversal_reason"`

	decided *decisions.Decision // that travels with COMMIT and cannot be read yet
}

// Amount is what goes back.
func (r *Refund) Amount() money.Money { return money.New(r.AmountMinor, r.Currency) }

// cause makes the refund be posted once.
func (r *Refund) cause() string { return "refund:" + r.ID.String() }

// schedule says when the worker asks the provider next. What is not known is asked for until it is: money may have moved.
func (r *Refund) schedule(now time.Time) {
	age := now.Sub(r.CreatedAt)
	switch {
	case r.Status != RefundPending || r.Mode != gateways.RefundByAPI:
		r.NextAskAt = time.Time{}
	case age < 15*time.Minute:
		r.NextAskAt = now.Add(time.Minute)
	case age < 2*time.Hour:
		r.NextAskAt = now.Add(5 * time.Minute)
	default:
		r.NextAskAt = now.Add(time.Hour)
	}
}

// Refundable is what of a payment was not given back yet. Refunds that are under way are not taken off.
func (p *Payment) Refundable() money.Money {
	if p.Status != StatusSucceeded && p.Status != StatusPartiallyRefunded {
		return money.New(0, p.Currency)
	}
	return money.New(p.Received().Minor-p.RefundedMinor, p.Currency)
}

// shares are the parts of a payment, or of a refund: on its invoice, in the customer's credit, and in revenue for want of an
// invoice.
type shares struct{ Invoice, Credit, Revenue int64 }

func (p *Payment) shares() (s shares) {
	for _, part := range []struct {
		to   *int64
		from *int64
	}{{&s.Invoice, p.AppliedMinor}, {&s.Credit, p.ExcessMinor}, {&s.Revenue, p.RevenueMinor}} {
		if part.from != nil {
			*part.to = *part.from
		}
	}
	return s
}

// split says what a refund takes back, of what earlier ones have left. What was paid too much goes first when that is the
// reason, and last otherwise: who returns goods does not want his credit touched.
func (r *Refund) split(p *Payment, gone shares) (s shares) {
	all, rest := p.shares(), r.AmountMinor
	take := func(of *int64, left int64) {
		*of = max(0, min(rest, left))
		rest -= *of
	}
	if r.Reason == RefundOverpayment {
		take(&s.Credit, all.Credit-gone.Credit)
	}
	take(&s.Invoice, all.Invoice-gone.Invoice)
	take(&s.Revenue, all.Revenue-gone.Revenue)
	if r.Reason != RefundOverpayment {
		take(&s.Credit, all.Credit-gone.Credit)
	}
	return s
}

// needsTwo says whether a second person decides about minor more of a payment, of which held is given back already, was
// and no longer is, or is under way: taking back does not make room for who pays out alone. An amount in another currency
// than that of the limit cannot be compared with it.
func needsTwo(tenant *tenancy.Tenant, p *Payment, held, minor int64) bool {
	limit := tenant.TwoRefundApprovalsAboveMinor
	return limit != nil && (p.Currency != tenant.DefaultCurrency || held+minor > *limit)
}

// refundFacts is what the second person sees of a refund. Its digest binds his decision.
type refundFacts struct {
	Refund    *Refund
	Payment   *Payment
	Account   *accounts.Account // nil: nobody is known
	Invoice   *invoices.Invoice // nil: there is none
	Decisions []decisions.Decision
	Held      int64 // by other refunds of the payment that are under way
}

// digest hashes plain values in a fixed order.
func (f *refundFacts) digest() (decisions.Digest, error) {
	r, p := f.Refund, f.Payment
	d := struct {
		ID, Payment, Account, Invoice, Currency, Status, Mode, Reason, Note, Payout, RequestedBy string
		OverridesWindow, OwedAgain                                                               bool
		Amount, Held                                                                             int64
		Version                                                                                  int
		Method, Gateway, PaymentStatus                                                           string
		Received, Refunded                                                                       int64
		Shares                                                                                   shares
		Holder, InvoiceNumber, InvoiceStatus                                                     string
		AccountActive                                                                            bool
		InvoiceTotal, InvoicePaid, InvoiceCredited, InvoiceRest                                  int64
	}{ID: r.ID.String(), Payment: p.ID.String(), Account: r.AccountID.String(), Invoice: r.InvoiceID.String(), Currency: string(r.Currency), Status: string(r.Status), Mode: string(r.Mode),
		Reason: string(r.Reason), Note: r.Note, Payout: r.PayoutReference, RequestedBy: r.RequestedBy.String(), OverridesWindow: r.OverridesWindow, OwedAgain: r.OwedAgain, Amount: r.AmountMinor, Held: f.Held,
		Version: r.Version, Method: string(p.Method), Gateway: p.Gateway, PaymentStatus: string(p.Status), Received: p.Received().Minor, Refunded: p.RefundedMinor, Shares: p.shares()}
	if f.Account != nil {
		d.Holder, d.AccountActive = f.Account.Holder, f.Account.IsActive
	}
	if inv := f.Invoice; inv != nil {
		d.InvoiceNumber, d.InvoiceStatus = inv.Number, string(inv.Status)
		d.InvoiceTotal, d.InvoicePaid, d.InvoiceCredited, d.InvoiceRest = inv.TotalMinor, inv.PaidMinor, inv.CreditedMinor, inv.BalanceMinor
	}
	return decisions.NewDigest(d)
}
