// Package carddata finds card numbers and security codes, which Countersign never takes, stores or logs (S1-14, S1-65,
// S0D-24). Whoever reads something from outside asks Holds or Field and refuses; whoever writes down what somebody else
// has said, such as a provider, writes Said or Clean of it. Logs is the second wall behind both.
//
// It owns what card data looks like, and nothing of what is done about it: the refusal is internal/web's.
//
// A card number is 13 to 19 digits of any script, with the beginning and the length of a network and the right check
// digit, written as people write them: in one piece, in any pieces with single blanks or hyphens between them, in a
// card's own pieces with up to three other marks between them, or in pieces of four with any number of blanks. Digits that
// belong to a longer number or to a word, such as those of an id, a digest, a bank account with an IBAN or a telephone
// number with its country, are none. Neither are numbers that a comma and a blank divide: "invoices 4001, 4002, 4003, 4004"
// is an ordinary note, and one in ten of these would be refused. Of random numbers of 16 digits one in 36 looks like a
// card; nobody can tell these from cards.
package carddata

import "strings"

// Holds says whether text holds a card number.
func Holds(text string) bool {
	return suspicious(text) && len(findAll(text, 1)) > 0
}

// Find gives the place of the first card number in text, in bytes. Without one, ok is false.
func Find(text string) (start, end int, ok bool) {
	if !suspicious(text) {
		return 0, 0, false
	}
	found := findAll(text, 1)
	if len(found) == 0 {
		return 0, 0, false
	}
	return found[0].start, found[0].end, true
}

// Masked stands for a card number. Its letters keep digits before and behind it from making up another one.
const Masked = "[card number]"

// Mask gives text with every card number replaced, together with the digits that follow it: an expiry date, a security
// code. Text without one is given back as it is. Find finds nothing in the outcome.
func Mask(text string) string {
	for suspicious(text) {
		found := findAll(text, -1)
		if len(found) == 0 {
			return text
		}
		var b strings.Builder
		from := 0
		for _, p := range found {
			b.WriteString(text[from:p.start])
			b.WriteString(Masked)
			from = p.tail
		}
		b.WriteString(text[from:])
		text = b.String() // what stood around a number may now be read in another way: look again
	}
	return text
}

// place is where a card number stands in a text, in bytes. Tail is the end of all digits that follow it.
type place struct{ start, end, tail int }

const (
	// minDigits and maxDigits are how many a card number has.
	minDigits = 13
	maxDigits = 19
	// maxGap is how many marks may stand between two pieces of a card number.
	maxGap = 3
	// maxPhone is how many digits a telephone number has at most, with its country.
	maxPhone = 15
)

// piece is a run of digits in a line. Glued pieces touch the letters of a word.
type piece struct {
	from, to int
	glued    bool
}

// findAll gives the places of up to limit card numbers, at most one for each chain of pieces; a negative limit means all.
func findAll(text string, limit int) (found []place) {
	l := normalize(text)
	l.hideIDs()
	l.hideDigests()
	l.hideAccounts()
	var chain []piece
	for i := 0; i < len(l.marks) && len(found) != limit; {
		if !isDigit(l.marks[i]) {
			i++
			continue
		}
		chain = chain[:0]
		for next := i; next >= 0; next = l.next(i) {
			chain = append(chain, l.piece(next))
			i = chain[len(chain)-1].to
		}
		from, to, ok := l.cardIn(chain)
		if !ok {
			from, to, ok = l.spread(chain)
		}
		if ok {
			i = l.tail(max(i, to))
			found = append(found, place{l.at[from], l.at[to], l.at[i]})
		}
	}
	return found
}

func (l line) piece(from int) piece {
	to := from
	for to < len(l.marks) && isDigit(l.marks[to]) {
		to++
	}
	return piece{from, to, l.gluedBefore(from) || l.gluedBehind(to)}
}

// next gives where the chain's next piece begins behind a piece that ends at i, and -1 where the chain ends. A comma
// and a blank begin another number.
func (l line) next(i int) int {
	for n := range maxGap + 1 {
		switch {
		case i+n >= len(l.marks) || isLetter(l.marks[i+n]):
			return -1
		case isDigit(l.marks[i+n]):
			return i + n
		case strings.IndexByte(",;+", l.marks[i+n]) >= 0:
			if n == 0 && i+1 < len(l.marks) && isDigit(l.marks[i+1]) {
				return i + 1
			}
			return -1
		}
	}
	return -1
}

// beyond is next, behind any number of blanks.
func (l line) beyond(i int) int {
	to := i
	for to < len(l.marks) && isBlank(l.marks[to]) {
		to++
	}
	if to-i > maxGap && to < len(l.marks) && isDigit(l.marks[to]) {
		return to
	}
	return l.next(i)
}

// tail gives the end of all digits that follow a place.
func (l line) tail(i int) int {
	for next := l.beyond(i); next >= 0; next = l.beyond(i) {
		i = l.piece(next).to
	}
	return i
}

// cardIn looks for a card number in a chain: all of it, or pieces of it that are those of a card.
func (l line) cardIn(chain []piece) (from, to int, ok bool) {
	first, last := chain[0], chain[len(chain)-1]
	if digitsOf(chain) < minDigits || l.isPhone(chain) {
		return 0, 0, false
	}
	if l.looselyWritten(chain) && !knownOtherwise(chain) && l.isCard(first.from, last.to) {
		return first.from, last.to, true
	}
	return l.partOf(chain, writtenAsCard)
}

// spread looks for a card number that begins in a chain and goes on behind more blanks than a chain has, as in a table.
// Only pieces of four are taken together over such a distance.
func (l line) spread(chain []piece) (from, to int, ok bool) {
	const most = 5 // pieces of four that a card has
	end := chain[len(chain)-1].to
	i := end
	for range most - 1 {
		next := l.beyond(i)
		if next < 0 {
			break
		}
		chain = append(chain, l.piece(next))
		i = chain[len(chain)-1].to
	}
	if i == end {
		return 0, 0, false
	}
	return l.partOf(chain, func(pieces []piece) bool {
		first, last := pieces[0], pieces[len(pieces)-1]
		return last.to > end && first.to-first.from == 4 && writtenAsCard(pieces) && !l.isPhone(pieces)
	})
}

// partOf looks in a chain for pieces that are those of a card.
func (l line) partOf(chain []piece, written func([]piece) bool) (from, to int, ok bool) {
	for j := range chain {
		digits := 0
		for i := j; i >= 0 && !chain[i].glued; i-- {
			if digits += chain[i].to - chain[i].from; digits > maxDigits {
				break
			}
			if digits >= minDigits && written(chain[i:j+1]) && l.isCard(chain[i].from, chain[j].to) {
				return chain[i].from, chain[j].to, true
			}
		}
	}
	return 0, 0, false
}

// isPhone says whether pieces behind a plus may be a telephone number with its country. Of 15 digits, which is the most,
// those of a card are none: where numbers begin as cards of American Express and Maestro do, people's have fewer.
func (l line) isPhone(pieces []piece) bool {
	from, to, digits := pieces[0].from, pieces[len(pieces)-1].to, digitsOf(pieces)
	return from > 0 && l.marks[from-1] == '+' && (digits < maxPhone || digits == maxPhone && !l.isCard(from, to))
}

func digitsOf(pieces []piece) (n int) {
	for _, p := range pieces {
		n += p.to - p.from
	}
	return n
}

// looselyWritten: in pieces of any size with one blank or hyphen between them, and nothing else around.
func (l line) looselyWritten(chain []piece) bool {
	for i, p := range chain {
		if p.glued {
			return false
		}
		if i > 0 && (p.from-chain[i-1].to != 1 || l.marks[p.from-1] != ' ' && l.marks[p.from-1] != '-') {
			return false
		}
	}
	return true
}

// knownOtherwise says whether the pieces are those of something else, as no card is written: a day such as 22-05-2026,
// of which two may look like a card, or the number of an identity card of Pakistan such as 42101-1234567-1, of which one
// in ten of those of Karachi would pass for an old Visa card.
func knownOtherwise(chain []piece) bool {
	begins := func(sizes ...int) bool {
		for i, size := range sizes {
			if i >= len(chain) || chain[i].to-chain[i].from != size {
				return false
			}
		}
		return true
	}
	return begins(2, 2, 4) || begins(5, 7, 1) && len(chain) == 3
}

// writtenAsCard: in one piece; by fours, by twos or one by one; or as American Express and Diners do.
func writtenAsCard(pieces []piece) bool {
	size := func(i int) int { return pieces[i].to - pieces[i].from }
	n := len(pieces)
	first, last := size(0), size(n-1)
	switch {
	case n == 1:
		return true
	case n == 3 && first == 4 && size(1) == 6:
		return last == 4 || last == 5
	case first != 1 && first != 2 && first != 4 || last > first:
		return false
	}
	for i := range n - 1 {
		if size(i) != first {
			return false
		}
	}
	return true
}

// isCard checks the digits between two places of the line.
func (l line) isCard(from, to int) bool {
	var number [maxDigits]byte
	n := 0
	for _, c := range l.marks[from:to] {
		if !isDigit(c) {
			continue
		}
		if n == len(number) {
			return false
		}
		number[n] = c - '0'
		n++
	}
	return n >= minDigits && issued(number[:n]) && luhn(number[:n])
}

// luhn checks the last digit by ISO/IEC 7812-1.
func luhn(number []byte) bool {
	sum := 0
	for i, digit := range number {
		d := int(digit)
		if (len(number)-i)%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}
