package statements_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
)

func TestConsole(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	inv := w.OpenInvoice("150.00")
	var month, after string
	w.Read(func(ctx context.Context, tx bun.Tx) error {
		return tx.NewRaw(`SELECT to_char(now() AT TIME ZONE 'Asia/Dhaka', 'YYYY-MM'), to_char((now() AT TIME ZONE 'Asia/Dhaka') + interval '1 month', 'YYYY-MM')`).Scan(ctx, &month, &after)
	})
	site := w.Console()
	b := w.Browse(site, w.Viewer)
	page := "statements/" + w.Account.ID.String() + "/"
	b.Get("accounts/"+w.Account.ID.String()+"/").Shows("/console/"+page, "Statement")
	first, err := time.Parse("2006-01", month)
	if err != nil {
		t.Fatal(err)
	}
	b.Get(page+"?month="+month).Expect(http.StatusOK).Shows("First customer", first.Format("2 Jan 2006 – "), "Opening balance", "Invoice finalised", inv.Number, "150.00", "Closing balance", "?month="+after)
	b.Get(page + "?month=" + after).Expect(http.StatusOK).Shows("150.00").Hides("Invoice finalised")
	b.Get(page).Expect(http.StatusOK).Hides("Invoice finalised") // the world's clock is some months behind
	b.Get(page + "?month=2026-13").Expect(http.StatusBadRequest)
	b.Get("statements/" + w.Tenant.ID.String() + "/").Expect(http.StatusNotFound)
	w.Browse(site, nil).Get(page).Expect(http.StatusSeeOther)
	n := billingtest.New(t)
	n.Browse(n.Console(), n.Owner).Get(page).Expect(http.StatusNotFound)
}
