package money

import (
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
)

// maxNumberLength bounds the text of a number in bytes before anything else looks at it. The longest number that can
// be meant, NUMERIC(20,6) or an int64 with sign and point, has 22; the rest is room for leading zeros.
const maxNumberLength = 40

// Parse reads a plain decimal such as "920.00", "-1.5" or "920" as major units of a currency. Signs other than a
// leading minus, exponents, separators, spaces and a bare point are ErrInvalidAmount. More decimal places than the
// currency has are ErrTooManyDigits, even when they are zeros; the amount is never rounded. What does not fit 64 bits
// is ErrOverflow. The currency must be in the table, else ErrUnknownCurrency.
func Parse(text string, currency Currency) (Money, error) {
	if !currency.known() {
		return Money{}, ErrUnknownCurrency
	}
	n, err := scanNumber(text)
	if err != nil {
		return Money{}, err
	}
	missing := currency.Exponent() - len(n.fraction)
	if missing < 0 {
		return Money{}, ErrTooManyDigits.With("digits", currency.Exponent())
	}
	minor, err := strconv.ParseInt(n.sign+n.whole+n.fraction+strings.Repeat("0", missing), 10, 64)
	if err != nil {
		// Only digits were left to read, so the one thing that can be wrong is their number.
		return Money{}, ErrOverflow
	}
	return New(minor, currency), nil
}

// ParseDecimal reads a plain decimal that is not money: a quantity or unit price, NUMERIC(20,6), with 14 and 6
// digits, or a rate, NUMERIC(9,6), with 3 and 6. The form is that of Parse. More than maxFracDigits decimal places
// are ErrTooManyDigits, even when they are zeros; more than maxIntDigits before the point, not counting leading
// zeros, are ErrOverflow.
func ParseDecimal(text string, maxIntDigits, maxFracDigits int) (decimal.Decimal, error) {
	n, err := scanNumber(text)
	if err != nil {
		return decimal.Decimal{}, err
	}
	if len(n.fraction) > maxFracDigits {
		return decimal.Decimal{}, ErrTooManyDigits.With("digits", maxFracDigits)
	}
	if len(strings.TrimLeft(n.whole, "0")) > maxIntDigits {
		return decimal.Decimal{}, ErrOverflow
	}
	d, err := decimal.NewFromString(text)
	if err != nil {
		return decimal.Decimal{}, ErrInvalidAmount.Because(err)
	}
	return d, nil
}

// number is the text of a plain decimal, taken apart.
type number struct {
	sign     string // "" or "-"
	whole    string // one digit or more
	fraction string // empty when there is no point
}

func scanNumber(text string) (number, error) {
	if len(text) > maxNumberLength {
		return number{}, ErrInvalidAmount
	}
	var n number
	rest, negative := strings.CutPrefix(text, "-")
	if negative {
		n.sign = "-"
	}
	var point bool
	n.whole, n.fraction, point = strings.Cut(rest, ".")
	if !isDigits(n.whole) || point && !isDigits(n.fraction) {
		return number{}, ErrInvalidAmount
	}
	return n, nil
}

// isDigits reports one ASCII digit or more, and nothing else. Bengali or full-width digits are no amounts on the wire.
func isDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text != ""
}
