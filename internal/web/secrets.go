package web

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// HoldsCardNumber says whether text holds a number that a card could have: the digits and the length of a card
// network, the right check digit, and written as cards are. Digits of all scripts count, and what stands between them
// does not matter; ids, digests, telephone numbers and bank accounts are not taken for cards.
func HoldsCardNumber(text string) bool {
	text = withoutAccounts(strings.ToUpper(machineWord.ReplaceAllString(plain(text), " ")))
	for _, at := range digitChain.FindAllStringIndex(text, -1) {
		chain := text[at[0]:at[1]]
		groups := digits.FindAllString(chain, -1)
		if at[0] > 0 && text[at[0]-1] == '+' && len(strings.Join(groups, "")) <= maxPhone {
			continue
		}
		if isCard(strings.Join(groups, "")) && looselyGrouped.MatchString(chain) || holdsCard(groups) {
			return true
		}
	}
	return false
}

// maxPhone is how many digits a telephone number has at most, with its country.
const maxPhone = 15

var (
	// machineWord finds ids, hashes and digests: their digits may look like a card's by chance, and nobody types a card so.
	machineWord = regexp.MustCompile(`(?:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|\b[0-9a-fA-F]{32,})\b`)
	// digitChain finds digits with anything short but words between them. A comma and a space begin another number.
	digitChain = regexp.MustCompile(`[0-9]+(?:(?:[^\pL\pN,;+]{1,3}|[,;])[0-9]+)*`)
	digits     = regexp.MustCompile(`[0-9]+`)
	// looselyGrouped is a chain that is one number, however it is grouped.
	looselyGrouped = regexp.MustCompile(`^[0-9]+(?:[ -][0-9]+)*$`)
	// card is what the networks give out: Visa; Mastercard; American Express; Discover, JCB, UnionPay and Mir; Diners;
	// Uzcard and Humo.
	card = regexp.MustCompile(`^(?:4[0-9]{12}(?:[0-9]{3}){0,2}|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}|` +
		`3[47][0-9]{13}|(?:6011|64[4-9][0-9]|65[0-9]{2}|35[0-9]{2}|62[0-9]{2}|220[0-4])[0-9]{12,15}|(?:30[0-5]|36[0-9]|38[0-9])[0-9]{11,16}|` +
		`(?:8600|5614|9860)[0-9]{12})$`)
	// iban and pin find a bank account and a PIN beside it, in the words of our languages.
	iban = regexp.MustCompile(`\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}\b`)
	pin  = regexp.MustCompile(`(?i)(?:\b(?:pin|cvv|cvc|parol)|пин|পিন)[^0-9a-z]{0,12}[0-9]{3,8}\b`)
)

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

// withoutAccounts takes out of an upper-case text the bank accounts whose check digits are right.
func withoutAccounts(text string) string {
	return iban.ReplaceAllStringFunc(text, func(found string) string {
		// the words that follow may have been taken for a part of it
		for end := len(found); end > 0; end = strings.LastIndexByte(found[:end], ' ') {
			if isIBAN(strings.ReplaceAll(found[:end], " ", "")) {
				return " " + found[end:]
			}
		}
		return found
	})
}

// isIBAN checks by ISO 7064: as a number, with letters from 10 on and its start at the end, it leaves 1 modulo 97.
func isIBAN(account string) bool {
	rest := 0
	for _, c := range []byte(account[4:] + account[:4]) {
		if c >= 'A' {
			rest = (rest*100 + int(c-'A') + 10) % 97
		} else {
			rest = (rest*10 + int(c-'0')) % 97
		}
	}
	return rest == 1
}

// holdsCard looks among groups of digits, which may go on with an expiry date or begin with something else, for those
// that are grouped as on a card.
func holdsCard(groups []string) bool {
	for i := range groups {
		number := ""
		for j := i; j < len(groups) && len(number)+len(groups[j]) <= 19; j++ {
			number += groups[j]
			if isCard(number) && groupedAsCard(groups[i:j+1]) {
				return true
			}
		}
	}
	return false
}

// groupedAsCard: not at all; by fours, by twos or one by one; or as American Express and Diners do.
func groupedAsCard(groups []string) bool {
	sizes := make([]int, len(groups))
	for i, g := range groups {
		sizes[i] = len(g)
	}
	first, last := sizes[0], sizes[len(sizes)-1]
	switch {
	case len(sizes) == 1:
		return true
	case first == 4 && len(sizes) == 3:
		return sizes[1] == 6 && (last == 4 || last == 5)
	case first != 1 && first != 2 && first != 4:
		return false
	}
	return last <= first && !slices.ContainsFunc(sizes[:len(sizes)-1], func(n int) bool { return n != first })
}

func isCard(number string) bool { return card.MatchString(number) && luhn(number) }

func luhn(digits string) bool {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			d *= 2
			if d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

func holdsAccountWithPIN(text string) bool {
	text = plain(text)
	return pin.MatchString(text) && iban.MatchString(strings.ToUpper(text))
}
