package payments

import (
	"context"

	"github.com/google/uuid"

	"countersign/internal/audit"
	"countersign/internal/outbox"
)

// The events. Every change of a payment also goes by the name EventUpdated, with what was before and after (S0-73).
const (
	EventCreated           = "payment.created"
	EventSubmitted         = "payment.submitted"
	EventUpdated           = "payment.updated"
	EventApprovalRecorded  = "payment.approval_recorded" // one of two approvals is there
	EventApproved          = "payment.approved"
	EventRejected          = "payment.rejected"
	EventAuthorized        = "payment.authorized" // the money is held
	EventFailed            = "payment.failed"
	EventExpired           = "payment.expired"
	EventAnomaly           = "payment.anomaly" // something was said of it that was not believed
	EventAnomalyResolved   = "payment.anomaly_resolved"
	EventGatewayAlarm      = "payment.gateway_alarm" // the gateway does not accept the tenant's configuration
	EventCancelled         = "payment.cancelled"
	EventSucceeded         = "payment.succeeded"
	EventPartiallyRefunded = "payment.partially_refunded" // once for each refund that leaves something (S0-76)
	EventRefunded          = "payment.refunded"           // nothing of it is left
	EventDeleted           = "payment.deleted"
	EventSetAside          = "payment.set_aside" // the settlement could not take it
	EventResumed           = "payment.resumed"
)

// eventOf is how a change to a status is told, which a provider has caused.
func eventOf(s Status) string {
	switch s {
	case StatusAuthorized:
		return EventAuthorized
	case StatusFailed:
		return EventFailed
	case StatusCancelled:
		return EventCancelled
	case StatusExpired:
		return EventExpired
	default:
		return EventUpdated
	}
}

// Snapshot is the payload of a payment's events: ids, states and amounts, never a reference or a text. An id that there is none
// of is absent.
type Snapshot struct {
	PaymentID     uuid.UUID `json:"payment_id"`
	InvoiceID     uuid.UUID `json:"invoice_id,omitzero"`
	AccountID     uuid.UUID `json:"account_id,omitzero"`
	PaymentMethod string    `json:"payment_method"`
	Status        Status    `json:"status"`
	AmountMinor   int64     `json:"amount_minor"`
	ReceivedMinor *int64    `json:"received_minor,omitempty"`
	AppliedMinor  *int64    `json:"applied_minor,omitempty"`
	ExcessMinor   *int64    `json:"excess_minor,omitempty"`
	RefundedMinor int64     `json:"refunded_minor,omitempty"`
	Currency      string    `json:"currency"`
	Before        any       `json:"before,omitempty"` // what a change has changed
	After         any       `json:"after,omitempty"`
}

func snapshot(p *Payment) Snapshot {
	return Snapshot{PaymentID: p.ID, InvoiceID: p.InvoiceID, AccountID: p.AccountID, PaymentMethod: string(p.Method), Status: p.Status, AmountMinor: p.AmountMinor,
		ReceivedMinor: p.ReceivedMinor, AppliedMinor: p.AppliedMinor, ExcessMinor: p.ExcessMinor, RefundedMinor: p.RefundedMinor, Currency: string(p.Currency)}
}

// history collects the events and audit records of one transaction, so that a set of any size costs two statements.
type history struct {
	events  []outbox.Event
	records []audit.Record
}

// created tells of a new payment.
func (h *history) created(p *Payment, action string) {
	h.event(EventCreated, p, snapshot(p))
	h.records = append(h.records, audit.Record{Action: action, ObjectType: "payment", ObjectID: p.ID, AccountID: p.AccountID, After: p.state()})
}

// changed tells of a change from before to p as it is now: an event and an audit record. What changes cash by hand always has a reason: its
// receipt, unless somebody gives another (S0D-13).
func (h *history) changed(event, action string, before map[string]any, p *Payment, reason string) {
	if reason == "" && p.ReceiptNumber != "" {
		reason = "Receipt " + p.ReceiptNumber
	}
	after := p.state()
	payload := snapshot(p)
	payload.Before, payload.After = before, after
	h.event(event, p, payload)
	if event != EventUpdated {
		h.events[len(h.events)-1].Also = EventUpdated
	}
	h.records = append(h.records, audit.Record{Action: action, ObjectType: "payment", ObjectID: p.ID, AccountID: p.AccountID, Before: before, After: after, Reason: reason})
}

func (h *history) event(name string, p *Payment, payload Snapshot) {
	h.events = append(h.events, outbox.Event{Type: name, ObjectType: "payment", ObjectID: p.ID, AccountID: p.AccountID, Payload: payload})
}

// write adds everything to the transaction of ctx; it travels with COMMIT.
func (h *history) write(ctx context.Context, box *outbox.Outbox) error {
	if err := audit.Write(ctx, h.records...); err != nil {
		return err
	}
	return box.Emit(ctx, h.events...)
}

// state is what events and the audit log say of a payment's changeable side.
func (p *Payment) state() map[string]any {
	m := map[string]any{"status": p.Status, "amount_minor": p.AmountMinor, "currency": p.Currency, "version": p.Version}
	if p.ReceivedMinor != nil {
		m["received_minor"] = *p.ReceivedMinor
	}
	if p.AppliedMinor != nil {
		m["applied_minor"], m["excess_minor"] = *p.AppliedMinor, *p.ExcessMinor
	}
	if p.RevenueMinor != nil {
		m["revenue_minor"] = *p.RevenueMinor
	}
	if p.RefundedMinor > 0 {
		m["refunded_minor"] = p.RefundedMinor
	}
	if p.FailureCode != "" {
		m["failure_code"] = p.FailureCode
	}
	if p.SetAside != "" {
		m["set_aside"] = p.SetAside
	}
	if !p.DeletedAt.IsZero() {
		m["deleted"] = true
	}
	return m
}

// note adds an audit record of something that leaves the payment's state as it is.
func (h *history) note(action string, p *Payment, reason string) {
	h.records = append(h.records, audit.Record{Action: action, ObjectType: "payment", ObjectID: p.ID, AccountID: p.AccountID, After: p.state(), Reason: reason})
}
