// Command countersign is the billing backend: server, worker and operator's tool in one binary.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	_ "time/tzdata" // a bare machine may have no time zones

	"github.com/alecthomas/kong"
	"github.com/google/uuid"

	"countersign/internal/carddata"
)

// version is set at build time with -ldflags "-X main.version=…".
var version = "dev"

// cli is the table of commands; each lives in a file of its name.
type cli struct {
	Run           runCommand           `cmd:"" help:"Start everything on this machine: a private PostgreSQL, Redis in process, demo data, API, console and worker."`
	Serve         serveCommand         `cmd:"" help:"Serve the API and the console. Needs DATABASE_URL and REDIS_URL."`
	Worker        workerCommand        `cmd:"" help:"Do background work. Needs DATABASE_URL and REDIS_URL."`
	Migrate       migrateCommand       `cmd:"" help:"Bring the schema up to date, as its owner."`
	MakeMigration makeMigrationCommand `cmd:"" name:"makemigration" help:"Make an empty pair of migration files."`
	CreateTenant  createTenantCommand  `cmd:"" name:"createtenant" help:"Create a tenant with its first owner."`
	CreateUser    createUserCommand    `cmd:"" name:"createuser" help:"Give somebody a log-in, or an existing log-in a role in another tenant."`
	LoadData      loadDataCommand      `cmd:"" name:"loaddata" help:"Load payment methods of countries, or the demo, into the database."`
	Check         checkCommand         `cmd:"" help:"Look for mistakes in the configuration."`
	Verify        verifyCommand        `cmd:"" help:"Prove the books: ledger sums, balances against replay, audit chain."`
	Ledger        ledgerCommand        `cmd:"" help:"Look after the ledger."`
	Keys          keysCommand          `cmd:"" help:"Say which keys seal what is stored encrypted, and change them."`
	Call          callCommand          `cmd:"" help:"Make one call of the API without a server, as the owner of the token in COUNTERSIGN_TOKEN."`
	Jobs          jobsCommand          `cmd:"" help:"List background tasks, run one, restart dead ones."`
	OpenAPI       openAPICommand       `cmd:"" name:"openapi" help:"Print the OpenAPI document of what is served."`
	FetchPostgres fetchPostgresCommand `cmd:"" name:"fetch-postgres" help:"Find a PostgreSQL on this machine, or fetch a private copy."`
	Settings      settingsCommand      `cmd:"" help:"Print the settings, without secrets."`
	Bench         benchCommand         `cmd:"" help:"Measure this build against pgbench on a throw-away database."`
	Version       versionCommand       `cmd:"" help:"Print the version."`
}

func main() {
	// Little is kept from one request to the next, so memory is collected seldom, until there is much of it.
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(800)
		debug.SetMemoryLimit(512 << 20)
	}
	uuid.EnableRandPool() // ids are many and no secrets: the kernel is asked for the randomness of sixteen at once
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // whoever asks a second time does not want to wait
	var commands cli
	parsed := kong.Parse(&commands, kong.Name("countersign"), kong.Description("Billing for businesses that are paid by transfer, wallet, voucher or cash as often as by card."),
		kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)))
	if err := parsed.Run(); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "countersign:", carddata.Mask(err.Error()))
		os.Exit(1)
	}
}
