package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/web"
	"countersign/tenancy"
)

// Balance is the sum of the entries of a ledger account, up to and including asOf when it is given. It is zero for an
// account on which nothing was posted. Ref.ID gives the id.
func Balance(ctx context.Context, db bun.IDB, accountID uuid.UUID, asOf *time.Time) (Sum, error) {
	q := db.NewSelect().TableExpr("ledger_entries AS e").ColumnExpr("coalesce(sum(e.amount_minor), 0)").
		Where("e.tenant_id = ?", tenancy.ID(ctx)).Where("e.ledger_account_id = ?", accountID)
	if asOf != nil {
		q = q.Where("e.created_at <= ?", *asOf)
	}
	var sum Sum
	if err := q.Scan(ctx, &sum); err != nil {
		return Sum{}, fmt.Errorf("sum entries of ledger account %s: %w", accountID, err)
	}
	return sum, nil
}

// Balances is Balance for several accounts at once. Those without entries are missing from the map.
func Balances(ctx context.Context, db bun.IDB, accountIDs []uuid.UUID, asOf *time.Time) (map[uuid.UUID]Sum, error) {
	if len(accountIDs) == 0 {
		return nil, nil
	}
	var rows []struct {
		ID  uuid.UUID `bun:"id"`
		Sum Sum       `bun:"sum"`
	}
	q := db.NewSelect().TableExpr("ledger_entries AS e").ColumnExpr("e.ledger_account_id AS id, sum(e.amount_minor) AS sum").
		Where("e.tenant_id = ?", tenancy.ID(ctx)).Where("e.ledger_account_id IN (?)", bun.In(accountIDs)).GroupExpr("e.ledger_account_id")
	if asOf != nil {
		q = q.Where("e.created_at <= ?", *asOf)
	}
	if err := q.Scan(ctx, &rows); err != nil {
		return nil, fmt.Errorf("sum entries of %d ledger accounts: %w", len(accountIDs), err)
	}
	sums := make(map[uuid.UUID]Sum, len(rows))
	for _, r := range rows {
		sums[r.ID] = r.Sum
	}
	return sums, nil
}

// Cached is the cached balance of a customer's ledger account. It is for showing; what decides is Balance, or what Lock
// gives.
type Cached struct {
	AccountID   uuid.UUID `bun:"id"` // the ledger account
	Code        string    `bun:"code"`
	Currency    string    `bun:"currency"`
	AmountMinor int64     `bun:"amount_minor"` // positive: debit
}

// CachedBalance gives the cached balance of a ledger account; zero when nothing is cached for it.
func CachedBalance(ctx context.Context, db bun.IDB, accountID uuid.UUID) (int64, error) {
	var amount int64
	err := db.NewSelect().TableExpr("ledger_balances AS b").ColumnExpr("b.amount_minor").
		Where("b.tenant_id = ?", tenancy.ID(ctx)).Where("b.ledger_account_id = ?", accountID).Scan(ctx, &amount)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read cached balance of %s: %w", accountID, err)
	}
	return amount, nil
}

// CachedBalances gives the cached balances of a customer's account, by code and currency.
func CachedBalances(ctx context.Context, db bun.IDB, customerID uuid.UUID) ([]Cached, error) {
	var rows []Cached
	err := db.NewSelect().TableExpr("ledger_accounts AS a").ColumnExpr("a.id, a.code, a.currency, b.amount_minor").
		Join("JOIN ledger_balances AS b ON b.tenant_id = a.tenant_id AND b.ledger_account_id = a.id").
		Where("a.tenant_id = ?", tenancy.ID(ctx)).Where("a.customer_id = ?", customerID).
		OrderExpr("a.code, a.currency").Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("read cached balances of account %s: %w", customerID, err)
	}
	return rows, nil
}

// BalancesOf is CachedBalances as they were at a time, up to and including it, summed from the entries.
func BalancesOf(ctx context.Context, db bun.IDB, customerID uuid.UUID, asOf time.Time) ([]Cached, error) {
	var rows []Cached
	err := db.NewRaw(`SELECT a.id, a.code, a.currency, coalesce(sum(e.amount_minor), 0)::bigint AS amount_minor
		FROM ledger_accounts a LEFT JOIN ledger_entries e ON e.tenant_id = ?0 AND e.ledger_account_id = a.id AND e.created_at <= ?2
		WHERE a.tenant_id = ?0 AND a.customer_id = ?1 GROUP BY a.id, a.code, a.currency ORDER BY a.code, a.currency`, tenancy.ID(ctx), customerID, asOf).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("sum entries of account %s: %w", customerID, err)
	}
	return rows, nil
}

// GetAccount gives a row of the chart; web.ErrNotFound when nothing was posted there yet.
func GetAccount(ctx context.Context, db bun.IDB, id uuid.UUID) (*Account, error) {
	a := &Account{}
	err := db.NewSelect().Model(a).Where("a.tenant_id = ?", tenancy.ID(ctx)).Where("a.id = ?", id).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, web.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read ledger account %s: %w", id, err)
	}
	return a, nil
}

// TransactionOf gives the transaction that was posted for a cause, with its entries; web.ErrNotFound when none was.
func TransactionOf(ctx context.Context, db bun.IDB, cause string) (*Transaction, error) {
	return transaction(ctx, db, "t.cause = ?", cause)
}

func transaction(ctx context.Context, db bun.IDB, where string, value any) (*Transaction, error) {
	found, err := transactions(ctx, db, where, value)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, web.ErrNotFound
	}
	return &found[0], nil
}

func transactions(ctx context.Context, db bun.IDB, where string, value any) ([]Transaction, error) {
	var found []Transaction
	err := db.NewSelect().Model(&found).Where("t.tenant_id = ?", tenancy.ID(ctx)).Where(where, value).OrderExpr("t.id").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read ledger transactions: %w", err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	ids := make([]uuid.UUID, len(found))
	byID := make(map[uuid.UUID]*Transaction, len(found))
	for i := range found {
		ids[i], byID[found[i].ID] = found[i].ID, &found[i]
	}
	var entries []PostedEntry
	err = db.NewSelect().Model(&entries).Where("e.tenant_id = ?", tenancy.ID(ctx)).Where("e.transaction_id IN (?)", bun.In(ids)).
		OrderExpr("e.transaction_id, e.line").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read ledger entries: %w", err)
	}
	if err := attachAccounts(ctx, db, entries); err != nil {
		return nil, err
	}
	for _, e := range entries {
		t := byID[e.TransactionID]
		e.Transaction = t
		t.Entries = append(t.Entries, e)
	}
	return found, nil
}

// attachAccounts loads the chart rows of entries, in one statement.
func attachAccounts(ctx context.Context, db bun.IDB, entries []PostedEntry) error {
	byID := map[uuid.UUID]*Account{}
	ids := []uuid.UUID{}
	for _, e := range entries {
		if _, ok := byID[e.AccountID]; !ok {
			byID[e.AccountID] = nil
			ids = append(ids, e.AccountID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var accounts []Account
	err := db.NewSelect().Model(&accounts).Where("a.tenant_id = ?", tenancy.ID(ctx)).Where("a.id IN (?)", bun.In(ids)).Scan(ctx)
	if err != nil {
		return fmt.Errorf("read ledger accounts: %w", err)
	}
	for i := range accounts {
		byID[accounts[i].ID] = &accounts[i]
	}
	for i := range entries {
		entries[i].Account = byID[entries[i].AccountID]
	}
	return nil
}
