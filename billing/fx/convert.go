package fx

import (
	"errors"

	"github.com/shopspring/decimal"

	"countersign/billing/money"
	"countersign/internal/errs"
)

// MaxMinor is the largest amount of one conversion, in minor units, as of an invoice or a payment.
const MaxMinor = 1_000_000_000_000_000

// places are the decimal places that are kept of what a rate makes of an amount: the four that an amount has at most and
// the ten of a rate, so a product is kept as it is.
const places = 14

// outcome is what a rate makes of an amount.
type outcome struct {
	unrounded decimal.Decimal // in major units; a quotient is cut after fourteen places
	amount    money.Money     // rounded half up
	rounding  decimal.Decimal // amount - unrounded, in major units
}

// convert applies a rate to an amount. One of base, which is the amount's currency or to, is rate of the other currency.
// It fails with ErrNothing, and with ErrTooLarge when the result is larger than one conversion may be.
func convert(from money.Money, rate decimal.Decimal, base, to money.Currency) (outcome, error) {
	var o outcome
	if base == from.Currency {
		o.unrounded = from.Decimal().Mul(rate)
	} else {
		// Cut and not rounded: half a minor unit has fewer places, so what was cut is on the same side of it.
		o.unrounded, _ = from.Decimal().QuoRem(rate, places)
	}
	amount, err := money.Round(o.unrounded, to)
	switch {
	case errors.Is(err, money.ErrOverflow) || err == nil && amount.Minor > MaxMinor:
		return outcome{}, tooLarge(to)
	case err != nil:
		return outcome{}, err
	case amount.IsZero():
		return outcome{}, ErrNothing
	}
	o.amount, o.rounding = amount, amount.Decimal().Sub(o.unrounded)
	return o, nil
}

func tooLarge(currency money.Currency) *errs.Error {
	return ErrTooLarge.With("limit", money.New(MaxMinor, currency).String()+" "+string(currency))
}
