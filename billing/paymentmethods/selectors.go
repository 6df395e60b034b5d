package paymentmethods

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/auth"
	"countersign/internal/web"
	"countersign/tenancy"
)

// GetConfig gives a row of the tenant, or web.ErrNotFound.
func GetConfig(ctx context.Context, db bun.IDB, id uuid.UUID) (*Config, error) {
	return one(ctx, configs(ctx, db).Where("pmc.id = ?", id), &Config{})
}

// ListConfigs gives a page of the tenant's rows.
func ListConfigs(ctx context.Context, db bun.IDB, l web.List) (web.Page[*Config], error) {
	q := configs(ctx, db)
	if country, ok := web.Value[string](l, "country_code"); ok {
		q = q.Where("pmc.country_code = ?", country)
	}
	if method, ok := web.Value[Method](l, "payment_method"); ok {
		q = q.Where("pmc.payment_method = ?", method)
	}
	if enabled, ok := web.Value[bool](l, "is_enabled"); ok {
		q = q.Where("pmc.is_enabled = ?", enabled)
	}
	return web.Paginate(ctx, q, l, "pmc", func(c *Config) (time.Time, uuid.UUID) { return c.CreatedAt, c.ID })
}

// GetSaved gives a saved method that the caller may see, or web.ErrNotFound.
func GetSaved(ctx context.Context, db bun.IDB, id uuid.UUID) (*Saved, error) {
	return one(ctx, saved(ctx, db).Where("apm.id = ?", id), &Saved{})
}

// ListSaved gives a page of the saved methods that the caller may see; account narrows it further unless it is zero.
func ListSaved(ctx context.Context, db bun.IDB, l web.List, account uuid.UUID) (web.Page[*Saved], error) {
	q := saved(ctx, db)
	if account != uuid.Nil {
		q = q.Where("apm.account_id = ?", account)
	}
	if method, ok := web.Value[Method](l, "payment_method"); ok {
		q = q.Where("apm.payment_method = ?", method)
	}
	return web.Paginate(ctx, q, l, "apm", func(m *Saved) (time.Time, uuid.UUID) { return m.CreatedAt, m.ID })
}

func configs(ctx context.Context, db bun.IDB) *bun.SelectQuery {
	return db.NewSelect().Model((*Config)(nil)).Where("pmc.tenant_id = ?", tenancy.ID(ctx))
}

func saved(ctx context.Context, db bun.IDB) *bun.SelectQuery {
	q := db.NewSelect().Model((*Saved)(nil)).Where("apm.tenant_id = ?", tenancy.ID(ctx))
	if p, _ := auth.From(ctx); p.IsMember() {
		q = q.Where("apm.account_id = ?", p.AccountID)
	}
	return q
}

func one[T any](ctx context.Context, q *bun.SelectQuery, row *T) (*T, error) {
	err := q.Scan(ctx, row)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, web.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read payment method: %w", err)
	}
	return row, nil
}

// countriesOf gives the countries that have rows.
func countriesOf(ctx context.Context, db bun.IDB) ([]string, error) {
	codes := []string{}
	if err := configs(ctx, db).ColumnExpr("DISTINCT pmc.country_code").OrderExpr("pmc.country_code").Scan(ctx, &codes); err != nil {
		return nil, fmt.Errorf("read countries of payment methods: %w", err)
	}
	return codes, nil
}
