package web

import (
	"encoding/json"
	"net/http"
	"net/url"

	"countersign/internal/carddata"
	"countersign/internal/errs"
)

// faults collects what is wrong with a body. Card data outranks the rest: who sends some is told of nothing else, since
// another refusal could give it back (S1-14).
type faults struct {
	wrong errs.Fields
	cards errs.Fields
}

// add blames a place. Its name is made only when it is told: a body of thousands of faults would fill the memory with them.
func (f *faults) add(at *place, problem *errs.Error) {
	into := &f.wrong
	if problem == ErrCardData {
		into = &f.cards
	}
	if !into.Full() {
		into.Add(told(at.String()), problem)
	}
}

func (f *faults) err() error {
	if err := f.cards.Under(ErrCardData); err != nil {
		return err
	}
	return f.wrong.Err()
}

// checkName blames a key that holds a card number, and gives the key in a form that can be told.
func (f *faults) checkName(at *place, name string) string {
	if !carddata.Holds(name) {
		return name
	}
	name = carddata.Mask(name)
	f.add(at.under(name), ErrCardData)
	return name
}

// amountDigits is how many digits an amount may have and pass, whatever it looks like: in sums such as soums of a year
// 13 digits of minor units are ordinary, and card numbers as short as that are out of use.
const amountDigits = 14

// checkCards blames a text or number that is card data, or that stands under a name of card data.
func (f *faults) checkCards(at *place, name string, value any) {
	found := false
	switch v := value.(type) {
	case string:
		found = carddata.Field(name, v)
	case json.Number:
		found = carddata.Named(name, v.String()) || len(v) > amountDigits && carddata.Holds(v.String())
	}
	if found {
		f.add(at, ErrCardData)
	}
}

// checkForm does for a form's field what the reader does for a key of a body.
func (f *faults) checkForm(name string, value any) {
	var form *place
	name = f.checkName(form, name)
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	for _, v := range list {
		f.checkCards(form.under(name), name, v)
	}
}

// CheckForm refuses a form with card data in a value or a name: ErrCardData at the fields.
func CheckForm(values url.Values) error {
	var f faults
	for name, given := range values {
		for _, value := range given {
			f.checkForm(name, value)
		}
	}
	return f.err()
}

// CheckAddress refuses an address with card data in its path or in a parameter: ErrCardData at "path" or at the
// parameter's name.
func CheckAddress(u *url.URL) error {
	if carddata.Holds(u.Path) {
		return ErrCardData.At("path")
	}
	if u.RawQuery == "" {
		return nil
	}
	return CheckForm(u.Query())
}

// NoCards answers ErrCardData to a request whose address holds card data, before anything else looks at it.
func NoCards(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := CheckAddress(r.URL); err != nil {
			WriteError(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}
