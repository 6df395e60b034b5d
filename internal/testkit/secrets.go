package testkit

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"
)

// Kinds of secrets that the kit knows by itself. They say what was found where nothing may be.
const (
	SecretToken      = "a credential"
	SecretPassword   = "a password"
	SecretGateway    = "a gateway's secret"
	SecretKey        = "a key of the installation"
	SecretPersonal   = "a payer's number"
	SecretCard       = "a card number"
	SecretSource     = "a payer's token"
	secretControl    = "the control"
	shortestSecret   = 8  // letters and digits: shorter texts stand somewhere by chance
	shortestOfDigits = 10 // digits alone are everywhere
)

// inTheClear says which secrets may stand in a column or a place as they are, and why.
var inTheClear = map[string]map[string]string{
	SecretPersonal: {
		placePages: "a decision that comes too late shows the payment as it is now, whole to who may decide",
	},
	SecretSource: {
		"payment_orders.source": "a call that was not answered is made again with the payer's token; the answer takes it away",
		"sandbox_orders.token":  "the sandbox stands for a company outside, and its tokens are words of our documentation",
	},
}

// Secret registers what a test has used and what must be found nowhere when the package's tests have run: not in a table
// of any database, not in the log, not in an error's answer, not in the queue, however it is written there (S1-14, S2-138).
// Tokens, passwords, gateways' secrets, payers' numbers and cards that go through Client or a browser are registered by
// themselves. Values too short to be told from anything else are left out.
func Secret(kind string, values ...string) { heard.secret(kind, values...) }

// heard is the register of this test binary.
var heard = newRegister()

// register is what a test binary has used, and what it was heard to say.
type register struct {
	mu      sync.Mutex
	known   map[string]bool   // what was registered, by kind and value
	written map[string]string // ways to write a secret, bare, to its kind
	voices  []*voice
	found   []leak // in databases that are gone
}

func newRegister() *register {
	return &register{known: map[string]bool{}, written: map[string]string{}}
}

func (r *register) secret(kind string, values ...string) {
	if kind == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, value := range values {
		if _, err := uuid.Parse(value); err == nil && kind == SecretSource { // a saved method's, and no token
			continue
		}
		text := bare(value)
		if r.known[kind+value] || strings.Contains(value, "•") || // masked: as it was shown
			len(text) < shortestSecret || len(text) < shortestOfDigits && strings.Trim(text, "0123456789") == "" {
			continue
		}
		r.known[kind+value] = true
		for _, way := range spellings(value) {
			r.written[way] = kind
		}
	}
}

func (r *register) keep(place string, said []byte) { r.voice(place).Write(said) }

// voice is something that is heard. It is a writer for one at a time, or for whole lines.
type voice struct {
	place string
	mu    sync.Mutex
	said  bytes.Buffer
}

func (r *register) voice(place string) *voice {
	v := &voice{place: place}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.voices = append(r.voices, v)
	return v
}

// Write takes what is said.
func (v *voice) Write(said []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.said.Write(said)
}

// bare leaves of a text its letters and digits, in lower case: that is how secrets are compared.
func bare(text string) string {
	out := make([]byte, 0, len(text))
	for i := range len(text) {
		if c := folded[text[i]]; c != 0 {
			out = append(out, c)
		}
	}
	return string(out)
}

// folded says what each byte counts as; 0: nothing.
var folded = func() (table [256]byte) {
	for i := range table {
		switch c := byte(i); {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c >= 0x80:
			table[i] = c
		case 'A' <= c && c <= 'Z':
			table[i] = c + 'a' - 'A'
		}
	}
	return table
}()

// spellings are the ways in which a secret may be written, bare: as it is, escaped, and with or without its marks as
// hexadecimals and as base64 wherever it stands in what was encoded.
func spellings(value string) []string {
	quoted, _ := json.Marshal(value) // a string never fails
	ways := map[string]bool{}
	for _, text := range []string{value, string(quoted), html.EscapeString(value), url.QueryEscape(value), url.PathEscape(value)} {
		ways[bare(text)] = true
	}
	for _, text := range []string{value, bare(value)} {
		ways[hex.EncodeToString([]byte(text))] = true
		for shift := range 3 {
			encoded := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), text...))
			// the first and the last letters depend on what stands before and behind
			if inner := bare(encoded[(shift*8+5)/6 : (shift+len(text))*8/6]); len(inner) >= shortestSecret {
				ways[inner] = true
			}
		}
	}
	return slices.Collect(maps.Keys(ways))
}

// finder looks for many texts at once.
type finder struct {
	maybe []uint64              // which last eight bytes a text may have
	ends  map[uint64][]spelling // the texts by their last eight bytes
}

type spelling struct{ text, kind string }

const slotBits = 20

func slot(window uint64) uint64 { return window * 0x9e3779b97f4a7c15 >> (64 - slotBits) }

func (r *register) finder() *finder {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := &finder{maybe: make([]uint64, 1<<slotBits/64), ends: map[uint64][]spelling{}}
	for text, kind := range r.written {
		key := uint64(0)
		for _, c := range []byte(text[len(text)-8:]) {
			key = key<<8 | uint64(c)
		}
		f.ends[key] = append(f.ends[key], spelling{text, kind})
		f.maybe[slot(key)/64] |= 1 << (slot(key) % 64)
	}
	return f
}

// find calls found for each text in a line, with where it begins and ends. No text reaches over a tab.
func (f *finder) find(line []byte, found func(start, end int, kind string)) {
	window, filled := uint64(0), 0
	for i, b := range line {
		c := folded[b]
		if c == 0 {
			if b == '\t' {
				filled = 0
			}
			continue
		}
		window, filled = window<<8|uint64(c), filled+1
		if at := slot(window); filled < 8 || f.maybe[at/64]&(1<<(at%64)) == 0 {
			continue
		}
		for _, s := range f.ends[window] {
			if start := s.startIn(line[:i+1]); start >= 0 {
				found(start, i+1, s.kind)
				break
			}
		}
	}
}

// startIn says where the text begins that line may end with; -1 when it does not.
func (s spelling) startIn(line []byte) int {
	left := len(s.text)
	for i := len(line) - 1; i >= 0 && line[i] != '\t'; i-- {
		c := folded[line[i]]
		if c == 0 {
			continue
		}
		if c != s.text[left-1] {
			return -1
		}
		if left--; left == 0 {
			return i
		}
	}
	return -1
}

// cover gives a line with what the secrets are in their place.
func (f *finder) cover(line []byte) string {
	var out strings.Builder
	done := 0
	f.find(line, func(start, end int, kind string) {
		if start >= done {
			out.Write(line[done:start])
			out.WriteString("[" + kind + "]")
			done = end
		}
	})
	out.Write(line[done:])
	return out.String()
}
