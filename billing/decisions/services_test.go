package decisions_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/decisions"
	"countersign/internal/database"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

const path = billingtest.Base + "/billing/approval-policies/"

type object = map[string]any

func rules(list ...object) object { return object{"rules": append([]object{}, list...)} }

func TestLadder(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	owner := w.As(w.Owner)
	empty := owner.Get(path).Expect(http.StatusOK)
	if len(empty.List("data.rules")) != 0 {
		t.Errorf("a new tenant has rules: %s", empty.Raw)
	}
	saved := owner.Put(path, rules(
		object{"rank": 20, "approvals": 2, "currency": "usd", "from_amount": "100.00", "to_amount": "1000"},
		object{"rank": 10, "approvals": 1, "payment_method": "local_wallet", "requires_evidence": true, "signal": "same_receipt", "permission": "tenant.manage"},
		object{"rank": 30, "approvals": 1},
	)).Expect(http.StatusOK)
	if n := len(saved.List("data.rules")); n != 3 {
		t.Errorf("%d rules were saved", n)
	}

	t.Run("is read by rank", func(t *testing.T) {
		a := w.As(w.Viewer).Get(path).Expect(http.StatusOK)
		for at, want := range map[string]any{"data.rules.0.payment_method": "local_wallet", "data.rules.0.permission": "tenant.manage", "data.rules.0.signal": "same_receipt",
			"data.rules.0.currency": nil, "data.rules.1.from_amount": "100.00", "data.rules.1.to_amount": "1000.00", "data.rules.1.currency": "USD",
			"data.rules.1.permission": "billing.approve", "data.rules.2.payment_method": nil, "data.rules.2.from_amount": nil} {
			if got := a.At(at); got != want {
				t.Errorf("%s is %v, want %v", at, got, want)
			}
		}
	})
	t.Run("is replaced as a whole, with event and audit record", func(t *testing.T) {
		events, audited := len(w.Events()), len(w.Audited())
		owner.Put(path, rules(object{"rank": 1, "approvals": 2})).Expect(http.StatusOK)
		if n := len(owner.Get(path).List("data.rules")); n != 1 {
			t.Errorf("%d rules are left", n)
		}
		if diff := cmp.Diff([]string{"approval_policies.replaced"}, w.Events()[events:]); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"approval_policies.replace"}, w.Audited("approval_policies")[1:]); diff != "" || len(w.Audited()) != audited+1 {
			t.Error(diff)
		}
	})
	t.Run("is kept when the new one is refused", func(t *testing.T) {
		before := owner.Get(path)
		for name, c := range map[string]struct {
			body   any
			status int
			code   string
			field  string
		}{
			"two of one rank":                   {rules(object{"rank": 1, "approvals": 1}, object{"rank": 1, "approvals": 2}), 409, "policy_rank_taken", ""},
			"no approval at all":                {rules(object{"rank": 1, "approvals": 0}), 400, "validation_failed", "rules.0.approvals"},
			"three approvals":                   {rules(object{"rank": 1, "approvals": 3}), 400, "validation_failed", "rules.0.approvals"},
			"a method nobody has":               {rules(object{"rank": 1, "approvals": 1, "payment_method": "gold"}), 400, "validation_failed", "rules.0.payment_method"},
			"a currency nobody has":             {rules(object{"rank": 1, "approvals": 1, "currency": "XXZ"}), 400, "validation_failed", "rules.0.currency"},
			"a band without a currency":         {rules(object{"rank": 1, "approvals": 1, "from_amount": "1"}), 400, "validation_failed", "rules.0.from_amount"},
			"a band that ends before it begins": {rules(object{"rank": 1, "approvals": 1, "currency": "USD", "from_amount": "2", "to_amount": "1"}), 400, "validation_failed", "rules.0.to_amount"},
			"a band below zero":                 {rules(object{"rank": 1, "approvals": 1, "currency": "USD", "from_amount": "-2"}), 400, "validation_failed", "rules.0.from_amount"},
			"a permission nobody has":           {rules(object{"rank": 1, "approvals": 1, "permission": "billing.everything"}), 400, "validation_failed", "rules.0.permission"},
			"a receipt for cash":                {rules(object{"rank": 1, "approvals": 1, "payment_method": "cash", "requires_evidence": true}), 400, "validation_failed", "rules.0.requires_evidence"},
			"a signal of cash":                  {rules(object{"rank": 1, "approvals": 2}, object{"rank": 2, "approvals": 2, "payment_method": "cash", "signal": "no_evidence"}), 400, "validation_failed", "rules.1.signal"},
			"more digits than dollars have":     {rules(object{"rank": 1, "approvals": 1, "currency": "USD", "to_amount": "1.001"}), 400, "validation_failed", "rules.0.to_amount"},
		} {
			a := owner.Put(path, c.body)
			if a.Status != c.status || a.Body["code"] != c.code {
				t.Errorf("%s: the answer is %s", name, a.Raw)
				continue
			}
			if _, found := a.At("errors").(object)[c.field]; c.field != "" && !found {
				t.Errorf("%s: no word about %s: %s", name, c.field, a.Raw)
			}
		}
		if diff := cmp.Diff(before.At("data"), owner.Get(path).At("data")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("is nobody else's", func(t *testing.T) {
		w.As(w.Finance).Put(path, rules()).Refused(http.StatusForbidden, "permission_denied")
		w.As(w.Member).Get(path).Refused(http.StatusForbidden, "staff_only")
		w.Anonymous().Get(path).Refused(http.StatusUnauthorized, "authentication_required")
		neighbour := billingtest.New(t)
		if n := len(neighbour.As(neighbour.Owner).Get(path).List("data.rules")); n != 0 {
			t.Errorf("a neighbour reads %d rules", n)
		}
		neighbour.As(neighbour.Owner).Put(path, rules()).Expect(http.StatusOK)
		if n := len(owner.Get(path).List("data.rules")); n != 1 {
			t.Errorf("a neighbour's change left %d rules", n)
		}
	})
	t.Run("can be emptied", func(t *testing.T) {
		owner.Put(path, rules()).Expect(http.StatusOK)
		if n := len(owner.Get(path).List("data.rules")); n != 0 {
			t.Errorf("%d rules are left", n)
		}
	})
}

func TestRecord(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	subject := uuid.New()
	record := func(by context.Context, verdict decisions.Verdict, note string) error {
		return tenancy.InTx(by, w.DB, func(ctx context.Context, tx bun.Tx) error {
			d := &decisions.Decision{SubjectType: decisions.SubjectPayment, SubjectID: subject, Verdict: verdict, Digest: make([]byte, 32), Note: note, Required: 1, CreatedAt: time.Now()}
			return decisions.Record(ctx, tx, d)
		})
	}
	if err := record(w.System, decisions.Approve, ""); err == nil {
		t.Error("a program decided")
	}
	if err := record(w.Approver.Ctx, decisions.Reject, ""); err == nil {
		t.Error("a rejection without a reason was stored")
	}
	if err := record(w.Approver.Ctx, decisions.Approve, "first"); err != nil {
		t.Fatal(err)
	}
	for _, verdict := range []decisions.Verdict{decisions.Approve, decisions.Reject} {
		if err := record(w.Approver.Ctx, verdict, "again"); !database.IsUnique(err, "decisions_person_key") {
			t.Errorf("a second %s of one person: %v", verdict, err)
		}
	}
	if err := record(w.Second.Ctx, decisions.Approve, "second"); err != nil {
		t.Fatal(err)
	}
	var list []decisions.Decision
	w.Read(func(ctx context.Context, _ bun.Tx) error {
		return database.Send(ctx, decisions.SelectOf(ctx, &list, decisions.SubjectPayment, subject, uuid.New()))
	})
	if len(list) != 2 || list[0].Note != "first" || list[1].UserLabel != w.Second.Email {
		t.Errorf("the decisions are %+v", list)
	}

	t.Run("stays as it was made, for every role", func(t *testing.T) {
		for _, statement := range []string{"UPDATE decisions SET verdict = 'reject' WHERE tenant_id = ?", "DELETE FROM decisions WHERE tenant_id = ?"} {
			if _, err := testkit.OwnerDB(t).NewRaw(statement, w.Tenant.ID).Exec(t.Context()); err == nil {
				t.Errorf("%s was taken", statement)
			}
		}
	})
}
