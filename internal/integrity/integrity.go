package integrity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/audit"
	"countersign/internal/database"
	"countersign/internal/outbox"
)

// TaskName is the nightly task, which can also be run by hand.
const TaskName = "integrity.prove"

// EventBroken says that checks have found what cannot be right. Its payload is a Broken.
const EventBroken = "integrity.broken"

// Broken is the payload of EventBroken, and what the audit log keeps.
type Broken struct {
	Count    int       `json:"count"`    // of all places; a check names up to a hundred
	Findings []Finding `json:"findings"` // of each check that found something
	Unproven []string  `json:"unproven"` // checks that could not be run
}

// Finding is what one check has found.
type Finding struct {
	Check  string       `json:"check"` // such as ledger.E001
	What   string       `json:"what"`
	Count  int          `json:"count"`
	Places []apps.Place `json:"places"` // the first of them
}

// named is how many places of a finding are told and kept; the number of all is always there.
const named = 10

// Service proves the books. Its checks are known once all apps are: see Prove.
type Service struct {
	db     *bun.DB
	out    *outbox.Outbox
	checks []apps.Check
}

// New makes the service. db acts as the program's own role.
func New(db *bun.DB, out *outbox.Outbox) *Service { return &Service{db: db, out: out} }

// Prove takes the deep checks of all apps, this one among them. It is called once, before anything runs.
func (s *Service) Prove(list []apps.App) {
	for _, app := range list {
		for _, c := range app.Checks {
			if c.Deep {
				s.checks = append(s.checks, c)
			}
		}
	}
}

func (s *Service) task() apps.Task {
	return apps.Task{Name: TaskName, DailyAt: "02:30", Timeout: 30 * time.Minute, Run: s.run}
}

// run proves the books of the tenant of ctx. What it finds is no error of the task: trying again would find the same. A
// check that cannot be run is one, unless there is something to tell already, which must not wait.
func (s *Service) run(ctx context.Context, job apps.Job) error {
	results := make([]result, 0, len(s.checks))
	broken := Broken{Findings: []Finding{}, Unproven: []string{}}
	var failed error
	for _, c := range s.checks {
		found, err := c.Run(ctx)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("check %s: %w", c.ID, err))
			broken.Unproven = append(broken.Unproven, c.ID)
			continue
		}
		results = append(results, newResult(c, found))
		if found != nil {
			f := Finding{Check: c.ID, What: c.What, Count: len(found.Places), Places: first(found.Places)}
			broken.Findings = append(broken.Findings, f)
			broken.Count += f.Count
		}
	}
	if failed != nil && len(broken.Findings) == 0 {
		return failed
	}
	return database.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		if err := s.keep(ctx, tx, results); err != nil {
			return err
		}
		if len(broken.Findings) > 0 {
			if err := s.alarm(ctx, broken, failed); err != nil {
				return err
			}
		}
		return job.Done(ctx, tx)
	})
}

func (s *Service) alarm(ctx context.Context, broken Broken, failed error) error {
	tenant := database.ScopeFrom(ctx).TenantID
	for _, f := range broken.Findings {
		slog.ErrorContext(ctx, "the books are broken", "tenant", tenant, "check", f.Check, "what", f.What, "found", f.Count, "first", f.Places[0].Object, "detail", f.Places[0].Detail)
	}
	if failed != nil {
		slog.ErrorContext(ctx, "some of the books could not be proven", "tenant", tenant, "error", failed)
	}
	if err := s.out.Emit(ctx, outbox.Event{Type: EventBroken, ObjectType: "tenant", ObjectID: tenant, Payload: broken}); err != nil {
		return err
	}
	return audit.Write(ctx, audit.Record{Action: EventBroken, ObjectType: "tenant", ObjectID: tenant,
		After: map[string]any{"count": broken.Count, "findings": broken.Findings, "unproven": broken.Unproven}})
}

// keep replaces what was found before. Results of checks that are no more go; those of checks that could not be run stay
// with the time of their last run, which is what monitoring watches.
func (s *Service) keep(ctx context.Context, tx bun.Tx, results []result) error {
	tenant := database.ScopeFrom(ctx).TenantID
	ids := make([]string, len(s.checks))
	for i, c := range s.checks {
		ids[i] = c.ID
	}
	checks, found, places := make([]string, len(results)), make([]int, len(results)), make([]string, len(results))
	for i, r := range results {
		checks[i], found[i], places[i] = r.Check, r.Found, r.encoded
	}
	return database.Send(ctx, database.Change("forget what is no longer checked", forget, tenant, ids), database.Change("keep what was found", keepResults, tenant, checks, found, places))
}

const forget = `DELETE FROM integrity_results WHERE tenant_id = $1 AND check_id <> ALL ($2::text[])`

// In the order of the checks, so that two runs of one tenant do not wait for each other in a circle.
const keepResults = `
INSERT INTO integrity_results AS r (tenant_id, check_id, found, places)
SELECT $1, n.check_id, n.found, n.places FROM (SELECT unnest($2::text[]) AS check_id, unnest($3::integer[]) AS found, unnest($4::jsonb[]) AS places) AS n
ON CONFLICT (tenant_id, check_id) DO UPDATE SET found = excluded.found, places = excluded.places, ran_at = now()`
