package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
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
// a ratio to pgbench on the same server in the same minutes: absolute figures of a machine say little.
type benchCommand struct {
	Payments int           `default:"50000" help:"Approved payments to settle in each round."`
	Accounts int           `default:"10000" help:"Customer accounts they belong to."`
	Tenants  int           `default:"4" help:"Tenants they are spread over."`
	Rounds   int           `default:"3" help:"Rounds; the median counts."`
	Seconds  time.Duration `default:"5s" help:"How long HTTP is measured."`
	Rows     int           `default:"10000000" help:"Payments in the tables when lists are measured."`
	Only     []string      `placeholder:"WORD" help:"Measure only what has one of these words in its name."`
}

// bench is one measurement under way.
type bench struct {
	benchCommand
	*project
	pg     *embedded.Postgres
	binDir string
	owner  string // connection string of the schema's owner
}

// figure is one measured rate.
type figure struct {
	perSecond float64
	cpu       cpuTime // for each unit
	took      time.Duration
	p50, p99  time.Duration
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
	if err := b.start(ctx, dir); err != nil {
		return err
	}
	defer stopPostgres(b.pg)
	defer b.close()
	fmt.Printf("PostgreSQL %s, %d cores, fsync on; %d rounds, medians.\n\n", b.pg.Version(), runtime.GOMAXPROCS(0), c.Rounds)
	return b.measure(ctx)
}

func (b *bench) start(ctx context.Context, dir string) (err error) {
	if b.binDir, _, err = embedded.FindPostgres(ctx, os.Getenv("COUNTERSIGN_PG_BIN"), embedded.DefaultFetchDir()); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(b.binDir, "pgbench")); err != nil {
		return errors.New("bench compares with pgbench, which is not beside this PostgreSQL: install the package of the server, or name its folder with COUNTERSIGN_PG_BIN")
	}
	if b.pg, err = embedded.StartPostgres(ctx, embedded.PostgresConfig{DataDir: filepath.Join(dir, "postgres"), BinDir: b.binDir, Log: say}); err != nil {
		return err
	}
	if err := makeDatabase(ctx, b.pg); err != nil {
		return err
	}
	b.owner = b.pg.DSN(embedded.Superuser, databaseName)
	if err := migrateUp(ctx, b.owner); err != nil {
		return err
	}
	redis, err := embedded.StartRedis()
	if err != nil {
		return err
	}
	s := settings.Settings{Addr: "127.0.0.1:0", DataDir: dir, DatabaseURL: b.pg.DSN(serverLogin, databaseName), RedisURL: "redis://" + redis.Addr() + "/0",
		SecretKey: "YmVuY2htYXJrLWJlbmNobWFyay1iZW5jaG1hcmstYmVuY2g=", RequestTimeout: 30 * time.Second, ShutdownTimeout: 10 * time.Second}
	db, err := database.Open(database.Config{URL: s.DatabaseURL, Role: database.AppRole})
	if err != nil {
		return err
	}
	if b.project, err = wire(s, db, time.Now, true); err != nil {
		return err
	}
	b.queue, err = workers.Open(s.RedisURL)
	return err
}

// measure alternates anchors and our own figures, so that a slow minute hits both.
func (b *bench) measure(ctx context.Context) error {
	if err := b.fillFloor(ctx); err != nil {
		return err
	}
	many, err := b.fill(ctx, "many", b.Tenants)
	if err != nil {
		return err
	}
	one, err := b.fill(ctx, "one", 1)
	if err != nil {
		return err
	}
	if err := b.warm(ctx, append(slices.Clone(many), one...)); err != nil {
		return err
	}
	results := map[string][]figure{}
	steps := []struct {
		name string
		run  func() (figure, error)
	}{
		{"A1", func() (figure, error) { return b.anchor(ctx, "single", 16, 1) }},
		{"A3", func() (figure, error) { return b.anchor(ctx, "set", 2, 500) }},
		{"settle, many tenants", func() (figure, error) { return b.settle(ctx, many) }},
		{"settle, one tenant", func() (figure, error) { return b.settle(ctx, one) }},
		{"approve over HTTP", func() (figure, error) { return b.approve(ctx, many, 32, false) }},
		{"submit over HTTP", func() (figure, error) { return b.submit(ctx, many[0]) }},
		{"approve and settle", func() (figure, error) { return b.approve(ctx, many, 64, true) }},
		{"latency at rest", func() (figure, error) { return b.latency(ctx, many) }},
		{"plain handler by id", func() (figure, error) { return b.plainRead(ctx, many[0]) }},
		{"payment by id", func() (figure, error) { return b.read(ctx, many[0], "/api/v1/billing/transactions/%s/") }},
		{"payment with all that decides", func() (figure, error) { return b.read(ctx, many[0], "/api/v1/billing/payments/%s/") }},
		{"payments page", func() (figure, error) { return b.read(ctx, many[0], "/api/v1/billing/payments/?cursor=&page_size=50") }},
	}
	for round := range b.Rounds {
		for _, s := range steps {
			if !b.wants(s.name) {
				continue
			}
			f, err := s.run()
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			results[s.name] = append(results[s.name], f)
			fmt.Printf("  round %d  %-22s %9.0f /s  %5d + %5d µs CPU  p50 %s p99 %s\n", round+1, s.name, f.perSecond, f.cpu.server.Microseconds(), f.cpu.program.Microseconds(), round2(f.p50), round2(f.p99))
		}
	}
	b.report(results)
	// the invoices were put in by SQL, open and without what finalising them would have posted
	proof, err := b.prove(ctx, "", slices.DeleteFunc(b.checks(true), func(c apps.Check) bool { return strings.HasPrefix(c.ID, "invoices.") }))
	if err != nil {
		return err
	}
	if err := errors.Join(proof.print(os.Stdout), proof.verdict()); err != nil || !b.wants("lists") {
		return err
	}
	return b.lists(ctx)
}

// wants says whether a figure is to be measured.
func (b *bench) wants(name string) bool {
	return len(b.Only) == 0 || slices.ContainsFunc(b.Only, func(word string) bool { return strings.Contains(name, word) })
}

func round2(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

func median(list []figure, of func(figure) float64) float64 {
	if len(list) == 0 {
		return math.NaN() // not measured
	}
	values := make([]float64, len(list))
	for i, f := range list {
		values[i] = of(f)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// report prints the goals of the design as ratios. A ratio is no assertion: machines differ, and this one is shared.
func (b *bench) report(results map[string][]figure) {
	rate := func(name string) float64 { return median(results[name], func(f figure) float64 { return f.perSecond }) }
	cpu := func(name string) float64 {
		return median(results[name], func(f figure) float64 { return float64(f.cpu.server) })
	}
	all := func(name string) float64 {
		return median(results[name], func(f figure) float64 { return float64(f.cpu.all()) })
	}
	p50 := func(name string) float64 {
		return median(results[name], func(f figure) float64 { return float64(f.p50) })
	}
	p99 := func(name string) float64 {
		return median(results[name], func(f figure) float64 { return float64(f.p99) })
	}
	fmt.Printf("CPU is that of PostgreSQL + that of this program with its HTTP clients, or of pgbench.\n")
	fmt.Printf("\nA1 = pgbench, one settlement a commit in eight round trips, 16 clients; A3 = pgbench, sets of 500 a commit, 2 clients.\n\n")
	for _, g := range []struct {
		id, what    string
		ratio, must float64
		atMost      bool
	}{
		{"G1", "settlement of a backlog, rate / A3", rate("settle, many tenants") / rate("A3"), 0.35, false},
		{"G1", "  the same, PostgreSQL CPU / A3", cpu("settle, many tenants") / cpu("A3"), 3, true},
		{"G3", "approve over HTTP, 32 clients, rate / A1", rate("approve over HTTP") / rate("A1"), 0.5, false},
		{"G3", "  the same, all CPU of A1 / all CPU", all("A1") / all("approve over HTTP"), 0.5, false},
		{"G3", "  the same, p99 / p50", p99("approve over HTTP") / p50("approve over HTTP"), 5, true},
		{"G3", "submit over HTTP, 32 clients, rate / A1", rate("submit over HTTP") / rate("A1"), 0.5, false},
		{"G3", "  the same, all CPU of A1 / all CPU", all("A1") / all("submit over HTTP"), 0.5, false},
		{"G3", "  the same, p99 / p50", p99("submit over HTTP") / p50("submit over HTTP"), 5, true},
		{"G4", "approve and settle, 64 clients, rate / A1", rate("approve and settle") / rate("A1"), 0.45, false},
		{"G5", "one tenant / many tenants", rate("settle, one tenant") / rate("settle, many tenants"), 0.85, false},
		{"G6", "approved to settled at rest, p50 / p50 of A1", p50("latency at rest") / p50("A1"), 10, true},
		{"G6", "  the same, p99 / p50 of A1", p99("latency at rest") / p50("A1"), 50, true},
		{"G9", "payment by id, rate / plain handler", rate("payment by id") / rate("plain handler by id"), 0.45, false},
		{"G9", "  the same, all CPU of the plain handler / all CPU", all("plain handler by id") / all("payment by id"), 0.45, false},
	} {
		verdict(g.id, g.what, g.ratio, g.must, g.atMost)
	}
}

// verdict prints a ratio and whether it meets its goal; a ratio of what was not measured is not printed.
func verdict(id, what string, ratio, must float64, atMost bool) {
	if math.IsNaN(ratio) {
		return
	}
	word, bound := "met", "at least"
	if atMost {
		bound = "at most"
	}
	if atMost && ratio > must || !atMost && ratio < must {
		word = "MISSED"
	}
	fmt.Printf("  %s  %-52s %7.2f   %s %.2f: %s\n", id, what, ratio, bound, must, word)
}
