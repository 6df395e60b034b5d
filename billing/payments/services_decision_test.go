package payments_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/billingtest"
	"countersign/billing/decisions"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// received is what an approver states.
func received(minor int64) func(*payments.ApproveInput) {
	return func(in *payments.ApproveInput) {
		in.Received = func(c money.Currency) (*money.Money, error) { m := money.New(minor, c); return &m, nil }
	}
}

func approve(w *billingtest.World, by *billingtest.Person, id uuid.UUID, change ...func(*payments.ApproveInput)) error {
	in := payments.ApproveInput{ID: id, Digest: w.Digest(id)}
	for _, f := range change {
		f(&in)
	}
	_, err := w.Payments.Approve(by.Ctx, in)
	return err
}

func TestApprove(t *testing.T) { // S3-44, S3-55
	t.Parallel()
	w := billingtest.New(t)
	inv := w.OpenInvoice("150.00")
	p := w.Submit(inv.ID)

	t.Run("asks for the digest", func(t *testing.T) {
		w.As(w.Approver).Post(one(p.ID, "approve/"), body("note", "ok")).Refused(http.StatusBadRequest, "digest_required")
		w.As(w.Approver).Post(one(p.ID, "reject/"), body("reason", "no")).Refused(http.StatusBadRequest, "digest_required")
	})
	t.Run("refuses what is no digest of this", func(t *testing.T) {
		other := w.Submit(w.OpenInvoice("150.00").ID)
		for _, digest := range []string{"x", w.Digest(other.ID), w.Digest(p.ID) + "0"} {
			w.As(w.Approver).Post(one(p.ID, "approve/"), body("digest", digest)).Refused(http.StatusConflict, "payment_changed")
		}
	})
	t.Run("moves the claim on and posts nothing", func(t *testing.T) {
		before := w.Snapshot()
		a := w.As(w.Approver).Post(one(p.ID, "approve/"), body("digest", w.Digest(p.ID), "note", "seen on the statement")).Expect(http.StatusOK)
		equal(t, "status", a.Text("data.status"), "processing")
		equal(t, "received", a.Text("data.received_amount"), "150.00")
		equal(t, "verdict", a.Text("data.approvals.0.verdict"), "approve")
		equal(t, "who", a.Text("data.approvals.0.user"), w.Approver.Email)
		equal(t, "answer and page", a.At("data"), w.Detail(p.ID).At("data"))
		for _, table := range []string{"ledger_transactions", "ledger_entries"} {
			equal(t, table, w.Snapshot()[table], before[table])
		}
		equal(t, "balance", w.Invoice(inv.ID).BalanceMinor, int64(15000))
	})
	t.Run("refuses a second decision", func(t *testing.T) {
		digest := w.Digest(p.ID)
		w.As(w.Second).Post(one(p.ID, "approve/"), body("digest", digest)).Refused(http.StatusConflict, "payment_not_pending")
		w.As(w.Second).Post(one(p.ID, "reject/"), body("digest", digest, "reason", "late")).Refused(http.StatusConflict, "payment_not_pending")
		w.As(w.Member).Post(one(p.ID, "cancel/"), "").Refused(http.StatusConflict, "payment_not_pending")
	})
	w.SettleAll()
	w.AssertBooks(t)
	equal(t, "audit", w.Audited("payment.approve", "payment.settle"), []string{"payment.approve", "payment.settle"})
}

// Four eyes: nobody decides about a claim of his own, whatever he is.
func TestSubmitterNeverDecides(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	made, err := w.Payments.SubmitManual(w.Owner.Ctx, w.Claim(w.OpenInvoice("1.00").ID))
	if err != nil {
		t.Fatal(err)
	}
	id := uuid.MustParse(made.ID)
	w.As(w.Owner)
	before := w.Snapshot()
	w.As(w.Owner).Post(one(id, "approve/"), body("digest", w.Digest(id))).Refused(http.StatusForbidden, "submitter_cannot_decide")
	w.As(w.Owner).Post(one(id, "reject/"), body("digest", w.Digest(id), "reason", "x")).Refused(http.StatusForbidden, "submitter_cannot_decide")
	a := w.As(w.Owner).Post(list+"bulk_approve/", body("items", []any{body("id", id.String(), "digest", w.Digest(id))})).Expect(http.StatusOK)
	equal(t, "bulk", a.Text("data.results.0.code"), "submitter_cannot_decide")
	_, err = w.Payments.Approve(w.System, payments.ApproveInput{ID: id, Digest: w.Digest(id)})
	refusal(t, err, auth.ErrForbidden) // no program approves (S3-57)
	_, err = w.Payments.Approve(w.Member.Ctx, payments.ApproveInput{ID: id, Digest: w.Digest(id)})
	refusal(t, err, auth.ErrForbidden)
	unchanged(t, w, before)
}

// Whoever can set a colleague's password could sign in as him: for a week the two count as one person.
func TestPasswordReset(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	const secret = "correct horse battery"
	hire := func(by *billingtest.Person, role string) (*testkit.Client, string) {
		t.Helper()
		email := uuid.NewString() + "@people.test"
		made := w.As(by).Post(billingtest.Base+"/users/", body("email", email, "name", "New", "password", secret, "role", role)).Expect(http.StatusCreated)
		token := w.Anonymous().Post(billingtest.Base+"/auth/token/", body("email", email, "password", secret)).Expect(http.StatusOK)
		return w.Anonymous().As(token.Text("data.access_token")), made.Text("data.id")
	}
	submit := func(by *testkit.Client) uuid.UUID {
		t.Helper()
		in := body("invoice_id", w.OpenInvoice("10.00").ID.String(), "payment_method", "bank_transfer", "transaction_reference", w.Reference())
		return uuid.MustParse(by.Post(list+"manual/", in).Expect(http.StatusCreated).Text("data.id"))
	}
	hired, _ := hire(w.Owner, auth.RoleAdmin)
	decide := func(by *testkit.Client, id uuid.UUID) testkit.Answer {
		return by.Post(one(id, "approve/"), body("digest", w.Digest(id)))
	}

	t.Run("does not decide about the claim of who set his password", func(t *testing.T) {
		id := submit(w.As(w.Owner))
		before := w.Snapshot()
		decide(hired, id).Refused(http.StatusForbidden, "password_reset_among_deciders")
		hired.Post(one(id, "reject/"), body("digest", w.Digest(id), "reason", "x")).Refused(http.StatusForbidden, "password_reset_among_deciders")
		unchanged(t, w, before)
		decide(w.As(w.Approver), id).Expect(http.StatusOK)
	})
	t.Run("nor does who set the submitter's password", func(t *testing.T) {
		clerk, _ := hire(w.Approver, auth.RoleCashier)
		id := submit(clerk)
		decide(w.As(w.Approver), id).Refused(http.StatusForbidden, "password_reset_among_deciders")
		decide(hired, id).Expect(http.StatusOK)
	})
	t.Run("is no second person beside who set his password", func(t *testing.T) {
		w.Configure(tenancy.UpdateInput{TwoApprovalThresholdMinor: ptr(int64(1))})
		id := submit(w.As(w.Member))
		decide(hired, id).Expect(http.StatusOK)
		decide(w.As(w.Owner), id).Refused(http.StatusForbidden, "password_reset_among_deciders")
		done := decide(w.As(w.Approver), id).Expect(http.StatusOK)
		equal(t, "status", done.Text("data.status"), "processing")
		w.Configure(tenancy.UpdateInput{TwoApprovalThresholdMinor: ptr(int64(0))})
	})
	t.Run("two puppets of one person are one person, however he hides", func(t *testing.T) {
		first, firstID := hire(w.Second, auth.RoleCashier)
		second, secondID := hire(w.Second, auth.RoleAdmin)
		id := submit(first)
		decide(second, id).Refused(http.StatusForbidden, "password_reset_among_deciders")
		// they set each other's passwords, so that neither names him any more
		for by, whose := range map[string]string{firstID: secondID, secondID: firstID} {
			p := &accounts.UpdateUserInput{Password: ptr("another horse battery")}
			ctx := tenancy.Enter(t.Context(), auth.Principal{Kind: auth.KindUser, UserID: uuid.MustParse(by), TenantID: w.Tenant.ID, Role: auth.RoleAdmin, Permissions: auth.PermissionsOf(auth.RoleAdmin), Label: "puppet"})
			if _, err := w.Accounts.UpdateUser(ctx, uuid.MustParse(whose), *p); err != nil {
				t.Fatal(err)
			}
		}
		ctx := tenancy.Enter(t.Context(), auth.Principal{Kind: auth.KindUser, UserID: uuid.MustParse(secondID), TenantID: w.Tenant.ID, Role: auth.RoleAdmin, Permissions: auth.PermissionsOf(auth.RoleAdmin), Label: "puppet"})
		_, err := w.Payments.Approve(ctx, payments.ApproveInput{ID: id, Digest: w.Digest(id)})
		refusal(t, err, payments.ErrPasswordReset)
		byHim := submit(w.As(w.Second))
		_, err = w.Payments.Approve(ctx, payments.ApproveInput{ID: byHim, Digest: w.Digest(byHim)})
		refusal(t, err, payments.ErrPasswordReset)
	})
	t.Run("who was dismissed since his request began decides nothing", func(t *testing.T) {
		gone := w.Join("gone", auth.RoleAdmin, nil)
		id := submit(w.As(w.Member))
		w.As(w.Owner).Patch(billingtest.Base+"/users/"+gone.ID.String()+"/", body("is_active", false)).Expect(http.StatusOK)
		_, err := w.Payments.Approve(gone.Ctx, payments.ApproveInput{ID: id, Digest: w.Digest(id)})
		refusal(t, err, auth.ErrForbidden)
	})
	t.Run("a change of his own does not wipe it out", func(t *testing.T) {
		thief, _ := hire(w.Owner, auth.RoleAdmin)
		thief.Post(billingtest.Base+"/auth/password/", body("current_password", secret, "new_password", "another horse battery")).Expect(http.StatusNoContent)
		decide(thief, submit(w.As(w.Owner))).Refused(http.StatusForbidden, "password_reset_among_deciders")
	})
	t.Run("customers' passwords are the business's matter", func(t *testing.T) {
		email := uuid.NewString() + "@people.test"
		w.As(w.Owner).Post(billingtest.Base+"/users/", body("email", email, "name", "Customer", "password", secret, "role", "member", "account_id", w.Account.ID.String())).Expect(http.StatusCreated)
		token := w.Anonymous().Post(billingtest.Base+"/auth/token/", body("email", email, "password", secret)).Expect(http.StatusOK).Text("data.access_token")
		decide(w.As(w.Owner), submit(w.Anonymous().As(token))).Expect(http.StatusOK)
	})
	t.Run("after a week he is his own man", func(t *testing.T) {
		id := submit(w.As(w.Owner))
		token := hired.Token
		w.Clock.Move(7*24*time.Hour + time.Minute)
		decide(w.Anonymous().As(token), id).Expect(http.StatusOK)
	})
}

func TestTwoApprovals(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	w.Configure(tenancy.UpdateInput{TwoApprovalThresholdMinor: ptr(int64(10000))})
	submitOf := func(amount, currency string) uuid.UUID {
		return w.Submit(w.OpenInvoice(amount, func(in *invoices.CreateInput) { in.Currency = currency }).ID).ID
	}

	t.Run("the threshold itself needs one", func(t *testing.T) {
		equal(t, "status", w.Approve(submitOf("100.00", "USD"), w.Approver).Status, payments.StatusProcessing)
	})
	t.Run("above it two different people", func(t *testing.T) {
		id := submitOf("100.01", "USD")
		since := len(events(w))
		first := w.As(w.Approver).Post(one(id, "approve/"), body("digest", w.Digest(id))).Expect(http.StatusOK)
		equal(t, "after one", first.Text("data.status"), "pending_approval")
		equal(t, "required", first.Int("data.approvals_required"), int64(2))
		equal(t, "answer and page", first.At("data"), w.Detail(id).At("data"))
		equal(t, "events", events(w)[since:], []string{"approval_recorded"})
		refusal(t, approve(w, w.Approver, id), decisions.ErrAlreadyDecided)
		_, err := w.Payments.Reject(w.Approver.Ctx, payments.RejectInput{ID: id, Digest: w.Digest(id), Reason: "changed my mind"})
		refusal(t, err, decisions.ErrAlreadyDecided)
		equal(t, "after two", w.Approve(id, w.Second).Status, payments.StatusProcessing)
		equal(t, "events", events(w)[since:], []string{"approval_recorded", "approved", "updated"})
	})
	t.Run("an approval does not outlive the right to give it", func(t *testing.T) {
		for name, change := range map[string]string{"dismissed": "is_active = false", "demoted": "role = 'viewer'"} {
			w := billingtest.New(t)
			w.Configure(tenancy.UpdateInput{TwoApprovalThresholdMinor: ptr(int64(1))})
			id := w.Submit(w.OpenInvoice("100.00").ID).ID
			equal(t, name+": after one", w.Approve(id, w.Approver).Status, payments.StatusPendingApproval)
			seen := w.Digest(id)
			force(t, "UPDATE memberships SET "+change+" WHERE tenant_id = ? AND user_id = ?", w.Tenant.ID, w.Approver.ID)
			_, err := w.Payments.Approve(w.Second.Ctx, payments.ApproveInput{ID: id, Digest: seen})
			refusal(t, err, payments.ErrChanged)
			equal(t, name+": after another", w.Approve(id, w.Second).Status, payments.StatusPendingApproval)
			equal(t, name+": after a third", w.Approve(id, w.Finance).Status, payments.StatusProcessing)
		}
	})
	t.Run("in another currency always two", func(t *testing.T) {
		equal(t, "status", w.Approve(submitOf("1.00", "EUR"), w.Approver).Status, payments.StatusPendingApproval)
	})
	t.Run("when more was received than the threshold", func(t *testing.T) {
		equal(t, "status", w.Approve(submitOf("50.00", "USD"), w.Approver, received(20000)).Status, payments.StatusPendingApproval)
	})
	t.Run("when less was received than was claimed", func(t *testing.T) {
		equal(t, "status", w.Approve(submitOf("500.00", "USD"), w.Approver, received(100)).Status, payments.StatusPendingApproval)
	})
	t.Run("one refusal is enough, also after an approval", func(t *testing.T) {
		id := submitOf("500.00", "USD")
		w.Approve(id, w.Approver)
		equal(t, "status", w.Reject(id, w.Second, "no such line").Status, payments.StatusFailed)
	})
	t.Run("two people state one received amount", func(t *testing.T) {
		id := submitOf("500.00", "USD")
		w.Approve(id, w.Approver, received(40000))
		refusal(t, approve(w, w.Second, id, received(39999)), payments.ErrReceivedDiffers)
		p := w.Approve(id, w.Second) // who says nothing agrees
		equal(t, "status", p.Status, payments.StatusProcessing)
		equal(t, "received", *p.ReceivedMinor, int64(40000))
	})
	t.Run("who states nothing first states the claim", func(t *testing.T) {
		id := submitOf("500.00", "USD")
		w.Approve(id, w.Approver)
		refusal(t, approve(w, w.Second, id, received(40000)), payments.ErrReceivedDiffers)
		equal(t, "status", w.Approve(id, w.Second, received(50000)).Status, payments.StatusProcessing)
	})
	w.SettleAll()
	w.AssertBooks(t)
}

// ladder sets the tenant's rungs.
func ladder(t *testing.T, w *billingtest.World, rungs ...decisions.Policy) {
	t.Helper()
	if _, err := w.Decisions.SetLadder(w.Owner.Ctx, rungs); err != nil {
		t.Fatal(err)
	}
}

func TestLadder(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	w.As(w.Owner).Put(base+"/approval-policies/", body("rules", []any{
		body("rank", 10, "payment_method", "local_wallet", "approvals", 1, "requires_evidence", true),
		body("rank", 20, "signal", payments.SignalReferenceUsed, "approvals", 2),
		body("rank", 30, "currency", "usd", "from_amount", "1000.00", "to_amount", "2000.00", "approvals", 1, "permission", auth.TenantManage),
		body("rank", 40, "currency", "USD", "from_amount", "2000", "approvals", 2),
	})).Expect(http.StatusOK)
	submitOf := func(amount string, change ...func(*payments.SubmitManualInput)) uuid.UUID {
		return w.Submit(w.OpenInvoice(amount).ID, change...).ID
	}

	t.Run("evidence for wallets", func(t *testing.T) {
		wallet := func(in *payments.SubmitManualInput) { in.Method = "local_wallet" }
		id := submitOf("1.00", wallet)
		equal(t, "shown", w.Detail(id).At("data.evidence_required"), true)
		refusal(t, approve(w, w.Approver, id), payments.ErrEvidenceRequired)
		file := w.As(w.Member).PostFile(base+"/evidence/", "file", "a.pdf", pdf("wallet"), nil).Expect(http.StatusCreated).Text("data.id")
		w.Approve(submitOf("1.00", wallet, func(in *payments.SubmitManualInput) { in.Evidence = []uuid.UUID{uuid.MustParse(file)} }), w.Approver)
		equal(t, "a claim without a receipt can still be refused", w.Reject(id, w.Approver, "no receipt").Status, payments.StatusFailed)
	})
	t.Run("two approvals for a reference that was used", func(t *testing.T) {
		first := submitOf("1.00", func(in *payments.SubmitManualInput) { in.Reference = "TWICE AB" })
		submitOf("1.00", func(in *payments.SubmitManualInput) { in.Reference = "twice-ab" })
		equal(t, "status", w.Approve(first, w.Approver).Status, payments.StatusPendingApproval)
	})
	t.Run("a permission for a band, whose end is not in it", func(t *testing.T) {
		for _, amount := range []string{"1000.00", "1999.99"} {
			id := submitOf(amount)
			refusal(t, approve(w, w.Finance, id), auth.ErrForbidden)
			equal(t, "admin", w.Approve(id, w.Approver).Status, payments.StatusProcessing)
		}
		equal(t, "at its end", w.Approve(submitOf("2000.00"), w.Finance).Status, payments.StatusPendingApproval)
		equal(t, "below it", w.Approve(submitOf("999.99"), w.Finance).Status, payments.StatusProcessing)
	})
	t.Run("an approver cannot talk the amount out of its band", func(t *testing.T) {
		equal(t, "less", w.Approve(submitOf("3000.00"), w.Approver, received(100)).Status, payments.StatusPendingApproval)
		equal(t, "more", w.Approve(submitOf("10.00"), w.Approver, received(300000)).Status, payments.StatusPendingApproval)
	})
	w.SettleAll()
	w.AssertBooks(t)
}

func TestReceivedAmount(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	id := w.Submit(w.OpenInvoice("150.00").ID).ID
	w.As(w.Approver)
	before := w.Snapshot()
	for _, c := range []struct {
		field string
		value any
		code  string
	}{
		{"received_amount", "0", "amount_not_positive"},
		{"received_amount", "-1.00", "amount_not_positive"},
		{"received_amount", "10.505", "too_many_digits"},
		{"received_amount", "much", "invalid_amount"},
		{"received_amount_minor", 0, "amount_not_positive"},
	} {
		a := w.As(w.Approver).Post(one(id, "approve/"), body("digest", w.Digest(id), c.field, c.value)).Refused(http.StatusBadRequest, c.code)
		a.List("errors.received_amount")
	}
	w.As(w.Approver).Post(one(id, "approve/"), body("digest", w.Digest(id), "received_amount", "1", "received_amount_minor", 2)).
		Refused(http.StatusBadRequest, "amounts_differ").List("errors.received_amount")
	unchanged(t, w, before)
	a := w.As(w.Approver).Post(one(id, "approve/"), body("digest", w.Digest(id), "received_amount", "149.50")).Expect(http.StatusOK)
	equal(t, "received", a.Int("data.received_amount_minor"), int64(14950))
	equal(t, "claimed", a.Int("data.amount_minor"), int64(15000))
}

func TestReject(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	inv := w.OpenInvoice("150.00")
	p := w.Submit(inv.ID)
	w.As(w.Approver).Post(one(p.ID, "reject/"), body("digest", w.Digest(p.ID))).Refused(http.StatusBadRequest, "reason_required")
	w.As(w.Approver).Post(one(p.ID, "reject/"), body("digest", w.Digest(p.ID), "reason", "  ")).Refused(http.StatusBadRequest, "reason_required")
	w.Clock.Move(3 * time.Hour)
	since := len(events(w))
	a := w.As(w.Approver).Post(one(p.ID, "reject/"), body("digest", w.Digest(p.ID), "reason", "Nothing arrived")).Expect(http.StatusOK)
	equal(t, "status", a.Text("data.status"), "failed")
	equal(t, "answer and page", a.At("data"), w.Detail(p.ID).At("data"))
	equal(t, "events", events(w)[since:], []string{"rejected", "updated"})

	mine := w.As(w.Member).Get(one(p.ID, "")).Expect(http.StatusOK)
	equal(t, "failure_reason", mine.Text("data.failure_reason"), "Nothing arrived") // S3-15
	mine.Text("data.failed_at")
	after := w.Invoice(inv.ID)
	equal(t, "invoice", after.Status, invoices.StatusOpen)
	equal(t, "claims", after.PendingClaims, 0)
	equal(t, "the clock goes on", after.ClockPausedAt.IsZero(), true)
	equal(t, "and stood for", after.ClockPausedFor, 3*time.Hour)
	w.AssertBooks(t)

	t.Run("a new claim may name the refused one", func(t *testing.T) {
		other := w.Submit(w.OpenInvoice("1.00").ID)
		w.Reject(other.ID, w.Approver, "no")
		submit(w, w.Member, claim(w, inv.ID, "retry_of", other.ID.String())).Refused(http.StatusBadRequest, "invalid_retry") // of another invoice
		again := submit(w, w.Member, claim(w, inv.ID, "transaction_reference", p.Reference, "retry_of", p.ID.String())).Expect(http.StatusCreated)
		equal(t, "retry_of", again.Text("data.retry_of"), p.ID.String())
		w.Configure(tenancy.UpdateInput{AllowParallelClaims: ptr(true)})
		submit(w, w.Member, claim(w, inv.ID, "retry_of", again.Text("data.id"))).Refused(http.StatusBadRequest, "invalid_retry") // which is not refused
	})
}

func TestWithdraw(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	colleague := w.Join("colleague", auth.RoleMember, w.Account)
	inv := w.OpenInvoice("150.00")
	p := w.Submit(inv.ID)
	w.As(colleague).Post(one(p.ID, "cancel/"), "").Refused(http.StatusForbidden, "not_submitter")
	w.As(w.OtherMember).Post(one(p.ID, "cancel/"), "").Refused(http.StatusNotFound, "not_found")
	since := len(events(w))
	a := w.As(w.Member).Post(one(p.ID, "cancel/"), "").Expect(http.StatusOK)
	equal(t, "status", a.Text("data.status"), "cancelled")
	a.Text("data.cancelled_at")
	equal(t, "events", events(w)[since:], []string{"cancelled", "updated"}) // S0-77
	equal(t, "claims", w.Invoice(inv.ID).PendingClaims, 0)
	w.As(w.Member).Post(one(p.ID, "cancel/"), "").Refused(http.StatusConflict, "payment_not_pending")
	w.As(w.Approver).Post(one(p.ID, "approve/"), body("digest", w.Digest(p.ID))).Refused(http.StatusConflict, "payment_not_pending")

	again := submit(w, w.Member, claim(w, inv.ID, "transaction_reference", p.Reference, "retry_of", p.ID.String())).Expect(http.StatusCreated)
	t.Run("staff with billing.cancel withdraw any", func(t *testing.T) {
		w.As(w.Finance).Post(one(idOf(again), "cancel/"), "").Expect(http.StatusOK)
	})
	w.AssertBooks(t)
}

func TestEditNotes(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := w.Submit(w.OpenInvoice("150.00").ID)
	w.As(w.Owner).Patch(one(p.ID, ""), body("notes", "mine")).Refused(http.StatusForbidden, "not_submitter")
	w.As(w.Member).Patch(one(p.ID, ""), body()).Refused(http.StatusBadRequest, "validation_failed")
	w.As(w.Member).Patch(one(p.ID, ""), body("notes", "4111 1111 1111 1111")).Refused(http.StatusBadRequest, "card_data_rejected")
	since := len(events(w))
	a := w.As(w.Member).Patch(one(p.ID, ""), body("notes", "Second thoughts")).Expect(http.StatusOK)
	equal(t, "notes", a.Text("data.notes"), "Second thoughts")
	equal(t, "events", events(w)[since:], []string{"updated"}) // S0-73: once per change
	w.As(w.Member).Patch(one(p.ID, ""), body("notes", "")).Expect(http.StatusOK)
	w.Approve(p.ID, w.Approver)
	w.As(w.Member).Patch(one(p.ID, ""), body("notes", "too late")).Refused(http.StatusConflict, "payment_not_pending")
	equal(t, "audit", w.Audited("payment.edit_notes"), []string{"payment.edit_notes", "payment.edit_notes"})
	w.As(w.Owner).Patch(billingtest.Base+"/tenant/", body("two_approval_threshold", "1.00")).Expect(http.StatusOK)
	two := w.Submit(w.OpenInvoice("150.00").ID)
	w.Approve(two.ID, w.Approver)
	w.As(w.Member).Patch(one(two.ID, ""), body("notes", "not what the first has approved")).Refused(http.StatusConflict, "payment_not_pending")
	w.Approve(two.ID, w.Finance)
	equal(t, "notes", w.Payment(two.ID).Notes, two.Notes)
}

func TestDelete(t *testing.T) { // C-11, W-29
	t.Parallel()
	w := billingtest.New(t)
	ids := everyStatus(t, w)
	for _, s := range payments.Statuses() {
		if s == payments.StatusCreated {
			continue
		}
		w.As(w.Member).Delete(one(ids[s], "")).Refused(http.StatusConflict, "payment_not_deletable")
	}
	id := ids[payments.StatusCreated]
	w.As(w.OtherMember).Delete(one(id, "")).Refused(http.StatusNotFound, "not_found")
	since := len(events(w))
	w.As(w.Member).Delete(one(id, "")).Expect(http.StatusNoContent)
	equal(t, "events", events(w)[since:], []string{"deleted", "updated"})
	w.As(w.Member).Get(one(id, "")).Refused(http.StatusNotFound, "not_found")
	w.As(w.Member).Delete(one(id, "")).Refused(http.StatusNotFound, "not_found")
	equal(t, "listed", len(listed(w.As(w.Member).Get(list))), len(ids)-1)

	t.Run("SQL deletes nothing at all", func(t *testing.T) {
		err := raw(w.System, w, "DELETE FROM payments WHERE tenant_id = $1", w.Tenant.ID)
		if err == nil {
			t.Error("the program may delete payments")
		}
	})
}

func TestBulkApprove(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	var items []any
	var ids []uuid.UUID
	for range 4 {
		p := w.Submit(w.OpenInvoice("10.00").ID)
		ids = append(ids, p.ID)
		items = append(items, body("id", p.ID.String(), "digest", w.Digest(p.ID)))
	}
	w.As(w.Member).Patch(one(ids[1], ""), body("notes", "drift")).Expect(http.StatusOK)
	w.Reject(ids[2], w.Second, "no")
	items = append(items, body("id", uuid.NewString(), "digest", w.Digest(ids[0])))
	a := w.As(w.Approver).Post(list+"bulk_approve/", body("items", items, "note", "morning round")).Expect(http.StatusOK)
	equal(t, "approved", a.Int("data.approved"), int64(2))
	equal(t, "refused", a.Int("data.refused"), int64(3))
	outcomes := []any{}
	for _, r := range a.List("data.results") {
		m := r.(map[string]any)
		outcomes = append(outcomes, []any{m["success"], m["status"], m["code"]})
	}
	equal(t, "outcomes", outcomes, []any{[]any{true, "processing", nil}, []any{false, nil, "payment_changed"},
		[]any{false, nil, "payment_not_pending"}, []any{true, "processing", nil}, []any{false, nil, "not_found"}})
	for _, wrong := range []any{body("items", []any{}), body("items", []any{body("id", ids[0].String())}), body("note", "x")} {
		w.As(w.Approver).Post(list+"bulk_approve/", wrong).Refused(http.StatusBadRequest, "validation_failed")
	}
	w.SettleAll()
	w.AssertBooks(t)
}

// raw runs a statement as the program does, in the tenant of ctx.
func raw(ctx context.Context, w *billingtest.World, query string, args ...any) error {
	return tenancy.InTx(ctx, w.DB, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.Tx.ExecContext(ctx, query, args...)
		return err
	})
}
