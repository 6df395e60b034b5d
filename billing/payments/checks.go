package payments

import "countersign/billing/ledger"

// place is SQL for the account, by its code and owner, where the money of a payment p with its order o is.
const place = `CASE p.gateway WHEN 'cash' THEN 'cash:' WHEN 'manual' THEN 'clearing:' || p.method ELSE 'clearing:' || o.name END`

// proofs compare payments with the ledger and with what invoices count of them (S1-08). What the constraints of the
// tables exclude is not asked for again.
var proofs = []ledger.Proof{
	{ID: "payments.E001", What: "a payment that brought money is not posted once, or one that brought none is posted",
		Hint: "If it has no entries, post its settlement; if it has too many, reverse one. Find out what changed its state past the application.",
		Query: `
SELECT p.id AS object, p.status || ' over ' || coalesce(p.received_minor, p.amount_minor) || ' ' || p.currency || ', posted ' || coalesce(t.n, 0) || ' times' AS detail
FROM payments p
LEFT JOIN (
  SELECT s.payment_id AS id, count(*) AS n
  FROM ledger_transactions s
  LEFT JOIN ` + ledger.Undone + ` c ON c.id = s.id
  WHERE s.tenant_id = ?0 AND s.payment_id IS NOT NULL AND s.kind = 'payment_settled' AND c.id IS NULL -- what was reversed stands no longer
  GROUP BY s.payment_id
) t ON t.id = p.id
WHERE p.tenant_id = ?0 AND coalesce(t.n, 0) <> CASE WHEN p.status IN ('succeeded', 'partially_refunded', 'refunded') THEN 1 ELSE 0 END
ORDER BY 1`},
	{ID: "payments.E002", What: "the entries of a settled payment are not its amounts",
		Hint: "Compare the payment with its entries and with the audit log, then post a correction.",
		Query: `
SELECT p.id AS object, 'received ' || coalesce(p.received_minor, p.amount_minor) || ' ' || p.currency || coalesce(' on ' || ` + place + `, '') || ', ' || coalesce(p.applied_minor, 0) || ' applied, ' || coalesce(p.revenue_minor, 0) || ' earned and ' || coalesce(p.excess_minor, 0) ||
  ' too much; entries say ' || s.received || ' on ' || array_to_string(s.places, ' and ') || ', ' || s.applied || ', ' || s.earned || ' and ' || s.excess AS detail
FROM payments p
JOIN (
  SELECT t.payment_id AS id, sum(e.amount_minor) FILTER (WHERE e.amount_minor > 0) AS received, array_agg(DISTINCT a.code || ':' || a.owner) FILTER (WHERE e.amount_minor > 0) AS places,
    coalesce(-sum(e.amount_minor) FILTER (WHERE a.code = 'receivable'), 0) AS applied, coalesce(-sum(e.amount_minor) FILTER (WHERE a.code = 'customer_credit'), 0) AS excess,
    coalesce(-sum(e.amount_minor) FILTER (WHERE a.code = 'revenue'), 0) AS earned,
    array_agg(DISTINCT a.customer_id) FILTER (WHERE a.customer_id IS NOT NULL) AS accounts, array_agg(DISTINCT e.currency) AS currencies
  FROM ledger_transactions t
  JOIN ledger_entries e ON e.tenant_id = ?0 AND e.transaction_id = t.id
  JOIN ledger_accounts a ON a.tenant_id = ?0 AND a.id = e.ledger_account_id
  LEFT JOIN ` + ledger.Undone + ` c ON c.id = t.id
  WHERE t.tenant_id = ?0 AND t.payment_id IS NOT NULL AND t.kind = 'payment_settled' AND c.id IS NULL
  GROUP BY t.payment_id, t.id
) s ON s.id = p.id
LEFT JOIN payment_orders o ON o.tenant_id = ?0 AND o.payment_id = p.id
WHERE p.tenant_id = ?0 AND ((s.received, s.applied, s.excess, s.earned) IS DISTINCT FROM
    (coalesce(p.received_minor, p.amount_minor)::numeric, coalesce(p.applied_minor, 0)::numeric, coalesce(p.excess_minor, 0)::numeric, coalesce(p.revenue_minor, 0)::numeric)
  OR s.accounts IS DISTINCT FROM CASE WHEN p.revenue_minor IS NULL THEN ARRAY[p.account_id] END OR s.currencies <> ARRAY[p.currency::text]
  OR s.places IS DISTINCT FROM ARRAY[` + place + `])
ORDER BY 1`},
	{ID: "payments.E003", What: "a settlement was posted for a payment that does not exist",
		Hint: "The payment was lost past the application: restore it from a backup, or reverse the transaction.",
		Query: `
SELECT t.id AS object, t.kind || ' for ' || coalesce('payment ' || t.payment_id, 'no payment') AS detail
FROM ledger_transactions t
LEFT JOIN payments p ON p.tenant_id = ?0 AND p.id = t.payment_id
WHERE t.tenant_id = ?0 AND p.id IS NULL AND (t.payment_id IS NOT NULL OR t.kind = 'payment_settled') AND ` + ledger.Unrepaired + `
ORDER BY 1`},
	{ID: "payments.E004", What: "an invoice's paid amount is not what payments have applied to it, and refunds have left",
		Hint: "Compare the invoice with its payments: one of them was counted on one side only. Do not change the invoice by hand.",
		Query: `
SELECT i.id AS object, i.status || ', paid ' || i.paid_minor || ' ' || i.currency || ', its payments applied ' || coalesce(p.applied, 0) || ', refunds took ' || coalesce(r.taken, 0) AS detail
FROM invoices i
LEFT JOIN (
  SELECT s.invoice_id AS id, sum(s.applied_minor) AS applied FROM payments s WHERE s.tenant_id = ?0 AND s.invoice_id IS NOT NULL GROUP BY s.invoice_id
) p ON p.id = i.id
LEFT JOIN (
  SELECT f.invoice_id AS id, sum(CASE f.status WHEN 'succeeded' THEN f.invoice_minor ELSE f.moved_minor END) AS taken
  FROM refunds f WHERE f.tenant_id = ?0 AND f.status IN ('succeeded', 'reversed') GROUP BY f.invoice_id
) r ON r.id = i.id
WHERE i.tenant_id = ?0 AND i.paid_minor <> coalesce(p.applied, 0) - coalesce(r.taken, 0)
ORDER BY 1`},
	{ID: "payments.E005", What: "an invoice counts other claims than it has",
		Hint: "While an invoice counts a claim, its due date stands still: find out what changed a payment's state past the application.",
		Query: `
SELECT i.id AS object, i.pending_claims || ' are counted, ' || coalesce(p.n, 0) || ' are waiting' AS detail
FROM invoices i
LEFT JOIN (
  SELECT s.invoice_id AS id, count(*) AS n FROM payments s WHERE s.tenant_id = ?0 AND s.status IN ('created', 'pending', 'pending_approval', 'processing', 'authorized') AND s.deleted_at IS NULL GROUP BY s.invoice_id
) p ON p.id = i.id
WHERE i.tenant_id = ?0 AND i.pending_claims <> coalesce(p.n, 0)
ORDER BY 1`},
	{ID: "payments.E006", What: "an approved payment is not in the worker's queue, or one that is not approved is",
		Hint: "What is not in the queue is never settled: set the payment aside and resume it. Find out what changed it past the application.",
		Query: `
SELECT coalesce(p.id, q.payment_id) AS object, CASE WHEN q.payment_id IS NULL THEN 'approved, not in the queue' ELSE 'in the queue, and ' || coalesce(p.status, 'unknown') END AS detail
FROM (SELECT s.id, s.status FROM payments s WHERE s.tenant_id = ?0 AND s.status = 'processing' AND s.approved_at IS NOT NULL AND s.set_aside = '') p
FULL JOIN (SELECT s.payment_id FROM settlement_queue s WHERE s.tenant_id = ?0) q ON q.payment_id = p.id
WHERE p.id IS NULL OR q.payment_id IS NULL
ORDER BY 1`},
	{ID: "payments.E013", What: "a payment that a provider was asked for is deleted",
		Hint: "The provider may have taken the money: take the mark of the deletion off past the application, and have the payment asked for again.",
		Query: `
SELECT p.id AS object, p.status || ' over ' || p.amount_minor || ' ' || p.currency || ', asked of ' || o.name AS detail
FROM payment_orders o
JOIN payments p ON p.tenant_id = ?0 AND p.id = o.payment_id
WHERE o.tenant_id = ?0 AND p.deleted_at IS NOT NULL
ORDER BY 1`},
	{ID: "payments.E014", What: "a payment that people decide about was approved by fewer than had to, by who has submitted it, or over another amount than it has",
		Hint: "Look in the audit log who has approved it, and in the bank whether the money came. What did not come is taken out of the books by a refund.",
		Query: `
SELECT p.id AS object, p.status || ' over ' || coalesce(p.received_minor, p.amount_minor) || ' ' || p.currency || ', ' ||
  coalesce(d.n || ' of ' || d.required || ' have approved ' || d.least || CASE WHEN d.least <> d.most THEN ' to ' || d.most ELSE '' END ||
    CASE WHEN p.submitted_by = ANY (d.people) THEN ', who has submitted it among them' ELSE '' END, 'nobody has approved it') AS detail
FROM payments p
LEFT JOIN (
  SELECT c.subject_id AS id, count(*) AS n, array_agg(c.user_id) AS people, min(c.received_minor) AS least, max(c.received_minor) AS most,
    (array_agg(c.required ORDER BY c.created_at DESC, c.id DESC))[1] AS required -- of the last, who has decided it
  FROM decisions c WHERE c.tenant_id = ?0 AND c.subject_type = 'payment' AND c.verdict = 'approve' GROUP BY c.subject_id
) d ON d.id = p.id
WHERE p.tenant_id = ?0 AND (p.approved_at IS NOT NULL OR p.gateway = 'manual' AND p.status IN ('succeeded', 'partially_refunded', 'refunded'))
  AND (d.id IS NULL OR d.n < d.required OR p.submitted_by = ANY (d.people) OR (d.least, d.most) IS DISTINCT FROM (p.received_minor::bigint, p.received_minor::bigint))
ORDER BY 1`},
}
