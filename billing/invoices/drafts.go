package invoices

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"countersign/billing/money"
	"countersign/internal/errs"
)

// LineInput is a line as its sender wrote it. Numbers are text, because how many digits are right depends on the
// currency.
type LineInput struct {
	Description string
	Quantity    string
	UnitPrice   string
	// Discount and DiscountMinor are two forms of one amount; both empty is no discount.
	Discount      string
	DiscountMinor *int64
	TaxRate       string // empty is no tax
	Credits       int64  // of the whole line
	ServiceType   string
	ServiceID     string
	BillingCode   string
	// TotalPrice and TaxAmount are what the sender computed. They are compared and never used (S2-83).
	TotalPrice string
	TaxAmount  string
}

// Claimed are the totals that the sender of an invoice computed; empty ones are not compared (Z-20).
type Claimed struct {
	Subtotal, Tax, Total, Paid, Balance string
}

// Warning says that a total of the sender's is not ours.
type Warning struct {
	Field    string `json:"field"`
	Given    string `json:"given"`
	Computed string `json:"computed"`
	Message  string `json:"message"`
}

// draft is what lines come to.
type draft struct {
	lines    []LineItem
	totals   Totals
	credits  int64
	warnings []Warning
}

// compute prices the lines and compares the sender's totals. Everything wrong with them is reported at once, field by
// field.
func compute(currency money.Currency, lines []LineInput, claimed Claimed) (draft, error) {
	var d draft
	var fields errs.Fields
	var sums []LineTotals
	for i, in := range lines {
		p := parser{prefix: fmt.Sprintf("line_items.%d.", i), currency: currency, fields: &fields}
		price := in.price(&p)
		if p.failed {
			continue
		}
		totals, err := price.Line()
		if err != nil {
			p.blame("discount_amount", "unit_price", err)
			continue
		}
		d.compare(&p, "total_price", in.TotalPrice, totals.Net)
		d.compare(&p, "tax_amount", in.TaxAmount, totals.Tax)
		sums = append(sums, totals)
		d.lines = append(d.lines, in.item(i+1, price, totals))
	}
	if err := fields.Err(); err != nil {
		return draft{}, err
	}
	if err := d.sum(currency, sums); err != nil {
		return draft{}, err
	}
	p := parser{currency: currency, fields: &fields}
	d.compare(&p, "subtotal_amount", claimed.Subtotal, d.totals.Subtotal)
	d.compare(&p, "tax_amount", claimed.Tax, d.totals.Tax)
	d.compare(&p, "total_amount", claimed.Total, d.totals.Total)
	d.compare(&p, "paid_amount", claimed.Paid, money.New(0, currency))
	d.compare(&p, "balance_amount", claimed.Balance, d.totals.Total)
	return d, fields.Err()
}

// PriceLine gives a line as an invoice of it alone would have it. Everything wrong with it is reported at the line's own fields.
func PriceLine(currency money.Currency, in LineInput) (LineItem, error) {
	var fields errs.Fields
	p := parser{currency: currency, fields: &fields}
	price := in.price(&p)
	if p.failed {
		return LineItem{}, fields.Err()
	}
	totals, err := price.Line()
	if err != nil {
		p.blame("discount_amount", "unit_price", err)
		return LineItem{}, fields.Err()
	}
	d := draft{lines: []LineItem{in.item(1, price, totals)}}
	if err := d.sum(currency, []LineTotals{totals}); err != nil {
		p.add("unit_price", errs.As(err))
	}
	return d.lines[0], fields.Err()
}

// maxMinor is the largest amount of an invoice, in minor units, as of a payment: a sum of thousands of them is still an
// amount. What is larger is a slip of the keyboard, and what is posted cannot be taken back.
const maxMinor = 1_000_000_000_000_000

// maxCredits is how many service credits an invoice may grant.
const maxCredits = 1_000_000_000_000

// sum adds the lines up, within what an invoice may be.
func (d *draft) sum(currency money.Currency, lines []LineTotals) (err error) {
	d.totals, err = Sum(currency, lines)
	if errors.Is(err, money.ErrOverflow) || err == nil && max(d.totals.Subtotal.Minor, d.totals.Tax.Minor, d.totals.Total.Minor) > maxMinor {
		most := money.New(maxMinor, currency)
		return ErrTooLarge.With("limit", most.String()+" "+string(currency)).At("line_items")
	}
	for _, line := range d.lines {
		if line.Credits > maxCredits-d.credits { // neither is negative, so this cannot overflow
			return ErrTooManyCredits.With("limit", maxCredits).At("line_items")
		}
		d.credits += line.Credits
	}
	return err
}

// compare warns when the sender's total, if there is one, differs from ours.
func (d *draft) compare(p *parser, field, given string, computed money.Money) {
	if given == "" {
		return
	}
	amount := p.amount(field, given)
	if p.failed || amount == computed {
		return
	}
	problem := ErrComputed.With("given", amount.String()).With("computed", computed.String())
	d.warnings = append(d.warnings, Warning{Field: p.prefix + field, Given: amount.String(), Computed: computed.String(), Message: problem.Sentence()})
}

// strict makes a refusal of the warnings.
func (d *draft) strict() error {
	if len(d.warnings) == 0 {
		return nil
	}
	refusal := *ErrTotalsDiffer
	refusal.Fields = map[string][]errs.Problem{}
	for _, w := range d.warnings {
		refusal.Fields[w.Field] = []errs.Problem{ErrComputed.With("given", w.Given).With("computed", w.Computed).Problem}
	}
	return &refusal
}

// price reads the numbers of a line.
func (in LineInput) price(p *parser) Price {
	price := Price{
		Quantity:  p.decimal("quantity", in.Quantity, 14),
		UnitPrice: p.decimal("unit_price", in.UnitPrice, 14),
		Discount:  p.discount(in),
		TaxRate:   p.decimal("tax_rate", orZero(in.TaxRate), 3),
	}
	if p.failed {
		return price
	}
	if price.Quantity.Sign() <= 0 {
		p.add("quantity", ErrNotPositive)
	}
	if price.UnitPrice.Sign() < 0 {
		p.add("unit_price", ErrNegative)
	}
	if price.Discount.Sign() < 0 {
		p.add("discount_amount", ErrNegative)
	}
	if price.TaxRate.Sign() < 0 || price.TaxRate.GreaterThan(decimal.NewFromInt(1)) {
		p.add("tax_rate", ErrTaxRate)
	}
	return price
}

func orZero(number string) string {
	if number == "" {
		return "0"
	}
	return number
}

func (in LineInput) item(line int, price Price, totals LineTotals) LineItem {
	return LineItem{ID: uuid.Must(uuid.NewV7()), Line: line, Description: in.Description, Quantity: price.Quantity, UnitPrice: price.UnitPrice,
		NetMinor: totals.Net.Minor, DiscountMinor: totals.Discount.Minor, TaxRate: price.TaxRate, TaxMinor: totals.Tax.Minor, TotalMinor: totals.Total.Minor,
		Credits: in.Credits, ServiceType: in.ServiceType, ServiceID: in.ServiceID, BillingCode: in.BillingCode}
}

// parser reads numbers below one path of a request and remembers whether any was wrong.
type parser struct {
	prefix   string
	currency money.Currency
	fields   *errs.Fields
	failed   bool
}

func (p *parser) add(field string, problem *errs.Error) {
	p.failed = true
	p.fields.Add(p.prefix+field, problem)
}

// blame reports a rule's refusal at the field that broke it: an excessive discount at its own, the rest at other.
func (p *parser) blame(discount, other string, err error) {
	problem := errs.As(err)
	if problem.Is(ErrDiscountAboveNet) {
		p.add(discount, problem)
		return
	}
	p.add(other, problem)
}

// decimal reads a number with up to six decimal places, as the columns for quantities, prices and rates keep them.
func (p *parser) decimal(field, text string, wholeDigits int) decimal.Decimal {
	d, err := money.ParseDecimal(text, wholeDigits, 6)
	if err != nil {
		p.add(field, errs.As(err))
	}
	return d
}

func (p *parser) amount(field, text string) money.Money {
	m, err := money.Parse(text, p.currency)
	if err != nil {
		p.add(field, errs.As(err))
	}
	return m
}

// discount reads whichever form of the discount is given.
func (p *parser) discount(in LineInput) money.Money {
	if in.DiscountMinor == nil {
		return p.amount("discount_amount", orZero(in.Discount))
	}
	minor := money.New(*in.DiscountMinor, p.currency)
	if in.Discount != "" && p.amount("discount_amount", in.Discount) != minor && !p.failed {
		p.add("discount_amount", ErrForms)
	}
	return minor
}
