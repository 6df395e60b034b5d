package workers

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/outbox"
	"countersign/tenancy"
)

// result is how a run ended.
type result string

const (
	resultDone      result = "done"
	resultFailed    result = "failed"
	resultDead      result = "dead"
	resultOvertaken result = "overtaken" // a later run had begun; nothing of this one was kept
	resultStopped   result = "stopped"   // the worker ended or the time was up; the rest still waits
)

// stats counts what this process has run.
type stats struct {
	runs *prometheus.CounterVec
	took *prometheus.HistogramVec
}

func newStats() *stats {
	return &stats{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "countersign_job_runs_total",
			Help: "Runs of tasks and doorbells in this process, by how they ended."}, []string{"task", "result"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "countersign_job_run_seconds",
			Help:    "How long runs of tasks and doorbells took in this process.",
			Buckets: []float64{0.005, 0.02, 0.1, 0.5, 2, 10, 60}}, []string{"task"}),
	}
}

func (s *stats) observe(task string, r result, took time.Duration) {
	s.runs.WithLabelValues(task, string(r)).Inc()
	s.took.WithLabelValues(task).Observe(took.Seconds())
}

// Metrics gives what /metrics shows of background work: runs of this process, depth and age of the queues in Redis, and
// what waits or is dead in the outbox of all tenants. db acts as the program's own role; list is what the apps declare.
// Alarms belong on countersign_outbox_dead and countersign_outbox_oldest_seconds.
func Metrics(db *bun.DB, q *Queue, list []apps.App) ([]prometheus.Collector, error) {
	reg, err := newRegistry(list)
	if err != nil {
		return nil, err
	}
	return []prometheus.Collector{q.stats.runs, q.stats.took, &gauges{db: db, queue: q, reg: reg}}, nil
}

var (
	redisUp = prometheus.NewDesc("countersign_redis_up", "Whether Redis answers.", nil, nil)
	depth   = prometheus.NewDesc("countersign_queue_tasks", "Tasks in Redis, by queue and state.", []string{"queue", "state"}, nil)
	age     = prometheus.NewDesc("countersign_queue_oldest_seconds", "How long the oldest task has waited in Redis for a worker.", []string{"queue"}, nil)
	waiting = prometheus.NewDesc("countersign_outbox_waiting", "Jobs that are committed and not done, in all tenants.", []string{"task"}, nil)
	oldest  = prometheus.NewDesc("countersign_outbox_oldest_seconds", "Age of the oldest job that is committed and not done; 0 when there is none.", []string{"task"}, nil)
	dead    = prometheus.NewDesc("countersign_outbox_dead", "Jobs that failed too often and wait for somebody, in all tenants.", []string{"task"}, nil)
)

// gauges reads at each scrape.
type gauges struct {
	db    *bun.DB
	queue *Queue
	reg   *registry
}

// Describe is part of prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{redisUp, depth, age, waiting, oldest, dead} {
		ch <- d
	}
}

// scrape bounds what one scrape may take; what does not answer by then is left out.
const scrape = 5 * time.Second

// Collect is part of prometheus.Collector.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrape) // a collector is given no context
	defer cancel()
	up := 0.0
	if g.queue.Ready(ctx) == nil {
		up = 1
		g.collectQueues(ch)
	}
	ch <- prometheus.MustNewConstMetric(redisUp, prometheus.GaugeValue, up)
	g.collectOutbox(ctx, ch)
}

func (g *gauges) collectQueues(ch chan<- prometheus.Metric) {
	for name := range g.reg.queues {
		info, err := g.queue.info(name)
		if err != nil {
			return
		}
		for state, n := range map[string]int{"pending": info.Pending, "active": info.Active, "retry": info.Retry, "archived": info.Archived} {
			ch <- prometheus.MustNewConstMetric(depth, prometheus.GaugeValue, float64(n), name, state)
		}
		ch <- prometheus.MustNewConstMetric(age, prometheus.GaugeValue, info.Latency.Seconds(), name)
	}
}

func (g *gauges) collectOutbox(ctx context.Context, ch chan<- prometheus.Metric) {
	var list []outbox.Backlog
	err := tenancy.Observe(ctx, g.db, func(ctx context.Context, tx bun.Tx) (err error) {
		list, err = outbox.Backlogs(ctx, tx)
		return err
	})
	if err != nil {
		return
	}
	byTask := map[string]outbox.Backlog{}
	for _, name := range g.reg.names {
		byTask[name] = outbox.Backlog{Task: name}
	}
	for _, b := range list { // also tasks that only another version knows
		byTask[b.Task] = b
	}
	for name, b := range byTask {
		since := 0.0
		if !b.Oldest.IsZero() {
			since = max(0, time.Since(b.Oldest).Seconds())
		}
		ch <- prometheus.MustNewConstMetric(waiting, prometheus.GaugeValue, float64(b.Waiting), name)
		ch <- prometheus.MustNewConstMetric(oldest, prometheus.GaugeValue, since, name)
		ch <- prometheus.MustNewConstMetric(dead, prometheus.GaugeValue, float64(b.Dead), name)
	}
}
