package payments_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/tenancy"
)

// approvers gives n different people who may approve anything.
func approvers(w *billingtest.World, n int) []*billingtest.Person {
	people := make([]*billingtest.Person, n)
	for i := range people {
		people[i] = w.Join(fmt.Sprintf("approver%02d", i), auth.RoleAdmin, nil)
	}
	return people
}

// insist approves what is there until the answer is another than that it has changed meanwhile.
func insist(w *billingtest.World, by *billingtest.Person, id uuid.UUID) error {
	for {
		err := approveBy(by)(w, id, w.Digest(id))
		if e := errs.As(err); e == nil || e.Code != payments.ErrChanged.Code {
			return err
		}
	}
}

func deciders(t *testing.T, w *billingtest.World, id uuid.UUID, verdict string) int {
	t.Helper()
	return count(t, "SELECT count(DISTINCT user_id) FROM decisions WHERE tenant_id = ? AND subject_id = ? AND verdict = ?", w.Tenant.ID, id, verdict)
}

func settleAtOnce(t *testing.T, both []*billingtest.World) {
	t.Helper()
	got := codes(atOnce(4, func(i int) error { return both[i%2].Payments.Settle(both[i%2].System) }))
	equal(t, "settlers", got, map[string]int{"done": 4})
	equal(t, "unsettled", unsettled(t, both[0]), 0)
}

func TestRaceOfTwentyApprovers(t *testing.T) { // race 4, S3-53
	t.Parallel()
	w, both := replicas(t)
	people := approvers(w, 20)
	credits := int64(0)
	settledOnce := func(t *testing.T, id uuid.UUID) {
		t.Helper()
		settleAtOnce(t, both)
		status(t, w, id, payments.StatusSucceeded)
		equal(t, "postings", len(posted(w, id)), 2)
		credits += 7
		equal(t, "credits", w.Balance(ledger.Credits(w.Account.ID)), -credits)
	}
	open := func() uuid.UUID {
		return w.Submit(w.OpenInvoice("10.00", func(in *invoices.CreateInput) { in.Lines[0].Credits = 7 }).ID).ID
	}

	t.Run("one is enough: one decides and nineteen are late", func(t *testing.T) {
		id := open()
		digest := w.Digest(id)
		got := codes(atOnce(20, func(i int) error { return approveBy(people[i])(both[i%2], id, digest) }))
		equal(t, "answers", got, map[string]int{"done": 1, "payment_not_pending": 19})
		equal(t, "deciders", deciders(t, w, id, "approve"), 1)
		settledOnce(t, id)
	})

	w.Configure(tenancy.UpdateInput{TwoApprovalThresholdMinor: ptr(int64(1))})
	t.Run("two are needed: who saw the claim without the first approval looks again", func(t *testing.T) {
		id := open()
		digest := w.Digest(id)
		got := codes(atOnce(20, func(i int) error { return approveBy(people[i])(both[i%2], id, digest) }))
		equal(t, "answers", got, map[string]int{"done": 1, "payment_changed": 19})
		status(t, w, id, payments.StatusPendingApproval)
		got = codes(atOnce(20, func(i int) error { return insist(both[i%2], people[i], id) }))
		equal(t, "decided and late", []int{got["done"], got["payment_not_pending"] + got["already_approved"]}, []int{1, 19})
		equal(t, "deciders", deciders(t, w, id, "approve"), 2)
		settledOnce(t, id)
	})
	t.Run("two are needed: two different people decide and eighteen are late", func(t *testing.T) {
		id := open()
		got := codes(atOnce(20, func(i int) error { return insist(both[i%2], people[i], id) }))
		equal(t, "answers", got, map[string]int{"done": 2, "payment_not_pending": 18})
		equal(t, "deciders", deciders(t, w, id, "approve"), 2)
		settledOnce(t, id)
	})
	t.Run("two are needed: one person with twenty windows is one", func(t *testing.T) {
		id := open()
		got := codes(atOnce(20, func(i int) error { return insist(both[i%2], people[0], id) }))
		equal(t, "answers", got, map[string]int{"done": 1, "already_approved": 19})
		status(t, w, id, payments.StatusPendingApproval)
	})
	w.AssertBooks(t)
}

func TestRaceOfOpposites(t *testing.T) { // race 5
	t.Parallel()
	w, both := replicas(t)
	people := approvers(w, 20)
	deadlocks := deadlocksSoFar(t)

	for _, needed := range []int{1, 2} {
		w.Configure(tenancy.UpdateInput{TwoApprovalThresholdMinor: ptr(int64(needed - 1))}) // zero: one is always enough
		t.Run(fmt.Sprintf("ten approve and ten reject where %d must approve", needed), func(t *testing.T) {
			for range 4 {
				inv := w.OpenInvoice("10.00")
				id := w.Submit(inv.ID).ID
				got := codes(atOnce(20, func(i int) error {
					if i%4 < 2 {
						return insist(both[i%2], people[i], id)
					}
					return rejectUntil(both[i%2], people[i], id)
				}))
				approved, rejected := deciders(t, w, id, "approve"), deciders(t, w, id, "reject")
				equal(t, "answers", got, map[string]int{"done": approved + rejected, "payment_not_pending": 20 - approved - rejected})
				switch p := w.Payment(id); p.Status {
				case payments.StatusProcessing:
					equal(t, "verdicts", []int{approved, rejected}, []int{needed, 0})
					equal(t, "claims", w.Invoice(inv.ID).PendingClaims, 1)
				case payments.StatusFailed:
					equal(t, "rejected", rejected, 1)
					if approved >= needed {
						t.Errorf("%d have approved, and the claim was rejected", approved)
					}
					equal(t, "claims", w.Invoice(inv.ID).PendingClaims, 0)
				default:
					t.Errorf("the payment is %s", p.Status)
				}
			}
		})
	}
	w.Configure(tenancy.UpdateInput{TwoApprovalThresholdMinor: ptr(int64(0))})
	t.Run("twenty approve and the customer withdraws", func(t *testing.T) {
		for round := range 4 {
			inv := w.OpenInvoice("10.00")
			id := w.Submit(inv.ID).ID
			digest := w.Digest(id)
			got := codes(atOnce(40, func(i int) error {
				if i%2 == round%2 {
					return withdraw(both[i/2%2], id, "")
				}
				return approveBy(people[i/2])(both[i/2%2], id, digest)
			}))
			equal(t, "answers", got, map[string]int{"done": 1, "payment_not_pending": 39})
			want := map[payments.Status][]int{payments.StatusProcessing: {1, 1}, payments.StatusCancelled: {0, 0}}[w.Payment(id).Status]
			equal(t, "verdicts and claims", []int{deciders(t, w, id, "approve"), w.Invoice(inv.ID).PendingClaims}, want)
		}
	})
	settleAtOnce(t, both)
	equal(t, "deadlocks", deadlocksSoFar(t), deadlocks)
	w.AssertBooks(t)
}

func rejectUntil(w *billingtest.World, by *billingtest.Person, id uuid.UUID) error {
	for {
		err := rejectBy(by)(w, id, w.Digest(id))
		if e := errs.As(err); e == nil || e.Code != payments.ErrChanged.Code {
			return err
		}
	}
}

// Five people approve the same payments at once, each in an order of his own; some share an invoice.
func TestRaceOfBulkApprovals(t *testing.T) {
	t.Parallel()
	w, both := replicas(t)
	w.Configure(tenancy.UpdateInput{AllowParallelClaims: ptr(true)})
	people := approvers(w, 5)
	deadlocks := deadlocksSoFar(t)
	claims := func() []payments.BulkItem {
		var items []payments.BulkItem
		for range 4 {
			inv := w.OpenInvoice("10.00")
			var ids []uuid.UUID
			for range 4 {
				ids = append(ids, w.Submit(inv.ID).ID)
			}
			for _, id := range ids { // once all are there: they count each other
				items = append(items, payments.BulkItem{ID: id, Digest: w.Digest(id)})
			}
		}
		return items
	}
	orders := func(items []payments.BulkItem, i int) []payments.BulkItem {
		mine := slices.Concat(items[3*i:], items[:3*i])
		if i%2 == 1 {
			slices.Reverse(mine)
		}
		return mine
	}

	t.Run("each payment is decided once", func(t *testing.T) {
		items := claims()
		byPayment := map[uuid.UUID]map[string]int{}
		for _, outcomes := range atOnce(5, func(i int) []payments.BulkOutcome {
			return both[i%2].Payments.BulkApprove(people[i].Ctx, orders(items, i), "round")
		}) {
			for _, o := range outcomes {
				if byPayment[o.ID] == nil {
					byPayment[o.ID] = map[string]int{}
				}
				for code, n := range codes([]error{o.Err}) {
					byPayment[o.ID][code] += n
				}
			}
		}
		for _, item := range items {
			equal(t, "answers", byPayment[item.ID], map[string]int{"done": 1, "payment_not_pending": 4})
			equal(t, "deciders", deciders(t, w, item.ID, "approve"), 1)
		}
		settleAtOnce(t, both)
	})
	t.Run("nobody waits in a circle with settlers, customers and refusals", func(t *testing.T) {
		items := claims()
		atOnce(12, func(i int) error {
			if i < 5 {
				both[i%2].Payments.BulkApprove(people[i].Ctx, orders(items, i), "round")
				return nil
			}
			for n, item := range orders(items, i%5) {
				switch i % 3 {
				case 0:
					if err := both[i%2].Payments.Settle(w.System); err != nil {
						t.Error(err)
					}
				case 1:
					if n%3 == 0 {
						_ = withdraw(both[i%2], item.ID, "") // whoever is late is refused
					}
				case 2:
					if n%3 == 1 {
						_ = rejectBy(w.Approver)(both[i%2], item.ID, item.Digest)
					}
				}
			}
			return nil
		})
		for _, item := range items {
			if approved, rejected := deciders(t, w, item.ID, "approve"), deciders(t, w, item.ID, "reject"); approved+rejected > 1 {
				t.Errorf("%d approved and %d rejected one claim", approved, rejected)
			}
		}
		settleAtOnce(t, both)
	})
	equal(t, "deadlocks", deadlocksSoFar(t), deadlocks)
	w.AssertBooks(t)
}

func TestRaceOfAmounts(t *testing.T) { // races 3 and 6
	t.Parallel()
	w, both := replicas(t)
	people := approvers(w, 20)
	claim := func(inv uuid.UUID, i int, reference string) error {
		in := w.Claim(inv, func(in *payments.SubmitManualInput) {
			in.Amount = func(c money.Currency) (*money.Money, error) { m := money.New(int64(100+i), c); return &m, nil }
			if reference != "" {
				in.Reference = reference
			}
		})
		_, err := both[i%2].Payments.SubmitManual(w.Member.Ctx, in)
		return err
	}
	late := map[string]int{"done": 1, "payment_pending": 19}

	t.Run("twenty different amounts make one row", func(t *testing.T) {
		inv := w.OpenInvoice("10.00")
		equal(t, "answers", codes(atOnce(20, func(i int) error { return claim(inv.ID, i, "") })), late)
		equal(t, "rows", paymentsOf(t, w, inv.ID), 1)
	})
	w.Configure(tenancy.UpdateInput{AllowParallelClaims: ptr(true)})
	t.Run("also where claims may be parallel, under one reference", func(t *testing.T) {
		inv, reference := w.OpenInvoice("10.00"), w.Reference()
		equal(t, "answers", codes(atOnce(20, func(i int) error { return claim(inv.ID, i, reference) })), late)
		equal(t, "rows", paymentsOf(t, w, inv.ID), 1)
	})
	t.Run("twenty parallel claims are approved by twenty and settled up to the total", func(t *testing.T) {
		inv := w.OpenInvoice("10.00")
		equal(t, "answers", codes(atOnce(20, func(i int) error { return claim(inv.ID, i, "") })), map[string]int{"done": 20})
		equal(t, "claims", w.Invoice(inv.ID).PendingClaims, 20)
		var ids []uuid.UUID
		for _, p := range w.As(w.Viewer).Get(base + "/invoices/" + inv.ID.String() + "/payments/?page_size=50").List("results") {
			ids = append(ids, uuid.MustParse(p.(map[string]any)["id"].(string)))
		}
		equal(t, "listed", len(ids), 20)
		equal(t, "answers", codes(atOnce(20, func(i int) error { return insist(both[i%2], people[i], ids[i]) })), map[string]int{"done": 20})
		settleAtOnce(t, both)
		after := w.Invoice(inv.ID)
		equal(t, "paid, owed and claims", []int64{after.PaidMinor, after.BalanceMinor, int64(after.PendingClaims)}, []int64{1000, 0, 0})
		equal(t, "credit", w.Balance(ledger.CustomerCredit(w.Account.ID, "USD")), -int64(20*100+190-1000))
	})
	w.AssertBooks(t)
}
