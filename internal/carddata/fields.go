package carddata

import "unicode"

// names are those of fields that hold nothing but card data, in small letters and without what stands between words,
// with how many digits such a value has. What is shorter or longer is something else: the last four digits of a card,
// or the number of a customer under cid.
var names = map[string]length{
	"cvv": code, "cvv2": code, "cvc": code, "cvc2": code, "cvn": code, "cvd": code, "cav2": code, "cid": code, "csc": code,
	"securitycode": code, "cardcode": code, "cardcvv": code, "cardcvc": code, "cardsecuritycode": code, "cardverificationvalue": code,
	"cardverificationcode": code, "verificationvalue": code,
	"pan": account, "cardpan": account, "primaryaccountnumber": account, "cardnumber": account, "cardno": account, "cardnum": account,
	"ccnumber": account, "ccnum": account, "creditcard": account, "creditcardnumber": account, "debitcardnumber": account,
	"track1": stripe, "track2": stripe, "track3": stripe, "track1data": stripe, "track2data": stripe, "trackdata": stripe,
	"pinblock": stripe, "encryptedpinblock": stripe,
}

// length is how many digits a value has at least and at most.
type length struct{ min, max int }

var (
	code    = length{3, 4}
	account = length{8, maxDigits}
	stripe  = length{1, 1 << 20} // a magnetic stripe or a PIN block: letters too, and no part of it
)

// Field says whether a field of a request holds card data: a card number in its value or in its name, or a security
// code, a number or a stripe under a name that says so, however the name is spelt.
func Field(name, value string) bool { return Holds(value) || Holds(name) || Named(name, value) }

// Named says whether a field is called as card data is and has a value like it.
func Named(name, value string) bool {
	const longest = 32
	var plain [longest]byte
	n := 0
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case isDigit(c) || isLetter(c):
		default:
			continue
		}
		if n == longest {
			return false
		}
		plain[n] = c
		n++
	}
	limits, known := names[string(plain[:n])]
	if !known {
		return false
	}
	digits, foreign := 0, 0
	for _, c := range value {
		switch {
		case unicode.IsNumber(c):
			digits++
		case unicode.IsLetter(c) || c == '*':
			foreign++
		}
	}
	return digits >= limits.min && digits <= limits.max && (foreign == 0 || limits == stripe)
}
