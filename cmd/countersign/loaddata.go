package main

import (
	"context"
	"fmt"

	"countersign/tenancy"
)

// loadDataCommand loads reference data: the payment methods of countries, into a tenant. What is there is updated.
type loadDataCommand struct {
	Tenant    string   `required:"" help:"Short name of the tenant."`
	Countries []string `arg:"" help:"Country codes, or * for the methods that are offered everywhere."`
	DryRun    bool     `help:"Only print what would be loaded."`
}

// Run is called by kong.
func (c loadDataCommand) Run(ctx context.Context) error {
	return withProject(ctx, func(p *project) error {
		tenant, err := p.tenantBySlug(ctx, c.Tenant)
		if err != nil {
			return err
		}
		if c.DryRun {
			fmt.Println("Would load the payment methods of", c.Countries)
			return nil
		}
		if err := p.billing.Methods.LoadFixtures(tenancy.AsSystem(ctx, tenant, "command loaddata"), c.Countries...); err != nil {
			return err
		}
		fmt.Println("Loaded the payment methods of", c.Countries)
		return nil
	})
}
