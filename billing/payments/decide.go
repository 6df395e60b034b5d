package payments

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/decisions"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/tenancy"
)

// verdict is one person's word about one payment.
type verdict struct {
	id     uuid.UUID
	digest string
	once   *idempotency.Once
	// judge looks at the facts and refuses, or gives what is to be done.
	judge func(by auth.Principal, p locked, f *Facts) (act, error)

	signature
}

// act writes what follows from a verdict into the transaction of ctx, in which whoever gave it acts.
type act func(ctx context.Context, tx bun.Tx) error

// signed is v as the principal of ctx gives it. People of the tenant's staff decide, and nobody else.
func (v verdict) signed(ctx context.Context) (verdict, error) {
	if v.digest == "" {
		return v, decisions.ErrDigestRequired.At("digest")
	}
	p, ok := auth.From(ctx)
	if !ok || p.IsMember() || p.UserID == uuid.Nil {
		return v, auth.ErrForbidden.With("permission", auth.BillingApprove)
	}
	v.signature = sign(ctx)
	return v, nil
}

// approve gives a verdict together with those that come at the same time: the commit, and most of the work before it, is
// the same for one approval and for many.
func (s *Service) approve(ctx context.Context, v verdict) (Detail, error) {
	v, err := v.signed(ctx)
	if err != nil {
		return Detail{}, err
	}
	out, err := s.approvals.Do(ctx, v.by.TenantID, v)
	if err = cmp.Or(err, out.err); alone(err) {
		return s.decideAlone(ctx, v)
	}
	return out.answer, err
}

// decideAll gives verdicts of one person.
func (s *Service) decideAll(ctx context.Context, list []verdict) []outcome[Detail] {
	out := make([]outcome[Detail], len(list))
	var signed []verdict
	var places []int
	for i, v := range list {
		if v, out[i].err = v.signed(ctx); out[i].err == nil {
			signed, places = append(signed, v), append(places, i)
		}
	}
	if len(signed) == 0 {
		return out
	}
	results, _ := s.decideTogether(ctx, signed[0].by.TenantID, signed) // each outcome has its own error
	for n, i := range places {
		if out[i] = results[n]; alone(out[i].err) {
			out[i].answer, out[i].err = s.decideAlone(ctx, list[i])
		}
	}
	return out
}

// decideAlone gives a verdict in a transaction of its own, which waits for whoever holds the payment.
func (s *Service) decideAlone(ctx context.Context, v verdict) (Detail, error) {
	v, err := v.signed(ctx)
	if err != nil {
		return Detail{}, err
	}
	var out outcome[Detail]
	err = tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		found := map[uuid.UUID]locked{}
		results, err := s.decide(ctx, tx, []verdict{v}, found, selectLocked(ctx, found, v.id))
		if err != nil {
			return err
		}
		out = results[0]
		return out.err
	})
	return out.answer, idempotency.InProgress(err, v.once)
}

// decideTogether gives verdicts of one tenant in one transaction that waits for nobody. Who is refused holds back no
// other, and who cannot be decided together gets errAlone.
func (s *Service) decideTogether(ctx context.Context, tenant uuid.UUID, list []verdict) ([]outcome[Detail], error) {
	out := make([]outcome[Detail], len(list))
	var set []verdict
	var places []int
	var ids []uuid.UUID
	var keys idempotency.Many
	for i, v := range list {
		if slices.Contains(ids, v.id) || !keys.Ask(v.as(ctx), v.once) {
			out[i].err = errAlone
			continue
		}
		set, places, ids = append(set, v), append(places, i), append(ids, v.id)
	}
	err := tenancy.InTx(tenancy.AsSystem(ctx, tenant, "payments.approve"), s.db, func(ctx context.Context, tx bun.Tx) error {
		found := map[uuid.UUID]locked{}
		results, err := s.decide(ctx, tx, set, found, selectFree(ctx, found, ids))
		if err != nil {
			return err
		}
		for i, o := range results {
			if errors.Is(o.err, ErrNotFound) { // or somebody else has locked it
				o.err = errAlone
			}
			out[places[i]] = o
		}
		return nil
	})
	return settled(out, places, err), nil
}

// decide gives verdicts about different payments in the transaction of ctx. lock locks the payments into found. An error
// means that the transaction cannot go on; a refusal is in the outcome, and has written nothing.
func (s *Service) decide(ctx context.Context, tx bun.Tx, list []verdict, found map[uuid.UUID]locked, lock database.Statement) ([]outcome[Detail], error) {
	out := make([]outcome[Detail], len(list))
	ids, known, keys := make([]uuid.UUID, len(list)), newKnown(), &idempotency.Many{}
	for i, v := range list {
		ids[i] = v.id
		keys.Ask(v.as(ctx), v.once)
	}
	if err := database.Send(ctx, append([]database.Statement{lock, keys.Statement(tenancy.ID(ctx))}, known.aboutIDs(ctx, ids...)...)...); err != nil {
		return nil, err
	}
	var open []int // verdicts that the facts decide
	var claims []*Payment
	for i, v := range list {
		p, ok := found[v.id]
		answer, repeated, err := idempotency.Stored[Detail](v.as(ctx), keys, v.once)
		switch {
		case repeated:
			out[i] = outcome[Detail]{answer, err}
		case !ok:
			out[i].err = ErrNotFound
		case p.Status != StatusPendingApproval:
			out[i].err = ErrNotPending
		case p.SubmittedBy == v.by.UserID:
			out[i].err = ErrFourEyes
		default:
			open, claims = append(open, i), append(claims, p.Payment)
			known.looking = append(known.looking, v.by.UserID)
		}
	}
	facts, err := s.facts(ctx, database.Send, known, claims...)
	if err != nil {
		return nil, err
	}
	for n, i := range open {
		v, f := list[i], facts[n]
		act, err := s.judge(ctx, v, found[v.id], f)
		if refusal := errs.As(err); refusal != nil {
			out[i].err = refusal
			continue
		}
		if err == nil {
			err = act(v.as(ctx), tx)
		}
		if err == nil {
			out[i].answer, err = newDetail(f)
		}
		if err == nil {
			err = idempotency.Keep(v.as(ctx), v.once, out[i].answer)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// judge refuses who may not decide, and who has seen something else than what is there, before the verdict's own judge.
func (s *Service) judge(ctx context.Context, v verdict, p locked, f *Facts) (act, error) {
	for _, d := range f.Decisions {
		if d.UserID == v.by.UserID {
			return nil, decisions.ErrAlreadyDecided
		}
	}
	if !f.mayDecide(v.by.UserID, auth.BillingApprove) {
		return nil, auth.ErrForbidden.With("permission", auth.BillingApprove)
	}
	if shared, err := f.sharesLogin(ctx, v.by.UserID, s.now()); err != nil || shared {
		return nil, cmp.Or(err, error(ErrPasswordReset))
	}
	if seen, ok := decisions.ParseDigest(v.digest); !ok || seen != f.Digest {
		return nil, ErrChanged
	}
	return v.judge(v.by, p, f)
}
