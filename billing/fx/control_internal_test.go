package fx

import (
	"math/big"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"countersign/billing/money"
)

// conversionAt is a conversion as the service makes it, of an amount at a rate; given is what the bank gave, 0: what the rate makes.
func conversionAt(t interface{ Fatal(...any) }, from money.Money, rate decimal.Decimal, base, to money.Currency, given int64) *Conversion {
	o, err := convert(from, rate, base, to)
	if err != nil {
		t.Fatal(err)
	}
	c := &Conversion{FromCurrency: from.Currency, FromMinor: from.Minor, ToCurrency: to, ToMinor: o.amount.Minor, ComputedMinor: o.amount.Minor, Rate: rate, RateBase: base}
	if given != 0 {
		c.ToMinor, c.DifferenceMinor = given, given-o.amount.Minor
	}
	return c
}

func TestGain(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		from          money.Money
		rate          string
		base, to      money.Currency
		given         int64
		measure, unit string // one unit is measure of the other
		want          string
	}{
		{"none at the same rate", money.New(10000, "EUR"), "1.08", "EUR", "USD", 0, "1.08", "EUR", "0"},
		{"none below", money.New(10000, "EUR"), "1", "EUR", "USD", 0, "1.08", "EUR", "0"},
		{"none where the bank gives less than a better rate makes", money.New(10000, "EUR"), "1.1", "EUR", "USD", 10800, "1.08", "EUR", "0"},
		{"what the rate is above", money.New(10000, "EUR"), "1.1", "EUR", "USD", 0, "1", "EUR", "0.1"},
		{"less where the bank gives less", money.New(10000, "EUR"), "1.1", "EUR", "USD", 10500, "1", "EUR", "0.05"},
		{"both together", money.New(10000, "EUR"), "1.1", "EUR", "USD", 11550, "1", "EUR", "0.155"},
		{"what the bank gives above", money.New(10000, "EUR"), "1", "EUR", "USD", 10500, "1", "EUR", "0.05"},
		{"what the bank gives above at a rate below", money.New(10000, "EUR"), "0.99", "EUR", "USD", 10300, "1", "EUR", "0.03"},
		{"by a rate of the other direction", money.New(10000, "EUR"), "1.375", "EUR", "USD", 0, "0.8", "USD", "0.1"},
		{"of a rate of the other direction", money.New(10000, "EUR"), "0.8", "USD", "USD", 0, "1", "EUR", "0.25"},
		{"of one by another of the other direction", money.New(10000, "EUR"), "0.8", "USD", "USD", 0, "1", "USD", "0.25"},
		{"the rate's where it rounds up from one cent to two", money.New(1, "EUR"), "1.5", "EUR", "USD", 0, "1.4", "EUR", "0.07142857142857"},
		{"none where both round to one cent", money.New(1, "EUR"), "1.4", "EUR", "USD", 0, "1", "EUR", "0"},
		{"a cent on one", money.New(1, "EUR"), "1", "EUR", "USD", 2, "1", "EUR", "1"},
		{"a cent on one at a rate below", money.New(1, "EUR"), "0.9", "EUR", "USD", 2, "1", "EUR", "1"},
		{"a cent that is rounded up, and one more", money.New(1, "EUR"), "1.5", "EUR", "USD", 3, "1.4", "EUR", "2"},
		{"the rate's where the other makes nothing", money.New(1, "EUR"), "0.5", "EUR", "USD", 0, "0.48", "EUR", "0.04166666666666"},
		{"two cents where the other makes nothing", money.New(1, "EUR"), "0.5", "EUR", "USD", 2, "0.48", "EUR", "2"},
		{"none where the other makes more than may be", money.New(MaxMinor, "EUR"), "1", "EUR", "USD", 0, "1.01", "EUR", "0"},
		{"as much as there can be", money.New(1, "EUR"), "9999999999", "EUR", "USD", 0, "0.0000000001", "EUR", "9999999999"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := conversionAt(t, tt.from, number(t, tt.rate), tt.base, tt.to, tt.given)
			got, err := c.gain(&Rate{Base: money.Currency(tt.unit), Rate: number(t, tt.measure)})
			if err != nil || got.String() != tt.want {
				t.Errorf("it is %s, want %s: %v", got, tt.want, err)
			}
		})
	}
}

// TestGainProperties shows what a gain promises, with fractions of whole numbers: nobody gets more than what the other rate
// makes and the gain that is counted, beyond the half of a minor unit by which everything is rounded.
func TestGainProperties(t *testing.T) {
	t.Parallel()
	currencies := []money.Currency{"JPY", "USD", "KWD", "UYW"}
	counted := 0
	rapid.Check(t, func(rt *rapid.T) {
		pair := rapid.Permutation(currencies).Draw(rt, "pair")
		from := money.New(rapid.Int64Range(1, 1_000_000_000).Draw(rt, "minor")/rapid.SampledFrom([]int64{1, 1_000, 1_000_000, 100_000_000}).Draw(rt, "scale")+1, pair[0])
		measure := &Rate{Base: rapid.SampledFrom(pair[:2]).Draw(rt, "base"), Rate: decimal.New(rapid.Int64Range(10_000_000, 10_000_000_000_000).Draw(rt, "measure"), -10)}
		rate := measure.Rate.Mul(decimal.New(rapid.Int64Range(900, 1100).Draw(rt, "per mille"), -3))
		o, err := convert(from, rate, measure.Base, pair[1])
		if err != nil {
			return
		}
		given := max(1, o.amount.Minor+rapid.Int64Range(-o.amount.Minor/20-1, o.amount.Minor/20+1).Draw(rt, "off"))
		c := conversionAt(rt, from, rate, measure.Base, pair[1], given)
		gain, err := c.gain(measure)
		if err != nil {
			rt.Fatal(err)
		}
		if gain.IsNegative() {
			rt.Fatalf("the gain is %s", gain)
		}
		if gain.GreaterThan(decimal.New(1, -1)) {
			return // it is refused whatever was before
		}
		counted++
		made := from.Decimal().Rat() // in minor units of the target currency, exactly
		if measure.Base == from.Currency {
			made.Mul(made, measure.Rate.Rat())
		} else {
			made.Quo(made, measure.Rate.Rat())
		}
		made.Mul(made, decimal.New(1, int32(pair[1].Exponent())).Rat())
		most := new(big.Rat).Add(made, big.NewRat(1, 2))
		most.Mul(most, gain.Add(decimal.New(101, -14)).Add(decimal.NewFromInt(1)).Rat()) // a gain is cut after fourteen places
		if most.Cmp(new(big.Rat).SetInt64(c.ToMinor)) < 0 {
			rt.Fatalf("%d, and the other rate makes %s of it: more than the %s that are counted", c.ToMinor, made.FloatString(6), gain)
		}
	})
	if counted == 0 {
		t.Error("no gain was ever looked at")
	}
}
