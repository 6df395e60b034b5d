package main_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// operation is something that moves money in several commits, and how everything stands between them.
type operation struct {
	name string
	// begin makes what must be there before, and gives the request.
	begin   func(l *lane) request
	commits []string // of a request that nothing disturbs
	stands  []string // before the first, between them, and after the last
	// unsure is what a process does to where things stand that has lost the provider's answer and lives.
	unsure *strings.Replacer
	status int  // of the truth
	lives  bool // only connections are cut: when the process dies everything stands as it does elsewhere in the table
}

// What the provider remembers.
const (
	paid     = ", provider paid took 100% (begin)"
	held     = ", provider authorised (begin)"
	captured = ", provider paid took 100% (begin, capture)"
	released = ", provider cancelled (begin, release)"
	given    = ", provider partially_refunded took 100% gave back 40% (begin, refund)"
)

// What the books say.
const (
	settled = ", posted payment_settled"
	back    = ", posted payment_settled, payment_refunded"
)

// The points are those of docs/idempotency.md: before "claim" nothing is written; behind it stands 1 claimed; behind
// "provider" 2 asked, and before "answer" 3 written, which is gone with its process; behind "answer" 4 answered. Behind "asked"
// a refund stands at noted, and before that the provider was only asked what it has given back.
var (
	asking  = []string{"claim", "provider", "answer"}
	resumed = []string{"lease", "provider", "provider", "answer"} // the first looks where the payment stands
)

var operations = []operation{
	{name: "charge", commits: asking, status: http.StatusCreated, begin: func(l *lane) request { return l.charging(true) },
		unsure: strings.NewReplacer("payment created", "payment processing"),
		stands: []string{
			"key unused",
			"key open, payment created",
			"key open, payment created" + paid,
			"key answered, payment succeeded" + paid + settled}},
	{name: "hold", commits: asking, status: http.StatusCreated, begin: func(l *lane) request { return l.charging(false) },
		unsure: strings.NewReplacer("payment created", "payment processing"),
		stands: []string{
			"key unused",
			"key open, payment created",
			"key open, payment created" + held,
			"key answered, payment authorized" + held}},
	{name: "capture", commits: asking, status: http.StatusOK, begin: func(l *lane) request { return l.capturing(l.charged(false)) },
		stands: []string{
			"key unused, payment authorized" + held,
			"key open, payment authorized" + held,
			"key open, payment authorized" + captured,
			"key answered, payment succeeded" + captured + settled}},
	{name: "release", commits: asking, status: http.StatusOK, begin: func(l *lane) request { return l.releasing(l.charged(false)) },
		stands: []string{
			"key unused, payment authorized" + held,
			"key open, payment authorized" + held,
			"key open, payment authorized" + released,
			"key answered, payment cancelled" + released}},
	{name: "refund", commits: []string{"claim", "provider", "asked", "provider", "answer"}, status: http.StatusCreated, begin: func(l *lane) request { return l.refunding(l.charged(true)) },
		stands: []string{
			"key unused, payment succeeded" + paid + settled,
			"key open, payment succeeded, refund pending" + paid + settled,
			"key open, payment succeeded, refund pending" + paid + settled,
			"key open, payment succeeded, refund pending" + paid + settled,
			"key open, payment succeeded, refund pending" + given + settled,
			"key answered, payment partially_refunded, refund succeeded" + given + back}},
	{name: "approval", commits: []string{"decide"}, status: http.StatusOK, begin: func(l *lane) request { return l.approving() },
		stands: []string{
			"key unused, payment pending_approval",
			"key answered, payment processing"}},

	// the same again, after a first process was cut off behind the claim
	{name: "charge resumed", commits: []string{"lease", "provider", "answer"}, status: http.StatusCreated, begin: func(l *lane) request { return l.cutOff(l.charging(true)) },
		unsure: strings.NewReplacer("payment created", "payment processing"),
		stands: []string{
			"key open, payment created",
			"key open, payment created",
			"key open, payment created" + paid,
			"key answered, payment succeeded" + paid + settled}},
	{name: "capture resumed", commits: resumed, lives: true, status: http.StatusOK, begin: func(l *lane) request { return l.cutOff(l.capturing(l.charged(false))) },
		stands: []string{
			"key open, payment authorized" + held,
			"key open, payment authorized" + held,
			"key open, payment authorized" + held,
			"key open, payment authorized" + captured,
			"key answered, payment succeeded" + captured + settled}},
	{name: "release resumed", commits: resumed, lives: true, status: http.StatusOK, begin: func(l *lane) request { return l.cutOff(l.releasing(l.charged(false))) },
		stands: []string{
			"key open, payment authorized" + held,
			"key open, payment authorized" + held,
			"key open, payment authorized" + held,
			"key open, payment authorized" + released,
			"key answered, payment cancelled" + released}},
	{name: "refund resumed", commits: []string{"lease", "provider", "asked", "provider", "answer"}, lives: true, status: http.StatusCreated, begin: func(l *lane) request { return l.cutOff(l.refunding(l.charged(true))) },
		stands: []string{
			"key open, payment succeeded, refund pending" + paid + settled,
			"key open, payment succeeded, refund pending" + paid + settled,
			"key open, payment succeeded, refund pending" + paid + settled,
			"key open, payment succeeded, refund pending" + paid + settled,
			"key open, payment succeeded, refund pending" + given + settled,
			"key answered, payment partially_refunded, refund succeeded" + given + back}},
}

// TestCrashes cuts real processes off from PostgreSQL, or kills them, before and after each COMMIT of whatever moves
// money. Each operation is then wholly there or not at all, the customer has paid at most once, and whoever repeats his
// request is told the truth.
func TestCrashes(t *testing.T) {
	t.Parallel()
	requireParts(t)
	s := openShop(t, buildProgram(t))
	t.Run("at each commit", func(t *testing.T) {
		for _, op := range operations {
			t.Run(op.name, func(t *testing.T) { t.Parallel(); op.test(t, s.lane(t)) })
		}
		t.Run("many equal charges", func(t *testing.T) { t.Parallel(); testCrowd(t, s.lane(t)) })
	})
	t.Run("of a worker that settles", func(t *testing.T) { testSettler(t, s) })
	t.Run("of a worker that asks providers", func(t *testing.T) { testSweeper(t, s) })
	t.Run("of who takes what a provider says by itself", func(t *testing.T) { testTakers(t, s) })
	t.Run("of a worker that bills and charges subscriptions", func(t *testing.T) { testSubscriber(t, s) })
	s.expect(t, s.env, 0, "The books of 1 tenants are right", "verify")
	s.agrees(t)
}

// agrees compares all that the provider remembers with the books.
func (s *shop) agrees(t *testing.T) {
	t.Helper()
	var strangers, kept, booked int64
	err := s.db.NewRaw(`SELECT (SELECT count(*) FROM sandbox_orders o WHERE NOT EXISTS (SELECT FROM payments p WHERE p.tenant_id = o.tenant_id AND p.id = o.id)),
  (SELECT sum(captured_minor - refunded_minor) FROM sandbox_orders),
  (SELECT sum(e.amount_minor) FROM ledger_entries e JOIN ledger_accounts a ON a.tenant_id = e.tenant_id AND a.id = e.ledger_account_id WHERE a.code = 'clearing' AND a.owner = 'sandbox')`).
		Scan(t.Context(), &strangers, &kept, &booked)
	if err != nil {
		t.Fatal(err)
	}
	if strangers != 0 || kept != booked || kept == 0 {
		t.Errorf("the provider has kept %d and the books say %d; of %d orders nothing is known here", kept, booked, strangers)
	}
}

func (op operation) test(t *testing.T, l *lane) {
	r := op.begin(l)
	l.cutter.put(nil)
	l.must(op.status, r)
	if got := l.cutter.log(); !slices.Equal(got, op.commits) {
		t.Fatalf("the commits are %q, and this test knows %q", got, op.commits)
	}
	if got := l.where(r); got != op.stands[len(op.commits)] {
		t.Fatalf("undisturbed:\n got %s\nwant %s", got, op.stands[len(op.commits)])
	}
	for k := range op.commits {
		for _, after := range []bool{false, true} {
			op.crash(l, k, after, false)
			if !op.lives {
				op.crash(l, k, after, true)
			}
		}
	}
}

// crash has the kth COMMIT fail, and repeats the request.
func (op operation) crash(l *lane, k int, after, kill bool) {
	what := fmt.Sprintf("cut before %s (%d)", op.commits[k], k)
	b := &blade{about: op.commits[k], after: after}
	for _, earlier := range op.commits[:k] {
		if earlier == b.about {
			b.skip++
		}
	}
	r, stands := op.begin(l), op.stands[k]
	if after {
		what, stands = strings.Replace(what, "before", "after", 1), op.stands[k+1]
	}
	if kill {
		what, b.before = "killed"+strings.TrimPrefix(what, "cut"), l.server.kill
	}
	answer, err := l.struck(r, b)
	switch {
	case kill && err == nil:
		l.t.Errorf("%s: the dead answer: %s", what, answer.raw)
	case kill:
		l.begin()
	case err != nil:
		l.t.Errorf("%s: no answer: %v", what, err)
	case b.about == "provider": // its answer is lost, and that is known
		want := http.StatusAccepted
		if op.commits[k+1] == "asked" { // it was only asked where the payment stands
			want = http.StatusBadGateway
		}
		if answer.status != want {
			l.t.Errorf("%s: %d, want %d: %s", what, answer.status, want, answer.raw)
		}
		if op.unsure != nil {
			stands = op.unsure.Replace(stands)
		}
	case answer.status != http.StatusServiceUnavailable || answer.code != "outcome_unknown":
		l.t.Errorf("%s: the answer is not honest: %d %s", what, answer.status, answer.raw)
	}
	if got := l.where(r); got != stands {
		l.t.Errorf("%s:\n got %s\nwant %s", what, got, stands)
	}
	l.later(r)
	l.truth(what, r, op.status, op.stands[len(op.commits)])
}

// truth repeats a request, and once more. The second answer is the first.
func (l *lane) truth(what string, r request, status int, stands string) {
	l.t.Helper()
	told, err := l.send(r)
	if err != nil || told.status != status {
		l.t.Fatalf("%s: the repetition: %v, %d, want %d: %s", what, err, told.status, status, told.raw)
	}
	if got := l.where(r); got != stands {
		l.t.Errorf("%s, repeated:\n got %s\nwant %s", what, got, stands)
	}
	again := l.must(status, r)
	if again.header.Get("Idempotent-Replayed") != "true" || again.without() != told.without() {
		l.t.Errorf("%s: two answers:\n%s\n%s", what, told.raw, again.raw)
	}
}

// testCrowd kills a server to which one charge was sent many times at once, and sends it as often to the next.
func testCrowd(t *testing.T, l *lane) {
	const many = 20
	sent := func(r request) (answers [many]reply, faults [many]error) {
		var all sync.WaitGroup
		for i := range many {
			all.Go(func() { answers[i], faults[i] = l.send(r) })
		}
		all.Wait()
		return answers, faults
	}
	for _, about := range asking {
		r := l.charging(true)
		b := &blade{about: about, after: true, before: l.server.kill}
		l.cutter.put(b)
		early, faults := sent(r)
		b.wait(t)
		l.begin()
		l.later(r)
		answers, late := sent(r)
		for i, answer := range early {
			// what is committed may be read by who waits for it, before the process dies
			if faults[i] == nil && (about != "answer" || answer.without() != answers[0].without()) {
				t.Errorf("%s: the dead answers: %s", about, answer.raw)
			}
		}
		for i, answer := range answers {
			if late[i] != nil || answer.status != http.StatusCreated || answer.without() != answers[0].without() {
				t.Errorf("%s: not the same: %v, %d %s\n%s", about, late[i], answer.status, answer.raw, answers[0].raw)
			}
		}
		if got, want := l.where(r), "key answered, payment succeeded"+paid+settled; got != want {
			t.Errorf("%s:\n got %s\nwant %s", about, got, want)
		}
	}
}

// without is the answer without what is each request's own.
func (r reply) without() string {
	return strings.ReplaceAll(r.raw, r.header.Get("X-Request-Id"), "")
}
