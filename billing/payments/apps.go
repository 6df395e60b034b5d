package payments

import (
	"context"
	"database/sql"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/invoices"
	"countersign/internal/apps"
	"countersign/tenancy"
)

// App hands the routes and background work of payments to the project.
func (s *Service) App() apps.App {
	v := &Views{service: s}
	return apps.App{Name: "payments", URLs: v.urls(), Admin: s.sections(), Doorbells: []apps.Doorbell{s.settleDoorbell()}}
}

// OfInvoice gives the payments for an invoice as its readers see them; it joins the invoice's answer to them without
// the invoices knowing payments.
func OfInvoice(ctx context.Context, db bun.IDB, invoice uuid.UUID) ([]any, error) {
	list := []*Payment{}
	err := db.NewSelect().Model(&list).
		Where("p.tenant_id = ?", tenancy.ID(ctx)).
		Where("p.invoice_id = ?", invoice).
		Where("p.deleted_at IS NULL").
		OrderExpr("p.id DESC").Limit(100).Scan(ctx)
	if err != nil {
		return nil, err
	}
	var number sql.NullString
	if err := db.NewRaw("SELECT i.number FROM invoices AS i WHERE i.tenant_id = ? AND i.id = ?", tenancy.ID(ctx), invoice).Scan(ctx, &number); err != nil {
		return nil, err
	}
	out := make([]any, len(list))
	for i, p := range list {
		out[i] = newResponse(p, &invoices.Invoice{Number: number.String})
	}
	return out, nil
}
