package main

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"countersign/internal/database"
	"countersign/internal/settings"
	"countersign/migrations"
)

// migrateCommand moves the schema. Several may start at once: one works, the others wait.
type migrateCommand struct {
	Down   bool `help:"Take the last group back. For development: it drops tables."`
	DryRun bool `help:"Only print what would be applied."`
}

// Run is called by kong.
func (c migrateCommand) Run(ctx context.Context) error {
	s, err := settings.Load()
	if err != nil {
		return err
	}
	if s.Owner() == "" {
		return fmt.Errorf("DATABASE_URL is not set: name the PostgreSQL to migrate")
	}
	db, err := database.Open(database.Config{URL: s.Owner(), MaxConns: 4})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.PingContext(ctx); err != nil {
		return fmt.Errorf("reach the database as the owner of its schema (COUNTERSIGN_OWNER_URL, else DATABASE_URL): %w", err)
	}
	return c.move(ctx, db)
}

func (c migrateCommand) move(ctx context.Context, db *bun.DB) error {
	m, err := database.NewMigrator(db, migrations.Files)
	if err != nil {
		return err
	}
	var names []string
	verb := "applied"
	switch {
	case c.DryRun:
		verb = "would apply"
		names, err = m.Pending(ctx)
	case c.Down:
		verb = "took back"
		names, err = m.Down(ctx)
	default:
		names, err = m.Up(ctx)
	}
	if err != nil {
		return err
	}
	if len(names) == 0 {
		fmt.Println("The schema is up to date.")
	}
	for _, name := range names {
		fmt.Println(verb, name)
	}
	return nil
}
