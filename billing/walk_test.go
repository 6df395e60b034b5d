package billing_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"countersign/accounts"
	"countersign/billing/billingtest"
	"countersign/billing/gateways"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

const (
	base = billingtest.Base + "/billing"
	// stepsAtLeast are made in a run, each followed by a comparison of the whole tenant with the model.
	stepsAtLeast = 10_000
	lanes        = 4 // walks at a time
)

// Money moves in whatever ways there are, in whatever order: each answer is the one that the model gives, and after each
// step so are all invoices, payments, refunds and accounts of the books, the provider's included. Nothing is posted twice,
// everything sums to zero, and balances are the sums of their entries.
//
// The seed is in the log. The same walks again: -run='TestMoney' -rapid.seed=<seed>. A walk that failed is shown after it
// was shortened, and walked again as rapid says there. -rapid.checks=<n> makes n walks in each lane, however long that takes,
// and -rapid.steps makes them longer.
func TestMoney(t *testing.T) {
	t.Parallel()
	var all tally
	seed, walks := seeded(t)
	look, err := testkit.OwnerDB(t).DB.PrepareContext(t.Context(), everything)
	if err != nil {
		t.Fatal(err)
	}
	defer look.Close()
	t.Run("lanes", func(t *testing.T) {
		for lane := range lanes {
			t.Run(strconv.Itoa(lane), func(t *testing.T) {
				t.Parallel()
				t.Logf("-rapid.seed=%d", seed)
				mine, left := int64(0), walks
				rapid.Check(t, func(rt *rapid.T) {
					if walks == 0 && mine >= stepsAtLeast/lanes || walks > 0 && left == 0 {
						return
					}
					for range lane {
						evenly.Draw(rt, "lane") // so that lanes with one seed walk different ways
					}
					x := newWalk(t, rt, look)
					rt.Repeat(map[string]func(*rapid.T){"stretch": func(*rapid.T) { x.stretch() }})
					x.end()
					if !rt.Failed() { // or rapid walks the same way again
						mine, left = mine+all.add(x.made), left-1
					}
				})
			})
		}
	})
	t.Logf("-rapid.seed=%d: %d steps %v", seed, all.steps, all.made)
	if t.Failed() || walks > 0 {
		return
	}
	if all.steps < stepsAtLeast {
		t.Errorf("%d steps were made, want %d", all.steps, stepsAtLeast)
	}
	for _, w := range (&walk{m: &model{}}).ways(true) {
		if all.made[w.name].Changes == 0 {
			t.Errorf("no step has changed anything: %s", w.name)
		}
	}
}

// tally counts the steps of all walks by what they are: those that have changed something, and those that were refused or
// answered as before.
type tally struct {
	sync.Mutex
	steps int64
	made  map[string]count
}

type count struct{ Changes, Others int64 }

func (a *tally) add(made map[string]count) (steps int64) {
	a.Lock()
	defer a.Unlock()
	if a.made == nil {
		a.made = map[string]count{}
	}
	for name, n := range made {
		sum := a.made[name]
		a.made[name] = count{sum.Changes + n.Changes, sum.Others + n.Others}
		steps += n.Changes + n.Others
	}
	a.steps += steps
	return steps
}

// seeded gives the seed of the run, which it chooses unless there is one, and how many walks somebody wants.
func seeded(t *testing.T) (seed uint64, walks int) {
	seed = rand.Uint64()>>1 + 1
	flag.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "rapid.seed":
			seed, _ = strconv.ParseUint(f.Value.String(), 10, 64)
		case "rapid.checks":
			walks, _ = strconv.Atoi(f.Value.String())
		}
	})
	if err := flag.Set("rapid.seed", strconv.FormatUint(seed, 10)); err != nil {
		t.Fatal(err)
	}
	return seed, walks
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
	rt      *rapid.T
	tb      testing.TB
	w       *billingtest.World
	m       *model
	sandbox gateways.Access
	calls   []*call
	keys    int
	refs    int
	made    map[string]count
	look    *sql.Stmt // at everything
	traces  int64     // what every change leaves behind, counted
	what    string    // the step that is made
	idle    bool      // it found nothing to do, and does not count
}

// call is a request that had an idempotency key, and was not refused by ourselves.
type call struct {
	by        *walker
	path, key string
	body      map[string]any
	reply     *reply   // nil: its first answer is its last
	of        *payment // whose provider is asked where it stands, while the reply is not known
	refund    *refund
	status    int
	raw       string // the last word, without the request's id
}

func newWalk(t *testing.T, rt *rapid.T, look *sql.Stmt) *walk {
	x := &walk{rt: rt, tb: bridge{t, rt}, look: look, made: map[string]count{}, m: &model{people: map[string]*walker{}, books: map[string]int64{}}}
	x.w = billingtest.NewInTestMode(x.tb)
	slowly, yes := map[string]any{"slow_ms": "0", "callback_delay_ms": strconv.Itoa(delay * 1000)}, true
	_, err := x.w.Gateways.Configure(x.w.System, gateways.ConfigureInput{Name: "sandbox", IsEnabled: &yes, Settings: slowly})
	if err == nil {
		x.sandbox, err = x.w.Gateways.Open(x.w.System, "sandbox")
	}
	if err != nil {
		rt.Fatal(err)
	}
	cashier := x.w.Join("cashier", auth.RoleCashier, nil)
	for name, p := range map[string]*billingtest.Person{"owner": x.w.Owner, "approver": x.w.Approver, "second": x.w.Second, "finance": x.w.Finance, "cashier": cashier,
		"member": x.w.Member, "other": x.w.OtherMember} {
		x.m.people[name] = &walker{Person: p, name: name}
	}
	for name, account := range map[string]*accounts.Account{"member": x.w.Account, "other": x.w.Other} {
		x.m.people[name].account = account.ID.String()
		x.m.accounts = append(x.m.accounts, account.ID.String())
	}
	slices.Sort(x.m.accounts)
	x.rule()
	x.refresh()
	for range 2 {
		x.step("draft", x.draft)
		x.step("finalize", x.finalize)
	}
	return x
}

// stretch is some steps, each drawn from those that make sense now.
func (x *walk) stretch() {
	for range 5 {
		s := draw(x, "step", x.ways(false))
		x.step(s.name, s.do)
	}
}

// step makes a step and compares everything with the model.
func (x *walk) step(name string, do func()) {
	x.what, x.idle, x.m.happened = name, false, false
	do()
	before := x.traces
	if diff := cmp.Diff(x.m.lines(), x.refresh()); diff != "" {
		x.rt.Fatalf("%s: the database is not as the model (-model +database):\n%s", x.what, diff)
	}
	if x.m.happened != (x.traces != before) {
		x.rt.Fatalf("%s: something has happened: %v, and traces were %d and are %d", x.what, x.m.happened, before, x.traces)
	}
	switch n := x.made[name]; {
	case x.m.happened:
		x.made[name] = count{n.Changes + 1, n.Others}
	case !x.idle:
		x.made[name] = count{n.Changes, n.Others + 1}
	}
}

// end brings to its end what is under way, and has everything proved that countersign verify proves.
func (x *walk) end() {
	x.step("settle", func() { x.settle(x.m.approved(), nil) })
	x.step("resume", x.resume)
	x.step("give up", func() { x.sweep(49 * 3600) })
	x.w.AssertBooks(x.tb)
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

// most draws one of a list, mostly a wanted one.
func most[T any](x *walk, name string, list []T, wanted func(T) bool) T {
	if fit := only(list, wanted); len(fit) > 0 && x.chance(name+" wanted", 85) {
		return draw(x, name, fit)
	}
	return draw(x, name, list)
}

func only[T any](list []T, wanted func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(list), func(v T) bool { return !wanted(v) })
}

func (x *walk) person(names ...string) *walker { return x.m.people[draw(x, "person", names)] }

// send makes a request as a person who is signed in.
func (x *walk) send(by *walker, method, path string, body map[string]any, key string) testkit.Answer {
	if body == nil {
		body = map[string]any{}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		x.rt.Fatal(err)
	}
	r := httptest.NewRequestWithContext(by.Ctx, method, path, bytes.NewReader(raw))
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	return testkit.NewClient(x.tb, x.w.Handler).Do(r)
}

// post sends a command, sometimes with a key, and expects a refusal or an effect as the model says. A key whose request
// was refused is used again.
func (x *walk) post(by *walker, path string, body map[string]any, code string, status int) testkit.Answer {
	key := ""
	if x.chance("with a key", 50) {
		key = x.key()
	}
	a := x.send(by, http.MethodPost, path, body, key)
	x.what = fmt.Sprintf("%s: %s %s %v", x.what, by.name, path, body)
	x.expect(a, status, code)
	if code == done && key != "" {
		x.remember(&call{by: by, path: path, key: key, body: body, status: status, raw: bare(a)})
	}
	return a
}

func (x *walk) key() string { return fmt.Sprintf("walk-%d", x.keys) }

func (x *walk) remember(c *call) {
	x.calls = append(x.calls, c)
	x.keys++
}

// expect compares an answer with what the model says. The status is that of an answer that is no refusal.
func (x *walk) expect(a testkit.Answer, status int, code string) {
	got := done
	if a.Status >= 300 {
		got = a.Text("code")
	}
	if got != code || code == done && a.Status != status {
		x.rt.Fatalf("%s: the answer is %d %q, want %d %q: %s", x.what, a.Status, got, status, code, a.Raw)
	}
}

// bare is an answer without what differs between two copies of it.
func bare(a testkit.Answer) string {
	return strings.ReplaceAll(string(a.Raw), a.Text("request_id"), "…")
}

func (x *walk) rule() {
	r := rules{twoAbove: draw(x, "two above", []int64{0, 0, 1500}), twoRefundAbove: draw(x, "two refund above", []int64{0, 0, 800}),
		tolerance: draw(x, "tolerance", []int64{0, 300}), parallel: x.chance("parallel", 50), automatic: x.chance("automatic", 30)}
	x.w.Configure(tenancy.UpdateInput{TwoApprovalThresholdMinor: &r.twoAbove, TwoRefundApprovalsAboveMinor: &r.twoRefundAbove, WriteOffToleranceMinor: &r.tolerance,
		AllowParallelClaims: &r.parallel, ApplyCreditAutomatically: &r.automatic})
	x.m.rules, x.m.happened = r, r != x.m.rules
}
