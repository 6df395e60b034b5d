package payments

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/tenancy"
)

// bookRefund writes what follows from money that has left: the invoice is paid less, by a credit note over as much of the
// sale, or without one it is owed again, the customer's credit or revenue is less, and the money is taken from where the payment had put it (model.md 5.6).
// It is one transaction of the ledger, with the refund's and the payment's change. The payment is locked. Errors:
// ledger.ErrCreditExceeded and invoices.ErrServiceCreditsSpent.
func (s *Service) bookRefund(ctx context.Context, tx bun.Tx, p locked, r *Refund, h *history) error {
	parts, err := r.parts(ctx, tx, p.Payment)
	if err != nil {
		return err
	}
	from, err := cameInto(ctx, tx, p.Payment)
	if err != nil {
		return err
	}
	own := ledger.Posting{Cause: r.cause(), Kind: ledger.KindPaymentRefunded, CustomerID: p.AccountID, InvoiceID: p.InvoiceID, PaymentID: p.ID,
		Entries: []ledger.Entry{{Account: from, AmountMinor: -r.AmountMinor}}}
	postings := []ledger.Posting{}
	if parts.Invoice > 0 {
		inv, err := lockRefunded(ctx, tx, p.Payment)
		if err != nil {
			return err
		}
		take := s.invoices.IssueCreditNote
		if r.OwedAgain {
			take = s.invoices.TakeBackPayment
		}
		done, err := take(ctx, tx, inv, invoices.Refund{ID: r.ID, AmountMinor: parts.Invoice, Reason: r.Reason.sentence()})
		if err != nil {
			return err
		}
		own.Entries, postings = append(own.Entries, done.Entries...), done.Postings
		if done.Note != nil {
			r.CreditNoteID = done.Note.ID
		}
	}
	if parts.Credit > 0 {
		own.Entries = append(own.Entries, ledger.Entry{Account: ledger.CustomerCredit(p.AccountID, p.Currency), AmountMinor: parts.Credit})
	}
	if parts.Revenue > 0 {
		own.Entries = append(own.Entries, ledger.Entry{Account: ledger.SalesReturns(p.Currency), AmountMinor: parts.Revenue})
	}
	if err := ledger.Post(ctx, tx, append(postings, own)...); err != nil {
		return err
	}
	before := p.state()
	p.RefundedMinor += r.AmountMinor
	next, event := StatusPartiallyRefunded, EventPartiallyRefunded
	if p.RefundedMinor == p.Received().Minor {
		next, event = StatusRefunded, EventRefunded
	}
	if err := p.move(ctx, next); err != nil {
		return err
	}
	h.changed(event, "payment.refund", before, p.Payment, string(r.Reason))
	r.InvoiceMinor, r.CreditMinor, r.RevenueMinor = &parts.Invoice, &parts.Credit, &parts.Revenue
	r.FailureCode = ""
	if err := r.move(ctx, tx, RefundSucceeded, p.at); err != nil {
		return err
	}
	h.refund(EventRefundSucceeded, "refund.succeed", r, p.Payment, r.Note)
	return nil
}

// parts are what the refund takes back, given what earlier ones have taken. What of one that was reversed could not go back to
// the invoice is credit of the payment since.
func (r *Refund) parts(ctx context.Context, tx bun.Tx, p *Payment) (shares, error) {
	var gone shares
	err := tx.NewSelect().TableExpr("(?) AS g", tx.NewSelect().Model((*Refund)(nil)).
		ColumnExpr("CASE rf.status WHEN ? THEN rf.invoice_minor ELSE rf.moved_minor END AS invoice", RefundSucceeded).
		ColumnExpr("CASE rf.status WHEN ? THEN rf.credit_minor ELSE -rf.moved_minor END AS credit", RefundSucceeded).
		ColumnExpr("CASE rf.status WHEN ? THEN rf.revenue_minor ELSE 0 END AS revenue", RefundSucceeded).
		Where("rf.tenant_id = ? AND rf.payment_id = ?", tenancy.ID(ctx), p.ID).Where("rf.status IN (?, ?)", RefundSucceeded, RefundReversed)).
		ColumnExpr("coalesce(sum(g.invoice), 0)::bigint, coalesce(sum(g.credit), 0)::bigint, coalesce(sum(g.revenue), 0)::bigint").Scan(ctx, &gone.Invoice, &gone.Credit, &gone.Revenue)
	if err != nil {
		return shares{}, fmt.Errorf("sum what was refunded of payment %s: %w", p.ID, err)
	}
	parts := r.split(p, gone)
	if parts.Invoice+parts.Credit+parts.Revenue != r.AmountMinor {
		return shares{}, fmt.Errorf("refund %s over %d: payment %s was %+v, and %+v is refunded", r.ID, r.AmountMinor, p.ID, p.shares(), gone)
	}
	return parts, nil
}

// checkBooks says beforehand what bookRefund would refuse, so that no provider pays what the books cannot take.
func (s *Service) checkBooks(ctx context.Context, tx bun.Tx, p locked, r *Refund) error {
	parts, err := r.parts(ctx, tx, p.Payment)
	if err != nil {
		return err
	}
	if parts.Invoice > 0 {
		inv, err := lockRefunded(ctx, tx, p.Payment)
		if err != nil {
			return err
		}
		check := invoices.CheckRefund
		if r.OwedAgain {
			check = invoices.CheckTakeBack
		}
		if err := check(ctx, tx, inv, parts.Invoice); err != nil {
			return err
		}
	}
	if parts.Credit == 0 {
		return nil
	}
	credit := ledger.CustomerCredit(p.AccountID, p.Currency)
	balances, err := ledger.Lock(ctx, tx, credit)
	if err != nil {
		return err
	}
	if -balances[credit] < parts.Credit {
		return ledger.ErrCreditExceeded
	}
	return nil
}

// lockRefunded locks the invoice that a payment has paid.
func lockRefunded(ctx context.Context, tx bun.Tx, p *Payment) (*invoices.Invoice, error) {
	found, err := invoices.Lock(ctx, tx, p.InvoiceID)
	if err != nil {
		return nil, err
	}
	if found[p.InvoiceID] == nil {
		return nil, fmt.Errorf("refund payment %s: its invoice is gone", p.ID)
	}
	return found[p.InvoiceID], nil
}

// cameInto is the account that the settlement of a payment has put the money on.
func cameInto(ctx context.Context, tx bun.Tx, p *Payment) (ledger.Ref, error) {
	settled, err := ledger.TransactionOf(ctx, tx, "payment:"+p.ID.String()+":settle")
	if err != nil {
		return ledger.Ref{}, fmt.Errorf("find what was posted for payment %s: %w", p.ID, err)
	}
	names := []string{string(p.Method)}
	o := &order{}
	if found, err := atProviderOf(ctx, tx, p.ID, o); err != nil {
		return ledger.Ref{}, err
	} else if found {
		names = append(names, o.Name)
	}
	candidates := []ledger.Ref{ledger.Cash(p.Currency)}
	for _, name := range names {
		candidates = append(candidates, ledger.Clearing(name, p.Currency))
	}
	for _, e := range settled.Entries {
		for _, c := range candidates {
			if e.AmountMinor > 0 && e.AccountID == c.ID(ctx) {
				return c, nil
			}
		}
	}
	return ledger.Ref{}, fmt.Errorf("refund payment %s: its money is on no account that is known", p.ID)
}

// lockRefund gives a refund with its payment, which is locked. Error: ErrRefundNotFound.
func lockRefund(ctx context.Context, tx bun.Tx, id uuid.UUID) (*Refund, locked, error) {
	r, err := getRefund(ctx, tx, id)
	if err != nil {
		return nil, locked{}, err
	}
	p, err := lock(ctx, tx, r.PaymentID)
	if err != nil {
		return nil, locked{}, err
	}
	r, err = getRefund(ctx, tx, id) // as it is now that nobody else changes it
	return r, p, err
}
