package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// shop is what all that crashes shares: a PostgreSQL with one tenant in test mode, whose sandbox keeps its own memory.
type shop struct {
	installation
	db     *bun.DB // as the schema's owner, past all processes
	direct string  // connection string of the program that leads past all cutters
	olga   string  // token of the tenant's owner
	amina  string  // token of who approves
}

// openShop begins a tenant with the sandbox, without delays of its own.
func openShop(t *testing.T, bin program) *shop {
	s := &shop{installation: prepare(t, bin, postgresIn(t, shortDir(t)))}
	s.direct = strings.TrimPrefix(s.env[0], "DATABASE_URL=")
	s.env = append(s.env, "COUNTERSIGN_DB_MAX_CONNS=4")
	s.expect(t, s.env, 0, `applied \d+_install`, "migrate")
	s.expect(t, s.env, 0, "Created tenant", "createtenant", "shop", "--test", "--name=Shop", "--country=PK", "--currency=PKR", "--owner-email=owner@shop.test", "--owner-name=Olga")
	s.expect(t, s.env, 0, "Loaded", "loaddata", "--tenant=shop", "PK", "*")
	s.expect(t, s.env, 0, "Created", "createuser", "--tenant=shop", "--email=approver@shop.test", "--name=Amina", "--role=finance")
	s.db = openOwner(t, s.owner)
	p, base := s.serve(t)
	anybody := newCaller(t, base)
	owner := anybody.login("owner@shop.test", testPassword)
	s.olga, s.amina = owner.token, anybody.login("approver@shop.test", testPassword).token
	owner.do(http.StatusOK, "PUT", "/billing/gateways/sandbox/", map[string]any{"is_enabled": true, "settings": map[string]any{"slow_ms": "0", "callback_delay_ms": "0"}})
	p.interrupt()
	if code := p.wait(); code != 0 {
		t.Fatalf("exit %d", code)
	}
	return s
}

// lane is one server behind a cutter, and a customer whose money only this server moves.
type lane struct {
	shop
	t        *testing.T
	cutter   *cutter
	server   *process
	address  atomic.Value
	customer string // account
	amounts  int    // that were used: each case has its own
}

func (s *shop) lane(t *testing.T) *lane {
	t.Helper()
	cutter, dsn := newCutter(t, s.direct)
	l := &lane{shop: *s, t: t, cutter: cutter}
	l.env = append(slices.Clone(s.env), "DATABASE_URL="+dsn)
	l.begin()
	l.customer = l.as(l.olga).do(http.StatusCreated, "POST", "/billing/accounts/", map[string]any{"kind": "organization", "holder": "Lahore Textiles", "country": "PK", "currency": "PKR"}).text("id")
	return l
}

// begin starts the lane's server.
func (l *lane) begin() {
	l.t.Helper()
	p, base := l.serve(l.t)
	l.server = p
	l.address.Store(base)
}

// as gives a caller with somebody's token.
func (l *lane) as(token string) caller {
	return caller{t: l.t, base: func() string { return l.address.Load().(string) }, token: token}
}

// request is something that is asked for under a key.
type request struct {
	path    string
	payment string // path of the payment that it is about
	body    any
	token   string
	key     string
	invoice string // that its payment is for, and no other
	minor   int
}

// bill opens an invoice over an amount that no other invoice of the lane is over, and begins a request about it.
func (l *lane) bill(token string) request {
	l.t.Helper()
	l.amounts++
	r := request{token: token, key: uuid.NewString(), minor: 10_000 + 100*l.amounts}
	r.invoice = l.as(l.olga).invoice(l.customer, decimal(r.minor))
	return r
}

func decimal(minor int) string { return fmt.Sprintf("%d.%02d", minor/100, minor%100) }

// send makes the request once. The error is one of the network.
func (l *lane) send(r request) (reply, error) {
	l.t.Helper()
	var body bytes.Buffer
	contentType := ""
	if r.body != nil {
		contentType = "application/json"
		if err := json.NewEncoder(&body).Encode(r.body); err != nil {
			l.t.Fatal(err)
		}
	}
	return l.as(r.token).try("POST", r.path, map[string]string{"Idempotency-Key": r.key}, contentType, &body)
}

// must makes the request once and wants a status.
func (l *lane) must(want int, r request) reply {
	l.t.Helper()
	answer, err := l.send(r)
	if err != nil || answer.status != want {
		l.t.Fatalf("%s: %v, %d, want %d: %s", r.path, err, answer.status, want, answer.raw)
	}
	return answer
}

// where says how everything stands that the request is about: its key, the payments of its invoice and their refunds, what
// the provider remembers of them and how often it has acted, and what was posted. Amounts are percents of the invoice's.
func (l *lane) where(r request) string {
	l.t.Helper()
	var text string
	err := l.db.NewRaw(`
WITH p AS (SELECT * FROM payments WHERE invoice_id = ?0)
SELECT 'key ' || coalesce((SELECT CASE WHEN answer IS NULL THEN 'open' ELSE 'answered' END FROM idempotency_keys WHERE key = ?1), 'unused')
  || coalesce((SELECT ', payment ' || string_agg(status, ' and ') FROM p), '')
  || coalesce((SELECT ', refund ' || string_agg(f.status, ' and ') FROM refunds f JOIN p ON f.payment_id = p.id), '')
  || coalesce((SELECT ', provider ' || string_agg(o.state || CASE WHEN o.captured_minor > 0 THEN ' took ' || trim_scale(o.captured_minor * 100.0 / ?2) || '%' ELSE '' END
       || CASE WHEN o.refunded_minor > 0 THEN ' gave back ' || trim_scale(o.refunded_minor * 100.0 / ?2) || '%' ELSE '' END, ' and ') FROM sandbox_orders o JOIN p ON o.id = p.id WHERE o.state <> 'none'), '')
  || coalesce((SELECT ' (' || string_agg(q.operation, ', ' ORDER BY q.id) || ')' FROM sandbox_requests q JOIN p ON q.order_id = p.id WHERE q.outcome = 'acted'), '')
  || coalesce((SELECT ', posted ' || string_agg(x.kind, ', ' ORDER BY x.id) FROM ledger_transactions x JOIN p ON x.payment_id = p.id), '')`,
		r.invoice, r.key, r.minor).Scan(l.t.Context(), &text)
	if err != nil {
		l.t.Fatal(err)
	}
	return text
}

// later lets two minutes pass for the leases of an invoice's payments: whoever had them is dead, or does not know that he has them.
func (l *lane) later(r request) {
	l.t.Helper()
	for _, change := range []string{
		"UPDATE payment_orders SET busy_until = busy_until - interval '2 minutes', next_ask_at = next_ask_at - interval '2 minutes' WHERE payment_id IN (SELECT id FROM payments WHERE invoice_id = ?)",
		"UPDATE refunds SET busy_until = busy_until - interval '2 minutes', next_ask_at = next_ask_at - interval '2 minutes' WHERE status = 'pending' AND invoice_id = ?",
	} {
		if _, err := l.db.NewRaw(change, r.invoice).Exec(l.t.Context()); err != nil {
			l.t.Fatal(err)
		}
	}
}

// struck makes the request while a blade falls, and gives the answer.
func (l *lane) struck(r request, b *blade) (reply, error) {
	l.t.Helper()
	l.cutter.put(b)
	answer, err := l.send(r)
	b.wait(l.t)
	return answer, err
}

// wait waits until the blade has fallen.
func (b *blade) wait(t *testing.T) {
	t.Helper()
	select {
	case <-b.fallen:
	case <-time.After(patience):
		t.Fatalf("no transaction came to the blade before %s", b.about)
	}
}

// charging asks for the money of a new invoice, at once or held.
func (l *lane) charging(capture bool) request {
	l.t.Helper()
	r := l.bill(l.olga)
	r.path, r.body = "/billing/charges/", map[string]any{"amount": decimal(r.minor), "currency": "PKR", "payment_source": "tok_visa", "invoice_id": r.invoice, "capture": capture}
	return r
}

// charged is charging, answered. It gives the request whose payment it is.
func (l *lane) charged(capture bool) request {
	l.t.Helper()
	r := l.charging(capture)
	return l.about(r, l.must(http.StatusCreated, r).text("id"))
}

// about gives a request about a payment, without a path.
func (l *lane) about(r request, payment string) request {
	return request{payment: "/billing/payments/" + payment + "/", token: r.token, key: uuid.NewString(), invoice: r.invoice, minor: r.minor}
}

func (l *lane) capturing(r request) request {
	r.path, r.body = r.payment+"capture/", map[string]any{}
	return r
}

func (l *lane) releasing(r request) request {
	r.path = r.payment + "release/"
	return r
}

func (l *lane) refunding(r request) request {
	r.path, r.body = r.payment+"refund/", map[string]any{"amount": decimal(r.minor * 2 / 5), "reason": "item_return"}
	return r
}

// approving approves a claim that somebody else has made.
func (l *lane) approving() request {
	l.t.Helper()
	r := l.bill(l.olga)
	claimed := l.must(http.StatusCreated, request{path: "/billing/payments/manual/", token: r.token, key: r.key + "-claim",
		body: map[string]any{"invoice_id": r.invoice, "payment_method": "bank_transfer", "transaction_reference": r.key}})
	r = l.about(r, claimed.text("id"))
	r.token = l.amina
	r.path, r.body = r.payment+"approve/", map[string]any{"digest": l.as(r.token).get(r.payment).text("digest")}
	return r
}

// cutOff makes the request of a process that is cut off behind the claim of its key, and lets its lease end.
func (l *lane) cutOff(r request) request {
	l.t.Helper()
	if answer, err := l.struck(r, &blade{about: "claim", after: true}); err != nil || answer.code != "outcome_unknown" {
		l.t.Fatalf("cut off: %v: %d %s", err, answer.status, answer.raw)
	}
	l.later(r)
	return r
}
