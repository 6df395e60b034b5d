package main

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/term"

	"countersign/accounts"
	"countersign/internal/auth"
	"countersign/tenancy"
)

// createTenantCommand makes a tenant and its first owner, who makes the others.
type createTenantCommand struct {
	Slug       string `arg:"" help:"Short name, such as acme-cloud."`
	Name       string `required:"" help:"Name of the organisation."`
	Country    string `required:"" help:"ISO code, such as BD."`
	Currency   string `required:"" help:"ISO code, such as BDT."`
	Timezone   string `default:"UTC" help:"Such as Asia/Dhaka."`
	Locale     string `default:"en" enum:"en,ru,uz,bn" help:"Language of its documents."`
	OwnerEmail string `required:"" help:"E-mail of the first owner."`
	OwnerName  string `required:"" help:"Name of the first owner."`
	Test       bool   `help:"Nothing in it is real money; only there the sandbox gateway works. For life."`
	DryRun     bool   `help:"Only check that the database can be reached."`
}

// Run is called by kong.
func (c createTenantCommand) Run(ctx context.Context) error {
	return withProject(ctx, func(p *project) error {
		if c.DryRun {
			fmt.Printf("Would create tenant %s with owner %s.\n", c.Slug, c.OwnerEmail)
			return nil
		}
		password, err := readPassword(c.OwnerEmail)
		if err != nil {
			return err
		}
		t, err := p.tenancy.Create(ctx, "command createtenant", tenancy.CreateInput{Slug: c.Slug, Name: c.Name, Country: c.Country, DefaultCurrency: c.Currency, Timezone: c.Timezone, Locale: c.Locale, TestMode: c.Test})
		if err != nil {
			return err
		}
		system := tenancy.AsSystem(ctx, t.ID, "command createtenant")
		if _, err := p.accounts.CreateUser(system, accounts.CreateUserInput{Email: c.OwnerEmail, Name: c.OwnerName, Password: password, Role: auth.RoleOwner}); err != nil {
			return fmt.Errorf("tenant %s is made, its owner is not; try `countersign createuser`: %w", t.Slug, err)
		}
		fmt.Printf("Created tenant %s (%s) with owner %s.\n", t.Slug, t.ID, c.OwnerEmail)
		return nil
	})
}

// readPassword asks for a password, or takes it from the environment for scripts; never from a flag, which every user
// of the machine could read.
func readPassword(email string) (string, error) {
	if password := os.Getenv("COUNTERSIGN_PASSWORD"); password != "" {
		return password, nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return "", fmt.Errorf("no terminal to ask for the password: set COUNTERSIGN_PASSWORD")
	}
	fmt.Fprintf(os.Stderr, "Password for %s: ", email)
	password, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(os.Stderr)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return string(password), nil
}
