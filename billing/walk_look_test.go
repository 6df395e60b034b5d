package billing_test

import (
	"fmt"
	"slices"
	"strings"
)

// This file compares. Both sides are lines of text, so that one statement reads a tenant as it is at one moment.

func optionalText(n *int64) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}

// lines is all that the model knows.
func (m *model) lines() []string {
	var list []string
	line := func(parts ...any) {
		text := make([]string, len(parts))
		for i, p := range parts {
			text[i] = fmt.Sprint(p)
		}
		list = append(list, strings.Join(text, "|"))
	}
	for _, b := range m.bills {
		owed := int64(0)
		if b.finalized {
			owed = b.rest()
		}
		line("invoice", b.id, b.status, b.total, b.tax, b.paid, b.noted, b.applied, b.lost, b.rest(), b.claims(), owed, b.granted)
	}
	for _, p := range slices.Concat(m.payments, m.deleted) {
		var kinds []string
		for _, kind := range p.anomalies {
			kinds = append(kinds, kind)
		}
		slices.Sort(kinds)
		postings, moved := 0, int64(0)
		if p.collected() {
			postings, moved = 1, *p.received
		}
		line("payment", p.id, p.status, p.amount, optionalText(p.received), optionalText(p.applied), optionalText(p.excess), optionalText(p.revenue), p.refunded, postings, moved, strings.Join(kinds, ","))
		if o := p.order; o != nil {
			if o.state != "" {
				line("order", p.id, o.state, o.held, o.taken, o.givenBack)
			}
			line("asked", p.id, o.operation)
		}
	}
	for _, r := range m.refunds {
		moved := int64(0)
		if r.status == succeeded || r.status == reversed {
			moved = r.amount // its reversal has an entry of its own
		}
		line("refund", r.id, r.of.id, r.status, r.amount, r.bill, r.credit, r.revenue, moved, r.failure)
	}
	for _, w := range m.writeOffs {
		line("write-off", w.id, w.bill.id, w.status, w.amount)
	}
	for _, b := range m.bills {
		for _, n := range b.notes {
			if n.id != "" {
				line("note", n.id, b.id, n.amount, n.tax)
			}
		}
	}
	for _, c := range m.conversions {
		line("conversion", c.id, c.amount, c.computed, c.receive, c.reversed)
	}
	for account, sum := range m.books {
		if sum != 0 {
			line("book", account, sum)
		}
	}
	slices.Sort(list)
	return list
}

// everything is a tenant in the lines of the model. What must never be has a line that no model has: books that do not sum
// to zero, a cached balance that is not the sum of its entries, more refunds than money.
const everything = `
WITH e AS MATERIALIZED (
  SELECT t.id, t.kind, t.cause, t.invoice_id, t.payment_id, a.id AS account, a.code, a.owner, a.currency, e.amount_minor AS amount
  FROM ledger_entries e JOIN ledger_transactions t ON t.tenant_id = e.tenant_id AND t.id = e.transaction_id
  JOIN ledger_accounts a ON a.tenant_id = e.tenant_id AND a.id = e.ledger_account_id WHERE e.tenant_id = $1
), books AS (SELECT account, code, owner, currency, sum(amount)::bigint AS amount FROM e GROUP BY account, code, owner, currency
), billed AS (SELECT invoice_id, sum(amount) FILTER (WHERE code = 'receivable') AS owed, -sum(amount) FILTER (WHERE code = 'credits') AS units FROM e GROUP BY invoice_id
), settled AS (SELECT payment_id, count(DISTINCT id) AS postings, sum(amount) FILTER (WHERE code IN ('clearing', 'cash')) AS moved FROM e WHERE kind = 'payment_settled' GROUP BY payment_id
), returned AS (SELECT cause, -sum(amount) FILTER (WHERE code IN ('clearing', 'cash')) AS moved FROM e WHERE kind = 'payment_refunded' GROUP BY cause
), refunding AS (SELECT payment_id, sum(amount_minor) FILTER (WHERE status = 'succeeded') AS gone, sum(amount_minor) AS held FROM refunds
  WHERE tenant_id = $1 AND status NOT IN ('failed', 'cancelled', 'reversed') GROUP BY payment_id
), odd AS (SELECT payment_id, string_agg(kind, ',' ORDER BY kind COLLATE "C") AS kinds FROM payment_anomalies WHERE tenant_id = $1 GROUP BY payment_id
), lines AS (
  SELECT concat_ws('|', 'invoice', i.id, status, total_minor, tax_minor, paid_minor, credited_minor, credit_applied_minor, written_off_minor, balance_minor, pending_claims,
    coalesce(b.owed, 0), coalesce(b.units, 0)) AS line FROM invoices i LEFT JOIN billed b ON b.invoice_id = i.id WHERE i.tenant_id = $1
  UNION ALL
  SELECT concat_ws('|', 'payment', p.id, status, amount_minor, coalesce(received_minor::text, '-'), coalesce(applied_minor::text, '-'), coalesce(excess_minor::text, '-'),
    coalesce(revenue_minor::text, '-'), refunded_minor, coalesce(s.postings, 0), coalesce(s.moved, 0), coalesce(o.kinds, ''))
    FROM payments p LEFT JOIN settled s ON s.payment_id = p.id LEFT JOIN odd o ON o.payment_id = p.id WHERE p.tenant_id = $1
  UNION ALL
  SELECT concat_ws('|', 'order', id, state, authorised_minor, captured_minor, refunded_minor) FROM sandbox_orders WHERE tenant_id = $1
  UNION ALL
  SELECT concat_ws('|', 'asked', payment_id, operation) FROM payment_orders WHERE tenant_id = $1
  UNION ALL
  SELECT concat_ws('|', 'refund', id, payment_id, status, amount_minor, coalesce(invoice_minor, 0), coalesce(credit_minor, 0), coalesce(revenue_minor, 0), coalesce(r.moved, 0), failure_code)
    FROM refunds f LEFT JOIN returned r ON r.cause = 'refund:' || f.id WHERE f.tenant_id = $1
  UNION ALL
  SELECT concat_ws('|', 'write-off', id, invoice_id, status, amount_minor) FROM write_offs WHERE tenant_id = $1
  UNION ALL
  SELECT concat_ws('|', 'note', id, invoice_id, amount_minor, tax_minor) FROM credit_notes WHERE tenant_id = $1 AND refund_id IS NULL AND reverses IS NULL
  UNION ALL
  SELECT concat_ws('|', 'conversion', c.id, from_minor, computed_minor, to_minor, (r.conversion_id IS NOT NULL)::text)
    FROM fx_conversions c LEFT JOIN fx_reversals r ON r.tenant_id = c.tenant_id AND r.conversion_id = c.id WHERE c.tenant_id = $1
  UNION ALL
  SELECT concat_ws('|', 'book', concat_ws(':', code, owner, currency), amount) FROM books WHERE amount <> 0
  UNION ALL
  SELECT concat_ws('|', 'does not sum to zero', currency, sum(amount)) FROM books GROUP BY currency HAVING sum(amount) <> 0
  UNION ALL
  SELECT concat_ws('|', 'is not the sum of its entries', concat_ws(':', books.code, books.owner, books.currency), books.amount, l.amount_minor)
    FROM ledger_balances l LEFT JOIN books ON books.account = l.ledger_account_id WHERE l.tenant_id = $1 AND l.amount_minor <> coalesce(books.amount, 0)
  UNION ALL
  SELECT concat_ws('|', 'gives back more than it took', p.id, r.gone, r.held) FROM payments p JOIN refunding r ON r.payment_id = p.id
    WHERE p.tenant_id = $1 AND (r.held > coalesce(p.received_minor, 0) OR coalesce(r.gone, 0) <> p.refunded_minor)
)
SELECT coalesce(string_agg(line, E'\n' ORDER BY line COLLATE "C"), '') AS lines,
  (SELECT count(*) FROM events WHERE tenant_id = $1) + (SELECT count(*) FROM audit_log WHERE tenant_id = $1) + (SELECT count(*) FROM decisions WHERE tenant_id = $1)
    + (SELECT count(*) FROM ledger_transactions WHERE tenant_id = $1) + (SELECT count(*) FROM sandbox_callbacks WHERE tenant_id = $1) AS traces FROM lines`

// refresh reads the tenant in one round trip.
func (x *walk) refresh() []string {
	var now struct {
		lines  string
		traces int64
	}
	if err := x.look.QueryRowContext(x.w.System, x.w.Tenant.ID).Scan(&now.lines, &now.traces); err != nil {
		x.rt.Fatal(err)
	}
	x.traces = now.traces
	if now.lines == "" {
		return nil
	}
	return strings.Split(now.lines, "\n")
}
