package fx

import (
	"errors"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"countersign/billing/money"
)

func number(t testing.TB, text string) decimal.Decimal {
	t.Helper()
	d, err := decimal.NewFromString(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestConvert(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                        string
		from                        money.Money
		rate                        string
		base, to                    money.Currency
		unrounded, amount, rounding string
		want                        error
	}{
		{"multiplies by a rate of the source", money.New(10000, "EUR"), "1.08", "EUR", "USD", "108", "108.00", "0", nil},
		{"rounds half up", money.New(5, "EUR"), "1.1", "EUR", "USD", "0.055", "0.06", "0.005", nil},
		{"rounds below half down", money.New(10001, "EUR"), "1.0833333333", "EUR", "USD", "108.344166663333", "108.34", "-0.004166663333", nil},
		{"knows a currency without decimals", money.New(12345, "USD"), "149.5", "USD", "JPY", "18455.775", "18456", "0.225", nil},
		{"knows one with three", money.New(12345, "USD"), "0.3067", "USD", "KWD", "37.862115", "37.862", "-0.000115", nil},
		{"comes from one with three", money.New(1, "KWD"), "397.5", "KWD", "JPY", "0.3975", "", "", ErrNothing},
		{"knows one with four", money.New(1_000_000, "CLP"), "0.0000271503", "CLP", "UYW", "27.1503", "27.1503", "0", nil},
		{"divides by a rate of the target", money.New(100_000_000, "UZS"), "12700.25", "USD", "USD", "78.73860750772622", "78.74", "0.00139249227378", nil},
		{"does not round twice when it divides", money.New(9, "JPY"), "600.0000000001", "USD", "USD", "0.01499999999999", "0.01", "-0.00499999999999", nil},
		{"rounds an exact half up when it divides", money.New(9, "JPY"), "600", "USD", "USD", "0.015", "0.02", "0.005", nil},
		{"takes the largest amount", money.New(MaxMinor, "USD"), "1", "USD", "EUR", "10000000000000", "10000000000000.00", "0", nil},
		{"refuses more", money.New(MaxMinor, "USD"), "1.0000000001", "USD", "EUR", "", "", "", ErrTooLarge},
		{"refuses what does not fit 64 bits", money.New(MaxMinor, "USD"), "9999999999.9999999999", "USD", "KWD", "", "", "", ErrTooLarge},
		{"refuses a quotient that does not", money.New(MaxMinor, "JPY"), "0.0000000001", "KWD", "KWD", "", "", "", ErrTooLarge},
		{"refuses what comes to nothing", money.New(1, "UZS"), "0.00008", "UZS", "USD", "", "", "", ErrNothing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := convert(tt.from, number(t, tt.rate), tt.base, tt.to)
			if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Fatalf("the error is %v, want %v", err, tt.want)
			}
			if tt.want != nil {
				return
			}
			if got.unrounded.String() != tt.unrounded || got.amount.String() != tt.amount || got.amount.Currency != tt.to || got.rounding.String() != tt.rounding {
				t.Errorf("got %s, %s %s and %s", got.unrounded, got.amount, got.amount.Currency, got.rounding)
			}
		})
	}
}

// TestConvertProperties compares with what division of whole numbers says, for any amount and rate.
func TestConvertProperties(t *testing.T) {
	t.Parallel()
	currencies := []money.Currency{"JPY", "USD", "KWD", "UYW"}
	half := decimal.New(5, -1)
	refused := 0
	rapid.Check(t, func(rt *rapid.T) {
		pair := rapid.Permutation(currencies).Draw(rt, "pair")
		from := money.New(rapid.Int64Range(1, MaxMinor).Draw(rt, "minor")/rapid.SampledFrom([]int64{1, 1_000, 1_000_000, 1_000_000_000}).Draw(rt, "scale")+1, pair[0])
		rate := decimal.New(rapid.Int64Range(1, 1_000_000_000_000_000).Draw(rt, "rate"), -10)
		base := rapid.SampledFrom(pair[:2]).Draw(rt, "base")
		o, err := convert(from, rate, base, pair[1])
		if err != nil {
			if !errors.Is(err, ErrNothing) && !errors.Is(err, ErrTooLarge) {
				rt.Fatal(err)
			}
			refused++
			return
		}
		unit := decimal.New(1, -int32(pair[1].Exponent()))
		if o.rounding.Abs().GreaterThan(unit.Mul(half)) || !o.amount.Decimal().Sub(o.unrounded).Equal(o.rounding) {
			rt.Fatalf("%+v: more than half a unit was rounded", o)
		}
		if -o.unrounded.Exponent() > places && !o.unrounded.Equal(o.unrounded.Truncate(places)) {
			rt.Fatalf("%s does not fit its column", o.unrounded)
		}
		// amount is the result exactly when result - half a unit < amount <= result + half a unit, which needs no division
		lower, upper := o.amount.Decimal().Sub(unit.Mul(half)), o.amount.Decimal().Add(unit.Mul(half))
		exact, scale := from.Decimal().Mul(rate), decimal.New(1, 0)
		if base == pair[1] {
			exact, scale = from.Decimal(), rate
		}
		if exact.LessThan(lower.Mul(scale)) || !exact.LessThan(upper.Mul(scale)) {
			rt.Fatalf("%s %s at %s of %s is %s", from, from.Currency, rate, base, o.amount)
		}
	})
	t.Log(refused, "were refused")
}
