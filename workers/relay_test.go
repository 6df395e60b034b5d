package workers_test

import (
	"context"
	"testing"
	"time"

	"countersign/internal/apps"
	"countersign/internal/testkit"
	"countersign/workers"
)

func TestRelay(t *testing.T) {
	t.Parallel()
	// someDone says whether a job that was announced while somebody listened is done. The first may come too early.
	someDone := func(s *site, n int) func() bool {
		return func() bool {
			done := 0
			for _, r := range s.rows(s.task()) {
				if r.Done {
					done++
				}
			}
			if done <= n {
				s.tell(s.event(), 1)
			}
			return done > n
		}
	}

	t.Run("announced work starts without waiting for the poll, also after the listening connection was lost", func(t *testing.T) {
		s := newSite(t, one(func(s *site) func(context.Context, apps.Job) error { return s.effect }))
		s.start(func(cfg *workers.Config) { cfg.Poll = time.Hour })
		testkit.Eventually(t, "announced work is done", someDone(s, 0))
		// this ends the connections of the other tests, too, who must not mind
		if _, err := testkit.OwnerDB(t).ExecContext(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'"); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, "announced work is done again", someDone(s, len(s.rows(s.task()))))
	})

	t.Run("what nobody announced is found by the poll", func(t *testing.T) {
		s := newSite(t, one(func(s *site) func(context.Context, apps.Job) error { return s.effect }))
		s.start()
		if _, err := testkit.OwnerDB(t).ExecContext(t.Context(), "INSERT INTO outbox (tenant_id, id, task, cause) VALUES (?, gen_random_uuid(), ?, 'silent')", s.tenant, s.task()); err != nil {
			t.Fatal(err)
		}
		s.eventuallyDone(s.task(), 1)
	})
}
