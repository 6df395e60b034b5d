// Package metrics is what Prometheus reads: requests by route, and the gauges that packages hand in.
package metrics

import (
	"context"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is one registry.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
}

// New gives a registry with the metrics of the process and of HTTP.
func New(more ...prometheus.Collector) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "countersign_http_request_seconds",
			Help:    "Duration of HTTP requests by route, method and status class.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"method", "route", "status"}),
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), m.requests)
	m.registry.MustRegister(more...)
	return m
}

// Gauges registers gauges that one function reads together, such as one query for several figures. When it fails, the
// gauges are absent for that scrape.
func (m *Metrics) Gauges(help map[string]string, read func(ctx context.Context) (map[string]float64, error)) {
	m.registry.MustRegister(gauges{help, read})
}

// GaugesBy is Gauges for figures that have one value for each value of a label, such as a check.
func (m *Metrics) GaugesBy(label string, help map[string]string, read func(ctx context.Context) (map[string]map[string]float64, error)) {
	m.registry.MustRegister(labelled{label, help, read})
}

type labelled struct {
	label string
	help  map[string]string
	read  func(ctx context.Context) (map[string]map[string]float64, error)
}

// Describe is part of prometheus.Collector.
func (g labelled) Describe(ch chan<- *prometheus.Desc) {
	for name, help := range g.help {
		ch <- prometheus.NewDesc(name, help, []string{g.label}, nil)
	}
}

// Collect is part of prometheus.Collector.
func (g labelled) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrape)
	defer cancel()
	values, err := g.read(ctx)
	if err != nil {
		slog.WarnContext(ctx, "figures are missing from /metrics", "error", err)
		return
	}
	for name, help := range g.help {
		desc := prometheus.NewDesc(name, help, []string{g.label}, nil)
		for of, v := range values[name] {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, of)
		}
	}
}

type gauges struct {
	help map[string]string
	read func(ctx context.Context) (map[string]float64, error)
}

// scrape is how long gauges may take to be read; a collector is given no context.
const scrape = 5 * time.Second

// Describe is part of prometheus.Collector.
func (g gauges) Describe(ch chan<- *prometheus.Desc) {
	for name, help := range g.help {
		ch <- prometheus.NewDesc(name, help, nil, nil)
	}
}

// Collect is part of prometheus.Collector.
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrape)
	defer cancel()
	values, err := g.read(ctx)
	if err != nil {
		slog.WarnContext(ctx, "figures are missing from /metrics", "error", err)
		return
	}
	for name, help := range g.help {
		if v, ok := values[name]; ok {
			ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, v)
		}
	}
}

// Middleware observes requests under the pattern of their route, so that ids do not become labels.
func (m *Metrics) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		next.ServeHTTP(ww, r)
		route := "none"
		if rc := chi.RouteContext(r.Context()); rc != nil && rc.RoutePattern() != "" {
			route = rc.RoutePattern()
		}
		m.requests.WithLabelValues(verb(r.Method), route, strconv.Itoa(ww.Status()/100)+"xx").Observe(time.Since(start).Seconds())
	})
}

// verb keeps invented methods from becoming labels: each would stay in memory for ever.
func verb(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	default:
		return "other"
	}
}

// Handler serves the registry; a token, when set, must be sent as bearer token.
func (m *Metrics) Handler(token string) http.Handler {
	serve := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	if token == "" {
		return serve
	}
	want := []byte("Bearer " + token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			http.Error(w, "send the metrics token as a bearer token", http.StatusUnauthorized)
			return
		}
		serve.ServeHTTP(w, r)
	})
}
