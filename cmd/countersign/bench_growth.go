package main

import (
	"context"
	"fmt"
)

// growth settles backlogs in two databases of one server in turn: in one the ledger has only what settlements have
// brought, in the other it has grown before (G10).
func (b *bench) growth(ctx context.Context) error {
	young, small, err := b.grown(ctx, "bench_young", 1, 0)
	if err != nil {
		return err
	}
	defer young.close()
	old, large, err := b.grown(ctx, "bench_old", 2, b.Entries)
	if err != nil {
		return err
	}
	defer old.close()
	fmt.Printf("\nSettlement in a young ledger, and in one with %d entries more, %d of them on the account that every settlement moves:\n", b.Entries, b.Hot)
	var rates, costs []float64
	for round := range b.Rounds {
		var f [2]figure
		for i := range 2 {
			which := (round + i) % 2 // each comes first as often as second
			at, tenants := young, small
			if which == 1 {
				at, tenants = old, large
			}
			if f[which], err = at.settle(ctx, tenants); err != nil {
				return err
			}
			if err := at.rightBooks(ctx); err != nil {
				return err
			}
		}
		fmt.Printf("  round %d  young %9.0f /s %4d µs CPU   grown %9.0f /s %4d µs CPU\n", round+1, f[0].perSecond, f[0].cpu.all().Microseconds(), f[1].perSecond, f[1].cpu.all().Microseconds())
		rates, costs = append(rates, rate(f[1], f[0])), append(costs, cost(f[1], f[0]))
	}
	verdict("G10", "settlement, grown / young", rates, 0.9, 0.95, false)
	verdict("G10", "  the same, all CPU of young / all CPU", costs, 0, 0, false)
	return nil
}

// grown gives a bench in a database of its own, with one tenant who has some ledger entries.
func (b *bench) grown(ctx context.Context, name string, part, entries int) (*bench, []*benchTenant, error) {
	at, err := b.beside(ctx, name, part)
	if err != nil {
		return nil, nil, err
	}
	tenants, err := at.fill(ctx, "growth", 1)
	if err != nil {
		return nil, nil, err
	}
	if err := at.warm(ctx, tenants); err != nil {
		return nil, nil, err
	}
	return at, tenants, at.ledgerHistory(ctx, tenants[0], entries)
}

// ledgerHistory adds old transactions of two entries to a tenant's ledger, without triggers, and brings the cached
// balances up to date. Some move money from customers to clearing, the others between customers.
func (b *bench) ledgerHistory(ctx context.Context, t *benchTenant, entries int) error {
	const step = 250_000
	n := entries / 2
	if n == 0 {
		return nil
	}
	every := max(1, n/max(1, b.Hot))
	id := benchID("g", t.id, "h")
	for from := 1; from <= n; from += step {
		to := min(from+step-1, n)
		err := b.asOwner(ctx, "SET session_replication_role = replica",
			fmt.Sprintf(`INSERT INTO ledger_transactions (tenant_id, id, cause, kind, lines, posted_by, created_at)
				SELECT '%[1]s', %[2]s, 'bench:' || g, 'bench_history', 2, 'bench', now() - interval '30 days' FROM generate_series(%[3]d::bigint, %[4]d::bigint) g`, t.id, id, from, to),
			fmt.Sprintf(`WITH chart AS MATERIALIZED (SELECT array_agg(a.id) AS customers, cardinality(array_agg(a.id)) AS n,
					(SELECT c.id FROM ledger_accounts c WHERE c.tenant_id = '%[1]s' AND c.code = 'clearing' AND c.owner = 'bank_transfer') AS clearing
					FROM ledger_accounts a WHERE a.tenant_id = '%[1]s' AND a.code = 'receivable')
				INSERT INTO ledger_entries (tenant_id, transaction_id, line, ledger_account_id, amount_minor, currency, created_at)
				SELECT '%[1]s', %[2]s, e.line, e.account, e.amount, 'USD', now() - interval '30 days'
				FROM chart, generate_series(%[3]d::bigint, %[4]d::bigint) g, LATERAL (VALUES
					(1::smallint, CASE WHEN g %% %[5]d = 0 THEN chart.clearing ELSE chart.customers[1 + (g + 1) %% chart.n] END, 5000::bigint),
					(2::smallint, chart.customers[1 + g %% chart.n], -5000::bigint)) AS e(line, account, amount)`, t.id, id, from, to, every))
		if err != nil {
			return err
		}
	}
	return b.asOwner(ctx, fmt.Sprintf(`INSERT INTO ledger_balances AS b (tenant_id, ledger_account_id, customer_id, code, amount_minor)
			SELECT e.tenant_id, a.id, a.customer_id, a.code, sum(e.amount_minor) FROM ledger_entries e JOIN ledger_accounts a ON a.tenant_id = e.tenant_id AND a.id = e.ledger_account_id
			WHERE e.tenant_id = '%s' AND a.customer_id IS NOT NULL GROUP BY e.tenant_id, a.id, a.customer_id, a.code
			ON CONFLICT (tenant_id, ledger_account_id) DO UPDATE SET amount_minor = excluded.amount_minor`, t.id),
		"VACUUM ANALYZE ledger_transactions", "VACUUM ANALYZE ledger_entries", "VACUUM ANALYZE ledger_balances", "CHECKPOINT")
}
