package payments

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/decisions"
	"countersign/billing/gateways"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/idempotency"
	"countersign/tenancy"
)

// DecideRefundInput is the second person's word about a refund that he has seen.
type DecideRefundInput struct {
	ID     uuid.UUID
	Digest string // of what he saw
	Note   string // of an approval, or the reason of a rejection
	Once   *idempotency.Once
}

// ApproveRefund lets a refund go on that somebody else has asked for: the worker asks the provider, and what is paid by
// hand is paid, or booked at once when it was paid already. It needs billing.refund and a person. Errors:
// decisions.ErrDigestRequired, ErrRefundNotFound, ErrRefundDecided, ErrOwnRefund, ErrRefundPasswordReset, ErrRefundChanged,
// ledger.ErrCreditExceeded, invoices.ErrServiceCreditsSpent.
func (s *Service) ApproveRefund(ctx context.Context, in DecideRefundInput) (RefundResponse, error) {
	return s.decideRefund(ctx, in, decisions.Approve)
}

// RejectRefund refuses a refund that somebody else has asked for, with a reason: its amount is free again. It needs
// billing.refund and a person. Errors as for ApproveRefund, without those about the books.
func (s *Service) RejectRefund(ctx context.Context, in DecideRefundInput) (RefundResponse, error) {
	return s.decideRefund(ctx, in, decisions.Reject)
}

func (s *Service) decideRefund(ctx context.Context, in DecideRefundInput, verdict decisions.Verdict) (RefundResponse, error) {
	if in.Digest == "" {
		return RefundResponse{}, decisions.ErrDigestRequired.At("digest")
	}
	return s.changeRefund(ctx, in.ID, in.Once, func(ctx context.Context, tx bun.Tx, r *Refund, p locked, h *history) error {
		if r.Status != RefundPendingApproval {
			return ErrRefundDecided
		}
		if err := s.checkRefundDecider(ctx, r); err != nil {
			return err
		}
		facts, err := factsOfRefunds(ctx, tx, []*Refund{r}, p.Payment)
		if err != nil {
			return err
		}
		digest, err := facts[0].digest()
		if err != nil {
			return err
		}
		if seen, ok := decisions.ParseDigest(in.Digest); !ok || seen != digest {
			return ErrRefundChanged
		}
		d := &decisions.Decision{SubjectType: decisions.SubjectRefund, SubjectID: r.ID, Verdict: verdict, Digest: digest[:], Note: in.Note, Required: 1, CreatedAt: p.at}
		if err := decisions.Record(ctx, tx, d); err != nil {
			return err
		}
		r.decided = d
		if verdict == decisions.Reject {
			r.FailureCode, r.FailureReason = "rejected", in.Note
			if err := r.move(ctx, tx, RefundFailed, p.at); err != nil {
				return err
			}
			h.refund(EventRefundRejected, "refund.reject", r, p.Payment, in.Note)
			h.events[len(h.events)-1].Also = EventRefundFailed
			return nil
		}
		if err := s.checkBooks(ctx, tx, p, r); err != nil {
			return err
		}
		if r.Mode == gateways.RefundByAPI {
			r.NextAskAt = s.now() // by the worker
		}
		if err := r.move(ctx, tx, RefundPending, p.at); err != nil {
			return err
		}
		h.refund(EventRefundApproved, "refund.approve", r, p.Payment, in.Note)
		if r.Mode == gateways.RefundByHand && r.PayoutReference != "" {
			return s.bookRefund(ctx, tx, p, r, h)
		}
		return nil
	})
}

// checkRefundDecider refuses who may not decide: who has asked for it, who has lost the right since his request began, and
// who may be the same person as the one who asked.
func (s *Service) checkRefundDecider(ctx context.Context, r *Refund) error {
	p, ok := auth.From(ctx)
	if !ok || p.UserID == uuid.Nil {
		return auth.ErrForbidden.With("permission", auth.BillingRefund)
	}
	if p.UserID == r.RequestedBy {
		return ErrOwnRefund
	}
	people := map[uuid.UUID]*accounts.Person{}
	if err := database.Send(ctx, accounts.SelectPeopleByIDs(ctx, people, p.UserID, r.RequestedBy)); err != nil {
		return err
	}
	who := people[p.UserID]
	if who == nil || !who.IsActive || !slices.Contains(auth.PermissionsOf(who.Role), auth.BillingRefund) {
		return auth.ErrForbidden.With("permission", auth.BillingRefund)
	}
	shared, err := accounts.ShareLogin(ctx, people, s.now(), p.UserID, r.RequestedBy)
	if err != nil {
		return err
	}
	if shared {
		return ErrRefundPasswordReset
	}
	return nil
}

// CancelRefund takes back a refund that nobody can have paid: who has asked for it while it is undecided, and anybody with
// billing.refund while it waits to be paid by hand. Its amount is free again. Errors: ErrRefundNotFound, ErrNotRefunder,
// ErrRefundUnderWay.
func (s *Service) CancelRefund(ctx context.Context, id uuid.UUID, once *idempotency.Once) (RefundResponse, error) {
	return s.changeRefund(ctx, id, once, func(ctx context.Context, tx bun.Tx, r *Refund, p locked, h *history) error {
		by, _ := auth.From(ctx)
		switch {
		case r.Status == RefundPendingApproval && r.RequestedBy != by.UserID:
			return ErrNotRefunder
		case r.Status == RefundPendingApproval, r.Status == RefundPending && r.Mode == gateways.RefundByHand:
		default:
			return ErrRefundUnderWay
		}
		if err := r.move(ctx, tx, RefundCancelled, p.at); err != nil {
			return err
		}
		h.refund(EventRefundCancelled, "refund.cancel", r, p.Payment, "")
		return nil
	})
}

// CompleteRefundInput says that a refund was paid by hand.
type CompleteRefundInput struct {
	ID              uuid.UUID
	PayoutReference string
	Once            *idempotency.Once
}

// CompleteRefund books a refund that somebody has paid by hand. It needs billing.refund. Errors: ErrRefundNotFound,
// ErrRefundUnderWay, ErrPayoutReferenceRequired, ledger.ErrCreditExceeded, invoices.ErrServiceCreditsSpent.
func (s *Service) CompleteRefund(ctx context.Context, in CompleteRefundInput) (RefundResponse, error) {
	if in.PayoutReference == "" {
		return RefundResponse{}, ErrPayoutReferenceRequired.At("payout_reference")
	}
	return s.changeRefund(ctx, in.ID, in.Once, func(ctx context.Context, tx bun.Tx, r *Refund, p locked, h *history) error {
		if r.Status != RefundPending || r.Mode != gateways.RefundByHand {
			return ErrRefundUnderWay
		}
		r.PayoutReference = in.PayoutReference
		return s.bookRefund(ctx, tx, p, r, h)
	})
}

// changeRefund makes one step of a refund in a transaction of its own, once for each key.
func (s *Service) changeRefund(ctx context.Context, id uuid.UUID, once *idempotency.Once, step func(context.Context, bun.Tx, *Refund, locked, *history) error) (RefundResponse, error) {
	var answer RefundResponse
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, once, func() (RefundResponse, error) {
			r, p, err := lockRefund(ctx, tx, id)
			if err != nil {
				return RefundResponse{}, err
			}
			var h history
			if err := step(ctx, tx, r, p, &h); err != nil {
				return RefundResponse{}, err
			}
			if err := h.write(ctx, s.outbox); err != nil {
				return RefundResponse{}, err
			}
			return showRefund(ctx, tx, r, p.Payment)
		})
		return err
	})
	return answer, err
}
