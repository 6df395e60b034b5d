package money

import (
	"cmp"
	"math"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
)

// Money is an amount in minor units of its currency: {92000, "USD"} is 920.00 USD. Values are compared with ==. The
// zero value has no currency.
type Money struct {
	Minor    int64
	Currency Currency
}

// New is minor units of a currency that ParseCurrency or the database gave.
func New(minor int64, currency Currency) Money {
	return Money{Minor: minor, Currency: currency}
}

// Add gives m + other. It fails with ErrCurrencyMismatch or ErrOverflow.
func (m Money) Add(other Money) (Money, error) {
	if err := m.sameCurrency(other); err != nil {
		return Money{}, err
	}
	sum := m.Minor + other.Minor
	if (sum > m.Minor) != (other.Minor > 0) {
		return Money{}, ErrOverflow
	}
	return New(sum, m.Currency), nil
}

// Sub gives m - other. It fails with ErrCurrencyMismatch or ErrOverflow.
func (m Money) Sub(other Money) (Money, error) {
	if err := m.sameCurrency(other); err != nil {
		return Money{}, err
	}
	difference := m.Minor - other.Minor
	if (difference < m.Minor) != (other.Minor > 0) {
		return Money{}, ErrOverflow
	}
	return New(difference, m.Currency), nil
}

// Neg gives -m. It fails with ErrOverflow for the one amount whose negation does not fit.
func (m Money) Neg() (Money, error) {
	if m.Minor == math.MinInt64 {
		return Money{}, ErrOverflow
	}
	return New(-m.Minor, m.Currency), nil
}

// Cmp is -1, 0 or +1 when m is less than, equal to or greater than other. It fails with ErrCurrencyMismatch.
func (m Money) Cmp(other Money) (int, error) {
	if err := m.sameCurrency(other); err != nil {
		return 0, err
	}
	return cmp.Compare(m.Minor, other.Minor), nil
}

// Sign is -1, 0 or +1.
func (m Money) Sign() int { return cmp.Compare(m.Minor, 0) }

// IsZero reports an amount of nothing, in whatever currency.
func (m Money) IsZero() bool { return m.Minor == 0 }

// IsPositive reports an amount above zero.
func (m Money) IsPositive() bool { return m.Minor > 0 }

// String is the plain decimal with all decimal places of the currency and without its code: "920.00", "-0.05", and
// "920" in yen. Parse reads it back.
func (m Money) String() string {
	digits, negative := strings.CutPrefix(strconv.FormatInt(m.Minor, 10), "-")
	if exponent := m.Currency.Exponent(); exponent > 0 {
		digits = strings.Repeat("0", max(0, exponent+1-len(digits))) + digits
		point := len(digits) - exponent
		digits = digits[:point] + "." + digits[point:]
	}
	if negative {
		return "-" + digits
	}
	return digits
}

// Decimal is the amount in major units, for multiplying with quantities and rates. Bring the result back with Round.
func (m Money) Decimal() decimal.Decimal {
	return decimal.New(m.Minor, -int32(m.Currency.Exponent()))
}

func (m Money) sameCurrency(other Money) error {
	if m.Currency != other.Currency {
		return ErrCurrencyMismatch.With("left", m.Currency).With("right", other.Currency)
	}
	return nil
}
