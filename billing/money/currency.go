package money

import (
	"database/sql/driver"
	"fmt"
	"strings"
)

//go:generate go run ./internal/gen

// Currency is an ISO 4217 alphabetic code in upper case. Make one with ParseCurrency; the zero value is no currency.
// As a database column it is CHAR(3).
type Currency string

// ParseCurrency reads a code in any case ("usd" is USD, S0-21). It fails with ErrUnknownCurrency for codes that
// ISO 4217 does not have and for those it gives no minor unit, such as XXX, XTS, XAU and XDR.
func ParseCurrency(text string) (Currency, error) {
	// Checked before the change of case: some letters outside ASCII have an ASCII upper case.
	if len(text) != 3 {
		return "", ErrUnknownCurrency
	}
	c := Currency(strings.ToUpper(text))
	if !c.known() {
		return "", ErrUnknownCurrency
	}
	return c, nil
}

// Exponent is the number of decimal places ISO 4217 gives the currency: 2 for USD, 0 for JPY, 3 for KWD. It is what
// CLDR calls accounting digits, not the display habit that shows IDR without decimals. For a value that did not come
// from ParseCurrency or the database it is 0.
func (c Currency) Exponent() int {
	return int(exponents[c])
}

// Value writes the code, and refuses to store one that is not in the table.
func (c Currency) Value() (driver.Value, error) {
	if !c.known() {
		return nil, fmt.Errorf("store currency %q: %w", string(c), ErrUnknownCurrency)
	}
	return string(c), nil
}

// Scan reads a code exactly as Value wrote it. NULL is an error: a column that may be NULL is read into *Currency.
func (c *Currency) Scan(src any) error {
	var code Currency
	switch src := src.(type) {
	case string:
		code = Currency(src)
	case []byte:
		code = Currency(src)
	default:
		return fmt.Errorf("read currency from %T", src)
	}
	if !code.known() {
		return fmt.Errorf("read currency %q: %w", string(code), ErrUnknownCurrency)
	}
	*c = code
	return nil
}

func (c Currency) known() bool {
	_, ok := exponents[c]
	return ok
}
