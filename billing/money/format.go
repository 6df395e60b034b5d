package money

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// localeFormat is how a language writes an amount, from CLDR.
type localeFormat struct {
	symbolFirst    bool   // ¤1 rather than 1¤
	gap            string // between number and symbol, by the pattern
	group          string
	decimal        string
	minus          string // in front of everything
	primaryGroup   int    // digits in the group next to the decimal sign
	secondaryGroup int    // digits in every other group; 2 in lakh and crore
	digits         string // zero to nine
	symbols        map[Currency]string
}

// noBreakSpace is what CLDR's currency spacing puts between a digit and a symbol made of letters.
const noBreakSpace = "\u00a0"

// Format writes an amount for people who read locale: "en", "ru", "uz" or "bn". Every other value is read as "en", so
// agree on a language before. Decimal places are those of ISO 4217, always all of them: nobody should have to guess
// whether 1,000 IDR on a receipt was rounded. Never parse the result, and never send it where a program reads it.
func Format(m Money, locale string) string {
	f, ok := localeFormats[locale]
	if !ok {
		f = localeFormats["en"]
	}
	plain, negative := strings.CutPrefix(m.String(), "-")
	number := f.number(plain)
	symbol, ok := f.symbols[m.Currency]
	if !ok {
		symbol = string(m.Currency)
	}
	last, _ := utf8.DecodeLastRuneInString(symbol)
	first, _ := utf8.DecodeRuneInString(symbol)
	text := number + f.gapBeside(first) + symbol
	if f.symbolFirst {
		text = symbol + f.gapBeside(last) + number
	}
	if negative {
		return f.minus + text
	}
	return text
}

// FormatNumber is Format without the currency, for places that name it beside the number.
func FormatNumber(m Money, locale string) string {
	f, ok := localeFormats[locale]
	if !ok {
		f = localeFormats["en"]
	}
	plain, negative := strings.CutPrefix(m.String(), "-")
	if negative {
		return f.minus + f.number(plain)
	}
	return f.number(plain)
}

// number writes a plain decimal with the language's digits, groups and decimal sign.
func (f localeFormat) number(plain string) string {
	digits := []rune(f.digits)
	whole, fraction, hasFraction := strings.Cut(plain, ".")
	var b strings.Builder
	for i := range len(whole) {
		if i > 0 && f.groupStartsBefore(len(whole)-i) {
			b.WriteString(f.group)
		}
		b.WriteRune(digits[whole[i]-'0'])
	}
	if hasFraction {
		b.WriteString(f.decimal)
	}
	for i := range len(fraction) {
		b.WriteRune(digits[fraction[i]-'0'])
	}
	return b.String()
}

// groupStartsBefore says whether a separator stands in front of the last n digits.
func (f localeFormat) groupStartsBefore(n int) bool {
	return n >= f.primaryGroup && (n-f.primaryGroup)%f.secondaryGroup == 0
}

// gapBeside is CLDR's rule: $ and ৳ may touch a digit, the letters of BDT and US$ may not.
func (f localeFormat) gapBeside(symbolEdge rune) string {
	if f.gap == "" && !unicode.In(symbolEdge, unicode.S, unicode.Z) {
		return noBreakSpace
	}
	return f.gap
}
