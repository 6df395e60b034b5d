package accounts

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/auth"
	"countersign/internal/web"
	"countersign/tenancy"
)

// Get gives an account of the tenant of ctx; members see their own only. Unknown and foreign ids are web.ErrNotFound.
func Get(ctx context.Context, db bun.IDB, id uuid.UUID) (*Account, error) {
	return one(ctx, db, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("a.id = ?", id) })
}

// Resolve gives the account that text names, by its id or else by its external id (Z-36). It is for path ids: what it
// does not find is web.ErrNotFound.
func Resolve(ctx context.Context, db bun.IDB, text string) (*Account, error) {
	id, err := web.ParseID(text)
	if err != nil {
		return one(ctx, db, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("a.external_id = ?", text) })
	}
	return one(ctx, db, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("(a.id = ? OR a.external_id = ?)", id, text).OrderExpr("a.id = ? DESC", id).Limit(1)
	})
}

// ResolveField is Resolve for a reference in a body: what it does not find is ErrUnknownAccount at the field (Z-36).
func ResolveField(ctx context.Context, db bun.IDB, field, text string) (*Account, error) {
	a, err := Resolve(ctx, db, text)
	if errors.Is(err, web.ErrNotFound) {
		return nil, ErrUnknownAccount.At(field)
	}
	return a, err
}

// Lock gives an active account and keeps it as it is until the transaction ends; others who lock it so do not wait.
// An inactive account is ErrAccountInactive: whoever locks it is about to bill it.
func Lock(ctx context.Context, tx bun.Tx, id uuid.UUID) (*Account, error) {
	a, err := one(ctx, tx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("a.id = ?", id).For("SHARE") })
	if err != nil {
		return nil, err
	}
	return a, a.CheckActive()
}

func one(ctx context.Context, db bun.IDB, which func(*bun.SelectQuery) *bun.SelectQuery) (*Account, error) {
	a := &Account{}
	err := db.NewSelect().Model(a).Apply(visible(ctx, "a.id"), which).Where("a.tenant_id = ?", tenancy.ID(ctx)).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, web.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read account: %w", err)
	}
	return a, nil
}

// visible narrows a member's query to his account, which column names. Row-level security says the same once more.
func visible(ctx context.Context, column string) func(*bun.SelectQuery) *bun.SelectQuery {
	return func(q *bun.SelectQuery) *bun.SelectQuery {
		if p, ok := auth.From(ctx); ok && p.IsMember() {
			return q.Where("? = ?", bun.Ident(column), p.AccountID)
		}
		return q
	}
}

// GetPerson gives a user as the tenant of ctx sees him, by the user's id. Who has no membership there is web.ErrNotFound.
func GetPerson(ctx context.Context, db bun.IDB, userID uuid.UUID) (*Person, error) {
	p := &Person{}
	err := people(ctx, db.NewSelect().Model(p)).Where("m.user_id = ?", userID).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, web.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	return p, nil
}

// people selects memberships of the tenant with the names of their users.
func people(ctx context.Context, q *bun.SelectQuery) *bun.SelectQuery {
	return q.ColumnExpr("m.*").ColumnExpr("u.email, u.name, u.home_tenant_id, u.reset_by, u.reset_at").
		Join("JOIN users AS u ON u.id = m.user_id").Where("m.tenant_id = ?", tenancy.ID(ctx))
}
