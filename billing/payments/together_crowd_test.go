package payments_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// waiting makes n claims that wait, each for an invoice of its own, with what is to be seen of them.
func waiting(w *billingtest.World, n int) []payments.BulkItem {
	items := make([]payments.BulkItem, n)
	for i := range items {
		id := w.Submit(w.OpenInvoice("10.00").ID).ID
		items[i] = payments.BulkItem{ID: id, Digest: w.Digest(id)}
	}
	return items
}

// decidedIn gives the number of decisions about items, and of the transactions that made them.
func decidedIn(t *testing.T, w *billingtest.World, items []payments.BulkItem) (decisions, transactions int) {
	t.Helper()
	ids := make([]string, len(items))
	for i, item := range items {
		ids[i] = item.ID.String()
	}
	list := "{" + strings.Join(ids, ",") + "}"
	return count(t, "SELECT count(*) FROM decisions WHERE tenant_id = ? AND subject_id = ANY (?::uuid[])", w.Tenant.ID, list),
		count(t, "SELECT count(DISTINCT xmin::text) FROM decisions WHERE tenant_id = ? AND subject_id = ANY (?::uuid[])", w.Tenant.ID, list)
}

// Whoever comes while others commit shares the next commit with everybody else who has come.
func TestCrowdOfApprovals(t *testing.T) {
	t.Parallel()
	w, g := gated(t)
	items := waiting(w, 40)
	people := []*billingtest.Person{w.Approver, w.Second}
	clients := []*testkit.Client{w.As(people[0]), w.As(people[1])}
	answers := behind(t, g, len(items), func(i int) testkit.Answer {
		return clients[i%2].Post(one(items[i].ID, "approve/"), body("digest", items[i].Digest))
	}, nil)
	for i, a := range answers {
		a.Expect(http.StatusOK)
		equal(t, "answer", []string{a.Text("data.id"), a.Text("data.status"), a.Text("data.approvals.0.user")}, []string{items[i].ID.String(), "processing", people[i%2].Email})
		status(t, w, items[i].ID, payments.StatusProcessing)
		equal(t, "in the audit log", count(t, "SELECT count(*) FROM audit_log WHERE tenant_id = ? AND object_id = ? AND action = 'payment.approve' AND actor_id = ? AND request_id = ?",
			w.Tenant.ID, items[i].ID, people[i%2].ID, a.Text("request_id")), 1)
	}
	decided, transactions := decidedIn(t, w, items)
	equal(t, "decisions", decided, 40)
	if transactions > 25 { // the first, the 16 that had to come for the second set, and at worst one for each of the others
		t.Errorf("%d transactions decided 40 payments", transactions)
	}
	w.SettleAll()
	w.AssertBooks(t)
}

// What the database refuses of one holds back no other.
func TestFailureInASet(t *testing.T) {
	t.Parallel()
	w, g := gated(t)
	// a version that cannot be counted up: the change of this one row fails, and with it the transaction
	spoil := func(table string, id uuid.UUID) {
		force(t, "UPDATE ? SET version = 2147483647 WHERE tenant_id = ? AND id = ?", bun.Ident(table), w.Tenant.ID, id)
	}
	spoiled := func(n int) []payments.BulkItem {
		items := waiting(w, n)
		bad := &items[n-2]
		spoil("payments", bad.ID)
		bad.Digest = w.Digest(bad.ID)
		return items
	}
	check := func(t *testing.T, items []payments.BulkItem, errors []error) {
		t.Helper()
		for i, item := range items {
			bad := i == len(items)-2
			if bad {
				if errors[i] == nil || errs.As(errors[i]) != nil || !strings.Contains(errors[i].Error(), "integer out of range") {
					t.Errorf("the bad one is answered with %v", errors[i])
				}
				status(t, w, item.ID, payments.StatusPendingApproval)
			} else {
				equal(t, "answer", ending(errors[i]), "")
				status(t, w, item.ID, payments.StatusProcessing)
			}
			want := 1
			if bad {
				want = 0
			}
			for _, query := range []string{"SELECT count(*) FROM decisions WHERE tenant_id = ? AND subject_id = ?", "SELECT count(*) FROM audit_log WHERE tenant_id = ? AND object_id = ? AND action = 'payment.approve'",
				"SELECT count(*) FROM events WHERE tenant_id = ? AND object_id = ? AND type = 'payment.approved'"} {
				equal(t, query, count(t, query, w.Tenant.ID, item.ID), want)
			}
		}
	}

	t.Run("of approvals in bulk", func(t *testing.T) {
		items := spoiled(5)
		errors := make([]error, len(items))
		for i, o := range w.Payments.BulkApprove(w.Approver.Ctx, items, "") {
			errors[i] = o.Err
		}
		check(t, items, errors)
		_, transactions := decidedIn(t, w, items)
		equal(t, "transactions", transactions, 4) // each was done again alone
	})
	t.Run("of approvals that come together", func(t *testing.T) {
		items := spoiled(17)
		check(t, items, behind(t, g, len(items), func(i int) error {
			_, err := w.Payments.Approve(w.Approver.Ctx, payments.ApproveInput{ID: items[i].ID, Digest: items[i].Digest})
			return err
		}, nil))
	})
	t.Run("of approvals one of whose keys was used meanwhile", func(t *testing.T) {
		items := waiting(w, 18)
		other := items[17]
		approve := func(w *billingtest.World, item payments.BulkItem, key string) error {
			_, err := w.Payments.Approve(w.Approver.Ctx, payments.ApproveInput{ID: item.ID, Digest: item.Digest, Once: onceFor(t, key, "payments.approve", item.ID, nil)})
			return err
		}
		elsewhere := w.Replica(testkit.DB(t))
		got := behind(t, g, 17, func(i int) error { return approve(w, items[i], fmt.Sprintf("key-%d", i)) }, func() {
			equal(t, "elsewhere", ending(approve(elsewhere, other, "key-9")), "")
		})
		equal(t, "answers", codes(got), map[string]int{"done": 16, "idempotency_key_reused": 1})
		equal(t, "whose key was used", ending(got[9]), "idempotency_key_reused")
		status(t, w, items[9].ID, payments.StatusPendingApproval)
		decided, _ := decidedIn(t, w, items)
		equal(t, "decisions", decided, 17)
	})
	t.Run("of submissions", func(t *testing.T) {
		var claims []payments.SubmitManualInput
		for range 17 {
			claims = append(claims, w.Claim(w.OpenInvoice("10.00").ID))
		}
		spoil("invoices", uuid.MustParse(claims[15].Invoice))
		for i, err := range behind(t, g, 17, func(i int) error { _, err := w.Payments.SubmitManual(w.Member.Ctx, claims[i]); return err }, nil) {
			want := 1
			if i == 15 {
				want = 0
				if err == nil || !strings.Contains(err.Error(), "integer out of range") {
					t.Errorf("the bad one is answered with %v", err)
				}
			} else {
				equal(t, "answer", ending(err), "")
			}
			id := uuid.MustParse(claims[i].Invoice)
			equal(t, "rows and claims", []int{paymentsOf(t, w, id), w.Invoice(id).PendingClaims}, []int{want, want})
		}
	})
	w.SettleAll()
	w.AssertBooks(t)
}

// Members of several accounts share a transaction that sees those accounts; they share none with staff.
func TestCrowdOfSubmissions(t *testing.T) {
	t.Parallel()
	w, g := gated(t)
	w.Configure(tenancy.UpdateInput{AllowParallelClaims: ptr(true)})
	type request struct {
		by *billingtest.Person
		in payments.SubmitManualInput
	}
	crowds := map[string][]request{}
	for i := range 17 {
		inv, theirs := w.OpenInvoice("10.00"), w.OpenInvoice("10.00", func(in *invoices.CreateInput) { in.Account = w.Other.ID.String() })
		crowds["staff"] = append(crowds["staff"], request{w.Finance, w.Claim(w.OpenInvoice("10.00").ID)})
		if i%2 == 0 {
			crowds["members"] = append(crowds["members"], request{w.Member, w.Claim(inv.ID)})
		} else {
			crowds["members"] = append(crowds["members"], request{w.OtherMember, w.Claim(theirs.ID)})
		}
	}
	submit := func(r request) error { _, err := w.Payments.SubmitManual(r.by.Ctx, r.in); return err }
	open := g.shut(t)
	var all sync.WaitGroup
	var mu sync.Mutex
	var got []error
	send := func(r request) {
		all.Go(func() {
			err := submit(r)
			mu.Lock()
			defer mu.Unlock()
			got = append(got, err)
		})
	}
	// the first of each crowd is alone, so that the others must wait; then each crowd comes to the gate by itself
	scopes := map[string]int{}
	for _, crowd := range crowds {
		send(crowd[0])
		scopes[g.next(t).Accounts]++
	}
	for _, crowd := range crowds {
		for _, r := range crowd[1:] {
			send(r)
		}
	}
	for range crowds {
		accounts := strings.Split(g.next(t).Accounts, ",")
		slices.Sort(accounts)
		scopes[strings.Join(accounts, ",")]++
	}
	open()
	all.Wait()
	equal(t, "answers", codes(got), map[string]int{"done": 34})
	both := []string{w.Account.ID.String(), w.Other.ID.String()}
	slices.Sort(both)
	equal(t, "what each transaction sees", scopes, map[string]int{"": 2, w.Account.ID.String(): 1, strings.Join(both, ","): 1})

	var sets []struct {
		By    uuid.UUID
		Xmin  string
		Count int
	}
	if err := testkit.OwnerDB(t).NewRaw("SELECT submitted_by AS by, xmin::text, count(*) FROM payments WHERE tenant_id = ? GROUP BY 1, 2", w.Tenant.ID).Scan(t.Context(), &sets); err != nil {
		t.Fatal(err)
	}
	together := map[string]map[string]int{}
	for _, s := range sets {
		if together[s.Xmin] == nil {
			together[s.Xmin] = map[string]int{}
		}
		together[s.Xmin][map[uuid.UUID]string{w.Finance.ID: "staff", w.Member.ID: "member", w.OtherMember.ID: "other"}[s.By]] = s.Count
	}
	var shared []string
	for _, by := range together {
		shared = append(shared, fmt.Sprint(by))
	}
	slices.Sort(shared)
	equal(t, "who shares a transaction", shared, []string{"map[member:1]", "map[member:8 other:8]", "map[staff:16]", "map[staff:1]"})
	w.AssertBooks(t)
}

// going is a context of a person that ends when ctx does.
func going(ctx context.Context, by *billingtest.Person) context.Context {
	p, _ := auth.From(by.Ctx)
	return tenancy.Enter(ctx, p)
}

// Who goes away while his set runs takes nobody with him, and finds his answer when he comes back.
func TestWhoGoesAway(t *testing.T) {
	t.Parallel()
	w, g := gated(t)
	// leave runs 17 requests, of which every third or, early on, all of the set are cancelled while the set stands before the
	// gate, and repeats these. It expects every request but those to have an answer, and those to find theirs.
	leave := func(t *testing.T, early bool, request func(ctx context.Context, i int) (id string, replayed bool, err error)) {
		t.Helper()
		g.mu.Lock()
		g.early = early
		g.mu.Unlock()
		leaving := map[int]context.CancelFunc{}
		ctxs := make([]context.Context, 17)
		for i := range ctxs {
			ctxs[i] = t.Context()
			if i > 0 && (early || i%3 == 0) {
				ctxs[i], leaving[i] = context.WithCancel(t.Context())
			}
		}
		gone := make(chan int, 17)
		type answer struct {
			id  string
			err error
		}
		answers := behind(t, g, 17, func(i int) answer {
			id, _, err := request(ctxs[i], i)
			if leaving[i] != nil {
				gone <- i
			}
			return answer{id, err}
		}, func() {
			for _, cancel := range leaving {
				cancel()
			}
			for range len(leaving) - 1 { // one may lead the set, and stays for the others' sake
				select {
				case <-gone:
				case <-time.After(time.Minute):
					t.Fatal("who has gone away waits for the others")
				}
			}
		})
		for _, i := range slices.Sorted(maps.Keys(leaving)) {
			id, replayed, err := request(t.Context(), i)
			if err != nil || !replayed || answers[i].err == nil && answers[i].id != id {
				t.Errorf("request %d ended with %v, and repeated it ends with %v, replayed: %v", i, answers[i].err, err, replayed)
			}
		}
		for i, a := range answers {
			if leaving[i] == nil && a.err != nil {
				t.Errorf("request %d, which nobody has cancelled, ended with %v", i, a.err)
			}
		}
	}

	for when, early := range map[string]bool{"before his set has begun to ask": true, "while his set commits": false} {
		t.Run("an approver "+when, func(t *testing.T) {
			items := waiting(w, 17)
			leave(t, early, func(ctx context.Context, i int) (string, bool, error) {
				once := onceFor(t, "leaving-"+items[i].ID.String(), "payments.approve", items[i].ID, nil)
				p, err := w.Payments.Approve(going(ctx, w.Approver), payments.ApproveInput{ID: items[i].ID, Digest: items[i].Digest, Once: once})
				return p.ID, once.Replayed(), err
			})
			for _, item := range items {
				status(t, w, item.ID, payments.StatusProcessing)
			}
			decided, transactions := decidedIn(t, w, items)
			equal(t, "decisions and transactions", []int{decided, transactions}, []int{17, 2})
		})
		t.Run("a customer "+when, func(t *testing.T) {
			var claims []payments.SubmitManualInput
			for range 17 {
				claims = append(claims, w.Claim(w.OpenInvoice("10.00").ID))
			}
			leave(t, early, func(ctx context.Context, i int) (string, bool, error) {
				in := claims[i]
				in.Once = onceFor(t, "leaving-"+in.Invoice, "payments.manual", uuid.Nil, in.Reference)
				p, err := w.Payments.SubmitManual(going(ctx, w.Member), in)
				return p.ID, in.Once.Replayed(), err
			})
			for _, in := range claims {
				equal(t, "rows", paymentsOf(t, w, uuid.MustParse(in.Invoice)), 1)
			}
		})
	}
	w.SettleAll()
	w.AssertBooks(t)
}
