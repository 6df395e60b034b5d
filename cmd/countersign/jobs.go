package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/outbox"
	"countersign/tenancy"
)

// jobsCommand groups what looks after background work.
type jobsCommand struct {
	List    jobsListCommand    `cmd:"" help:"List the tasks of a tenant with their last success and how many are dead."`
	Run     jobsRunCommand     `cmd:"" help:"Run a periodic task now."`
	Restart jobsRestartCommand `cmd:"" help:"Run a dead task again."`
}

type jobsListCommand struct {
	Tenant string `required:"" help:"Short name of the tenant."`
}

// Run is called by kong.
func (c jobsListCommand) Run(ctx context.Context) error {
	return inTenant(ctx, c.Tenant, "command jobs list", func(ctx context.Context, p *project) error {
		var states []outbox.TaskState
		err := tenancy.Read(ctx, p.db, func(ctx context.Context, tx bun.Tx) (err error) {
			states, err = p.outbox.TaskStates(ctx, tx)
			return err
		})
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "TASK\tLAST SUCCESS\tDEAD")
		for _, s := range states {
			last := "never"
			if !s.LastSuccess.IsZero() {
				last = s.LastSuccess.UTC().Format(time.RFC3339)
			}
			fmt.Fprintf(w, "%s\t%s\t%d\n", s.Task, last, s.Dead)
		}
		return w.Flush()
	})
}

type jobsRunCommand struct {
	Tenant string `required:"" help:"Short name of the tenant."`
	Task   string `arg:"" help:"Name of the task."`
}

// Run is called by kong.
func (c jobsRunCommand) Run(ctx context.Context) error {
	return inTenant(ctx, c.Tenant, "command jobs run", func(ctx context.Context, p *project) error {
		id, err := p.outbox.RunNow(ctx, p.db, c.Task)
		if err != nil {
			return err
		}
		fmt.Printf("%s will run as job %s.\n", c.Task, id)
		return nil
	})
}

type jobsRestartCommand struct {
	Tenant string    `required:"" help:"Short name of the tenant."`
	ID     uuid.UUID `arg:"" help:"Id of the dead job."`
}

// Run is called by kong.
func (c jobsRestartCommand) Run(ctx context.Context) error {
	return inTenant(ctx, c.Tenant, "command jobs restart", func(ctx context.Context, p *project) error {
		job, err := p.outbox.Restart(ctx, p.db, c.ID)
		if err != nil {
			return err
		}
		fmt.Printf("Job %s (%s) will run again.\n", job.ID, job.Task)
		return nil
	})
}

// inTenant connects and acts in one tenant under a name.
func inTenant(ctx context.Context, slug, name string, do func(ctx context.Context, p *project) error) error {
	return withProject(ctx, func(p *project) error {
		tenant, err := p.tenantBySlug(ctx, slug)
		if err != nil {
			return err
		}
		return do(tenancy.AsSystem(ctx, tenant, name), p)
	})
}
