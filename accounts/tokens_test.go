package accounts_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/accounts/accountstest"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	home := accountstest.NewTenant(t)
	s := home.Service

	t.Run("a token stands for its membership", func(t *testing.T) {
		t.Parallel()
		account := home.NewAccount(t, "Customer")
		u := home.NewMember(t, account)
		p, err := s.Authenticate(t.Context(), u.Token(t), accounts.KindToken)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := auth.From(u.Ctx)
		want.CredentialID = p.CredentialID
		if diff := cmp.Diff(want, p); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("it costs one round trip", func(t *testing.T) {
		t.Parallel()
		ctx, n := testkit.Count(t.Context())
		token := home.Owner.Token(t)
		if _, err := s.Authenticate(ctx, token, accounts.KindToken); err != nil {
			t.Fatal(err)
		}
		if n.Load() != 1 {
			t.Errorf("%d round trips, want 1", n.Load())
		}
		n.Store(0)
		if _, err := s.Authenticate(ctx, "cst_nonsense", accounts.KindToken); !errors.Is(err, accounts.ErrInvalidCredential) {
			t.Fatal(err)
		}
		if n.Load() != 0 {
			t.Errorf("nonsense cost %d round trips, want none", n.Load())
		}
	})

	t.Run("what we never gave out is refused", func(t *testing.T) {
		t.Parallel()
		token, session := home.Owner.Token(t), home.Owner.Session(t).Secret
		other := accountstest.NewTenant(t)
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "cst_"))
		if err != nil {
			t.Fatal(err)
		}
		forged := "cst_" + base64.RawURLEncoding.EncodeToString(append(other.ID[:], raw[16:]...))
		for name, secret := range map[string]string{"nothing": "", "a word": "token", "a cut one": token[:len(token)-1], "a longer one": token + "A",
			"another secret": token[:len(token)-4] + "AAAA", "another tenant": forged, "a session": session, "a session called token": "cst_" + session[4:],
			"a token called session": "css_" + token[4:], "no tenant": "cst_" + strings.Repeat("A", 64), "bytes": "cst_" + strings.Repeat("\x00", 64),
			"in other letters": strings.ToUpper(token)} {
			if _, err := s.Authenticate(t.Context(), secret, accounts.KindToken); !errors.Is(err, accounts.ErrInvalidCredential) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := s.Authenticate(t.Context(), token, accounts.KindSession); !errors.Is(err, accounts.ErrInvalidCredential) {
			t.Errorf("a token as a session: %v", err)
		}
	})

	t.Run("indexes serve it", func(t *testing.T) {
		t.Parallel()
		big := accountstest.NewTenant(t)
		owner := testkit.OwnerDB(t)
		for _, q := range []string{`INSERT INTO credentials (tenant_id, id, membership_id, kind, secret_hash, expires_at)
			SELECT m.tenant_id, gen_random_uuid(), m.id, 'token', sha256(n::text::bytea), now() FROM memberships AS m, generate_series(1, 20000) AS n WHERE m.tenant_id = ?`,
			"ANALYZE credentials"} {
			if _, err := owner.ExecContext(t.Context(), q, big.ID); err != nil {
				t.Fatal(err)
			}
		}
		var plan []string
		err := tenancy.Read(big.System, testkit.DB(t), func(ctx context.Context, tx bun.Tx) error {
			for _, q := range []string{"PREPARE hot (uuid, bytea[]) AS " + accounts.AuthenticateStatement, "SET LOCAL plan_cache_mode = force_generic_plan"} {
				if _, err := tx.ExecContext(ctx, q); err != nil {
					return err
				}
			}
			defer tx.ExecContext(ctx, "DEALLOCATE hot")
			return tx.NewRaw("EXPLAIN EXECUTE hot(?, ARRAY[sha256('1'), sha256('2')])", big.ID).Scan(ctx, &plan)
		})
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(plan, "\n"); !strings.Contains(text, "Index Cond: ((tenant_id = $1) AND (secret_hash = ANY ($2)))") {
			t.Errorf("plan is\n%s", text)
		}
	})

	t.Run("an outage is no wrong credential", func(t *testing.T) {
		t.Parallel()
		token := home.Owner.Token(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Authenticate(ctx, token, accounts.KindToken); err == nil || errors.Is(err, accounts.ErrInvalidCredential) {
			t.Errorf("got %v", err)
		}
	})

	t.Run("only the hash of a secret is stored", func(t *testing.T) {
		t.Parallel()
		token := home.Owner.Token(t)
		sum := sha256.Sum256([]byte(token))
		var hashes, plain int
		err := testkit.OwnerDB(t).NewRaw(`SELECT count(*) FILTER (WHERE secret_hash = ?0), count(*) FILTER (WHERE c::text LIKE '%' || ?1 || '%') FROM credentials AS c`,
			sum[:], token[4:]).Scan(t.Context(), &hashes, &plain)
		if err != nil || hashes != 1 || plain != 0 {
			t.Errorf("%d hashes, %d plain texts, %v", hashes, plain, err)
		}
	})
}

func TestCredentialsEnd(t *testing.T) {
	t.Parallel()
	// each case makes a user with a token and a session, does something, and says what the secrets are worth afterwards
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, home *accountstest.Tenant, u *accountstest.User) error
		want error
	}{
		{"at a deactivation", update(accounts.UpdateUserInput{IsActive: ref(false)}), accounts.ErrUserInactive},
		{"at a new role", update(accounts.UpdateUserInput{Role: ref("cashier")}), accounts.ErrInvalidCredential},
		{"at a new password", update(accounts.UpdateUserInput{Password: ref("another battery")}), accounts.ErrInvalidCredential},
		{"not at a new name", update(accounts.UpdateUserInput{Name: ref("Another")}), nil},
		{"not at the same role", update(accounts.UpdateUserInput{Role: ref("viewer")}), nil},
		{"at a deactivation, also after the user is back", func(t *testing.T, home *accountstest.Tenant, u *accountstest.User) error {
			return errors.Join(update(accounts.UpdateUserInput{IsActive: ref(false)})(t, home, u), update(accounts.UpdateUserInput{IsActive: ref(true)})(t, home, u))
		}, accounts.ErrInvalidCredential},
		{"when the tenant is closed", func(t *testing.T, home *accountstest.Tenant, u *accountstest.User) error {
			return tenancy.InTx(home.System, testkit.DB(t), func(ctx context.Context, tx bun.Tx) error {
				_, err := tx.NewUpdate().TableExpr("tenants AS t").Set("is_active = false").Where("t.id = ?", home.ID).Exec(ctx)
				return err
			})
		}, accounts.ErrUserInactive},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			home := accountstest.NewTenant(t)
			u := home.NewUser(t, auth.RoleViewer)
			token, session := u.Token(t), u.Session(t).Secret
			if err := tt.do(t, home, u); err != nil {
				t.Fatal(err)
			}
			for kind, secret := range map[accounts.Kind]string{accounts.KindToken: token, accounts.KindSession: session} {
				if _, err := home.Service.Authenticate(t.Context(), secret, kind); !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) {
					t.Errorf("%s: %v, want %v", kind, err, tt.want)
				}
			}
		})
	}
}

func update(in accounts.UpdateUserInput) func(*testing.T, *accountstest.Tenant, *accountstest.User) error {
	return func(_ *testing.T, home *accountstest.Tenant, u *accountstest.User) error {
		_, err := home.Service.UpdateUser(home.Owner.Ctx, u.ID, in)
		return err
	}
}

func TestCredentialsOfMembers(t *testing.T) {
	t.Parallel()
	t.Run("end when the member moves to another account", func(t *testing.T) {
		t.Parallel()
		home := accountstest.NewTenant(t)
		u := home.NewMember(t, home.NewAccount(t, "Old"))
		token, moved := u.Token(t), home.NewAccount(t, "New")
		if _, err := home.Service.UpdateUser(home.Owner.Ctx, u.ID, accounts.UpdateUserInput{Account: ref(moved.ID.String())}); err != nil {
			t.Fatal(err)
		}
		if _, err := home.Service.Authenticate(t.Context(), token, accounts.KindToken); !errors.Is(err, accounts.ErrInvalidCredential) {
			t.Error(err)
		}
		p, err := home.Service.Authenticate(t.Context(), u.Token(t), accounts.KindToken)
		if err != nil || p.AccountID != moved.ID {
			t.Errorf("the new token stands for account %s (%v)", p.AccountID, err)
		}
	})
	t.Run("a new password is the only one that works", func(t *testing.T) {
		t.Parallel()
		home := accountstest.NewTenant(t)
		u := home.NewUser(t, auth.RoleViewer)
		if err := update(accounts.UpdateUserInput{Password: ref("another battery")})(t, home, u); err != nil {
			t.Fatal(err)
		}
		if _, err := login(t, home.Service, u.Email, accountstest.Password, ""); !errors.Is(err, accounts.ErrInvalidLogin) {
			t.Errorf("the old one: %v", err)
		}
		if _, err := login(t, home.Service, u.Email, "another battery", ""); err != nil {
			t.Errorf("the new one: %v", err)
		}
	})
}

// TestLoginRaces stops a log-in between the check of the password and the credential, and changes the user meanwhile.
func TestLoginRaces(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, change string
		want         error
	}{
		{"a deactivation", `UPDATE memberships SET is_active = false WHERE user_id = ?`, accounts.ErrUserInactive},
		{"a new password", `UPDATE users SET password_hash = 'new' WHERE id = ?`, accounts.ErrInvalidLogin},
	} {
		t.Run("no credential is given out after "+tt.name, func(t *testing.T) {
			t.Parallel()
			home := accountstest.NewTenant(t)
			u := home.NewUser(t, auth.RoleViewer)
			owner := testkit.OwnerDB(t)
			tx, err := owner.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			if _, err := tx.ExecContext(t.Context(), tt.change, u.ID); err != nil {
				t.Fatal(err)
			}
			result := make(chan error)
			go func() {
				_, err := login(t, home.Service, u.Email, accountstest.Password, "")
				result <- err
			}()
			testkit.Eventually(t, "the log-in waits for the change", func() bool {
				var waiting int
				err := owner.NewRaw(`SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR SHARE%' AND query LIKE ?`,
					"%"+home.ID.String()+"%").Scan(t.Context(), &waiting)
				return err == nil && waiting == 1
			})
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := <-result; !errors.Is(err, tt.want) {
				t.Errorf("signed in with %v, want %v", err, tt.want)
			}
			var given int
			if err := owner.NewRaw(`SELECT count(*) FROM credentials WHERE tenant_id = ?`, home.ID).Scan(t.Context(), &given); err != nil || given != 0 {
				t.Errorf("%d credentials were given out (%v)", given, err)
			}
		})
	}
	t.Run("a change waits for a log-in that is under way, and ends its credential", func(t *testing.T) {
		t.Parallel()
		home := accountstest.NewTenant(t)
		u := home.NewUser(t, auth.RoleViewer)
		token := u.Token(t)
		owner := testkit.OwnerDB(t)
		tx, err := owner.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		// a log-in as the database sees it: the membership's lock is shared, the credential is not committed yet
		for _, q := range []string{`SELECT 1 FROM memberships WHERE user_id = ?0 FOR SHARE`,
			`INSERT INTO credentials (tenant_id, id, membership_id, kind, secret_hash, expires_at)
				SELECT tenant_id, gen_random_uuid(), id, 'token', sha256('race'), now() + interval '1 day' FROM memberships WHERE user_id = ?0`} {
			if _, err := tx.ExecContext(t.Context(), q, u.ID); err != nil {
				t.Fatal(err)
			}
		}
		result := make(chan error)
		go func() { result <- update(accounts.UpdateUserInput{IsActive: ref(false)})(t, home, u) }()
		testkit.Eventually(t, "the change waits for the log-in", func() bool {
			var waiting int
			err := owner.NewRaw(`SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR NO KEY UPDATE%' AND query LIKE ?`,
				"%"+home.ID.String()+"%").Scan(t.Context(), &waiting)
			return err == nil && waiting == 1
		})
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := <-result; err != nil {
			t.Fatal(err)
		}
		var alive int
		err = owner.NewRaw(`SELECT count(*) FROM credentials WHERE tenant_id = ? AND revoked_at IS NULL`, home.ID).Scan(t.Context(), &alive)
		if err != nil || alive != 0 {
			t.Errorf("%d credentials outlived the change (%v)", alive, err)
		}
		if _, err := home.Service.Authenticate(t.Context(), token, accounts.KindToken); !errors.Is(err, accounts.ErrUserInactive) {
			t.Error(err)
		}
	})
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	s, clock := newService(t, nil)
	home := accountstest.NewTenantWith(t, s, tenancy.CreateInput{})
	works := func(t *testing.T, l *accounts.Login, kind accounts.Kind) bool {
		t.Helper()
		_, err := s.Authenticate(t.Context(), l.Secret, kind)
		if err != nil && !errors.Is(err, accounts.ErrInvalidCredential) {
			t.Fatal(err)
		}
		return err == nil
	}
	token, err := login(t, s, home.Owner.Email, accountstest.Password, "")
	if err != nil {
		t.Fatal(err)
	}
	idle, busy := home.Owner.Session(t), home.Owner.Session(t)
	if got := idle.ExpiresAt.Sub(clock.Now()); got != accounts.SessionIdle {
		t.Errorf("a session ends in %v, want %v", got, accounts.SessionIdle)
	}

	clock.move(accounts.SessionIdle - time.Minute)
	if !works(t, busy, accounts.KindSession) {
		t.Fatal("a session ended before its time")
	}
	clock.move(time.Minute)
	if works(t, idle, accounts.KindSession) {
		t.Error("a session works that was not used for an hour")
	}
	for range 21 {
		clock.move(30 * time.Minute)
		if !works(t, busy, accounts.KindSession) {
			t.Fatal("a session ended while it was used")
		}
	}
	clock.move(30 * time.Minute)
	if works(t, busy, accounts.KindSession) {
		t.Error("a session works after twelve hours")
	}
	if !works(t, token, accounts.KindToken) {
		t.Error("a token ended before its time")
	}
	clock.move(token.ExpiresAt.Sub(clock.Now()) - time.Microsecond)
	if !works(t, token, accounts.KindToken) {
		t.Error("a token ended before its time")
	}
	clock.move(time.Microsecond)
	if works(t, token, accounts.KindToken) {
		t.Error("a token works after thirty days")
	}
}

func TestSessionRenewal(t *testing.T) {
	t.Parallel()
	s, clock := newService(t, nil)
	home := accountstest.NewTenantWith(t, s, tenancy.CreateInput{})
	session := home.Owner.Session(t).Secret
	cost := func(t *testing.T) int64 {
		t.Helper()
		ctx, n := testkit.Count(t.Context())
		if _, err := s.Authenticate(ctx, session, accounts.KindSession); err != nil {
			t.Fatal(err)
		}
		return n.Load()
	}
	clock.move(4 * time.Minute)
	if n := cost(t); n != 1 {
		t.Errorf("after four minutes it cost %d round trips, want 1", n)
	}
	clock.move(time.Minute)
	if n := cost(t); n != 4 {
		t.Errorf("after five minutes it cost %d round trips, want 4 with the renewal", n)
	}
	if n := cost(t); n != 1 {
		t.Errorf("at once again it cost %d round trips, want 1", n)
	}
}
