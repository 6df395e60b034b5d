package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/tenancy"
)

// createUserCommand gives somebody a log-in, or an existing log-in a role in another tenant. The latter is for the
// operator alone: a tenant's staff cannot reach people of other tenants. It also takes a new password, because the first
// tenant's staff may know the old one.
type createUserCommand struct {
	Tenant  string `required:"" help:"Short name of the tenant."`
	Email   string `required:"" help:"E-mail address."`
	Name    string `help:"Name; needed for a new log-in."`
	Role    string `required:"" help:"owner, admin, finance, cashier, claims, member or viewer."`
	Account string `help:"Id or external id of the account; for the role member."`
	Attach  bool   `help:"The log-in exists: give it a role in this tenant, and a new password; it is signed out everywhere."`
}

// Run is called by kong.
func (c createUserCommand) Run(ctx context.Context) error {
	return withProject(ctx, func(p *project) error {
		tenant, err := p.tenantBySlug(ctx, c.Tenant)
		if err != nil {
			return err
		}
		system := tenancy.AsSystem(ctx, tenant, "command createuser")
		password, err := readPassword(c.Email)
		if err != nil {
			return err
		}
		if c.Attach {
			if password == "" {
				return fmt.Errorf("the new password is empty")
			}
			if _, err := p.accounts.Attach(system, accounts.AttachInput{Email: c.Email, Role: c.Role, Account: c.Account, Password: password}); err != nil {
				return err
			}
			fmt.Printf("%s is now %s of %s, with the new password, and signed out everywhere.\n", c.Email, c.Role, c.Tenant)
			return nil
		}
		if _, err := p.accounts.CreateUser(system, accounts.CreateUserInput{Email: c.Email, Name: c.Name, Password: password, Role: c.Role, Account: c.Account}); err != nil {
			return err
		}
		fmt.Printf("Created %s as %s of %s.\n", c.Email, c.Role, c.Tenant)
		return nil
	})
}

// tenantBySlug finds a tenant for a command, as the observer.
func (p *project) tenantBySlug(ctx context.Context, slug string) (id uuid.UUID, err error) {
	err = tenancy.Observe(ctx, p.db, func(ctx context.Context, tx bun.Tx) error {
		id, err = tenancy.BySlug(ctx, tx, slug)
		return err
	})
	return id, err
}

// eachTenant calls do in every active tenant, under a name that the audit log keeps.
func (p *project) eachTenant(ctx context.Context, name string, do func(ctx context.Context, tenant uuid.UUID) error) error {
	var tenants []uuid.UUID
	err := tenancy.Observe(ctx, p.db, func(ctx context.Context, tx bun.Tx) (err error) {
		tenants, err = tenancy.All(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	for _, tenant := range tenants {
		if err := do(tenancy.AsSystem(ctx, tenant, name), tenant); err != nil {
			return fmt.Errorf("tenant %s: %w", tenant, err)
		}
	}
	return nil
}
