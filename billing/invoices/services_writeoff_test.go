package invoices_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/internal/database"
	"countersign/internal/testkit"
)

const writeOffs = billingtest.Base + "/billing/write-offs/"

// tolerating lets one person write so many dollars of an invoice off.
func tolerating(w *billingtest.World, amount string) {
	w.As(w.Owner).Patch(billingtest.Base+"/tenant/", body{"write_off_tolerance": amount}).Expect(http.StatusOK)
}

// ask asks for a write-off that needs a second person, as finance, and gives what that one sees.
func ask(w *billingtest.World, invoice uuid.UUID, more body) testkit.Answer {
	asked := body{"reason": "Bankrupt"}
	for k, v := range more {
		asked[k] = v
	}
	a := w.As(w.Finance).Post(routes+invoice.String()+"/write_off/", asked).Expect(http.StatusCreated)
	return w.As(w.Viewer).Get(writeOffs + a.Text("data.id") + "/").Expect(http.StatusOK)
}

func TestWriteOff(t *testing.T) {
	t.Parallel()
	t.Run("within the tolerance is one person's, and what was paid but for so little is paid", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		tolerating(w, "5.00")
		inv := w.OpenInvoice("100.00", granting(7))
		overpay(t, w, 9700)
		if _, err := w.Invoices.ApplyCredit(w.Owner.Ctx, invoices.ApplyCreditInput{Invoice: inv.ID.String()}); err != nil {
			t.Fatal(err)
		}
		finance := w.As(w.Finance)
		first := finance.Post(routes+inv.ID.String()+"/write_off/", body{"amount": "1.00", "reason": "Bank fees"}).Expect(http.StatusCreated)
		if first.Text("data.status") != "posted" || first.At("data.within_tolerance") != true || first.At("data.digest") != nil || first.Text("data.requester") != w.Finance.Email {
			t.Errorf("%s", first.Raw)
		}
		stands(t, w, inv.ID, "partially_paid: 0 paid, 0 credited, 9700 by credit, 100 written off, 200 left")
		second := finance.Post(routes+inv.ID.String()+"/write_off/", body{"reason": "Bank fees"}).Expect(http.StatusCreated)
		stands(t, w, inv.ID, "paid: 0 paid, 0 credited, 9700 by credit, 300 written off, 0 left")
		if bad, units := w.Balance(ledger.BadDebt("USD")), serviceCreditsOf(w); bad != 300 || units != 7 {
			t.Errorf("given up are %d, and there are %d service credits", bad, units)
		}
		w.AssertBooks(t)
		back := finance.Post(writeOffs+second.Text("data.id")+"/reverse/", body{"reason": "It came after all"}).Expect(http.StatusOK)
		if back.Text("data.status") != "reversed" || back.At("data.reversed_at") == nil {
			t.Errorf("%s", back.Raw)
		}
		stands(t, w, inv.ID, "partially_paid: 0 paid, 0 credited, 9700 by credit, 100 written off, 200 left")
		finance.Post(writeOffs+second.Text("data.id")+"/reverse/", body{"reason": "x"}).Refused(http.StatusConflict, "write_off_not_posted")
		w.Pay(inv.ID)
		if units := serviceCreditsOf(w); units != 7 {
			t.Errorf("%d service credits", units)
		}
		w.AssertBooks(t)
		if diff := cmp.Diff([]string{"invoice.written_off", "invoice.written_off", "invoice.write_off_reversed"}, w.Events("invoice.wri", "write_off.")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"invoice.write_off", "invoice.write_off", "invoice.write_off_reverse"}, w.Audited("invoice.write", "write_off.")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("within the tolerance of an invoice that nobody has paid makes it uncollectible and grants nothing", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		tolerating(w, "5.00")
		inv := w.OpenInvoice("5.00", granting(7))
		w.As(w.Finance).Post(routes+inv.ID.String()+"/write_off/", body{"reason": "x"}).Expect(http.StatusCreated)
		stands(t, w, inv.ID, "uncollectible: 0 paid, 0 credited, 0 by credit, 500 written off, 0 left")
		if units := serviceCreditsOf(w); units != 0 {
			t.Errorf("%d service credits", units)
		}
		w.As(w.Owner).Post(routes+inv.ID.String()+"/reopen/", body{"reason": "x"}).Refused(http.StatusConflict, "nothing_owed")
		w.As(w.Member).Post(billingtest.Base+"/billing/payments/manual/", body{"invoice_id": inv.ID.String(), "payment_method": "bank_transfer", "reference": w.Reference()}).
			Refused(http.StatusConflict, "nothing_owed")
		w.AssertBooks(t)
	})
	t.Run("above the tolerance waits for a second person", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		tolerating(w, "5.00")
		inv := w.OpenInvoice("100.00", granting(7))
		seen := ask(w, inv.ID, nil)
		id, digest := seen.Text("data.id"), seen.Text("data.digest")
		if seen.Text("data.status") != "pending" || seen.Text("data.invoice_balance_amount") != "100.00" || seen.Text("data.holder") != "First customer" || len(digest) != 64 {
			t.Errorf("%s", seen.Raw)
		}
		stands(t, w, inv.ID, "open: 0 paid, 0 credited, 0 by credit, 0 written off, 10000 left")
		approve := func(p *billingtest.Person, digest string) testkit.Answer {
			return w.As(p).Post(writeOffs+id+"/approve/", body{"digest": digest, "note": "Seen the court's letter"})
		}
		w.As(w.Second).Post(routes+inv.ID.String()+"/write_off/", body{"reason": "x"}).Refused(http.StatusConflict, "write_off_pending")
		approve(w.Finance, digest).Refused(http.StatusForbidden, "requester_cannot_decide")
		w.As(w.Finance).Post(writeOffs+id+"/reject/", body{"digest": digest, "reason": "x"}).Refused(http.StatusForbidden, "requester_cannot_decide")
		approve(w.Viewer, digest).Refused(http.StatusForbidden, "permission_denied")
		approve(w.Member, digest).Refused(http.StatusForbidden, "permission_denied")
		approve(w.Approver, "").Refused(http.StatusBadRequest, "digest_required")
		approve(w.Approver, strings.Repeat("0", 64)).Refused(http.StatusConflict, "write_off_changed")
		approve(w.Approver, "nonsense").Refused(http.StatusConflict, "write_off_changed")
		neighbour := billingtest.New(t)
		neighbour.As(neighbour.Owner).Post(writeOffs+id+"/approve/", body{"digest": digest}).Refused(http.StatusNotFound, "write_off_not_found")
		neighbour.As(neighbour.Owner).Get(writeOffs+id+"/").Refused(http.StatusNotFound, "write_off_not_found")
		w.As(w.Owner).Post(writeOffs+id+"/reverse/", body{"reason": "x"}).Refused(http.StatusConflict, "write_off_not_posted")

		done := approve(w.Approver, digest).Expect(http.StatusOK)
		if done.Text("data.status") != "posted" || done.Text("data.invoice_status") != "uncollectible" || done.At("data.digest") != nil ||
			done.Text("data.decisions.0.user") != w.Approver.Email || done.Text("data.decisions.0.note") != "Seen the court's letter" {
			t.Errorf("%s", done.Raw)
		}
		stands(t, w, inv.ID, "uncollectible: 0 paid, 0 credited, 0 by credit, 10000 written off, 0 left")
		approve(w.Second, digest).Refused(http.StatusConflict, "write_off_decided")
		w.AssertBooks(t)
		w.As(w.Finance).Post(writeOffs+id+"/reverse/", body{"reason": "He came back"}).Expect(http.StatusOK)
		stands(t, w, inv.ID, "open: 0 paid, 0 credited, 0 by credit, 0 written off, 10000 left")
		w.Pay(inv.ID)
		stands(t, w, inv.ID, "paid: 10000 paid, 0 credited, 0 by credit, 0 written off, 0 left")
		w.AssertBooks(t)
		if diff := cmp.Diff([]string{"write_off.requested", "write_off.approved", "invoice.written_off", "invoice.write_off_reversed"}, w.Events("invoice.wri", "write_off.")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"write_off.request", "write_off.approve", "invoice.write_off", "invoice.write_off_reverse"}, w.Audited("invoice.write", "write_off.")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("is refused by the second person, and asked for again", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv := w.OpenInvoice("100.00")
		seen := ask(w, inv.ID, nil)
		w.As(w.Approver).Post(writeOffs+seen.Text("data.id")+"/reject/", body{"digest": seen.Text("data.digest")}).Refused(http.StatusBadRequest, "validation_failed")
		no := w.As(w.Approver).Post(writeOffs+seen.Text("data.id")+"/reject/", body{"digest": seen.Text("data.digest"), "reason": "Ask him again"}).Expect(http.StatusOK)
		if no.Text("data.status") != "rejected" || no.Text("data.decisions.0.note") != "Ask him again" {
			t.Errorf("%s", no.Raw)
		}
		stands(t, w, inv.ID, "open: 0 paid, 0 credited, 0 by credit, 0 written off, 10000 left")
		again := ask(w, inv.ID, body{"amount": "40.00"})
		w.As(w.Approver).Post(writeOffs+again.Text("data.id")+"/approve/", body{"digest": again.Text("data.digest")}).Expect(http.StatusOK)
		stands(t, w, inv.ID, "open: 0 paid, 0 credited, 0 by credit, 4000 written off, 6000 left")
		list := w.As(w.Viewer).Get(writeOffs + "?status=rejected&invoice=" + inv.ID.String()).Expect(http.StatusOK)
		if len(list.List("results")) != 1 || list.At("results.0.id") != seen.At("data.id") {
			t.Errorf("%s", list.Raw)
		}
		w.As(w.Member).Get(writeOffs).Refused(http.StatusForbidden, "staff_only")
		w.AssertBooks(t)
	})
	t.Run("is asked about again when the invoice has changed", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		overpay(t, w, 1000)
		inv := w.OpenInvoice("100.00")
		seen := ask(w, inv.ID, nil)
		if _, err := w.Invoices.ApplyCredit(w.Owner.Ctx, invoices.ApplyCreditInput{Invoice: inv.ID.String()}); err != nil {
			t.Fatal(err)
		}
		approver, id := w.As(w.Approver), seen.Text("data.id")
		look := func() string { return approver.Get(writeOffs + id + "/").Expect(http.StatusOK).Text("data.digest") }
		approver.Post(writeOffs+id+"/approve/", body{"digest": seen.Text("data.digest")}).Refused(http.StatusConflict, "write_off_changed")
		approver.Post(writeOffs+id+"/approve/", body{"digest": look()}).Refused(http.StatusBadRequest, "amount_above_balance")
		p := w.Submit(inv.ID)
		approver.Post(writeOffs+id+"/approve/", body{"digest": look()}).Refused(http.StatusConflict, "payment_pending")
		w.As(w.Finance).Post(routes+inv.ID.String()+"/mark_uncollectible/", body{"reason": "x"}).Refused(http.StatusConflict, "payment_pending")
		w.Approve(p.ID, w.Approver)
		w.SettleAll()
		approver.Post(writeOffs+id+"/approve/", body{"digest": look()}).Refused(http.StatusConflict, "nothing_owed")
		approver.Post(writeOffs+id+"/reject/", body{"digest": look(), "reason": "Paid"}).Expect(http.StatusOK)
		w.AssertBooks(t)
	})
	t.Run("in another currency than that of the tolerance is above it", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		tolerating(w, "5.00")
		inv := w.OpenInvoice("1.00", func(in *invoices.CreateInput) { in.Currency = "EUR" })
		if seen := ask(w, inv.ID, nil); seen.Text("data.status") != "pending" {
			t.Errorf("%s", seen.Raw)
		}
	})
	t.Run("in parts does not get around the tolerance", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		tolerating(w, "5.00")
		inv := w.OpenInvoice("100.00")
		if seen := ask(w, inv.ID, body{"amount": "3.00"}); seen.Text("data.status") != "posted" {
			t.Errorf("%s", seen.Raw)
		}
		if seen := ask(w, inv.ID, body{"amount": "2.01"}); seen.Text("data.status") != "pending" {
			t.Errorf("%s", seen.Raw)
		}
	})
	t.Run("needs two people, and not one with two logins", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv := w.OpenInvoice("100.00")
		email := "u" + uuid.NewString() + "@people.test"
		w.As(w.Owner).Post(billingtest.Base+"/users/", body{"email": email, "name": "Puppet", "password": "correct horse battery", "role": "admin"}).Expect(http.StatusCreated)
		token := w.Anonymous().Post(billingtest.Base+"/auth/token/", body{"email": email, "password": "correct horse battery", "tenant": w.Tenant.Slug}).Expect(http.StatusOK).Text("data.access_token")
		asked := w.As(w.Owner).Post(routes+inv.ID.String()+"/write_off/", body{"reason": "x"}).Expect(http.StatusCreated)
		approve := func(digest string) testkit.Answer {
			return w.Anonymous().As(token).Post(writeOffs+asked.Text("data.id")+"/approve/", body{"digest": digest})
		}
		approve(asked.Text("data.digest")).Refused(http.StatusForbidden, "password_reset_among_write_off_deciders")
		w.Clock.Move(8 * 24 * time.Hour)
		token = w.Anonymous().Post(billingtest.Base+"/auth/token/", body{"email": email, "password": "correct horse battery", "tenant": w.Tenant.Slug}).Expect(http.StatusOK).Text("data.access_token")
		approve(asked.Text("data.digest")).Expect(http.StatusOK)
	})
	t.Run("nor one whose second login becomes a customer's", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv := w.OpenInvoice("100.00")
		email := "u" + uuid.NewString() + "@people.test"
		made := w.As(w.Owner).Post(billingtest.Base+"/users/", body{"email": email, "name": "Puppet", "password": "correct horse battery", "role": "finance"}).Expect(http.StatusCreated)
		token := w.Anonymous().Post(billingtest.Base+"/auth/token/", body{"email": email, "password": "correct horse battery", "tenant": w.Tenant.Slug}).Expect(http.StatusOK).Text("data.access_token")
		asked := w.Anonymous().As(token).Post(routes+inv.ID.String()+"/write_off/", body{"reason": "x"}).Expect(http.StatusCreated)
		w.As(w.Owner).Patch(billingtest.Base+"/users/"+made.Text("data.id")+"/", body{"role": "member", "account_id": w.Account.ID.String()}).Expect(http.StatusOK)
		approve := func(by *billingtest.Person) testkit.Answer {
			return w.As(by).Post(writeOffs+asked.Text("data.id")+"/approve/", body{"digest": asked.Text("data.digest")})
		}
		approve(w.Owner).Refused(http.StatusForbidden, "password_reset_among_write_off_deciders")
		stands(t, w, inv.ID, "open: 0 paid, 0 credited, 0 by credit, 0 written off, 10000 left")
		approve(w.Approver).Expect(http.StatusOK)
	})
	t.Run("happens once for each key", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		tolerating(w, "50.00")
		inv := w.OpenInvoice("100.00")
		finance := w.As(w.Finance).With("Idempotency-Key", "k")
		var ids []string
		for range 2 {
			ids = append(ids, finance.Post(routes+inv.ID.String()+"/write_off/", body{"amount": "10.00", "reason": "x"}).Expect(http.StatusCreated).Text("data.id"))
		}
		if ids[0] != ids[1] {
			t.Errorf("two keys: %v", ids)
		}
		for range 2 {
			finance.Post(writeOffs+ids[0]+"/reverse/", body{"reason": "x"}).Expect(http.StatusOK)
		}
		seen := ask(w, inv.ID, nil)
		approver := w.As(w.Approver).With("Idempotency-Key", "k")
		for range 2 {
			approver.Post(writeOffs+seen.Text("data.id")+"/approve/", body{"digest": seen.Text("data.digest")}).Expect(http.StatusOK)
		}
		stands(t, w, inv.ID, "uncollectible: 0 paid, 0 credited, 0 by credit, 10000 written off, 0 left")
		w.AssertBooks(t)
	})
}

// TestWriteOffRaces lets several people give up one invoice.
func TestWriteOffRaces(t *testing.T) {
	t.Parallel()
	t.Run("one of many is asked for", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv := w.OpenInvoice("100.00")
		people := []*billingtest.Person{w.Owner, w.Approver, w.Second, w.Finance}
		failed := together(len(people), func(i int) error {
			_, err := w.Invoices.WriteOff(people[i].Ctx, invoices.WriteOffInput{Invoice: inv.ID.String(), Reason: "x"})
			return err
		})
		if count(failed, nil) != 1 || count(failed, invoices.ErrWriteOffPending) != 3 {
			t.Errorf("%v", failed)
		}
	})
	t.Run("within the tolerance, as far as there is some", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		tolerating(w, "10.00")
		inv := w.OpenInvoice("100.00")
		failed := together(6, func(int) error {
			_, err := w.Invoices.WriteOff(w.Finance.Ctx, invoices.WriteOffInput{Invoice: inv.ID.String(), Amount: cents(300), Reason: "x"})
			return err
		})
		// three at once, one waits, and those after it are refused
		if count(failed, nil) != 4 || count(failed, invoices.ErrWriteOffPending) != 2 {
			t.Errorf("%v", failed)
		}
		stands(t, w, inv.ID, "open: 0 paid, 0 credited, 0 by credit, 900 written off, 9100 left")
		w.AssertBooks(t)
	})
	t.Run("approved against rejected", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv := w.OpenInvoice("100.00")
		seen := ask(w, inv.ID, nil)
		in := invoices.DecideInput{ID: uuid.MustParse(seen.Text("data.id")), Digest: seen.Text("data.digest"), Note: "x"}
		decide := []func(context.Context, invoices.DecideInput) (invoices.WriteOffResponse, error){w.Invoices.ApproveWriteOff, w.Invoices.RejectWriteOff}
		failed := together(4, func(i int) error {
			_, err := decide[i%2]([]*billingtest.Person{w.Owner, w.Approver, w.Second, w.Second}[i].Ctx, in)
			return err
		})
		if count(failed, nil) != 1 || count(failed, invoices.ErrWriteOffDecided) != 3 {
			t.Errorf("%v", failed)
		}
		w.AssertBooks(t)
	})
}

func TestUncollectible(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	inv, owner := w.OpenInvoice("100.00", granting(3)), w.As(w.Finance)
	path := routes + inv.ID.String()
	owner.Post(path+"/reopen/", body{"reason": "x"}).Refused(http.StatusConflict, "invoice_not_uncollectible")
	owner.Post(path+"/mark_uncollectible/", body{}).Refused(http.StatusBadRequest, "validation_failed")
	if a := owner.Post(path+"/mark_uncollectible/", body{"reason": "Gone abroad"}).Expect(http.StatusOK); a.Text("data.status") != "uncollectible" {
		t.Errorf("%s", a.Raw)
	}
	owner.Post(path+"/mark_uncollectible/", body{"reason": "x"}).Refused(http.StatusConflict, "invoice_already_uncollectible")
	stands(t, w, inv.ID, "uncollectible: 0 paid, 0 credited, 0 by credit, 0 written off, 10000 left")
	w.AssertBooks(t)
	owner.Post(path+"/reopen/", body{"reason": "Back again"}).Expect(http.StatusOK)
	stands(t, w, inv.ID, "open: 0 paid, 0 credited, 0 by credit, 0 written off, 10000 left")
	owner.Post(path+"/mark_uncollectible/", body{"reason": "x"}).Expect(http.StatusOK)
	overpay(t, w, 100)
	owner.Post(path+"/apply_credit/", body{}).Expect(http.StatusOK)
	stands(t, w, inv.ID, "partially_paid: 0 paid, 0 credited, 100 by credit, 0 written off, 9900 left")
	owner.Post(path+"/mark_uncollectible/", body{"reason": "x"}).Expect(http.StatusOK)
	owner.Post(path+"/credit-notes/", body{"amount": "9.00", "reason": "x"}).Expect(http.StatusCreated)
	stands(t, w, inv.ID, "uncollectible: 0 paid, 900 credited, 100 by credit, 0 written off, 9000 left")
	w.Pay(inv.ID)
	stands(t, w, inv.ID, "paid: 9000 paid, 900 credited, 100 by credit, 0 written off, 0 left")
	for name, id := range map[string]uuid.UUID{"nothing_owed": inv.ID, "invoice_not_finalized": w.DraftInvoice("1.00").ID} {
		if a := owner.Post(routes+id.String()+"/mark_uncollectible/", body{"reason": "x"}); a.Body["code"] != name {
			t.Errorf("%s: %s", name, a.Raw)
		}
	}
	w.AssertBooks(t)
	events := w.Events("invoice.uncollectible", "invoice.reopened")
	if diff := cmp.Diff([]string{"invoice.reopened", "invoice.uncollectible", "invoice.uncollectible", "invoice.uncollectible"}, slices.Sorted(slices.Values(events))); diff != "" {
		t.Error(diff)
	}
}

func TestWriteOffGuards(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	tolerating(w, "5.00")
	inv := w.OpenInvoice("100.00")
	small := ask(w, inv.ID, body{"amount": "1.00"}).Text("data.id")
	big := ask(w, inv.ID, nil).Text("data.id")
	for _, tt := range []struct{ name, query, constraint string }{
		{"a posted one that waits again", "UPDATE write_offs SET status = 'pending', decided_at = NULL WHERE tenant_id = ? AND id = '" + small + "'", "write_offs_transition"},
		{"one that is taken back before it is posted", "UPDATE write_offs SET status = 'reversed', decided_at = now(), reversed_at = now() WHERE tenant_id = ? AND id = '" + big + "'", "write_offs_transition"},
		{"one that is posted and was never decided", "UPDATE write_offs SET status = 'posted' WHERE tenant_id = ? AND id = '" + big + "'", "write_offs_decided_check"},
		{"a second that waits", "INSERT INTO write_offs (tenant_id, id, invoice_id, account_id, amount_minor, currency, reason, status, by_one, requested_by, requested_label) SELECT tenant_id, gen_random_uuid(), invoice_id, account_id, 1, currency, 'x', 'pending', false, requested_by, 'x' FROM write_offs WHERE tenant_id = ? AND id = '" + big + "'", "write_offs_pending_key"},
		{"one person's that waits", "INSERT INTO write_offs (tenant_id, id, invoice_id, account_id, amount_minor, currency, reason, status, by_one, requested_by, requested_label) SELECT tenant_id, gen_random_uuid(), invoice_id, account_id, 1, currency, 'x', 'pending', true, requested_by, 'x' FROM write_offs WHERE tenant_id = ? AND id = '" + big + "'", "write_offs_by_one_check"},
	} {
		if err := plainSQL(w, tt.query); !database.IsCheck(err, tt.constraint) && !database.IsUnique(err, tt.constraint) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for _, query := range []string{"UPDATE write_offs SET amount_minor = 1 WHERE tenant_id = ?", "UPDATE write_offs SET requested_by = gen_random_uuid() WHERE tenant_id = ?", "DELETE FROM write_offs WHERE tenant_id = ?"} {
		if err := plainSQL(w, query); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("the program: %s: %v", query, err)
		}
	}
	if _, err := testkit.OwnerDB(t).NewRaw("UPDATE write_offs SET status = 'posted', decided_at = now(), amount_minor = 1 WHERE tenant_id = ? AND status = 'pending'", w.Tenant.ID).Exec(t.Context()); !database.IsCheck(err, "write_offs_immutable") {
		t.Errorf("the owner changed what was asked for: %v", err)
	}
}
