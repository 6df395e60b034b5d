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
		for _, which := range []int{0, 1, 1, 0} { // there and back, as in all rounds
			at, tenants := young, small
			if which == 1 {
				at, tenants = old, large
			}
			again, err := at.settle(ctx, tenants)
			if err != nil {
				return err
			}
			if f[which].perSecond > 0 {
				again = between(f[which], again)
			}
			f[which] = again
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
