package money

import "github.com/shopspring/decimal"

// maxWholeDigits is the number of decimal digits of the largest int64.
const maxWholeDigits = 19

// Round turns an amount in major units, as products with quantities, rates and taxes give it, into money. It is the
// only place that rounds: half up at the currency's exponent, where up means away from zero, so 0.005 USD becomes
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
