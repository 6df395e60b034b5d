package workers

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/uptrace/bun"
	"golang.org/x/sync/errgroup"

	"countersign/internal/apps"
	"countersign/internal/outbox"
)

// Config is what Run needs. DB, DatabaseURL, Queue, Apps and Outbox are required; a zero duration or count means the
// default in its comment.
type Config struct {
	DB          *bun.DB // acts as the program's own role
	DatabaseURL string  // for the connection that listens for announcements
	Queue       *Queue
	Apps        []apps.App
	Outbox      *outbox.Outbox
	Logger      *slog.Logger     // slog.Default
	Now         func() time.Time // time.Now; what the scheduler takes for the time

	// Concurrency is how many handlers run at once: 16.
	Concurrency int
	// Poll is how often the outbox, the doorbells and the clock are looked at without being asked: 1 s.
	Poll time.Duration
	// Fetch is how long an idle worker waits before it asks Redis again: 10 ms. It is most of the latency at rest.
	Fetch time.Duration
	// Handover is how long a claimed row may be on its way before it is claimed again: 20 s.
	Handover time.Duration
	// Grace is how long after its timeout a run that did not report back counts as lost: 15 s.
	Grace time.Duration
	// Backoff is how long a row rests after its nth failed run: 5 s, doubling to an hour, with jitter.
	Backoff func(attempts int) time.Duration
	// Pause is how long a failing doorbell is not rung again: 5 s.
	Pause time.Duration
	// BellLock is how long after its death a doorbell's handler is still believed to be working: 3 s.
	BellLock time.Duration
	// Shutdown is how long running handlers may go on when Run is told to end: 20 s.
	Shutdown time.Duration
}

func (c *Config) fill() error {
	for name, missing := range map[string]bool{"DB": c.DB == nil, "DatabaseURL": c.DatabaseURL == "", "Queue": c.Queue == nil, "Outbox": c.Outbox == nil} {
		if missing {
			return errors.New("workers: Config." + name + " is missing")
		}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Backoff == nil {
		c.Backoff = backoff
	}
	if c.Concurrency == 0 {
		c.Concurrency = 16
	}
	for _, d := range []struct {
		dst      *time.Duration
		fallback time.Duration
	}{
		{&c.Poll, time.Second}, {&c.Fetch, 10 * time.Millisecond}, {&c.Handover, 20 * time.Second}, {&c.Grace, 15 * time.Second},
		{&c.Pause, 5 * time.Second}, {&c.BellLock, 3 * time.Second}, {&c.Shutdown, 20 * time.Second},
	} {
		if *d.dst == 0 {
			*d.dst = d.fallback
		}
	}
	return nil
}

// backoff is 5 s after the first failure, doubling to an hour, each a quarter more or less, so that what failed
// together does not come back together.
func backoff(attempts int) time.Duration {
	d := min(5*time.Second<<min(attempts-1, 20), time.Hour)
	return d*3/4 + rand.N(d/2)
}

// Run hands work over, does it and lets the clock tick, until ctx ends. Then it takes no new work, lets running handlers
// finish for up to Config.Shutdown, and gives back what they could not finish. It returns an error only when the apps'
// declarations do not fit together or the configuration is incomplete; PostgreSQL and Redis may come and go.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.fill(); err != nil {
		return err
	}
	reg, err := newRegistry(cfg.Apps)
	if err != nil {
		return err
	}
	s := newServer(&cfg, reg)
	if err := s.start(); err != nil {
		return err
	}
	r := newRelay(&cfg, reg)
	c := newScheduler(&cfg, reg)
	var group errgroup.Group
	for _, part := range []func(context.Context){r.listen, r.poll, r.drain, r.ring, c.run} {
		group.Go(func() error { part(ctx); return nil })
	}
	<-ctx.Done()
	s.stop()
	return group.Wait()
}

// every calls f at once and then each interval, until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		f()
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// sleep waits and says whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
