package accounts_test

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/accounts/accountstest"
	"countersign/internal/auth"
	"countersign/internal/outbox"
	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now().UTC().Truncate(time.Microsecond)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// newService gives a service whose clock and key are the test's own, so that attempts to sign in are counted apart.
func newService(t *testing.T, change func(*accounts.Deps)) (*accounts.Service, *clock) {
	t.Helper()
	db, c := testkit.DB(t), newClock()
	key := make([]byte, 32)
	rand.Read(key)
	d := accounts.Deps{DB: db, Outbox: outbox.New(nil, outbox.NewBell(db)), Now: c.Now, SecretKey: key}
	if change != nil {
		change(&d)
	}
	return accounts.New(d), c
}

// api is the HTTP interface of the package: request ids, bearer tokens, routes.
func api(s *accounts.Service) http.Handler {
	r := web.NewRouter()
	r.Use(web.RequestID(nil), s.Middleware)
	web.Mount(r, s.App().URLs)
	return r
}

func client(t *testing.T, u *accountstest.User, s *accounts.Service) *testkit.Client {
	t.Helper()
	return testkit.NewClient(t, api(s)).As(u.Token(t))
}

// from gives a context of a request that comes from an address of its own.
func from(ctx context.Context) context.Context {
	var raw [4]byte
	rand.Read(raw[:])
	return auth.WithRequest(ctx, auth.Request{IP: netip.AddrFrom4(raw).String(), UserAgent: "test"})
}

func login(t *testing.T, s *accounts.Service, email, password, tenant string) (*accounts.Login, error) {
	t.Helper()
	testkit.Secret(testkit.SecretPassword, password)
	l, err := s.Login(from(t.Context()), accounts.LoginInput{Email: email, Password: password, Tenant: tenant, Kind: accounts.KindToken})
	if err == nil {
		testkit.Secret(testkit.SecretToken, l.Secret)
	}
	return l, err
}

// endWindow lets the window pass in which attempts to sign in from the address of ctx and as a user are counted.
func endWindow(t *testing.T, s *accounts.Service, ctx context.Context, email string) {
	t.Helper()
	if err := s.EndWindow(ctx, auth.RequestFrom(ctx).IP, email); err != nil {
		t.Fatal(err)
	}
}

// actions gives what the audit log of a tenant says about an object, oldest first.
func actions(t *testing.T, ctx context.Context, object uuid.UUID) []string {
	t.Helper()
	return history(t, ctx, "audit_log", "action", object)
}

// events gives the events of an object, oldest first.
func events(t *testing.T, ctx context.Context, object uuid.UUID) []string {
	t.Helper()
	return history(t, ctx, "events", "type", object)
}

func history(t *testing.T, ctx context.Context, table, column string, object uuid.UUID) []string {
	t.Helper()
	words := []string{}
	err := tenancy.Read(ctx, testkit.DB(t), func(ctx context.Context, tx bun.Tx) error {
		return tx.NewSelect().TableExpr("? AS h", bun.Ident(table)).ColumnExpr("h.?", bun.Ident(column)).
			Where("h.tenant_id = ?", tenancy.ID(ctx)).Where("h.object_id = ?", object).OrderExpr("h.created_at, h.id").Scan(ctx, &words)
	})
	if err != nil {
		t.Fatal(err)
	}
	return words
}
