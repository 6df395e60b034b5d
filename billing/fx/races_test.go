package fx_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/billing/billingtest"
	"countersign/billing/money"
	"countersign/internal/database"
	"countersign/internal/testkit"
)

// TestRaces lets conversions and reversals of one customer happen at once, in two processes.
func TestRaces(t *testing.T) {
	t.Parallel()
	replicas := func(t *testing.T) (*billingtest.World, []*billingtest.World) {
		w := euros(t)
		second, err := database.Open(database.Config{URL: testkit.OwnerURL(), Role: database.AppRole, MaxConns: 8})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { second.Close() })
		return w, []*billingtest.World{w, w.Replica(second)}
	}
	t.Run("conversions of the same credit never spend more than there is", func(t *testing.T) {
		t.Parallel()
		w, both := replicas(t)
		ends := atOnce(8, func(i int) error {
			_, err := both[i%2].FX.Convert(w.Finance.Ctx, toDollars(t, w, 3000))
			return err
		})
		if diff := cmp.Diff(map[string]int{"done": 3, "credit_exceeded": 5}, ends); diff != "" {
			t.Error(diff)
		}
		if credit(w, "EUR") != 1000 || credit(w, "USD") != 9720 {
			t.Errorf("%d EUR and %d USD are left", credit(w, "EUR"), credit(w, "USD"))
		}
		w.AssertBooks(t)
	})
	t.Run("reversals of one conversion happen once", func(t *testing.T) {
		t.Parallel()
		w, both := replicas(t)
		id := converted(t, w, 10000)
		converted(t, euros(t), 10000) // another tenant's
		w.GiveCredit(w.Account.ID, money.New(50000, "USD"))
		ends := atOnce(6, func(i int) error { return reverse(both[i%2], id) })
		if diff := cmp.Diff(map[string]int{"done": 1, "already_reversed": 5}, ends); diff != "" {
			t.Error(diff)
		}
		if credit(w, "EUR") != 10000 || credit(w, "USD") != 50000 {
			t.Errorf("%d EUR and %d USD are left", credit(w, "EUR"), credit(w, "USD"))
		}
		w.AssertBooks(t)
	})
	t.Run("back and forth at once", func(t *testing.T) {
		t.Parallel()
		w, both := replicas(t)
		w.GiveCredit(w.Account.ID, money.New(10000, "USD"))
		back := toDollars(t, w, 1000)
		back.From, back.To, back.Stated.Base = money.New(1000, "USD"), "EUR", "EUR"
		ends := atOnce(12, func(i int) error {
			in := toDollars(t, w, 1000)
			if i%3 == 0 {
				in = back
			}
			_, err := both[i%2].FX.Convert(w.Finance.Ctx, in)
			return err
		})
		if diff := cmp.Diff(map[string]int{"done": 12}, ends); diff != "" {
			t.Error(diff)
		}
		if credit(w, "EUR") != 10000-8*1000+4*926 || credit(w, "USD") != 10000+8*1080-4*1000 {
			t.Errorf("%d EUR and %d USD are left", credit(w, "EUR"), credit(w, "USD"))
		}
		w.AssertBooks(t)
	})
}
