package payments

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/gateways"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/internal/auth"
	"countersign/internal/idempotency"
)

// ReverseRefundInput says why a refund was a mistake.
type ReverseRefundInput struct {
	ID     uuid.UUID
	Reason string // staff read it, and on the credit note the customer
	Once   *idempotency.Once
}

// ReverseRefund takes a refund back that somebody has booked by hand, and that nobody has paid. The refund stays, and the
// inverse of all that it did is posted: the money is where it was, the credit note is undone by another, credit and service
// credits are the customer's again, and the payment counts less refunded. What the invoice does not owe any more becomes
// credit. Where a second person had let the refund go on, who had asked for it cannot take it back. It needs
// billing.refund. Errors: ErrRefundNotFound, ErrRefundNotReversible, ErrOwnRefund, ErrRefundPasswordReset.
func (s *Service) ReverseRefund(ctx context.Context, in ReverseRefundInput) (RefundResponse, error) {
	return s.changeRefund(ctx, in.ID, in.Once, func(ctx context.Context, tx bun.Tx, r *Refund, p locked, h *history) error {
		if r.Status != RefundSucceeded || r.Mode != gateways.RefundByHand {
			return ErrRefundNotReversible
		}
		if !r.ByOne {
			if err := s.checkRefundDecider(ctx, r); err != nil {
				return err
			}
		}
		return s.unbookRefund(ctx, tx, p, r, in.Reason, h)
	})
}

// unbookRefund is the inverse of bookRefund. The payment is locked.
func (s *Service) unbookRefund(ctx context.Context, tx bun.Tx, p locked, r *Refund, reason string, h *history) error {
	var moved int64
	postings := []ledger.Posting{}
	if *r.InvoiceMinor > 0 {
		inv, err := lockRefunded(ctx, tx, p.Payment)
		if err != nil {
			return err
		}
		done, err := s.invoices.ReverseRefund(ctx, tx, inv, invoices.Refund{ID: r.ID, AmountMinor: *r.InvoiceMinor, Reason: reason}, r.CreditNoteID)
		if err != nil {
			return err
		}
		moved, postings = *r.InvoiceMinor-done.AppliedMinor, done.Postings
	}
	if moved > 0 {
		postings = append(postings, ledger.Posting{Cause: r.cause() + ":credit", Kind: ledger.KindPaymentMoved, CustomerID: p.AccountID, InvoiceID: p.InvoiceID, PaymentID: p.ID,
			Entries: []ledger.Entry{{Account: ledger.Receivable(p.AccountID, p.Currency), AmountMinor: moved}, {Account: ledger.CustomerCredit(p.AccountID, p.Currency), AmountMinor: -moved}}})
	}
	posted, err := ledger.TransactionOf(ctx, tx, r.cause())
	if err != nil {
		return fmt.Errorf("find what was posted for refund %s: %w", r.ID, err)
	}
	if err := ledger.Reverse(ctx, tx, posted.ID, r.cause()+":reverse", reason); err != nil {
		return fmt.Errorf("reverse refund %s: %w", r.ID, err)
	}
	if err := ledger.Post(ctx, tx, postings...); err != nil {
		return err
	}
	by, _ := auth.From(ctx)
	r.MovedMinor, r.ReversedBy, r.ReversedLabel, r.ReversalReason = &moved, by.UserID, by.Label, reason
	if err := r.move(ctx, tx, RefundReversed, p.at); err != nil {
		return err
	}
	before := p.state()
	if err := p.countLess(ctx, tx, r.AmountMinor); err != nil {
		return err
	}
	h.changed(EventUpdated, "payment.refund_reverse", before, p.Payment, reason)
	h.refund(EventRefundReversed, "refund.reverse", r, p.Payment, reason)
	return nil
}

// countLess takes minor off what of a locked payment is refunded, after a refund over it was reversed. That is no edge of the
// diagram: the trigger payments_guard lets it pass when the payment's refunds say the same.
func (p locked) countLess(ctx context.Context, tx bun.Tx, minor int64) error {
	p.RefundedMinor -= minor
	p.Status, p.UpdatedAt = StatusPartiallyRefunded, p.at
	if p.RefundedMinor == 0 {
		p.Status = StatusSucceeded
	}
	p.Version++
	_, err := tx.NewUpdate().Model(p.Payment).Column("status", "refunded_minor", "version", "updated_at").Where("p.tenant_id = ? AND p.id = ?", p.TenantID, p.ID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("count less refunded of payment %s: %w", p.ID, err)
	}
	return nil
}
