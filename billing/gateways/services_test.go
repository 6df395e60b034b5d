package gateways_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/gateways"
	"countersign/internal/keyring"
	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

const (
	base   = billingtest.Base + "/billing/gateways/"
	secret = "hush, this is acme's secret"
)

// register gives the tenant an integrator named acme.
func register(w *billingtest.World) testkit.Answer {
	return w.As(w.Owner).Put(base+"acme/", map[string]any{"gateway": "integrator", "is_enabled": true, "display_name": "Acme Pay",
		"secrets": map[string]any{"shared_secret": secret}, "error_map": map[string]any{"77": "declined"}}).Expect(http.StatusOK)
}

func TestConfigure(t *testing.T) {
	t.Parallel()
	t.Run("secrets go in and never come out", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		owner := w.As(w.Owner)
		answers := []testkit.Answer{register(w), owner.Get(base + "acme/").Expect(http.StatusOK), owner.Get(base).Expect(http.StatusOK),
			owner.Get(billingtest.Base + "/billing/events/").Expect(http.StatusOK), owner.Get(billingtest.Base + "/billing/audit-log/").Expect(http.StatusOK)}
		for _, a := range answers {
			if bytes.Contains(a.Raw, []byte(secret)) || bytes.Contains(a.Raw, []byte("hush")) {
				t.Errorf("the secret is shown: %s", a.Raw)
			}
		}
		if got := answers[1].Text("data.secrets.shared_secret"); got != "set" {
			t.Errorf("the secret is %s", got)
		}
		if answers[1].Text("data.mode") != "live" || answers[1].Text("data.gateway") != "integrator" || answers[1].Text("data.error_map.77") != "declined" {
			t.Errorf("got %s", answers[1].Raw)
		}
		for _, i := range []int{3, 4} {
			if !bytes.Contains(answers[i].Raw, []byte("gateway_config.create")) || bytes.Contains(answers[i].Raw, []byte(answers[0].Text("data.endpoint"))) {
				t.Errorf("the change is not told, or too much of it: %s", answers[i].Raw)
			}
		}
	})
	t.Run("nothing of a secret is in the database", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		endpoint := register(w).Text("data.endpoint")
		for _, table := range []string{"gateway_configs", "audit_log", "events", "outbox"} {
			var found string
			err := testkit.OwnerDB(t).NewRaw("SELECT coalesce(string_agg(r::text || coalesce(encode(?, 'escape'), ''), ''), '') FROM ? AS r WHERE tenant_id = ?",
				map[bool]any{true: bun.Ident("credentials"), false: nil}[table == "gateway_configs"], bun.Ident(table), w.Tenant.ID).Scan(t.Context(), &found)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{secret, "shared_secret\":", endpoint} {
				if strings.Contains(found, text) {
					t.Errorf("%s holds %q", table, text)
				}
			}
		}
	})
	t.Run("what is left out stays", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		before := register(w)
		after := w.As(w.Owner).Put(base+"acme/", map[string]any{"is_enabled": false}).Expect(http.StatusOK)
		if after.At("data.is_enabled") != false || after.Text("data.secrets.shared_secret") != "set" || after.Text("data.error_map.77") != "declined" ||
			after.Text("data.endpoint") != before.Text("data.endpoint") || after.Int("data.version") != 2 {
			t.Errorf("got %s", after.Raw)
		}
		moved := w.As(w.Owner).Put(base+"acme/", map[string]any{"is_enabled": false, "new_endpoint": true}).Expect(http.StatusOK)
		if moved.Text("data.endpoint") == before.Text("data.endpoint") {
			t.Error("the endpoint is still the same")
		}
		if _, _, err := w.Gateways.Endpoint(t.Context(), "integrator", before.Text("data.endpoint")); !errors.Is(err, web.ErrNotFound) {
			t.Errorf("the old endpoint: %v", err)
		}
	})
	t.Run("a changed version is seen", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		register(w)
		put := func(version int) testkit.Answer {
			return w.As(w.Owner).Put(base+"acme/", map[string]any{"is_enabled": true, "display_name": "Other", "version": version})
		}
		put(1).Expect(http.StatusOK)
		put(1).Refused(http.StatusConflict, "gateway_config_changed")
	})
	refusals := []struct {
		name, path string
		body       map[string]any
		status     int
		code       string
		field      string
	}{
		{"an unknown gateway", "nonsense/", map[string]any{}, http.StatusNotFound, "gateway_not_found", ""},
		{"a name that is none", "Nonsense/", map[string]any{"gateway": "integrator"}, http.StatusNotFound, "gateway_not_found", ""},
		{"a name of one's own for the till", "acme/", map[string]any{"gateway": "cash"}, http.StatusBadRequest, "invalid_gateway_kind", "gateway"},
		{"another gateway under a known name", "cash/", map[string]any{"gateway": "integrator"}, http.StatusBadRequest, "invalid_gateway_kind", "gateway"},
		{"an unknown secret", "integrator/", map[string]any{"secrets": map[string]any{"secret_key": "x"}}, http.StatusBadRequest, "validation_failed", "secrets.secret_key"},
		{"a secret among settings", "integrator/", map[string]any{"settings": map[string]any{"shared_secret": secret}}, http.StatusBadRequest, "validation_failed", "settings.shared_secret"},
		{"a short secret", "integrator/", map[string]any{"secrets": map[string]any{"shared_secret": "short"}}, http.StatusBadRequest, "validation_failed", "secrets.shared_secret"},
		{"being switched on without its secret", "integrator/", map[string]any{"is_enabled": true}, http.StatusBadRequest, "validation_failed", "secrets.shared_secret"},
		{"an error map for the till", "cash/", map[string]any{"error_map": map[string]any{"1": "declined"}}, http.StatusBadRequest, "validation_failed", "error_map"},
		{"an error map to no code", "integrator/", map[string]any{"error_map": map[string]any{"1": "No Code"}}, http.StatusBadRequest, "validation_failed", "error_map.1"},
	}
	for _, tt := range refusals {
		t.Run("refuses "+tt.name, func(t *testing.T) {
			t.Parallel()
			w := billingtest.New(t)
			if tt.body["is_enabled"] == nil {
				tt.body["is_enabled"] = false
			}
			got := w.As(w.Owner).Put(base+tt.path, tt.body).Refused(tt.status, tt.code)
			if tt.field != "" && got.At("errors").(map[string]any)[tt.field] == nil {
				t.Errorf("%s is not blamed: %s", tt.field, got.Raw)
			}
			if bytes.Contains(got.Raw, []byte(secret)) {
				t.Errorf("the secret is given back: %s", got.Raw)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	w, stranger := billingtest.New(t), billingtest.New(t)
	endpoint := register(w).Text("data.endpoint")
	t.Run("gives the credentials of the tenant, also to a member", func(t *testing.T) {
		t.Parallel()
		for _, ctx := range []context.Context{w.System, w.Member.Ctx} {
			a, err := w.Gateways.Open(ctx, "acme")
			if err != nil {
				t.Fatal(err)
			}
			if a.Credentials.Secrets["shared_secret"] != secret || a.Credentials.ErrorMap["77"] != "declined" || a.Credentials.TenantID != w.Tenant.ID ||
				a.Credentials.Mode != gateways.Live || a.Gateway.Name() != "integrator" || a.Endpoint != endpoint {
				t.Errorf("got %+v", a)
			}
		}
	})
	t.Run("knows no other tenant's", func(t *testing.T) {
		t.Parallel()
		if _, err := stranger.Gateways.Open(stranger.System, "acme"); !errors.Is(err, gateways.ErrNotConfigured) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("needs nothing for the till", func(t *testing.T) {
		t.Parallel()
		a, err := w.Gateways.Open(w.System, "cash")
		if err != nil || a.Gateway.Name() != "cash" || a.Credentials.Mode != gateways.Live {
			t.Errorf("got %+v, %v", a, err)
		}
	})
	t.Run("what is switched off ends what is under way, and begins nothing", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		register(w)
		w.As(w.Owner).Put(base+"acme/", map[string]any{"is_enabled": false}).Expect(http.StatusOK)
		if _, err := w.Gateways.Open(w.System, "acme"); !errors.Is(err, gateways.ErrNotConfigured) {
			t.Errorf("open: %v", err)
		}
		if _, err := w.Gateways.Reopen(w.System, "acme"); err != nil {
			t.Errorf("reopen: %v", err)
		}
	})
	t.Run("is refused in a transaction", func(t *testing.T) {
		t.Parallel()
		err := tenancy.InTx(w.System, w.DB, func(ctx context.Context, _ bun.Tx) error {
			_, err := w.Gateways.Open(ctx, "cash")
			return err
		})
		if err == nil {
			t.Error("it was opened")
		}
	})
	t.Run("a lost key is said, and what is given anew counts", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		register(w)
		lost := gateways.New(gateways.Deps{DB: w.DB, Outbox: w.Outbox, Keys: keyring.New(nil, []byte("another secret")), Registry: w.Gateways.Registry(), Now: w.Clock.Now})
		if _, err := lost.Open(w.System, "acme"); !errors.Is(err, keyring.ErrDamaged) {
			t.Errorf("open: %v", err)
		}
		err := tenancy.Read(w.System, w.DB, func(ctx context.Context, tx bun.Tx) error {
			v, err := lost.Get(ctx, tx, "acme")
			if v.Secrets["shared_secret"] != "unreadable" {
				t.Errorf("it is %v", v.Secrets)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		name := "integrator"
		if _, err := lost.Configure(w.System, gateways.ConfigureInput{Name: "acme", Gateway: name, Secrets: map[string]any{"shared_secret": secret + "!"}}); err != nil {
			t.Errorf("configure: %v", err)
		}
		if a, err := lost.Open(w.System, "acme"); err != nil || a.Credentials.Secrets["shared_secret"] != secret+"!" {
			t.Errorf("open again: %+v, %v", a.Name, err)
		}
	})
}

func TestEndpoint(t *testing.T) {
	t.Parallel()
	w, stranger := billingtest.New(t), billingtest.New(t)
	endpoint := register(w).Text("data.endpoint")
	foreign := register(stranger).Text("data.endpoint")
	ctx, a, err := w.Gateways.Endpoint(t.Context(), "integrator", endpoint)
	if err != nil || a.Name != "acme" || a.Credentials.TenantID != w.Tenant.ID || tenancy.ID(ctx) != w.Tenant.ID {
		t.Fatalf("got %+v, %v", a.Name, err)
	}
	if _, a, err := w.Gateways.Endpoint(t.Context(), "integrator", foreign); err != nil || a.Credentials.TenantID != stranger.Tenant.ID {
		t.Errorf("the other tenant's: %v", err)
	}
	// the tenant of one and the secret of the other
	forged := endpoint[:4+21] + foreign[4+21:]
	for name, given := range map[string][2]string{"another gateway": {"cash", endpoint}, "a forged tenant": {"integrator", forged}, "nothing": {"integrator", ""},
		"a part": {"integrator", endpoint[:40]}, "no base64": {"integrator", "gwe_" + strings.Repeat("!", 64)}, "another prefix": {"integrator", "cst_" + endpoint[4:]}} {
		if _, _, err := w.Gateways.Endpoint(t.Context(), given[0], given[1]); !errors.Is(err, web.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
