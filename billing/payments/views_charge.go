package payments

import (
	"net/http"

	"github.com/google/uuid"

	"countersign/internal/idempotency"
	"countersign/internal/web"
)

// charge asks a provider for money. Its key stands in the header or in the body, and without one nothing happens (S1-16).
func (v *Views) charge(w http.ResponseWriter, r *http.Request) error {
	var req ChargeRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	key := req.IdempotencyKey
	req.IdempotencyKey = "" // the same request, wherever its key stands
	once, err := idempotency.RequiredInBody(r, key, "payments.charge", uuid.Nil, req)
	if err != nil {
		return err
	}
	in, err := req.input(once)
	if err != nil {
		return err
	}
	reply, err := v.service.Charge(r.Context(), in)
	if err != nil {
		return req.amount().blame(err)
	}
	return reply.write(w, once)
}

func (v *Views) capture(w http.ResponseWriter, r *http.Request) error {
	var req CaptureRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	key := req.IdempotencyKey
	req.IdempotencyKey = ""
	once, err := idempotency.RequiredInBody(r, key, "payments.capture", id, req)
	if err != nil {
		return err
	}
	in, err := req.input(id, once)
	if err != nil {
		return err
	}
	reply, err := v.service.Capture(r.Context(), in)
	if err != nil {
		return req.amount().blame(err)
	}
	return reply.write(w, once)
}

func (v *Views) release(w http.ResponseWriter, r *http.Request) error {
	in, err := stepInput(r, "payments.release", idempotency.Shared)
	if err != nil {
		return err
	}
	reply, err := v.service.Release(r.Context(), in)
	if err != nil {
		return err
	}
	return reply.write(w, in.Once)
}

// stepInput reads what is asked of a payment, and why. keyed says whose the key of the operation is.
func stepInput(r *http.Request, scope string, keyed func(r *http.Request, scope string, target uuid.UUID, request any) (*idempotency.Once, error)) (StepInput, error) {
	var req StepRequest
	if err := web.Decode(r, &req); err != nil {
		return StepInput{}, err
	}
	id, err := web.ID(r)
	if err != nil {
		return StepInput{}, err
	}
	once, err := keyed(r, scope, id, req)
	return StepInput{ID: id, Reason: req.Reason, Once: once}, err
}
