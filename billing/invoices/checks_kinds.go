package invoices

import "countersign/billing/ledger"

// Kinds are the transactions that invoices and their adjustments post, but for the service credits that a refund moves.
func Kinds() []ledger.Kind {
	return []ledger.Kind{
		{Name: ledger.KindInvoiceFinalized, Causes: `
SELECT 'invoice:' || i.id || ':finalize' AS cause FROM invoices i WHERE i.tenant_id = ?0 AND i.finalized_at IS NOT NULL`, Reversals: `
SELECT 'invoice:' || i.id || ':void' AS cause, 'invoice:' || i.id || ':finalize' AS corrects
FROM invoices i WHERE i.tenant_id = ?0 AND i.finalized_at IS NOT NULL AND i.status = 'void'`},
		// each time that the invoice was paid, and is paid now
		{Name: ledger.KindCreditsGranted, Causes: `
SELECT 'invoice:' || i.id || ':credits' || coalesce(':' || nullif(n, 0), '') AS cause
FROM invoices i, generate_series(0, i.reopened) AS n WHERE i.tenant_id = ?0 AND i.credits > 0 AND (i.paid_at IS NOT NULL OR n < i.reopened)`},
		{Name: ledger.KindCreditsGranted, Causes: creditsOfAdjustments},
		{Name: ledger.KindCreditsReturned, Causes: creditsOfAdjustments},
		adjusted(CreditApplied), adjusted(CreditNoted), adjusted(WrittenOff),
	}
}

const creditsOfAdjustments = `SELECT 'adjustment:' || a.id || ':credits' AS cause FROM invoice_adjustments a WHERE a.tenant_id = ?0`

// adjusted is the kind of transaction that is posted for a kind of adjustment. A refund posts its credit note itself, and who
// takes it back its reversal.
func adjusted(kind AdjustmentKind) ledger.Kind {
	own := `
FROM invoice_adjustments a
LEFT JOIN credit_notes n ON n.tenant_id = ?0 AND n.id = coalesce(a.reverses, a.id)
WHERE a.tenant_id = ?0 AND a.kind = '` + string(kind) + `' AND n.refund_id IS NULL AND a.reverses IS `
	return ledger.Kind{Name: string(kind), Causes: `SELECT 'adjustment:' || a.id AS cause` + own + `NULL`,
		Reversals: `SELECT 'adjustment:' || a.id AS cause, 'adjustment:' || a.reverses AS corrects` + own + `NOT NULL`}
}
