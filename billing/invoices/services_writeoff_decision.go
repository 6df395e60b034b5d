package invoices

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/decisions"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/idempotency"
	"countersign/tenancy"
)

// DecideInput is the second person's word about a write-off that he has seen.
type DecideInput struct {
	ID     uuid.UUID
	Digest string // of what he saw
	Note   string // of an approval, or the reason of a rejection
	Once   *idempotency.Once
}

// ApproveWriteOff posts a write-off that somebody else has asked for. It needs billing.approve and a person. Errors:
// decisions.ErrDigestRequired, ErrWriteOffNotFound, ErrWriteOffDecided, ErrOwnWriteOff, ErrWriteOffPasswordReset,
// ErrWriteOffChanged, ErrNothingOwed, ErrAboveBalance, ErrPaymentPending.
func (s *Service) ApproveWriteOff(ctx context.Context, in DecideInput) (WriteOffResponse, error) {
	return s.decide(ctx, in, decisions.Approve)
}

// RejectWriteOff refuses a write-off that somebody else has asked for, with a reason: the invoice stays as it is. It needs
// billing.approve and a person. Errors as for ApproveWriteOff, without those about the invoice.
func (s *Service) RejectWriteOff(ctx context.Context, in DecideInput) (WriteOffResponse, error) {
	return s.decide(ctx, in, decisions.Reject)
}

func (s *Service) decide(ctx context.Context, in DecideInput, verdict decisions.Verdict) (WriteOffResponse, error) {
	if in.Digest == "" {
		return WriteOffResponse{}, decisions.ErrDigestRequired.At("digest")
	}
	var answer WriteOffResponse
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (WriteOffResponse, error) { return s.decideIn(ctx, tx, in, verdict) })
		return err
	})
	return answer, err
}

func (s *Service) decideIn(ctx context.Context, tx bun.Tx, in DecideInput, verdict decisions.Verdict) (WriteOffResponse, error) {
	wo, inv, err := lockWriteOff(ctx, tx, in.ID)
	if err != nil {
		return WriteOffResponse{}, err
	}
	if wo.Status != WriteOffPending {
		return WriteOffResponse{}, ErrWriteOffDecided
	}
	if err := s.checkDecider(ctx, wo); err != nil {
		return WriteOffResponse{}, err
	}
	facts, err := factsOfWriteOffs(ctx, tx, []*WriteOff{wo}, inv)
	if err != nil {
		return WriteOffResponse{}, err
	}
	digest, err := facts[0].digest()
	if err != nil {
		return WriteOffResponse{}, err
	}
	if seen, ok := decisions.ParseDigest(in.Digest); !ok || seen != digest {
		return WriteOffResponse{}, ErrWriteOffChanged
	}
	wo.DecidedAt = s.now()
	d := &decisions.Decision{SubjectType: decisions.SubjectWriteOff, SubjectID: wo.ID, Verdict: verdict, Digest: digest[:], Note: in.Note, Required: 1, CreatedAt: wo.DecidedAt}
	if err := decisions.Record(ctx, tx, d); err != nil {
		return WriteOffResponse{}, err
	}
	if verdict == decisions.Reject {
		err = s.rejectIn(ctx, tx, wo, in.Note)
	} else {
		err = s.approveIn(ctx, tx, inv, wo, in.Note)
	}
	if err != nil {
		return WriteOffResponse{}, err
	}
	facts[0].Decisions = append(facts[0].Decisions, *d)
	return newWriteOffResponse(facts[0])
}

func (s *Service) rejectIn(ctx context.Context, tx bun.Tx, wo *WriteOff, reason string) error {
	if err := wo.move(ctx, tx, WriteOffRejected); err != nil {
		return err
	}
	return s.tellWriteOff(ctx, "write_off.reject", EventWriteOffRejected, wo, reason)
}

func (s *Service) approveIn(ctx context.Context, tx bun.Tx, inv *Invoice, wo *WriteOff, note string) error {
	if err := checkOwed(inv); err != nil {
		return err
	}
	if wo.AmountMinor > inv.BalanceMinor {
		return ErrAboveBalance.With("balance", inv.Balance().String()+" "+string(inv.Currency))
	}
	if err := wo.move(ctx, tx, WriteOffPosted); err != nil {
		return err
	}
	if err := s.tellWriteOff(ctx, "write_off.approve", EventWriteOffApproved, wo, note); err != nil {
		return err
	}
	return s.postWriteOff(ctx, tx, inv, wo)
}

// checkDecider refuses who may not decide: who has asked for it, who has lost the right since his request began, and who
// may be the same person as the one who asked.
func (s *Service) checkDecider(ctx context.Context, wo *WriteOff) error {
	p, ok := auth.From(ctx)
	if !ok || p.UserID == uuid.Nil {
		return auth.ErrForbidden.With("permission", auth.BillingApprove)
	}
	if p.UserID == wo.RequestedBy {
		return ErrOwnWriteOff
	}
	people := map[uuid.UUID]*accounts.Person{}
	if err := database.Send(ctx, accounts.SelectPeopleByIDs(ctx, people, p.UserID, wo.RequestedBy)); err != nil {
		return err
	}
	who := people[p.UserID]
	if who == nil || !who.IsActive || !slices.Contains(auth.PermissionsOf(who.Role), auth.BillingApprove) {
		return auth.ErrForbidden.With("permission", auth.BillingApprove)
	}
	shared, err := accounts.ShareLogin(ctx, people, s.now(), p.UserID, wo.RequestedBy)
	if err != nil {
		return err
	}
	if shared {
		return ErrWriteOffPasswordReset
	}
	return nil
}
