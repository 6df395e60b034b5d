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

func (v *views) createCreditNote(w http.ResponseWriter, r *http.Request) error {
	var req CreditNoteRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	once, err := idempotency.FromRequest(r, "invoices.credit_note", uuid.Nil, target{reference(r), req})
	if err != nil {
		return err
	}
	answer, err := v.service.CreateCreditNote(r.Context(), CreateCreditNoteInput{Invoice: reference(r), Amount: Stated{string(req.Amount), req.AmountMinor}, Reason: req.Reason, Once: once})
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusCreated, answer, "")
}

func (v *views) reverseCreditNote(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return ErrCreditNoteNotFound
	}
	var req ReverseRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	once, err := idempotency.FromRequest(r, "invoices.reverse_credit_note", id, req)
	if err != nil {
		return err
	}
	answer, err := v.service.ReverseCreditNote(r.Context(), ReverseCreditNoteInput{ID: id, Reason: req.Reason, Once: once})
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusCreated, answer, "")
}

func (v *views) listCreditNotes(w http.ResponseWriter, r *http.Request) error {
	l, err := web.ParseList(r, CreditNoteSpec)
	if err != nil {
		return err
	}
	page, err := v.service.CreditNotes(r.Context(), l)
	if err != nil {
		return err
	}
	return web.WritePage(w, page, func(n CreditNoteResponse) CreditNoteResponse { return n })
}

func (v *views) getCreditNote(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return ErrCreditNoteNotFound
	}
	answer, err := v.service.CreditNote(r.Context(), id)
	if err != nil {
		return err
	}
	return web.OK(w, answer)
}
