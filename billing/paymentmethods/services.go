package paymentmethods

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/money"
	"countersign/internal/audit"
	"countersign/internal/database"
	"countersign/internal/errs"
	"countersign/internal/keyring"
	"countersign/internal/outbox"
	"countersign/tenancy"
)

// maxDetails is how many bytes of JSON the bank or wallet details of a row may have.
const maxDetails = 4096

// Service changes rows and saved methods.
type Service struct {
	db     *bun.DB
	outbox *outbox.Outbox
	keys   *keyring.Keyring
	// publicKeys gives, by gateway, the keys for payers' browsers; nil: nobody has any.
	publicKeys func(ctx context.Context) (map[string]string, error)
}

// New gives the service. db acts as the program's own role; keys seal what is personal in what customers save.
func New(db *bun.DB, events *outbox.Outbox, keys *keyring.Keyring) *Service {
	return &Service{db: db, outbox: events, keys: keys}
}

// KnowPublicKeys tells the service where the keys for payers' browsers come from (S1-33). Gateways are configured
// elsewhere; which of them serves a method is known here.
func (s *Service) KnowPublicKeys(keys func(ctx context.Context) (map[string]string, error)) {
	s.publicKeys = keys
}

// ConfigInput says what a row shall hold; nil leaves a field as it is, or at its default in a new row.
type ConfigInput struct {
	CountryCode   *string // a code, an English name, or Everywhere
	Method        *string
	DisplayName   *string
	Instructions  *string
	BankDetails   Details // empty, not nil: none any more
	WalletDetails Details // empty, not nil: none any more
	Currency      *string // empty: all currencies
	// MinAmount and MaxAmount are plain decimals in the row's currency; zero removes the limit.
	MinAmount        *string
	MaxAmount        *string
	RequiresEvidence *bool
	IsEnabled        *bool
	SortOrder        *int
}

// CreateConfig adds a row; country, method and name must be given. It fails with ErrConfigExists. It needs
// billing.methods.manage.
func (s *Service) CreateConfig(ctx context.Context, in ConfigInput) (*Config, error) {
	var c *Config
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		c, err = s.createConfig(ctx, tx, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (s *Service) createConfig(ctx context.Context, tx bun.Tx, in ConfigInput) (*Config, error) {
	c := &Config{TenantID: tenancy.ID(ctx), ID: uuid.Must(uuid.NewV7()), IsEnabled: true}
	if err := in.apply(c); err != nil {
		return nil, err
	}
	_, err := tx.NewInsert().Model(c).Returning("created_at, updated_at").Exec(ctx)
	if database.IsUnique(err, "payment_method_configs_row_key") {
		return nil, ErrConfigExists
	}
	if err != nil {
		return nil, fmt.Errorf("insert payment method of %s: %w", c.CountryCode, err)
	}
	return c, s.tellConfig(ctx, EventConfigCreated, c, audit.Record{Action: "payment_method_config.create", After: configFacts(c)})
}

// UpdateConfig changes a row. It fails with ErrConfigExists when another row has the new country and method. It needs
// billing.methods.manage.
func (s *Service) UpdateConfig(ctx context.Context, id uuid.UUID, in ConfigInput) (*Config, error) {
	var c *Config
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		c, err = one(ctx, configs(ctx, tx).Where("pmc.id = ?", id).For("UPDATE"), &Config{})
		if err != nil {
			return err
		}
		return s.updateConfig(ctx, tx, c, in)
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// updateConfig changes the locked row c.
func (s *Service) updateConfig(ctx context.Context, tx bun.Tx, c *Config, in ConfigInput) error {
	before := configFacts(c)
	if err := in.apply(c); err != nil {
		return err
	}
	_, err := tx.NewUpdate().Model(c).
		Column("country_code", "payment_method", "display_name", "instructions", "bank_details", "wallet_details", "currency",
			"min_amount_minor", "max_amount_minor", "requires_evidence", "is_enabled", "sort_order").
		Set("updated_at = now()").
		Where("pmc.tenant_id = ?", c.TenantID).Where("pmc.id = ?", c.ID).
		Returning("updated_at").Exec(ctx)
	if database.IsUnique(err, "payment_method_configs_row_key") {
		return ErrConfigExists
	}
	if err != nil {
		return fmt.Errorf("update payment method %s: %w", c.ID, err)
	}
	return s.tellConfig(ctx, EventConfigUpdated, c,
		audit.Record{Action: "payment_method_config.update", Before: before, After: configFacts(c)})
}

// DeleteConfig removes a row. Payments keep the method they were made with. It needs billing.methods.manage.
func (s *Service) DeleteConfig(ctx context.Context, id uuid.UUID) error {
	return tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		c, err := one(ctx, configs(ctx, tx).Where("pmc.id = ?", id).For("UPDATE"), &Config{})
		if err != nil {
			return err
		}
		_, err = tx.NewDelete().Model(c).Where("pmc.tenant_id = ?", c.TenantID).Where("pmc.id = ?", c.ID).Exec(ctx)
		if err != nil {
			return fmt.Errorf("delete payment method %s: %w", c.ID, err)
		}
		return s.tellConfig(ctx, EventConfigDeleted, c, audit.Record{Action: "payment_method_config.delete", Before: configFacts(c)})
	})
}

func (s *Service) tellConfig(ctx context.Context, event string, c *Config, record audit.Record) error {
	record.ObjectType, record.ObjectID = "payment_method_config", c.ID
	if err := audit.Write(ctx, record); err != nil {
		return err
	}
	return s.outbox.Emit(ctx, configEvent(event, c))
}

// configFacts is what the audit log keeps of a row: all of it. Whoever can change where customers send their money
// must not be able to do so unseen.
func configFacts(c *Config) map[string]any {
	return map[string]any{"country_code": c.CountryCode, "payment_method": c.Method, "display_name": c.DisplayName,
		"instructions": c.Instructions, "bank_details": c.BankDetails, "wallet_details": c.WalletDetails, "currency": c.Currency,
		"min_amount_minor": c.MinAmountMinor, "max_amount_minor": c.MaxAmountMinor, "requires_evidence": c.RequiresEvidence,
		"is_enabled": c.IsEnabled, "sort_order": c.SortOrder}
}

func (in ConfigInput) apply(c *Config) error {
	var fields errs.Fields
	if in.CountryCode != nil {
		country, err := parseCountry(*in.CountryCode)
		if err != nil {
			fields.Add("country_code", errs.As(err))
		}
		c.CountryCode = country
	}
	if in.Method != nil {
		method, err := ParseMethod(*in.Method)
		if err != nil {
			fields.Add("payment_method", errs.As(err))
		}
		c.Method = method
	}
	setDetails(&c.BankDetails, in.BankDetails, "bank_details", &fields)
	setDetails(&c.WalletDetails, in.WalletDetails, "wallet_details", &fields)
	in.applyLimits(c, &fields)
	set(&c.DisplayName, in.DisplayName)
	set(&c.Instructions, in.Instructions)
	set(&c.RequiresEvidence, in.RequiresEvidence)
	set(&c.IsEnabled, in.IsEnabled)
	set(&c.SortOrder, in.SortOrder)
	return fields.Err()
}

func set[T any](dst *T, value *T) {
	if value != nil {
		*dst = *value
	}
}

func setDetails(dst *Details, value Details, field string, fields *errs.Fields) {
	if value == nil {
		return
	}
	if raw, err := json.Marshal(value); err != nil || len(raw) > maxDetails {
		fields.Add(field, ErrDetailsTooLarge.With("limit", maxDetails))
	}
	*dst = value
	if len(value) == 0 {
		*dst = nil
	}
}

// applyLimits sets currency, minimum and maximum together, because an amount means nothing without its currency.
func (in ConfigInput) applyLimits(c *Config, fields *errs.Fields) {
	old := c.Currency
	if in.Currency != nil {
		currency, err := optionalCurrency(*in.Currency)
		if err != nil {
			fields.Add("currency", errs.As(err))
			return
		}
		c.Currency = currency
	}
	if !same(old, c.Currency) && (c.MinAmountMinor != nil && in.MinAmount == nil || c.MaxAmountMinor != nil && in.MaxAmount == nil) {
		fields.Add("currency", ErrRestateLimits)
		return
	}
	c.setLimit(&c.MinAmountMinor, in.MinAmount, "min_amount", fields)
	c.setLimit(&c.MaxAmountMinor, in.MaxAmount, "max_amount", fields)
	if c.MinAmountMinor != nil && c.MaxAmountMinor != nil && *c.MinAmountMinor > *c.MaxAmountMinor {
		fields.Add("min_amount", ErrLimitsCrossed)
	}
}

func optionalCurrency(text string) (*money.Currency, error) {
	if text == "" {
		return nil, nil
	}
	currency, err := money.ParseCurrency(text)
	return &currency, err
}

func same[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

func (c *Config) setLimit(dst **int64, text *string, field string, fields *errs.Fields) {
	if text == nil {
		return
	}
	if isZero(*text) {
		*dst = nil
		return
	}
	if c.Currency == nil {
		fields.Add(field, ErrLimitNeedsCurrency)
		return
	}
	limit, err := money.Parse(*text, *c.Currency)
	if err == nil && !limit.IsPositive() {
		err = money.ErrInvalidAmount
	}
	if err != nil {
		fields.Add(field, errs.As(err))
		return
	}
	*dst = &limit.Minor
}

// isZero reports a zero in whatever currency.
func isZero(text string) bool {
	d, err := money.ParseDecimal(text, 20, 20)
	return err == nil && d.IsZero()
}

// parseCountry reads the country of a row: Everywhere, a code or an English name.
func parseCountry(text string) (string, error) {
	if text == Everywhere {
		return text, nil
	}
	code, err := tenancy.ParseCountry(text)
	if err == nil && len(code) != 2 { // the library knows things that are no countries, such as international waters
		return "", tenancy.ErrCountry
	}
	return code, err
}
