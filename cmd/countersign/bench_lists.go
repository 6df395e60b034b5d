package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/google/uuid"
)

// youngRows is how many payments the tables hold when lists are measured for the first time.
const youngRows = 10_000

// lists measures pages of fifty payments while the tables are young, fills them, and measures again (G8).
func (b *bench) lists(ctx context.Context) error {
	tenants, err := b.fill(ctx, "lists", 1)
	if err != nil {
		return err
	}
	t := tenants[0]
	t.accounts = 100
	fmt.Printf("\nPages of 50 payments, one client, with %d rows and with %d:\n", youngRows, b.Rows)
	var before map[string]figure
	for _, rows := range []int{youngRows, b.Rows} {
		if err := b.history(ctx, t, int64(rows)); err != nil {
			return err
		}
		now, err := b.pages(ctx, t)
		if err != nil {
			return err
		}
		if before == nil {
			before = now
			continue
		}
		for _, name := range []string{"first page of the tenant", "page at any depth", "first page of an account", "page of an account at any depth"} {
			young, old := before[name], now[name]
			fmt.Printf("  %-32s p50 %8s then %8s  p99 %8s then %8s\n", name, round2(young.p50), round2(old.p50), round2(young.p99), round2(old.p99))
			verdict("G8", name+", p50", []float64{float64(old.p50) / float64(young.p50)}, 1.5, 1.2, true)
			verdict("G8", "  the same, p99", []float64{float64(old.p99) / float64(young.p99)}, 3, 2, true)
		}
		verdict("G8", "page at any depth / first page, p50", []float64{float64(now["page at any depth"].p50) / float64(now["first page of the tenant"].p50)}, 1.4, 0, true)
	}
	return nil
}

// pages measures each kind of page for a while.
func (b *bench) pages(ctx context.Context, t *benchTenant) (map[string]figure, error) {
	h, err := b.handler()
	if err != nil {
		return nil, err
	}
	server := httptest.NewServer(h)
	defer server.Close()
	const page = "/api/v1/billing/payments/?page_size=50&cursor="
	anywhere := func() (string, error) {
		g := 1 + rand.Int64N(t.payments)
		id, err := b.idOf(t, g)
		return cursorAt(id, time.UnixMilli(1700000000000+g)), err
	}
	account := func() (string, error) {
		id, err := b.benchIDOf(t, 1+rand.Int64N(int64(t.accounts)), "a")
		return "&account=" + id.String(), err
	}
	kinds := map[string][]func() (string, error){
		"first page of the tenant": {}, "page at any depth": {anywhere}, "first page of an account": {account}, "page of an account at any depth": {anywhere, account},
	}
	client, err := newBenchClient(ctx, server.Listener.Addr().String())
	if err != nil {
		return nil, err
	}
	defer client.close()
	found := map[string]figure{}
	for name, parts := range kinds {
		var latencies []time.Duration
		start := time.Now()
		for n := 0; time.Since(start) < b.Seconds || n < 200; n++ {
			address := page
			for _, part := range parts {
				text, err := part()
				if err != nil {
					return nil, err
				}
				address += text
			}
			at := time.Now()
			if err := client.call(ctx, sending{method: http.MethodGet, path: address, token: t.token}); err != nil {
				return nil, err
			}
			if n >= 100 { // connections and plans are made before
				latencies = append(latencies, time.Since(at))
			}
		}
		slices.Sort(latencies)
		found[name] = figure{p50: latencies[len(latencies)/2], p99: latencies[len(latencies)*99/100]}
	}
	return found, nil
}

// cursorAt is the cursor that leads to what is older than a payment.
func cursorAt(id uuid.UUID, at time.Time) string {
	raw, _ := json.Marshal(map[string]any{"t": at.UTC(), "i": id})
	return base64.RawURLEncoding.EncodeToString(raw)
}
