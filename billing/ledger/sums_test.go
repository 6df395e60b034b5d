package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"pgregory.net/rapid"

	"countersign/billing/ledger"
	"countersign/internal/auth"
)

// TestSumsBeyondAnAmount posts amounts whose sums no 64 bits hold, and reads them everywhere.
func TestSumsBeyondAnAmount(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	for i := range 3 {
		b.mustPost(move(fmt.Sprint("usd", i), ledger.Bank("USD"), ledger.Revenue("USD"), math.MaxInt64),
			move(fmt.Sprint("jpy", i), ledger.Bank("JPY"), ledger.Revenue("JPY"), math.MaxInt64))
	}
	c := b.client(auth.RoleFinance, uuid.Nil)
	revenue := ledger.Revenue("USD").ID(b.ctx).String()
	for _, path := range []string{"accounts/" + revenue + "/", "accounts/" + revenue + "/balance/", "accounts/" + revenue + "/balance/?as_of=2120-01-01"} {
		a := c.Get("/billing/ledger/" + path).Expect(http.StatusOK)
		if a.Text("data.balance") != "-276701161105643274.21" || fmt.Sprint(a.At("data.balance_minor")) != "-27670116110564327421" {
			t.Errorf("%s shows %s", path, a.Raw)
		}
	}
	list := c.Get("/billing/ledger/accounts/?code=bank&currency=JPY").Expect(http.StatusOK)
	if list.Text("results.0.balance") != "27670116110564327421" || fmt.Sprint(list.At("results.0.balance_minor")) != "27670116110564327421" {
		t.Errorf("the chart shows %s", list.Raw)
	}
	trial := c.Get("/billing/ledger/trial-balance/").Expect(http.StatusOK)
	if trial.At("data.balanced") != true || trial.Text("data.totals.1.debit") != "276701161105643274.21" || trial.Text("data.totals.1.sum") != "0.00" ||
		fmt.Sprint(trial.At("data.rows.3.balance_minor")) != "-27670116110564327421" {
		t.Errorf("the trial balance shows %s", trial.Raw)
	}
	if found := b.verify(); len(found) > 0 {
		t.Errorf("verify: %v", found)
	}
}

func TestBalanceTooLarge(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	customer, most := b.customer(), int64(1_000_000_000_000_000_000)
	owed := ledger.Receivable(customer, "USD")
	b.mustPost(move("most", owed, ledger.Revenue("USD"), most))
	if err := b.post(move("more", owed, ledger.Revenue("USD"), 1)); !errors.Is(err, ledger.ErrBalanceTooLarge) {
		t.Errorf("one more gives %v", err)
	}
	b.mustPost(move("less", ledger.Bank("USD"), owed, 1), move("more", owed, ledger.Revenue("USD"), 1))
	if got := b.cached(owed); got != most {
		t.Errorf("the balance is %d", got)
	}
}

func TestPropertySumsAreExact(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		ref := ledger.Clearing(fmt.Sprint("round", round), "KWD")
		want := new(big.Int)
		edge := rapid.OneOf(rapid.Int64Range(1, math.MaxInt64), rapid.Int64Range(math.MaxInt64-2, math.MaxInt64))
		for i, amount := range rapid.SliceOfN(edge, 1, 4).Draw(rt, "amounts") {
			from, to := ledger.Suspense("KWD"), ref
			if rapid.Bool().Draw(rt, "credit") {
				from, to = to, from
				want.Sub(want, big.NewInt(amount))
			} else {
				want.Add(want, big.NewInt(amount))
			}
			b.mustPost(move(fmt.Sprint(round, ":", i), to, from, amount))
		}
		sum := b.sum(ref)
		text, err := json.Marshal(sum)
		if err != nil || string(text) != want.String() || sum.String() != want.String() {
			rt.Fatalf("the sum is %s (%v), want %s", text, err, want)
		}
		if minor, fits := sum.Minor(); fits != want.IsInt64() || fits && minor != want.Int64() {
			rt.Fatalf("as an amount %s is %d, %v", want, minor, fits)
		}
		if back, ok := new(big.Rat).SetString(sum.Format("KWD")); !ok || back.Cmp(new(big.Rat).SetFrac(want, big.NewInt(1000))) != 0 {
			rt.Fatalf("%s in minor units is shown as %s", want, sum.Format("KWD"))
		}
	})
	b.read(func(ctx context.Context, tx bun.Tx) error {
		trial, err := ledger.TrialBalance(ctx, tx, nil)
		if !trial.Balanced() {
			t.Errorf("the trial balance is not zero: %+v", trial)
		}
		return err
	})
}
