package ledger

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/audit"
	"countersign/internal/idempotency"
	"countersign/tenancy"
)

// Drift is a cached balance that was not the sum of its entries.
type Drift struct {
	AccountID   uuid.UUID `bun:"id"` // the ledger account
	Code        string    `bun:"code"`
	Owner       string    `bun:"owner"`
	CustomerID  uuid.UUID `bun:"customer_id,type:uuid"`
	Currency    string    `bun:"currency"`
	CachedMinor int64     `bun:"cached_minor"`
	TrueMinor   int64     `bun:"true_minor"`
}

// Rebuilt is what Rebuild has done.
type Rebuilt struct {
	Checked int     // cached balances that were compared with their entries
	Drifts  []Drift // those that were wrong, now corrected
}

// Rebuild replays all cached balances of the tenant of ctx and gives those that were wrong, now corrected (S1-10). It
// may run at any time: it locks the cached rows and then sums, and a posting commits its entries and its share of the
// cached row together, so what is summed and what is added later never overlap. Once may be nil.
func Rebuild(ctx context.Context, db *bun.DB, once *idempotency.Once) (Rebuilt, error) {
	var done Rebuilt
	err := tenancy.InTx(ctx, db, func(ctx context.Context, tx bun.Tx) (err error) {
		done, err = idempotency.Do(ctx, tx, once, func() (Rebuilt, error) { return rebuild(ctx, tx) })
		return err
	})
	return done, err
}

func rebuild(ctx context.Context, tx bun.Tx) (Rebuilt, error) {
	done, tenant := Rebuilt{Drifts: []Drift{}}, tenancy.ID(ctx)
	// a row that was lost is made first: only a row can be locked
	if _, err := tx.NewRaw(`INSERT INTO ledger_balances (tenant_id, ledger_account_id, customer_id, code, currency, amount_minor)
		SELECT a.tenant_id, a.id, a.customer_id, a.code, a.currency, 0 FROM ledger_accounts a WHERE a.tenant_id = ? AND a.customer_id IS NOT NULL ORDER BY a.id
		ON CONFLICT DO NOTHING`, tenant).Exec(ctx); err != nil {
		return done, fmt.Errorf("make missing cached balances: %w", err)
	}
	if err := tx.NewRaw(`SELECT count(*) FROM (SELECT 1 FROM ledger_balances b WHERE b.tenant_id = ? ORDER BY b.ledger_account_id FOR UPDATE) AS locked`,
		tenant).Scan(ctx, &done.Checked); err != nil {
		return done, fmt.Errorf("lock cached balances: %w", err)
	}
	if err := tx.NewRaw(`UPDATE ledger_balances b SET amount_minor = d.true_minor, updated_at = now() FROM (`+driftsQuery+`) d
		WHERE b.tenant_id = ?0 AND b.ledger_account_id = d.id
		RETURNING d.id, d.code, d.owner, d.customer_id, d.currency, d.cached_minor, d.true_minor`, tenant).Scan(ctx, &done.Drifts); err != nil {
		return done, fmt.Errorf("replay balances: %w", err)
	}
	return done, audit.Write(ctx, audit.Record{Action: "ledger.rebuild", ObjectType: "tenant", ObjectID: tenant, After: map[string]any{"drifts": summary(done.Drifts)}})
}

// driftsQuery compares the cached balances with the sums of entries: one row for each that differs. A missing cached
// row counts as zero; a cached row of an account that has none has the code "unknown". ?0 is the tenant.
const driftsQuery = `
SELECT coalesce(c.id, b.ledger_account_id) AS id, coalesce(c.code, 'unknown') AS code, coalesce(c.owner, '') AS owner, coalesce(c.currency, '') AS currency,
  coalesce(c.customer_id, b.customer_id) AS customer_id, coalesce(b.amount_minor, 0) AS cached_minor, coalesce(c.sum, 0) AS true_minor
FROM (
  SELECT a.id, a.code, a.owner, a.currency, a.customer_id, s.sum
  FROM ledger_accounts a
  LEFT JOIN (SELECT e.ledger_account_id, sum(e.amount_minor) AS sum FROM ledger_entries e WHERE e.tenant_id = ?0 GROUP BY e.ledger_account_id) s ON s.ledger_account_id = a.id
  WHERE a.tenant_id = ?0 AND a.customer_id IS NOT NULL
) c
FULL JOIN (SELECT l.ledger_account_id, l.customer_id, l.amount_minor FROM ledger_balances l WHERE l.tenant_id = ?0) b ON b.ledger_account_id = c.id
WHERE coalesce(b.amount_minor, 0) <> coalesce(c.sum, 0)
ORDER BY 1`

// summaryLimit is how many findings a record or event names; the number of all is always told.
const summaryLimit = 100

func summary(drifts []Drift) map[string]any {
	named := make([]map[string]any, 0, min(len(drifts), summaryLimit))
	for _, d := range drifts[:min(len(drifts), summaryLimit)] {
		named = append(named, map[string]any{"account": d.AccountID, "cached_minor": d.CachedMinor, "true_minor": d.TrueMinor, "currency": d.Currency})
	}
	return map[string]any{"count": len(drifts), "accounts": named}
}
