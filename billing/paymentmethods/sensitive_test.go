package paymentmethods_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"countersign/internal/keyring"
	"countersign/internal/testkit"
)

// S2-137, C-13: the numbers of a saved method are sealed and shown by their end.
func TestSavedMethodsAreSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	member := w.asMember(w.account("PK", "PKR"))
	row := func() string {
		t.Helper()
		var text string
		if err := testkit.OwnerDB(t).NewRaw("SELECT m::text FROM account_payment_methods AS m WHERE tenant_id = ?", w.tenant.ID).Scan(t.Context(), &text); err != nil {
			t.Fatal(err)
		}
		return text
	}
	shown := func(details any, want map[string]any) {
		t.Helper()
		if diff := cmp.Diff(any(want), details); diff != "" {
			t.Error(diff)
		}
		for _, secret := range []string{"1711223344", "1711-223344", "HABB0000001123456702"} {
			if strings.Contains(row(), secret) {
				t.Errorf("the row holds %s: %s", secret, row())
			}
		}
	}
	made := member.Post(savedPath, `{"payment_method":"local_wallet","display_name":"Mine","details":{"wallet_number":"+880 1711-223344","iban":"PK47HABB0000001123456702","bank_name":"HBL","phone":"123"}}`).Expect(201)
	path := savedPath + made.Text("data.id") + "/"
	masked := map[string]any{"wallet_number": "••••3344", "iban": "••••6702", "bank_name": "HBL", "phone": "••••"}
	shown(made.At("data.details"), masked)
	shown(member.Get(path).Expect(200).At("data.details"), masked)
	before := row()
	member.Patch(path, `{"display_name":"Renamed"}`).Expect(200)
	if sealed := func(text string) string { return text[strings.Index(text, `\x`):] }; sealed(row())[:40] != sealed(before)[:40] {
		t.Error("a new name has changed what is sealed")
	}

	// who sends back what he was shown changes nothing of it
	changed := member.Patch(path, `{"details":{"wallet_number":"••••3344","bank_name":"City"}}`).Expect(200)
	shown(changed.At("data.details"), map[string]any{"wallet_number": "••••3344", "bank_name": "City"})
	again := member.Patch(path, `{"details":{"wallet_number":"••••3344","iban":"GB00 9999 0000 1111"}}`).Expect(200)
	shown(again.At("data.details"), map[string]any{"wallet_number": "••••3344", "iban": "••••1111"})
	var sealed []byte
	if err := testkit.OwnerDB(t).NewRaw("SELECT sensitive FROM account_payment_methods WHERE tenant_id = ?", w.tenant.ID).Scan(t.Context(), &sealed); err != nil {
		t.Fatal(err)
	}
	place := keyring.Place{Tenant: w.tenant.ID, Purpose: "account_payment_methods.sensitive", Row: uuid.MustParse(made.Text("data.id"))}
	opened, err := keyring.New(nil, []byte("a secret of this test")).Open(place, sealed)
	if want := `{"iban":"GB00 9999 0000 1111","wallet_number":"+880 1711-223344"}`; err != nil || string(opened) != want {
		t.Errorf("sealed is %s, want %s: %v", opened, want, err)
	}
	shown(member.Patch(path, `{"details":{}}`).Expect(200).At("data.details"), map[string]any{})
	if strings.Contains(row(), `\x`) {
		t.Errorf("something is still sealed: %s", row())
	}
}
