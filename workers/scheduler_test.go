package workers_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/internal/apps"
	"countersign/internal/testkit"
	"countersign/tenancy"
	"countersign/workers"
)

// at makes a worker believe in a time that the test moves.
func at(clock *atomic.Pointer[time.Time]) func(*workers.Config) {
	return func(cfg *workers.Config) { cfg.Now = func() time.Time { return *clock.Load() } }
}

func moment(text string) *time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return &t
}

func causes(rows []row) []string {
	list := []string{}
	for _, r := range rows {
		list = append(list, r.Cause)
	}
	slices.Sort(list)
	return list
}

func TestScheduler(t *testing.T) {
	t.Parallel()

	t.Run("two schedulers run each tick once, for every tenant", func(t *testing.T) {
		var clock atomic.Pointer[time.Time]
		s := newSite(t, func(s *site) apps.App {
			return apps.App{Tasks: []apps.Task{{Name: s.task(), Every: time.Hour, Run: s.effect}}}
		})
		other := s.newTenant()
		clock.Store(moment("2026-05-01T10:20:00Z"))
		s.start(at(&clock))
		s.start(at(&clock))
		s.eventuallyDone(s.task(), 1)
		clock.Store(moment("2026-05-01T11:00:00Z"))
		s.eventuallyDone(s.task(), 2)
		want := []string{"tick:2026-05-01T10:00:00Z", "tick:2026-05-01T11:00:00Z"}
		if diff := cmp.Diff(want, causes(s.rows(s.task()))); diff != "" {
			t.Error(diff)
		}
		if all, _ := s.effects(s.task()); all != 2 {
			t.Errorf("%d effects, want 2", all)
		}
		testkit.Eventually(t, "the neighbour has his own", func() bool { return len(s.rowsIn(other, s.task())) == 2 })
	})

	t.Run("what is dead in one tenant does not hold up its neighbour", func(t *testing.T) {
		var clock atomic.Pointer[time.Time]
		clock.Store(moment("2026-05-01T10:20:00Z"))
		s := newSite(t, func(s *site) apps.App {
			return apps.App{Tasks: []apps.Task{{Name: s.task(), DailyAt: "02:30", MaxAttempts: 1, Run: func(ctx context.Context, job apps.Job) error {
				if tenancy.ID(ctx) != s.tenant {
					return errors.New("it failed")
				}
				return s.effect(ctx, job)
			}}}}
		})
		other := s.newTenant()
		s.start(at(&clock))
		s.eventuallyDone(s.task(), 1)
		testkit.Eventually(t, "the neighbour's is dead", func() bool {
			return cmp.Equal([]row{{Cause: "tick:2026-05-01T02:30:00Z", Attempts: 1, Dead: true, LastError: "it failed"}}, s.rowsIn(other, s.task()))
		})
	})

	t.Run("of the ticks that were missed only the latest is caught up", func(t *testing.T) {
		var clock atomic.Pointer[time.Time]
		clock.Store(moment("2026-05-01T02:31:00Z"))
		s := newSite(t, func(s *site) apps.App {
			return apps.App{Tasks: []apps.Task{{Name: s.task(), DailyAt: "02:30", Run: s.effect}}}
		})
		stop := s.start(at(&clock))
		s.eventuallyDone(s.task(), 1)
		stop()
		clock.Store(moment("2026-05-09T02:29:00Z"))
		s.start(at(&clock))
		s.eventuallyDone(s.task(), 2)
		want := []string{"tick:2026-05-01T02:30:00Z", "tick:2026-05-08T02:30:00Z"}
		if diff := cmp.Diff(want, causes(s.rows(s.task()))); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("a chained task runs after its predecessor in the same tick, and not after a failed one", func(t *testing.T) {
		var clock atomic.Pointer[time.Time]
		clock.Store(moment("2026-05-01T10:20:00Z"))
		var broken atomic.Bool
		broken.Store(true)
		s := newSite(t, func(s *site) apps.App {
			return apps.App{Tasks: []apps.Task{
				{Name: "last" + s.suffix, After: "second" + s.suffix, Run: s.effect},
				{Name: "second" + s.suffix, After: "first" + s.suffix, Run: func(context.Context, apps.Job) error { return nil }},
				{Name: "first" + s.suffix, Every: time.Hour, MaxAttempts: 2, Run: func(ctx context.Context, job apps.Job) error {
					if broken.Load() {
						return errors.New("not today")
					}
					return s.effect(ctx, job)
				}},
			}}
		})
		s.start(at(&clock))
		testkit.Eventually(t, "the first is dead", func() bool { r := s.rows("first" + s.suffix); return len(r) == 1 && r[0].Dead })
		if got := s.rows("second" + s.suffix); len(got) != 0 {
			t.Errorf("after a failure: %+v", got)
		}
		broken.Store(false)
		clock.Store(moment("2026-05-01T11:00:00Z"))
		s.eventuallyDone("last"+s.suffix, 1)
		if diff := cmp.Diff([]string{"tick:2026-05-01T11:00:00Z"}, causes(s.rows("last"+s.suffix))); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRun(t *testing.T) {
	t.Parallel()
	work := func(context.Context, apps.Job) error { return nil }
	for name, tasks := range map[string][]apps.Task{
		"two clocks":                {{Name: "a", Every: time.Hour, DailyAt: "02:30", Run: work}},
		"no time of day":            {{Name: "a", DailyAt: "25:00", Run: work}},
		"an interval below 1 s":     {{Name: "a", Every: time.Millisecond, Run: work}},
		"a name that is taken":      {{Name: "a", Run: work}, {Name: "a", Run: work}},
		"nothing to do":             {{Name: "a"}},
		"an unknown predecessor":    {{Name: "a", After: "b", Run: work}},
		"a predecessor of events":   {{Name: "a", After: "b", Run: work}, {Name: "b", On: []string{"x"}, Run: work}},
		"a chain that bites itself": {{Name: "a", After: "b", Run: work}, {Name: "b", After: "a", Run: work}},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			s := newSite(t, func(*site) apps.App { return apps.App{Name: "wrong", Tasks: tasks} })
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // what is not refused ends at once
			cfg := quick(s.db, testkit.OwnerURL(), s.queue())
			cfg.Apps, cfg.Outbox = s.apps, s.box
			if err := workers.Run(ctx, cfg); err == nil {
				t.Error("no error")
			}
		})
	}
	t.Run("names what is missing", func(t *testing.T) {
		t.Parallel()
		if err := workers.Run(t.Context(), workers.Config{}); err == nil || !strings.Contains(err.Error(), "missing") {
			t.Errorf("error is %v", err)
		}
	})
}
