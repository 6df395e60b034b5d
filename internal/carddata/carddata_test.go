package carddata_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"countersign/internal/carddata"
)

func TestFind(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{ // want is the number as it stands there; empty: none
		{"finds a number alone", "4242424242424242", "4242424242424242"},
		{"finds it in a sentence", "my card 4242 4242 4242 4242 thanks", "4242 4242 4242 4242"},
		{"finds it with hyphens", "5555-5555-5555-4444", "5555-5555-5555-4444"},
		{"finds it with dots", "4242.4242.4242.4242", "4242.4242.4242.4242"},
		{"finds it with other blanks and dashes", "4242\u00a04242\u20094242\u20134242", "4242\u00a04242\u20094242\u20134242"},
		{"finds it in full width", "４２４２ ４２４２ ４２４２ ４２４２", "４２４２ ４２４２ ４２４２ ４２４２"},
		{"finds it in Bengali", "কার্ড ৪২৪২৪২৪২৪২৪২৪২৪২", "৪২৪২৪২৪২৪২৪২৪২৪২"},
		{"finds it in Arabic digits", "٤٢٤٢ ٤٢٤٢ ٤٢٤٢ ٤٢٤٢", "٤٢٤٢ ٤٢٤٢ ٤٢٤٢ ٤٢٤٢"},
		{"finds it in circled digits", "④②④②④②④②④②④②④②④②", "④②④②④②④②④②④②④②④②"},
		{"finds it in pieces of any size", "424242 4242424242", "424242 4242424242"},
		{"finds it before its expiry date", "4242 4242 4242 4242 12/28 123", "4242 4242 4242 4242"},
		{"finds it behind a year", "2026 4242 4242 4242 4242", "4242 4242 4242 4242"},
		{"finds the second of two numbers", "9912345678901237, 4242424242424242", "4242424242424242"},
		{"finds it in JSON", `{"a":"4242424242424242"}`, "4242424242424242"},
		{"finds it in a URL", "https://x.test/?q=4242%204242%204242%204242&a=b", "4242%204242%204242%204242"},
		{"finds it in a form", "q=4242+4242+4242+4242", "4242+4242+4242+4242"},
		{"finds it behind an escaped line break", `a\n4242424242424242`, "4242424242424242"},
		{"finds it on a magnetic stripe", "%B4242424242424242^A/B^28121010000", "4242424242424242"},
		{"finds it on the other stripe", ";4242424242424242=28121010000?", "4242424242424242"},
		{"finds it in a file's name", "scan_4242424242424242.png", "4242424242424242"},
		{"finds it behind the word that it is a card", "VISA4242424242424242", "4242424242424242"},
		{"finds it with an ending of Uzbek", "8600000000000007ga", "8600000000000007"},
		{"finds it with an ending of Bengali", "৪২৪২৪২৪২৪২৪২৪২৪২এ", "৪২৪২৪২৪২৪২৪২৪২৪২"},
		{"finds it behind Chinese", "卡号4242424242424242", "4242424242424242"},
		{"finds American Express", "3782 822463 10005", "3782 822463 10005"},
		{"finds Diners", "36227206271667", "36227206271667"},
		{"finds UnionPay of 19 digits", "6205 5000 0000 0000 004", "6205 5000 0000 0000 004"},
		{"finds an old Visa", "4222222222222", "4222222222222"},
		{"finds Uzcard", "8600 4929 6666 7772", "8600 4929 6666 7772"},
		{"finds Humo", "9860000000000000", "9860000000000000"},
		{"finds Maestro", "6759649826438453", "6759649826438453"},
		{"finds it with many blanks", "4242    4242    4242    4242", "4242    4242    4242    4242"},
		{"finds it with blanks of any number", "4242 4242\u2003\u2003\u2003\u2003\u20034242         4242", "4242 4242\u2003\u2003\u2003\u2003\u20034242         4242"},
		{"finds it in the columns of a table", "card\t\t\t\t4242\t\t\t\t4242\t\t\t\t4242\t\t\t\t4242\t\t\t\tpaid", "4242\t\t\t\t4242\t\t\t\t4242\t\t\t\t4242"},
		{"finds it with empty lines", "4242\r\n\r\n4242\r\n\r\n4242\r\n\r\n4242", "4242\r\n\r\n4242\r\n\r\n4242\r\n\r\n4242"},
		{"finds it behind a column of something else", "2026-01-31    4242    4242    4242    4242    150.00", "4242    4242    4242    4242"},
		{"finds American Express with many blanks", "3782    822463    10005", "3782    822463    10005"},
		{"finds it in pieces of any size behind a column", "7      424242 4242424242", "424242 4242424242"},
		{"finds American Express behind a plus", "+378282246310005", "378282246310005"},
		{"finds it in pieces behind a plus", "+3782 822463 10005", "3782 822463 10005"},
		{"finds it behind a plus that stands for a blank", "card=+378282246310005&a=b", "378282246310005"},
		{"finds more digits than a telephone has behind a plus", "+4242424242424242", "4242424242424242"},
		{"finds them behind a plus with many blanks", "+4242     4242     4242     4242", "4242     4242     4242     4242"},
		{"finds an old Visa behind a plus, before its expiry date", "+4222222222222 12/28", "4222222222222"},
		{"finds a negative number", "-4242424242424242", "4242424242424242"},

		{"passes nothing", "", ""},
		{"passes a wrong check digit", "4242424242424241", ""},
		{"passes a number that no network gives out", "9912345678901237", ""},
		{"passes a number that is too short", "411111111111", ""},
		{"passes a number of another length than its network's", "55555555555544440", ""},
		{"passes a part of a longer number", "14242424242424242999999", ""},
		{"passes 25 digits", "4242424242424242424242424", ""},
		{"passes a part of a word", "TRX4242424242424242", ""},
		{"passes the start of a word", "4242424242424242AB7", ""},
		{"passes hexadecimals", "0x4242424242424242", ""},
		{"passes a digest", strings.Repeat("a", 24) + "4242424242424242" + strings.Repeat("b", 24), ""},
		{"passes a UUID", "42424242-4242-4242-8242-424242424242", ""},
		{"passes a UUID in a longer name", "u42424242-4242-4242-8242-424242424242@people.test", ""},
		{"passes a UUID with one letter", "4242424a-4242-4242-8242-424242424242", ""},
		{"passes an IBAN", "DE89 3704 0044 0532 0130 00", ""},
		{"passes a telephone number", "+42 4242 4242 424", ""},
		{"passes a telephone number of Lithuania", "+370 61 234 567", ""},
		{"passes a telephone number with many blanks", "+4222    2222    2222    2", ""},
		{"passes a telephone number beside a column", "+22 4222 2222 2222 2    7", ""},
		{"passes one of 15 digits", "+49 1512 3456789012", ""},
		{"passes other pieces than of four with many blanks", "424242    4242424242", ""},
		{"passes cards whose middle is hidden", "4242 **** **** 4242    4242 **** **** 4242", ""},
		{"passes the leaders of a list", "4242 ........ 4242 ........ 4242 ........ 4242", ""},
		{"passes numbers with words between them", "4242 of 4242 to 4242 for 4242", ""},
		{"passes amounts in columns", "4242.00    4242.00    4242.00    4242.00", ""},
		{"passes numbers that a comma divides", "4242, 4242, 4242, 4242", ""},
		{"passes days", "22-01-2026 23-01-2026", ""},
		{"passes an identity card of Karachi", "42101-1234567-1 42101-1234563-1", ""},
		{"passes an invoice number", "INV-2026-000123", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			start, end, ok := carddata.Find(tt.text)
			if got := tt.text[start:end]; got != tt.want || ok != (tt.want != "") || carddata.Holds(tt.text) != ok {
				t.Errorf("found %q in %q, want %q", got, tt.text, tt.want)
			}
		})
	}
}

// checked gives the digits with the check digit that makes them a card's.
func checked(digits string) string {
	for last := range 10 {
		number, sum := digits+strconv.Itoa(last), 0
		for i := range len(number) {
			d := int(number[len(number)-1-i] - '0')
			if i%2 == 1 {
				d = d*2/10 + d*2%10
			}
			sum += d
		}
		if sum%10 == 0 {
			return number
		}
	}
	panic("no check digit")
}

func digits(n int) *rapid.Generator[string] {
	return rapid.StringOfN(rapid.RuneFrom([]rune("0123456789")), n, n, n)
}

// cards are numbers of all networks.
var cards = rapid.Custom(func(rt *rapid.T) string {
	network := rapid.SampledFrom([]struct {
		prefix  string
		lengths []int
	}{
		{"4", []int{13, 16, 19}}, {"51", []int{16}}, {"55", []int{16}}, {"2221", []int{16}}, {"2720", []int{16}}, {"2345", []int{16}}, {"34", []int{15}}, {"37", []int{15}},
		{"6011", []int{16, 19}}, {"644", []int{16, 19}}, {"65", []int{16, 19}}, {"62", []int{16, 17, 18, 19}}, {"3528", []int{16, 19}}, {"3589", []int{16}},
		{"300", []int{14, 16}}, {"305", []int{14, 16}}, {"36", []int{14, 16}}, {"38", []int{14, 16}}, {"6759", []int{13, 16, 19}}, {"6304", []int{16}},
		{"9860", []int{16}}, {"8600", []int{16}}, {"5614", []int{16}}, {"2200", []int{16}}, {"2204", []int{16}},
	}).Draw(rt, "network")
	length := rapid.SampledFrom(network.lengths).Draw(rt, "length")
	return checked(network.prefix + digits(length-len(network.prefix)-1).Draw(rt, "rest"))
})

// Each number of each network is found in each grouping by single blanks and hyphens, whatever words are around it.
func TestFind_groupings(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		number := cards.Draw(rt, "card")
		separator := rapid.SampledFrom([]string{" ", "-", "\u00a0", "\u2009", "\u2011", "\u2013", "\u2212"}).Draw(rt, "separator")
		zero := rapid.SampledFrom([]rune{'0', '０', '০', '٠', '۰', '०', '𝟎', '𑄶'}).Draw(rt, "zero")
		var text strings.Builder
		var sizes []int
		for from := 0; from < len(number); {
			size := min(rapid.IntRange(1, len(number)).Draw(rt, "size"), len(number)-from)
			if from > 0 {
				text.WriteString(separator)
			}
			for _, c := range number[from : from+size] {
				text.WriteRune(zero + c - '0')
			}
			from += size
			sizes = append(sizes, size)
		}
		if n := len(sizes); n > 2 && (sizes[0] == 2 && sizes[1] == 2 && sizes[2] == 4 || n == 3 && sizes[0] == 5 && sizes[1] == 7 && sizes[2] == 1) {
			rt.Skip("written as a day or as an identity card")
		}
		around := rapid.SampledFrom([]string{"", "card: ", "(", "карта ", "কার্ড ", "\"", "\n", "a, "}).Draw(rt, "before")
		whole := around + text.String() + rapid.SampledFrom([]string{"", " thanks", ")", "\"", ", exp", "\n", "."}).Draw(rt, "behind")
		start, end, ok := carddata.Find(whole)
		if !ok || whole[start:end] != text.String() {
			rt.Fatalf("%q: found %q", whole, whole[start:end])
		}
		if got := carddata.Mask(whole); strings.Contains(got, text.String()) || !strings.HasPrefix(got, around) {
			rt.Fatalf("%q is masked as %q", whole, got)
		}
	})
}

// Whatever stands between the pieces of a card, and in whatever script they are.
func TestFind_spellings(t *testing.T) {
	t.Parallel()
	separators := []string{"", " ", "  ", ".", " . ", "-", " - ", "–", "/", "_", "*", ":", "|", "·", ",", "\u00a0", "\u2009", "\u200b", "\n", "\t", "\r\n", "\ufe0f\u20e3", "%20", "+"}
	zeros := []rune{'0', '０', '০', '٠', '०', '𝟎', '𝟶', '𑄶'}
	before := []string{"", " ", "my card: ", "карта", "কার্ড ", "INV-2026-000123 ", "INV-2026-000123, "}
	after := []string{"", " ", " exp 12/28, cvv 123", " 12/28 123", ", thanks", " - INV-2026-000123"}
	rapid.Check(t, func(rt *rapid.T) {
		number := cards.Draw(rt, "card")
		separator, zero := rapid.SampledFrom(separators).Draw(rt, "separator"), rapid.SampledFrom(zeros).Draw(rt, "zero")
		size := rapid.SampledFrom([]int{1, 2, 4, 19}).Draw(rt, "size of groups")
		if size == 4 && rapid.Bool().Draw(rt, "many blanks") {
			separator = strings.Repeat(rapid.SampledFrom([]string{" ", "\t", "\u00a0", "\u2003", "\n", "\r\n", "%20", " \u2029"}).Draw(rt, "blank"), rapid.IntRange(1, 50).Draw(rt, "times"))
		}
		var text strings.Builder
		text.WriteString(rapid.SampledFrom(before).Draw(rt, "before"))
		for i, c := range number {
			between := i > 0 && i%size == 0
			if size == 4 && len(number) == 15 { // American Express
				between = i == 4 || i == 10
			}
			if between {
				text.WriteString(separator)
			}
			text.WriteRune(zero + c - '0')
		}
		text.WriteString(rapid.SampledFrom(after).Draw(rt, "after"))
		if !carddata.Holds(text.String()) {
			rt.Fatalf("%s passes as %q", number, text.String())
		}
	})
}

// No UUID is taken for a card, however few letters it has.
func TestFind_ids(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var id uuid.UUID
		raw := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(rt, "bytes")
		if rapid.Bool().Draw(rt, "digits alone") {
			for i, b := range raw {
				raw[i] = b%10<<4 | b/10%10
			}
		}
		copy(id[:], raw)
		text := rapid.SampledFrom([]string{"", "u", "/payments/", "id=", "a "}).Draw(rt, "before") + id.String() + rapid.SampledFrom([]string{"", "/", "@people.test", " b"}).Draw(rt, "behind")
		if carddata.Holds(text) || carddata.Holds(strings.ReplaceAll(id.String(), "-", "")) {
			rt.Fatalf("%q is taken for a card", text)
		}
	})
}

// No digest is taken for a card either, although hex digits spell a word before card numbers and an ending behind them. An approval is bound to
// a digest, so one that was refused could not be given.
func TestFind_digests(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		start := rapid.SampledFrom([]string{"", "cc", "a", "5cc"}).Draw(rt, "before") + cards.Draw(rt, "card") + rapid.SampledFrom([]string{"da5", "da", "d", "f"}).Draw(rt, "behind")
		rest := 64 - len(start)
		text := start + rapid.StringOfN(rapid.RuneFrom([]rune("0123456789abcdef")), rest, rest, rest).Draw(rt, "rest")
		if carddata.Holds(text) {
			rt.Fatalf("%q is taken for a card", text)
		}
	})
	for _, text := range []string{"4111111111111111da", "4111111111111111da5000", "4111111111111111ga50000", "4111111111111111dan5000", "4111111111111111ni1", "4111111111111111ning1",
		"4111111111111111da4111111111111111", "4111111111111111exp1227", "4111111111111111cvv123", "4111111111111111da" + strings.Repeat("5f", 24)} {
		if !carddata.Holds(text) {
			t.Errorf("%q passes", text)
		}
	}
}

// The price of the wall: what share of random numbers looks like a card by chance. Nobody can tell these from cards, so
// a bank whose references are 16 bare digits sees some of them refused; with a letter before them none is. The figures
// are in docs/security.md.
func TestFind_falsePositives(t *testing.T) {
	t.Parallel()
	const tries = 200_000
	random := rand.New(rand.NewPCG(1, 2))
	for _, tt := range []struct {
		prefix   string
		digits   int
		low, top int // of 100,000
	}{
		{"", 12, 0, 0}, {"", 13, 900, 1200}, {"", 14, 250, 500}, {"", 15, 150, 300}, {"", 16, 2400, 2800}, {"", 17, 100, 400}, {"", 18, 100, 400}, {"", 19, 1000, 1500},
		{"", 20, 0, 0}, {"20260131", 16, 0, 0}, {"FT", 16, 0, 0}, {"FT", 12, 0, 0},
	} {
		found := 0
		for range tries {
			text := []byte(tt.prefix)
			for len(text) < tt.digits || tt.prefix == "FT" && len(text) < tt.digits+2 {
				text = append(text, '0'+byte(random.IntN(10)))
			}
			if carddata.Holds(string(text)) {
				found++
			}
		}
		share := found * 100_000 / tries
		t.Logf("%s and random digits, %d in all: %d of 100,000", tt.prefix, tt.digits, share)
		if share < tt.low || share > tt.top {
			t.Errorf("of 100,000 random numbers of %d digits behind %q %d are taken for cards, want %d to %d", tt.digits, tt.prefix, share, tt.low, tt.top)
		}
	}
}

func TestMask(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                    "",
		"nothing to hide, 2026-01-31":         "nothing to hide, 2026-01-31",
		"card 4242424242424242 declined":      "card [card number] declined",
		"4242 4242 4242 4242 12/28 123, sent": "[card number], sent",
		"5555555555554444; 4242424242424242":  "[card number]; [card number]",
		"4242    4242    4242    4242    12/28    123, sent": "[card number], sent",
		"4242424242424242      12/28      123":               "[card number]",
		"7    4242    4242    4242    4242\nno":              "7    [card number]\nno",
		"৪২৪২৪২৪২৪২৪২৪২৪২ টাকা":                              "[card number] টাকা",
		"INV-2026-000123 4242-4242-4242-4242":                "INV-2026-000123 [card number]",
		"u42424242-4242-4242-8242-424242424242@people.test":  "u42424242-4242-4242-8242-424242424242@people.test",
	} {
		if got := carddata.Mask(text); got != want {
			t.Errorf("%q is masked as %q, want %q", text, got, want)
		}
	}
}

// FuzzFind: whatever the text, nothing breaks, and what is masked holds no card number.
func FuzzFind(f *testing.F) {
	for _, seed := range []string{"", "4242424242424242", "4242 4242 4242 4242 12/28", "৪২৪২ ৪২৪২ ৪২৪২ ৪২৪২", "DE89 3704 0044 0532 0130 00", "+378282246310005", "④②\xff%20%2d%2B+,;-",
		"42424242-4242-4242-8242-424242424242-4242424242424242", "4242424242424242DE89370400440532013000", "%B4242424242424242^", "VISA4242424242424242ga", "㍘⒈½４２"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		start, end, ok := carddata.Find(text)
		if ok && (start < 0 || start >= end || end > len(text)) || !ok && end > 0 || ok != carddata.Holds(text) {
			t.Fatalf("%q: %d to %d, %v", text, start, end, ok)
		}
		got := carddata.Mask(text)
		if carddata.Holds(got) || !ok && got != text {
			t.Fatalf("%q is masked as %q", text, got)
		}
	})
}

func TestField(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, value string
		want        bool
	}{
		{"cvv", "123", true}, {"CVV2", "1234", true}, {"cardSecurityCode", " 123 ", true}, {"security_code", "১২৩", true}, {"card-code", "123", true}, {"cid", "123", true},
		{"card_number", "4242 4242 4242 4241", true}, {"cardNumber", "42424242", true}, {"PAN", "9912345678901237", true}, {"track2", "a=28121010000", true}, {"pin_block", "0412AC89ABCDEF67", true},
		{"notes", "4242424242424242", true}, {"4242424242424242", "", true},
		{"cvv", "", false}, {"cvv", "yes", false}, {"cvv", "12345", false}, {"cid", "20260131", false}, {"pan", "ABCDE1234F", false}, {"card_number", "4242", false},
		{"card_number", "424242******4242", false}, {"notes", "123", false}, {"account_code", "1234", false}, {"code", "123", false}, {"", "123", false}, {"কোড", "123", false},
		{strings.Repeat("cvv", 100), "123", false},
	} {
		if got := carddata.Field(tt.name, tt.value); got != tt.want {
			t.Errorf("%q: %q gives %v", tt.name, tt.value, got)
		}
	}
}

func TestHolds_allocatesNothing(t *testing.T) {
	for _, text := range []string{ordinary, bengali} {
		if n := testing.AllocsPerRun(100, func() {
			if carddata.Holds(text) || carddata.Field("notes", text) {
				t.Error("a card where there is none")
			}
		}); n > 0 {
			t.Errorf("%v allocations for %.40q", n, text)
		}
	}
}

// A thousand bytes of what people send, without and with a card's worth of digits in it.
var (
	ordinary = strings.Repeat("Paid on 2026-01-31 for INV-2026-000123, thanks. ", 21)[:1000]
	bengali  = strings.ToValidUTF8(strings.Repeat("বিকাশে পাঠানো হয়েছে ৩১ তারিখে, ধন্যবাদ। ", 20)[:1000], "")
	digital  = strings.Repeat("Transfer 9912345678901237 of yesterday, thanks. ", 21)[:1000]
)

// ns/op is ns for a thousand bytes.
func BenchmarkHolds(b *testing.B) {
	for name, text := range map[string]string{"ordinary": ordinary, "Bengali": bengali, "with long numbers": digital, "a UUID": "019b5bdb-3e6a-7a5e-9d2c-3c1c2f5b1f10", "a reference": "9912345678901237"} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				carddata.Holds(text)
			}
		})
	}
}
