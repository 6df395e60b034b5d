package invoices

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"countersign/internal/idempotency"
	"countersign/internal/web"
)

func (v *views) writeOff(w http.ResponseWriter, r *http.Request) error {
	var req WriteOffRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	once, err := idempotency.FromRequest(r, "invoices.write_off", uuid.Nil, target{reference(r), req})
	if err != nil {
		return err
	}
	answer, err := v.service.WriteOff(r.Context(), WriteOffInput{Invoice: reference(r), Amount: Stated{string(req.Amount), req.AmountMinor}, Reason: req.Reason, Once: once})
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusCreated, answer, "")
}

func (v *views) markUncollectible(w http.ResponseWriter, r *http.Request) error {
	return v.giveUp(w, r, "invoices.mark_uncollectible", v.service.MarkUncollectible)
}

func (v *views) reopen(w http.ResponseWriter, r *http.Request) error {
	return v.giveUp(w, r, "invoices.reopen", v.service.Reopen)
}

func (v *views) giveUp(w http.ResponseWriter, r *http.Request, scope string, do func(context.Context, GiveUpInput) (Response, error)) error {
	var req ReverseRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	once, err := idempotency.FromRequest(r, scope, uuid.Nil, target{reference(r), req})
	if err != nil {
		return err
	}
	answer, err := do(r.Context(), GiveUpInput{Invoice: reference(r), Reason: req.Reason, Once: once})
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusOK, answer, "")
}

func (v *views) approveWriteOff(w http.ResponseWriter, r *http.Request) error {
	var req ApproveWriteOffRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	return v.decide(w, r, "write_offs.approve", req, DecideInput{Digest: req.Digest, Note: req.Note}, v.service.ApproveWriteOff)
}

func (v *views) rejectWriteOff(w http.ResponseWriter, r *http.Request) error {
	var req RejectWriteOffRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	return v.decide(w, r, "write_offs.reject", req, DecideInput{Digest: req.Digest, Note: req.Reason}, v.service.RejectWriteOff)
}

func (v *views) decide(w http.ResponseWriter, r *http.Request, scope string, req any, in DecideInput, do func(context.Context, DecideInput) (WriteOffResponse, error)) (err error) {
	if in.ID, err = web.ID(r); err != nil {
		return ErrWriteOffNotFound
	}
	if in.Once, err = idempotency.FromRequest(r, scope, in.ID, req); err != nil {
		return err
	}
	answer, err := do(r.Context(), in)
	if err != nil {
		return err
	}
	return in.Once.Answer(w, http.StatusOK, answer, "")
}

func (v *views) reverseWriteOff(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return ErrWriteOffNotFound
	}
	var req ReverseRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	once, err := idempotency.FromRequest(r, "write_offs.reverse", id, req)
	if err != nil {
		return err
	}
	answer, err := v.service.ReverseWriteOff(r.Context(), ReverseWriteOffInput{ID: id, Reason: req.Reason, Once: once})
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusOK, answer, "")
}

func (v *views) listWriteOffs(w http.ResponseWriter, r *http.Request) error {
	l, err := web.ParseList(r, WriteOffSpec)
	if err != nil {
		return err
	}
	page, err := v.service.WriteOffs(r.Context(), l)
	if err != nil {
		return err
	}
	return web.WritePage(w, page, func(o WriteOffResponse) WriteOffResponse { return o })
}

func (v *views) getWriteOff(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return ErrWriteOffNotFound
	}
	answer, err := v.service.LookAtWriteOff(r.Context(), id)
	if err != nil {
		return err
	}
	return web.OK(w, answer)
}
