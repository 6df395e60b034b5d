package payments

import (
	"github.com/google/uuid"

	"countersign/billing/money"
	"countersign/internal/audit"
	"countersign/internal/outbox"
)

// The events of refunds (S0-79). That a payment is refunded is told by the payment's own events as well (C-28).
const (
	EventRefundRequested = "refund.requested"
	EventRefundApproved  = "refund.approved"
	EventRefundRejected  = "refund.rejected"
	EventRefundSucceeded = "refund.succeeded"
	EventRefundFailed    = "refund.failed"
	EventRefundCancelled = "refund.cancelled"
	EventRefundReversed  = "refund.reversed"  // nobody had paid it
	EventRefundSetAside  = "refund.set_aside" // the provider has paid, and the books do not take it
)

// RefundSnapshot is the payload of a refund's events: ids, states and amounts, never a reference or a text.
type RefundSnapshot struct {
	RefundID              uuid.UUID      `json:"refund_id"`
	PaymentID             uuid.UUID      `json:"payment_id"`
	InvoiceID             uuid.UUID      `json:"invoice_id,omitzero"`
	AccountID             uuid.UUID      `json:"account_id,omitzero"`
	CreditNoteID          uuid.UUID      `json:"credit_note_id,omitzero"`
	Status                RefundStatus   `json:"status"`
	Reason                RefundReason   `json:"reason"`
	Amount                string         `json:"amount"`
	AmountMinor           int64          `json:"amount_minor"`
	RefundableAmount      string         `json:"refundable_amount"` // what of the payment was not given back
	RefundableAmountMinor int64          `json:"refundable_amount_minor"`
	Currency              money.Currency `json:"currency"`
	FailureCode           string         `json:"failure_code,omitempty"`
}

// refund tells of a change of a refund: an event, and an audit record with who, why and how much (S0D-25).
func (h *history) refund(event, action string, r *Refund, p *Payment, reason string) {
	rest := p.Refundable()
	h.events = append(h.events, outbox.Event{Type: event, ObjectType: "refund", ObjectID: r.ID,
		Payload: RefundSnapshot{RefundID: r.ID, PaymentID: p.ID, InvoiceID: r.InvoiceID, AccountID: r.AccountID, CreditNoteID: r.CreditNoteID, Status: r.Status, Reason: r.Reason,
			Amount: r.Amount().String(), AmountMinor: r.AmountMinor, RefundableAmount: rest.String(), RefundableAmountMinor: rest.Minor, Currency: r.Currency, FailureCode: r.FailureCode}})
	after := map[string]any{"payment_id": p.ID, "status": r.Status, "reason": r.Reason, "amount_minor": r.AmountMinor, "currency": r.Currency, "mode": r.Mode}
	if r.OverridesWindow {
		after["overrides_window"] = true
	}
	if r.FailureCode != "" {
		after["failure_code"] = r.FailureCode
	}
	if reason == "" {
		reason = r.Note
	}
	if reason == "" {
		reason = string(r.Reason)
	}
	h.records = append(h.records, audit.Record{Action: action, ObjectType: "refund", ObjectID: r.ID, AccountID: r.AccountID, After: after, Reason: reason})
}
