package fx_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/tenancy"
)

func TestReverse(t *testing.T) {
	t.Parallel()
	t.Run("restores every balance, and keeps what was", func(t *testing.T) {
		t.Parallel()
		w := euros(t)
		got := finance(w).Post(base+"/conversions/", body(w, "to_amount", "108.07", "reason", "The bank's own rate")).Expect(http.StatusCreated)
		id := got.Text("data.id")
		client := finance(w)
		path := base + "/conversions/" + id + "/reverse/"
		reversed := client.Post(path, map[string]any{"reason": "The bank took it back"}).Expect(http.StatusOK)
		if reversed.Text("data.status") != "reversed" || reversed.Text("data.reversal_reason") != "The bank took it back" || reversed.Text("data.to.amount") != "108.07" {
			t.Errorf("got %s", reversed.Raw)
		}
		if diff := cmp.Diff(reversed.At("data"), finance(w).Get(base+"/conversions/"+id+"/").Expect(http.StatusOK).At("data")); diff != "" {
			t.Errorf("it is shown otherwise than it was answered: %s", diff)
		}
		for _, ref := range []ledger.Ref{ledger.FX("EUR"), ledger.FX("USD"), ledger.FXDifference("USD"), ledger.CustomerCredit(w.Account.ID, "USD")} {
			if n := w.Balance(ref); n != 0 {
				t.Errorf("%s is %d", ref, n)
			}
		}
		if credit(w, "EUR") != 10000 {
			t.Errorf("the customer has %d EUR", credit(w, "EUR"))
		}
		again := client.Post(path, map[string]any{"reason": "The bank took it back"}).Expect(http.StatusOK)
		if again.Header.Get("Idempotent-Replayed") != "true" {
			t.Error("a repetition is no repetition")
		}
		finance(w).Post(path, map[string]any{"reason": "Once more"}).Refused(http.StatusConflict, "already_reversed")
		if diff := cmp.Diff([]string{"fx.converted", "fx.reversed"}, w.Events("fx.")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"fx_conversion.create", "fx_conversion.reverse"}, w.Audited("fx_")); diff != "" {
			t.Error(diff)
		}
		w.AssertBooks(t)
	})
	t.Run("is refused when the customer has spent what he got", func(t *testing.T) {
		t.Parallel()
		w := euros(t)
		first, second := converted(t, w, 5000), converted(t, w, 5000)
		back := toDollars(t, w, 1)
		back.From, back.To, back.Stated.Base = money.New(5401, "USD"), "EUR", "EUR"
		if _, err := w.FX.Convert(w.Finance.Ctx, back); err != nil {
			t.Fatal(err)
		}
		before := w.Snapshot()
		if err := reverse(w, first); !errors.Is(err, ledger.ErrCreditExceeded) {
			t.Errorf("got %v, want ErrCreditExceeded", err)
		}
		if diff := cmp.Diff(before, w.Snapshot()); diff != "" {
			t.Error(diff)
		}
		w.GiveCredit(w.Account.ID, money.New(1, "USD"))
		if err := reverse(w, second); err != nil {
			t.Error(err)
		}
		if err := reverse(w, first); !errors.Is(err, ledger.ErrCreditExceeded) {
			t.Errorf("got %v, want ErrCreditExceeded", err)
		}
		w.AssertBooks(t)
	})
	t.Run("needs a reason, and a conversion of the tenant's own", func(t *testing.T) {
		t.Parallel()
		w, neighbour := euros(t), euros(t)
		theirs := converted(t, neighbour, 100)
		path := base + "/conversions/" + theirs.String() + "/"
		finance(neighbour).Post(path+"reverse/", map[string]any{}).Refused(http.StatusBadRequest, "validation_failed")
		finance(w).Post(path+"reverse/", map[string]any{"reason": "Not mine"}).Refused(http.StatusNotFound, "not_found")
		w.As(w.Owner).Get(path).Refused(http.StatusNotFound, "not_found")
		finance(w).Post(base+"/conversions/nonsense/reverse/", map[string]any{"reason": "No id"}).Refused(http.StatusNotFound, "not_found")
		if n := credit(neighbour, "EUR"); n != 9900 {
			t.Errorf("the neighbour's customer has %d", n)
		}
	})
}

func TestMembers(t *testing.T) {
	t.Parallel()
	w := euros(t)
	w.GiveCredit(w.Other.ID, money.New(10000, "EUR"))
	mine := converted(t, w, 1000).String()
	in := toDollars(t, w, 2000)
	in.Account = w.Other.ID.String()
	made, err := w.FX.Convert(w.Finance.Ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	list := func(p *billingtest.Person, query string) []any {
		t.Helper()
		var ids []any
		for _, row := range w.As(p).Get(base + "/conversions/" + query).Expect(http.StatusOK).List("results") {
			ids = append(ids, row.(map[string]any)["id"])
		}
		return ids
	}
	for _, tt := range []struct {
		who   *billingtest.Person
		query string
		want  []any
	}{
		{w.Member, "", []any{mine}}, {w.OtherMember, "", []any{made.ID}}, {w.Viewer, "", []any{made.ID, mine}}, {w.Viewer, "?account=" + w.Account.ID.String(), []any{mine}},
		{w.Viewer, "?from_currency=EUR&to_currency=USD", []any{made.ID, mine}}, {w.Viewer, "?from_currency=USD", nil}, {w.Viewer, "?created_before=2020-01-01", nil},
		{w.Viewer, "?ordering=created_at", []any{mine, made.ID}},
	} {
		if diff := cmp.Diff(tt.want, list(tt.who, tt.query)); diff != "" {
			t.Errorf("%s %q: %s", tt.who.Email, tt.query, diff)
		}
	}
	w.As(w.Member).Get(base + "/conversions/" + mine + "/").Expect(http.StatusOK)
	w.As(w.Member).Get(base+"/conversions/"+made.ID+"/").Refused(http.StatusNotFound, "not_found")
	w.As(w.Member).Get(base + "/conversions/?account=" + w.Other.ID.String()).Expect(http.StatusBadRequest)
}

// TestHistory shows that the program itself can change nothing that it has written here.
func TestHistory(t *testing.T) {
	t.Parallel()
	w := euros(t)
	record(t, w, "EUR", "USD", "1.08", w.Clock.Now())
	if err := reverse(w, converted(t, w, 1000)); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"UPDATE fx_rates SET rate = 2 WHERE tenant_id = ?", "DELETE FROM fx_rates WHERE tenant_id = ?",
		"UPDATE fx_conversions SET reason = 'other' WHERE tenant_id = ?", "DELETE FROM fx_conversions WHERE tenant_id = ?",
		"UPDATE fx_reversals SET reason = 'other' WHERE tenant_id = ?", "DELETE FROM fx_reversals WHERE tenant_id = ?",
	} {
		err := tenancy.InTx(w.System, w.DB, func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.ExecContext(ctx, statement, w.Tenant.ID)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: %v", statement, err)
		}
	}
	copyWith := func(changed string) error {
		columns := "tenant_id, account_id, from_currency, from_minor, to_currency, to_minor, computed_minor, difference_minor, unrounded, rounding, rate, rate_base, rate_id, rate_source, rate_as_of, gain"
		column, value, _ := strings.Cut(changed, " = ")
		return tenancy.InTx(w.System, w.DB, func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO fx_conversions (id, "+columns+") SELECT gen_random_uuid(), "+strings.Replace(columns, column, value, 1)+" FROM fx_conversions WHERE tenant_id = ?", w.Tenant.ID)
			if err == nil {
				return errors.New("it was written")
			}
			return err
		})
	}
	for changed, constraint := range map[string]string{
		"to_currency = 'EUR'": "fx_conversions_pair_check", "rate_base = 'JPY'": "fx_conversions_pair_check", "from_minor = 0": "from_minor_check", "difference_minor = 1": "fx_conversions_difference_check",
		"rounding = 0.6": "fx_conversions_rounding_check", "rate = -1": "rate_check", "rate_source = ''": "rate_source_check", "account_id = gen_random_uuid()": "fx_conversions_account_fk",
		"rate_id = gen_random_uuid()": "fx_conversions_rate_fk", "from_minor = 1000000000000001": "billed_minor_check", "gain = -0.1": "fx_conversions_gain_check",
	} {
		if err := copyWith(changed); err == nil || !strings.Contains(err.Error(), constraint) {
			t.Errorf("%s: %v", changed, err)
		}
	}
	if err := copyWith("rate_as_of = now()"); err == nil || err.Error() != "it was written" {
		t.Errorf("a sound row is refused, so this proves nothing: %v", err)
	}
	if n := count(t, "SELECT count(*) FROM fx_conversions WHERE tenant_id = ? AND id <> ?", w.Tenant.ID, uuid.Nil); n != 1 {
		t.Errorf("%d conversions are there", n)
	}
}
