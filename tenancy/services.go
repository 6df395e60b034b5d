package tenancy

import (
	"context"
	"fmt"
	"net/url"
	"reflect"
	"time"

	"github.com/biter777/countries"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/money"
	"countersign/internal/audit"
	"countersign/internal/database"
	"countersign/internal/errs"
	"countersign/internal/web"
)

// Service changes tenants.
type Service struct {
	db *bun.DB
}

// New gives the service. db acts as the program's own role.
func New(db *bun.DB) *Service { return &Service{db} }

// CreateInput is what a new tenant needs.
type CreateInput struct {
	Slug            string
	Name            string
	Country         string // ISO 3166 alpha-2
	DefaultCurrency string // ISO 4217
	Timezone        string // IANA name; empty: UTC
	Locale          string // en, ru, uz or bn; empty: en
	TestMode        bool   // for life
}

// Create makes a tenant. Only the operator may: it is called by commands, under the name by.
func (s *Service) Create(ctx context.Context, by string, in CreateInput) (*Tenant, error) {
	if err := web.CheckForm(url.Values{"slug": {in.Slug}, "name": {in.Name}}); err != nil { // a command has no body that was looked at
		return nil, err
	}
	currency, err := money.ParseCurrency(in.DefaultCurrency)
	if err != nil {
		return nil, err
	}
	country, err := ParseCountry(in.Country)
	if err != nil {
		return nil, err
	}
	if _, err := time.LoadLocation(in.Timezone); err != nil {
		return nil, ErrTimezone
	}
	t := &Tenant{ID: uuid.Must(uuid.NewV7()), Slug: in.Slug, Name: in.Name, Country: country, DefaultCurrency: currency,
		Timezone: orDefault(in.Timezone, "UTC"), Locale: orDefault(in.Locale, "en"), InvoicePrefix: "INV", PaymentTermsDays: 30, TestMode: in.TestMode,
		RefundWindowDays: 90, IsActive: true}
	err = InTx(AsSystem(ctx, t.ID, by), s.db, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewInsert().Model(t).Returning("created_at, updated_at").Exec(ctx); err != nil {
			if database.IsUnique(err, "tenants_slug_key") {
				return ErrSlugTaken
			}
			return fmt.Errorf("insert tenant: %w", err)
		}
		return audit.Write(ctx, audit.Record{Action: "tenant.create", ObjectType: "tenant", ObjectID: t.ID,
			After: map[string]any{"slug": t.Slug, "country": t.Country, "default_currency": t.DefaultCurrency, "test_mode": t.TestMode}})
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// ParseCountry normalises an ISO 3166 alpha-2 code or an English country name to the code (Z-37).
func ParseCountry(text string) (string, error) {
	c := countries.ByName(text)
	code := c.Alpha2()
	if len(code) != 2 { // the library also knows what is no country, such as International
		return "", ErrCountry
	}
	return code, nil
}

// CountryName gives the English name of a country by its code, or the code itself when it is no country's.
func CountryName(code string) string {
	if c := countries.ByName(code); c != countries.Unknown {
		return c.String()
	}
	return code
}

// UpdateInput names what changes; nil leaves a setting as it is.
type UpdateInput struct {
	Name                      *string
	Country                   *string
	DefaultCurrency           *string
	Timezone                  *string
	Locale                    *string
	InvoicePrefix             *string
	PaymentTermsDays          *int
	TwoApprovalThresholdMinor *int64 // zero switches the second approval off
	AllowParallelClaims       *bool
	ApplyCreditAutomatically  *bool
	RefundWindowDays          *int
	DuplicateWindowMinutes    *int

	// zero switches these off
	TwoRefundApprovalsAboveMinor *int64
	WriteOffToleranceMinor       *int64
	PaymentLimitMinor            *int64
	DailyLimitMinor              *int64
	HourlyPayments               *int
}

// Update changes the settings of the caller's tenant. It needs tenant.manage. With another currency it wants the limits that there are anew,
// since they are amounts of it: web.ErrRequired. An update that changes nothing leaves no trace: proofs ask since when the settings are as they are.
func (s *Service) Update(ctx context.Context, in UpdateInput) (*Tenant, error) {
	var t *Tenant
	err := InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		t = &Tenant{}
		if err := tx.NewSelect().Model(t).Where("t.id = ?", ID(ctx)).For("UPDATE").Scan(ctx); err != nil {
			return fmt.Errorf("lock tenant: %w", err)
		}
		before := settings(t)
		if err := in.apply(t); err != nil {
			return err
		}
		after := settings(t)
		if reflect.DeepEqual(before, after) {
			return nil
		}
		err := tx.NewUpdate().Model(t).
			Column("name", "country", "default_currency", "timezone", "locale", "invoice_prefix", "payment_terms_days",
				"two_approval_threshold_minor", "allow_parallel_claims", "apply_credit_automatically", "refund_window_days", "two_refund_approvals_above_minor",
				"write_off_tolerance_minor", "payment_limit_minor", "daily_limit_minor", "hourly_payments", "duplicate_window_minutes").
			Set("updated_at = now()").Where("t.id = ?", t.ID).Returning("updated_at").Scan(ctx)
		if err != nil {
			return fmt.Errorf("update tenant: %w", err)
		}
		return audit.Write(ctx, audit.Record{Action: "tenant.update", ObjectType: "tenant", ObjectID: t.ID, Before: before, After: after})
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (in UpdateInput) apply(t *Tenant) error {
	var fields errs.Fields
	if in.Country != nil {
		country, err := ParseCountry(*in.Country)
		if err != nil {
			fields.Add("country", ErrCountry)
		}
		t.Country = country
	}
	if in.DefaultCurrency != nil {
		currency, err := money.ParseCurrency(*in.DefaultCurrency)
		if err != nil {
			fields.Add("default_currency", money.ErrUnknownCurrency)
		}
		if err == nil && currency != t.DefaultCurrency { // limits are amounts of it: what stays would mean something else
			for name, kept := range map[string]bool{
				"two_approval_threshold":     t.TwoApprovalThresholdMinor != nil && in.TwoApprovalThresholdMinor == nil,
				"two_refund_approvals_above": t.TwoRefundApprovalsAboveMinor != nil && in.TwoRefundApprovalsAboveMinor == nil,
				"write_off_tolerance":        t.WriteOffToleranceMinor != 0 && in.WriteOffToleranceMinor == nil,
				"payment_limit":              t.PaymentLimitMinor != nil && in.PaymentLimitMinor == nil,
				"daily_limit":                t.DailyLimitMinor != nil && in.DailyLimitMinor == nil,
			} {
				if kept {
					fields.Add(name, web.ErrRequired)
				}
			}
		}
		t.DefaultCurrency = currency
	}
	if in.Timezone != nil {
		if _, err := time.LoadLocation(*in.Timezone); err != nil || *in.Timezone == "" || *in.Timezone == "Local" {
			fields.Add("timezone", ErrTimezone)
		}
		t.Timezone = *in.Timezone
	}
	set(&t.Name, in.Name)
	set(&t.Locale, in.Locale)
	set(&t.InvoicePrefix, in.InvoicePrefix)
	set(&t.PaymentTermsDays, in.PaymentTermsDays)
	set(&t.AllowParallelClaims, in.AllowParallelClaims)
	set(&t.ApplyCreditAutomatically, in.ApplyCreditAutomatically)
	set(&t.RefundWindowDays, in.RefundWindowDays)
	set(&t.DuplicateWindowMinutes, in.DuplicateWindowMinutes)
	set(&t.WriteOffToleranceMinor, in.WriteOffToleranceMinor)
	setOrClear(&t.TwoApprovalThresholdMinor, in.TwoApprovalThresholdMinor)
	setOrClear(&t.TwoRefundApprovalsAboveMinor, in.TwoRefundApprovalsAboveMinor)
	setOrClear(&t.PaymentLimitMinor, in.PaymentLimitMinor)
	setOrClear(&t.DailyLimitMinor, in.DailyLimitMinor)
	setOrClear(&t.HourlyPayments, in.HourlyPayments)
	return fields.Err()
}

// setOrClear sets a limit; zero takes it away.
func setOrClear[T int | int64](dst **T, value *T) {
	switch {
	case value == nil:
	case *value == 0:
		*dst = nil
	default:
		*dst = value
	}
}

func set[T any](dst *T, value *T) {
	if value != nil {
		*dst = *value
	}
}

func settings(t *Tenant) map[string]any {
	return map[string]any{"name": t.Name, "country": t.Country, "default_currency": t.DefaultCurrency, "timezone": t.Timezone, "locale": t.Locale,
		"invoice_prefix": t.InvoicePrefix, "payment_terms_days": t.PaymentTermsDays,
		"two_approval_threshold_minor": t.TwoApprovalThresholdMinor, "allow_parallel_claims": t.AllowParallelClaims,
		"apply_credit_automatically": t.ApplyCreditAutomatically, "refund_window_days": t.RefundWindowDays,
		"two_refund_approvals_above_minor": t.TwoRefundApprovalsAboveMinor, "write_off_tolerance_minor": t.WriteOffToleranceMinor,
		"payment_limit_minor": t.PaymentLimitMinor, "daily_limit_minor": t.DailyLimitMinor, "hourly_payments": t.HourlyPayments,
		"duplicate_window_minutes": t.DuplicateWindowMinutes}
}
