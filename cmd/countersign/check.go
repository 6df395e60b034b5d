package main

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/database"
	"countersign/internal/settings"
)

// checkCommand looks for mistakes in the configuration, as Django's check --deploy does.
type checkCommand struct{}

// Run is called by kong.
func (checkCommand) Run(ctx context.Context) error {
	return withProject(ctx, func(p *project) error {
		found := 0
		for _, c := range append(deployChecks(p.settings, p.db), p.checks(false)...) {
			f, err := c.Run(ctx)
			if err != nil {
				return fmt.Errorf("check %s: %w", c.ID, err)
			}
			if f == nil {
				continue
			}
			fmt.Printf("%s %s\n    %s\n", c.ID, f.What, f.Hint)
			found++
		}
		if found > 0 {
			return fmt.Errorf("%d findings", found)
		}
		fmt.Println("No findings.")
		return nil
	})
}

// checks gives the apps' checks: those of the configuration, or the deep ones that read a tenant's books.
func (p *project) checks(deep bool) []apps.Check {
	var list []apps.Check
	for _, app := range p.apps {
		for _, c := range app.Checks {
			if c.Deep == deep {
				list = append(list, c)
			}
		}
	}
	return list
}

// deployChecks look at what only production needs.
func deployChecks(s settings.Settings, db *bun.DB) []apps.Check {
	return []apps.Check{
		{ID: "settings.W001", Run: func(context.Context) (*apps.Finding, error) {
			if s.SecureCookies {
				return nil, nil
			}
			return &apps.Finding{What: "Console cookies are also sent without HTTPS.", Hint: "Set COUNTERSIGN_SECURE_COOKIES=true behind HTTPS."}, nil
		}},
		{ID: "settings.W002", Run: func(context.Context) (*apps.Finding, error) {
			if s.MetricsToken != "" {
				return nil, nil
			}
			return &apps.Finding{What: "/metrics is open to whoever reaches the server.", Hint: "Set COUNTERSIGN_METRICS_TOKEN, or keep /metrics from the outside."}, nil
		}},
		{ID: "database.W001", Run: func(ctx context.Context) (*apps.Finding, error) { return loginCheck(ctx, db) }},
		{ID: "database.E001", Run: func(ctx context.Context) (*apps.Finding, error) { return wallCheck(ctx, db) }},
	}
}

// loginCheck looks whether the log-in behind the program's role could step out of it.
func loginCheck(ctx context.Context, db *bun.DB) (*apps.Finding, error) {
	var mighty bool
	err := db.NewRaw(`SELECT r.rolsuper OR r.rolbypassrls OR EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid AND c.relname = 'payments')
		FROM pg_roles r WHERE r.rolname = session_user`).Scan(ctx, &mighty)
	if err != nil || !mighty {
		return nil, err
	}
	return &apps.Finding{What: "The program logs in as a superuser or as the owner of its tables.",
		Hint: "Give DATABASE_URL a log-in of its own, made with: CREATE ROLE countersign_server LOGIN PASSWORD '…' IN ROLE " + database.AppRole + "; and use COUNTERSIGN_OWNER_URL for migrate."}, nil
}

// wallCheck looks whether every table of a tenant is behind row-level security.
func wallCheck(ctx context.Context, db *bun.DB) (*apps.Finding, error) {
	var open []string
	err := db.NewRaw(`SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'public' AND c.relkind = 'r' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
		AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')`).Scan(ctx, &open)
	if err != nil || len(open) == 0 {
		return nil, err
	}
	return &apps.Finding{What: fmt.Sprintf("These tables are not behind row-level security: %v.", open),
		Hint: "Somebody has switched it off. Switch it on again with ALTER TABLE … FORCE ROW LEVEL SECURITY."}, nil
}
