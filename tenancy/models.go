package tenancy

import (
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/money"
)

// Tenant is an organisation that sells and is paid.
type Tenant struct {
	bun.BaseModel `bun:"table:tenants,alias:t"`

	ID               uuid.UUID      `bun:"id,pk,type:uuid"`
	Slug             string         `bun:"slug"`
	Name             string         `bun:"name"`
	Country          string         `bun:"country"`
	DefaultCurrency  money.Currency `bun:"default_currency"`
	Timezone         string         `bun:"timezone"`
	Locale           string         `bun:"locale"`
	InvoicePrefix    string         `bun:"invoice_prefix"`
	PaymentTermsDays int            `bun:"payment_terms_days"`
	// TwoApprovalThresholdMinor is the amount in the default currency above which a payment needs two approvals; null: never.
	TwoApprovalThresholdMinor *int64 `bun:"two_approval_threshold_minor"`
	// AllowParallelClaims lets an invoice have several undecided payments at once (S3-31).
	AllowParallelClaims bool `bun:"allow_parallel_claims"`
	// TestMode says that nothing here is real money; it is decided once, when the tenant is made (S0D-11).
	TestMode bool `bun:"test_mode"`
	// ApplyCreditAutomatically lets a finalised invoice take the customer's credit.
	ApplyCreditAutomatically bool `bun:"apply_credit_automatically"`
	// RefundWindowDays is how long after it succeeded a payment may be refunded; zero: for ever (S0D-05).
	RefundWindowDays int `bun:"refund_window_days"`
	// The limits below are in the default currency; null: none.
	TwoRefundApprovalsAboveMinor *int64 `bun:"two_refund_approvals_above_minor"` // above it a second person approves a refund
	WriteOffToleranceMinor       int64  `bun:"write_off_tolerance_minor"`        // above it a second person approves a write-off
	PaymentLimitMinor            *int64 `bun:"payment_limit_minor"`              // of one payment (S0D-28)
	DailyLimitMinor              *int64 `bun:"daily_limit_minor"`                // of one account in 24 hours (S0D-28)
	HourlyPayments               *int   `bun:"hourly_payments"`                  // of one account (S0D-27)
	// DuplicateWindowMinutes is for how long an equal payment of the same account is taken for a mistake; zero: never (S0D-26).
	DuplicateWindowMinutes int `bun:"duplicate_window_minutes"`

	IsActive  bool      `bun:"is_active"`
	CreatedAt time.Time `bun:"created_at,nullzero"`
	UpdatedAt time.Time `bun:"updated_at,nullzero"`
}

// Location is the tenant's time zone. Days begin and end there (S2-152).
func (t *Tenant) Location() *time.Location {
	loc, err := time.LoadLocation(t.Timezone)
	if err != nil { // checked when it was set; a zone that a later database dropped must not stop billing
		return time.UTC
	}
	return loc
}

// Today is the tenant's calendar day at now, as midnight UTC, which is how dates are stored.
func (t *Tenant) Today(now time.Time) time.Time {
	y, m, d := now.In(t.Location()).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}
