package invoices

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"countersign/billing/ledger"
	"countersign/internal/auth"
	"countersign/internal/idempotency"
	"countersign/tenancy"
)

// VoidInput names the invoice that is cancelled, and why.
type VoidInput struct {
	Invoice string // id or external id
	Reason  string
	Once    *idempotency.Once
}

// Void cancels a draft, or an open invoice that nobody has paid or claims to have paid. What finalising posted is
// reversed; the number stays used. It needs billing.invoices.manage, and for an open invoice billing.refund as well.
func (s *Service) Void(ctx context.Context, in VoidInput) (Response, error) {
	var answer Response
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (Response, error) { return s.void(ctx, tx, in) })
		return err
	})
	return answer, err
}

func (s *Service) void(ctx context.Context, tx bun.Tx, in VoidInput) (Response, error) {
	inv, err := find(ctx, tx, in.Invoice, true)
	if err != nil {
		return Response{}, err
	}
	if err := inv.checkVoidable(); err != nil {
		return Response{}, err
	}
	if err := checkVoider(ctx, inv); err != nil {
		return Response{}, err
	}
	tenant, err := tenancy.Current(ctx, tx)
	if err != nil {
		return Response{}, err
	}
	lines, err := linesOf(ctx, tx, inv.ID)
	if err != nil {
		return Response{}, err
	}
	before := facts(inv)
	inv.Status, inv.VoidedAt, inv.VoidReason, inv.BalanceMinor = StatusVoid, s.now(), in.Reason, 0
	err = tx.NewUpdate().Model(inv).Column("status", "voided_at", "void_reason", "balance_minor").
		Set("version = version + 1").Set("updated_at = now()").
		Where("i.tenant_id = ? AND i.id = ?", inv.TenantID, inv.ID).Returning("version, updated_at").Scan(ctx)
	if err != nil {
		return Response{}, fmt.Errorf("void invoice: %w", err)
	}
	if err := reversePosting(ctx, tx, inv, in.Reason); err != nil {
		return Response{}, err
	}
	if err := s.tell(ctx, "invoice.void", EventVoided, inv, before, in.Reason); err != nil {
		return Response{}, err
	}
	return s.respond(ctx, tx, inv, draft{lines: lines}, tenant)
}

func (inv *Invoice) checkVoidable() error {
	switch {
	case inv.PaidMinor > 0:
		return ErrHasPayments
	case inv.adjusted():
		return ErrAdjusted
	case inv.PendingClaims > 0:
		return ErrPaymentPending
	case !inv.Status.CanBecome(StatusVoid):
		return ErrNotOpen
	default:
		return nil
	}
}

// checkVoider asks for the permission to refund where somebody owes the invoice: who takes cash for it does not make the debt
// vanish. Programs do what they were made for.
func checkVoider(ctx context.Context, inv *Invoice) error {
	if p, _ := auth.From(ctx); inv.FinalizedAt.IsZero() || p.Kind == auth.KindSystem {
		return nil
	}
	_, err := auth.Require(ctx, auth.BillingRefund)
	return err
}

// reversePosting takes back what finalising posted; a draft has posted nothing.
func reversePosting(ctx context.Context, tx bun.Tx, inv *Invoice, reason string) error {
	if inv.FinalizedAt.IsZero() {
		return nil
	}
	posted, err := ledger.TransactionOf(ctx, tx, finalizeCause(inv))
	if err != nil {
		return fmt.Errorf("find what finalising invoice %s has posted: %w", inv.ID, err)
	}
	if err := ledger.Reverse(ctx, tx, posted.ID, "invoice:"+inv.ID.String()+":void", reason); err != nil {
		return fmt.Errorf("reverse invoice %s: %w", inv.ID, err)
	}
	return nil
}
