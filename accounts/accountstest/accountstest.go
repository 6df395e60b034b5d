// Package accountstest makes tenants, accounts and users for tests, through the services, so that fixtures obey the rules.
package accountstest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/accounts"
	"countersign/internal/auth"
	"countersign/internal/outbox"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// Password is what all users made here have.
const Password = "correct horse battery"

// Tenant is a new tenant with the service to fill it.
type Tenant struct {
	*tenancy.Tenant
	Service *accounts.Service
	// System is a context in which a program acts in the tenant.
	System context.Context
	// Owner is the tenant's first user.
	Owner *User
}

// User is a stored user who can act.
type User struct {
	ID   uuid.UUID
	Name string
	Role string
	// Email is also the label of his principal.
	Email string
	// Ctx is a context in which he acts, as if he had signed in.
	Ctx    context.Context
	tenant *Tenant
}

// NewService gives a service on the test's database, with the real clock and an outbox that hands out nothing.
func NewService(t testing.TB) *accounts.Service {
	t.Helper()
	db := testkit.DB(t)
	return accounts.New(accounts.Deps{DB: db, Outbox: outbox.New(nil, outbox.NewBell(db)), Now: time.Now, SecretKey: make([]byte, 32)})
}

// NewTenant makes a tenant in Bangladesh that bills in USD, with an owner.
func NewTenant(t testing.TB) *Tenant {
	t.Helper()
	return NewTenantWith(t, NewService(t), tenancy.CreateInput{})
}

// NewTenantWith makes a tenant by a service of the test's own; what in leaves empty is as in NewTenant.
func NewTenantWith(t testing.TB, service *accounts.Service, in tenancy.CreateInput) *Tenant {
	t.Helper()
	if in.Slug == "" {
		in.Slug = "t-" + randomHex(8)
	}
	if in.Name == "" {
		in.Name = "Tenant " + in.Slug
	}
	if in.Country == "" {
		in.Country = "BD"
	}
	if in.DefaultCurrency == "" {
		in.DefaultCurrency = "USD"
	}
	made, err := tenancy.New(testkit.DB(t)).Create(t.Context(), "test", in)
	if err != nil {
		t.Fatal(err)
	}
	n := &Tenant{Tenant: made, Service: service, System: tenancy.AsSystem(t.Context(), made.ID, "test")}
	n.Owner = n.NewUser(t, auth.RoleOwner)
	return n
}

// NewAccount makes an active account in the tenant's currency.
func (n *Tenant) NewAccount(t testing.TB, holder string) *accounts.Account {
	t.Helper()
	return n.NewAccountWith(t, accounts.CreateAccountInput{Holder: holder})
}

// NewAccountWith makes an account as in says.
func (n *Tenant) NewAccountWith(t testing.TB, in accounts.CreateAccountInput) *accounts.Account {
	t.Helper()
	a, err := n.Service.CreateAccount(n.System, in)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// NewUser makes a staff user with the role.
func (n *Tenant) NewUser(t testing.TB, role string) *User {
	t.Helper()
	return n.newUser(t, role, nil)
}

// NewMember makes a customer's user of the account.
func (n *Tenant) NewMember(t testing.TB, account *accounts.Account) *User {
	t.Helper()
	return n.newUser(t, auth.RoleMember, account)
}

func (n *Tenant) newUser(t testing.TB, role string, account *accounts.Account) *User {
	t.Helper()
	in := accounts.CreateUserInput{Email: role + "-" + randomHex(6) + "@" + n.Slug + ".test", Name: "Test " + role, Password: Password, Role: role}
	if account != nil {
		in.Account = account.ID.String()
	}
	p, err := n.Service.CreateUser(n.System, in)
	if err != nil {
		t.Fatal(err)
	}
	u := &User{ID: p.UserID, Name: p.Name, Role: role, Email: p.Email, tenant: n}
	u.Ctx = tenancy.Enter(t.Context(), auth.Principal{Kind: auth.KindUser, UserID: p.UserID, MembershipID: p.Membership.ID, Label: p.Email, Name: p.Name,
		Role: role, TenantID: n.ID, AccountID: p.AccountID, Permissions: auth.PermissionsOf(role)})
	return u
}

// Token signs the user in and gives a bearer token.
func (u *User) Token(t testing.TB) string {
	t.Helper()
	return u.login(t, accounts.KindToken).Secret
}

// Session signs the user in to the console.
func (u *User) Session(t testing.TB) *accounts.Login {
	t.Helper()
	return u.login(t, accounts.KindSession)
}

// login comes from an address of its own each time, so that tests do not throttle each other.
func (u *User) login(t testing.TB, kind accounts.Kind) *accounts.Login {
	t.Helper()
	var raw [4]byte
	rand.Read(raw[:])
	ctx := auth.WithRequest(t.Context(), auth.Request{IP: netip.AddrFrom4(raw).String()})
	l, err := u.tenant.Service.Login(ctx, accounts.LoginInput{Email: u.Email, Password: Password, Tenant: u.tenant.Slug, Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Secret(testkit.SecretPassword, Password)
	testkit.Secret(testkit.SecretToken, l.Secret)
	return l
}

func randomHex(n int) string {
	raw := make([]byte, n)
	rand.Read(raw)
	return hex.EncodeToString(raw)
}
