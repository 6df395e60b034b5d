package main

import (
	"context"
	"fmt"
	"time"
)

// turn is how long the same requests are sent with walls, and then without. It is short, so that a machine that others use
// too is as fast for both.
const turn = time.Second

// walls measures what row-level security costs: the same work with it and without, in turn (G7).
func (b *bench) walls(ctx context.Context, tenants []*benchTenant) error {
	const backlogs = 4 // pairs: of fewer the middle is mostly the host's
	if err := b.inTurns(ctx, tenants, "settlement", backlogs, func() (figure, error) { return b.settle(ctx, tenants) }); err != nil {
		return err
	}
	server, err := b.serve()
	if err != nil {
		return err
	}
	defer server.Close()
	background, stop := context.WithCancel(ctx)
	defer stop()
	go b.bell.Run(background)
	pairs := max(2, int(b.Seconds/turn))
	// each connection learns of the switch by itself and plans anew: a turn that is not measured comes before each
	send := func(clients int, next func() (sending, bool)) (figure, error) {
		if _, err := b.clocked(ctx, server, clients, turn, next); err != nil {
			return figure{}, err
		}
		return b.clocked(ctx, server, clients, turn, next)
	}
	page := func() (sending, bool) {
		return sending{method: "GET", path: paymentsPage, token: tenants[0].token}, true
	}
	if err := b.inTurns(ctx, tenants, "payments page", pairs, func() (figure, error) { return send(16, page) }); err != nil {
		return err
	}
	return b.inTurns(ctx, tenants, "approve over HTTP", pairs, func() (figure, error) {
		next, keep, err := b.approvals(ctx, tenants, 20_000) // for a turn and the one before it
		if err != nil {
			return figure{}, err
		}
		defer keep()
		return send(32, next)
	})
}

// inTurns runs something with walls and without, in pairs of turns in each round: with, without, without, with, and so on.
// The middle of a round's turns counts. After each round what was approved is settled, and the books must be right.
func (b *bench) inTurns(ctx context.Context, tenants []*benchTenant, what string, pairs int, run func() (figure, error)) error {
	var rates, costs []float64
	for round := range b.Rounds {
		var with, without figures
		for i := range 2 * pairs {
			if i%4 == 1 || i%4 == 2 {
				if err := b.withoutWalls(ctx, func() error { return without.add(run()) }); err != nil {
					return err
				}
			} else if err := with.add(run()); err != nil {
				return err
			}
		}
		if err := b.settleRest(ctx, tenants); err != nil {
			return err
		}
		if err := b.rightBooks(ctx); err != nil {
			return err
		}
		on, off := with.middle(), without.middle()
		fmt.Printf("  round %d  %-20s with walls %9.0f /s %5d + %5d µs CPU   without %9.0f /s %5d + %5d µs CPU\n", round+1, what,
			on.perSecond, on.cpu.server.Microseconds(), on.cpu.program.Microseconds(), off.perSecond, off.cpu.server.Microseconds(), off.cpu.program.Microseconds())
		rates, costs = append(rates, rate(on, off)), append(costs, serverCPU(on, off))
	}
	verdict("G7", what+", row security on / off", rates, 0.93, 0.97, false)
	verdict("G7", "  the same, PostgreSQL CPU on / off", costs, 0, 0, true)
	return nil
}

// figures are those of several turns.
type figures []figure

func (list *figures) add(f figure, err error) error {
	*list = append(*list, f)
	return err
}

// middle has the median of each figure that is compared.
func (list figures) middle() figure {
	median := func(of func(figure) float64) float64 {
		values := make([]float64, len(list))
		for i, f := range list {
			values[i] = of(f)
		}
		return middle(values)
	}
	return figure{
		perSecond: median(func(f figure) float64 { return f.perSecond }),
		cpu: cpuTime{
			server:  time.Duration(median(func(f figure) float64 { return float64(f.cpu.server) })),
			program: time.Duration(median(func(f figure) float64 { return float64(f.cpu.program) })),
		},
	}
}

// withoutWalls measures with row-level security switched off on every table that has a policy. The program is the same, and so
// are the conditions of its statements.
func (b *bench) withoutWalls(ctx context.Context, run func() error) (err error) {
	const toggle = `DO $$ DECLARE t regclass; BEGIN
		FOR t IN SELECT DISTINCT polrelid FROM pg_policy LOOP
			EXECUTE format('ALTER TABLE %%s %s ROW LEVEL SECURITY', t);
		END LOOP; END $$`
	if err := b.asOwner(ctx, fmt.Sprintf(toggle, "DISABLE")); err != nil {
		return err
	}
	defer func() {
		if back := b.asOwner(context.WithoutCancel(ctx), fmt.Sprintf(toggle, "ENABLE")); err == nil {
			err = back
		}
	}()
	return run()
}
