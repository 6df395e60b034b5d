package main

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"countersign/internal/database"
	"countersign/tenancy"
)

// handSet is how many payments bench/hand.sql settles in a commit: as many as the worker does at most.
const handSet = 1000

// byHand drains a backlog of one tenant with the script that was written for it, as the program's role and behind its
// walls. What is left of the last set is the worker's, outside the clock.
func (b *bench) byHand(ctx context.Context, t *benchTenant, payments int) (figure, error) {
	const clients = 2
	each := max(1, payments/handSet/clients)
	n := each * clients * handSet
	if err := b.backlog(ctx, []*benchTenant{t}, n); err != nil {
		return figure{}, err
	}
	return b.pgbench(ctx, pgbenchRun{script: "hand", login: b.settings.DatabaseURL, options: "-c plan_cache_mode=force_generic_plan -c role=" + database.AppRole + " -c app.tenant_id=" + t.id.String(),
		clients: clients, perCommit: handSet, args: []string{"-t", strconv.Itoa(each), "-D", "tenant=" + t.id.String()}})
}

// rowsChanged is what PostgreSQL has counted of each table: rows inserted, updated and deleted.
type rowsChanged map[string][3]int64

// counted gives the counts once every session has handed in its own, which an idle one does after ten seconds.
func (b *bench) counted(ctx context.Context) (rowsChanged, error) {
	select {
	case <-time.After(11 * time.Second):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	db, err := database.Open(database.Config{URL: b.owner, MaxConns: 1})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	rows, err := db.DB.QueryContext(ctx, "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables WHERE schemaname = 'public'")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := rowsChanged{}
	for rows.Next() {
		var name string
		var n [3]int64
		if err := rows.Scan(&name, &n[0], &n[1], &n[2]); err != nil {
			return nil, err
		}
		found[name] = n
	}
	return found, rows.Err()
}

// since gives the tables in which something was changed, and what.
func (c rowsChanged) since(before rowsChanged) rowsChanged {
	changed := rowsChanged{}
	for name, n := range c {
		old := before[name]
		if d := [3]int64{n[0] - old[0], n[1] - old[1], n[2] - old[2]}; d != [3]int64{} {
			changed[name] = d
		}
	}
	return changed
}

func (c rowsChanged) String() string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		lines = append(lines, fmt.Sprintf("%s %d inserted, %d updated, %d deleted", name, c[name][0], c[name][1], c[name][2]))
	}
	return strings.Join(lines, "; ")
}

// sameRows settles as many payments by hand and as the worker does, and insists that both have changed as many rows of
// each table. It also prints how often each asked the database.
func (b *bench) sameRows(ctx context.Context, t *benchTenant) error {
	const n = 4 * handSet
	if err := b.claims(ctx, t, n, "processing"); err != nil {
		return err
	}
	before, err := b.counted(ctx)
	if err != nil {
		return err
	}
	trips, err := b.settleCounted(ctx, t)
	if err != nil {
		return err
	}
	between, err := b.counted(ctx)
	if err != nil {
		return err
	}
	if _, err := b.byHand(ctx, t, n); err != nil {
		return err
	}
	after, err := b.counted(ctx)
	if err != nil {
		return err
	}
	ours, theirs := between.since(before), after.since(between)
	for table, inserted := range map[string]int64{"payments": n, "invoices": n, "settlement_queue": n} { // the claims that byHand has made for itself
		d := theirs[table]
		d[0] -= inserted
		theirs[table] = d
	}
	for _, table := range []string{"audit_log", "audit_unsealed"} { // one row a set: the writers' last sets are not full
		if d := ours[table]; d[0] > theirs[table][0] && d[0] <= theirs[table][0]+int64(runtime.GOMAXPROCS(0)) {
			ours[table] = theirs[table]
		}
	}
	if !maps.Equal(ours, theirs) {
		return fmt.Errorf("%d settlements by hand do not change the rows that the worker changes.\nThe worker: %s.\nBy hand: %s", n, ours, theirs)
	}
	fmt.Printf("Settling %d payments changes the same rows by hand and by the worker: %s.\nRound trips a settlement: the worker %.4f, by hand %.4f.\n\n", n, ours,
		float64(trips)/n, 1./handSet)
	return nil
}

// settleCounted settles what waits in a tenant as the worker does and counts the round trips.
func (b *bench) settleCounted(ctx context.Context, t *benchTenant) (int64, error) {
	var trips atomic.Int64
	db, err := database.Open(database.Config{URL: b.settings.DatabaseURL, Role: database.AppRole, Trace: func(context.Context, ...string) { trips.Add(1) }})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	p, err := wire(b.settings, db, time.Now, true)
	if err != nil {
		return 0, err
	}
	trips.Store(0)
	err = p.billing.Payments.Settle(tenancy.AsSystem(ctx, t.id, "bench"))
	return trips.Load(), err
}
