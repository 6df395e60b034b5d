package main_test

import (
	"net/http"
	"testing"

	"github.com/redis/go-redis/v9"

	"countersign/internal/embedded"
)

// testStaleRedis gives Redis back what it held before a payment was settled. Only the queue is ever in it, and no copy of
// anything that decides about money: a second payment of the paid invoice is refused, and the old queue settles nothing
// again (S1-01).
func testStaleRedis(t *testing.T, bin program) {
	i := prepare(t, bin, postgresIn(t, shortDir(t)))
	server, err := embedded.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	i.env = append(i.env, "REDIS_URL=redis://"+server.Addr())
	i.open(t)
	i.expect(t, i.env, 0, "Created", "createuser", "--tenant=shop", "--email=approver@shop.test", "--name=Amina", "--role=finance")
	_, base := i.serve(t)
	i.start(t, i.env, "worker")
	anybody := newCaller(t, base)
	owner, approver := anybody.login("owner@shop.test", testPassword), anybody.login("approver@shop.test", testPassword)
	account := owner.do(http.StatusCreated, "POST", "/billing/accounts/", map[string]any{"kind": "organization", "holder": "Lahore Textiles", "country": "PK", "currency": "PKR"}).text("id")
	paid := owner.invoice(account, "75.00")
	first := owner.claim(paid, "STALE 1", "").text("id")

	db := openOwner(t, i.owner)
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(t.Context(), "LOCK TABLE ledger_transactions IN SHARE ROW EXCLUSIVE MODE"); err != nil { // the worker cannot post
		t.Fatal(err)
	}
	approver.approve(first)
	count := func(query string) (n int) {
		t.Helper()
		if err := db.NewRaw(query).Scan(t.Context(), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	until(t, "the worker is about to settle", func() bool {
		return count("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'ledger_transactions'::regclass") > 0
	})
	queue := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer queue.Close()
	keys, err := queue.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if err := queue.Copy(t.Context(), key, key, 1, true).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	until(t, "the payment is settled", func() bool { return owner.status(first) == "succeeded" })
	if err := queue.Do(t.Context(), "SWAPDB", 0, 1).Err(); err != nil {
		t.Fatal(err)
	}

	if refused := owner.claim(paid, "STALE 2", ""); refused.status != http.StatusBadRequest || refused.code != "invoice_already_paid" {
		t.Errorf("a second payment of a paid invoice: %d %s", refused.status, refused.raw)
	}
	next := owner.claim(owner.invoice(account, "80.00"), "STALE 3", "").text("id")
	approver.approve(next)
	until(t, "the worker settles what is new", func() bool { return owner.status(next) == "succeeded" })
	if n := count("SELECT count(*) FROM ledger_transactions WHERE kind = 'payment_settled'"); n != 2 {
		t.Errorf("two payments were settled %d times", n)
	}
	owner.balanced()
}
