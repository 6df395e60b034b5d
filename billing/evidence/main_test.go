package evidence_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/evidence"
	"countersign/internal/apps"
	"countersign/internal/auth"
	"countersign/internal/outbox"
	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// world is a tenant of a test's own, with a store of its own.
type world struct {
	t       testing.TB
	db      *bun.DB
	dir     string
	service *evidence.Service
	tenant  *tenancy.Tenant
	owner   context.Context
	http    http.Handler
	people  map[string]auth.Principal // by bearer token
}

// newWorld lets a test put something between the service and its store.
func newWorld(t testing.TB, around ...func(evidence.Storage) evidence.Storage) *world {
	t.Helper()
	db := testkit.DB(t)
	tenant, err := tenancy.New(db).Create(t.Context(), "test", tenancy.CreateInput{
		Slug: "t" + strings.ReplaceAll(uuid.NewString(), "-", ""), Name: "Test", Country: "PK", DefaultCurrency: "PKR"})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: db, dir: t.TempDir(), tenant: tenant, people: map[string]auth.Principal{}}
	local, err := evidence.NewLocal(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { local.Close() })
	var storage evidence.Storage = local
	for _, f := range around {
		storage = f(storage)
	}
	w.service = evidence.New(db, storage, outbox.New([]apps.App{}, outbox.NewBell(db)))
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

// staff makes a user with a staff role.
func (w *world) staff(role string) auth.Principal {
	w.t.Helper()
	u := &accounts.User{ID: uuid.Must(uuid.NewV7()), Email: uuid.NewString() + "@staff.test", Name: "Somebody", PasswordHash: "none",
		HomeTenantID: w.tenant.ID, IsActive: true, Theme: "system"}
	if _, err := testkit.OwnerDB(w.t).NewInsert().Model(u).Exec(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return auth.Principal{Kind: auth.KindUser, UserID: u.ID, TenantID: w.tenant.ID, Role: role, Permissions: auth.PermissionsOf(role), Label: u.Email}
}

func (w *world) member(a *accounts.Account) auth.Principal {
	p := w.staff(auth.RoleMember)
	p.AccountID = a.ID
	return p
}

// as gives a client that acts as p.
func (w *world) as(p auth.Principal) *testkit.Client {
	token := uuid.NewString()
	w.people[token] = p
	return testkit.NewClient(w.t, w.http).As(token)
}

func (w *world) account() *accounts.Account {
	w.t.Helper()
	a := &accounts.Account{TenantID: w.tenant.ID, ID: uuid.Must(uuid.NewV7()), Number: "ACC-" + uuid.NewString(), Kind: accounts.KindOrganization,
		Holder: "Customer", HolderKey: "customer", Country: "PK", Currency: "PKR", ExternalID: uuid.NewString(),
		BillingAddress: json.RawMessage("{}"), PaymentMethods: []string{}, IsActive: true}
	err := tenancy.InTx(w.owner, w.db, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewInsert().Model(a).Exec(ctx)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// upload keeps a file for an account and gives its id.
func (w *world) upload(a *accounts.Account, file []byte) uuid.UUID {
	w.t.Helper()
	received, err := evidence.Receive(w.t.Context(), bytes.NewReader(file), evidence.MaxSize)
	if err != nil {
		w.t.Fatal(err)
	}
	defer received.Close()
	e, err := w.service.Upload(w.owner, evidence.UploadInput{Account: a.ID.String(), File: &evidence.Upload{Received: received, Filename: "receipt"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return uuid.MustParse(e.ID)
}

// rows counts the tenant's evidence.
func (w *world) rows() int64 {
	w.t.Helper()
	var n int64
	err := tenancy.Read(w.owner, w.db, func(ctx context.Context, tx bun.Tx) (err error) {
		n, err = tx.NewSelect().Model((*evidence.Evidence)(nil)).Where("e.tenant_id = ?", w.tenant.ID).Count(ctx)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// objects counts the files in the store.
func (w *world) objects() int {
	w.t.Helper()
	n := 0
	err := fs.WalkDir(os.DirFS(w.dir), ".", func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			n++
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}
