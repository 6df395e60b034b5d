package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"golang.org/x/sync/errgroup"

	"countersign/internal/database"
	"countersign/internal/embedded"
	"countersign/internal/settings"
	"countersign/migrations"
	"countersign/workers"
)

// inProcessFetch is how long an idle worker waits before it asks Redis in process again, which costs a seventh of a core when it is
// asked every 10 ms.
const inProcessFetch = 50 * time.Millisecond

// runCommand is first contact: everything in one process, with a private PostgreSQL and Redis in process. DATABASE_URL
// and REDIS_URL replace either by the real thing.
type runCommand struct {
	Demo bool `default:"true" negatable:"" help:"Load the demo into an empty database and allow its password."`
}

// serverLogin is the log-in under which the program uses its private PostgreSQL: not the superuser, who owns the schema.
const serverLogin = "countersign_server"

// databaseName is the database of the private PostgreSQL.
const databaseName = "countersign"

// Run is called by kong.
func (c runCommand) Run(ctx context.Context) error {
	s, err := settings.Load()
	if err != nil {
		return err
	}
	setUpLog(s)
	if s.DataDir, err = filepath.Abs(s.DataDir); err != nil {
		return err
	}
	if err := os.MkdirAll(s.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	if s.SecretKey == "" {
		if err := keepKey(&s, filepath.Join(s.DataDir, "secret.key")); err != nil {
			return err
		}
	}
	listener, err := listen(s.Addr) // first, so that a taken port leaves no half-started database
	if err != nil {
		return err
	}
	defer listener.Close()
	var pg *embedded.Postgres
	kept := s.DataDir
	kind := "your PostgreSQL (DATABASE_URL)"
	if s.DatabaseURL == "" {
		if pg, err = embedded.StartPostgres(ctx, embedded.PostgresConfig{DataDir: filepath.Join(s.DataDir, "postgres"), BinDir: s.PostgresBin, Fetch: true, Log: say}); err != nil {
			return err
		}
		defer stopPostgres(pg)
		if err := makeDatabase(ctx, pg); err != nil {
			return err
		}
		s.OwnerURL, s.DatabaseURL = pg.DSN(embedded.Superuser, databaseName), pg.DSN(serverLogin, databaseName)
		kind = "private PostgreSQL " + pg.Version()
		if place := filepath.Dir(pg.DataDir()); place != s.DataDir {
			kept += ", the database in " + place
		}
	}
	if err := migrateUp(ctx, s.Owner()); err != nil {
		return err
	}
	queueKind := "your Redis (REDIS_URL)"
	var fetch time.Duration
	if s.RedisURL == "" {
		redis, err := embedded.StartRedis()
		if err != nil {
			return err
		}
		defer redis.Close()
		s.RedisURL = "redis://" + redis.Addr() + "/0"
		queueKind = "Redis in process"
		fetch = inProcessFetch
	}
	db, err := database.Open(database.Config{URL: s.DatabaseURL, Role: database.AppRole, MaxConns: s.MaxConns, Slow: slowLog()})
	if err != nil {
		return err
	}
	p, err := wire(s, db, time.Now, c.Demo)
	if err != nil {
		return err
	}
	p.fetch = fetch
	if p.queue, err = workers.Open(s.RedisURL); err != nil {
		return err
	}
	defer p.close()
	if c.Demo {
		if err := p.loadDemo(ctx); err != nil {
			return fmt.Errorf("load the demo: %w", err)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.work(ctx) })
	group.Go(func() error {
		return p.serve(ctx, listener, func(addr string) { fmt.Print(welcome(addr, kind, queueKind, kept, c.Demo)) })
	})
	if pg != nil {
		group.Go(func() error { return watch(ctx, pg) })
	}
	return group.Wait()
}

// watch ends everything when the private PostgreSQL ends by itself: without it nothing here can work, and the next
// start repairs it.
func watch(ctx context.Context, pg *embedded.Postgres) error {
	select {
	case <-ctx.Done():
		return nil
	case <-pg.Done():
		return pg.Err()
	}
}

func say(sentence string) { fmt.Println("·", sentence) }

// stopPostgres lets the server write everything down; the process that was asked to stop still has some seconds.
func stopPostgres(pg *embedded.Postgres) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := pg.Stop(ctx); err != nil {
		say("stopping PostgreSQL: " + err.Error())
	}
}

// keepKey reads the secret key of this data directory, or makes one.
func keepKey(s *settings.Settings, path string) error {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key := make([]byte, 32)
		rand.Read(key)
		s.SecretKey = base64.StdEncoding.EncodeToString(key)
		if err := os.WriteFile(path, []byte(s.SecretKey+"\n"), 0o600); err != nil {
			return fmt.Errorf("keep the secret key: %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the secret key: %w", err)
	}
	s.SecretKey = strings.TrimSpace(string(raw))
	if len(s.Key()) < 32 {
		return fmt.Errorf("the secret key in %s is damaged: put the file back, or remove it and a new key is made, with which references seen before are not recognised", path)
	}
	return nil
}

// makeDatabase makes the database and, after the migrations made the role, the log-in of the program.
func makeDatabase(ctx context.Context, pg *embedded.Postgres) error {
	db, err := database.Open(database.Config{URL: pg.DSN(embedded.Superuser, embedded.MaintenanceDatabase), MaxConns: 1})
	if err != nil {
		return err
	}
	defer db.Close()
	exists, err := db.NewSelect().TableExpr("pg_database").Where("datname = ?", databaseName).Exists(ctx)
	if err != nil {
		return fmt.Errorf("look for the database: %w", err)
	}
	if !exists {
		if _, err := db.ExecContext(ctx, "CREATE DATABASE ?", bun.Ident(databaseName)); err != nil {
			return fmt.Errorf("make the database: %w", err)
		}
	}
	for _, statement := range []string{
		"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '" + database.AppRole + "') THEN CREATE ROLE " + database.AppRole + " NOLOGIN; END IF; END $$",
		"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '" + serverLogin + "') THEN CREATE ROLE " + serverLogin + " LOGIN IN ROLE " + database.AppRole + "; END IF; END $$",
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("make the program's log-in: %w", err)
		}
	}
	return nil
}

func migrateUp(ctx context.Context, url string) error {
	db, err := database.Open(database.Config{URL: url, MaxConns: 4})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.PingContext(ctx); err != nil {
		return fmt.Errorf("reach the database as the owner of its schema (COUNTERSIGN_OWNER_URL, else DATABASE_URL): %w", err)
	}
	m, err := database.NewMigrator(db, migrations.Files)
	if err != nil {
		return err
	}
	applied, err := m.Up(ctx)
	if err != nil {
		return err
	}
	if len(applied) > 0 {
		say(fmt.Sprintf("applied %d migrations", len(applied)))
	}
	return nil
}

// welcome is the first screen: where to click and who can log in.
func welcome(addr, kind, queueKind, kept string, demo bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nCountersign is running on %s and %s.\n\n", kind, queueKind)
	fmt.Fprintf(&b, "  Console    http://%s/console/\n  API        http://%s/api/v1/\n  API docs   http://%s/api/docs/\n\n", addr, addr, addr)
	if demo {
		fmt.Fprintf(&b, "  Log in with the password %s as\n", demoPassword)
		for _, t := range demoTenants() {
			fmt.Fprintf(&b, "    finance@%s.test, approver@%s.test   %s\n", t.Slug, t.Slug, t.Name)
		}
		fmt.Fprintf(&b, "  Customers (API only): customer@<business>.test, customer2@<business>.test; also owner@ and viewer@.\n")
		fmt.Fprintf(&b, "  Start here: the approval queue in the console has payments to decide.\n\n")
	}
	fmt.Fprintf(&b, "  Everything is kept in %s. Stop with Ctrl-C.\n\n", kept)
	return b.String()
}
