package payments

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/gateways"
	"countersign/billing/money"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/tenancy"
)

// The points between a key that is claimed and an answer that is given, as docs/idempotency.md numbers them.
const (
	pointClaimed  = "1 claimed"  // the intention is committed, nobody was asked
	pointAsked    = "2 asked"    // the provider has answered, nothing is written
	pointWritten  = "3 written"  // the outcome is written and not committed
	pointAnswered = "4 answered" // it is committed, and the caller does not know yet
)

// pause lets a test stop at a point.
func (s *Service) at(ctx context.Context, point string) {
	if s.pause != nil {
		s.pause(ctx, point)
	}
}

const (
	askAttempts  = 3
	firstBackoff = 100 * time.Millisecond
	maxWait      = 20 * time.Second // for the answer to the same request that somebody else asks for
	firstPoll    = 20 * time.Millisecond
	slowestPoll  = 500 * time.Millisecond
)

// asSystem is who writes what a provider has said: neither its payer nor the staff that asked for it. What was begun is
// brought to its end even when its caller has gone.
func asSystem(ctx context.Context, name string) (context.Context, context.CancelFunc) {
	ctx = tenancy.AsSystem(context.WithoutCancel(ctx), tenancy.ID(ctx), name)
	return context.WithTimeout(ctx, callTime)
}

// pursue asks the provider what is to be asked for a payment, and writes what comes of it. The caller has the lease. A
// first attempt asks at once; a later one looks first whether an earlier one has arrived.
func (s *Service) pursue(ctx context.Context, id uuid.UUID, first bool) (Reply, error) {
	ctx, cancel := asSystem(ctx, "payments.ask")
	defer cancel()
	p, o, err := s.atProvider(ctx, id)
	if err != nil {
		return Reply{}, err
	}
	ctx = gateways.InNameOf(ctx, o.TenantID, o.Name)
	a, err := s.gateways.Reopen(ctx, o.Name)
	if err != nil {
		return s.conclude(ctx, o, gateways.Result{}, errors.Join(gateways.ErrConfiguration, err), sourceAnswer)
	}
	said, source, err := s.ask(ctx, a, p, o, first)
	s.at(ctx, pointAsked)
	return s.conclude(ctx, o, said, err, source)
}

// Who has said what a payment has become.
const (
	sourceAnswer   = "answer"   // the provider's, to what it was asked to do
	sourceStatus   = "status"   // its answer to where the order stands
	sourceSweep    = "sweep"    // the same, and nobody is there who would ask anew
	sourceCallback = "callback" // the provider, by itself
)

// ask makes the calls.
func (s *Service) ask(ctx context.Context, a gateways.Access, p *Payment, o *order, first bool) (gateways.Result, string, error) {
	var doubtful bool
	if !first && a.Gateway.Capabilities().FetchStatus {
		said, err := whereItStands(ctx, a, p.ID, o)
		doubtful = s.beginsAgain(o, said.State)
		if err != nil || !o.unheard(said.State) && !doubtful {
			return said, sourceStatus, err
		}
	}
	begin, err := s.toBegin(ctx, p, o)
	if err != nil {
		return gateways.Result{}, sourceAnswer, err
	}
	said, err := attempt(ctx, func() (gateways.Result, error) {
		switch o.Operation {
		case opBegin:
			return a.Gateway.Begin(ctx, a.Credentials, begin)
		case opCapture:
			return a.Gateway.Capture(ctx, a.Credentials, gateways.Operation{Key: o.OperationID.String(), OrderID: p.ID, Reference: o.ProviderID, Amount: money.New(*o.OperationMinor, p.Currency)})
		case opRelease:
			return a.Gateway.Release(ctx, a.Credentials, gateways.Operation{Key: o.OperationID.String(), OrderID: p.ID, Reference: o.ProviderID, Amount: p.Amount()})
		default:
			return gateways.Result{State: gateways.StateUnknown}, nil
		}
	})
	if doubtful && errors.Is(err, gateways.ErrRefused) { // perhaps because the first has arrived, and was not the same to the letter
		return gateways.Result{State: gateways.StateUnknown}, sourceStatus, nil
	}
	return said, sourceAnswer, err
}

// whereItStands asks a provider where the order of a payment stands. That it refuses to say is no refusal of anything that it was asked to do: what
// became of that is not known.
func whereItStands(ctx context.Context, a gateways.Access, payment uuid.UUID, o *order) (gateways.Result, error) {
	said, err := attempt(ctx, func() (gateways.Result, error) {
		return a.Gateway.FetchStatus(ctx, a.Credentials, gateways.Query{OrderID: payment, Reference: o.ProviderID})
	})
	if errors.Is(err, gateways.ErrRefused) || errors.Is(err, gateways.ErrUnsupported) {
		return said, fmt.Errorf("%w: it does not say where the payment stands: %v", gateways.ErrUnknown, err)
	}
	return said, err
}

// unheard says that the state is as if the operation had never reached the provider.
func (o *order) unheard(state gateways.State) bool {
	switch o.Operation {
	case opBegin:
		return state == gateways.StateNone
	case opCapture:
		return state == gateways.StateAuthorised
	case opRelease:
		return state == gateways.StateAuthorised || state == gateways.StateAwaitingCustomer || state == gateways.StateProcessing
	}
	return false
}

// beginsAgain says that a provider which cannot tell yet whether it has heard of an order is asked for it once more: as long as
// it surely knows keys, that has no second effect, and its answer is what has become of the first.
func (s *Service) beginsAgain(o *order, state gateways.State) bool {
	return o.Operation == opBegin && state == gateways.StateUnknown && s.now().Sub(o.CreatedAt) <= keysAreKnown
}

// attempt makes a call up to three times as long as it has not arrived, with growing pauses (S0D-20).
func attempt(ctx context.Context, call func() (gateways.Result, error)) (said gateways.Result, err error) {
	for n, pause := 1, firstBackoff; ; n, pause = n+1, pause*4 {
		if said, err = call(); n == askAttempts || !errors.Is(err, gateways.ErrTransient) {
			return said, err
		}
		select {
		case <-ctx.Done():
			return said, err
		case <-time.After(pause + rand.N(pause)):
		}
	}
}

// conclude writes what came of asking, with the answer to whoever began it, in one commit, and gives the lease back. What is
// not known yet is answered 202 and stored nowhere: the same key tells the truth as soon as it is known. held is the order as
// it was when its provider was asked. Somebody else may have brought the operation to its end meanwhile, or have the lease,
// because it took too long: then the provider's word counts like a callback, the operation is not touched, and errOvertaken
// says that its answer is somebody else's to give.
func (s *Service) conclude(ctx context.Context, held *order, said gateways.Result, failure error, source string) (Reply, error) {
	var reply Reply
	var after error
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		p, err := lock(ctx, tx, held.PaymentID)
		if err != nil {
			return err
		}
		o, err := lockOrder(ctx, tx, held.PaymentID)
		if err != nil {
			return err
		}
		mine := o.BusyUntil.Equal(held.BusyUntil)
		if mine {
			o.BusyUntil = time.Time{}
		}
		if !mine || o.OperationID != held.OperationID {
			after = errOvertaken
			if failure != nil || said.State == gateways.StateUnknown || said.State == gateways.StateNone {
				return o.keep(ctx, tx)
			}
			return s.believe(ctx, tx, p, o, said, source)
		}
		reply, after, err = s.finish(ctx, tx, p, o, said, failure, source)
		return err
	})
	if err == nil {
		s.at(ctx, pointAnswered)
		err = after
	}
	return reply, err
}

// finish writes what came of asking for an operation that is still the caller's. unreachable is for who has asked.
func (s *Service) finish(ctx context.Context, tx bun.Tx, p locked, o *order, said gateways.Result, failure error, source string) (reply Reply, unreachable, err error) {
	refused, asked, before := errs.Error{}, o.Operation, p.Status
	switch {
	case failure == nil && source == sourceSweep && o.unheard(said.State):
		refused = *ErrNeverReached
		err = s.fail(ctx, tx, p, o, refused.Code, source)
	case failure == nil && o.Operation == opRelease && said.State == gateways.StateNone && (p.Status == StatusCreated || p.Status == StatusPending):
		err = s.withdraw(ctx, tx, p, "")
	case failure == nil:
		err = s.apply(ctx, tx, p, o, said, source)
	case errors.Is(failure, gateways.ErrRefused), errors.Is(failure, gateways.ErrUnsupported):
		refused = *ErrGatewayRefused
		err = s.fail(ctx, tx, p, o, refused.Code, source)
	case errors.Is(failure, gateways.ErrConfiguration):
		unreachable = ErrGatewayMisconfigured.Because(failure)
		if source == sourceAnswer {
			err = s.alarm(ctx, p)
		}
	case errors.Is(failure, gateways.ErrTransient):
		unreachable = ErrGatewayUnavailable.Because(failure)
	default: // it may have happened
		slog.WarnContext(ctx, "the outcome of a payment is not known", "payment_id", p.ID, "error", failure)
		err = s.apply(ctx, tx, p, o, gateways.Result{State: gateways.StateUnknown}, source)
	}
	if err == nil && source == sourceSweep && p.Status == before { // or there is news
		err = s.giveUp(ctx, tx, p, o, failure == nil)
	}
	if err != nil {
		return reply, nil, err
	}
	definite := failure == nil && said.State != gateways.StateUnknown && said.State != gateways.StateNone
	if reply, err = s.answer(ctx, tx, p, o, refused.Code, definite); err != nil {
		return reply, nil, err
	}
	if source != sourceAnswer {
		o.Asked++
	}
	o.schedule(p.Status, s.now(), s.asks(p.Payment))
	if asked == opBegin && p.Status == StatusCreated && source != sourceSweep { // soon, for the case that its caller does not come again
		o.NextAskAt = s.now().Add(leaseTime)
	}
	if err := o.keep(ctx, tx); err != nil {
		return reply, nil, err
	}
	s.at(ctx, pointWritten)
	return reply, unreachable, nil
}

// believe applies what a provider has said without being asked by the caller, and writes the order.
func (s *Service) believe(ctx context.Context, tx bun.Tx, p locked, o *order, said gateways.Result, source string) error {
	if err := s.apply(ctx, tx, p, o, said, source); err != nil {
		return err
	}
	if _, err := s.answer(ctx, tx, p, o, "", !o.unheard(said.State)); err != nil {
		return err
	}
	o.schedule(p.Status, s.now(), s.asks(p.Payment))
	return o.keep(ctx, tx)
}

// errOvertaken means that the operation was answered, or taken over, while its provider was still asked.
var errOvertaken = errors.New("the operation is somebody else's by now")

// fail ends a payment that the provider has refused to begin, or has never heard of. When that is so of a capture or a
// release the payment stays as it is.
func (s *Service) fail(ctx context.Context, tx bun.Tx, p locked, o *order, code, source string) error {
	if o.Operation != opBegin {
		return nil
	}
	before := p.state()
	p.FailureCode = code
	if err := s.end(ctx, tx, p, StatusFailed); err != nil {
		return err
	}
	var h history
	h.changed(EventFailed, "payment."+source, before, p.Payment, "")
	return h.write(ctx, s.outbox)
}

// asks says whether the gateway of a payment can be asked where it stands.
func (s *Service) asks(p *Payment) bool {
	g, known := s.gateways.Registry().Get(p.Gateway)
	return known && g.Capabilities().FetchStatus
}

// alarm tells the tenant's staff that a gateway does not accept the configuration.
func (s *Service) alarm(ctx context.Context, p locked) error {
	slog.ErrorContext(ctx, "a gateway does not accept the tenant's configuration", "payment_id", p.ID, "gateway", p.Gateway)
	var h history
	h.event(EventGatewayAlarm, p.Payment, snapshot(p.Payment))
	h.events[0].AccountID = uuid.Nil
	return h.write(ctx, s.outbox)
}

// resumption is what a request that was made before goes on with: the same for payments and for refunds.
type resumption[R any] struct {
	take     func(context.Context) (bool, error) // the lease, if nobody has it
	giveBack func(context.Context) error
	pursue   func(context.Context) (R, error)
}

// again gives the answer to a request that was made before: the stored one, or what comes of going on with it when nobody
// else does. Somebody else's answer is waited for, and in the end not any longer: idempotency.ErrInProgress (S1-45).
func again[R any](ctx context.Context, s *Service, once *idempotency.Once, o resumption[R]) (answer R, err error) {
	until := time.Now().Add(maxWait)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-5*time.Second).Before(until) {
		until = deadline.Add(-5 * time.Second)
	}
	for pause := firstPoll; ; pause = min(pause*2, slowestPoll) {
		begun, err := idempotency.Look[R](ctx, s.db, once)
		if err != nil || begun.Answered {
			return begun.Answer, err
		}
		system, cancel := asSystem(ctx, "payments.ask")
		taken, err := o.take(system)
		cancel()
		if err != nil {
			return answer, err
		}
		if taken { // or the answer was stored between the two looks
			if begun, err = idempotency.Look[R](ctx, s.db, once); err != nil || begun.Answered {
				return begun.Answer, errors.Join(err, o.giveBack(ctx))
			}
			if reply, err := o.pursue(ctx); !errors.Is(err, errOvertaken) {
				return reply, err
			}
			continue
		}
		if time.Now().Add(pause).After(until) {
			return answer, idempotency.ErrInProgress
		}
		select {
		case <-ctx.Done():
			return answer, idempotency.ErrInProgress.Because(ctx.Err())
		case <-time.After(pause):
		}
	}
}

// again goes on with what is asked for a payment.
func (s *Service) again(ctx context.Context, once *idempotency.Once, payment uuid.UUID) (Reply, error) {
	return again(ctx, s, once, resumption[Reply]{
		take:     func(ctx context.Context) (bool, error) { return s.take(ctx, payment) },
		giveBack: func(ctx context.Context) error { return s.giveBack(ctx, payment) },
		pursue:   func(ctx context.Context) (Reply, error) { return s.pursue(ctx, payment, false) },
	})
}
