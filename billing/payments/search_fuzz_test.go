package payments_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"countersign/billing/billingtest"
)

// FuzzSearch sends made-up paths, operators and values to a real database (S0-54): the answer is 200 or 400, and never
// shows another tenant's payment or another customer's.
func FuzzSearch(f *testing.F) {
	w, stranger := billingtest.New(f), billingtest.New(f)
	for _, p := range []struct{ gateway, details string }{
		{"integrator", `{"data":{"a":"b","n":7,"t":true,"l":[1,{"phone":"998901234567"}]},"error_code":"7"}`},
		{"click", golden["click"]}, {"payme", golden["payme"]}, {"octo", golden["octo"]}, {"stripe", golden["stripe"]}, {"cash", golden["cash"]},
	} {
		by(f, w, p.gateway, p.details, named("ours "+p.gateway))
		by(f, stranger, p.gateway, p.details, named("theirs "+p.gateway))
	}
	for _, seed := range []struct{ gateway, path, op, value string }{
		{"click", `"merchant_trans_id"`, "=", `"order-1"`}, {"click", `"payment_id"`, "between", `[1,1e20]`}, {"click", `"sign_time"`, ">", `"2026-01-01"`},
		{"integrator", `["data","a'\"{}\\"]`, "=", `"' OR ''='"`}, {"integrator", `["data","l",1,"phone"]`, "in", `["998901234567",998901234567]`},
		{"integrator", `["data","l","0"]`, "<", `1.5e-7`}, {"cash", `["data","n"]`, "!=", `true`}, {"stripe", `["items",0,"quantity"]`, ">=", `2`},
		{"octo", `"card_masked_pan"`, "=", `"****"`}, {"payme", `["account","?"]`, "=", `"?0 ?"`}, {"payme", `["account","$1"]`, "=", `"$1"`},
		{"manual", `"sender_number"`, "=", `"\u00001"`}, {"octo", `"refunded_sum"`, "=", `1e-60`}, {"cash", `["data","\ud800"]`, "in", `[false]`},
		{"integrator", `["data","` + strings.Repeat("x", 101) + `"]`, "=", `0`}, {"click", `["params",""]`, "=", `null`}, {"click", `{}`, "", `{}`},
		{"integrator", `["data","n"]`, "=", "123456789012345678901234567890123456789012345678901234567890"},
	} {
		f.Add(seed.gateway, seed.path, seed.op, seed.value)
	}
	tokens := []string{w.Viewer.Token(), w.OtherMember.Token()}
	f.Fuzz(func(t *testing.T, gateway, path, op, value string) {
		name, _ := json.Marshal(gateway) // a text is always fit for it
		how, _ := json.Marshal(op)
		text := fmt.Sprintf(`{"gateway":%s,"filters":[{"path":%s,"op":%s,"value":%s}]}`, name, path, how, value) // path and value as they are, also what is no JSON
		for i, token := range tokens {
			r := httptest.NewRequest(http.MethodPost, list+"search/", strings.NewReader(text))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", "Bearer "+token)
			answer := httptest.NewRecorder()
			w.Handler.ServeHTTP(answer, r)
			switch {
			case answer.Code != http.StatusOK && answer.Code != http.StatusBadRequest:
				t.Fatalf("%s: %d %s", text, answer.Code, answer.Body)
			case strings.Contains(answer.Body.String(), `"external_id":"theirs`):
				t.Fatalf("%s shows another tenant's: %s", text, answer.Body)
			case i == 1 && strings.Contains(answer.Body.String(), `"external_id":"ours`):
				t.Fatalf("%s shows another customer's: %s", text, answer.Body)
			}
		}
	})
}
