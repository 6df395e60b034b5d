package main_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// testPaths gives equal commands over HTTP, on the command line, and to a server that dies behind the provider's deed, so that
// a worker ends them. Whoever did it: the books, the invoice and what others are told come out the same (S0-57).
func testPaths(t *testing.T, bin program) {
	s := openShop(t, bin)
	s.expect(t, s.env, 0, "Created", "createuser", "--tenant=shop", "--email=till@shop.test", "--name=Tariq", "--role=cashier")
	h := s.hand(t)
	tariq := h.as("").login("till@shop.test", testPassword).token
	for _, tt := range []struct {
		name   string
		status int
		begin  func() request
		method string // empty: POST
		asks   bool   // a provider, so a worker may have to end it
		stands string
	}{
		{"charge", http.StatusCreated, func() request { return h.charging(true) }, "", true, "key answered, payment succeeded" + paid + settled},
		{"hold", http.StatusCreated, func() request { return h.charging(false) }, "", true, "key answered, payment authorized" + held},
		{"capture", http.StatusOK, func() request { return h.capturing(h.charged(false)) }, "", true, "key answered, payment succeeded" + captured + settled},
		{"release", http.StatusOK, func() request { return h.releasing(h.charged(false)) }, "", true, "key answered, payment cancelled" + released},
		{"refund", http.StatusCreated, func() request { return h.refunding(h.charged(true)) }, "", true, "key answered, payment partially_refunded, refund succeeded" + given + back},
		{"approval", http.StatusOK, h.approving, "", false, "key answered, payment processing"},
		{"cash", http.StatusCreated, func() request { return h.cash(tariq) }, "", false, "key answered, payment pending"},
		{"cash completed", http.StatusOK, func() request { return h.cashTaken(tariq, "complete/") }, "", false, "key answered, payment succeeded" + settled},
		{"cash cancelled", http.StatusOK, func() request { return h.cashTaken(tariq, "cancel/") }, "", false, "key answered, payment cancelled"},
		{"cash deleted", http.StatusNoContent, func() request { return h.cashTaken(tariq, "") }, http.MethodDelete, false, "key unused, payment cancelled"},
	} {
		if tt.method == "" {
			tt.method = http.MethodPost
		}
		over := tt.begin()
		if tt.method == http.MethodPost {
			h.must(tt.status, over)
		} else {
			h.as(over.token).do(tt.status, tt.method, over.path, nil)
		}
		story := h.story(over)
		if len(story) < 5 { // the invoice is made, finalised and there, and so is the payment
			t.Errorf("%s over HTTP leaves only %q", tt.name, story)
		}
		if got := h.where(over); got != tt.stands {
			t.Errorf("%s over HTTP:\n got %s\nwant %s", tt.name, got, tt.stands)
		}

		typed := tt.begin()
		said := h.types(typed, tt.method, 0)
		if got := h.where(typed); got != tt.stands {
			t.Errorf("%s on the command line:\n got %s\nwant %s", tt.name, got, tt.stands)
		}
		if got := h.story(typed); !slices.Equal(got, story) {
			t.Errorf("%s on the command line:\n%s\nover HTTP:\n%s", tt.name, strings.Join(got, "\n"), strings.Join(story, "\n"))
		}
		if tt.method == http.MethodPost {
			if again := h.must(tt.status, typed); again.header.Get("Idempotent-Replayed") != "true" || !strings.Contains(said, again.text("id")) {
				t.Errorf("%s: the key of the command line is another one over HTTP: %s\n%s", tt.name, again.raw, said)
			}
		}

		if tt.asks {
			left := tt.begin()
			h.struck(left, &blade{about: "provider", after: true, before: h.server.kill})
			h.begin()
			h.later(left)
			p := h.works()
			until(t, tt.name+": the worker has ended it", func() bool { return strings.HasPrefix(h.where(left), "key answered") })
			h.retires(p)
			h.truth(tt.name+" by a worker", left, tt.status, tt.stands)
			if got := h.story(left); !slices.Equal(got, story) {
				t.Errorf("%s by a worker:\n%s\nover HTTP:\n%s", tt.name, strings.Join(got, "\n"), strings.Join(story, "\n"))
			}
		}
	}

	shown := h.charged(true)
	shown.path = shown.payment
	over := h.as(h.olga).get(shown.path)
	if said, data := h.types(shown, http.MethodGet, 0), over.raw[:strings.Index(over.raw, `,"request_id"`)]; !strings.Contains(said, data) {
		t.Errorf("on the command line a payment is\n%s\nand over HTTP\n%s", said, data)
	}
	for name, refused := range map[string]struct {
		token, code string
	}{"without a token": {"", "authentication_required"}, "the claim's own submitter": {h.olga, "submitter_cannot_decide"}} {
		claim := h.approving()
		claim.token = refused.token
		if said := h.types(claim, http.MethodPost, 1); !strings.Contains(said, `"code":"`+refused.code) || h.where(claim) != "key unused, payment pending_approval" {
			t.Errorf("%s: %s\n%s", name, said, h.where(claim))
		}
	}
	s.expect(t, s.env, 0, "The books of 1 tenants are right", "verify")
}

// types makes a request on the command line and gives what is said.
func (l *lane) types(r request, method string, code int) string {
	l.t.Helper()
	args := []string{"call", method, r.path}
	if r.body != nil {
		body, err := json.Marshal(r.body)
		if err != nil {
			l.t.Fatal(err)
		}
		args = append(args, string(body))
	}
	if method == http.MethodPost {
		args = append(args, "--key", r.key)
	}
	return l.expect(l.t, append(slices.Clone(l.shop.env), "COUNTERSIGN_TOKEN="+r.token), code, ``, args...)
}

// cash has somebody note cash for a new invoice.
func (l *lane) cash(token string) request {
	l.t.Helper()
	r := l.bill(token)
	r.path, r.body = "/billing/payments/", map[string]any{"gateway": "cash", "amount": decimal(r.minor), "currency": "PKR", "invoice_id": r.invoice, "reference": r.key}
	return r
}

// cashTaken has the owner do something with cash that somebody else has noted.
func (l *lane) cashTaken(token, what string) request {
	l.t.Helper()
	r := l.cash(token)
	r = l.about(r, l.must(http.StatusCreated, r).text("id"))
	r.token, r.path = l.olga, r.payment+what
	return r
}

// story is what the payment of a request has left behind for others: events, postings by account in percent of the invoice, and
// how the invoice stands.
func (l *lane) story(r request) []string {
	l.t.Helper()
	var lines []string
	err := l.db.NewRaw(`
WITH p AS (SELECT * FROM payments WHERE invoice_id = ?0),
  about AS (SELECT id FROM p UNION ALL SELECT id FROM invoices WHERE id = ?0 UNION ALL SELECT f.id FROM refunds f JOIN p ON f.payment_id = p.id)
(SELECT 'told ' || e.type FROM events e JOIN about ON about.id = e.object_id ORDER BY e.id)
UNION ALL (SELECT x.kind || ' ' || a.code || ' ' || trim_scale(n.amount_minor * 100.0 / ?1) || '%' FROM ledger_transactions x JOIN p ON x.payment_id = p.id
  JOIN ledger_entries n ON n.transaction_id = x.id JOIN ledger_accounts a ON a.id = n.ledger_account_id ORDER BY x.id, n.line)
UNION ALL (SELECT 'invoice ' || status || ', paid ' || trim_scale(paid_minor * 100.0 / ?1) || '%' FROM invoices WHERE id = ?0)`,
		r.invoice, r.minor).Scan(l.t.Context(), &lines)
	if err != nil {
		l.t.Fatal(err)
	}
	return lines
}
