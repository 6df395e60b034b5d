package carddata_test

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"countersign/internal/carddata"
)

// What finance people write beside a payment, and what is not worth a cry.
func TestFind_references(t *testing.T) {
	t.Parallel()
	day := rapid.Custom(func(rt *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(946684800, 4102444800).Draw(rt, "second"), 0).UTC()
	})
	layouts := []string{"2006-01-02", "02-01-2006", "02.01.2006", "02.01.06", "2006-01-02 15:04:05", "02.01.2006 15:04:05", "02/01/2006 15.04", "20060102150405", "20060102-150405", time.RFC3339}
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
			number := digits(rapid.IntRange(8, 14).Draw(rt, "length")).Draw(rt, "number")
			if rapid.Bool().Draw(rt, "as long as can be") {
				number = rapid.SampledFrom([]string{"43", "49", "39", "86"}).Draw(rt, "country") + digits(13).Draw(rt, "number") // only some countries have these
			}
			return "call +" + rapid.SampledFrom([]string{number, grouped(number, 4), grouped(number, 3)}).Draw(rt, "spelling")
		}),
		"ids and digests": rapid.Custom(func(rt *rapid.T) string {
			id := digits(32).Draw(rt, "id")
			return rapid.SampledFrom([]string{id, id + id, id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]}).Draw(rt, "spelling")
		}),
		"columns": rapid.Custom(func(rt *rapid.T) string {
			column := rapid.Custom(func(rt *rapid.T) string {
				return rapid.SampledFrom([]string{day.Draw(rt, "day").Format("02.01.2006"), digits(6).Draw(rt, "code"), digits(4).Draw(rt, "whole") + ".00", "+880 1711 " + digits(6).Draw(rt, "phone")}).Draw(rt, "kind")
			})
			return strings.Join(rapid.SliceOfN(column, 3, 9).Draw(rt, "columns"), rapid.SampledFrom([]string{"    ", "\t\t\t\t", "\n\n\n\n", "          "}).Draw(rt, "between"))
		}),
		"amounts": rapid.Custom(func(rt *rapid.T) string {
			return "PKR 5," + digits(3).Draw(rt, "a") + ".00 of 41," + digits(3).Draw(rt, "b") + "," + digits(3).Draw(rt, "c") + ".00"
		}),
	}
	for name, generator := range ordinary {
		t.Run("does not cry at "+name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				if text := generator.Draw(rt, "text"); carddata.Holds(text) {
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
