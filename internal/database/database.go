// Package database opens PostgreSQL and owns its driver. Domain code sees bun; it opens transactions through
// tenancy.InTx, which adds the tenant, and never imports the driver.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
)

// AppRole is the database role under which everything but migrations runs. It owns no table and cannot bypass
// row-level security.
const AppRole = "countersign_app"

// Config says which database to open and how.
type Config struct {
	URL string
	// Role is taken on by every connection: AppRole for the program, empty (the login itself) for migrations.
	Role string
	// MaxConns caps the pool. Zero means eight for each core: more only queues inside PostgreSQL, where waiting costs CPU.
	MaxConns int
	// Trace, when set, is told of every round trip with all its statements, before they are sent. Tests count and check
	// them with it.
	Trace func(ctx context.Context, statements ...string)
	// Slow logs what takes long; nothing when zero.
	Slow SlowLog
}

// Open connects lazily: an unreachable server shows at the first query.
func Open(cfg Config) (*bun.DB, error) {
	pg, err := pgx.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("parse database url: %w", redactURL(err))
	}
	if cfg.Role != "" {
		pg.RuntimeParams["role"] = cfg.Role
	}
	if pg.RuntimeParams["application_name"] == "" {
		pg.RuntimeParams["application_name"] = "countersign"
	}
	// A client that vanished in the middle of a transaction must not hold its locks for ever.
	pg.RuntimeParams["idle_in_transaction_session_timeout"] = "60000"
	pg.RuntimeParams["lock_timeout"] = "15000"
	pg.RuntimeParams["timezone"] = "UTC"
	// Statements with parameters are written so that one plan fits all values; trying five others first costs more
	// than a short-lived connection ever gets back.
	pg.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	// A plan that was made while a table was young must still be right when it has grown. Everything the program reads
	// has an index, so it never prefers to read a whole table.
	pg.RuntimeParams["enable_seqscan"] = "off"

	if cfg.Trace == nil {
		cfg.Trace = func(context.Context, ...string) {}
	}
	pool := sql.OpenDB(connector{stdlib.GetConnector(*pg, stdlib.OptionAfterConnect(sendUUIDsAsBytes)), cfg.Trace, cfg.Slow, &Memory{ids: map[uuid.UUID]struct{}{}}})
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 8 * runtime.GOMAXPROCS(0)
	}
	pool.SetMaxOpenConns(cfg.MaxConns)
	pool.SetMaxIdleConns(cfg.MaxConns)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return bun.NewDB(pool, pgdialect.New()), nil
}

// redactURL keeps a password out of the message; pgx's own parse errors are already redacted, others are not shown.
func redactURL(err error) error {
	if parse, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
		return parse
	}
	return errors.New("not a PostgreSQL connection string")
}

// Listen waits for notifications on a channel with a connection of its own and calls got for each payload, until ctx
// ends or the connection breaks. It calls ready once it listens, so that the caller can look for what it missed.
func Listen(ctx context.Context, url, channel string, ready func(), got func(payload string)) error {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect to listen: %w", err)
	}
	defer c.Close(context.WithoutCancel(ctx))
	if _, err := c.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return fmt.Errorf("listen on %s: %w", channel, err)
	}
	ready()
	for {
		n, err := c.WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("wait for notification: %w", err)
		}
		got(n.Payload)
	}
}
