package paymentmethods_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	pm "countersign/billing/paymentmethods"
	"countersign/tenancy"
)

func TestLoadFixtures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	system := tenancy.AsSystem(t.Context(), w.tenant.ID, "loaddata")
	if diff := cmp.Diff([]string{"BD", "PK", "UZ"}, pm.FixtureCountries()); diff != "" {
		t.Error(diff)
	}
	if err := w.service.LoadFixtures(system, append(pm.FixtureCountries(), "DE")...); err != nil {
		t.Fatal(err)
	}
	for country, want := range map[string][]string{
		"PK": {"bank_transfer*", "local_wallet"}, "BD": {"local_wallet", "bank_transfer*", "cash"},
		"UZ": {"bank_transfer*", "local_wallet", "cash"}, "DE": {"bank_transfer*"},
	} {
		if diff := cmp.Diff(want, w.available(pm.Query{Country: country})); diff != "" {
			t.Errorf("%s: %s", country, diff)
		}
	}
	before, _ := w.history()
	if err := w.service.LoadFixtures(system, pm.FixtureCountries()...); err != nil {
		t.Fatal(err)
	}
	if after, _ := w.history(); len(after) != len(before) {
		t.Errorf("the second run wrote %v", after[len(before):])
	}
	w.asOwner().Patch(configsPath+w.asOwner().Get(configsPath+"?country_code=BD&payment_method=cash").Expect(200).Text("results.0.id")+"/",
		`{"is_enabled":false,"instructions":"closed"}`).Expect(200)
	if err := w.service.LoadFixtures(system, "BD"); err != nil {
		t.Fatal(err)
	}
	if after, _ := w.history(); len(after) != len(before)+2 || !slices.Contains(w.available(pm.Query{Country: "BD"}), "cash") {
		t.Errorf("the changed row was not set back, and only that: %v", after[len(before):])
	}
}
