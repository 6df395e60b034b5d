package fx_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/fx"
	"countersign/billing/money"
	"countersign/internal/database"
	"countersign/internal/testkit"
)

// parity is a world whose first customer has 100.00 EUR of credit, and where a colleague has recorded that one is a dollar.
func parity(t testing.TB) *billingtest.World {
	t.Helper()
	w := billingtest.New(t)
	w.GiveCredit(w.Account.ID, money.New(10000, "EUR"))
	record(t, w, "EUR", "USD", "1", w.Clock.Now())
	return w
}

// convertAs asks for a conversion of 10.00 EUR of the first customer at a stated rate, with more fields in pairs.
func convertAs(w *billingtest.World, p *billingtest.Person, rate string, more ...any) testkit.Answer {
	return w.As(p).With("Idempotency-Key", uuid.NewString()).Post(base+"/conversions/", body(w, append([]any{"from_amount", "10.00", "rate", rate}, more...)...))
}

// gained is what a conversion that was made has gained, as it is stored.
func gained(w *billingtest.World, made testkit.Answer) string {
	return conversion(w, uuid.MustParse(made.Expect(http.StatusCreated).Text("data.id"))).Gain.String()
}

// TestGains shows that what conversions give an account above the rates of others is bounded for all of them together.
func TestGains(t *testing.T) {
	t.Parallel()
	const exceeded = "fx_gain_exceeded"
	t.Run("both tolerances together are one", func(t *testing.T) {
		t.Parallel()
		w := parity(t)
		w.Finance.Token() // signing in is on record as well
		before := w.Snapshot()
		got := convertAs(w, w.Finance, "1.10", "to_amount", "11.55", "reason", "The bank's rate and its bonus").Refused(http.StatusConflict, exceeded)
		want := "have gained 0 % above the rates that others have recorded, this one would gain 15.5 %, and together at most 10 % are allowed. Let somebody else"
		if !strings.Contains(got.Text("error"), want) {
			t.Errorf("it says %s", got.Text("error"))
		}
		convertAs(w, w.Finance, "1.10", "to_amount", "11.01", "reason", "Their cent").Refused(http.StatusConflict, exceeded)
		convertAs(w, w.Finance, "0.9", "rate_base", "USD").Refused(http.StatusConflict, exceeded) // 1 / 0.9 is more than a tenth above
		if diff := cmp.Diff(before, w.Snapshot()); diff != "" {
			t.Errorf("a refusal has left something behind: %s", diff)
		}
		if got := gained(w, convertAs(w, w.Finance, "1.05", "to_amount", "11.00", "reason", "The bank's rate and its bonus")); got != "0.1" {
			t.Errorf("it has gained %s", got)
		}
		w.AssertBooks(t)
	})
	t.Run("there and back ends at the bound", func(t *testing.T) {
		t.Parallel()
		w := parity(t)
		there := [2]money.Currency{"EUR", "USD"}
		done := 0
		for ; ; there[0], there[1] = there[1], there[0] {
			has := credit(w, there[0])
			got := convertAs(w, w.Finance, "1.02", "from_currency", there[0], "to_currency", there[1], "from_amount", nil, "from_amount_minor", has,
				"to_amount_minor", has*1025/1000, "reason", "The bank's rate and its bonus")
			if got.Status != http.StatusCreated {
				got.Refused(http.StatusConflict, exceeded)
				break
			}
			done++
		}
		if done != 4 || credit(w, "EUR") != 11037 || credit(w, "USD") != 0 {
			t.Errorf("after %d conversions of 100.00 EUR there are %d EUR and %d USD", done, credit(w, "EUR"), credit(w, "USD"))
		}
		convertAs(w, w.Finance, "0.95", "reason", "A loss makes no room").Expect(http.StatusCreated)
		convertAs(w, w.Finance, "1.001", "reason", "A little more").Refused(http.StatusConflict, exceeded)
		convertAs(w, w.Finance, "1", "rate", nil, "source", nil).Expect(http.StatusCreated)
		record(t, w, "EUR", "USD", "1.001", w.Clock.Now())
		if got := gained(w, convertAs(w, w.Finance, "1.001")); got != "0" {
			t.Errorf("at what a colleague has recorded it has gained %s", got)
		}
		w.AssertBooks(t)
	})
	t.Run("a cent more of one is twice as much", func(t *testing.T) {
		t.Parallel()
		w := parity(t)
		cent := func(p *billingtest.Person, rate, given string) testkit.Answer {
			return convertAs(w, p, rate, "from_amount", "0.01", "to_amount", given, "reason", "The bank rounds up")
		}
		got := cent(w.Finance, "1", "0.02").Refused(http.StatusConflict, exceeded)
		if !strings.Contains(got.Text("error"), "this one would gain 100 %") {
			t.Errorf("it says %s", got.Text("error"))
		}
		convertAs(w, w.Finance, "1", "from_amount", "0.09", "to_amount", "0.10", "reason", "The bank rounds up").Refused(http.StatusConflict, exceeded)
		convertAs(w, w.Finance, "1", "from_amount", "0.10", "to_amount", "0.11", "reason", "The bank rounds up").Expect(http.StatusCreated)
		convertAs(w, w.Finance, "1", "from_amount", "10.00", "to_amount", "10.01", "reason", "The bank rounds up").Refused(http.StatusConflict, exceeded)
		cent(w.Finance, "1", "0.01").Expect(http.StatusCreated)
	})
	t.Run("a few cents at the recorded rate gain nothing, however they are rounded", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		w.GiveCredit(w.Account.ID, money.New(10000, "EUR"))
		record(t, w, "EUR", "USD", "1.5", w.Clock.Now())
		for _, from := range []string{"0.01", "0.01", "0.03", "0.07", "0.01"} {
			if got := gained(w, convertAs(w, w.Finance, "", "from_amount", from, "rate", nil, "source", nil)); got != "0" {
				t.Errorf("%s has gained %s", from, got)
			}
			if got := gained(w, convertAs(w, w.Finance, "1.5", "from_amount", from)); got != "0" {
				t.Errorf("%s at the same rate has gained %s", from, got)
			}
		}
		if got := gained(w, convertAs(w, w.Finance, "1.65", "from_amount", "0.04")); got != "0.1" {
			t.Errorf("at a rate that is a tenth above, 0.07 instead of 0.06 has gained %s", got)
		}
		w.AssertBooks(t)
	})
	t.Run("an owner may gain more, and what he has gained counts", func(t *testing.T) {
		t.Parallel()
		w := parity(t)
		convertAs(w, w.Owner, "1.10").Expect(http.StatusCreated) // as anybody may
		convertAs(w, w.Owner, "1.10").Refused(http.StatusBadRequest, "fx_reason_required")
		if got := gained(w, convertAs(w, w.Owner, "2", "reason", "The bank's letter of today")); got != "1" {
			t.Errorf("twice as much has gained %s", got)
		}
		got := convertAs(w, w.Finance, "1.001", "reason", "I say so").Refused(http.StatusConflict, exceeded)
		if !strings.Contains(got.Text("error"), "have gained 110 % above the rates that others have recorded, this one would gain 0.1 %") {
			t.Errorf("it says %s", got.Text("error"))
		}
		convertAs(w, w.Finance, "1").Expect(http.StatusCreated)
	})
	t.Run("an owner's rate that nobody else knows is what his bank's amount is measured by", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		w.GiveCredit(w.Account.ID, money.New(10000, "EUR"))
		for given, want := range map[string]string{"10.80": "0", "10.26": "0", "11.34": "0.05"} {
			if got := gained(w, convertAs(w, w.Owner, "1.08", "to_amount", given, "reason", "The bank's letter of today")); got != want {
				t.Errorf("%s has gained %s", given, got)
			}
		}
		record(t, w, "EUR", "USD", "1", w.Clock.Now())
		convertAs(w, w.Finance, "1.06").Refused(http.StatusConflict, exceeded)
		convertAs(w, w.Finance, "1.05").Expect(http.StatusCreated)
	})
	t.Run("what is taken back has gained nothing", func(t *testing.T) {
		t.Parallel()
		w := parity(t)
		made := convertAs(w, w.Finance, "1.10").Expect(http.StatusCreated)
		convertAs(w, w.Finance, "1.10").Refused(http.StatusConflict, exceeded)
		if err := reverse(w, uuid.MustParse(made.Text("data.id"))); err != nil {
			t.Fatal(err)
		}
		convertAs(w, w.Finance, "1.10").Expect(http.StatusCreated)
		convertAs(w, w.Finance, "1.10").Refused(http.StatusConflict, exceeded)
	})
	t.Run("a week later there is room again", func(t *testing.T) {
		t.Parallel()
		w := parity(t)
		convertAs(w, w.Finance, "1.10").Expect(http.StatusCreated)
		w.Tamper("UPDATE fx_conversions SET created_at = now() - ?1 * interval '1 second' WHERE tenant_id = ?0", int((fx.GainAge-time.Minute)/time.Second))
		convertAs(w, w.Finance, "1.10").Refused(http.StatusConflict, exceeded)
		w.Tamper("UPDATE fx_conversions SET created_at = now() - ?1 * interval '1 second' WHERE tenant_id = ?0", int(fx.GainAge/time.Second))
		convertAs(w, w.Finance, "1.10").Expect(http.StatusCreated)
	})
	t.Run("other customers and other tenants are not affected", func(t *testing.T) {
		t.Parallel()
		w, neighbour := parity(t), parity(t)
		w.GiveCredit(w.Other.ID, money.New(10000, "EUR"))
		convertAs(w, w.Finance, "1.10").Expect(http.StatusCreated)
		convertAs(w, w.Finance, "1.10").Refused(http.StatusConflict, exceeded)
		convertAs(w, w.Finance, "1.10", "account_id", w.Other.ID.String()).Expect(http.StatusCreated)
		convertAs(neighbour, neighbour.Finance, "1.10").Expect(http.StatusCreated)
	})
	t.Run("the audit log says what was gained", func(t *testing.T) {
		t.Parallel()
		w := parity(t)
		convertAs(w, w.Finance, "1.025").Expect(http.StatusCreated)
		if n := count(t, "SELECT count(*) FROM audit_log WHERE tenant_id = ? AND action = 'fx_conversion.create' AND after ->> 'gain' = '0.025'", w.Tenant.ID); n != 1 {
			t.Errorf("%d records say so", n)
		}
	})
}

// TestGainsAtOnce converts for one customer at once, in two processes and between currencies that share no balance.
func TestGainsAtOnce(t *testing.T) {
	t.Parallel()
	w := parity(t)
	w.GiveCredit(w.Account.ID, money.New(10000, "JPY"))
	record(t, w, "JPY", "GBP", "0.01", w.Clock.Now())
	second, err := database.Open(database.Config{URL: testkit.OwnerURL(), Role: database.AppRole, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { second.Close() })
	both := []*billingtest.World{w, w.Replica(second)}
	ends := atOnce(20, func(i int) error {
		in := fx.ConvertInput{Account: w.Account.ID.String(), From: money.New(400, "EUR"), To: "USD", Stated: &fx.StatedRate{Rate: number(t, "1.01"), Source: "manual"}}
		if i%4 < 2 {
			in.From, in.To, in.Stated.Rate = money.New(400, "JPY"), "GBP", number(t, "0.0101")
		}
		_, err := both[i%2].FX.Convert(w.Finance.Ctx, in)
		return err
	})
	if diff := cmp.Diff(map[string]int{"done": 10, "fx_gain_exceeded": 10}, ends); diff != "" {
		t.Error(diff)
	}
	if n := count(t, "SELECT (sum(gain) * 1000)::int FROM fx_conversions WHERE tenant_id = ?", w.Tenant.ID); n != 100 {
		t.Errorf("together they have gained %d per mille", n)
	}
	w.AssertBooks(t)
}
