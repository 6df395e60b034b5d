package payments_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"

	"countersign/accounts"
	"countersign/billing/billingtest"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// puppet is somebody whose password w.Owner has set, and who is signed in.
type puppet struct {
	*testkit.Client
	t  *testing.T
	w  *billingtest.World
	id string
}

func newPuppet(t *testing.T, w *billingtest.World, role string) puppet {
	t.Helper()
	email, secret := uuid.NewString()+"@people.test", "correct horse battery"
	made := w.As(w.Owner).Post(billingtest.Base+"/users/", body("email", email, "name", "Puppet", "password", secret, "role", role)).Expect(http.StatusCreated)
	token := w.Anonymous().Post(billingtest.Base+"/auth/token/", body("email", email, "password", secret)).Expect(http.StatusOK).Text("data.access_token")
	return puppet{w.Anonymous().As(token), t, w, made.Text("data.id")}
}

// becomesCustomer hides him behind an account: customers' passwords are the business's matter.
func (p puppet) becomesCustomer(a *accounts.Account) {
	p.t.Helper()
	p.w.As(p.w.Owner).Patch(billingtest.Base+"/users/"+p.id+"/", body("role", auth.RoleMember, "account_id", a.ID.String())).Expect(http.StatusOK)
}

// TestPuppetsWhoBecomeCustomers: whose password somebody has set is no second person beside him, whatever he is made after he
// has asked or decided. Only who claims a payment for the account that he belongs to is a customer.
func TestPuppetsWhoBecomeCustomers(t *testing.T) {
	t.Parallel()
	t.Run("of a refund", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		twoRefund(w, 5000)
		p := w.Pay(w.OpenInvoice("100.00").ID)
		b := newPuppet(t, w, auth.RoleFinance)
		asked := b.With("Idempotency-Key", uuid.NewString()).Post(one(p.ID, "refund/"), body("reason", "other", "payout_reference", "A")).Expect(http.StatusCreated)
		equal(t, "status", asked.Text("data.status"), "pending_approval")
		b.becomesCustomer(w.Account)
		w.Owner.Token()
		w.Viewer.Token()
		before, id := w.Snapshot(), idOf(asked)
		decide := func(by *billingtest.Person, verdict string, pairs ...any) testkit.Answer {
			digest := w.As(w.Viewer).Get(refundPath(id, "")).Expect(http.StatusOK).Text("data.digest")
			return w.As(by).Post(refundPath(id, verdict), body(append(pairs, "digest", digest)...))
		}
		decide(w.Owner, "approve/").Refused(http.StatusForbidden, "password_reset_between_refunders")
		decide(w.Owner, "reject/", "reason", "x").Refused(http.StatusForbidden, "password_reset_between_refunders")
		unchanged(t, w, before)
		equal(t, "another's word", decide(w.Approver, "approve/").Expect(http.StatusOK).Text("data.status"), "succeeded")
		reverseRefund(w, w.Owner, id).Refused(http.StatusForbidden, "password_reset_between_refunders")
	})
	t.Run("of a claim for another's account", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		b := newPuppet(t, w, auth.RoleCashier)
		in := body("invoice_id", w.OpenInvoice("10.00").ID.String(), "payment_method", "bank_transfer", "transaction_reference", w.Reference())
		id := uuid.MustParse(b.Post(list+"manual/", in).Expect(http.StatusCreated).Text("data.id"))
		b.becomesCustomer(w.Other)
		w.As(w.Owner).Post(one(id, "approve/"), body("digest", w.Digest(id))).Refused(http.StatusForbidden, "password_reset_among_deciders")
		w.As(w.Approver).Post(one(id, "approve/"), body("digest", w.Digest(id))).Expect(http.StatusOK)
	})
	t.Run("after he has decided", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		w.Configure(tenancy.UpdateInput{TwoApprovalThresholdMinor: ptr(int64(1))})
		b := newPuppet(t, w, auth.RoleAdmin)
		id := w.Submit(w.OpenInvoice("10.00").ID).ID
		b.Post(one(id, "approve/"), body("digest", w.Digest(id))).Expect(http.StatusOK)
		b.becomesCustomer(w.Account)
		w.As(w.Owner).Post(one(id, "approve/"), body("digest", w.Digest(id))).Refused(http.StatusForbidden, "password_reset_among_deciders")
	})
}

// TestWhoCompletesCash: cash that one person may not take alone is completed by a second one: not by who could sign in as the one
// who took it, and not by who has lost the right meanwhile.
func TestWhoCompletesCash(t *testing.T) {
	t.Parallel()
	complete := func(by *testkit.Client, id uuid.UUID) testkit.Answer { return by.Post(one(id, "complete/"), "") }
	take := func(w *billingtest.World, by *testkit.Client, amount string) uuid.UUID {
		a := by.Post(list, cash(w, "amount", amount)).Expect(http.StatusCreated)
		equal(t, "status", a.Text("data.status"), "pending")
		return idOf(a)
	}
	above := func(t *testing.T) *billingtest.World {
		w := billingtest.New(t)
		w.Configure(tenancy.UpdateInput{TwoApprovalThresholdMinor: ptr(int64(999))})
		return w
	}
	t.Run("not who has set the password of who took it", func(t *testing.T) {
		t.Parallel()
		w := above(t)
		till := newPuppet(t, w, auth.RoleCashier)
		id := take(w, till.Client, "5000.00")
		before := w.Snapshot()
		complete(w.As(w.Owner), id).Refused(http.StatusForbidden, "password_reset_among_deciders")
		unchanged(t, w, before)
		till.becomesCustomer(w.Account)
		complete(w.As(w.Owner), id).Refused(http.StatusForbidden, "password_reset_among_deciders")
		complete(w.As(w.Approver), id).Expect(http.StatusOK)
		for _, e := range w.As(w.Viewer).Get(one(id, "events/")).List("data.events")[2:] {
			equal(t, "who has completed it", e.(map[string]any)["actor"], any(w.Approver.Email))
		}
		w.AssertBooks(t)
	})
	t.Run("but for an amount that he could take alone, whoever may approve", func(t *testing.T) {
		t.Parallel()
		w := above(t)
		complete(w.As(w.Owner), take(w, newPuppet(t, w, auth.RoleCashier).Client, "9.99")).Expect(http.StatusOK)
		w.AssertBooks(t)
	})
	t.Run("nor whose password was set by who took it", func(t *testing.T) {
		t.Parallel()
		w := above(t)
		id := take(w, w.As(w.Owner), "5000.00")
		for _, role := range []string{auth.RoleAdmin, auth.RoleFinance} {
			complete(newPuppet(t, w, role).Client, id).Refused(http.StatusForbidden, "password_reset_among_deciders")
		}
		first, second := newPuppet(t, w, auth.RoleCashier), newPuppet(t, w, auth.RoleFinance)
		complete(second.Client, take(w, first.Client, "5000.00")).Refused(http.StatusForbidden, "password_reset_among_deciders")
		status(t, w, id, payments.StatusPending)
		complete(w.As(w.Finance), id).Expect(http.StatusOK)
	})
	t.Run("nor who was dismissed, or is something else, since his request began", func(t *testing.T) {
		t.Parallel()
		w := above(t)
		large, small := take(w, w.As(w.Owner), "5000.00"), take(w, w.As(w.Join("till", auth.RoleCashier, nil)), "9.99")
		for name, change := range map[string]map[string]any{"gone": body("is_active", false), "moved": body("role", auth.RoleViewer)} {
			approver, cashier := w.Join(name, auth.RoleAdmin, nil), w.Join(name+"cashier", auth.RoleCashier, nil)
			for _, p := range []*billingtest.Person{approver, cashier} {
				w.As(w.Owner).Patch(billingtest.Base+"/users/"+p.ID.String()+"/", change).Expect(http.StatusOK)
				for _, id := range []uuid.UUID{large, small} {
					_, err := w.Payments.Complete(p.Ctx, payments.StepInput{ID: id})
					refusal(t, err, auth.ErrForbidden)
				}
			}
		}
		complete(w.As(w.Join("drawer", auth.RoleCashier, nil)), small).Expect(http.StatusOK)
		w.AssertBooks(t)
	})
}
