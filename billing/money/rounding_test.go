package money_test

import (
	"errors"
	"math"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"countersign/billing/money"
)

func TestRound(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text     string
		currency money.Currency
		want     string
	}{
		{"0.005", "USD", "0.01"},
		{"-0.005", "USD", "-0.01"},
		{"0.0049999999999999999", "USD", "0.00"},
		{"1.005", "USD", "1.01"},
		{"2.675", "USD", "2.68"},
		{"1.115", "USD", "1.12"},
		{"0.5", "JPY", "1"},
		{"-0.5", "JPY", "-1"},
		{"1.5", "JPY", "2"},
		{"2.5", "JPY", "3"},
		{"0.49", "JPY", "0"},
		{"0.0005", "KWD", "0.001"},
		{"1.23455", "CLF", "1.2346"},
		{"1e3", "USD", "1000.00"},
		{"92233720368547758.074", "USD", "92233720368547758.07"},
		{"-92233720368547758.084", "USD", "-92233720368547758.08"},
	}
	for _, tt := range tests {
		got, err := money.Round(decimal.RequireFromString(tt.text), tt.currency)
		if err != nil || got.String() != tt.want || got.Currency != tt.currency {
			t.Errorf("%s %s: got %s %s, %v; want %s", tt.text, tt.currency, got, got.Currency, err, tt.want)
		}
	}
}

func TestRoundRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		d        decimal.Decimal
		currency money.Currency
		want     error
	}{
		{"an amount that rounds past the largest", decimal.RequireFromString("92233720368547758.075"), "USD", money.ErrOverflow},
		{"an amount that rounds past the smallest", decimal.RequireFromString("-92233720368547758.085"), "USD", money.ErrOverflow},
		{"twenty digits", decimal.RequireFromString("100000000000000000.00"), "USD", money.ErrOverflow},
		{"what is no currency", decimal.RequireFromString("1"), "XXX", money.ErrUnknownCurrency},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := money.Round(tt.d, tt.currency)
			checkMoney(t, got, err, money.Money{}, tt.want)
		})
	}
}

// Written out, each of these has two thousand million digits: a failure here is a test that does not end.
func TestRoundDoesNotWriteOutHugeExponents(t *testing.T) {
	t.Parallel()
	for _, exponent := range []int32{math.MaxInt32, math.MaxInt32 - 1} {
		if _, err := money.Round(decimal.New(1, exponent), "USD"); !errors.Is(err, money.ErrOverflow) {
			t.Errorf("1e%d: got %v, want %v", exponent, err, money.ErrOverflow)
		}
		if got, err := money.Round(decimal.New(0, exponent), "USD"); err != nil || !got.IsZero() {
			t.Errorf("0e%d: got %s, %v; want nothing", exponent, got, err)
		}
	}
	if got, err := money.Round(decimal.New(-7, math.MinInt32), "USD"); err != nil || !got.IsZero() {
		t.Errorf("-7e%d: got %s, %v; want nothing", math.MinInt32, got, err)
	}
}

func TestPropertyRoundIsHalfAUnitOffAtMost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		currency := anyCurrency.Draw(t, "currency")
		d := anyDecimal(currency).Draw(t, "d")
		got, err := money.Round(d, currency)
		if err != nil {
			t.Fatal(err)
		}
		half := decimal.New(5, -int32(currency.Exponent())-1)
		off := got.Decimal().Sub(d).Abs()
		if off.GreaterThan(half) {
			t.Fatalf("%s becomes %s, which is %s off", d, got, off)
		}
		if off.Equal(half) && got.Decimal().Abs().LessThan(d.Abs()) {
			t.Fatalf("%s becomes %s: a half rounds away from zero", d, got)
		}
	})
}

func TestPropertyRoundIsMonotone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		currency := anyCurrency.Draw(t, "currency")
		low, high := anyDecimal(currency).Draw(t, "low"), anyDecimal(currency).Draw(t, "high")
		if low.GreaterThan(high) {
			low, high = high, low
		}
		a, err := money.Round(low, currency)
		if err != nil {
			t.Fatal(err)
		}
		b, err := money.Round(high, currency)
		if err != nil {
			t.Fatal(err)
		}
		if a.Minor > b.Minor {
			t.Fatalf("%s <= %s, but %s > %s", low, high, a, b)
		}
	})
}

func TestPropertyRoundChangesNothingThatIsMoneyAlready(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := anyMoney.Draw(t, "m")
		if got, err := money.Round(m.Decimal(), m.Currency); got != m || err != nil {
			t.Fatalf("%s becomes %s, %v", m, got, err)
		}
	})
}

// anyDecimal draws numbers of up to twelve decimal places, and often the very halves on which rounding turns.
func anyDecimal(currency money.Currency) *rapid.Generator[decimal.Decimal] {
	const limit = 900_000_000_000_000
	return rapid.Custom(func(t *rapid.T) decimal.Decimal {
		n := rapid.Int64Range(-limit, limit).Draw(t, "n")
		if rapid.Bool().Draw(t, "half") {
			return decimal.New(n/10*10+5, -int32(currency.Exponent())-1)
		}
		return decimal.New(n, -rapid.Int32Range(0, 12).Draw(t, "places"))
	})
}

func TestShare(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ amount, part, whole, want int64 }{
		{0, 0, 0, 0}, {7, 0, 0, 0}, {100, 1, 3, 33}, {100, 2, 3, 67}, {1, 1, 2, 1}, {1, 1, 3, 0}, {3, 1, 2, 2}, {15, 100, 100, 15}, {15, 33, 100, 5}, {5, 10, 100, 1}, {49, 1, 100, 0}, {50, 1, 100, 1},
		{math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64}, {math.MaxInt64, math.MaxInt64 - 1, math.MaxInt64, math.MaxInt64 - 1},
	} {
		if got := money.Share(tt.amount, tt.part, tt.whole); got != tt.want {
			t.Errorf("%d × %d ÷ %d is %d, want %d", tt.amount, tt.part, tt.whole, got, tt.want)
		}
	}
}
