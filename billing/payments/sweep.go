package payments

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/gateways"
	"countersign/internal/apps"
	"countersign/tenancy"
)

// sweepSize is how many that are due are brought on before it is looked again which are.
const sweepSize = 50

// askDoorbell asks providers where orders stand that have not come to their end (S0D-21).
func (s *Service) askDoorbell() apps.Doorbell {
	return apps.Doorbell{Name: "payments.ask", Timeout: 5 * time.Minute, Waiting: tenancy.Due("payment_orders", "next_ask_at"), Run: s.AskAgain}
}

// AskAgain looks up what is due in the tenant of ctx, one order after the other, until nothing is: each minute in an order's
// first quarter of an hour, then every five minutes, after two hours each hour, and after two days each day. It only looks,
// and begins nothing anew; what a provider has never heard of has failed, and who repeats his request with the same key is
// told so.
func (s *Service) AskAgain(ctx context.Context) error {
	due := func(tx bun.Tx, now time.Time) *bun.SelectQuery {
		return tx.NewSelect().Model((*order)(nil)).ColumnExpr("po.payment_id AS id").Where("po.tenant_id = ?", tenancy.ID(ctx)).Where("po.next_ask_at <= ?", now).
			Where("coalesce(po.busy_until, '-infinity') <= ?", now).OrderExpr("po.next_ask_at, po.payment_id")
	}
	return s.eachDue(ctx, "payment", due, s.take, s.lookUp, s.postpone)
}

// eachDue brings on, one after the other until nothing is due, what the sweeper gets the lease of. What cannot be brought on
// waits for its next time, and holds back no other.
func (s *Service) eachDue(ctx context.Context, what string, due func(bun.Tx, time.Time) *bun.SelectQuery, take func(context.Context, uuid.UUID) (bool, error),
	bring, postpone func(context.Context, uuid.UUID) error) error {
	for {
		var ids []uuid.UUID
		now := s.now()
		err := tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
			ids = nil
			return due(tx, now).Limit(sweepSize).Scan(ctx, &ids)
		})
		if err != nil {
			return fmt.Errorf("read which %ss to ask for: %w", what, err)
		}
		for _, id := range ids {
			taken, err := take(ctx, id)
			if err == nil && taken {
				err = bring(ctx, id)
			}
			if err == nil {
				continue
			}
			if ctx.Err() != nil {
				return err
			}
			slog.ErrorContext(ctx, "a "+what+" cannot be looked up at its provider", what+"_id", id, "error", err)
			if err := postpone(ctx, id); err != nil {
				return err
			}
		}
		if len(ids) < sweepSize {
			return nil
		}
	}
}

// inItsTime leaves out what is no error of a sweep: who was not reached is asked again, and what somebody else has brought to
// its end is done.
func inItsTime(err error) error {
	if errors.Is(err, ErrGatewayUnavailable) || errors.Is(err, ErrGatewayMisconfigured) || errors.Is(err, errOvertaken) {
		return nil
	}
	return err
}

// lookUp asks for one order, whose lease the caller has. Who cannot be asked is called again with the same key. That a
// provider is not reached is no error here: it is asked again in its time.
func (s *Service) lookUp(ctx context.Context, id uuid.UUID) error {
	ctx, cancel := asSystem(ctx, "payments.ask")
	defer cancel()
	p, o, err := s.atProvider(ctx, id)
	if err != nil {
		return err
	}
	ctx = gateways.InNameOf(ctx, o.TenantID, o.Name)
	a, failure := s.gateways.Reopen(ctx, o.Name)
	if failure != nil {
		failure = errors.Join(gateways.ErrConfiguration, failure)
	}
	var said gateways.Result
	switch {
	case failure != nil:
	case a.Gateway.Capabilities().FetchStatus:
		said, failure = whereItStands(ctx, a, p.ID, o)
	default:
		said, _, failure = s.ask(ctx, a, p, o, true)
	}
	if failure == nil && p.Status == StatusPending && said.State == gateways.StateAwaitingCustomer && s.overdue(o) && a.Gateway.Capabilities().Release {
		if said, failure, err = s.withdrawOrder(ctx, a, p, o, said); err != nil {
			return err
		}
	}
	_, err = s.conclude(ctx, o, said, failure, sourceSweep)
	return inItsTime(err)
}

// withdrawOrder has a provider give up an order that is about to be given up here: whoever pays it afterwards would have paid for nothing. was
// is where it stands, and stays so when the provider has done it. When it will not, it is asked once more where the order stands, since the payer
// may just have paid; what else it says is news. failure is the provider's, and err ours: then it was not asked.
func (s *Service) withdrawOrder(ctx context.Context, a gateways.Access, p *Payment, o *order, was gateways.Result) (said gateways.Result, failure, err error) {
	var doubtful bool
	err = tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		doubtful, err = doubted(ctx, tx, p)
		return err
	})
	if err != nil || doubtful {
		return was, nil, err
	}
	said, failure = attempt(ctx, func() (gateways.Result, error) {
		return a.Gateway.Release(ctx, a.Credentials, gateways.Operation{Key: "expire-" + p.ID.String(), OrderID: p.ID, Reference: o.ProviderID, Amount: p.Amount()})
	})
	switch {
	case failure == nil && said.State == gateways.StateCancelled:
		return was, nil, nil
	case errors.Is(failure, gateways.ErrRefused), errors.Is(failure, gateways.ErrUnsupported):
		said, failure = whereItStands(ctx, a, p.ID, o)
	}
	if failure == nil && said.State == gateways.StateUnknown {
		failure = gateways.ErrUnknown
	}
	return said, failure, nil
}

// doubted says that something was said of a payment that may mean money: it waits for a person, and is not given up.
func doubted(ctx context.Context, tx bun.Tx, p *Payment) (bool, error) {
	open, err := tx.NewSelect().Model((*Anomaly)(nil)).Where("pa.tenant_id = ?", p.TenantID).Where("pa.payment_id = ?", p.ID).Where("pa.resolved_at IS NULL").
		Where("pa.kind NOT IN (?, ?)", anomalyIllegal, anomalyUnanswered).Exists(ctx)
	if err != nil {
		return false, fmt.Errorf("look for open anomalies of payment %s: %w", p.ID, err)
	}
	return open, nil
}

// overdue says that an order has come to no end in its time.
func (s *Service) overdue(o *order) bool { return s.now().Sub(o.CreatedAt) >= askFor }

// postpone has an order that could not be looked up wait like one that has no news. ctx is the system's.
func (s *Service) postpone(ctx context.Context, id uuid.UUID) error {
	return tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		o, err := lockOrder(ctx, tx, id)
		if err != nil || o == nil {
			return err
		}
		o.Asked++
		o.BusyUntil = time.Time{}
		o.schedule(StatusProcessing, s.now(), true)
		return o.keep(ctx, tx)
	})
}

// atProvider reads a payment and what its provider was asked.
func (s *Service) atProvider(ctx context.Context, id uuid.UUID) (p *Payment, o *order, err error) {
	err = tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		if p, err = Get(ctx, tx, id.String()); err != nil {
			return err
		}
		o = &order{}
		return tx.NewSelect().Model(o).Where("po.tenant_id = ?", p.TenantID).Where("po.payment_id = ?", id).Scan(ctx)
	})
	return p, o, err
}

// giveUp ends what has come to no end within two days, when its provider has just been heard, unless something was said of it
// that may mean money: that waits for a person. When the provider does not answer, people are told, once.
func (s *Service) giveUp(ctx context.Context, tx bun.Tx, p locked, o *order, heard bool) error {
	next := StatusExpired
	switch p.Status {
	case StatusCreated, StatusPending:
	case StatusProcessing:
		next = StatusFailed
	default:
		return nil
	}
	if !s.overdue(o) {
		return nil
	}
	if !heard {
		return s.keepAnomaly(ctx, tx, p.Payment, anomalyUnanswered, sourceSweep, map[string]any{"status": p.Status})
	}
	if doubtful, err := doubted(ctx, tx, p.Payment); err != nil || doubtful {
		return err
	}
	before := p.state()
	p.FailureCode = "no_outcome"
	ctx = tenancy.AsSystem(ctx, p.TenantID, "payments.ask") // it is us who give up, and not the provider
	if err := s.end(ctx, tx, p, next); err != nil {
		return err
	}
	var h history
	h.changed(eventOf(next), "payment."+sourceSweep, before, p.Payment, "")
	return h.write(ctx, s.outbox)
}
