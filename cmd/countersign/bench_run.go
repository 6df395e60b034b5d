package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"golang.org/x/sync/errgroup"

	"countersign/internal/database"
	"countersign/tenancy"
)

// waiting counts the approved payments of tenants that are not settled.
func (b *bench) waiting(ctx context.Context, tenants []*benchTenant) (n int, err error) {
	for _, t := range tenants {
		err := tenancy.Read(t.approver, b.db, func(ctx context.Context, tx bun.Tx) error {
			var more int
			err := tx.NewRaw("SELECT count(*) FROM settlement_queue WHERE tenant_id = ?", t.id).Scan(ctx, &more)
			n += more
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return n, ctx.Err()
}

// drained waits until nothing approved waits in any of the tenants. It looks for one payment and does not count, and begins with those that
// are settled last: the places of those that were taken are walked over one by one. Otherwise this would be what is measured.
func (b *bench) drained(ctx context.Context, tenants []*benchTenant) error {
	for _, t := range tenants {
		for waits := true; waits; {
			err := tenancy.Read(t.approver, b.db, func(ctx context.Context, tx bun.Tx) error {
				return tx.NewRaw("SELECT count(*) > 0 FROM (SELECT FROM settlement_queue WHERE tenant_id = ? ORDER BY payment_id DESC LIMIT 1) AS last", t.id).Scan(ctx, &waits)
			})
			if err != nil {
				return err
			}
			if waits {
				time.Sleep(25 * time.Millisecond)
			}
		}
	}
	return ctx.Err()
}

// warm settles some payments of each tenant and has PostgreSQL look at its tables, as it does by itself every minute:
// plans that were made on empty tables are not what is measured. Every account gets its line in the chart.
func (b *bench) warm(ctx context.Context, tenants []*benchTenant) error {
	for _, t := range tenants {
		if err := b.claims(ctx, t, max(2000, t.accounts), "processing"); err != nil {
			return err
		}
		if err := b.billing.Payments.Settle(tenancy.AsSystem(ctx, t.id, "bench")); err != nil {
			return err
		}
	}
	if err := b.catchUp(ctx, len(tenants)); err != nil {
		return err
	}
	return b.asOwner(ctx, "VACUUM ANALYZE")
}

// catchUp lets a worker do what the clock has for the tenants, such as the nightly proofs, and what was left to do without
// one. Else all of that would be done beside the first settlement that is measured.
func (b *bench) catchUp(ctx context.Context, tenants int) error {
	owner, err := database.Open(database.Config{URL: b.owner, MaxConns: 1})
	if err != nil {
		return err
	}
	defer owner.Close()
	work, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- b.work(work) }()
	for quiet := 0; quiet < 3; {
		select {
		case err := <-done:
			return fmt.Errorf("the worker has ended before its work was done: %w", err)
		case <-time.After(time.Second):
		}
		var given, left int
		if err := owner.NewRaw("SELECT count(DISTINCT tenant_id), count(*) FILTER (WHERE done_at IS NULL AND dead_at IS NULL) FROM outbox").Scan(ctx, &given, &left); err != nil {
			return err
		}
		if quiet++; given < tenants || left > 0 {
			quiet = 0
		}
	}
	stop()
	return <-done
}

// backlog approves payments, as many for each tenant. The checkpoint comes before: what is settled was approved since.
func (b *bench) backlog(ctx context.Context, tenants []*benchTenant, payments int) error {
	if err := b.asOwner(ctx, "CHECKPOINT"); err != nil {
		return err
	}
	for _, t := range tenants {
		if err := b.claims(ctx, t, payments/len(tenants), "processing"); err != nil {
			return err
		}
	}
	return b.asOwner(ctx, "ANALYZE")
}

// settle drains a backlog with the worker as it runs in production, from its start until nothing waits.
func (b *bench) settle(ctx context.Context, tenants []*benchTenant) (figure, error) {
	if err := b.backlog(ctx, tenants, b.Payments); err != nil {
		return figure{}, err
	}
	work, stop := context.WithCancel(ctx)
	defer stop()
	before, start := b.cpu(), time.Now()
	done := make(chan error, 1)
	go func() { done <- b.work(work) }()
	if err := b.drained(ctx, tenants); err != nil {
		return figure{}, err
	}
	took, spent := time.Since(start), b.cpu().since(before)
	stop()
	return figure{perSecond: float64(b.Payments) / took.Seconds(), cpu: spent.per(b.Payments)}, <-done
}

// target is one payment to approve.
type target struct {
	tenant *benchTenant
	id     string
	digest string
}

// targets makes n undecided claims and looks at each, as an approver has.
func (b *bench) targets(ctx context.Context, tenants []*benchTenant, n int) ([]target, error) {
	var mu sync.Mutex
	var list []target
	for _, t := range tenants {
		from := t.payments
		if err := b.claims(ctx, t, n/len(tenants), "pending_approval"); err != nil {
			return nil, err
		}
		ids, err := b.idsOf(t, from+1, t.payments)
		if err != nil {
			return nil, err
		}
		group, gctx := errgroup.WithContext(t.approver)
		group.SetLimit(8)
		for _, id := range ids {
			group.Go(func() error {
				seen, err := b.billing.Payments.Look(gctx, id)
				if err != nil {
					return err
				}
				mu.Lock()
				list = append(list, target{t, seen.ID, seen.Digest})
				mu.Unlock()
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// approvals has n claims ready to approve, those of one tenant after those of the other. next gives the approval of the next one, to many
// clients at once; false: there is none left. keep leaves the others for the next step: looking at a claim takes as long as approving it.
func (b *bench) approvals(ctx context.Context, tenants []*benchTenant, n int) (next func() (sending, bool), keep func(), err error) {
	var list []target
	for _, t := range tenants {
		if missing := n/len(tenants) - len(t.undecided); missing > 0 {
			more, err := b.targets(ctx, []*benchTenant{t}, missing)
			if err != nil {
				return nil, nil, err
			}
			t.undecided = append(t.undecided, more...)
		}
		list = append(list, t.undecided...)
	}
	var sent atomic.Int64
	next = func() (sending, bool) {
		i := int(sent.Add(1)) - 1
		if i >= len(list) {
			return sending{}, false
		}
		return list[i].approval(), true
	}
	keep = func() {
		for _, t := range tenants {
			t.undecided = nil
		}
		for _, left := range list[min(int(sent.Load()), len(list)):] {
			left.tenant.undecided = append(left.tenant.undecided, left)
		}
	}
	return next, keep, nil
}

// approve has clients approve over real HTTP, each its next payment of n, with the worker running or not.
func (b *bench) approve(ctx context.Context, tenants []*benchTenant, n, clients int, settling bool) (figure, error) {
	next, keep, err := b.approvals(ctx, tenants, n)
	if err != nil {
		return figure{}, err
	}
	defer keep()
	server, err := b.serve()
	if err != nil {
		return figure{}, err
	}
	defer server.Close()
	background, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	running.Go(func() { b.bell.Run(background) })
	if settling {
		running.Go(func() { b.work(background) })
	}
	f, err := b.load(ctx, server, clients, func(int) (sending, bool) { return next() })
	unsettled := 0
	if err == nil && settling {
		unsettled, err = b.waiting(ctx, tenants)
	}
	stop()
	running.Wait()
	if err != nil {
		return figure{}, err
	}
	if err := b.settleRest(ctx, tenants); err != nil {
		return figure{}, err
	}
	f.perSecond -= float64(unsettled) / f.took.Seconds()
	f.behind = float64(unsettled) / f.perSecond
	return f, nil
}

// settleRest does what approvals have left for a worker, so that nothing of it is done beside what is measured next.
func (b *bench) settleRest(ctx context.Context, tenants []*benchTenant) error {
	for _, t := range tenants {
		if err := b.billing.Payments.Settle(tenancy.AsSystem(ctx, t.id, "bench")); err != nil {
			return err
		}
	}
	return b.catchUp(ctx, len(tenants))
}

// approval is the request that approves what was seen, with a key of its own.
func (t target) approval() sending {
	body, _ := json.Marshal(map[string]string{"digest": t.digest})
	return sending{http.MethodPost, "/api/v1/billing/payments/" + t.id + "/approve/", t.tenant.token, body, "bench-" + t.id}
}

// submit has customers claim over real HTTP that they have paid, each his own invoices, n in all.
func (b *bench) submit(ctx context.Context, t *benchTenant, n int) (figure, error) {
	const clients = 32
	customers, err := b.customers(ctx, t, clients)
	if err != nil {
		return figure{}, err
	}
	each := n / clients
	invoices := make([][]uuid.UUID, clients)
	for c := range customers {
		if invoices[c], err = b.unpaid(ctx, t, c+1, each); err != nil {
			return figure{}, err
		}
	}
	if err := b.asOwner(ctx, "ANALYZE invoices"); err != nil {
		return figure{}, err
	}
	server, err := b.serve()
	if err != nil {
		return figure{}, err
	}
	defer server.Close()
	return b.load(ctx, server, clients, func(i int) (sending, bool) {
		c, nth := i%clients, i/clients
		if nth >= each {
			return sending{}, false
		}
		invoice := invoices[c][nth].String()
		body, _ := json.Marshal(map[string]string{"invoice_id": invoice, "payment_method": "bank_transfer", "transaction_reference": "TRX-" + invoice})
		return sending{http.MethodPost, "/api/v1/billing/payments/manual/", customers[c], body, "bench-" + invoice}, true
	})
}

// latency approves at a quiet pace and reads from the database how long each payment took from approval to settled.
func (b *bench) latency(ctx context.Context, tenants []*benchTenant) (figure, error) {
	const n = 120
	list, err := b.targets(ctx, tenants, n)
	if err != nil {
		return figure{}, err
	}
	server, err := b.serve()
	if err != nil {
		return figure{}, err
	}
	defer server.Close()
	client, err := newBenchClient(ctx, server.Listener.Addr().String())
	if err != nil {
		return figure{}, err
	}
	defer client.close()
	background, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { b.bell.Run(background) })
	running.Go(func() { b.work(background) })
	defer running.Wait()
	defer stop()
	time.Sleep(time.Second) // the worker is up and idle
	start := time.Now()
	for i, t := range list {
		time.Sleep(time.Until(start.Add(time.Duration(i) * 25 * time.Millisecond)))
		if err := client.call(ctx, t.approval()); err != nil {
			return figure{}, err
		}
	}
	if err := b.drained(ctx, tenants); err != nil {
		return figure{}, err
	}
	var waits []time.Duration
	for _, t := range list {
		err := tenancy.Read(t.tenant.approver, b.db, func(ctx context.Context, tx bun.Tx) error {
			var ms float64
			err := tx.NewRaw("SELECT extract(epoch FROM updated_at - approved_at) * 1000 FROM payments WHERE tenant_id = ? AND id = ? AND status = 'succeeded'", t.tenant.id, t.id).Scan(ctx, &ms)
			waits = append(waits, time.Duration(ms*float64(time.Millisecond)))
			return err
		})
		if err != nil {
			return figure{}, err
		}
	}
	return summary(waits, time.Since(start), cpuTime{}), nil
}

// read has 16 clients read payments for some seconds; path may hold the id.
func (b *bench) read(ctx context.Context, t *benchTenant, path string) (figure, error) {
	server, err := b.serve()
	if err != nil {
		return figure{}, err
	}
	defer server.Close()
	return b.readAll(ctx, server, t, path)
}

// plainRead is what reading by id costs with nothing around it: chi, one prepared statement, no tenant, no credential.
func (b *bench) plainRead(ctx context.Context, t *benchTenant) (figure, error) {
	db, err := database.Open(database.Config{URL: b.owner})
	if err != nil {
		return figure{}, err
	}
	defer db.Close()
	r := chi.NewRouter()
	r.Get("/{tenant}/{id}", func(w http.ResponseWriter, r *http.Request) {
		var v struct {
			ID, Status, Currency, Method, Reference string
			Amount                                  int64
			Created, Updated                        time.Time
			Received                                sql.NullInt64
		}
		err := db.DB.QueryRowContext(r.Context(), "SELECT id, status, currency, method, reference, amount_minor, created_at, updated_at, received_minor FROM payments WHERE tenant_id = $1 AND id = $2",
			chi.URLParam(r, "tenant"), chi.URLParam(r, "id")).Scan(&v.ID, &v.Status, &v.Currency, &v.Method, &v.Reference, &v.Amount, &v.Created, &v.Updated, &v.Received)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		json.NewEncoder(w).Encode(v)
	})
	server := httptest.NewServer(r)
	defer server.Close()
	return b.readAll(ctx, server, t, "/"+t.id.String()+"/%s")
}

func (b *bench) readAll(ctx context.Context, server *httptest.Server, t *benchTenant, path string) (figure, error) {
	ids := make([]any, 200)
	for i := range ids {
		id, err := b.idOf(t, 1+int64(i)*(t.payments-1)/int64(len(ids)))
		if err != nil {
			return figure{}, err
		}
		ids[i] = id
	}
	return b.load(ctx, server, 16, func(i int) (sending, bool) {
		address := path
		if strings.Contains(path, "%s") {
			address = fmt.Sprintf(path, ids[i%len(ids)])
		}
		return sending{method: http.MethodGet, path: address, token: t.token}, true
	})
}

// serve starts the API as production has it.
func (b *bench) serve() (*httptest.Server, error) {
	h, err := b.handler()
	if err != nil {
		return nil, err
	}
	return httptest.NewServer(h), nil
}

// load has clients send one request after the other, for a second before the clock runs and then for as long as is
// measured. next gives the i-th request of all; false: there is none left.
func (b *bench) load(ctx context.Context, server *httptest.Server, clients int, next func(i int) (sending, bool)) (figure, error) {
	var sent atomic.Int64
	following := func() (sending, bool) { return next(int(sent.Add(1)) - 1) }
	if _, err := b.clocked(ctx, server, clients, time.Second, following); err != nil {
		return figure{}, err
	}
	if err := b.asOwner(ctx, "ANALYZE"); err != nil {
		return figure{}, err
	}
	return b.clocked(ctx, server, clients, b.Seconds, following)
}

// clocked measures what clients send, one request after the other each. next gives the next one, to many clients at once;
// false: there is none left.
func (b *bench) clocked(ctx context.Context, server *httptest.Server, clients int, d time.Duration, next func() (sending, bool)) (figure, error) {
	latencies := make([][]time.Duration, clients)
	before, start := b.cpu(), time.Now()
	group, gctx := errgroup.WithContext(ctx)
	for n := range clients {
		group.Go(func() error {
			c, err := newBenchClient(gctx, server.Listener.Addr().String())
			if err != nil {
				return err
			}
			defer c.close()
			for time.Since(start) < d {
				r, ok := next()
				if !ok {
					return nil
				}
				at := time.Now()
				if err := c.call(gctx, r); err != nil {
					return err
				}
				latencies[n] = append(latencies[n], time.Since(at))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return figure{}, err
	}
	took := time.Since(start)
	if took < d {
		return figure{}, fmt.Errorf("there was nothing left to send after %s: prepare more", took)
	}
	return summary(slices.Concat(latencies...), took, b.cpu().since(before)), nil
}

func summary(latencies []time.Duration, took time.Duration, spent cpuTime) figure {
	slices.Sort(latencies)
	n := len(latencies)
	return figure{perSecond: float64(n) / took.Seconds(), took: took, cpu: spent.per(n), p50: latencies[n/2], p99: latencies[n*99/100]}
}
