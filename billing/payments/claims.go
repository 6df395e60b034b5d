package payments

import (
	"context"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/internal/database"
)

// An invoice counts the payments for it that are under way, whoever is asked for them. That is what keeps payments which are
// made side by side from taking more than it owes (S1-59), and it from being voided while one of them may still succeed.

const promisedTo = `
SELECT least(coalesce(sum(coalesce(received_minor, amount_minor)), 0), 9000000000000000000)::bigint FROM payments
WHERE tenant_id = $1 AND invoice_id = $2 AND status IN ('created', 'pending', 'pending_approval', 'processing', 'authorized') AND deleted_at IS NULL`

// fits refuses a new payment for more than inv, which is locked, owes when all that is under way for it succeeds:
// ErrOverpayment, or ErrPending when nothing is left. What is too much may be taken as the customer's credit where he says so
// (S2-88). Without an invoice any amount fits.
func (p *Payment) fits(ctx context.Context, inv *invoices.Invoice, allowCredit bool) error {
	if inv == nil {
		return nil
	}
	var promised int64
	if inv.PendingClaims > 0 {
		err := database.Send(ctx, database.Select("sum what is under way for an invoice", promisedTo, func(row database.Row) error { return row.Scan(&promised) }, p.TenantID, inv.ID))
		if err != nil {
			return err
		}
	}
	rest := inv.BalanceMinor - promised
	switch {
	case allowCredit || p.AmountMinor <= rest:
		return nil
	case rest <= 0:
		return ErrPending
	default:
		return ErrOverpayment.With("rest", money.New(rest, p.Currency).String()+" "+string(p.Currency)).At("amount")
	}
}

// counted says whether the invoice counts the payment among its claims.
func (p locked) counted() bool { return p.InvoiceID != uuid.Nil && !p.fresh && p.Status.UnderWay() }

// end takes a payment to where it brings no money any more, and its invoice counts one claim less. The invoice changes
// before the payment does: see docs/locking.md. It fails with ErrIllegalTransition.
func (s *Service) end(ctx context.Context, tx bun.Tx, p locked, next Status) error {
	if p.counted() && p.Status.CanBecome(next) {
		invoices.DropClaim(ctx, tx, p.InvoiceID, s.now())
	}
	return p.move(ctx, next)
}
