package fx

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/money"
	"countersign/internal/auth"
	"countersign/internal/web"
	"countersign/tenancy"
)

// Latest gives the newest rate of exactly this direction that was so at an instant, however old; of two of the same time
// the one that was recorded later. web.ErrNotFound when there is none.
func Latest(ctx context.Context, db bun.IDB, base, quote money.Currency, at time.Time) (*Rate, error) {
	return oneRate(ctx, db.NewSelect().Where("r.base = ? AND r.quote = ? AND r.as_of <= ?", base, quote, at).OrderExpr("r.as_of DESC, r.id DESC").Limit(1))
}

// GetRate gives a rate; web.ErrNotFound when the tenant has no such.
func GetRate(ctx context.Context, db bun.IDB, id uuid.UUID) (*Rate, error) {
	return oneRate(ctx, db.NewSelect().Where("r.id = ?", id))
}

func oneRate(ctx context.Context, q *bun.SelectQuery) (*Rate, error) {
	r := &Rate{}
	err := q.Model(r).Where("r.tenant_id = ?", tenancy.ID(ctx)).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, web.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read rate: %w", err)
	}
	return r, nil
}

// rateSpec is what GET fx/rates/ understands.
var rateSpec = &web.ListSpec{
	Filters: []web.Filter{
		currencyFilter("base", "The currency of which one unit is priced."),
		currencyFilter("quote", "The currency that it is priced in."),
		web.Text("source", "Who said so, such as cbu.uz."),
		web.Instant("as_of_before", "So before this time."),
	},
	Ordering: map[string]string{"created_at": "id"},
	Default:  "-created_at",
}

func currencyFilter(name, doc string) web.Filter {
	return web.Filter{Name: name, Doc: doc + " An ISO 4217 code.", Parse: func(raw string) (any, error) { return money.ParseCurrency(raw) }}
}

func listRates(ctx context.Context, tx bun.Tx, l web.List) (web.Page[Rate], error) {
	q := tx.NewSelect().Model((*Rate)(nil)).Where("r.tenant_id = ?", tenancy.ID(ctx))
	for _, column := range []string{"base", "quote"} {
		if v, ok := web.Value[money.Currency](l, column); ok {
			q = q.Where("r.? = ?", bun.Ident(column), v)
		}
	}
	if v, ok := web.Value[string](l, "source"); ok {
		q = q.Where("r.source = ?", v)
	}
	if v, ok := web.Value[time.Time](l, "as_of_before"); ok {
		q = q.Where("r.as_of < ?", v)
	}
	return web.Paginate(ctx, q, l, "r", func(r Rate) (time.Time, uuid.UUID) { return r.CreatedAt, r.ID })
}

// newestRates gives the rates that were recorded last.
func newestRates(ctx context.Context, tx bun.Tx, limit int64) ([]Rate, error) {
	var list []Rate
	if err := tx.NewSelect().Model(&list).Where("r.tenant_id = ?", tenancy.ID(ctx)).OrderExpr("r.id DESC").Limit(limit).Scan(ctx); err != nil {
		return nil, fmt.Errorf("read the newest rates: %w", err)
	}
	return list, nil
}

// Get gives a conversion that the caller may see; else web.ErrNotFound.
func Get(ctx context.Context, db bun.IDB, id uuid.UUID) (*Conversion, error) {
	c := &Conversion{}
	err := conversions(ctx, db.NewSelect().Model(c)).Where("c.id = ?", id).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, web.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read conversion: %w", err)
	}
	return c, nil
}

// conversions selects those that the caller may see, members their own, with their reversals.
func conversions(ctx context.Context, q *bun.SelectQuery) *bun.SelectQuery {
	q = q.ColumnExpr("?TableColumns").ColumnExpr("v.created_at AS reversed_at, v.reason AS reversal_reason").
		Join("LEFT JOIN fx_reversals AS v ON v.tenant_id = c.tenant_id AND v.conversion_id = c.id").Where("c.tenant_id = ?", tenancy.ID(ctx))
	if p, ok := auth.From(ctx); ok && p.IsMember() {
		q = q.Where("c.account_id = ?", p.AccountID)
	}
	return q
}

// conversionSpec is what GET fx/conversions/ understands.
var conversionSpec = &web.ListSpec{
	Filters: []web.Filter{
		web.Text("account", "An account, by id or external id."),
		currencyFilter("from_currency", "What was given."),
		currencyFilter("to_currency", "What was got."),
		web.Instant("created_after", "Converted at this time or later."),
		web.Instant("created_before", "Converted before this time."),
	},
	Ordering: map[string]string{"created_at": "id"},
	Default:  "-created_at",
}

func listConversions(ctx context.Context, tx bun.Tx, l web.List) (web.Page[Conversion], error) {
	q := conversions(ctx, tx.NewSelect().Model((*Conversion)(nil)))
	if v, ok := web.Value[string](l, "account"); ok {
		account, err := accounts.ResolveField(ctx, tx, "account", v)
		if err != nil {
			return web.Page[Conversion]{}, err
		}
		q = q.Where("c.account_id = ?", account.ID)
	}
	for _, column := range []string{"from_currency", "to_currency"} {
		if v, ok := web.Value[money.Currency](l, column); ok {
			q = q.Where("c.? = ?", bun.Ident(column), v)
		}
	}
	return web.Paginate(ctx, l.CreatedBetween(q, "c"), l, "c", func(c Conversion) (time.Time, uuid.UUID) { return c.CreatedAt, c.ID })
}
