package workers_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hibiken/asynq"

	"countersign/internal/apps"
	"countersign/internal/testkit"
	"countersign/workers"
)

func TestRedis(t *testing.T) {
	t.Parallel()

	t.Run("what was queued when Redis was emptied is done at last, once", func(t *testing.T) {
		var runs atomic.Int32
		gate := make(chan struct{})
		s := newSite(t, one(func(s *site) func(context.Context, apps.Job) error {
			return func(ctx context.Context, job apps.Job) error {
				runs.Add(1)
				<-gate
				return s.effect(ctx, job)
			}
		}))
		s.start()
		s.tell(s.event(), 40)
		testkit.Eventually(t, "all workers are busy and the rest is queued", func() bool { return runs.Load() == 4 })
		s.redis.flush()
		close(gate)
		s.eventuallyDone(s.task(), 40)
		if all, jobs := s.effects(s.task()); all != 40 || jobs != 40 {
			t.Errorf("%d effects of %d jobs, want 40 of 40", all, jobs)
		}
	})

	t.Run("while Redis is down work waits and costs no attempt; readiness says so", func(t *testing.T) {
		s := newSite(t, one(func(s *site) func(context.Context, apps.Job) error { return s.effect }))
		queue := s.queue()
		if err := queue.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.start()
		s.tell(s.event(), 1)
		s.eventuallyDone(s.task(), 1)
		s.redis.down()
		s.tell(s.event(), 30)
		if err := queue.Ready(t.Context()); err == nil {
			t.Error("ready without Redis")
		}
		for _, r := range s.rows(s.task())[1:] {
			if r.Done || r.Attempts != 0 {
				t.Errorf("while Redis is down: %+v", r)
			}
		}
		s.redis.up()
		s.eventuallyDone(s.task(), 31)
		if err := queue.Ready(t.Context()); err != nil {
			t.Error(err)
		}
	})

	t.Run("a worker starts and stops without Redis and works when it comes", func(t *testing.T) {
		s := newSite(t, one(func(s *site) func(context.Context, apps.Job) error { return s.effect }))
		s.redis.down()
		s.start()()
		s.start()
		s.tell(s.event(), 1)
		s.redis.up()
		s.eventuallyDone(s.task(), 1)
	})

	t.Run("a task that nobody of ours enqueued harms nothing", func(t *testing.T) {
		s := newSite(t, one(func(s *site) func(context.Context, apps.Job) error { return s.effect }))
		client := asynq.NewClient(asynq.RedisClientOpt{Addr: s.redis.addr})
		defer client.Close()
		for _, task := range []*asynq.Task{asynq.NewTask("task:"+s.task(), []byte("no json")), asynq.NewTask("task:"+s.task(), []byte(`{"tenant":"`+s.tenant.String()+`"}`)),
			asynq.NewTask("task:unknown", []byte("{}")), asynq.NewTask("doorbell:unknown", []byte("no id")), asynq.NewTask("else", nil)} {
			if _, err := client.Enqueue(task); err != nil {
				t.Fatal(err)
			}
		}
		s.start()
		s.tell(s.event(), 1)
		s.eventuallyDone(s.task(), 1)
		if all, _ := s.effects(s.task()); all != 1 {
			t.Errorf("%d effects, want 1", all)
		}
	})
}

func TestOpen(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"redis://127.0.0.1:6379", "redis://user:secret@127.0.0.1:6379/2", "rediss://:secret@redis.test:6380", "redis-socket:///run/redis.sock?db=1",
		"redis-sentinel://:secret@a.test:26379,b.test:26379?master=main", "redis-cluster://user:secret@a.test:6379,b.test:6379", "rediss-cluster://a.test:6379",
	} {
		t.Run("takes "+url, func(t *testing.T) {
			t.Parallel()
			queue, err := workers.Open(url)
			if err != nil {
				t.Fatal(err)
			}
			queue.Close()
		})
	}
	for _, url := range []string{
		"", "127.0.0.1:6379", "http://127.0.0.1:6379", "redis://:secret@127.0.0.1:6379/x", "redis-sentinel://:secret@a.test:26379", "redis://:secret@127.0.0.1:port", "rediss-cluster://:secret@a.test",
	} {
		t.Run("refuses "+url+" without repeating the password", func(t *testing.T) {
			t.Parallel()
			_, err := workers.Open(url)
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the password is in %q", err)
			}
		})
	}
}
