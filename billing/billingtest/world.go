// Package billingtest makes a tenant that bills, for tests: people of every role, two customers, methods, and all
// services and routes, wired as in the program. Everything is made through the services, so fixtures obey the rules.
//
//	w := billingtest.New(t)
//	inv := w.OpenInvoice("150.00")
//	p := w.Submit(inv.ID)          // as the customer
//	w.Approve(p.ID, w.Approver)    // as staff
//	w.SettleAll()                  // as the worker
//	w.AssertBooks(t)
//
// What a helper does not offer, a test does through w's services with a person's Ctx, or through w.As(person).
package billingtest

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing"
	"countersign/billing/evidence"
	"countersign/billing/gateways"
	"countersign/billing/gateways/sandbox"
	"countersign/billing/paymentmethods"
	"countersign/internal/apps"
	"countersign/internal/audit"
	"countersign/internal/integrity"
	"countersign/internal/keyring"
	"countersign/internal/outbox"
	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

// Base is where the routes are mounted.
const Base = "/api/v1"

// Start is what a world's clock shows at first: noon of 21 January 2026 in Dhaka, as the golden requests ask.
var Start = time.Date(2026, 1, 21, 6, 0, 0, 0, time.UTC)

// secret is shared by all worlds of a test binary, as by the tenants of one installation.
var secret = []byte(strings.Repeat("countersign test ", 2))

// Secret is what all keys of the worlds are made from.
func Secret() []byte { return slices.Clone(secret) }

// World is a tenant of a test's own: in Bangladesh, billing in USD, with bank transfers and local wallets for everybody.
type World struct {
	// Billing are the services.
	*billing.Billing
	DB        *bun.DB
	Clock     *Clock
	Outbox    *outbox.Outbox
	Integrity *integrity.Service
	Tenancy   *tenancy.Service
	Accounts  *accounts.Service
	Handler   http.Handler
	Apps      []apps.App

	Tenant *tenancy.Tenant
	// System is a context in which a program acts in the tenant, as the worker does.
	System context.Context
	// Account is the customer that the helpers bill, Other another one; Member and OtherMember pay for them.
	Account, Other      *accounts.Account
	Member, OtherMember *Person
	// The staff. Approver and Second are admins: two people who may approve anything.
	Owner, Approver, Second, Finance, Viewer *Person

	t          testing.TB
	providers  []gateways.Gateway
	references atomic.Int64
}

// New makes a world.
func New(t testing.TB) *World {
	t.Helper()
	return NewOn(t, testkit.DB(t))
}

// NewOn makes a world whose services use a pool of the test's own.
func NewOn(t testing.TB, db *bun.DB) *World {
	t.Helper()
	return build(t, db, false, nil)
}

// NewInTestMode makes a world in which nothing is real money.
func NewInTestMode(t testing.TB) *World {
	t.Helper()
	return build(t, testkit.DB(t), true, nil)
}

// NewWithProviders is NewInTestMode with providers of the test's own, in place of the real ones.
func NewWithProviders(t testing.TB, providers ...gateways.Gateway) *World {
	t.Helper()
	return build(t, testkit.DB(t), true, providers)
}

func build(t testing.TB, db *bun.DB, testMode bool, providers []gateways.Gateway) *World {
	t.Helper()
	w := &World{t: t, DB: db, Clock: &Clock{now: Start}, providers: providers}
	if providers == nil {
		w.providers = billing.Providers(w.Clock.Now)
	}
	w.wire()
	tenant, err := w.Tenancy.Create(t.Context(), "test", tenancy.CreateInput{Slug: "w-" + randomLetters(), Name: "World", Country: "BD",
		DefaultCurrency: "USD", Timezone: "Asia/Dhaka", TestMode: testMode})
	w.must(err)
	w.Tenant = tenant
	w.System = tenancy.AsSystem(t.Context(), tenant.ID, "test")
	w.Account = w.NewAccount(accounts.CreateAccountInput{Holder: "First customer"})
	w.Other = w.NewAccount(accounts.CreateAccountInput{Holder: "Second customer"})
	w.populate()
	for _, method := range []paymentmethods.Method{paymentmethods.BankTransfer, paymentmethods.LocalWallet} {
		w.Offer(paymentmethods.Everywhere, method, nil)
	}
	return w
}

// Replica gives the same tenant seen from another process: services and routes of their own, on another pool.
func (w *World) Replica(db *bun.DB) *World {
	w.t.Helper()
	r := &World{t: w.t, DB: db, Clock: w.Clock, providers: w.providers, Tenant: w.Tenant, System: w.System, Account: w.Account, Other: w.Other}
	r.wire()
	for _, p := range []struct{ to, from **Person }{{&r.Owner, &w.Owner}, {&r.Approver, &w.Approver}, {&r.Second, &w.Second},
		{&r.Finance, &w.Finance}, {&r.Viewer, &w.Viewer}, {&r.Member, &w.Member}, {&r.OtherMember, &w.OtherMember}} {
		*p.to = *p.from
	}
	return r
}

// wire builds services and routes the way the program does.
func (w *World) wire() {
	w.t.Helper()
	testkit.Secret(testkit.SecretKey, string(secret))
	files, err := evidence.NewLocal(w.t.TempDir())
	w.must(err)
	w.t.Cleanup(func() { files.Close() })
	w.Outbox = outbox.New(nil, outbox.NewBell(w.DB))
	w.Tenancy = tenancy.New(w.DB)
	w.Accounts = accounts.New(accounts.Deps{DB: w.DB, Outbox: w.Outbox, Now: w.Clock.Now, SecretKey: secret})
	w.Billing = billing.New(billing.Deps{DB: w.DB, Outbox: w.Outbox, Files: files, Secret: secret, Keys: keyring.New(nil, secret), Now: w.Clock.Now, Providers: w.providers})
	w.Integrity = integrity.New(w.DB, w.Outbox)
	w.Apps = append([]apps.App{audit.App(w.DB), w.Outbox.App(w.DB), w.Integrity.App(), w.Tenancy.App(), w.Accounts.App()}, w.Billing.Apps()...)
	w.Outbox.Subscribe(w.Apps)
	w.Integrity.Prove(w.Apps)

	r, api := web.NewRouter(), web.NewRouter()
	api.Use(w.Accounts.Middleware)
	for _, app := range w.Apps {
		web.Mount(api, app.URLs)
	}
	r.Mount(Base, api)
	for _, app := range w.Apps {
		for _, c := range app.Callbacks {
			r.Post(Base+c.Pattern, c.Handler)
		}
	}
	w.Handler = web.RequestID(nil)(web.Recover(web.Slash(r)))
}

// NewAccount makes one more customer.
func (w *World) NewAccount(in accounts.CreateAccountInput) *accounts.Account {
	w.t.Helper()
	account, err := w.Accounts.CreateAccount(w.System, in)
	w.must(err)
	return account
}

// Offer adds a row to the payment methods of a country; change, which may be nil, sets more than its name.
func (w *World) Offer(country string, method paymentmethods.Method, change func(*paymentmethods.ConfigInput)) {
	w.t.Helper()
	text, name := string(method), "By "+string(method)
	in := paymentmethods.ConfigInput{CountryCode: &country, Method: &text, DisplayName: &name}
	if change != nil {
		change(&in)
	}
	_, err := w.Methods.CreateConfig(w.System, in)
	w.must(err)
}

// EnableSandbox switches the sandbox on, without delays of its own, in a world that is in test mode.
func (w *World) EnableSandbox() gateways.Access {
	w.t.Helper()
	on := true
	_, err := w.Gateways.Configure(w.System, gateways.ConfigureInput{Name: sandbox.Name, IsEnabled: &on, Settings: map[string]any{"slow_ms": "0", "callback_delay_ms": "0"}})
	w.must(err)
	a, err := w.Gateways.Open(w.System, sandbox.Name)
	w.must(err)
	return a
}

// Configure changes the tenant's settings.
func (w *World) Configure(in tenancy.UpdateInput) {
	w.t.Helper()
	tenant, err := w.Tenancy.Update(w.System, in)
	w.must(err)
	w.Tenant = tenant
}

// Read runs fn in a transaction of the tenant.
func (w *World) Read(fn func(ctx context.Context, tx bun.Tx) error) {
	w.t.Helper()
	w.must(tenancy.Read(w.System, w.DB, fn))
}

func (w *World) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// Clock is a time that tests move. Times that PostgreSQL gives are the real ones.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now is what the services ask.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Move turns the clock on by d.
func (c *Clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// randomLetters are not taken for an invoice number or a card in a reference.
func randomLetters() string {
	raw := make([]byte, 12)
	rand.Read(raw)
	for i := range raw {
		raw[i] = 'a' + raw[i]%26
	}
	return string(raw)
}
