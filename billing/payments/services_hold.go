package payments

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/gateways"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/tenancy"
)

// CaptureInput takes what is held.
type CaptureInput struct {
	ID     uuid.UUID
	Amount func(money.Currency) (*money.Money, error) // nil: all of it
	Once   *idempotency.Once
}

// Capture takes all that is held, or a part of it; the rest is released with it (S1-30). The key is committed before the
// provider is asked, as for Charge. The caller is staff with billing.create. Errors: ErrNotFound, ErrIllegalTransition,
// ErrCaptureTooLarge, ErrCannotCapture, ErrOperationPending, and those of Charge.
func (s *Service) Capture(ctx context.Context, in CaptureInput) (Reply, error) {
	return s.operate(ctx, StepInput{ID: in.ID, Once: in.Once}, func(p *Payment, o *order) error {
		if p.Status != StatusAuthorized {
			return illegal(p, StatusSucceeded)
		}
		var can gateways.Capabilities
		if g, known := s.gateways.Registry().Get(p.Gateway); known {
			can = g.Capabilities()
		}
		if !can.Capture {
			return ErrCannotCapture
		}
		amount := p.AmountMinor
		if in.Amount != nil {
			m, err := in.Amount(p.Currency)
			if err != nil {
				return err
			}
			amount = m.Minor
		}
		switch {
		case amount <= 0:
			return ErrAmountNotPositive.At("amount")
		case amount > p.AmountMinor:
			return ErrCaptureTooLarge.With("held", p.Amount().String()+" "+string(p.Currency)).At("amount")
		case amount < p.AmountMinor && !can.PartCapture:
			return ErrCannotCapture
		}
		o.Operation, o.OperationMinor = opCapture, &amount
		return nil
	})
}

// StepInput names a payment that somebody takes a step further by hand.
type StepInput struct {
	ID     uuid.UUID
	Reason string // for the audit log and for who looks at the payment's history (S0-15, S0D-13)
	Once   *idempotency.Once
}

// Release gives up what is held, or what the payer has not finished (S0-14, S1-30). Nothing was posted for it, so nothing
// is taken back. The caller is staff with billing.create, or the member whose payment it is. Errors: ErrNotFound,
// ErrNotSubmitter, ErrIllegalTransition, ErrOperationPending, and those of Charge.
func (s *Service) Release(ctx context.Context, in StepInput) (Reply, error) {
	return s.operate(ctx, in, func(p *Payment, o *order) error {
		if by, _ := auth.From(ctx); p.SubmittedBy != by.UserID && !by.Can(auth.BillingCancel) {
			return ErrNotSubmitter
		}
		if p.Status != StatusAuthorized && p.Status != StatusPending {
			return illegal(p, StatusCancelled)
		}
		o.Operation = opRelease
		return nil
	})
}

// operate commits what a provider is to be asked for, with the key and the lease, and asks. prepare says what that is.
func (s *Service) operate(ctx context.Context, in StepInput, prepare func(*Payment, *order) error) (Reply, error) {
	id, once := in.ID, in.Once
	begun, err := idempotency.Look[Reply](ctx, s.db, once)
	switch {
	case err != nil || begun.Answered:
		return begun.Answer, err
	case begun.Subject != uuid.Nil:
		return s.again(ctx, once, id)
	}
	operation := uuid.Must(uuid.NewV7())
	err = tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		if err := idempotency.Begin(ctx, tx, once, operation); err != nil {
			return err
		}
		p, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		o, err := lockOrder(ctx, tx, id)
		if err != nil {
			return err
		}
		if o == nil {
			return illegal(p.Payment, StatusSucceeded)
		}
		now := s.now()
		if o.Operation != noOperation || o.BusyUntil.After(now) {
			return ErrOperationPending
		}
		if err := prepare(p.Payment, o); err != nil {
			return err
		}
		o.OperationID = operation
		o.BusyUntil, o.NextAskAt = now.Add(leaseTime), now.Add(leaseTime)
		if err := o.keep(ctx, tx); err != nil {
			return err
		}
		var h history
		h.note("payment."+string(o.Operation), p.Payment, in.Reason)
		return h.write(ctx, s.outbox)
	})
	switch {
	case errors.Is(err, idempotency.ErrTaken):
		return s.again(ctx, once, id)
	case errors.Is(err, ErrIllegalTransition):
		return Reply{}, s.trace(ctx, id, err)
	case err != nil:
		return Reply{}, idempotency.InProgress(err, once)
	}
	s.at(ctx, pointClaimed)
	reply, err := s.pursue(ctx, id, true)
	if errors.Is(err, errOvertaken) {
		return s.again(ctx, once, id)
	}
	return reply, err
}

// illegal is the refusal of a step that there is not from where the payment is.
func illegal(p *Payment, next Status) error {
	return ErrIllegalTransition.With("from", p.Status).With("to", next)
}

// trace keeps that somebody has asked for a step that there is not (S1-32), in a commit of its own, because the request's is
// rolled back, and gives the refusal.
func (s *Service) trace(ctx context.Context, id uuid.UUID, refusal error) error {
	err := tenancy.InTx(tenancy.AsSystem(ctx, tenancy.ID(ctx), "payments"), s.db, func(ctx context.Context, tx bun.Tx) error {
		p, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		return s.keepAnomaly(ctx, tx, p.Payment, anomalyIllegal, "request", errs.As(refusal).Params)
	})
	return cmp.Or(err, refusal)
}

// Cancel takes back a payment that has not taken money: a claim that is undecided, a payment that its provider or staff
// have not finished, or a hold (S0-14). Errors: ErrNotFound, ErrNotSubmitter, ErrNotPending, ErrIllegalTransition and
// those of Release.
func (s *Service) Cancel(ctx context.Context, in StepInput) (Response, error) {
	id, once := in.ID, in.Once
	begun, err := idempotency.Look[Reply](ctx, s.db, once)
	asked := begun.Subject != uuid.Nil
	if err != nil {
		return Response{}, err
	}
	err = tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		p, err := Get(ctx, tx, id.String())
		if err != nil || asked || p.Status != StatusAuthorized && p.Status != StatusPending {
			return err
		}
		asked, err = tx.NewSelect().Model((*order)(nil)).Where("po.tenant_id = ?", p.TenantID).Where("po.payment_id = ?", id).Where("po.provider_id IS NOT NULL").Exists(ctx)
		return err
	})
	if err != nil {
		return Response{}, err
	}
	if asked {
		reply, err := s.Release(ctx, in)
		switch {
		case err != nil:
		case reply.Code != "":
			err = refusalOf(reply.Code).Carry(reply.Charge)
		case reply.HTTP == http.StatusAccepted: // the provider has not said yet that it is given up
			err = ErrOperationPending
		}
		return reply.Charge.Response, err
	}
	return s.change(ctx, id, once, func(ctx context.Context, tx bun.Tx, p locked) error {
		by, _ := auth.From(ctx)
		if p.SubmittedBy != by.UserID && !by.Can(auth.BillingCancel) {
			return ErrNotSubmitter
		}
		o, err := lockOrder(ctx, tx, id)
		if err != nil {
			return err
		}
		switch {
		case p.Status == StatusPendingApproval:
			invoices.DropClaim(ctx, tx, p.InvoiceID, s.now()) // before the payment changes: see docs/locking.md
		case o == nil && (p.Status == StatusCreated || p.Status == StatusPending):
		case o != nil && p.Status == StatusPending:
			if o.BusyUntil.After(s.now()) {
				return ErrOperationPending
			}
			o.end()
			o.NextAskAt = time.Time{}
			if err := o.keep(ctx, tx); err != nil {
				return err
			}
		default:
			return ErrNotPending
		}
		before := p.state()
		if err := p.move(ctx, StatusCancelled); err != nil {
			return err
		}
		var h history
		h.changed(EventCancelled, "payment.cancel", before, p.Payment, in.Reason)
		return h.write(ctx, s.outbox)
	})
}
