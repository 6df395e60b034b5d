package accounts_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"countersign/accounts"
	"countersign/accounts/accountstest"
	"countersign/internal/auth"
	"countersign/internal/testkit"
)

// fuzzed is what the fuzz targets below have in common: whatever the body is, the answer is a success or a refusal that
// the caller can act on. The bodies go the whole way, so that what the decoder lets through is tried on the database.
func fuzzed(f *testing.F, seeds []string, call func(t *testing.T, body string) testkit.Answer) {
	f.Helper()
	for _, seed := range append(seeds, `{}`, `[]`, `{"unknown":1}`, "{\"name\":\"\xff\"}", `{"email":"\u0000"}`, `{"email":`) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		a := call(t, body)
		switch {
		case a.Status >= 500:
			t.Fatalf("%q answers %d: %s", body, a.Status, a.Raw)
		case a.Status >= 400 && a.Text("code") == "":
			t.Fatalf("%q is refused without a code: %s", body, a.Raw)
		case a.Status == http.StatusNoContent && len(a.Raw) > 0, a.Status < 400 && a.Status != http.StatusNoContent && !json.Valid(a.Raw):
			t.Fatalf("%q answers %d with %s", body, a.Status, a.Raw)
		}
	})
}

// sender sends bodies as they are, each from an address of its own, so that none is throttled by its address.
func sender(s *accounts.Service, token string) func(t *testing.T, method, path, body string) testkit.Answer {
	h := api(s)
	return func(t *testing.T, method, path, body string) testkit.Answer {
		t.Helper()
		r := httptest.NewRequestWithContext(from(t.Context()), method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		return testkit.NewClient(t, h).As(token).Do(r)
	}
}

func FuzzLogin(f *testing.F) {
	send := sender(accountstest.NewService(f), "")
	fuzzed(f, []string{`{"email":"a@b.test","password":"x"}`, `{"email":"A@B.test ","password":"correct horse battery","tenant":"acme"}`,
		`{"email":"a@b.test","password":"x","tenant":"' OR 1=1 --"}`, `{"EMAIL":"a","password":"\ud800"}`},
		func(t *testing.T, body string) testkit.Answer {
			a := send(t, http.MethodPost, "/auth/token/", body)
			if a.Status < 400 {
				t.Fatalf("%q signs in", body)
			}
			return a
		})
}

func FuzzChangePassword(f *testing.F) {
	home := accountstest.NewTenant(f)
	var u *accountstest.User
	var send func(t *testing.T, method, path, body string) testkit.Answer
	fuzzed(f, []string{`{"current_password":"correct horse battery","new_password":"another battery"}`, `{"current_password":"x","new_password":"short"}`,
		`{"currentPassword":"x","newPassword":"password1234"}`, `{"current_password":" ","new_password":"          "}`},
		func(t *testing.T, body string) testkit.Answer {
			if u == nil {
				u = home.NewUser(t, auth.RoleViewer)
				send = sender(home.Service, u.Token(t))
			}
			a := send(t, http.MethodPost, "/auth/password/", body)
			if a.Status == http.StatusNoContent {
				// what has changed is a password with which one signs in
				var sent accounts.ChangePasswordRequest
				if json.Unmarshal([]byte(body), &sent) == nil && sent.NewPassword != "" {
					if _, err := login(t, home.Service, u.Email, sent.NewPassword, ""); err != nil {
						t.Fatalf("%q: %v", body, err)
					}
				}
			}
			if a.Status == http.StatusNoContent || a.Status == http.StatusTooManyRequests {
				u = nil
			}
			return a
		})
}

func FuzzCreateUser(f *testing.F) {
	home := accountstest.NewTenant(f)
	home.NewAccountWith(f, accounts.CreateAccountInput{Holder: "Customer", ExternalID: "crm-1"})
	send := sender(home.Service, home.Owner.Token(f))
	fuzzed(f, []string{`{"email":"x@b.test","name":"N","password":"correct horse battery","role":"viewer"}`,
		`{"email":"y@b.test","name":"N","password":"correct horse battery","role":"Member","account_id":"crm-1"}`,
		`{"email":"ü@b.test","name":"N","password":"x","role":"king","accountId":"00000000-0000-0000-0000-000000000000"}`},
		func(t *testing.T, body string) testkit.Answer {
			a := send(t, http.MethodPost, "/users/", body)
			if a.Status == http.StatusCreated {
				if email := a.Text("data.email"); email != strings.ToLower(email) || a.Text("data.name") == "" || !auth.IsRole(a.Text("data.role")) {
					t.Fatalf("%q has made %s", body, a.Raw)
				}
			}
			return a
		})
}

func FuzzUpdateUser(f *testing.F) {
	home := accountstest.NewTenant(f)
	home.NewAccountWith(f, accounts.CreateAccountInput{Holder: "Customer", ExternalID: "crm-1"})
	send, path := sender(home.Service, home.Owner.Token(f)), "/users/"+home.NewUser(f, auth.RoleViewer).ID.String()+"/"
	fuzzed(f, []string{`{"name":"New","role":"finance","is_active":false}`, `{"role":"member","account_id":"crm-1"}`, `{"account_id":""}`,
		`{"password":"another battery"}`, `{"name":null,"isActive":"no"}`, `{"role":"owner"}`},
		func(t *testing.T, body string) testkit.Answer {
			a := send(t, http.MethodPatch, path, body)
			if a.Status == http.StatusOK && ((a.Text("data.role") == auth.RoleMember) != (a.At("data.account_id") != nil) || a.Text("data.name") == "") {
				t.Fatalf("%q has made %s", body, a.Raw)
			}
			return a
		})
}

// accountSeeds are bodies for both fuzz targets of accounts.
var accountSeeds = []string{`{"holder":"A","country":"Bangladesh","currency":"usd","kind":"patient"}`,
	`{"accountHolder":"A","accountType":"PATIENT","billingAddress":{"country":"BD","x":[1,2,{"y":null}]},"paymentMethods":["CASH"],"defaultPaymentMethod":"CASH"}`,
	`{"holder":"A","billing_address":{"n":1e999999}}`, `{"holder":"A","billing_address":{"\u0000":"a"}}`, `{"holder":"A","external_id":"00000000-0000-0000-0000-000000000000"}`,
	`{"holder":"İ","is_active":false,"email":"a@b.test"}`, `{"holder":"A","payment_methods":null,"default_payment_method":"card"}`}

func FuzzCreateAccount(f *testing.F) {
	home := accountstest.NewTenant(f)
	send := sender(home.Service, home.Owner.Token(f))
	fuzzed(f, accountSeeds, func(t *testing.T, body string) testkit.Answer {
		a := send(t, http.MethodPost, "/billing/accounts/", body)
		if a.Status == http.StatusCreated {
			if a.Text("data.holder") == "" || len(a.Text("data.country")) != 2 || len(a.Text("data.currency")) != 3 {
				t.Fatalf("%q has made %s", body, a.Raw)
			}
			send(t, http.MethodGet, "/billing/accounts/"+a.Text("data.id")+"/", "").Expect(http.StatusOK)
		}
		return a
	})
}

func FuzzUpdateAccount(f *testing.F) {
	home := accountstest.NewTenant(f)
	send, path := sender(home.Service, home.Owner.Token(f)), "/billing/accounts/"+home.NewAccount(f, "Customer").ID.String()+"/"
	fuzzed(f, append(accountSeeds, `{"external_id":"","email":"","patient_id":""}`, `{"holder":""}`), func(t *testing.T, body string) testkit.Answer {
		a := send(t, http.MethodPatch, path, body)
		if a.Status == http.StatusOK {
			if again := send(t, http.MethodGet, path, "").Expect(http.StatusOK); again.Text("data.holder") != a.Text("data.holder") || again.Text("data.holder") == "" {
				t.Fatalf("%q has made %s", body, again.Raw)
			}
		}
		return a
	})
}
