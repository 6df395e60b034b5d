package main_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/uptrace/bun"

	"countersign/internal/database"
	"countersign/internal/testkit"
)

// TestProcesses runs the real binary as people and machines do.
func TestProcesses(t *testing.T) {
	t.Parallel()
	requireParts(t)
	bin := buildProgram(t)
	t.Run("run", func(t *testing.T) { t.Parallel(); testRun(t, bin) })
	t.Run("run refuses with a sentence", func(t *testing.T) { t.Parallel(); testRefusals(t, bin) })
	t.Run("each command does what it says", func(t *testing.T) { t.Parallel(); testCommands(t, bin) })
	t.Run("serve says which part is missing", func(t *testing.T) { t.Parallel(); testReadiness(t, bin) })
	t.Run("Redis holds what was", func(t *testing.T) { t.Parallel(); testStaleRedis(t, bin) })
	t.Run("servers and workers come and go", func(t *testing.T) { t.Parallel(); testCluster(t, bin) })
	t.Run("the same command gives the same by whatever way it comes", func(t *testing.T) { t.Parallel(); testPaths(t, bin) })
}

// demoLogin opens the demo's log-ins; run prints it on purpose.
const demoLogin = "countersign-demo"

// cardNumber is what somebody may write where it does not belong.
const cardNumber = "4111111111111111"

// testRun is first contact: the story of one payment, a stop, a second start, a death, and a start after it.
func testRun(t *testing.T, bin program) {
	dir := shortDir(t)
	env := []string{"COUNTERSIGN_DATA_DIR=" + dir}
	p := bin.start(t, env, "run")
	base := "http://" + p.says(`Console\s+http://(\S+)/console/`)
	for _, pattern := range []string{"loading the demo", "applied \\d+ migrations", "password " + demoLogin, "finance@acme-cloud.test, approver@acme-cloud.test", "Stop with Ctrl-C"} {
		p.says(pattern)
	}
	server := postgresPID(t, dir)
	bin.expect(t, env, 1, fmt.Sprintf("already in use by pid %d", p.cmd.Process.Pid), "run")

	anybody := newCaller(t, base)
	customer, approver := anybody.login("customer@acme-cloud.test", demoLogin), anybody.login("approver@acme-cloud.test", demoLogin)
	if methods := customer.get("/billing/payment-methods/available/"); !strings.Contains(methods.raw, `"bank_transfer"`) {
		t.Errorf("no bank transfer among the methods: %s", methods.raw)
	}
	invoice := anybody.login("finance@acme-cloud.test", demoLogin).invoice("acme-cloud-1", "27900.00")
	if refused := customer.claim(invoice, "FT-PRIVATE-REFERENCE-0", "I nearly paid with "+cardNumber); refused.status != http.StatusBadRequest {
		t.Errorf("a card number in the notes: %d %s", refused.status, refused.raw)
	}
	claimed := customer.claim(invoice, "FT-PRIVATE-REFERENCE-1", "Paid at the counter")
	if claimed.status != http.StatusCreated || claimed.text("status") != "pending_approval" {
		t.Fatalf("submission: %d %s", claimed.status, claimed.raw)
	}
	first := claimed.text("id")
	approver.approve(first)
	until(t, "the payment is settled", func() bool { return customer.status(first) == "succeeded" })
	if got := customer.get("/billing/invoices/" + invoice + "/").text("status"); got != "paid" {
		t.Errorf("the invoice is %s", got)
	}
	approver.get("/billing/payments/?search=FT-PRIVATE-REFERENCE-1")
	approver.balanced()
	for path, holds := range map[string]string{"/healthz": "ok", "/readyz": `"queue":"ok"`, "/version": "countersign", "/metrics": "countersign_payments_settlement_lag_seconds", "/console/": "<html"} {
		if got := anybody.get(path); !strings.Contains(got.raw, holds) {
			t.Errorf("%s has no %s: %.300s", path, holds, got.raw)
		}
	}

	finish := halfLogin(t, base)
	p.interrupt()
	until(t, "nobody new is let in", func() bool { return refuses(base) })
	if got := finish(); !strings.Contains(got, "200 OK") {
		t.Errorf("what had begun before Ctrl-C was answered with %q", got)
	}
	if code := p.wait(); code != 0 {
		t.Errorf("exit %d after Ctrl-C", code)
	}
	if !gone(server) || len(sockets(t, dir)) > 0 {
		t.Errorf("after Ctrl-C: PostgreSQL gone: %v, sockets: %v", gone(server), sockets(t, dir))
	}

	again := bin.start(t, env, "run")
	anybody = newCaller(t, "http://"+again.says(`Console\s+http://(\S+)/console/`))
	if said := again.output(); strings.Contains(said, "loading the demo") || strings.Contains(said, "applied") {
		t.Errorf("the second start began from nothing:\n%s", said)
	}
	customer.base, approver.base = anybody.base, anybody.base // tokens live in the database
	if got := customer.status(first); got != "succeeded" {
		t.Errorf("after the second start the payment is %s", got)
	}
	second := customer.claim(anybody.login("finance@acme-cloud.test", demoLogin).invoice("acme-cloud-1", "100.00"), "FT-PRIVATE-REFERENCE-2", "").text("id")
	owner := openPrivate(t, dir)
	tx, err := owner.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(t.Context(), "LOCK TABLE ledger_transactions IN SHARE ROW EXCLUSIVE MODE"); err != nil { // the worker cannot post
		t.Fatal(err)
	}
	approver.approve(second)
	server = postgresPID(t, dir)
	again.kill()
	until(t, "PostgreSQL follows its killed parent", func() bool { return gone(server) })

	last := bin.start(t, env, "run", "--no-demo")
	base = "http://" + last.says(`Console\s+http://(\S+)/console/`)
	customer.base = func() string { return base }
	approver.base = customer.base
	until(t, "what was approved before the death is settled after it", func() bool { return customer.status(second) == "succeeded" })
	approver.balanced()
	var settled, tenants int
	owner = openPrivate(t, dir)
	if err := owner.NewRaw("SELECT (SELECT count(*) FROM ledger_transactions WHERE kind = 'payment_settled' AND payment_id IN (?, ?)), (SELECT count(*) FROM tenants)", first, second).
		Scan(t.Context(), &settled, &tenants); err != nil {
		t.Fatal(err)
	}
	if settled != 2 || tenants != 3 {
		t.Errorf("two payments were posted %d times; %d tenants, want the demo's 3", settled, tenants)
	}
	testkit.SearchDatabase(t, privateURL(dir))
	if err := syscall.Kill(postgresPID(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := last.wait(); code != 1 || !strings.Contains(last.output(), "PostgreSQL ended by itself") {
		t.Errorf("exit %d when PostgreSQL dies:\n%s", code, last.output())
	}

	key, err := os.ReadFile(filepath.Join(dir, "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	silent(t, p.output()+again.output()+last.output(), strings.TrimSpace(string(key)), customer.token, approver.token, "FT-PRIVATE", "at the counter", cardNumber, "Bearer ", "$argon2id$")
	serverLog, err := os.ReadFile(filepath.Join(dir, "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	silent(t, string(serverLog), customer.token, "FT-PRIVATE", cardNumber, "$argon2id$")
}

func testRefusals(t *testing.T, bin program) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := shortDir(t)
	if err := os.WriteFile(filepath.Join(damaged, "secret.key"), []byte("c2hvcnQ=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, pattern string
		env           []string
		args          []string
	}{
		{"a taken port", "is taken by another program.*COUNTERSIGN_ADDR=", []string{"COUNTERSIGN_ADDR=" + taken.Addr().String()}, []string{"run"}},
		{"an address that is none", "COUNTERSIGN_ADDR: expected host:port", []string{"COUNTERSIGN_ADDR=8080"}, []string{"run"}},
		{"a data directory that cannot be made", "make the data directory.*not a directory", []string{"COUNTERSIGN_DATA_DIR=" + file + "/data"}, []string{"run"}},
		{"a broken secret key", "COUNTERSIGN_SECRET_KEY: expected at least 32 bytes", []string{"COUNTERSIGN_SECRET_KEY=c2hvcnQ="}, []string{"run"}},
		{"a damaged kept key", "the secret key in .*secret.key is damaged", []string{"COUNTERSIGN_DATA_DIR=" + damaged}, []string{"run"}},
		{"a database that does not answer", "reach the database.*DATABASE_URL", []string{"DATABASE_URL=postgres://u:private-password@127.0.0.1:1/none"}, []string{"run"}},
		{"a database URL that is none", "parse database url", []string{"DATABASE_URL=postgres://u:private-password@127.0.0.1:port/none"}, []string{"run"}},
		{"the same from migrate", "reach the database.*DATABASE_URL", []string{"DATABASE_URL=postgres://u:private-password@127.0.0.1:1/none"}, []string{"migrate"}},
		{"serve without a database", "DATABASE_URL is not set", nil, []string{"serve"}},
		{"serve without a key", "COUNTERSIGN_SECRET_KEY is not set", []string{"DATABASE_URL=postgres://127.0.0.1:1/none"}, []string{"serve"}},
		{"worker without a queue", "REDIS_URL is not set", []string{"DATABASE_URL=postgres://127.0.0.1:1/none", "COUNTERSIGN_SECRET_KEY=" + testKey}, []string{"worker"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			said := bin.expect(t, append([]string{"COUNTERSIGN_DATA_DIR=" + dir}, tt.env...), 1, tt.pattern, tt.args...)
			silent(t, said, "private-password", "goroutine")
			for _, dir := range []string{dir, damaged} {
				if _, err := os.Stat(filepath.Join(dir, "postgres")); !os.IsNotExist(err) {
					t.Errorf("a database was begun in %s: %v", dir, err)
				}
			}
		})
	}
}

// invoice opens an invoice of one line.
func (c caller) invoice(account, price string) string {
	c.t.Helper()
	draft := c.do(http.StatusCreated, "POST", "/billing/invoices/", map[string]any{"account_id": account,
		"line_items": []map[string]any{{"description": "One month", "quantity": "1", "unit_price": price}}})
	return c.do(http.StatusOK, "POST", "/billing/invoices/"+draft.text("id")+"/finalize/", nil).text("id")
}

// halfLogin sends half of a request; the returned function sends the rest and gives the answer's first line.
func halfLogin(t *testing.T, base string) func() string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	body := `{"email":"viewer@acme-cloud.test","password":"` + demoLogin + `"}`
	fmt.Fprintf(conn, "POST /api/v1/auth/token/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:9])
	newCaller(t, base).get("/healthz") // the server has read what was sent before
	return func() string {
		fmt.Fprint(conn, body[9:])
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil {
			return err.Error()
		}
		return line
	}
}

// postgresPID is the private server of a data directory.
func postgresPID(t *testing.T, dir string) int {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "postgres", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// gone says whether a process has ended. A zombie has.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// sockets lists what a server leaves in its data directory when it is not stopped in order.
func sockets(t *testing.T, dir string) []string {
	t.Helper()
	var left []string
	for _, pattern := range []string{".s.PGSQL.*", "postmaster.pid"} {
		found, err := filepath.Glob(filepath.Join(dir, "postgres", pattern))
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, found...)
	}
	return left
}

// openPrivate opens the private database of a data directory as its owner.
func openPrivate(t *testing.T, dir string) *bun.DB {
	t.Helper()
	return openOwner(t, privateURL(dir))
}

func privateURL(dir string) string {
	return "postgres://countersign@/countersign?" + url.Values{"host": {filepath.Join(dir, "postgres")}}.Encode()
}

func openOwner(t *testing.T, dsn string) *bun.DB {
	t.Helper()
	db, err := database.Open(database.Config{URL: dsn})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.PingContext(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
