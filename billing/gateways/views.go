package gateways

import (
	"context"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/uptrace/bun"

	"countersign/internal/web"
	"countersign/tenancy"
)

type views struct {
	service *Service
}

func (v *views) list(w http.ResponseWriter, r *http.Request) error {
	answer := ListResponse{Gateways: []ConfigResponse{}}
	err := tenancy.Read(r.Context(), v.service.db, func(ctx context.Context, tx bun.Tx) error {
		list, err := v.service.List(ctx, tx)
		if err != nil {
			return err
		}
		answer.Gateways = make([]ConfigResponse, len(list))
		for i, g := range list {
			answer.Gateways[i] = newConfigResponse(g)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return web.OK(w, answer)
}

func (v *views) get(w http.ResponseWriter, r *http.Request) error {
	var found View
	err := tenancy.Read(r.Context(), v.service.db, func(ctx context.Context, tx bun.Tx) (err error) {
		found, err = v.service.Get(ctx, tx, chi.URLParam(r, "name"))
		return err
	})
	if err != nil {
		return err
	}
	return web.OK(w, newConfigResponse(found))
}

func (v *views) configure(w http.ResponseWriter, r *http.Request) error {
	var req ConfigureRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	made, err := v.service.Configure(r.Context(), req.input(chi.URLParam(r, "name")))
	if err != nil {
		return err
	}
	return web.OK(w, newConfigResponse(made))
}

func (v *views) listInbound(w http.ResponseWriter, r *http.Request) error {
	l, err := web.ParseList(r, inboundList)
	if err != nil {
		return err
	}
	var page web.Page[*Inbound]
	err = tenancy.Read(r.Context(), v.service.db, func(ctx context.Context, tx bun.Tx) (err error) {
		page, err = ListInbound(ctx, tx, l)
		return err
	})
	if err != nil {
		return err
	}
	return web.WritePage(w, page, newInboundResponse)
}
