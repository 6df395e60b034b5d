package accounts

import (
	"encoding/json"
	"strings"

	"github.com/google/uuid"

	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/web"
)

// CreateAccountRequest is the body of POST billing/accounts/. account_type and account_holder are seed 002's names.
type CreateAccountRequest struct {
	Kind                 string       `json:"kind" validate:"max=20"`
	AccountType          string       `json:"account_type" validate:"max=20"`
	Holder               string       `json:"holder" validate:"max=200"`
	AccountHolder        string       `json:"account_holder" validate:"max=200"`
	Country              string       `json:"country" validate:"max=60"`
	Currency             string       `json:"currency" validate:"omitempty,len=3"`
	ExternalID           string       `json:"external_id" validate:"max=100"`
	Email                string       `json:"email" validate:"max=254"`
	PatientID            string       `json:"patient_id" validate:"max=100"`
	BillingAddress       web.FreeForm `json:"billing_address"`
	PaymentMethods       []string     `json:"payment_methods" validate:"max=20,dive,max=40"`
	DefaultPaymentMethod string       `json:"default_payment_method" validate:"max=40"`
	IsActive             *bool        `json:"is_active"`
}

func (req CreateAccountRequest) input() (CreateAccountInput, error) {
	in := CreateAccountInput{Country: req.Country, Currency: req.Currency, ExternalID: req.ExternalID, Email: req.Email, PatientID: req.PatientID,
		BillingAddress: req.BillingAddress, PaymentMethods: req.PaymentMethods, DefaultPaymentMethod: req.DefaultPaymentMethod,
		Inactive: req.IsActive != nil && !*req.IsActive}
	var fields errs.Fields
	in.Kind = either("kind", req.Kind, "account_type", req.AccountType, &fields)
	in.Holder = either("holder", req.Holder, "account_holder", req.AccountHolder, &fields)
	return in, fields.Err()
}

// either gives the value of a field that has two names.
func either(name, value, alias, other string, fields *errs.Fields) string {
	if value != "" && other != "" && !strings.EqualFold(value, other) {
		fields.Add(name, ErrAliasesDiffer.With("one", name).With("other", alias))
	}
	return first(value, other)
}

// UpdateAccountRequest is the body of PATCH billing/accounts/{id}/. An empty text takes an optional value away.
type UpdateAccountRequest struct {
	Kind                 *string       `json:"kind" validate:"omitempty,max=20"`
	AccountType          *string       `json:"account_type" validate:"omitempty,max=20"`
	Holder               *string       `json:"holder" validate:"omitempty,max=200"`
	AccountHolder        *string       `json:"account_holder" validate:"omitempty,max=200"`
	Country              *string       `json:"country" validate:"omitempty,max=60"`
	Currency             *string       `json:"currency" validate:"omitempty,len=3"`
	ExternalID           *string       `json:"external_id" validate:"omitempty,max=100"`
	Email                *string       `json:"email" validate:"omitempty,max=254"`
	PatientID            *string       `json:"patient_id" validate:"omitempty,max=100"`
	BillingAddress       *web.FreeForm `json:"billing_address"`
	PaymentMethods       *[]string     `json:"payment_methods" validate:"omitempty,max=20,dive,max=40"`
	DefaultPaymentMethod *string       `json:"default_payment_method" validate:"omitempty,max=40"`
	IsActive             *bool         `json:"is_active"`
}

func (req UpdateAccountRequest) input() (UpdateAccountInput, error) {
	in := UpdateAccountInput{Kind: req.Kind, Holder: req.Holder, Country: req.Country, Currency: req.Currency, ExternalID: req.ExternalID, Email: req.Email,
		PatientID: req.PatientID, BillingAddress: req.BillingAddress, PaymentMethods: req.PaymentMethods, DefaultPaymentMethod: req.DefaultPaymentMethod,
		IsActive: req.IsActive}
	var fields errs.Fields
	in.Kind = eitherPointer("kind", req.Kind, "account_type", req.AccountType, &fields)
	in.Holder = eitherPointer("holder", req.Holder, "account_holder", req.AccountHolder, &fields)
	return in, fields.Err()
}

func eitherPointer(name string, value *string, alias string, other *string, fields *errs.Fields) *string {
	if value == nil || other == nil {
		if value == nil {
			return other
		}
		return value
	}
	chosen := either(name, *value, alias, *other, fields)
	return &chosen
}

// AccountResponse is an account in answers.
type AccountResponse struct {
	ID                   string          `json:"id"`
	Number               string          `json:"number"`
	AccountNumber        string          `json:"account_number"`
	ExternalID           *string         `json:"external_id"`
	Kind                 string          `json:"kind"`
	Holder               string          `json:"holder"`
	Country              string          `json:"country"`
	Currency             string          `json:"currency"`
	Email                *string         `json:"email"`
	PatientID            *string         `json:"patient_id"`
	BillingAddress       json.RawMessage `json:"billing_address"`
	PaymentMethods       []string        `json:"payment_methods"`
	DefaultPaymentMethod *string         `json:"default_payment_method"`
	IsActive             bool            `json:"is_active"`
	CreatedAt            string          `json:"created_at"`
	UpdatedAt            string          `json:"updated_at"`
}

func newAccountResponse(a *Account) AccountResponse {
	return AccountResponse{ID: a.ID.String(), Number: a.Number, AccountNumber: a.Number, ExternalID: optional(a.ExternalID), Kind: a.Kind, Holder: a.Holder,
		Country: a.Country, Currency: string(a.Currency), Email: optional(a.Email), PatientID: optional(a.PatientID), BillingAddress: a.BillingAddress,
		PaymentMethods: a.PaymentMethods, DefaultPaymentMethod: optional(a.DefaultPaymentMethod), IsActive: a.IsActive,
		CreatedAt: web.Time(a.CreatedAt), UpdatedAt: web.Time(a.UpdatedAt)}
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// CreateUserRequest is the body of POST users/.
type CreateUserRequest struct {
	Email     string `json:"email" validate:"required,max=254"`
	Name      string `json:"name" validate:"required,max=200"`
	Password  string `json:"password" validate:"required"`
	Role      string `json:"role" validate:"required,max=20"`
	AccountID string `json:"account_id" validate:"max=100"`
}

func (req CreateUserRequest) input() CreateUserInput {
	return CreateUserInput{Email: req.Email, Name: req.Name, Password: req.Password, Role: strings.ToLower(req.Role), Account: req.AccountID}
}

// UpdateUserRequest is the body of PATCH users/{id}/.
type UpdateUserRequest struct {
	Name      *string `json:"name" validate:"omitempty,max=200"`
	Password  *string `json:"password"`
	Role      *string `json:"role" validate:"omitempty,max=20"`
	AccountID *string `json:"account_id" validate:"omitempty,max=100"`
	IsActive  *bool   `json:"is_active"`
}

func (req UpdateUserRequest) input() UpdateUserInput {
	in := UpdateUserInput{Name: req.Name, Password: req.Password, Account: req.AccountID, IsActive: req.IsActive}
	if req.Role != nil {
		role := strings.ToLower(*req.Role)
		in.Role = &role
	}
	return in
}

// UserResponse is a user as the staff of his tenant see him.
type UserResponse struct {
	ID          string   `json:"id"`
	Email       string   `json:"email"`
	Name        string   `json:"name"`
	Role        string   `json:"role"`
	AccountID   *string  `json:"account_id"`
	Permissions []string `json:"permissions"`
	IsActive    bool     `json:"is_active"`
	// ManagedHere says whether this tenant may change name and password.
	ManagedHere bool `json:"managed_here"`
	// PasswordSetByOther is the id of the colleague who last set this user's password in his place, by creating him too.
	PasswordSetByOther   *string `json:"password_set_by_other"`
	PasswordSetByOtherAt *string `json:"password_set_by_other_at"`
	CreatedAt            string  `json:"created_at"`
	UpdatedAt            string  `json:"updated_at"`
}

func newUserResponse(p *Person) UserResponse {
	r := UserResponse{ID: p.UserID.String(), Email: p.Email, Name: p.Name, Role: p.Role, Permissions: auth.PermissionsOf(p.Role), IsActive: p.IsActive,
		ManagedHere: p.HomeTenantID == p.TenantID, CreatedAt: web.Time(p.CreatedAt), UpdatedAt: web.Time(p.UpdatedAt),
		PasswordSetByOtherAt: web.OptionalTime(p.ResetAt)}
	if p.AccountID != uuid.Nil {
		r.AccountID = optional(p.AccountID.String())
	}
	if p.ResetBy != uuid.Nil {
		r.PasswordSetByOther = optional(p.ResetBy.String())
	}
	return r
}

// LoginRequest is the body of POST auth/token/.
type LoginRequest struct {
	Email    string `json:"email" validate:"required,max=254"`
	Password string `json:"password" validate:"required,max=200"`
	Tenant   string `json:"tenant" validate:"max=63"`
}

// ChangePasswordRequest is the body of POST auth/password/.
type ChangePasswordRequest struct {
	CurrentPassword string `json:"current_password" validate:"required,max=200"`
	NewPassword     string `json:"new_password" validate:"required"`
}

func (req ChangePasswordRequest) input() ChangePasswordInput {
	return ChangePasswordInput{Current: req.CurrentPassword, New: req.NewPassword}
}

// MeResponse says who acts and what he may do.
type MeResponse struct {
	User        MeUser     `json:"user"`
	Tenant      MeTenant   `json:"tenant"`
	Account     *MeAccount `json:"account"` // null for staff
	Role        string     `json:"role"`
	Permissions []string   `json:"permissions"`
}

// MeUser is the user in MeResponse.
type MeUser struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
}

// MeTenant is the tenant in MeResponse.
type MeTenant struct {
	ID   string `json:"id"`
	Slug string `json:"slug"`
	Name string `json:"name"`
}

// MeAccount is the account of a member in MeResponse.
type MeAccount struct {
	ID     string `json:"id"`
	Number string `json:"number"`
	Holder string `json:"holder"`
}

func newMeResponse(i *Identity) MeResponse {
	r := MeResponse{User: MeUser{i.UserID.String(), i.Email, i.Name}, Tenant: MeTenant{i.TenantID.String(), i.TenantSlug, i.TenantName},
		Role: i.Role, Permissions: auth.PermissionsOf(i.Role)}
	if i.AccountID != uuid.Nil {
		r.Account = &MeAccount{i.AccountID.String(), i.AccountNumber, i.AccountHolder}
	}
	return r
}

// TokenResponse is a new token, shown once, with who it stands for.
type TokenResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresAt   string `json:"expires_at"`
	MeResponse
}

func newTokenResponse(l *Login) TokenResponse {
	return TokenResponse{AccessToken: l.Secret, TokenType: "Bearer", ExpiresAt: web.Time(l.ExpiresAt), MeResponse: newMeResponse(&l.Identity)}
}

// PermissionsResponse lists what there is to allow and which role allows what (S0-62).
type PermissionsResponse struct {
	Permissions []PermissionResponse `json:"permissions"`
	Roles       []RoleResponse       `json:"roles"`
}

// PermissionResponse is one permission.
type PermissionResponse struct {
	Name  string `json:"name"`
	About string `json:"about"`
}

// RoleResponse is one role.
type RoleResponse struct {
	Name        string   `json:"name"`
	Permissions []string `json:"permissions"`
}

func newPermissionsResponse() PermissionsResponse {
	var r PermissionsResponse
	for _, p := range auth.Permissions() {
		r.Permissions = append(r.Permissions, PermissionResponse{p.Name, p.About})
	}
	for _, role := range auth.Roles() {
		r.Roles = append(r.Roles, RoleResponse{role, auth.PermissionsOf(role)})
	}
	return r
}
