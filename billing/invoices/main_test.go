package invoices_test

import (
	"context"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/invoices"
	"countersign/internal/auth"
	"countersign/internal/outbox"
	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// clock is a Now that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// shop is a tenant with one account and the services that bill it. Its clock stands at noon of 21 January 2026 in Dhaka.
type shop struct {
	t        testing.TB
	db       *bun.DB
	tenant   *tenancy.Tenant
	account  *accounts.Account
	service  *invoices.Service
	accounts *accounts.Service
	clock    *clock
	ctx      context.Context // the owner's
}

var shops atomic.Int64

func newShop(t testing.TB) *shop {
	t.Helper()
	s := &shop{t: t, db: testkit.DB(t), clock: &clock{at: time.Date(2026, 1, 21, 6, 0, 0, 0, time.UTC)}}
	tenant, err := tenancy.New(s.db).Create(t.Context(), "test", tenancy.CreateInput{Slug: "shop-" + strconv.FormatInt(shops.Add(1), 10), Name: "Shop",
		Country: "BD", DefaultCurrency: "BDT", Timezone: "Asia/Dhaka"})
	if err != nil {
		t.Fatal(err)
	}
	s.tenant = tenant
	box := outbox.New(nil, outbox.NewBell(s.db))
	s.accounts = accounts.New(accounts.Deps{DB: s.db, Outbox: box, Now: s.clock.now, SecretKey: []byte(strings.Repeat("k", 32))})
	s.service = invoices.New(invoices.Deps{DB: s.db, Outbox: box, Now: s.clock.now})
	s.ctx = s.as("owner", uuid.Nil)
	s.account = s.newAccount(accounts.CreateAccountInput{Holder: "Acme", ExternalID: "billing-acc-123", PatientID: "p-1"})
	return s
}

// as gives the context of somebody with a role, and for members with an account.
func (s *shop) as(role string, account uuid.UUID) context.Context {
	return tenancy.Enter(s.t.Context(), auth.Principal{Kind: auth.KindUser, UserID: uuid.Must(uuid.NewV7()), TenantID: s.tenant.ID, AccountID: account,
		Role: role, Permissions: auth.PermissionsOf(role), Label: role + "@shop.test"})
}

func (s *shop) newAccount(in accounts.CreateAccountInput) *accounts.Account {
	s.t.Helper()
	a, err := s.accounts.CreateAccount(s.ctx, in)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// client calls the routes as the principal of ctx.
func (s *shop) client(ctx context.Context) *testkit.Client {
	r := web.NewRouter()
	r.Use(web.RequestID(nil), func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			p, _ := auth.From(ctx)
			next.ServeHTTP(w, req.WithContext(tenancy.Enter(req.Context(), p)))
		})
	})
	web.Mount(r, s.service.App().URLs)
	return testkit.NewClient(s.t, r)
}

func (s *shop) owner() *testkit.Client { return s.client(s.ctx) }

// line is a line of a request body over amount, with more fields in pairs.
func line(price string, more ...any) map[string]any {
	m := map[string]any{"description": "Work", "quantity": 1, "unit_price": price}
	for i := 0; i < len(more); i += 2 {
		m[more[i].(string)] = more[i+1]
	}
	return m
}

// body is a request body for the shop's account, with more fields in pairs.
func (s *shop) body(lines []map[string]any, more ...any) map[string]any {
	m := map[string]any{"account_id": s.account.ID.String(), "line_items": lines}
	for i := 0; i < len(more); i += 2 {
		m[more[i].(string)] = more[i+1]
	}
	return m
}

// draft makes a draft and gives its id.
func (s *shop) draft(lines []map[string]any, more ...any) uuid.UUID {
	s.t.Helper()
	return uuid.MustParse(s.owner().Post("/billing/invoices/", s.body(lines, more...)).Expect(http.StatusCreated).Text("data.id"))
}

// open makes a finalised invoice over price and gives its id.
func (s *shop) open(price string, more ...any) uuid.UUID {
	s.t.Helper()
	id := s.draft([]map[string]any{line(price, more...)})
	s.owner().Post("/billing/invoices/"+id.String()+"/finalize/", "").Expect(http.StatusOK)
	return id
}

func (s *shop) get(id uuid.UUID) *invoices.Invoice {
	s.t.Helper()
	var inv *invoices.Invoice
	err := tenancy.Read(s.ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		inv, err = invoices.Get(ctx, tx, id.String())
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return inv
}

// inTx runs fn as the tenant's worker.
func (s *shop) inTx(fn func(ctx context.Context, tx bun.Tx) error) error {
	return tenancy.InTx(tenancy.AsSystem(s.t.Context(), s.tenant.ID, "worker test"), s.db, fn)
}

func (s *shop) mustTx(fn func(ctx context.Context, tx bun.Tx) error) {
	s.t.Helper()
	if err := s.inTx(fn); err != nil {
		s.t.Fatal(err)
	}
}

// addClaim notes a submitted payment at the shop's time.
func (s *shop) addClaim(id uuid.UUID) {
	s.t.Helper()
	s.mustTx(func(ctx context.Context, tx bun.Tx) error {
		locked, err := invoices.Lock(ctx, tx, id)
		if err != nil {
			return err
		}
		return invoices.AddClaim(ctx, tx, locked[id], s.clock.now())
	})
}

// events gives the types of the tenant's invoice events in the order of their ids.
func (s *shop) events() []string {
	s.t.Helper()
	var types []string
	err := testkit.OwnerDB(s.t).NewRaw("SELECT type FROM events WHERE tenant_id = ? AND object_type = 'invoice' ORDER BY id", s.tenant.ID).Scan(s.t.Context(), &types)
	if err != nil {
		s.t.Fatal(err)
	}
	return types
}
