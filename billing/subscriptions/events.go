package subscriptions

import (
	"time"

	"github.com/google/uuid"

	"countersign/billing/money"
	"countersign/internal/outbox"
)

// The events of subscriptions. What becomes of an invoice and of a payment is told by their own.
const (
	EventCreated      = "subscription.created"
	EventRenewed      = "subscription.renewed"       // a month was billed
	EventChargeFailed = "subscription.charge_failed" // and not charged; the invoice stays open
	EventCancelled    = "subscription.cancelled"
)

// Snapshot is the payload of subscription.created and subscription.cancelled.
type Snapshot struct {
	SubscriptionID uuid.UUID      `json:"subscription_id"`
	AccountID      uuid.UUID      `json:"account_id"`
	Status         Status         `json:"status"`
	AmountMinor    int64          `json:"amount_minor"` // of each month, with tax
	Currency       money.Currency `json:"currency"`
	StartsOn       string         `json:"starts_on"`
	MonthsBilled   int            `json:"months_billed"`
}

func (s *Subscription) event(name string) outbox.Event {
	return outbox.Event{Type: name, ObjectType: "subscription", ObjectID: s.ID, AccountID: s.AccountID,
		Payload: Snapshot{SubscriptionID: s.ID, AccountID: s.AccountID, Status: s.Status, AmountMinor: s.AmountMinor, Currency: s.Currency,
			StartsOn: s.StartsOn.Format(time.DateOnly), MonthsBilled: s.MonthsBilled}}
}

// MonthSnapshot is the payload of subscription.renewed and subscription.charge_failed.
type MonthSnapshot struct {
	SubscriptionID uuid.UUID `json:"subscription_id"`
	AccountID      uuid.UUID `json:"account_id"`
	Month          int       `json:"month"`
	StartsOn       string    `json:"starts_on"`
	EndsOn         string    `json:"ends_on"`
	InvoiceID      uuid.UUID `json:"invoice_id"`
	PaymentID      uuid.UUID `json:"payment_id,omitzero"`
	FailureCode    string    `json:"failure_code,omitempty"`
}

func (m *Month) event(name string) outbox.Event {
	return outbox.Event{Type: name, ObjectType: "subscription", ObjectID: m.SubscriptionID, AccountID: m.AccountID,
		Payload: MonthSnapshot{SubscriptionID: m.SubscriptionID, AccountID: m.AccountID, Month: m.Number, StartsOn: m.StartsOn.Format(time.DateOnly),
			EndsOn: m.EndsOn.Format(time.DateOnly), InvoiceID: m.InvoiceID, PaymentID: m.PaymentID, FailureCode: m.FailureCode}}
}
