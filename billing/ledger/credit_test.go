package ledger_test

import (
	"context"
	"errors"
	"testing"

	"github.com/uptrace/bun"

	"countersign/billing/ledger"
	"countersign/tenancy"
)

// TestCredit shows that a customer spends what is owed to him and no more, whoever posts.
func TestCredit(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	customer := b.customer()
	credit, owed := ledger.CustomerCredit(customer, "USD"), ledger.Receivable(customer, "USD")
	b.mustPost(move("overpaid", ledger.Cash("USD"), credit, 100), move("invoiced", owed, ledger.Revenue("USD"), 500))

	t.Run("is spent as far as there is some", func(t *testing.T) {
		if err := b.post(move("more than all", credit, owed, 101)); !errors.Is(err, ledger.ErrCreditExceeded) {
			t.Errorf("got %v, want ErrCreditExceeded", err)
		}
		b.mustPost(move("nearly all", credit, owed, 99))
		if err := b.post(move("one too many", credit, owed, 2)); !errors.Is(err, ledger.ErrCreditExceeded) {
			t.Errorf("got %v, want ErrCreditExceeded", err)
		}
		b.mustPost(move("the last one", credit, owed, 1))
	})
	t.Run("does not exist before something was overpaid", func(t *testing.T) {
		if err := b.post(move("nothing there", ledger.CustomerCredit(customer, "EUR"), ledger.Receivable(customer, "EUR"), 1)); !errors.Is(err, ledger.ErrCreditExceeded) {
			t.Errorf("got %v, want ErrCreditExceeded", err)
		}
	})
	t.Run("is told to who locks it", func(t *testing.T) {
		err := tenancy.InTx(b.ctx, b.db, func(ctx context.Context, tx bun.Tx) error {
			got, err := ledger.Lock(ctx, tx, owed, credit, ledger.CustomerCredit(customer, "JPY"))
			if err != nil {
				return err
			}
			if len(got) != 2 || got[owed] != 400 || got[credit] != 0 {
				t.Errorf("got %v, want 400 owed and no credit", got)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("is refused by the database to plain SQL", func(t *testing.T) {
		err := b.exec("UPDATE ledger_balances SET amount_minor = 1 WHERE tenant_id = ? AND ledger_account_id = ?", b.tenant, credit.ID(b.ctx))
		if err == nil {
			t.Error("a customer's credit became a debt")
		}
	})
}
