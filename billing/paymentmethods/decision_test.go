package paymentmethods_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun"
	"pgregory.net/rapid"

	"countersign/accounts"
	"countersign/billing/money"
	pm "countersign/billing/paymentmethods"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

func TestAvailable(t *testing.T) {
	t.Parallel()
	pk := pm.Query{Country: "PK", Currency: "PKR"}

	tests := []struct {
		name  string
		setup func(w *world)
		query pm.Query
		want  []string
	}{
		{"nothing where nothing is configured", func(*world) {}, pk, []string{}},
		{"global rows hold in every country", func(w *world) { w.config("*", pm.Cash) }, pk, []string{"cash*"}},
		{"a country's rows hold there", func(w *world) { w.config("PK", pm.BankTransfer) }, pk, []string{"bank_transfer*"}},
		{"and nowhere else", func(w *world) { w.config("BD", pm.BankTransfer) }, pk, []string{}},
		{"a disabled row is absent", func(w *world) { w.config("*", pm.Cash, off) }, pk, []string{}},
		{"a disabled row of the country hides the global one", func(w *world) {
			w.config("*", pm.PayPal)
			w.config("*", pm.Cash)
			w.config("PK", pm.PayPal, off)
		}, pk, []string{"cash*"}},
		{"a row of the country brings back what is off elsewhere", func(w *world) {
			w.config("*", pm.PayPal, off)
			w.config("PK", pm.PayPal)
		}, pk, []string{"paypal*"}},
		{"a row of the country replaces the global one even where its currency does not fit", func(w *world) {
			w.config("*", pm.BankTransfer)
			w.config("PK", pm.BankTransfer, limits("PKR", "0", "0"))
		}, pm.Query{Country: "PK", Currency: "USD"}, []string{}},
		{"another currency", func(w *world) { w.config("PK", pm.Cash, limits("USD", "0", "0")) }, pk, []string{}},
		{"any currency when none is asked for", func(w *world) { w.config("PK", pm.Cash, limits("USD", "0", "0")) }, pm.Query{Country: "PK"}, []string{"cash*"}},
		{"limits refuse nothing while the amount is unknown", func(w *world) { w.config("PK", pm.Cash, limits("PKR", "5", "6")) }, pk, []string{"cash*"}},
		{"only what the account is allowed", func(w *world) {
			w.config("*", pm.Cash)
			w.config("*", pm.Card)
		}, pm.Query{Country: "PK", Allowed: []pm.Method{pm.Card, pm.Voucher}}, []string{"card*"}},
		{"in the order of staff, then by name", func(w *world) {
			w.config("*", pm.Voucher)
			w.config("*", pm.Cash)
			w.config("*", pm.Card, func(in *pm.ConfigInput) { in.SortOrder = new(-1) })
			w.config("PK", pm.BankTransfer, func(in *pm.ConfigInput) { in.SortOrder = new(9) })
		}, pk, []string{"card", "cash", "voucher", "bank_transfer*"}},
		{"prefers the account's own default", func(w *world) {
			w.config("*", pm.BankTransfer)
			w.config("*", pm.Card)
		}, pm.Query{Country: "PK", Default: pm.Card}, []string{"bank_transfer", "card*"}},
		{"unless that is not offered", func(w *world) { w.config("*", pm.LocalWallet); w.config("*", pm.Card) },
			pm.Query{Country: "PK", Default: pm.PayPal}, []string{"card", "local_wallet*"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.setup(w)
			if diff := cmp.Diff(tt.want, w.available(tt.query)); diff != "" {
				t.Error(diff)
			}
		})
	}

	t.Run("prefers the saved default to everything", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.config("*", pm.BankTransfer)
		w.config("*", pm.Cash)
		a := w.account("PK", "PKR", func(a *accounts.Account) { a.DefaultPaymentMethod = "bank_transfer" })
		w.asMember(a).Post("/billing/payment-methods/", `{"payment_method":"cash","display_name":"Cash"}`).Expect(201)
		if diff := cmp.Diff([]string{"bank_transfer", "cash*"}, w.available(pm.QueryOf(a))); diff != "" {
			t.Error(diff)
		}
		other := w.account("PK", "PKR")
		if diff := cmp.Diff([]string{"bank_transfer*", "cash"}, w.available(pm.QueryOf(other))); diff != "" {
			t.Errorf("of another account: %s", diff)
		}
	})

	t.Run("shows nothing of the neighbour's tenant", func(t *testing.T) {
		t.Parallel()
		newWorld(t).config("*", pm.Cash)
		if got := newWorld(t).available(pk); len(got) > 0 {
			t.Errorf("got %v", got)
		}
	})

	t.Run("costs one round trip", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.config("*", pm.Cash)
		ctx, n := testkit.Count(w.owner)
		err := tenancy.Read(ctx, w.db, func(ctx context.Context, tx bun.Tx) error {
			_, err := pm.Available(ctx, tx, pk)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := n.Load(); got != 2 {
			t.Errorf("the read, with BEGIN, and COMMIT are %d round trips", got)
		}
	})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.config("PK", pm.LocalWallet, limits("PKR", "100.00", "500"))
	w.config("*", pm.BankTransfer)
	w.config("*", pm.Cash, off)
	q := pm.Query{Country: "PK", Currency: "PKR"}

	tests := []struct {
		name   string
		method pm.Method
		amount money.Money
		want   error
	}{
		{"takes the minimum", pm.LocalWallet, money.New(10000, "PKR"), nil},
		{"takes the maximum", pm.LocalWallet, money.New(50000, "PKR"), nil},
		{"refuses less than the minimum", pm.LocalWallet, money.New(9999, "PKR"), pm.ErrBelowMinimum},
		{"refuses more than the maximum", pm.LocalWallet, money.New(50001, "PKR"), pm.ErrAboveMaximum},
		{"refuses another currency, whatever the account's is", pm.LocalWallet, money.New(20000, "USD"), pm.ErrMethodUnavailable},
		{"takes any currency where the row has none", pm.BankTransfer, money.New(1, "USD"), nil},
		{"refuses what is off", pm.Cash, money.New(1, "PKR"), pm.ErrMethodUnavailable},
		{"refuses what has no row", pm.PayPal, money.New(1, "PKR"), pm.ErrMethodUnavailable},
		{"refuses what is no method", "stripe", money.New(1, "PKR"), pm.ErrMethodUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := w.check(q, tt.method, tt.amount); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}

	t.Run("refuses what the account is not allowed", func(t *testing.T) {
		t.Parallel()
		narrowed := q
		narrowed.Allowed = []pm.Method{pm.LocalWallet}
		if err := w.check(narrowed, pm.BankTransfer, money.New(1, "PKR")); !errors.Is(err, pm.ErrMethodUnavailable) {
			t.Errorf("got %v", err)
		}
		if err := w.check(narrowed, pm.LocalWallet, money.New(10000, "PKR")); err != nil {
			t.Errorf("got %v for what it is allowed", err)
		}
	})

	t.Run("names the limit", func(t *testing.T) {
		t.Parallel()
		err := w.check(q, pm.LocalWallet, money.New(1, "PKR"))
		if err == nil || !strings.Contains(err.Error(), "smallest amount is 100.00 PKR") {
			t.Errorf("got %v", err)
		}
	})
}

// Whatever staff configure: what the list shows for an amount can be paid, and what it does not show cannot (S3-17).
func TestAvailableAgreesWithCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	countries := []string{"*", "PK", "BD"}
	currencies := []string{"", "PKR", "USD", "JPY"}
	methods := pm.Methods()
	rapid.Check(t, func(rt *rapid.T) {
		w.clear(rt)
		rows := rapid.SliceOfNDistinct(rapid.Custom(func(rt *rapid.T) [2]int {
			return [2]int{rapid.IntRange(0, len(countries)-1).Draw(rt, "country"), rapid.IntRange(0, 3).Draw(rt, "method")}
		}), 0, 8, rapid.ID[[2]int]).Draw(rt, "rows")
		for _, row := range rows {
			in := pm.ConfigInput{CountryCode: &countries[row[0]], Method: new(string(methods[row[1]])), DisplayName: new("row"),
				IsEnabled: new(rapid.Bool().Draw(rt, "enabled")), SortOrder: new(rapid.IntRange(0, 2).Draw(rt, "sort"))}
			if currency := rapid.SampledFrom(currencies).Draw(rt, "currency"); currency != "" {
				in.Currency = &currency
				in.MinAmount = new(rapid.SampledFrom([]string{"0", "1", "3"}).Draw(rt, "min"))
				in.MaxAmount = new(rapid.SampledFrom([]string{"0", "3", "5"}).Draw(rt, "max"))
			}
			if _, err := w.service.CreateConfig(w.owner, in); err != nil {
				rt.Fatal(err)
			}
		}
		amount := money.New(rapid.Int64Range(1, 600).Draw(rt, "amount"), money.Currency(rapid.SampledFrom(currencies[1:]).Draw(rt, "paid in")))
		q := pm.Query{Country: rapid.SampledFrom([]string{"PK", "BD", "UZ"}).Draw(rt, "from"), Currency: "PKR",
			Allowed: rapid.SliceOfN(rapid.SampledFrom(methods[:5]), 0, 3).Draw(rt, "allowed")}
		listed := q
		listed.Amount = &amount
		offered := w.available(listed)
		stars := 0
		for i, name := range offered {
			if strings.HasSuffix(name, "*") {
				stars++
				offered[i] = strings.TrimSuffix(name, "*")
			}
		}
		if stars != min(1, len(offered)) {
			rt.Errorf("%d defaults among %v", stars, offered)
		}
		for _, m := range methods {
			if err := w.check(q, m, amount); (err == nil) != slices.Contains(offered, string(m)) {
				rt.Errorf("%s %s by %s: the list is %v, the check says %v", amount, amount.Currency, m, offered, err)
			}
		}
	})
}

// clear removes the tenant's rows.
func (w *world) clear(t interface{ Fatal(...any) }) {
	err := tenancy.InTx(w.owner, w.db, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewRaw("DELETE FROM payment_method_configs WHERE tenant_id = ?", w.tenant.ID).Exec(ctx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestParseMethod(t *testing.T) {
	t.Parallel()
	t.Run("knows what accounts knows", func(t *testing.T) {
		t.Parallel()
		var names []string
		for _, m := range pm.Methods() {
			names = append(names, string(m))
		}
		if diff := cmp.Diff(accounts.Methods(), names); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("reads any case", func(t *testing.T) {
		t.Parallel()
		for _, m := range pm.Methods() {
			if got, err := pm.ParseMethod(strings.ToUpper(string(m))); err != nil || got != m {
				t.Errorf("%s: got %s, %v", m, got, err)
			}
		}
	})
	t.Run("refuses others", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"", "stripe", " cash", "bank transfer", "ca\u017fh"} {
			if got, err := pm.ParseMethod(text); !errors.Is(err, accounts.ErrUnknownMethod) {
				t.Errorf("%q: got %s, %v", text, got, err)
			}
		}
	})
	t.Run("people decide about transfers and wallets only", func(t *testing.T) {
		t.Parallel()
		var manual []pm.Method
		for _, m := range pm.Methods() {
			if m.IsManual() {
				manual = append(manual, m)
			}
		}
		if diff := cmp.Diff([]pm.Method{pm.BankTransfer, pm.LocalWallet}, manual); diff != "" {
			t.Error(diff)
		}
	})
}
