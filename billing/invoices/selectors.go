package invoices

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/money"
	"countersign/internal/auth"
	"countersign/internal/web"
	"countersign/tenancy"
)

// Get gives an invoice by its id or else by its external id (Z-36). What the caller may not see is ErrNotFound.
func Get(ctx context.Context, db bun.IDB, ref string) (*Invoice, error) {
	return find(ctx, db, ref, false)
}

func find(ctx context.Context, db bun.IDB, ref string, lock bool) (*Invoice, error) {
	if !storable(ref) {
		return nil, ErrNotFound
	}
	inv := &Invoice{}
	q := db.NewSelect().Model(inv).Where("i.tenant_id = ?", tenancy.ID(ctx)).Apply(visible(ctx))
	if id, err := web.ParseID(ref); err == nil {
		q = q.Where("i.id = ? OR i.external_id = ?", id, ref).OrderExpr("i.id = ? DESC", id).Limit(1)
	} else {
		q = q.Where("i.external_id = ?", ref)
	}
	if lock {
		q = q.For("NO KEY UPDATE")
	}
	err := q.Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read invoice: %w", err)
	}
	return inv, nil
}

// storable excludes references that PostgreSQL would refuse as text, and that therefore nothing can have.
func storable(ref string) bool {
	return len(ref) <= 400 && utf8.ValidString(ref) && !strings.ContainsRune(ref, 0)
}

// visible narrows members to the finalised invoices of their account: a draft is nobody else's business, and neither is
// one that was voided before anybody saw it.
func visible(ctx context.Context) func(*bun.SelectQuery) *bun.SelectQuery {
	return func(q *bun.SelectQuery) *bun.SelectQuery {
		if p, ok := auth.From(ctx); ok && p.IsMember() {
			q = q.Where("i.account_id = ? AND i.finalized_at IS NOT NULL", p.AccountID)
		}
		return q
	}
}

// linesOf gives the lines of an invoice in their order.
func linesOf(ctx context.Context, db bun.IDB, invoice uuid.UUID) ([]LineItem, error) {
	var lines []LineItem
	err := db.NewSelect().Model(&lines).Where("li.tenant_id = ? AND li.invoice_id = ?", tenancy.ID(ctx), invoice).OrderExpr("li.line").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the lines of invoice %s: %w", invoice, err)
	}
	return lines, nil
}

// adjustmentsOf gives what has lowered an invoice besides payments, and what was taken back of it, in the order in which it
// happened.
func adjustmentsOf(ctx context.Context, db bun.IDB, invoice uuid.UUID) ([]Adjustment, error) {
	var list []Adjustment
	err := db.NewSelect().Model(&list).Where("ia.tenant_id = ? AND ia.invoice_id = ?", tenancy.ID(ctx), invoice).OrderExpr("ia.id").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the adjustments of invoice %s: %w", invoice, err)
	}
	return list, nil
}

// reload shows an invoice after an act.
func (s *Service) reload(ctx context.Context, tx bun.Tx, inv *Invoice) (Response, error) {
	tenant, err := tenancy.Current(ctx, tx)
	if err != nil {
		return Response{}, err
	}
	lines, err := linesOf(ctx, tx, inv.ID)
	if err != nil {
		return Response{}, err
	}
	return s.respond(ctx, tx, inv, draft{lines: lines}, tenant)
}

// Detail gives an invoice with everything that belongs to it.
func (s *Service) Detail(ctx context.Context, ref string) (Response, error) {
	var answer Response
	err := tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		inv, err := Get(ctx, tx, ref)
		if err != nil {
			return err
		}
		answer, err = s.reload(ctx, tx, inv)
		return err
	})
	return answer, err
}

// respond shapes an invoice with its lines and payments.
func (s *Service) respond(ctx context.Context, db bun.IDB, inv *Invoice, d draft, tenant *tenancy.Tenant) (Response, error) {
	answer := Response{Summary: newSummary(inv, clock{s.now(), tenant.Location()}), LineItems: make([]LineResponse, len(d.lines)),
		InsuranceClaims: []json.RawMessage{}, Warnings: d.warnings}
	for i := range d.lines {
		answer.LineItems[i] = newLineResponse(inv, &d.lines[i])
	}
	adjustments, err := adjustmentsOf(ctx, db, inv.ID)
	if err != nil {
		return Response{}, err
	}
	answer.Adjustments = newAdjustmentResponses(ctx, adjustments)
	payments, err := s.payments(ctx, db, inv)
	if err != nil {
		return Response{}, err
	}
	answer.Payments = make([]json.RawMessage, len(payments))
	for i, p := range payments {
		if answer.Payments[i], err = json.Marshal(p); err != nil {
			return Response{}, fmt.Errorf("show a payment of invoice %s: %w", inv.ID, err)
		}
	}
	return answer, nil
}

// statusWords are our statuses and those of every seed (model.md 5.3).
var statusWords = map[string]Status{
	"draft": StatusDraft, "open": StatusOpen, "pending": StatusOpen, "finalized": StatusOpen, "partially_paid": StatusPartiallyPaid, "partial": StatusPartiallyPaid,
	"paid": StatusPaid, "void": StatusVoid, "cancelled": StatusVoid, "canceled": StatusVoid, "uncollectible": StatusUncollectible,
}

// ListSpec is what GET invoices/ understands. Every filter but status, overdue and currency is served by an index;
// these walk one in the order of the list.
var ListSpec = &web.ListSpec{
	Filters: []web.Filter{
		web.Choice("status", "Where the invoice stands; words of other systems, such as pending or cancelled, are understood.", statusWords),
		web.Flag("overdue", "Whether payment is late."),
		web.Text("account", "An account, by id or external id."),
		{Name: "currency", Doc: "An ISO 4217 code.", Parse: parseCurrency},
		{Name: "due_after", Doc: "Due on this day or later.", Parse: parseDate},
		{Name: "due_before", Doc: "Due before this day.", Parse: parseDate},
		web.Instant("created_after", "Created at this time or later."),
		web.Instant("created_before", "Created before this time."),
		web.Text("search", "The beginning of an invoice number or external id."),
	},
	Ordering: map[string]string{"created_at": "created_at", "due_date": "due_date"},
	Default:  "-created_at",
}

func parseCurrency(raw string) (any, error) { return money.ParseCurrency(raw) }

func parseDate(raw string) (any, error) { return web.ParseDate(raw) }

// List gives a page of the invoices that the caller may see.
func (s *Service) List(ctx context.Context, l web.List) (web.Page[Summary], error) {
	var page web.Page[Summary]
	err := tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		tenant, err := tenancy.Current(ctx, tx)
		if err != nil {
			return err
		}
		c := clock{s.now(), tenant.Location()}
		q, err := filter(ctx, tx, l, c)
		if err != nil {
			return err
		}
		found, err := web.Paginate(ctx, q, l, "i", func(inv *Invoice) (time.Time, uuid.UUID) { return inv.CreatedAt, inv.ID })
		if err != nil {
			return err
		}
		page = web.Page[Summary]{Count: found.Count, Next: found.Next, Previous: found.Previous, Items: make([]Summary, len(found.Items))}
		for i, inv := range found.Items {
			page.Items[i] = newSummary(inv, c)
		}
		return nil
	})
	return page, err
}

func filter(ctx context.Context, tx bun.Tx, l web.List, c clock) (*bun.SelectQuery, error) {
	q := tx.NewSelect().Model((*Invoice)(nil)).Where("i.tenant_id = ?", tenancy.ID(ctx)).Apply(visible(ctx))
	if v, ok := web.Value[Status](l, "status"); ok {
		q = q.Where("i.status = ?", v)
	}
	if v, ok := web.Value[bool](l, "overdue"); ok {
		q = overdue(q, v, c)
	}
	if v, ok := web.Value[string](l, "account"); ok {
		account, err := accounts.ResolveField(ctx, tx, "account", v)
		if err != nil {
			return nil, err
		}
		q = q.Where("i.account_id = ?", account.ID)
	}
	if v, ok := web.Value[money.Currency](l, "currency"); ok {
		q = q.Where("i.currency = ?", v)
	}
	if v, ok := web.Value[time.Time](l, "due_after"); ok {
		q = q.Where("i.due_date >= ?", v.Format(time.DateOnly))
	}
	if v, ok := web.Value[time.Time](l, "due_before"); ok {
		q = q.Where("i.due_date < ?", v.Format(time.DateOnly))
	}
	if v, ok := web.Value[time.Time](l, "created_after"); ok {
		q = q.Where("i.created_at >= ?", v)
	}
	if v, ok := web.Value[time.Time](l, "created_before"); ok {
		q = q.Where("i.created_at < ?", v)
	}
	if v, ok := web.Value[string](l, "search"); ok {
		q = q.Where("(i.number >= ? AND i.number < ? OR i.external_id >= ? AND i.external_id < ?)", v, v+lastRune, v, v+lastRune)
	}
	return q, nil
}

// lastRune sorts after everything else in the byte order of the columns that are searched. A range is a comparison
// that row-level security lets into an index; LIKE is not.
const lastRune = "\U0010FFFF"

// overdue is Invoice.IsOverdue in SQL. The comparison of days comes first and narrows the rest by an index.
func overdue(q *bun.SelectQuery, want bool, c clock) *bun.SelectQuery {
	late := `i.due_date < ?::date AND i.status IN ('open', 'partially_paid') AND i.balance_minor > 0 AND i.pending_claims = 0
		AND ? > ((i.due_date + 1)::timestamp AT TIME ZONE ?) + i.clock_paused_for / 1000 * interval '1 microsecond'`
	if !want {
		late = "NOT (" + late + ")"
	}
	return q.Where(late, c.now.In(c.loc).Format(time.DateOnly), c.now, c.loc.String())
}

// recentCurrencies gives the currencies of the tenant's latest thousand invoices.
func recentCurrencies(ctx context.Context, tx bun.Tx) ([]money.Currency, error) {
	latest := tx.NewSelect().Model((*Invoice)(nil)).Column("currency").
		Where("i.tenant_id = ?", tenancy.ID(ctx)).OrderExpr("i.created_at DESC, i.id DESC").Limit(1000)
	list := []money.Currency{}
	if err := tx.NewSelect().TableExpr("(?) AS latest", latest).ColumnExpr("DISTINCT currency").OrderExpr("currency").Scan(ctx, &list); err != nil {
		return nil, fmt.Errorf("read currencies of invoices: %w", err)
	}
	return list, nil
}
