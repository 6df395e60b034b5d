package invoices

import (
	"context"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/internal/idempotency"
	"countersign/tenancy"
)

// ApplyCreditInput names the invoice that the customer's credit pays.
type ApplyCreditInput struct {
	Invoice  string // id or external id
	Amount   Stated // zero: as much as both allow
	Currency string // empty, or the invoice's
	Once     *idempotency.Once
}

// ApplyCredit pays an invoice, or a part of it, with money that we owe the customer. An invoice that is paid by it grants
// its service credits. It needs billing.invoices.manage. Errors: ErrNotFound, ErrNotFinalized, ErrVoid, ErrNothingOwed,
// ErrPaymentPending, ErrNoCredit, ErrNotPositive, ErrAboveBalance, ledger.ErrCreditExceeded, money.ErrCurrencyMismatch.
func (s *Service) ApplyCredit(ctx context.Context, in ApplyCreditInput) (Response, error) {
	var answer Response
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (Response, error) { return s.applyCredit(ctx, tx, in) })
		return err
	})
	return answer, err
}

func (s *Service) applyCredit(ctx context.Context, tx bun.Tx, in ApplyCreditInput) (Response, error) {
	inv, err := find(ctx, tx, in.Invoice, true)
	if err != nil {
		return Response{}, err
	}
	if err := checkOwed(inv); err != nil {
		return Response{}, err
	}
	if err := inv.checkCurrency(in.Currency); err != nil {
		return Response{}, err
	}
	minor, err := inv.stated(in.Amount)
	if err != nil {
		return Response{}, err
	}
	a, err := s.begin(ctx, tx, inv)
	switch {
	case err != nil:
		return Response{}, err
	case a.credit() == 0:
		return Response{}, ErrNoCredit.With("currency", inv.Currency)
	case !in.Amount.given():
		minor = min(minor, a.credit())
	case minor > a.credit():
		return Response{}, ledger.ErrCreditExceeded
	}
	if err := s.spendCredit(ctx, tx, a, minor); err != nil {
		return Response{}, err
	}
	return s.reload(ctx, tx, inv)
}

// spendCredit pays minor of the act's invoice, which owes as much, with credit, of which there is as much.
func (s *Service) spendCredit(ctx context.Context, tx bun.Tx, a *act, minor int64) error {
	inv := a.inv
	adj := newAdjustment(ctx, inv, CreditApplied, minor, "")
	inv.lower(CreditApplied, minor)
	inv.restate(true, a.now)
	granted, err := a.write(ctx, tx, adj)
	if err != nil {
		return err
	}
	entries := []ledger.Entry{{Account: ledger.CustomerCredit(inv.AccountID, inv.Currency), AmountMinor: minor},
		{Account: ledger.Receivable(inv.AccountID, inv.Currency), AmountMinor: -minor}}
	if err := a.post(ctx, tx, adj, entries, granted); err != nil {
		return err
	}
	return a.tell(ctx, s.outbox, "invoice.apply_credit", EventCreditApplied, adj)
}

// checkCurrency refuses a request that says another currency than the invoice's.
func (inv *Invoice) checkCurrency(said string) error {
	if said == "" {
		return nil
	}
	currency, err := money.ParseCurrency(said)
	if err != nil {
		return money.ErrUnknownCurrency.At("currency")
	}
	if currency != inv.Currency {
		return money.ErrCurrencyMismatch.With("left", currency).With("right", inv.Currency).At("currency")
	}
	return nil
}

// UnapplyCreditInput names the application of credit that is taken back, and why.
type UnapplyCreditInput struct {
	Invoice    string // id or external id
	Adjustment uuid.UUID
	Reason     string
	Once       *idempotency.Once
}

// UnapplyCredit gives the customer the credit back with which an invoice was paid: the invoice owes it again. If it was
// paid, the service credits that it has granted are taken back, if the customer still has them. It needs
// billing.invoices.manage. Errors: ErrNotFound, ErrAdjustmentNotFound, ErrAlreadyReversed, ErrServiceCreditsSpent.
func (s *Service) UnapplyCredit(ctx context.Context, in UnapplyCreditInput) (Response, error) {
	var answer Response
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (Response, error) { return s.unapplyCredit(ctx, tx, in) })
		return err
	})
	return answer, err
}

func (s *Service) unapplyCredit(ctx context.Context, tx bun.Tx, in UnapplyCreditInput) (Response, error) {
	inv, err := find(ctx, tx, in.Invoice, true)
	if err != nil {
		return Response{}, err
	}
	a, err := s.begin(ctx, tx, inv)
	if err != nil {
		return Response{}, err
	}
	if _, err := s.takeBack(ctx, tx, a, CreditApplied, in.Adjustment, in.Reason, "invoice.unapply_credit", EventCreditUnapplied); err != nil {
		return Response{}, err
	}
	return s.reload(ctx, tx, inv)
}
