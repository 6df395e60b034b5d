package payments

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/decisions"
	"countersign/billing/evidence"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/paymentmethods"
	"countersign/internal/auth"
	"countersign/internal/carddata"
	"countersign/internal/database"
	"countersign/internal/idempotency"
	"countersign/internal/web"
	"countersign/tenancy"
)

// SubmitManualInput is a claim as its submitter makes it.
type SubmitManualInput struct {
	Invoice   string    // id or external id
	Account   uuid.UUID // whose invoice it must be; zero: whoever's
	Method    paymentmethods.Method
	Reference string
	Notes     string
	Details   map[string]string
	// Amount is what the submitter says he paid, in minor units of Currency; nil: the invoice's open balance (S3-30).
	Amount   func(money.Currency) (*money.Money, error)
	Currency money.Currency    // empty: the invoice's
	PaidAt   time.Time         // zero: not said
	Evidence []uuid.UUID       // uploaded before
	Files    []evidence.Stored // that came with the claim
	RetryOf  uuid.UUID         // the payment that this one follows, which came to nothing; zero: none
	Force    bool              // even if an equal payment was made a moment ago
	Once     *idempotency.Once
}

// SubmitManual stores a claim: pending approval, and nothing else changes but the invoice's clock, which stands until
// the claim is decided (S3-40). The caller needs billing.create and sees the invoice. Errors: ErrInvoiceNotFound,
// invoices.ErrAlreadyPaid and its siblings, ErrPending, what paymentmethods.Check refuses, ErrAmountLimit, ErrTooMany,
// ErrPossibleDuplicate, and field errors.
//
// Repeating a claim with the same invoice, method and reference while it waits gives the first answer again (C-08).
func (s *Service) SubmitManual(ctx context.Context, in SubmitManualInput) (Response, error) {
	if !in.Method.IsManual() {
		return Response{}, ErrNotManual.At("payment_method")
	}
	norm := normalise(in.Reference)
	if norm == "" {
		return Response{}, ErrReferenceEmpty.At("transaction_reference")
	}
	if carddata.Holds(norm) { // it is stored as well, and joins what stood far apart (S1-14)
		return Response{}, web.ErrCardData.At("transaction_reference")
	}
	if in.PaidAt.After(s.now().Add(time.Hour)) { // clocks of banks and phones differ a little
		return Response{}, ErrPaidInFuture.At("paid_at")
	}
	return s.submit(ctx, manualClaim{in, norm, sign(ctx)})
}

// EditNotes changes the notes of an undecided claim. Only its submitter may. What an approver has seen before is then
// out of date, so his decision is refused; what the first of two has approved stays as he saw it. Errors: ErrNotFound, ErrNotSubmitter,
// ErrNotPending.
func (s *Service) EditNotes(ctx context.Context, id uuid.UUID, notes string) (Response, error) {
	who := sign(ctx)
	everything := tenancy.AsSystem(ctx, tenancy.ID(ctx), "payments.edit_notes") // members do not see decisions
	return s.change(everything, id, nil, func(ctx context.Context, tx bun.Tx, p locked) error {
		switch {
		case who.by.IsMember() && p.AccountID != who.by.AccountID:
			return ErrNotFound
		case p.SubmittedBy != who.by.UserID:
			return ErrNotSubmitter
		case p.Status != StatusPendingApproval:
			return ErrNotPending
		}
		var made []decisions.Decision
		if err := database.Send(ctx, decisions.SelectOf(ctx, &made, decisions.SubjectPayment, p.ID)); err != nil {
			return err
		}
		if len(made) > 0 {
			return ErrNotPending
		}
		before := p.state()
		p.Notes = notes
		err := tx.NewUpdate().Model(p.Payment).Set("notes = ?", notes).Set("version = version + 1").Set("updated_at = clock_timestamp()").
			Where("p.tenant_id = ?", p.TenantID).Where("p.id = ?", p.ID).Returning("version, updated_at").Scan(ctx)
		if err != nil {
			return fmt.Errorf("update notes: %w", err)
		}
		var h history
		h.changed(EventUpdated, "payment.edit_notes", before, p.Payment, "")
		return h.write(who.as(ctx), s.outbox)
	})
}

// Delete hides a payment that was never posted, and which nobody was asked or given anything to pay for: cash that nobody has
// completed (S0-74). Everything else has a history and is seen (C-11, W-29): people decide about a claim, and what a provider is or
// was to be asked for may be money by now. Cancel is for that. Errors: ErrNotFound, ErrNotSubmitter, ErrNotDeletable.
//
// What is deleted has come to its end as cancelled, so that nothing counts it and its receipt may be recorded again. The row, its
// events and the audit log stay.
func (s *Service) Delete(ctx context.Context, id uuid.UUID) error {
	_, err := s.change(ctx, id, nil, func(ctx context.Context, tx bun.Tx, p locked) error {
		principal, _ := auth.From(ctx)
		if p.SubmittedBy != principal.UserID && !principal.Can(auth.BillingCancel) {
			return ErrNotSubmitter
		}
		o, err := lockOrder(ctx, tx, id)
		if err != nil {
			return err
		}
		if o != nil || p.Status != StatusCreated && !(p.Status == StatusPending && p.Gateway == string(paymentmethods.GatewayCash)) {
			return ErrNotDeletable
		}
		before := p.state()
		if p.counted() {
			invoices.DropClaim(ctx, tx, p.InvoiceID, s.now())
		}
		p.hide(ctx)
		var h history
		h.changed(EventDeleted, "payment.delete", before, p.Payment, "")
		return h.write(ctx, s.outbox)
	})
	return err
}

const hidePayment = `UPDATE payments SET status = 'cancelled', cancelled_at = $3, deleted_at = $3, version = version + 1, updated_at = $3 WHERE tenant_id = $1 AND id = $2`

// hide ends a locked payment and hides it with that, in one change: the database hides nothing that is under way, and nothing
// that had ended before. The change travels with COMMIT.
func (p locked) hide(ctx context.Context) {
	database.SendWithCommit(ctx, database.Change("delete a payment", hidePayment, p.TenantID, p.ID, p.at))
	p.Status, p.CancelledAt, p.DeletedAt, p.UpdatedAt = StatusCancelled, p.at, p.at, p.at
	p.Version++
}

// change locks a payment, lets step change it, and gives the payment as its submitter sees it.
func (s *Service) change(ctx context.Context, id uuid.UUID, once *idempotency.Once, step func(ctx context.Context, tx bun.Tx, p locked) error) (Response, error) {
	var answer Response
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, once, func() (Response, error) {
			p, err := lock(ctx, tx, id)
			if err != nil {
				return Response{}, err
			}
			if err := step(ctx, tx, p); err != nil {
				return Response{}, err
			}
			return s.shown(ctx, tx, p.Payment)
		})
		return err
	})
	return answer, err
}

// shown is a payment as its submitter sees it.
func (s *Service) shown(ctx context.Context, tx bun.Tx, p *Payment) (Response, error) {
	invs, err := invoices.ByIDs(ctx, tx, p.InvoiceID)
	if err != nil {
		return Response{}, err
	}
	return newResponse(p, invs[p.InvoiceID]), nil
}
