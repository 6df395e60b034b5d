package payments_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"countersign/accounts"
	"countersign/billing/billingtest"
	"countersign/billing/paymentmethods"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/testkit"
)

// Whatever people do in whatever order: each answer is the one that the model gives, and so are all states, balances
// and credits after each step (races 6 and 16 of model.md 5.9 without the races). -rapid.checks walks more often,
// -rapid.steps further.
func TestWalk(t *testing.T) {
	t.Parallel()
	left := walks()
	rapid.Check(t, func(rt *rapid.T) {
		if left == 0 {
			return
		}
		over := false
		defer func() {
			if over {
				left-- // not when it fails, because rapid then walks the same way again
			}
		}()
		x := newWalk(t, rt)
		rt.Repeat(map[string]func(*rapid.T){"": func(*rapid.T) { x.check() }, "stretch": func(*rapid.T) { x.stretch() }})
		x.settle(x.m.approved(), nil)
		x.check()
		x.w.AssertBooks(x.tb)
		over = !rt.Failed()
	})
}

// walks is how many walks fit into a run of all tests, or what -rapid.checks asks for.
func walks() int {
	n := 20
	flag.Visit(func(f *flag.Flag) {
		if f.Name == "rapid.checks" {
			n, _ = strconv.Atoi(f.Value.String())
		}
	})
	return n
}

// bridge lets a world report to rapid, which then shows how to walk that way again.
type bridge struct {
	testing.TB
	rt *rapid.T
}

func (b bridge) Error(args ...any)                 { b.rt.Error(args...) }
func (b bridge) Errorf(format string, args ...any) { b.rt.Errorf(format, args...) }
func (b bridge) Fatal(args ...any)                 { b.rt.Fatal(args...) }
func (b bridge) Fatalf(format string, args ...any) { b.rt.Fatalf(format, args...) }

// walk is one walk through a tenant of its own.
type walk struct {
	rt    *rapid.T
	tb    testing.TB
	w     *billingtest.World
	m     *model
	names []string // of the people
	looks []look
	calls []keyed
	keys  int
	trace traces
}

// keyed is a request that had an idempotency key and an effect.
type keyed struct {
	by         *walker
	path, key  string
	body, data any
	status     int
}

func newWalk(t *testing.T, rt *rapid.T) *walk {
	x := &walk{rt: rt, tb: bridge{t, rt}, m: &model{people: map[string]*walker{}, books: map[string]int64{}, ladder: ladders()[0]}}
	x.w = billingtest.New(x.tb)
	colleague := x.w.Join("colleague", auth.RoleMember, x.w.Account)
	for name, p := range map[string]*billingtest.Person{"owner": x.w.Owner, "approver": x.w.Approver, "second": x.w.Second, "finance": x.w.Finance, "viewer": x.w.Viewer,
		"member": x.w.Member, "other": x.w.OtherMember, "colleague": colleague} {
		x.m.people[name] = &walker{Person: p, name: name}
		x.names = append(x.names, name)
	}
	slices.Sort(x.names)
	for name, account := range map[string]*accounts.Account{"member": x.w.Account, "colleague": x.w.Account, "other": x.w.Other} {
		x.m.people[name].account = account.ID.String()
	}
	x.m.accounts = []string{x.w.Account.ID.String(), x.w.Other.ID.String()}
	x.w.Offer("BD", paymentmethods.LocalWallet, func(in *paymentmethods.ConfigInput) { in.RequiresEvidence = ptr(true) })
	for _, p := range []struct{ by, content string }{{"member", "first"}, {"member", "second"}, {"other", "first"}} {
		x.upload(x.m.people[p.by], p.content)
	}
	x.trace = x.traces()
	for range 2 {
		x.draft()
		x.open()
		x.policy()
	}
	if !x.m.parallel && x.chance("parallel", 50) {
		x.allowParallel(true)
	}
	return x
}

// stretch is some steps. Each is drawn from those that make sense now; the number says how often.
func (x *walk) stretch() {
	for range 3 {
		waiting, decided := len(x.waiting()), len(x.m.approved())
		var ways []func()
		for _, a := range []struct {
			n, needs int
			do       func()
		}{{2, 1, x.draft}, {3, 1, x.open}, {1, 1, x.void}, {14, 1, x.submit}, {2, waiting, func() { x.look(x.attempt()) }}, {14, waiting, x.approve}, {1, len(x.m.payments), x.approve},
			{2, waiting, x.reject}, {2, waiting, x.withdraw}, {1, waiting, x.edit}, {4, waiting, x.bulk}, {3, decided, x.settleAll}, {5, decided, x.settleSome},
			{1, decided, x.redeliver}, {3, len(x.calls), x.repeat}, {3, 1, x.policy}, {2, waiting, x.dismiss}} {
			if a.needs > 0 {
				ways = append(ways, slices.Repeat([]func(){a.do}, a.n)...)
			}
		}
		draw(x, "step", ways)()
	}
}

// waiting are the payments that wait for a decision.
func (x *walk) waiting() []*attempt {
	return only(x.m.payments, (*attempt).pending)
}

func only[T any](list []T, wanted func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(list), func(v T) bool { return !wanted(v) })
}

// bill draws one of the invoices, mostly a wanted one.
func (x *walk) bill(percent int, wanted func(*bill) bool) *bill {
	if list := only(x.m.invoices, wanted); len(list) > 0 && x.chance("wanted", percent) {
		return draw(x, "invoice", list)
	}
	return draw(x, "invoice", x.m.invoices)
}

// evenly draws whole numbers with no preference for small ones, which rapid's own have.
var evenly = rapid.Custom(func(t *rapid.T) int {
	n := 0
	for range 16 {
		n *= 2
		if rapid.Bool().Draw(t, "bit") {
			n++
		}
	}
	return n
})

func draw[T any](x *walk, name string, list []T) T { return list[evenly.Draw(x.rt, name)%len(list)] }

func (x *walk) minor(name string, least, most int64) int64 {
	return least + int64(evenly.Draw(x.rt, name))%(most-least+1)
}

func (x *walk) chance(name string, percent int) bool {
	return evenly.Draw(x.rt, name)%100 >= 100-percent // zero, to which rapid shrinks, is no
}

func (x *walk) person(names ...string) *walker { return x.m.people[draw(x, "person", names)] }

// decider is a person who is there to decide.
func (x *walk) decider(names ...string) *walker {
	if p := x.person(names...); !p.dismissed {
		return p
	}
	return x.m.people["owner"]
}

// attempt draws one of the payments, mostly one that waits.
func (x *walk) attempt() *attempt {
	if waiting := x.waiting(); len(waiting) > 0 && x.chance("waiting", 90) {
		return draw(x, "payment", waiting)
	}
	return draw(x, "payment", x.m.payments)
}

// send makes a request as a person who is signed in.
func (x *walk) send(by *walker, method, path string, body any, key string) testkit.Answer {
	raw, err := json.Marshal(body)
	if err != nil {
		x.rt.Fatal(err)
	}
	r := httptest.NewRequestWithContext(by.Ctx, method, path, bytes.NewReader(raw))
	r.Header.Set("Content-Type", "application/json")
	client := x.w.Anonymous()
	if key != "" {
		client = client.With("Idempotency-Key", key)
	}
	return client.Do(r)
}

// post sends a command, sometimes with a key, and expects a refusal or an effect as the model says. A key whose
// request was refused is used again.
func (x *walk) post(by *walker, path string, body any, code string, status int) testkit.Answer {
	key := ""
	if x.chance("with a key", 50) {
		key = fmt.Sprintf("walk-%d", x.keys)
	}
	a := x.send(by, http.MethodPost, path, body, key)
	x.expect(a, fmt.Sprintf("%s: %s %v", by.name, path, body), code, status)
	if code == done && key != "" {
		x.calls = append(x.calls, keyed{by, path, key, body, a.At("data"), status})
		x.keys++
	}
	return a
}

// expect compares an answer with what the model says, and makes sure that exactly what is not refused leaves traces.
func (x *walk) expect(a testkit.Answer, what, code string, status int) {
	got := done
	if a.Status >= 300 {
		got = a.Text("code")
	}
	if got != code || code == done && a.Status != status {
		x.rt.Fatalf("%s: the answer is %d %q, want %q: %s", what, a.Status, got, code, a.Raw)
	}
	before := x.trace
	x.trace = x.traces()
	left := x.trace
	if code == payments.ErrNotPending.Code && left.Events-before.Events <= 1 && left.Audits-before.Audits <= 1 {
		left.Events, left.Audits = before.Events, before.Audits // that it was tried is kept, and nothing else (S1-32)
	}
	if code == done != (left != before) {
		x.rt.Fatalf("%s: the answer is %q, and traces were %+v and are %+v", what, got, before, x.trace)
	}
}

func (x *walk) upload(by *walker, content string) {
	var form bytes.Buffer
	m := multipart.NewWriter(&form)
	part, err := m.CreateFormFile("file", content+".pdf")
	if err == nil {
		_, err = part.Write(pdf(x.w.Tenant.Slug + content))
	}
	if err != nil || m.Close() != nil {
		x.rt.Fatal("make a form: ", err)
	}
	r := httptest.NewRequestWithContext(by.Ctx, http.MethodPost, base+"/evidence/", &form)
	r.Header.Set("Content-Type", m.FormDataContentType())
	id := x.w.Anonymous().Do(r).Expect(http.StatusCreated).Text("data.id")
	x.m.proofs = append(x.m.proofs, &proof{id, by.account, content})
}

// traces counts what every change leaves behind.
type traces struct {
	Events, Audits, Decisions, Keys, Postings int
}

func (x *walk) traces() traces {
	var n traces
	err := testkit.OwnerDB(x.tb).NewRaw(`SELECT (SELECT count(*) FROM events WHERE tenant_id = ?0) AS events, (SELECT count(*) FROM audit_log WHERE tenant_id = ?0) AS audits,
		(SELECT count(*) FROM decisions WHERE tenant_id = ?0) AS decisions, (SELECT count(*) FROM idempotency_keys WHERE tenant_id = ?0) AS keys,
		(SELECT count(*) FROM ledger_transactions WHERE tenant_id = ?0) AS postings`, x.w.Tenant.ID).Scan(x.w.System, &n)
	if err != nil {
		x.rt.Fatal(err)
	}
	return n
}

// row is a payment or an invoice in the form in which model and database are compared.
type row struct {
	ID, Kind, Status       string
	Amount, Received       int64 // of an invoice: total and paid
	Applied, Excess        int64 // of an invoice: balance, and what the ledger says it owes
	Claims, Credits        int
	Verdicts, Transactions int
	Notes, RetryOf         string
}

// check compares everything that the database holds with the model.
func (x *walk) check() {
	want := []row{}
	number := func(n *int64) int64 {
		if n == nil {
			return -1
		}
		return *n
	}
	for _, b := range x.m.invoices {
		r := row{ID: b.id, Kind: "invoice", Status: string(b.status), Amount: b.total, Received: b.paid, Applied: b.rest(), Claims: b.claims, Credits: int(b.credits)}
		if b.finalized {
			r.Excess = b.rest()
		}
		want = append(want, r)
	}
	for _, a := range x.m.payments {
		r := row{ID: a.id, Kind: "payment", Status: string(a.status), Amount: a.amount, Received: number(a.received), Applied: number(a.applied), Excess: number(a.excess),
			Verdicts: len(a.verdicts), Notes: a.notes, RetryOf: a.retryOf}
		if a.status == payments.StatusSucceeded {
			r.Transactions = 1
		}
		want = append(want, r)
	}
	slices.SortFunc(want, func(a, b row) int { return strings.Compare(a.ID, b.ID) })
	got := []row{}
	x.scan(&got, `
		SELECT i.id, 'invoice' AS kind, status, total_minor AS amount, paid_minor AS received, balance_minor AS applied, coalesce((
		    SELECT sum(e.amount_minor) FROM ledger_transactions t JOIN ledger_entries e ON e.tenant_id = t.tenant_id AND e.transaction_id = t.id
		    JOIN ledger_accounts a ON a.tenant_id = e.tenant_id AND a.id = e.ledger_account_id
		    WHERE t.tenant_id = i.tenant_id AND t.invoice_id = i.id AND a.code = 'receivable'), 0) AS excess,
		  pending_claims AS claims, credits, 0 AS verdicts, 0 AS transactions, '' AS notes, '' AS retry_of
		FROM invoices i WHERE i.tenant_id = ?0
		UNION ALL
		SELECT p.id, 'payment', status, amount_minor, coalesce(received_minor, -1), coalesce(applied_minor, -1), coalesce(excess_minor, -1), 0, 0,
		  (SELECT count(*) FROM decisions d WHERE d.tenant_id = p.tenant_id AND d.subject_id = p.id),
		  (SELECT count(*) FROM ledger_transactions t WHERE t.tenant_id = p.tenant_id AND t.payment_id = p.id), notes, coalesce(retry_of::text, '')
		FROM payments p WHERE p.tenant_id = ?0 ORDER BY id`)
	if diff := cmp.Diff(want, got); diff != "" {
		x.rt.Fatalf("the database is not as the model (-model +database):\n%s", diff)
	}

	type sum struct {
		Account string
		Amount  int64
		Cached  *int64
	}
	var sums []sum
	x.scan(&sums, `
		SELECT a.code || ':' || a.owner || ':' || a.currency AS account, sum(e.amount_minor)::bigint AS amount, min(b.amount_minor) AS cached
		FROM ledger_entries e JOIN ledger_accounts a ON a.tenant_id = e.tenant_id AND a.id = e.ledger_account_id
		LEFT JOIN ledger_balances b ON b.tenant_id = a.tenant_id AND b.ledger_account_id = a.id
		WHERE e.tenant_id = ?0 GROUP BY a.id, a.code, a.owner, a.currency`)
	books, total := map[string]int64{}, map[string]int64{}
	for _, s := range sums {
		if s.Cached != nil && *s.Cached != s.Amount {
			x.rt.Fatalf("the balance of %s is %d, and its entries come to %d", s.Account, *s.Cached, s.Amount)
		}
		if s.Amount != 0 {
			books[s.Account] = s.Amount
		}
		total[s.Account[strings.LastIndex(s.Account, ":"):]] += s.Amount
	}
	if diff := cmp.Diff(x.m.sums(), books); diff != "" {
		x.rt.Fatalf("the books are not as the model's (-model +database):\n%s", diff)
	}
	for currency, left := range total {
		if left != 0 {
			x.rt.Fatalf("the entries in %s come to %d", currency, left)
		}
	}
}

func (x *walk) scan(into any, query string) {
	if err := testkit.OwnerDB(x.tb).NewRaw(query, x.w.Tenant.ID).Scan(x.w.System, into); err != nil {
		x.rt.Fatal(err)
	}
}
