package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/tenancy"
)

// verifyCommand proves the books of every tenant, or of one. docs/verify.md says how to read it. It changes nothing, so it
// may run at any time, beside everything else. Its exit code is 0 when nothing was found and all could be proven.
type verifyCommand struct {
	Tenant string `help:"Short name of the tenant. Empty: all."`
	JSON   bool   `name:"json" help:"Print one JSON object."`
}

// Run is called by kong.
func (c verifyCommand) Run(ctx context.Context) error {
	return withProject(ctx, func(p *project) error {
		proof, err := p.prove(ctx, c.Tenant, p.checks(true))
		if err != nil {
			return err
		}
		if c.JSON {
			err = json.NewEncoder(os.Stdout).Encode(proof)
		} else {
			err = proof.print(os.Stdout)
		}
		return errors.Join(err, proof.verdict())
	})
}

// proof is what the deep checks have found.
type proof struct {
	OK       bool          `json:"ok"`       // nothing was found, and every check could be run
	Findings int           `json:"findings"` // checks of tenants that found something
	Unproven int           `json:"unproven"` // checks of tenants that could not be run
	Tenants  []tenantProof `json:"tenants"`
}

type tenantProof struct {
	Tenant uuid.UUID    `json:"tenant"`
	Slug   string       `json:"slug"`
	Checks []checkProof `json:"checks"`
}

// checkProof is what one check has found in one tenant.
type checkProof struct {
	ID           string       `json:"id"`
	LooksFor     string       `json:"looks_for"`
	Status       string       `json:"status"` // ok, broken or unproven
	Found        int          `json:"found"`  // at most a hundred
	Places       []apps.Place `json:"places"`
	Hint         string       `json:"hint"`  // what to do when something was found
	Error        string       `json:"error"` // why it could not be run
	Milliseconds int64        `json:"milliseconds"`
}

// prove runs the checks in a tenant, or in all when slug is empty. A check that fails does not keep the others from running.
func (p *project) prove(ctx context.Context, slug string, checks []apps.Check) (proof, error) {
	result := proof{Tenants: []tenantProof{}}
	one := func(ctx context.Context, tenant uuid.UUID) error {
		t := tenantProof{Tenant: tenant}
		err := tenancy.Read(ctx, p.db, func(ctx context.Context, tx bun.Tx) error {
			current, err := tenancy.Current(ctx, tx)
			if err == nil {
				t.Slug = current.Slug
			}
			return err
		})
		if err != nil {
			return err
		}
		for _, c := range checks {
			made := runCheck(ctx, c)
			switch made.Status {
			case "broken":
				result.Findings++
			case "unproven":
				result.Unproven++
			}
			t.Checks = append(t.Checks, made)
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		result.Tenants = append(result.Tenants, t)
		return nil
	}
	var err error
	if slug == "" {
		err = p.eachTenant(ctx, "command verify", one)
	} else {
		var tenant uuid.UUID
		if tenant, err = p.tenantBySlug(ctx, slug); err == nil {
			err = one(tenancy.AsSystem(ctx, tenant, "command verify"), tenant)
		}
	}
	result.OK = result.Findings+result.Unproven == 0
	return result, err
}

func runCheck(ctx context.Context, c apps.Check) checkProof {
	began := time.Now()
	made := checkProof{ID: c.ID, LooksFor: c.What, Hint: c.Hint, Status: "ok", Places: []apps.Place{}}
	f, err := c.Run(ctx)
	made.Milliseconds = time.Since(began).Milliseconds()
	switch {
	case err != nil:
		made.Status, made.Error = "unproven", err.Error()
	case f != nil:
		made.Status, made.Found, made.Places = "broken", len(f.Places), f.Places
	}
	return made
}

// verdict is nil when the books are right and proven.
func (p proof) verdict() error {
	switch {
	case p.OK:
		return nil
	case p.Findings == 0:
		return fmt.Errorf("%d checks could not be run in %d tenants: nothing is proven by them", p.Unproven, len(p.Tenants))
	default:
		return fmt.Errorf("%d findings in %d tenants", p.Findings, len(p.Tenants))
	}
}

// shownPlaces is how many places of a finding are printed; --json has them all.
const shownPlaces = 5

// print writes a table for each tenant: what was looked for, and under what was found its places and what to do.
func (p proof) print(out io.Writer) error {
	for _, t := range p.Tenants {
		fmt.Fprintf(out, "\ntenant %s (%s)\n", t.Tenant, t.Slug)
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "  RESULT\tCHECK\tFOUND\tTIME\tLOOKED FOR")
		for _, c := range t.Checks {
			fmt.Fprintf(w, "  %s\t%s\t%d\t%d ms\t%s\n", c.Status, c.ID, c.Found, c.Milliseconds, c.LooksFor)
			for _, place := range c.Places[:min(len(c.Places), shownPlaces)] {
				fmt.Fprintf(w, "  \t\t\t\t  %s: %s\n", place.Object, place.Detail)
			}
			if more := c.Found - shownPlaces; more > 0 {
				fmt.Fprintf(w, "  \t\t\t\t  and %d more\n", more)
			}
			if c.Status == "broken" {
				fmt.Fprintf(w, "  \t\t\t\t  what to do: %s\n", c.Hint)
			}
			if c.Error != "" {
				fmt.Fprintf(w, "  \t\t\t\t  %s\n", c.Error)
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if p.OK {
		fmt.Fprintf(out, "\nThe books of %d tenants are right: every transaction sums to zero, cached balances are their entries, what is paid is posted once, "+
			"every posting has its cause, and numbers and hash chains have no gap.\n", len(p.Tenants))
	}
	return nil
}
