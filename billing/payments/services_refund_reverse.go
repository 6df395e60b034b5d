package payments

import (
	"context"
	"database/sql"
	"errors"
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

// ReverseRefund takes a refund back that somebody has booked by hand, and that nobody has paid, or of which the provider says that it has failed
// after all: then the anomaly that says so is resolved, if nobody has done that yet. The refund stays, and the
// inverse of all that it did is posted: the money is where it was, the credit note is undone by another, credit and service
// credits are the customer's again, and the payment counts less refunded. What the invoice does not owe any more becomes
// credit. Where a second person had let the refund go on, who had asked for it cannot take it back. It needs
// billing.refund. Errors: ErrRefundNotFound, ErrRefundNotReversible, ErrOwnRefund, ErrRefundPasswordReset.
func (s *Service) ReverseRefund(ctx context.Context, in ReverseRefundInput) (RefundResponse, error) {
	return s.changeRefund(ctx, in.ID, in.Once, func(ctx context.Context, tx bun.Tx, r *Refund, p locked, h *history) error {
		if r.Status != RefundSucceeded {
			return ErrRefundNotReversible
		}
		if r.Mode != gateways.RefundByHand {
			news, err := r.failedAfterAll(ctx, tx)
			if err != nil {
				return err
			}
			if news.ResolvedAt.IsZero() {
				if err := news.resolve(ctx, tx, p.Payment, in.Reason, h); err != nil {
					return err
				}
			}
		}
		if !r.ByOne {
			if err := s.checkRefundDecider(ctx, r); err != nil {
				return err
			}
		}
		return s.unbookRefund(ctx, tx, p, r, in.Reason, h)
	})
}

// failedAfterAll finds the anomaly by which the provider takes back that it has paid a refund: the one with the name that it gave it, also when
// somebody has resolved that already. Of a refund whose name was lost with its answer, it is an open one over just its amount, with a name that no
// other refund has. It fails with ErrRefundNotReversible.
func (r *Refund) failedAfterAll(ctx context.Context, tx bun.Tx) (*Anomaly, error) {
	a := &Anomaly{}
	q := tx.NewSelect().Model(a).Where("pa.tenant_id = ? AND pa.payment_id = ? AND pa.kind = ?", r.TenantID, r.PaymentID, anomalyRefundFailed)
	if r.ProviderReference != "" {
		q = q.Where("pa.details->>'refund' = ?", r.ProviderReference)
	} else {
		q = q.Where("pa.resolved_at IS NULL AND pa.details->>'refunded' = ?", amountOr(r.Amount())).
			Where("NOT EXISTS (SELECT FROM refunds AS o WHERE o.tenant_id = pa.tenant_id AND o.payment_id = pa.payment_id AND o.provider_reference = pa.details->>'refund')")
	}
	err := q.OrderExpr("pa.resolved_at IS NOT NULL, pa.created_at, pa.id").Limit(1).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrRefundNotReversible
	}
	if err != nil {
		return nil, fmt.Errorf("look whether refund %s has failed: %w", r.ID, err)
	}
	return a, nil
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
