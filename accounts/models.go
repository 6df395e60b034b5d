package accounts

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/money"
)

// The kinds of account (C-05, S2-18).
const (
	KindOrganization = "organization"
	KindPatient      = "patient"
	KindRefugee      = "refugee"
)

// Kinds lists the kinds of account.
func Kinds() []string { return []string{KindOrganization, KindPatient, KindRefugee} }

// KindLabel is the English word for a kind of account.
func KindLabel(kind string) string {
	switch kind {
	case KindPatient:
		return "Patient"
	case KindRefugee:
		return "Refugee"
	default:
		return "Organisation"
	}
}

// Methods lists the payment methods that an account can be allowed (C-07). What a country offers is paymentmethods' matter.
func Methods() []string {
	return []string{"cash", "card", "mobile_banking", "voucher", "bank_transfer", "local_wallet", "paypal", "gateway_link", "other"}
}

// MethodLabel is the English name of a payment method, for people.
func MethodLabel(method string) string {
	switch method {
	case "cash":
		return "Cash"
	case "card":
		return "Card"
	case "mobile_banking":
		return "Mobile banking"
	case "voucher":
		return "Voucher"
	case "bank_transfer":
		return "Bank transfer"
	case "local_wallet":
		return "Local wallet"
	case "paypal":
		return "PayPal"
	case "gateway_link":
		return "Payment link"
	case "other":
		return "Other"
	default:
		return method
	}
}

// Account is a customer of one tenant, who is billed (S3-36).
type Account struct {
	bun.BaseModel `bun:"table:accounts,alias:a"`

	TenantID   uuid.UUID      `bun:"tenant_id,pk,type:uuid"`
	ID         uuid.UUID      `bun:"id,pk,type:uuid"`
	Number     string         `bun:"number"`               // ACC-000001, given by us
	ExternalID string         `bun:"external_id,nullzero"` // the tenant's own name for it
	Kind       string         `bun:"kind"`
	Holder     string         `bun:"holder"`
	HolderKey  string         `bun:"holder_key"` // Holder as searches compare it
	Country    string         `bun:"country"`
	Currency   money.Currency `bun:"currency"` // what its invoices are in unless they say otherwise
	Email      string         `bun:"email,nullzero"`
	PatientID  string         `bun:"patient_id,nullzero"`
	// BillingAddress is a JSON object in the tenant's own form.
	BillingAddress json.RawMessage `bun:"billing_address,type:jsonb"`
	// PaymentMethods are the methods the account may pay with; empty means all that its country offers.
	PaymentMethods       []string  `bun:"payment_methods,array"`
	DefaultPaymentMethod string    `bun:"default_payment_method,nullzero"`
	IsActive             bool      `bun:"is_active"`
	CreatedAt            time.Time `bun:"created_at,nullzero"`
	UpdatedAt            time.Time `bun:"updated_at,nullzero"`
}

// Allows says whether the account may pay with method.
func (a *Account) Allows(method string) bool {
	return len(a.PaymentMethods) == 0 || slices.Contains(a.PaymentMethods, method)
}

// CheckActive is ErrAccountInactive for an account that takes no new invoice or payment (S2-23).
func (a *Account) CheckActive() error {
	if !a.IsActive {
		return ErrAccountInactive
	}
	return nil
}

// fold is how names are compared when they are searched.
func fold(text string) string { return strings.ToLower(text) }

// User is a person with a login. It belongs to the installation. The program may write PasswordHash and not read it: only
// the database's function login_of gives it, for one e-mail address.
type User struct {
	bun.BaseModel `bun:"table:users,alias:u"`

	ID           uuid.UUID `bun:"id,pk,type:uuid"`
	Email        string    `bun:"email"` // lower case
	Name         string    `bun:"name"`
	PasswordHash string    `bun:"password_hash"`
	// PasswordVersion counts the passwords, from 1; the database does.
	PasswordVersion int `bun:"password_version,nullzero"`
	// ResetBy is who else set the user's password last, at ResetAt, by creating him too; zero when nobody but himself and
	// the operator ever did. His own changes leave it: who took a login over cannot wipe his trace by changing once more.
	ResetBy uuid.UUID `bun:"reset_by,type:uuid,nullzero"`
	ResetAt time.Time `bun:"reset_at,nullzero"`
	// HomeTenantID is the tenant whose staff set name and password; zero: only the operator does. A user with a home
	// has no membership elsewhere.
	HomeTenantID uuid.UUID `bun:"home_tenant_id,type:uuid,nullzero"`
	IsActive     bool      `bun:"is_active"`
	Language     string    `bun:"language,nullzero"`
	Theme        string    `bun:"theme"`
	CreatedAt    time.Time `bun:"created_at,nullzero"`
	UpdatedAt    time.Time `bun:"updated_at,nullzero"`
}

// Membership ties a user to a tenant with a role, and a customer's user to one account.
type Membership struct {
	bun.BaseModel `bun:"table:memberships,alias:m"`

	TenantID  uuid.UUID `bun:"tenant_id,pk,type:uuid"`
	ID        uuid.UUID `bun:"id,pk,type:uuid"`
	UserID    uuid.UUID `bun:"user_id,type:uuid"`
	Role      string    `bun:"role"`
	AccountID uuid.UUID `bun:"account_id,type:uuid,nullzero"` // role member, and only he
	IsActive  bool      `bun:"is_active"`
	CreatedAt time.Time `bun:"created_at,nullzero"`
	UpdatedAt time.Time `bun:"updated_at,nullzero"`
}

// Person is a user as his tenant sees him: his membership there, with his name.
type Person struct {
	bun.BaseModel `bun:"table:memberships,alias:m"`
	Membership

	Email        string    `bun:"email,scanonly"`
	Name         string    `bun:"name,scanonly"`
	HomeTenantID uuid.UUID `bun:"home_tenant_id,type:uuid,scanonly"`
	// ResetBy is who else set this user's password last, at ResetAt; see User.
	ResetBy uuid.UUID `bun:"reset_by,type:uuid,nullzero,scanonly"`
	ResetAt time.Time `bun:"reset_at,nullzero,scanonly"`
}

// Kind of a credential.
type Kind string

// The kinds of credential.
const (
	KindToken   Kind = "token"   // a bearer token of a program or an app
	KindSession Kind = "session" // a browser's session in the console
)

// Credential is a secret that stands for one membership until it expires or is revoked.
type Credential struct {
	bun.BaseModel `bun:"table:credentials,alias:c"`

	TenantID     uuid.UUID `bun:"tenant_id,pk,type:uuid"`
	ID           uuid.UUID `bun:"id,pk,type:uuid"`
	MembershipID uuid.UUID `bun:"membership_id,type:uuid"`
	Kind         Kind      `bun:"kind"`
	SecretHash   []byte    `bun:"secret_hash"`
	IP           string    `bun:"ip"`
	UserAgent    string    `bun:"user_agent"`
	CreatedAt    time.Time `bun:"created_at"`
	ExpiresAt    time.Time `bun:"expires_at"`
}
