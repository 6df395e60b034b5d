package main

import (
	"context"
	"errors"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"countersign/internal/settings"
	"countersign/workers"
)

// workerCommand does background work. Any number of these may run on one database and queue.
type workerCommand struct{}

// Run is called by kong.
func (workerCommand) Run(ctx context.Context) error {
	s, err := settings.Load()
	if err != nil {
		return err
	}
	setUpLog(s)
	if s.RedisURL == "" {
		return errors.New("REDIS_URL is not set: name the Redis to use, or start everything with `countersign run`")
	}
	p, err := connect(ctx, s)
	if err != nil {
		return err
	}
	defer p.close()
	slog.Info("working", "version", version)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { p.bell.Run(ctx); return nil }) // work hands out work
	group.Go(func() error { return p.work(ctx) })
	return group.Wait()
}

// work does background work until ctx ends, then lets running tasks finish.
func (p *project) work(ctx context.Context) error {
	return workers.Run(ctx, workers.Config{DB: p.db, DatabaseURL: p.settings.DatabaseURL, Queue: p.queue, Apps: p.apps, Outbox: p.outbox,
		Logger: slog.Default(), Concurrency: p.settings.Concurrency, Fetch: p.fetch, Shutdown: p.settings.ShutdownTimeout})
}
