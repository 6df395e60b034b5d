package payments_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/internal/keyring"
	"countersign/internal/testkit"
)

// C-13, S2-63, S2-137, S2-138.
func TestSensitiveDetails(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	const number, voucher = "+880 1711-223344", "VC-7788-9900"
	inv := w.OpenInvoice("10.00")
	sent := claim(w, inv.ID, "details", body("sender_number", number, "voucher_number", voucher, "bank_name", "City", "wallet_number", "12345"))
	first := w.As(w.Member).With("Idempotency-Key", "sealed").Post(list+"manual/", sent).Expect(http.StatusCreated)
	id := idOf(first)
	secrets := []string{"1711223344", "1711-223344", number, voucher, "77889900", "12345"}

	masked := objectOf(t, `{"sender_number":"••••3344","voucher_number":"••••9900","bank_name":"City","wallet_number":"••••"}`)
	whole := objectOf(t, fmt.Sprintf(`{"sender_number":%q,"voucher_number":%q,"bank_name":"City","wallet_number":"12345"}`, number, voucher))
	t.Run("answers show how they end, and all of it to who decides", func(t *testing.T) {
		equal(t, "its submitter", first.At("data.details"), any(masked))
		equal(t, "the same call again", w.As(w.Member).With("Idempotency-Key", "sealed").Post(list+"manual/", sent).Expect(http.StatusCreated).At("data.details"), any(masked))
		equal(t, "its customer", w.As(w.Member).Get(one(id, "")).At("data.details"), any(masked))
		equal(t, "staff who do not decide", w.As(w.Viewer).Get(one(id, "")).At("data.details"), any(masked))
		equal(t, "who decides", w.As(w.Approver).Get(one(id, "")).At("data.details"), any(whole))
		equal(t, "the list, for who decides", w.As(w.Approver).Get(list).At("results.0.details"), any(masked))
		equal(t, "a transaction", w.As(w.Approver).Get(base+"/transactions/"+id.String()+"/").At("data.details"), any(masked))
	})
	t.Run("the console shows them to who decides, and how they end to others", func(t *testing.T) {
		site := w.Console()
		w.Browse(site, w.Approver).Get(page(id, "")).Expect(http.StatusOK).Shows("Sent from the number", number, voucher)
		w.Browse(site, w.Viewer).Get(page(id, "")).Expect(http.StatusOK).Shows("••••3344", "••••9900").Hides("1711-22", voucher)
	})
	t.Run("the same claim with another number is another claim", func(t *testing.T) {
		equal(t, "again", idOf(submit(w, w.Member, sent).Expect(http.StatusCreated)), id)
		other := claim(w, inv.ID, "transaction_reference", sent["transaction_reference"], "details", body("sender_number", "+880 1999-223344", "voucher_number", voucher,
			"bank_name", "City", "wallet_number", "12345"))
		submit(w, w.Member, other).Refused(http.StatusConflict, "payment_pending")
	})
	t.Run("no table holds one of them", func(t *testing.T) {
		approved := w.As(w.Approver).With("Idempotency-Key", "approval").Post(one(id, "approve/"), body("digest", w.Digest(id))).Expect(http.StatusOK)
		equal(t, "the decision's answer", approved.At("data.details"), any(masked))
		w.SettleAll()
		var tables []string
		if err := testkit.OwnerDB(t).NewRaw("SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'tenant_id'").Scan(t.Context(), &tables); err != nil || len(tables) < 20 {
			t.Fatal(tables, err)
		}
		for _, table := range tables {
			var rows []string
			if err := testkit.OwnerDB(t).NewRaw("SELECT x::text FROM ? AS x WHERE tenant_id = ?", bun.Ident(table), w.Tenant.ID).Scan(t.Context(), &rows); err != nil {
				t.Fatal(table, err)
			}
			for _, row := range rows {
				for _, s := range secrets[:5] {
					if strings.Contains(row, s) || strings.Contains(row, hex.EncodeToString([]byte(s))) {
						t.Errorf("%s holds %s: %s", table, s, row)
					}
				}
			}
		}
	})
	p := w.Payment(id)
	t.Run("no other place opens it", func(t *testing.T) {
		ring := keyring.New(nil, billingtest.Secret())
		if _, err := ring.Open(p.Place(), p.Sensitive); err != nil {
			t.Fatal(err)
		}
		elsewhere, another := p.Place(), p.Place()
		elsewhere.Tenant, another.Row = uuid.New(), uuid.New()
		for _, place := range []keyring.Place{elsewhere, another} {
			if _, err := ring.Open(place, p.Sensitive); !errors.Is(err, keyring.ErrDamaged) {
				t.Errorf("%v: %v", place, err)
			}
		}
	})
	t.Run("after the keys have changed it still reads, and is found", func(t *testing.T) {
		fresh, err := keyring.Parse("new:" + strings.Repeat("A", 43) + "=")
		if err != nil {
			t.Fatal(err)
		}
		ring := keyring.New(fresh, billingtest.Secret())
		rotated := w.Payments.WithKeys(ring)
		before, digest := rotated.Whole(t, w.System, id)
		equal(t, "before", before, whole)
		sealed, err := ring.Reseal(p.Place(), p.Sensitive)
		if err != nil || sealed == nil {
			t.Fatal(err)
		}
		force(t, "UPDATE payments SET sensitive = ? WHERE tenant_id = ? AND id = ?", sealed, w.Tenant.ID, id)
		after, same := rotated.Whole(t, w.System, id)
		equal(t, "after", after, whole)
		equal(t, "digest", same, digest)

		// a process that does not have the new key shows the payment, but not what it cannot open, and does not write over it
		hidden, other := w.Payments.Whole(t, w.System, id)
		equal(t, "without the key", hidden, masked)
		if other == digest {
			t.Error("the digest does not cover what is sealed")
		}
		if err := w.Payments.AddDetails(t, w.System, id, body("bank_name", "Other")); err == nil {
			t.Error("what cannot be opened was written over")
		}
		found := w.As(w.Viewer).Post(list+"search/", search("manual", "sender_number", "=", "8801711223344")).Expect(http.StatusOK)
		equal(t, "found", found.Int("count"), int64(1))
	})
}

// What looks personal under a key of the sender's own is sealed, wherever it stands.
func TestPersonalKeys(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	testkit.Secret(testkit.SecretPersonal, "998901234567", "998907654321", "W-11223344", "somebody@people.test")
	p := by(t, w, "integrator", `{"data":{"order":"A-1","payerPhone":"998901234567","guest":{"MSISDN":998907654321},"wallet":{"id":"W-11223344"},"cards":[{"card_masked":"860012******1234"}],
		"wallet_provider":"Click","a/b~c":{"email":"somebody@people.test"}}}`)
	equal(t, "stored", map[string]any(w.Payment(p.ID).Details), objectOf(t, `{"data":{"order":"A-1","payerPhone":"••••4567","guest":{"MSISDN":"••••4321"},"wallet":{"id":"••••3344"},
		"cards":[{"card_masked":"••••1234"}],"wallet_provider":"Click","a/b~c":{"email":"••••TEST"}}}`))
	whole, _ := w.Payments.Whole(t, w.System, p.ID)
	equal(t, "opened", whole, objectOf(t, `{"data":{"order":"A-1","payerPhone":"998901234567","guest":{"MSISDN":998907654321},"wallet":{"id":"W-11223344"},
		"cards":[{"card_masked":"860012******1234"}],"wallet_provider":"Click","a/b~c":{"email":"somebody@people.test"}}}`))
	for _, c := range []struct {
		path  any
		value any
	}{
		{[]any{"data", "payerPhone"}, "+998 90 123-45-67"}, {[]any{"data", "guest", "MSISDN"}, "998907654321"}, {[]any{"data", "guest", "MSISDN"}, 998907654321},
		{[]any{"data", "wallet", "id"}, "w 11223344"}, {[]any{"data", "cards", 0, "card_masked"}, "8600121234"}, {[]any{"data", "a/b~c", "email"}, "somebody@people.test"},
	} {
		got := w.As(w.Viewer).Post(list+"search/", search("integrator", c.path, "=", c.value)).Expect(http.StatusOK)
		equal(t, fmt.Sprint(c.path), got.Int("count"), int64(1))
	}
}

// What a provider says is added to what is known, however deep it stands: nothing that it does not speak of is lost, and the
// payment is found by what is known now (S0-11, S0-44, S0-53).
func TestAddedDetails(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := by(t, w, "integrator", `{"data":{"order":"A-1","phone":"998901234567","desk":{"n":7,"tags":["a","b"],"wallet":"W-11223344"}}}`)
	if err := w.Payments.AddDetails(t, w.System, p.ID, objectOf(t, `{"error_code":"0","data":{"x":1,"desk":{"tags":["c"],"open":true},"phone":"998907654321"}}`)); err != nil {
		t.Fatal(err)
	}
	whole, _ := w.Payments.Whole(t, w.System, p.ID)
	equal(t, "whole", whole, objectOf(t, `{"error_code":"0","data":{"order":"A-1","phone":"998907654321","x":1,"desk":{"n":7,"tags":["c"],"wallet":"W-11223344","open":true}}}`))
	equal(t, "shown", map[string]any(w.Payment(p.ID).Details), objectOf(t, `{"error_code":"0","data":{"order":"A-1","phone":"••••4321","x":1,"desk":{"n":7,"tags":["c"],"wallet":"••••3344","open":true}}}`))
	for _, c := range []struct {
		path  []any
		value any
		want  int64
	}{{[]any{"data", "order"}, "A-1", 1}, {[]any{"data", "x"}, 1, 1}, {[]any{"data", "desk", "wallet"}, "w11223344", 1}, {[]any{"data", "phone"}, "998907654321", 1},
		{[]any{"data", "phone"}, "998901234567", 0}, {[]any{"data", "desk", "tags", 0}, "c", 1}, {[]any{"data", "desk", "tags", 0}, "a", 0}} {
		got := w.As(w.Viewer).Post(list+"search/", search("integrator", c.path, "=", c.value)).Expect(http.StatusOK)
		equal(t, fmt.Sprint(c.path, c.value), got.Int("count"), c.want)
	}
	equal(t, "terms", count(t, "SELECT count(*) FROM payment_terms WHERE payment_id = ?", p.ID), 7)
}
