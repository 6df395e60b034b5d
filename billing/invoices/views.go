package invoices

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/idempotency"
	"countersign/internal/web"
	"countersign/tenancy"
)

type views struct{ service *Service }

// reference is the id in the path: ours, or the tenant's own, which may hold any character.
func reference(r *http.Request) string {
	text := chi.URLParam(r, "id")
	if r.URL.RawPath == "" {
		return text
	}
	decoded, err := url.PathUnescape(text)
	if err != nil {
		return text
	}
	return decoded
}

// strict says whether the client wants a refusal where we would only warn (Z-20, RFC 7240).
func strict(r *http.Request) bool {
	for _, header := range r.Header.Values("Prefer") {
		for preference := range strings.SplitSeq(header, ",") {
			if strings.EqualFold(strings.ReplaceAll(preference, " ", ""), "handling=strict") {
				return true
			}
		}
	}
	return false
}

func (v *views) list(w http.ResponseWriter, r *http.Request) error {
	l, err := web.ParseList(r, ListSpec)
	if err != nil {
		return err
	}
	page, err := v.service.List(r.Context(), l)
	if err != nil {
		return err
	}
	return web.WritePage(w, page, func(s Summary) Summary { return s })
}

func (v *views) create(w http.ResponseWriter, r *http.Request) error {
	var req CreateRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	once, err := idempotency.FromRequest(r, "invoices.create", uuid.Nil, req)
	if err != nil {
		return err
	}
	in, err := req.input(strict(r), once)
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
	answer, err := v.service.Detail(r.Context(), reference(r))
	if err != nil {
		return err
	}
	return web.OK(w, answer)
}

func (v *views) update(w http.ResponseWriter, r *http.Request) error {
	var req UpdateRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	answer, err := v.service.Update(r.Context(), req.input(reference(r), strict(r)))
	if err != nil {
		return err
	}
	return web.OK(w, answer)
}

// target is what an idempotency key of an action stands for: the invoice as the path names it, and the body.
type target struct {
	Invoice string
	Body    any
}

func (v *views) finalize(w http.ResponseWriter, r *http.Request) error {
	once, err := idempotency.FromRequest(r, "invoices.finalize", uuid.Nil, target{Invoice: reference(r)})
	if err != nil {
		return err
	}
	answer, err := v.service.Finalize(r.Context(), FinalizeInput{Invoice: reference(r), Once: once})
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusOK, answer, "")
}

func (v *views) void(w http.ResponseWriter, r *http.Request) error {
	var req VoidRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	once, err := idempotency.FromRequest(r, "invoices.void", uuid.Nil, target{reference(r), req})
	if err != nil {
		return err
	}
	answer, err := v.service.Void(r.Context(), VoidInput{Invoice: reference(r), Reason: req.Reason, Once: once})
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusOK, answer, "")
}

func (v *views) balance(w http.ResponseWriter, r *http.Request) error {
	var inv *Invoice
	err := tenancy.Read(r.Context(), v.service.db, func(ctx context.Context, tx bun.Tx) (err error) {
		inv, err = Get(ctx, tx, reference(r))
		return err
	})
	if err != nil {
		return err
	}
	return web.OK(w, newBalanceResponse(inv))
}
