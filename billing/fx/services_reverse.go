package fx

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/ledger"
	"countersign/internal/audit"
	"countersign/internal/database"
	"countersign/internal/idempotency"
	"countersign/tenancy"
)

// ReverseInput names the conversion that is taken back, and why.
type ReverseInput struct {
	ID     uuid.UUID
	Reason string
	Once   *idempotency.Once
}

// Reverse takes a conversion back: every entry is posted the other way, so all balances are as if it had not been. It
// fails with web.ErrNotFound, with ledger.ErrAlreadyReversed the second time, and with ledger.ErrCreditExceeded when the
// customer has spent some of what he got. It needs billing.reconcile.
func (s *Service) Reverse(ctx context.Context, in ReverseInput) (ConversionResponse, error) {
	var answer ConversionResponse
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (ConversionResponse, error) { return s.reverse(ctx, tx, in) })
		return err
	})
	return answer, err
}

func (s *Service) reverse(ctx context.Context, tx bun.Tx, in ReverseInput) (ConversionResponse, error) {
	c, err := Get(ctx, tx, in.ID)
	if err != nil {
		return ConversionResponse{}, err
	}
	// Its row alone decides who is the first. It comes before the balances are looked at: of a reversal that was, the
	// customer no longer has what he got.
	v := &reversal{TenantID: c.TenantID, ConversionID: c.ID, AccountID: c.AccountID, Reason: in.Reason}
	if _, err := tx.NewInsert().Model(v).Returning("created_at").Exec(ctx); err != nil {
		if database.IsUnique(err, "fx_reversals_pkey") {
			return ConversionResponse{}, ledger.ErrAlreadyReversed
		}
		return ConversionResponse{}, fmt.Errorf("insert reversal of conversion %s: %w", c.ID, err)
	}
	if err := spendable(ctx, tx, c.AccountID, c.To(), c.From()); err != nil {
		return ConversionResponse{}, err
	}
	posted, err := ledger.TransactionOf(ctx, tx, c.cause())
	if err != nil {
		return ConversionResponse{}, fmt.Errorf("find what conversion %s has posted: %w", c.ID, err)
	}
	if err := ledger.Reverse(ctx, tx, posted.ID, "fx:"+c.ID.String()+":reverse", in.Reason); err != nil {
		return ConversionResponse{}, fmt.Errorf("reverse conversion %s: %w", c.ID, err)
	}
	c.ReversedAt, c.ReversalReason = v.CreatedAt, v.Reason
	err = s.tell(ctx, c, EventReversed, audit.Record{Action: "fx_conversion.reverse", Before: facts(c), Reason: in.Reason})
	return newConversionResponse(*c), err
}
