package paymentmethods

import (
	"bytes"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/money"
)

// Everywhere is the country code of rows that hold in all countries.
const Everywhere = "*"

// Config says that a country (or everywhere) has a method, or has it not, and how one pays with it.
type Config struct {
	bun.BaseModel `bun:"table:payment_method_configs,alias:pmc"`

	TenantID      uuid.UUID `bun:"tenant_id,pk,type:uuid"`
	ID            uuid.UUID `bun:"id,pk,type:uuid"`
	CountryCode   string    `bun:"country_code"` // ISO 3166 alpha-2, or Everywhere
	Method        Method    `bun:"payment_method"`
	DisplayName   string    `bun:"display_name"`
	Instructions  string    `bun:"instructions"`
	BankDetails   Details   `bun:"bank_details,type:jsonb"`
	WalletDetails Details   `bun:"wallet_details,type:jsonb"`
	// Currency is nil on rows for all currencies; those have no limits.
	Currency         *money.Currency `bun:"currency"`
	MinAmountMinor   *int64          `bun:"min_amount_minor"`
	MaxAmountMinor   *int64          `bun:"max_amount_minor"`
	RequiresEvidence bool            `bun:"requires_evidence"`
	IsEnabled        bool            `bun:"is_enabled"`
	SortOrder        int             `bun:"sort_order"`
	CreatedAt        time.Time       `bun:"created_at,nullzero"`
	UpdatedAt        time.Time       `bun:"updated_at,nullzero"`
}

// limit is a limit of the row as an amount; nil when there is none.
func (c *Config) limit(minor *int64) *money.Money {
	if minor == nil || c.Currency == nil {
		return nil
	}
	m := money.New(*minor, *c.Currency)
	return &m
}

// Saved is a method that an account has saved. Of an account's saved methods exactly one is the default.
type Saved struct {
	bun.BaseModel `bun:"table:account_payment_methods,alias:apm"`

	TenantID    uuid.UUID `bun:"tenant_id,pk,type:uuid"`
	ID          uuid.UUID `bun:"id,pk,type:uuid"`
	AccountID   uuid.UUID `bun:"account_id,type:uuid"`
	Method      Method    `bun:"payment_method"`
	DisplayName string    `bun:"display_name"`
	Details     Details   `bun:"details,type:jsonb"` // of what is sealed, the end only
	Sensitive   []byte    `bun:"sensitive,nullzero"` // sealed
	IsDefault   bool      `bun:"is_default"`
	CreatedAt   time.Time `bun:"created_at,nullzero"`
	UpdatedAt   time.Time `bun:"updated_at,nullzero"`
}

// Details is a JSON object whose keys are its writer's own. Numbers in it are json.Number, never floats. Nil is NULL.
type Details map[string]any

// Value implements driver.Valuer.
func (d Details) Value() (driver.Value, error) {
	if d == nil {
		return nil, nil
	}
	raw, err := json.Marshal(map[string]any(d))
	return string(raw), err
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *Details) UnmarshalJSON(raw []byte) error { return d.Scan(raw) }

// Scan implements sql.Scanner.
func (d *Details) Scan(src any) error {
	var raw []byte
	switch src := src.(type) {
	case nil:
		*d = nil
		return nil
	case []byte:
		raw = src
	case string:
		raw = []byte(src)
	default:
		return fmt.Errorf("read details from %T", src)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec.Decode((*map[string]any)(d))
}
