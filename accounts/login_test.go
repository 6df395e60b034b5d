package accounts_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/accounts"
	"countersign/accounts/accountstest"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

func TestLogin(t *testing.T) {
	t.Parallel()

	t.Run("sign in, be somebody, sign out", func(t *testing.T) {
		t.Parallel()
		s, _ := newService(t, nil)
		home := accountstest.NewTenantWith(t, s, tenancy.CreateInput{})
		account := home.NewAccount(t, "Customer Ltd")
		member := home.NewMember(t, account)
		c := testkit.NewClient(t, api(s))
		a := c.Post("/auth/token/", map[string]any{"email": " " + strings.ToUpper(member.Email), "password": accountstest.Password}).Expect(200)
		token := a.Text("data.access_token")
		if !strings.HasPrefix(token, "cst_") || a.Text("data.token_type") != "Bearer" || a.Text("data.expires_at") == "" {
			t.Errorf("answer is %s", a.Raw)
		}
		for path, want := range map[string]any{"user.id": member.ID.String(), "user.email": member.Email, "user.name": member.Name, "tenant.id": home.ID.String(),
			"tenant.slug": home.Slug, "tenant.name": home.Name, "account.id": account.ID.String(), "account.number": account.Number,
			"account.holder": "Customer Ltd", "role": "member"} {
			if got := a.At("data." + path); got != want {
				t.Errorf("%s is %v, want %v", path, got, want)
			}
		}
		c = c.As(token)
		me := c.Get("/auth/me/").Expect(200)
		for _, part := range []string{"user", "tenant", "account", "role", "permissions"} {
			if diff := cmp.Diff(a.At("data."+part), me.At("data."+part)); diff != "" {
				t.Errorf("me differs in %s:\n%s", part, diff)
			}
		}
		c.Delete("/auth/token/").Expect(204)
		c.Get("/auth/me/").Refused(401, "invalid_token")
		c.Delete("/auth/token/").Refused(401, "invalid_token")
		if diff := cmp.Diff([]string{"user.create", "auth.login", "auth.logout"}, actions(t, home.System, member.ID)); diff != "" {
			t.Errorf("audit log:\n%s", diff)
		}
	})

	t.Run("staff have no account", func(t *testing.T) {
		t.Parallel()
		home := accountstest.NewTenant(t)
		me := client(t, home.Owner, home.Service).Get("/auth/me/").Expect(200)
		if me.At("data.account") != nil || me.Text("data.role") != "owner" || len(me.List("data.permissions")) != len(auth.Permissions()) {
			t.Errorf("me is %s", me.Raw)
		}
	})

	t.Run("a stranger and a wrong password get the same answer, and only the user's tenant hears of it", func(t *testing.T) {
		t.Parallel()
		s, _ := newService(t, nil)
		home, other := accountstest.NewTenantWith(t, s, tenancy.CreateInput{}), accountstest.NewTenantWith(t, s, tenancy.CreateInput{})
		c := testkit.NewClient(t, api(s))
		try := func(email, password, tenant string) string {
			return c.Post("/auth/token/", map[string]any{"email": email, "password": password, "tenant": tenant}).Refused(401, "invalid_login").Text("error")
		}
		answers := map[string]bool{
			try(home.Owner.Email, "not the password", ""):               true,
			try(home.Owner.Email, "not the password", home.Slug):        true,
			try(home.Owner.Email, "not the password", other.Slug):       true,
			try(home.Owner.Email, accountstest.Password, other.Slug):    true,
			try(home.Owner.Email, accountstest.Password, "no-such"):     true,
			try("stranger@nowhere.test", accountstest.Password, ""):     true,
			try("not an address", accountstest.Password, ""):            true,
			try("stranger@nowhere.test", "not the password", "no-such"): true,
		}
		if len(answers) != 1 {
			t.Errorf("answers differ: %v", answers)
		}
		if diff := cmp.Diff([]string{"user.create", "auth.login_failed", "auth.login_failed"}, actions(t, home.System, home.Owner.ID)); diff != "" {
			t.Errorf("audit log of the user's tenant:\n%s", diff)
		}
		if found := actions(t, other.System, home.Owner.ID); len(found) > 0 {
			t.Errorf("the other tenant's log has %v", found)
		}
		var strangers int
		if err := testkit.OwnerDB(t).NewRaw(`SELECT count(*) FROM audit_log WHERE audit_log::text LIKE '%nowhere.test%'`).Scan(t.Context(), &strangers); err != nil || strangers > 0 {
			t.Errorf("%d records name a stranger (%v)", strangers, err)
		}
	})

	t.Run("a stranger costs as many statements as a wrong password", func(t *testing.T) {
		t.Parallel()
		s, _ := newService(t, nil)
		home := accountstest.NewTenantWith(t, s, tenancy.CreateInput{})
		for _, tenant := range []string{"", home.Slug, "no-such"} {
			cost := map[string]int64{}
			for _, email := range []string{home.Owner.Email, "stranger@nowhere.test"} {
				ctx, n := testkit.Count(from(t.Context()))
				_, err := s.Login(ctx, accounts.LoginInput{Email: email, Password: "not the password", Tenant: tenant, Kind: accounts.KindToken})
				if !errors.Is(err, accounts.ErrInvalidLogin) {
					t.Fatal(err)
				}
				cost[email] = n.Load()
			}
			if cost[home.Owner.Email] != cost["stranger@nowhere.test"] {
				t.Errorf("tenant %q: %v", tenant, cost)
			}
		}
	})

	t.Run("wrong bodies are refused", func(t *testing.T) {
		t.Parallel()
		c := testkit.NewClient(t, api(accountstest.NewService(t)))
		c.Post("/auth/token/", map[string]any{}).Refused(400, "validation_failed")
		c.Post("/auth/token/", map[string]any{"email": "a@b.test", "password": strings.Repeat("x", 201)}).Refused(400, "validation_failed")
		c.Post("/auth/token/", map[string]any{"email": "a@b.test", "password": "x\x00"}).Refused(400, "validation_failed")
		c.Post("/auth/token/", `{"email":`).Refused(400, "malformed_json")
	})

	t.Run("several memberships: the tenant is asked for once the password is right", func(t *testing.T) {
		t.Parallel()
		s, _ := newService(t, nil)
		home, other := accountstest.NewTenantWith(t, s, tenancy.CreateInput{}), accountstest.NewTenantWith(t, s, tenancy.CreateInput{})
		u := home.NewUser(t, auth.RoleFinance)
		if _, err := s.Attach(other.System, accounts.AttachInput{Email: u.Email, Role: auth.RoleViewer, Password: accountstest.Password}); err != nil {
			t.Fatal(err)
		}
		c := testkit.NewClient(t, api(s))
		c.Post("/auth/token/", map[string]any{"email": u.Email, "password": "not the password"}).Refused(401, "invalid_login")
		asked := c.Post("/auth/token/", map[string]any{"email": u.Email, "password": accountstest.Password}).Refused(400, "tenant_required")
		for _, slug := range []string{home.Slug, other.Slug} {
			if !strings.Contains(asked.Text("error"), slug) {
				t.Errorf("%q does not name %s", asked.Text("error"), slug)
			}
		}
		for slug, role := range map[string]string{home.Slug: "finance", other.Slug: "viewer"} {
			a := c.Post("/auth/token/", map[string]any{"email": u.Email, "password": accountstest.Password, "tenant": slug}).Expect(200)
			if a.Text("data.tenant.slug") != slug || a.Text("data.role") != role {
				t.Errorf("in %s: %s", slug, a.Raw)
			}
		}
		no := false
		if _, err := s.UpdateUser(other.Owner.Ctx, u.ID, accounts.UpdateUserInput{IsActive: &no}); err != nil {
			t.Fatal(err)
		}
		c.Post("/auth/token/", map[string]any{"email": u.Email, "password": accountstest.Password, "tenant": other.Slug}).Refused(403, "user_inactive")
		if got := c.Post("/auth/token/", map[string]any{"email": u.Email, "password": accountstest.Password}).Expect(200).Text("data.tenant.slug"); got != home.Slug {
			t.Errorf("the only active membership is in %s, got %s", home.Slug, got)
		}
	})

	t.Run("an inactive user, membership or tenant is told so after the right password", func(t *testing.T) {
		t.Parallel()
		for _, broken := range []string{
			`UPDATE users SET is_active = false WHERE id = ?0`,
			`UPDATE memberships SET is_active = false WHERE user_id = ?0`,
			`UPDATE tenants SET is_active = false WHERE id = ?1`,
		} {
			home := accountstest.NewTenant(t)
			if _, err := testkit.OwnerDB(t).ExecContext(t.Context(), broken, home.Owner.ID, home.ID); err != nil {
				t.Fatal(err)
			}
			for _, tenant := range []string{"", home.Slug} {
				want := accounts.ErrUserInactive
				if strings.Contains(broken, "tenants") && tenant != "" {
					want = accounts.ErrInvalidLogin // a closed tenant has no name
				}
				if _, err := login(t, home.Service, home.Owner.Email, accountstest.Password, tenant); !errors.Is(err, want) {
					t.Errorf("%s, tenant %q: %v", broken, tenant, err)
				}
			}
			if _, err := login(t, home.Service, home.Owner.Email, "not the password", ""); !errors.Is(err, accounts.ErrInvalidLogin) {
				t.Errorf("%s: wrong password: %v", broken, err)
			}
		}
	})
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	in := func(email, password string) accounts.LoginInput {
		return accounts.LoginInput{Email: email, Password: password, Kind: accounts.KindToken}
	}
	// attempts gives how many of n parallel attempts had their password looked at
	attempts := func(t *testing.T, n int, try func(i int) error) (checked int64) {
		t.Helper()
		var count atomic.Int64
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				err := try(i)
				switch {
				case errors.Is(err, accounts.ErrInvalidLogin):
					count.Add(1)
				case !errors.Is(err, accounts.ErrTooManyAttempts):
					t.Errorf("attempt %d: %v", i, err)
				case errs.As(err).RetryAfter <= 0 || errs.As(err).RetryAfter > 15*time.Minute:
					t.Errorf("attempt %d: wait %v", i, errs.As(err).RetryAfter)
				}
			})
		}
		wg.Wait()
		return count.Load()
	}

	t.Run("of 40 parallel attempts as one user ten are looked at, and the right password does not help then", func(t *testing.T) {
		t.Parallel()
		s, _ := newService(t, nil)
		home := accountstest.NewTenantWith(t, s, tenancy.CreateInput{})
		email := home.Owner.Email
		if n := attempts(t, 40, func(int) error { _, err := s.Login(from(t.Context()), in(email, "guess")); return err }); n != 10 {
			t.Errorf("%d passwords were looked at, want 10", n)
		}
		if _, err := login(t, s, email, accountstest.Password, ""); !errors.Is(err, accounts.ErrTooManyAttempts) {
			t.Errorf("with the right password: %v", err)
		}
		endWindow(t, s, from(t.Context()), email)
		if _, err := login(t, s, email, accountstest.Password, ""); err != nil {
			t.Errorf("after the window: %v", err)
		}
	})
	t.Run("an unknown user is throttled like a known one", func(t *testing.T) {
		t.Parallel()
		s, _ := newService(t, nil)
		if n := attempts(t, 12, func(int) error { _, err := s.Login(from(t.Context()), in("nobody@x.test", "guess")); return err }); n != 10 {
			t.Errorf("%d passwords were looked at, want 10", n)
		}
	})
	t.Run("of 60 parallel attempts from one customer's network 50 are looked at, and the others lock nobody out", func(t *testing.T) {
		t.Parallel()
		s, _ := newService(t, nil)
		home := accountstest.NewTenantWith(t, s, tenancy.CreateInput{})
		neighbour := func(i int) context.Context {
			return auth.WithRequest(t.Context(), auth.Request{IP: fmt.Sprintf("2001:db8:1:2::%x", i)})
		}
		n := attempts(t, 60, func(i int) error {
			_, err := s.Login(neighbour(i), in(strings.Repeat("x", i+1)+"@x.test", "guess"))
			return err
		})
		if n != 50 {
			t.Errorf("%d passwords were looked at, want 50", n)
		}
		for i := range 20 {
			if _, err := s.Login(neighbour(i), in(home.Owner.Email, "guess")); !errors.Is(err, accounts.ErrTooManyAttempts) {
				t.Fatal(err)
			}
		}
		if _, err := login(t, s, home.Owner.Email, accountstest.Password, ""); err != nil {
			t.Errorf("from elsewhere: %v", err)
		}
	})
	t.Run("log-ins that succeed are not held against their address, one after the other and side by side", func(t *testing.T) {
		t.Parallel()
		s, _ := newService(t, nil)
		home := accountstest.NewTenantWith(t, s, tenancy.CreateInput{})
		office := from(t.Context())
		people := []string{home.Owner.Email, home.NewUser(t, auth.RoleViewer).Email, home.NewUser(t, auth.RoleViewer).Email}
		var wg sync.WaitGroup
		for _, email := range people {
			wg.Go(func() {
				for range 5 {
					if _, err := s.Login(office, in(email, accountstest.Password)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if n := attempts(t, 60, func(i int) error {
			_, err := s.Login(office, in(strings.Repeat("y", i+1)+"@x.test", "guess"))
			return err
		}); n != 50 {
			t.Errorf("after 15 log-ins %d guesses were looked at, want 50", n)
		}
	})
	t.Run("a log-in that began in one window gives the next one nothing back", func(t *testing.T) {
		t.Parallel()
		s, _ := newService(t, nil)
		home := accountstest.NewTenantWith(t, s, tenancy.CreateInput{})
		ctx, owner := from(t.Context()), testkit.OwnerDB(t)
		tx, err := owner.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(t.Context(), "SELECT 1 FROM memberships WHERE tenant_id = ? FOR UPDATE", home.ID); err != nil {
			t.Fatal(err)
		}
		result := make(chan error)
		go func() {
			_, err := s.Login(ctx, in(home.Owner.Email, accountstest.Password))
			result <- err
		}()
		testkit.Eventually(t, "the log-in waits", func() bool {
			var waiting int
			err := owner.NewRaw(`SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE ?`, "%"+home.ID.String()+"%").Scan(t.Context(), &waiting)
			return err == nil && waiting == 1
		})
		endWindow(t, s, ctx, home.Owner.Email)
		for i := range 50 { // without their passwords, which take longer than the log-in may wait for its lock
			if err := s.Attempt(ctx, auth.RequestFrom(ctx).IP, strings.Repeat("z", i+1)+"@x.test"); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := <-result; err != nil {
			t.Fatal(err)
		}
		if _, err := s.Login(ctx, in("one-more@x.test", "guess")); !errors.Is(err, accounts.ErrTooManyAttempts) {
			t.Errorf("the 51st guess of the new window: %v", err)
		}
	})
	t.Run("success clears the user's counter and not the guesses of the address", func(t *testing.T) {
		t.Parallel()
		s, _ := newService(t, nil)
		home := accountstest.NewTenantWith(t, s, tenancy.CreateInput{})
		ctx := from(t.Context())
		for round := range 5 {
			for range 9 {
				if _, err := s.Login(ctx, in(home.Owner.Email, "guess")); !errors.Is(err, accounts.ErrInvalidLogin) {
					t.Fatalf("round %d: %v", round, err)
				}
			}
			if _, err := s.Login(ctx, in(home.Owner.Email, accountstest.Password)); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		for range 5 {
			if _, err := s.Login(ctx, in("stranger@x.test", "guess")); !errors.Is(err, accounts.ErrInvalidLogin) {
				t.Fatal(err)
			}
		}
		if _, err := s.Login(ctx, in(home.Owner.Email, accountstest.Password)); !errors.Is(err, accounts.ErrTooManyAttempts) {
			t.Errorf("after 50 guesses the address goes on with a password of its own: %v", err)
		}
	})
	t.Run("counters whose window is long over go away", func(t *testing.T) {
		t.Parallel()
		owner, old := testkit.OwnerDB(t), make([]byte, 32)
		if _, err := owner.ExecContext(t.Context(), `INSERT INTO login_throttle VALUES (?, 5, now() - interval '1 year')`, old); err != nil {
			t.Fatal(err)
		}
		accountstest.NewTenant(t).Owner.Token(t)
		var left int
		if err := owner.NewRaw(`SELECT count(*) FROM login_throttle WHERE subject = ?`, old).Scan(t.Context(), &left); err != nil || left != 0 {
			t.Errorf("%d are left (%v)", left, err)
		}
	})
	t.Run("the answer says how long to wait, and the table says neither who nor from where", func(t *testing.T) {
		t.Parallel()
		s, _ := newService(t, nil)
		c := testkit.NewClient(t, api(s))
		body := map[string]any{"email": "someone@x.test", "password": "guess"}
		for range 10 {
			c.Post("/auth/token/", body).Refused(401, "invalid_login")
		}
		wait, err := strconv.Atoi(c.Post("/auth/token/", body).Refused(429, "too_many_attempts").Header.Get("Retry-After"))
		if err != nil || wait < 600 || wait > 900 {
			t.Errorf("Retry-After is %d seconds (%v), want what is left of 900", wait, err)
		}
		var rows int
		if err := testkit.OwnerDB(t).NewRaw(`SELECT count(*) FROM login_throttle WHERE length(subject) <> 32`).Scan(t.Context(), &rows); err != nil || rows > 0 {
			t.Errorf("%d counters are not under a hash (%v)", rows, err)
		}
	})
}
