package invoices

import (
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/decisions"
	"countersign/billing/money"
	"countersign/tenancy"
)

// WriteOffStatus is where a request to give something up stands.
type WriteOffStatus string

// The statuses: pending → posted → reversed, and pending → rejected. The trigger write_offs_guard has the same edges.
const (
	WriteOffPending  WriteOffStatus = "pending"
	WriteOffPosted   WriteOffStatus = "posted"
	WriteOffRejected WriteOffStatus = "rejected"
	WriteOffReversed WriteOffStatus = "reversed"
)

// WriteOffStatuses lists them in the order of a request's life.
func WriteOffStatuses() []WriteOffStatus {
	return []WriteOffStatus{WriteOffPending, WriteOffPosted, WriteOffRejected, WriteOffReversed}
}

// WriteOff is a request to give up what is owed on an invoice, and what became of it.
type WriteOff struct {
	bun.BaseModel `bun:"table:write_offs,alias:wo"`

	TenantID    uuid.UUID      `bun:"tenant_id,pk,type:uuid"`
	ID          uuid.UUID      `bun:"id,pk,type:uuid"` // also the adjustment's, once it is posted
	InvoiceID   uuid.UUID      `bun:"invoice_id,type:uuid"`
	AccountID   uuid.UUID      `bun:"account_id,type:uuid"`
	AmountMinor int64          `bun:"amount_minor"`
	Currency    money.Currency `bun:"currency"`
	Reason      string         `bun:"reason"`
	Status      WriteOffStatus `bun:"status"`
	// ByOne says that it was within the tenant's tolerance, so that nobody else had to decide.
	ByOne          bool      `bun:"by_one"`
	RequestedBy    uuid.UUID `bun:"requested_by,type:uuid"`
	RequestedLabel string    `bun:"requested_label"`
	CreatedAt      time.Time `bun:"created_at,nullzero"`
	DecidedAt      time.Time `bun:"decided_at,nullzero"`
	ReversedAt     time.Time `bun:"reversed_at,nullzero"`
}

// tolerates says whether one person may write minor of the invoice off. What was written off of it before counts, and an
// amount in another currency than that of the tolerance cannot be compared with it.
func tolerates(tenant *tenancy.Tenant, inv *Invoice, minor int64) bool {
	return inv.Currency == tenant.DefaultCurrency && inv.WrittenOffMinor+minor <= tenant.WriteOffToleranceMinor
}

// writeOffFacts is what the second person sees of a request. Its digest binds his decision.
type writeOffFacts struct {
	WriteOff  *WriteOff
	Invoice   *Invoice
	Account   *accounts.Account
	Decisions []decisions.Decision
}

// digest hashes plain values in a fixed order.
func (f *writeOffFacts) digest() (decisions.Digest, error) {
	w, inv := f.WriteOff, f.Invoice
	return decisions.NewDigest(struct {
		ID, Invoice, Account, Holder, Currency, Reason, Status, RequestedBy  string
		AccountActive                                                        bool
		Amount                                                               int64
		Number, InvoiceStatus, Due                                           string
		Total, Paid, Credited, CreditApplied, WrittenOff, Rest, PendingClaim int64
	}{w.ID.String(), w.InvoiceID.String(), w.AccountID.String(), f.Account.Holder, string(w.Currency), w.Reason, string(w.Status), w.RequestedBy.String(),
		f.Account.IsActive, w.AmountMinor, inv.Number, string(inv.Status), inv.DueDate.Format(time.DateOnly),
		inv.TotalMinor, inv.PaidMinor, inv.CreditedMinor, inv.CreditAppliedMinor, inv.WrittenOffMinor, inv.BalanceMinor, int64(inv.PendingClaims)})
}
