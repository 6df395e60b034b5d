package fx

import (
	"context"
	"net/http"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/idempotency"
	"countersign/internal/web"
	"countersign/tenancy"
)

type views struct{ service *Service }

func (v *views) rates(w http.ResponseWriter, r *http.Request) error {
	l, err := web.ParseList(r, rateSpec)
	if err != nil {
		return err
	}
	page, err := read(r, v, func(ctx context.Context, tx bun.Tx) (web.Page[Rate], error) { return listRates(ctx, tx, l) })
	if err != nil {
		return err
	}
	return web.WritePage(w, page, newRateResponse)
}

func (v *views) rate(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	found, err := read(r, v, func(ctx context.Context, tx bun.Tx) (*Rate, error) { return GetRate(ctx, tx, id) })
	if err != nil {
		return err
	}
	return web.OK(w, newRateResponse(*found))
}

func (v *views) recordRate(w http.ResponseWriter, r *http.Request) error {
	var req RateRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	once, err := idempotency.FromRequest(r, "fx.rates.record", uuid.Nil, req)
	if err != nil {
		return err
	}
	in, err := req.input(once)
	if err != nil {
		return err
	}
	answer, err := v.service.RecordRate(r.Context(), in)
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusCreated, answer, "")
}

func (v *views) conversions(w http.ResponseWriter, r *http.Request) error {
	l, err := web.ParseList(r, conversionSpec)
	if err != nil {
		return err
	}
	page, err := read(r, v, func(ctx context.Context, tx bun.Tx) (web.Page[Conversion], error) { return listConversions(ctx, tx, l) })
	if err != nil {
		return err
	}
	return web.WritePage(w, page, newConversionResponse)
}

func (v *views) conversion(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	found, err := read(r, v, func(ctx context.Context, tx bun.Tx) (*Conversion, error) { return Get(ctx, tx, id) })
	if err != nil {
		return err
	}
	return web.OK(w, newConversionResponse(*found))
}

func (v *views) convert(w http.ResponseWriter, r *http.Request) error {
	var req ConvertRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	once, err := idempotency.Required(r, "fx.convert", uuid.Nil, req)
	if err != nil {
		return err
	}
	in, err := req.input(once)
	if err != nil {
		return err
	}
	answer, err := v.service.Convert(r.Context(), in)
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusCreated, answer, "")
}

func (v *views) reverse(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	var req ReverseRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	once, err := idempotency.Shared(r, "fx.reverse", id, req)
	if err != nil {
		return err
	}
	answer, err := v.service.Reverse(r.Context(), ReverseInput{ID: id, Reason: req.Reason, Once: once})
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusOK, answer, "")
}

// read gives what fn finds in the tenant of the request.
func read[T any](r *http.Request, v *views, fn func(context.Context, bun.Tx) (T, error)) (found T, err error) {
	err = tenancy.Read(r.Context(), v.service.db, func(ctx context.Context, tx bun.Tx) (err error) {
		found, err = fn(ctx, tx)
		return err
	})
	return found, err
}
