package invoices

import (
	"context"

	"github.com/uptrace/bun"

	"countersign/internal/idempotency"
	"countersign/tenancy"
)

// GiveUpInput names the invoice that nobody is expected to pay, or is expected to pay after all, and why.
type GiveUpInput struct {
	Invoice string // id or external id
	Reason  string
	Once    *idempotency.Once
}

// MarkUncollectible says that an invoice will not be paid. It is still owed, is not overdue any more, and can be paid; the
// books change only when it is written off. It needs billing.invoices.manage. Errors: ErrNotFound, ErrNotFinalized,
// ErrVoid, ErrNothingOwed, ErrPaymentPending, ErrAlreadyUncollectible.
func (s *Service) MarkUncollectible(ctx context.Context, in GiveUpInput) (Response, error) {
	return s.giveUp(ctx, in, "invoice.mark_uncollectible", EventUncollectible, func(inv *Invoice) error {
		if err := checkOwed(inv); err != nil {
			return err
		}
		if inv.Status == StatusUncollectible {
			return ErrAlreadyUncollectible
		}
		inv.Status = StatusUncollectible
		return nil
	})
}

// Reopen expects payment of an uncollectible invoice again. What was written off whole is reopened by taking back the
// write-off. It needs billing.invoices.manage. Errors: ErrNotFound, ErrNotUncollectible, ErrNothingOwed.
func (s *Service) Reopen(ctx context.Context, in GiveUpInput) (Response, error) {
	return s.giveUp(ctx, in, "invoice.reopen", EventReopened, func(inv *Invoice) error {
		if inv.Status != StatusUncollectible {
			return ErrNotUncollectible
		}
		if inv.BalanceMinor == 0 {
			return ErrNothingOwed
		}
		inv.restate(true, s.now())
		return nil
	})
}

// giveUp changes what is expected of an invoice, and none of its amounts.
func (s *Service) giveUp(ctx context.Context, in GiveUpInput, action, event string, change func(*Invoice) error) (Response, error) {
	var answer Response
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (Response, error) {
			inv, err := find(ctx, tx, in.Invoice, true)
			if err != nil {
				return Response{}, err
			}
			a := &act{inv: inv, before: *inv, reason: in.Reason}
			if err := change(inv); err != nil {
				return Response{}, err
			}
			if _, err := a.store(ctx, tx, ""); err != nil {
				return Response{}, err
			}
			if err := a.tell(ctx, s.outbox, action, event, nil); err != nil {
				return Response{}, err
			}
			return s.reload(ctx, tx, inv)
		})
		return err
	})
	return answer, err
}
