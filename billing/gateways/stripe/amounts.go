package stripe

import (
	"fmt"
	"math"
	"slices"

	"countersign/billing/gateways"
	"countersign/billing/money"
)

// Stripe's minor units are not always those of ISO 4217, so they have tables of their own. What is in none of them has two
// decimal places there and here; anything else is refused.
var (
	// withoutDecimals are charged in whole units.
	withoutDecimals = []money.Currency{"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
	// withThree have three decimal places, of which the last is 0.
	withThree = []money.Currency{"BHD", "JOD", "KWD", "OMR", "TND"}
	// wholeInHundredths are whole units here and have two decimal places there, both 0.
	wholeInHundredths = []money.Currency{"ISK", "UGX"}
)

// exponent is the number of decimal places that Stripe gives a currency.
func exponent(c money.Currency) (int, error) {
	switch {
	case slices.Contains(withoutDecimals, c):
		return 0, nil
	case slices.Contains(withThree, c):
		return 3, nil
	case slices.Contains(wholeInHundredths, c) || c.Exponent() == 2:
		return 2, nil
	}
	return 0, fmt.Errorf("%w: the currency %s is not charged", gateways.ErrRefused, c)
}

// toWire gives an amount in Stripe's minor units. An amount that it cannot express is gateways.ErrRefused, and never rounded.
func toWire(m money.Money) (int64, error) {
	there, err := exponent(m.Currency)
	if err != nil {
		return 0, err
	}
	units := m.Minor
	for range max(there-m.Currency.Exponent(), 0) {
		if units > math.MaxInt64/10 {
			return 0, fmt.Errorf("%w: the amount is too large", gateways.ErrRefused)
		}
		units *= 10
	}
	for range max(m.Currency.Exponent()-there, 0) {
		if units%10 != 0 {
			return 0, fmt.Errorf("%w: %s has no such fraction there", gateways.ErrRefused, m.Currency)
		}
		units /= 10
	}
	if units <= 0 || there == 3 && units%10 != 0 {
		return 0, fmt.Errorf("%w: %s %s is not charged", gateways.ErrRefused, m, m.Currency)
	}
	return units, nil
}

// fromWire reads Stripe's minor units.
func fromWire(units int64, code string) (money.Money, error) {
	c, err := money.ParseCurrency(code)
	if err != nil {
		return money.Money{}, fmt.Errorf("read the currency of an answer: %w", err)
	}
	there, err := exponent(c)
	if err != nil {
		return money.Money{}, err
	}
	for range max(c.Exponent()-there, 0) {
		if units > math.MaxInt64/10 {
			return money.Money{}, money.ErrOverflow
		}
		units *= 10
	}
	for range max(there-c.Exponent(), 0) {
		if units%10 != 0 {
			return money.Money{}, fmt.Errorf("an answer has a fraction of %s: %d", c, units)
		}
		units /= 10
	}
	return money.New(units, c), nil
}
