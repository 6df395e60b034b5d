package fx_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/billingtest"
	"countersign/billing/fx"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/internal/errs"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// body is a request to convert 100.00 EUR of the first customer at 1.08, with more fields in pairs; nil takes one away.
func body(w *billingtest.World, more ...any) map[string]any {
	m := map[string]any{"account_id": w.Account.ID.String(), "from_currency": "EUR", "to_currency": "USD", "from_amount": "100.00", "rate": "1.08", "source": "manual"}
	for i := 0; i < len(more); i += 2 {
		m[more[i].(string)] = more[i+1]
	}
	return m
}

func finance(w *billingtest.World) *testkit.Client {
	return w.As(w.Finance).With("Idempotency-Key", uuid.NewString())
}

func TestConvert(t *testing.T) {
	t.Parallel()
	t.Run("turns credit into credit of another currency (S1-58)", func(t *testing.T) {
		t.Parallel()
		w := euros(t)
		got := finance(w).Post(base+"/conversions/", body(w, "from_amount", "33.33", "rate", "1.0833", "reason", "He pays in dollars")).Expect(http.StatusCreated)
		id := got.Text("data.id")
		want := map[string]any{"id": id, "account_id": w.Account.ID.String(), "status": "converted", "reason": "He pays in dollars", "reversal_reason": "", "reversed_at": nil,
			"from": amount("33.33", "EUR"), "to": amount("36.11", "USD"), "computed": amount("36.11", "USD"), "difference": amount("0.00", "USD"),
			"unrounded": "36.106389", "rounding": "0.003611", "created_at": got.Text("data.created_at"),
			"rate": map[string]any{"rate_id": nil, "base": "EUR", "quote": "USD", "rate": "1.0833", "source": "manual", "as_of": "2026-01-21T06:00:00.000000Z"}}
		if diff := cmp.Diff(want, texts(got.At("data"))); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want, texts(w.As(w.Viewer).Get(base+"/conversions/"+id+"/").Expect(http.StatusOK).At("data"))); diff != "" {
			t.Errorf("it is shown otherwise than it was made: %s", diff)
		}
		wantEntries := map[string]int64{"customer_credit:EUR": 3333, "fx:EUR": -3333, "fx:USD": 3611, "customer_credit:USD": -3611}
		if diff := cmp.Diff(wantEntries, entries(t, w, "fx:"+id+":convert")); diff != "" {
			t.Error(diff)
		}
		if credit(w, "EUR") != 6667 || credit(w, "USD") != 3611 {
			t.Errorf("the customer has %d EUR and %d USD", credit(w, "EUR"), credit(w, "USD"))
		}
		if diff := cmp.Diff([]string{"fx.converted"}, w.Events("fx.")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"fx_conversion.create"}, w.Audited("fx_")); diff != "" {
			t.Error(diff)
		}
		w.AssertBooks(t)
	})
	t.Run("gives the customer what the bank gave, and posts the difference apart", func(t *testing.T) {
		t.Parallel()
		for given, difference := range map[string]int64{"108.07": 7, "107.90": -10} {
			w := euros(t)
			got := finance(w).Post(base+"/conversions/", body(w, "to_amount", given, "reason", "The bank's own rate")).Expect(http.StatusCreated)
			if got.Text("data.to.amount") != given || got.Text("data.computed.amount") != "108.00" || got.Int("data.difference.amount_minor") != difference {
				t.Errorf("got %s", got.Raw)
			}
			want := map[string]int64{"customer_credit:EUR": 10000, "fx:EUR": -10000, "fx:USD": 10800, "customer_credit:USD": -10800 - difference, "fx_difference:USD": difference}
			if diff := cmp.Diff(want, entries(t, w, "fx:"+got.Text("data.id")+":convert")); diff != "" {
				t.Error(diff)
			}
			w.AssertBooks(t)
		}
	})
	t.Run("takes the rate that is named, also of the other direction, by dividing", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		w.GiveCredit(w.Account.ID, money.New(100_000_000, "UZS"))
		rate := record(t, w, "USD", "UZS", "12700.25", w.Clock.Now())
		got := finance(w).Post(base+"/conversions/", map[string]any{"account_id": w.Account.ID.String(), "from_currency": "UZS", "to_currency": "USD",
			"from_amount_minor": 100_000_000, "rate_id": rate.String()}).Expect(http.StatusCreated)
		if got.Text("data.to.amount") != "78.74" || got.Text("data.unrounded") != "78.73860750772622" || got.Text("data.rate.base") != "USD" || got.Text("data.rate.quote") != "UZS" ||
			got.Text("data.rate.rate") != "12700.25" || got.Text("data.rate.rate_id") != rate.String() || got.Text("data.rate.source") != "cbu.uz" {
			t.Errorf("got %s", got.Raw)
		}
		w.AssertBooks(t)
	})
	t.Run("takes a stated rate as it is stated", func(t *testing.T) {
		t.Parallel()
		w := euros(t)
		got := finance(w).Post(base+"/conversions/", body(w, "rate", "0.9", "rate_base", "USD")).Expect(http.StatusCreated)
		if got.Text("data.to.amount") != "111.11" || got.Text("data.rate.base") != "USD" || got.Text("data.rate.quote") != "EUR" {
			t.Errorf("got %s", got.Raw)
		}
	})
	t.Run("an account is named by its external id as well (Z-36)", func(t *testing.T) {
		t.Parallel()
		w := euros(t)
		w.As(w.Owner).Patch(billingtest.Base+"/billing/accounts/"+w.Account.ID.String()+"/", map[string]any{"external_id": "cust-7"}).Expect(http.StatusOK)
		if got := finance(w).Post(base+"/conversions/", body(w, "account_id", "cust-7")).Expect(http.StatusCreated); got.Text("data.account_id") != w.Account.ID.String() {
			t.Errorf("got %s", got.Raw)
		}
	})
}

// amount is an amount as answers show it.
func amount(text, currency string) map[string]any {
	return map[string]any{"amount": text, "amount_minor": strings.TrimLeft(strings.ReplaceAll(text, ".", ""), "0"), "currency": currency}
}

// texts gives an answer with its numbers as texts.
func texts(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, one := range v {
			out[key] = texts(one)
		}
		return out
	case interface{ String() string }:
		return strings.TrimLeft(v.String(), "0")
	}
	return value
}

func TestConvertRefuses(t *testing.T) {
	t.Parallel()
	w := euros(t)
	yen := record(t, w, "EUR", "JPY", "160", w.Clock.Now())
	pounds := record(t, w, "GBP", "USD", "1.3", w.Clock.Now())
	usable := record(t, w, "USD", "EUR", "0.9", w.Clock.Now()) // of the other direction, so only when it is named
	for _, p := range []*billingtest.Person{w.Finance, w.Viewer, w.Member} {
		p.Token() // signing in is on record as well
	}
	before := w.Snapshot()
	required := errs.Invalid("required", "This field is required.")
	for _, tt := range []struct {
		name  string
		body  map[string]any
		field string // empty: the refusal is about none
		want  *errs.Error
	}{
		{"an unknown account", body(w, "account_id", uuid.NewString()), "account_id", accounts.ErrUnknownAccount},
		{"an unknown currency", body(w, "to_currency", "QQQ"), "to_currency", money.ErrUnknownCurrency},
		{"one currency", body(w, "to_currency", "eur"), "to_currency", fx.ErrSameCurrency},
		{"no amount", body(w, "from_amount", nil), "from_amount", required},
		{"an amount of nothing", body(w, "from_amount", "0.00"), "from_amount", fx.ErrNotPositive},
		{"an amount below nothing", body(w, "from_amount", nil, "from_amount_minor", -1), "from_amount", fx.ErrNotPositive},
		{"an amount with too many digits", body(w, "from_amount", "1.001"), "from_amount", money.ErrTooManyDigits},
		{"two amounts", body(w, "from_amount_minor", 10001), "from_amount", fx.ErrForms},
		{"an amount beyond all amounts", body(w, "from_amount", nil, "from_amount_minor", 1_000_000_000_000_001), "from_amount", fx.ErrTooLarge},
		{"what comes to too much", body(w, "from_amount", nil, "from_amount_minor", 1_000_000_000_000_000, "rate", "9999999999.9999999999"), "", fx.ErrTooLarge},
		{"what comes to nothing", body(w, "from_amount", "0.01", "rate", "0.1"), "", fx.ErrNothing},
		{"a bank that gave nothing", body(w, "to_amount", "0"), "to_amount", fx.ErrNotPositive},
		{"a rate of nothing", body(w, "rate", "0"), "rate", fx.ErrNotPositive},
		{"a rate below nothing", body(w, "rate", "-1"), "rate", fx.ErrNotPositive},
		{"a rate with too many digits", body(w, "rate", "1.00000000001"), "rate", money.ErrTooManyDigits},
		{"a rate that is too large", body(w, "rate", "10000000000"), "rate", money.ErrOverflow},
		{"a rate that nobody stands for", body(w, "source", nil), "source", required},
		{"a source without a rate", body(w, "rate", nil), "rate", required},
		{"a rate of a third currency", body(w, "rate_base", "JPY"), "rate_base", fx.ErrRatePair},
		{"two rates", body(w, "rate_id", yen.String()), "rate_id", fx.ErrRateTwice},
		{"an unknown rate", body(w, "rate", nil, "source", nil, "rate_id", uuid.NewString()), "rate_id", fx.ErrUnknownRate},
		{"a rate of another pair", body(w, "rate", nil, "source", nil, "rate_id", yen.String()), "rate_id", fx.ErrRatePair},
		{"no rate where only the other direction is recorded", body(w, "rate", nil, "source", nil), "rate", fx.ErrNoRate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := finance(w).Post(base+"/conversions/", tt.body).Expect(http.StatusBadRequest)
			said := got.Text("error")
			if tt.field != "" {
				said = got.Text("errors." + tt.field + ".0")
			}
			want, _, _ := strings.Cut(tt.want.Text, "{{")
			if code := got.Text("code"); code != tt.want.Code && code != "validation_failed" || !strings.HasPrefix(said, want) {
				t.Errorf("the refusal is %s", got.Raw)
			}
		})
	}
	t.Run("more than there is", func(t *testing.T) {
		finance(w).Post(base+"/conversions/", body(w, "from_amount", "100.01")).Refused(http.StatusConflict, "credit_exceeded")
		finance(w).Post(base+"/conversions/", body(w, "from_currency", "GBP", "rate", nil, "source", nil, "rate_id", pounds.String())).Refused(http.StatusConflict, "credit_exceeded")
		finance(w).Post(base+"/conversions/", body(w, "account_id", w.Other.ID.String())).Refused(http.StatusConflict, "credit_exceeded")
	})
	t.Run("a call without a key", func(t *testing.T) {
		w.As(w.Finance).Post(base+"/conversions/", body(w)).Refused(http.StatusBadRequest, "idempotency_key_required")
	})
	t.Run("those who may not", func(t *testing.T) {
		for _, p := range []*billingtest.Person{w.Viewer, w.Member} {
			w.As(p).With("Idempotency-Key", "k").Post(base+"/conversions/", body(w)).Expect(http.StatusForbidden)
			w.As(p).Post(base+"/conversions/"+usable.String()+"/reverse/", map[string]any{"reason": "No"}).Expect(http.StatusForbidden)
		}
	})
	if diff := cmp.Diff(before, w.Snapshot()); diff != "" {
		t.Errorf("something has changed: %s", diff)
	}
	if n := count(t, "SELECT count(*) FROM fx_conversions WHERE tenant_id = ?", w.Tenant.ID); n != 0 {
		t.Errorf("%d conversions are there", n)
	}
}

func TestConvertOnce(t *testing.T) {
	t.Parallel()
	t.Run("a repetition gets the first answer", func(t *testing.T) {
		t.Parallel()
		w := euros(t)
		client := finance(w)
		first := client.Post(base+"/conversions/", body(w, "from_amount", "60.00")).Expect(http.StatusCreated)
		again := client.Post(base+"/conversions/", body(w, "from_amount", "60.00")).Expect(http.StatusCreated)
		if diff := cmp.Diff(first.At("data"), again.At("data")); diff != "" || again.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("replayed %q: %s", again.Header.Get("Idempotent-Replayed"), diff)
		}
		client.Post(base+"/conversions/", body(w, "from_amount", "60.01")).Refused(http.StatusConflict, "idempotency_key_reused")
		if credit(w, "EUR") != 4000 {
			t.Errorf("%d EUR are left", credit(w, "EUR"))
		}
	})
	t.Run("many repetitions at once have one effect", func(t *testing.T) {
		t.Parallel()
		w := euros(t)
		client := finance(w)
		answers := make([]testkit.Answer, 12)
		atOnce(len(answers), func(i int) error {
			answers[i] = client.Post(base+"/conversions/", body(w, "from_amount", "10.00"))
			return nil
		})
		for _, a := range answers {
			if a.Status != http.StatusCreated || a.Text("data.id") != answers[0].Text("data.id") {
				t.Errorf("%d %s", a.Status, a.Raw)
			}
		}
		if credit(w, "EUR") != 9000 || len(w.Events("fx.")) != 1 {
			t.Errorf("%d EUR are left after %v", credit(w, "EUR"), w.Events("fx."))
		}
		w.AssertBooks(t)
	})
	t.Run("a failure leaves nothing behind, and the key free", func(t *testing.T) {
		t.Parallel()
		w := euros(t)
		client := finance(w)
		before := w.Snapshot()
		client.Post(base+"/conversions/", body(w, "from_amount", "200.00")).Refused(http.StatusConflict, "credit_exceeded")
		if diff := cmp.Diff(before, w.Snapshot()); diff != "" {
			t.Error(diff)
		}
		w.GiveCredit(w.Account.ID, money.New(10000, "EUR"))
		client.Post(base+"/conversions/", body(w, "from_amount", "200.00")).Expect(http.StatusCreated)
		w.AssertBooks(t)
	})
}

// TestCurrencies shows that amounts of two currencies meet nowhere but in a conversion (S1-57).
func TestCurrencies(t *testing.T) {
	t.Parallel()
	w := euros(t)
	converted(t, w, 5000)
	data := w.As(w.Member).Get(billingtest.Base + "/billing/credits/balance/").Expect(http.StatusOK).List("data.money")
	want := []any{amount("50.00", "EUR"), amount("54.00", "USD")}
	if diff := cmp.Diff(want, []any{texts(data[0]), texts(data[1])}); diff != "" || len(data) != 2 {
		t.Errorf("the customer's money is not told by currency: %s", diff)
	}
	err := tenancy.InTx(w.System, w.DB, func(ctx context.Context, tx bun.Tx) error {
		return ledger.Post(ctx, tx, ledger.Posting{Cause: "mixed", Kind: "test", Entries: []ledger.Entry{
			{Account: ledger.CustomerCredit(w.Account.ID, "EUR"), AmountMinor: 100}, {Account: ledger.CustomerCredit(w.Account.ID, "USD"), AmountMinor: -100}}})
	})
	if err == nil || !strings.Contains(err.Error(), "does not balance") {
		t.Errorf("euros were booked against dollars: %v", err)
	}
	if _, err := money.New(1, "EUR").Add(money.New(1, "USD")); err == nil {
		t.Error("euros were added to dollars")
	}
}
