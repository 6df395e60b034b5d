package invoices

import (
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/ledger"
	"countersign/billing/money"
)

// AdjustmentKind is in what way an invoice was lowered, other than by payments.
type AdjustmentKind string

// The kinds. The kind of what is posted for one has the same name.
const (
	CreditApplied AdjustmentKind = ledger.KindCreditApplied
	CreditNoted   AdjustmentKind = ledger.KindCreditNote
	WrittenOff    AdjustmentKind = ledger.KindWrittenOff
)

// Adjustment is one such act, or with Reverses the act that took it back. Adjustments are never changed: those of a kind
// sum to the invoice's column.
type Adjustment struct {
	bun.BaseModel `bun:"table:invoice_adjustments,alias:ia"`

	TenantID    uuid.UUID      `bun:"tenant_id,pk,type:uuid"`
	ID          uuid.UUID      `bun:"id,pk,type:uuid"` // version 7, so ids are in the order of what happened
	InvoiceID   uuid.UUID      `bun:"invoice_id,type:uuid"`
	AccountID   uuid.UUID      `bun:"account_id,type:uuid"`
	Kind        AdjustmentKind `bun:"kind"`
	AmountMinor int64          `bun:"amount_minor"` // below zero when it takes another back
	Currency    money.Currency `bun:"currency"`
	Reason      string         `bun:"reason"`
	Reverses    uuid.UUID      `bun:"reverses,type:uuid,nullzero"`
	MadeBy      string         `bun:"made_by"`
	CreatedAt   time.Time      `bun:"created_at,nullzero"`
}

// cause is what makes its posting happen once.
func (a *Adjustment) cause() string { return adjustmentCause(a.ID) }

func adjustmentCause(id uuid.UUID) string { return "adjustment:" + id.String() }

// adjusted says whether anything but payments has lowered the invoice.
func (inv *Invoice) adjusted() bool {
	return inv.CreditedMinor > 0 || inv.CreditAppliedMinor > 0 || inv.WrittenOffMinor > 0
}

// lower takes minor off the balance in the way of kind, or below zero puts it back.
func (inv *Invoice) lower(kind AdjustmentKind, minor int64) {
	switch kind {
	case CreditApplied:
		inv.CreditAppliedMinor += minor
	case CreditNoted:
		inv.CreditedMinor += minor
	case WrittenOff:
		inv.WrittenOffMinor += minor
	}
	inv.BalanceMinor -= minor
}

// closed is what an invoice becomes of which nothing is left, whatever came last: paid, unless a part of it was given up by
// two people, or nothing was received and something written off.
func (inv *Invoice) closed() Status {
	if inv.GivenUp || inv.PaidMinor+inv.CreditAppliedMinor == 0 && inv.WrittenOffMinor > 0 {
		return StatusUncollectible
	}
	return StatusPaid
}

// restate sets the status that the amounts of a finalised invoice give it. An uncollectible invoice of which something is
// left stays so unless revive says that something was paid on it or that it is owed again.
func (inv *Invoice) restate(revive bool, now time.Time) {
	switch {
	case inv.BalanceMinor == 0 && inv.Status == StatusPaid: // and is so still
	case inv.BalanceMinor == 0:
		inv.Status = inv.closed()
	case inv.Status == StatusUncollectible && !revive:
	case inv.PaidMinor+inv.CreditAppliedMinor > 0:
		inv.Status = StatusPartiallyPaid
	default:
		inv.Status = StatusOpen
	}
	switch {
	case inv.Status == StatusPaid && inv.PaidAt.IsZero():
		inv.PaidAt = now
	case inv.Status != StatusPaid && !inv.PaidAt.IsZero():
		inv.PaidAt = time.Time{}
		inv.Reopened++
	}
}

// grantable is how many service credits the invoice grants while it is paid: what credit notes have taken back of the
// sale takes its share of them along.
func (inv *Invoice) grantable() int64 {
	return inv.Credits - money.Share(inv.Credits, inv.CreditedMinor, inv.TotalMinor)
}

// granted is how many service credits the customer has got for the invoice.
func (inv *Invoice) granted() int64 {
	if inv.PaidAt.IsZero() {
		return 0
	}
	return inv.grantable()
}

// creditsPosting gives the account n service credits, or below zero takes them back.
func creditsPosting(inv *Invoice, n int64, cause string) ledger.Posting {
	kind := ledger.KindCreditsGranted
	if n < 0 {
		kind = ledger.KindCreditsReturned
	}
	return ledger.Posting{Cause: cause, Kind: kind, CustomerID: inv.AccountID, InvoiceID: inv.ID, Entries: []ledger.Entry{
		{Account: ledger.CreditsIssued(), AmountMinor: n},
		{Account: ledger.Credits(inv.AccountID), AmountMinor: -n},
	}}
}
