package subscriptions

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/uptrace/bun"

	"countersign/billing/invoices"
	"countersign/billing/money"
)

// Status is where a subscription stands.
type Status string

// The statuses. A cancelled one stays cancelled; the trigger subscriptions_guard says the same.
const (
	StatusActive    Status = "active"
	StatusCancelled Status = "cancelled"
)

// Subscription is what an account is billed each month.
type Subscription struct {
	bun.BaseModel `bun:"table:subscriptions,alias:s"`

	TenantID      uuid.UUID       `bun:"tenant_id,pk,type:uuid"`
	ID            uuid.UUID       `bun:"id,pk,type:uuid"` // version 7, so ids are in the order of making
	AccountID     uuid.UUID       `bun:"account_id,type:uuid"`
	Description   string          `bun:"description"`
	Currency      money.Currency  `bun:"currency"`
	Quantity      decimal.Decimal `bun:"quantity,type:numeric"`
	UnitPrice     decimal.Decimal `bun:"unit_price,type:numeric"` // in major units; may have more digits than the currency
	TaxRate       decimal.Decimal `bun:"tax_rate,type:numeric"`   // a fraction: 0.15 is 15 %
	Credits       int64           `bun:"credits"`                 // service credits of each month
	AmountMinor   int64           `bun:"amount_minor"`            // what a month comes to, with tax
	PaymentSource uuid.UUID       `bun:"payment_source,type:uuid"`
	StartsOn      time.Time       `bun:"starts_on,type:date"`
	MonthsBilled  int             `bun:"months_billed"`
	Status        Status          `bun:"status"`
	RenewAt       time.Time       `bun:"renew_at,nullzero"` // when the next month is billed; zero: never
	CancelledAt   time.Time       `bun:"cancelled_at,nullzero"`
	CancelReason  string          `bun:"cancel_reason"`
	CreatedAt     time.Time       `bun:"created_at,nullzero"`
}

// Amount is what a month comes to, with tax.
func (s *Subscription) Amount() money.Money { return money.New(s.AmountMinor, s.Currency) }

// month gives the first and the last day of a month of the subscription, from 1. One that began on the 31st begins on the last
// day of shorter months, and on the 31st again after them.
func (s *Subscription) month(n int) (first, last time.Time) {
	return s.firstDay(n), s.firstDay(n+1).AddDate(0, 0, -1)
}

func (s *Subscription) firstDay(n int) time.Time {
	year, month, day := s.StartsOn.Date()
	first := time.Date(year, month+time.Month(n-1), 1, 0, 0, 0, 0, time.UTC)
	days := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(day, days)-1)
}

// dueAt is when a month is billed: as its first day begins in the tenant's zone, where clocks may be put forward at midnight.
func (s *Subscription) dueAt(n int, loc *time.Location) time.Time {
	year, month, day := s.firstDay(n).Date()
	at := time.Date(year, month, day, 0, 0, 0, 0, loc)
	if at.Day() != day {
		_, at = at.ZoneBounds()
	}
	return at
}

// line is what the invoice of a month is over. Its text names the days, which need no translation.
func (s *Subscription) line(first, last time.Time) invoices.LineInput {
	return invoices.LineInput{Description: fmt.Sprintf("%s (%s – %s)", s.Description, first.Format(time.DateOnly), last.Format(time.DateOnly)),
		Quantity: s.Quantity.String(), UnitPrice: s.UnitPrice.String(), TaxRate: s.TaxRate.String(), Credits: s.Credits}
}

// Month is a month that was billed.
type Month struct {
	bun.BaseModel `bun:"table:subscription_months,alias:m"`

	TenantID       uuid.UUID `bun:"tenant_id,pk,type:uuid"`
	SubscriptionID uuid.UUID `bun:"subscription_id,pk,type:uuid"`
	Number         int       `bun:"month,pk"` // from 1
	AccountID      uuid.UUID `bun:"account_id,type:uuid"`
	StartsOn       time.Time `bun:"starts_on,type:date"`
	EndsOn         time.Time `bun:"ends_on,type:date"`
	InvoiceID      uuid.UUID `bun:"invoice_id,type:uuid"`
	Attempt        int       `bun:"attempt"`                       // from 1: another one when the provider has never heard of the last
	ChargeAt       time.Time `bun:"charge_at,nullzero"`            // when the provider is asked; zero: it has said what became of it
	PaymentID      uuid.UUID `bun:"payment_id,type:uuid,nullzero"` // what it was asked for last
	FailureCode    string    `bun:"failure_code"`                  // why nothing was charged
	CreatedAt      time.Time `bun:"created_at,nullzero"`
}
