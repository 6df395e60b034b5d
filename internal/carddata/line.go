package carddata

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The classes of bytes that suspicious tells apart.
const (
	other = iota
	digit
	letter
	wide // the first byte of what is not ASCII
)

var classes = func() (table [256]byte) {
	for c := range table {
		switch b := byte(c); {
		case b >= utf8.RuneSelf:
			table[c] = wide
		case isDigit(b):
			table[c] = digit
		case isLetter(b):
			table[c] = letter
		}
	}
	return table
}()

// suspicious says whether a text could hold a card number at all: it has enough digits with no letter between them. It
// allocates nothing, and nearly all texts end here.
func suspicious(text string) bool {
	if len(text) < minDigits {
		return false
	}
	digits := 0
	for i := 0; i < len(text); i++ {
		switch classes[text[i]] {
		case digit:
			if digits++; digits == minDigits {
				return true
			}
		case letter:
			if !isEscape(text, i) {
				digits = 0
			}
		case wide:
			c, size := utf8.DecodeRuneInString(text[i:])
			switch {
			case unicode.IsLetter(c):
				digits = 0
			case unicode.IsNumber(c):
				digits += maxDigitsOf(c)
			}
			if digits >= minDigits {
				return true
			}
			i += size - 1
		}
	}
	return false
}

// isEscape says whether the letter at i belongs to what a URL writes for a blank, a hyphen or a plus.
func isEscape(text string, i int) bool {
	return i >= 2 && text[i-2] == '%' && escaped(text[i-2:]) != 0
}

// escaped gives the mark that text begins with as URLs write it; 0: it begins with none. No card begins with 20.
func escaped(text string) byte {
	if len(text) < 3 || text[0] != '%' || text[1] != '2' {
		return 0
	}
	switch text[2] {
	case '0':
		return ' '
	case 'D', 'd':
		return '-'
	case 'B', 'b':
		return '+'
	}
	return 0
}

// line is a text in which each mark is one byte: digits of all scripts as those of ASCII, Latin letters in upper case,
// every other letter as 'x', blanks and hyphens of all kinds as those of ASCII, what begins a new line or column as a tab,
// and what nobody sees left out. at has the place in the text of each mark, and of the end.
type line struct {
	marks []byte
	at    []int
}

// strange stands for a letter that no word of ours has: it ends a number, and is not part of one.
const strange = 'x'

func normalize(text string) line {
	l := line{make([]byte, 0, len(text)), make([]int, 0, len(text)+1)}
	for i := 0; i < len(text); {
		c, size := rune(text[i]), 1
		if c >= utf8.RuneSelf {
			c, size = utf8.DecodeRuneInString(text[i:])
		}
		if mark := escaped(text[i:]); mark != 0 {
			l.add(mark, i)
			i += 3
			continue
		}
		if c < utf8.RuneSelf {
			l.add(ascii(byte(c)), i)
		} else {
			l.addWide(c, i)
		}
		i += size
	}
	l.at = append(l.at, len(text))
	return l
}

func (l *line) add(mark byte, at int) {
	l.marks = append(l.marks, mark)
	l.at = append(l.at, at)
}

func ascii(c byte) byte {
	switch {
	case c >= 'a' && c <= 'z':
		return c - 'a' + 'A'
	case c < ' ' || c == 0x7f:
		return '\t'
	}
	return c
}

func (l *line) addWide(c rune, at int) {
	switch {
	case unicode.In(c, unicode.Cf, unicode.Mn, unicode.Me): // nobody sees it, or it sits on the character before it
	case unicode.IsDigit(c):
		l.add('0'+valueOf(c), at)
	case unicode.Is(unicode.Zs, c):
		l.add(' ', at)
	case unicode.IsControl(c) || unicode.In(c, unicode.Zl, unicode.Zp):
		l.add('\t', at)
	case unicode.Is(unicode.Pd, c) || c == '\u2212': // the minus sign
		l.add('-', at)
	case unicode.IsNumber(c) || unicode.IsLetter(c):
		for _, p := range compatible(c) {
			switch {
			case p < utf8.RuneSelf:
				l.add(ascii(byte(p)), at)
			case unicode.IsLetter(p):
				l.add(strange, at)
			default:
				l.add('.', at)
			}
		}
	default:
		l.add('.', at)
	}
}

// valueOf is the value of a decimal digit: all scripts have their ten in a row, zero first.
func valueOf(c rune) byte {
	before := rune(0)
	for unicode.IsDigit(c - before - 1) {
		before++
	}
	return byte(before % 10)
}

// maxDigitsOf is how many digits a number of one character stands for at most; a circled 20 is two.
func maxDigitsOf(c rune) int {
	if unicode.IsDigit(c) {
		return 1
	}
	return 2
}

// compatible gives the plain characters of which c is a variant in form, such as a circled digit or a letter in full
// width, and otherwise c itself.
func compatible(c rune) string {
	if unicode.IsLetter(c) && c < '\u2100' { // where the variants begin
		return string(c)
	}
	return norm.NFKC.String(string(c))
}

// hideIDs takes UUIDs out: their digits are a card's by chance only. What stands before one may touch it.
func (l line) hideIDs() {
	m := l.marks
	for i := 0; i+36 <= len(m); i++ {
		if m[i+8] == '-' && m[i+13] == '-' && m[i+18] == '-' && m[i+23] == '-' && isHex(m[i:i+8]) && isHex(m[i+9:i+13]) && isHex(m[i+14:i+18]) &&
			isHex(m[i+19:i+23]) && isHex(m[i+24:i+36]) && (i+36 == len(m) || !isWord(m[i+36])) {
			l.hide(i, i+36)
			i += 35
		}
	}
}

// hideDigests takes words out that are a SHA-256 in hex, to which approvals are bound: rarely, but for ever, da stands behind digits
// that are a card's by chance, as an ending of Uzbek does.
func (l line) hideDigests() {
	const length = 64
	m := l.marks
	for from := 0; from < len(m); from++ {
		to := from
		for to < len(m) && isWord(m[to]) {
			to++
		}
		if to-from == length && isHex(m[from:to]) {
			l.hide(from, to)
		}
		from = to
	}
}

// hideAccounts takes bank accounts out whose check digits are right by ISO 7064: as a number, with letters from 10 on
// and its start at the end, an IBAN leaves 1 modulo 97.
func (l line) hideAccounts() {
	m := l.marks
	for i := 0; i+minIBAN <= len(m); i++ {
		if i > 0 && isWord(m[i-1]) || !isLatin(m[i]) || !isLatin(m[i+1]) || !isDigit(m[i+2]) || !isDigit(m[i+3]) {
			continue
		}
		rest, length, end := 0, 4, 0
		for j := i + 4; j < len(m) && length < maxIBAN; j++ {
			if m[j] == ' ' && j+1 < len(m) && isWord(m[j+1]) {
				continue
			}
			if !isWord(m[j]) {
				break
			}
			rest, length = remainder(rest, m[j]), length+1
			if length < minIBAN || j+1 < len(m) && isWord(m[j+1]) {
				continue
			}
			whole := rest
			for _, c := range m[i : i+4] {
				whole = remainder(whole, c)
			}
			if whole == 1 { // the words that follow may still be a part of it
				end = j + 1
			}
		}
		if end > 0 {
			l.hide(i, end)
			i = end
		}
	}
}

// The lengths of the shortest and the longest IBAN.
const (
	minIBAN = 15
	maxIBAN = 34
)

func remainder(rest int, c byte) int {
	if isDigit(c) {
		return (rest*10 + int(c-'0')) % 97
	}
	return (rest*100 + int(c-'A') + 10) % 97
}

func (l line) hide(from, to int) {
	for i := from; i < to; i++ {
		l.marks[i] = strange
	}
}

// Words that people write without a blank before or behind a card number. Any other makes the digits part of a longer
// name, as the references of banks are.
var (
	wordsBefore = []string{"CARD", "KARTA", "VISA", "MASTERCARD", "MASTER", "MC", "AMEX", "MIR", "HUMO", "UZCARD", "MAESTRO", "JCB", "PAN", "CC", "NO", "NR", "NUMBER"}
	wordsBehind = []string{"EXP", "CVV", "CVC", "VALID", "GA", "DAN", "DA", "NI", "NING"} // the last are endings of Uzbek
)

// gluedBefore says whether the digits from i on touch the letters of a word before them.
func (l line) gluedBefore(i int) bool {
	from := i
	for from > 0 && isLatin(l.marks[from-1]) {
		from--
	}
	switch {
	case from == i:
		return false
	case from > 0 && isDigit(l.marks[from-1]):
		return true
	case i-from == 1 && from > 0 && (l.marks[from-1] == '\\' || l.marks[from-1] == '%' && l.marks[from] == 'B'):
		return false // a line break as programs write it; the start of a magnetic stripe
	}
	return !among(wordsBefore, l.marks[from:i])
}

// gluedBehind says whether digits that end at i touch the letters of a word behind them.
func (l line) gluedBehind(i int) bool {
	to := i
	for to < len(l.marks) && isLatin(l.marks[to]) {
		to++
	}
	return to > i && !among(wordsBehind, l.marks[i:to])
}

func among(words []string, word []byte) bool {
	for _, w := range words {
		if w == string(word) {
			return true
		}
	}
	return false
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func isLatin(c byte) bool { return c >= 'A' && c <= 'Z' }

func isLetter(c byte) bool { return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' }

func isWord(c byte) bool { return isDigit(c) || isLatin(c) }

func isHex(marks []byte) bool {
	return strings.Trim(string(marks), "0123456789ABCDEF") == ""
}
