package tenancy

import (
	"context"
	"net/http"

	"github.com/uptrace/bun"

	"countersign/internal/web"
)

type views struct {
	db      *bun.DB
	service *Service
}

func (v *views) current(ctx context.Context) (t *Tenant, err error) {
	err = Read(ctx, v.db, func(ctx context.Context, tx bun.Tx) error {
		t, err = Current(ctx, tx)
		return err
	})
	return t, err
}

func (v *views) get(w http.ResponseWriter, r *http.Request) error {
	t, err := v.current(r.Context())
	if err != nil {
		return err
	}
	return web.OK(w, newResponse(t))
}

func (v *views) update(w http.ResponseWriter, r *http.Request) error {
	var req UpdateRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	t, err := v.current(r.Context())
	if err != nil {
		return err
	}
	in, err := req.input(t)
	if err != nil {
		return err
	}
	t, err = v.service.Update(r.Context(), in)
	if err != nil {
		return err
	}
	return web.OK(w, newResponse(t))
}
