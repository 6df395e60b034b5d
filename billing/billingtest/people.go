package billingtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"sync"

	"github.com/google/uuid"

	"countersign/accounts"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// password is what all people have.
const password = "correct horse battery"

// Person is a user in the part that he plays in one world.
type Person struct {
	ID    uuid.UUID
	Email string
	Role  string
	// Ctx is a context in which he acts, as if he had signed in.
	Ctx   context.Context
	token func() string
}

// Token is a bearer token; he signs in when it is first asked for.
func (p *Person) Token() string { return p.token() }

// As gives a client of the HTTP interface that is signed in as p.
func (w *World) As(p *Person) *testkit.Client { return w.Anonymous().As(p.Token()) }

// Anonymous gives a client that is not signed in.
func (w *World) Anonymous() *testkit.Client { return testkit.NewClient(w.t, w.Handler) }

// cast are the users of all worlds. Hashing a password is slow on purpose, so each is created once in a test binary,
// and every world attaches them: the same people then work for many tenants, which must be kept apart all the same.
var cast struct {
	sync.Mutex
	made map[string]bool
}

// populate fills the world with people.
func (w *World) populate() {
	w.t.Helper()
	w.Owner = w.Join("owner", auth.RoleOwner, nil)
	w.Approver = w.Join("approver", auth.RoleAdmin, nil)
	w.Second = w.Join("second", auth.RoleAdmin, nil)
	w.Finance = w.Join("finance", auth.RoleFinance, nil)
	w.Viewer = w.Join("viewer", auth.RoleViewer, nil)
	w.Member = w.Join("member", auth.RoleMember, w.Account)
	w.OtherMember = w.Join("other", auth.RoleMember, w.Other)
}

// Join makes the user of a name a member of the tenant's staff or, with an account, of a customer.
func (w *World) Join(name, role string, account *accounts.Account) *Person {
	w.t.Helper()
	email := name + "@people.test"
	w.create(email, name)
	in := accounts.AttachInput{Email: email, Role: role}
	if account != nil {
		in.Account = account.ID.String()
	}
	found, err := w.Accounts.Attach(w.System, in)
	w.must(err)
	p := &Person{ID: found.UserID, Email: email, Role: role, Ctx: tenancy.Enter(w.t.Context(), auth.Principal{Kind: auth.KindUser, UserID: found.UserID,
		MembershipID: found.Membership.ID, Label: email, Name: found.Name, Role: role, TenantID: w.Tenant.ID, AccountID: found.AccountID,
		Permissions: auth.PermissionsOf(role)})}
	p.token = sync.OnceValue(func() string { return w.signIn(p) })
	return p
}

// create makes the user in tenants that nobody else uses, unless an earlier world has. In the second the operator gives
// him a password that no tenant knows, so that worlds need not give him one each.
func (w *World) create(email, name string) {
	w.t.Helper()
	cast.Lock()
	defer cast.Unlock()
	if cast.made[email] {
		return
	}
	for i := range 2 {
		home, err := w.Tenancy.Create(w.t.Context(), "test", tenancy.CreateInput{Slug: "home-" + randomLetters(), Name: "Home", Country: "BD", DefaultCurrency: "USD"})
		w.must(err)
		system := tenancy.AsSystem(w.t.Context(), home.ID, "test")
		if i == 0 {
			_, err = w.Accounts.CreateUser(system, accounts.CreateUserInput{Email: email, Name: "Test " + name, Password: password, Role: auth.RoleViewer})
		} else {
			_, err = w.Accounts.Attach(system, accounts.AttachInput{Email: email, Role: auth.RoleViewer, Password: password})
		}
		w.must(err)
	}
	testkit.Secret(testkit.SecretPassword, password)
	if cast.made == nil {
		cast.made = map[string]bool{}
	}
	cast.made[email] = true
}

// signIn comes from an address of its own each time, so that tests do not throttle each other.
func (w *World) signIn(p *Person) string {
	var raw [4]byte
	rand.Read(raw[:])
	ctx := auth.WithRequest(w.t.Context(), auth.Request{IP: netip.AddrFrom4(raw).String()})
	login, err := w.Accounts.Login(ctx, accounts.LoginInput{Email: p.Email, Password: password, Tenant: w.Tenant.Slug, Kind: accounts.KindToken})
	if err != nil {
		panic(fmt.Sprintf("sign in as %s: %v", p.Email, err))
	}
	testkit.Secret(testkit.SecretToken, login.Secret)
	return login.Secret
}
