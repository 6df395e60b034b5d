package invoices

import (
	"github.com/shopspring/decimal"

	"countersign/billing/money"
)

// Price is what a line's amounts are computed from. Prices are net: tax comes once, on top (Z-01).
type Price struct {
	Quantity  decimal.Decimal
	UnitPrice decimal.Decimal // major units, net
	Discount  money.Money     // of the whole line, taken off before tax (Z-04)
	TaxRate   decimal.Decimal // a fraction
}

// LineTotals are the amounts of one line, each rounded half up at the currency's digits.
type LineTotals struct {
	Net      money.Money // quantity × unit price
	Discount money.Money
	Tax      money.Money // rate × (net - discount)
	Total    money.Money // net - discount + tax
}

// Totals are the amounts of a whole invoice: sums of the lines' rounded amounts, so the header never differs from what
// the lines show (Z-09).
type Totals struct {
	Subtotal money.Money
	Discount money.Money
	Tax      money.Money
	Total    money.Money
}

// Line computes the amounts of one line in the currency of the discount. It fails with ErrDiscountAboveNet, or
// money.ErrOverflow when an amount cannot be stored.
func (p Price) Line() (LineTotals, error) {
	currency := p.Discount.Currency
	net, err := money.Round(p.Quantity.Mul(p.UnitPrice), currency)
	if err != nil {
		return LineTotals{}, err
	}
	taxable, err := net.Sub(p.Discount)
	if err != nil {
		return LineTotals{}, err
	}
	if taxable.Sign() < 0 {
		return LineTotals{}, ErrDiscountAboveNet.With("net", net.String())
	}
	tax, err := money.Round(taxable.Decimal().Mul(p.TaxRate), currency)
	if err != nil {
		return LineTotals{}, err
	}
	total, err := taxable.Add(tax)
	if err != nil {
		return LineTotals{}, err
	}
	return LineTotals{Net: net, Discount: p.Discount, Tax: tax, Total: total}, nil
}

// Sum adds the lines up. It fails with money.ErrOverflow when a sum cannot be stored.
func Sum(currency money.Currency, lines []LineTotals) (Totals, error) {
	zero := money.New(0, currency)
	sum := Totals{zero, zero, zero, zero}
	for _, line := range lines {
		for _, part := range []struct {
			to *money.Money
			by money.Money
		}{{&sum.Subtotal, line.Net}, {&sum.Discount, line.Discount}, {&sum.Tax, line.Tax}, {&sum.Total, line.Total}} {
			added, err := part.to.Add(part.by)
			if err != nil {
				return Totals{}, err
			}
			*part.to = added
		}
	}
	return sum, nil
}
