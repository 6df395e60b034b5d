package payments_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"countersign/billing/billingtest"
	"countersign/billing/payments"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// twinStates are the statuses, versions and deciders of payments, in their order.
func twinStates(t *rapid.T, tb testing.TB, w *billingtest.World, ids []uuid.UUID) []string {
	var states []string
	for _, id := range ids {
		var state string
		err := testkit.OwnerDB(tb).NewRaw(`SELECT p.status || ' ' || p.version || ' ' || coalesce(p.received_minor, 0) || coalesce((
			SELECT string_agg(d.user_label || ' ' || d.note, ', ' ORDER BY d.user_label) FROM decisions d WHERE d.tenant_id = p.tenant_id AND d.subject_id = p.id), '')
			|| (SELECT string_agg(e.type || ' ' || e.actor, ', ' ORDER BY e.type, e.actor) FROM events e WHERE e.tenant_id = p.tenant_id AND e.object_id = p.id AND e.type <> 'payment.anomaly')
			FROM payments p WHERE p.tenant_id = ? AND p.id = ?`, w.Tenant.ID, id).Scan(tb.Context(), &state)
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, state)
	}
	return states
}

// Whatever is in a set: it ends as when its verdicts are given one after the other, and those that come back alone after
// all others.
func TestSetsAreTwinsOfSequences(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	w.Configure(tenancy.UpdateInput{TwoApprovalThresholdMinor: ptr(int64(10000))}) // every third claim is above it
	people := []*billingtest.Person{w.Approver, w.Second, w.Finance, w.Viewer}
	left, keys := walks()/2, 0
	rapid.Check(t, func(rt *rapid.T) {
		if left == 0 {
			return
		}
		keys++
		var twins [2][]uuid.UUID
		for i := range 4 {
			by := w.Member
			if i == 3 {
				by = w.Finance // who may decide the others
			}
			for n := range twins {
				made, err := w.Payments.SubmitManual(by.Ctx, w.Claim(w.OpenInvoice([]string{"10.00", "500.00", "20.00", "30.00"}[i]).ID))
				if err != nil {
					rt.Fatal(err)
				}
				twins[n] = append(twins[n], uuid.MustParse(made.ID))
			}
		}
		for round := range 3 {
			type word struct {
				payment, by, key int
				digest, note     string
			}
			words := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) word {
				return word{rapid.IntRange(0, 3).Draw(t, "payment"), rapid.SampledFrom([]int{0, 0, 1, 1, 2, 3}).Draw(t, "by"), rapid.IntRange(0, 5).Draw(t, "key"),
					rapid.SampledFrom([]string{"right", "right", "right", "right", "another's"}).Draw(t, "digest"), rapid.SampledFrom([]string{"", "", "seen"}).Draw(t, "note")}
			}), 1, 8).Draw(rt, fmt.Sprint("set ", round))

			var lists [2][]payments.Approval
			for n, ids := range twins {
				for _, v := range words {
					seen := ids[v.payment]
					if v.digest != "right" {
						seen = ids[(v.payment+1)%len(ids)]
					}
					in := payments.ApproveInput{ID: ids[v.payment], Digest: w.Digest(seen), Note: v.note}
					if v.key < 3 {
						in.Once = onceFor(t, fmt.Sprintf("twin-%d-%d-%d", keys, n, v.key), "payments.approve", in.ID, v.note) // the rest have none
					}
					lists[n] = append(lists[n], payments.Approval{By: people[v.by].Ctx, In: in})
				}
			}
			ends := [2][]string{make([]string, len(words)), make([]string, len(words))}
			alone := func(n, i int) {
				r := lists[n][i]
				p, err := w.Payments.Approve(r.By, r.In)
				ends[n][i] = fmt.Sprint(ending(err), p.Status, len(p.Approvals), r.In.Once != nil && r.In.Once.Replayed())
			}
			var first, last []int
			for i, o := range w.Payments.DecideTogether(t, lists[0]...) {
				if o.Alone {
					last = append(last, i)
					continue
				}
				first = append(first, i)
				ends[0][i] = fmt.Sprint(ending(o.Err), o.Answer.Status, len(o.Answer.Approvals), lists[0][i].In.Once != nil && lists[0][i].In.Once.Replayed())
			}
			for _, i := range last {
				alone(0, i)
			}
			for _, i := range append(first, last...) {
				alone(1, i)
			}
			if diff := cmp.Diff(ends[1], ends[0]); diff != "" {
				rt.Fatalf("the set ends otherwise (-one after the other +together):\n%s", diff)
			}
			if diff := cmp.Diff(twinStates(rt, t, w, twins[1]), twinStates(rt, t, w, twins[0])); diff != "" {
				rt.Fatalf("the payments are otherwise (-one after the other +together):\n%s", diff)
			}
		}
		left-- // not when it fails, because rapid then tries the same again
	})
	w.AssertBooks(t)
}
