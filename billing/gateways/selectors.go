package gateways

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/uptrace/bun"

	"countersign/tenancy"
)

// View is a gateway as staff see it: which secrets are set, and never what they are.
type View struct {
	Name         string
	Gateway      string
	Mode         Mode // the tenant's
	Capabilities Capabilities
	Config       *Config           // nil: the tenant has not configured it
	Secrets      map[string]string // each set, unset or unreadable
	Endpoint     string
}

// What a secret is.
const (
	secretSet        = "set"
	secretUnset      = "unset"
	secretUnreadable = "unreadable" // the key that has sealed it is not configured any more
)

// CallbackPath is where the provider calls us, below the address of this installation; empty when it never does.
func (v View) CallbackPath() string {
	if v.Endpoint == "" || !v.Capabilities.Callbacks {
		return ""
	}
	return callbackPath(v.Gateway, v.Endpoint)
}

// view shows a gateway with a tenant's configuration, or without one when c is nil.
func (s *Service) view(g Gateway, mode Mode, c *Config) View {
	v := View{Name: g.Name(), Gateway: g.Name(), Mode: mode, Capabilities: g.Capabilities(), Config: c, Secrets: map[string]string{}}
	state, opened := secretUnset, vault{}
	if c != nil {
		v.Name = c.Name
		var err error
		if opened, err = c.open(s.keys); err != nil {
			slog.Error("a gateway's credentials cannot be opened: give them anew, or configure the key again", "tenant", c.TenantID, "error", err)
			state = secretUnreadable
		}
		v.Endpoint = opened.Endpoint
	}
	for _, name := range v.Capabilities.names(true) {
		v.Secrets[name] = state
		if opened.Secrets[name] != "" {
			v.Secrets[name] = secretSet
		}
	}
	return v
}

// Get gives a gateway of the tenant: a configured one, or one of this build. It fails with ErrUnknownGateway.
func (s *Service) Get(ctx context.Context, tx bun.Tx, name string) (View, error) {
	views, err := s.List(ctx, tx)
	if err != nil {
		return View{}, err
	}
	i := slices.IndexFunc(views, func(v View) bool { return v.Name == name })
	if i < 0 {
		return View{}, ErrUnknownGateway
	}
	return views[i], nil
}

// List gives the gateways that work in the tenant's mode, with what the tenant has configured, by name.
func (s *Service) List(ctx context.Context, tx bun.Tx) ([]View, error) {
	t, err := tenancy.Current(ctx, tx)
	if err != nil {
		return nil, err
	}
	var configs []*Config
	err = tx.NewSelect().Model(&configs).Where("gc.tenant_id = ?", t.ID).Where("gc.mode = ?", modeOf(t)).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read configurations of gateways: %w", err)
	}
	views := map[string]View{}
	for _, name := range s.registry.Names() {
		if g := s.registry.byName[name]; slices.Contains(g.Capabilities().Modes, modeOf(t)) {
			views[name] = s.view(g, modeOf(t), nil)
		}
	}
	for _, c := range configs {
		if g, ok := s.registry.Get(c.Gateway); ok {
			views[c.Name] = s.view(g, c.Mode, c)
		}
	}
	list := make([]View, 0, len(views))
	for _, name := range slices.Sorted(maps.Keys(views)) {
		list = append(list, views[name])
	}
	return list, nil
}
