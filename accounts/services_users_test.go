package accounts_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"countersign/accounts"
	"countersign/accounts/accountstest"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

func ref[T any](v T) *T { return &v }

func TestUsers(t *testing.T) {
	t.Parallel()
	home := accountstest.NewTenant(t)
	owner := client(t, home.Owner, home.Service)
	account := home.NewAccountWith(t, accounts.CreateAccountInput{Holder: "Customer", ExternalID: "crm-9"})

	t.Run("a user is created, read, changed and listed", func(t *testing.T) {
		t.Parallel()
		email := uuid.NewString() + "@Example.Test"
		a := owner.Post("/users/", map[string]any{"email": email, "name": "Nadia", "password": accountstest.Password, "role": "Member", "account_id": "crm-9"}).Expect(201)
		id := a.Text("data.id")
		for path, want := range map[string]any{"data.email": strings.ToLower(email), "data.name": "Nadia", "data.role": "member",
			"data.account_id": account.ID.String(), "data.is_active": true, "data.managed_here": true} {
			if got := a.At(path); got != want {
				t.Errorf("%s is %v, want %v", path, got, want)
			}
		}
		if strings.Contains(string(a.Raw), "argon2") {
			t.Errorf("the answer tells the hash: %s", a.Raw)
		}
		if diff := cmp.Diff(a.At("data"), owner.Get("/users/"+id+"/").Expect(200).At("data")); diff != "" {
			t.Errorf("read differs from created:\n%s", diff)
		}
		if list := owner.Get("/users/?role=member&account_id=" + account.ID.String()).Expect(200); list.Int("count") != 1 || list.Text("results.0.id") != id {
			t.Errorf("list is %s", list.Raw)
		}
		b := owner.Patch("/users/"+id+"/", map[string]any{"role": "viewer", "name": "Nadia K."}).Expect(200)
		if b.Text("data.role") != "viewer" || b.At("data.account_id") != nil || b.Text("data.name") != "Nadia K." {
			t.Errorf("changed to %s", b.Raw)
		}
		owner.Patch("/users/"+id+"/", map[string]any{"is_active": false}).Expect(200)
		owner.Patch("/users/"+id+"/", map[string]any{"is_active": false}).Expect(200)
		if diff := cmp.Diff([]string{"user.create", "user.update", "user.deactivate"}, actions(t, home.System, uuid.MustParse(id))); diff != "" {
			t.Errorf("audit log (a change of nothing leaves none):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"user.created", "user.updated", "user.updated"}, events(t, home.System, uuid.MustParse(id))); diff != "" {
			t.Errorf("events:\n%s", diff)
		}
	})

	t.Run("a command makes nobody whose name is a card number (S1-14)", func(t *testing.T) {
		t.Parallel()
		for _, in := range []accounts.CreateUserInput{{Email: "x@example.test", Name: "4242 4242 4242 4242"}, {Email: "4242424242424242@example.test", Name: "X"}} {
			in.Password, in.Role = accountstest.Password, auth.RoleViewer
			if _, err := home.Service.CreateUser(home.System, in); !errors.Is(err, web.ErrCardData) {
				t.Errorf("%s: %v", in.Name, err)
			}
		}
	})

	t.Run("wrong fields are refused by name", func(t *testing.T) {
		t.Parallel()
		good := map[string]any{"email": "x@example.test", "name": "X", "password": accountstest.Password, "role": "viewer"}
		for _, c := range []struct {
			name, field string
			value       any
			blamed      string
		}{
			{"no e-mail address", "email", "nobody", "email"},
			{"a missing e-mail address", "email", nil, "email"},
			{"letters beyond ASCII in the address", "email", "ünï@example.test", "email"},
			{"no name", "name", "", "name"},
			{"an unknown role", "role", "king", "role"},
			{"a member without an account", "role", "member", "account_id"},
			{"an account without a member", "account_id", account.ID.String(), "account_id"},
			{"a short password", "password", "123456789", "password"},
			{"a long password", "password", strings.Repeat("x", 201), "password"},
			{"a common password", "password", "Password123", "password"},
			{"the demo's password", "password", accounts.DemoPassword, "password"},
			{"the demo's password in capitals", "password", strings.ToUpper(accounts.DemoPassword), "password"},
			{"an unknown field", "home_tenant_id", uuid.NewString(), "home_tenant_id"},
		} {
			body := map[string]any{c.field: c.value}
			for k, v := range good {
				if k != c.field {
					body[k] = v
				}
			}
			a := owner.Post("/users/", body).Expect(400)
			if _, ok := a.At("errors").(map[string]any)[c.blamed]; !ok {
				t.Errorf("%s: %s does not blame %s", c.name, a.Raw, c.blamed)
			}
		}
		owner.Post("/users/", map[string]any{"email": "x@example.test", "name": "X", "password": accountstest.Password, "role": "member",
			"account_id": uuid.NewString()}).Refused(400, "unknown_account")
		id := home.NewUser(t, auth.RoleViewer).ID.String()
		owner.Patch("/users/"+id+"/", map[string]any{"role": "member"}).Refused(400, "validation_failed")
		owner.Patch("/users/"+id+"/", map[string]any{"account_id": "crm-9"}).Refused(400, "validation_failed")
		owner.Patch("/users/"+id+"/", map[string]any{"password": "short"}).Refused(400, "password_length")
		owner.Patch("/users/"+id+"/", map[string]any{"name": ""}).Refused(400, "validation_failed")
	})

	t.Run("the demo's password is taken in demo mode", func(t *testing.T) {
		t.Parallel()
		s, _ := newService(t, func(d *accounts.Deps) { d.Demo = true })
		p, err := s.CreateUser(home.System, accounts.CreateUserInput{Email: uuid.NewString() + "@x.test", Name: "Demo", Password: accounts.DemoPassword, Role: "viewer"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := login(t, s, p.Email, accounts.DemoPassword, ""); err != nil {
			t.Error(err)
		}
	})

	t.Run("spaces around a password do not matter", func(t *testing.T) {
		t.Parallel()
		p, err := home.Service.CreateUser(home.System, accounts.CreateUserInput{Email: uuid.NewString() + "@x.test", Name: "X", Password: " correct horse ", Role: "viewer"})
		if err != nil {
			t.Fatal(err)
		}
		for _, password := range []string{"correct horse", "correct horse\n"} {
			if _, err := login(t, home.Service, p.Email, password, ""); err != nil {
				t.Errorf("%q: %v", password, err)
			}
		}
		if _, err := home.Service.CreateUser(home.System, accounts.CreateUserInput{Email: uuid.NewString() + "@x.test", Name: "X", Password: "short     ", Role: "viewer"}); !errors.Is(err, accounts.ErrPasswordLength) {
			t.Errorf("a short one with spaces: %v", err)
		}
	})

	t.Run("an e-mail address is taken once in the installation", func(t *testing.T) {
		t.Parallel()
		elsewhere := accountstest.NewTenant(t)
		body := map[string]any{"email": strings.ToUpper(elsewhere.Owner.Email), "name": "X", "password": accountstest.Password, "role": "viewer"}
		owner.Post("/users/", body).Refused(409, "email_taken")
		owner.Get("/users/"+elsewhere.Owner.ID.String()+"/").Refused(404, "not_found")
	})

	t.Run("only an owner touches owners", func(t *testing.T) {
		t.Parallel()
		admin, second := home.NewUser(t, auth.RoleAdmin), home.NewUser(t, auth.RoleOwner)
		c := client(t, admin, home.Service)
		c.Post("/users/", map[string]any{"email": uuid.NewString() + "@x.test", "name": "X", "password": accountstest.Password, "role": "owner"}).Refused(403, "owners_only")
		for _, body := range []map[string]any{{"role": "viewer"}, {"is_active": false}, {"password": "another battery"}, {"name": "X"}} {
			c.Patch("/users/"+second.ID.String()+"/", body).Refused(403, "owners_only")
		}
		c.Patch("/users/"+admin.ID.String()+"/", map[string]any{"role": "owner"}).Refused(403, "owners_only")
		owner.Patch("/users/"+second.ID.String()+"/", map[string]any{"role": "admin"}).Expect(200)
	})

	t.Run("nobody changes his own role or deactivates himself", func(t *testing.T) {
		t.Parallel()
		admin := home.NewUser(t, auth.RoleAdmin)
		c := client(t, admin, home.Service)
		path := "/users/" + admin.ID.String() + "/"
		c.Patch(path, map[string]any{"role": "viewer"}).Refused(409, "not_yourself")
		c.Patch(path, map[string]any{"is_active": false}).Refused(409, "not_yourself")
		c.Patch(path, map[string]any{"role": "admin", "is_active": true, "name": "My new name"}).Expect(200)
	})

	t.Run("roles without users.manage do not come in", func(t *testing.T) {
		t.Parallel()
		for _, role := range []string{auth.RoleFinance, auth.RoleCashier, auth.RoleClaims, auth.RoleViewer} {
			c := client(t, home.NewUser(t, role), home.Service)
			c.Get("/users/").Refused(403, "permission_denied")
			c.Get("/users/"+home.Owner.ID.String()+"/").Refused(403, "permission_denied")
			c.Post("/users/", map[string]any{}).Refused(403, "permission_denied")
			c.Patch("/users/"+home.Owner.ID.String()+"/", map[string]any{}).Refused(403, "permission_denied")
		}
	})
}

func TestLastOwner(t *testing.T) {
	t.Parallel()
	t.Run("stays, even when the operator asks", func(t *testing.T) {
		t.Parallel()
		home := accountstest.NewTenant(t)
		for _, in := range []accounts.UpdateUserInput{{Role: ref("admin")}, {IsActive: ref(false)}} {
			if _, err := home.Service.UpdateUser(home.System, home.Owner.ID, in); !errors.Is(err, accounts.ErrLastOwner) {
				t.Error(err)
			}
		}
	})
	t.Run("is not counted when he is inactive", func(t *testing.T) {
		t.Parallel()
		home := accountstest.NewTenant(t)
		second := home.NewUser(t, auth.RoleOwner)
		if _, err := home.Service.UpdateUser(home.Owner.Ctx, second.ID, accounts.UpdateUserInput{IsActive: ref(false)}); err != nil {
			t.Fatal(err)
		}
		if _, err := home.Service.UpdateUser(home.System, home.Owner.ID, accounts.UpdateUserInput{IsActive: ref(false)}); !errors.Is(err, accounts.ErrLastOwner) {
			t.Error(err)
		}
	})
	t.Run("is left over when owners remove each other at the same time", func(t *testing.T) {
		t.Parallel()
		home := accountstest.NewTenant(t)
		owners := []*accountstest.User{home.Owner, home.NewUser(t, auth.RoleOwner), home.NewUser(t, auth.RoleOwner)}
		// nobody gets further than to the lock before all have come to it
		db := testkit.OwnerDB(t)
		gate, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer gate.Rollback()
		if _, err := gate.ExecContext(t.Context(), `SELECT 1 FROM memberships WHERE tenant_id = ? FOR UPDATE`, home.ID); err != nil {
			t.Fatal(err)
		}
		results := make([]error, len(owners))
		var wg sync.WaitGroup
		for i, actor := range owners {
			wg.Go(func() {
				_, results[i] = home.Service.UpdateUser(actor.Ctx, owners[(i+1)%len(owners)].ID, accounts.UpdateUserInput{Role: ref("viewer")})
			})
		}
		testkit.Eventually(t, "all wait", func() bool {
			var waiting int
			err := db.NewRaw(`SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE ?`, "%"+home.ID.String()+"%").Scan(t.Context(), &waiting)
			return err == nil && waiting == len(owners)
		})
		if err := gate.Commit(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		won := 0
		for _, err := range results {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, accounts.ErrLastOwner):
				t.Error(err)
			}
		}
		if won != 2 {
			t.Errorf("%d of three owners were removed, want 2", won)
		}
	})
}

func TestAttach(t *testing.T) {
	t.Parallel()
	home, other := accountstest.NewTenant(t), accountstest.NewTenant(t)
	u := home.NewUser(t, auth.RoleFinance)
	old := u.Token(t)
	attach := func(ctx context.Context, email, password string) (*accounts.Person, error) {
		return home.Service.Attach(ctx, accounts.AttachInput{Email: email, Role: "viewer", Password: password})
	}

	if _, err := attach(other.Owner.Ctx, u.Email, "another battery"); errs.As(err) == nil || errs.As(err).Kind != errs.KindForbidden {
		t.Fatalf("an owner attaches a stranger: %v", err)
	}
	if _, err := attach(other.System, "nobody@x.test", "another battery"); !errors.Is(err, web.ErrNotFound) {
		t.Fatal(err)
	}
	for _, password := range []string{"", "short"} {
		if _, err := attach(other.System, u.Email, password); !errors.Is(err, accounts.ErrPasswordLength) {
			t.Fatalf("with the password that the first tenant may know, or %q: %v", password, err)
		}
	}
	if _, err := attach(home.System, u.Email, "another battery"); !errors.Is(err, accounts.ErrAlreadyMember) {
		t.Error(err)
	}
	if _, err := home.Service.Authenticate(t.Context(), old, accounts.KindToken); err != nil {
		t.Fatalf("a refused attachment ended a credential: %v", err)
	}

	p, err := attach(other.System, strings.ToUpper(u.Email), "another battery")
	if err != nil {
		t.Fatal(err)
	}
	if p.UserID != u.ID || p.Role != "viewer" || p.TenantID != other.ID || p.HomeTenantID != uuid.Nil || p.ResetBy != uuid.Nil || !p.ResetAt.IsZero() {
		t.Errorf("attached as %+v", p)
	}
	if _, err := home.Service.Authenticate(t.Context(), old, accounts.KindToken); !errors.Is(err, accounts.ErrInvalidCredential) {
		t.Errorf("what was signed in with the old password: %v", err)
	}
	for _, tenant := range []*accountstest.Tenant{home, other} {
		if _, err := login(t, home.Service, u.Email, accountstest.Password, tenant.Slug); !errors.Is(err, accounts.ErrInvalidLogin) {
			t.Errorf("the old password in %s: %v", tenant.Name, err)
		}
		if _, err := login(t, home.Service, u.Email, "another battery", tenant.Slug); err != nil {
			t.Errorf("the new password in %s: %v", tenant.Name, err)
		}
		c := client(t, tenant.Owner, tenant.Service)
		path := "/users/" + u.ID.String() + "/"
		c.Patch(path, map[string]any{"password": "a third battery"}).Refused(409, "user_managed_elsewhere")
		c.Patch(path, map[string]any{"name": "Another"}).Refused(409, "user_managed_elsewhere")
		if c.Patch(path, map[string]any{"role": "cashier"}).Expect(200).At("data.managed_here") != false {
			t.Error("the user has no home and is managed here")
		}
	}

	third := accountstest.NewTenant(t)
	if _, err := attach(third.System, u.Email, ""); err != nil {
		t.Fatalf("whose password no tenant knows needs no new one: %v", err)
	}
	if _, err := login(t, home.Service, u.Email, "another battery", third.Slug); err != nil {
		t.Error(err)
	}
}

// TestPasswordOfAnother follows who else has set a user's password: whoever did could act as that user.
func TestPasswordOfAnother(t *testing.T) {
	t.Parallel()
	s, clock := newService(t, nil)
	home := accountstest.NewTenantWith(t, s, tenancy.CreateInput{})
	admin := home.NewUser(t, auth.RoleAdmin)
	owner := client(t, home.Owner, s)
	expect := func(t *testing.T, id uuid.UUID, by uuid.UUID, at time.Time) {
		t.Helper()
		byID := map[uuid.UUID]*accounts.Person{}
		if err := tenancy.Fetch(home.System, testkit.DB(t), accounts.SelectPeopleByIDs(home.System, byID, id)); err != nil {
			t.Fatal(err)
		}
		if p := byID[id]; p.ResetBy != by || !p.ResetAt.Equal(at) {
			t.Errorf("the password was set by %s at %s, want %s at %s", p.ResetBy, p.ResetAt, by, at)
		}
		var wantBy, wantAt any
		if by != uuid.Nil {
			wantBy, wantAt = by.String(), web.Time(at)
		}
		a := owner.Get("/users/" + id.String() + "/").Expect(200)
		if a.At("data.password_set_by_other") != wantBy || a.At("data.password_set_by_other_at") != wantAt {
			t.Errorf("the answer says %s", a.Raw)
		}
	}

	expect(t, admin.ID, uuid.Nil, time.Time{}) // the operator made him

	made := owner.Post("/users/", map[string]any{"email": uuid.NewString() + "@x.test", "name": "New", "password": accountstest.Password, "role": "finance"}).Expect(201)
	id, created := uuid.MustParse(made.Text("data.id")), clock.Now()
	expect(t, id, home.Owner.ID, created)

	clock.move(time.Hour)
	if _, err := s.UpdateUser(admin.Ctx, id, accounts.UpdateUserInput{Name: ref("Another name"), IsActive: ref(true)}); err != nil {
		t.Fatal(err)
	}
	expect(t, id, home.Owner.ID, created) // nothing of it is a password
	if _, err := s.UpdateUser(admin.Ctx, id, accounts.UpdateUserInput{Password: ref("another battery")}); err != nil {
		t.Fatal(err)
	}
	reset := clock.Now()
	expect(t, id, admin.ID, reset)

	clock.move(time.Hour)
	signedIn, err := login(t, s, made.Text("data.email"), "another battery", "")
	if err != nil {
		t.Fatal(err)
	}
	testkit.NewClient(t, api(s)).As(signedIn.Secret).Post("/auth/password/", map[string]any{"current_password": "another battery", "new_password": "a third battery"}).Expect(204)
	expect(t, id, admin.ID, reset) // who took the login over cannot wipe his trace

	if _, err := s.UpdateUser(home.System, id, accounts.UpdateUserInput{Password: ref("the operator's battery")}); err != nil {
		t.Fatal(err)
	}
	expect(t, id, uuid.Nil, time.Time{})

	client(t, admin, s).Patch("/users/"+admin.ID.String()+"/", map[string]any{"password": "another battery"}).Refused(409, "own_password")
	if _, err := login(t, s, admin.Email, accountstest.Password, ""); err != nil {
		t.Errorf("his password has changed all the same: %v", err)
	}
}

// TestRoutes is the matrix of roles and the routes of this package.
func TestRoutes(t *testing.T) {
	t.Parallel()
	home, other := accountstest.NewTenant(t), accountstest.NewTenant(t)
	account, foreign := home.NewAccount(t, "Own"), other.NewAccount(t, "Foreign")
	for _, role := range auth.Roles() {
		t.Run("as "+role, func(t *testing.T) {
			t.Parallel()
			var u *accountstest.User
			if role == auth.RoleMember {
				u = home.NewMember(t, account)
			} else {
				u = home.NewUser(t, role)
			}
			c := client(t, u, home.Service)
			for _, route := range home.Service.App().URLs {
				if route.Method == http.MethodDelete || route.Public {
					continue
				}
				for _, tt := range []struct{ account, user string }{{account.ID.String(), home.Owner.ID.String()}, {foreign.ID.String(), other.Owner.ID.String()}} {
					id, own := tt.user, tt.user == home.Owner.ID.String()
					if strings.Contains(route.Path, "/accounts/") {
						id = tt.account
					}
					path := strings.Replace(route.Path, "{id}", id, 1)
					var got testkit.Answer
					switch route.Method {
					case http.MethodGet:
						got = c.Get(path)
					case http.MethodPost:
						got = c.Post(path, map[string]any{})
					case http.MethodPatch:
						got = c.Patch(path, map[string]any{})
					}
					want := http.StatusOK
					switch {
					case route.Permission != "" && !slices.Contains(auth.PermissionsOf(role), route.Permission), route.Staff && role == auth.RoleMember:
						want = http.StatusForbidden
					case strings.Contains(route.Path, "{id}") && !own:
						want = http.StatusNotFound
					case route.Method == http.MethodPost:
						want = http.StatusBadRequest // the empty body
					case route.Method == http.MethodPatch && strings.Contains(route.Path, "/users/") && role != auth.RoleOwner:
						want = http.StatusForbidden // an owner's user
					}
					if got.Status != want {
						t.Errorf("%s %s: status %d, want %d: %s", route.Method, path, got.Status, want, got.Raw)
					}
				}
			}
		})
	}
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	home := accountstest.NewTenant(t)
	a := client(t, home.NewMember(t, home.NewAccount(t, "Customer")), home.Service).Get("/billing/permissions/").Expect(200)
	names := map[any]bool{}
	for _, p := range a.List("data.permissions") {
		names[p.(map[string]any)["name"]] = true
	}
	for _, name := range []string{"billing.view", "billing.create", "billing.refund", "billing.cancel", "billing.reconcile", "billing.gateways.manage"} {
		if !names[name] {
			t.Errorf("%s is missing (S0-104 to S0-109)", name)
		}
	}
	if len(a.List("data.roles")) != len(auth.Roles()) {
		t.Errorf("roles are %v", a.At("data.roles"))
	}
}
