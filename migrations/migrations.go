// Package migrations holds the schema's history as SQL: forward in production, the down files for development.
// Table, constraints, indexes, policies and grants of one thing stand in one file.
package migrations

import "embed"

// Files are the migrations, named <timestamp>_<app>_<what>.tx.up.sql and .tx.down.sql; each runs in one transaction, but for
// those without .tx, which commit by themselves and can be repeated.
//
//go:embed *.sql
var Files embed.FS
