package invoices_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"testing"

	"github.com/uptrace/bun"
	"pgregory.net/rapid"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/internal/database"
	"countersign/internal/testkit"
)

// most is the largest amount of an invoice, in minor units.
const most = 1_000_000_000_000_000

// TestPropertyLimits draws amounts around the limit, in yen, and holds what becomes of them against numbers of any size.
func TestPropertyLimits(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	rapid.Check(t, func(rt *rapid.T) {
		in := invoices.CreateInput{Account: s.account.ID.String(), Currency: "JPY"}
		subtotal, tax, total, credits := new(big.Int), new(big.Int), new(big.Int), new(big.Int)
		for range rapid.IntRange(1, 3).Draw(rt, "lines") {
			quantity := rapid.SampledFrom([]int64{1, 500, 1000}).Draw(rt, "quantity")
			price := rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(most/1000-2, most/1000+2), rapid.Int64Range(0, most/500)).Draw(rt, "price")
			net := big.NewInt(quantity * price)
			discount := rapid.SampledFrom([]int64{0, quantity * price, quantity * price / 2}).Draw(rt, "discount")
			taxed := rapid.Bool().Draw(rt, "taxed")
			line := invoices.LineInput{Description: "x", Quantity: fmt.Sprint(quantity), UnitPrice: fmt.Sprint(price), Discount: fmt.Sprint(discount),
				Credits: rapid.SampledFrom([]int64{0, 1, 500_000_000_000, 1_000_000_000_000}).Draw(rt, "credits")}
			taxable := new(big.Int).Sub(net, big.NewInt(discount))
			if taxed {
				line.TaxRate = "1"
				tax.Add(tax, taxable)
				total.Add(total, taxable)
			}
			subtotal.Add(subtotal, net)
			total.Add(total, taxable)
			credits.Add(credits, big.NewInt(line.Credits))
			in.Lines = append(in.Lines, line)
		}
		made, err := s.service.Create(s.ctx, in)
		limit := big.NewInt(most)
		switch {
		case subtotal.Cmp(limit) > 0 || tax.Cmp(limit) > 0 || total.Cmp(limit) > 0:
			if !errors.Is(err, invoices.ErrTooLarge) {
				rt.Fatalf("%s with %s tax: %v", subtotal, tax, err)
			}
		case credits.Cmp(big.NewInt(1_000_000_000_000)) > 0:
			if !errors.Is(err, invoices.ErrTooManyCredits) {
				rt.Fatalf("%s credits: %v", credits, err)
			}
		case err != nil:
			rt.Fatal(err)
		case made.SubtotalAmount != subtotal.String() || made.TaxAmount != tax.String() || made.TotalAmount != total.String() || fmt.Sprint(made.Credits) != credits.String():
			rt.Fatalf("%s, %s, %s and %s credits became %+v", subtotal, tax, total, credits, made.Summary)
		}
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	t.Run("a payment of the largest invoice settles, and the books stay exact", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		for range 2 {
			inv := w.OpenInvoice("5000000000000", func(in *invoices.CreateInput) { in.Lines[0].TaxRate, in.Lines[0].Credits = "1", 1_000_000_000_000 })
			if inv.TotalMinor != most {
				t.Fatalf("the total is %d", inv.TotalMinor)
			}
			w.Pay(inv.ID)
			if got := w.Invoice(inv.ID); got.Status != invoices.StatusPaid {
				t.Errorf("it is %s", got.Status)
			}
		}
		w.AssertBooks(t)
		if got := w.Balance(ledger.Credits(w.Account.ID)); got != -2_000_000_000_000 {
			t.Errorf("%d credits", got)
		}
	})
	t.Run("an account whose balance is full is refused by name and left as it was", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.mustTx(func(ctx context.Context, tx bun.Tx) error {
			return ledger.Post(ctx, tx, ledger.Posting{Cause: "full", Kind: "test", Entries: []ledger.Entry{
				{Account: ledger.Receivable(s.account.ID, "BDT"), AmountMinor: 1000 * most}, {Account: ledger.Suspense("BDT"), AmountMinor: -1000 * most}}})
		})
		id := s.draft([]map[string]any{line("0.01")})
		s.owner().Post(path+id.String()+"/finalize/", "").Refused(http.StatusBadRequest, "balance_too_large")
		if inv := s.get(id); inv.Status != invoices.StatusDraft || inv.Number != "" {
			t.Errorf("the refusal left %s %q", inv.Status, inv.Number)
		}
	})
	t.Run("and reserved numbers are kept by the database too", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.draft([]map[string]any{line("1")}, "invoice_number", "MINE-1")
		for set, constraint := range map[string]string{
			"subtotal_minor = 1000000000000001, total_minor = 1000000000000001, balance_minor = 1000000000000001":                "billed_minor_check",
			"tax_minor = 1000000000000000, total_minor = 1000000000000100, balance_minor = 1000000000000100":                     "billed_minor_check",
			"tax_minor = 1000000000000001, subtotal_minor = 0, total_minor = 1000000000000001, balance_minor = 1000000000000001": "billed_minor_check",
			"credits = 1000000000001":     "service_credits_check",
			"number = 'ACME-2031-000001'": "invoices_number_reserved",
		} {
			_, err := testkit.OwnerDB(t).ExecContext(t.Context(), "UPDATE invoices SET "+set+" WHERE tenant_id = ? AND id = ?", s.tenant.ID, id)
			if !database.IsCheck(err, constraint) {
				t.Errorf("%s: %v", set, err)
			}
		}
		if got := s.get(id).Number; got != "MINE-1" {
			t.Errorf("the number is %s", got)
		}
	})
}
