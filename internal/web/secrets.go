package web

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// iban and pin find a bank account and a PIN beside it, in the words of our languages.
var (
	iban = regexp.MustCompile(`\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}\b`)
	pin  = regexp.MustCompile(`(?i)(?:\b(?:pin|cvv|cvc|parol)|пин|পিন)[^0-9a-z]{0,12}[0-9]{3,8}\b`)
)

// shortestAccountWithPIN is the length of the shortest text that holds both: 15 characters, the word and three digits.
const shortestAccountWithPIN = 21

func holdsAccountWithPIN(text string) bool {
	if len(text) < shortestAccountWithPIN {
		return false
	}
	text = plain(text)
	return pin.MatchString(text) && iban.MatchString(strings.ToUpper(text))
}

// plain writes text with the digits of ASCII, whatever their script, width or style, and without marks that nobody sees.
func plain(text string) string {
	if !strings.ContainsFunc(text, func(c rune) bool { return c > unicode.MaxASCII }) {
		return text
	}
	return strings.Map(func(c rune) rune {
		if unicode.In(c, unicode.Cf, unicode.Mn, unicode.Me) {
			return -1
		}
		if !unicode.IsDigit(c) {
			return c
		}
		before := rune(0) // all scripts have their ten digits in a row, zero first
		for unicode.IsDigit(c - before - 1) {
			before++
		}
		return '0' + before%10
	}, norm.NFKC.String(text))
}
