package subscriptions

import (
	"net/http"

	"github.com/google/uuid"

	"countersign/internal/idempotency"
	"countersign/internal/web"
)

type views struct{ service *Service }

func (v *views) list(w http.ResponseWriter, r *http.Request) error {
	l, err := web.ParseList(r, listSpec)
	if err != nil {
		return err
	}
	page, err := v.service.list(r.Context(), l)
	if err != nil {
		return err
	}
	return web.WritePage(w, page, newSummary)
}

func (v *views) create(w http.ResponseWriter, r *http.Request) error {
	var req CreateRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	once, err := idempotency.Required(r, "subscriptions.create", uuid.Nil, req)
	if err != nil {
		return err
	}
	in, err := req.input(once)
	if err != nil {
		return err
	}
	answer, err := v.service.Create(r.Context(), in)
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusCreated, answer, "")
}

func (v *views) get(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	sub, months, err := v.service.detail(r.Context(), id)
	if err != nil {
		return err
	}
	return web.OK(w, newResponse(sub, months))
}

func (v *views) cancel(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	var req CancelRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	once, err := idempotency.Shared(r, "subscriptions.cancel", id, req)
	if err != nil {
		return err
	}
	answer, err := v.service.Cancel(r.Context(), CancelInput{ID: id, Reason: req.Reason, Once: once})
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusOK, answer, "")
}
