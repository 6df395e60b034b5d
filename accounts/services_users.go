package accounts

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/audit"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/errs"
	"countersign/internal/web"
	"countersign/tenancy"
)

// CreateUserInput is what a new user needs.
type CreateUserInput struct {
	Email    string
	Name     string
	Password string
	Role     string
	Account  string // id or external id; members only
}

// CreateUser makes a login with a membership in the tenant of ctx, which becomes the user's home. It needs users.manage;
// the operator calls it with tenancy.AsSystem. A known e-mail address is ErrEmailTaken; the operator may Attach it.
func (s *Service) CreateUser(ctx context.Context, in CreateUserInput) (*Person, error) {
	email, err := in.check(ctx)
	if err != nil {
		return nil, err
	}
	hash, err := s.passwords.hash(ctx, "password", in.Password)
	if err != nil {
		return nil, err
	}
	return s.join(ctx, in.Role, in.Account, func(ctx context.Context, tx bun.Tx) (uuid.UUID, error) {
		u := &User{ID: uuid.Must(uuid.NewV7()), Email: email, Name: in.Name, PasswordHash: hash, HomeTenantID: tenancy.ID(ctx), IsActive: true, Theme: "system"}
		if p, _ := auth.From(ctx); p.Kind == auth.KindUser {
			u.ResetBy, u.ResetAt = p.UserID, s.now()
		}
		// nothing is returned: without a membership the tenant does not see him yet
		_, err := tx.NewInsert().Model(u).ExcludeColumn("password_version", "created_at", "updated_at").Returning("NULL").Exec(ctx)
		if err != nil {
			if database.IsUnique(err, "users_email_key") {
				return uuid.Nil, ErrEmailTaken.At("email")
			}
			return uuid.Nil, fmt.Errorf("insert user: %w", err)
		}
		noteReset(ctx, u.ID, u.ResetAt)
		return u.ID, nil
	})
}

func (in CreateUserInput) check(ctx context.Context) (email string, err error) {
	if err := web.CheckForm(url.Values{"email": {in.Email}, "name": {in.Name}}); err != nil { // a command has no body that was looked at
		return "", err
	}
	var fields errs.Fields
	email, err = normalizeEmail(in.Email)
	if err != nil {
		fields.Add("email", ErrEmail)
	}
	if in.Name == "" {
		fields.Add("name", errEmpty)
	}
	checkRole(in.Role, in.Account != "", &fields)
	if err := fields.Err(); err != nil {
		return "", err
	}
	if in.Role == auth.RoleOwner && !mayTouchOwners(ctx) {
		return "", ErrOwnersOnly
	}
	return email, nil
}

// checkRole refuses unknown roles, members without an account and accounts without a member.
func checkRole(role string, hasAccount bool, fields *errs.Fields) {
	switch {
	case !auth.IsRole(role):
		fields.Add("role", ErrUnknownRole.With("allowed", strings.Join(auth.Roles(), ", ")))
	case (role == auth.RoleMember) != hasAccount:
		fields.Add("account_id", ErrAccountNeeded)
	}
}

// mayTouchOwners says whether who acts is an owner, or the operator.
func mayTouchOwners(ctx context.Context) bool {
	p, _ := auth.From(ctx)
	return p.Role == auth.RoleOwner || p.Kind == auth.KindSystem
}

// AttachInput names an existing user and what he becomes in the tenant of ctx.
type AttachInput struct {
	Email   string
	Role    string
	Account string // id or external id; members only
	// Password is a new one. It may be empty for who has no home any more: no tenant knows his.
	Password string
}

// Attach gives an existing user a membership in the tenant of ctx. Only the operator may, with tenancy.AsSystem: from
// then on the user has no home, so that no tenant can take over his login in the others. Whoever managed him until then
// may know his password, so he gets a new one, and everything that was signed in with the old one ends, in all tenants.
func (s *Service) Attach(ctx context.Context, in AttachInput) (*Person, error) {
	if p, ok := auth.From(ctx); !ok || p.Kind != auth.KindSystem {
		return nil, auth.ErrForbidden.With("permission", "operator")
	}
	var fields errs.Fields
	checkRole(in.Role, in.Account != "", &fields)
	if err := fields.Err(); err != nil {
		return nil, err
	}
	u, err := s.loginOf(ctx, strings.ToLower(strings.TrimSpace(in.Email)))
	if err != nil {
		return nil, err
	}
	if u.ID == uuid.Nil {
		return nil, web.ErrNotFound
	}
	hash := ""
	if in.Password != "" {
		if hash, err = s.passwords.hash(ctx, "password", in.Password); err != nil {
			return nil, err
		}
	}
	return s.join(asOneself(ctx, u.ID), in.Role, in.Account, func(ctx context.Context, tx bun.Tx) (uuid.UUID, error) {
		return u.ID, s.free(ctx, tx, u.ID, hash)
	})
}

// free takes a user out of his home, with a new password. Without one it only checks that he has left it before.
func (s *Service) free(ctx context.Context, tx bun.Tx, user uuid.UUID, hash string) error {
	if hash == "" {
		homeless, err := tx.NewSelect().Model((*User)(nil)).Column("id").Where("u.id = ?", user).Where("u.home_tenant_id IS NULL").Exists(ctx)
		if err != nil {
			return fmt.Errorf("read user: %w", err)
		}
		if !homeless {
			return ErrPasswordLength.At("password")
		}
		return nil
	}
	_, err := tx.NewUpdate().Model((*User)(nil)).Set("home_tenant_id = NULL").Set("password_hash = ?", hash).Set("updated_at = now()").
		Set("reset_by = NULL").Set("reset_at = NULL").Where("u.id = ?", user).Exec(ctx)
	if err != nil {
		return fmt.Errorf("free user from his home: %w", err)
	}
	return s.revokeOwn(ctx, tx, uuid.Nil)
}

// join makes the membership of the user that user gives, with its event and audit record.
func (s *Service) join(ctx context.Context, role, account string, user func(context.Context, bun.Tx) (uuid.UUID, error)) (*Person, error) {
	var p *Person
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		m := &Membership{TenantID: tenancy.ID(ctx), ID: uuid.Must(uuid.NewV7()), Role: role, IsActive: true}
		if account != "" {
			a, err := ResolveField(ctx, tx, "account_id", account)
			if err != nil {
				return err
			}
			m.AccountID = a.ID
		}
		var err error
		if m.UserID, err = user(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(m).Exec(ctx); err != nil {
			if database.IsUnique(err, "memberships_user_key") {
				return ErrAlreadyMember
			}
			return fmt.Errorf("insert membership: %w", err)
		}
		if p, err = GetPerson(ctx, tx, m.UserID); err != nil {
			return err
		}
		if err := s.outbox.Emit(ctx, userEvent(EventUserCreated, m)); err != nil {
			return err
		}
		return audit.Write(ctx, audit.Record{Action: "user.create", ObjectType: "user", ObjectID: m.UserID, AccountID: m.AccountID,
			After: userFacts(m)})
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

func userFacts(m *Membership) map[string]any {
	facts := map[string]any{"role": m.Role, "is_active": m.IsActive}
	if m.AccountID != uuid.Nil {
		facts["account_id"] = m.AccountID
	}
	return facts
}

// UpdateUserInput names what changes; nil leaves it as it is. IsActive is about the membership in the tenant of ctx.
type UpdateUserInput struct {
	Name     *string
	Password *string
	Role     *string
	Account  *string // id or external id; members only
	IsActive *bool
}

// UpdateUser changes a user of the tenant of ctx. It needs users.manage. A new role, account or password and a
// deactivation end all the user's credentials in the same commit. One's own password is changed with ChangePassword. Who has a home has no membership elsewhere, so a new
// password leaves no credential behind in another tenant.
func (s *Service) UpdateUser(ctx context.Context, userID uuid.UUID, in UpdateUserInput) (*Person, error) {
	hash := ""
	if in.Password != nil {
		var err error
		if hash, err = s.passwords.hash(ctx, "password", *in.Password); err != nil {
			return nil, err
		}
	}
	var p *Person
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		c, err := prepareChange(ctx, tx, userID, in)
		if err != nil {
			return err
		}
		if err := c.check(ctx); err != nil {
			return err
		}
		if err := c.save(ctx, tx, s, hash); err != nil {
			return err
		}
		p, err = GetPerson(ctx, tx, userID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// change is what becomes of a user.
type change struct {
	before      *Person
	after       Membership
	name        string
	newPassword bool
	otherOwners int // active owners besides him
}

// prepareChange locks the user's membership together with those of the active owners, in one order, so that two owners
// cannot remove each other at the same time.
func prepareChange(ctx context.Context, tx bun.Tx, userID uuid.UUID, in UpdateUserInput) (*change, error) {
	var locked []*Person
	err := people(ctx, tx.NewSelect().Model(&locked)).
		Where("(m.user_id = ? OR (m.role = ? AND m.is_active AND u.is_active))", userID, auth.RoleOwner).
		OrderExpr("m.id").For("NO KEY UPDATE OF m").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("lock user: %w", err)
	}
	c := &change{newPassword: in.Password != nil}
	for _, p := range locked {
		if p.UserID == userID {
			c.before = p
		} else {
			c.otherOwners++
		}
	}
	if c.before == nil {
		return nil, web.ErrNotFound
	}
	c.after, c.name = c.before.Membership, c.before.Name
	set(&c.name, in.Name)
	set(&c.after.Role, in.Role)
	set(&c.after.IsActive, in.IsActive)
	switch {
	case in.Account != nil && *in.Account != "":
		a, err := ResolveField(ctx, tx, "account_id", *in.Account)
		if err != nil {
			return nil, err
		}
		c.after.AccountID = a.ID
	case c.after.Role != auth.RoleMember || in.Account != nil:
		c.after.AccountID = uuid.Nil
	}
	return c, nil
}

// moved says whether what the user may see or do changes.
func (c *change) moved() bool {
	return c.after.Role != c.before.Role || c.after.AccountID != c.before.AccountID
}

func (c *change) deactivated() bool { return c.before.IsActive && !c.after.IsActive }

// login says whether name or password change, which belong to the user and not to the membership.
func (c *change) login() bool { return c.name != c.before.Name || c.newPassword }

func (c *change) check(ctx context.Context) error {
	var fields errs.Fields
	checkRole(c.after.Role, c.after.AccountID != uuid.Nil, &fields)
	if c.name == "" {
		fields.Add("name", errEmpty)
	}
	if err := fields.Err(); err != nil {
		return err
	}
	actor, _ := auth.From(ctx)
	wasOwner := c.before.Role == auth.RoleOwner
	switch {
	case (wasOwner || c.after.Role == auth.RoleOwner) && !mayTouchOwners(ctx):
		return ErrOwnersOnly
	case actor.UserID == c.before.UserID && (c.moved() || c.deactivated()):
		return ErrNotYourself
	case actor.UserID == c.before.UserID && c.newPassword:
		return ErrOwnPassword
	case wasOwner && c.otherOwners == 0 && c.before.IsActive && (c.after.Role != auth.RoleOwner || c.deactivated()):
		return ErrLastOwner
	case c.login() && c.before.HomeTenantID != tenancy.ID(ctx):
		return ErrManagedElsewhere
	}
	return nil
}

func (c *change) save(ctx context.Context, tx bun.Tx, s *Service, hash string) error {
	switched := c.after.IsActive != c.before.IsActive
	if !c.moved() && !switched && !c.login() {
		return nil
	}
	if c.moved() || switched {
		_, err := tx.NewUpdate().Model(&c.after).Column("role", "account_id", "is_active").Set("updated_at = now()").
			Where("m.tenant_id = ?", tenancy.ID(ctx)).Where("m.id = ?", c.after.ID).Exec(ctx)
		if err != nil {
			return fmt.Errorf("update membership: %w", err)
		}
	}
	if c.login() {
		if err := c.saveLogin(ctx, tx, hash, s.now()); err != nil {
			return err
		}
	}
	if c.moved() || c.deactivated() || c.newPassword {
		if err := s.revokeAll(ctx, tx, c.after.ID); err != nil {
			return err
		}
	}
	if err := s.outbox.Emit(ctx, userEvent(EventUserUpdated, &c.after)); err != nil {
		return err
	}
	record := audit.Record{Action: "user.update", ObjectType: "user", ObjectID: c.after.UserID, AccountID: c.after.AccountID,
		Before: userFacts(&c.before.Membership), After: userFacts(&c.after)}
	if c.deactivated() {
		record.Action = "user.deactivate"
	}
	if c.newPassword {
		record.After["password"] = "changed"
	}
	if c.name != c.before.Name {
		record.After["name"] = "changed"
	}
	return audit.Write(ctx, record)
}

// saveLogin names the home once more: the operator may have attached the user elsewhere since it was read.
func (c *change) saveLogin(ctx context.Context, tx bun.Tx, hash string, now time.Time) error {
	q := tx.NewUpdate().Model((*User)(nil)).Set("updated_at = now()").Set("name = ?", c.name)
	if c.newPassword {
		q = q.Set("password_hash = ?", hash)
		if p, _ := auth.From(ctx); p.Kind == auth.KindUser { // a colleague, as check has seen
			q = q.Set("reset_by = ?", p.UserID).Set("reset_at = ?", now)
			noteReset(ctx, c.before.UserID, now)
		} else {
			q = q.Set("reset_by = NULL").Set("reset_at = NULL")
		}
	}
	res, err := q.Where("u.id = ?", c.before.UserID).Where("u.home_tenant_id = ?", tenancy.ID(ctx)).Exec(ctx)
	if err != nil {
		return fmt.Errorf("update user: %w", err)
	}
	if n, _ := res.RowsAffected(); n != 1 {
		return ErrManagedElsewhere
	}
	return nil
}
