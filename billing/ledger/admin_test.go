package ledger_test

import (
	"context"
	"math"
	"net/http"
	"testing"

	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/ledger"
	"countersign/tenancy"
)

func TestConsole(t *testing.T) {
	t.Parallel()
	w, neighbour := billingtest.New(t), billingtest.New(t)
	inv := w.OpenInvoice("150.00")
	w.Pay(inv.ID)
	site := w.Console()
	b := w.Browse(site, w.Finance)
	b.Get("ledger/").Expect(http.StatusOK).Shows("USD", "Receivable", "Revenue", "Clearing", "150.00", "0.00").Hides("do not balance")
	b.Get("ledger/?as_of=2020-01-01").Shows("Nothing has been posted yet.", "As of")
	b.Get("ledger/?as_of=yesterday").Expect(http.StatusBadRequest)
	b.Get("ledger-entries/?invoice_id="+inv.ID.String()).Shows("Invoice finalised", "Payment settled", "First customer", "/console/payments/")
	b.Get("ledger-entries/?account="+w.Other.ID.String()).Shows("Nothing has been posted yet", "Second customer")

	// sums of more than an amount can be are shown digit for digit
	for _, cause := range []string{"1", "2"} {
		err := tenancy.InTx(neighbour.System, neighbour.DB, func(ctx context.Context, tx bun.Tx) error {
			return ledger.Post(ctx, tx, move(cause, ledger.Bank("EUR"), ledger.Revenue("EUR"), math.MaxInt64))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	neighbour.Browse(neighbour.Console(), neighbour.Owner).Get("ledger/").Shows("184467440737095516.14", "-184467440737095516.14").Hides("do not balance")

	w.Browse(site, w.Viewer).Get("ledger/").Expect(http.StatusForbidden)
	w.Browse(site, nil).Get("ledger-entries/").Expect(http.StatusSeeOther)
	n := neighbour.Browse(neighbour.Console(), neighbour.Owner)
	n.Get("ledger-entries/?invoice_id=" + inv.ID.String()).Hides("150.00")
	n.Get("ledger/").Hides("150.00")
}
