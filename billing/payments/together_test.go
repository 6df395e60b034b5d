package payments_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// marked is a person's context in a request of its own, which the audit log and the events name.
func marked(by *billingtest.Person, request string) context.Context {
	return auth.WithRequest(by.Ctx, auth.Request{ID: "set: " + request, IP: "192.0.2.1", UserAgent: "a browser"})
}

// onceFor is what a request with an idempotency key wishes.
func onceFor(t testing.TB, key, scope string, target uuid.UUID, body any) *idempotency.Once {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	once, err := idempotency.FromRequest(r, scope, target, body)
	if err != nil {
		t.Fatal(err)
	}
	return once
}

// ending is how a request ended: nothing, or the code of its refusal.
func ending(err error) string {
	switch e := errs.As(err); {
	case err == nil:
		return ""
	case e != nil:
		return e.Code
	default:
		return err.Error()
	}
}

// asJSON is an answer as it would be sent.
func asJSON(t testing.TB, answer any) any {
	t.Helper()
	raw, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// marks gives what the audit log and the events say of marked requests.
func marks(t testing.TB, w *billingtest.World) []string {
	t.Helper()
	list := []string{}
	err := testkit.OwnerDB(t).NewRaw(`
		SELECT request_id || ' | audit ' || action || ' | ' || object_id || ' | ' || account_id || ' | ' || actor_label || ' ' || actor_id || ' ' || ip || ' ' || user_agent
		FROM audit_log WHERE tenant_id = ?0 AND request_id LIKE 'set: %'
		UNION ALL
		SELECT request_id || ' | ' || n.name || ' | ' || object_id || ' | ' || account_id || ' | ' || actor
		FROM events, LATERAL (VALUES (type), (also)) AS n(name) WHERE tenant_id = ?0 AND n.name <> '' AND request_id LIKE 'set: %'`, w.Tenant.ID).Scan(t.Context(), &list)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// mark is one line of marks.
func mark(request, what string, id, account uuid.UUID, by *billingtest.Person) string {
	line := "set: " + request + " | " + what + " | " + id.String() + " | " + account.String() + " | " + by.Email
	if len(what) > 6 && what[:6] == "audit " {
		line += " " + by.ID.String() + " 192.0.2.1 a browser"
	}
	return line
}

// locks holds a row as another process would, until the given function is called or the test ends.
func locks(t testing.TB, query string, args ...any) func() {
	t.Helper()
	tx, err := testkit.OwnerDB(t).BeginTx(context.WithoutCancel(t.Context()), nil)
	if err != nil {
		t.Fatal(err)
	}
	release := func() { tx.Rollback() }
	t.Cleanup(release)
	if _, err := tx.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
	return release
}

// inSet is one approval of a set, and what becomes of it.
type inSet struct {
	name   string
	by     *billingtest.Person
	id     uuid.UUID
	digest string
	key    string
	change func(*payments.ApproveInput)
	want   string // how it ends, in the set or alone
	alone  bool
	again  bool // it is refused only because of another one in the set
}

func (v inSet) approval(t testing.TB) payments.Approval {
	t.Helper()
	in := payments.ApproveInput{ID: v.id, Digest: v.digest, Note: v.name, Once: onceFor(t, v.key, "payments.approve", v.id, v.digest)}
	if v.change != nil {
		v.change(&in)
	}
	return payments.Approval{By: marked(v.by, v.name), In: in}
}

// Everybody gets from a set what he would get alone.
func TestApprovalsTogether(t *testing.T) {
	t.Parallel()
	w, stranger := billingtest.New(t), billingtest.New(t)
	w.Configure(tenancy.UpdateInput{TwoApprovalThresholdMinor: ptr(int64(10000))})
	open := func(w *billingtest.World, amount string) (uuid.UUID, string) {
		id := w.Submit(w.OpenInvoice(amount).ID).ID
		return id, w.Digest(id)
	}
	of := func(name string, by *billingtest.Person, want string) inSet {
		id, digest := open(w, "10.00")
		return inSet{name: name, by: by, id: id, digest: digest, want: want}
	}
	gone, demoted := w.Join("gone", auth.RoleAdmin, nil), w.Join("demoted", auth.RoleAdmin, nil)
	force(t, "UPDATE memberships SET is_active = false WHERE tenant_id = ? AND user_id = ?", w.Tenant.ID, gone.ID)
	force(t, "UPDATE memberships SET role = 'viewer' WHERE tenant_id = ? AND user_id = ?", w.Tenant.ID, demoted.ID)

	good := of("good", w.Approver, "")
	keyed := of("with a key", w.Finance, "")
	keyed.key = "twice"
	halfID, halfDigest := open(w, "500.00")
	half := inSet{name: "the first of two", by: w.Second, id: halfID, digest: halfDigest}
	stale := of("stale", w.Approver, "payment_changed")
	w.As(w.Member).Patch(one(stale.id, ""), body("notes", "drift")).Expect(http.StatusOK)
	made, err := w.Payments.SubmitManual(w.Owner.Ctx, w.Claim(w.OpenInvoice("10.00").ID))
	if err != nil {
		t.Fatal(err)
	}
	own := inSet{name: "his own", by: w.Owner, id: uuid.MustParse(made.ID), want: "submitter_cannot_decide"}
	own.digest = w.Digest(own.id)
	twiceID, _ := open(w, "500.00")
	w.Approve(twiceID, w.Approver)
	twice := inSet{name: "who has approved already", by: w.Approver, id: twiceID, digest: w.Digest(twiceID), want: "already_approved"}
	late := of("late", w.Second, "payment_not_pending")
	w.Approve(late.id, w.Approver)
	nothing := of("nothing received", w.Second, "amount_not_positive")
	nothing.change = func(in *payments.ApproveInput) {
		in.Received = func(c money.Currency) (*money.Money, error) { m := money.New(0, c); return &m, nil }
	}
	unknown := inSet{name: "unknown", by: w.Approver, id: uuid.New(), digest: good.digest, want: "not_found", alone: true}
	theirs := inSet{name: "another tenant's", by: w.Approver, want: "not_found", alone: true}
	theirs.id, theirs.digest = open(stranger, "10.00")
	held := of("held by somebody else", w.Approver, "")
	held.alone = true
	repeated := of("repeated", w.Approver, "")
	repeated.key = "before"
	first, err := w.Payments.Approve(repeated.by.Ctx, repeated.approval(t).In)
	if err != nil {
		t.Fatal(err)
	}
	spent := of("whose key is spent", w.Approver, "")
	spent.key = "spent"
	if _, err := w.Payments.Approve(spent.by.Ctx, spent.approval(t).In); err != nil {
		t.Fatal(err)
	}
	reused := of("with the key of another request", w.Approver, "idempotency_key_reused")
	reused.key = "spent"
	same := inSet{name: "the same payment", by: w.Second, id: good.id, digest: good.digest, want: "payment_not_pending", alone: true, again: true}
	sameKey := of("another payment with the same key", w.Finance, "idempotency_key_reused")
	sameKey.key, sameKey.alone, sameKey.again = "twice", true, true
	neighbours := of("with a colleague's key", w.Second, "")
	neighbours.key = "twice"

	all := []inSet{stale, good, own, of("of a viewer", w.Viewer, "permission_denied"), of("of who is gone", gone, "permission_denied"),
		of("of who was demoted", demoted, "permission_denied"), twice, late, nothing, unknown, theirs, held, same, keyed, sameKey, neighbours, repeated, reused, half}
	done := []inSet{good, keyed, neighbours, half}
	theirState := stranger.Snapshot()
	release := locks(t, "SELECT FROM payments WHERE tenant_id = ? AND id = ? FOR UPDATE", w.Tenant.ID, held.id)

	// together gives verdicts in one set and expects what becomes of each there.
	together := func(t *testing.T, list []inSet) {
		t.Helper()
		set := make([]payments.Approval, len(list))
		for i, v := range list {
			set[i] = v.approval(t)
		}
		for i, o := range w.Payments.DecideTogether(t, set...) {
			v := list[i]
			if o.Alone != v.alone {
				t.Errorf("%s: it comes back alone: %v, %v", v.name, o.Alone, o.Err)
				continue
			}
			if !v.alone {
				equal(t, v.name, ending(o.Err), v.want)
			}
			if o.Err != nil {
				equal(t, v.name+": what is told", o.Answer, payments.Detail{})
			}
			equal(t, v.name+": replayed", set[i].In.Once.Replayed(), v.name == repeated.name)
			if v.name == repeated.name {
				equal(t, v.name, asJSON(t, o.Answer), asJSON(t, first))
			}
			if o.Err == nil && v.name != repeated.name {
				equal(t, v.name+": answer and page", asJSON(t, o.Answer), w.Detail(v.id).At("data"))
			}
		}
	}

	t.Run("who is refused leaves nothing behind", func(t *testing.T) {
		before := w.Snapshot()
		together(t, slices.DeleteFunc(slices.Clone(all), func(v inSet) bool {
			return v.again || slices.ContainsFunc(done, func(d inSet) bool { return d.name == v.name })
		}))
		unchanged(t, w, before)
	})
	t.Run("and holds back nobody", func(t *testing.T) {
		together(t, all)
		for _, v := range all {
			want := payments.StatusPendingApproval
			switch v.name {
			case "good", "the same payment", "with a key", "with a colleague's key", "late", "repeated":
				want = payments.StatusProcessing
			case "unknown", "another tenant's":
				continue
			}
			status(t, w, v.id, want)
		}
		equal(t, "transactions", count(t, "SELECT count(DISTINCT xmin::text) FROM decisions WHERE tenant_id = ? AND note IN ('good', 'with a key', 'the first of two')", w.Tenant.ID), 1)
		var want []string
		for _, v := range done {
			names := []string{"audit payment.approve", payments.EventApproved, payments.EventUpdated}
			if v.name == half.name {
				names = []string{"audit payment.approve_first", payments.EventApprovalRecorded}
			}
			for _, name := range names {
				want = append(want, mark(v.name, name, v.id, w.Account.ID, v.by))
			}
			equal(t, v.name+": decided by", count(t, "SELECT count(*) FROM decisions WHERE tenant_id = ? AND subject_id = ? AND user_id = ? AND user_label = ?", w.Tenant.ID, v.id, v.by.ID, v.by.Email), 1)
		}
		slices.Sort(want)
		equal(t, "what is told of whom", marks(t, w), want)
		equal(t, "decisions", count(t, "SELECT count(*) FROM decisions WHERE tenant_id = ?", w.Tenant.ID), len(done)+4) // and those of before
		for _, v := range []inSet{keyed, neighbours} {
			equal(t, v.name+": keys", count(t, "SELECT count(*) FROM idempotency_keys WHERE tenant_id = ? AND key = ? AND owner_id = ?", w.Tenant.ID, v.key, v.by.ID), 1)
		}
	})
	release()
	t.Run("alone everybody gets the same", func(t *testing.T) {
		for _, v := range all {
			if v.want == "" && !v.alone && v.name != repeated.name {
				continue // done
			}
			r := v.approval(t)
			_, err := w.Payments.Approve(r.By, r.In)
			equal(t, v.name, ending(err), v.want)
		}
		status(t, w, held.id, payments.StatusProcessing)
	})
	unchanged(t, stranger, theirState)
	w.SettleAll()
	w.AssertBooks(t)
}

// The ladder asks for two people also where they decide in sets.
func TestLadderInSets(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	w.Configure(tenancy.UpdateInput{TwoApprovalThresholdMinor: ptr(int64(1))})
	var ids []uuid.UUID
	for range 2 {
		ids = append(ids, w.Submit(w.OpenInvoice("10.00", func(in *invoices.CreateInput) { in.Lines[0].Credits = 7 }).ID).ID)
	}
	give := func(by *billingtest.Person, i int) payments.Approval {
		return payments.Approval{By: by.Ctx, In: payments.ApproveInput{ID: ids[i], Digest: w.Digest(ids[i])}}
	}
	// set gives verdicts in one set, and again alone those that come back, and tells how each ends.
	set := func(t *testing.T, list ...payments.Approval) []string {
		t.Helper()
		var got []string
		for i, o := range w.Payments.DecideTogether(t, list...) {
			text, err := "", o.Err
			if o.Alone {
				text = "alone "
				_, err = w.Payments.Approve(list[i].By, list[i].In)
			}
			got = append(got, text+ending(err))
		}
		return got
	}

	t.Run("one person twice is one", func(t *testing.T) {
		equal(t, "answers", set(t, give(w.Approver, 0), give(w.Approver, 0)), []string{"", "alone already_approved"})
		equal(t, "answers", set(t, give(w.Approver, 0)), []string{"already_approved"})
		status(t, w, ids[0], payments.StatusPendingApproval)
		equal(t, "deciders", deciders(t, w, ids[0], "approve"), 1)
	})
	t.Run("who saw the payment without the first approval looks again", func(t *testing.T) {
		equal(t, "answers", set(t, give(w.Approver, 1), give(w.Second, 1)), []string{"", "alone payment_changed"})
	})
	t.Run("two different people are two, each payment with its own", func(t *testing.T) {
		equal(t, "answers", set(t, give(w.Second, 0), give(w.Finance, 1), give(w.Approver, 0)), []string{"", "", "alone payment_not_pending"})
		for _, id := range ids {
			status(t, w, id, payments.StatusProcessing)
			equal(t, "deciders", deciders(t, w, id, "approve"), 2)
			equal(t, "told", count(t, "SELECT count(*) FROM events WHERE tenant_id = ? AND object_id = ? AND type = 'payment.approved'", w.Tenant.ID, id), 1)
		}
	})
	t.Run("two approvers of many payments at once are two for each", func(t *testing.T) {
		ids = ids[:0]
		for range 10 {
			ids = append(ids, w.Submit(w.OpenInvoice("10.00").ID).ID)
		}
		people := []*billingtest.Person{w.Approver, w.Second}
		got := codes(atOnce(20, func(i int) error { return insist(w, people[i%2], ids[i/2]) }))
		equal(t, "answers", got, map[string]int{"done": 20})
		for _, id := range ids {
			status(t, w, id, payments.StatusProcessing)
			equal(t, "deciders", deciders(t, w, id, "approve"), 2)
		}
	})
	w.SettleAll()
	w.AssertBooks(t)
}
