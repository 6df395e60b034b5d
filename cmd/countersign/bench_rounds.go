package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"countersign/internal/embedded"
)

// benchStep is something that is measured in each round.
type benchStep struct {
	name  string
	goals string // that it is measured for
	run   func() (figure, error)
}

// measure runs the rounds and then what has rounds of its own, as far as they are wanted.
func (b *bench) measure(ctx context.Context) error {
	if err := b.fillFloor(ctx); err != nil {
		return err
	}
	many, err := b.fill(ctx, "many", b.Tenants)
	if err != nil {
		return err
	}
	one, err := b.fill(ctx, "one", 1)
	if err != nil {
		return err
	}
	if err := b.warm(ctx, append(slices.Clone(many), one...)); err != nil {
		return err
	}
	if err := b.rounds(ctx, many, one); err != nil {
		return err
	}
	for _, part := range []struct {
		name, goals string
		run         func(context.Context) error
	}{
		{"walls", "G7", func(ctx context.Context) error { return b.walls(ctx, many) }},
		{"growth", "G10", b.growth},
		{"crash", "G13", func(ctx context.Context) error { return b.crash(ctx, many) }},
		{"memory", "", func(ctx context.Context) error { return b.memory(ctx, many) }},
		{"lists", "G8", b.lists}, // at last: the payments that it adds are in no books
	} {
		if !b.wants(part.name, part.goals) {
			continue
		}
		if err := b.anchored(ctx, func() error { return part.run(ctx) }); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	if !b.measured {
		return fmt.Errorf("nothing that is measured is called %q: docs/performance.md names the goals, and each goal or word is an --only of its own", b.Only)
	}
	return nil
}

// anchored runs a part between two anchors and tells when they differ.
func (b *bench) anchored(ctx context.Context, run func() error) error {
	before, err := b.anchor(ctx, "set", 2, 500)
	if err != nil {
		return err
	}
	if err := run(); err != nil {
		return err
	}
	after, err := b.anchor(ctx, "set", 2, 500)
	if err != nil {
		return err
	}
	word := "quiet"
	if apart(before, after) {
		word = "DISTURBED, measure it again on a quiet machine"
	}
	fmt.Printf("  A3 before and after: %.0f and %.0f a second: %s.\n", before.perSecond, after.perSecond, word)
	return nil
}

// wants says whether something is to be measured.
func (b *bench) wants(name, goals string) bool {
	wanted := len(b.Only) == 0 || slices.ContainsFunc(b.Only, func(word string) bool {
		return strings.Contains(name, word) || slices.Contains(strings.Fields(goals), word)
	})
	b.measured = b.measured || wanted
	return wanted
}

// rounds measures the steps that are wanted. Each round goes through them and back again and takes the middle of both: what is
// compared comes first as often as second, and a machine that grows slower meanwhile, or tables that grow, favour neither.
// Before each round and after the last one come the anchors.
func (b *bench) rounds(ctx context.Context, many, one []*benchTenant) error {
	anchors := []benchStep{
		{"A1", "", func() (figure, error) { return b.anchor(ctx, "single", 16, 1) }},
		{"A3", "", func() (figure, error) { return b.anchor(ctx, "set", 2, 500) }},
	}
	results := map[string][]figure{}
	ready := func() int { // claims that no step comes to the end of: a quarter more than A1 would settle meanwhile
		return int(results["A1"][len(results["A1"])-1].perSecond * 1.25 * (b.Seconds.Seconds() + 1))
	}
	steps := []benchStep{
		{"settle, many tenants", "G1 G5", func() (figure, error) { return b.settle(ctx, many) }},
		{"settle, one tenant", "G2 G5", func() (figure, error) { return b.settle(ctx, one) }},
		{"settle by hand", "G2", func() (figure, error) { return b.byHand(ctx, one[0], b.Payments) }},
		{"approve over HTTP", "G3", func() (figure, error) { return b.approve(ctx, many, ready(), 32, false) }},
		{"submit over HTTP", "G3", func() (figure, error) { return b.submit(ctx, many[0], ready()) }},
		{"approve and settle", "G4", func() (figure, error) { return b.approve(ctx, many, ready(), 64, true) }},
		{"approve and settle, 32 clients", "G11", func() (figure, error) { return b.approve(ctx, many, ready(), 32, true) }},
		{"approve and settle, 256 clients", "G11", func() (figure, error) { return b.approve(ctx, many, ready(), 256, true) }},
		{"latency at rest", "G6", func() (figure, error) { return b.latency(ctx, many) }},
		{"plain handler by id", "G9", func() (figure, error) { return b.plainRead(ctx, many[0]) }},
		{"payment by id", "G9", func() (figure, error) { return b.read(ctx, many[0], "/api/v1/billing/transactions/%s/") }},
		{"payment with all that decides", "", func() (figure, error) { return b.read(ctx, many[0], "/api/v1/billing/payments/%s/") }},
		{"payments page", "", func() (figure, error) { return b.read(ctx, many[0], paymentsPage) }},
	}
	if b.redis.PID() != 0 {
		redis, err := embedded.StartRedis()
		if err != nil {
			return err
		}
		defer redis.Close()
		other, err := b.inProcess(redis)
		if err != nil {
			return err
		}
		defer other.queue.Close()
		i := slices.IndexFunc(steps, func(s benchStep) bool { return s.name == "approve and settle" })
		steps = slices.Insert(steps, i+1, benchStep{"approve and settle, Redis in process", "G4", func() (figure, error) { return other.approve(ctx, many, ready(), 64, true) }})
	}
	steps = slices.DeleteFunc(steps, func(s benchStep) bool { return !b.wants(s.name, s.goals) })
	if len(steps) == 0 {
		return nil
	}
	if slices.ContainsFunc(steps, func(s benchStep) bool { return s.name == "settle by hand" }) {
		if err := b.sameRows(ctx, one[0]); err != nil {
			return err
		}
	}
	run := func(round int, s benchStep) (figure, error) {
		f, err := s.run()
		if err != nil {
			return f, fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Printf("  round %d  %-32s %9.0f /s  %5d + %5d µs CPU  p50 %s p99 %s\n", round+1, s.name, f.perSecond, f.cpu.server.Microseconds(), f.cpu.program.Microseconds(), round2(f.p50), round2(f.p99))
		return f, nil
	}
	runAnchors := func(round int) error {
		for _, s := range anchors {
			f, err := run(round, s)
			if err != nil {
				return err
			}
			results[s.name] = append(results[s.name], f)
		}
		return nil
	}
	for round := range b.Rounds {
		if err := runAnchors(round); err != nil {
			return err
		}
		there := map[string]figure{}
		for _, s := range steps {
			f, err := run(round, s)
			if err != nil {
				return err
			}
			there[s.name] = f
		}
		for _, s := range slices.Backward(steps) {
			f, err := run(round, s)
			if err != nil {
				return err
			}
			results[s.name] = append(results[s.name], between(there[s.name], f))
		}
		if err := b.rightBooks(ctx); err != nil {
			return err
		}
	}
	if err := runAnchors(b.Rounds); err != nil {
		return err
	}
	b.report(results)
	fmt.Printf("\nAfter each round the books were right: the proofs of verify, outside the clock.\n")
	return nil
}

const paymentsPage = "/api/v1/billing/payments/?cursor=&page_size=50"

func round2(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// machine says in a line what is measured on.
func machine() string {
	memory := "unknown memory"
	if raw, err := os.ReadFile("/proc/meminfo"); err == nil {
		if _, rest, ok := strings.Cut(string(raw), "MemTotal:"); ok {
			if kb, err := strconv.Atoi(strings.Fields(rest)[0]); err == nil {
				memory = fmt.Sprintf("%d GiB", (kb+1<<19)>>20)
			}
		}
	}
	return fmt.Sprintf("%d cores, %s, %s/%s, %s", runtime.GOMAXPROCS(0), memory, runtime.GOOS, runtime.GOARCH, runtime.Version())
}
