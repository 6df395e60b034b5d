package money_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"countersign/billing/money"
)

func TestFormatAgreesWithIntl(t *testing.T) {
	t.Parallel()
	golden, err := os.ReadFile("testdata/format.golden")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for line := range strings.Lines(string(golden)) {
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(columns) != 4 {
			t.Fatalf("golden line %q", line)
		}
		locale, currency, amount := columns[0], money.Currency(columns[1]), columns[2]
		want, err := strconv.Unquote(columns[3])
		if err != nil {
			t.Fatalf("golden line %q: %v", line, err)
		}
		m, err := money.Parse(amount, currency)
		if err != nil {
			t.Fatalf("golden line %q: %v", line, err)
		}
		if got := money.Format(m, locale); got != want {
			t.Errorf("%s %s %s: got %+q, want %+q", locale, amount, currency, got, want)
		}
		seen[locale]++
	}
	for _, locale := range []string{"en", "ru", "uz", "bn"} {
		if seen[locale] < 400 {
			t.Errorf("only %d golden lines for %s", seen[locale], locale)
		}
	}
}

// CLDR, and so Intl, writes all of these without decimal places.
func TestFormatShowsTheDecimalPlacesOfISO4217(t *testing.T) {
	t.Parallel()
	tests := []struct {
		minor    int64
		currency money.Currency
		locale   string
		want     string
	}{
		{123456789, "IDR", "en", "IDR\u00a01,234,567.89"},
		{123456789, "IDR", "bn", "১২,৩৪,৫৬৭.৮৯\u00a0IDR"},
		{-123456789, "PKR", "en", "-PKR\u00a01,234,567.89"},
		{100000, "PKR", "ru", "1\u00a0000,00\u00a0PKR"},
		{100, "HUF", "uz", "1,00\u00a0HUF"},
		{1234567, "IQD", "en", "IQD\u00a01,234.567"},
		{5, "AFN", "ru", "0,05\u00a0AFN"},
	}
	for _, tt := range tests {
		if got := money.Format(money.New(tt.minor, tt.currency), tt.locale); got != tt.want {
			t.Errorf("%d %s in %s: got %+q, want %+q", tt.minor, tt.currency, tt.locale, got, tt.want)
		}
	}
}

func TestFormatReadsUnknownLocalesAsEnglish(t *testing.T) {
	t.Parallel()
	m := money.New(-123456789, "USD")
	for _, locale := range []string{"", "de", "EN", "ru-RU", "../ru"} {
		if got, want := money.Format(m, locale), "-$1,234,567.89"; got != want {
			t.Errorf("%q: got %q, want %q", locale, got, want)
		}
	}
}
