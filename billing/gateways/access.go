package gateways

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"countersign/internal/database"
	"countersign/internal/web"
	"countersign/tenancy"
)

// Access is a gateway together with what a tenant has given it: all that a call needs. It holds secrets and is never
// stored, logged or shown.
type Access struct {
	Gateway     Gateway
	ConfigID    uuid.UUID // zero: works without a configuration
	Name        string    // the gateway's, or the tenant's own for an integrator
	Credentials Credentials
	Endpoint    string // the part of callbacks' paths that cannot be guessed; empty without a configuration
}

// CallbackPath is where the provider calls us, below the address of this installation; empty when it never does.
func (a Access) CallbackPath() string {
	if a.Endpoint == "" || !a.Gateway.Capabilities().Callbacks {
		return ""
	}
	return callbackPath(a.Gateway.Name(), a.Endpoint)
}

func callbackPath(gateway, endpoint string) string {
	return "/api/v1/billing/webhooks/" + gateway + "/" + endpoint + "/"
}

const configColumns = `gc.id, gc.name, gc.gateway, gc.mode, gc.is_enabled, gc.settings, gc.error_map, gc.credentials`

const (
	selectByName = `
SELECT t.test_mode, t.is_active, ` + configColumns + `
FROM tenants AS t
LEFT JOIN gateway_configs AS gc ON gc.tenant_id = t.id AND gc.name = $2 AND gc.mode = CASE WHEN t.test_mode THEN 'test' ELSE 'live' END
WHERE t.id = $1`
	selectByEndpoint = `
SELECT t.test_mode, t.is_active, ` + configColumns + `
FROM gateway_configs AS gc
JOIN tenants AS t ON t.id = gc.tenant_id
WHERE gc.tenant_id = $1 AND gc.endpoint_hash = $2`
)

// found is a row of the selects above; a zero config says that there is none.
type found struct {
	Config
	testMode, active bool
}

// find reads one configuration as the tenant's own, whoever acts: members of an account see none.
func (s *Service) find(ctx context.Context, tenant uuid.UUID, query string, by any) (f found, err error) {
	f.TenantID = tenant
	err = tenancy.Fetch(tenancy.AsSystem(ctx, tenant, "gateways"), s.db, database.Select("read a gateway's configuration", query, func(row database.Row) error {
		var id uuid.NullUUID
		var name, gateway, mode *string
		var enabled *bool
		if err := row.Scan(&f.testMode, &f.active, &id, &name, &gateway, &mode, &enabled, &f.Settings, &f.ErrorMap, &f.Sealed); err != nil || !id.Valid {
			return err
		}
		f.ID, f.Name, f.Gateway, f.Mode, f.IsEnabled = id.UUID, *name, *gateway, Mode(*mode), *enabled
		return nil
	}, tenant, by))
	return f, err
}

// Open gives a gateway of the tenant of ctx for new money, by its name or the one under which the tenant has registered
// it. It reads the database, so it is called outside transactions. It fails with ErrNotConfigured or ErrWrongMode.
func (s *Service) Open(ctx context.Context, name string) (Access, error) {
	return s.access(ctx, name, true)
}

// Reopen is Open for money that is under way: a gateway that was switched off since still captures, releases, refunds and
// is asked.
func (s *Service) Reopen(ctx context.Context, name string) (Access, error) {
	return s.access(ctx, name, false)
}

func (s *Service) access(ctx context.Context, name string, enabled bool) (Access, error) {
	f, err := s.find(ctx, tenancy.ID(ctx), selectByName, name)
	if err != nil {
		return Access{}, err
	}
	kind := name
	if f.ID != uuid.Nil {
		kind = f.Gateway
	}
	g, known := s.registry.Get(kind)
	if !known {
		return Access{}, ErrNotConfigured.With("gateway", name)
	}
	mode := Live
	if f.testMode {
		mode = Test
	}
	can := g.Capabilities()
	switch {
	case !slices.Contains(can.Modes, mode):
		return Access{}, ErrWrongMode.With("gateway", name).With("mode", mode)
	case f.ID == uuid.Nil && can.NeedsNoConfig:
		return Access{Gateway: s.guard(g, f.TenantID), Name: name, Credentials: Credentials{TenantID: f.TenantID, Mode: mode}}, nil
	case f.ID == uuid.Nil || enabled && !f.IsEnabled:
		return Access{}, ErrNotConfigured.With("gateway", name)
	}
	return s.unlock(g, &f.Config)
}

func (s *Service) unlock(g Gateway, c *Config) (Access, error) {
	v, err := c.open(s.keys)
	if err != nil {
		return Access{}, err
	}
	return Access{Gateway: s.guard(g, c.TenantID), ConfigID: c.ID, Name: c.Name, Endpoint: v.Endpoint,
		Credentials: Credentials{TenantID: c.TenantID, Mode: c.Mode, Secrets: v.Secrets, Settings: c.Settings, ErrorMap: c.ErrorMap}}, nil
}

// Endpoint gives the gateway that a callback is for, and a context in which its tenant's callbacks are handled. Who calls
// is not known yet: the endpoint, which only the provider was told, says in which tenant to look, the row there must have
// its hash, and then the adapter verifies the call with that tenant's own secret. A gateway that is switched off is still
// told what became of the money. Everything else is web.ErrNotFound.
func (s *Service) Endpoint(ctx context.Context, gateway, endpoint string) (context.Context, Access, error) {
	tenant, ok := tenantOf(endpoint)
	if !ok {
		return nil, Access{}, web.ErrNotFound
	}
	f, err := s.find(ctx, tenant, selectByEndpoint, hashEndpoint(endpoint))
	if err != nil {
		return nil, Access{}, err
	}
	g, known := s.registry.Get(f.Gateway)
	if f.ID == uuid.Nil || !f.active || !known || f.Gateway != gateway || !g.Capabilities().Callbacks || (f.Mode == Test) != f.testMode {
		return nil, Access{}, web.ErrNotFound
	}
	a, err := s.unlock(g, &f.Config)
	if err != nil {
		return nil, Access{}, err
	}
	return InNameOf(ctx, tenant, a.Name), a, nil
}

// InNameOf returns a context in which what a provider says is written: in the name of the account that the tenant has there.
func InNameOf(ctx context.Context, tenant uuid.UUID, account string) context.Context {
	return tenancy.AsSystem(ctx, tenant, "gateway "+account)
}

const selectPublicKeys = `
SELECT gc.gateway, gc.settings->>'` + PublicKeyField + `'
FROM gateway_configs AS gc
JOIN tenants AS t ON t.id = gc.tenant_id
WHERE gc.tenant_id = $1 AND gc.is_enabled AND gc.mode = CASE WHEN t.test_mode THEN 'test' ELSE 'live' END AND gc.settings->>'` + PublicKeyField + `' <> ''`

// PublicKeys gives the keys for payers' browsers of the gateways that the tenant of ctx has switched on, by gateway
// (S1-33). Members may know them, so they are read for whoever asks.
func (s *Service) PublicKeys(ctx context.Context) (map[string]string, error) {
	keys := map[string]string{}
	tenant := tenancy.ID(ctx)
	err := tenancy.Fetch(tenancy.AsSystem(ctx, tenant, "gateways"), s.db, database.Select("read public keys of gateways", selectPublicKeys, func(row database.Row) error {
		var gateway, key string
		if err := row.Scan(&gateway, &key); err != nil {
			return fmt.Errorf("read a public key: %w", err)
		}
		if g, ok := s.registry.Get(gateway); ok && g.Capabilities().PublicKey {
			keys[gateway] = key
		}
		return nil
	}, tenant))
	return keys, err
}
