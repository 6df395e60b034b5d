package ledger

import (
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// The kinds of transaction that more than one package knows.
const (
	KindInvoiceFinalized           = "invoice_finalized"
	KindPaymentSettled             = "payment_settled"
	KindPaymentRefunded            = "payment_refunded"
	KindCreditsGranted             = "credits_granted"              // bought with an invoice
	KindSubscriptionCreditsGranted = "subscription_credits_granted" // those of the plan
	KindCreditsUsed                = "credits_used"
	KindFXConverted                = "fx_converted"
	KindCreditsReturned            = "credits_returned" // those of an invoice that is paid no longer
	KindCreditApplied              = "credit_applied"   // a customer's credit pays an invoice
	KindWrittenOff                 = "written_off"      // a receivable is given up
	KindCreditNote                 = "credit_note"      // a part of a sale is taken back
	KindPaymentMoved               = "payment_moved"    // what a payment had paid on an invoice that owes it no longer is the customer's credit
	KindReversal                   = "reversal"
)

// Account is a row of the chart.
type Account struct {
	bun.BaseModel `bun:"table:ledger_accounts,alias:a"`

	TenantID   uuid.UUID `bun:"tenant_id,pk,type:uuid"`
	ID         uuid.UUID `bun:"id,pk,type:uuid"`
	Code       string    `bun:"code"`
	Owner      string    `bun:"owner"` // empty: the tenant's own
	Currency   string    `bun:"currency"`
	Class      Class     `bun:"class"`
	CustomerID uuid.UUID `bun:"customer_id,type:uuid,nullzero"`
	CreatedAt  time.Time `bun:"created_at,nullzero"`
}

func (a *Account) ref() Ref { return Ref{a.Code, a.Owner, a.Currency, a.Class, a.CustomerID} }

// Transaction is the header of a balanced group of entries.
type Transaction struct {
	bun.BaseModel `bun:"table:ledger_transactions,alias:t"`

	TenantID   uuid.UUID `bun:"tenant_id,pk,type:uuid"`
	ID         uuid.UUID `bun:"id,pk,type:uuid"` // version 7, so ids are in the order of posting
	Cause      string    `bun:"cause"`
	Kind       string    `bun:"kind"`
	Lines      int16     `bun:"lines"`
	CustomerID uuid.UUID `bun:"customer_id,type:uuid,nullzero"`
	InvoiceID  uuid.UUID `bun:"invoice_id,type:uuid,nullzero"`
	PaymentID  uuid.UUID `bun:"payment_id,type:uuid,nullzero"`
	Corrects   uuid.UUID `bun:"corrects,type:uuid,nullzero"` // the transaction that this one reverses
	PostedBy   string    `bun:"posted_by"`
	CreatedAt  time.Time `bun:"created_at,nullzero"`

	Entries []PostedEntry `bun:"-"` // by line; filled where a selector says so
}

// PostedEntry is one line of a transaction.
type PostedEntry struct {
	bun.BaseModel `bun:"table:ledger_entries,alias:e"`

	TenantID      uuid.UUID `bun:"tenant_id,pk,type:uuid"`
	TransactionID uuid.UUID `bun:"transaction_id,pk,type:uuid"`
	Line          int16     `bun:"line,pk"`
	AccountID     uuid.UUID `bun:"ledger_account_id,type:uuid"`
	AmountMinor   int64     `bun:"amount_minor"` // positive: debit, negative: credit
	Currency      string    `bun:"currency"`
	CreatedAt     time.Time `bun:"created_at,nullzero"`

	Account     *Account     `bun:"-"`
	Transaction *Transaction `bun:"-"` // nil for a member when the transaction is not about his account
}

// ID is how answers name an entry: its transaction and its line.
func (e PostedEntry) ID() string { return e.TransactionID.String() + ":" + strconv.Itoa(int(e.Line)) }
