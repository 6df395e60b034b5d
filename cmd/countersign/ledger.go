package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"countersign/billing"
	"countersign/billing/ledger"
	"countersign/tenancy"
)

// ledgerCommand groups what looks after the ledger.
type ledgerCommand struct {
	Rebuild ledgerRebuildCommand `cmd:"" help:"Replay the entries into the cached balances and report what had drifted."`
	Repair  ledgerRepairCommand  `cmd:"" help:"Reverse a transaction that nothing has caused: one that verify names for ledger.E008."`
}

// ledgerRepairCommand undoes what was posted past the application.
type ledgerRepairCommand struct {
	Tenant      string    `required:"" help:"Short name of the tenant."`
	Transaction uuid.UUID `required:"" help:"Id of the ledger transaction."`
	Reason      string    `required:"" help:"Why, for the audit log."`
}

// Run is called by kong.
func (c ledgerRepairCommand) Run(ctx context.Context) error {
	return withProject(ctx, func(p *project) error {
		tenant, err := p.tenantBySlug(ctx, c.Tenant)
		if err != nil {
			return err
		}
		if err := ledger.Repair(tenancy.AsSystem(ctx, tenant, "command ledger repair"), p.db, billing.Kinds(), c.Transaction, c.Reason); err != nil {
			return err
		}
		fmt.Printf("Transaction %s is reversed.\n", c.Transaction)
		return nil
	})
}

// ledgerRebuildCommand replays the cached balances of one tenant or all.
type ledgerRebuildCommand struct {
	Tenant string `help:"Short name of the tenant. Empty: all."`
}

// Run is called by kong.
func (c ledgerRebuildCommand) Run(ctx context.Context) error {
	return withProject(ctx, func(p *project) error {
		rebuild := func(ctx context.Context, tenant uuid.UUID) error {
			done, err := ledger.Rebuild(ctx, p.db, nil)
			if err != nil {
				return err
			}
			for _, d := range done.Drifts {
				fmt.Printf("tenant %s: %s:%s held %s %s, its entries say %s\n", tenant, d.Code, d.Owner, ledger.Format(d.CachedMinor, d.Currency), d.Currency, ledger.Format(d.TrueMinor, d.Currency))
			}
			fmt.Printf("tenant %s: %d balances had drifted and are right again, of %d\n", tenant, len(done.Drifts), done.Checked)
			return nil
		}
		if c.Tenant == "" {
			return p.eachTenant(ctx, "command ledger rebuild", rebuild)
		}
		tenant, err := p.tenantBySlug(ctx, c.Tenant)
		if err != nil {
			return err
		}
		return rebuild(tenancy.AsSystem(ctx, tenant, "command ledger rebuild"), tenant)
	})
}
