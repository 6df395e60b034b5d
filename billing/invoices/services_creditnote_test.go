package invoices_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"pgregory.net/rapid"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

const notes = billingtest.Base + "/billing/credit-notes/"

// taxed makes an invoice over 100.00 and 15 % of tax.
func taxed(in *invoices.CreateInput) { in.Lines[0].TaxRate, in.Lines[0].Credits = "0.15", 23 }

func TestCreditNotes(t *testing.T) {
	t.Parallel()
	t.Run("lower what is owed with its tax, and are undone by another", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv, owner := w.OpenInvoice("100.00", taxed), w.As(w.Finance)
		first := owner.Post(routes+inv.ID.String()+"/credit-notes/", body{"amount": "10.00", "reason": "One day less"}).Expect(http.StatusCreated)
		for at, want := range map[string]any{"data.number": "INV-CN-2026-000001", "data.amount": "10.00", "data.net_amount": "8.70", "data.tax_amount": "1.30", "data.currency": "USD",
			"data.invoice_id": inv.ID.String(), "data.invoice_number": inv.Number, "data.reason": "One day less", "data.reverses": nil, "data.refund_id": nil, "data.issued_by": w.Finance.Email} {
			if got := first.At(at); got != want {
				t.Errorf("%s is %v, want %v", at, got, want)
			}
		}
		stands(t, w, inv.ID, "open: 0 paid, 1000 credited, 0 by credit, 0 written off, 10500 left")
		w.AssertBooks(t)
		back := owner.Post(notes+first.Text("data.id")+"/reverse/", body{"reason": "The day was worked"}).Expect(http.StatusCreated)
		if back.Text("data.number") != "INV-CN-2026-000002" || back.Text("data.tax_amount") != "-1.30" || back.Text("data.reverses") != first.Text("data.id") {
			t.Errorf("%s", back.Raw)
		}
		if a := owner.Get(notes + first.Text("data.id") + "/").Expect(http.StatusOK); a.At("data.reversed_by") != back.At("data.id") {
			t.Errorf("%s", a.Raw)
		}
		owner.Post(notes+first.Text("data.id")+"/reverse/", body{"reason": "x"}).Refused(http.StatusConflict, "adjustment_already_reversed")
		owner.Post(notes+back.Text("data.id")+"/reverse/", body{"reason": "x"}).Refused(http.StatusNotFound, "adjustment_not_found")
		stands(t, w, inv.ID, "open: 0 paid, 0 credited, 0 by credit, 0 written off, 11500 left")

		// all of it, in two parts: nothing is owed, and nothing is granted
		owner.Post(routes+inv.ID.String()+"/credit-notes/", body{"amount_minor": 1, "reason": "x"}).Expect(http.StatusCreated)
		owner.Post(routes+inv.ID.String()+"/credit-notes/", body{"reason": "x"}).Expect(http.StatusCreated)
		stands(t, w, inv.ID, "paid: 0 paid, 11500 credited, 0 by credit, 0 written off, 0 left")
		if returns, tax, units := w.Balance(ledger.SalesReturns("USD")), w.Balance(ledger.TaxPayable("USD")), serviceCreditsOf(w); returns != 10000 || tax != 0 || units != 0 {
			t.Errorf("returned are %d, tax is %d, and there are %d service credits", returns, tax, units)
		}
		owner.Post(routes+inv.ID.String()+"/credit-notes/", body{"reason": "x"}).Refused(http.StatusConflict, "nothing_owed")
		w.AssertBooks(t)
		if diff := cmp.Diff([]string{"invoice.credited", "invoice.credit_reversed", "invoice.credited", "invoice.credited"}, w.Events("invoice.credit")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"invoice.credit", "invoice.credit_reverse", "invoice.credit", "invoice.credit"}, w.Audited("invoice.credit")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("take their share of the service credits", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv := w.OpenInvoice("100.00", granting(10))
		w.As(w.Owner).Post(routes+inv.ID.String()+"/credit-notes/", body{"amount": "30.00", "reason": "x"}).Expect(http.StatusCreated)
		w.Pay(inv.ID)
		if units := serviceCreditsOf(w); units != 7 {
			t.Errorf("%d service credits", units)
		}
		w.AssertBooks(t)
	})
	t.Run("are the customer's to read, and nobody else's", func(t *testing.T) {
		t.Parallel()
		w, neighbour := billingtest.New(t), billingtest.New(t)
		inv := w.OpenInvoice("100.00")
		id := w.As(w.Owner).Post(routes+inv.ID.String()+"/credit-notes/", body{"amount": "30.00", "reason": "One day less"}).Expect(http.StatusCreated).Text("data.id")
		foreign := w.OpenInvoice("10.00", func(in *invoices.CreateInput) { in.Account = w.Other.ID.String() })
		w.As(w.Owner).Post(routes+foreign.ID.String()+"/credit-notes/", body{"reason": "x"}).Expect(http.StatusCreated)
		member := w.As(w.Member)
		list := member.Get(notes).Expect(http.StatusOK)
		if len(list.List("results")) != 1 || list.Text("results.0.id") != id || list.Text("results.0.reason") != "One day less" || list.At("results.0.issued_by") != nil {
			t.Errorf("%s", list.Raw)
		}
		member.Get(notes + id + "/").Expect(http.StatusOK)
		w.As(w.OtherMember).Get(notes+id+"/").Refused(http.StatusNotFound, "credit_note_not_found")
		neighbour.As(neighbour.Owner).Get(notes+id+"/").Refused(http.StatusNotFound, "credit_note_not_found")
		neighbour.As(neighbour.Owner).Post(notes+id+"/reverse/", body{"reason": "x"}).Refused(http.StatusNotFound, "credit_note_not_found")
		member.Post(notes+id+"/reverse/", body{"reason": "x"}).Refused(http.StatusForbidden, "permission_denied")
		for query, want := range map[string]int{"": 2, "?invoice=" + inv.ID.String(): 1, "?account=" + w.Other.ID.String(): 1, "?search=INV-CN-2026-000001": 1, "?search=INV-2": 0,
			"?created_before=2001-01-01T00:00:00Z": 0, "?created_after=2001-01-01T00:00:00Z": 2} {
			if a := w.As(w.Viewer).Get(notes + query).Expect(http.StatusOK); len(a.List("results")) != want {
				t.Errorf("%s: %s", query, a.Raw)
			}
		}
	})
	t.Run("happen once for each key, and one at a time", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv := w.OpenInvoice("100.00", taxed)
		owner := w.As(w.Owner).With("Idempotency-Key", "k")
		for range 2 {
			owner.Post(routes+inv.ID.String()+"/credit-notes/", body{"amount": "15.00", "reason": "x"}).Expect(http.StatusCreated)
		}
		stands(t, w, inv.ID, "open: 0 paid, 1500 credited, 0 by credit, 0 written off, 10000 left")
		failed := together(6, func(int) error {
			_, err := w.Invoices.CreateCreditNote(w.Owner.Ctx, invoices.CreateCreditNoteInput{Invoice: inv.ID.String(), Amount: cents(4000), Reason: "x"})
			return err
		})
		if count(failed, nil) != 2 || count(failed, invoices.ErrAboveBalance) != 4 {
			t.Errorf("%v", failed)
		}
		w.AssertBooks(t)
	})
}

// TestCreditNoteTax credits invoices in parts and undoes some: net and tax never come to more than was billed, and are
// exactly that when all is credited.
func TestCreditNoteTax(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]string{"0", "0.05", "0.15", "0.333333", "1"}).Draw(t, "rate")
		price := rapid.SampledFrom([]string{"0.01", "0.03", "0.10", "1.00", "99.99"}).Draw(t, "price")
		inv := w.OpenInvoice(price, func(in *invoices.CreateInput) { in.Lines[0].TaxRate, in.Lines[0].Credits = rate, 7 })
		var live []uuid.UUID
		var net, tax int64
		take := func(n invoices.CreditNoteResponse, err error) uuid.UUID {
			if err != nil {
				t.Fatal(err)
			}
			net, tax = net+n.NetAmountMinor, tax+n.TaxAmountMinor
			if net < 0 || tax < 0 || net > inv.TotalMinor-inv.TaxMinor || tax > inv.TaxMinor {
				t.Fatalf("credited are %d and %d of tax of %d and %d", net, tax, inv.TotalMinor-inv.TaxMinor, inv.TaxMinor)
			}
			return uuid.MustParse(n.ID)
		}
		for range rapid.IntRange(1, 6).Draw(t, "steps") {
			left := w.Invoice(inv.ID).BalanceMinor
			if len(live) > 0 && rapid.Bool().Draw(t, "undo") {
				i := rapid.IntRange(0, len(live)-1).Draw(t, "which")
				take(w.Invoices.ReverseCreditNote(w.Owner.Ctx, invoices.ReverseCreditNoteInput{ID: live[i], Reason: "x"}))
				live = append(live[:i:i], live[i+1:]...)
			} else if left > 0 {
				minor := rapid.Int64Range(1, left).Draw(t, "minor")
				live = append(live, take(w.Invoices.CreateCreditNote(w.Owner.Ctx, invoices.CreateCreditNoteInput{Invoice: inv.ID.String(), Amount: cents(minor), Reason: "x"})))
			}
		}
		if w.Invoice(inv.ID).BalanceMinor > 0 {
			take(w.Invoices.CreateCreditNote(w.Owner.Ctx, invoices.CreateCreditNoteInput{Invoice: inv.ID.String(), Reason: "x"}))
		}
		if net != inv.TotalMinor-inv.TaxMinor || tax != inv.TaxMinor {
			t.Fatalf("all is credited, and that are %d and %d of tax of %d and %d", net, tax, inv.TotalMinor-inv.TaxMinor, inv.TaxMinor)
		}
	})
	w.AssertBooks(t)
}

// refund does what a refund would: it gives money from the bank transfers' clearing back.
func refund(w *billingtest.World, invoice uuid.UUID, r invoices.Refund, note bool) (out invoices.Refunded, err error) {
	return out, tenancy.InTx(w.System, w.DB, func(ctx context.Context, tx bun.Tx) error {
		locked, err := invoices.Lock(ctx, tx, invoice)
		if err != nil {
			return err
		}
		do := w.Invoices.TakeBackPayment
		if note {
			do = w.Invoices.IssueCreditNote
		}
		if out, err = do(ctx, tx, locked[invoice], r); err != nil {
			return err
		}
		money := ledger.Entry{Account: ledger.Clearing("bank_transfer", "USD"), AmountMinor: -r.AmountMinor}
		return ledger.Post(ctx, tx, append(out.Postings, ledger.Posting{Cause: "refund:" + r.ID.String(), Kind: ledger.KindPaymentRefunded, CustomerID: w.Account.ID, InvoiceID: invoice,
			Entries: append(out.Entries, money)})...)
	})
}

// onlyPayments fails unless all that verify finds is that payments still count what was refunded, and that there is no refund
// behind it, which is the business of whoever refunds.
func onlyPayments(t *testing.T, w *billingtest.World) {
	t.Helper()
	for id, found := range w.Verify() {
		if !strings.HasPrefix(id, "payments.") && id != noCause {
			t.Errorf("%s: %s", id, found.What)
		}
	}
}

func TestRefundsOfInvoices(t *testing.T) {
	t.Parallel()
	t.Run("with a credit note take the sale and its service credits back", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv := w.OpenInvoice("100.00", taxed)
		w.Pay(inv.ID)
		out, err := refund(w, inv.ID, invoices.Refund{ID: uuid.New(), AmountMinor: 2300, Reason: "Sent back"}, true)
		if err != nil || out.Note.TaxMinor != 300 || out.Note.NetMinor != 2000 || out.Note.Number != "INV-CN-2026-000001" {
			t.Fatalf("%+v %v", out.Note, err)
		}
		stands(t, w, inv.ID, "paid: 9200 paid, 2300 credited, 0 by credit, 0 written off, 0 left")
		if units := serviceCreditsOf(w); units != 18 { // 23 less a fifth, half up
			t.Errorf("%d service credits", units)
		}
		onlyPayments(t, w)
		w.As(w.Owner).Post(notes+out.Note.ID.String()+"/reverse/", body{"reason": "x"}).Refused(http.StatusConflict, "credit_note_of_refund")
		useCredits(t, w, 1)
		if _, err := refund(w, inv.ID, invoices.Refund{ID: uuid.New(), AmountMinor: 9200, Reason: "Sent back"}, true); !errors.Is(err, invoices.ErrServiceCreditsSpent) {
			t.Errorf("what was used was taken back: %v", err)
		}
		if _, err := refund(w, inv.ID, invoices.Refund{ID: uuid.New(), AmountMinor: 9201, Reason: "Sent back"}, true); err == nil {
			t.Error("more was refunded than is paid")
		}
		stands(t, w, inv.ID, "paid: 9200 paid, 2300 credited, 0 by credit, 0 written off, 0 left")
		onlyPayments(t, w)
	})
	t.Run("of a part that was paid leave the rest open", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		overpay(t, w, 1000)
		inv := w.OpenInvoice("100.00")
		if _, err := w.Invoices.ApplyCredit(w.Owner.Ctx, invoices.ApplyCreditInput{Invoice: inv.ID.String()}); err != nil {
			t.Fatal(err)
		}
		w.Pay(inv.ID)
		if _, err := refund(w, inv.ID, invoices.Refund{ID: uuid.New(), AmountMinor: 9000, Reason: "x"}, false); err != nil {
			t.Fatal(err)
		}
		stands(t, w, inv.ID, "partially_paid: 0 paid, 0 credited, 1000 by credit, 0 written off, 9000 left")
		onlyPayments(t, w)
	})
	t.Run("with a credit note leave given up what was given up when a part was paid", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv := w.OpenInvoice("100.00", granting(5))
		w.Pay(inv.ID, func(in *payments.SubmitManualInput) {
			in.Amount = func(c money.Currency) (*money.Money, error) { half := money.New(5000, c); return &half, nil }
		})
		seen := ask(w, inv.ID, nil)
		w.As(w.Approver).Post(writeOffs+seen.Text("data.id")+"/approve/", body{"digest": seen.Text("data.digest")}).Expect(http.StatusOK)
		for _, step := range []string{"uncollectible: 3000 paid, 2000 credited, 0 by credit, 5000 written off, 0 left", "uncollectible: 1000 paid, 4000 credited, 0 by credit, 5000 written off, 0 left"} {
			if _, err := refund(w, inv.ID, invoices.Refund{ID: uuid.New(), AmountMinor: 2000, Reason: "Sent back"}, true); err != nil {
				t.Fatal(err)
			}
			stands(t, w, inv.ID, step)
		}
		if units := serviceCreditsOf(w); units != 0 {
			t.Errorf("%d service credits were granted for what nobody has paid", units)
		}
		onlyPayments(t, w)
	})
	t.Run("without one make the customer owe it again, and grant again once he pays", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv := w.OpenInvoice("100.00", granting(5))
		w.Pay(inv.ID)
		if _, err := refund(w, inv.ID, invoices.Refund{ID: uuid.New(), AmountMinor: 10000, Reason: "x"}, false); err != nil {
			t.Fatal(err)
		}
		stands(t, w, inv.ID, "open: 0 paid, 0 credited, 0 by credit, 0 written off, 10000 left")
		if units := serviceCreditsOf(w); units != 0 {
			t.Errorf("%d service credits", units)
		}
		w.Pay(inv.ID)
		if units := serviceCreditsOf(w); units != 5 {
			t.Errorf("%d service credits", units)
		}
		onlyPayments(t, w)
		if diff := cmp.Diff([]string{"credits.granted", "credits.returned", "credits.granted"}, w.Events("credits.")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCreditNoteGuards(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	inv := w.OpenInvoice("100.00", taxed)
	made, err := w.Invoices.CreateCreditNote(w.Owner.Ctx, invoices.CreateCreditNoteInput{Invoice: inv.ID.String(), Amount: cents(1000), Reason: "x"})
	if err != nil {
		t.Fatal(err)
	}
	adjust := func(kind string) string {
		id := uuid.NewString()
		if err := plainSQL(w, "INSERT INTO invoice_adjustments (tenant_id, id, invoice_id, account_id, kind, amount_minor, currency, made_by) SELECT tenant_id, '"+id+
			"', invoice_id, account_id, '"+kind+"', 1000, currency, 'x' FROM credit_notes WHERE tenant_id = ?"); err != nil {
			t.Fatal(err)
		}
		return id
	}
	insert := func(id, set string) string {
		return "INSERT INTO credit_notes (tenant_id, id, number, invoice_id, account_id, amount_minor, net_minor, tax_minor, currency, reason, issued_by) SELECT tenant_id, '" + id + "', " + set +
			", 'x', 'x' FROM credit_notes WHERE tenant_id = ?0 AND number = '" + made.Number + "'"
	}
	plain := adjust("credit_note")
	for _, tt := range []struct{ name, query, constraint string }{
		{"a note without an adjustment", insert(uuid.NewString(), "'INV-CN-2026-000009', invoice_id, account_id, amount_minor, net_minor, tax_minor, currency"), "credit_notes_adjustment_fk"},
		{"a note about an adjustment of another kind", insert(adjust("credit_applied"), "'INV-CN-2026-000009', invoice_id, account_id, amount_minor, net_minor, tax_minor, currency"), "credit_notes_adjustment_fk"},
		{"another amount than that of the adjustment", insert(plain, "'INV-CN-2026-000009', invoice_id, account_id, 999, 999, 0, currency"), "credit_notes_adjustment_fk"},
		{"parts that are not the whole", insert(plain, "'INV-CN-2026-000009', invoice_id, account_id, amount_minor, net_minor - 1, tax_minor, currency"), "credit_notes_amount_check"},
		{"tax below nothing", insert(plain, "'INV-CN-2026-000009', invoice_id, account_id, amount_minor, amount_minor + 1, -1, currency"), "credit_notes_amount_check"},
		{"a number twice", insert(plain, "number, invoice_id, account_id, amount_minor, net_minor, tax_minor, currency"), "credit_notes_number_key"},
		{"an invoice's number", insert(plain, "'INV-2026-000009', invoice_id, account_id, amount_minor, net_minor, tax_minor, currency"), "credit_notes_number_check"},
		{"another currency", insert(plain, "'INV-CN-2026-000009', invoice_id, account_id, amount_minor, net_minor, tax_minor, 'EUR'"), "credit_notes_adjustment"},
		{"another account", insert(plain, "'INV-CN-2026-000009', invoice_id, '"+w.Other.ID.String()+"', amount_minor, net_minor, tax_minor, currency"), "credit_notes_adjustment"},
	} {
		err := plainSQL(w, tt.query)
		if !database.IsCheck(err, tt.constraint) && !database.IsUnique(err, tt.constraint) && !database.IsForeignKey(err, tt.constraint) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for _, query := range []string{"UPDATE credit_notes SET reason = 'y' WHERE tenant_id = ?", "DELETE FROM credit_notes WHERE tenant_id = ?"} {
		if err := plainSQL(w, query); err == nil {
			t.Errorf("the program: %s was taken", query)
		}
		if _, err := testkit.OwnerDB(t).NewRaw(query, w.Tenant.ID).Exec(t.Context()); err == nil {
			t.Errorf("the owner: %s was taken", query)
		}
	}
}

// TestWhoIssuesCreditNotes: who takes cash cannot make the debt vanish for which he took it, and nobody can while it is on its way.
func TestWhoIssuesCreditNotes(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	inv, cashier := w.OpenInvoice("100.00"), w.Join("cashier", auth.RoleCashier, nil)
	path := routes + inv.ID.String() + "/credit-notes/"
	note := w.As(w.Finance).Post(path, body{"amount": "10.00", "reason": "x"}).Expect(http.StatusCreated).Text("data.id")
	w.As(cashier).Post(path, body{"amount": "10.00", "reason": "x"}).Refused(http.StatusForbidden, "permission_denied")
	w.As(cashier).Post(notes+note+"/reverse/", body{"reason": "x"}).Refused(http.StatusForbidden, "permission_denied")

	page := "invoices/" + inv.ID.String() + "/"
	w.Browse(w.Console(), w.Finance).Get(page).Shows("/credit-note/", "/take-back/")
	b := w.Browse(w.Console(), cashier)
	b.Get(page).Shows("/write-off/").Hides("/credit-note/", "/take-back/")
	b.Post(page+"credit-note/", url.Values{"key": {"k"}, "amount": {""}, "reason": {"x"}}).Expect(http.StatusForbidden)
	overpay(t, w, 1000)
	w.As(w.Finance).Post(routes+inv.ID.String()+"/apply_credit/", body{}).Expect(http.StatusOK)
	b.Get(page + "take-back/").Shows("10.00 USD").Hides(note) // the credit, and not the note
	b.Post(page+"take-back/", url.Values{"adjustment_id": {note}, "reason": {"x"}}).Expect(http.StatusNotFound)
	stands(t, w, inv.ID, "partially_paid: 0 paid, 1000 credited, 1000 by credit, 0 written off, 8000 left")

	p := w.Submit(inv.ID)
	w.As(w.Finance).Post(path, body{"amount": "10.00", "reason": "x"}).Refused(http.StatusConflict, "payment_pending")
	w.Reject(p.ID, w.Approver, "Never came")
	w.As(w.Finance).Post(path, body{"amount": "10.00", "reason": "x"}).Expect(http.StatusCreated)
	w.AssertBooks(t)
}
