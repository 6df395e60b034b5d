package accounts

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/tenancy"
)

// ByIDs gives accounts of the tenant of ctx, for lists that show whose something is. Unknown ids are absent.
func ByIDs(ctx context.Context, db bun.IDB, ids ...uuid.UUID) (map[uuid.UUID]*Account, error) {
	found := make(map[uuid.UUID]*Account, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	var list []*Account
	err := db.NewSelect().Model(&list).Apply(visible(ctx, "a.id")).Where("a.tenant_id = ?", tenancy.ID(ctx)).Where("a.id IN (?)", bun.List(ids)).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	for _, a := range list {
		found[a.ID] = a
	}
	return found, nil
}

// PeopleByIDs gives users as the tenant of ctx sees them, by the users' ids. Who has no membership there is absent.
func PeopleByIDs(ctx context.Context, db bun.IDB, ids ...uuid.UUID) (map[uuid.UUID]*Person, error) {
	found := make(map[uuid.UUID]*Person, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	var list []*Person
	err := people(ctx, db.NewSelect().Model(&list)).Apply(visible(ctx, "m.account_id")).Where("m.user_id IN (?)", bun.List(ids)).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	for _, p := range list {
		found[p.UserID] = p
	}
	return found, nil
}

// Choices gives active accounts for a select, by their holders, at most limit of them.
func Choices(ctx context.Context, db bun.IDB, limit int64) ([]*Account, error) {
	list := []*Account{}
	err := db.NewSelect().Model(&list).Apply(visible(ctx, "a.id")).Where("a.tenant_id = ?", tenancy.ID(ctx)).Where("a.is_active").
		OrderExpr("a.holder_key, a.id").Limit(limit).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	return list, nil
}

// Members gives the users of an account, at most a hundred.
func Members(ctx context.Context, db bun.IDB, account uuid.UUID) ([]*Person, error) {
	list := []*Person{}
	err := people(ctx, db.NewSelect().Model(&list)).Apply(visible(ctx, "m.account_id")).Where("m.account_id = ?", account).
		OrderExpr("m.created_at, m.id").Limit(100).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read users of account %s: %w", account, err)
	}
	return list, nil
}
