// Package testkit gives tests real parts: a private PostgreSQL for each test binary, with the real schema and the
// program's own unprivileged role, and a client for the HTTP interface. Tests isolate themselves by making a new
// tenant each, so they run in parallel and exercise row-level security all day.
package testkit

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"countersign/internal/database"
	"countersign/internal/embedded"
	"countersign/migrations"
)

// server is the PostgreSQL of this test binary.
var server struct {
	pg    *embedded.Postgres
	app   *bun.DB
	owner *bun.DB
	check *tenantCheck
}

// Main starts PostgreSQL, migrates, runs the tests and stops it again. A package with a database in its tests says:
//
//	func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }
//
// On a machine without PostgreSQL the tests are skipped with a sentence, except in CI, where that is a failure.
func Main(m *testing.M) int {
	ctx := context.Background()
	if _, _, err := embedded.FindPostgres(ctx, os.Getenv("COUNTERSIGN_PG_BIN"), embedded.DefaultFetchDir()); err != nil {
		fmt.Println("SKIPPED: these tests need PostgreSQL:", err)
		if os.Getenv("CI") != "" {
			return 1
		}
		return 0
	}
	dir, err := os.MkdirTemp("", "cs-test")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	server.pg, err = embedded.StartPostgres(ctx, embedded.PostgresConfig{DataDir: filepath.Join(dir, "pg"), BinDir: os.Getenv("COUNTERSIGN_PG_BIN"), Fast: true})
	if err != nil {
		return fail(err)
	}
	defer server.pg.Stop(ctx)
	if err := prepare(ctx); err != nil {
		return fail(err)
	}
	heard.listen()
	code := m.Run()
	if found := server.check.violations(); len(found) > 0 {
		fmt.Println("These statements read or change a tenant's table without naming tenant_id:")
		for _, q := range found {
			fmt.Println(" ", q)
		}
		code = 1
	}
	if found := heard.search(ctx, dir); len(found) > 0 {
		fmt.Println("What tests have used as secrets must be nowhere in the clear:")
		for _, leak := range found {
			fmt.Println(" ", leak)
		}
		code = 1
	}
	return code
}

func fail(err error) int {
	fmt.Println("prepare tests:", err)
	return 1
}

func prepare(ctx context.Context) (err error) {
	if server.owner, err = database.Open(database.Config{URL: OwnerURL()}); err != nil {
		return err
	}
	migrator, err := database.NewMigrator(server.owner, migrations.Files)
	if err != nil {
		return err
	}
	if _, err := migrator.Up(ctx); err != nil {
		return err
	}
	if server.check, err = newTenantCheck(ctx, server.owner); err != nil {
		return err
	}
	server.app, err = database.Open(database.Config{URL: OwnerURL(), Role: database.AppRole, MaxConns: 24, Trace: trace})
	return err
}

// OwnerURL is the connection string of the schema's owner.
func OwnerURL() string { return server.pg.DSN("countersign", "postgres") }

// DB is the database as the program sees it: without ownership, behind row-level security.
func DB(t testing.TB) *bun.DB {
	t.Helper()
	return server.app
}

// OwnerDB is the database as a superuser sees it, for tests that break things on purpose.
func OwnerDB(t testing.TB) *bun.DB {
	t.Helper()
	return server.owner
}

// NewDatabase makes an empty database beside the shared one and gives its owner's connection string.
func NewDatabase(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("t%d_%d", time.Now().UnixNano(), counter.Add(1))
	if _, err := server.owner.ExecContext(t.Context(), "CREATE DATABASE ? TEMPLATE template0", bun.Ident(name)); err != nil {
		t.Fatal(err)
	}
	return server.pg.DSN("countersign", name)
}

var counter atomic.Int64

type countKey struct{}

// Count returns a context whose round trips to the database are counted, also those that a request with this context
// causes.
func Count(ctx context.Context) (context.Context, *atomic.Int64) {
	n := &atomic.Int64{}
	return context.WithValue(ctx, countKey{}, n), n
}

func trace(ctx context.Context, statements ...string) {
	if n, ok := ctx.Value(countKey{}).(*atomic.Int64); ok {
		n.Add(1)
	}
	for _, s := range statements {
		server.check.see(s)
	}
}

// tenantCheck collects statements that touch a tenant's table and do not name tenant_id. Row-level security would
// still narrow them, but a database distributed by tenant would ask all its nodes.
type tenantCheck struct {
	tables *regexp.Regexp
	mu     sync.Mutex
	found  map[string]bool
}

func newTenantCheck(ctx context.Context, owner *bun.DB) (*tenantCheck, error) {
	var tables []string
	err := owner.NewRaw(`SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'tenant_id'`).Scan(ctx, &tables)
	if err != nil {
		return nil, fmt.Errorf("list tables of tenants: %w", err)
	}
	return &tenantCheck{tables: regexp.MustCompile(`(?i)\b(from|join|update|into)\s+"?(` + strings.Join(tables, "|") + `)\b`), found: map[string]bool{}}, nil
}

func (c *tenantCheck) see(query string) {
	if c.tables.MatchString(query) && !strings.Contains(query, "tenant_id") {
		c.mu.Lock()
		c.found[query] = true
		c.mu.Unlock()
	}
}

func (c *tenantCheck) violations() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.found))
}

// Eventually polls until ok says true and fails the test after half a minute. It is for what another process or a
// worker does; everything else is awaited directly.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen within 30 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
