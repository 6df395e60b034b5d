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
	Object uuid.UUID `bun:"object" json:"object"` // what the check is about: a transaction, a ledger account, an invoice, a payment
	Detail string    `bun:"detail" json:"detail"` // what was found there: numbers and currencies
}

// Proof looks for one sort of problem in the books of a tenant. The packages that bring about postings prove that their
// own rows and the ledger tell the same story; Checks makes their proofs part of countersign verify.
type Proof struct {
	ID   string // such as ledger.E001; it never changes its meaning
	What string // what is wrong when something is found
	Hint string // what to do then
	// Query gives a row for each problem, with the columns object (uuid) and detail (text). ?0 stands for the tenant,
	// and every table in it is narrowed to ?0. It looks with its own eyes, and relies on no trigger and no other proof.
	// Being one statement, it sees one moment, in which every change is there with all its parts or not at all.
	Query string
}

var proofs = []Proof{
	{"ledger.E001", "a transaction does not sum to zero", "A bug or a change past the application: compare the entries with their cause, then post a correction.", `
SELECT e.transaction_id AS object, e.currency || ' entries sum to ' || sum(e.amount_minor) AS detail
FROM ledger_entries e WHERE e.tenant_id = ?0 GROUP BY e.transaction_id, e.currency HAVING sum(e.amount_minor) <> 0 ORDER BY 1`},
	{"ledger.E002", "a transaction has not all of its lines", "Lines were lost or added past the application: restore them from a backup.", `
SELECT t.id AS object, t.lines || ' lines were posted, ' || coalesce(e.n, 0) || ' are there' AS detail
FROM ledger_transactions t
LEFT JOIN (SELECT l.transaction_id, count(*) AS n, max(l.line) AS last FROM ledger_entries l WHERE l.tenant_id = ?0 GROUP BY l.transaction_id) e ON e.transaction_id = t.id
WHERE t.tenant_id = ?0 AND (coalesce(e.n, 0) <> t.lines OR e.last <> t.lines) ORDER BY 1`},
	{"ledger.E003", "entries belong to no transaction", "The header was lost past the application: restore it from a backup.", `
SELECT e.transaction_id AS object, count(*) || ' entries' AS detail
FROM ledger_entries e LEFT JOIN ledger_transactions t ON t.tenant_id = e.tenant_id AND t.id = e.transaction_id AND t.tenant_id = ?0
WHERE e.tenant_id = ?0 AND t.id IS NULL GROUP BY e.transaction_id ORDER BY 1`},
	{"ledger.E004", "entries name an unknown ledger account, or another currency than it has", "The chart was changed past the application: restore it from a backup.", `
SELECT e.ledger_account_id AS object, count(*) || ' entries in ' || e.currency AS detail
FROM ledger_entries e LEFT JOIN ledger_accounts a ON a.tenant_id = e.tenant_id AND a.id = e.ledger_account_id AND a.tenant_id = ?0
WHERE e.tenant_id = ?0 AND a.currency IS DISTINCT FROM e.currency GROUP BY e.ledger_account_id, e.currency ORDER BY 1`},
	{"ledger.E005", "a cached balance is not the sum of its entries", "Run countersign ledger rebuild, and find out what wrote past the application.", `
SELECT d.id AS object, 'cached ' || d.cached_minor || ', true ' || d.true_minor AS detail FROM (` + driftsQuery + `) d`},
}

// problemLimit is how many findings each proof gives: after so many, nobody reads on.
const problemLimit = 100

// Verify reads the whole ledger of the tenant of ctx and gives what is wrong with it, nil when nothing is.
func Verify(ctx context.Context, db *bun.DB) ([]Problem, error) {
	var all []Problem
	for _, p := range proofs {
		found, err := p.Find(ctx, db)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// Find gives the problems in the tenant of ctx, at most a hundred.
func (p Proof) Find(ctx context.Context, db *bun.DB) ([]Problem, error) {
	var found []Problem
	err := tenancy.Read(ctx, db, func(ctx context.Context, tx bun.Tx) error {
		// whole tables are compared: where the planner believes that a tenant has three rows, and he has a million, a
		// loop over both sides never ends
		if _, err := tx.NewRaw("SET LOCAL enable_nestloop = off").Exec(ctx); err != nil {
			return err
		}
		return tx.NewRaw("SELECT p.object, p.detail FROM ("+p.Query+") AS p LIMIT ?1", tenancy.ID(ctx), problemLimit).Scan(ctx, &found)
	})
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", p.ID, err)
	}
	for i := range found {
		found[i].Check, found[i].What = p.ID, p.What
	}
	return found, nil
}

// Checks makes deep system checks of proofs. They look at the tenant of their ctx.
func Checks(db *bun.DB, list []Proof) []apps.Check {
	made := make([]apps.Check, len(list))
	for i, p := range list {
		made[i] = apps.Check{ID: p.ID, Deep: true, Run: func(ctx context.Context) (*apps.Finding, error) {
			found, err := p.Find(ctx, db)
			if err != nil || len(found) == 0 {
				return nil, err
			}
			return &apps.Finding{What: fmt.Sprintf("%s: %s (%s)%s.", p.What, found[0].Object, found[0].Detail, andMore(len(found)-1)), Hint: p.Hint}, nil
		}}
	}
	return made
}

func andMore(n int) string {
	switch {
	case n == 0:
		return ""
	case n+1 == problemLimit:
		return fmt.Sprintf(", and at least %d more", n)
	default:
		return fmt.Sprintf(", and %d more", n)
	}
}
