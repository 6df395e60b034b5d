package payments

import "countersign/billing/ledger"

// Kinds are the transactions that payments and refunds post, with the service credits that a refund without a credit note
// moves. A settlement is never reversed: money that goes back is a refund.
func Kinds() []ledger.Kind {
	return []ledger.Kind{
		{Name: ledger.KindPaymentSettled, Causes: `
SELECT 'payment:' || p.id || ':settle' AS cause FROM payments p WHERE p.tenant_id = ?0 AND p.status IN ('succeeded', 'partially_refunded', 'refunded')`},
		{Name: ledger.KindPaymentRefunded, Causes: `
SELECT 'refund:' || r.id AS cause FROM refunds r WHERE r.tenant_id = ?0 AND r.status IN ('succeeded', 'reversed')`, Reversals: `
SELECT 'refund:' || r.id || ':reverse' AS cause, 'refund:' || r.id AS corrects FROM refunds r WHERE r.tenant_id = ?0 AND r.status = 'reversed'`},
		{Name: ledger.KindPaymentMoved, Causes: `
SELECT 'refund:' || r.id || ':credit' AS cause FROM refunds r WHERE r.tenant_id = ?0 AND r.status = 'reversed' AND r.moved_minor > 0`},
		{Name: ledger.KindCreditsReturned, Causes: `
SELECT 'refund:' || r.id || ':credits' AS cause FROM refunds r WHERE r.tenant_id = ?0 AND r.owed_again AND r.status IN ('succeeded', 'reversed')`},
		{Name: ledger.KindCreditsGranted, Causes: `
SELECT 'refund:' || r.id || ':reverse:credits' AS cause FROM refunds r WHERE r.tenant_id = ?0 AND r.owed_again AND r.status = 'reversed'`},
	}
}
