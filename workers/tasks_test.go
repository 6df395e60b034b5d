package workers_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/audit"
	"countersign/internal/auth"
	"countersign/internal/outbox"
	"countersign/internal/testkit"
	"countersign/tenancy"
	"countersign/workers"
)

// one is an app with one task that events of its name hand work to.
func one(run func(s *site) func(context.Context, apps.Job) error, change ...func(*apps.Task)) func(*site) apps.App {
	return func(s *site) apps.App {
		t := apps.Task{Name: "task" + s.suffix, On: []string{"event" + s.suffix}, Run: run(s)}
		for _, c := range change {
			c(&t)
		}
		return apps.App{Name: "test", Tasks: []apps.Task{t}}
	}
}

func (s *site) task() string  { return "task" + s.suffix }
func (s *site) event() string { return "event" + s.suffix }

func TestTask(t *testing.T) {
	t.Parallel()

	t.Run("an event's work is done once, in its tenant, under the worker's name", func(t *testing.T) {
		seen := make(chan auth.Principal, 10)
		s := newSite(t, one(func(s *site) func(context.Context, apps.Job) error {
			return func(ctx context.Context, job apps.Job) error {
				p, _ := auth.From(ctx)
				seen <- p
				return s.effect(ctx, job)
			}
		}))
		s.start()
		s.tell(s.event(), 1)
		s.eventuallyDone(s.task(), 1)
		want := auth.Principal{Kind: auth.KindSystem, Label: "worker " + s.task(), TenantID: s.tenant}
		if diff := cmp.Diff(want, <-seen); diff != "" {
			t.Error(diff)
		}
		if all, _ := s.effects(s.task()); all != 1 {
			t.Errorf("%d effects, want 1", all)
		}
	})

	t.Run("without an effect in the database it is marked as done by the worker", func(t *testing.T) {
		var runs atomic.Int32
		s := newSite(t, one(func(*site) func(context.Context, apps.Job) error {
			return func(context.Context, apps.Job) error { runs.Add(1); return nil }
		}))
		s.start()
		s.tell(s.event(), 1)
		s.eventuallyDone(s.task(), 1)
		if n := runs.Load(); n != 1 {
			t.Errorf("%d runs, want 1", n)
		}
	})

	t.Run("a handler that fails after its effect was committed is not run again", func(t *testing.T) {
		var runs atomic.Int32
		s := newSite(t, one(func(s *site) func(context.Context, apps.Job) error {
			return func(ctx context.Context, job apps.Job) error {
				runs.Add(1)
				if err := s.effect(ctx, job); err != nil {
					return err
				}
				panic("after the commit")
			}
		}))
		s.start()
		s.tell(s.event(), 1)
		s.eventuallyDone(s.task(), 1)
		s.tell(s.event(), 1) // what comes later is done, so the first had every chance to come again
		s.eventuallyDone(s.task(), 2)
		if n := runs.Load(); n != 2 {
			t.Errorf("%d runs of two jobs", n)
		}
	})

	t.Run("Done in a transaction that is rolled back marks nothing", func(t *testing.T) {
		var runs atomic.Int32
		s := newSite(t, one(func(s *site) func(context.Context, apps.Job) error {
			return func(ctx context.Context, job apps.Job) error {
				if runs.Add(1) > 1 {
					return s.effect(ctx, job)
				}
				return tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
					return errors.Join(job.Done(ctx, tx), errors.New("rolled back"))
				})
			}
		}))
		s.start()
		s.tell(s.event(), 1)
		s.eventuallyDone(s.task(), 1)
		if all, _ := s.effects(s.task()); runs.Load() != 2 || all != 1 {
			t.Errorf("%d runs with %d effects, want 2 with 1", runs.Load(), all)
		}
	})

	t.Run("an effect of a run that a later one has overtaken is not kept", func(t *testing.T) {
		var runs atomic.Int32
		late, tried := make(chan error, 1), make(chan struct{})
		second := make(chan struct{})
		s := newSite(t, one(func(s *site) func(context.Context, apps.Job) error {
			return func(ctx context.Context, job apps.Job) error {
				if n := runs.Add(1); n > 1 { // more than twice on a busy machine, where the second may be too slow
					if n == 2 {
						close(second)
					}
					<-tried
					return s.effect(ctx, job)
				}
				<-second // long after its time is up
				err := s.effect(tenancy.AsSystem(context.WithoutCancel(ctx), s.tenant, "late"), job)
				late <- err
				close(tried)
				return err
			}
		}, func(task *apps.Task) { task.Timeout = 300 * time.Millisecond }))
		s.start()
		s.tell(s.event(), 1)
		if err := <-late; !errors.Is(err, outbox.ErrOvertaken) {
			t.Errorf("the late run: %v", err)
		}
		s.eventuallyDone(s.task(), 1)
		if all, _ := s.effects(s.task()); all != 1 {
			t.Errorf("%d effects, want 1", all)
		}
	})

	t.Run("a panic is a failed attempt", func(t *testing.T) {
		var runs atomic.Int32
		s := newSite(t, one(func(s *site) func(context.Context, apps.Job) error {
			return func(ctx context.Context, job apps.Job) error {
				if runs.Add(1) == 1 {
					panic("first run")
				}
				return s.effect(ctx, job)
			}
		}))
		s.start()
		s.tell(s.event(), 1)
		s.eventuallyDone(s.task(), 1)
		if diff := cmp.Diff(2, s.rows(s.task())[0].Attempts); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("a poisoned job dies, is listed, and is done when somebody restarts it", func(t *testing.T) {
		var mended atomic.Bool
		s := newSite(t, one(func(s *site) func(context.Context, apps.Job) error {
			return func(ctx context.Context, job apps.Job) error {
				if !mended.Load() {
					return errors.New("cannot read it\x00" + strings.Repeat("ü", 400))
				}
				return s.effect(ctx, job)
			}
		}, func(task *apps.Task) { task.MaxAttempts = 3 }))
		s.start()
		s.tell(s.event(), 1)
		testkit.Eventually(t, "the job is dead", func() bool { return s.rows(s.task())[0].Dead })
		got := s.rows(s.task())[0]
		if got.Attempts != 3 || len(got.LastError) > 500 || !strings.HasPrefix(got.LastError, "cannot read it") {
			t.Errorf("dead job: %+v", got)
		}
		mended.Store(true)
		var id uuid.UUID
		if err := testkit.OwnerDB(t).NewRaw("SELECT id FROM outbox WHERE tenant_id = ? AND task = ?", s.tenant, s.task()).Scan(t.Context(), &id); err != nil {
			t.Fatal(err)
		}
		if _, err := s.box.Restart(s.staff(t.Context()), s.db, id); err != nil {
			t.Fatal(err)
		}
		s.eventuallyDone(s.task(), 1)
	})

	t.Run("a run that takes too long fails and is tried again", func(t *testing.T) {
		var runs atomic.Int32
		s := newSite(t, one(func(s *site) func(context.Context, apps.Job) error {
			return func(ctx context.Context, job apps.Job) error {
				if runs.Add(1) == 1 {
					<-ctx.Done()
					return ctx.Err()
				}
				return s.effect(ctx, job)
			}
		}, func(task *apps.Task) { task.Timeout = 100 * time.Millisecond }))
		s.start()
		s.tell(s.event(), 1)
		s.eventuallyDone(s.task(), 1)
	})

	t.Run("work whose worker was killed is done by another", func(t *testing.T) {
		s := newSite(t, one(func(s *site) func(context.Context, apps.Job) error { return s.effect }))
		s.kill9(s.task(), func() { s.tell(s.event(), 1) })
		if got := s.rows(s.task())[0]; got.Done || got.Attempts != 1 {
			t.Fatalf("after the kill: %+v", got)
		}
		s.start()
		s.eventuallyDone(s.task(), 1)
	})

	t.Run("a job that kills every worker is dead at last", func(t *testing.T) {
		s := newSite(t, one(func(s *site) func(context.Context, apps.Job) error { return s.effect }, func(task *apps.Task) { task.MaxAttempts = 2 }))
		s.tell(s.event(), 1)
		// as two killed workers leave it
		if _, err := testkit.OwnerDB(t).ExecContext(t.Context(), "UPDATE outbox SET attempts = 2 WHERE tenant_id = ? AND task = ?", s.tenant, s.task()); err != nil {
			t.Fatal(err)
		}
		s.start()
		testkit.Eventually(t, "the job is dead", func() bool { return s.rows(s.task())[0].Dead })
		if all, _ := s.effects(s.task()); all != 0 {
			t.Error("it was run once more")
		}
	})

	t.Run("two workers do 300 jobs once each", func(t *testing.T) {
		s := newSite(t, one(func(s *site) func(context.Context, apps.Job) error { return s.effect }))
		patient := func(cfg *workers.Config) { cfg.Handover = time.Minute } // a busy machine takes its time to hand 300 rows over
		s.start(patient)
		s.start(patient)
		s.tell(s.event(), 300)
		s.eventuallyDone(s.task(), 300)
		if all, jobs := s.effects(s.task()); all != 300 || jobs != 300 {
			t.Errorf("%d effects of %d jobs, want 300 of 300", all, jobs)
		}
	})

	t.Run("running handlers finish when the worker is told to stop", func(t *testing.T) {
		begun, finish := make(chan struct{}), make(chan struct{})
		s := newSite(t, one(func(s *site) func(context.Context, apps.Job) error {
			return func(ctx context.Context, job apps.Job) error {
				close(begun)
				<-finish
				return s.effect(ctx, job)
			}
		}))
		stop := s.start()
		s.tell(s.event(), 1)
		<-begun
		stopped := make(chan struct{})
		go func() { stop(); close(stopped) }()
		select {
		case <-stopped:
			t.Error("Run returned while a handler was running")
		case <-time.After(100 * time.Millisecond):
		}
		close(finish)
		<-stopped
		if got := s.rows(s.task())[0]; !got.Done || got.Attempts != 1 {
			t.Errorf("after the stop: %+v", got)
		}
	})

	t.Run("a handler that does not finish in time gives its job back, which costs no attempt", func(t *testing.T) {
		begun := make(chan struct{})
		var runs atomic.Int32
		s := newSite(t, one(func(s *site) func(context.Context, apps.Job) error {
			return func(ctx context.Context, job apps.Job) error {
				if runs.Add(1) > 1 {
					return s.effect(ctx, job)
				}
				close(begun)
				<-ctx.Done()
				return ctx.Err()
			}
		}))
		stop := s.start(func(cfg *workers.Config) { cfg.Shutdown = 50 * time.Millisecond })
		s.tell(s.event(), 1)
		<-begun
		stop()
		if got := s.rows(s.task())[0]; got.Done || got.Attempts != 0 {
			t.Errorf("after the stop: %+v", got)
		}
		s.start()
		s.eventuallyDone(s.task(), 1)
	})

	t.Run("what it does is found in the audit log under the job", func(t *testing.T) {
		s := newSite(t, one(func(s *site) func(context.Context, apps.Job) error { return s.effect }))
		s.start()
		s.tell(s.event(), 1)
		s.eventuallyDone(s.task(), 1)
		var entry audit.Entry
		err := testkit.OwnerDB(t).NewSelect().Model(&entry).Column("request_id", "object_id", "actor_label").
			Where("a.tenant_id = ?", s.tenant).Where("a.action = ?", s.task()).Scan(t.Context())
		if err != nil || entry.RequestID != entry.ObjectID.String() {
			t.Errorf("request id is %q, want the job's %s (%v)", entry.RequestID, entry.ObjectID, err)
		}
	})
}
