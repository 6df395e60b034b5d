package ledger

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/tenancy"
)

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

// driftProof is the proof that finds drifts, which Lock may find before it.
const driftProof = "ledger.E005"

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
	{driftProof, "a cached balance is not the sum of its entries", "Run countersign ledger rebuild, and find out what wrote past the application.", `
SELECT d.id AS object, 'cached ' || d.cached_minor || ', true ' || d.true_minor AS detail FROM (` + driftsQuery + `) d`},
	{"ledger.E006", "a reversal does not undo what it reverses", "The reversal or its original was changed past the application: compare both with the audit log, then post a correction.", `
SELECT r.id AS object, 'it reverses ' || r.corrects || ', and together they move ' || count(*) || ' accounts' AS detail
FROM (
  SELECT p.id, p.corrects, e.ledger_account_id
  FROM (
    SELECT t.id, t.corrects, t.id AS part FROM ledger_transactions t WHERE t.tenant_id = ?0 AND t.corrects IS NOT NULL
    UNION ALL SELECT t.id, t.corrects, t.corrects FROM ledger_transactions t WHERE t.tenant_id = ?0 AND t.corrects IS NOT NULL
  ) p
  JOIN ledger_entries e ON e.tenant_id = ?0 AND e.transaction_id = p.part
  GROUP BY p.id, p.corrects, e.ledger_account_id HAVING sum(e.amount_minor) <> 0
) r GROUP BY r.id, r.corrects ORDER BY 1`},
	{"ledger.E007", "a customer has spent more credit than he had", "Credit was spent past the application: find the payment or refund that spent it, and post what he owes.", `
SELECT a.id AS object, sum(e.amount_minor) || ' ' || a.currency || ' too much' AS detail
FROM ledger_accounts a JOIN ledger_entries e ON e.tenant_id = ?0 AND e.ledger_account_id = a.id
WHERE a.tenant_id = ?0 AND a.code = 'customer_credit' GROUP BY a.id, a.currency HAVING sum(e.amount_minor) > 0 ORDER BY 1`},
}

// Find gives what is wrong in the tenant of ctx, at most apps.PlaceLimit of it.
func (p Proof) Find(ctx context.Context, db *bun.DB) ([]apps.Place, error) {
	var found []apps.Place
	err := tenancy.Read(ctx, db, func(ctx context.Context, tx bun.Tx) error {
		if err := compareWholeTables(ctx, tx); err != nil {
			return err
		}
		return tx.NewRaw("SELECT p.object, p.detail FROM ("+p.Query+") AS p LIMIT ?1", tenancy.ID(ctx), apps.PlaceLimit).Scan(ctx, &found)
	})
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", p.ID, err)
	}
	return found, nil
}

// names says whether something is wrong with the object.
func (p Proof) names(ctx context.Context, tx bun.Tx, object uuid.UUID) (found bool, err error) {
	if err = compareWholeTables(ctx, tx); err == nil {
		err = tx.NewRaw("SELECT EXISTS (SELECT FROM ("+p.Query+") AS p WHERE p.object = ?1)", tenancy.ID(ctx), object).Scan(ctx, &found)
	}
	if err != nil {
		err = fmt.Errorf("check %s: %w", p.ID, err)
	}
	return found, err
}

// compareWholeTables tells the planner what a proof does: where he believes that a tenant has three rows, and he has a
// million, a loop over both sides never ends.
func compareWholeTables(ctx context.Context, tx bun.Tx) error {
	_, err := tx.NewRaw("SET LOCAL enable_nestloop = off").Exec(ctx)
	return err
}

// Checks makes deep system checks of proofs. They look at the tenant of their ctx.
func Checks(db *bun.DB, list []Proof) []apps.Check {
	made := make([]apps.Check, len(list))
	for i, p := range list {
		made[i] = apps.Check{ID: p.ID, Deep: true, What: p.What, Hint: p.Hint, Run: func(ctx context.Context) (*apps.Finding, error) {
			found, err := p.Find(ctx, db)
			if err != nil || len(found) == 0 {
				return nil, err
			}
			return &apps.Finding{What: fmt.Sprintf("%s: %s (%s)%s.", p.What, found[0].Object, found[0].Detail, andMore(len(found)-1)), Hint: p.Hint, Places: found}, nil
		}}
	}
	return made
}

func andMore(n int) string {
	switch {
	case n == 0:
		return ""
	case n+1 == apps.PlaceLimit:
		return fmt.Sprintf(", and at least %d more", n)
	default:
		return fmt.Sprintf(", and %d more", n)
	}
}
