package payments

import (
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/money"
	"countersign/billing/paymentmethods"
)

// Status is where a payment stands (model.md 5.3).
type Status string

// The statuses.
const (
	StatusCreated           Status = "created"          // recorded, provider not asked
	StatusPending           Status = "pending"          // the payer must act
	StatusPendingApproval   Status = "pending_approval" // claimed, undecided
	StatusProcessing        Status = "processing"       // approved, not settled; or in flight
	StatusAuthorized        Status = "authorized"       // held, not captured
	StatusSucceeded         Status = "succeeded"
	StatusPartiallyRefunded Status = "partially_refunded"
	StatusRefunded          Status = "refunded"
	StatusFailed            Status = "failed"
	StatusCancelled         Status = "cancelled"
	StatusExpired           Status = "expired"
)

// Statuses lists all of them, in the order of a payment's life.
func Statuses() []Status {
	return []Status{StatusCreated, StatusPending, StatusPendingApproval, StatusProcessing, StatusAuthorized, StatusSucceeded,
		StatusPartiallyRefunded, StatusRefunded, StatusFailed, StatusCancelled, StatusExpired}
}

// transitions are the allowed edges; the database has the same table in a trigger, and a test compares the two. The
// reconciler's edges back to succeeded need provider evidence and are not for commands (C-10).
var transitions = map[Status][]Status{
	StatusCreated:           {StatusPending, StatusPendingApproval, StatusProcessing, StatusAuthorized, StatusSucceeded, StatusFailed, StatusCancelled, StatusExpired},
	StatusPending:           {StatusProcessing, StatusAuthorized, StatusSucceeded, StatusFailed, StatusCancelled, StatusExpired},
	StatusPendingApproval:   {StatusProcessing, StatusFailed, StatusCancelled, StatusExpired},
	StatusProcessing:        {StatusSucceeded, StatusAuthorized, StatusFailed, StatusPendingApproval},
	StatusAuthorized:        {StatusSucceeded, StatusCancelled, StatusFailed, StatusExpired},
	StatusSucceeded:         {StatusPartiallyRefunded, StatusRefunded},
	StatusPartiallyRefunded: {StatusPartiallyRefunded, StatusRefunded},
}

// UnderWay says whether a payment may still bring money: it is a claim of its invoice then, which counts it (S1-59).
func (s Status) UnderWay() bool {
	switch s {
	case StatusCreated, StatusPending, StatusPendingApproval, StatusProcessing, StatusAuthorized:
		return true
	}
	return false
}

// CanBecome says whether a command may move a payment from s to next.
func (s Status) CanBecome(next Status) bool { return slices.Contains(transitions[s], next) }

// Payment is one attempt to receive money.
type Payment struct {
	bun.BaseModel `bun:"table:payments,alias:p"`

	TenantID             uuid.UUID              `bun:"tenant_id,pk"`
	ID                   uuid.UUID              `bun:"id,pk"`
	AccountID            uuid.UUID              `bun:"account_id,nullzero"` // zero: a customer who is not known here
	InvoiceID            uuid.UUID              `bun:"invoice_id,nullzero"`
	ExternalID           string                 `bun:"external_id,nullzero"`
	Method               paymentmethods.Method  `bun:"method"`
	Gateway              string                 `bun:"gateway"`
	AmountMinor          int64                  `bun:"amount_minor"`   // as claimed
	ReceivedMinor        *int64                 `bun:"received_minor"` // as the approver states; nil until approved
	AppliedMinor         *int64                 `bun:"applied_minor"`  // went to the invoice; nil until settled
	ExcessMinor          *int64                 `bun:"excess_minor"`   // went to the customer's credit
	RevenueMinor         *int64                 `bun:"revenue_minor"`  // went to revenue, for want of an invoice; nil: nothing
	Currency             money.Currency         `bun:"currency"`
	RefundedMinor        int64                  `bun:"refunded_minor"`
	Status               Status                 `bun:"status"`
	SettlementStatus     string                 `bun:"settlement_status"`
	ReconciliationStatus string                 `bun:"reconciliation_status"`
	Reference            string                 `bun:"reference"`
	ReferenceNorm        string                 `bun:"reference_norm"`
	Details              paymentmethods.Details `bun:"details,type:jsonb"` // of what is sealed, the end only
	Sensitive            []byte                 `bun:"sensitive,nullzero"` // sealed
	Notes                string                 `bun:"notes"`
	FailureCode          string                 `bun:"failure_code"`
	FailureReason        string                 `bun:"failure_reason"`
	PaidAt               time.Time              `bun:"paid_at,nullzero"`
	SubmittedBy          uuid.UUID              `bun:"submitted_by,nullzero"`
	RetryOf              uuid.UUID              `bun:"retry_of,nullzero"`
	SetAside             string                 `bun:"set_aside"`
	Prepayment           bool                   `bun:"prepayment"` // without an invoice, for the customer's credit and not for revenue
	ReceiptNumber        string                 `bun:"receipt_number,nullzero"`
	Version              int                    `bun:"version"`
	CreatedAt            time.Time              `bun:"created_at,nullzero"`
	UpdatedAt            time.Time              `bun:"updated_at,nullzero"`
	ApprovedAt           time.Time              `bun:"approved_at,nullzero"`
	ProcessedAt          time.Time              `bun:"processed_at,nullzero"`
	FailedAt             time.Time              `bun:"failed_at,nullzero"`
	CancelledAt          time.Time              `bun:"cancelled_at,nullzero"`
	ExpiredAt            time.Time              `bun:"expired_at,nullzero"`
	RefundedAt           time.Time              `bun:"refunded_at,nullzero"`
	DeletedAt            time.Time              `bun:"deleted_at,nullzero"`

	HeldMinor int64 `bun:"-"` // by refunds that are under way; read for who sees the payment, see selectHeld

	Opened map[string]any `bun:"-"` // what Sensitive holds, by paths; nil until somebody opens it who may
}

// Evidence links a payment to a file that proves it. Links are never removed.
type Evidence struct {
	bun.BaseModel `bun:"table:payment_evidence,alias:pe"`

	TenantID   uuid.UUID `bun:"tenant_id,pk"`
	PaymentID  uuid.UUID `bun:"payment_id,pk"`
	EvidenceID uuid.UUID `bun:"evidence_id,pk"`
	AccountID  uuid.UUID `bun:"account_id"`
	CreatedAt  time.Time `bun:"created_at,nullzero"`
}

// Amount is what was claimed.
func (p *Payment) Amount() money.Money { return money.New(p.AmountMinor, p.Currency) }

// Received is what counts: the amount that the approver states, or the claim as long as nobody has.
func (p *Payment) Received() money.Money {
	if p.ReceivedMinor != nil {
		return money.New(*p.ReceivedMinor, p.Currency)
	}
	return p.Amount()
}

// normalise reduces a reference to what two spellings of it share.
func normalise(reference string) string { return paymentmethods.LettersAndDigits(reference) }
