package ledger_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/ledger"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// tamper changes the database past all guards, as only a superuser can.
func tamper(t testing.TB, query string, args ...any) {
	t.Helper()
	err := testkit.OwnerDB(t).RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.ExecContext(ctx, "SET LOCAL session_replication_role = replica"); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		if n, _ := res.RowsAffected(); n == 0 {
			t.Fatal("nothing was tampered with: " + query)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (b *book) mustReverse(cause string) { b.t.Helper(); b.mustReverseAs(cause, cause+":reverse") }

func (b *book) mustReverseAs(cause, as string) {
	b.t.Helper()
	id := b.transactionOf(cause).ID
	err := tenancy.InTx(b.ctx, b.db, func(ctx context.Context, tx bun.Tx) error {
		return ledger.Reverse(ctx, tx, id, as, "a test")
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		check  string
		tamper func(t *testing.T, b *book, tr *ledger.Transaction)
	}{
		{"a changed amount", "ledger.E001", func(t *testing.T, b *book, tr *ledger.Transaction) {
			tamper(t, "UPDATE ledger_entries SET amount_minor = amount_minor + 1 WHERE tenant_id = ? AND transaction_id = ? AND line = 1", b.tenant, tr.ID)
		}},
		{"a lost line", "ledger.E002", func(t *testing.T, b *book, tr *ledger.Transaction) {
			tamper(t, "DELETE FROM ledger_entries WHERE tenant_id = ? AND transaction_id = ? AND line = 1", b.tenant, tr.ID)
		}},
		{"a header without entries", "ledger.E002", func(t *testing.T, b *book, tr *ledger.Transaction) {
			tamper(t, "DELETE FROM ledger_entries WHERE tenant_id = ? AND transaction_id = ?", b.tenant, tr.ID)
		}},
		{"a lost header", "ledger.E003", func(t *testing.T, b *book, tr *ledger.Transaction) {
			tamper(t, "DELETE FROM ledger_transactions WHERE tenant_id = ? AND id = ?", b.tenant, tr.ID)
		}},
		{"a lost account", "ledger.E004", func(t *testing.T, b *book, tr *ledger.Transaction) {
			tamper(t, "DELETE FROM ledger_accounts WHERE tenant_id = ? AND id = ?", b.tenant, tr.Entries[0].AccountID)
		}},
		{"a changed currency", "ledger.E004", func(t *testing.T, b *book, tr *ledger.Transaction) {
			tamper(t, "UPDATE ledger_entries SET currency = 'EUR' WHERE tenant_id = ? AND transaction_id = ?", b.tenant, tr.ID)
		}},
		{"a changed cache", "ledger.E005", func(t *testing.T, b *book, tr *ledger.Transaction) {
			tamper(t, "UPDATE ledger_balances SET amount_minor = 0 WHERE tenant_id = ?", b.tenant)
		}},
		{"a reversal that undoes another amount", "ledger.E006", func(t *testing.T, b *book, _ *ledger.Transaction) {
			tamper(t, "UPDATE ledger_entries SET amount_minor = 2 * amount_minor WHERE tenant_id = ? AND transaction_id = ?", b.tenant, b.transactionOf("untouched:reverse").ID)
		}},
		{"a reversal of what is lost", "ledger.E006", func(t *testing.T, b *book, _ *ledger.Transaction) {
			tamper(t, "DELETE FROM ledger_entries WHERE tenant_id = ? AND transaction_id = ?", b.tenant, b.transactionOf("untouched").ID)
		}},
		{"credit that was never there", "ledger.E007", func(t *testing.T, b *book, _ *ledger.Transaction) {
			customer := b.customer()
			b.mustPost(move("credit", ledger.Cash("USD"), ledger.CustomerCredit(customer, "USD"), 5))
			tamper(t, "UPDATE ledger_entries SET amount_minor = -amount_minor WHERE tenant_id = ? AND transaction_id = ?", b.tenant, b.transactionOf("credit").ID)
		}},
		{"a lost cache", "ledger.E005", func(t *testing.T, b *book, tr *ledger.Transaction) {
			tamper(t, "DELETE FROM ledger_balances WHERE tenant_id = ?", b.tenant)
		}},
	} {
		t.Run("finds "+tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			p := payment(b.customer(), 500)
			b.mustPost(p, move("untouched", ledger.Cash("USD"), ledger.Revenue("USD"), 100))
			b.mustReverse("untouched")
			if found := b.verify(); len(found) > 0 {
				t.Fatalf("before anything is broken: %v", found)
			}
			tr := b.transactionOf(p.Cause)
			tt.tamper(t, b, tr)
			found := b.verify()
			if f := found[tt.check]; f != nil && len(f.Places) > 0 && f.Hint != "" {
				return
			}
			t.Errorf("found %v, want %s", found, tt.check)
		})
	}
}

func TestRebuild(t *testing.T) {
	t.Parallel()

	t.Run("restores a corrupted cache and reports the drift", func(t *testing.T) {
		t.Parallel()
		b := newBook(t)
		customers := b.customers(3)
		for i, c := range customers {
			b.mustPost(payment(c, int64(100*(i+1))))
		}
		zeroed, lost := ledger.Receivable(customers[0], "USD"), ledger.Receivable(customers[1], "USD")
		tamper(t, "UPDATE ledger_balances SET amount_minor = 0 WHERE tenant_id = ? AND ledger_account_id = ?", b.tenant, zeroed.ID(b.ctx))
		tamper(t, "DELETE FROM ledger_balances WHERE tenant_id = ? AND ledger_account_id = ?", b.tenant, lost.ID(b.ctx))
		done, err := ledger.Rebuild(b.ctx, b.db, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := map[uuid.UUID][2]int64{}
		for _, d := range done.Drifts {
			got[d.AccountID] = [2]int64{d.CachedMinor, d.TrueMinor}
		}
		if len(got) != 2 || got[zeroed.ID(b.ctx)] != [2]int64{0, -100} || got[lost.ID(b.ctx)] != [2]int64{0, -200} {
			t.Errorf("the drifts are %v", got)
		}
		if b.cached(zeroed) != -100 || b.cached(lost) != -200 {
			t.Error("the cache is still wrong")
		}
		if again, err := ledger.Rebuild(b.ctx, b.db, nil); err != nil || len(again.Drifts) != 0 || again.Checked != 3 {
			t.Errorf("a second rebuild finds %v %v", again, err)
		}
		var audited int
		b.read(func(ctx context.Context, tx bun.Tx) error {
			return tx.NewRaw("SELECT count(*) FROM audit_log WHERE tenant_id = ? AND action = 'ledger.rebuild'", b.tenant).Scan(ctx, &audited)
		})
		if audited != 2 {
			t.Errorf("%d audit records, want 2", audited)
		}
	})

	t.Run("waits for a posting that holds the row and counts it", func(t *testing.T) {
		t.Parallel()
		b := newBook(t)
		customer := b.customer()
		ref := ledger.Receivable(customer, "USD")
		b.mustPost(payment(customer, 100))
		tamper(t, "UPDATE ledger_balances SET amount_minor = 5 WHERE tenant_id = ?", b.tenant)
		rebuilt := make(chan error, 1)
		err := tenancy.InTx(b.ctx, b.db, func(ctx context.Context, tx bun.Tx) error {
			if err := ledger.Post(ctx, tx, payment(customer, 7)); err != nil {
				return err
			}
			var pid int
			if err := tx.NewRaw("SELECT pg_backend_pid()").Scan(ctx, &pid); err != nil {
				return err
			}
			go func() {
				_, err := ledger.Rebuild(b.ctx, b.db, nil)
				rebuilt <- err
			}()
			testkit.Eventually(t, "the rebuild waits for the posting", func() bool {
				var waits bool
				err := testkit.OwnerDB(t).NewRaw("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE ? = ANY (pg_blocking_pids(pid)))", pid).Scan(t.Context(), &waits)
				return err == nil && waits
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-rebuilt; err != nil {
			t.Fatal(err)
		}
		if sum, cached := b.balance(ref), b.cached(ref); sum != -107 || cached != -107 {
			t.Errorf("sum %d and cache %d, want both -107", sum, cached)
		}
	})

	t.Run("disturbs no postings that run meanwhile", func(t *testing.T) {
		t.Parallel()
		b := newBook(t)
		customers := b.customers(5)
		outcomes := parallel(6, func(w int) error {
			for range 8 {
				if w < 2 {
					if done, err := ledger.Rebuild(b.ctx, b.db, nil); err != nil || len(done.Drifts) > 0 {
						t.Errorf("a rebuild beside postings: %v %v", done, err)
						return err
					}
					continue
				}
				for _, c := range customers {
					if err := b.post(payment(c, 1)); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if outcomes[nil] != 6 {
			t.Fatalf("outcomes: %v", outcomes)
		}
		for _, c := range customers {
			if got := b.cached(ledger.Receivable(c, "USD")); got != -32 {
				t.Errorf("the cache is %d, want -32", got)
			}
		}
	})
}
