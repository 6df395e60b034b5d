package ledger

// A transaction is reversed by a reversal that is not reversed itself: who has reversed something by mistake reverses the
// reversal, and what was there before stands again.

// chains begins a query: chain has each reversal with each transaction that it goes back to, and over how many steps. A
// transaction is reversed once at most, so each stands in one chain.
const chains = `WITH RECURSIVE chain AS (
    SELECT r.id, r.corrects AS origin, 1 AS steps FROM ledger_transactions r WHERE r.tenant_id = ?0 AND r.corrects IS NOT NULL
    UNION ALL
    SELECT c.id, r.corrects, c.steps + 1 FROM chain c JOIN ledger_transactions r ON r.tenant_id = ?0 AND r.id = c.origin AND r.corrects IS NOT NULL
    WHERE c.steps < 100 -- who writes past the application can make a circle
  )`

// Undone is SQL for a Proof's Query: a table of the transactions that are reversed, by their id.
const Undone = `(` + chains + ` SELECT c.origin AS id FROM chain c GROUP BY c.origin HAVING max(c.steps) % 2 = 1)`

// Origins is SQL for a Proof's Query: a table of reversals, with the kind of the transaction at the other end of the chain,
// which reverses nothing. What a transaction and all that goes back to it have moved is their sum.
const Origins = `(` + chains + ` SELECT c.id, t.kind FROM chain c JOIN ledger_transactions t ON t.tenant_id = ?0 AND t.id = c.origin AND t.corrects IS NULL)`
