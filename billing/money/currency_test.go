package money_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/billing/money"
)

func TestParseCurrency(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]money.Currency{
		"USD": "USD", "usd": "USD", "uZs": "UZS", "BDT": "BDT", "JPY": "JPY", "KWD": "KWD", "XCG": "XCG", "ZWG": "ZWG",
	} {
		got, err := money.ParseCurrency(text)
		if got != want || err != nil {
			t.Errorf("%q: got %q, %v; want %q", text, got, err, want)
		}
	}
	refused := []string{
		"", "XXZ", "XXX", "XTS", "XAU", "XAG", "XDR", "XSU", "XUA", "US", "USDT", " USD", "USD ", "U\x00D", "840", "ſek", "$",
		strings.Repeat("USD", 1000),
	}
	for _, text := range refused {
		got, err := money.ParseCurrency(text)
		if got != "" || !errors.Is(err, money.ErrUnknownCurrency) {
			t.Errorf("%q: got %q, %v; want %v", text, got, err, money.ErrUnknownCurrency)
		}
	}
}

// The list is written from ISO 4217 and not from the generated table.
func TestExponentIsWhatISO4217Says(t *testing.T) {
	t.Parallel()
	notTwo := map[money.Currency]int{}
	for exponent, codes := range map[int]string{
		0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
		3: "BHD IQD JOD KWD LYD OMR TND",
		4: "CLF UYW",
	} {
		for code := range strings.FieldsSeq(codes) {
			notTwo[money.Currency(code)] = exponent
		}
	}
	found := map[money.Currency]int{}
	for _, c := range money.Currencies() {
		if exponent := c.Exponent(); exponent != 2 {
			found[c] = exponent
		}
	}
	if diff := cmp.Diff(notTwo, found); diff != "" {
		t.Errorf("currencies without two decimal places (-ISO +table):\n%s", diff)
	}
	for _, c := range []money.Currency{"UZS", "BDT", "RUB", "IDR", "HUF", "PKR", "MGA", "MRU", "SLE", "VED", "ZWG", "XCG"} {
		if got := c.Exponent(); got != 2 {
			t.Errorf("%s: got %d decimal places, want 2", c, got)
		}
	}
}

func TestCurrencies(t *testing.T) {
	t.Parallel()
	all := money.Currencies()
	if len(all) != 167 {
		t.Errorf("got %d currencies, want the 166 of the list with a minor unit, and XCG", len(all))
	}
	if !slices.IsSorted(all) {
		t.Error("not in alphabetic order")
	}
	for _, c := range all {
		if got, err := money.ParseCurrency(strings.ToLower(string(c))); got != c || err != nil {
			t.Errorf("%s: got %q, %v", c, got, err)
		}
	}
	all[0] = "???"
	if money.Currencies()[0] == "???" {
		t.Error("a caller can change the table")
	}
}

func TestCurrencyColumn(t *testing.T) {
	t.Parallel()
	t.Run("reads back what it wrote", func(t *testing.T) {
		t.Parallel()
		stored, err := money.Currency("UZS").Value()
		if err != nil {
			t.Fatal(err)
		}
		for _, src := range []any{stored, []byte(stored.(string))} {
			var got money.Currency
			if err := got.Scan(src); err != nil || got != "UZS" {
				t.Errorf("from %T: got %q, %v", src, got, err)
			}
		}
	})
	t.Run("does not write what is no currency", func(t *testing.T) {
		t.Parallel()
		for _, c := range []money.Currency{"", "usd", "XXX", "ZZZ"} {
			if v, err := c.Value(); !errors.Is(err, money.ErrUnknownCurrency) {
				t.Errorf("%q: got %v, %v", string(c), v, err)
			}
		}
	})
	t.Run("does not read what is no currency", func(t *testing.T) {
		t.Parallel()
		for _, src := range []any{nil, "", "usd", "USD ", []byte("XXX"), int64(840)} {
			got := money.Currency("EUR")
			if err := got.Scan(src); err == nil || got != "EUR" {
				t.Errorf("%v: got %q, %v; want an error and no change", src, got, err)
			}
		}
	})
}
