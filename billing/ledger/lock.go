package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/audit"
	"countersign/internal/database"
	"countersign/internal/integrity"
	"countersign/tenancy"
)

// Lock locks the balances of customers' accounts of the chart until the transaction ends, and gives them: positive is a
// debit, so what a customer has to spend is negative. It comes after the locks on payments and invoices. On an account
// that is missing from the map nothing was ever posted.
//
// The cached rows are only what is locked. What is given are the sums of the entries (S1-01, S1-09). A row that was lost
// is made, and one that says something else is corrected and raises an alarm.
func Lock(ctx context.Context, _ bun.Tx, refs ...Ref) (map[Ref]int64, error) {
	byID := make(map[uuid.UUID]Ref, len(refs))
	for _, r := range refs {
		if r.customer == uuid.Nil {
			return nil, fmt.Errorf("%w: %s has no balance that could be locked", ErrInvalidPosting, r)
		}
		byID[r.ID(ctx)] = r
	}
	tenant, ids := tenancy.ID(ctx), slices.Collect(maps.Keys(byID))
	locked, balances := map[uuid.UUID]bool{}, make(map[Ref]int64, len(refs))
	var drifts []Drift
	err := database.Send(ctx,
		database.Change("make lost balances", makeLost, tenant, ids),
		database.Select("lock balances", lockCached, func(row database.Row) error {
			var id uuid.UUID
			err := row.Scan(&id)
			locked[id] = true
			return err
		}, tenant, ids),
		// A statement of its own: what others posted while we waited for their locks is seen only by one that begins now.
		database.Select("sum entries of locked balances", sumLocked, func(row database.Row) error {
			var d Drift
			if err := row.Scan(&d.AccountID, &d.CachedMinor, &d.TrueMinor); err != nil || !locked[d.AccountID] {
				return err
			}
			balances[byID[d.AccountID]] = d.TrueMinor
			if d.CachedMinor != d.TrueMinor {
				drifts = append(drifts, d)
			}
			return nil
		}, tenant, ids))
	if err != nil {
		return nil, err
	}
	for _, d := range drifts {
		if err := correct(ctx, byID[d.AccountID], d); err != nil {
			return nil, err
		}
	}
	return balances, nil
}

const (
	makeLost = `
INSERT INTO ledger_balances (tenant_id, ledger_account_id, customer_id, code, currency, amount_minor)
SELECT a.tenant_id, a.id, a.customer_id, a.code, a.currency, 0 FROM ledger_accounts AS a
WHERE a.tenant_id = $1 AND a.id = ANY ($2::uuid[])
  AND NOT EXISTS (SELECT FROM ledger_balances AS b WHERE b.tenant_id = $1 AND b.ledger_account_id = a.id)
ORDER BY a.id ON CONFLICT DO NOTHING`
	lockCached = `
SELECT b.ledger_account_id FROM ledger_balances AS b
WHERE b.tenant_id = $1 AND b.ledger_account_id = ANY ($2::uuid[]) ORDER BY b.ledger_account_id FOR UPDATE`
	sumLocked = `
SELECT b.ledger_account_id, b.amount_minor,
  (SELECT coalesce(sum(e.amount_minor), 0)::bigint FROM ledger_entries AS e WHERE e.tenant_id = $1 AND e.ledger_account_id = b.ledger_account_id)
FROM ledger_balances AS b WHERE b.tenant_id = $1 AND b.ledger_account_id = ANY ($2::uuid[])`
	correctCached = `UPDATE ledger_balances SET amount_minor = $3, updated_at = now() WHERE tenant_id = $1 AND ledger_account_id = $2`
)

// correct makes a locked balance the sum of its entries, because the database's own guards go by it, and tells everybody
// whom the nightly proof would tell. When the transaction is lost, the log has it, and the proof finds it again.
func correct(ctx context.Context, ref Ref, d Drift) error {
	tenant, detail := tenancy.ID(ctx), fmt.Sprintf("cached %d, true %d", d.CachedMinor, d.TrueMinor)
	slog.ErrorContext(ctx, "the books are broken", "tenant", tenant, "check", driftProof, "what", "a cached balance is not the sum of its entries",
		"account", ref.String(), "first", d.AccountID, "detail", detail)
	if err := Refusal(ctx, database.Send(ctx, database.Change("correct a balance", correctCached, tenant, d.AccountID, d.TrueMinor))); err != nil {
		return err
	}
	integrity.Report(ctx, driftProof, apps.Place{Object: d.AccountID, Detail: detail})
	return audit.Write(ctx, audit.Record{Action: "ledger.correct_balance", ObjectType: "ledger_account", ObjectID: d.AccountID, AccountID: ref.customer,
		Before: map[string]any{"cached_minor": d.CachedMinor, "currency": ref.currency}, After: map[string]any{"cached_minor": d.TrueMinor, "currency": ref.currency}})
}
