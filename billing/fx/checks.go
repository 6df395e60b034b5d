package fx

import "countersign/billing/ledger"

// proofs compare conversions with the ledger. What the constraints of the tables exclude is not asked for again.
var proofs = []ledger.Proof{
	{ID: "fx.E001", What: "the entries of a conversion are not its amounts",
		Hint: "Compare the conversion with its entries and with the audit log, then post what is missing or reverse what is too much.",
		Query: `
SELECT c.id AS object, 'should be ' || array_to_string(c.wanted, ', ') || '; posted ' || coalesce(array_to_string(p.posted, ', '), 'nothing') AS detail
FROM (
  SELECT n.id, ARRAY(SELECT w FROM unnest(ARRAY['customer_credit:' || n.account_id || ':' || n.from_currency || ' ' || n.from_minor, 'fx::' || n.from_currency || ' ' || -n.from_minor,
    'fx::' || n.to_currency || ' ' || n.computed_minor, 'customer_credit:' || n.account_id || ':' || n.to_currency || ' ' || -n.to_minor,
    'fx_difference::' || n.to_currency || ' ' || nullif(n.difference_minor, 0)]) AS w WHERE w IS NOT NULL ORDER BY w) AS wanted
  FROM fx_conversions n WHERE n.tenant_id = ?0
) c
LEFT JOIN (
  SELECT t.cause, array_agg(a.code || ':' || a.owner || ':' || e.currency || ' ' || e.amount_minor ORDER BY a.code || ':' || a.owner || ':' || e.currency || ' ' || e.amount_minor) AS posted
  FROM ledger_transactions t
  JOIN ledger_entries e ON e.tenant_id = ?0 AND e.transaction_id = t.id
  JOIN ledger_accounts a ON a.tenant_id = ?0 AND a.id = e.ledger_account_id
  WHERE t.tenant_id = ?0 AND t.kind = 'fx_converted'
  GROUP BY t.cause
) p ON p.cause = 'fx:' || c.id || ':convert'
WHERE p.posted IS DISTINCT FROM c.wanted
ORDER BY 1`},
	{ID: "fx.E002", What: "a conversion that was taken back is not reversed in the ledger, or one that stands is",
		Hint: "Compare the conversion with the audit log: post the reversal that is missing, or post the conversion's entries again.",
		Query: `
SELECT c.id AS object, CASE WHEN v.conversion_id IS NULL THEN 'it stands' ELSE 'it was taken back' END || CASE WHEN r.id IS NULL THEN ', no reversal is posted' ELSE ', a reversal is posted' END AS detail
FROM fx_conversions c
LEFT JOIN fx_reversals v ON v.tenant_id = ?0 AND v.conversion_id = c.id
LEFT JOIN ledger_transactions t ON t.tenant_id = ?0 AND t.cause = 'fx:' || c.id || ':convert'
LEFT JOIN ` + ledger.Undone + ` r ON r.id = t.id
WHERE c.tenant_id = ?0 AND (v.conversion_id IS NULL) <> (r.id IS NULL)
ORDER BY 1`},
	{ID: "fx.E003", What: "a conversion was posted that does not exist",
		Hint: "The conversion was lost past the application: restore it from a backup, or reverse the transaction.",
		Query: `
SELECT t.id AS object, 'caused by ' || t.cause AS detail
FROM ledger_transactions t
LEFT JOIN fx_conversions c ON c.tenant_id = ?0 AND t.cause = 'fx:' || c.id || ':convert'
WHERE t.tenant_id = ?0 AND t.kind = 'fx_converted' AND c.id IS NULL AND ` + ledger.Unrepaired + `
ORDER BY 1`},
}
