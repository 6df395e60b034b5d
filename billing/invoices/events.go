package invoices

import (
	"github.com/google/uuid"

	"countersign/billing/money"
	"countersign/internal/outbox"
)

// The events of an invoice. Drafts are nobody's business but the staff's, so their events name no account.
const (
	EventCreated           = "invoice.created"
	EventUpdated           = "invoice.updated"
	EventFinalized         = "invoice.finalized"
	EventVoided            = "invoice.voided"
	EventPartiallyPaid     = "invoice.partially_paid"
	EventPaid              = "invoice.paid"
	EventCreditsGranted    = "credits.granted"
	EventCreditsReturned   = "credits.returned"
	EventCreditApplied     = "invoice.credit_applied"
	EventCredited          = "invoice.credited"
	EventCreditReversed    = "invoice.credit_reversed"
	EventPaymentReturned   = "invoice.payment_returned"
	EventPaymentRestored   = "invoice.payment_restored"
	EventWrittenOff        = "invoice.written_off"
	EventWriteOffReversed  = "invoice.write_off_reversed"
	EventUncollectible     = "invoice.uncollectible"
	EventReopened          = "invoice.reopened"
	EventWriteOffRequested = "write_off.requested"
	EventWriteOffApproved  = "write_off.approved"
	EventWriteOffRejected  = "write_off.rejected"
	EventCreditUnapplied   = "invoice.credit_unapplied"
)

// Event is the payload of an invoice's events.
type Event struct {
	InvoiceID          uuid.UUID      `json:"invoice_id"`
	AccountID          uuid.UUID      `json:"account_id"`
	InvoiceNumber      string         `json:"invoice_number,omitempty"`
	Status             Status         `json:"status"`
	Currency           money.Currency `json:"currency"`
	TotalMinor         int64          `json:"total_amount_minor"`
	PaidMinor          int64          `json:"paid_amount_minor"`
	CreditAppliedMinor int64          `json:"credit_applied_amount_minor"`
	CreditedMinor      int64          `json:"credited_amount_minor"`
	WrittenOffMinor    int64          `json:"written_off_amount_minor"`
	BalanceMinor       int64          `json:"balance_amount_minor"`
	AmountMinor        int64          `json:"amount_minor,omitempty"` // of the adjustment that the event is about; below zero when it takes one back
	AdjustmentID       *uuid.UUID     `json:"adjustment_id,omitempty"`
}

// CreditsEvent is the payload of credits.granted and credits.returned.
type CreditsEvent struct {
	InvoiceID uuid.UUID `json:"invoice_id"`
	AccountID uuid.UUID `json:"account_id"`
	Credits   int64     `json:"credits"`
}

// WriteOffEvent is the payload of the events of a request to write something off. They are for staff only.
type WriteOffEvent struct {
	WriteOffID  uuid.UUID      `json:"write_off_id"`
	InvoiceID   uuid.UUID      `json:"invoice_id"`
	AccountID   uuid.UUID      `json:"account_id"`
	Status      WriteOffStatus `json:"status"`
	AmountMinor int64          `json:"amount_minor"`
	Currency    money.Currency `json:"currency"`
}

func newEvent(name string, inv *Invoice) outbox.Event {
	e := outbox.Event{Type: name, ObjectType: "invoice", ObjectID: inv.ID, Payload: Event{InvoiceID: inv.ID, AccountID: inv.AccountID,
		InvoiceNumber: inv.Number, Status: inv.Status, Currency: inv.Currency, TotalMinor: inv.TotalMinor, PaidMinor: inv.PaidMinor,
		CreditAppliedMinor: inv.CreditAppliedMinor, CreditedMinor: inv.CreditedMinor, WrittenOffMinor: inv.WrittenOffMinor, BalanceMinor: inv.BalanceMinor}}
	if !inv.FinalizedAt.IsZero() {
		e.AccountID = inv.AccountID
	}
	return e
}

func newCreditsEvent(inv *Invoice) outbox.Event {
	return creditsEvent(EventCreditsGranted, inv, inv.grantable())
}

func creditsEvent(event string, inv *Invoice, credits int64) outbox.Event {
	return outbox.Event{Type: event, ObjectType: "invoice", ObjectID: inv.ID, AccountID: inv.AccountID,
		Payload: CreditsEvent{InvoiceID: inv.ID, AccountID: inv.AccountID, Credits: credits}}
}
