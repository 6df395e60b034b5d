package payments_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/payments"
	"countersign/internal/database"
	"countersign/internal/testkit"
)

// W-04, S1-32: the table in Go and the trigger of the database know the same edges, all others are refused by both.
func TestTransitions(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := w.Submit(w.OpenInvoice("10.00").ID)
	for _, from := range payments.Statuses() {
		for _, to := range payments.Statuses() {
			if from == to {
				continue
			}
			force(t, "UPDATE payments SET status = ?, refunded_minor = 0, applied_minor = amount_minor, excess_minor = 0, processed_at = now() WHERE tenant_id = ? AND id = ?", from, w.Tenant.ID, p.ID)
			refunded := map[payments.Status]int64{payments.StatusPartiallyRefunded: 1, payments.StatusRefunded: p.AmountMinor}[to] // as the status says
			err := raw(w.System, w, "UPDATE payments SET status = $3, refunded_minor = $4 WHERE tenant_id = $1 AND id = $2", w.Tenant.ID, p.ID, string(to), refunded)
			if want := from.CanBecome(to); (err == nil) != want || err != nil && !database.IsCheck(err, "payments_transition") {
				t.Errorf("%s to %s: Go says %t, the database %v", from, to, want, err)
			}
		}
	}
	t.Run("only the reconciler brings a refused payment back", func(t *testing.T) { // C-10
		for _, from := range []payments.Status{payments.StatusFailed, payments.StatusCancelled, payments.StatusExpired} {
			force(t, "UPDATE payments SET status = ?, applied_minor = amount_minor, excess_minor = 0, processed_at = now() WHERE tenant_id = ? AND id = ?", from, w.Tenant.ID, p.ID)
			err := raw(w.System, w, "UPDATE payments SET status = 'succeeded', reconciliation_status = 'matched' WHERE tenant_id = $1 AND id = $2", w.Tenant.ID, p.ID)
			if err != nil {
				t.Errorf("%s: %v", from, err)
			}
		}
	})
}

// refusedBy is how the database has said no: its SQLSTATE, and the name of what refuses where it has one.
func refusedBy(err error) string {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return fmt.Sprint(err)
	}
	return refused.Code + " " + refused.ConstraintName
}

// S0D-01, S0-17, S0-18, S0-20, S0-24, W-29: what was claimed stays, whoever writes.
func TestWhatSQLRefuses(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := w.Submit(w.OpenInvoice("10.00").ID, func(in *payments.SubmitManualInput) { in.Details = map[string]string{"bank_name": "City"} })
	other := w.OpenInvoice("10.00")
	before := w.Snapshot()
	const immutable, forbidden = "23514 payments_immutable", "42501 "
	for _, change := range []struct{ set, want string }{
		{"id = gen_random_uuid()", immutable}, {"account_id = '" + w.Other.ID.String() + "'", immutable}, {"invoice_id = '" + other.ID.String() + "'", immutable}, {"invoice_id = NULL", "23514 payments_manual_check"},
		{"method = 'local_wallet'", immutable}, {"gateway = 'cash'", immutable}, {"amount_minor = 1", immutable}, {"currency = 'EUR'", immutable}, {"reference = 'other'", immutable},
		{"submitted_by = '" + w.Owner.ID.String() + "'", immutable}, {"created_at = now()", immutable},
		{"tenant_id = NULL", forbidden}, {"tenant_id = '" + billingtest.New(t).Tenant.ID.String() + "'", forbidden}, {"currency = 'usd'", "23514 currency_code_check"},
		{"status = 'paid'", "23514 payment_status_check"}, {"amount_minor = 0", "23514 positive_minor_check"}, {"received_minor = -1", "23514 positive_minor_check"},
		{"refunded_minor = 2000", "23514 payments_refunded_check"}, {"applied_minor = 1, excess_minor = 1", "23514 payments_settled_check"}, {"details = '[]'", "23514 json_object_check"},
		{"status = 'succeeded'", "23514 payments_succeeded_check"}, {"deleted_at = now()", "23514 payments_deleted_check"},
	} {
		if got := refusedBy(raw(w.System, w, "UPDATE payments SET "+change.set+" WHERE tenant_id = $1 AND id = $2", w.Tenant.ID, p.ID)); got != change.want {
			t.Errorf("SET %s is answered %q, want %q", change.set, got, change.want)
		}
	}
	for _, statement := range []string{"DELETE FROM payments WHERE tenant_id = $1", "DELETE FROM payment_evidence WHERE tenant_id = $1",
		"UPDATE payment_evidence SET created_at = now() WHERE tenant_id = $1", "UPDATE decisions SET note = 'x' WHERE tenant_id = $1", "DELETE FROM decisions WHERE tenant_id = $1"} {
		if got := refusedBy(raw(w.System, w, statement, w.Tenant.ID)); got != forbidden {
			t.Errorf("%s is answered %q", statement, got)
		}
	}
	unchanged(t, w, before)

	t.Run("the received amount is part of the decision", func(t *testing.T) {
		w.Approve(p.ID, w.Approver, received(900))
		err := raw(w.System, w, "UPDATE payments SET received_minor = 1000 WHERE tenant_id = $1 AND id = $2", w.Tenant.ID, p.ID)
		if !database.IsCheck(err, "payments_immutable") {
			t.Errorf("the answer is %v", err)
		}
	})
	t.Run("the rules hold for the owner of the schema too", func(t *testing.T) {
		_, err := testkit.OwnerDB(t).NewRaw("UPDATE payments SET amount_minor = 1 WHERE tenant_id = ? AND id = ?", w.Tenant.ID, p.ID).Exec(t.Context())
		if !database.IsCheck(err, "payments_immutable") {
			t.Errorf("the answer is %v", err)
		}
	})
	t.Run("a manual payment has an invoice, a reference and somebody who submitted it", func(t *testing.T) { // S3-41
		_, err := testkit.OwnerDB(t).NewRaw(`INSERT INTO payments (tenant_id, id, account_id, method, gateway, amount_minor, currency, status, reference, reference_norm, submitted_by)
			VALUES (?, gen_random_uuid(), ?, 'bank_transfer', 'manual', 1, 'USD', 'pending_approval', 'R', 'R', ?)`, w.Tenant.ID, w.Account.ID, w.Member.ID).Exec(t.Context())
		if !database.IsCheck(err, "payments_manual_check") {
			t.Errorf("the answer is %v", err)
		}
	})
}

// S0-18, S3-36: row-level security says the same as the code, for whoever forgets a condition.
func TestRowLevelSecurity(t *testing.T) {
	t.Parallel()
	w, neighbour := billingtest.New(t), billingtest.New(t)
	w.Submit(w.OpenInvoice("10.00").ID)
	visible := func(p *billingtest.Person) (n int) {
		for _, world := range []*billingtest.World{w, neighbour} {
			err := database.Read(p.Ctx, w.DB, func(ctx context.Context, tx bun.Tx) error {
				var found int
				err := tx.NewRaw("SELECT count(*) FROM payments WHERE tenant_id = ?", world.Tenant.ID).Scan(ctx, &found)
				n += found
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	for name, c := range map[string]struct {
		who  *billingtest.Person
		want int
	}{"staff": {w.Viewer, 1}, "its member": {w.Member, 1}, "another account's member": {w.OtherMember, 0}, "the neighbour's owner": {neighbour.Owner, 0}} {
		equal(t, name, visible(c.who), c.want)
	}
}

func TestFinalStatuses(t *testing.T) {
	t.Parallel()
	for _, from := range []payments.Status{payments.StatusRefunded, payments.StatusFailed, payments.StatusCancelled, payments.StatusExpired} {
		for _, to := range payments.Statuses() {
			if from.CanBecome(to) {
				t.Errorf("%s can become %s", from, to)
			}
		}
	}
}
