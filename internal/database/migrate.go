package database

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/migrate"
)

// migrationLock is the advisory lock under which migrations run: a second process waits, and a killed one leaves
// nothing behind, unlike bun's own lock, which is a row.
const migrationLock = 7_265_102_001

// Migrator moves the schema. db must be opened as the owner of the schema, not as AppRole.
type Migrator struct {
	db       *bun.DB
	migrator *migrate.Migrator
}

// NewMigrator reads the migrations in files.
func NewMigrator(db *bun.DB, files fs.FS) (*Migrator, error) {
	found := migrate.NewMigrations()
	if err := found.Discover(files); err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	// bun's default marks a migration before it runs, so that a failed one would count as done
	return &Migrator{db, migrate.NewMigrator(db, found, migrate.WithMarkAppliedOnSuccess(true))}, nil
}

// Up applies what is missing and gives the names of what it applied.
func (m *Migrator) Up(ctx context.Context) ([]string, error) {
	return m.locked(ctx, func() (*migrate.MigrationGroup, error) { return m.migrator.Migrate(ctx) })
}

// Down takes back the last group that Up applied. It is for development: it drops tables.
func (m *Migrator) Down(ctx context.Context) ([]string, error) {
	return m.locked(ctx, func() (*migrate.MigrationGroup, error) { return m.migrator.Rollback(ctx) })
}

// Pending gives the names of the migrations that are not applied yet.
func (m *Migrator) Pending(ctx context.Context) ([]string, error) {
	if err := m.migrator.Init(ctx); err != nil {
		return nil, fmt.Errorf("prepare the list of migrations: %w", err)
	}
	all, err := m.migrator.MigrationsWithStatus(ctx)
	if err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", err)
	}
	return names(all.Unapplied()), nil
}

func (m *Migrator) locked(ctx context.Context, move func() (*migrate.MigrationGroup, error)) ([]string, error) {
	lock, err := m.db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("take a connection for the migration lock: %w", err)
	}
	defer lock.Close()
	if _, err := lock.ExecContext(ctx, "SET lock_timeout = 0"); err != nil {
		return nil, fmt.Errorf("wait without limit for other migrations: %w", err)
	}
	if _, err := lock.ExecContext(ctx, "SELECT pg_advisory_lock(?)", migrationLock); err != nil {
		return nil, fmt.Errorf("wait for other migrations: %w", err)
	}
	defer lock.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(?)", migrationLock)
	if err := m.migrator.Init(ctx); err != nil {
		return nil, fmt.Errorf("prepare the list of migrations: %w", err)
	}
	group, err := move()
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	if _, err := m.db.ExecContext(ctx, "GRANT SELECT ON bun_migrations TO ?", bun.Ident(AppRole)); err != nil && len(group.Migrations) > 0 && group.ID > 0 {
		// after the very first group is rolled back the role may still exist, the grant never matters
		return nil, fmt.Errorf("let the program read which migrations are applied: %w", err)
	}
	return names(group.Migrations), nil
}

func names(list migrate.MigrationSlice) []string {
	out := make([]string, len(list))
	for i, m := range list {
		out[i] = m.String()
	}
	return out
}

// AppliedMigrations gives how many migrations the database has, asked by the running program.
func AppliedMigrations(ctx context.Context, db bun.IDB) (int, error) {
	var n int
	if err := db.NewSelect().TableExpr("bun_migrations").ColumnExpr("count(*)").Scan(ctx, &n); err != nil {
		return 0, fmt.Errorf("count applied migrations: %w", err)
	}
	return n, nil
}
