package payments

import "countersign/billing/ledger"

// refundProofs compare refunds with the ledger and with what payments count of them.
var refundProofs = []ledger.Proof{
	{ID: "payments.E007", What: "a refund that has succeeded is not posted once over its amount, or another one is posted",
		Hint: "If it has no entries, post it; if it has too many, reverse one. Find out what changed its state past the application.",
		Query: `
SELECT r.id AS object, r.status || ' over ' || r.amount_minor || ' ' || r.currency || ', ' || coalesce('entries say ' || t.left_us || ' off ' || array_to_string(t.places, ' and ') || ', ' || t.returned || ' and ' || t.tax || ' of tax returned and ' || t.credit || ' of credit' || CASE WHEN t.owed <> 0 THEN ', ' || t.owed || ' owed again' ELSE '' END, 'no entries') AS detail
FROM refunds r
LEFT JOIN (
  SELECT l.cause, l.payment_id, l.kind, e.currency, -sum(e.amount_minor) FILTER (WHERE e.amount_minor < 0) AS left_us,
    array_agg(DISTINCT a.code || ':' || a.owner) FILTER (WHERE e.amount_minor < 0) AS places, coalesce(sum(e.amount_minor) FILTER (WHERE a.code = 'sales_returns'), 0) AS returned,
    coalesce(sum(e.amount_minor) FILTER (WHERE a.code = 'tax_payable'), 0) AS tax, coalesce(sum(e.amount_minor) FILTER (WHERE a.code = 'customer_credit'), 0) AS credit,
    coalesce(sum(e.amount_minor) FILTER (WHERE a.code = 'receivable'), 0) AS owed
  FROM ledger_transactions l
  JOIN ledger_entries e ON e.tenant_id = ?0 AND e.transaction_id = l.id
  JOIN ledger_accounts a ON a.tenant_id = ?0 AND a.id = e.ledger_account_id
  WHERE l.tenant_id = ?0 AND l.kind = 'payment_refunded'
  GROUP BY l.cause, l.payment_id, l.kind, e.currency
) t ON t.cause = 'refund:' || r.id
JOIN payments p ON p.tenant_id = ?0 AND p.id = r.payment_id
LEFT JOIN payment_orders o ON o.tenant_id = ?0 AND o.payment_id = r.payment_id
LEFT JOIN credit_notes n ON n.tenant_id = ?0 AND n.id = r.credit_note_id AND n.refund_id = r.id
WHERE r.tenant_id = ?0 AND (t.payment_id, t.currency, t.places, t.left_us, t.returned, t.tax, t.credit, t.owed) IS DISTINCT FROM
  CASE WHEN r.status IN ('succeeded', 'reversed') THEN (r.payment_id, r.currency::text, ARRAY[` + place + `], r.amount_minor::numeric, (coalesce(n.net_minor, 0) + r.revenue_minor)::numeric, coalesce(n.tax_minor, 0)::numeric,
      r.credit_minor::numeric, CASE WHEN r.owed_again THEN r.invoice_minor ELSE 0 END::numeric)
    ELSE (NULL::uuid, NULL::text, NULL::text[], NULL::numeric, NULL::numeric, NULL::numeric, NULL::numeric, NULL::numeric) END
ORDER BY 1`},
	{ID: "payments.E008", What: "a payment counts other refunds than it has, or is in a state that does not fit to them",
		Hint: "Compare the payment with its refunds and with the audit log: one of them was counted on one side only.",
		Query: `
SELECT p.id AS object, p.status || ', ' || p.refunded_minor || ' of ' || coalesce(p.received_minor, p.amount_minor) || ' ' || p.currency || ' refunded, its refunds say ' || coalesce(r.refunded, 0) AS detail
FROM payments p
LEFT JOIN (
  SELECT f.payment_id AS id, sum(f.amount_minor) AS refunded FROM refunds f WHERE f.tenant_id = ?0 AND f.status = 'succeeded' GROUP BY f.payment_id
) r ON r.id = p.id
WHERE p.tenant_id = ?0 AND (p.refunded_minor <> coalesce(r.refunded, 0) OR
  (p.status = 'refunded') <> (p.refunded_minor > 0 AND p.refunded_minor = coalesce(p.received_minor, p.amount_minor)) OR
  (p.status = 'partially_refunded') <> (p.refunded_minor > 0 AND p.refunded_minor < coalesce(p.received_minor, p.amount_minor)))
ORDER BY 1`},
	{ID: "payments.E009", What: "a refund was posted that does not exist",
		Hint: "The refund was lost past the application: restore it from a backup, or reverse the transaction.",
		Query: `
SELECT t.id AS object, t.kind || ' for ' || t.cause AS detail
FROM ledger_transactions t
LEFT JOIN refunds r ON r.tenant_id = ?0 AND t.cause = 'refund:' || r.id || CASE t.kind WHEN 'payment_moved' THEN ':credit' ELSE '' END AND r.payment_id = t.payment_id
WHERE t.tenant_id = ?0 AND t.kind IN ('payment_refunded', 'payment_moved') AND r.id IS NULL AND ` + ledger.Unrepaired + `
ORDER BY 1`},
	{ID: "payments.E010", What: "a refund above the limit has succeeded, or is under way, without a second person",
		Hint: "Look in the audit log who has asked for it and who has let it go on. What one person has done alone is compared with the limit since the settings were last changed.",
		Query: `
SELECT r.id AS object, r.status || ' over ' || r.amount_minor || ' ' || r.currency || ', approved by ' || coalesce(d.n, 0) AS detail
FROM refunds r
LEFT JOIN (
  SELECT c.subject_id AS id, count(*) AS n FROM decisions c JOIN refunds o ON o.tenant_id = ?0 AND o.id = c.subject_id AND o.requested_by IS DISTINCT FROM c.user_id
  WHERE c.tenant_id = ?0 AND c.subject_type = 'refund' AND c.verdict = 'approve' GROUP BY c.subject_id
) d ON d.id = r.id
WHERE r.tenant_id = ?0 AND (coalesce(d.n, 0) > 0) <> (r.approved_at IS NOT NULL)
UNION ALL
SELECT r.id, r.status || ' over ' || r.amount_minor || ' ' || r.currency || ', by one person, when ' || r.total || ' of the payment went back and the limit is ' || t.two_refund_approvals_above_minor || ' ' || t.default_currency
FROM (
  SELECT f.id, f.status, f.amount_minor, f.currency, f.by_one, f.created_at, sum(f.amount_minor) OVER (PARTITION BY f.payment_id ORDER BY f.created_at, f.id) AS total
  FROM refunds f WHERE f.tenant_id = ?0 AND f.status NOT IN ('failed', 'cancelled')
) r
-- nobody who has read the limit before it was changed takes a minute to ask
JOIN tenants t ON t.id = ?0 AND r.created_at > t.updated_at + interval '1 minute'
WHERE r.by_one AND (r.currency <> t.default_currency OR r.total > t.two_refund_approvals_above_minor) AND t.two_refund_approvals_above_minor IS NOT NULL
ORDER BY 1`},
	{ID: "payments.E011", What: "a refund that was taken back is not reversed once in the ledger, or another one is",
		Hint: "Compare the refund with its entries and with the audit log: reverse what was posted for it, or find out what changed it past the application.",
		Query: `
SELECT r.id AS object, r.status || ' over ' || r.amount_minor || ' ' || r.currency || ', reversed ' || coalesce(b.n, 0) || ' times, ' || coalesce(m.moved, 0) || ' moved to credit' AS detail
FROM refunds r
LEFT JOIN (
  SELECT o.cause, count(*) AS n FROM ledger_transactions o JOIN ` + ledger.Undone + ` c ON c.id = o.id
  WHERE o.tenant_id = ?0 AND o.kind = 'payment_refunded' GROUP BY o.cause
) b ON b.cause = 'refund:' || r.id
LEFT JOIN (
  SELECT t.cause, -sum(e.amount_minor) FILTER (WHERE a.code = 'customer_credit' AND a.customer_id = t.customer_id) AS moved
  FROM ledger_transactions t
  JOIN ledger_entries e ON e.tenant_id = ?0 AND e.transaction_id = t.id
  JOIN ledger_accounts a ON a.tenant_id = ?0 AND a.id = e.ledger_account_id
  WHERE t.tenant_id = ?0 AND t.kind = 'payment_moved' GROUP BY t.cause
) m ON m.cause = 'refund:' || r.id || ':credit'
WHERE r.tenant_id = ?0 AND (coalesce(b.n, 0) <> CASE WHEN r.status = 'reversed' THEN 1 ELSE 0 END OR coalesce(m.moved, 0) <> coalesce(r.moved_minor, 0))
ORDER BY 1`},
}
