package invoices

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/ledger"
)

// This file is what refunds do to invoices. All of it runs in the caller's transaction, on invoices that Lock has locked.
// Invoices lock the customer's balances, so the caller comes with all locks that go before them.

// Refund is money that goes back to the customer, of what payments have paid on an invoice (S0D-06).
type Refund struct {
	ID          uuid.UUID
	AmountMinor int64  // in the invoice's currency, more than nothing and at most what payments have paid on it
	Reason      string // the customer reads it
}

// Refunded is what a refund means for the books. The caller adds the account that the money leaves to Entries, which come to
// AmountMinor, and posts both in one call.
type Refunded struct {
	Note     *CreditNote // nil without one
	Entries  []ledger.Entry
	Postings []ledger.Posting // of service credits that are taken back
}

// IssueCreditNote takes a part of the sale back whose money is refunded: as much is paid less and credited more, and the
// balance stays. The customer loses the share of the service credits that he had bought with it.
// Error: ErrServiceCreditsSpent.
func (s *Service) IssueCreditNote(ctx context.Context, tx bun.Tx, inv *Invoice, r Refund) (Refunded, error) {
	if err := inv.checkRefund(r); err != nil {
		return Refunded{}, err
	}
	note, err := s.newNote(ctx, tx, inv, r.Reason)
	if err != nil {
		return Refunded{}, err
	}
	note.RefundID = r.ID
	a, err := s.begin(ctx, tx, inv)
	if err != nil {
		return Refunded{}, err
	}
	if err := note.divide(ctx, tx, inv, r.AmountMinor); err != nil {
		return Refunded{}, err
	}
	adj := newAdjustment(ctx, inv, CreditNoted, r.AmountMinor, r.Reason)
	inv.lower(CreditNoted, r.AmountMinor)
	inv.unpay(r.AmountMinor)
	inv.restate(false, a.now)
	returned, err := a.write(ctx, tx, adj)
	if err != nil {
		return Refunded{}, err
	}
	if err := note.insert(ctx, tx, adj); err != nil {
		return Refunded{}, err
	}
	return Refunded{Note: note, Entries: note.entries(), Postings: returned}, a.tell(ctx, s.outbox, "invoice.credit", EventCredited, adj)
}

// CheckRefund says beforehand why IssueCreditNote would refuse minor of inv, which Lock has locked: ErrServiceCreditsSpent. It
// locks the customer's balance of service credits.
func CheckRefund(ctx context.Context, tx bun.Tx, inv *Invoice, minor int64) error {
	after := *inv
	after.lower(CreditNoted, minor)
	after.unpay(minor)
	return inv.checkLost(ctx, tx, &after)
}

// CheckTakeBack is CheckRefund for TakeBackPayment.
func CheckTakeBack(ctx context.Context, tx bun.Tx, inv *Invoice, minor int64) error {
	after := *inv
	after.unpay(minor)
	after.restate(inv.BalanceMinor == 0, time.Time{})
	return inv.checkLost(ctx, tx, &after)
}

// checkLost refuses to take more service credits from the customer than he has.
func (inv *Invoice) checkLost(ctx context.Context, tx bun.Tx, after *Invoice) error {
	lost := inv.granted() - after.granted()
	if lost <= 0 {
		return nil
	}
	credits := ledger.Credits(inv.AccountID)
	balances, err := ledger.Lock(ctx, tx, credits)
	if err != nil {
		return err
	}
	if left := -balances[credits]; left < lost {
		return ErrServiceCreditsSpent.With("credits", lost).With("left", left)
	}
	return nil
}

// TakeBackPayment is a refund without a credit note: the sale stands, and the customer owes again what goes back. An invoice
// that was paid loses all service credits that it has granted. Error: ErrServiceCreditsSpent.
func (s *Service) TakeBackPayment(ctx context.Context, tx bun.Tx, inv *Invoice, r Refund) (Refunded, error) {
	if err := inv.checkRefund(r); err != nil {
		return Refunded{}, err
	}
	a, err := s.begin(ctx, tx, inv)
	if err != nil {
		return Refunded{}, err
	}
	a.reason = r.Reason
	closed := inv.BalanceMinor == 0
	inv.unpay(r.AmountMinor)
	inv.restate(closed, a.now)
	returned, err := a.store(ctx, tx, "refund:"+r.ID.String())
	if err != nil {
		return Refunded{}, err
	}
	owed := ledger.Entry{Account: ledger.Receivable(inv.AccountID, inv.Currency), AmountMinor: r.AmountMinor}
	return Refunded{Entries: []ledger.Entry{owed}, Postings: returned}, a.tell(ctx, s.outbox, "invoice.payment_return", EventPaymentReturned, nil)
}

// Unrefunded is what it means for the books that a refund is taken back: the caller reverses what it has posted for the
// refund, and posts this in the same transaction.
type Unrefunded struct {
	AppliedMinor int64            // what the invoice is paid more again
	Postings     []ledger.Posting // of service credits that are granted again
}

// ReverseRefund undoes what a refund has done to an invoice that Lock has locked. The credit note that it has issued is undone
// by another with the opposite amounts. Without one, what went back is paid again, as far as the invoice owes it still: what
// somebody has paid or given up meanwhile stays. What was uncollectible stays so, and grants nothing.
func (s *Service) ReverseRefund(ctx context.Context, tx bun.Tx, inv *Invoice, r Refund, note uuid.UUID) (Unrefunded, error) {
	if note == uuid.Nil {
		return s.restorePayment(ctx, tx, inv, r)
	}
	first, err := creditNote(ctx, tx, note)
	if err != nil {
		return Unrefunded{}, err
	}
	n, err := s.newNote(ctx, tx, inv, r.Reason)
	if err != nil {
		return Unrefunded{}, err
	}
	a, err := s.begin(ctx, tx, inv)
	if err != nil {
		return Unrefunded{}, err
	}
	back, err := a.inverse(ctx, tx, CreditNoted, note, r.Reason)
	if err != nil {
		return Unrefunded{}, err
	}
	inv.lower(CreditNoted, back.AmountMinor)
	inv.unpay(back.AmountMinor)
	inv.restate(false, a.now)
	granted, err := a.write(ctx, tx, back)
	if err != nil {
		return Unrefunded{}, err
	}
	n.AmountMinor, n.NetMinor, n.TaxMinor = -first.AmountMinor, -first.NetMinor, -first.TaxMinor
	if err := n.insert(ctx, tx, back); err != nil {
		return Unrefunded{}, err
	}
	return Unrefunded{AppliedMinor: first.AmountMinor, Postings: granted}, a.tell(ctx, s.outbox, "invoice.credit_reverse", EventCreditReversed, back)
}

func (s *Service) restorePayment(ctx context.Context, tx bun.Tx, inv *Invoice, r Refund) (Unrefunded, error) {
	a, err := s.begin(ctx, tx, inv)
	if err != nil || CheckPayable(inv) != nil {
		return Unrefunded{}, err
	}
	applied := min(r.AmountMinor, inv.BalanceMinor)
	a.reason = r.Reason
	inv.unpay(-applied)
	inv.restate(false, a.now) // nobody has paid anything now
	granted, err := a.store(ctx, tx, "refund:"+r.ID.String()+":reverse")
	if err != nil {
		return Unrefunded{}, err
	}
	return Unrefunded{AppliedMinor: applied, Postings: granted}, a.tell(ctx, s.outbox, "invoice.payment_restore", EventPaymentRestored, nil)
}

// checkRefund finds mistakes of the caller, who knows what was paid.
func (inv *Invoice) checkRefund(r Refund) error {
	if r.ID == uuid.Nil || r.AmountMinor <= 0 || r.AmountMinor > inv.PaidMinor {
		return fmt.Errorf("refund %s takes %d off invoice %s, on which %d are paid", r.ID, r.AmountMinor, inv.ID, inv.PaidMinor)
	}
	return nil
}

// unpay makes minor of what was paid owed again, or below zero paid.
func (inv *Invoice) unpay(minor int64) {
	inv.PaidMinor -= minor
	inv.BalanceMinor += minor
}
