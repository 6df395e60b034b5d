package subscriptions

import "countersign/billing/ledger"

// proofs compare subscriptions with the months that were billed. What the constraints of the tables exclude is not asked for again.
var proofs = []ledger.Proof{
	{ID: "subscriptions.E001", What: "a month of a subscription was left out, or billed too early",
		Hint: "Compare the subscription's months with its audit log. A month that is missing wants an invoice by hand, one too many a credit note.",
		Query: `
SELECT s.id AS object, s.months_billed || ' months are billed, and there are ' || count(m.month) || ' up to the ' || coalesce(max(m.month), 0) || 'th' AS detail
FROM subscriptions s
LEFT JOIN subscription_months m ON m.tenant_id = ?0 AND m.subscription_id = s.id
WHERE s.tenant_id = ?0
GROUP BY s.id, s.months_billed
HAVING (count(m.month), coalesce(max(m.month), 0)) <> (s.months_billed, s.months_billed)
ORDER BY 1`},
	{ID: "subscriptions.E002", What: "the invoice of a month is not over what was agreed",
		Hint: "Compare the invoice with the subscription. What was billed too much goes back by a credit note.",
		Query: `
SELECT s.id AS object, 'month ' || m.month || ': invoice ' || i.id || ' of account ' || i.account_id || ' over ' || i.total_minor || ' ' || i.currency || ', agreed were ' || s.amount_minor || ' ' || s.currency AS detail
FROM subscription_months m
JOIN subscriptions s ON s.tenant_id = ?0 AND s.id = m.subscription_id
JOIN invoices i ON i.tenant_id = ?0 AND i.id = m.invoice_id
WHERE m.tenant_id = ?0 AND (i.account_id, i.currency, i.total_minor) IS DISTINCT FROM (s.account_id, s.currency, s.amount_minor::bigint)
ORDER BY 1, m.month`},
	{ID: "subscriptions.E003", What: "a month was charged with a payment of something else",
		Hint: "Compare the payment with the month's invoice, and refund what was taken twice.",
		Query: `
SELECT m.subscription_id AS object, 'month ' || m.month || ': payment ' || p.id || ' is not of invoice ' || m.invoice_id AS detail
FROM subscription_months m
JOIN payments p ON p.tenant_id = ?0 AND p.id = m.payment_id
WHERE m.tenant_id = ?0 AND p.invoice_id IS DISTINCT FROM m.invoice_id
ORDER BY 1, m.month`},
}
