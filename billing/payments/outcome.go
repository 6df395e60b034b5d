package payments

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/gateways"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/internal/database"
)

// apply believes what a provider says of a payment as far as it fits to what is known, and keeps the rest as an anomaly
// (5.9). It may be told the same any number of times. Payment and order are locked, and ctx is the system's.
func (s *Service) apply(ctx context.Context, tx bun.Tx, p locked, o *order, said gateways.Result, source string) error {
	if o.ProviderID == "" && said.Reference != "" {
		o.ProviderID = said.Reference
	}
	said, err := s.hearOfRefunds(ctx, tx, p, said)
	if err != nil {
		return err
	}
	if kind := contradiction(p.Payment, o, said); kind != "" {
		return s.disbelieve(ctx, tx, p, kind, source, said)
	}
	if err := s.keepDetails(ctx, p, said.Details); err != nil {
		return err
	}
	if said.Redirect != nil {
		o.Redirect = said.Redirect
	}
	next, reason := p.after(said)
	if said.State == gateways.StateUnknown && o.Operation == opRelease {
		next = "" // it may never have begun, and is withdrawn as soon as that is known
	}
	if next == "" || next == p.Status {
		return nil
	}
	before := p.state()
	var h history
	switch next {
	case StatusSucceeded:
		received := p.AmountMinor
		if o.Operation == opCapture {
			received = *o.OperationMinor
		}
		if said.Captured.Currency != "" {
			received = said.Captured.Minor
		}
		if err := s.collect(ctx, tx, p, ledger.Clearing(o.Name, p.Currency), received, source, &h); err != nil {
			return err
		}
	case StatusFailed:
		p.FailureCode, p.FailureReason = reason.Code, reason.Reason
		fallthrough
	case StatusCancelled, StatusExpired:
		if err := s.end(ctx, tx, p, next); err != nil {
			return err
		}
		h.changed(eventOf(next), "payment."+source, before, p.Payment, "")
	default:
		if err := p.move(ctx, next); err != nil {
			return err
		}
		h.changed(eventOf(next), "payment."+source, before, p.Payment, "")
	}
	return h.write(ctx, s.outbox)
}

// contradiction says in which way a provider's word cannot be true, given what is known; empty: it may be.
func contradiction(p *Payment, o *order, said gateways.Result) string {
	took := said.State == gateways.StatePaid || said.State == gateways.StatePartiallyRefunded || said.State == gateways.StateRefunded
	collected := p.Status == StatusSucceeded || p.Status == StatusPartiallyRefunded || p.Status == StatusRefunded
	ended := p.Status == StatusFailed || p.Status == StatusCancelled || p.Status == StatusExpired
	switch {
	case said.Reference != "" && said.Reference != o.ProviderID:
		return anomalyReference
	case said.State == gateways.StateRefundFailed:
		return anomalyRefundFailed
	case took && ended:
		return anomalyPaidAfterEnd
	case took && (said.Captured.Currency != "" && said.Captured.Currency != p.Currency || said.Refunded.Minor > 0 && said.Refunded.Currency != p.Currency) || said.State == gateways.StateAuthorised && said.Authorised.Currency != "" && said.Authorised.Currency != p.Currency:
		return anomalyCurrency
	case took && said.Captured.Currency != "" && said.Captured.Minor != expected(p, o, said.Captured.Minor):
		return anomalyAmount
	case said.State == gateways.StateAuthorised && said.Authorised.Currency != "" && said.Authorised.Minor != p.AmountMinor:
		return anomalyAmount
	case took && said.Refunded.Minor > p.RefundedMinor, said.State == gateways.StateRefunded && p.ReceivedMinor == nil,
		said.State == gateways.StatePartiallyRefunded && said.Refunded.Currency == "" && p.RefundedMinor == 0:
		return anomalyRefunded
	case collected && (said.State == gateways.StateFailed || said.State == gateways.StateCancelled || said.State == gateways.StateExpired):
		return anomalyFailed
	case (collected || ended || p.Status == StatusAuthorized) && (said.State == gateways.StateAwaitingCustomer || said.State == gateways.StateProcessing) ||
		(collected || ended) && said.State == gateways.StateAuthorised:
		return anomalyLate
	}
	return ""
}

// expected is what must have been captured: what was asked for, or of a hold that somebody has captured elsewhere, any
// part.
func expected(p *Payment, o *order, captured int64) int64 {
	switch {
	case p.ReceivedMinor != nil:
		return *p.ReceivedMinor
	case o.Operation == opCapture:
		return *o.OperationMinor
	case o.Hold && captured > 0 && captured < p.AmountMinor:
		return captured
	}
	return p.AmountMinor
}

// after is where a provider's word leads, and why a payment failed; an empty status means that it changes nothing.
func (p locked) after(said gateways.Result) (Status, gateways.Failure) {
	switch said.State {
	case gateways.StateAwaitingCustomer:
		if p.Status == StatusCreated {
			return StatusPending, gateways.Failure{}
		}
	case gateways.StateProcessing, gateways.StateUnknown:
		if p.Status == StatusCreated || p.Status == StatusPending && said.State == gateways.StateProcessing {
			return StatusProcessing, gateways.Failure{}
		}
	case gateways.StateAuthorised:
		return StatusAuthorized, gateways.Failure{}
	case gateways.StatePaid, gateways.StatePartiallyRefunded, gateways.StateRefunded:
		if p.ReceivedMinor == nil {
			return StatusSucceeded, gateways.Failure{}
		}
	case gateways.StateFailed:
		if said.Failure == nil {
			return p.ending(StatusFailed), gateways.Failure{Code: codeDeclined}
		}
		return p.ending(StatusFailed), gateways.Failure{Code: cmp.Or(said.Failure.Code, codeDeclined), Reason: said.Failure.Reason}
	case gateways.StateCancelled:
		return p.ending(StatusCancelled), gateways.Failure{Code: "cancelled"}
	case gateways.StateExpired:
		return p.ending(StatusExpired), gateways.Failure{Code: "expired"}
	}
	return "", gateways.Failure{}
}

// ending is how a payment ends that somebody else has ended: what is in flight can only fail, and what has ended stays.
func (p locked) ending(next Status) Status {
	switch p.Status {
	case StatusFailed, StatusCancelled, StatusExpired:
		return ""
	case StatusProcessing:
		return StatusFailed
	}
	return next
}

// collect is what follows from money that has come in: it is posted once, to the invoice as far as that owes something and
// for the rest to the customer's credit, or without an invoice to revenue, or to the credit of a customer who pays in
// advance (model.md 5.6). into is the account where the money is. ctx is no member's.
func (s *Service) collect(ctx context.Context, tx bun.Tx, p locked, into ledger.Ref, received int64, source string, h *history) error {
	before, now := p.state(), s.now()
	record := uuid.Must(uuid.NewV7())
	var applied, excess, revenue int64
	send := []database.Statement{}
	postings := []ledger.Posting{}
	switch {
	case p.InvoiceID != uuid.Nil:
		locked, err := invoices.LockOwed(ctx, tx, p.InvoiceID)
		if err != nil {
			return err
		}
		inv := locked[p.InvoiceID]
		if inv == nil || inv.Currency != p.Currency {
			return fmt.Errorf("collect payment %s: its invoice is gone, or in another currency", p.ID)
		}
		if invoices.CheckPayable(&inv.Invoice) == nil {
			applied = min(received, inv.BalanceMinor)
		}
		excess = received - applied
		claims := 0
		if p.counted() {
			claims = 1
		}
		outcome, err := s.invoices.ApplyPayments(ctx, locked, []invoices.Application{{InvoiceID: inv.ID, AppliedMinor: applied, Claims: claims}}, record, now)
		if err != nil {
			return err
		}
		send, postings = append(send, outcome.Change), outcome.Grants
	case p.Prepayment:
		excess = received
	default:
		revenue = received
		p.RevenueMinor = &revenue
	}
	entries := []ledger.Entry{{Account: into, AmountMinor: received}}
	for _, e := range []struct {
		minor int64
		to    func() ledger.Ref
	}{{applied, func() ledger.Ref { return ledger.Receivable(p.AccountID, p.Currency) }},
		{excess, func() ledger.Ref { return ledger.CustomerCredit(p.AccountID, p.Currency) }},
		{revenue, func() ledger.Ref { return ledger.Revenue(p.Currency) }}} {
		if e.minor > 0 {
			entries = append(entries, ledger.Entry{Account: e.to(), AmountMinor: -e.minor})
		}
	}
	post, err := ledger.Statements(ctx, append(postings, ledger.Posting{Cause: "payment:" + p.ID.String() + ":settle", Kind: "payment_settled", CustomerID: p.AccountID,
		InvoiceID: p.InvoiceID, PaymentID: p.ID, Entries: entries})...)
	if err != nil {
		return err
	}
	p.ReceivedMinor, p.AppliedMinor, p.ExcessMinor = &received, &applied, &excess
	if err := p.move(ctx, StatusSucceeded); err != nil {
		return err
	}
	if err := ledger.Refusal(ctx, database.Send(ctx, append(send, post...)...)); err != nil {
		return err
	}
	h.changed(EventSucceeded, "payment."+source, before, p.Payment, "")
	h.records[len(h.records)-1].ID = record
	return nil
}

// amountOr is an amount that a provider has told, for people; empty when it has told none.
func amountOr(m money.Money) string {
	if m.Currency == "" {
		return ""
	}
	return m.String() + " " + string(m.Currency)
}
