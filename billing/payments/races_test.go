package payments_test

import (
	"errors"
	"net/http"
	"sync"
	"testing"

	"github.com/google/uuid"

	"countersign/accounts"
	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/payments"
	"countersign/internal/database"
	"countersign/internal/errs"
	"countersign/internal/testkit"
)

// atOnce runs fn n times at once and gives the answers.
func atOnce[T any](n int, fn func(i int) T) []T {
	answers := make([]T, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			answers[i] = fn(i)
		})
	}
	close(start)
	all.Wait()
	return answers
}

// codes counts how errors ended; no error is "done", and one without a code is given as it is.
func codes(list []error) map[string]int {
	m := map[string]int{}
	for _, err := range list {
		switch e := errs.As(err); {
		case err == nil:
			m["done"]++
		case e != nil:
			m[e.Code]++
		default:
			m[err.Error()]++
		}
	}
	return m
}

// replicas gives two processes of one tenant, each on a pool of its own (S1-34).
func replicas(t *testing.T) (*billingtest.World, []*billingtest.World) {
	t.Helper()
	w := billingtest.New(t)
	second, err := database.Open(database.Config{URL: testkit.OwnerURL(), Role: database.AppRole, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { second.Close() })
	return w, []*billingtest.World{w, w.Replica(second)}
}

func paymentsOf(t *testing.T, w *billingtest.World, invoice uuid.UUID) int {
	t.Helper()
	return count(t, "SELECT count(*) FROM payments WHERE tenant_id = ? AND invoice_id = ?", w.Tenant.ID, invoice)
}

func TestRaceOfSubmissions(t *testing.T) { // race 3, S3-31
	t.Parallel()
	w, both := replicas(t)

	t.Run("twenty different claims at once make one row", func(t *testing.T) {
		inv := w.OpenInvoice("10.00")
		got := codes(atOnce(20, func(i int) error {
			_, err := both[i%2].Payments.SubmitManual(w.Member.Ctx, w.Claim(inv.ID))
			return err
		}))
		equal(t, "answers", got, map[string]int{"done": 1, "payment_pending": 19})
		equal(t, "rows", paymentsOf(t, w, inv.ID), 1)
		equal(t, "claims", w.Invoice(inv.ID).PendingClaims, 1)
	})
	t.Run("twenty equal claims at once make one row and one answer", func(t *testing.T) {
		inv := w.OpenInvoice("10.00")
		in := w.Claim(inv.ID)
		ids := map[string]int{}
		for _, answer := range atOnce(20, func(i int) string {
			p, err := both[i%2].Payments.SubmitManual(w.Member.Ctx, in)
			return errors.Join(err, errors.New(p.ID)).Error()
		}) {
			ids[answer]++
		}
		equal(t, "answers", len(ids), 1)
		equal(t, "rows", paymentsOf(t, w, inv.ID), 1)
	})
	t.Run("twenty with one idempotency key make one row and equal answers", func(t *testing.T) { // S1-45
		inv := w.OpenInvoice("10.00")
		request := claim(w, inv.ID)
		clients := []*testkit.Client{both[0].As(w.Member).With("Idempotency-Key", "race-1"), both[1].As(w.Member).With("Idempotency-Key", "race-1")}
		answers := atOnce(20, func(i int) testkit.Answer { return clients[i%2].Post(list+"manual/", request) })
		replayed := 0
		for _, a := range answers {
			a.Expect(http.StatusCreated)
			equal(t, "answer", a.At("data"), answers[0].At("data"))
			if a.Header.Get("Idempotent-Replayed") == "true" {
				replayed++
			}
		}
		equal(t, "replayed", replayed, 19)
		equal(t, "rows", paymentsOf(t, w, inv.ID), 1)
	})
	equal(t, "events", count(t, "SELECT count(*) FROM events WHERE tenant_id = ? AND type = 'payment.created'", w.Tenant.ID), 3) // S0-72
	w.AssertBooks(t)
}

func TestRaceOfDecisions(t *testing.T) { // races 4 and 5
	t.Parallel()
	w, both := replicas(t)
	for name, c := range map[string]struct {
		moves []func(w *billingtest.World, id uuid.UUID, digest string) error
		want  []payments.Status
	}{
		"two approvers": {[]func(*billingtest.World, uuid.UUID, string) error{approveBy(w.Approver), approveBy(w.Second)}, []payments.Status{payments.StatusProcessing}},
		"approve against reject": {[]func(*billingtest.World, uuid.UUID, string) error{approveBy(w.Approver), rejectBy(w.Second)},
			[]payments.Status{payments.StatusProcessing, payments.StatusFailed}},
		"approve against withdraw": {[]func(*billingtest.World, uuid.UUID, string) error{approveBy(w.Approver), withdraw},
			[]payments.Status{payments.StatusProcessing, payments.StatusCancelled}},
		"one person twice": {[]func(*billingtest.World, uuid.UUID, string) error{approveBy(w.Approver), approveBy(w.Approver)}, []payments.Status{payments.StatusProcessing}},
	} {
		t.Run(name, func(t *testing.T) {
			for range 4 {
				inv := w.OpenInvoice("10.00", func(in *invoices.CreateInput) { in.Lines[0].Credits = 7 })
				before := w.Balance(ledger.Credits(w.Account.ID))
				id := w.Submit(inv.ID).ID
				digest := w.Digest(id)
				got := codes(atOnce(2, func(i int) error { return c.moves[i](both[i], id, digest) }))
				if got["done"] != 1 || got["payment_not_pending"] != 1 {
					t.Errorf("the answers are %v, want one success and one 409", got)
				}
				p := w.Payment(id)
				if p.Status != c.want[0] && p.Status != c.want[len(c.want)-1] {
					t.Errorf("the payment is %s", p.Status)
				}
				atOnce(2, func(i int) error { both[i].SettleAll(); return nil })
				granted := int64(0)
				if w.Payment(id).Status == payments.StatusSucceeded {
					granted = -7
				}
				equal(t, "credits granted", w.Balance(ledger.Credits(w.Account.ID))-before, granted) // S3-53
			}
		})
	}
	w.AssertBooks(t)
}

func approveBy(p *billingtest.Person) func(*billingtest.World, uuid.UUID, string) error {
	return func(w *billingtest.World, id uuid.UUID, digest string) error {
		_, err := w.Payments.Approve(p.Ctx, payments.ApproveInput{ID: id, Digest: digest})
		return err
	}
}

func rejectBy(p *billingtest.Person) func(*billingtest.World, uuid.UUID, string) error {
	return func(w *billingtest.World, id uuid.UUID, digest string) error {
		_, err := w.Payments.Reject(p.Ctx, payments.RejectInput{ID: id, Digest: digest, Reason: "race"})
		return err
	}
}

func withdraw(w *billingtest.World, id uuid.UUID, _ string) error {
	_, err := w.Payments.Cancel(w.Member.Ctx, payments.StepInput{ID: id})
	return err
}

// Submissions, withdrawals and settlers take their locks in one order, so nobody waits for each other in a circle.
func TestRaceOfSettlers(t *testing.T) { // race 16 in small
	t.Parallel()
	w, both := replicas(t)
	backlog(t, w, 300)
	inv := w.OpenInvoice("10.00")
	deadlocks := deadlocksSoFar(t)
	got := codes(atOnce(9, func(i int) error {
		if i < 8 {
			return both[i%2].Payments.Settle(w.System)
		}
		for range 5 {
			p, err := w.Payments.SubmitManual(w.Member.Ctx, w.Claim(inv.ID))
			if err != nil {
				return err
			}
			if _, err := w.Payments.Cancel(w.Member.Ctx, payments.StepInput{ID: uuid.MustParse(p.ID)}); err != nil {
				return err
			}
		}
		return nil
	}))
	equal(t, "answers", got, map[string]int{"done": 9})
	w.SettleAll() // what a settler had locked when all others looked
	equal(t, "unsettled", unsettled(t, w), 0)
	equal(t, "posted", count(t, "SELECT count(*) FROM ledger_transactions WHERE tenant_id = ? AND kind = 'payment_settled'", w.Tenant.ID), 300)
	equal(t, "told", count(t, "SELECT count(*) FROM events WHERE tenant_id = ? AND type = 'payment.succeeded'", w.Tenant.ID), 300)
	equal(t, "set aside", count(t, "SELECT count(*) FROM payments WHERE tenant_id = ? AND set_aside <> ''", w.Tenant.ID), 0)
	equal(t, "deadlocks", deadlocksSoFar(t), deadlocks)
	w.AssertBooks(t)
}

// deadlocksSoFar is of the whole server: other tests have no excuse for a deadlock either.
func deadlocksSoFar(t *testing.T) int {
	t.Helper()
	return count(t, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
}

// A backlog of more than one set is settled by several writers at once.
func TestBacklog(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	var others []uuid.UUID
	for range 7 { // a customer's payments are one writer's
		others = append(others, w.NewAccount(accounts.CreateAccountInput{Holder: "Another Customer"}).ID)
	}
	backlog(t, w, 4803, others...)
	w.SettleAll()
	equal(t, "unsettled", unsettled(t, w), 0)
	w.AssertBooks(t)
}

// Two settlers that hold one invoice's payments never pay it above its total (race 6, S1-59).
func TestRaceForOneBalance(t *testing.T) {
	t.Parallel()
	w, both := replicas(t)
	inv := w.OpenInvoice("50.00")
	force(t, `WITH made AS (
		INSERT INTO payments (tenant_id, id, account_id, invoice_id, method, gateway, amount_minor, received_minor, currency, status, reference, reference_norm, submitted_by, approved_at)
		SELECT ?0, gen_random_uuid(), ?1, ?2, 'bank_transfer', 'manual', 1000, 1000, 'USD', 'processing', 'B' || g, 'B' || g, ?3, now() FROM generate_series(1, 40) AS g RETURNING 1)
		UPDATE invoices SET pending_claims = 40, clock_paused_at = now() WHERE tenant_id = ?0 AND id = ?2`, w.Tenant.ID, w.Account.ID, inv.ID, w.Member.ID)
	enqueue(t, w)
	atOnce(4, func(i int) error { both[i%2].SettleAll(); return nil })
	w.SettleAll()
	after := w.Invoice(inv.ID)
	equal(t, "paid", after.PaidMinor, int64(5000))
	equal(t, "credit", w.Balance(ledger.CustomerCredit(w.Account.ID, "USD")), int64(-35000))
	w.AssertBooks(t)
}
