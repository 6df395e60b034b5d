package fx

import "countersign/billing/ledger"

// Kinds are the transactions that conversions post.
func Kinds() []ledger.Kind {
	return []ledger.Kind{{Name: ledger.KindFXConverted, Causes: `
SELECT 'fx:' || c.id || ':convert' AS cause FROM fx_conversions c WHERE c.tenant_id = ?0`, Reversals: `
SELECT 'fx:' || v.conversion_id || ':reverse' AS cause, 'fx:' || v.conversion_id || ':convert' AS corrects FROM fx_reversals v WHERE v.tenant_id = ?0`}}
}
