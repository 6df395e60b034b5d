package payments

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/internal/apps"
	"countersign/internal/web"
	"countersign/tenancy"
)

// App hands the routes, background work and checks of payments to the project.
func (s *Service) App() apps.App {
	v := &Views{service: s}
	return apps.App{Name: "payments", URLs: v.urls(), Callbacks: []web.Callback{{Pattern: "/billing/webhooks/{gateway}/{endpoint}/*", Handler: v.callback}}, Admin: s.sections(),
		Doorbells: []apps.Doorbell{s.settleDoorbell(), s.askDoorbell(), s.refundDoorbell(), s.redoDoorbell()}, Checks: ledger.Checks(s.db, append(slices.Clone(proofs), refundProofs...)),
		Sealed: []apps.SealedColumn{sealedDetails}}
}

// OfInvoice gives the payments for an invoice as its readers see them; it joins the invoice's answer to them without
// the invoices knowing payments.
func OfInvoice(ctx context.Context, db bun.IDB, inv *invoices.Invoice) ([]any, error) {
	list := []*Payment{}
	err := db.NewSelect().Model(&list).
		Where("p.tenant_id = ?", tenancy.ID(ctx)).
		Where("p.invoice_id = ?", inv.ID).
		Where("p.deleted_at IS NULL").
		OrderExpr("p.id DESC").Limit(100).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read payments of invoice %s: %w", inv.ID, err)
	}
	out := make([]any, len(list))
	for i, p := range list {
		out[i] = newResponse(p, inv)
	}
	return out, nil
}
