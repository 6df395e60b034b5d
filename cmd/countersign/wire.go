package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing"
	"countersign/billing/evidence"
	"countersign/internal/apps"
	"countersign/internal/audit"
	"countersign/internal/database"
	"countersign/internal/integrity"
	"countersign/internal/keyring"
	"countersign/internal/outbox"
	"countersign/internal/settings"
	"countersign/tenancy"
	"countersign/workers"
)

// project is everything, built once and bottom-up. There is no other place where parts are joined.
type project struct {
	settings  settings.Settings
	db        *bun.DB
	queue     *workers.Queue
	fetch     time.Duration // how long an idle worker waits before it asks the queue again; zero: its own default
	keys      *keyring.Keyring
	bell      *outbox.Bell
	outbox    *outbox.Outbox
	integrity *integrity.Service
	tenancy   *tenancy.Service
	accounts  *accounts.Service
	billing   *billing.Billing
	apps      []apps.App
}

// wire builds the project on an open database. demo allows the demo's published password.
func wire(s settings.Settings, db *bun.DB, now func() time.Time, demo bool) (*project, error) {
	files, err := openFiles(s)
	if err != nil {
		return nil, err
	}
	p := &project{settings: s, db: db, keys: s.Keyring()}
	p.bell = outbox.NewBell(db)
	p.outbox = outbox.New(nil, p.bell)
	p.integrity = integrity.New(db, p.outbox)
	p.tenancy = tenancy.New(db)
	p.accounts = accounts.New(accounts.Deps{DB: db, Outbox: p.outbox, Now: now, SecretKey: s.Key(), SecureCookies: s.SecureCookies, Demo: demo})
	p.billing = billing.New(billing.Deps{DB: db, Outbox: p.outbox, Files: files, Secret: s.Key(), Keys: p.keys, Now: now, Providers: billing.Providers(now)})

	// the installed apps, the lowest first
	p.apps = append([]apps.App{
		audit.App(db),
		p.outbox.App(db),
		p.integrity.App(),
		p.tenancy.App(),
		p.accounts.App(),
	}, p.billing.Apps()...)
	p.outbox.Subscribe(p.apps)
	p.integrity.Prove(p.apps)
	return p, nil
}

// openFiles gives the object store for evidence.
func openFiles(s settings.Settings) (evidence.Storage, error) {
	if s.S3Endpoint != "" {
		return evidence.NewS3(evidence.S3Config{Endpoint: s.S3Endpoint, Bucket: s.S3Bucket, Region: s.S3Region, AccessKey: s.S3AccessKey, SecretKey: s.S3SecretKey, TLS: s.S3TLS})
	}
	dir := filepath.Join(s.DataDir, "evidence")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for evidence: %w", err)
	}
	return evidence.NewLocal(dir)
}

// slowLog says which round trips to the database are worth a line.
func slowLog() database.SlowLog {
	return database.SlowLog{Logger: slog.Default(), Limit: time.Second}
}

// connect opens the database as the program's role and wires the project; the caller closes it.
func connect(ctx context.Context, s settings.Settings) (*project, error) {
	if s.DatabaseURL == "" {
		return nil, fmt.Errorf("DATABASE_URL is not set: name the PostgreSQL to use, or start everything with `countersign run`")
	}
	if len(s.Key()) == 0 {
		return nil, fmt.Errorf("COUNTERSIGN_SECRET_KEY is not set: make one with `head -c 32 /dev/urandom | base64` and keep it")
	}
	db, err := database.Open(database.Config{URL: s.DatabaseURL, Role: database.AppRole, MaxConns: s.MaxConns, Slow: slowLog()})
	if err != nil {
		return nil, err
	}
	if err := db.PingContext(ctx); err != nil {
		return nil, fmt.Errorf("reach the database of DATABASE_URL: %w", err)
	}
	p, err := wire(s, db, time.Now, false)
	if err != nil {
		return nil, err
	}
	if s.RedisURL != "" {
		if p.queue, err = workers.Open(s.RedisURL); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// withProject reads the settings, sets up the log, connects, and acts: what every command on a running installation begins with.
func withProject(ctx context.Context, do func(p *project) error) error {
	s, err := settings.Load()
	if err != nil {
		return err
	}
	setUpLog(s)
	p, err := connect(ctx, s)
	if err != nil {
		return err
	}
	defer p.close()
	return do(p)
}

// close gives connections back.
func (p *project) close() {
	if p.queue != nil {
		p.queue.Close()
	}
	p.db.Close()
}
