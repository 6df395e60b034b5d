package accounts

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/audit"
	"countersign/internal/auth"
	"countersign/tenancy"
)

// ChangePasswordInput is a new password, and the present one to prove who asks: a session that was left open or a token
// that was stolen must not be enough.
type ChangePasswordInput struct {
	Current string
	New     string
}

// ChangePassword sets the password of who acts, wherever his home is. It ends all his other credentials, in all tenants,
// in the same commit, and keeps the present one. A wrong present password is ErrWrongPassword; it is counted like a wrong
// one at log-in, together with those.
func (s *Service) ChangePassword(ctx context.Context, in ChangePasswordInput) error {
	p, err := auth.Require(ctx, "")
	if err != nil {
		return err
	}
	if p.Kind != auth.KindUser {
		return auth.ErrForbidden.With("permission", "user")
	}
	if err := s.passwords.check(in.New); err != nil {
		return err.At("new_password")
	}
	tried, err := s.admit(ctx, auth.RequestFrom(ctx).IP, p.Label)
	if err != nil {
		return err
	}
	u, err := s.loginOf(ctx, p.Label)
	if err != nil {
		return err
	}
	right, err := s.passwords.matches(ctx, in.Current, u.PasswordHash)
	if err != nil {
		return err
	}
	if !right || u.ID != p.UserID {
		return s.refusePassword(ctx, p)
	}
	hash, err := s.passwords.hash(ctx, "new_password", in.New)
	if err != nil {
		return err
	}
	return tenancy.InTx(asOneself(ctx, u.ID), s.db, func(ctx context.Context, tx bun.Tx) error {
		return s.changePassword(ctx, tx, p, u, hash, tried)
	})
}

// changePassword replaces the password that was proved, and no other: one that somebody has set meanwhile stays.
func (s *Service) changePassword(ctx context.Context, tx bun.Tx, p auth.Principal, u *User, hash string, tried attempt) error {
	res, err := tx.NewUpdate().Model((*User)(nil)).Set("password_hash = ?", hash).Set("updated_at = now()").
		Where("u.id = ?", u.ID).Where("u.password_version = ?", u.PasswordVersion).Exec(ctx)
	if err != nil {
		return fmt.Errorf("update user: %w", err)
	}
	if n, _ := res.RowsAffected(); n != 1 {
		return ErrWrongPassword.At("current_password")
	}
	if err := s.revokeOwn(ctx, tx, p.CredentialID); err != nil {
		return err
	}
	person, err := GetPerson(ctx, tx, u.ID)
	if err != nil {
		return err
	}
	s.forgive(ctx, tried)
	if err := s.outbox.Emit(ctx, userEvent(EventUserUpdated, &person.Membership)); err != nil {
		return err
	}
	return audit.Write(ctx, audit.Record{Action: "user.change_password", ObjectType: "user", ObjectID: u.ID, AccountID: p.AccountID})
}

// refusePassword records a wrong present password for the tenant's staff to see.
func (s *Service) refusePassword(ctx context.Context, p auth.Principal) error {
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, _ bun.Tx) error {
		return audit.Write(ctx, audit.Record{Action: "user.change_password_failed", ObjectType: "user", ObjectID: p.UserID, AccountID: p.AccountID})
	})
	if err != nil {
		return fmt.Errorf("record a wrong password: %w", err)
	}
	return ErrWrongPassword.At("current_password")
}

// revokeOwn ends the credentials of the user of asOneself in all tenants, but for the one to keep; zero: none.
func (s *Service) revokeOwn(ctx context.Context, tx bun.Tx, keep uuid.UUID) error {
	if _, err := tx.ExecContext(ctx, "SELECT revoke_own(?, ?)", keep, s.now()); err != nil {
		return fmt.Errorf("revoke credentials in all tenants: %w", err)
	}
	return nil
}
