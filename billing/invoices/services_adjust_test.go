package invoices_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"pgregory.net/rapid"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/internal/errs"
	"countersign/tenancy"
)

// TestAdjustments does anything to invoices in any order, and looks after each step whether the amounts still add up: on
// the invoices, in the books, and between both.
func TestAdjustments(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	tolerating(w, "3.00")
	done := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		d := &deeds{t: t, w: w, granted: rapid.Int64Range(0, 20).Draw(t, "credits")}
		for range 2 {
			inv := w.OpenInvoice(rapid.SampledFrom([]string{"0.01", "2.99", "10.00", "33.33"}).Draw(t, "price"), func(in *invoices.CreateInput) {
				in.Lines[0].Credits, in.Lines[0].TaxRate = d.granted, rapid.SampledFrom([]string{"0", "0.15"}).Draw(t, "tax")
			})
			d.invoices = append(d.invoices, inv.ID)
		}
		d.gain(rapid.Int64Range(0, 4000).Draw(t, "overpaid"))
		for range rapid.IntRange(1, 14).Draw(t, "steps") {
			// what needs something else before it comes more often
			name := rapid.SampledFrom([]string{"apply", "unapply", "unapply", "write off", "reverse", "reverse", "credit", "debit", "debit", "give up", "reopen", "reopen",
				"pay", "pay", "pay", "refund", "refund", "refund", "refund"}).Draw(t, "deed")
			if d.do(name) {
				done[name]++
			}
			d.check()
		}
	})
	for _, name := range []string{"apply", "unapply", "write off", "reverse", "credit", "debit", "give up", "reopen", "pay", "refund"} {
		if done[name] == 0 {
			t.Errorf("%s never happened, so nothing is known of it: %v", name, done)
		}
	}
	onlyPayments(t, w)
}

// deeds is what one run of TestAdjustments does.
type deeds struct {
	t        *rapid.T
	w        *billingtest.World
	invoices []uuid.UUID
	granted  int64
	written  []uuid.UUID
	notes    []uuid.UUID
}

// gain gives the customer credit.
func (d *deeds) gain(minor int64) {
	if minor == 0 {
		return
	}
	d.must(tenancy.InTx(d.w.System, d.w.DB, func(ctx context.Context, tx bun.Tx) error {
		return ledger.Post(ctx, tx, ledger.Posting{Cause: "gain:" + uuid.NewString(), Kind: "gain", CustomerID: d.w.Account.ID, Entries: []ledger.Entry{
			{Account: ledger.Bank("USD"), AmountMinor: minor}, {Account: ledger.CustomerCredit(d.w.Account.ID, "USD"), AmountMinor: -minor}}})
	}))
}

// must says whether it was done; a refusal in our own words is no mistake, anything else is.
func (d *deeds) must(err error) bool {
	if err != nil && errs.As(err) == nil {
		d.t.Fatal(err)
	}
	return err == nil
}

func (d *deeds) do(name string) bool {
	inv := d.w.Invoice(rapid.SampledFrom(d.invoices).Draw(d.t, "invoice"))
	amount := invoices.Stated{}
	if rapid.Bool().Draw(d.t, "a part") {
		amount = cents(rapid.Int64Range(1, 1500).Draw(d.t, "amount"))
	}
	owner := d.w.Owner.Ctx
	switch name {
	case "apply":
		_, err := d.w.Invoices.ApplyCredit(owner, invoices.ApplyCreditInput{Invoice: inv.ID.String(), Amount: amount})
		return d.must(err)
	case "unapply":
		shown, err := d.w.Invoices.Detail(owner, inv.ID.String())
		d.must(err)
		for _, a := range shown.Adjustments {
			if a.Kind == invoices.CreditApplied {
				_, err := d.w.Invoices.UnapplyCredit(owner, invoices.UnapplyCreditInput{Invoice: inv.ID.String(), Adjustment: uuid.MustParse(a.ID), Reason: "x"})
				if d.must(err) {
					return true
				}
			}
		}
	case "write off":
		return d.writeOff(inv, amount)
	case "reverse":
		for _, id := range d.written {
			if _, err := d.w.Invoices.ReverseWriteOff(owner, invoices.ReverseWriteOffInput{ID: id, Reason: "x"}); d.must(err) {
				return true
			}
		}
	case "credit":
		made, err := d.w.Invoices.CreateCreditNote(owner, invoices.CreateCreditNoteInput{Invoice: inv.ID.String(), Amount: amount, Reason: "x"})
		if d.must(err) {
			d.notes = append(d.notes, uuid.MustParse(made.ID))
			return true
		}
	case "debit":
		if len(d.notes) == 0 { // seldom is there one by chance
			made, err := d.w.Invoices.CreateCreditNote(owner, invoices.CreateCreditNoteInput{Invoice: inv.ID.String(), Amount: amount, Reason: "x"})
			if !d.must(err) {
				return false
			}
			d.notes = append(d.notes, uuid.MustParse(made.ID))
		}
		for _, id := range d.notes {
			if _, err := d.w.Invoices.ReverseCreditNote(owner, invoices.ReverseCreditNoteInput{ID: id, Reason: "x"}); d.must(err) {
				return true
			}
		}
	case "give up":
		_, err := d.w.Invoices.MarkUncollectible(owner, invoices.GiveUpInput{Invoice: inv.ID.String(), Reason: "x"})
		return d.must(err)
	case "reopen":
		if rapid.Bool().Draw(d.t, "given up just now") {
			_, err := d.w.Invoices.MarkUncollectible(owner, invoices.GiveUpInput{Invoice: inv.ID.String(), Reason: "x"})
			d.must(err)
		}
		_, err := d.w.Invoices.Reopen(owner, invoices.GiveUpInput{Invoice: inv.ID.String(), Reason: "x"})
		return d.must(err)
	case "pay":
		if inv.BalanceMinor > 0 {
			d.w.Pay(inv.ID)
			return true
		}
	case "refund":
		if inv.PaidMinor > 0 {
			r := invoices.Refund{ID: uuid.New(), AmountMinor: rapid.Int64Range(1, inv.PaidMinor).Draw(d.t, "refunded"), Reason: "x"}
			_, err := refund(d.w, inv.ID, r, rapid.Bool().Draw(d.t, "note"))
			return d.must(err)
		}
	}
	return false
}

// writeOff asks for one, and has it approved when it must be.
func (d *deeds) writeOff(inv *invoices.Invoice, amount invoices.Stated) bool {
	made, err := d.w.Invoices.WriteOff(d.w.Owner.Ctx, invoices.WriteOffInput{Invoice: inv.ID.String(), Amount: amount, Reason: "x"})
	if !d.must(err) {
		return false
	}
	d.written = append(d.written, uuid.MustParse(made.ID))
	if made.Digest != nil {
		_, err = d.w.Invoices.ApproveWriteOff(d.w.Approver.Ctx, invoices.DecideInput{ID: uuid.MustParse(made.ID), Digest: *made.Digest})
	}
	return d.must(err)
}

// check compares the invoices with themselves and with the books.
func (d *deeds) check() {
	var owed, units int64
	for _, id := range d.invoices {
		inv := d.w.Invoice(id)
		if inv.TotalMinor != inv.PaidMinor+inv.CreditedMinor+inv.CreditAppliedMinor+inv.WrittenOffMinor+inv.BalanceMinor {
			d.t.Fatalf("an invoice over %d is %s", inv.TotalMinor, amounts(inv))
		}
		if (inv.Status == invoices.StatusPaid) == inv.PaidAt.IsZero() {
			d.t.Fatalf("an invoice that is %s was paid at %s", inv.Status, inv.PaidAt)
		}
		var posted, got ledger.Sum
		for _, one := range d.w.Posted(id) {
			for _, e := range one.Entries {
				switch e.Account.Code {
				case ledger.CodeReceivable:
					posted = posted.Add(ledger.SumOf(e.AmountMinor))
				case ledger.CodeCredits:
					got = got.Sub(ledger.SumOf(e.AmountMinor))
				}
			}
		}
		owed += inv.BalanceMinor
		minor, _ := posted.Minor()
		n, _ := got.Minor()
		units += n
		if minor != inv.BalanceMinor {
			d.t.Fatalf("the books say that %d are owed, the invoice is %s", minor, amounts(inv))
		}
		if n < 0 || n > d.granted || inv.Status != invoices.StatusPaid && n != 0 {
			d.t.Fatalf("%d service credits are granted for an invoice that is %s", n, amounts(inv))
		}
	}
	if credit := creditOf(d.w); credit < 0 {
		d.t.Fatalf("the customer has %d of credit", credit)
	}
	if units < 0 || owed < 0 {
		d.t.Fatal(fmt.Sprintf("%d units, %d owed", units, owed))
	}
}
