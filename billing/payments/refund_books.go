package payments

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/gateways"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/tenancy"
)

// bookRefund writes what follows from money that has left: the invoice is paid less, by a credit note over as much of the
// sale, the customer's credit or revenue is less, and the money is taken from where the payment had put it (model.md 5.6).
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
		done, err := s.invoices.IssueCreditNote(ctx, tx, inv, invoices.Refund{ID: r.ID, AmountMinor: parts.Invoice, Reason: r.Reason.sentence()})
		if err != nil {
			return err
		}
		own.Entries, postings = append(own.Entries, done.Entries...), done.Postings
		r.CreditNoteID = done.Note.ID
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

// parts are what the refund takes back, given what earlier ones have taken.
func (r *Refund) parts(ctx context.Context, tx bun.Tx, p *Payment) (shares, error) {
	var gone shares
	err := tx.NewSelect().Model((*Refund)(nil)).ColumnExpr("coalesce(sum(rf.invoice_minor), 0)::bigint, coalesce(sum(rf.credit_minor), 0)::bigint, coalesce(sum(rf.revenue_minor), 0)::bigint").
		Where("rf.tenant_id = ? AND rf.payment_id = ?", tenancy.ID(ctx), p.ID).Where("rf.status = ?", RefundSucceeded).Scan(ctx, &gone.Invoice, &gone.Credit, &gone.Revenue)
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
		if err := invoices.CheckRefund(ctx, tx, inv, parts.Invoice); err != nil {
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

// expectRefunds takes the refunds that are under way off what a provider says that it has given back: what was asked of it
// is no news from elsewhere. The worker asks soon which of them it was. The payment is locked.
func (s *Service) expectRefunds(ctx context.Context, tx bun.Tx, p *Payment, said gateways.Result) (gateways.Result, error) {
	if said.Refunded.Minor <= p.RefundedMinor {
		return said, nil
	}
	var asked int64
	err := tx.NewSelect().Model((*Refund)(nil)).ColumnExpr("coalesce(sum(rf.amount_minor), 0)::bigint").Where("rf.tenant_id = ? AND rf.payment_id = ?", p.TenantID, p.ID).
		Where("rf.status = ? AND rf.mode = ?", RefundPending, gateways.RefundByAPI).Scan(ctx, &asked)
	if err != nil {
		return said, fmt.Errorf("sum the refunds of payment %s that are asked for: %w", p.ID, err)
	}
	if asked == 0 || said.Refunded.Minor > p.RefundedMinor+asked {
		return said, nil
	}
	said.Refunded.Minor = p.RefundedMinor
	_, err = tx.NewUpdate().Model((*Refund)(nil)).Set("next_ask_at = ?", s.now()).Where("rf.tenant_id = ? AND rf.payment_id = ?", p.TenantID, p.ID).
		Where("rf.status = ? AND rf.mode = ?", RefundPending, gateways.RefundByAPI).Exec(ctx)
	if err != nil {
		return said, fmt.Errorf("look at the refunds of payment %s: %w", p.ID, err)
	}
	return said, nil
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
