package decisions

import (
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/money"
)

// Verdict is what somebody decided.
type Verdict string

// The verdicts.
const (
	Approve Verdict = "approve"
	Reject  Verdict = "reject"
)

// The kinds of things that people decide about.
const (
	SubjectPayment  = "payment"
	SubjectRefund   = "refund"
	SubjectWriteOff = "write_off"
)

// Decision is one person's verdict. Decisions are never changed.
type Decision struct {
	bun.BaseModel `bun:"table:decisions,alias:d"`

	TenantID      uuid.UUID `bun:"tenant_id,pk"`
	ID            uuid.UUID `bun:"id,pk"`
	SubjectType   string    `bun:"subject_type"`
	SubjectID     uuid.UUID `bun:"subject_id"`
	Verdict       Verdict   `bun:"verdict"`
	UserID        uuid.UUID `bun:"user_id"`
	UserLabel     string    `bun:"user_label"`
	Digest        []byte    `bun:"digest"`
	ReceivedMinor *int64    `bun:"received_minor"` // what an approver says was really received
	Note          string    `bun:"note"`
	Required      int       `bun:"required"` // approvals the ladder asked for at that moment
	CreatedAt     time.Time `bun:"created_at,nullzero"`
}

// Policy is one rung of the ladder: claims that fit all its conditions need what it says. Rungs are tried by rank.
type Policy struct {
	bun.BaseModel `bun:"table:approval_policies,alias:ap"`

	TenantID         uuid.UUID      `bun:"tenant_id,pk"`
	ID               uuid.UUID      `bun:"id,pk"`
	Rank             int            `bun:"rank"`
	SubjectType      string         `bun:"subject_type"`
	PaymentMethod    string         `bun:"payment_method,nullzero"` // empty: any
	Currency         money.Currency `bun:"currency,nullzero"`       // empty: any
	FromAmountMinor  *int64         `bun:"from_amount_minor"`       // inclusive
	ToAmountMinor    *int64         `bun:"to_amount_minor"`         // exclusive
	Signal           string         `bun:"signal,nullzero"`         // empty: with or without signals, which only claims have
	Approvals        int            `bun:"approvals"`
	RequiresEvidence bool           `bun:"requires_evidence"` // of claims
	Permission       string         `bun:"permission"`
	CreatedAt        time.Time      `bun:"created_at,nullzero"`
}
