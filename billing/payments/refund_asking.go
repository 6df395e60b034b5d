package payments

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/gateways"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/internal/apps"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/tenancy"
)

// refundDoorbell has providers asked for refunds that somebody has approved, and for those whose outcome is not known.
func (s *Service) refundDoorbell() apps.Doorbell {
	return apps.Doorbell{Name: "payments.refund", On: []string{EventRefundApproved}, Timeout: 5 * time.Minute, Waiting: tenancy.Due("refunds", "next_ask_at"), Run: s.ResumeRefunds}
}

// ResumeRefunds asks providers for what is due in the tenant of ctx, which is a program's, until nothing is: what was
// approved at once, and what is not known each minute at first, and each hour in the end.
func (s *Service) ResumeRefunds(ctx context.Context) error {
	due := func(tx bun.Tx, now time.Time) *bun.SelectQuery {
		return tx.NewSelect().Model((*Refund)(nil)).Column("id").Where("rf.tenant_id = ?", tenancy.ID(ctx)).Where("rf.next_ask_at <= ?", now).
			Where("coalesce(rf.busy_until, '-infinity') <= ?", now).OrderExpr("rf.next_ask_at, rf.id")
	}
	bring := func(ctx context.Context, id uuid.UUID) error {
		_, err := s.pursueRefund(ctx, id)
		return inItsTime(err)
	}
	return s.eachDue(ctx, "refund", due, s.takeRefund, bring, s.giveBackRefund)
}

// takeRefund gets the lease of a refund if nobody else has it. ctx is the system's.
func (s *Service) takeRefund(ctx context.Context, id uuid.UUID) (taken bool, err error) {
	now := s.now()
	err = tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		res, err := tx.NewUpdate().Model((*Refund)(nil)).Set("busy_until = ?", now.Add(leaseTime)).Where("rf.tenant_id = ? AND rf.id = ?", tenancy.ID(ctx), id).
			Where("rf.status = ? AND rf.mode = ?", RefundPending, gateways.RefundByAPI).Where("coalesce(rf.busy_until, '-infinity') <= ?", now).Exec(ctx)
		if err != nil {
			return fmt.Errorf("take refund %s: %w", id, err)
		}
		n, err := res.RowsAffected()
		taken = n == 1
		return err
	})
	return taken, err
}

// giveBackRefund gives up a lease without having asked anybody. The worker asks in an hour, if nobody else does.
func (s *Service) giveBackRefund(ctx context.Context, id uuid.UUID) error {
	ctx, cancel := asSystem(ctx, "payments.refund")
	defer cancel()
	return tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*Refund)(nil)).Set("busy_until = NULL").Set("next_ask_at = ?", s.now().Add(time.Hour)).
			Where("rf.tenant_id = ? AND rf.id = ?", tenancy.ID(ctx), id).Where("rf.status = ? AND rf.mode = ?", RefundPending, gateways.RefundByAPI).Exec(ctx)
		if err != nil {
			return fmt.Errorf("give back refund %s: %w", id, err)
		}
		return nil
	})
}

// refundAgain goes on with a refund.
func (s *Service) refundAgain(ctx context.Context, once *idempotency.Once, id uuid.UUID) (RefundReply, error) {
	return again(ctx, s, once, resumption[RefundReply]{
		take:     func(ctx context.Context) (bool, error) { return s.takeRefund(ctx, id) },
		giveBack: func(ctx context.Context) error { return s.giveBackRefund(ctx, id) },
		pursue:   func(ctx context.Context) (RefundReply, error) { return s.pursueRefund(ctx, id) },
	})
}

// atProviderOf reads what a payment's provider was asked into o; false when there is none.
func atProviderOf(ctx context.Context, tx bun.Tx, payment uuid.UUID, o *order) (bool, error) {
	err := tx.NewSelect().Model(o).Where("po.tenant_id = ?", tenancy.ID(ctx)).Where("po.payment_id = ?", payment).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the order of payment %s: %w", payment, err)
	}
	return true, nil
}

// pursueRefund asks the provider for a refund, and writes what comes of it. The caller has the lease.
func (s *Service) pursueRefund(ctx context.Context, id uuid.UUID) (RefundReply, error) {
	ctx, cancel := asSystem(ctx, "payments.refund")
	defer cancel()
	var r *Refund
	o, now := &order{}, time.Time{}
	err := tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		if r, err = getRefund(ctx, tx, id); err != nil {
			return err
		}
		if _, err = atProviderOf(ctx, tx, r.PaymentID, o); err != nil {
			return err
		}
		return tx.NewRaw("SELECT clock_timestamp()").Scan(ctx, &now)
	})
	if err != nil {
		return RefundReply{}, err
	}
	ctx = gateways.InNameOf(ctx, r.TenantID, o.Name)
	a, err := s.gateways.Reopen(ctx, o.Name)
	if err != nil {
		return s.concludeRefund(ctx, r, gateways.Result{}, errors.Join(gateways.ErrConfiguration, err))
	}
	said, failure, err := s.askForRefund(ctx, a, o, r, now)
	if err != nil {
		return RefundReply{}, err
	}
	s.at(ctx, pointAsked)
	return s.concludeRefund(ctx, r, said, failure)
}

// keysAreKnown is how long every provider surely knows a key, and pays once however often it is asked; Stripe forgets them
// after a day.
const keysAreKnown = 20 * time.Hour

// askForRefund calls the provider, with the refund's id as the key. Before it is called for the first time it is asked what it has given back
// until then, since somebody may refund in its cabinet as well. Before it is called again it is asked once more, because an earlier call may
// have arrived (S0-92). Only its answer to the call itself can refuse the refund.
// now is before the provider is asked for anything, on the database's clock. failure is the provider's, and err ours: then it was not asked.
func (s *Service) askForRefund(ctx context.Context, a gateways.Access, o *order, r *Refund, now time.Time) (said gateways.Result, failure, err error) {
	var given *int64 // back of the payment; nil: the provider does not say
	if a.Gateway.Capabilities().FetchStatus {
		if said, failure = whereItStands(ctx, a, r.PaymentID, o); failure != nil {
			return said, r.unasked(failure), nil
		}
		if said.Refunded.Currency == r.Currency {
			given = &said.Refunded.Minor
		}
	}
	if r.AskedAt.IsZero() {
		if mine, err := r.ask(ctx, s.db, now, given); err != nil || !mine {
			return said, gateways.ErrUnknown, err
		}
	} else if paid, doubt, err := s.arrived(ctx, r, given); paid || doubt != nil || err != nil {
		return said, doubt, err
	}
	said, failure = attempt(ctx, func() (gateways.Result, error) {
		return a.Gateway.Refund(ctx, a.Credentials, gateways.Operation{Key: r.ID.String(), OrderID: r.PaymentID, Reference: o.ProviderID, Amount: r.Amount(), Reason: string(r.Reason)})
	})
	return said, failure, nil
}

// unasked is what it means for the refund that its provider did not say where the payment stands. As long as it was never asked for the refund
// nothing has happened.
func (r *Refund) unasked(failure error) error {
	if r.AskedAt.IsZero() && !errors.Is(failure, gateways.ErrConfiguration) {
		return fmt.Errorf("%w: it was not asked for the refund: %v", gateways.ErrTransient, failure)
	}
	return failure
}

// arrived says whether an earlier call for r has, given what its provider has given back of the payment: it has not when too little of that is
// new, and it has when all that we have asked for since is. Between the two, and when something that was given back has come back meanwhile, which
// not every provider takes off, the same key makes sure of it while the provider remembers keys. Afterwards there is a doubt: it stays unknown, and is
// asked again later, rather than paid twice.
func (s *Service) arrived(ctx context.Context, r *Refund, given *int64) (paid bool, doubt, err error) {
	forgotten := s.now().Sub(r.AskedAt) > keysAreKnown
	if given == nil || r.AskedMinor == nil {
		if forgotten {
			doubt = fmt.Errorf("%w: the provider does not say what it has refunded", gateways.ErrUnknown)
		}
		return false, doubt, nil
	}
	since, back, err := r.askedSince(ctx, s.db)
	if err != nil {
		return false, nil, err
	}
	least := *r.AskedMinor + r.AmountMinor
	if *given >= least+since {
		return true, nil, nil
	}
	if forgotten && (*given >= least || *given < *r.AskedMinor || back) {
		doubt = fmt.Errorf("%w: %d are refunded, %d of them before, %d were asked for since, and some have come back: %t", gateways.ErrUnknown, *given, *r.AskedMinor, r.AmountMinor+since, back)
	}
	return false, doubt, nil
}

// ask notes that the provider is about to be asked for a refund for the first time, and what it has given back of the payment until then.
// It is not, when somebody else has the lease by now.
func (r *Refund) ask(ctx context.Context, db *bun.DB, now time.Time, given *int64) (mine bool, err error) {
	err = tenancy.InTx(ctx, db, func(ctx context.Context, tx bun.Tx) error {
		res, err := tx.NewUpdate().Model((*Refund)(nil)).Set("asked_at = ?", now).Set("asked_minor = ?", given).Where("rf.tenant_id = ? AND rf.id = ?", r.TenantID, r.ID).
			Where("rf.status = ? AND rf.asked_at IS NULL AND rf.busy_until = ?", RefundPending, r.BusyUntil).Exec(ctx)
		if err != nil {
			return fmt.Errorf("note that a provider is asked for refund %s: %w", r.ID, err)
		}
		n, err := res.RowsAffected()
		mine = n == 1
		return err
	})
	return mine, err
}

// askedSince sums the other refunds of the payment that its provider may have paid since it was first asked for r: those under way, and those
// that were booked since, also when they were reversed later. back says that one of the payment's was reversed since, or has failed after all.
func (r *Refund) askedSince(ctx context.Context, db *bun.DB) (sum int64, back bool, err error) {
	err = tenancy.Read(ctx, db, func(ctx context.Context, tx bun.Tx) error {
		failed := tx.NewSelect().Model((*Anomaly)(nil)).ColumnExpr("1").Where("pa.tenant_id = ? AND pa.payment_id = ?", r.TenantID, r.PaymentID).
			Where("pa.kind = ? AND pa.created_at >= ?", anomalyRefundFailed, r.AskedAt)
		return tx.NewSelect().Model((*Refund)(nil)).
			ColumnExpr("coalesce(sum(rf.amount_minor) FILTER (WHERE rf.status = ? AND rf.asked_at IS NOT NULL OR rf.succeeded_at >= ?), 0)::bigint", RefundPending, r.AskedAt).
			ColumnExpr("coalesce(bool_or(rf.reversed_at >= ?), false) OR EXISTS (?)", r.AskedAt, failed).
			Where("rf.tenant_id = ? AND rf.payment_id = ? AND rf.id <> ? AND rf.mode = ?", r.TenantID, r.PaymentID, r.ID, gateways.RefundByAPI).Scan(ctx, &sum, &back)
	})
	if err != nil {
		return 0, false, fmt.Errorf("sum the other refunds of payment %s: %w", r.PaymentID, err)
	}
	return sum, back, nil
}

// concludeRefund writes what came of asking, with the answer to whoever asked for the refund, in one commit, and gives the
// lease back. What is not known is answered 202 and stored nowhere. held is the refund as it was when its provider was asked. It
// fails with errOvertaken, and the refund as it is, when the provider has told by itself meanwhile what has become of it, or
// when somebody else has the lease by now; but what the provider has paid is booked, whoever has asked.
func (s *Service) concludeRefund(ctx context.Context, held *Refund, said gateways.Result, failure error) (RefundReply, error) {
	var reply RefundReply
	var unreachable error
	var overtaken bool
	write := func(unbookable string) error {
		return tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
			unreachable = nil
			r, p, err := lockRefund(ctx, tx, held.ID)
			if err != nil {
				return err
			}
			var h history
			overtaken = r.Status != RefundPending || !r.BusyUntil.Equal(held.BusyUntil) && (failure != nil || !r.paid(said))
			if !overtaken {
				if unreachable, err = s.applyRefund(ctx, tx, p, r, said, failure, unbookable, &h); err != nil {
					return err
				}
			}
			if err := h.write(ctx, s.outbox); err != nil {
				return err
			}
			if failure == nil && r.Status == RefundSucceeded {
				if err := s.refundedElsewhere(ctx, tx, p, said); err != nil {
					return err
				}
			}
			if reply, err = replyOfRefund(ctx, tx, r, p.Payment); err != nil {
				return err
			}
			s.at(ctx, pointWritten)
			return nil
		})
	}
	err := write("")
	if refused := errs.As(err); refused != nil && (errors.Is(err, ledger.ErrCreditExceeded) || errors.Is(err, invoices.ErrServiceCreditsSpent)) {
		slog.ErrorContext(ctx, "a provider has paid a refund that the books do not take", "refund_id", held.ID, "code", refused.Code)
		err = write(refused.Code)
	}
	if err == nil {
		s.at(ctx, pointAnswered)
		if err = unreachable; overtaken {
			err = errOvertaken
		}
	}
	return reply, err
}

// paid says whether the provider has given the money back.
func (r *Refund) paid(said gateways.Result) bool {
	return (said.State == gateways.StateRefunded || said.State == gateways.StatePartiallyRefunded) &&
		(said.Refunded.Currency == "" || said.Refunded.Currency == r.Currency && said.Refunded.Minor >= r.AmountMinor)
}

// applyRefund makes of a pending refund what its provider has said. unbookable is why the books have just refused what was
// paid: it stays pending, people are told, and the worker tries again when they may have mended it. unreachable is for who
// has asked.
func (s *Service) applyRefund(ctx context.Context, tx bun.Tx, p locked, r *Refund, said gateways.Result, failure error, unbookable string, h *history) (unreachable, err error) {
	r.BusyUntil = time.Time{}
	if reference, ok := said.Details["refund"].(string); ok {
		r.ProviderReference = reference
	}
	switch {
	case unbookable != "":
		if r.FailureCode != unbookable {
			r.FailureCode = unbookable
			h.refund(EventRefundSetAside, "refund.set_aside", r, p.Payment, unbookable)
		}
	case failure == nil && r.paid(said):
		return nil, s.bookRefund(ctx, tx, p, r, h)
	case errors.Is(failure, gateways.ErrRefused), errors.Is(failure, gateways.ErrUnsupported), failure == nil && said.State == gateways.StateFailed:
		r.FailureCode = ErrGatewayRefused.Code
		if err := r.move(ctx, tx, RefundFailed, p.at); err != nil {
			return nil, err
		}
		h.refund(EventRefundFailed, "refund.fail", r, p.Payment, "")
		return nil, nil
	case errors.Is(failure, gateways.ErrConfiguration):
		unreachable = ErrGatewayMisconfigured.Because(failure)
		h.event(EventGatewayAlarm, p.Payment, snapshot(p.Payment))
		h.events[len(h.events)-1].AccountID = uuid.Nil
	case errors.Is(failure, gateways.ErrTransient):
		unreachable = ErrGatewayUnavailable.Because(failure)
	case failure != nil: // it may have happened
		slog.WarnContext(ctx, "the outcome of a refund is not known", "refund_id", r.ID, "error", failure)
	}
	r.schedule(s.now())
	return unreachable, r.keep(ctx, tx)
}

// replyOfRefund is the answer to who asked for the refund, which is stored once it is final.
func replyOfRefund(ctx context.Context, tx bun.Tx, r *Refund, p *Payment) (RefundReply, error) {
	shown, err := showRefund(ctx, tx, r, p)
	if err != nil {
		return RefundReply{}, err
	}
	reply := RefundReply{HTTP: http.StatusCreated, Refund: shown}
	switch r.Status {
	case RefundPending:
		reply.HTTP = http.StatusAccepted
		return reply, nil
	case RefundFailed:
		reply.HTTP, reply.Code = http.StatusPaymentRequired, ErrGatewayRefused.Code
	}
	return reply, idempotency.Finish(ctx, r.ID, reply)
}

// write writes the reply: a refusal carries the refund all the same.
func (reply RefundReply) write(w http.ResponseWriter, once *idempotency.Once) error {
	if reply.Code == "" {
		return once.Answer(w, reply.HTTP, reply.Refund, "")
	}
	once.Mark(w)
	return ErrGatewayRefused.Carry(reply.Refund)
}

// move takes a refund along an edge of its diagram, at the time at which its payment was locked: or when it was made, if that was
// in the same transaction, and so a little later.
func (r *Refund) move(ctx context.Context, tx bun.Tx, to RefundStatus, at time.Time) error {
	if at.Before(r.CreatedAt) {
		at = r.CreatedAt
	}
	r.Status, r.BusyUntil = to, time.Time{}
	r.Version++
	switch to {
	case RefundPending:
		r.ApprovedAt = at
	case RefundSucceeded:
		r.SucceededAt = at
	case RefundFailed:
		r.FailedAt = at
	case RefundCancelled:
		r.CancelledAt = at
	case RefundReversed:
		r.ReversedAt = at
	}
	if to != RefundPending {
		r.NextAskAt = time.Time{}
	}
	return r.keep(ctx, tx)
}

// keep writes what may change of a refund whose payment is locked.
func (r *Refund) keep(ctx context.Context, tx bun.Tx) error {
	err := tx.NewUpdate().Model(r).Column("status", "payout_reference", "provider_reference", "failure_code", "failure_reason", "invoice_minor", "credit_minor", "revenue_minor",
		"credit_note_id", "busy_until", "next_ask_at", "version", "approved_at", "succeeded_at", "failed_at", "cancelled_at",
		"moved_minor", "reversed_at", "reversed_by", "reversed_label", "reversal_reason").Set("updated_at = clock_timestamp()").
		Where("rf.tenant_id = ? AND rf.id = ?", r.TenantID, r.ID).Returning("updated_at").Scan(ctx)
	if err != nil {
		return fmt.Errorf("change refund %s: %w", r.ID, err)
	}
	return nil
}
