package payments_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// posted gives what the ledger says of a payment, a line for each entry.
func posted(w *billingtest.World, id uuid.UUID) []string {
	lines := []string{}
	for _, t := range w.Posted(id) {
		for _, e := range t.Entries {
			owner := e.Account.Owner
			if owner == w.Account.ID.String() {
				owner = "customer"
			}
			lines = append(lines, fmt.Sprintf("%s %s:%s %d %s", t.Cause[len("payment:")+36+1:], e.Account.Code, owner, e.AmountMinor, e.Currency))
		}
	}
	slices.Sort(lines)
	return lines
}

func TestSettle(t *testing.T) { // model.md 5.6
	t.Parallel()
	for _, c := range []struct {
		name            string
		received        int64
		applied, excess int64
		invoice         invoices.Status
		balance         int64
		entries         []string
		news            []string
	}{
		{"exactly", 15000, 15000, 0, invoices.StatusPaid, 0,
			[]string{"settle clearing:bank_transfer 15000 USD", "settle receivable:customer -15000 USD"}, []string{"invoice.paid", "credits.granted"}},
		{"in part", 10000, 10000, 0, invoices.StatusPartiallyPaid, 5000,
			[]string{"settle clearing:bank_transfer 10000 USD", "settle receivable:customer -10000 USD"}, []string{"invoice.partially_paid"}},
		{"too much", 20000, 15000, 5000, invoices.StatusPaid, 0,
			[]string{"settle clearing:bank_transfer 20000 USD", "settle customer_credit:customer -5000 USD", "settle receivable:customer -15000 USD"},
			[]string{"invoice.paid", "credits.granted"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := billingtest.New(t)
			inv := w.OpenInvoice("150.00", func(in *invoices.CreateInput) { in.Lines[0].Credits = 500 })
			p := w.Submit(inv.ID)
			w.Approve(p.ID, w.Approver, received(c.received))
			sinceEvents, sinceAudit := len(w.Events()), len(w.Audited())
			w.Clock.Move(2 * time.Hour)
			w.SettleAll()

			got := w.Payment(p.ID)
			equal(t, "status", got.Status, payments.StatusSucceeded)
			equal(t, "applied", *got.AppliedMinor, c.applied)
			equal(t, "excess", *got.ExcessMinor, c.excess)
			equal(t, "processed", got.ProcessedAt.IsZero(), false)
			after := w.Invoice(inv.ID)
			equal(t, "invoice", after.Status, c.invoice)
			equal(t, "balance", after.BalanceMinor, c.balance)
			equal(t, "claims", after.PendingClaims, 0)
			equal(t, "the clock stood", after.ClockPausedFor, 2*time.Hour)
			equal(t, "ledger", posted(w, p.ID), c.entries)
			equal(t, "customer's money", w.Balance(ledger.CustomerCredit(w.Account.ID, "USD")), -c.excess)
			credits := int64(0)
			if c.invoice == invoices.StatusPaid {
				credits = -500
			}
			equal(t, "credits", w.Balance(ledger.Credits(w.Account.ID)), credits)                                // S3-53
			equal(t, "events", w.Events()[sinceEvents:], append(c.news, "payment.succeeded", "payment.updated")) // S0-75
			equal(t, "audit", w.Audited()[sinceAudit:], []string{"payment.settle"})
			var recorded string
			if err := testkit.OwnerDB(t).NewRaw("SELECT after FROM audit_log WHERE tenant_id = ? AND action = 'payment.settle'", w.Tenant.ID).Scan(t.Context(), &recorded); err != nil {
				t.Fatal(err)
			}
			equal(t, "what the record says", recorded, fmt.Sprintf(`{"status": "succeeded", "columns": "payment_id invoice_status currency applied_minor excess_minor", "payments": ["%s %s USD %d %d"]}`,
				p.ID, c.invoice, c.applied, c.excess))

			settled := w.Snapshot()
			w.SettleAll() // running twice is running once
			unchanged(t, w, settled)
			w.AssertBooks(t)
		})
	}
}

func TestTwoClaimsOnOneInvoice(t *testing.T) { // race 6, S1-59
	t.Parallel()
	w := billingtest.New(t)
	w.Configure(tenancy.UpdateInput{AllowParallelClaims: ptr(true)})
	inv := w.OpenInvoice("150.00", func(in *invoices.CreateInput) { in.Lines[0].Credits = 10 })
	first := w.Submit(inv.ID, func(in *payments.SubmitManualInput) { in.Amount = fixed(10000) })
	second := w.Submit(inv.ID, func(in *payments.SubmitManualInput) { in.Amount = fixed(10000) })
	third := w.Submit(inv.ID, func(in *payments.SubmitManualInput) { in.Amount = fixed(100) })
	w.Approve(first.ID, w.Approver)
	w.Approve(second.ID, w.Approver)
	w.SettleAll()
	equal(t, "first", *w.Payment(first.ID).AppliedMinor, int64(10000))
	equal(t, "second", *w.Payment(second.ID).AppliedMinor, int64(5000))
	equal(t, "credit", *w.Payment(second.ID).ExcessMinor, int64(5000))
	paid := w.Invoice(inv.ID)
	equal(t, "paid", paid.PaidMinor, int64(15000))

	t.Run("a claim on an invoice that was paid meanwhile becomes credit", func(t *testing.T) {
		w.Approve(third.ID, w.Approver)
		w.SettleAll()
		p := w.Payment(third.ID)
		equal(t, "applied and credit", []int64{*p.AppliedMinor, *p.ExcessMinor}, []int64{0, 100})
		equal(t, "ledger", posted(w, third.ID), []string{"settle clearing:bank_transfer 100 USD", "settle customer_credit:customer -100 USD"})
		again := w.Invoice(inv.ID)
		equal(t, "paid at", again.PaidAt, paid.PaidAt)
		equal(t, "claims", again.PendingClaims, 0)
	})
	equal(t, "credits are granted once", w.Balance(ledger.Credits(w.Account.ID)), int64(-10))
	w.AssertBooks(t)
}

// backlog makes n approved payments, one after the other on invoices that are paid in part by them. The rows are
// written as the owner, because hundreds of people deciding take their time.
func backlog(t *testing.T, w *billingtest.World, n int, others ...uuid.UUID) {
	t.Helper()
	customers := append([]uuid.UUID{w.Account.ID}, others...)
	var ids []uuid.UUID
	for i := range min(n, 8) {
		ids = append(ids, w.OpenInvoice("1000000.00", func(in *invoices.CreateInput) { in.Account = customers[i%len(customers)].String() }).ID)
	}
	for i, id := range ids {
		share := n / len(ids)
		if i < n%len(ids) {
			share++
		}
		force(t, `WITH made AS (
			INSERT INTO payments (tenant_id, id, account_id, invoice_id, method, gateway, amount_minor, received_minor, currency, status, reference, reference_norm, submitted_by, approved_at)
			SELECT ?0, gen_random_uuid(), ?1, ?2, 'bank_transfer', 'manual', 100 + g, 100 + g, 'USD', 'processing', 'BULK ' || ?2 || g, 'BULK' || ?2 || g, ?3, clock_timestamp()
			FROM generate_series(1, ?4) AS g RETURNING 1)
			UPDATE invoices SET pending_claims = (SELECT count(*) FROM made), clock_paused_at = now() WHERE tenant_id = ?0 AND id = ?2`,
			w.Tenant.ID, customers[i%len(customers)], id, w.Member.ID, share)
	}
	enqueue(t, w)
}

// count gives a number that the owner of the schema reads.
func count(t testing.TB, query string, args ...any) int {
	t.Helper()
	var n int
	if err := testkit.OwnerDB(t).NewRaw(query, args...).Scan(t.Context(), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func unsettled(t testing.TB, w *billingtest.World) int {
	t.Helper()
	return count(t, "SELECT count(*) FROM payments WHERE tenant_id = ? AND status = 'processing' AND set_aside = ''", w.Tenant.ID)
}

// A set costs the same number of statements whatever its size.
func TestSettleStatements(t *testing.T) {
	t.Parallel()
	statements := map[int]int64{}
	for _, n := range []int{1, 10, 999} {
		w := billingtest.New(t)
		backlog(t, w, n)
		ctx, counted := testkit.Count(w.System)
		if err := w.Payments.Settle(ctx); err != nil {
			t.Fatal(err)
		}
		statements[n] = counted.Load()
		equal(t, "unsettled", unsettled(t, w), 0)
		w.AssertBooks(t)
	}
	if statements[1] != statements[10] || statements[10] != statements[999] || statements[1] > 12 {
		t.Errorf("statements by size of the set: %v", statements)
	}
}

func TestSetAside(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ spoil, mend, reason string }{
		"another currency than its invoice": {"WITH q AS (UPDATE settlement_queue SET currency = 'EUR' WHERE tenant_id = ?0 AND payment_id = ?1) UPDATE payments SET currency = 'EUR' WHERE tenant_id = ?0 AND id = ?1",
			"UPDATE payments SET currency = 'USD' WHERE tenant_id = ? AND id = ?", "currency_mismatch"},
		"a currency that nobody knows": {"WITH q AS (UPDATE settlement_queue SET currency = 'ZZZ' WHERE tenant_id = ?0 AND payment_id = ?1) UPDATE payments SET currency = 'ZZZ' WHERE tenant_id = ?0 AND id = ?1",
			"UPDATE payments SET currency = 'USD' WHERE tenant_id = ? AND id = ?", "currency_mismatch"},
		"an invoice that counts no claim": {"UPDATE invoices SET pending_claims = 0, clock_paused_at = NULL WHERE tenant_id = ? AND id = (SELECT invoice_id FROM payments WHERE id = ?)",
			"UPDATE invoices SET pending_claims = 1, clock_paused_at = now() WHERE tenant_id = ? AND id = (SELECT invoice_id FROM payments WHERE id = ?)", "internal_error"},
		"a posting that is there already": {`INSERT INTO ledger_transactions (tenant_id, id, cause, kind, lines, posted_by) SELECT ?, gen_random_uuid(), 'payment:' || ?::text || ':settle', 'x', 2, 'x'`,
			"DELETE FROM ledger_transactions WHERE tenant_id = ? AND cause = 'payment:' || ?::text || ':settle'", "already_posted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := billingtest.New(t)
			var good []uuid.UUID
			approved := func() uuid.UUID {
				id := w.Submit(w.OpenInvoice("10.00").ID).ID
				w.Approve(id, w.Approver)
				return id
			}
			for range 3 {
				good = append(good, approved())
			}
			bad := approved()
			for range 3 {
				good = append(good, approved())
			}
			force(t, c.spoil, w.Tenant.ID, bad)
			w.SettleAll()
			for _, id := range good {
				status(t, w, id, payments.StatusSucceeded)
			}
			equal(t, "reason", reasonOf(t, w, bad), c.reason)
			equal(t, "events", slices.Contains(events(w), payments.EventSetAside[len("payment."):]), true)
			equal(t, "audit", w.Audited("payment.set_aside"), []string{"payment.set_aside"})
			if slices.Contains(waitingTenants(t, w), w.Tenant.ID) {
				t.Error("what was set aside still rings the doorbell")
			}
			before := w.Snapshot()
			w.SettleAll()
			unchanged(t, w, before)

			force(t, c.mend, w.Tenant.ID, bad)
			_, err := w.Payments.Resume(w.Owner.Ctx, good[0])
			refusal(t, err, payments.ErrNotSetAside)
			if _, err = w.Payments.Resume(w.Owner.Ctx, bad); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(waitingTenants(t, w), w.Tenant.ID) {
				t.Error("what was resumed does not ring the doorbell")
			}
			w.SettleAll()
			status(t, w, bad, payments.StatusSucceeded)
			w.AssertBooks(t)
		})
	}
}

func reasonOf(t *testing.T, w *billingtest.World, id uuid.UUID) string {
	t.Helper()
	var reason string
	if err := testkit.OwnerDB(t).NewRaw("SELECT set_aside FROM payments WHERE tenant_id = ? AND id = ?", w.Tenant.ID, id).Scan(t.Context(), &reason); err != nil {
		t.Fatal(err)
	}
	return reason
}

func waitingTenants(t *testing.T, w *billingtest.World) []uuid.UUID {
	t.Helper()
	var tenants []uuid.UUID
	err := tenancy.Observe(t.Context(), w.DB, func(ctx context.Context, tx bun.Tx) (err error) {
		tenants, err = w.Payments.App().Doorbells[0].Waiting(ctx, tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tenants
}

// S3-54: with every worker stopped nothing is lost, and what follows a crash between two commits is the next step.
func TestCrashBetweenCommits(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	inv := w.OpenInvoice("150.00")
	p := w.Submit(inv.ID) // commit 1
	again := w.Replica(w.DB)
	status(t, again, p.ID, payments.StatusPendingApproval)
	again.Approve(p.ID, again.Approver) // commit 2, by another process
	equal(t, "waiting", slices.Contains(waitingTenants(t, again), w.Tenant.ID), true)
	third := w.Replica(w.DB)
	third.SettleAll() // commit 3, by a third
	w.SettleAll()     // the first comes back and finds nothing to do
	status(t, w, p.ID, payments.StatusSucceeded)
	equal(t, "waiting", slices.Contains(waitingTenants(t, w), w.Tenant.ID), false)
	equal(t, "ledger", len(posted(w, p.ID)), 2)
	w.AssertBooks(t)
}

// What travels with COMMIT fails the whole transaction: here a request id that PostgreSQL cannot store.
func TestFailureInTheLastBatch(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	broken := func(ctx context.Context) context.Context { return auth.WithRequest(ctx, auth.Request{ID: "\x00"}) }
	inv, open := w.OpenInvoice("150.00"), w.OpenInvoice("10.00")
	p := w.Submit(inv.ID)
	digest := w.Digest(p.ID)
	before := w.Snapshot()
	attempt := func(name string, err error) {
		t.Helper()
		if err == nil || errs.As(err) != nil {
			t.Errorf("%s: the answer is %v, want an internal error", name, err)
		}
		unchanged(t, w, before)
	}
	_, err := w.Payments.SubmitManual(broken(w.Member.Ctx), w.Claim(open.ID))
	attempt("submit", err) // S0-72
	keyed := httptest.NewRequest(http.MethodPost, "/", nil)
	keyed.Header.Set("Idempotency-Key", "lost")
	once, err := idempotency.FromRequest(keyed, "payments.manual", uuid.Nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Payments.SubmitManual(broken(w.Member.Ctx), w.Claim(open.ID, func(in *payments.SubmitManualInput) { in.Once = once }))
	attempt("submit with a key", err) // S1-35
	_, err = w.Payments.Approve(broken(w.Approver.Ctx), payments.ApproveInput{ID: p.ID, Digest: digest})
	attempt("approve", err)
	_, err = w.Payments.Reject(broken(w.Approver.Ctx), payments.RejectInput{ID: p.ID, Digest: digest, Reason: "x"})
	attempt("reject", err)
	_, err = w.Payments.Cancel(broken(w.Member.Ctx), payments.StepInput{ID: p.ID})
	attempt("withdraw", err)

	w.Approve(p.ID, w.Approver)
	before = w.Snapshot()
	if err := w.Payments.Settle(broken(w.System)); err == nil {
		t.Error("settling succeeded")
	}
	unchanged(t, w, before)

	cancelled, cancel := context.WithCancel(w.System)
	cancel()
	if err := w.Payments.Settle(cancelled); err == nil {
		t.Error("settling with a cancelled context succeeded")
	}
	unchanged(t, w, before)
	w.SettleAll()
	w.AssertBooks(t)
}

func TestGauges(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	w.Submit(w.OpenInvoice("10.00").ID)
	w.Approve(w.Submit(w.OpenInvoice("10.00").ID).ID, w.Approver)
	got, err := w.Payments.Gauges(t.Context()) // over all tenants, and other tests are at work
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"countersign_payments_undecided", "countersign_payments_unsettled"} {
		if got[name] < 1 {
			t.Errorf("%s is %v", name, got[name])
		}
	}
	for _, name := range []string{"countersign_payments_oldest_undecided_age_seconds", "countersign_payments_settlement_lag_seconds"} {
		if got[name] <= 0 {
			t.Errorf("%s is %v", name, got[name])
		}
	}
}
