package invoices

import (
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/uptrace/bun"

	"countersign/billing/money"
)

// Status is where an invoice stands. Whether it is overdue is derived, never stored.
type Status string

// The statuses, see doc.go for the way between them.
const (
	StatusDraft         Status = "draft"
	StatusOpen          Status = "open"
	StatusPartiallyPaid Status = "partially_paid"
	StatusPaid          Status = "paid"
	StatusVoid          Status = "void"
	StatusUncollectible Status = "uncollectible"
)

// transitions lists where an invoice may go. The trigger invoices_guard of the migration has the same edges, and a
// test compares them.
var transitions = map[Status][]Status{
	StatusDraft:         {StatusOpen, StatusPaid, StatusVoid},
	StatusOpen:          {StatusPartiallyPaid, StatusPaid, StatusVoid, StatusUncollectible},
	StatusPartiallyPaid: {StatusPaid, StatusOpen, StatusUncollectible},
	StatusPaid:          {StatusPartiallyPaid, StatusOpen},
	StatusUncollectible: {StatusOpen, StatusPartiallyPaid, StatusPaid},
}

// CanBecome says whether an invoice may go from s to next.
func (s Status) CanBecome(next Status) bool { return slices.Contains(transitions[s], next) }

// Statuses lists all statuses in the order of an invoice's life.
func Statuses() []Status {
	return []Status{StatusDraft, StatusOpen, StatusPartiallyPaid, StatusPaid, StatusVoid, StatusUncollectible}
}

// Invoice is what an account owes. Amounts are minor units of Currency; dates are midnight UTC.
type Invoice struct {
	bun.BaseModel `bun:"table:invoices,alias:i"`

	TenantID   uuid.UUID `bun:"tenant_id,pk,type:uuid"`
	ID         uuid.UUID `bun:"id,pk,type:uuid"`
	AccountID  uuid.UUID `bun:"account_id,type:uuid"`
	ExternalID string    `bun:"external_id,nullzero"`
	// Number is empty until the invoice is finalised, unless the client gave one; NumberIsOurs is false then.
	Number        string         `bun:"number,nullzero"`
	NumberIsOurs  bool           `bun:"number_is_ours"`
	Status        Status         `bun:"status"`
	Currency      money.Currency `bun:"currency"`
	InvoiceDate   time.Time      `bun:"invoice_date,type:date"`
	DueDate       time.Time      `bun:"due_date,type:date"`
	SubtotalMinor int64          `bun:"subtotal_minor"` // net, before discount and tax
	DiscountMinor int64          `bun:"discount_minor"`
	TaxMinor      int64          `bun:"tax_minor"`
	TotalMinor    int64          `bun:"total_minor"`
	PaidMinor     int64          `bun:"paid_minor"`
	CreditedMinor int64          `bun:"credited_minor"` // by credit notes
	// CreditAppliedMinor is what the customer's credit has paid, WrittenOffMinor what was given up.
	CreditAppliedMinor int64 `bun:"credit_applied_minor"`
	WrittenOffMinor    int64 `bun:"written_off_minor"`
	BalanceMinor       int64 `bun:"balance_minor"` // total - paid - credited - credit applied - written off; nothing when void
	// Reopened counts how often the invoice was paid and then no longer, and so granted its service credits for nothing.
	Reopened int `bun:"reopened"`
	// Credits are service credits, which are units and not money, granted once the invoice is paid.
	Credits    int64  `bun:"credits"`
	Notes      string `bun:"notes"`
	VoidReason string `bun:"void_reason"`
	// PendingClaims counts payments that are under way: claimed or approved, asked for at a provider, or held, and not
	// settled. While there are any, the due date's clock stands: ClockPausedAt says since when, ClockPausedFor for how
	// long it stood before that.
	PendingClaims  int           `bun:"pending_claims"`
	ClockPausedAt  time.Time     `bun:"clock_paused_at,nullzero"`
	ClockPausedFor time.Duration `bun:"clock_paused_for"`
	// Version grows by one with every change of the row.
	Version     int       `bun:"version"`
	CreatedAt   time.Time `bun:"created_at,nullzero"`
	UpdatedAt   time.Time `bun:"updated_at,nullzero"`
	FinalizedAt time.Time `bun:"finalized_at,nullzero"`
	PaidAt      time.Time `bun:"paid_at,nullzero"`
	VoidedAt    time.Time `bun:"voided_at,nullzero"`

	GivenUp bool `bun:"-"` // a part was written off by two people, and that stands; known to who changes the amounts, see learnGivenUp
}

// Amount is minor units of the invoice's currency as money.
func (inv *Invoice) Amount(minor int64) money.Money { return money.New(minor, inv.Currency) }

// Balance is what is left to pay.
func (inv *Invoice) Balance() money.Money { return inv.Amount(inv.BalanceMinor) }

// IsOverdue says whether payment is late at now: something is owed, nobody has a claim under way, and the due date has
// ended in loc, the tenant's zone, longer ago than the clock stood for claims (DESIGN 3, fair clock).
func (inv *Invoice) IsOverdue(now time.Time, loc *time.Location) bool {
	if inv.Status != StatusOpen && inv.Status != StatusPartiallyPaid || inv.BalanceMinor <= 0 || inv.PendingClaims > 0 {
		return false
	}
	y, m, d := inv.DueDate.Date()
	end := time.Date(y, m, d+1, 0, 0, 0, 0, loc)
	return now.After(end.Add(inv.ClockPausedFor))
}

// resume takes n claims off the invoice and, when none is left, adds up how long the clock stood.
func (inv *Invoice) resume(n int, now time.Time) {
	inv.PendingClaims -= n
	if n == 0 || inv.PendingClaims > 0 {
		return
	}
	// the clocks of two servers may differ: time that stood is never negative
	inv.ClockPausedFor += max(0, now.Sub(inv.ClockPausedAt))
	inv.ClockPausedAt = time.Time{}
}

// LineItem is one line of an invoice. Lines change only while their invoice is a draft.
type LineItem struct {
	bun.BaseModel `bun:"table:line_items,alias:li"`

	TenantID      uuid.UUID       `bun:"tenant_id,pk,type:uuid"`
	ID            uuid.UUID       `bun:"id,pk,type:uuid"`
	InvoiceID     uuid.UUID       `bun:"invoice_id,type:uuid"`
	AccountID     uuid.UUID       `bun:"account_id,type:uuid"`
	Line          int             `bun:"line"` // from 1
	Description   string          `bun:"description"`
	Quantity      decimal.Decimal `bun:"quantity,type:numeric"`
	UnitPrice     decimal.Decimal `bun:"unit_price,type:numeric"` // in major units; may have more digits than the currency
	NetMinor      int64           `bun:"net_minor"`
	DiscountMinor int64           `bun:"discount_minor"`
	TaxRate       decimal.Decimal `bun:"tax_rate,type:numeric"` // a fraction: 0.15 is 15 %
	TaxMinor      int64           `bun:"tax_minor"`
	TotalMinor    int64           `bun:"total_minor"`
	Credits       int64           `bun:"credits"` // of the whole line, not of one unit
	ServiceType   string          `bun:"service_type"`
	ServiceID     string          `bun:"service_id"`
	BillingCode   string          `bun:"billing_code"`
}
