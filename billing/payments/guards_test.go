package payments_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/internal/database"
	"countersign/tenancy"
)

// TestRefundedGuard shows that the database itself keeps what is refunded and the status of a payment together, whatever a
// program does.
func TestRefundedGuard(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	whole, part, none := w.Pay(w.OpenInvoice("10.00").ID), w.Pay(w.OpenInvoice("10.00").ID), w.Pay(w.OpenInvoice("10.00").ID)
	refundOf(w, w.Finance, whole.ID, "amount", "10.00", "payout_reference", "BANK 1").Expect(http.StatusCreated)
	refundOf(w, w.Finance, part.ID, "amount", "4.00", "payout_reference", "BANK 2").Expect(http.StatusCreated)
	for name, c := range map[string]struct {
		id  uuid.UUID
		set string
	}{
		"refunded of which nothing is":            {none.ID, "status = 'refunded'"},
		"refunded of which a part is":             {none.ID, "status = 'refunded', refunded_minor = 999"},
		"partially refunded of which nothing is":  {none.ID, "status = 'partially_refunded'"},
		"partially refunded of which all is":      {none.ID, "status = 'partially_refunded', refunded_minor = 1000"},
		"succeeded and refunded all the same":     {none.ID, "refunded_minor = 1"},
		"refunded, and then not":                  {whole.ID, "refunded_minor = 0"},
		"refunded, and then less":                 {whole.ID, "refunded_minor = 400"},
		"partially refunded, and then less":       {part.ID, "refunded_minor = 399"},
		"partially refunded, and then all at all": {part.ID, "refunded_minor = 1000"},
	} {
		if err := raw(w.System, w, "UPDATE payments SET "+c.set+" WHERE tenant_id = $1 AND id = $2", w.Tenant.ID, c.id); !database.IsCheck(err, "payments_refunded_guard") {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.AssertBooks(t)
}

// TestSettlementIsHot shows that a settlement changes nothing that stands in an index of payments: PostgreSQL writes one
// new row on the same page, and no index.
func TestSettlementIsHot(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := w.Submit(w.OpenInvoice("10.00").ID)
	w.Approve(p.ID, w.Approver)
	var changed, hot int
	err := tenancy.InTx(w.System, w.DB, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM settlement_queue WHERE tenant_id = ? AND payment_id = ?", w.Tenant.ID, p.ID); err != nil {
			return err
		}
		const counted = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'payments'"
		var changedBefore, hotBefore int // by transactions of the connection that are not counted yet
		if err := tx.NewRaw(counted).Scan(ctx, &changedBefore, &hotBefore); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE payments SET status = 'succeeded', received_minor = amount_minor, applied_minor = amount_minor, excess_minor = 0, processed_at = now(),
			version = version + 1, updated_at = now() WHERE tenant_id = ? AND id = ?`, w.Tenant.ID, p.ID); err != nil {
			return err
		}
		err := tx.NewRaw(counted).Scan(ctx, &changed, &hot)
		changed, hot = changed-changedBefore, hot-hotBefore
		return err
	})
	if err != nil || changed != 1 || hot != 1 {
		t.Errorf("%d rows changed, %d of them without an index: %v", changed, hot, err)
	}
}
