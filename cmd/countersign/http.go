package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/uptrace/bun"

	"countersign/internal/admin"
	"countersign/internal/database"
	"countersign/internal/i18n"
	"countersign/internal/integrity"
	"countersign/internal/metrics"
	"countersign/internal/web"
	"countersign/migrations"
	"countersign/tenancy"
	"countersign/workers"
)

// apiPrefix is where the API lives.
const apiPrefix = "/api/v1"

// routes lists every route of the API.
func (p *project) routes() []web.Route {
	var list []web.Route
	for _, app := range p.apps {
		list = append(list, app.URLs...)
	}
	return list
}

// api serves the routes of the apps.
func (p *project) api() chi.Router {
	r := web.NewRouter()
	r.Use(p.accounts.Middleware)
	web.Mount(r, p.routes())
	return r
}

// handler serves everything: API, console, documents and what monitoring asks.
func (p *project) handler() (http.Handler, error) {
	console, err := p.console()
	if err != nil {
		return nil, err
	}
	schema, err := web.OpenAPI("Countersign", version, apiPrefix, p.routes())
	if err != nil {
		return nil, err
	}
	m, err := p.metrics()
	if err != nil {
		return nil, err
	}
	proxies, err := p.settings.Proxies()
	if err != nil {
		return nil, err
	}
	docs, err := docsPage(console.Assets())
	if err != nil {
		return nil, err
	}

	r := web.NewRouter()
	r.Use(m.Middleware)
	r.Mount(apiPrefix, p.api())
	for _, app := range p.apps {
		for _, c := range app.Callbacks { // before credentials are looked at: what a provider sends in their place is its own
			r.Post(apiPrefix+c.Pattern, c.Handler)
		}
	}
	r.Get("/api/schema/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.oai.openapi+json;version=3.1")
		w.Write(schema)
	})
	r.Get("/api/docs/", docs)
	r.Get("/healthz/", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	r.Get("/readyz/", p.ready)
	r.Get("/version/", showVersion)
	r.Method(http.MethodGet, "/metrics/", m.Handler(p.settings.MetricsToken))
	r.Get("/", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, admin.Base, http.StatusSeeOther) })

	api := web.NoCards(web.Slash(r)) // the console answers with a page
	root := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasPrefix(req.URL.Path, admin.Base) || req.URL.Path+"/" == admin.Base {
			console.ServeHTTP(w, req)
			return
		}
		api.ServeHTTP(w, req)
	})
	h := web.Timeout(p.settings.RequestTimeout)(root)
	h = web.Recover(web.SecureHeaders(web.Sane(h)))
	return web.RequestID(proxies)(web.Log(h)), nil
}

// console builds the console from the apps' sections.
func (p *project) console() (*admin.Site, error) {
	var sections []admin.Section
	for _, app := range p.apps {
		sections = append(sections, app.Admin...)
	}
	return admin.NewSite(admin.Config{
		Sections:        sections,
		Public:          p.accounts.ConsoleRoutes(),
		PublicSamples:   p.accounts.ConsoleSamples(),
		Home:            "payments",
		SavePreferences: p.accounts.SetPreferences,
		Authenticate:    p.accounts.SessionFromCookie,
		Secure:          p.settings.SecureCookies,
		Now:             time.Now,
		Tenant: func(ctx context.Context) (admin.Tenant, error) {
			var t admin.Tenant
			err := tenancy.Read(ctx, p.db, func(ctx context.Context, tx bun.Tx) error {
				current, err := tenancy.Current(ctx, tx)
				if err != nil {
					return err
				}
				t = admin.Tenant{Name: current.Name, Zone: current.Location()}
				return nil
			})
			return t, err
		},
	})
}

// metrics registers what each part counts.
func (p *project) metrics() (*metrics.Metrics, error) {
	m := metrics.New()
	if p.queue != nil {
		collectors, err := workers.Metrics(p.db, p.queue, p.apps)
		if err != nil {
			return nil, err
		}
		m = metrics.New(collectors...)
	}
	m.Gauges(map[string]string{
		"countersign_payments_undecided":                    "Payments that wait for a decision.",
		"countersign_payments_oldest_undecided_age_seconds": "Age of the oldest payment that waits for a decision; 0 when none does.",
		"countersign_payments_unsettled":                    "Approved payments that wait for the worker.",
		"countersign_payments_settlement_lag_seconds":       "Time since the approval of the oldest payment that waits for the worker; 0 when none does.",
		"countersign_payments_set_aside":                    "Approved payments that the settlement could not take.",
	}, p.billing.Payments.Gauges)
	m.Gauges(map[string]string{"countersign_database_up": "1 when the database answers this process, 0 when it is away."}, p.databaseUp)
	m.GaugesBy("check", integrity.GaugeHelp(), p.integrity.Gauges)
	return m, nil
}

// databaseUp is the gauge by which operators hear that the database is away (S0D-22).
func (p *project) databaseUp(ctx context.Context) (map[string]float64, error) {
	up := 1.0
	if err := p.db.PingContext(ctx); err != nil {
		slog.ErrorContext(ctx, database.Away, "error", err)
		up = 0
	}
	return map[string]float64{"countersign_database_up": up}, nil
}

// ready says whether this process can serve: the database answers with the schema that this build knows, and the
// queue answers.
func (p *project) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
	defer cancel()
	report := map[string]string{"database": "ok", "schema": "ok", "queue": "ok"}
	status := http.StatusOK
	fail := func(part, why string) { report[part], status = why, http.StatusServiceUnavailable }
	applied, err := database.AppliedMigrations(ctx, p.db)
	known, readErr := migrations.Files.ReadDir(".")
	switch {
	case err != nil && p.db.PingContext(ctx) != nil:
		slog.ErrorContext(ctx, database.Away, "error", err)
		fail("database", "does not answer")
		fail("schema", "unknown")
	case err != nil || readErr != nil || applied*2 < len(known): // a database without any schema has no list of what was applied
		fail("schema", "older than this program: run `countersign migrate`")
	}
	if p.queue == nil {
		report["queue"] = "not configured"
	} else if err := p.queue.Ready(ctx); err != nil {
		fail("queue", "does not answer; work waits and nothing is lost")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(report)
}

func showVersion(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"name": "countersign", "version": version, "go": runtime.Version(), "languages": i18n.Languages()})
}

// docsPage is the readable page of the OpenAPI document. Swagger UI builds functions from strings, so this page has a
// content policy of its own.
func docsPage(assets *admin.Assets) (http.HandlerFunc, error) {
	var urls []any
	for _, name := range []string{"swagger/swagger-ui.css", "swagger/docs.css", "swagger/swagger-ui-bundle.js", "swagger/docs.js"} {
		url, err := assets.URL(name)
		if err != nil {
			return nil, err
		}
		urls = append(urls, url)
	}
	page := fmt.Sprintf(`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Countersign API</title><link rel="stylesheet" href="%s"><link rel="stylesheet" href="%s"></head>
<body><div id="swagger-ui" data-schema="/api/schema/"></div><script src="%s"></script><script src="%s"></script></body></html>
`, urls...)
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'")
		w.Write([]byte(page))
	}, nil
}
