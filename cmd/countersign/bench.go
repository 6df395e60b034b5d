package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"countersign/internal/apps"
	"countersign/internal/database"
	"countersign/internal/embedded"
	"countersign/internal/settings"
	"countersign/workers"
)

// benchCommand measures this build on a throw-away private PostgreSQL with full durability, and prints each figure as
// a ratio to something else of the same run, mostly to pgbench on the same server in the same minutes: absolute figures
// of a machine say little. docs/performance.md says what each goal is and how to repeat it.
type benchCommand struct {
	Payments int           `default:"50000" help:"Approved payments to settle in each round."`
	Accounts int           `default:"10000" help:"Customer accounts they belong to."`
	Tenants  int           `default:"4" help:"Tenants they are spread over."`
	Rounds   int           `default:"5" help:"Rounds; the median counts."`
	Seconds  time.Duration `default:"5s" help:"How long HTTP is measured."`
	Rows     int           `default:"10000000" help:"Payments in the tables when lists are measured (G8)."`
	Entries  int           `default:"10000000" help:"Ledger entries in the grown tables (G10)."`
	Hot      int           `default:"1000000" help:"How many of them are on the account that every settlement moves (G10)."`
	Kills    int           `default:"10" help:"How often the worker is killed in mid-drain, and Redis emptied (G13)."`
	Backlog  int           `default:"100000" help:"The larger backlog for the worker's peak of memory; the smaller is a fifth."`
	Only     []string      `placeholder:"WORD" sep:"none" help:"Measure only what has this word in its name or is for this goal, such as G1; may be repeated."`
}

// bench is one measurement under way, in one database.
type bench struct {
	benchCommand
	*project
	pg     *embedded.Postgres
	redis  *embedded.Redis
	binDir string
	owner  string // connection string of the schema's owner

	measured bool // something was wanted
}

// figure is one measured rate.
type figure struct {
	perSecond float64
	cpu       cpuTime // for each unit
	took      time.Duration
	p50, p99  time.Duration
	behind    float64 // what waits for the worker at the end, in seconds of its work
}

// Run is called by kong.
func (c benchCommand) Run(ctx context.Context) error {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	dir, err := os.MkdirTemp("", "countersign-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{benchCommand: c}
	err = b.start(ctx, dir)
	if b.pg != nil {
		defer stopPostgres(b.pg)
	}
	if b.redis != nil {
		defer b.redis.Close()
	}
	if err != nil {
		return err
	}
	defer b.close()
	fmt.Printf("%s; PostgreSQL %s, fsync on; %s unless said. %d rounds: medians, and in brackets the least and the most.\n\n", machine(), b.pg.Version(), b.redisKind(), c.Rounds)
	return b.measure(ctx)
}

// touchMemory uses each page of PostgreSQL's shared memory once, as a server that has run for a day has. The first use of a page
// is dear, and whoever writes the most new pages right after the start, which is not the anchors, would pay for it.
var touchMemory = []string{
	"CREATE UNLOGGED TABLE touched (page text)",
	"ALTER TABLE touched ALTER page SET STORAGE PLAIN",
	"INSERT INTO touched SELECT repeat(' ', 8000) FROM generate_series(1, (SELECT setting::int FROM pg_settings WHERE name = 'shared_buffers'))",
	"DROP TABLE touched",
}

func (b *bench) start(ctx context.Context, dir string) (err error) {
	if b.binDir, _, err = embedded.FindPostgres(ctx, os.Getenv("COUNTERSIGN_PG_BIN"), embedded.DefaultFetchDir()); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(b.binDir, "pgbench")); err != nil {
		return errors.New("bench compares with pgbench, which is not beside this PostgreSQL: install the package of the server, or name its folder with COUNTERSIGN_PG_BIN")
	}
	if b.pg, err = embedded.StartPostgres(ctx, embedded.PostgresConfig{DataDir: filepath.Join(dir, "postgres"), BinDir: b.binDir, SharedBuffers: "2GB", Log: say}); err != nil {
		return err
	}
	if err := makeDatabase(ctx, b.pg); err != nil {
		return err
	}
	b.owner = b.pg.DSN(embedded.Superuser, databaseName)
	// Checkpoints come when a step asks for one, not in the middle of some of them. What they set free of the log is kept: a server that
	// checkpoints by itself writes over it, and one that is asked for checkpoints in quick succession takes it away and makes it anew.
	if err := b.asOwner(ctx, "ALTER SYSTEM SET max_wal_size = '8GB'", "ALTER SYSTEM SET min_wal_size = '6GB'", "ALTER SYSTEM SET checkpoint_timeout = '15min'", "SELECT pg_reload_conf()"); err != nil {
		return err
	}
	if err := b.asOwner(ctx, touchMemory...); err != nil {
		return err
	}
	if path, ok := embedded.FindRedisServer(); ok {
		b.redis, err = embedded.StartRealRedis(ctx, path)
	} else {
		b.redis, err = embedded.StartRedis()
	}
	if err != nil {
		return err
	}
	b.project = &project{settings: settings.Settings{Addr: "127.0.0.1:0", DataDir: dir, SecretKey: "YmVuY2htYXJrLWJlbmNobWFyay1iZW5jaG1hcmstYmVuY2g=", RequestTimeout: 30 * time.Second, ShutdownTimeout: 10 * time.Second}}
	return b.open(ctx, databaseName, 0)
}

// open migrates a database and wires the program on it, with its own part of Redis.
func (b *bench) open(ctx context.Context, name string, part int) error {
	b.owner = b.pg.DSN(embedded.Superuser, name)
	if err := migrateUp(ctx, b.owner); err != nil {
		return err
	}
	s := b.settings
	s.DatabaseURL, s.RedisURL = b.pg.DSN(serverLogin, name), fmt.Sprintf("redis://%s/%d", b.redis.Addr(), part)
	db, err := database.Open(database.Config{URL: s.DatabaseURL, Role: database.AppRole})
	if err != nil {
		return err
	}
	if b.project, err = wire(s, db, time.Now, true); err != nil {
		return err
	}
	if b.redis.PID() == 0 {
		b.fetch = inProcessFetch
	}
	b.queue, err = workers.Open(s.RedisURL)
	return err
}

// beside gives a bench in another database of the same server; the caller closes it.
func (b *bench) beside(ctx context.Context, name string, part int) (*bench, error) {
	if err := b.asOwner(ctx, "CREATE DATABASE "+name); err != nil {
		return nil, err
	}
	other := *b
	return &other, other.open(ctx, name, part)
}

// redisKind says what the queue is on: a redis-server, as in production, where there is one.
func (b *bench) redisKind() string {
	if b.redis.PID() == 0 {
		return "Redis in process"
	}
	return "redis-server"
}

// inProcess gives a bench in the same database on a Redis in process, as "countersign run" has it; the caller closes its queue.
func (b *bench) inProcess(redis *embedded.Redis) (*bench, error) {
	other, p := *b, *b.project
	p.fetch = inProcessFetch
	p.settings.RedisURL = (&url.URL{Scheme: "redis", Host: redis.Addr(), Path: "/0"}).String()
	other.project, other.redis = &p, redis
	var err error
	p.queue, err = workers.Open(p.settings.RedisURL)
	return &other, err
}

// rightBooks insists that the books are right: the proofs of verify, but for those about what was put in by SQL. Invoices are
// open without what finalising them would have posted, approved payments have no decisions, and old transactions no cause.
func (b *bench) rightBooks(ctx context.Context) error {
	found, err := b.project.prove(ctx, "", slices.DeleteFunc(b.checks(true), func(c apps.Check) bool {
		return strings.HasPrefix(c.ID, "invoices.") || c.ID == "payments.E014" || c.ID == "ledger.E008"
	}))
	if err != nil || found.OK {
		return err
	}
	return errors.Join(found.print(os.Stdout), found.verdict())
}
