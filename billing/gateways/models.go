package gateways

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/keyring"
)

var validName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,39}$`)

// Config is what a tenant has given a gateway for one mode.
type Config struct {
	bun.BaseModel `bun:"table:gateway_configs,alias:gc"`

	TenantID     uuid.UUID         `bun:"tenant_id,pk,type:uuid"`
	ID           uuid.UUID         `bun:"id,pk,type:uuid"`
	Name         string            `bun:"name"`
	Gateway      string            `bun:"gateway"`
	Mode         Mode              `bun:"mode"`
	DisplayName  string            `bun:"display_name"`
	IsEnabled    bool              `bun:"is_enabled"`
	Settings     map[string]string `bun:"settings,type:jsonb"`
	ErrorMap     map[string]string `bun:"error_map,type:jsonb"`
	Sealed       []byte            `bun:"credentials"`
	EndpointHash []byte            `bun:"endpoint_hash"`
	Version      int               `bun:"version"`
	CreatedAt    time.Time         `bun:"created_at,nullzero"`
	UpdatedAt    time.Time         `bun:"updated_at,nullzero"`
}

// sealedCredentials is the column that only the ring opens.
var sealedCredentials = apps.SealedColumn{Table: "gateway_configs", Column: "credentials"}

// vault is what is sealed in a row.
type vault struct {
	Secrets  map[string]string `json:"secrets"`
	Endpoint string            `json:"endpoint"`
}

func (c *Config) place() keyring.Place {
	return keyring.Place{Tenant: c.TenantID, Purpose: sealedCredentials.Purpose(), Row: c.ID}
}

// seal puts v into the row.
func (c *Config) seal(k *keyring.Keyring, v vault) error {
	plain, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.Sealed, c.EndpointHash = k.Seal(c.place(), plain), hashEndpoint(v.Endpoint)
	return nil
}

func (c *Config) open(k *keyring.Keyring) (vault, error) {
	plain, err := k.Open(c.place(), c.Sealed)
	if err != nil {
		return vault{}, fmt.Errorf("open the credentials of gateway %s (%s): %w", c.Name, c.Mode, err)
	}
	var v vault
	return v, json.Unmarshal(plain, &v)
}

// facts are what the audit log keeps of a row: everything but the secrets, of which it keeps the names.
func (c *Config) facts(v vault) map[string]any {
	return map[string]any{"name": c.Name, "gateway": c.Gateway, "mode": c.Mode, "display_name": c.DisplayName, "is_enabled": c.IsEnabled,
		"settings": maps.Clone(c.Settings), "error_map": maps.Clone(c.ErrorMap), "secrets": slices.Sorted(maps.Keys(v.Secrets)), "version": c.Version}
}

// endpointPrefix makes a leaked endpoint recognisable.
const endpointPrefix = "gwe_"

const (
	endpointSecret = 32
	endpointText   = (16 + endpointSecret) * 4 / 3 // in base64, which comes out even
)

// newEndpoint makes the part of a callback's path that cannot be guessed. It says in which tenant it is looked up, as
// tokens do: a forged tenant finds nothing there.
func newEndpoint(tenant uuid.UUID) string {
	raw := make([]byte, 16+endpointSecret)
	copy(raw, tenant[:])
	rand.Read(raw[16:]) // never fails
	return endpointPrefix + base64.RawURLEncoding.EncodeToString(raw)
}

// tenantOf reads the tenant out of an endpoint; ok is false for what we never gave out.
func tenantOf(endpoint string) (tenant uuid.UUID, ok bool) {
	text, found := strings.CutPrefix(endpoint, endpointPrefix)
	if !found || len(text) != endpointText {
		return uuid.Nil, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) != 16+endpointSecret {
		return uuid.Nil, false
	}
	tenant = uuid.UUID(raw[:16])
	return tenant, tenant != uuid.Nil
}

// hashEndpoint is what an endpoint is looked up by. It needs no salt: the endpoint is 256 random bits.
func hashEndpoint(endpoint string) []byte {
	sum := sha256.Sum256([]byte(endpoint))
	return sum[:]
}
