package accounts

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/web"
	"countersign/tenancy"
)

const accountColumns = `id, number, coalesce(external_id, ''), kind, holder, holder_key, country, currency, coalesce(email, ''), coalesce(patient_id, ''), billing_address,
  payment_methods, coalesce(default_payment_method, ''), is_active, created_at, updated_at`

const byIDs = `
SELECT ` + accountColumns + `
FROM accounts WHERE tenant_id = $1 AND id = ANY ($2::uuid[]) AND ($3::uuid IS NULL OR id = $3)`

func (a *Account) scan(row database.Row) error {
	return row.Scan(&a.ID, &a.Number, &a.ExternalID, &a.Kind, &a.Holder, &a.HolderKey, &a.Country, &a.Currency, &a.Email, &a.PatientID, &a.BillingAddress,
		&a.PaymentMethods, &a.DefaultPaymentMethod, &a.IsActive, &a.CreatedAt, &a.UpdatedAt)
}

// SelectByIDs adds accounts of the tenant of ctx to found. Unknown ids, and those that a member may not see, stay absent.
func SelectByIDs(ctx context.Context, found map[uuid.UUID]*Account, ids ...uuid.UUID) database.Statement {
	return database.Select("read accounts", byIDs, func(row database.Row) error {
		a := &Account{TenantID: tenancy.ID(ctx)}
		err := a.scan(row)
		found[a.ID] = a
		return err
	}, tenancy.ID(ctx), ids, auth.MembersAccount(ctx))
}

const byText = `
SELECT ` + accountColumns + `
FROM accounts WHERE tenant_id = $1 AND (id = $2 OR external_id = $3) AND ($4::uuid IS NULL OR id = $4) ORDER BY id = $2 DESC LIMIT 1`

// SelectByText is Resolve as a statement. An account that is not found, or that a member may not see, keeps its zero ID.
func SelectByText(ctx context.Context, a *Account, text string) database.Statement {
	id, _ := web.ParseID(text) // what is no id is an external one
	return database.Select("read account", byText, func(row database.Row) error {
		a.TenantID = tenancy.ID(ctx)
		return a.scan(row)
	}, tenancy.ID(ctx), id, text, auth.MembersAccount(ctx))
}

// ByIDs gives accounts of the tenant of ctx, for lists that show whose something is. Unknown ids are absent.
func ByIDs(ctx context.Context, _ bun.Tx, ids ...uuid.UUID) (map[uuid.UUID]*Account, error) {
	found := make(map[uuid.UUID]*Account, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	err := database.Send(ctx, SelectByIDs(ctx, found, ids...))
	return found, err
}

const peopleByIDs = `
SELECT m.id, m.user_id, m.role, coalesce(m.account_id, '00000000-0000-0000-0000-000000000000'), m.is_active AND u.is_active, m.created_at, m.updated_at, u.email, u.name,
  coalesce(u.home_tenant_id, '00000000-0000-0000-0000-000000000000'), coalesce(u.reset_by, '00000000-0000-0000-0000-000000000000'), u.reset_at
FROM memberships AS m JOIN users AS u ON u.id = m.user_id
WHERE m.tenant_id = $1 AND m.user_id = ANY ($2::uuid[]) AND ($3::uuid IS NULL OR m.account_id = $3)`

// SelectPeopleByIDs adds users as the tenant of ctx sees them to found, by the users' ids. Who has no membership there
// stays absent.
func SelectPeopleByIDs(ctx context.Context, found map[uuid.UUID]*Person, ids ...uuid.UUID) database.Statement {
	return database.Select("read users", peopleByIDs, func(row database.Row) error {
		p := &Person{Membership: Membership{TenantID: tenancy.ID(ctx)}}
		var reset sql.NullTime
		err := row.Scan(&p.ID, &p.UserID, &p.Role, &p.AccountID, &p.IsActive, &p.CreatedAt, &p.UpdatedAt, &p.Email, &p.Name, &p.HomeTenantID, &p.ResetBy, &reset)
		p.ResetAt = reset.Time
		found[p.UserID] = p
		return err
	}, tenancy.ID(ctx), ids, auth.MembersAccount(ctx))
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
