package payments

import (
	"maps"
	"strings"

	"countersign/billing/money"
	"countersign/internal/errs"
	"countersign/internal/web"
)

// stated is an amount in the forms that a request may give it in: a decimal, and whole minor units under the names of
// three seeds (model.md 5.5, S0-20).
type stated struct {
	amount                 web.Number
	minor, cents, quantity *int64
}

// whole is one of the forms in minor units.
type whole struct {
	field string
	minor int64
}

func (a stated) wholes() (list []whole) {
	for _, form := range []struct {
		field string
		minor *int64
	}{{"amount_minor", a.minor}, {"amount_cents", a.cents}, {"quantity", a.quantity}} {
		if form.minor != nil {
			list = append(list, whole{form.field, *form.minor})
		}
	}
	return list
}

// missing says that there is no amount.
func (a stated) missing() bool { return a.amount == "" && len(a.wholes()) == 0 }

// field is where the request gives its amount, and so what is blamed.
func (a stated) field() string {
	if list := a.wholes(); a.amount == "" && len(list) > 0 {
		return list[0].field
	}
	return "amount"
}

// forms are the names of all forms that are given.
func (a stated) forms() string {
	var names []string
	if a.amount != "" {
		names = append(names, "amount")
	}
	for _, w := range a.wholes() {
		names = append(names, w.field)
	}
	return strings.Join(names, ", ")
}

// check blames what is wrong whatever the currency is.
func (a stated) check(fields *errs.Fields) {
	a.agree(fields)
	if list := a.wholes(); len(list) > 0 && list[0].minor <= 0 {
		fields.Add(list[0].field, ErrAmountNotPositive)
	}
}

// agree blames forms in minor units that differ.
func (a stated) agree(fields *errs.Fields) {
	list := a.wholes()
	for _, w := range list {
		if w.minor != list[0].minor {
			fields.Add(list[0].field, ErrAmountsDiffer.With("fields", a.forms()))
			fields.Add(w.field, ErrAmountsDiffer.With("fields", a.forms()))
		}
	}
}

// read gives the amount once its currency is known; nil when there is none.
func (a stated) read() func(money.Currency) (*money.Money, error) {
	if a.missing() {
		return nil
	}
	var minor *int64
	if list := a.wholes(); len(list) > 0 {
		minor = &list[0].minor
	}
	return func(currency money.Currency) (*money.Money, error) {
		m, err := amountIn(a.field(), a.amount, minor, currency)
		if refused := errs.As(err); refused != nil && refused.Code == ErrAmountsDiffer.Code {
			err = ErrAmountsDiffer.With("fields", a.forms()).At(a.field())
		}
		return m, err
	}
}

// blame gives a refusal of the amount at the field that has it.
func (a stated) blame(err error) error {
	refused := errs.As(err)
	if refused == nil || a.field() == "amount" || refused.Fields["amount"] == nil {
		return err
	}
	blamed := *refused
	blamed.Fields = maps.Clone(refused.Fields)
	blamed.Fields[a.field()] = blamed.Fields["amount"]
	delete(blamed.Fields, "amount")
	return &blamed
}

// amountOf reads an amount of a field that may be given as a decimal, in minor units, or not at all. Which decimal fits depends
// on the currency, which only the invoice knows.
func amountOf(field string, text web.Number, minor *int64) func(money.Currency) (*money.Money, error) {
	if text == "" && minor == nil {
		return nil
	}
	return func(currency money.Currency) (*money.Money, error) { return amountIn(field, text, minor, currency) }
}

func amountIn(field string, text web.Number, minor *int64, currency money.Currency) (*money.Money, error) {
	if text == "" {
		return bounded(money.New(*minor, currency), field)
	}
	m, err := money.Parse(string(text), currency)
	if err != nil {
		return nil, errs.As(err).At(field)
	}
	if minor != nil && *minor != m.Minor {
		return nil, ErrAmountsDiffer.With("fields", field+", "+field+"_minor").At(field)
	}
	return bounded(m, field)
}

// maxMinor is the largest amount of one payment, in minor units. It leaves room to add up thousands of them: a sum that
// overflows would make the books unreadable, and what is posted cannot be taken back.
const maxMinor = 1_000_000_000_000_000

func bounded(m money.Money, field string) (*money.Money, error) {
	if m.Minor > maxMinor {
		return nil, ErrAmountTooLarge.At(field)
	}
	return &m, nil
}
