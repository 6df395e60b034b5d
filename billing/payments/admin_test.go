package payments_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/decisions"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// page is the address of a payment in the console, with what follows.
func page(id uuid.UUID, more string) string { return "payments/" + id.String() + "/" + more }

// decision is the form that the page of a payment would send, filled in.
func decision(shown billingtest.Page, pairs ...string) url.Values {
	form := url.Values{"digest": shown.Hidden("digest")[:1]}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return form
}

func TestConsoleQueue(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	site := w.Console()

	t.Run("asks to sign in first", func(t *testing.T) {
		t.Parallel()
		got := w.Browse(site, nil).Get("payments/")
		if got.Status != http.StatusSeeOther || !strings.HasPrefix(got.Location, "/console/login/") {
			t.Errorf("got %d to %q", got.Status, got.Location)
		}
	})
	t.Run("is not for customers", func(t *testing.T) {
		t.Parallel()
		w.Browse(site, w.Member).Get("payments/").Expect(http.StatusForbidden)
	})
	t.Run("shows every undecided claim with its signals and hides what is decided", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		site := w.Console()
		waiting := w.Submit(w.OpenInvoice("150.00").ID)
		decided := w.Submit(w.OpenInvoice("77.00").ID)
		w.Reject(decided.ID, w.Approver, "not on the statement")
		b := w.Browse(site, w.Approver)
		b.Get("payments/").Expect(http.StatusOK).Shows("150.00", waiting.Reference, "First customer", "first payment", "receipt missing", "0 of 1").Hides(decided.Reference)
		for _, filter := range []string{"currency=EUR", "amount=1000-10000", "payment_method=local_wallet", "signal=same_receipt", "search=nobody", "signal=none"} {
			b.Get("payments/?" + filter).Expect(http.StatusOK).Hides(waiting.Reference).Shows("They are still waiting")
		}
		for _, filter := range []string{"currency=USD", "amount=100-1000", "payment_method=bank_transfer", "signal=first_payment", "search=first+cust", "search=" + url.QueryEscape(strings.ToLower(waiting.Reference))} {
			b.Get("payments/?" + filter).Expect(http.StatusOK).Shows(waiting.Reference)
		}
		b.Get("payments/?statsu=open").Expect(http.StatusBadRequest)
	})
	t.Run("takes as many statements for thirty claims as for one", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		b := w.Browse(w.Console(), w.Approver)
		w.Configure(tenancy.UpdateInput{AllowParallelClaims: new(true)})
		inv := w.OpenInvoice("500.00")
		count := func() int64 {
			ctx, n := testkit.Count(t.Context())
			b.GetIn(ctx, "payments/").Expect(http.StatusOK)
			return n.Load()
		}
		w.Submit(inv.ID)
		one := count()
		for range 24 {
			w.Submit(inv.ID)
		}
		if many := count(); many != one {
			t.Errorf("%d statements for one claim, %d for twenty-five", one, many)
		}
	})
	t.Run("shows the submitter a lock instead of a box to tick", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		own := w.Submit(w.OpenInvoice("150.00").ID)
		force(t, "UPDATE payments SET submitted_by = ? WHERE id = ?", w.Approver.ID, own.ID)
		w.Browse(w.Console(), w.Approver).Get("payments/").Shows("You submitted this claim yourself").Hides(`name="id" value="` + own.ID.String())
	})
}

func TestConsoleDecision(t *testing.T) {
	t.Parallel()
	t.Run("approves what the page shows", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		p := w.Submit(w.OpenInvoice("150.00").ID)
		b := w.Browse(w.Console(), w.Approver)
		shown := b.Get(page(p.ID, "")).Expect(http.StatusOK).Shows("150.00", p.Reference, "Test member (customer)", "This is the first payment of this account.")
		sent := b.Post(page(p.ID, "approve/"), decision(shown, "received_amount", "149.50", "note", "bank took a fee"))
		b.Follow(sent).Shows("The worker posts it next", "Approved, being posted", "bank took a fee", "149.50")
		now := w.Payment(p.ID)
		if now.Status != payments.StatusProcessing || *now.ReceivedMinor != 14950 {
			t.Errorf("the payment is %s with %d received", now.Status, *now.ReceivedMinor)
		}
		w.SettleAll()
		b.Get(page(p.ID, "")).Shows("Succeeded", "Posted to the ledger: 149.50", "Paid to the invoice").Hides("This is the first payment")
	})
	t.Run("keeps what was typed beside what is wrong with it", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		p := w.Submit(w.OpenInvoice("150.00").ID)
		b := w.Browse(w.Console(), w.Approver)
		shown := b.Get(page(p.ID, ""))
		b.Post(page(p.ID, "approve/"), decision(shown, "received_amount", "12.345", "note", "see mail")).Expect(http.StatusBadRequest).Shows(`value="12.345"`, `value="see mail"`)
		b.Post(page(p.ID, "reject/"), decision(shown, "reason", "")).Expect(http.StatusBadRequest).Shows("Say why the payment is rejected", "<details class=\"reject\" open>")
		b.Post(page(p.ID, "approve/"), url.Values{"received_amount": {"150.00"}}).Expect(http.StatusBadRequest).Shows("digest")
		status(t, w, p.ID, payments.StatusPendingApproval)
	})
	t.Run("refuses with a reason, which the customer then reads", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		p := w.Submit(w.OpenInvoice("150.00").ID)
		b := w.Browse(w.Console(), w.Approver)
		sent := b.Post(page(p.ID, "reject/"), decision(b.Get(page(p.ID, "")), "reason", "No such transfer."))
		b.Follow(sent).Shows("No such transfer.", "the invoice is open again").Hides("Approve 150.00")
		equal(t, "the reason", w.As(w.Member).Get(one(p.ID, "")).Text("data.failure_reason"), "No such transfer.")
	})
	t.Run("decides nothing when something has changed, and shows what is there now", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		p := w.Submit(w.OpenInvoice("150.00").ID)
		b := w.Browse(w.Console(), w.Approver)
		shown := b.Get(page(p.ID, ""))
		if _, err := w.Payments.EditNotes(w.Member.Ctx, p.ID, "paid from another account"); err != nil {
			t.Fatal(err)
		}
		drifted := b.Post(page(p.ID, "approve/"), decision(shown)).Expect(http.StatusConflict).Shows("has changed since you opened it", "paid from another account")
		status(t, w, p.ID, payments.StatusPendingApproval)
		b.Follow(b.Post(page(p.ID, "approve/"), decision(drifted)))
		status(t, w, p.ID, payments.StatusProcessing)
	})
	t.Run("asks two people when the ladder does", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		w.Configure(tenancy.UpdateInput{TwoApprovalThresholdMinor: new(int64(10000))})
		p := w.Submit(w.OpenInvoice("150.00").ID)
		site := w.Console()
		first, second := w.Browse(site, w.Approver), w.Browse(site, w.Second)
		first.Follow(first.Post(page(p.ID, "approve/"), decision(first.Get(page(p.ID, "")).Shows("one of 2")))).
			Shows("You have approved this claim already", "1 of 2").Hides(`name="received_amount"`)
		status(t, w, p.ID, payments.StatusPendingApproval)
		second.Follow(second.Post(page(p.ID, "approve/"), decision(second.Get(page(p.ID, "")).Shows("Approved by Test approver"))))
		status(t, w, p.ID, payments.StatusProcessing)
	})
	t.Run("is not the submitter's, whatever form he sends", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		p := w.Submit(w.OpenInvoice("150.00").ID)
		digest := w.Digest(p.ID)
		force(t, "UPDATE payments SET submitted_by = ? WHERE id = ?", w.Approver.ID, p.ID)
		b := w.Browse(w.Console(), w.Approver)
		b.Get(page(p.ID, "")).Shows("Somebody else must decide it").Hides("approve/", "reject/")
		b.Post(page(p.ID, "approve/"), url.Values{"digest": {digest}}).Expect(http.StatusForbidden).Shows("somebody else must decide")
		b.Post(page(p.ID, "reject/"), url.Values{"digest": {digest}, "reason": {"no"}}).Expect(http.StatusForbidden)
		status(t, w, p.ID, payments.StatusPendingApproval)
	})
	t.Run("needs the permission", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		p := w.Submit(w.OpenInvoice("150.00").ID)
		b := w.Browse(w.Console(), w.Viewer)
		b.Get(page(p.ID, "")).Expect(http.StatusOK).Shows("Your role does not allow decisions").Hides(`action="/console/payments/` + p.ID.String() + `/approve/`)
		b.Post(page(p.ID, "approve/"), url.Values{"digest": {w.Digest(p.ID)}}).Expect(http.StatusForbidden)
		b.Get("payments/").Hides(`name="id"`)
	})
	t.Run("says when a rule leaves it to somebody else, who may still refuse", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		if _, err := w.Decisions.SetLadder(w.Owner.Ctx, []decisions.Policy{{Rank: 1, Approvals: 1, Permission: auth.TenantManage}}); err != nil {
			t.Fatal(err)
		}
		p := w.Submit(w.OpenInvoice("150.00").ID)
		w.Browse(w.Console(), w.Finance).Get(page(p.ID, "")).Shows("It needs the permission tenant.manage", "/reject/").Hides("/approve/")
	})
	t.Run("from another site does nothing", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		p := w.Submit(w.OpenInvoice("150.00").ID)
		b := w.Browse(w.Console(), w.Approver)
		b.Headers["Sec-Fetch-Site"] = "cross-site"
		b.Post(page(p.ID, "approve/"), url.Values{"digest": {w.Digest(p.ID)}}).Expect(http.StatusForbidden).Shows("sent from another site")
		status(t, w, p.ID, payments.StatusPendingApproval)
	})
	t.Run("about a neighbour's payment finds nothing", func(t *testing.T) {
		t.Parallel()
		w, neighbour := billingtest.New(t), billingtest.New(t)
		p := neighbour.Submit(neighbour.OpenInvoice("150.00").ID)
		b := w.Browse(w.Console(), w.Approver)
		for _, path := range []string{"", "cancel/", "resume/"} {
			b.Get(page(p.ID, path)).Expect(http.StatusNotFound).Hides(p.Reference)
		}
		b.Post(page(p.ID, "approve/"), url.Values{"digest": {neighbour.Digest(p.ID)}}).Expect(http.StatusNotFound)
		b.Post(page(p.ID, "cancel/"), nil).Expect(http.StatusNotFound)
		b.Get("payments/bulk/?id=" + p.ID.String()).Expect(http.StatusOK).Hides(p.Reference)
		b.Get("payment-list/?search=" + p.ID.String()).Expect(http.StatusOK).Hides(p.Reference)
	})
}

func TestConsoleBulk(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	site := w.Console()
	b := w.Browse(site, w.Approver)
	good := w.Submit(w.OpenInvoice("100.00").ID)
	drifting := w.Submit(w.OpenInvoice("200.00").ID)
	own := w.Submit(w.OpenInvoice("300.00").ID)
	force(t, "UPDATE payments SET submitted_by = ? WHERE id = ?", w.Approver.ID, own.ID)
	chosen := url.Values{"id": {good.ID.String(), drifting.ID.String(), own.ID.String()}}
	shown := b.Get("payments/bulk/?"+chosen.Encode()).Expect(http.StatusOK).Shows("Approve all 2", "Left out", "You submitted this claim yourself")
	if _, err := w.Payments.EditNotes(w.Member.Ctx, drifting.ID, "another bank"); err != nil {
		t.Fatal(err)
	}
	forged := append(shown.Hidden("item"), own.ID.String()+":"+w.Digest(own.ID))
	b.Post("payments/bulk/", url.Values{"item": forged, "note": {"statement of today"}}).Expect(http.StatusOK).
		Shows("Approved payments: 1", "Not approved: 2", "has changed since you opened it", "somebody else must decide")
	status(t, w, good.ID, payments.StatusProcessing)
	status(t, w, drifting.ID, payments.StatusPendingApproval)
	status(t, w, own.ID, payments.StatusPendingApproval)

	b.Post("payments/bulk/", nil).Expect(http.StatusBadRequest)
	w.Browse(site, w.Viewer).Get("payments/bulk/").Expect(http.StatusForbidden)
}

func TestConsoleActions(t *testing.T) {
	t.Parallel()
	t.Run("staff with the permission withdraw a claim, after a page that says what happens", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		p := w.Submit(w.OpenInvoice("150.00").ID)
		site := w.Console()
		b := w.Browse(site, w.Finance)
		b.Get(page(p.ID, "")).Shows(page(p.ID, "cancel/"))
		b.Get(page(p.ID, "cancel/")).Shows("The claim is taken back", "150.00 USD, First customer")
		status(t, w, p.ID, payments.StatusPendingApproval)
		b.Follow(b.Post(page(p.ID, "cancel/"), nil)).Shows("The claim was withdrawn", "Withdrawn")
		status(t, w, p.ID, payments.StatusCancelled)
		b.Post(page(p.ID, "cancel/"), nil).Expect(http.StatusConflict).Shows("already been decided")

		other := w.Submit(w.OpenInvoice("150.00").ID)
		v := w.Browse(site, w.Viewer)
		v.Get(page(other.ID, "")).Hides(page(other.ID, "cancel/"))
		v.Post(page(other.ID, "cancel/"), nil).Expect(http.StatusForbidden)
		status(t, w, other.ID, payments.StatusPendingApproval)
	})
	t.Run("a payment that was set aside is given back to the worker", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		p := w.Submit(w.OpenInvoice("150.00").ID)
		w.Approve(p.ID, w.Approver)
		force(t, "WITH q AS (DELETE FROM settlement_queue WHERE payment_id = ?0) UPDATE payments SET set_aside = 'overflow' WHERE id = ?0", p.ID)
		b := w.Browse(w.Console(), w.Approver)
		b.Get(page(p.ID, "")).Shows("could not take this payment (overflow)", "Let the worker try again")
		b.Follow(b.Post(page(p.ID, "resume/"), nil)).Hides("could not take this payment")
		if got := w.Payment(p.ID).SetAside; got != "" {
			t.Errorf("it is still set aside: %s", got)
		}
	})
	t.Run("the list of all payments has every state", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		refused := w.Submit(w.OpenInvoice("10.00").ID)
		w.Reject(refused.ID, w.Approver, "no")
		waiting := w.Submit(w.OpenInvoice("20.00").ID)
		b := w.Browse(w.Console(), w.Viewer)
		b.Get("payment-list/").Shows(refused.Reference, waiting.Reference, "Refused", "Awaiting approval", page(waiting.ID, ""))
		b.Get("payment-list/?status=failed&account=" + w.Account.ID.String()).Shows(refused.Reference).Hides(waiting.Reference)
	})
}

func TestEventsOfPayment(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := w.Submit(w.OpenInvoice("150.00").ID)
	w.Approve(p.ID, w.Approver, func(in *payments.ApproveInput) {
		in.Received = func(c money.Currency) (*money.Money, error) { m := money.New(15000, c); return &m, nil }
	})
	staff := w.As(w.Viewer).Get(one(p.ID, "events/")).Expect(http.StatusOK)
	equal(t, "the first event", staff.Text("data.events.0.type"), payments.EventCreated)
	equal(t, "who did it", staff.Text("data.events.0.actor"), w.Member.Email)
	member := w.As(w.Member).Get(one(p.ID, "events/")).Expect(http.StatusOK)
	equal(t, "how many", member.Int("data.count"), staff.Int("data.count"))
	for i := range member.List("data.events") {
		if member.List("data.events")[i].(map[string]any)["actor"] != nil {
			t.Error("a member is told who of the staff acted")
		}
	}
	w.As(w.OtherMember).Get(one(p.ID, "events/")).Refused(http.StatusNotFound, "not_found")
	neighbour := billingtest.New(t)
	neighbour.As(neighbour.Owner).Get(one(p.ID, "events/")).Refused(http.StatusNotFound, "not_found")
}

// Credits are worth money, so whoever approves is told of those that the invoice grants.
func TestCreditsAreShown(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := w.Submit(w.OpenInvoice("10.00", func(in *invoices.CreateInput) { in.Lines[0].Credits = 250 }).ID)
	equal(t, "credits", w.Detail(p.ID).Int("data.invoice_credits"), int64(250))
	w.Browse(w.Console(), w.Approver).Get("payments/"+p.ID.String()+"/").Expect(http.StatusOK).Shows("Service credits", "250 credits once it is paid")
}
