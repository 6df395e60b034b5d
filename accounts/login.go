package accounts

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/audit"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/tenancy"
)

// LoginInput is what somebody signs in with. Address and program come from the context's auth.Request.
type LoginInput struct {
	Email    string
	Password string
	Tenant   string // slug; needed only by somebody with several memberships
	Kind     Kind
}

// Login is a new credential. Secret is shown once and stored nowhere. Language and Theme are what SetPreferences has kept;
// an empty language was never chosen.
type Login struct {
	Secret          string
	ExpiresAt       time.Time
	Language, Theme string
	Identity
}

// Identity is who acts, in words: what a client shows in its corner.
type Identity struct {
	UserID        uuid.UUID
	Email         string
	Name          string
	Role          string
	TenantID      uuid.UUID
	TenantSlug    string
	TenantName    string
	AccountID     uuid.UUID // zero for staff
	AccountNumber string
	AccountHolder string
}

// belonging is a membership as somebody who signs in chooses it.
type belonging struct {
	TenantID     uuid.UUID `bun:"tenant_id"`
	MembershipID uuid.UUID `bun:"id"`
	AccountID    uuid.UUID `bun:"account_id"`
	Role         string    `bun:"role"`
	IsActive     bool      `bun:"is_active"`
	Slug         string    `bun:"-"`
}

// Login checks a password and gives out a credential. The attempt is counted first. Unknown users and wrong passwords
// are both ErrInvalidLogin and take the same time; everything else is said only to who knows the password.
func (s *Service) Login(ctx context.Context, in LoginInput) (*Login, error) {
	email := strings.ToLower(strings.TrimSpace(in.Email))
	tried, err := s.admit(ctx, auth.RequestFrom(ctx).IP, email)
	if err != nil {
		return nil, err
	}
	u, err := s.loginOf(ctx, email)
	if err != nil {
		return nil, err
	}
	right, err := s.passwords.matches(ctx, in.Password, u.PasswordHash)
	if err != nil {
		return nil, err
	}
	if !right {
		return nil, s.failed(ctx, u, in.Tenant)
	}
	if !u.IsActive {
		return nil, ErrUserInactive
	}
	b, err := s.choose(ctx, u, in.Tenant)
	if err != nil {
		return nil, err
	}
	return s.issue(ctx, u, b, in.Kind, tried)
}

// loginOf gives what a log-in needs of the user with an e-mail address, wherever he belongs, and a user without id when
// there is none: the same steps follow, so that their time tells nothing.
func (s *Service) loginOf(ctx context.Context, email string) (*User, error) {
	u := &User{Email: email}
	err := s.db.NewRaw("SELECT * FROM login_of(?)", email).Scan(ctx, u)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("read user: %w", err)
	}
	return u, nil
}

// asOneself lets the transactions of ctx see and change the login of a user and see his memberships in all tenants,
// besides what they may already. It is for who proved that he is that user, and for the operator.
func asOneself(ctx context.Context, user uuid.UUID) context.Context {
	scope := database.ScopeFrom(ctx)
	scope.UserID = user
	return database.WithScope(ctx, scope)
}

// belongings gives the memberships of a user in all tenants, which row-level security shows to himself only. With
// names it also reads the tenants' short names and leaves out closed tenants.
func (s *Service) belongings(ctx context.Context, user uuid.UUID, names bool) ([]belonging, error) {
	var all []belonging
	err := database.Read(database.WithScope(ctx, database.Scope{UserID: user}), s.db, func(ctx context.Context, tx bun.Tx) error {
		return tx.NewSelect().TableExpr("memberships AS m").ColumnExpr("m.tenant_id, m.id, m.account_id, m.role, m.is_active").
			Where("m.user_id = ?", user).OrderExpr("m.tenant_id").Scan(ctx, &all)
	})
	if err != nil {
		return nil, fmt.Errorf("read memberships: %w", err)
	}
	if !names && len(all) < 2 {
		return all, nil
	}
	var tenants []struct {
		ID   uuid.UUID `bun:"id"`
		Slug string    `bun:"slug"`
	}
	ids := []uuid.UUID{}
	for _, b := range all {
		ids = append(ids, b.TenantID)
	}
	err = tenancy.Observe(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		return tx.NewSelect().TableExpr("tenants AS t").ColumnExpr("t.id, t.slug").Where("t.is_active").Where("t.id IN (?)", bun.List(ids)).Scan(ctx, &tenants)
	})
	if err != nil {
		return nil, fmt.Errorf("read tenants: %w", err)
	}
	for _, t := range tenants {
		for i := range all {
			if all[i].TenantID == t.ID {
				all[i].Slug = t.Slug
			}
		}
	}
	return slices.DeleteFunc(all, func(b belonging) bool { return b.Slug == "" }), nil
}

// choose gives the membership that the user means. He has proved his password already.
func (s *Service) choose(ctx context.Context, u *User, slug string) (belonging, error) {
	all, err := s.belongings(ctx, u.ID, slug != "")
	if err != nil {
		return belonging{}, err
	}
	if slug != "" {
		i := slices.IndexFunc(all, func(b belonging) bool { return b.Slug == slug })
		if i < 0 {
			return belonging{}, ErrInvalidLogin
		}
		if !all[i].IsActive {
			return belonging{}, ErrUserInactive
		}
		return all[i], nil
	}
	all = slices.DeleteFunc(all, func(b belonging) bool { return !b.IsActive })
	switch len(all) {
	case 0:
		return belonging{}, ErrUserInactive
	case 1:
		return all[0], nil
	}
	slugs := make([]string, len(all))
	for i, b := range all {
		slugs[i] = b.Slug
	}
	slices.Sort(slugs)
	names := strings.Join(slugs, ", ")
	return belonging{}, ErrTenantRequired.With("tenants", names)
}

// issue stores a credential for a membership and takes back that the attempt was counted. It shares the locks of
// membership and user, and looks at both once more: neither a deactivation nor a new password that happens meanwhile is
// missed.
func (s *Service) issue(ctx context.Context, u *User, b belonging, kind Kind, tried attempt) (*Login, error) {
	ctx = tenancy.Enter(ctx, auth.Principal{Kind: auth.KindUser, UserID: u.ID, MembershipID: b.MembershipID, Label: u.Email, Name: u.Name,
		Role: b.Role, TenantID: b.TenantID, AccountID: b.AccountID})
	var login *Login
	err := tenancy.InTx(asOneself(ctx, u.ID), s.db, func(ctx context.Context, tx bun.Tx) error {
		found, err := identify(ctx, tx, b.MembershipID, "SHARE OF m, u")
		if err != nil {
			return err
		}
		if found == nil || found.PasswordVersion != u.PasswordVersion {
			return ErrInvalidLogin
		}
		if !found.Active {
			return ErrUserInactive
		}
		now, request := s.now(), auth.RequestFrom(ctx)
		login = &Login{Secret: newSecret(kind, b.TenantID), ExpiresAt: kind.expiry(now, now), Language: found.Language, Theme: found.Theme, Identity: found.Identity}
		c := &Credential{TenantID: b.TenantID, ID: uuid.Must(uuid.NewV7()), MembershipID: b.MembershipID, Kind: kind, SecretHash: hashSecret(login.Secret),
			IP: request.IP, UserAgent: request.UserAgent, CreatedAt: now, ExpiresAt: login.ExpiresAt}
		if _, err := tx.NewInsert().Model(c).Exec(ctx); err != nil {
			return fmt.Errorf("insert credential: %w", err)
		}
		s.forgive(ctx, tried)
		return audit.Write(ctx, audit.Record{Action: "auth.login", ObjectType: "user", ObjectID: u.ID, AccountID: b.AccountID,
			After: map[string]any{"kind": kind}})
	})
	if err != nil {
		return nil, err
	}
	return login, nil
}

// identified is an Identity with what only a log-in looks at.
type identified struct {
	Identity
	PasswordVersion int
	Active          bool
	Language, Theme string
}

// identify reads a membership with the names of its user, tenant and account; nil when it is not visible.
func identify(ctx context.Context, db bun.IDB, membership uuid.UUID, lock string) (*identified, error) {
	var i identified
	q := db.NewSelect().TableExpr("memberships AS m").
		ColumnExpr("u.id, u.email, u.name, m.role, t.id, t.slug, t.name").
		ColumnExpr("coalesce(a.id, ?), coalesce(a.number, ''), coalesce(a.holder, '')", uuid.Nil).
		ColumnExpr("u.password_version, m.is_active AND u.is_active AND t.is_active, coalesce(u.language, ''), u.theme").
		Join("JOIN users AS u ON u.id = m.user_id").
		Join("JOIN tenants AS t ON t.id = m.tenant_id").
		Join("LEFT JOIN accounts AS a ON a.tenant_id = m.tenant_id AND a.id = m.account_id").
		Where("m.tenant_id = ?", tenancy.ID(ctx)).Where("m.id = ?", membership)
	if lock != "" {
		q = q.For(lock)
	}
	err := q.Scan(ctx, &i.UserID, &i.Email, &i.Name, &i.Role, &i.TenantID, &i.TenantSlug, &i.TenantName, &i.AccountID, &i.AccountNumber, &i.AccountHolder,
		&i.PasswordVersion, &i.Active, &i.Language, &i.Theme)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read membership: %w", err)
	}
	return &i, nil
}

// Me gives who acts in ctx, in words.
func (s *Service) Me(ctx context.Context) (*Identity, error) {
	p, err := auth.Require(ctx, "")
	if err != nil {
		return nil, err
	}
	var found *identified
	err = tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		found, err = identify(ctx, tx, p.MembershipID, "")
		return err
	})
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, ErrInvalidCredential
	}
	return &found.Identity, nil
}

// failed records a wrong password where the user belongs, for his tenant's staff to see. Nothing is recorded of
// strangers; they cost one commit as well, so that the time of the answer does not tell the two apart.
func (s *Service) failed(ctx context.Context, u *User, slug string) error {
	all, err := s.belongings(ctx, u.ID, slug != "")
	if err != nil {
		return err
	}
	if slug != "" {
		all = slices.DeleteFunc(all, func(b belonging) bool { return b.Slug != slug })
	}
	for _, b := range all {
		err := tenancy.InTx(tenancy.AsSystem(ctx, b.TenantID, "sign-in"), s.db, func(ctx context.Context, _ bun.Tx) error {
			return audit.Write(ctx, audit.Record{Action: "auth.login_failed", ObjectType: "user", ObjectID: u.ID, AccountID: b.AccountID})
		})
		if err != nil {
			return fmt.Errorf("record a failed log-in: %w", err)
		}
	}
	if len(all) == 0 {
		if err := s.spendCommit(ctx); err != nil {
			return err
		}
	}
	return ErrInvalidLogin
}
