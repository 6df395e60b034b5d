package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/embedded"
	"countersign/internal/testkit"
)

// cluster is two servers and two workers on one PostgreSQL and one real Redis.
type cluster struct {
	installation
	t       *testing.T
	redis   *embedded.Redis
	bases   [2]atomic.Value // of the servers
	nodes   [4]*process     // two servers, two workers
	retired []*process
}

func testCluster(t *testing.T, bin program) {
	binary, ok := embedded.FindRedisServer()
	if !ok {
		testkit.Lacks(t, "redis-server")
	}
	redis, err := embedded.StartRealRedis(t.Context(), binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	c := &cluster{installation: prepare(t, bin, postgresIn(t, shortDir(t))), t: t, redis: redis}
	t.Cleanup(func() { testkit.SearchDatabase(t, c.owner) })
	c.env = append(c.env, "REDIS_URL=redis://"+redis.Addr())
	heard := c.overhear(cardNumber, "FT-PRIVATE")
	c.open(t)
	c.expect(t, c.env, 0, "Created", "createuser", "--tenant=shop", "--email=approver@shop.test", "--name=Amina", "--role=finance")
	c.begin(0)
	c.begin(1)
	anybody := caller{t: t, base: c.base}
	owner, approver := anybody.login("owner@shop.test", testPassword), anybody.login("approver@shop.test", testPassword)
	account := owner.do(http.StatusCreated, "POST", "/billing/accounts/", map[string]any{"kind": "organization", "holder": "Lahore Textiles", "country": "PK", "currency": "PKR"}).text("id")
	owner.do(http.StatusCreated, "POST", "/users/", map[string]any{"email": "customer@shop.test", "name": "Celine", "password": testPassword, "role": "member", "account_id": account})
	customer := anybody.login("customer@shop.test", testPassword)

	// S3-54: nothing of this belongs to the workers
	invoice := owner.invoice(account, "75.00")
	if refused := customer.claim(invoice, "FT-PRIVATE-CARD", "paid with "+cardNumber); refused.code != "card_data_rejected" || strings.Contains(refused.raw, cardNumber) {
		t.Errorf("a card number: %d %s", refused.status, refused.raw)
	}
	claimed := customer.claim(invoice, "FT-PRIVATE-FIRST", "")
	if claimed.status != http.StatusCreated {
		t.Fatalf("with all workers down: %d %s", claimed.status, claimed.raw)
	}
	first := claimed.text("id")
	approver.approve(first)
	if got := customer.status(first); got != "processing" {
		t.Errorf("with all workers down the approved payment is %s", got)
	}
	c.begin(2)
	c.begin(3)
	until(t, "workers settle what waited for them", func() bool { return customer.status(first) == "succeeded" })

	// race 16
	var work sync.WaitGroup
	var accepted atomic.Int64
	enough := make(chan struct{})
	for n := range 3 {
		work.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-enough:
					return
				default:
				}
				if err := payOnce(owner, customer, approver, account, fmt.Sprintf("FT-PRIVATE-%d-%d", n, round)); err != nil {
					t.Error(err)
					return
				}
				accepted.Add(1)
			}
		})
	}
	c.chaos(time.Minute)
	close(enough)
	work.Wait()

	db := openOwner(t, c.owner)
	until(t, "everything approved is settled", func() bool {
		var waiting int
		if err := db.NewRaw("SELECT count(*) FROM payments WHERE status <> 'succeeded'").Scan(t.Context(), &waiting); err != nil {
			t.Fatal(err)
		}
		return waiting == 0
	})
	want := accepted.Load() + 1
	for what, query := range map[string]string{
		"invoices":                  "SELECT count(*) FROM invoices",
		"paid invoices":             "SELECT count(*) FROM invoices WHERE status = 'paid'",
		"payments":                  "SELECT count(*) FROM payments",
		"payments that were posted": "SELECT count(DISTINCT payment_id) FROM ledger_transactions WHERE kind = 'payment_settled'",
		"postings of payments":      "SELECT count(*) FROM ledger_transactions WHERE kind = 'payment_settled'",
		"decisions":                 "SELECT count(*) FROM decisions",
		"announced settlements":     "SELECT count(*) FROM events WHERE type = 'payment.succeeded'",
	} {
		var got int64
		if err := db.NewRaw(query).Scan(t.Context(), &got); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%d %s, want %d", got, what, want)
		}
	}
	t.Logf("%d payments while %d processes were killed", want, len(c.retired))
	if want < 10 || len(c.retired) < 8 {
		t.Errorf("only %d payments and %d killed processes: this proves little", want, len(c.retired))
	}
	owner.balanced()
	c.expect(t, c.env, 0, "The books of 1 tenants are right", "verify")
	var said strings.Builder
	for i, p := range c.nodes {
		p.interrupt()
		if code := p.wait(); code != 0 {
			t.Errorf("node %d: exit %d after an interrupt", i, code)
		}
		said.WriteString(p.output())
	}
	for _, p := range c.retired {
		said.WriteString(p.output())
	}
	if commands, leaks := heard(); commands < 100 || len(leaks) > 0 {
		t.Errorf("of %d commands to Redis these tell secrets: %v", commands, leaks)
	}
	silent(t, said.String(), testKey, testPassword, dbPassword, metricsToken, owner.token, approver.token, customer.token, "FT-PRIVATE", cardNumber, "@shop.test")
}

// overhear listens to what all nodes say to Redis, whatever becomes of it there. It gives how many commands there were, and
// those in which one of the secrets was.
func (c *cluster) overhear(secrets ...string) func() (commands int, leaks []string) {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.redis.Addr())
	if err == nil {
		_, err = conn.Write([]byte("MONITOR\r\n"))
	}
	if err != nil {
		c.t.Fatal(err)
	}
	heard := testkit.Hear("the queue")
	commands, leaks, ended := 0, []string(nil), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewReader(conn); ; commands++ {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			heard.Write([]byte(line))
			if slices.ContainsFunc(secrets, func(s string) bool { return strings.Contains(line, s) }) {
				leaks = append(leaks, line)
			}
		}
	}()
	c.t.Cleanup(func() { conn.Close() })
	return func() (int, []string) {
		conn.Close()
		<-ended
		return commands, leaks
	}
}

// payOnce takes one payment from its invoice to its approval, repeating each request until it is answered.
func payOnce(owner, customer, approver caller, account, reference string) error {
	draft, err := owner.insist(http.StatusCreated, "/billing/invoices/", reference, map[string]any{"account_id": account,
		"line_items": []map[string]any{{"description": "One day", "quantity": "1", "unit_price": "20.00"}}})
	if err != nil {
		return err
	}
	invoice, err := owner.insist(http.StatusOK, "/billing/invoices/"+draft.text("id")+"/finalize/", reference, nil)
	if err != nil {
		return err
	}
	payment, err := customer.insist(http.StatusCreated, "/billing/payments/manual/", reference, map[string]any{"invoice_id": invoice.text("id"), "payment_method": "bank_transfer", "transaction_reference": reference})
	if err != nil {
		return err
	}
	path := "/billing/payments/" + payment.text("id") + "/"
	for look := 0; ; look++ {
		seen, err := approver.insist(http.StatusOK, path, "", nil)
		if err != nil {
			return err
		}
		decided, err := approver.insist(http.StatusOK, path+"approve/", fmt.Sprintf("%s-%d", reference, look), map[string]any{"digest": seen.text("digest")})
		if decided.code != "payment_changed" { // other payments of the account change its signals
			return err
		}
	}
}

// insist repeats a request, under one idempotency key, until a server has answered it. Without a key it is a GET.
func (c caller) insist(want int, path, key string, body any) (reply, error) {
	method, header := http.MethodGet, map[string]string(nil)
	if key != "" {
		method, header = http.MethodPost, map[string]string{"Idempotency-Key": key}
	}
	var last error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(30 * time.Millisecond) {
		raw, contentType := []byte(nil), ""
		if body != nil {
			var err error
			if raw, err = json.Marshal(body); err != nil {
				return reply{}, err
			}
			contentType = "application/json"
		}
		r, err := c.try(method, path, header, contentType, bytes.NewReader(raw))
		switch {
		case err != nil:
			last = err
		case r.status >= 500 || r.code == "idempotency_in_progress":
			last = errors.New(r.raw)
		case r.status != want:
			return r, fmt.Errorf("%s %s: %d, want %d: %s", method, path, r.status, want, r.raw)
		default:
			return r, nil
		}
	}
	return reply{}, fmt.Errorf("%s %s is not answered: %w", method, path, last)
}

// base is one of the servers, as a load balancer without health checks would choose it.
func (c *cluster) base() string { return c.bases[rand.N(len(c.bases))].Load().(string) }

// begin starts a node: the first two are servers.
func (c *cluster) begin(i int) {
	c.t.Helper()
	if i < len(c.bases) {
		p, base := c.serve(c.t)
		c.nodes[i] = p
		c.bases[i].Store(base)
		return
	}
	c.nodes[i] = c.start(c.t, c.env, "worker")
}

// chaos kills nodes and empties Redis at random.
func (c *cluster) chaos(length time.Duration) {
	c.t.Helper()
	for end := time.Now().Add(length); time.Now().Before(end); {
		if rand.N(4) == 0 {
			flush(c.t, c.redis)
		}
		i := rand.N(len(c.nodes))
		c.nodes[i].kill()
		c.retired = append(c.retired, c.nodes[i])
		c.begin(i)
		time.Sleep(time.Duration(100+rand.N(400)) * time.Millisecond) // time for work between two deaths
	}
}

// flush empties a Redis.
func flush(t *testing.T, redis *embedded.Redis) {
	t.Helper()
	conn, err := net.Dial("tcp", redis.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reply := make([]byte, 16)
	if _, err := conn.Write([]byte("*1\r\n$8\r\nFLUSHALL\r\n")); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(reply); err != nil || string(reply[:n]) != "+OK\r\n" {
		t.Fatalf("FLUSHALL: %q, %v", reply[:n], err)
	}
}
