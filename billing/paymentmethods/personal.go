package paymentmethods

import (
	"slices"
	"strings"
	"unicode"
)

// personal are the words in keys that stand for what tells who somebody is, or where his money is: with one of these
// numbers a stranger can call him, ask his operator or bank about him, or spend his voucher. Case and separators do not
// count.
var personal = []string{"phone", "msisdn", "mobile", "whatsapp", "email", "passport", "nationalid",
	"walletnumber", "walletno", "walletid", "sendernumber", "payernumber", "accountnumber", "accountno", "iban",
	"vouchernumber", "voucherno", "vouchercode", "cardmasked", "maskedcard", "maskedpan", "cardnumber"}

// personalAlone are such words where they are the whole key; as a part of one they say nothing.
var personalAlone = []string{"wallet", "voucher", "tel", "nid", "pan", "card"}

// IsPersonal says whether what stands under a key that its writer made up is sealed (S2-137, C-13).
func IsPersonal(key string) bool {
	plain := strings.ToLower(LettersAndDigits(key))
	return slices.Contains(personalAlone, plain) || slices.ContainsFunc(personal, func(word string) bool { return strings.Contains(plain, word) })
}

// LettersAndDigits reduces a text to what two spellings of a number or reference share, in upper case.
func LettersAndDigits(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return unicode.ToUpper(c)
		}
		return -1
	}, text)
}

// shownEnd is how many characters of a sealed value are shown, when it has at least twice as many.
const shownEnd = 4

// masked stands for what is not shown of a sealed value.
const masked = "••••"

// Mask shows the end of a sealed value.
func Mask(text string) string {
	if runes := []rune(LettersAndDigits(text)); len(runes) >= 2*shownEnd {
		return masked + string(runes[len(runes)-shownEnd:])
	}
	return masked
}
