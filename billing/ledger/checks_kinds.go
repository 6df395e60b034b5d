package ledger

import "strings"

// Kind is a kind of transaction together with all that may cause one. Each package declares those that it posts, and the
// list of all is closed: what is of another kind, or has another cause, has been written past the application.
type Kind struct {
	Name string // such as payment_settled
	// Causes is a query for the causes of the kind's transactions, in the column cause: one for each object that is in a
	// state in which it was posted. Its text is as that of a Proof. A kind that packages share is declared by each of them.
	Causes string
	// Reversals is a query for the causes of its reversals, with the cause of what is reversed in the column corrects.
	// Empty: no transaction of the kind is ever reversed.
	Reversals string
}

// union is a query for all causes of kinds; of reversals also with the kind and the cause of what they take back, of others
// with nothing there.
func union(kinds []Kind) string {
	// of no kind at all, so that no kinds are a query as well
	parts := []string{"SELECT '' AS kind, '' AS cause, '' AS reversed, '' AS corrects WHERE false"}
	for _, k := range kinds { // names are constants of the program
		parts = append(parts, "SELECT '"+k.Name+"', c.cause, '', '' FROM ("+k.Causes+") c")
		if k.Reversals != "" {
			parts = append(parts, "SELECT '"+KindReversal+"', c.cause, '"+k.Name+"', c.corrects FROM ("+k.Reversals+") c")
		}
	}
	return strings.Join(parts, "\nUNION ALL\n")
}

// causeProof finds transactions without a cause. One that was reversed is mended, and its reversal is the mending: without
// that, a mistake could never be corrected. A mending that is taken back is none.
func causeProof(kinds []Kind) Proof {
	return Proof{ID: "ledger.E008", What: "a transaction is of no kind that is posted, or nothing has caused it",
		Hint: "It was posted past the application, or what caused it was changed: compare it with the audit log, then restore its cause from a backup or reverse it.",
		Query: `
WITH baseless AS MATERIALIZED (
  SELECT t.id, t.kind, t.cause, t.corrects, o.kind AS reversed
  FROM ledger_transactions t
  LEFT JOIN (
    SELECT r.id, s.kind, s.cause FROM ledger_transactions r JOIN ledger_transactions s ON s.tenant_id = ?0 AND s.id = r.corrects
    WHERE r.tenant_id = ?0 AND r.corrects IS NOT NULL
  ) o ON o.id = t.id
  LEFT JOIN (` + union(kinds) + `) k ON k.kind = t.kind AND k.cause = t.cause AND k.reversed = coalesce(o.kind, '') AND k.corrects = coalesce(o.cause, '')
  WHERE t.tenant_id = ?0 AND k.cause IS NULL
), mended AS (
  SELECT b.id, m.id AS by FROM baseless b JOIN ledger_transactions m ON m.tenant_id = ?0 AND m.corrects = b.id
  WHERE NOT EXISTS (SELECT FROM baseless a WHERE a.id = b.corrects)
)
SELECT b.id AS object, b.kind || coalesce(' of ' || b.reversed, '') || ' for ' || b.cause AS detail
FROM baseless b
WHERE NOT EXISTS (SELECT FROM mended m WHERE m.id = b.id) AND NOT EXISTS (SELECT FROM mended m WHERE m.by = b.id)
ORDER BY 1`}
}
