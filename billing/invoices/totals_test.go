package invoices_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"countersign/billing/invoices"
	"countersign/billing/money"
)

func price(quantity, unitPrice, discount, rate string, currency money.Currency) invoices.Price {
	m, err := money.Parse(discount, currency)
	if err != nil {
		panic(err)
	}
	return invoices.Price{Quantity: decimal.RequireFromString(quantity), UnitPrice: decimal.RequireFromString(unitPrice), Discount: m, TaxRate: decimal.RequireFromString(rate)}
}

func TestPriceLine(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                                string
		quantity, unitPrice, discount, rate string
		currency                            money.Currency
		net, tax, total                     string
	}{
		{"the seed's consultation", "1", "500.00", "0", "0.15", "BDT", "500.00", "75.00", "575.00"},
		{"the seed's laboratory", "1", "300.00", "0", "0.15", "BDT", "300.00", "45.00", "345.00"},
		{"a discount is taken off before tax", "1", "500", "50", "0.15", "BDT", "500.00", "67.50", "517.50"},
		{"a refugee's fifth off", "1", "500", "100", "0.15", "BDT", "500.00", "60.00", "460.00"},
		{"a fraction of a unit", "1.5", "300.00", "0", "0", "BDT", "450.00", "0.00", "450.00"},
		{"half a cent goes up", "1", "0.005", "0", "0", "USD", "0.01", "0.00", "0.01"},
		{"less than half a cent goes down", "1", "0.004999", "0", "0", "USD", "0.00", "0.00", "0.00"},
		{"tax rounds half up on its own", "1", "0.10", "0", "0.05", "USD", "0.10", "0.01", "0.11"},
		{"a unit price below a cent counts in full", "1000", "0.001", "0", "0", "EUR", "1.00", "0.00", "1.00"},
		{"yen have no digits", "3", "33.5", "0", "0.1", "JPY", "101", "10", "111"},
		{"dinars have three", "1", "1.0005", "0.001", "0.05", "KWD", "1.001", "0.050", "1.050"},
		{"everything given away", "2", "10", "20", "0.2", "USD", "20.00", "0.00", "0.00"},
		{"a line over nothing", "1", "0", "0", "0.2", "USD", "0.00", "0.00", "0.00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			line, err := price(tt.quantity, tt.unitPrice, tt.discount, tt.rate, tt.currency).Line()
			if err != nil {
				t.Fatal(err)
			}
			got := []string{line.Net.String(), line.Tax.String(), line.Total.String()}
			if diff := cmp.Diff([]string{tt.net, tt.tax, tt.total}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("refuses a discount above the net amount", func(t *testing.T) {
		t.Parallel()
		if _, err := price("1", "500", "600", "0", "BDT").Line(); !errors.Is(err, invoices.ErrDiscountAboveNet) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("refuses what does not fit", func(t *testing.T) {
		t.Parallel()
		for _, p := range []invoices.Price{price("99999999999999", "99999999999999", "0", "0", "USD"), price("1", "92233720368547758.07", "0", "1", "USD")} {
			if _, err := p.Line(); !errors.Is(err, money.ErrOverflow) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestSum(t *testing.T) {
	t.Parallel()
	t.Run("ten cents and twenty cents are thirty", func(t *testing.T) {
		t.Parallel()
		if got := sum(t, "USD", price("1", "0.1", "0", "0", "USD"), price("1", "0.2", "0", "0", "USD")).Total.String(); got != "0.30" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("adds rounded lines and does not round the sum", func(t *testing.T) {
		t.Parallel()
		third := price("1", "0.333", "0", "0", "USD")
		if got := sum(t, "USD", third, third, third).Total.String(); got != "0.99" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("refuses a sum that does not fit", func(t *testing.T) {
		t.Parallel()
		huge := invoices.LineTotals{Net: money.New(math.MaxInt64, "USD"), Discount: money.New(0, "USD"), Tax: money.New(0, "USD"), Total: money.New(math.MaxInt64, "USD")}
		if _, err := invoices.Sum("USD", []invoices.LineTotals{huge, huge}); !errors.Is(err, money.ErrOverflow) {
			t.Errorf("got %v", err)
		}
	})
}

func sum(t interface {
	Helper()
	Fatal(...any)
}, currency money.Currency, prices ...invoices.Price) invoices.Totals {
	t.Helper()
	lines := make([]invoices.LineTotals, len(prices))
	for i, p := range prices {
		var err error
		if lines[i], err = p.Line(); err != nil {
			t.Fatal(err)
		}
	}
	totals, err := invoices.Sum(currency, lines)
	if err != nil {
		t.Fatal(err)
	}
	return totals
}

// drawPrice gives a line whose discount fits.
func drawPrice(t *rapid.T, currency money.Currency) invoices.Price {
	p := invoices.Price{
		Quantity:  decimal.New(rapid.Int64Range(1, 1_000_000_000).Draw(t, "quantity"), -6),
		UnitPrice: decimal.New(rapid.Int64Range(0, 1_000_000_000_000).Draw(t, "unit price"), -6),
		Discount:  money.New(0, currency),
		TaxRate:   decimal.New(rapid.Int64Range(0, 1_000_000).Draw(t, "rate"), -6),
	}
	line, err := p.Line()
	if err != nil {
		t.Fatal(err)
	}
	p.Discount.Minor = rapid.Int64Range(0, line.Net.Minor).Draw(t, "discount")
	return p
}

// halfUp gives an amount that is not negative in minor units, without the package that is under test here.
func halfUp(amount *big.Rat, currency money.Currency) int64 {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(currency.Exponent())), nil)
	scaled := new(big.Rat).Add(new(big.Rat).Mul(amount, new(big.Rat).SetInt(scale)), big.NewRat(1, 2))
	return new(big.Int).Quo(scaled.Num(), scaled.Denom()).Int64()
}

var currencies = rapid.SampledFrom([]money.Currency{"USD", "BDT", "UZS", "JPY", "KWD", "CLF"})

func TestTotalsProperties(t *testing.T) {
	t.Parallel()
	t.Run("the header is the sum of the lines and never negative", rapid.MakeCheck(func(t *rapid.T) {
		currency := currencies.Draw(t, "currency")
		prices := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) invoices.Price { return drawPrice(t, currency) }), 1, 20).Draw(t, "lines")
		totals := sum(t, currency, prices...)
		var net, discount, tax int64
		for _, p := range prices {
			line, _ := p.Line()
			net, discount, tax = net+line.Net.Minor, discount+line.Discount.Minor, tax+line.Tax.Minor
		}
		if totals.Subtotal.Minor != net || totals.Discount.Minor != discount || totals.Tax.Minor != tax || totals.Total.Minor != net-discount+tax || totals.Total.Minor < 0 {
			t.Fatalf("%+v is not the sum of its lines: %d - %d + %d", totals, net, discount, tax)
		}
	}))
	t.Run("amounts are those of fractions rounded half up", rapid.MakeCheck(func(t *rapid.T) {
		currency := currencies.Draw(t, "currency")
		p := drawPrice(t, currency)
		line, err := p.Line()
		if err != nil {
			t.Fatal(err)
		}
		net := halfUp(new(big.Rat).Mul(p.Quantity.Rat(), p.UnitPrice.Rat()), currency)
		tax := halfUp(new(big.Rat).Mul(money.New(net-p.Discount.Minor, currency).Decimal().Rat(), p.TaxRate.Rat()), currency)
		if line.Net.Minor != net || line.Tax.Minor != tax || line.Total.Minor != net-p.Discount.Minor+tax {
			t.Fatalf("%+v, want net %d and tax %d", line, net, tax)
		}
	}))
	t.Run("tax never falls when the rate or the price rises", rapid.MakeCheck(func(t *rapid.T) {
		p := drawPrice(t, currencies.Draw(t, "currency"))
		before, _ := p.Line()
		p.TaxRate = p.TaxRate.Add(decimal.New(rapid.Int64Range(0, 1_000_000).Draw(t, "more rate"), -6))
		p.UnitPrice = p.UnitPrice.Add(decimal.New(rapid.Int64Range(0, 1_000_000_000).Draw(t, "more price"), -6))
		after, err := p.Line()
		if err != nil {
			t.Fatal(err)
		}
		if after.Tax.Minor < before.Tax.Minor || after.Total.Minor < before.Total.Minor {
			t.Fatalf("%+v became %+v", before, after)
		}
	}))
}
