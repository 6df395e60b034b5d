package payments

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/decisions"
	"countersign/billing/money"
	"countersign/internal/auth"
	"countersign/internal/idempotency"
)

// ApproveInput is one person's approval of what he saw.
type ApproveInput struct {
	ID     uuid.UUID
	Digest string
	Note   string
	// Received says what was really received, when that is not what was claimed; nil: the claim, or what the first
	// approver stated.
	Received func(money.Currency) (*money.Money, error)
	Once     *idempotency.Once
}

// Approve records an approval. The last one that the ladder asks for moves the payment to processing, where the worker
// takes it; no money is posted here. The caller needs the permission that the ladder names, is not the submitter, and
// has not decided before. Errors: decisions.ErrDigestRequired, ErrNotFound, ErrNotPending, ErrFourEyes, ErrPasswordReset,
// decisions.ErrAlreadyDecided, ErrChanged, ErrEvidenceRequired, ErrReceivedDiffers.
func (s *Service) Approve(ctx context.Context, in ApproveInput) (Detail, error) {
	d, err := s.approve(ctx, s.approval(in))
	return d, s.traced(ctx, in.ID, StatusProcessing, err)
}

// approval is the verdict of who approves.
func (s *Service) approval(in ApproveInput) verdict {
	v := verdict{id: in.ID, digest: in.Digest, once: in.Once}
	v.judge = func(by auth.Principal, p locked, f *Facts) (act, error) {
		received, err := statedAmount(f, in.Received)
		if err != nil {
			return nil, err
		}
		need := f.require(received)
		if !by.Can(need.Permission) || !f.mayDecide(by.UserID, need.Permission) {
			return nil, auth.ErrForbidden.With("permission", need.Permission)
		}
		if need.RequiresEvidence && len(f.Files) == 0 {
			return nil, ErrEvidenceRequired
		}
		return func(ctx context.Context, tx bun.Tx) error {
			d := decisions.Decision{SubjectType: decisions.SubjectPayment, SubjectID: p.ID, Verdict: decisions.Approve, Digest: f.Digest[:],
				ReceivedMinor: &received, Note: in.Note, Required: need.Approvals, CreatedAt: p.at}
			if err := decisions.Record(ctx, tx, &d); err != nil {
				return err
			}
			before := p.state()
			f.Requirement, f.Decisions = need, append(f.Decisions, d)
			var h history
			if f.Approvals() < need.Approvals {
				h.event(EventApprovalRecorded, p.Payment, snapshot(p.Payment))
				h.note("payment.approve_first", p.Payment, in.Note)
				return h.write(ctx, s.outbox)
			}
			p.ReceivedMinor = &received
			if err := p.move(ctx, StatusProcessing); err != nil {
				return err
			}
			h.changed(EventApproved, "payment.approve", before, p.Payment, in.Note)
			return h.write(ctx, s.outbox)
		}, nil
	}
	return v
}

// statedAmount is what the approvers say was received: one amount, however many they are.
func statedAmount(f *Facts, stated func(money.Currency) (*money.Money, error)) (int64, error) {
	p := f.Payment
	earlier := f.statedReceived()
	var given *money.Money
	if stated != nil {
		var err error
		if given, err = stated(p.Currency); err != nil {
			return 0, err
		}
	}
	switch {
	case given != nil && !given.IsPositive():
		return 0, ErrAmountNotPositive.At("received_amount")
	case earlier != nil && given != nil && given.Minor != *earlier:
		return 0, ErrReceivedDiffers.With("amount", money.New(*earlier, p.Currency).String()+" "+string(p.Currency))
	case given != nil:
		return given.Minor, nil
	case earlier != nil:
		return *earlier, nil
	default:
		return p.AmountMinor, nil
	}
}

// RejectInput is one person's refusal of what he saw.
type RejectInput struct {
	ID     uuid.UUID
	Digest string
	Reason string // the customer reads it
	Once   *idempotency.Once
}

// Reject fails the payment with the reason; the invoice is open again and its clock goes on. One refusal is enough.
// The caller needs billing.approve and is not the submitter. Errors as for Approve, and ErrReasonRequired.
func (s *Service) Reject(ctx context.Context, in RejectInput) (Detail, error) {
	if in.Reason == "" {
		return Detail{}, ErrReasonRequired.At("reason")
	}
	v := verdict{id: in.ID, digest: in.Digest, once: in.Once}
	v.judge = func(_ auth.Principal, p locked, f *Facts) (act, error) {
		return func(ctx context.Context, tx bun.Tx) error {
			d := decisions.Decision{SubjectType: decisions.SubjectPayment, SubjectID: p.ID, Verdict: decisions.Reject, Digest: f.Digest[:],
				Note: in.Reason, Required: f.Requirement.Approvals, CreatedAt: p.at}
			if err := decisions.Record(ctx, tx, &d); err != nil {
				return err
			}
			before := p.state()
			f.Decisions = append(f.Decisions, d)
			p.FailureCode, p.FailureReason = "rejected", in.Reason
			if err := s.end(ctx, tx, p, StatusFailed); err != nil {
				return err
			}
			if f.Invoice != nil {
				f.Invoice.PendingClaims--
			}
			var h history
			h.changed(EventRejected, "payment.reject", before, p.Payment, in.Reason)
			return h.write(ctx, s.outbox)
		}, nil
	}
	d, err := s.decideAlone(ctx, v)
	return d, s.traced(ctx, in.ID, StatusFailed, err)
}

// BulkItem names a payment and the digest of what was seen of it.
type BulkItem struct {
	ID     uuid.UUID
	Digest string
}

// BulkOutcome is what became of one item: a payment, or the refusal.
type BulkOutcome struct {
	ID      uuid.UUID
	Payment *Detail
	Err     error
}

// BulkApprove approves items, many in one transaction: a refusal of one holds back no other. Each is an approval like any
// other, with the errors of Approve.
func (s *Service) BulkApprove(ctx context.Context, items []BulkItem, note string) []BulkOutcome {
	out := make([]BulkOutcome, 0, len(items))
	for chunk := range slices.Chunk(items, maxTogether) {
		list := make([]verdict, len(chunk))
		for i, item := range chunk {
			list[i] = s.approval(ApproveInput{ID: item.ID, Digest: item.Digest, Note: note})
		}
		for i, o := range s.decideAll(ctx, list) {
			if o.err != nil {
				out = append(out, BulkOutcome{ID: chunk[i].ID, Err: s.traced(ctx, chunk[i].ID, StatusProcessing, o.err)})
				continue
			}
			out = append(out, BulkOutcome{ID: chunk[i].ID, Payment: &o.answer})
		}
	}
	return out
}

// Look gives what an approver sees of a payment, with the digest that binds his decision. The caller is staff with
// billing.view. Error: ErrNotFound.
func (s *Service) Look(ctx context.Context, id uuid.UUID) (Detail, error) {
	f, err := s.look(ctx, id.String())
	if err != nil {
		return Detail{}, err
	}
	return newDetail(f)
}
