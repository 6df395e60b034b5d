package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// makeMigrationCommand makes an empty pair of files; what goes in is written by hand, because SQL with constraints,
// policies and grants is the specification.
type makeMigrationCommand struct {
	App  string `arg:"" help:"The app whose tables change, such as payments."`
	What string `arg:"" help:"What it does, such as add_note."`
	Dir  string `default:"migrations" help:"The folder of the migrations."`
}

// Run is called by kong.
func (c makeMigrationCommand) Run() error {
	stem := filepath.Join(c.Dir, fmt.Sprintf("%s_%s_%s", time.Now().UTC().Format("20060102150405"), c.App, c.What))
	for suffix, text := range map[string]string{
		".tx.up.sql":   "-- A new table of a tenant calls secure_table once; see the first migration.\n",
		".tx.down.sql": "",
	} {
		f, err := os.OpenFile(stem+suffix, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return fmt.Errorf("make migration: %w", err)
		}
		if _, err := f.WriteString(text); err != nil {
			return fmt.Errorf("make migration: %w", err)
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("make migration: %w", err)
		}
		fmt.Println("made", stem+suffix)
	}
	return nil
}
