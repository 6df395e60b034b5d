package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
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
			err := tx.NewRaw("SELECT count(*) FROM payments WHERE tenant_id = ? AND status = 'processing'", t.id).Scan(ctx, &more)
			n += more
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return n, ctx.Err()
}

// drained waits until nothing approved waits in any of the tenants. It looks for one payment and does not count: with a
// backlog, counting would be what is measured.
func (b *bench) drained(ctx context.Context, tenants []*benchTenant) error {
	for _, t := range tenants {
		for waits := true; waits; {
			err := tenancy.Read(t.approver, b.db, func(ctx context.Context, tx bun.Tx) error {
				return tx.NewRaw("SELECT EXISTS (SELECT FROM payments WHERE tenant_id = ? AND status = 'processing')", t.id).Scan(ctx, &waits)
			})
			if err != nil {
				return err
			}
			if waits {
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
	return ctx.Err()
}

// warm settles some payments of each tenant and has PostgreSQL look at its tables, as it does by itself every minute:
// plans that were made on empty tables are not what is measured.
func (b *bench) warm(ctx context.Context, tenants []*benchTenant) error {
	for _, t := range tenants {
		if err := b.claims(ctx, t, 2000, "processing"); err != nil {
			return err
		}
		if err := b.billing.Payments.Settle(tenancy.AsSystem(ctx, t.id, "bench")); err != nil {
			return err
		}
	}
	return b.asOwner(ctx, "ANALYZE")
}

// settle drains a backlog with the worker as it runs in production, from its start until nothing waits.
func (b *bench) settle(ctx context.Context, tenants []*benchTenant) (figure, error) {
	for _, t := range tenants {
		if err := b.claims(ctx, t, b.Payments/len(tenants), "processing"); err != nil {
			return figure{}, err
		}
	}
	if err := b.asOwner(ctx, "ANALYZE", "CHECKPOINT"); err != nil {
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
		group, gctx := errgroup.WithContext(t.approver)
		group.SetLimit(8)
		for g := from + 1; g <= t.payments; g++ {
			group.Go(func() error {
				id, err := b.idOf(t, g)
				if err != nil {
					return err
				}
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

// approve has clients approve over real HTTP, each its next payment, with the worker running or not.
func (b *bench) approve(ctx context.Context, tenants []*benchTenant, clients int, settling bool) (figure, error) {
	list, err := b.targets(ctx, tenants, int(b.Seconds.Seconds())*2500)
	if err != nil {
		return figure{}, err
	}
	h, err := b.handler()
	if err != nil {
		return figure{}, err
	}
	server := httptest.NewServer(h)
	defer server.Close()
	background, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	running.Go(func() { b.bell.Run(background) })
	if settling {
		running.Go(func() { b.work(background) })
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	var next atomic.Int64
	var latencies [][]time.Duration
	run := func(seconds time.Duration) error {
		latencies = make([][]time.Duration, clients)
		start := time.Now()
		group, gctx := errgroup.WithContext(ctx)
		for c := range clients {
			group.Go(func() error {
				for time.Since(start) < seconds {
					i := int(next.Add(1)) - 1
					if i >= len(list) {
						return nil
					}
					t := list[i]
					body, _ := json.Marshal(map[string]string{"digest": t.digest})
					at := time.Now()
					err := call(gctx, client, http.MethodPost, server.URL+"/api/v1/billing/payments/"+t.id+"/approve/", t.tenant.token, body, fmt.Sprint("bench-", t.id))
					if err != nil {
						return err
					}
					latencies[c] = append(latencies[c], time.Since(at))
				}
				return nil
			})
		}
		return group.Wait()
	}
	if err := run(time.Second); err != nil { // connections and caches are made before the clock runs
		return figure{}, err
	}
	if err := b.asOwner(ctx, "ANALYZE"); err != nil {
		return figure{}, err
	}
	before, start := b.cpu(), time.Now()
	err = run(b.Seconds)
	took := time.Since(start)
	approved := len(slices.Concat(latencies...))
	unsettled := 0
	if err == nil && settling {
		unsettled, err = b.waiting(ctx, tenants)
	}
	spent := b.cpu().since(before)
	stop()
	running.Wait()
	if err != nil {
		return figure{}, err
	}
	if !settling { // the next round begins without a backlog
		for _, t := range tenants {
			if err := b.billing.Payments.Settle(tenancy.AsSystem(ctx, t.id, "bench")); err != nil {
				return figure{}, err
			}
		}
	}
	f := summary(slices.Concat(latencies...), took, spent)
	f.perSecond = float64(approved-unsettled) / took.Seconds()
	return f, nil
}

// latency approves at a quiet pace and reads from the database how long each payment took from approval to settled.
func (b *bench) latency(ctx context.Context, tenants []*benchTenant) (figure, error) {
	const n = 120
	list, err := b.targets(ctx, tenants, n)
	if err != nil {
		return figure{}, err
	}
	h, err := b.handler()
	if err != nil {
		return figure{}, err
	}
	server := httptest.NewServer(h)
	defer server.Close()
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
		body, _ := json.Marshal(map[string]string{"digest": t.digest})
		if err := call(ctx, http.DefaultClient, http.MethodPost, server.URL+"/api/v1/billing/payments/"+t.id+"/approve/", t.tenant.token, body, ""); err != nil {
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
func (b *bench) read(ctx context.Context, tenants []*benchTenant, path string) (figure, error) {
	h, err := b.handler()
	if err != nil {
		return figure{}, err
	}
	return b.load(ctx, h, tenants, path)
}

// plainRead is what reading by id costs with nothing around it: chi, one prepared statement, no tenant, no credential.
func (b *bench) plainRead(ctx context.Context, tenants []*benchTenant) (figure, error) {
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
	return b.load(ctx, r, tenants, "/"+tenants[0].id.String()+"/%s")
}

func (b *bench) load(ctx context.Context, h http.Handler, tenants []*benchTenant, path string) (figure, error) {
	const clients = 16
	server := httptest.NewServer(h)
	defer server.Close()
	t := tenants[0]
	ids := make([]string, 200)
	for i := range ids {
		id, err := b.idOf(t, 1+int64(i)*(t.payments-1)/int64(len(ids)))
		if err != nil {
			return figure{}, err
		}
		ids[i] = id.String()
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	var latencies [][]time.Duration
	run := func(seconds time.Duration) error {
		latencies = make([][]time.Duration, clients)
		start := time.Now()
		group, gctx := errgroup.WithContext(ctx)
		for c := range clients {
			group.Go(func() error {
				for i := c; time.Since(start) < seconds; i++ {
					address := server.URL + path
					if strings.Contains(path, "%s") {
						address = server.URL + fmt.Sprintf(path, ids[i%len(ids)])
					}
					at := time.Now()
					if err := call(gctx, client, http.MethodGet, address, t.token, nil, ""); err != nil {
						return err
					}
					latencies[c] = append(latencies[c], time.Since(at))
				}
				return nil
			})
		}
		return group.Wait()
	}
	if err := run(time.Second); err != nil {
		return figure{}, err
	}
	before, start := b.cpu(), time.Now()
	if err := run(b.Seconds); err != nil {
		return figure{}, err
	}
	took := time.Since(start)
	return summary(slices.Concat(latencies...), took, b.cpu().since(before)), nil
}

func call(ctx context.Context, client *http.Client, method, url, token string, body []byte, key string) error {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, url, answer.Status, text)
	}
	return err
}

func summary(latencies []time.Duration, took time.Duration, spent cpuTime) figure {
	slices.Sort(latencies)
	n := len(latencies)
	return figure{perSecond: float64(n) / took.Seconds(), cpu: spent.per(n), p50: latencies[n/2], p99: latencies[n*99/100]}
}
