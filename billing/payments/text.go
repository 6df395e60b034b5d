package payments

import (
	"regexp"
	"strings"
)

// invoiceNumber finds what may be an invoice number in a reference: words of letters and digits joined by - or /,
// with at least four digits in a row somewhere.
var invoiceNumber = regexp.MustCompile(`[A-Za-z0-9]+(?:[-/][A-Za-z0-9]+)*`)

var fourDigits = regexp.MustCompile(`[0-9]{4}`)

func numbersIn(reference string) []string {
	var list []string
	for _, word := range invoiceNumber.FindAllString(reference, 20) {
		if fourDigits.MatchString(word) {
			list = append(list, strings.ToUpper(word))
		}
	}
	return list
}
