package accounts_test

import (
	"context"
	"errors"
	"net/url"
	"testing"

	"countersign/accounts"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/outbox"
	"countersign/internal/testkit"
	"countersign/migrations"
	"countersign/tenancy"
)

// TestPlainOwner moves the schema as an owner who is no superuser. Forced row-level security holds for him then, also in
// the functions that run as their owner, and log-ins and new passwords must work all the same.
func TestPlainOwner(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testkit.NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		"CREATE ROLE plain_owner LOGIN CREATEROLE NOSUPERUSER NOBYPASSRLS",
		"GRANT countersign_app, countersign_observer TO plain_owner WITH ADMIN OPTION",
		"ALTER DATABASE " + u.Path[1:] + " OWNER TO plain_owner",
	} {
		if _, err := testkit.OwnerDB(t).ExecContext(t.Context(), q); err != nil {
			t.Fatal(q, err)
		}
	}
	u.User = url.User("plain_owner")
	db, err := database.Open(database.Config{URL: u.String()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	m, err := database.NewMigrator(db, migrations.Files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	app, err := database.Open(database.Config{URL: u.String(), Role: database.AppRole})
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	s, _ := newService(t, func(d *accounts.Deps) { d.DB, d.Outbox = app, outbox.New(nil, outbox.NewBell(app)) })
	tenant := func(slug string) context.Context {
		made, err := tenancy.New(app).Create(t.Context(), "test", tenancy.CreateInput{Slug: slug, Name: slug, Country: "BD", DefaultCurrency: "USD"})
		if err != nil {
			t.Fatal(err)
		}
		return tenancy.AsSystem(t.Context(), made.ID, "test")
	}
	if _, err := s.CreateUser(tenant("one"), accounts.CreateUserInput{Email: "a@b.test", Name: "A", Password: "correct horse battery", Role: auth.RoleOwner}); err != nil {
		t.Fatal(err)
	}
	old, err := login(t, s, "a@b.test", "correct horse battery", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Attach(tenant("two"), accounts.AttachInput{Email: "a@b.test", Role: auth.RoleOwner, Password: "another battery"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(t.Context(), old.Secret, accounts.KindToken); !errors.Is(err, accounts.ErrInvalidCredential) {
		t.Errorf("what was signed in with the old password: %v", err)
	}
	if _, err := login(t, s, "a@b.test", "another battery", "two"); err != nil {
		t.Fatal(err)
	}
	var seen int
	if err := db.NewRaw("SELECT count(*) FROM memberships").Scan(t.Context(), &seen); err != nil || seen != 0 {
		t.Errorf("the owner sees %d memberships, so nothing was forced on him (%v)", seen, err)
	}
}
