package paymentmethods_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	pm "countersign/billing/paymentmethods"
	"countersign/internal/auth"
	"countersign/internal/testkit"
)

// taken fails unless the answer is a success or blames the client, and says which.
func taken(t *testing.T, a testkit.Answer, sent string) bool {
	t.Helper()
	if a.Status >= 500 || a.Status < 200 {
		t.Fatalf("%q: %d %s", sent, a.Status, a.Raw)
	}
	if code, _ := a.Body["code"].(string); a.Status >= 400 && code == "" {
		t.Fatalf("%q is refused without a code: %s", sent, a.Raw)
	}
	return a.Status < 300
}

// Bodies of rows, whatever they hold, are refused by name or kept as they were read.
func FuzzConfigBodies(f *testing.F) {
	w := newWorld(f)
	w.people["owner"] = w.staff(auth.RoleOwner)
	row := configsPath + w.config("UZ", pm.Other).ID.String() + "/"
	for _, body := range []string{
		`{"country_code":"PK","payment_method":"bank_transfer","display_name":"Bank","instructions":"Send it","currency":"PKR","min_amount":"1.00","max_amount":"2","bank_details":{"iban":"PK36SCBL0000001123456702","n":[1,{"a":null}]},"requires_evidence":true,"sort_order":-5}`,
		`{"countryCode":"*","paymentMethod":"CASH","displayName":"x","wallet_details":{}}`, `{"min_amount":1e400,"currency":""}`, `{"max_amount":"92233720368547758.08","currency":"JPY"}`,
		`{"bank_details":{"a":1e999999}}`, `{"display_name":"\u0000"}`, `{"sort_order":9223372036854775808}`, `{"country_code":"international waters"}`, `[]`, `{`, ``,
		`{"display_name":"４２４２．４２４２．４２４２．４２４２"}`, `{"is_enabled":null,"currency":"UZS","min_amount":0}`, `{"bank_details":{"":"","\ud800":1}}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		owner := testkit.NewClient(t, w.http).As("owner")
		if created := owner.Post(configsPath, body); taken(t, created, body) {
			path := configsPath + created.Text("data.id") + "/"
			if diff := cmp.Diff(created.At("data"), owner.Get(path).Expect(200).At("data")); diff != "" {
				t.Errorf("%q is not kept as it was answered: %s", body, diff)
			}
			owner.Delete(path).Expect(204)
		}
		if changed := owner.Patch(row, body); taken(t, changed, body) {
			if diff := cmp.Diff(changed.At("data"), owner.Get(row).Expect(200).At("data")); diff != "" {
				t.Errorf("%q is not kept as it was answered: %s", body, diff)
			}
		}
	})
}

// The same with fields that are in their places, so that more gets past the reading.
func FuzzConfigFields(f *testing.F) {
	w := newWorld(f)
	w.people["owner"] = w.staff(auth.RoleOwner)
	f.Add("PK", "cash", "Cash", "Come by", "iban", "PK36SCBL0000001123456702", "PKR", "1.00", "2.00", 5)
	f.Add("pakistan", "LOCAL_WALLET", "\u202e", "\n", "a", "🙂", "", "", "0", -1)
	f.Add("*", "other", strings.Repeat("é", 100), "", "", "", "BHD", "0.001", "9223372036854775.807", 1000000)
	f.Add("GB", "card", "a", "b", "c", "d", "jpy", "+1", "1e3", 1<<40)
	f.Fuzz(func(t *testing.T, country, method, name, instructions, key, value, currency, minimum, maximum string, order int) {
		owner := testkit.NewClient(t, w.http).As("owner")
		body, err := json.Marshal(map[string]any{"country_code": country, "payment_method": method, "display_name": name, "instructions": instructions,
			"bank_details": map[string]any{key: value}, "wallet_details": map[string]any{key: []any{value, order}}, "currency": currency,
			"min_amount": minimum, "max_amount": maximum, "sort_order": order})
		if err != nil {
			t.Fatal(err)
		}
		created := owner.Post(configsPath, string(body))
		if !taken(t, created, string(body)) {
			return
		}
		if got := created.Text("data.display_name"); got != strings.TrimSpace(name) || !utf8.ValidString(got) || got == "" {
			t.Errorf("the name %q became %q", name, got)
		}
		if code := created.Text("data.country_code"); code != pm.Everywhere {
			owner.Get(availablePath + "?country=" + url.QueryEscape(country)).Expect(http.StatusOK)
		}
		owner.Delete(configsPath + created.Text("data.id") + "/").Expect(204)
	})
}

// Bodies of saved methods, of members and of staff.
func FuzzSavedBodies(f *testing.F) {
	w := newWorld(f)
	account := w.account("PK", "PKR")
	w.people["owner"], w.people["member"] = w.staff(auth.RoleOwner), w.member(account)
	for _, body := range []string{
		`{"payment_method":"bank_transfer","display_name":"My bank","details":{"bank_name":"HBL"},"is_default":true}`, `{"paymentMethod":"CASH","displayName":"x","details":{}}`,
		`{"account_id":"` + account.ID.String() + `","payment_method":"cash","display_name":"x"}`, `{"payment_method":"cash","display_name":"x","details":{"pin":"1234"}}`,
		`{"payment_method":"cash","display_name":"x","details":{"a":{"b":[]}}}`, `{"display_name":"y","details":{"a":"\ud83d\ude42"}}`, `{"details":{"a":null}}`,
		`{"details":{"a":"4242.4242.4242.4242"}}`, `{"is_default":"true"}`, `{"display_name":" "}`, `null`, ``,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, who := range []string{"owner", "member"} {
			client := testkit.NewClient(t, w.http).As(who)
			saved := client.Post(savedPath, body)
			if !taken(t, saved, body) {
				continue
			}
			path := savedPath + saved.Text("data.id") + "/"
			if diff := cmp.Diff(saved.At("data"), client.Get(path).Expect(200).At("data")); diff != "" {
				t.Errorf("%q is not kept as it was answered: %s", body, diff)
			}
			client.Delete(path).Expect(204)
		}
		member := testkit.NewClient(t, w.http).As("member")
		path := savedPath + member.Post(savedPath, `{"payment_method":"cash","display_name":"x"}`).Expect(201).Text("data.id") + "/"
		if changed := member.Patch(path, body); taken(t, changed, body) {
			if diff := cmp.Diff(changed.At("data"), member.Get(path).Expect(200).At("data")); diff != "" {
				t.Errorf("%q is not kept as it was answered: %s", body, diff)
			}
		}
		member.Delete(path).Expect(204)
	})
}

// Query strings of the lists.
func FuzzListParameters(f *testing.F) {
	w := newWorld(f)
	account := w.account("PK", "PKR")
	w.people["owner"], w.people["member"] = w.staff(auth.RoleOwner), w.member(account)
	w.config("PK", pm.Cash)
	for _, query := range []string{
		"", "page=2&page_size=1", "page=0", "page=10000000000000000000", "cursor=", "cursor=e30", "cursor=eyJ0IjoiMDAwMS0wMS0wMVQwMDowMDowMFoiLCJpIjoiMDEwMDAwMDAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAwIn0",
		"ordering=-sort_order", "ordering=sort_order&cursor=", "country_code=PK&payment_method=CASH&is_enabled=true", "country_code=%00", "account=" + account.ID.String(), "account=%ff",
		"account=a%00b", "country=pakistan", "country=%F0%9F%99%82", "a=b", "%zz", "a;b", "payment_method=cash&payment_method=card",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range []string{configsPath, savedPath, availablePath} {
			for _, who := range []string{"owner", "member"} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
				r.URL.RawQuery = query
				taken(t, testkit.NewClient(t, w.http).As(who).Do(r), path+"?"+query)
			}
		}
	})
}

// Details come back from the database as they went in.
func FuzzDetails(f *testing.F) {
	for _, text := range []string{`{}`, `{"a":1.50,"b":[null,{"c":"d"}]}`, `null`, `[]`, `{"a":1e999999}`, `{"a":"\ud800"}`, `{`, ``, `{"a":1}{"b":2}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var first, second pm.Details
		if first.Scan(text) != nil {
			return
		}
		value, err := first.Value()
		if err != nil {
			t.Fatalf("%q cannot be written again: %v", text, err)
		}
		if err := second.Scan(value); err != nil {
			t.Fatalf("%q cannot be read again: %v", text, err)
		}
		again, err := second.Value()
		if err != nil || !bytes.Equal(bytesOf(value), bytesOf(again)) {
			t.Errorf("%q became %v and then %v, %v", text, value, again, err)
		}
	})
}

func bytesOf(value any) []byte {
	text, _ := value.(string)
	return []byte(text)
}
