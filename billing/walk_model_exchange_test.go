package billing_test

import (
	"math/big"
	"strconv"
)

// rate says that one base is so much quote.
type rate struct{ id, base, quote, text string }

type conversion struct {
	id, account, from, to     string
	amount, computed, receive int64
	reversed                  bool
}

// digits are the decimal places of the currencies of the walks.
var digits = map[string]int{"USD": 2, "JPY": 0, "KWD": 3}

func power(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

// decimal writes an amount in major units.
func decimal(minor int64, currency string) string {
	n, p := digits[currency], power(digits[currency])
	if n == 0 {
		return strconv.FormatInt(minor, 10)
	}
	fraction := strconv.FormatInt(minor%p+p, 10)[1:]
	return strconv.FormatInt(minor/p, 10) + "." + fraction
}

// exchange is an amount at a rate, rounded half up.
func exchange(minor int64, from, to string, r *rate) int64 {
	value, _ := new(big.Rat).SetString(r.text)
	x := big.NewRat(minor, power(digits[from]))
	if r.base == from {
		x.Mul(x, value)
	} else {
		x.Quo(x, value)
	}
	x.Mul(x, big.NewRat(2*power(digits[to]), 1))
	x.Add(x, big.NewRat(1, 1))
	return new(big.Int).Quo(x.Num(), new(big.Int).Mul(x.Denom(), big.NewInt(2))).Int64()
}

func (m *model) convert(c *conversion, r *rate, given *int64) string {
	c.computed = exchange(c.amount, c.from, c.to, r)
	if c.computed == 0 {
		return "fx_comes_to_nothing"
	}
	c.receive = c.computed
	if given != nil {
		c.receive = *given
	}
	if m.credit(c.account, c.from) < c.amount {
		return "credit_exceeded"
	}
	m.exchanged(c, 1)
	m.conversions = append(m.conversions, c)
	return done
}

// exchanged books a conversion, or with -1 takes it back.
func (m *model) exchanged(c *conversion, sign int64) {
	m.move(of("customer_credit", c.account, c.from), of("fx", "", c.from), sign*c.amount)
	m.move(of("fx", "", c.to), of("customer_credit", c.account, c.to), sign*c.receive)
	m.move(of("fx", "", c.to), of("fx_difference", "", c.to), sign*(c.computed-c.receive))
	m.happened = true
}

func (m *model) reverseConversion(c *conversion) string {
	switch {
	case c.reversed:
		return "already_reversed"
	case m.credit(c.account, c.to) < c.receive:
		return "credit_exceeded"
	}
	c.reversed = true
	m.exchanged(c, -1)
	return done
}
