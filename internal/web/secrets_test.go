package web_test

import (
	"errors"
	"fmt"
	"math/big"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"countersign/internal/errs"
	"countersign/internal/web"
)

func TestDecode_texts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		text string
		want error // nil: accepted
	}{
		{"refuses a card number", "4242424242424242", web.ErrCardData},
		{"refuses a card number with spaces inside a sentence", "my card 4242 4242 4242 4242 thanks", web.ErrCardData},
		{"refuses a card number with hyphens", "5555-5555-5555-4444", web.ErrCardData},
		{"refuses a local card", "8600 0000 0000 0007", web.ErrCardData},
		{"refuses a card number with dots", "4242.4242.4242.4242", web.ErrCardData},
		{"refuses a card number in full width", "４２４２ ４２４２ ４２４２ ４２４２", web.ErrCardData},
		{"refuses a card number in Bengali", "৪২৪২ ৪২৪২ ৪২৪২ ৪২৪২", web.ErrCardData},
		{"refuses a card number over several lines", "4242\\n4242\\n4242\\n4242", web.ErrCardData},
		{"refuses a card number with what nobody sees", "4242\\u200b4242\\u200b4242\\u200b4242", web.ErrCardData},
		{"refuses a card number before its expiry date", "4242 4242 4242 4242 12/28 123", web.ErrCardData},
		{"refuses a card number behind a bank account", "DE89370400440532013000, 4242-4242-4242-4242", web.ErrCardData},
		{"accepts a number whose check digit is wrong", "4242424242424241", nil},
		{"accepts a bank reference of the same length", "9912345678901237", nil},
		{"accepts a digest whose digits could be a card's", strings.Repeat("a", 24) + "4242424242424242" + strings.Repeat("b", 24), nil},
		{"accepts an id whose digits could be a card's", "42424242-4242-4242-8242-424242424242", nil},
		{"accepts such an id as a part of a name", "u42424242-4242-4242-8242-424242424242@people.test", nil},
		{"refuses an IBAN with its PIN in full width", "ＤＥ８９３７０４００４４０５３２０１３０００ PIN: １２３４", web.ErrSecretData},
		{"refuses an IBAN with its PIN", "DE89370400440532013000 PIN: 1234", web.ErrSecretData},
		{"accepts an IBAN alone", "DE89 3704 0044 0532 0130 00", nil},
		{"accepts a postal code called PIN", "Mumbai PIN 400001", nil},
		{"refuses a NUL", "a\\u0000b", web.ErrBadText},
		{"accepts Bengali and line breaks", "ধন্যবাদ\\nবিকাশ", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("POST", "/", strings.NewReader(`{"notes":"`+tt.text+`"}`))
			r.Header.Set("Content-Type", "application/json")
			var body struct {
				Notes string `json:"notes"`
			}
			err := web.Decode(r, &body)
			if tt.want == nil {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			e := errs.As(err)
			if e == nil || len(e.Fields["notes"]) != 1 || !errors.Is(tt.want, &errs.Error{Problem: e.Fields["notes"][0]}) {
				t.Fatalf("got %v, want %v at notes", err, tt.want)
			}
		})
	}
}

func TestDecodeForm_numbers(t *testing.T) {
	t.Parallel()
	type request struct {
		AmountMinor *int64 `json:"amount_minor"`
		Rank        int    `json:"rank"`
	}
	t.Run("fills whole numbers from texts", func(t *testing.T) {
		t.Parallel()
		var got request
		if err := web.DecodeForm(map[string][]string{"amount_minor": {"1050"}, "rank": {" 7 "}}, &got); err != nil {
			t.Fatal(err)
		}
		if got.AmountMinor == nil || *got.AmountMinor != 1050 || got.Rank != 7 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("takes an empty field for none and refuses words", func(t *testing.T) {
		t.Parallel()
		var got request
		if err := web.DecodeForm(map[string][]string{"amount_minor": {""}}, &got); err != nil || got.AmountMinor != nil {
			t.Errorf("got %+v, %v", got, err)
		}
		if err := web.DecodeForm(map[string][]string{"rank": {"ten"}}, &got); err == nil {
			t.Error("a word was taken for a number")
		}
	})
}

// Whatever stands between the digits of a card number, and in whatever script they are.
func TestHoldsCardNumber_spellings(t *testing.T) {
	t.Parallel()
	cards := []string{"4242424242424242", "4222222222222", "5555555555554444", "2223003122003222", "378282246310005", "6011111111111117",
		"3566002020360505", "36227206271667", "6200000000000005", "2200000000000004", "8600000000000007", "9860000000000000"}
	separators := []string{"", " ", "  ", ".", " . ", "-", " - ", "–", "/", "_", "*", ":", "|", "·", ",", "\u00a0", "\u2009", "\u200b", "\n", "\t", "\r\n", "\ufe0f\u20e3"}
	zeros := []rune{'0', '０', '০', '٠', '०', '𝟎', '𝟶', '𑄶'}
	before := []string{"", " ", "my card: ", "карта", "কার্ড ", "INV-2026-000123 ", "INV-2026-000123, "}
	after := []string{"", " ", " exp 12/28, cvv 123", " 12/28 123", ", thanks", " - INV-2026-000123"}
	rapid.Check(t, func(rt *rapid.T) {
		number := rapid.SampledFrom(cards).Draw(rt, "card")
		separator, zero := rapid.SampledFrom(separators).Draw(rt, "separator"), rapid.SampledFrom(zeros).Draw(rt, "zero")
		size := rapid.SampledFrom([]int{1, 2, 4, 19}).Draw(rt, "size of groups")
		var text strings.Builder
		text.WriteString(rapid.SampledFrom(before).Draw(rt, "before"))
		for i, digit := range number {
			between := i > 0 && i%size == 0
			if size == 4 && len(number) == 15 { // American Express
				between = i == 4 || i == 10
			}
			if between {
				text.WriteString(separator)
			}
			text.WriteRune(zero + digit - '0')
		}
		text.WriteString(rapid.SampledFrom(after).Draw(rt, "after"))
		if !web.HoldsCardNumber(text.String()) {
			rt.Fatalf("%s passes as %q", number, text.String())
		}
	})
}

// What finance people write beside a payment, and what is not worth a cry.
func TestHoldsCardNumber_references(t *testing.T) {
	t.Parallel()
	digits := func(n int) *rapid.Generator[string] {
		return rapid.StringOfN(rapid.RuneFrom([]rune("0123456789")), n, n, n)
	}
	day := rapid.Custom(func(rt *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(946684800, 4102444800).Draw(rt, "second"), 0).UTC()
	})
	layouts := []string{"2006-01-02", "02.01.2006", "02.01.06", "2006-01-02 15:04:05", "02.01.2006 15:04:05", "02/01/2006 15.04", "20060102150405", "20060102-150405", time.RFC3339}
	ordinary := map[string]*rapid.Generator[string]{
		"dates": rapid.Custom(func(rt *rapid.T) string {
			layout := rapid.SampledFrom(layouts).Draw(rt, "layout")
			return day.Draw(rt, "from").Format(layout) + rapid.SampledFrom([]string{" to ", ", ", "; "}).Draw(rt, "between") + day.Draw(rt, "until").Format(layout)
		}),
		"bank accounts": rapid.Custom(func(rt *rapid.T) string {
			country := rapid.SampledFrom([]string{"DE", "PK", "GB", "TR", "AE", "NO"}).Draw(rt, "country")
			length := map[string]int{"DE": 18, "PK": 20, "GB": 18, "TR": 22, "AE": 19, "NO": 11}[country]
			account := digits(length).Draw(rt, "account")
			if country == "PK" || country == "GB" {
				account = "SCBL" + account[4:]
			}
			account = withCheckDigits(country, account)
			if rapid.Bool().Draw(rt, "grouped") {
				account = grouped(account, 4)
			}
			return "IBAN " + account + rapid.SampledFrom([]string{"", " PAID IN FULL", ", thanks"}).Draw(rt, "after")
		}),
		"invoice numbers": rapid.Custom(func(rt *rapid.T) string {
			return "INV-" + day.Draw(rt, "year").Format("2006") + "-" + digits(6).Draw(rt, "number") + ", INV-2026-" + digits(6).Draw(rt, "other")
		}),
		"numbers of a bank": rapid.Custom(func(rt *rapid.T) string { return "RRN " + digits(12).Draw(rt, "number") }),
		"longer numbers than cards have": rapid.Custom(func(rt *rapid.T) string {
			return digits(rapid.IntRange(20, 40).Draw(rt, "length")).Draw(rt, "number")
		}),
		"lists of short numbers": rapid.Custom(func(rt *rapid.T) string {
			return strings.Join(rapid.SliceOfN(digits(4), 4, 9).Draw(rt, "numbers"), ", ")
		}),
		"telephone numbers": rapid.Custom(func(rt *rapid.T) string {
			number := digits(rapid.IntRange(8, 15).Draw(rt, "length")).Draw(rt, "number")
			return "call +" + rapid.SampledFrom([]string{number, grouped(number, 4), grouped(number, 3)}).Draw(rt, "spelling")
		}),
		"ids and digests": rapid.Custom(func(rt *rapid.T) string {
			id := digits(32).Draw(rt, "id")
			return rapid.SampledFrom([]string{id, id + id, id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]}).Draw(rt, "spelling")
		}),
		"amounts": rapid.Custom(func(rt *rapid.T) string {
			return "PKR 5," + digits(3).Draw(rt, "a") + ".00 of 41," + digits(3).Draw(rt, "b") + "," + digits(3).Draw(rt, "c") + ".00"
		}),
	}
	for name, generator := range ordinary {
		t.Run("does not cry at "+name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				if text := generator.Draw(rt, "text"); web.HoldsCardNumber(text) {
					rt.Fatalf("%q is taken for a card", text)
				}
			})
		})
	}
}

func grouped(text string, size int) string {
	var b strings.Builder
	for i, c := range text {
		if i > 0 && i%size == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// withCheckDigits makes an IBAN by ISO 7064.
func withCheckDigits(country, account string) string {
	var number strings.Builder
	for _, c := range account + country + "00" {
		if c >= 'A' {
			number.WriteString(strconv.Itoa(int(c-'A') + 10))
		} else {
			number.WriteRune(c)
		}
	}
	whole, _ := new(big.Int).SetString(number.String(), 10)
	rest := new(big.Int).Mod(whole, big.NewInt(97)).Int64()
	return country + fmt.Sprintf("%02d", 98-rest) + account
}
