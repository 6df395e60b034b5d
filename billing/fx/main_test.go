package fx_test

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/fx"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/internal/errs"
	"countersign/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

const base = billingtest.Base + "/billing/fx"

func number(t testing.TB, text string) decimal.Decimal {
	t.Helper()
	d, err := decimal.NewFromString(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// euros is a world whose first customer has 100.00 EUR of credit, and where a rate is known that confirms 1.08 dollars for
// one. It is of the other direction, so nothing is converted at it unless it is named.
func euros(t testing.TB) *billingtest.World {
	t.Helper()
	w := billingtest.New(t)
	w.GiveCredit(w.Account.ID, money.New(10000, "EUR"))
	if _, err := testkit.OwnerDB(t).ExecContext(t.Context(), `INSERT INTO fx_rates (tenant_id, id, base, quote, rate, source, as_of) VALUES (?, ?, 'USD', 'EUR', 0.9259259259, 'test', ?)`,
		w.Tenant.ID, uuid.Must(uuid.NewV7()), w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	return w
}

// toDollars is the conversion of an amount of the first customer's euros at 1.08.
func toDollars(t testing.TB, w *billingtest.World, minor int64) fx.ConvertInput {
	t.Helper()
	return fx.ConvertInput{Account: w.Account.ID.String(), From: money.New(minor, "EUR"), To: "USD", Stated: &fx.StatedRate{Rate: number(t, "1.08"), Source: "manual"}}
}

// converted makes a conversion of the first customer's euros.
func converted(t testing.TB, w *billingtest.World, minor int64) uuid.UUID {
	t.Helper()
	made, err := w.FX.Convert(w.Finance.Ctx, toDollars(t, w, minor))
	if err != nil {
		t.Fatal(err)
	}
	return uuid.MustParse(made.ID)
}

func reverse(w *billingtest.World, id uuid.UUID) error {
	_, err := w.FX.Reverse(w.Finance.Ctx, fx.ReverseInput{ID: id, Reason: "A mistake"})
	return err
}

// record adds a rate as an admin, who is not the one who converts.
func record(t testing.TB, w *billingtest.World, from, to money.Currency, rate string, asOf time.Time) uuid.UUID {
	t.Helper()
	return recordAs(t, w, w.Approver, from, to, rate, asOf)
}

func recordAs(t testing.TB, w *billingtest.World, by *billingtest.Person, from, to money.Currency, rate string, asOf time.Time) uuid.UUID {
	t.Helper()
	made, err := w.FX.RecordRate(by.Ctx, fx.RateInput{Base: from, Quote: to, Rate: number(t, rate), Source: "cbu.uz", AsOf: asOf})
	if err != nil {
		t.Fatal(err)
	}
	return uuid.MustParse(made.ID)
}

// credit is what the first customer has in a currency, in minor units.
func credit(w *billingtest.World, currency money.Currency) int64 {
	return -w.Balance(ledger.CustomerCredit(w.Account.ID, currency))
}

// entries gives what was posted for a cause: amounts by account of the chart, which the customer's do not name him.
func entries(t testing.TB, w *billingtest.World, cause string) map[string]int64 {
	t.Helper()
	amounts := map[string]int64{}
	w.Read(func(ctx context.Context, tx bun.Tx) error {
		posted, err := ledger.TransactionOf(ctx, tx, cause)
		if err != nil {
			return err
		}
		for _, e := range posted.Entries {
			amounts[e.Account.Code+":"+e.Currency] = e.AmountMinor
		}
		return nil
	})
	return amounts
}

func count(t testing.TB, query string, args ...any) (n int) {
	t.Helper()
	if err := testkit.OwnerDB(t).NewRaw(query, args...).Scan(t.Context(), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// atOnce runs fn n times at once and counts how it ended: "done", or the code of the error.
func atOnce(n int, fn func(i int) error) map[string]int {
	ends := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			ends[i] = fn(i)
		})
	}
	close(start)
	all.Wait()
	counted := map[string]int{}
	for _, err := range ends {
		switch e := errs.As(err); {
		case err == nil:
			counted["done"]++
		case e != nil:
			counted[e.Code]++
		default:
			counted[err.Error()]++
		}
	}
	return counted
}
