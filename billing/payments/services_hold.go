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
	"countersign/billing/money"
	"countersign/internal/auth"
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
	return s.operate(ctx, StepInput{ID: in.ID, Once: in.Once}, StatusSucceeded, func(p *Payment, o *order) (bool, error) {
		if o == nil || p.Status != StatusAuthorized {
			return false, illegal(p, StatusSucceeded)
		}
		var can gateways.Capabilities
		if g, known := s.gateways.Registry().Get(p.Gateway); known {
			can = g.Capabilities()
		}
		if !can.Capture {
			return false, ErrCannotCapture
		}
		amount := p.AmountMinor
		if in.Amount != nil {
			m, err := in.Amount(p.Currency)
			if err != nil {
				return false, err
			}
			amount = m.Minor
		}
		switch {
		case amount <= 0:
			return false, ErrAmountNotPositive.At("amount")
		case amount > p.AmountMinor:
			return false, ErrCaptureTooLarge.With("held", p.Amount().String()+" "+string(p.Currency)).At("amount")
		case amount < p.AmountMinor && !can.PartCapture:
			return false, ErrCannotCapture
		}
		o.Operation, o.OperationMinor = opCapture, &amount
		return false, nil
	})
}

// StepInput names a payment that somebody takes a step further by hand.
type StepInput struct {
	ID     uuid.UUID
	Reason string // for the audit log and for who looks at the payment's history (S0-15, S0D-13)
	Once   *idempotency.Once
}

// Release gives up what is held, or what the payer has not finished (S0-14, S1-30). Nothing was posted for it, so nothing
// is taken back. The caller is staff with billing.cancel. Errors: ErrNotFound, ErrIllegalTransition, ErrOperationPending, and
// those of Charge.
func (s *Service) Release(ctx context.Context, in StepInput) (Reply, error) {
	return s.operate(ctx, in, StatusCancelled, func(p *Payment, o *order) (bool, error) {
		if o == nil {
			return false, illegal(p, StatusCancelled)
		}
		return s.release(ctx, p, o)
	})
}

// release says that a payment which a provider knows is to be released there. What no provider can release, or has never been
// told of, is given up here: true.
func (s *Service) release(ctx context.Context, p *Payment, o *order) (here bool, err error) {
	if err := mayWithdraw(ctx, p); err != nil {
		return false, err
	}
	var can gateways.Capabilities
	if g, known := s.gateways.Registry().Get(p.Gateway); known {
		can = g.Capabilities()
	}
	switch p.Status {
	case StatusCreated, StatusPending:
		if !can.Release || !can.FetchStatus && o.ProviderID == "" {
			return true, nil
		}
	case StatusAuthorized:
	default:
		return false, illegal(p, StatusCancelled)
	}
	o.end()
	o.Operation = opRelease
	return false, nil
}

// mayWithdraw says why who acts in ctx may not take a payment back. With billing.cancel he may take any, and without it his own as
// long as nobody has decided about it (model.md 5.8): what a provider holds for the tenant is not its payer's any more.
func mayWithdraw(ctx context.Context, p *Payment) error {
	by, _ := auth.From(ctx)
	switch {
	case by.Can(auth.BillingCancel):
		return nil
	case p.SubmittedBy != by.UserID:
		return ErrNotSubmitter
	case p.Status == StatusAuthorized:
		return auth.ErrForbidden.With("permission", auth.BillingCancel)
	}
	return nil
}

// Cancel takes back a payment that has not taken money: a claim that is undecided, a payment that its provider or staff
// have not finished, or a hold (S0-14). Errors: ErrNotFound, ErrNotSubmitter, ErrNotPending, ErrIllegalTransition,
// ErrOperationPending while the provider is asked for it, and those of Release.
func (s *Service) Cancel(ctx context.Context, in StepInput) (Response, error) {
	reply, err := s.operate(ctx, in, StatusCancelled, func(p *Payment, o *order) (bool, error) {
		err := mayWithdraw(ctx, p)
		switch {
		case err != nil:
			return false, err
		case p.Status == StatusPendingApproval, o == nil && (p.Status == StatusCreated || p.Status == StatusPending):
			return true, nil
		case o != nil && (p.Status == StatusCreated || p.Status == StatusPending || p.Status == StatusAuthorized):
			return s.release(ctx, p, o)
		default:
			return false, ErrNotPending
		}
	})
	switch {
	case err != nil:
	case reply.Code != "":
		err = refusalOf(reply.Code).Carry(reply.Charge)
	case reply.HTTP == http.StatusAccepted: // the provider has not said yet that it is given up
		err = ErrOperationPending
	}
	return reply.Charge.Response, err
}

// operate commits what a provider is to be asked for, with the key and the lease, and asks. prepare says what that is, of a
// payment and its order that are locked, nil when no provider is asked for the payment; true: nobody is to be asked, and the
// payment is taken back at once. to is where the payment would come, for the trace of who asks for what is impossible.
func (s *Service) operate(ctx context.Context, in StepInput, to Status, prepare func(*Payment, *order) (bool, error)) (Reply, error) {
	id, once := in.ID, in.Once
	begun, err := idempotency.Look[Reply](ctx, s.db, once)
	switch {
	case err != nil || begun.Answered:
		return begun.Answer, err
	case begun.Subject != uuid.Nil:
		return s.again(ctx, once, id)
	}
	operation := uuid.Must(uuid.NewV7())
	var reply Reply
	var here, unsure bool
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
		now := s.now()
		unsure = p.Status == StatusCreated // its beginning may have arrived, or not
		if o != nil && (o.BusyUntil.After(now) || o.Operation != noOperation && !(unsure && to == StatusCancelled)) {
			return ErrOperationPending
		}
		if here, err = prepare(p.Payment, o); err != nil {
			return err
		}
		if here {
			reply, err = s.withdrawHere(ctx, tx, p, o, operation, in.Reason)
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
	case err != nil:
		return Reply{}, idempotency.InProgress(s.traced(ctx, id, to, err), once)
	case here:
		return reply, nil
	}
	s.at(ctx, pointClaimed)
	reply, err = s.pursue(ctx, id, !unsure)
	if errors.Is(err, errOvertaken) {
		return s.again(ctx, once, id)
	}
	return reply, err
}

// withdrawHere takes back a payment of which no provider knows, and stores the answer for operation.
func (s *Service) withdrawHere(ctx context.Context, tx bun.Tx, p locked, o *order, operation uuid.UUID, reason string) (Reply, error) {
	if err := s.withdraw(ctx, tx, p, reason); err != nil {
		return Reply{}, err
	}
	ordered := o != nil
	if !ordered {
		o = &order{}
	}
	o.Operation, o.OperationID, o.OperationMinor = opRelease, operation, nil
	reply, err := s.answer(ctx, tx, p, o, "", true)
	if err != nil || !ordered {
		return reply, err
	}
	o.BusyUntil, o.NextAskAt = time.Time{}, time.Time{}
	return reply, o.keep(ctx, tx)
}

// withdraw cancels a payment that has brought nothing, and tells of it.
func (s *Service) withdraw(ctx context.Context, tx bun.Tx, p locked, reason string) error {
	before := p.state()
	if err := s.end(ctx, tx, p, StatusCancelled); err != nil {
		return err
	}
	var h history
	h.changed(EventCancelled, "payment.cancel", before, p.Payment, reason)
	return h.write(ctx, s.outbox)
}

// illegal is the refusal of a step that there is not from where the payment is.
func illegal(p *Payment, next Status) error {
	return ErrIllegalTransition.With("from", p.Status).With("to", next)
}

// traced keeps that who acts in ctx has asked for a step to a status to which there is none from where the payment is (S1-32),
// when that is what err says. It has a commit of its own, because the request's is rolled back, and gives err back.
func (s *Service) traced(ctx context.Context, id uuid.UUID, to Status, err error) error {
	if !errors.Is(err, ErrIllegalTransition) && !errors.Is(err, ErrNotPending) && !errors.Is(err, ErrNotRefundable) {
		return err
	}
	who := sign(ctx)
	refusal := err
	err = tenancy.InTx(tenancy.AsSystem(ctx, tenancy.ID(ctx), "payments"), s.db, func(ctx context.Context, tx bun.Tx) error {
		p, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		if errors.Is(refusal, ErrNotRefundable) && p.Status.CanBecome(to) { // the state allows it, and nothing is left
			return nil
		}
		return s.keepAnomaly(who.as(ctx), tx, p.Payment, anomalyIllegal, "request", map[string]any{"from": p.Status, "to": to, "actor": who.by.UserID})
	})
	return cmp.Or(err, refusal)
}
