package invoices

import (
	"context"
	"database/sql"
	"time"

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
	hotColumns = `id, account_id, coalesce(external_id, ''), coalesce(number, ''), number_is_ours, status, currency, invoice_date, due_date,
  subtotal_minor, discount_minor, tax_minor, total_minor, paid_minor, credited_minor, credit_applied_minor, written_off_minor, balance_minor, reopened, credits,
  pending_claims, clock_paused_at, clock_paused_for, version, created_at, updated_at, finalized_at, paid_at, voided_at`
	byIDs         = `SELECT ` + hotColumns + ` FROM invoices WHERE tenant_id = $1 AND id = ANY ($2::uuid[])`
	lockByIDs     = byIDs + ` ORDER BY id FOR NO KEY UPDATE`
	lockFree      = `SELECT ` + hotColumns + `, clock_timestamp() FROM invoices WHERE tenant_id = $1 AND id = ANY ($2::uuid[]) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED`
	lockReference = `SELECT ` + hotColumns + `, clock_timestamp() FROM invoices WHERE tenant_id = $1 AND ` + named + ` FOR NO KEY UPDATE`
	idOfReference = `SELECT id FROM invoices WHERE tenant_id = $1 AND ` + named
	// named is the one invoice that is meant: by $2, its id, or else by $3, its external id; $4 is the account of a member, who sees no drafts.
	named = `(id = $2 OR external_id = $3) AND ($4::uuid IS NULL OR account_id = $4 AND finalized_at IS NOT NULL) ORDER BY id = $2 DESC LIMIT 1`
)

// columnsOf reads one row of hotColumns, and more columns into more.
func columnsOf(row database.Row, inv *Invoice, more ...any) error {
	var pausedAt, finalizedAt, paidAt, voidedAt sql.NullTime
	err := row.Scan(append([]any{&inv.ID, &inv.AccountID, &inv.ExternalID, &inv.Number, &inv.NumberIsOurs, &inv.Status, &inv.Currency, &inv.InvoiceDate, &inv.DueDate,
		&inv.SubtotalMinor, &inv.DiscountMinor, &inv.TaxMinor, &inv.TotalMinor, &inv.PaidMinor, &inv.CreditedMinor, &inv.CreditAppliedMinor, &inv.WrittenOffMinor, &inv.BalanceMinor,
		&inv.Reopened, &inv.Credits,
		&inv.PendingClaims, &pausedAt, &inv.ClockPausedFor, &inv.Version, &inv.CreatedAt, &inv.UpdatedAt, &finalizedAt, &paidAt, &voidedAt}, more...)...)
	inv.ClockPausedAt, inv.FinalizedAt, inv.PaidAt, inv.VoidedAt = pausedAt.Time, finalizedAt.Time, paidAt.Time, voidedAt.Time
	return err
}

func selectInvoices(ctx context.Context, found map[uuid.UUID]*Invoice, query string, ids []uuid.UUID) database.Statement {
	return database.Select("read invoices", query, func(row database.Row) error {
		inv := &Invoice{TenantID: tenancy.ID(ctx)}
		err := columnsOf(row, inv)
		found[inv.ID] = inv
		return err
	}, tenancy.ID(ctx), ids)
}

// SelectByIDs adds invoices to found without locking them. Unknown ids stay absent.
func SelectByIDs(ctx context.Context, found map[uuid.UUID]*Invoice, ids ...uuid.UUID) database.Statement {
	return selectInvoices(ctx, found, byIDs, ids)
}

// SelectByNumbers adds the ids of the invoices that have these numbers to found.
func SelectByNumbers(ctx context.Context, found map[string]uuid.UUID, numbers ...string) database.Statement {
	return database.Select("look up invoice numbers", idsByNumber, func(row database.Row) error {
		var number string
		var id uuid.UUID
		err := row.Scan(&number, &id)
		found[number] = id
		return err
	}, tenancy.ID(ctx), numbers)
}

// Lock locks invoices against every other change, in the order of their ids, so that two callers never wait for each
// other. Unknown ids are absent from the answer.
func Lock(ctx context.Context, _ bun.Tx, ids ...uuid.UUID) (map[uuid.UUID]*Invoice, error) {
	found := map[uuid.UUID]*Invoice{}
	err := database.Send(ctx, selectInvoices(ctx, found, lockByIDs, ids))
	return found, err
}

// Owing is an invoice as who settles has read it: only what ApplyPayments looks at, and where its row lies.
type Owing struct {
	Invoice
	place database.Place
}

const (
	owed = `SELECT ctid, id, account_id, coalesce(number, ''), status, currency, total_minor, paid_minor, credited_minor, credit_applied_minor, written_off_minor, balance_minor, reopened,
  credits, pending_claims, clock_paused_at, clock_paused_for, version, finalized_at, paid_at FROM invoices WHERE tenant_id = $1 AND id = ANY ($2::uuid[])`
	lockOwed = owed + ` ORDER BY id FOR NO KEY UPDATE`
)

// Owed reads what invoices owe without locking them. Unknown ids are absent from the answer.
func Owed(ctx context.Context, _ bun.Tx, ids ...uuid.UUID) (map[uuid.UUID]*Owing, error) {
	return readOwed(ctx, owed, ids)
}

// LockOwed is Owed with locks, as those of Lock.
func LockOwed(ctx context.Context, _ bun.Tx, ids ...uuid.UUID) (map[uuid.UUID]*Owing, error) {
	return readOwed(ctx, lockOwed, ids)
}

func readOwed(ctx context.Context, query string, ids []uuid.UUID) (map[uuid.UUID]*Owing, error) {
	found, list := make(map[uuid.UUID]*Owing, len(ids)), make([]*Invoice, 0, len(ids))
	inv := Owing{Invoice: Invoice{TenantID: tenancy.ID(ctx)}} // of the row that is being read
	var pausedAt, finalizedAt, paidAt sql.NullTime
	into := []any{&inv.place, &inv.ID, &inv.AccountID, &inv.Number, &inv.Status, &inv.Currency, &inv.TotalMinor, &inv.PaidMinor, &inv.CreditedMinor, &inv.CreditAppliedMinor,
		&inv.WrittenOffMinor, &inv.BalanceMinor, &inv.Reopened, &inv.Credits, &inv.PendingClaims, &pausedAt, &inv.ClockPausedFor, &inv.Version, &finalizedAt, &paidAt}
	err := database.Send(ctx, database.Select("read what is owed", query, func(row database.Row) error {
		err := row.Scan(into...)
		inv.ClockPausedAt, inv.FinalizedAt, inv.PaidAt = pausedAt.Time, finalizedAt.Time, paidAt.Time
		one := inv
		found[inv.ID], list = &one, append(list, &one.Invoice)
		return err
	}, inv.TenantID, ids))
	if err != nil {
		return nil, err
	}
	return found, learnGivenUp(ctx, list...)
}

// Locked is an invoice that nobody else can change until the transaction ends, and when it was locked, by the database's
// clock.
type Locked struct {
	*Invoice
	At time.Time
}

// SelectFree locks those of several invoices that nobody else holds, and adds them to found.
func SelectFree(ctx context.Context, found map[uuid.UUID]Locked, ids ...uuid.UUID) database.Statement {
	return database.Select("lock invoices", lockFree, func(row database.Row) error {
		l := Locked{Invoice: &Invoice{TenantID: tenancy.ID(ctx)}}
		err := columnsOf(row, l.Invoice, &l.At)
		found[l.ID] = l
		return err
	}, tenancy.ID(ctx), ids)
}

// LockReference locks the one invoice that a client names by its id or else by its external id (Z-36). What does not exist, or
// is not for the caller to see, is ErrNotFound.
func LockReference(ctx context.Context, _ bun.Tx, ref string) (Locked, error) {
	if !storable(ref) {
		return Locked{}, ErrNotFound
	}
	id, account := references(ctx, ref)
	l := Locked{Invoice: &Invoice{TenantID: tenancy.ID(ctx)}}
	read := func(row database.Row) error { return columnsOf(row, l.Invoice, &l.At) }
	if err := database.Send(ctx, database.Select("lock an invoice", lockReference, read, tenancy.ID(ctx), id, ref, account)); err != nil {
		return Locked{}, err
	}
	if l.ID == uuid.Nil {
		return Locked{}, ErrNotFound
	}
	return l, nil
}

// references gives the id that a reference may be, zero when it is none, and the account of a member, nil for others.
func references(ctx context.Context, ref string) (uuid.UUID, *uuid.UUID) {
	id, err := web.ParseID(ref)
	if err != nil {
		id = uuid.Nil // nobody's
	}
	return id, auth.MembersAccount(ctx)
}

// ByIDs reads invoices without locking them. Unknown ids are absent from the answer.
func ByIDs(ctx context.Context, _ bun.Tx, ids ...uuid.UUID) (map[uuid.UUID]*Invoice, error) {
	found := map[uuid.UUID]*Invoice{}
	err := database.Send(ctx, SelectByIDs(ctx, found, ids...))
	return found, err
}

const idsByNumber = `SELECT number, id FROM invoices WHERE tenant_id = $1 AND number = ANY ($2::text[])`

// ResolveID gives the id of the invoice that a client names by its id or else by its external id (Z-36), or
// ErrNotFound. Whoever locks the invoice next calls LockReference instead.
func ResolveID(ctx context.Context, _ bun.Tx, ref string) (uuid.UUID, error) {
	if !storable(ref) {
		return uuid.Nil, ErrNotFound
	}
	id, account := references(ctx, ref)
	var found uuid.UUID
	err := database.Send(ctx, database.Select("resolve an invoice", idOfReference, func(row database.Row) error { return row.Scan(&found) }, tenancy.ID(ctx), id, ref, account))
	if err != nil {
		return uuid.Nil, err
	}
	if found == uuid.Nil {
		return uuid.Nil, ErrNotFound
	}
	return found, nil
}
