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

// TestLock shows that what a customer may spend is the sum of the entries, whatever the cache says (S1-01, S1-09).
func TestLock(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, tamper string }{
		{"says more than there is", "UPDATE ledger_balances SET amount_minor = -9000 WHERE tenant_id = ? AND ledger_account_id = ?"},
		{"says less than there is", "UPDATE ledger_balances SET amount_minor = -1 WHERE tenant_id = ? AND ledger_account_id = ?"},
		{"is lost", "DELETE FROM ledger_balances WHERE tenant_id = ? AND ledger_account_id = ?"},
	} {
		t.Run("when a cached balance "+tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			customer := b.customer()
			credit, owed := ledger.CustomerCredit(customer, "USD"), ledger.Receivable(customer, "USD")
			b.mustPost(move("overpaid", ledger.Cash("USD"), credit, 1000), move("invoiced", owed, ledger.Revenue("USD"), 9000))
			if err := b.exec(tt.tamper, b.tenant, credit.ID(b.ctx)); err != nil {
				t.Fatal(err)
			}
			spend := func(cause string, minor int64) error {
				return tenancy.InTx(b.ctx, b.db, func(ctx context.Context, tx bun.Tx) error {
					got, err := ledger.Lock(ctx, tx, credit, owed)
					if err != nil {
						return err
					}
					if got[credit] != -1000 || got[owed] != 9000 {
						t.Errorf("got %v, want 10.00 of credit and 90.00 owed", got)
					}
					return ledger.Post(ctx, tx, move(cause, credit, owed, minor))
				})
			}
			if err := spend("too much", 1001); !errors.Is(err, ledger.ErrCreditExceeded) {
				t.Errorf("got %v, want ErrCreditExceeded", err)
			}
			if b.verify()["ledger.E005"] == nil {
				t.Error("the wrong cache is forgotten with a transaction that was lost")
			}
			if err := spend("all of it", 1000); err != nil {
				t.Errorf("what is there cannot be spent: %v", err)
			}
			if got := b.cached(credit); got != 0 {
				t.Errorf("the cache says %d afterwards, want 0", got)
			}
			var found, records int
			b.read(func(ctx context.Context, tx bun.Tx) error {
				err := tx.NewRaw("SELECT found FROM integrity_results WHERE tenant_id = ? AND check_id = 'ledger.E005'", b.tenant).Scan(ctx, &found)
				if err != nil {
					return err
				}
				return tx.NewRaw("SELECT count(*) FROM audit_log WHERE tenant_id = ? AND action = 'ledger.correct_balance'", b.tenant).Scan(ctx, &records)
			})
			if found != 1 || records != 1 {
				t.Errorf("%d found and %d audited, want one each", found, records)
			}
			for id, f := range b.verify() {
				t.Errorf("%s: %s", id, f.What)
			}
		})
	}

	t.Run("asks for no more than the entries of the customer", func(t *testing.T) {
		t.Parallel()
		b := newBook(t)
		if err := tenancy.InTx(b.ctx, b.db, func(ctx context.Context, tx bun.Tx) error {
			got, err := ledger.Lock(ctx, tx, ledger.CustomerCredit(b.customer(), "USD"))
			if len(got) != 0 {
				t.Errorf("got %v of a customer on whom nothing was posted", got)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	})
}
