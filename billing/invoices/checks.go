package invoices

import "countersign/billing/ledger"

// proofs compare invoices with their lines, with what the ledger says about them, and with each other. What the
// constraints of the tables exclude is not asked for again.
var proofs = []ledger.Proof{
	{ID: "invoices.E001", What: "the entries posted for an invoice are not its amounts",
		Hint: "Entries are missing, there twice, or of other amounts than was billed: compare the invoice's entries with the audit log, then post a correction.",
		Query: `
SELECT i.id AS object, i.status || ' over ' || i.subtotal_minor || ' - ' || i.discount_minor || ' + ' || i.tax_minor || ' ' || i.currency || ', ' ||
  CASE WHEN p.id IS NULL THEN 'no entries' ELSE 'entries say ' || -p.revenue || ' - ' || p.discounts || ' + ' || -p.tax || ', owed ' || p.receivable END AS detail
FROM invoices i
LEFT JOIN (
  SELECT t.invoice_id AS id, a.currency,
    coalesce(sum(e.amount_minor) FILTER (WHERE a.code = 'receivable'), 0) AS receivable, coalesce(sum(e.amount_minor) FILTER (WHERE a.code = 'discounts'), 0) AS discounts,
    coalesce(sum(e.amount_minor) FILTER (WHERE a.code = 'revenue'), 0) AS revenue, coalesce(sum(e.amount_minor) FILTER (WHERE a.code = 'tax_payable'), 0) AS tax
  FROM ledger_transactions t
  LEFT JOIN ` + ledger.Origins + ` o ON o.id = t.id
  JOIN ledger_entries e ON e.tenant_id = ?0 AND e.transaction_id = t.id
  JOIN ledger_accounts a ON a.tenant_id = ?0 AND a.id = e.ledger_account_id
  WHERE t.tenant_id = ?0 AND t.invoice_id IS NOT NULL AND 'invoice_finalized' IN (t.kind, o.kind)
  GROUP BY t.invoice_id, a.currency
) p ON p.id = i.id AND p.currency = i.currency
WHERE i.tenant_id = ?0 AND (coalesce(p.receivable, 0), coalesce(p.discounts, 0), -coalesce(p.revenue, 0), -coalesce(p.tax, 0)) <>
  CASE WHEN i.finalized_at IS NULL OR i.status = 'void' THEN (0::numeric, 0::numeric, 0::numeric, 0::numeric)
    ELSE (i.total_minor::numeric, i.discount_minor::numeric, i.subtotal_minor::numeric, i.tax_minor::numeric) END
ORDER BY 1`},
	{ID: "invoices.E002", What: "an invoice's open balance is not what the ledger says is owed for it",
		Hint: "Money was counted on one side only: compare the invoice's payments with its entries. Do not change the invoice by hand.",
		Query: `
SELECT i.id AS object, i.status || ', paid ' || i.paid_minor || ' of ' || i.total_minor || ' ' || i.currency || ', the ledger says that ' || coalesce(r.owed, 0) || ' is owed' AS detail
FROM invoices i
LEFT JOIN (
  SELECT t.invoice_id AS id, a.customer_id, a.currency, sum(e.amount_minor) AS owed
  FROM ledger_transactions t
  JOIN ledger_entries e ON e.tenant_id = ?0 AND e.transaction_id = t.id
  JOIN ledger_accounts a ON a.tenant_id = ?0 AND a.id = e.ledger_account_id AND a.code = 'receivable'
  WHERE t.tenant_id = ?0 AND t.invoice_id IS NOT NULL
  GROUP BY t.invoice_id, a.customer_id, a.currency
) r ON r.id = i.id AND r.customer_id = i.account_id AND r.currency = i.currency
WHERE i.tenant_id = ?0 AND coalesce(r.owed, 0) <> CASE WHEN i.status = 'draft' THEN 0 ELSE i.balance_minor END
ORDER BY 1`},
	{ID: "invoices.E003", What: "what the ledger says an account owes is not the sum of its open invoices",
		Hint: "Look for entries on this receivable that name no invoice, and post what they are really about.",
		Query: `
SELECT a.id AS object, 'the entries say ' || coalesce(e.owed, 0) || ' ' || a.currency || ', the invoices ' || coalesce(i.owed, 0) AS detail
FROM ledger_accounts a
LEFT JOIN (SELECT l.ledger_account_id AS id, sum(l.amount_minor) AS owed FROM ledger_entries l WHERE l.tenant_id = ?0 GROUP BY l.ledger_account_id) e ON e.id = a.id
LEFT JOIN (
  SELECT v.account_id, v.currency, sum(v.balance_minor) AS owed FROM invoices v WHERE v.tenant_id = ?0 AND v.status <> 'draft' GROUP BY v.account_id, v.currency
) i ON i.account_id = a.customer_id AND i.currency = a.currency
WHERE a.tenant_id = ?0 AND a.code = 'receivable' AND coalesce(e.owed, 0) <> coalesce(i.owed, 0)
ORDER BY 1`},
	{ID: "invoices.E004", What: "the service credits granted for an invoice are not those that were bought with it",
		Hint: "Credits are granted once, while the invoice is paid, to its account, and less by what credit notes have taken back of the sale: post what is missing, or take back what is too much.",
		Query: `
SELECT i.id AS object, i.status || ' with ' || i.credits || ' credits, ' || coalesce(g.granted, 0) || ' granted to ' || coalesce(array_length(g.accounts, 1), 0) || ' accounts' AS detail
FROM invoices i
LEFT JOIN (
  SELECT t.invoice_id AS id, -sum(e.amount_minor) AS granted, array_agg(DISTINCT a.customer_id) AS accounts
  FROM ledger_transactions t
  LEFT JOIN ` + ledger.Origins + ` o ON o.id = t.id
  JOIN ledger_entries e ON e.tenant_id = ?0 AND e.transaction_id = t.id
  JOIN ledger_accounts a ON a.tenant_id = ?0 AND a.id = e.ledger_account_id AND a.code = 'credits'
  WHERE t.tenant_id = ?0 AND t.invoice_id IS NOT NULL AND coalesce(o.kind, t.kind) IN ('credits_granted', 'credits_returned')
  GROUP BY t.invoice_id
) g ON g.id = i.id
WHERE i.tenant_id = ?0 AND (coalesce(g.granted, 0) <> CASE WHEN i.paid_at IS NULL THEN 0
  ELSE i.credits - CASE WHEN i.total_minor > 0 THEN div(i.credits::numeric * i.credited_minor * 2 + i.total_minor, i.total_minor::numeric * 2) ELSE 0 END END OR g.accounts <> ARRAY[i.account_id])
ORDER BY 1`},
	{ID: "invoices.E005", What: "a transaction was posted for an invoice that does not exist",
		Hint: "The invoice was lost past the application: restore it from a backup, or reverse the transaction.",
		Query: `
SELECT t.id AS object, t.kind || ' for ' || coalesce('invoice ' || t.invoice_id, 'no invoice') AS detail
FROM ledger_transactions t
LEFT JOIN invoices i ON i.tenant_id = ?0 AND i.id = t.invoice_id
WHERE t.tenant_id = ?0 AND i.id IS NULL AND (t.invoice_id IS NOT NULL OR t.kind IN ('invoice_finalized', 'credits_granted', 'credits_returned', 'credit_applied', 'credit_note', 'written_off')) AND ` + ledger.Unrepaired + `
ORDER BY 1`},
	{ID: "invoices.E006", What: "an invoice's totals are not the sums of its lines",
		Hint: "Lines or totals were changed past the application: restore them from a backup.",
		Query: `
SELECT i.id AS object, i.status || ' over ' || i.total_minor || ' ' || i.currency || ' and ' || i.credits || ' credits, its lines over ' || coalesce(l.total, 0) || ' and ' || coalesce(l.credits, 0) AS detail
FROM invoices i
LEFT JOIN (
  SELECT n.invoice_id AS id, sum(n.net_minor) AS net, sum(n.discount_minor) AS discount, sum(n.tax_minor) AS tax, sum(n.total_minor) AS total, sum(n.credits) AS credits
  FROM line_items n WHERE n.tenant_id = ?0 GROUP BY n.invoice_id
) l ON l.id = i.id
WHERE i.tenant_id = ?0 AND (i.subtotal_minor, i.discount_minor, i.tax_minor, i.total_minor, i.credits) IS DISTINCT FROM (l.net, l.discount, l.tax, l.total, l.credits)
ORDER BY 1`},
	{ID: "invoices.E007", What: "the numbers of a series have a gap",
		Hint: "An invoice was lost past the application, or its number was changed: restore it from a backup. An auditor will ask for it.",
		Query: `
SELECT s.last AS object, s.n || ' invoices are numbered ' || s.series || 'NNNNNN, the last is number ' || s.highest AS detail
FROM (
  SELECT substring(i.number FROM '^.*-') AS series, count(*) AS n, max(substring(i.number FROM '[0-9]+$')::numeric) AS highest,
    (array_agg(i.id ORDER BY length(i.number) DESC, i.number DESC))[1] AS last
  FROM invoices i
  WHERE i.tenant_id = ?0 AND i.number_is_ours AND i.number ~ '^[A-Z0-9]{1,12}-[0-9]{4}-[0-9]{6,}$'
  GROUP BY substring(i.number FROM '^.*-')
) s
WHERE s.n <> s.highest
ORDER BY 1`},
	{ID: "invoices.E008", What: "what lowered an invoice is not the sum of its adjustments",
		Hint: "An adjustment was counted on one side only: compare the invoice with its adjustments and the audit log. Do not change the invoice by hand.",
		Query: `
SELECT i.id AS object, i.status || ', by credit ' || i.credit_applied_minor || ', credit notes ' || i.credited_minor || ', written off ' || i.written_off_minor || ' ' || i.currency ||
  ', its adjustments say ' || coalesce(s.applied, 0) || ', ' || coalesce(s.credited, 0) || ', ' || coalesce(s.written_off, 0) AS detail
FROM invoices i
LEFT JOIN (
  SELECT a.invoice_id AS id, sum(a.amount_minor) FILTER (WHERE a.kind = 'credit_applied') AS applied, sum(a.amount_minor) FILTER (WHERE a.kind = 'credit_note') AS credited,
    sum(a.amount_minor) FILTER (WHERE a.kind = 'written_off') AS written_off
  FROM invoice_adjustments a WHERE a.tenant_id = ?0 GROUP BY a.invoice_id
) s ON s.id = i.id
WHERE i.tenant_id = ?0 AND (i.credit_applied_minor, i.credited_minor, i.written_off_minor) <> (coalesce(s.applied, 0), coalesce(s.credited, 0), coalesce(s.written_off, 0))
ORDER BY 1`},
	{ID: "invoices.E009", What: "an adjustment is not posted once, over its amount, to the accounts of its kind",
		Hint: "Compare the adjustment with its entries and with the audit log: post what is missing, or reverse what is too much.",
		Query: `
SELECT a.id AS object, a.kind || ' over ' || a.amount_minor || ' ' || a.currency || ', ' || coalesce('entries say ' || p.owed || ' owed, ' || p.credit || ' of credit, ' || p.bad || ' given up, ' || p.returned || ' and ' || p.tax || ' of tax returned', 'no entries') AS detail
FROM invoice_adjustments a
LEFT JOIN (
  SELECT t.cause, coalesce(o.kind, t.kind) AS kind, o.cause AS corrects, l.currency, t.invoice_id,
    coalesce(sum(e.amount_minor) FILTER (WHERE l.code = 'receivable' AND l.customer_id = t.customer_id), 0) AS owed,
    coalesce(sum(e.amount_minor) FILTER (WHERE l.code = 'customer_credit' AND l.customer_id = t.customer_id), 0) AS credit,
    coalesce(sum(e.amount_minor) FILTER (WHERE l.code = 'bad_debt'), 0) AS bad,
    coalesce(sum(e.amount_minor) FILTER (WHERE l.code = 'sales_returns'), 0) AS returned, coalesce(sum(e.amount_minor) FILTER (WHERE l.code = 'tax_payable'), 0) AS tax
  FROM ledger_transactions t
  LEFT JOIN ledger_transactions o ON o.tenant_id = ?0 AND o.id = t.corrects
  JOIN ledger_entries e ON e.tenant_id = ?0 AND e.transaction_id = t.id
  JOIN ledger_accounts l ON l.tenant_id = ?0 AND l.id = e.ledger_account_id
  WHERE t.tenant_id = ?0 AND t.cause LIKE 'adjustment:%' AND t.kind NOT IN ('credits_granted', 'credits_returned')
  GROUP BY t.cause, t.kind, o.kind, o.cause, l.currency, t.invoice_id
) p ON p.cause = 'adjustment:' || a.id
LEFT JOIN credit_notes n ON n.tenant_id = ?0 AND n.id = a.id
LEFT JOIN credit_notes f ON f.tenant_id = ?0 AND f.id = n.reverses
WHERE a.tenant_id = ?0 AND coalesce(n.refund_id, f.refund_id) IS NULL -- a refund posts its own note, and who takes it back its reversal
  AND (p.kind, p.corrects, p.currency, p.invoice_id, p.owed, p.credit, p.bad, p.returned, p.tax) IS DISTINCT FROM
  (a.kind, 'adjustment:' || a.reverses, a.currency::text, a.invoice_id, -a.amount_minor::numeric,
    CASE WHEN a.kind = 'credit_applied' THEN a.amount_minor ELSE 0 END::numeric, CASE WHEN a.kind = 'written_off' THEN a.amount_minor ELSE 0 END::numeric,
    coalesce(n.net_minor, 0)::numeric, coalesce(n.tax_minor, 0)::numeric)
ORDER BY 1`},
	{ID: "invoices.E010", What: "an adjustment was posted that does not exist",
		Hint: "The adjustment was lost past the application: restore it from a backup, or reverse the transaction.",
		Query: `
SELECT t.id AS object, t.kind || ' for ' || t.cause AS detail
FROM ledger_transactions t
LEFT JOIN ledger_transactions o ON o.tenant_id = ?0 AND o.id = t.corrects
LEFT JOIN invoice_adjustments a ON a.tenant_id = ?0 AND t.cause = 'adjustment:' || a.id
WHERE t.tenant_id = ?0 AND a.id IS NULL AND (t.kind IN ('credit_applied', 'credit_note', 'written_off') OR o.kind IN ('credit_applied', 'credit_note', 'written_off')) AND ` + ledger.Unrepaired + `
ORDER BY 1`},
	{ID: "invoices.E011", What: "an adjustment by a credit note has no note, or notes take back more net or tax than was billed",
		Hint: "A note was lost or changed past the application: restore it from a backup.",
		Query: `
SELECT a.id AS object, 'no note over ' || a.amount_minor || ' ' || a.currency AS detail
FROM invoice_adjustments a
LEFT JOIN credit_notes n ON n.tenant_id = ?0 AND n.id = a.id
WHERE a.tenant_id = ?0 AND a.kind = 'credit_note' AND n.id IS NULL
UNION ALL
SELECT i.id, 'the notes are over ' || s.net || ' and ' || s.tax || ' of tax, the invoice over ' || i.total_minor - i.tax_minor || ' and ' || i.tax_minor || ' ' || i.currency
FROM invoices i
JOIN (SELECT n.invoice_id AS id, sum(n.net_minor) AS net, sum(n.tax_minor) AS tax FROM credit_notes n WHERE n.tenant_id = ?0 GROUP BY n.invoice_id) s ON s.id = i.id
WHERE i.tenant_id = ?0 AND (s.net NOT BETWEEN 0 AND i.total_minor - i.tax_minor OR s.tax NOT BETWEEN 0 AND i.tax_minor)
ORDER BY 1`},
	{ID: "invoices.E012", What: "the numbers of a series of credit notes have a gap",
		Hint: "A credit note was lost past the application, or its number was changed: restore it from a backup. An auditor will ask for it.",
		Query: `
SELECT s.last AS object, s.n || ' credit notes are numbered ' || s.series || 'NNNNNN, the last is number ' || s.highest AS detail
FROM (
  SELECT substring(n.number FROM '^.*-') AS series, count(*) AS n, max(substring(n.number FROM '[0-9]+$')::numeric) AS highest,
    (array_agg(n.id ORDER BY length(n.number) DESC, n.number DESC))[1] AS last
  FROM credit_notes n WHERE n.tenant_id = ?0 GROUP BY substring(n.number FROM '^.*-')
) s
WHERE s.n <> s.highest
ORDER BY 1`},
	{ID: "invoices.E013", What: "a write-off was not posted once, or nobody else approved it",
		Hint: "Compare the write-off with its adjustments, its decisions and the audit log: reverse what nobody has approved.",
		Query: `
SELECT w.id AS object, w.status || ' over ' || w.amount_minor || ' ' || w.currency || ', ' || coalesce('posted over ' || a.amount_minor, 'not posted') || ', ' ||
  CASE WHEN b.id IS NULL THEN 'not taken back' ELSE 'taken back' END || ', approved by ' || coalesce(d.n, 0) AS detail
FROM write_offs w
LEFT JOIN invoice_adjustments a ON a.tenant_id = ?0 AND a.id = w.id AND a.kind = 'written_off' AND a.invoice_id = w.invoice_id
LEFT JOIN invoice_adjustments b ON b.tenant_id = ?0 AND b.reverses = w.id
LEFT JOIN (
  SELECT c.subject_id AS id, count(*) AS n FROM decisions c JOIN write_offs o ON o.tenant_id = ?0 AND o.id = c.subject_id AND o.requested_by <> c.user_id
  WHERE c.tenant_id = ?0 AND c.subject_type = 'write_off' AND c.verdict = 'approve' GROUP BY c.subject_id
) d ON d.id = w.id
WHERE w.tenant_id = ?0 AND (a.amount_minor IS DISTINCT FROM CASE WHEN w.status IN ('posted', 'reversed') THEN w.amount_minor END
  OR (b.id IS NOT NULL) <> (w.status = 'reversed') OR (coalesce(d.n, 0) > 0) <> (w.status IN ('posted', 'reversed') AND NOT w.by_one))
UNION ALL
SELECT a.id, 'written off ' || a.amount_minor || ' ' || a.currency || ' without anybody asking for it'
FROM invoice_adjustments a
LEFT JOIN write_offs w ON w.tenant_id = ?0 AND w.id = coalesce(a.reverses, a.id)
WHERE a.tenant_id = ?0 AND a.kind = 'written_off' AND w.id IS NULL
ORDER BY 1`},
}
