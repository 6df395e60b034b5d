package tenancy

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/auth"
	"countersign/internal/database"
)

// Enter returns a context in which p acts in his tenant and, for members, in his account only.
func Enter(ctx context.Context, p auth.Principal) context.Context {
	ctx = auth.With(ctx, p)
	return database.WithScope(ctx, database.Scope{TenantID: p.TenantID, AccountID: p.AccountID})
}

// AsSystem returns a context in which a program acts in a tenant under a name, such as "worker payments.settle".
func AsSystem(ctx context.Context, tenant uuid.UUID, name string) context.Context {
	return Enter(ctx, auth.Principal{Kind: auth.KindSystem, Label: name, TenantID: tenant})
}

// ForAccounts returns a context for a transaction that does what members of several accounts have asked for at the same
// time, and sees no other account. No accounts stands for staff, who see all.
func ForAccounts(ctx context.Context, tenant uuid.UUID, name string, accounts []uuid.UUID) context.Context {
	ctx = AsSystem(ctx, tenant, name)
	texts := make([]string, len(accounts))
	for i, id := range accounts {
		texts[i] = id.String()
	}
	return database.WithScope(ctx, database.Scope{TenantID: tenant, Accounts: strings.Join(texts, ",")})
}

// ID gives the tenant of ctx. It panics outside a tenant, which InTx and Read have excluded before any query runs.
func ID(ctx context.Context) uuid.UUID {
	id := database.ScopeFrom(ctx).TenantID
	if id == uuid.Nil {
		panic("tenancy: no tenant in this context")
	}
	return id
}

// InTx runs fn in one transaction of the tenant of ctx and commits it. It refuses to nest; fn may run again after a
// lost race or an error marked by database.Again, so it changes nothing outside the transaction and sends nothing.
func InTx(ctx context.Context, db *bun.DB, fn func(ctx context.Context, tx bun.Tx) error) error {
	if database.ScopeFrom(ctx).TenantID == uuid.Nil {
		return ErrNoTenant
	}
	return database.InTx(ctx, db, fn)
}

// Read runs fn in one read-only transaction of the tenant of ctx.
func Read(ctx context.Context, db *bun.DB, fn func(ctx context.Context, tx bun.Tx) error) error {
	if database.ScopeFrom(ctx).TenantID == uuid.Nil {
		return ErrNoTenant
	}
	return database.Read(ctx, db, fn)
}

// Fetch runs statements in one read-only transaction of the tenant of ctx, all of it in one round trip.
func Fetch(ctx context.Context, db *bun.DB, statements ...database.Statement) error {
	if database.ScopeFrom(ctx).TenantID == uuid.Nil {
		return ErrNoTenant
	}
	return database.Fetch(ctx, db, statements...)
}

// Observe runs fn as the observer, who sees across tenants which work waits and how old it is, and nothing else.
func Observe(ctx context.Context, db *bun.DB, fn func(ctx context.Context, tx bun.Tx) error) error {
	return database.Read(database.WithScope(ctx, database.Scope{Role: database.Observer}), db, fn)
}
