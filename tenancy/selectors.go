package tenancy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/database"
)

const current = `
SELECT id, slug, name, country, default_currency, timezone, locale, invoice_prefix, payment_terms_days, two_approval_threshold_minor,
  allow_parallel_claims, test_mode, apply_credit_automatically, refund_window_days, two_refund_approvals_above_minor, write_off_tolerance_minor,
  payment_limit_minor, daily_limit_minor, hourly_payments, duplicate_window_minutes, is_active, created_at, updated_at
FROM tenants WHERE id = $1`

// SelectCurrent reads the tenant of ctx into t, which keeps a zero ID when there is none.
func SelectCurrent(ctx context.Context, t *Tenant) database.Statement {
	return database.Select("read tenant", current, func(row database.Row) error {
		return row.Scan(&t.ID, &t.Slug, &t.Name, &t.Country, &t.DefaultCurrency, &t.Timezone, &t.Locale,
			&t.InvoicePrefix, &t.PaymentTermsDays, &t.TwoApprovalThresholdMinor, &t.AllowParallelClaims, &t.TestMode, &t.ApplyCreditAutomatically,
			&t.RefundWindowDays, &t.TwoRefundApprovalsAboveMinor, &t.WriteOffToleranceMinor, &t.PaymentLimitMinor, &t.DailyLimitMinor, &t.HourlyPayments,
			&t.DuplicateWindowMinutes, &t.IsActive, &t.CreatedAt, &t.UpdatedAt)
	}, ID(ctx))
}

// Current gives the tenant of ctx.
func Current(ctx context.Context, _ bun.Tx) (*Tenant, error) {
	t := &Tenant{}
	if err := database.Send(ctx, SelectCurrent(ctx, t)); err != nil {
		return nil, err
	}
	if t.ID == uuid.Nil {
		return nil, ErrNoTenant
	}
	return t, nil
}

// All gives the ids of the active tenants. It runs as the observer.
func All(ctx context.Context, tx bun.Tx) ([]uuid.UUID, error) {
	var ids []uuid.UUID
	if err := tx.NewSelect().TableExpr("tenants AS t").ColumnExpr("t.id").Where("t.is_active").OrderExpr("t.id").Scan(ctx, &ids); err != nil {
		return nil, fmt.Errorf("list tenants: %w", err)
	}
	return ids, nil
}

// AllEver gives the ids of all tenants, also of those that are switched off. It runs as the observer.
func AllEver(ctx context.Context, tx bun.Tx) ([]uuid.UUID, error) {
	var ids []uuid.UUID
	if err := tx.NewSelect().TableExpr("tenants AS t").ColumnExpr("t.id").OrderExpr("t.id").Scan(ctx, &ids); err != nil {
		return nil, fmt.Errorf("list all tenants: %w", err)
	}
	return ids, nil
}

// Due makes a query for the tenants that are switched on and have rows in a table whose time, in a column that the observer sees,
// has come by the database's clock. It runs as the observer, once a second, so the column wants an index behind the tenant.
func Due(table, column string) func(ctx context.Context, tx bun.Tx) ([]uuid.UUID, error) {
	return func(ctx context.Context, tx bun.Tx) ([]uuid.UUID, error) {
		var ids []uuid.UUID
		err := tx.NewRaw("SELECT t.id FROM tenants AS t WHERE t.is_active AND EXISTS (SELECT FROM ? AS d WHERE d.tenant_id = t.id AND d.? <= now())",
			bun.Ident(table), bun.Ident(column)).Scan(ctx, &ids)
		if err != nil {
			return nil, fmt.Errorf("look for tenants with due %s: %w", table, err)
		}
		return ids, nil
	}
}

// BySlug finds a tenant by its short name, for the operator's commands. It runs as the observer.
func BySlug(ctx context.Context, tx bun.Tx, slug string) (uuid.UUID, error) {
	var id uuid.UUID
	err := tx.NewSelect().TableExpr("tenants AS t").ColumnExpr("t.id").Where("t.slug = ?", slug).Scan(ctx, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return uuid.Nil, ErrUnknownSlug.With("slug", slug)
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("find tenant %s: %w", slug, err)
	}
	return id, nil
}

// NextNumber takes the next number of a series, from 1 without gaps: the series stays locked until the caller's
// transaction ends, and a rolled-back number is given again. year is 0 for a series that does not start again each year.
func NextNumber(ctx context.Context, tx bun.Tx, series string, year int) (int64, error) {
	var n int64
	err := tx.NewRaw(`INSERT INTO number_series AS s (tenant_id, series, year, last_value) VALUES (?, ?, ?, 1)
		ON CONFLICT (tenant_id, series, year) DO UPDATE SET last_value = s.last_value + 1 RETURNING last_value`,
		ID(ctx), series, year).Scan(ctx, &n)
	if err != nil {
		return 0, fmt.Errorf("take a number of series %s: %w", series, err)
	}
	return n, nil
}
