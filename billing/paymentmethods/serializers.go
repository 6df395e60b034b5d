package paymentmethods

import (
	"context"

	"countersign/billing/money"
	"countersign/internal/auth"
	"countersign/internal/web"
)

// CreateConfigRequest is the body of POST payment-method-configs/.
type CreateConfigRequest struct {
	CountryCode      string       `json:"country_code" validate:"required,max=60"`
	PaymentMethod    string       `json:"payment_method" validate:"required,max=40"`
	DisplayName      string       `json:"display_name" validate:"required,max=100"`
	Instructions     *string      `json:"instructions" validate:"omitempty,max=4000"`
	BankDetails      web.FreeForm `json:"bank_details"`
	WalletDetails    web.FreeForm `json:"wallet_details"`
	Currency         *string      `json:"currency"`
	MinAmount        *web.Number  `json:"min_amount"`
	MaxAmount        *web.Number  `json:"max_amount"`
	RequiresEvidence *bool        `json:"requires_evidence"`
	IsEnabled        *bool        `json:"is_enabled"`
	SortOrder        *int         `json:"sort_order" validate:"omitempty,gte=-1000000,lte=1000000"`
}

func (req CreateConfigRequest) input() ConfigInput {
	return ConfigInput{CountryCode: &req.CountryCode, Method: &req.PaymentMethod, DisplayName: &req.DisplayName,
		Instructions: req.Instructions, BankDetails: Details(req.BankDetails), WalletDetails: Details(req.WalletDetails),
		Currency: req.Currency, MinAmount: (*string)(req.MinAmount), MaxAmount: (*string)(req.MaxAmount),
		RequiresEvidence: req.RequiresEvidence, IsEnabled: req.IsEnabled, SortOrder: req.SortOrder}
}

// UpdateConfigRequest is the body of PATCH payment-method-configs/{id}/. An empty object removes details, an empty
// currency means all, and 0 removes a limit.
type UpdateConfigRequest struct {
	CountryCode      *string      `json:"country_code" validate:"omitempty,max=60"`
	PaymentMethod    *string      `json:"payment_method" validate:"omitempty,max=40"`
	DisplayName      *string      `json:"display_name" validate:"omitempty,min=1,max=100"`
	Instructions     *string      `json:"instructions" validate:"omitempty,max=4000"`
	BankDetails      web.FreeForm `json:"bank_details"`
	WalletDetails    web.FreeForm `json:"wallet_details"`
	Currency         *string      `json:"currency"`
	MinAmount        *web.Number  `json:"min_amount"`
	MaxAmount        *web.Number  `json:"max_amount"`
	RequiresEvidence *bool        `json:"requires_evidence"`
	IsEnabled        *bool        `json:"is_enabled"`
	SortOrder        *int         `json:"sort_order" validate:"omitempty,gte=-1000000,lte=1000000"`
}

func (req UpdateConfigRequest) input() ConfigInput {
	return ConfigInput{CountryCode: req.CountryCode, Method: req.PaymentMethod, DisplayName: req.DisplayName,
		Instructions: req.Instructions, BankDetails: Details(req.BankDetails), WalletDetails: Details(req.WalletDetails),
		Currency: req.Currency, MinAmount: (*string)(req.MinAmount), MaxAmount: (*string)(req.MaxAmount),
		RequiresEvidence: req.RequiresEvidence, IsEnabled: req.IsEnabled, SortOrder: req.SortOrder}
}

// ConfigResponse is a row as staff see it.
type ConfigResponse struct {
	ID               string          `json:"id"`
	CountryCode      string          `json:"country_code"`
	PaymentMethod    Method          `json:"payment_method"`
	DisplayName      string          `json:"display_name"`
	Instructions     string          `json:"instructions"`
	BankDetails      Details         `json:"bank_details"`
	WalletDetails    Details         `json:"wallet_details"`
	Currency         *money.Currency `json:"currency"`
	MinAmount        *string         `json:"min_amount"`
	MinAmountMinor   *int64          `json:"min_amount_minor"`
	MaxAmount        *string         `json:"max_amount"`
	MaxAmountMinor   *int64          `json:"max_amount_minor"`
	RequiresEvidence bool            `json:"requires_evidence"`
	IsEnabled        bool            `json:"is_enabled"`
	SortOrder        int             `json:"sort_order"`
	CreatedAt        string          `json:"created_at"`
	UpdatedAt        string          `json:"updated_at"`
}

func newConfigResponse(c *Config) ConfigResponse {
	return ConfigResponse{ID: c.ID.String(), CountryCode: c.CountryCode, PaymentMethod: c.Method, DisplayName: c.DisplayName,
		Instructions: c.Instructions, BankDetails: c.BankDetails, WalletDetails: c.WalletDetails, Currency: c.Currency,
		MinAmount: text(c.limit(c.MinAmountMinor)), MinAmountMinor: c.MinAmountMinor,
		MaxAmount: text(c.limit(c.MaxAmountMinor)), MaxAmountMinor: c.MaxAmountMinor,
		RequiresEvidence: c.RequiresEvidence, IsEnabled: c.IsEnabled, SortOrder: c.SortOrder,
		CreatedAt: web.Time(c.CreatedAt), UpdatedAt: web.Time(c.UpdatedAt)}
}

func text(m *money.Money) *string {
	if m == nil {
		return nil
	}
	s := m.String()
	return &s
}

func minor(m *money.Money) *int64 {
	if m == nil {
		return nil
	}
	return &m.Minor
}

// OfferResponse is a method that a payer may use, and how.
type OfferResponse struct {
	ID            string `json:"id"`
	PaymentMethod Method `json:"payment_method"`
	// Type is the same as PaymentMethod, under seed 003's other name.
	Type              Method          `json:"type"`
	DisplayName       string          `json:"display_name"`
	Instructions      string          `json:"instructions"`
	CountryCode       string          `json:"country_code"`
	IsEnabled         bool            `json:"is_enabled"` // always true: what is switched off is not listed
	Currency          *money.Currency `json:"currency"`
	SortOrder         int             `json:"sort_order"`
	IsDefault         bool            `json:"is_default"`
	RequiresReference bool            `json:"requires_reference"`
	RequiresEvidence  bool            `json:"requires_evidence"`
	MinAmount         *string         `json:"min_amount"`
	MinAmountMinor    *int64          `json:"min_amount_minor"`
	MaxAmount         *string         `json:"max_amount"`
	MaxAmountMinor    *int64          `json:"max_amount_minor"`
	BankDetails       Details         `json:"bank_details,omitempty"`
	WalletDetails     Details         `json:"wallet_details,omitempty"`
	// PublishableKey is for the payer's browser, where the method's gateway has such a key; never a secret (S1-33).
	PublishableKey string `json:"publishable_key,omitempty"`
}

func newOfferResponse(o Offer) OfferResponse {
	return OfferResponse{ID: o.ConfigID.String(), PaymentMethod: o.Method, Type: o.Method, DisplayName: o.DisplayName,
		Instructions: o.Instructions, CountryCode: o.CountryCode, IsEnabled: true, Currency: optional(o.Currency), SortOrder: o.SortOrder,
		IsDefault: o.IsDefault, RequiresReference: o.RequiresReference, RequiresEvidence: o.RequiresEvidence,
		MinAmount: text(o.Min), MinAmountMinor: minor(o.Min), MaxAmount: text(o.Max), MaxAmountMinor: minor(o.Max),
		BankDetails: o.BankDetails, WalletDetails: o.WalletDetails, PublishableKey: o.PublishableKey}
}

// optional is nil for a zero value, which answers show as null.
func optional[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

// AvailableResponse is the answer of payment-methods/available/.
type AvailableResponse struct {
	Methods       []OfferResponse `json:"methods"`
	Country       string          `json:"country"`
	Currency      *money.Currency `json:"currency"`
	DefaultMethod *Method         `json:"default_method"`
	Count         int             `json:"count"`
}

func newAvailableResponse(q Query, offers []Offer) AvailableResponse {
	answer := AvailableResponse{Methods: make([]OfferResponse, len(offers)), Country: q.Country, Currency: optional(q.currency()), Count: len(offers)}
	for i, o := range offers {
		answer.Methods[i] = newOfferResponse(o)
		if o.IsDefault {
			answer.DefaultMethod = &o.Method
		}
	}
	return answer
}

// SaveRequest is the body of POST payment-methods/.
type SaveRequest struct {
	AccountID     string       `json:"account_id" validate:"max=100"` // staff only, by id or external id
	PaymentMethod string       `json:"payment_method" validate:"required,max=40"`
	DisplayName   string       `json:"display_name" validate:"required,max=100"`
	Details       web.FreeForm `json:"details"`
	IsDefault     bool         `json:"is_default"`
}

// check: staff must name the account, and for members, whose account comes from their login, there is no such field.
func (req SaveRequest) check(ctx context.Context) error {
	if p, _ := auth.From(ctx); p.IsMember() {
		if req.AccountID != "" {
			return web.ErrUnknownField.At("account_id")
		}
		return nil
	}
	return web.Validate(struct {
		AccountID string `json:"account_id" validate:"required"`
	}{req.AccountID})
}

// UpdateSavedRequest is the body of PATCH payment-methods/{id}/. An empty object removes details.
type UpdateSavedRequest struct {
	DisplayName *string      `json:"display_name" validate:"omitempty,min=1,max=100"`
	Details     web.FreeForm `json:"details"`
}

// SavedResponse is a saved method.
type SavedResponse struct {
	ID            string  `json:"id"`
	AccountID     string  `json:"account_id"`
	PaymentMethod Method  `json:"payment_method"`
	Type          Method  `json:"type"` // the same, under seed 003's other name
	DisplayName   string  `json:"display_name"`
	Details       Details `json:"details"`
	IsDefault     bool    `json:"is_default"`
	CreatedAt     string  `json:"created_at"`
	UpdatedAt     string  `json:"updated_at"`
}

func newSavedResponse(m *Saved) SavedResponse {
	return SavedResponse{ID: m.ID.String(), AccountID: m.AccountID.String(), PaymentMethod: m.Method, Type: m.Method,
		DisplayName: m.DisplayName, Details: m.Details, IsDefault: m.IsDefault,
		CreatedAt: web.Time(m.CreatedAt), UpdatedAt: web.Time(m.UpdatedAt)}
}
