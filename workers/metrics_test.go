package workers_test

import (
	"context"
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"countersign/internal/apps"
	"countersign/internal/testkit"
	"countersign/workers"
)

// gauge gives the value of a metric with a label, or -1.
func gauge(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if len(m.GetLabel()) == 0 || m.GetLabel()[0].GetValue() == label {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return -1
}

func TestMetrics(t *testing.T) {
	t.Parallel()

	t.Run("show what waits, what is dead, what ran and whether Redis answers", func(t *testing.T) {
		s := newSite(t, one(func(*site) func(context.Context, apps.Job) error {
			return func(context.Context, apps.Job) error { return errors.New("never") }
		}, func(task *apps.Task) { task.MaxAttempts = 1 }))
		queue := s.queue()
		collectors, err := workers.Metrics(s.db, queue, s.apps)
		if err != nil {
			t.Fatal(err)
		}
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(collectors...)
		want := func(name string, value float64) {
			t.Helper()
			if got := gauge(t, reg, name, s.task()); got != value {
				t.Errorf("%s is %v, want %v", name, got, value)
			}
		}
		want("countersign_outbox_waiting", 0)
		want("countersign_redis_up", 1)
		s.tell(s.event(), 2)
		want("countersign_outbox_waiting", 2)
		if got := gauge(t, reg, "countersign_outbox_oldest_seconds", s.task()); got <= 0 || got > 60 {
			t.Errorf("the oldest has waited for %v s", got)
		}
		s.start(func(cfg *workers.Config) { cfg.Queue = queue })
		testkit.Eventually(t, "both are dead", func() bool { return gauge(t, reg, "countersign_outbox_dead", s.task()) == 2 })
		want("countersign_outbox_waiting", 0)
		testkit.Eventually(t, "both runs are counted", func() bool { return gauge(t, reg, "countersign_job_runs_total", "dead") == 2 })
		s.redis.down()
		want("countersign_redis_up", 0)
		want("countersign_outbox_dead", 2)
		s.redis.up()
	})
}
