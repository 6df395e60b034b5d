package ledger

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/tenancy"
)

// Problem is something in the books that cannot be right.
type Problem struct {
	Check  string    `bun:"-" json:"check"`       // such as ledger.E001
	What   string    `bun:"-" json:"what"`        // a sentence about the check
	Object uuid.UUID `bun:"object" json:"object"` // the transaction, or for ledger.E004 and E005 the ledger account
	Detail string    `bun:"detail" json:"detail"` // what was found there: numbers and currencies
}

// integrityCheck finds one sort of problem in the tenant that stands for every ? of its query.
type integrityCheck struct {
	id, what, hint string
	places         int // how often the query names the tenant
	query          string
}

// integrityChecks look with their own eyes: none relies on the trigger or on another check. Each is one statement, so it
// sees one moment, in which postings are there with all their parts or not at all.
var integrityChecks = []integrityCheck{
	{"ledger.E001", "a transaction does not sum to zero", "A bug or a change past the application: compare the entries with their cause, then post a correction.", 1, `
SELECT e.transaction_id AS object, e.currency || ' entries sum to ' || sum(e.amount_minor) AS detail
FROM ledger_entries e WHERE e.tenant_id = ? GROUP BY e.transaction_id, e.currency HAVING sum(e.amount_minor) <> 0 ORDER BY 1`},
	{"ledger.E002", "a transaction has not all of its lines", "Lines were lost or added past the application: restore them from a backup.", 2, `
SELECT t.id AS object, t.lines || ' lines were posted, ' || coalesce(e.n, 0) || ' are there' AS detail
FROM ledger_transactions t
LEFT JOIN (SELECT l.transaction_id, count(*) AS n, max(l.line) AS last FROM ledger_entries l WHERE l.tenant_id = ? GROUP BY l.transaction_id) e ON e.transaction_id = t.id
WHERE t.tenant_id = ? AND (coalesce(e.n, 0) <> t.lines OR e.last <> t.lines) ORDER BY 1`},
	{"ledger.E003", "entries belong to no transaction", "The header was lost past the application: restore it from a backup.", 2, `
SELECT e.transaction_id AS object, count(*) || ' entries' AS detail
FROM ledger_entries e LEFT JOIN ledger_transactions t ON t.tenant_id = e.tenant_id AND t.id = e.transaction_id AND t.tenant_id = ?
WHERE e.tenant_id = ? AND t.id IS NULL GROUP BY e.transaction_id ORDER BY 1`},
	{"ledger.E004", "entries name an unknown ledger account, or another currency than it has", "The chart was changed past the application: restore it from a backup.", 2, `
SELECT e.ledger_account_id AS object, count(*) || ' entries in ' || e.currency AS detail
FROM ledger_entries e LEFT JOIN ledger_accounts a ON a.tenant_id = e.tenant_id AND a.id = e.ledger_account_id AND a.tenant_id = ?
WHERE e.tenant_id = ? AND a.currency IS DISTINCT FROM e.currency GROUP BY e.ledger_account_id, e.currency ORDER BY 1`},
	{"ledger.E005", "a cached balance is not the sum of its entries", "Run the rebuild of the ledger, and find out what wrote past the application.", 3, `
SELECT d.id AS object, 'cached ' || d.cached_minor || ', true ' || d.true_minor AS detail FROM (` + driftsQuery + `) d`},
}

// problemLimit is how many findings each check gives: after so many, nobody reads on.
const problemLimit = 100

// Verify reads the whole ledger of the tenant of ctx and gives what is wrong with it, nil when nothing is.
func Verify(ctx context.Context, db *bun.DB) ([]Problem, error) {
	var all []Problem
	for _, c := range integrityChecks {
		found, err := c.run(ctx, db)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func (c integrityCheck) run(ctx context.Context, db *bun.DB) ([]Problem, error) {
	var found []Problem
	err := tenancy.Read(ctx, db, func(ctx context.Context, tx bun.Tx) error {
		args := make([]any, c.places, c.places+1)
		for i := range args {
			args[i] = tenancy.ID(ctx)
		}
		return tx.NewRaw("SELECT p.object, p.detail FROM ("+c.query+") AS p LIMIT ?", append(args, problemLimit)...).Scan(ctx, &found)
	})
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", c.id, err)
	}
	for i := range found {
		found[i].Check, found[i].What = c.id, c.what
	}
	return found, nil
}

// checks gives the same as deep system checks over all tenants.
func checks(db *bun.DB) []apps.Check {
	list := make([]apps.Check, len(integrityChecks))
	for i, c := range integrityChecks {
		list[i] = apps.Check{ID: c.id, Deep: true, Run: func(ctx context.Context) (*apps.Finding, error) {
			var tenants []uuid.UUID
			err := tenancy.Observe(ctx, db, func(ctx context.Context, tx bun.Tx) (err error) {
				tenants, err = tenancy.All(ctx, tx)
				return err
			})
			if err != nil {
				return nil, err
			}
			for _, tenant := range tenants {
				found, err := c.run(tenancy.AsSystem(ctx, tenant, "check "+c.id), db)
				if err != nil {
					return nil, err
				}
				if len(found) > 0 {
					return &apps.Finding{What: fmt.Sprintf("tenant %s: %s: %s (%s)", tenant, c.what, found[0].Object, found[0].Detail), Hint: c.hint}, nil
				}
			}
			return nil, nil
		}}
	}
	return list
}
