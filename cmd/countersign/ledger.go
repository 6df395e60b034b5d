package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"countersign/billing/ledger"
	"countersign/internal/settings"
	"countersign/tenancy"
)

// ledgerCommand groups what looks after the ledger.
type ledgerCommand struct {
	Rebuild ledgerRebuildCommand `cmd:"" help:"Replay the entries into the cached balances and report what had drifted."`
}

// ledgerRebuildCommand replays the cached balances of one tenant or all.
type ledgerRebuildCommand struct {
	Tenant string `help:"Short name of the tenant. Empty: all."`
}

// Run is called by kong.
func (c ledgerRebuildCommand) Run(ctx context.Context) error {
	s, err := settings.Load()
	if err != nil {
		return err
	}
	p, err := connect(ctx, s)
	if err != nil {
		return err
	}
	defer p.close()
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
}
