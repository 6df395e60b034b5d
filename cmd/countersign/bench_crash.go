package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"countersign/internal/database"
)

// workerProcess is a worker as it is deployed: this program, in a process of its own.
type workerProcess struct {
	cmd   *exec.Cmd
	said  bytes.Buffer
	ended chan struct{}
}

// startWorker starts a worker on the bench's database and Redis.
func (b *bench) startWorker(ctx context.Context) (*workerProcess, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &workerProcess{cmd: exec.CommandContext(ctx, program, "worker"), ended: make(chan struct{})}
	w.cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "COUNTERSIGN_") || name == "DATABASE_URL" || name == "REDIS_URL"
	}), "DATABASE_URL="+b.settings.DatabaseURL, "REDIS_URL="+b.settings.RedisURL, "COUNTERSIGN_SECRET_KEY="+b.settings.SecretKey, "COUNTERSIGN_DATA_DIR="+b.settings.DataDir)
	w.cmd.Stdout, w.cmd.Stderr, w.cmd.WaitDelay = &w.said, &w.said, time.Second
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { w.cmd.Wait(); close(w.ended) }()
	return w, nil
}

func (w *workerProcess) kill() {
	w.cmd.Process.Kill()
	<-w.ended
}

// stop asks the worker to end, and ends it when it does not.
func (w *workerProcess) stop() {
	w.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-w.ended:
	case <-time.After(15 * time.Second):
		w.kill()
	}
}

// peak is the most memory that the worker had at once, in bytes.
func (w *workerProcess) peak() (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(raw), "VmHWM:")
	if !ok {
		return 0, errors.New("this system does not tell the peak of a process's memory")
	}
	kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kb << 10, err
}

// trial is one backlog that a worker process drains, with something done to it after a while, or nothing.
type trial struct {
	name  string
	after time.Duration
	do    func(w *workerProcess) (*workerProcess, error) // gives the worker that goes on
}

// drain settles a backlog with a worker process and gives the time from its start until nothing waits, and the worker's
// peak of memory. It fails when a payment is lost or settled twice.
func (b *bench) drain(ctx context.Context, tenants []*benchTenant, payments int, try trial) (took time.Duration, peak int64, err error) {
	if err := b.backlog(ctx, tenants, payments); err != nil {
		return 0, 0, err
	}
	approved := payments / len(tenants) * len(tenants)
	before, err := b.settledSoFar(ctx)
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	w, err := b.startWorker(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { w.stop() }()
	missed := false
	if try.do != nil {
		time.Sleep(try.after)
		left, err := b.waiting(ctx, tenants)
		if err != nil {
			return 0, 0, err
		}
		if missed = left == 0 || left == approved; !missed {
			if w, err = try.do(w); err != nil {
				return 0, 0, err
			}
		}
	}
	if err := b.drained(ctx, tenants); err != nil {
		return 0, 0, err
	}
	took = time.Since(start)
	if peak, err = w.peak(); err != nil {
		return 0, 0, fmt.Errorf("%w: the worker said: %s", err, w.said.String())
	}
	w.stop()
	after, err := b.settledSoFar(ctx)
	if err != nil {
		return 0, 0, err
	}
	n := int64(approved)
	if want := (settled{before.payments + n, before.transactions + n, before.causes + n, before.entries + 2*n, before.told + n}); after != want {
		return 0, 0, fmt.Errorf("%s: %d payments were to be settled once each: before %+v, after %+v", try.name, n, before, after)
	}
	if err := b.rightBooks(ctx); err != nil || !missed {
		return took, peak, err
	}
	return 0, 0, errNotInMidDrain
}

// errNotInMidDrain means that nothing was settled yet, or everything was.
var errNotInMidDrain = errors.New("the moment was not in the middle of the drain")

// settled counts what settlements leave behind, in all tenants.
type settled struct{ payments, transactions, causes, entries, told int64 }

func (b *bench) settledSoFar(ctx context.Context) (s settled, err error) {
	db, err := database.Open(database.Config{URL: b.owner, MaxConns: 1})
	if err != nil {
		return s, err
	}
	defer db.Close()
	err = db.DB.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM payments WHERE status = 'succeeded' AND gateway = 'manual'),
		(SELECT count(*) FROM ledger_transactions WHERE kind = 'payment_settled'), (SELECT count(DISTINCT (tenant_id, payment_id)) FROM ledger_transactions WHERE kind = 'payment_settled'),
		(SELECT count(*) FROM ledger_entries), (SELECT count(*) FROM events WHERE type = 'payment.succeeded')`).Scan(&s.payments, &s.transactions, &s.causes, &s.entries, &s.told)
	return s, err
}

// crash kills the worker in mid-drain and starts another, and empties Redis in mid-drain, each at random moments, and
// compares with drains that nothing disturbs (G13).
func (b *bench) crash(ctx context.Context, tenants []*benchTenant) error {
	fmt.Printf("\nA worker process on %s drains %d payments; it is killed in mid-drain and started again, or Redis is emptied, %d times each:\n", b.redisKind(), b.Payments, b.Kills)
	_, _, err := b.drain(ctx, tenants, b.Payments, trial{name: "warm-up"})
	if err != nil {
		return err
	}
	var undisturbed []float64
	disturbing := map[string][]float64{}
	for range b.Kills {
		took, _, err := b.drain(ctx, tenants, b.Payments, trial{name: "undisturbed"})
		if err != nil {
			return err
		}
		undisturbed = append(undisturbed, took.Seconds())
		for _, try := range []trial{
			{name: "worker killed", do: func(w *workerProcess) (*workerProcess, error) { w.kill(); return b.startWorker(ctx) }},
			{name: "Redis emptied", do: func(w *workerProcess) (*workerProcess, error) { return w, flush(ctx, b.redis.Addr()) }},
		} {
			var needed time.Duration
			for err = errNotInMidDrain; errors.Is(err, errNotInMidDrain); {
				try.after = time.Duration((0.1 + 0.7*rand.Float64()) * float64(took))
				needed, _, err = b.drain(ctx, tenants, b.Payments, try)
			}
			if err != nil {
				return err
			}
			disturbing[try.name] = append(disturbing[try.name], needed.Seconds())
		}
	}
	normal := middle(undisturbed)
	fmt.Printf("  undisturbed    %6.2f s (%.2f to %.2f)\n", normal, slices.Min(undisturbed), slices.Max(undisturbed))
	for _, name := range []string{"worker killed", "Redis emptied"} {
		took := disturbing[name]
		fmt.Printf("  %-14s %6.2f s (%.2f to %.2f): nothing lost, nothing twice\n", name, middle(took), slices.Min(took), slices.Max(took))
		beyond := func(grace float64) (ratios []float64) {
			for _, s := range took {
				ratios = append(ratios, max(0, s-grace)/normal)
			}
			return ratios
		}
		verdict("G13", name+", time less 3 s / undisturbed", beyond(3), 1.3, 0, true)
		verdict("G13", name+", time less 1 s / undisturbed", beyond(1), 0, 1.1, true)
	}
	return nil
}

// flush makes a Redis forget everything.
func flush(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte("*1\r\n$8\r\nFLUSHALL\r\n")); err != nil {
		return err
	}
	reply := make([]byte, 64)
	n, err := conn.Read(reply)
	if err == nil && string(reply[:n]) != "+OK\r\n" {
		err = fmt.Errorf("FLUSHALL: %q", reply[:n])
	}
	return err
}

// memory compares the worker's peak of memory after a backlog with that after one five times as large.
func (b *bench) memory(ctx context.Context, tenants []*benchTenant) error {
	fmt.Printf("\nPeak of memory of a worker process:\n")
	var peaks []int64
	for _, backlog := range []int{b.Backlog / 5, b.Backlog} {
		_, peak, err := b.drain(ctx, tenants, backlog, trial{name: "memory"})
		if err != nil {
			return err
		}
		peaks = append(peaks, peak)
		fmt.Printf("  backlog of %7d  %6.1f MiB\n", backlog, float64(peak)/(1<<20))
	}
	verdict("", "peak of memory, larger backlog / smaller", []float64{float64(peaks[1]) / float64(peaks[0])}, 1.2, 0, true)
	return nil
}
