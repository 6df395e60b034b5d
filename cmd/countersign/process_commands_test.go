package main_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"countersign/internal/embedded"
	"countersign/internal/testkit"
)

const (
	testKey      = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
	testPassword = "correct horse battery"
	metricsToken = "private-metrics-token"
	dbPassword   = "private-database-password"
)

// installation is what an operator prepares: a database, the log-in of the program, and the settings.
type installation struct {
	program
	env   []string
	owner string // connection string of the schema's owner
}

// prepare makes a database with the log-in of the program, as docker/make-server-login.sh does, and no schema yet.
func prepare(t *testing.T, bin program, pg *embedded.Postgres) installation {
	t.Helper()
	db := openOwner(t, pg.DSN(embedded.Superuser, embedded.MaintenanceDatabase))
	for _, statement := range []string{"CREATE DATABASE billing", "CREATE ROLE countersign_app NOLOGIN", "CREATE ROLE countersign_server LOGIN PASSWORD '" + dbPassword + "' IN ROLE countersign_app"} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	server, err := url.Parse(pg.DSN("countersign_server", "billing"))
	if err != nil {
		t.Fatal(err)
	}
	server.User = url.UserPassword("countersign_server", dbPassword)
	owner := pg.DSN(embedded.Superuser, "billing")
	testkit.Secret(testkit.SecretKey, testKey)
	testkit.Secret(testkit.SecretPassword, testPassword, dbPassword, metricsToken)
	return installation{program: bin, owner: owner, env: []string{"DATABASE_URL=" + server.String(), "COUNTERSIGN_OWNER_URL=" + owner, "COUNTERSIGN_SECRET_KEY=" + testKey,
		"COUNTERSIGN_METRICS_TOKEN=" + metricsToken, "COUNTERSIGN_PASSWORD=" + testPassword, "COUNTERSIGN_DATA_DIR=" + shortDir(t)}}
}

// open migrates and makes a tenant with an owner and the methods of its country.
func (i installation) open(t *testing.T) {
	t.Helper()
	i.expect(t, i.env, 0, `applied \d+_install`, "migrate")
	i.expect(t, i.env, 0, `Created tenant shop \(.*\) with owner owner@shop.test`, "createtenant", "shop", "--name=Shop", "--country=PK", "--currency=PKR", "--owner-email=owner@shop.test", "--owner-name=Olga")
	i.expect(t, i.env, 0, `Loaded the payment methods of \[PK \*\]`, "loaddata", "--tenant=shop", "PK", "*")
}

// serve starts a server and gives its address.
func (i installation) serve(t *testing.T, env ...string) (*process, string) {
	t.Helper()
	p := i.start(t, append(append([]string{}, i.env...), env...), "serve")
	return p, "http://" + p.says(`msg=serving address=(\S+)`)
}

func testCommands(t *testing.T, bin program) {
	i := prepare(t, bin, postgresIn(t, shortDir(t)))
	t.Cleanup(func() { testkit.SearchDatabase(t, i.owner) })
	said := i.expect(t, i.env, 0, `^countersign \S+ go1\.`, "version")
	said += i.expect(t, i.env, 0, `COUNTERSIGN_SECRET_KEY +set`, "settings")
	document := i.expect(t, nil, 0, `"openapi":"3.1`, "openapi")
	var schema struct{ Paths map[string]any }
	if err := json.Unmarshal([]byte(document), &schema); err != nil || schema.Paths["/api/v1/billing/payments/manual/"] == nil {
		t.Errorf("openapi prints no document with all paths: %v: %.300s", err, document)
	}
	i.expect(t, nil, 80, "unexpected argument nonsense", "nonsense")

	i.expect(t, i.env, 0, `would apply \d+_install`, "migrate", "--dry-run")
	i.expect(t, i.env, 1, `countersign:`, "verify") // there is no schema yet, and that is said, not proven
	i.open(t)
	i.expect(t, i.env, 0, "The schema is up to date", "migrate", "--dry-run")
	i.expect(t, i.env, 0, "The schema is up to date", "migrate")
	create := []string{"createtenant", "shop", "--name=Shop", "--country=PK", "--currency=PKR", "--owner-email=owner@shop.test", "--owner-name=Olga"}
	i.expect(t, i.env, 0, "Would create tenant shop", append(create, "--dry-run")...)
	i.expect(t, i.env, 1, "countersign: .*shop|countersign: .*taken|countersign: .*exists", create...)
	i.expect(t, append(i.env, "COUNTERSIGN_PASSWORD="), 1, "set COUNTERSIGN_PASSWORD", create...)
	i.expect(t, i.env, 0, "Would load", "loaddata", "--tenant=shop", "--dry-run", "BD")
	i.expect(t, i.env, 1, "countersign: ", "loaddata", "--tenant=nobody", "BD")
	i.expect(t, i.env, 0, "Created finance@shop.test as finance of shop", "createuser", "--tenant=shop", "--email=finance@shop.test", "--name=Farid", "--role=finance")
	i.expect(t, i.env, 0, "Created tenant stall", "createtenant", "stall", "--name=Stall", "--country=PK", "--currency=PKR", "--owner-email=owner@stall.test", "--owner-name=Omar")
	attach := []string{"createuser", "--tenant=stall", "--email=finance@shop.test", "--role=finance", "--attach"}
	i.expect(t, append(i.env, "COUNTERSIGN_PASSWORD="), 1, "set COUNTERSIGN_PASSWORD", attach...)
	i.expect(t, append(i.env, "COUNTERSIGN_PASSWORD="+testPassword+" anew"), 0, "finance@shop.test is now finance of stall, with the new password", attach...)
	i.expect(t, append(i.env, "COUNTERSIGN_PASSWORD="+demoLogin), 1, "countersign: ", "createuser", "--tenant=shop", "--email=demo@shop.test", "--name=D", "--role=finance")
	i.expect(t, i.env, 1, "settings.W001(?s:.)*1 findings", "check")
	i.expect(t, append(i.env, "COUNTERSIGN_SECURE_COOKIES=true"), 0, "No findings", "check")
	i.expect(t, append(i.env, "COUNTERSIGN_SECURE_COOKIES=true", "DATABASE_URL="+i.owner), 1, "database.W001", "check")
	i.expect(t, i.env, 0, `TASK +LAST SUCCESS +DEAD\n(?s:.)*integrity.prove +never +0`, "jobs", "list", "--tenant=shop")
	i.expect(t, i.env, 0, "integrity.prove will run as job", "jobs", "run", "--tenant=shop", "integrity.prove")
	i.expect(t, i.env, 1, "countersign: ", "jobs", "run", "--tenant=shop", "no.such.task")
	i.expect(t, i.env, 0, `KEY +SEALED +\n0 +0 +seals`, "keys")
	ring := append(i.env, "COUNTERSIGN_ENCRYPTION_KEYS=2026:"+testKey)
	i.expect(t, ring, 0, `2026 +0 +seals\n0 +0 +opens; made from the secret key`, "keys", "list")
	i.expect(t, ring, 0, "Sealed 0 values with key 2026", "keys", "rotate")
	said += i.expect(t, append(i.env, "COUNTERSIGN_ENCRYPTION_KEYS=2026:short"+testKey), 1, "COUNTERSIGN_ENCRYPTION_KEYS: key 2026: expected 32 bytes", "keys")

	_, base := i.serve(t)
	owner := newCaller(t, base).login("owner@shop.test", testPassword)
	account := owner.do(http.StatusCreated, "POST", "/billing/accounts/", map[string]any{"kind": "organization", "holder": "Lahore Textiles", "country": "PK", "currency": "PKR"})
	owner.invoice(account.text("id"), "150.00")
	i.expect(t, i.env, 0, `tenant \S+ \(shop\)\n +RESULT +CHECK +FOUND +TIME +LOOKED FOR\n(?s:.)*ok +ledger.E001 +0 +\d+ ms +a transaction does not sum to zero\n(?s:.)*The books of 2 tenants are right`, "verify")
	if _, err := openOwner(t, i.owner).ExecContext(t.Context(), "UPDATE ledger_balances SET amount_minor = amount_minor + 7"); err != nil {
		t.Fatal(err)
	}
	i.expect(t, i.env, 1, `broken +ledger\.E005 +1 +\d+ ms +a cached balance (?s:.)*cached 15007, true 15000\n(?s:.)*what to do: Run countersign ledger rebuild(?s:.)*countersign: 1 findings in 2 tenants`, "verify")
	i.expect(t, i.env, 1, `"ok":false,"findings":1,"unproven":0,(?s:.)*"slug":"shop"(?s:.)*"id":"ledger.E005","looks_for":"[^"]+","status":"broken","found":1,"places":\[\{"object":"[^"]+","detail":"cached 15007`, "verify", "--json", "--tenant=shop")
	i.expect(t, i.env, 0, `"ok":true,"findings":0`, "verify", "--json", "--tenant=stall")
	i.expect(t, i.env, 1, "countersign: ", "verify", "--tenant=nobody")
	i.expect(t, i.env, 0, `receivable:\S+ held 150.07 PKR, its entries say 150.00\n.*: 1 balances had drifted and are right again, of 1`, "ledger", "rebuild", "--tenant=shop")
	i.expect(t, i.env, 0, ": 0 balances had drifted", "ledger", "rebuild")
	i.expect(t, i.env, 1, "ledger.E008 does not name this transaction", "ledger", "repair", "--tenant=shop", "--transaction=019b5bdb-3e6a-7a5e-9d2c-3c1c2f5b1f10", "--reason=a mistake")
	i.expect(t, i.env, 0, "The books of 2 tenants are right", "verify")
	silent(t, said, testKey, metricsToken, dbPassword)
}

// testReadiness takes parts away from a server and gives them back.
func testReadiness(t *testing.T, bin program) {
	dir := shortDir(t)
	pg := postgresIn(t, dir)
	i := prepare(t, bin, pg)
	redis := miniredis.NewMiniRedis()
	if err := redis.StartAddr("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer redis.Close()
	p, base := i.serve(t, "REDIS_URL=redis://"+redis.Addr())
	anybody := newCaller(t, base)
	ready := func(status int, part string) {
		t.Helper()
		until(t, "/readyz says "+part, func() bool {
			r, err := anybody.try("GET", "/readyz", nil, "", nil)
			return err == nil && r.status == status && strings.Contains(r.raw, part)
		})
		if got := anybody.get("/healthz").raw; got != "ok\n" {
			t.Errorf("/healthz: %q", got)
		}
	}
	ready(http.StatusServiceUnavailable, `"schema":"older than this program: run `)
	i.open(t)
	ready(http.StatusOK, `"schema":"ok"`)
	redis.Close()
	ready(http.StatusServiceUnavailable, `"queue":"does not answer`)
	if err := redis.Restart(); err != nil {
		t.Fatal(err)
	}
	ready(http.StatusOK, `"queue":"ok"`)
	stop(t, pg)
	ready(http.StatusServiceUnavailable, `"database":"does not answer"`)
	monitor := anybody
	monitor.token = metricsToken
	if shown := monitor.get("/metrics").raw; !strings.Contains(shown, "\ncountersign_database_up 0\n") || strings.Contains(shown, "countersign_payments_undecided ") { // S0D-22
		t.Errorf("/metrics without a database: %.400s", shown)
	}
	login := map[string]string{"email": "owner@shop.test", "password": testPassword}
	if got := anybody.do(http.StatusServiceUnavailable, "POST", "/auth/token/", login); got.code == "" || strings.Contains(got.raw, "PGSQL") {
		t.Errorf("without a database: %s", got.raw)
	}
	postgresIn(t, dir)
	ready(http.StatusOK, `"database":"ok"`)
	owner := anybody.login(login["email"], login["password"])
	owner.get("/billing/payments/")

	anybody.do(http.StatusUnauthorized, "GET", "/metrics", nil)
	anybody.token = "wrong"
	anybody.do(http.StatusUnauthorized, "GET", "/metrics", nil)
	shown := monitor.get("/metrics").raw
	for _, name := range []string{`countersign_http_request_seconds_count{method="GET",route="/api/v1/billing/payments",status="2xx"}`, "countersign_redis_up 1", "countersign_queue_tasks{", "countersign_queue_oldest_seconds{",
		"\ncountersign_database_up 1\n", "countersign_outbox_waiting{", "countersign_outbox_oldest_seconds{", `countersign_integrity_findings{check="ledger.E001"} 0`,
		`countersign_integrity_last_run_timestamp_seconds{check="audit.E001"}`, "countersign_payments_oldest_undecided_age_seconds 0", "countersign_payments_settlement_lag_seconds 0"} {
		if !strings.Contains(shown, name) {
			t.Errorf("/metrics has no %s", name)
		}
	}
	if got := monitor.get("/version").raw; !strings.Contains(got, `"name":"countersign"`) {
		t.Errorf("/version: %s", got)
	}
	p.interrupt()
	if code := p.wait(); code != 0 {
		t.Errorf("exit %d after an interrupt", code)
	}
	silent(t, p.output(), testKey, testPassword, dbPassword, metricsToken, owner.token, "owner@shop.test")
}
