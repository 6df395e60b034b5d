package main

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/uptrace/bun"

	"countersign/internal/database"
	"countersign/internal/testkit"
)

// How PostgreSQL says no: SQLSTATE, and the name of what refuses where it has one.
const (
	forbidden = "42501" // the program's role may not, or row-level security refuses the row
	restrict  = "23001" // history
	foreign   = "23503 "
	unique    = "23505 "
	check     = "23514 "
)

// TestTheDatabaseSaysNo lists what holds whoever writes, and tries each in plain SQL, as the program's own role, in a
// tenant that has a row in every table. Words in braces stand for ids of that tenant. What each table refuses more is
// shown beside its package: TestDatabase and TestRefusals of the ledger, TestTransitions (every edge), TestWhatSQLRefuses
// and TestWhatSQLRefusesOfRefunds of payments, TestAdjustmentGuards, TestCreditNoteGuards and TestWriteOffGuards of
// invoices; and TestWalls climbs the walls between tenants and accounts in every table.
func TestTheDatabaseSaysNo(t *testing.T) {
	t.Parallel()
	e, neighbour := newEstate(t), newEstate(t)
	e.answered(t)
	ids := strings.NewReplacer("{tenant}", e.Tenant.ID.String(), "{neighbour}", neighbour.Tenant.ID.String(), "{theirs}", neighbour.First.Open,
		"{undecided}", e.First.Undecided, "{settled}", e.First.Settled, "{withdrawn}", e.First.Withdrawn,
		"{draft}", e.First.Draft, "{open}", e.First.Free, "{paid}", e.First.Paid, "{note}", e.First.Note, "{adjustment}", e.First.Adjustment,
		"{subscription}", e.First.Subscription, "{refund}", e.First.Refund, "{writeoff}", e.First.WriteOff, "{conversion}", e.First.Conversion, "{reversed}", e.First.Reversed,
		"{member}", e.Member.ID.String(), "{owner}", e.Owner.ID.String(), "{approver}", e.Approver.ID.String(),
		"{payment columns}", "tenant_id, id, account_id, invoice_id, method, gateway, amount_minor, currency, status, reference, reference_norm",
		"{decide}", "INSERT INTO decisions (tenant_id, id, subject_type, subject_id, verdict, digest, required, user_label, user_id)",
		"{refunding}", "INSERT INTO refunds (tenant_id, id, payment_id, amount_minor, currency, status, mode, reason, by_one, requested_label)",
		"{adjust}", "INSERT INTO invoice_adjustments (tenant_id, id, invoice_id, account_id, kind, amount_minor, currency, reverses, made_by)",
		"{digest}", "decode(repeat('00', 32), 'hex')",
		// the header of a group of two entries under a cause, and an entry of it by the code of its account
		"{posted under}", "INSERT INTO ledger_transactions (tenant_id, id, cause, kind, lines, posted_by) SELECT '{tenant}', '00000000-0000-7000-8000-000000000001', 'raw', 'raw', 2, 'raw'",
		"{entries}", "INSERT INTO ledger_entries (tenant_id, transaction_id, line, ledger_account_id, amount_minor, currency) SELECT a.tenant_id, '00000000-0000-7000-8000-000000000001', v.line, a.id, v.amount, a.currency FROM ledger_accounts a")
	posted := "INSERT INTO ledger_transactions (tenant_id, id, cause, kind, lines, posted_by) VALUES ('{tenant}', '00000000-0000-7000-8000-000000000001', 'raw', 'raw', 2, 'raw'); "

	for _, promise := range []struct {
		name     string
		attempts [][2]string // a statement, and what refuses it
	}{
		{"books are zero", [][2]string{
			{posted + "{entries}, (VALUES (1, 'clearing', 5), (2, 'receivable', -4)) AS v(line, code, amount) WHERE a.tenant_id = '{tenant}' AND a.code = v.code AND a.currency = 'USD' AND a.owner IN ('bank_transfer', '{account}')", check + "ledger_entries_balance"},
			{posted + "{entries}, (VALUES (1, 5), (3, -5)) AS v(line, amount) WHERE a.tenant_id = '{tenant}' AND a.code = 'revenue' AND a.currency = 'USD'", check + "ledger_entries_complete"},
			{"INSERT INTO ledger_entries SELECT tenant_id, transaction_id, line + 100, ledger_account_id, amount_minor, currency, now() FROM ledger_entries WHERE tenant_id = '{tenant}'", check + "ledger_entries_complete"},
			{"UPDATE ledger_entries SET amount_minor = amount_minor + 1 WHERE tenant_id = '{tenant}'", forbidden},
			{"DELETE FROM ledger_entries WHERE tenant_id = '{tenant}'", forbidden},
			{"TRUNCATE ledger_entries", forbidden},
			{"UPDATE ledger_transactions SET cause = 'other' WHERE tenant_id = '{tenant}'", forbidden},
			{"DELETE FROM ledger_transactions WHERE tenant_id = '{tenant}'", forbidden},
			{"UPDATE ledger_accounts SET class = 'income' WHERE tenant_id = '{tenant}'", forbidden},
			{"ALTER TABLE ledger_entries DISABLE TRIGGER ALL", forbidden},
			{"SET LOCAL session_replication_role = replica", forbidden},
		}},
		{"money counts once", [][2]string{
			{"INSERT INTO ledger_transactions (tenant_id, id, cause, kind, lines, posted_by) SELECT tenant_id, gen_random_uuid(), cause, kind, lines, posted_by FROM ledger_transactions WHERE tenant_id = '{tenant}' AND payment_id = '{settled}'", unique + "ledger_transactions_cause_key"},
			{"INSERT INTO settlement_queue SELECT tenant_id, id, account_id, invoice_id, method, amount_minor, amount_minor, currency, now() FROM payments WHERE tenant_id = '{tenant}' AND id = '{undecided}'", forbidden},
			{"UPDATE settlement_queue SET received_minor = 1 WHERE tenant_id = '{tenant}'", forbidden},
			{"UPDATE settlement_queue SET approved_at = now() WHERE tenant_id = '{tenant}'", restrict},
			{"UPDATE payments SET applied_minor = 0, excess_minor = applied_minor + excess_minor WHERE tenant_id = '{tenant}' AND id = '{settled}'", check + "payments_immutable"},
			{"UPDATE payments SET applied_minor = 1, excess_minor = 1 WHERE tenant_id = '{tenant}' AND id = '{undecided}'", check + "payments_settled_check"},
			{"INSERT INTO fx_reversals SELECT tenant_id, conversion_id, account_id, reason FROM fx_reversals WHERE tenant_id = '{tenant}'", unique + "fx_reversals_pkey"},
			{"INSERT INTO subscription_months SELECT tenant_id, subscription_id, month, account_id, starts_on, ends_on, '{open}' FROM subscription_months WHERE tenant_id = '{tenant}' AND subscription_id = '{subscription}'", unique + "subscription_months_pkey"},
			{"INSERT INTO subscription_months SELECT tenant_id, subscription_id, month + 1, account_id, starts_on, ends_on, invoice_id FROM subscription_months WHERE tenant_id = '{tenant}' AND subscription_id = '{subscription}'", unique + "subscription_months_invoice_key"},
			{"UPDATE subscription_months SET charge_at = now(), payment_id = NULL WHERE tenant_id = '{tenant}' AND subscription_id = '{subscription}'", check + "subscription_months_once"},
			{"UPDATE subscriptions SET months_billed = months_billed - 1 WHERE tenant_id = '{tenant}' AND id = '{subscription}'", check + "subscriptions_months"},
			{"{adjust} SELECT tenant_id, gen_random_uuid(), invoice_id, account_id, kind, -amount_minor - 1, currency, id, 'x' FROM invoice_adjustments WHERE tenant_id = '{tenant}' AND id = '{adjustment}'", foreign + "invoice_adjustments_reverses_fk"},
		}},
		{"nothing is below zero", [][2]string{
			{"UPDATE ledger_balances SET amount_minor = 1 WHERE tenant_id = '{tenant}' AND code = 'customer_credit'", check + "ledger_balances_credit_check"},
			{"UPDATE invoices SET paid_minor = total_minor + 1, balance_minor = -1 WHERE tenant_id = '{tenant}' AND id = '{paid}'", check + "amount_minor_check"},
			{"UPDATE invoices SET paid_minor = -1, balance_minor = total_minor + 1 WHERE tenant_id = '{tenant}' AND id = '{open}'", check + "amount_minor_check"},
			{"UPDATE invoices SET balance_minor = balance_minor - 1 WHERE tenant_id = '{tenant}' AND id = '{open}'", check + "invoices_balance_check"},
			{"UPDATE invoices SET pending_claims = -1 WHERE tenant_id = '{tenant}' AND id = '{open}'", check + "invoices_pending_claims_check"},
			{"UPDATE payments SET refunded_minor = amount_minor + 1 WHERE tenant_id = '{tenant}' AND id = '{settled}'", check + "payments_refunded_check"},
		}},
		{"statuses move along their edges", [][2]string{
			{"UPDATE payments SET status = 'pending_approval' WHERE tenant_id = '{tenant}' AND id = '{settled}'", check + "payments_transition"},
			{"UPDATE payments SET status = 'succeeded', applied_minor = amount_minor, excess_minor = 0, processed_at = now() WHERE tenant_id = '{tenant}' AND id = '{undecided}'", check + "payments_transition"},
			{"UPDATE payments SET status = 'processing' WHERE tenant_id = '{tenant}' AND id = '{withdrawn}'", check + "payments_transition"},
			{"UPDATE payments SET status = 'done' WHERE tenant_id = '{tenant}' AND id = '{undecided}'", check + "payment_status_check"},
			{"UPDATE invoices SET status = 'draft', finalized_at = NULL WHERE tenant_id = '{tenant}' AND id = '{open}'", check + "invoices_transition"},
			{"UPDATE invoices SET status = 'uncollectible', paid_at = NULL WHERE tenant_id = '{tenant}' AND id = '{paid}'", check + "invoices_transition"},
			{"UPDATE invoices SET status = 'paid', paid_at = now() WHERE tenant_id = '{tenant}' AND id = '{open}'", check + "invoices_amounts_fit_status"},
			{"UPDATE refunds SET status = 'pending_approval' WHERE tenant_id = '{tenant}' AND id = '{refund}'", check + "refunds_transition"},
			{"UPDATE refunds SET status = 'succeeded', payout_reference = 'X' WHERE tenant_id = '{tenant}' AND id = '{refund}'", check + "refunds_succeeded_check"},
			{"UPDATE write_offs SET status = 'reversed', decided_at = now(), reversed_at = now() WHERE tenant_id = '{tenant}' AND id = '{writeoff}'", check + "write_offs_transition"},
			{"UPDATE credit_notes SET amount_minor = 0 WHERE tenant_id = '{tenant}' AND id = '{note}'", forbidden},
			{"UPDATE fx_conversions SET to_minor = to_minor + 1 WHERE tenant_id = '{tenant}' AND id = '{conversion}'", forbidden},
		}},
		{"what was claimed and billed stays", [][2]string{
			{"UPDATE payments SET amount_minor = amount_minor + 1 WHERE tenant_id = '{tenant}' AND id = '{undecided}'", check + "payments_immutable"},
			{"UPDATE payments SET invoice_id = '{open}' WHERE tenant_id = '{tenant}' AND id = '{undecided}'", check + "payments_immutable"},
			{"UPDATE payments SET submitted_by = '{owner}' WHERE tenant_id = '{tenant}' AND id = '{undecided}'", check + "payments_immutable"},
			{"INSERT INTO payments ({payment columns}) SELECT tenant_id, gen_random_uuid(), account_id, invoice_id, method, gateway, amount_minor, currency, status, reference, reference_norm FROM payments WHERE tenant_id = '{tenant}' AND id = '{undecided}'", unique + "payments_reference_key"},
			{"DELETE FROM payments WHERE tenant_id = '{tenant}' AND id = '{undecided}'", forbidden},
			{"UPDATE subscriptions SET amount_minor = 1 WHERE tenant_id = '{tenant}' AND id = '{subscription}'", forbidden},
			{"DELETE FROM subscription_months WHERE tenant_id = '{tenant}'", forbidden},
			{"UPDATE invoices SET due_date = due_date + 1 WHERE tenant_id = '{tenant}' AND id = '{open}'", check + "invoices_immutable"},
			{"DELETE FROM line_items WHERE tenant_id = '{tenant}' AND invoice_id = '{open}'", check + "line_items_draft"},
			{"UPDATE evidence SET sha256 = {digest} WHERE tenant_id = '{tenant}'", forbidden},
			{"DELETE FROM payment_evidence WHERE tenant_id = '{tenant}'", forbidden},
		}},
		{"decisions bind, and four eyes hold", [][2]string{
			{"UPDATE payments SET received_minor = received_minor - 1, applied_minor = applied_minor - 1 WHERE tenant_id = '{tenant}' AND id = '{settled}'", check + "payments_immutable"},
			{"{decide} VALUES ('{tenant}', gen_random_uuid(), 'payment', '{settled}', 'approve', {digest}, 2, 'x', '{approver}')", unique + "decisions_person_key"},
			{"{decide} VALUES ('{tenant}', gen_random_uuid(), 'payment', '{undecided}', 'approve', {digest}, 1, 'x', '{member}')", check + "decisions_submitter"},
			{"{decide} VALUES ('{tenant}', gen_random_uuid(), 'refund', '{refund}', 'approve', {digest}, 1, 'x', '{owner}')", check + "decisions_submitter"},
			{"{decide} VALUES ('{tenant}', gen_random_uuid(), 'write_off', '{writeoff}', 'approve', {digest}, 1, 'x', '{owner}')", check + "decisions_submitter"},
			{"{decide} VALUES ('{tenant}', gen_random_uuid(), 'payment', '{undecided}', 'reject', {digest}, 1, 'x', '{approver}')", check + "decisions_reason_check"},
			{"UPDATE decisions SET verdict = 'reject', note = 'x' WHERE tenant_id = '{tenant}'", forbidden},
			{"DELETE FROM decisions WHERE tenant_id = '{tenant}'", forbidden},
			{"UPDATE refunds SET amount_minor = amount_minor + 1 WHERE tenant_id = '{tenant}' AND id = '{refund}'", check + "refunds_immutable"},
			{"UPDATE refunds SET by_one = false, approved_at = now() WHERE tenant_id = '{tenant}' AND id = '{refund}'", check + "refunds_immutable"},
			{"UPDATE write_offs SET amount_minor = 1 WHERE tenant_id = '{tenant}' AND id = '{writeoff}'", forbidden},
		}},
		{"no more goes back than was taken", [][2]string{
			{"{refunding} SELECT tenant_id, gen_random_uuid(), id, amount_minor, currency, 'pending', 'manual', 'other', true, 'x' FROM payments WHERE tenant_id = '{tenant}' AND id = '{settled}'", check + "refunds_sum_check"},
			{"{refunding} SELECT tenant_id, gen_random_uuid(), id, 1, currency, 'pending', 'manual', 'other', true, 'x' FROM payments WHERE tenant_id = '{tenant}' AND id = '{undecided}'", check + "refunds_payment_check"},
			{"{refunding} SELECT tenant_id, gen_random_uuid(), id, 1, 'EUR', 'pending', 'manual', 'other', true, 'x' FROM payments WHERE tenant_id = '{tenant}' AND id = '{settled}'", check + "refunds_payment_check"},
			{"{refunding} SELECT tenant_id, gen_random_uuid(), id, -1, currency, 'pending', 'manual', 'other', true, 'x' FROM payments WHERE tenant_id = '{tenant}' AND id = '{settled}'", check + "positive_minor_check"},
			{"DELETE FROM refunds WHERE tenant_id = '{tenant}'", forbidden},
		}},
		{"an answer is given once", [][2]string{
			{"INSERT INTO idempotency_keys (tenant_id, owner_id, scope, key, body_hash) SELECT tenant_id, owner_id, scope, key, {digest} FROM idempotency_keys WHERE tenant_id = '{tenant}'", unique + "idempotency_keys_pkey"},
			{"UPDATE idempotency_keys SET answer = '{}' WHERE tenant_id = '{tenant}'", check + "idempotency_keys_answered"},
			{"UPDATE idempotency_keys SET body_hash = {digest} WHERE tenant_id = '{tenant}'", forbidden},
			{"DELETE FROM idempotency_keys WHERE tenant_id = '{tenant}'", forbidden},
			{"INSERT INTO outbox (tenant_id, id, task, cause) SELECT tenant_id, gen_random_uuid(), task, cause FROM outbox WHERE tenant_id = '{tenant}'", unique + "outbox_cause_key"},
		}},
		{"history cannot be rewritten", [][2]string{
			{"UPDATE audit_log SET actor_label = 'somebody else' WHERE tenant_id = '{tenant}'", forbidden},
			{"DELETE FROM audit_log WHERE tenant_id = '{tenant}'", forbidden},
			{"TRUNCATE audit_log", forbidden},
			{"INSERT INTO audit_log (tenant_id, id, actor_kind, actor_label, action, object_type, object_id, chain_seq, chain_hash) VALUES ('{tenant}', gen_random_uuid(), 'system', 'x', 'x', 'x', '{settled}', 1, '')", forbidden},
			{"INSERT INTO audit_log (tenant_id, id, actor_kind, actor_label, action, object_type, object_id, created_at) VALUES ('{tenant}', gen_random_uuid(), 'system', 'x', 'x', 'x', '{settled}', '2020-01-01')", forbidden},
			{"UPDATE audit_heads SET chain_seq = 0 WHERE tenant_id = '{tenant}'", forbidden},
			{"DELETE FROM audit_unsealed WHERE tenant_id = '{tenant}'", forbidden},
			{"UPDATE events SET payload = '{}' WHERE tenant_id = '{tenant}'", forbidden},
			{"DELETE FROM events WHERE tenant_id = '{tenant}'", forbidden},
			{"DELETE FROM outbox WHERE tenant_id = '{tenant}'", forbidden},
			{"DELETE FROM password_resets WHERE tenant_id = '{tenant}'", forbidden},
			{"UPDATE fx_rates SET rate = 1 WHERE tenant_id = '{tenant}'", forbidden},
			{"DELETE FROM payment_anomalies WHERE tenant_id = '{tenant}'", forbidden},
			{"DELETE FROM inbound_events WHERE tenant_id = '{tenant}'", forbidden},
		}},
		{"tenants are sealed", [][2]string{
			{"INSERT INTO number_series (tenant_id, series, year, last_value) VALUES ('{neighbour}', 'x', 2026, 1)", forbidden},
			{"UPDATE number_series SET tenant_id = '{neighbour}' WHERE tenant_id = '{tenant}'", forbidden},
			{"INSERT INTO payments ({payment columns}) SELECT tenant_id, gen_random_uuid(), account_id, '{theirs}', method, gateway, amount_minor, currency, status, 'R', 'R' FROM payments WHERE tenant_id = '{tenant}' AND id = '{undecided}'", foreign + "payments_invoice_fk"},
			{"UPDATE tenants SET test_mode = NOT test_mode WHERE id = '{tenant}'", check + "tenants_test_mode"},
			{"DELETE FROM tenants WHERE id = '{tenant}'", forbidden},
			{"SELECT password_hash FROM users", forbidden},
			{"SET LOCAL row_security = off; SELECT 1 FROM payments WHERE tenant_id = '{tenant}'", forbidden},
		}},
	} {
		t.Run(promise.name, func(t *testing.T) {
			t.Parallel()
			for _, a := range promise.attempts {
				statement := ids.Replace(ids.Replace(strings.ReplaceAll(a[0], "{account}", e.First.Account))) // what stands for words holds words too
				if got := e.refusal(t, statement); got != a[1] {
					t.Errorf("%s\n\tis answered %q, want %q", a[0], got, a[1])
				}
			}
		})
	}
}

// answered makes sure that a key has its answer.
func (e *estate) answered(t *testing.T) {
	t.Helper()
	var n int
	if err := testkit.OwnerDB(t).NewRaw("SELECT count(*) FROM idempotency_keys WHERE tenant_id = ? AND answer IS NOT NULL", e.Tenant.ID).Scan(t.Context(), &n); err != nil || n == 0 {
		t.Fatalf("%d keys are answered: %v", n, err)
	}
}

// refusal runs statements as the program in the tenant, takes back what they did, and gives how the database said no.
func (e *estate) refusal(t *testing.T, statements string) string {
	t.Helper()
	err := database.InTx(database.WithScope(t.Context(), database.Scope{TenantID: e.Tenant.ID}), e.DB, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.ExecContext(ctx, statements); err != nil {
			return err
		}
		return errRollback
	})
	refused, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case errors.Is(err, errRollback):
		return "yes"
	case !ok:
		return err.Error()
	case refused.Code == forbidden || refused.Code == restrict:
		return refused.Code
	default:
		return refused.Code + " " + cmp.Or(refused.ConstraintName, refused.Message)
	}
}
