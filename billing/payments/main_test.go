package payments_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/payments"
	"countersign/internal/errs"
	"countersign/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

const (
	base = billingtest.Base + "/billing"
	list = base + "/payments/"
)

// one is the path of a payment, with what follows.
func one(id uuid.UUID, more string) string { return list + id.String() + "/" + more }

// body is an object of pairs.
func body(pairs ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

// claim is what a claim needs: G-08 with pairs added, changed, or left out where they are nil.
func claim(w *billingtest.World, invoice uuid.UUID, pairs ...any) map[string]any {
	m := body("invoice_id", invoice.String(), "payment_method", "bank_transfer", "transaction_reference", w.Reference(), "notes", "Paid at the counter")
	for k, v := range body(pairs...) {
		m[k] = v
		if v == nil {
			delete(m, k)
		}
	}
	return m
}

func submit(w *billingtest.World, by *billingtest.Person, body any) testkit.Answer {
	return w.As(by).Post(list+"manual/", body)
}

// idOf gives the id of the payment in an answer.
func idOf(a testkit.Answer) uuid.UUID { return uuid.MustParse(a.Text("data.id")) }

// unchanged fails the test when two snapshots differ.
func unchanged(t *testing.T, w *billingtest.World, before map[string]string) {
	t.Helper()
	if diff := cmp.Diff(before, w.Snapshot()); diff != "" {
		t.Errorf("something was changed (-before +after):\n%s", diff)
	}
}

// refusal fails the test unless err is the wanted one.
func refusal(t *testing.T, err error, want *errs.Error) {
	t.Helper()
	if got := errs.As(err); got == nil || got.Code != want.Code {
		t.Errorf("the answer is %v, want %s", err, want.Code)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// events gives the events of payments in order, without the prefix.
func events(w *billingtest.World) []string {
	types := w.Events("payment.")
	for i := range types {
		types[i] = strings.TrimPrefix(types[i], "payment.")
	}
	return types
}

func status(t *testing.T, w *billingtest.World, id uuid.UUID, want payments.Status) {
	t.Helper()
	if got := w.Payment(id).Status; got != want {
		t.Errorf("the payment is %s, want %s", got, want)
	}
}

// force runs a statement as the owner of the schema, past triggers and row-level security, to make what no service makes.
func force(t testing.TB, query string, args ...any) {
	t.Helper()
	err := testkit.OwnerDB(t).RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.ExecContext(ctx, "SET LOCAL session_replication_role = replica"); err != nil {
			return err
		}
		_, err := tx.NewRaw(query, args...).Exec(ctx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// enqueue puts what force has approved into the worker's queue, as the trigger would have, with the decisions behind it.
func enqueue(t testing.TB, w *billingtest.World) {
	t.Helper()
	force(t, `INSERT INTO settlement_queue (tenant_id, payment_id, account_id, invoice_id, method, amount_minor, received_minor, currency, approved_at)
		SELECT tenant_id, id, account_id, invoice_id, method, amount_minor, received_minor, currency, approved_at FROM payments WHERE tenant_id = ? AND status = 'processing'
		ON CONFLICT DO NOTHING`, w.Tenant.ID)
	force(t, `INSERT INTO decisions (tenant_id, id, subject_type, subject_id, verdict, user_id, user_label, digest, received_minor, required)
		SELECT tenant_id, gen_random_uuid(), 'payment', id, 'approve', ?1, 'approver', sha256('forced'), received_minor, 1 FROM payments WHERE tenant_id = ?0 AND status = 'processing'
		ON CONFLICT DO NOTHING`, w.Tenant.ID, w.Approver.ID)
}
