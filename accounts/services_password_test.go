package accounts_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"countersign/accounts"
	"countersign/accounts/accountstest"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

const changed = "a new battery"

func TestChangePassword(t *testing.T) {
	t.Parallel()
	body := func(current, new string) map[string]any {
		return map[string]any{"current_password": current, "new_password": new}
	}
	works := func(t *testing.T, s *accounts.Service, secret string, kind accounts.Kind) bool {
		t.Helper()
		_, err := s.Authenticate(t.Context(), secret, kind)
		if err != nil && !errors.Is(err, accounts.ErrInvalidCredential) {
			t.Fatal(err)
		}
		return err == nil
	}

	t.Run("keeps the present credential, and everything else ends", func(t *testing.T) {
		t.Parallel()
		home := accountstest.NewTenant(t)
		for _, u := range []*accountstest.User{home.NewUser(t, auth.RoleViewer), home.NewMember(t, home.NewAccount(t, "Customer"))} {
			other, session, present := u.Token(t), u.Session(t).Secret, u.Token(t)
			testkit.NewClient(t, api(home.Service)).As(present).Post("/auth/password/", body(" "+accountstest.Password+" ", changed)).Expect(204)
			if !works(t, home.Service, present, accounts.KindToken) {
				t.Error("the present credential has ended")
			}
			if works(t, home.Service, other, accounts.KindToken) || works(t, home.Service, session, accounts.KindSession) {
				t.Error("another credential still works")
			}
			if _, err := login(t, home.Service, u.Email, accountstest.Password, ""); !errors.Is(err, accounts.ErrInvalidLogin) {
				t.Errorf("the old password: %v", err)
			}
			if _, err := login(t, home.Service, u.Email, changed, ""); err != nil {
				t.Errorf("the new password: %v", err)
			}
			if diff := cmp.Diff([]string{"user.create", "auth.login", "auth.login", "auth.login", "user.change_password", "auth.login_failed", "auth.login"},
				actions(t, home.System, u.ID)); diff != "" {
				t.Errorf("audit log:\n%s", diff)
			}
			if diff := cmp.Diff([]string{"user.created", "user.updated"}, events(t, home.System, u.ID)); diff != "" {
				t.Errorf("events:\n%s", diff)
			}
		}
	})
	t.Run("reaches the credentials of all tenants, for who has no home, and nobody else's", func(t *testing.T) {
		t.Parallel()
		home, other := accountstest.NewTenant(t), accountstest.NewTenant(t)
		s, u := home.Service, home.NewUser(t, auth.RoleViewer)
		in := accounts.AttachInput{Email: u.Email, Role: auth.RoleMember, Account: other.NewAccount(t, "Customer").ID.String(), Password: accountstest.Password}
		if _, err := s.Attach(other.System, in); err != nil {
			t.Fatal(err)
		}
		signIn := func(slug string) string {
			l, err := login(t, s, u.Email, accountstest.Password, slug)
			if err != nil {
				t.Fatal(err)
			}
			return l.Secret
		}
		here, there, present := signIn(home.Slug), signIn(other.Slug), signIn(other.Slug)
		bystanders := []string{home.Owner.Token(t), other.Owner.Token(t)}
		testkit.NewClient(t, api(s)).As(present).Post("/auth/password/", body(accountstest.Password, changed)).Expect(204)
		if works(t, s, here, accounts.KindToken) || works(t, s, there, accounts.KindToken) || !works(t, s, present, accounts.KindToken) {
			t.Error("it must end what is signed in elsewhere, and only that")
		}
		for _, token := range bystanders {
			if !works(t, s, token, accounts.KindToken) {
				t.Error("somebody else was signed out")
			}
		}
		// a member's transaction goes on in his own tenant and account afterwards: the record is there, and nowhere else
		if diff := cmp.Diff([]string{"user.create", "auth.login", "auth.login", "user.change_password"}, actions(t, other.System, u.ID)); diff != "" {
			t.Errorf("audit log:\n%s", diff)
		}
	})
	t.Run("refuses a wrong present password, a bad new one and programs", func(t *testing.T) {
		t.Parallel()
		home := accountstest.NewTenant(t)
		u := home.NewUser(t, auth.RoleViewer)
		c := client(t, u, home.Service)
		a := c.Post("/auth/password/", body("not the password", changed)).Refused(400, "wrong_password")
		if _, ok := a.At("errors").(map[string]any)["current_password"]; !ok {
			t.Errorf("%s does not blame the present password", a.Raw)
		}
		a = c.Post("/auth/password/", body(accountstest.Password, "short")).Refused(400, "password_length")
		if _, ok := a.At("errors").(map[string]any)["new_password"]; !ok {
			t.Errorf("%s does not blame the new password", a.Raw)
		}
		c.Post("/auth/password/", body(accountstest.Password, "Password123")).Refused(400, "password_common")
		c.Post("/auth/password/", body("", changed)).Refused(400, "validation_failed")
		c.Post("/auth/password/", map[string]any{"current_password": accountstest.Password, "new_password": changed, "user_id": uuid.NewString()}).Expect(400)
		testkit.NewClient(t, api(home.Service)).Post("/auth/password/", body(accountstest.Password, changed)).Refused(401, "authentication_required")
		if err := home.Service.ChangePassword(home.System, accounts.ChangePasswordInput{Current: accountstest.Password, New: changed}); !errors.Is(err, auth.ErrForbidden) {
			t.Errorf("a program: %v", err)
		}
		if _, err := login(t, home.Service, u.Email, accountstest.Password, ""); err != nil {
			t.Errorf("the password has changed all the same: %v", err)
		}
		if diff := cmp.Diff([]string{"user.create", "auth.login", "user.change_password_failed", "auth.login"}, actions(t, home.System, u.ID)); diff != "" {
			t.Errorf("audit log:\n%s", diff)
		}
	})
	t.Run("guesses count together with those at log-in", func(t *testing.T) {
		t.Parallel()
		s, _ := newService(t, nil)
		home := accountstest.NewTenantWith(t, s, tenancy.CreateInput{})
		u := home.NewUser(t, auth.RoleViewer)
		c := client(t, u, s)
		for range 5 {
			if _, err := login(t, s, u.Email, "guess", ""); !errors.Is(err, accounts.ErrInvalidLogin) {
				t.Fatal(err)
			}
			c.Post("/auth/password/", body("guess", changed)).Refused(400, "wrong_password")
		}
		c.Post("/auth/password/", body(accountstest.Password, changed)).Refused(429, "too_many_attempts")
		if _, err := login(t, s, u.Email, accountstest.Password, ""); !errors.Is(err, accounts.ErrTooManyAttempts) {
			t.Errorf("at log-in: %v", err)
		}
		endWindow(t, s, from(t.Context()), u.Email)
		c.Post("/auth/password/", body(accountstest.Password, changed)).Expect(204)
	})
	t.Run("of several at once one wins, and the others' credentials end", func(t *testing.T) {
		t.Parallel()
		home := accountstest.NewTenant(t)
		u := home.NewUser(t, auth.RoleViewer)
		tokens, results := make([]string, 4), make([]testkit.Answer, 4)
		for i := range tokens {
			tokens[i] = u.Token(t)
		}
		var wg sync.WaitGroup
		for i, token := range tokens {
			c := testkit.NewClient(t, api(home.Service)).As(token)
			wg.Go(func() {
				results[i] = c.Post("/auth/password/", body(accountstest.Password, changed+string(rune('a'+i))))
			})
		}
		wg.Wait()
		won := 0
		for i, a := range results {
			if a.Status == 204 {
				won++
				if _, err := login(t, home.Service, u.Email, changed+string(rune('a'+i)), ""); err != nil {
					t.Errorf("the password of the winner: %v", err)
				}
			} else if a.Status != 401 { // his credential ended before he was heard
				a.Refused(400, "wrong_password")
			}
			if alive := works(t, home.Service, tokens[i], accounts.KindToken); alive != (a.Status == 204) {
				t.Errorf("answered %d, and the credential works: %v", a.Status, alive)
			}
		}
		if won != 1 {
			t.Errorf("%d have changed the password, want 1", won)
		}
	})
	t.Run("does not undo a password that a colleague sets meanwhile", func(t *testing.T) {
		t.Parallel()
		home := accountstest.NewTenant(t)
		u := home.NewUser(t, auth.RoleViewer)
		owner := testkit.OwnerDB(t)
		tx, err := owner.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(t.Context(), "UPDATE users SET password_hash = 'set by a colleague' WHERE id = ?", u.ID); err != nil {
			t.Fatal(err)
		}
		result := make(chan error)
		go func() {
			result <- home.Service.ChangePassword(u.Ctx, accounts.ChangePasswordInput{Current: accountstest.Password, New: changed})
		}()
		testkit.Eventually(t, "the change waits", func() bool {
			var waiting int
			err := owner.NewRaw(`SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE%' AND query LIKE ?`, "%"+u.ID.String()+"%").Scan(t.Context(), &waiting)
			return err == nil && waiting == 1
		})
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := <-result; !errors.Is(err, accounts.ErrWrongPassword) {
			t.Error(err)
		}
		var hash string
		if err := owner.NewRaw("SELECT password_hash FROM users WHERE id = ?", u.ID).Scan(t.Context(), &hash); err != nil || hash != "set by a colleague" {
			t.Errorf("the colleague's password is gone (%v)", err)
		}
	})
}
