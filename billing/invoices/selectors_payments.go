package invoices

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/web"
	"countersign/tenancy"
)

// What payments read of invoices runs with each of them, so it is prepared once and scanned by hand. Lines, notes and
// the reason of a void are not read.
const (
	hotColumns = `SELECT id, account_id, coalesce(external_id, ''), coalesce(number, ''), number_is_ours, status, currency, invoice_date, due_date,
  subtotal_minor, discount_minor, tax_minor, total_minor, paid_minor, credited_minor, balance_minor, credits,
  pending_claims, clock_paused_at, clock_paused_for, version, created_at, updated_at, finalized_at, paid_at, voided_at
FROM invoices WHERE tenant_id = $1 AND `
	byIDs         = hotColumns + `id = ANY ($2::uuid[])`
	lockByIDs     = hotColumns + `id = ANY ($2::uuid[]) ORDER BY id FOR NO KEY UPDATE`
	lockReference = hotColumns + named + ` FOR NO KEY UPDATE`
	idOfReference = `SELECT id FROM invoices WHERE tenant_id = $1 AND ` + named
	// named is the one invoice that is meant: by $2, its id, or else by $3, its external id; $4 is the account of a member, who sees no drafts.
	named = `(id = $2 OR external_id = $3) AND ($4::uuid IS NULL OR account_id = $4 AND finalized_at IS NOT NULL) ORDER BY id = $2 DESC LIMIT 1`
)

// Lock locks invoices against every other change, in the order of their ids, so that two callers never wait for each
// other. Unknown ids are absent from the answer.
func Lock(ctx context.Context, tx bun.Tx, ids ...uuid.UUID) (map[uuid.UUID]*Invoice, error) {
	return hotRows(ctx, tx, lockByIDs, ids)
}

// LockReference locks the one invoice that a client names by its id or else by its external id (Z-36). What does not
// exist, or is not for the caller to see, is ErrNotFound.
func LockReference(ctx context.Context, tx bun.Tx, ref string) (*Invoice, error) {
	if !storable(ref) {
		return nil, ErrNotFound
	}
	id, account := references(ctx, ref)
	found, err := hotRows(ctx, tx, lockReference, id, ref, account)
	if err != nil {
		return nil, err
	}
	for _, inv := range found {
		return inv, nil
	}
	return nil, ErrNotFound
}

// references gives the id that a reference may be, zero when it is none, and the account of a member, nil for others.
func references(ctx context.Context, ref string) (uuid.UUID, *uuid.UUID) {
	id, err := web.ParseID(ref)
	if err != nil {
		id = uuid.Nil // nobody's
	}
	if p, ok := auth.From(ctx); ok && p.IsMember() {
		return id, &p.AccountID
	}
	return id, nil
}

// ByIDs reads invoices without locking them. Unknown ids are absent from the answer.
func ByIDs(ctx context.Context, tx bun.Tx, ids ...uuid.UUID) (map[uuid.UUID]*Invoice, error) {
	return hotRows(ctx, tx, byIDs, ids)
}

func hotRows(ctx context.Context, tx bun.Tx, query string, which ...any) (map[uuid.UUID]*Invoice, error) {
	tenant := tenancy.ID(ctx)
	rows, err := database.Hot(tx).QueryContext(ctx, query, append([]any{tenant}, which...)...)
	if err != nil {
		return nil, fmt.Errorf("read invoices: %w", err)
	}
	defer rows.Close()
	found := map[uuid.UUID]*Invoice{}
	for rows.Next() {
		inv := &Invoice{TenantID: tenant}
		var pausedAt, finalizedAt, paidAt, voidedAt sql.NullTime
		err := rows.Scan(&inv.ID, &inv.AccountID, &inv.ExternalID, &inv.Number, &inv.NumberIsOurs, &inv.Status, &inv.Currency, &inv.InvoiceDate, &inv.DueDate,
			&inv.SubtotalMinor, &inv.DiscountMinor, &inv.TaxMinor, &inv.TotalMinor, &inv.PaidMinor, &inv.CreditedMinor, &inv.BalanceMinor, &inv.Credits,
			&inv.PendingClaims, &pausedAt, &inv.ClockPausedFor, &inv.Version, &inv.CreatedAt, &inv.UpdatedAt, &finalizedAt, &paidAt, &voidedAt)
		if err != nil {
			return nil, fmt.Errorf("read an invoice: %w", err)
		}
		inv.ClockPausedAt, inv.FinalizedAt, inv.PaidAt, inv.VoidedAt = pausedAt.Time, finalizedAt.Time, paidAt.Time, voidedAt.Time
		found[inv.ID] = inv
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read invoices: %w", err)
	}
	return found, nil
}

const idsByNumber = `SELECT number, id FROM invoices WHERE tenant_id = $1 AND number = ANY ($2::text[])`

// ByNumbers gives the ids of the invoices that have these numbers.
func ByNumbers(ctx context.Context, tx bun.Tx, numbers []string) (map[string]uuid.UUID, error) {
	rows, err := database.Hot(tx).QueryContext(ctx, idsByNumber, tenancy.ID(ctx), numbers)
	if err != nil {
		return nil, fmt.Errorf("look up invoice numbers: %w", err)
	}
	defer rows.Close()
	found := map[string]uuid.UUID{}
	for rows.Next() {
		var number string
		var id uuid.UUID
		if err := rows.Scan(&number, &id); err != nil {
			return nil, fmt.Errorf("read an invoice number: %w", err)
		}
		found[number] = id
	}
	return found, rows.Err()
}

// ResolveID gives the id of the invoice that a client names by its id or else by its external id (Z-36), or
// ErrNotFound. Whoever locks the invoice next calls LockReference instead.
func ResolveID(ctx context.Context, tx bun.Tx, ref string) (uuid.UUID, error) {
	if !storable(ref) {
		return uuid.Nil, ErrNotFound
	}
	id, account := references(ctx, ref)
	var found uuid.UUID
	err := database.Hot(tx).QueryRowContext(ctx, idOfReference, tenancy.ID(ctx), id, ref, account).Scan(&found)
	if errors.Is(err, sql.ErrNoRows) {
		return uuid.Nil, ErrNotFound
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("resolve an invoice: %w", err)
	}
	return found, nil
}
