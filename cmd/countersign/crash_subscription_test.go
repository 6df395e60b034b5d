package main_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/uuid"
)

// monthly is a subscription whose invoices are over an amount that no other invoice of its lane is over.
type monthly struct {
	id    string
	minor int
}

// subscribing begins one today, from a card that pays.
func (l *lane) subscribing() monthly {
	l.t.Helper()
	l.amounts++
	s := monthly{minor: 10_000 + 100*l.amounts}
	card := l.must(http.StatusCreated, request{path: "/billing/payment-methods/", token: l.olga, key: uuid.NewString(),
		body: map[string]any{"account_id": l.customer, "payment_method": "card", "display_name": "A card", "details": map[string]any{"token": "tok_visa"}}}).text("id")
	s.id = l.must(http.StatusCreated, request{path: "/billing/subscriptions/", token: l.olga, key: uuid.NewString(),
		body: map[string]any{"account_id": l.customer, "description": "Hosting", "unit_price": decimal(s.minor), "payment_source": card}}).text("id")
	return s
}

// month says how everything stands: what is billed, whether the month knows that it is paid, how often the provider has taken
// the money, and how often it was posted.
func (l *lane) month(s monthly) string {
	l.t.Helper()
	var text string
	err := l.db.NewRaw(`
WITH i AS (SELECT * FROM invoices WHERE account_id = ?1 AND total_minor = ?2), p AS (SELECT p.* FROM payments p JOIN i ON i.id = p.invoice_id), m AS (SELECT * FROM subscription_months WHERE subscription_id = ?0)
SELECT (SELECT months_billed FROM subscriptions WHERE id = ?0) || ' billed, ' || (SELECT count(*) FROM m) || ' kept, invoices ' || coalesce((SELECT string_agg(status, ' and ') FROM i), 'none')
  || (SELECT CASE WHEN bool_and(m.charge_at IS NULL AND p.status = 'succeeded') THEN ', charged' ELSE ', waiting' END FROM m LEFT JOIN p ON p.id = m.payment_id)
  || ', taken ' || (SELECT count(*) FROM sandbox_orders o JOIN p ON p.id = o.id WHERE o.captured_minor = ?2)
  || ', posted ' || (SELECT count(*) FROM ledger_transactions x JOIN p ON p.id = x.payment_id)`, s.id, l.customer, s.minor).Scan(l.t.Context(), &text)
	if err != nil {
		l.t.Fatal(err)
	}
	return text
}

// anHourPasses for what waits to be tried again, and for the leases of those who are dead.
func (l *lane) anHourPasses(s monthly) {
	l.t.Helper()
	for _, change := range []string{
		"UPDATE subscription_months SET charge_at = charge_at - interval '1 hour' WHERE subscription_id = ?0 AND charge_at > now()",
		"UPDATE subscriptions SET renew_at = renew_at - interval '1 hour' WHERE id = ?0 AND months_billed = 0",
		`UPDATE payment_orders SET busy_until = busy_until - interval '1 hour', next_ask_at = next_ask_at - interval '1 hour'
			WHERE payment_id IN (SELECT p.id FROM payments p JOIN invoices i ON i.id = p.invoice_id WHERE i.account_id = ?1 AND i.total_minor = ?2)`,
	} {
		if _, err := l.db.NewRaw(change, s.id, l.customer, s.minor).Exec(l.t.Context()); err != nil {
			l.t.Fatal(err)
		}
	}
}

// testSubscriber strikes a worker at each COMMIT of a month: it is billed, the key of its charge is claimed, the provider is
// asked, the answer is written, and the month keeps it. In the end there is one invoice, and the customer has paid once.
func testSubscriber(t *testing.T, s *shop) {
	h := s.hand(t)
	const none, unpaid = "0 billed, 0 kept, invoices none, waiting, taken 0, posted 0", "1 billed, 1 kept, invoices open, waiting, taken 0, posted 0"
	const taken, told = "1 billed, 1 kept, invoices open, waiting, taken 1, posted 0", "1 billed, 1 kept, invoices paid, waiting, taken 1, posted 1"
	const done = "1 billed, 1 kept, invoices paid, charged, taken 1, posted 1"
	for _, point := range []struct{ about, before, after string }{
		{"renew", none, unpaid}, {"claim", unpaid, unpaid}, {"provider", unpaid, taken}, {"answer", taken, told}, {"charged", told, done},
	} {
		for _, after := range []bool{false, true} {
			for _, kill := range []bool{false, true} {
				what := fmt.Sprintf("%s, after COMMIT: %v, killed: %v", point.about, after, kill)
				stands := point.before
				if after {
					stands = point.after
				}
				sub := h.subscribing()
				p := h.struckDown(&blade{about: point.about, after: after}, kill)
				if got := h.month(sub); kill && got != stands { // who lives goes on
					t.Errorf("%s:\n got %s\nwant %s", what, got, stands)
				}
				if kill {
					h.anHourPasses(sub)
					p = h.works()
				}
				until(t, what+": the month is paid", func() bool {
					h.anHourPasses(sub)
					return h.month(sub) == done
				})
				h.retires(p)
			}
		}
	}
}
