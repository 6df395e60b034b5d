package payments

import (
	"cmp"
	"context"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/decisions"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/idempotency"
	"countersign/tenancy"
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
	return s.decide(ctx, in.ID, in.Digest, in.Once, func(ctx context.Context, tx bun.Tx, p locked, f *Facts) error {
		received, err := statedAmount(f, in.Received)
		if err != nil {
			return err
		}
		need := f.require(received)
		if principal, _ := auth.From(ctx); !principal.Can(need.Permission) || !f.mayDecide(principal.UserID, need.Permission) {
			return auth.ErrForbidden.With("permission", need.Permission)
		}
		if need.RequiresEvidence && len(f.Files) == 0 {
			return ErrEvidenceRequired
		}
		verdict := decisions.Decision{SubjectType: decisions.SubjectPayment, SubjectID: p.ID, Verdict: decisions.Approve, Digest: f.Digest[:],
			ReceivedMinor: &received, Note: in.Note, Required: need.Approvals, CreatedAt: p.at}
		if err := decisions.Record(ctx, tx, &verdict); err != nil {
			return err
		}
		before := p.state()
		f.Requirement = need
		f.decided(ctx, verdict)
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
	})
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
	return s.decide(ctx, in.ID, in.Digest, in.Once, func(ctx context.Context, tx bun.Tx, p locked, f *Facts) error {
		verdict := decisions.Decision{SubjectType: decisions.SubjectPayment, SubjectID: p.ID, Verdict: decisions.Reject, Digest: f.Digest[:],
			Note: in.Reason, Required: f.Requirement.Approvals, CreatedAt: p.at}
		if err := decisions.Record(ctx, tx, &verdict); err != nil {
			return err
		}
		before := p.state()
		f.decided(ctx, verdict)
		p.FailureCode, p.FailureReason = "rejected", in.Reason
		invoices.DropClaim(ctx, tx, p.InvoiceID, s.now()) // before the payment changes: see docs/locking.md
		if err := p.move(ctx, StatusFailed); err != nil {
			return err
		}
		if f.Invoice != nil {
			f.Invoice.PendingClaims--
		}
		var h history
		h.changed(EventRejected, "payment.reject", before, p.Payment, in.Reason)
		return h.write(ctx, s.outbox)
	})
}

// decide locks a payment, makes sure that the caller may decide and that what he saw is what is there, and lets step
// act on the facts.
func (s *Service) decide(ctx context.Context, id uuid.UUID, digest string, once *idempotency.Once, step func(ctx context.Context, tx bun.Tx, p locked, f *Facts) error) (Detail, error) {
	if digest == "" {
		return Detail{}, decisions.ErrDigestRequired.At("digest")
	}
	principal, ok := auth.From(ctx)
	if !ok || principal.IsMember() || principal.UserID == uuid.Nil {
		return Detail{}, auth.ErrForbidden.With("permission", auth.BillingApprove)
	}
	var answer Detail
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, once, func() (Detail, error) {
			known := newKnown()
			p, err := lock(ctx, tx, id, known.aboutIDs(ctx, id)...)
			if err != nil {
				return Detail{}, err
			}
			if p.Status != StatusPendingApproval {
				return Detail{}, ErrNotPending
			}
			if p.SubmittedBy == principal.UserID {
				return Detail{}, ErrFourEyes
			}
			found, err := s.facts(ctx, database.Send, known, p.Payment)
			if err != nil {
				return Detail{}, err
			}
			f := found[0]
			for _, d := range f.Decisions {
				if d.UserID == principal.UserID {
					return Detail{}, decisions.ErrAlreadyDecided
				}
			}
			if !f.mayDecide(principal.UserID, auth.BillingApprove) {
				return Detail{}, auth.ErrForbidden.With("permission", auth.BillingApprove)
			}
			if shared, err := f.sharesLogin(ctx, principal.UserID, s.now()); err != nil || shared {
				return Detail{}, cmp.Or(err, error(ErrPasswordReset))
			}
			if seen, ok := decisions.ParseDigest(digest); !ok || seen != f.Digest {
				return Detail{}, ErrChanged
			}
			if err := step(ctx, tx, p, f); err != nil {
				return Detail{}, err
			}
			return newDetail(f)
		})
		return err
	})
	return answer, err
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

// BulkApprove approves items one by one, each in a transaction of its own: a refusal of one holds back no other.
func (s *Service) BulkApprove(ctx context.Context, items []BulkItem, note string) []BulkOutcome {
	out := make([]BulkOutcome, len(items))
	for i, item := range items {
		out[i].ID = item.ID
		detail, err := s.Approve(ctx, ApproveInput{ID: item.ID, Digest: item.Digest, Note: note})
		if err != nil {
			out[i].Err = err
			continue
		}
		out[i].Payment = &detail
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
