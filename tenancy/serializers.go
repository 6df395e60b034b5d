package tenancy

import (
	"countersign/billing/money"
	"countersign/internal/web"
)

// UpdateRequest is the body of PATCH tenant/. Of what can be switched off, null does it, and so does 0.
type UpdateRequest struct {
	Name                *string     `json:"name" validate:"omitempty,min=1,max=200"`
	Country             *string     `json:"country" validate:"omitempty,max=60"`
	DefaultCurrency     *string     `json:"default_currency" validate:"omitempty,len=3"`
	Timezone            *string     `json:"timezone" validate:"omitempty,max=60"`
	Locale              *string     `json:"locale" validate:"omitempty,oneof=en ru uz bn"`
	InvoicePrefix       *string     `json:"invoice_prefix" validate:"omitempty,min=1,max=12,alphanum,uppercase"`
	PaymentTermsDays    *int        `json:"payment_terms_days" validate:"omitempty,gte=0,lte=365"`
	TwoApprovalAbove    *web.Number `json:"two_approval_threshold" null:"0"`
	AllowParallelClaims *bool       `json:"allow_parallel_claims"`

	ApplyCreditAutomatically *bool       `json:"apply_credit_automatically"`
	RefundWindowDays         *int        `json:"refund_window_days" validate:"omitempty,gte=0,lte=3650"`
	TwoRefundApprovalsAbove  *web.Number `json:"two_refund_approvals_above" null:"0"`
	WriteOffTolerance        *web.Number `json:"write_off_tolerance" null:"0"`
	PaymentLimit             *web.Number `json:"payment_limit" null:"0"`
	DailyLimit               *web.Number `json:"daily_limit" null:"0"`
	HourlyPayments           *int        `json:"hourly_payments" null:"0" validate:"omitempty,gte=0,lte=1000000"`
	DuplicateWindowMinutes   *int        `json:"duplicate_window_minutes" validate:"omitempty,gte=0,lte=1440"`
}

// input reads the limits as amounts of the currency that the tenant will bill in after the change.
func (req UpdateRequest) input(current *Tenant) (UpdateInput, error) {
	in := UpdateInput{Name: req.Name, Country: req.Country, DefaultCurrency: req.DefaultCurrency, Timezone: req.Timezone, Locale: req.Locale,
		InvoicePrefix: req.InvoicePrefix, PaymentTermsDays: req.PaymentTermsDays, AllowParallelClaims: req.AllowParallelClaims,
		ApplyCreditAutomatically: req.ApplyCreditAutomatically, RefundWindowDays: req.RefundWindowDays, HourlyPayments: req.HourlyPayments, DuplicateWindowMinutes: req.DuplicateWindowMinutes}
	currency := current.DefaultCurrency
	if req.DefaultCurrency != nil {
		parsed, err := money.ParseCurrency(*req.DefaultCurrency)
		if err != nil {
			return in, money.ErrUnknownCurrency.At("default_currency")
		}
		currency = parsed
	}
	for _, l := range []struct {
		name string
		text *web.Number
		to   **int64
	}{
		{"two_approval_threshold", req.TwoApprovalAbove, &in.TwoApprovalThresholdMinor},
		{"two_refund_approvals_above", req.TwoRefundApprovalsAbove, &in.TwoRefundApprovalsAboveMinor},
		{"write_off_tolerance", req.WriteOffTolerance, &in.WriteOffToleranceMinor},
		{"payment_limit", req.PaymentLimit, &in.PaymentLimitMinor},
		{"daily_limit", req.DailyLimit, &in.DailyLimitMinor},
	} {
		if l.text == nil {
			continue
		}
		limit, err := money.Parse(string(*l.text), currency)
		if err != nil || limit.Minor < 0 {
			return in, money.ErrInvalidAmount.At(l.name)
		}
		*l.to = &limit.Minor
	}
	return in, nil
}

// Response is a tenant as its staff see it.
type Response struct {
	ID                    string  `json:"id"`
	Slug                  string  `json:"slug"`
	Name                  string  `json:"name"`
	Country               string  `json:"country"`
	DefaultCurrency       string  `json:"default_currency"`
	Timezone              string  `json:"timezone"`
	Locale                string  `json:"locale"`
	InvoicePrefix         string  `json:"invoice_prefix"`
	PaymentTermsDays      int     `json:"payment_terms_days"`
	TwoApprovalThreshold  *string `json:"two_approval_threshold"`
	TwoApprovalAboveMinor *int64  `json:"two_approval_threshold_minor"`
	AllowParallelClaims   bool    `json:"allow_parallel_claims"`
	TestMode              bool    `json:"test_mode"`

	ApplyCreditAutomatically     bool    `json:"apply_credit_automatically"`
	RefundWindowDays             int     `json:"refund_window_days"`
	TwoRefundApprovalsAbove      *string `json:"two_refund_approvals_above"`
	TwoRefundApprovalsAboveMinor *int64  `json:"two_refund_approvals_above_minor"`
	WriteOffTolerance            string  `json:"write_off_tolerance"`
	WriteOffToleranceMinor       int64   `json:"write_off_tolerance_minor"`
	PaymentLimit                 *string `json:"payment_limit"`
	PaymentLimitMinor            *int64  `json:"payment_limit_minor"`
	DailyLimit                   *string `json:"daily_limit"`
	DailyLimitMinor              *int64  `json:"daily_limit_minor"`
	HourlyPayments               *int    `json:"hourly_payments"`
	DuplicateWindowMinutes       int     `json:"duplicate_window_minutes"`

	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`
}

func newResponse(t *Tenant) Response {
	limit := func(minor *int64) *string {
		if minor == nil {
			return nil
		}
		text := money.New(*minor, t.DefaultCurrency).String()
		return &text
	}
	return Response{ID: t.ID.String(), Slug: t.Slug, Name: t.Name, Country: t.Country, DefaultCurrency: string(t.DefaultCurrency), Timezone: t.Timezone,
		Locale: t.Locale, InvoicePrefix: t.InvoicePrefix, PaymentTermsDays: t.PaymentTermsDays,
		TwoApprovalThreshold: limit(t.TwoApprovalThresholdMinor), TwoApprovalAboveMinor: t.TwoApprovalThresholdMinor, AllowParallelClaims: t.AllowParallelClaims, TestMode: t.TestMode,
		ApplyCreditAutomatically: t.ApplyCreditAutomatically, RefundWindowDays: t.RefundWindowDays,
		TwoRefundApprovalsAbove: limit(t.TwoRefundApprovalsAboveMinor), TwoRefundApprovalsAboveMinor: t.TwoRefundApprovalsAboveMinor,
		WriteOffTolerance: *limit(&t.WriteOffToleranceMinor), WriteOffToleranceMinor: t.WriteOffToleranceMinor,
		PaymentLimit: limit(t.PaymentLimitMinor), PaymentLimitMinor: t.PaymentLimitMinor, DailyLimit: limit(t.DailyLimitMinor), DailyLimitMinor: t.DailyLimitMinor,
		HourlyPayments: t.HourlyPayments, DuplicateWindowMinutes: t.DuplicateWindowMinutes, CreatedAt: web.Time(t.CreatedAt), UpdatedAt: web.Time(t.UpdatedAt)}
}
