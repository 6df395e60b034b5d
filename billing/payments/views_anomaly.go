package payments

import (
	"net/http"

	"countersign/internal/idempotency"
	"countersign/internal/web"
)

func (v *Views) anomalies(w http.ResponseWriter, r *http.Request) error {
	l, err := web.ParseList(r, AnomalySpec)
	if err != nil {
		return err
	}
	page, err := v.service.Anomalies(r.Context(), l)
	if err != nil {
		return err
	}
	return web.WritePage(w, page, func(a AnomalyCaseResponse) AnomalyCaseResponse { return a })
}

func (v *Views) getAnomaly(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return ErrAnomalyNotFound
	}
	answer, err := v.service.LookAtAnomaly(r.Context(), id)
	if err != nil {
		return err
	}
	return web.OK(w, answer)
}

func (v *Views) resolveAnomaly(w http.ResponseWriter, r *http.Request) error {
	var req ResolveAnomalyRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	id, err := web.ID(r)
	if err != nil {
		return ErrAnomalyNotFound
	}
	once, err := idempotency.FromRequest(r, "payments.anomalies.resolve", id, req)
	if err != nil {
		return err
	}
	answer, err := v.service.ResolveAnomaly(r.Context(), ResolveAnomalyInput{ID: id, Note: req.Note, Once: once})
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusOK, answer, "")
}
