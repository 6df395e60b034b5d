package paymentmethods_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/money"
	"countersign/billing/paymentmethods"
	"countersign/internal/apps"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/keyring"
	"countersign/internal/outbox"
	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// world is a tenant of a test's own.
type world struct {
	t       testing.TB
	db      *bun.DB
	service *paymentmethods.Service
	tenant  *tenancy.Tenant
	owner   context.Context
	http    http.Handler
	people  map[string]auth.Principal // by bearer token
}

func newWorld(t testing.TB) *world {
	t.Helper()
	db := testkit.DB(t)
	tenant, err := tenancy.New(db).Create(t.Context(), "test", tenancy.CreateInput{
		Slug: "t" + strings.ReplaceAll(uuid.NewString(), "-", ""), Name: "Test", Country: "PK", DefaultCurrency: "PKR"})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: db, tenant: tenant, people: map[string]auth.Principal{},
		service: paymentmethods.New(db, outbox.New([]apps.App{}, outbox.NewBell(db)), keyring.New(nil, []byte("a secret of this test")))}
	w.owner = tenancy.Enter(t.Context(), w.staff(auth.RoleOwner))
	r := web.NewRouter()
	r.Use(web.RequestID(nil), func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if p, ok := w.people[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]; ok {
				r = r.WithContext(tenancy.Enter(r.Context(), p))
			}
			next.ServeHTTP(rw, r)
		})
	})
	web.Mount(r, w.service.App().URLs)
	w.http = r
	return w
}

func (w *world) staff(role string) auth.Principal {
	return auth.Principal{Kind: auth.KindUser, UserID: uuid.New(), TenantID: w.tenant.ID, Role: role,
		Permissions: auth.PermissionsOf(role), Label: role + "@staff.test"}
}

// as gives a client that acts as p.
func (w *world) as(p auth.Principal) *testkit.Client {
	token := uuid.NewString()
	w.people[token] = p
	return testkit.NewClient(w.t, w.http).As(token)
}

func (w *world) asOwner() *testkit.Client { return w.as(w.staff(auth.RoleOwner)) }

func (w *world) asMember(a *accounts.Account) *testkit.Client { return w.as(w.member(a)) }

func (w *world) member(a *accounts.Account) auth.Principal {
	p := w.staff(auth.RoleMember)
	p.AccountID, p.Label = a.ID, "member@customer.test"
	return p
}

func (w *world) account(country string, currency money.Currency, change ...func(*accounts.Account)) *accounts.Account {
	w.t.Helper()
	a := &accounts.Account{TenantID: w.tenant.ID, ID: uuid.Must(uuid.NewV7()), Number: "ACC-" + uuid.NewString(), Kind: accounts.KindOrganization,
		Holder: "Customer", HolderKey: "customer", Country: country, Currency: currency, BillingAddress: json.RawMessage("{}"), PaymentMethods: []string{}, IsActive: true}
	for _, c := range change {
		c(a)
	}
	err := tenancy.InTx(w.owner, w.db, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewInsert().Model(a).Exec(ctx)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// config adds a row through the service.
func (w *world) config(country string, method paymentmethods.Method, change ...func(*paymentmethods.ConfigInput)) *paymentmethods.Config {
	w.t.Helper()
	in := paymentmethods.ConfigInput{CountryCode: &country, Method: new(string(method)), DisplayName: new(country + " " + string(method))}
	for _, c := range change {
		c(&in)
	}
	c, err := w.service.CreateConfig(w.owner, in)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func off(in *paymentmethods.ConfigInput) { in.IsEnabled = new(false) }

func limits(currency, minimum, maximum string) func(*paymentmethods.ConfigInput) {
	return func(in *paymentmethods.ConfigInput) {
		in.Currency, in.MinAmount, in.MaxAmount = &currency, &minimum, &maximum
	}
}

// available gives the methods of a query, the default one with a star.
func (w *world) available(q paymentmethods.Query) []string {
	w.t.Helper()
	found := []string{}
	err := tenancy.Read(w.owner, w.db, func(ctx context.Context, tx bun.Tx) error {
		offers, err := paymentmethods.Available(ctx, tx, q)
		for _, o := range offers {
			star := ""
			if o.IsDefault {
				star = "*"
			}
			found = append(found, string(o.Method)+star)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

func (w *world) check(q paymentmethods.Query, m paymentmethods.Method, amount money.Money) error {
	return tenancy.Read(w.owner, w.db, func(ctx context.Context, _ bun.Tx) error {
		var among paymentmethods.Candidates
		if err := database.Send(ctx, paymentmethods.SelectCandidates(ctx, &among, q.Country, q.Account)); err != nil {
			return err
		}
		_, err := among.Check(q, m, amount)
		return err
	})
}

// history gives what the tenant's audit log and events say, oldest first.
func (w *world) history() (actions, events []string) {
	w.t.Helper()
	err := tenancy.Read(w.owner, w.db, func(ctx context.Context, tx bun.Tx) error {
		if err := tx.NewRaw("SELECT action FROM audit_log WHERE tenant_id = ? ORDER BY created_at, id", w.tenant.ID).Scan(ctx, &actions); err != nil {
			return err
		}
		return tx.NewRaw("SELECT type FROM events WHERE tenant_id = ? ORDER BY created_at, id", w.tenant.ID).Scan(ctx, &events)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return slices.DeleteFunc(actions, func(a string) bool { return a == "tenant.create" }), events
}
