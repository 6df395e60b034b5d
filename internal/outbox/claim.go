package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/carddata"
	"countersign/internal/database"
)

// Handover is a row on its way to a handler. Attempts is how many runs have been started before, so each handover can
// be started once: whoever comes second with the same number finds it taken.
type Handover struct {
	ID       uuid.UUID
	Task     string
	Attempts int
}

// Run is a row in the hands of a handler.
type Run struct {
	ID       uuid.UUID
	Task     string
	Cause    string
	Payload  json.RawMessage
	Attempts int // with this one
}

// The index over waiting rows is walked from tenant to tenant: a tenant with a million rows costs what one with a
// single row costs.
const waitingTenants = `
WITH RECURSIVE w AS (
  (SELECT o.tenant_id FROM outbox AS o
   WHERE o.done_at IS NULL AND o.dead_at IS NULL AND o.next_at <= now() AND o.task = ANY ($1) ORDER BY o.tenant_id LIMIT 1)
  UNION ALL
  SELECT (SELECT o.tenant_id FROM outbox AS o
          WHERE o.tenant_id > w.tenant_id AND o.done_at IS NULL AND o.dead_at IS NULL AND o.next_at <= now() AND o.task = ANY ($1)
          ORDER BY o.tenant_id LIMIT 1)
  FROM w WHERE w.tenant_id IS NOT NULL)
SELECT w.tenant_id FROM w WHERE w.tenant_id IS NOT NULL`

// Waiting gives the tenants with rows of these tasks whose time has come. It runs as the observer.
func Waiting(ctx context.Context, tx bun.Tx, tasks []string) ([]uuid.UUID, error) {
	rows, err := database.Hot(tx).QueryContext(ctx, waitingTenants, tasks)
	if err != nil {
		return nil, fmt.Errorf("list tenants with waiting work: %w", err)
	}
	defer rows.Close()
	var tenants []uuid.UUID
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("list tenants with waiting work: %w", err)
		}
		tenants = append(tenants, id)
	}
	return tenants, rows.Err()
}

const claim = `
UPDATE outbox AS o SET next_at = now() + $2 * interval '1 microsecond'
FROM (SELECT i.id FROM outbox AS i
      WHERE i.tenant_id = $1 AND i.done_at IS NULL AND i.dead_at IS NULL AND i.next_at <= now() AND i.task = ANY ($3)
      ORDER BY i.next_at LIMIT $4 FOR UPDATE SKIP LOCKED) AS due
WHERE o.tenant_id = $1 AND o.id = due.id
RETURNING o.id, o.task, o.attempts`

// Claim takes up to limit rows of the current tenant whose time has come, and puts them off for the time that the
// handover may take: what has not been started by then is claimed again. Only the relay calls it.
func Claim(ctx context.Context, tx bun.Tx, tasks []string, putOff time.Duration, limit int) ([]Handover, error) {
	rows, err := database.Hot(tx).QueryContext(ctx, claim, tenantOf(ctx), putOff.Microseconds(), tasks, limit)
	if err != nil {
		return nil, fmt.Errorf("claim work: %w", err)
	}
	defer rows.Close()
	var list []Handover
	for rows.Next() {
		var h Handover
		if err := rows.Scan(&h.ID, &h.Task, &h.Attempts); err != nil {
			return nil, fmt.Errorf("claim work: %w", err)
		}
		list = append(list, h)
	}
	return list, rows.Err()
}

const putBack = `
UPDATE outbox SET next_at = now() + $2 * interval '1 microsecond'
WHERE tenant_id = $1 AND id = ANY ($3) AND done_at IS NULL AND dead_at IS NULL`

// PutBack makes claimed rows that could not be handed over due again after a while.
func PutBack(ctx context.Context, tx bun.Tx, ids []uuid.UUID, after time.Duration) error {
	if _, err := database.Hot(tx).ExecContext(ctx, putBack, tenantOf(ctx), after.Microseconds(), ids); err != nil {
		return fmt.Errorf("put work back: %w", err)
	}
	return nil
}

// An empty last_error is what tells a running row from one that waits for its next attempt.
const start = `
UPDATE outbox SET attempts = attempts + 1, last_error = '', next_at = now() + $4 * interval '1 microsecond'
WHERE tenant_id = $1 AND id = $2 AND attempts = $3 AND done_at IS NULL AND dead_at IS NULL
RETURNING task, cause, payload, attempts`

// Start begins a run. It answers ErrOvertaken when the row is done or dead, or when somebody else has started this very
// handover. A run that has neither ended nor failed after the time it may take is handed over again.
func Start(ctx context.Context, tx bun.Tx, h Handover, mayTake time.Duration) (Run, error) {
	r := Run{ID: h.ID}
	var payload string
	err := database.Hot(tx).QueryRowContext(ctx, start, tenantOf(ctx), h.ID, h.Attempts, mayTake.Microseconds()).
		Scan(&r.Task, &r.Cause, &payload, &r.Attempts)
	if errors.Is(err, sql.ErrNoRows) {
		return Run{}, ErrOvertaken
	}
	if err != nil {
		return Run{}, fmt.Errorf("start job %s: %w", h.ID, err)
	}
	r.Payload = json.RawMessage(payload)
	return r, nil
}

const finish = `
UPDATE outbox SET done_at = now(), last_error = ''
WHERE tenant_id = $1 AND id = $2 AND attempts = $3 AND done_at IS NULL AND dead_at IS NULL`

// Finish marks the row as done, in the commit of the run's effect. It answers ErrOvertaken when a later run has begun,
// so that the effect is rolled back: that is what makes it happen once.
func Finish(ctx context.Context, tx bun.Tx, r Run) error {
	return end(ctx, tx, r, finish)
}

const fail = `
UPDATE outbox SET last_error = $4, next_at = now() + $5 * interval '1 microsecond'
WHERE tenant_id = $1 AND id = $2 AND attempts = $3 AND done_at IS NULL AND dead_at IS NULL`

// Fail notes why a run failed and lets the row be handed over again after a while.
func Fail(ctx context.Context, tx bun.Tx, r Run, reason string, after time.Duration) error {
	return end(ctx, tx, r, fail, brief(reason), after.Microseconds())
}

const bury = `
UPDATE outbox SET last_error = $4, dead_at = now()
WHERE tenant_id = $1 AND id = $2 AND attempts = $3 AND done_at IS NULL AND dead_at IS NULL`

// Bury gives the row up: it is listed as dead until somebody restarts it.
func Bury(ctx context.Context, tx bun.Tx, r Run, reason string) error {
	return end(ctx, tx, r, bury, brief(reason))
}

const release = `
UPDATE outbox SET last_error = $4, next_at = now(), attempts = attempts - 1
WHERE tenant_id = $1 AND id = $2 AND attempts = $3 AND done_at IS NULL AND dead_at IS NULL`

// Release gives a run back that a stopping worker could not finish. It does not count as an attempt.
func Release(ctx context.Context, tx bun.Tx, r Run) error {
	return end(ctx, tx, r, release, "The worker was stopped before the job was done.")
}

func end(ctx context.Context, tx bun.Tx, r Run, query string, args ...any) error {
	res, err := database.Hot(tx).ExecContext(ctx, query, append([]any{tenantOf(ctx), r.ID, r.Attempts}, args...)...)
	if err != nil {
		return fmt.Errorf("end job %s: %w", r.ID, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return ErrOvertaken
	}
	return nil
}

// maxReason is how many bytes of an error are kept: enough to see what is wrong, too little for a dump of data.
const maxReason = 500

func brief(reason string) string { return carddata.Excerpt(reason, maxReason) } // a provider may give back what it was sent

func tenantOf(ctx context.Context) uuid.UUID { return database.ScopeFrom(ctx).TenantID }

// Backlog is what waits and what is dead of one task, in the whole installation.
type Backlog struct {
	Task    string
	Waiting int64
	Oldest  time.Time // when the oldest waiting row was written; zero: none waits
	Dead    int64
}

// tenant_id is named for a distributed database's sake only: this question is about all tenants.
const backlogs = `
SELECT b.task, sum(b.waiting), min(b.oldest), sum(b.dead)
FROM (SELECT o.task, count(*) AS waiting, min(o.created_at) AS oldest, 0 AS dead FROM outbox AS o
      WHERE o.tenant_id IS NOT NULL AND o.done_at IS NULL AND o.dead_at IS NULL GROUP BY o.task
      UNION ALL
      SELECT o.task, 0, NULL, count(*) FROM outbox AS o
      WHERE o.tenant_id IS NOT NULL AND o.dead_at IS NOT NULL GROUP BY o.task) AS b
GROUP BY b.task ORDER BY b.task`

// Backlogs gives the tasks with rows that wait or are dead. It runs as the observer.
func Backlogs(ctx context.Context, tx bun.Tx) ([]Backlog, error) {
	rows, err := database.Hot(tx).QueryContext(ctx, backlogs)
	if err != nil {
		return nil, fmt.Errorf("read backlogs: %w", err)
	}
	defer rows.Close()
	var list []Backlog
	for rows.Next() {
		var b Backlog
		var oldest sql.NullTime
		if err := rows.Scan(&b.Task, &b.Waiting, &oldest, &b.Dead); err != nil {
			return nil, fmt.Errorf("read backlogs: %w", err)
		}
		b.Oldest = oldest.Time
		list = append(list, b)
	}
	return list, rows.Err()
}
