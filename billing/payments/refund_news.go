package payments

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/uptrace/bun"

	"countersign/billing/gateways"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/internal/errs"
)

// hearOfRefunds compares what a provider says that it has given back with what was asked of it. When only one refund is under
// way, and it is just that amount, it is booked, with the answer to whoever has asked for it: whether its own answer was
// lost or comes a moment later, it is booked once (S0-92). Of several, or without an amount, nobody can tell which were paid,
// so that the worker asks soon, as it does when the amount may be that of a refund which was reversed. What was asked for, and not told before,
// is taken off what said holds, unless more was given back: that is news from elsewhere. The payment is locked, and ctx is the system's.
func (s *Service) hearOfRefunds(ctx context.Context, tx bun.Tx, p locked, said gateways.Result) (gateways.Result, error) {
	if p.ReceivedMinor == nil || said.State != gateways.StateRefunded && said.State != gateways.StatePartiallyRefunded {
		return said, nil
	}
	if said.Refunded.Currency == "" && said.State == gateways.StateRefunded {
		said.Refunded = p.Received()
	}
	news, untold := said.Refunded.Minor-p.RefundedMinor, said.Refunded.Currency == ""
	if !untold && (said.Refunded.Currency != p.Currency || news <= 0) {
		return said, nil
	}
	asked, err := askedRefunds(ctx, tx, p.Payment)
	if err != nil {
		return said, err
	}
	var sum int64
	for _, r := range asked {
		sum += r.AmountMinor
		if r.AskedMinor != nil { // what was given back before is none of it
			news = min(news, said.Refunded.Minor-*r.AskedMinor)
		}
	}
	only, another := len(asked) == 1 && !untold && news == sum, false
	if only {
		if another, err = asked[0].mayBeAnother(ctx, tx); err != nil {
			return said, err
		}
	}
	switch {
	case only && !another:
		elsewhere := said.Refunded.Minor - p.RefundedMinor - sum
		if err := s.confirmRefund(ctx, tx, p, asked[0], said); err != nil || elsewhere > 0 {
			return said, err
		}
	case only, len(asked) > 0 && untold, len(asked) > 1 && news > 0 && news <= sum:
		for _, r := range asked {
			r.NextAskAt = s.now()
			if err := r.keep(ctx, tx); err != nil {
				return said, err
			}
		}
	default:
		return said, nil
	}
	said.Refunded = money.New(p.RefundedMinor, p.Currency)
	return said, nil
}

// mayBeAnother says whether what a provider has given back since it was asked for r may be another refund, which was reversed because it has failed:
// not every provider takes that off.
func (r *Refund) mayBeAnother(ctx context.Context, tx bun.Tx) (bool, error) {
	q := tx.NewSelect().Model((*Refund)(nil)).Where("rf.tenant_id = ? AND rf.payment_id = ?", r.TenantID, r.PaymentID).
		Where("rf.status = ? AND rf.mode = ?", RefundReversed, gateways.RefundByAPI)
	if r.AskedMinor != nil { // which counts the earlier ones
		q = q.Where("rf.succeeded_at >= ?", r.AskedAt)
	}
	reversed, err := q.Exists(ctx)
	if err != nil {
		return false, fmt.Errorf("look for reversed refunds of payment %s: %w", r.PaymentID, err)
	}
	return reversed, nil
}

// confirmRefund books a refund of which the provider has told by itself that it is paid. What the books do not take waits as
// it does when the provider's answer says so.
func (s *Service) confirmRefund(ctx context.Context, tx bun.Tx, p locked, r *Refund, said gateways.Result) error {
	unbookable := ""
	err := s.checkBooks(ctx, tx, p, r)
	switch refused := errs.As(err); {
	case err == nil:
	case errors.Is(err, ledger.ErrCreditExceeded), errors.Is(err, invoices.ErrServiceCreditsSpent):
		slog.ErrorContext(ctx, "a provider has paid a refund that the books do not take", "refund_id", r.ID, "code", refused.Code)
		unbookable = refused.Code
	default:
		return err
	}
	var h history
	if _, err := s.applyRefund(ctx, tx, p, r, said, nil, unbookable, &h); err != nil {
		return err
	}
	if err := h.write(ctx, s.outbox); err != nil {
		return err
	}
	_, err = replyOfRefund(ctx, tx, r, p.Payment)
	return err
}

// askedRefunds are the refunds of a locked payment that its provider was asked for and may have paid.
func askedRefunds(ctx context.Context, tx bun.Tx, p *Payment) ([]*Refund, error) {
	var asked []*Refund
	err := tx.NewSelect().Model(&asked).Where("rf.tenant_id = ? AND rf.payment_id = ?", p.TenantID, p.ID).
		Where("rf.status = ? AND rf.mode = ? AND rf.asked_at IS NOT NULL", RefundPending, gateways.RefundByAPI).OrderExpr("rf.created_at, rf.id").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the refunds of payment %s that are asked for: %w", p.ID, err)
	}
	return asked, nil
}

// refundedElsewhere keeps as an anomaly that a provider has given back more than was asked of it, which its answer to a refund
// tells. While others are under way it may mean them. The payment is locked.
func (s *Service) refundedElsewhere(ctx context.Context, tx bun.Tx, p locked, said gateways.Result) error {
	if said.Refunded.Currency != p.Currency || said.Refunded.Minor <= p.RefundedMinor {
		return nil
	}
	asked, err := askedRefunds(ctx, tx, p.Payment)
	if err != nil || len(asked) > 0 {
		return err
	}
	return s.disbelieve(ctx, tx, p, anomalyRefunded, sourceAnswer, said)
}
