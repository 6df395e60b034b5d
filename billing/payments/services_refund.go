package payments

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/gateways"
	"countersign/billing/money"
	"countersign/internal/auth"
	"countersign/internal/idempotency"
	"countersign/tenancy"
)

// RefundInput asks for money of a payment to go back.
type RefundInput struct {
	PaymentID uuid.UUID
	Amount    func(money.Currency) (*money.Money, error) // nil: all that is left
	Currency  money.Currency                             // empty: the payment's, which is the only one
	Reason    RefundReason
	Note      string
	// PayoutReference is that of money which somebody has paid by hand already; empty: he will, and Complete it.
	PayoutReference string
	// Seen is what of the payment was given back or held when who asks has looked; nil: whatever it is.
	Seen           *int64
	OverrideWindow bool // even after the tenant's time for refunds; needs tenant.manage
	// OwedAgain leaves the sale as it is: there is no credit note, and the customer owes the invoice's part again (C-22).
	OwedAgain bool
	Once      *idempotency.Once
}

// RefundReply is the answer to who asks for a refund, as it is stored under the request's key.
type RefundReply struct {
	HTTP   int            `json:"http"`
	Code   string         `json:"code,omitempty"` // of a refusal
	Refund RefundResponse `json:"refund"`
}

// Refund gives money of a payment back, all of it or part (S0-90 to S0-94, S1-07). Above the tenant's limit it waits for a
// second person. A provider that can is asked, after the key and the refund are committed, and with the refund's id as its
// key; elsewhere somebody pays by hand, and gives the reference of the payout now or with CompleteRefund. The books change
// when the money is known to have left. The caller needs billing.refund.
//
// Errors: ErrNotFound, ErrNotRefundable, ErrRefundExceedsPayment, ErrAmountNotPositive, ErrRefundWindowClosed,
// ErrRefundInCabinet, ErrPayoutReferenceUnexpected, ErrRefundOwesNothing, money.ErrCurrencyMismatch, ledger.ErrCreditExceeded,
// invoices.ErrServiceCreditsSpent, ErrGatewayUnavailable and ErrGatewayMisconfigured, after which the same key may be tried
// again, and those of package idempotency.
func (s *Service) Refund(ctx context.Context, in RefundInput) (RefundReply, error) {
	begun, err := idempotency.Look[RefundReply](ctx, s.db, in.Once)
	switch {
	case err != nil || begun.Answered:
		return begun.Answer, err
	case begun.Subject != uuid.Nil:
		return s.refundAgain(ctx, in.Once, begun.Subject)
	}
	r := &Refund{ID: uuid.Must(uuid.NewV7())}
	var reply RefundReply
	err = tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		reply, err = s.requestRefund(ctx, tx, r.ID, in)
		return err
	})
	switch {
	case errors.Is(err, idempotency.ErrTaken):
		if begun, err = idempotency.Look[RefundReply](ctx, s.db, in.Once); err != nil || begun.Answered {
			return begun.Answer, err
		}
		return s.refundAgain(ctx, in.Once, begun.Subject)
	case err != nil:
		return RefundReply{}, idempotency.InProgress(s.traced(ctx, in.PaymentID, StatusRefunded, err), in.Once)
	case reply.HTTP != http.StatusAccepted:
		return reply, nil
	}
	s.at(ctx, pointClaimed)
	reply, err = s.pursueRefund(ctx, r.ID)
	if !errors.Is(err, errOvertaken) {
		return reply, err
	}
	if begun, err = idempotency.Look[RefundReply](ctx, s.db, in.Once); err != nil || begun.Answered {
		return begun.Answer, err
	}
	return reply, nil // without a key nothing was stored
}

// requestRefund writes the refund and, unless a provider is to be asked, its answer; that one is 202 and not stored.
func (s *Service) requestRefund(ctx context.Context, tx bun.Tx, id uuid.UUID, in RefundInput) (RefundReply, error) {
	if err := idempotency.Begin(ctx, tx, in.Once, id); err != nil {
		return RefundReply{}, err
	}
	p, err := lock(ctx, tx, in.PaymentID)
	if err != nil {
		return RefundReply{}, err
	}
	r, err := s.newRefund(ctx, tx, p, in)
	if err != nil {
		return RefundReply{}, err
	}
	r.ID = id
	if err := s.checkBooks(ctx, tx, p, r); err != nil {
		return RefundReply{}, err
	}
	now := s.now()
	if r.Status == RefundPending && r.Mode == gateways.RefundByAPI {
		r.BusyUntil, r.NextAskAt = now.Add(leaseTime), now.Add(leaseTime)
	}
	if _, err := tx.NewInsert().Model(r).Returning("created_at, updated_at").Exec(ctx); err != nil {
		return RefundReply{}, fmt.Errorf("insert a refund of payment %s: %w", p.ID, err)
	}
	var h history
	h.refund(EventRefundRequested, "refund.request", r, p.Payment, "")
	reply := RefundReply{HTTP: http.StatusCreated}
	switch {
	case r.Status == RefundPending && r.Mode == gateways.RefundByAPI:
		reply.HTTP = http.StatusAccepted
	case r.Status == RefundPending && r.PayoutReference != "":
		if err := s.bookRefund(ctx, tx, p, r, &h); err != nil {
			return RefundReply{}, err
		}
	}
	if err := h.write(ctx, s.outbox); err != nil {
		return RefundReply{}, err
	}
	if reply.Refund, err = showRefund(ctx, tx, r, p.Payment); err != nil || reply.HTTP == http.StatusAccepted {
		return reply, err
	}
	return reply, idempotency.Finish(ctx, id, reply)
}

// newRefund checks what is asked for against the locked payment.
func (s *Service) newRefund(ctx context.Context, tx bun.Tx, p locked, in RefundInput) (*Refund, error) {
	by, _ := auth.From(ctx)
	r := &Refund{TenantID: p.TenantID, PaymentID: p.ID, InvoiceID: p.InvoiceID, AccountID: p.AccountID, Currency: p.Currency, Status: RefundPending, ByOne: true, Reason: in.Reason,
		Note: in.Note, PayoutReference: in.PayoutReference, OwedAgain: in.OwedAgain, RequestedBy: by.UserID, RequestedLabel: by.Label, Version: 1}
	if in.Currency != "" && in.Currency != p.Currency {
		return nil, money.ErrCurrencyMismatch.With("left", p.Currency).With("right", in.Currency)
	}
	if in.OwedAgain && p.InvoiceID == uuid.Nil {
		return nil, ErrRefundOwesNothing.At("credit_note")
	}
	held, reversed, err := heldRefunds(ctx, tx, p.ID)
	if err != nil {
		return nil, err
	}
	if in.Seen != nil && *in.Seen != p.RefundedMinor+held {
		return nil, ErrRefundChanged
	}
	if err := r.demand(p.Payment, held, in.Amount); err != nil {
		return nil, err
	}
	if r.Mode, err = s.refundMode(p.Payment); err != nil {
		return nil, err
	}
	if r.Mode == gateways.RefundByAPI && r.PayoutReference != "" {
		return nil, ErrPayoutReferenceUnexpected.At("payout_reference")
	}
	tenant, err := tenancy.Current(ctx, tx)
	if err != nil {
		return nil, err
	}
	if windowClosed(tenant, p.Payment, p.at) {
		switch {
		case !in.OverrideWindow:
			return nil, ErrRefundWindowClosed.With("days", tenant.RefundWindowDays)
		case !by.Can(auth.TenantManage):
			return nil, auth.ErrForbidden.With("permission", auth.TenantManage)
		}
		r.OverridesWindow = true
	}
	if needsTwo(tenant, p.Payment, p.RefundedMinor+held+reversed, r.AmountMinor) {
		r.Status, r.ByOne = RefundPendingApproval, false
	}
	return r, nil
}

// windowClosed says whether the tenant's time for refunds of a payment is over (S0D-05).
func windowClosed(t *tenancy.Tenant, p *Payment, now time.Time) bool {
	return t.RefundWindowDays > 0 && now.After(p.ProcessedAt.AddDate(0, 0, t.RefundWindowDays))
}

// demand sets how much goes back of a payment of which held is held by other refunds. When nothing is left, who wants all of
// it comes too late for the state that the payment is in; any other amount is simply too much.
func (r *Refund) demand(p *Payment, held int64, amount func(money.Currency) (*money.Money, error)) error {
	switch p.Status {
	case StatusSucceeded, StatusPartiallyRefunded, StatusRefunded:
	default:
		return ErrNotRefundable
	}
	received := p.Received().Minor
	rest := received - p.RefundedMinor - held
	r.AmountMinor = rest
	if amount != nil {
		m, err := amount(p.Currency)
		if err != nil {
			return err
		}
		r.AmountMinor = m.Minor
	}
	switch {
	case rest == 0 && (amount == nil || r.AmountMinor == received):
		return ErrNotRefundable
	case r.AmountMinor <= 0:
		return ErrAmountNotPositive.At("amount")
	case r.AmountMinor > rest:
		return ErrRefundExceedsPayment.With("rest", money.New(rest, p.Currency).String()+" "+string(p.Currency)).At("amount")
	}
	return nil
}

// refundMode says who pays a refund of a payment. Where no gateway of this build took the money, somebody pays by hand.
func (s *Service) refundMode(p *Payment) (gateways.RefundMode, error) {
	g, known := s.gateways.Registry().Get(p.Gateway)
	if !known {
		return gateways.RefundByHand, nil
	}
	mode := g.Capabilities().Refunds
	if mode == gateways.RefundByProvider {
		return mode, ErrRefundInCabinet.With("gateway", p.Gateway)
	}
	return mode, nil
}

// heldRefunds is what of a locked payment is held by refunds that are under way, and what was given back until somebody took
// it back.
func heldRefunds(ctx context.Context, tx bun.Tx, payment uuid.UUID) (held, reversed int64, err error) {
	err = tx.NewSelect().Model((*Refund)(nil)).ColumnExpr("coalesce(sum(rf.amount_minor) FILTER (WHERE rf.status <> ?), 0)::bigint", RefundReversed).
		ColumnExpr("coalesce(sum(rf.amount_minor) FILTER (WHERE rf.status = ?), 0)::bigint", RefundReversed).Where("rf.tenant_id = ? AND rf.payment_id = ?", tenancy.ID(ctx), payment).
		Where("rf.status IN (?, ?, ?)", RefundPendingApproval, RefundPending, RefundReversed).Scan(ctx, &held, &reversed)
	if err != nil {
		return 0, 0, fmt.Errorf("sum the refunds of payment %s: %w", payment, err)
	}
	return held, reversed, nil
}
