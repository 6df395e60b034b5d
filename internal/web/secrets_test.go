package web_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

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
