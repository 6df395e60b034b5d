package money

import (
	"math/bits"

	"github.com/shopspring/decimal"
)

// maxWholeDigits is the number of decimal digits of the largest int64.
const maxWholeDigits = 19

// Round turns an amount in major units, as products with quantities, rates and taxes give it, into money. With Share it
// is the only place that rounds: half up at the currency's exponent, where up means away from zero, so 0.005 USD becomes
// 0.01, -0.005 becomes -0.01 and 0.5 JPY becomes 1. A refund thus rounds exactly like the charge it mirrors.
//
// Calculate with full precision and call it once for each amount that is written down, such as a line's net or its
// tax; sums are then made of what was rounded. It fails with ErrOverflow, or ErrUnknownCurrency for a currency that
// is not in the table.
func Round(d decimal.Decimal, currency Currency) (Money, error) {
	if !currency.known() {
		return Money{}, ErrUnknownCurrency
	}
	// The size is judged from the digit count first: a decimal with a huge exponent is a few bytes here, and
	// gigabytes once its digits are written out.
	size := int64(d.NumDigits()) + int64(d.Exponent()) + int64(currency.Exponent())
	switch {
	case d.IsZero() || size < 0:
		return New(0, currency), nil
	case size > maxWholeDigits:
		return Money{}, ErrOverflow
	}
	whole := d.Shift(int32(currency.Exponent())).Round(0).BigInt()
	if !whole.IsInt64() {
		return Money{}, ErrOverflow
	}
	return New(whole.Int64(), currency), nil
}

// Share gives what part of whole is of an amount in minor units: amount × part ÷ whole, half up. None of the three is
// negative and part is at most whole, so it fits; the share of nothing is nothing.
func Share(amount, part, whole int64) int64 {
	if whole == 0 {
		return 0
	}
	// 128 bits between, and the quotient fits because part <= whole
	high, low := bits.Mul64(uint64(amount), uint64(part))
	low, carry := bits.Add64(low, uint64(whole)/2, 0)
	share, _ := bits.Div64(high+carry, low, uint64(whole))
	return int64(share)
}
