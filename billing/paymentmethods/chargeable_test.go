package paymentmethods_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/uptrace/bun"

	pm "countersign/billing/paymentmethods"
	"countersign/tenancy"
)

// TestChargeables: methods that no provider can be asked for take no room, and who asks hears when there are more than he wants.
func TestChargeables(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account("PK", "PKR")
	save := func(method, name string, details pm.Details) {
		t.Helper()
		if _, err := w.service.Save(w.owner, pm.SaveInput{Account: a.ID.String(), Method: method, DisplayName: name, Details: details}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(limit int, what string) {
		t.Helper()
		var names []string
		var all bool
		err := tenancy.Read(w.owner, w.db, func(ctx context.Context, tx bun.Tx) error {
			list, complete, err := w.service.Chargeables(ctx, tx, limit)
			for _, m := range list {
				names = append(names, m.DisplayName)
			}
			all = complete
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(names, all); got != what {
			t.Errorf("of %d there are %s, want %s", limit, got, what)
		}
	}
	save("card", "one", pm.Details{"token": "tok_visa"})
	for range 3 {
		save("bank_transfer", "an account", pm.Details{"account_number": "00112233445566"})
	}
	save("card", "not sealed", nil)
	want(1, "[one] true")
	save("card", "two", pm.Details{"token": "tok_visa"})
	want(1, "[two] false")
	want(2, "[two one] true")
}
