package payments

import (
	"context"
	"net/http"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/invoices"
	"countersign/internal/auth"
	"countersign/internal/web"
	"countersign/tenancy"
)

// search lists the payments whose details meet conditions. It changes nothing; it is a POST for its body.
func (v *Views) search(w http.ResponseWriter, r *http.Request) error {
	var req SearchRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	conditions, err := req.conditions()
	if err != nil {
		return err
	}
	l, err := req.list(r)
	if err != nil {
		return err
	}
	principal, _ := auth.From(r.Context())
	var page web.Page[*Payment]
	var invs map[uuid.UUID]*invoices.Invoice
	err = tenancy.Read(r.Context(), v.service.db, func(ctx context.Context, tx bun.Tx) (err error) {
		if page, err = v.service.search(ctx, tx, l, principal.AccountID, conditions); err != nil {
			return err
		}
		invs, err = besides(ctx, page.Items)
		return err
	})
	if err != nil {
		return err
	}
	return web.WritePage(w, page, func(p *Payment) any { return newResponse(p, invs[p.InvoiceID]) })
}
