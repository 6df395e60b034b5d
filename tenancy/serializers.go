package tenancy

import (
	"countersign/billing/money"
	"countersign/internal/web"
)

// UpdateRequest is the body of PATCH tenant/.
type UpdateRequest struct {
	Name                *string     `json:"name" validate:"omitempty,min=1,max=200"`
	Country             *string     `json:"country" validate:"omitempty,max=60"`
	DefaultCurrency     *string     `json:"default_currency" validate:"omitempty,len=3"`
	Timezone            *string     `json:"timezone" validate:"omitempty,max=60"`
	Locale              *string     `json:"locale" validate:"omitempty,oneof=en ru uz bn"`
	InvoicePrefix       *string     `json:"invoice_prefix" validate:"omitempty,min=1,max=12,alphanum,uppercase"`
	PaymentTermsDays    *int        `json:"payment_terms_days" validate:"omitempty,gte=0,lte=365"`
	TwoApprovalAbove    *web.Number `json:"two_approval_threshold"`
	AllowParallelClaims *bool       `json:"allow_parallel_claims"`
}

// input reads the threshold as an amount of the currency that the tenant will bill in after the change.
func (req UpdateRequest) input(current *Tenant) (UpdateInput, error) {
	in := UpdateInput{Name: req.Name, Country: req.Country, DefaultCurrency: req.DefaultCurrency, Timezone: req.Timezone, Locale: req.Locale,
		InvoicePrefix: req.InvoicePrefix, PaymentTermsDays: req.PaymentTermsDays, AllowParallelClaims: req.AllowParallelClaims}
	if req.TwoApprovalAbove == nil {
		return in, nil
	}
	currency := current.DefaultCurrency
	if req.DefaultCurrency != nil {
		parsed, err := money.ParseCurrency(*req.DefaultCurrency)
		if err != nil {
			return in, money.ErrUnknownCurrency.At("default_currency")
		}
		currency = parsed
	}
	limit, err := money.Parse(string(*req.TwoApprovalAbove), currency)
	if err != nil || limit.Minor < 0 {
		return in, money.ErrInvalidAmount.At("two_approval_threshold")
	}
	in.TwoApprovalThresholdMinor = &limit.Minor
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
	CreatedAt             string  `json:"created_at"`
	UpdatedAt             string  `json:"updated_at"`
}

func newResponse(t *Tenant) Response {
	r := Response{ID: t.ID.String(), Slug: t.Slug, Name: t.Name, Country: t.Country, DefaultCurrency: string(t.DefaultCurrency), Timezone: t.Timezone,
		Locale: t.Locale, InvoicePrefix: t.InvoicePrefix, PaymentTermsDays: t.PaymentTermsDays, TwoApprovalAboveMinor: t.TwoApprovalThresholdMinor,
		AllowParallelClaims: t.AllowParallelClaims, CreatedAt: web.Time(t.CreatedAt), UpdatedAt: web.Time(t.UpdatedAt)}
	if t.TwoApprovalThresholdMinor != nil {
		text := money.New(*t.TwoApprovalThresholdMinor, t.DefaultCurrency).String()
		r.TwoApprovalThreshold = &text
	}
	return r
}
