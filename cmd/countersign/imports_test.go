package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// layers are the floors of the house, as in DESIGN: imports go down, never up and never sideways. A package that is
// not here fails the test, so a new one gets its place on purpose.
var layers = map[string]int{
	"cmd/countersign": 100,
	"billing":         90, "workers": 90,
	"billing/subscriptions": 70,
	"billing/payments":      60,
	"billing/statements":    55,
	"billing/invoices":      50, "billing/credits": 50, "billing/fx": 50,
	"billing/gateways/offline": 41, "billing/gateways/integrator": 41, "billing/gateways/sandbox": 41, "billing/gateways/stripe": 41, // an adapter imports the contract that it is adapted to
	"billing/gateways": 40, "billing/ledger": 40, "billing/paymentmethods": 40, "billing/evidence": 40, "billing/decisions": 40,
	"accounts":           30,
	"tenancy":            20,
	"internal/integrity": 17, "internal/outbox": 16, "internal/audit": 15, "internal/idempotency": 15,
	"internal/apps": 14, "internal/admin": 13, "internal/web": 12, "internal/metrics": 12,
	"internal/database": 11, "internal/auth": 11, "internal/i18n": 11,
	"billing/money": 2, "internal/embedded": 1, "internal/settings": 1, "internal/errs": 0, "internal/batch": 0, "internal/carddata": 0, "migrations": 0, "templates": 0, "internal/keyring": 0,
}

// owners are the technologies with one owner; everybody else speaks through him.
var owners = map[string][]string{
	"github.com/hibiken/asynq":            {"workers"},
	"github.com/redis/go-redis/v9":        {"workers"},
	"github.com/alicebob/miniredis/v2":    {"internal/embedded"},
	"github.com/jackc/pgx/v5":             {"internal/database", "internal/embedded"}, // embedded asks whether its server answers
	"html/template":                       {"internal/admin", "internal/web"},
	"github.com/minio/minio-go/v7":        {"billing/evidence"},
	"github.com/stripe/stripe-go/v76":     {"billing/gateways/stripe"},
	"github.com/prometheus/client_golang": {"internal/metrics", "workers"},
	"github.com/swaggest/openapi-go":      {"internal/web"},
	"github.com/go-playground/validator":  {"internal/web"},
	"github.com/alexedwards/argon2id":     {"accounts"},
	"github.com/caarlos0/env":             {"internal/settings"},
	"github.com/alecthomas/kong":          {"cmd/countersign"},
	"github.com/nicksnyder/go-i18n":       {"internal/i18n"},
}

// onlyTests are packages that only tests import.
var onlyTests = []string{"internal/testkit", "billing/gateways/gatewaystest", "billing/billingtest", "accounts/accountstest"}

type listed struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "countersign/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []listed
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for dec.More() {
		var p listed
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	return list
}

func TestImports(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, "countersign/")
		if slices.Contains(onlyTests, name) || strings.Contains(name, "/internal/gen") {
			continue
		}
		floor, known := layers[name]
		if !known {
			t.Errorf("%s has no floor: give it one in this test, on purpose", name)
		}
		for _, imported := range p.Imports {
			if below, ours := strings.CutPrefix(imported, "countersign/"); ours {
				if slices.Contains(onlyTests, below) {
					t.Errorf("%s imports %s, which is for tests only", name, below)
				} else if layers[below] >= floor {
					t.Errorf("%s (floor %d) imports %s (floor %d): imports go down, never up or sideways; react to what is above through an event", name, floor, below, layers[below])
				}
				continue
			}
			for library, allowed := range owners {
				if (imported == library || strings.HasPrefix(imported, library+"/")) && !slices.Contains(allowed, name) {
					t.Errorf("%s imports %s, which belongs to %v", name, imported, allowed)
				}
			}
		}
	}
}

// writers says which package writes which table. Nobody else names the table in SQL but to read it where listed.
var writers = map[string]string{
	"tenants": "tenancy", "number_series": "tenancy",
	"accounts": "accounts", "users": "accounts", "memberships": "accounts", "credentials": "accounts", "login_throttle": "accounts", "password_resets": "accounts",
	"audit_log": "internal/audit", "audit_unsealed": "internal/audit", "audit_heads": "internal/audit", "events": "internal/outbox", "outbox": "internal/outbox", "idempotency_keys": "internal/idempotency", "integrity_results": "internal/integrity",
	"ledger_accounts": "billing/ledger", "ledger_transactions": "billing/ledger", "ledger_entries": "billing/ledger", "ledger_balances": "billing/ledger",
	"payment_method_configs": "billing/paymentmethods", "account_payment_methods": "billing/paymentmethods",
	"gateway_configs": "billing/gateways", "inbound_events": "billing/gateways",
	"sandbox_orders": "billing/gateways/sandbox", "sandbox_requests": "billing/gateways/sandbox", "sandbox_callbacks": "billing/gateways/sandbox",
	"evidence": "billing/evidence", "invoices": "billing/invoices", "line_items": "billing/invoices", "invoice_adjustments": "billing/invoices", "credit_notes": "billing/invoices", "write_offs": "billing/invoices",
	"fx_rates": "billing/fx", "fx_conversions": "billing/fx", "fx_reversals": "billing/fx",
	"subscriptions": "billing/subscriptions", "subscription_months": "billing/subscriptions",
	"approval_policies": "billing/decisions", "decisions": "billing/decisions",
	"settlement_queue": "billing/payments", "payments": "billing/payments", "payment_evidence": "billing/payments", "payment_orders": "billing/payments", "payment_terms": "billing/payments", "payment_anomalies": "billing/payments", "reference_sightings": "billing/payments", "refunds": "billing/payments",
}

func TestTables(t *testing.T) {
	t.Parallel()
	t.Run("every table has one writer", func(t *testing.T) {
		t.Parallel()
		created := regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)
		files, err := filepath.Glob("../../migrations/*.up.sql")
		if err != nil || len(files) == 0 {
			t.Fatal("no migrations found", err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range created.FindAllStringSubmatch(string(raw), -1) {
				if writers[m[1]] == "" {
					t.Errorf("%s makes the table %s, which has no writer: name it in this test", file, m[1])
				}
			}
		}
	})
	t.Run("and nobody else writes it", func(t *testing.T) {
		t.Parallel()
		var names []string
		for table := range writers {
			names = append(names, table)
		}
		writes := regexp.MustCompile(`(?i)\b(?:INSERT INTO|UPDATE|DELETE FROM)\s+"?(` + strings.Join(names, "|") + `)\b|bun:"table:(` + strings.Join(names, "|") + `),`)
		err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			folder := filepath.ToSlash(filepath.Dir(strings.TrimPrefix(path, "../../")))
			if slices.ContainsFunc(onlyTests, func(p string) bool { return folder == p }) || filepath.Base(path) == "bench_data.go" {
				return nil // the measurement fills a throw-away database by SQL: a hundred thousand rows are too many for services
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range writes.FindAllStringSubmatch(string(raw), -1) {
				table := m[1] + m[2]
				if writers[table] != folder {
					t.Errorf("%s writes %s, which belongs to %s", path, table, writers[table])
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
