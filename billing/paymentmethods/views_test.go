package paymentmethods_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/accounts"
	pm "countersign/billing/paymentmethods"
	"countersign/internal/auth"
	"countersign/internal/testkit"
)

const (
	availablePath = "/billing/payment-methods/available/"
	configsPath   = "/billing/payment-method-configs/"
	savedPath     = "/billing/payment-methods/"
)

func TestAvailableView(t *testing.T) {
	t.Parallel()

	t.Run("answers as seed 003 has it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.config("*", pm.Cash)
		c := w.config("PK", pm.LocalWallet, limits("PKR", "100.00", "0"), func(in *pm.ConfigInput) {
			in.Instructions, in.RequiresEvidence, in.SortOrder = new("Send it."), new(true), new(5)
			in.WalletDetails = pm.Details{"name": "JazzCash"}
		})
		a := w.account("PK", "PKR", func(a *accounts.Account) { a.PaymentMethods = []string{"local_wallet"} })
		got := w.asMember(a).Get(availablePath).Expect(200)
		want := map[string]any{
			"methods": []any{map[string]any{"id": c.ID.String(), "payment_method": "local_wallet", "type": "local_wallet", "display_name": "PK local_wallet",
				"instructions": "Send it.", "country_code": "PK", "is_enabled": true, "currency": "PKR", "sort_order": got.At("data.methods.0.sort_order"),
				"is_default": true, "requires_reference": true, "requires_evidence": true, "min_amount": "100.00",
				"min_amount_minor": got.At("data.methods.0.min_amount_minor"), "max_amount": nil, "max_amount_minor": nil,
				"wallet_details": map[string]any{"name": "JazzCash"}}},
			"country": "PK", "currency": "PKR", "default_method": "local_wallet", "count": got.At("data.count"),
		}
		if diff := cmp.Diff(want, got.At("data")); diff != "" {
			t.Error(diff)
		}
		if got.Int("data.count") != 1 || got.Int("data.methods.0.sort_order") != 5 || got.Int("data.methods.0.min_amount_minor") != 10000 {
			t.Errorf("got %s", got.Raw)
		}
	})

	t.Run("shows staff any account and country", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.config("PK", pm.BankTransfer, limits("PKR", "0", "0"))
		w.config("BD", pm.Cash)
		a := w.account("BD", "BDT", func(a *accounts.Account) { a.ExternalID = "customer-1" })
		viewer := w.as(w.staff(auth.RoleViewer))
		for query, want := range map[string][2]any{
			"":                               {"PK", "bank_transfer"}, // the tenant's own country
			"?country=PK":                    {"PK", "bank_transfer"},
			"?country=bangladesh":            {"BD", "cash"},
			"?country=UZ":                    {"UZ", nil},
			"?account=" + a.ID.String():      {"BD", "cash"},
			"?account=customer-1":            {"BD", "cash"},
			"?account=customer-1&country=P":  {"", nil},
			"?account=customer-1&country=PK": {"PK", nil}, // his currency is another
		} {
			if want[0] == "" {
				viewer.Get(availablePath+query).Refused(400, "unknown_country")
				continue
			}
			got := viewer.Get(availablePath + query).Expect(200)
			if diff := cmp.Diff(want, [2]any{got.At("data.country"), got.At("data.default_method")}); diff != "" {
				t.Errorf("%s: %s", query, diff)
			}
		}
	})

	t.Run("refuses what is not his business", func(t *testing.T) {
		t.Parallel()
		w, neighbour := newWorld(t), newWorld(t)
		member := w.asMember(w.account("PK", "PKR"))
		member.Get(availablePath+"?country=BD").Refused(403, "staff_only")
		member.Get(availablePath+"?account="+w.account("PK", "PKR").ID.String()).Refused(403, "staff_only")
		member.Get(availablePath+"?page=1").Refused(400, "validation_failed")
		w.asOwner().Get(availablePath+"?account="+neighbour.account("PK", "PKR").ID.String()).Refused(404, "not_found")
		testkit.NewClient(t, w.http).Get(availablePath).Refused(401, "authentication_required")
	})
}

func TestConfigs(t *testing.T) {
	t.Parallel()

	t.Run("are made, read, changed and removed, and it is told", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		owner := w.asOwner()
		created := owner.Post(configsPath, `{"countryCode":"Pakistan","payment_method":"BANK_TRANSFER","display_name":"Bank","currency":"pkr",
			"min_amount":"10","max_amount":500.50,"bank_details":{"iban":"PK00","branch":{"no":7}}}`).Expect(201)
		path := configsPath + created.Text("data.id") + "/"
		read := owner.Get(path).Expect(200)
		if diff := cmp.Diff(created.At("data"), read.At("data")); diff != "" {
			t.Error(diff)
		}
		got := []any{read.At("data.country_code"), read.At("data.payment_method"), read.At("data.currency"), read.At("data.min_amount"), read.At("data.max_amount"),
			read.At("data.is_enabled"), read.Int("data.bank_details.branch.no")}
		if diff := cmp.Diff([]any{"PK", "bank_transfer", "PKR", "10.00", "500.50", true, int64(7)}, got); diff != "" {
			t.Error(diff)
		}
		changed := owner.Patch(path, `{"is_enabled":false,"max_amount":"0","bank_details":{},"country_code":"*"}`).Expect(200)
		got = []any{changed.At("data.is_enabled"), changed.At("data.max_amount"), changed.At("data.bank_details"), changed.At("data.min_amount"), changed.At("data.country_code")}
		if diff := cmp.Diff([]any{false, nil, nil, "10.00", "*"}, got); diff != "" {
			t.Error(diff)
		}
		owner.Delete(path).Expect(204)
		owner.Get(path).Refused(404, "not_found")
		owner.Delete(path).Refused(404, "not_found")
		actions, events := w.history()
		if diff := cmp.Diff([]string{"payment_method_config.create", "payment_method_config.update", "payment_method_config.delete"}, actions); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{pm.EventConfigCreated, pm.EventConfigUpdated, pm.EventConfigDeleted}, events); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("show a new row at once", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		member := w.asMember(w.account("UZ", "UZS"))
		if n := member.Get(availablePath).Expect(200).Int("data.count"); n != 0 {
			t.Errorf("got %d before", n)
		}
		w.asOwner().Post(configsPath, `{"country_code":"UZ","payment_method":"cash","display_name":"Cash"}`).Expect(201)
		if n := member.Get(availablePath).Expect(200).Int("data.count"); n != 1 {
			t.Errorf("got %d afterwards", n)
		}
	})

	t.Run("are listed by filter", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.config("*", pm.Cash)
		w.config("PK", pm.Cash, off)
		w.config("PK", pm.Card)
		owner := w.asOwner()
		for query, want := range map[string]int{"": 3, "?country_code=*": 1, "?country_code=pakistan": 2, "?payment_method=CASH": 2, "?is_enabled=false": 1,
			"?cursor=": 3, "?ordering=sort_order": 3, "?country_code=BD": 0} {
			if got := len(owner.Get(configsPath + query).Expect(200).List("results")); got != want {
				t.Errorf("%s: got %d, want %d", query, got, want)
			}
		}
		owner.Get(configsPath+"?payment_method=stripe").Refused(400, "validation_failed")
		owner.Get(configsPath+"?country_code=Atlantis").Refused(400, "validation_failed")
	})

	t.Run("are for those who manage methods, in their own tenant", func(t *testing.T) {
		t.Parallel()
		w, neighbour := newWorld(t), newWorld(t)
		theirs := configsPath + neighbour.config("PK", pm.Cash).ID.String() + "/"
		owner := w.asOwner()
		owner.Get(theirs).Refused(404, "not_found")
		owner.Patch(theirs, `{"is_enabled":false}`).Refused(404, "not_found")
		owner.Delete(theirs).Refused(404, "not_found")
		if got := owner.Get(configsPath).Expect(200).Int("count"); got != 0 {
			t.Errorf("the list has %d", got)
		}
		w.asMember(w.account("PK", "PKR")).Get(configsPath).Refused(403, "permission_denied")
		w.as(w.staff(auth.RoleFinance)).Post(configsPath, `{}`).Refused(403, "permission_denied")
		manager := w.member(w.account("PK", "PKR"))
		manager.Permissions = append(manager.Permissions, auth.BillingMethodsManage)
		w.as(manager).Get(configsPath).Refused(403, "staff_only")
	})
}

func TestConfigRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.asOwner()
	owner.Post(configsPath, `{"country_code":"*","payment_method":"cash","display_name":"Cash"}`).Expect(201)
	limited := configsPath + w.config("PK", pm.Card, limits("PKR", "1", "9")).ID.String() + "/"
	owner.Post(configsPath, `{"country_code":"*","payment_method":"Cash","display_name":"Again"}`).Refused(409, "method_config_exists")
	owner.Patch(limited, `{"country_code":"*","payment_method":"cash"}`).Refused(409, "method_config_exists")

	valid := `"country_code":"BD","payment_method":"card","display_name":"Card"`
	long := make([]byte, 5000)
	for i := range long {
		long[i] = 'a'
	}
	create := map[string]string{
		`{}`: "country_code",
		`{"country_code":"Atlantis","payment_method":"card","display_name":"x"}`:      "country_code",
		`{"country_code":"International","payment_method":"card","display_name":"x"}`: "country_code",
		`{"country_code":"BD","payment_method":"stripe","display_name":"x"}`:          "payment_method",
		`{"country_code":"BD","payment_method":"card","display_name":"  "}`:           "display_name",
		`{` + valid + `,"min_amount":"5"}`:                                            "min_amount",
		`{` + valid + `,"currency":"XXX"}`:                                            "currency",
		`{` + valid + `,"currency":"BDT","min_amount":"5.001"}`:                       "min_amount",
		`{` + valid + `,"currency":"BDT","max_amount":"1e3"}`:                         "max_amount",
		`{` + valid + `,"currency":"BDT","max_amount":"-3"}`:                          "max_amount",
		`{` + valid + `,"currency":"BDT","max_amount":"99999999999999999999"}`:        "max_amount",
		`{` + valid + `,"currency":"BDT","min_amount":"9","max_amount":"5"}`:          "min_amount",
		`{` + valid + `,"sort_order":3000000000}`:                                     "sort_order",
		`{` + valid + `,"bank_details":"text"}`:                                       "bank_details",
		`{` + valid + `,"bank_details":{"card":"4242 4242 4242 4242"}}`:               "bank_details.card",
		`{` + valid + `,"wallet_details":{"a":"` + string(long) + `"}}`:               "wallet_details",
		`{` + valid + `,"color":"red"}`:                                               "color",
	}
	for body, field := range create {
		if errors, _ := owner.Post(configsPath, body).Expect(400).At("errors").(map[string]any); errors[field] == nil {
			t.Errorf("%.100s: blames %v, want %s", body, errors, field)
		}
	}
	for body, field := range map[string]string{
		`{"currency":"USD"}`: "currency", `{"currency":""}`: "currency", `{"currency":"USD","min_amount":"0"}`: "currency",
		`{"min_amount":"10"}`: "min_amount", `{"display_name":""}`: "display_name",
	} {
		if errors, _ := owner.Patch(limited, body).Expect(400).At("errors").(map[string]any); errors[field] == nil {
			t.Errorf("%s: blames %v, want %s", body, errors, field)
		}
	}
	owner.Patch(limited, `{"currency":"JPY","min_amount":"2","max_amount":"0"}`).Expect(200)
	if got := owner.Get(configsPath).Expect(200).Int("count"); got != 2 {
		t.Errorf("%d rows are there", got)
	}
}
