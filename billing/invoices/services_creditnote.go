package invoices

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/ledger"
	"countersign/internal/auth"
	"countersign/internal/idempotency"
	"countersign/tenancy"
)

// CreateCreditNoteInput names the invoice of which a part is owed no longer, and why.
type CreateCreditNoteInput struct {
	Invoice string // id or external id
	Amount  Stated // zero: all that is owed
	Reason  string // the customer reads it
	Once    *idempotency.Once
}

// CreateCreditNote lowers what is owed on an invoice. The sale and its share of the tax are taken back, and so are the
// service credits that the invoice would grant for it. Money that was paid is given back by a refund, which issues the note
// itself. It needs billing.refund, which who takes cash need not have: a debt that vanishes hides money that was pocketed. Errors:
// ErrNotFound, ErrNotFinalized, ErrVoid, ErrNothingOwed, ErrPaymentPending, ErrNotPositive, ErrAboveBalance.
func (s *Service) CreateCreditNote(ctx context.Context, in CreateCreditNoteInput) (CreditNoteResponse, error) {
	var answer CreditNoteResponse
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (CreditNoteResponse, error) { return s.createCreditNote(ctx, tx, in) })
		return err
	})
	return answer, err
}

func (s *Service) createCreditNote(ctx context.Context, tx bun.Tx, in CreateCreditNoteInput) (CreditNoteResponse, error) {
	inv, err := find(ctx, tx, in.Invoice, true)
	if err != nil {
		return CreditNoteResponse{}, err
	}
	if err := checkOwed(inv); err != nil {
		return CreditNoteResponse{}, err
	}
	minor, err := inv.stated(in.Amount)
	if err != nil {
		return CreditNoteResponse{}, err
	}
	note, err := s.newNote(ctx, tx, inv, in.Reason)
	if err != nil {
		return CreditNoteResponse{}, err
	}
	a, err := s.begin(ctx, tx, inv)
	if err != nil {
		return CreditNoteResponse{}, err
	}
	adj := newAdjustment(ctx, inv, CreditNoted, minor, in.Reason)
	if err := note.divide(ctx, tx, inv, minor); err != nil {
		return CreditNoteResponse{}, err
	}
	inv.lower(CreditNoted, minor)
	inv.restate(false, a.now)
	granted, err := a.write(ctx, tx, adj)
	if err != nil {
		return CreditNoteResponse{}, err
	}
	if err := note.insert(ctx, tx, adj); err != nil {
		return CreditNoteResponse{}, err
	}
	owed := ledger.Entry{Account: ledger.Receivable(inv.AccountID, inv.Currency), AmountMinor: -minor}
	if err := a.post(ctx, tx, adj, append(note.entries(), owed), granted); err != nil {
		return CreditNoteResponse{}, err
	}
	if err := a.tell(ctx, s.outbox, "invoice.credit", EventCredited, adj); err != nil {
		return CreditNoteResponse{}, err
	}
	return newCreditNoteResponse(ctx, note, inv.Number, uuid.Nil), nil
}

// newNote takes the next number of the tenant's credit notes, which has no gaps for each prefix and year. Others wait for
// the series until the transaction ends; balances are locked after it.
func (s *Service) newNote(ctx context.Context, tx bun.Tx, inv *Invoice, reason string) (*CreditNote, error) {
	tenant, err := tenancy.Current(ctx, tx)
	if err != nil {
		return nil, err
	}
	year := s.now().In(tenant.Location()).Year()
	n, err := tenancy.NextNumber(ctx, tx, "credit_note:"+tenant.InvoicePrefix, year)
	if err != nil {
		return nil, err
	}
	p, _ := auth.From(ctx)
	return &CreditNote{TenantID: inv.TenantID, Number: fmt.Sprintf("%s-CN-%d-%06d", tenant.InvoicePrefix, year, n), InvoiceID: inv.ID, AccountID: inv.AccountID,
		Currency: inv.Currency, Reason: reason, IssuedBy: p.Label}, nil
}

// divide sets what of minor is net and what is tax. The invoice is as it was before the note.
func (n *CreditNote) divide(ctx context.Context, tx bun.Tx, inv *Invoice, minor int64) error {
	var before credited
	err := tx.NewSelect().Model((*CreditNote)(nil)).ColumnExpr("coalesce(sum(cn.net_minor), 0)::bigint AS net, coalesce(sum(cn.tax_minor), 0)::bigint AS tax").
		Where("cn.tenant_id = ? AND cn.invoice_id = ?", inv.TenantID, inv.ID).Scan(ctx, &before.Net, &before.Tax)
	if err != nil {
		return fmt.Errorf("sum the credit notes of invoice %s: %w", inv.ID, err)
	}
	n.TaxMinor = inv.taxOf(minor, before)
	n.NetMinor, n.AmountMinor = minor-n.TaxMinor, minor
	return nil
}

// insert stores the note of an adjustment that is written.
func (n *CreditNote) insert(ctx context.Context, tx bun.Tx, adj *Adjustment) error {
	n.ID, n.Reverses = adj.ID, adj.Reverses
	if _, err := tx.NewInsert().Model(n).Returning("created_at").Exec(ctx); err != nil {
		return fmt.Errorf("insert credit note %s: %w", n.Number, err)
	}
	return nil
}

// ReverseCreditNoteInput names the note that is undone, and why.
type ReverseCreditNoteInput struct {
	ID     uuid.UUID
	Reason string
	Once   *idempotency.Once
}

// ReverseCreditNote undoes a credit note by another one with the opposite amounts: the invoice owes again what the first
// took off. It needs billing.refund. Errors: ErrCreditNoteNotFound, ErrNoteOfRefund, ErrAlreadyReversed,
// ErrAdjustmentNotFound for a note that undoes another itself, ErrServiceCreditsSpent.
func (s *Service) ReverseCreditNote(ctx context.Context, in ReverseCreditNoteInput) (CreditNoteResponse, error) {
	var answer CreditNoteResponse
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (CreditNoteResponse, error) { return s.reverseCreditNote(ctx, tx, in) })
		return err
	})
	return answer, err
}

func (s *Service) reverseCreditNote(ctx context.Context, tx bun.Tx, in ReverseCreditNoteInput) (CreditNoteResponse, error) {
	first, err := creditNote(ctx, tx, in.ID)
	if err != nil {
		return CreditNoteResponse{}, err
	}
	if first.RefundID != uuid.Nil {
		return CreditNoteResponse{}, ErrNoteOfRefund
	}
	inv, err := find(ctx, tx, first.InvoiceID.String(), true)
	if err != nil {
		return CreditNoteResponse{}, err
	}
	note, err := s.newNote(ctx, tx, inv, in.Reason)
	if err != nil {
		return CreditNoteResponse{}, err
	}
	a, err := s.begin(ctx, tx, inv)
	if err != nil {
		return CreditNoteResponse{}, err
	}
	back, err := s.takeBack(ctx, tx, a, CreditNoted, first.ID, in.Reason, "invoice.credit_reverse", EventCreditReversed)
	if err != nil {
		return CreditNoteResponse{}, err
	}
	note.AmountMinor, note.NetMinor, note.TaxMinor = -first.AmountMinor, -first.NetMinor, -first.TaxMinor
	if err := note.insert(ctx, tx, back); err != nil {
		return CreditNoteResponse{}, err
	}
	return newCreditNoteResponse(ctx, note, inv.Number, uuid.Nil), nil
}
