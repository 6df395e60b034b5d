package gateways

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/audit"
	"countersign/internal/errs"
	"countersign/internal/keyring"
	"countersign/internal/outbox"
	"countersign/tenancy"
)

const (
	maxValue    = 4000 // characters of a setting or secret
	maxErrorMap = 500  // entries
)

// Deps are what the service works with; all are required.
type Deps struct {
	DB       *bun.DB
	Outbox   *outbox.Outbox
	Keys     *keyring.Keyring
	Registry *Registry
	Now      func() time.Time
}

// Service keeps what tenants have configured, opens it for calls, and keeps what providers have told us.
type Service struct {
	db       *bun.DB
	outbox   *outbox.Outbox
	keys     *keyring.Keyring
	registry *Registry
	now      func() time.Time
}

// New gives the service. DB acts as the program's own role.
func New(d Deps) *Service {
	return &Service{db: d.DB, outbox: d.Outbox, keys: d.Keys, registry: d.Registry, now: d.Now}
}

// Registry gives the gateways of this build.
func (s *Service) Registry() *Registry { return s.registry }

// ConfigureInput says what a gateway shall have; nil leaves a part as it is.
type ConfigureInput struct {
	Name        string
	Gateway     string // what Name stands for; empty: the gateway of that name, or what it stood for before
	DisplayName *string
	IsEnabled   *bool
	Settings    map[string]any // replaces what was there; null and an empty text remove a key
	Secrets     map[string]any // changes those that are named; null and an empty text remove one
	ErrorMap    map[string]any // replaces what was there
	NewEndpoint bool           // the provider must be told the new callback path, the old one is dead at once
	Version     *int           // as it was read; nil: whatever it is
}

// Configure sets what a tenant's gateway has, and makes it at the first call. It needs billing.gateways.manage. It fails
// with ErrUnknownGateway, ErrGatewayKind, ErrWrongMode, ErrConfigChanged, ErrUnreadable, or with fields that are wrong.
func (s *Service) Configure(ctx context.Context, in ConfigureInput) (View, error) {
	var view View
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		t, err := tenancy.Current(ctx, tx)
		if err != nil {
			return err
		}
		c, g, err := s.lock(ctx, tx, in, modeOf(t))
		if err != nil {
			return err
		}
		if in.Version != nil && *in.Version != c.Version {
			return ErrConfigChanged
		}
		v := vault{Secrets: map[string]string{}, Endpoint: newEndpoint(c.TenantID)}
		var before map[string]any
		if c.Version > 0 {
			opened, err := c.open(s.keys)
			switch {
			case err == nil:
				v = opened
			case in.Secrets == nil:
				return ErrUnreadable.Because(err)
			}
			before = c.facts(opened)
		}
		if err := in.apply(c, &v, g.Capabilities()); err != nil {
			return err
		}
		if err := s.save(ctx, tx, c, v, before); err != nil {
			return err
		}
		view = s.view(g, c.Mode, c)
		return nil
	})
	return view, err
}

// lock gives the row to change, or a new one of version 0, and the gateway it is for.
func (s *Service) lock(ctx context.Context, tx bun.Tx, in ConfigureInput, mode Mode) (*Config, Gateway, error) {
	if !validName.MatchString(in.Name) {
		return nil, nil, ErrUnknownGateway
	}
	c := &Config{}
	err := tx.NewSelect().Model(c).Where("gc.tenant_id = ?", tenancy.ID(ctx)).Where("gc.name = ?", in.Name).Where("gc.mode = ?", mode).For("UPDATE").Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		c = &Config{TenantID: tenancy.ID(ctx), ID: uuid.Must(uuid.NewV7()), Name: in.Name, Mode: mode, Settings: map[string]string{}, ErrorMap: map[string]string{}}
		c.Gateway, err = s.kind(in)
	}
	if err != nil {
		return nil, nil, err
	}
	if in.Gateway != "" && in.Gateway != c.Gateway {
		return nil, nil, s.wrongKind()
	}
	g, ok := s.registry.Get(c.Gateway)
	if !ok {
		return nil, nil, ErrUnknownGateway
	}
	if !slices.Contains(g.Capabilities().Modes, c.Mode) {
		return nil, nil, ErrWrongMode.With("gateway", c.Name).With("mode", c.Mode)
	}
	return c, g, nil
}

// kind is what a new name stands for.
func (s *Service) kind(in ConfigureInput) (string, error) {
	if _, ok := s.registry.Get(in.Name); ok {
		return in.Name, nil
	}
	if in.Gateway == "" {
		return "", ErrUnknownGateway
	}
	if g, ok := s.registry.Get(in.Gateway); !ok || !g.Capabilities().Named {
		return "", s.wrongKind()
	}
	return in.Gateway, nil
}

func (s *Service) wrongKind() error {
	allowed := []string{}
	for _, name := range s.registry.Names() {
		if s.registry.byName[name].Capabilities().Named {
			allowed = append(allowed, name)
		}
	}
	return ErrGatewayKind.With("allowed", strings.Join(allowed, ", ")).At("gateway")
}

// apply changes the row and what will be sealed in it.
func (in ConfigureInput) apply(c *Config, v *vault, can Capabilities) error {
	var fields errs.Fields
	if in.Settings != nil {
		c.Settings = map[string]string{}
		in.set(c.Mode, c.Settings, in.Settings, can, false, &fields)
	}
	in.set(c.Mode, v.Secrets, in.Secrets, can, true, &fields)
	in.applyErrorMap(c, can, &fields)
	if in.DisplayName != nil {
		c.DisplayName = *in.DisplayName
	}
	if in.IsEnabled != nil {
		c.IsEnabled = *in.IsEnabled
	}
	if in.NewEndpoint {
		v.Endpoint = newEndpoint(c.TenantID)
	}
	for _, f := range can.Fields {
		group, values := "settings", c.Settings
		if f.Secret {
			group, values = "secrets", v.Secrets
		}
		if f.Made && values[f.Name] == "" {
			values[f.Name] = newSecret()
		}
		if f.Required && c.IsEnabled && values[f.Name] == "" {
			fields.Add(group+"."+f.Name, ErrSettingMissing)
		}
	}
	return fields.Err()
}

// set copies what was given of the secrets, or of the rest, as far as the gateway has such fields.
func (in ConfigureInput) set(mode Mode, into map[string]string, given map[string]any, can Capabilities, secret bool, fields *errs.Fields) {
	group := "settings"
	if secret {
		group = "secrets"
	}
	for name, value := range given {
		f, known := can.field(name)
		if !known || f.Secret != secret {
			fields.Add(group+"."+short(name), ErrUnknownSetting.With("allowed", strings.Join(can.names(secret), ", ")))
			continue
		}
		text, ok := value.(string)
		text = strings.TrimSpace(text)
		switch {
		case value == nil || ok && text == "":
			delete(into, name)
		case !ok || len(text) > maxValue || f.Check != nil && !f.Check(mode, text):
			fields.Add(group+"."+name, ErrInvalidSetting)
		default:
			into[name] = text
		}
	}
}

func (in ConfigureInput) applyErrorMap(c *Config, can Capabilities, fields *errs.Fields) {
	if in.ErrorMap == nil {
		return
	}
	if !can.Named || len(in.ErrorMap) > maxErrorMap {
		fields.Add("error_map", ErrInvalidSetting)
		return
	}
	c.ErrorMap = map[string]string{}
	for code, value := range in.ErrorMap {
		ours, ok := value.(string)
		if !ok || !validName.MatchString(ours) || code == "" || len(code) > 100 {
			fields.Add("error_map."+short(code), ErrInvalidSetting)
			continue
		}
		c.ErrorMap[code] = ours
	}
}

// short is what is given back of a key that the sender made up.
func short(name string) string { return name[:min(len(name), 100)] }

// newSecret is 256 random bits, as text.
func newSecret() string {
	raw := make([]byte, 32)
	rand.Read(raw) // never fails
	return base64.RawURLEncoding.EncodeToString(raw)
}

// save writes the row, and who has changed it.
func (s *Service) save(ctx context.Context, tx bun.Tx, c *Config, v vault, before map[string]any) error {
	if err := c.seal(s.keys, v); err != nil {
		return err
	}
	event, action := EventConfigUpdated, "gateway_config.update"
	c.Version++
	if before == nil {
		event, action = EventConfigCreated, "gateway_config.create"
		res, err := tx.NewInsert().Model(c).On("CONFLICT (tenant_id, name, mode) DO NOTHING").Returning("created_at, updated_at").Exec(ctx)
		if err != nil {
			return fmt.Errorf("insert the configuration of %s: %w", c.Name, err)
		}
		if n, _ := res.RowsAffected(); n == 0 {
			return ErrConfigChanged
		}
	} else {
		_, err := tx.NewUpdate().Model(c).Column("display_name", "is_enabled", "settings", "error_map", "credentials", "endpoint_hash", "version").
			Set("updated_at = now()").Where("gc.tenant_id = ?", c.TenantID).Where("gc.id = ?", c.ID).Returning("updated_at").Exec(ctx)
		if err != nil {
			return fmt.Errorf("update the configuration of %s: %w", c.Name, err)
		}
	}
	after := c.facts(v)
	record := audit.Record{Action: action, ObjectType: "gateway_config", ObjectID: c.ID, Before: before, After: after}
	if err := audit.Write(ctx, record); err != nil {
		return err
	}
	return s.outbox.Emit(ctx, configEvent(event, c))
}

// modeOf is the kind of money that a tenant takes.
func modeOf(t *tenancy.Tenant) Mode {
	if t.TestMode {
		return Test
	}
	return Live
}
