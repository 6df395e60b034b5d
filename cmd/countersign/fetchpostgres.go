package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"countersign/internal/embedded"
)

// fetchPostgresCommand makes sure that there is a PostgreSQL to start, for tests and for a machine that will be without
// a network later.
type fetchPostgresCommand struct{}

// Run is called by kong.
func (fetchPostgresCommand) Run(ctx context.Context) error {
	dir, version, err := embedded.FindPostgres(ctx, os.Getenv("COUNTERSIGN_PG_BIN"), embedded.DefaultFetchDir())
	if errors.Is(err, embedded.ErrNoPostgres) {
		if err = embedded.FetchPostgres(ctx, embedded.DefaultFetchDir(), say); err != nil {
			return err
		}
		dir, version, err = embedded.FindPostgres(ctx, "", embedded.DefaultFetchDir())
	}
	if err != nil {
		return err
	}
	fmt.Printf("PostgreSQL %s in %s\n", version, dir)
	return nil
}
