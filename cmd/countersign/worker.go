package main

import (
	"context"
	"errors"
	"log/slog"

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
	return p.work(ctx)
}

// work does background work until ctx ends, then lets running tasks finish.
func (p *project) work(ctx context.Context) error {
	return workers.Run(ctx, workers.Config{DB: p.db, DatabaseURL: p.settings.DatabaseURL, Queue: p.queue, Apps: p.apps, Outbox: p.outbox,
		Logger: slog.Default(), Concurrency: p.settings.Concurrency, Shutdown: p.settings.ShutdownTimeout})
}
