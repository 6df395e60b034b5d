package invoices

import (
	"net/http"

	"github.com/google/uuid"

	"countersign/internal/idempotency"
	"countersign/internal/web"
)

func (v *views) applyCredit(w http.ResponseWriter, r *http.Request) error {
	var req ApplyCreditRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	once, err := idempotency.FromRequest(r, "invoices.apply_credit", uuid.Nil, target{reference(r), req})
	if err != nil {
		return err
	}
	answer, err := v.service.ApplyCredit(r.Context(), ApplyCreditInput{Invoice: reference(r), Amount: Stated{string(req.Amount), req.AmountMinor}, Currency: req.Currency, Once: once})
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusOK, answer, "")
}

func (v *views) unapplyCredit(w http.ResponseWriter, r *http.Request) error {
	var req UnapplyCreditRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	once, err := idempotency.FromRequest(r, "invoices.unapply_credit", uuid.Nil, target{reference(r), req})
	if err != nil {
		return err
	}
	adjustment, err := web.ParseID(req.AdjustmentID)
	if err != nil {
		return ErrAdjustmentNotFound
	}
	answer, err := v.service.UnapplyCredit(r.Context(), UnapplyCreditInput{Invoice: reference(r), Adjustment: adjustment, Reason: req.Reason, Once: once})
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusOK, answer, "")
}
