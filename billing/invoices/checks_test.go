package invoices_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/internal/database"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// post books a posting that no code of ours would make.
func post(t *testing.T, w *billingtest.World, postings ...ledger.Posting) {
	t.Helper()
	err := tenancy.InTx(w.System, w.DB, func(ctx context.Context, tx bun.Tx) error { return ledger.Post(ctx, tx, postings...) })
	if err != nil {
		t.Fatal(err)
	}
}

// forget deletes what was posted under a cause.
func forget(w *billingtest.World, cause string) {
	w.Tamper(`WITH t AS (DELETE FROM ledger_transactions WHERE tenant_id = ?0 AND cause = ?1 RETURNING id)
		DELETE FROM ledger_entries e USING t WHERE e.tenant_id = ?0 AND e.transaction_id = t.id`, cause)
}

// lowered credits a tenth of the open invoice.
func lowered(t *testing.T, w *billingtest.World, open *invoices.Invoice) invoices.CreditNoteResponse {
	t.Helper()
	note, err := w.Invoices.CreateCreditNote(w.Owner.Ctx, invoices.CreateCreditNoteInput{Invoice: open.ID.String(), Amount: cents(open.TotalMinor / 10), Reason: "x"})
	if err != nil {
		t.Fatal(err)
	}
	w.AssertBooks(t)
	return note
}

func TestChecks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		check string
		// also are the checks of others and of ours that see the same damage from their side
		also   string
		what   string // of what is found, after the object
		breaks func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice)
	}{
		{"a finalised invoice without entries", "invoices.E001", "invoices.E002 invoices.E003 ledger.E005", "open over 15000 - 1000 + 2100 USD, no entries",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				forget(w, "invoice:"+open.ID.String()+":finalize")
			}},
		{"an invoice that was posted twice", "invoices.E001", "invoices.E002 invoices.E003 ledger.E008", "open over 15000 - 1000 + 2100 USD, entries say 15000 - 1000 + 2100, owed 32200",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				post(t, w, ledger.Posting{Cause: "again", Kind: ledger.KindInvoiceFinalized, CustomerID: open.AccountID, InvoiceID: open.ID, Entries: []ledger.Entry{
					{Account: ledger.Receivable(open.AccountID, "USD"), AmountMinor: 16100}, {Account: ledger.Bank("USD"), AmountMinor: -16100}}})
			}},
		{"a void invoice whose posting was not taken back", "invoices.E001", "invoices.E002 invoices.E003 ledger.E005", "void over 15000 - 1000 + 2100 USD, entries say 15000 - 1000 + 2100, owed 16100",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				if _, err := w.Invoices.Void(w.Owner.Ctx, invoices.VoidInput{Invoice: open.ID.String(), Reason: "x"}); err != nil {
					t.Fatal(err)
				}
				w.AssertBooks(t)
				forget(w, "invoice:"+open.ID.String()+":void")
			}},
		{"an invoice that is paid without entries", "invoices.E002", "invoices.E003 payments.E004", "partially_paid, paid 1 of 16100 USD, the ledger says that 16100 is owed",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				w.Tamper("UPDATE invoices SET paid_minor = 1, balance_minor = total_minor - 1, status = 'partially_paid' WHERE tenant_id = ? AND id = ?", open.ID)
			}},
		{"a receivable that no invoice explains", "invoices.E003", "ledger.E008", "the entries say 16105 USD, the invoices 16100",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				post(t, w, ledger.Posting{Cause: "x", Kind: "x", Entries: []ledger.Entry{{Account: ledger.Receivable(w.Account.ID, "USD"), AmountMinor: 5}, {Account: ledger.Bank("USD"), AmountMinor: -5}}})
			}},
		{"credits that were bought and not granted", "invoices.E004", "ledger.E005", "paid with 40 credits, 0 granted to 0 accounts",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				forget(w, "invoice:"+paid.ID.String()+":credits")
			}},
		{"credits that were granted twice", "invoices.E004", "ledger.E008", "paid with 40 credits, 80 granted to 2 accounts",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				post(t, w, ledger.Posting{Cause: "x", Kind: ledger.KindCreditsGranted, InvoiceID: paid.ID, Entries: []ledger.Entry{
					{Account: ledger.CreditsIssued(), AmountMinor: 40}, {Account: ledger.Credits(w.Other.ID), AmountMinor: -40}}})
			}},
		{"credits granted before they are paid", "invoices.E004", "ledger.E008", "open with 7 credits, 7 granted to 1 accounts",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				post(t, w, ledger.Posting{Cause: "x", Kind: ledger.KindCreditsGranted, InvoiceID: open.ID, Entries: []ledger.Entry{
					{Account: ledger.CreditsIssued(), AmountMinor: 7}, {Account: ledger.Credits(open.AccountID), AmountMinor: -7}}})
			}},
		{"credits that were bought and whose grant was reversed", "invoices.E004", "ledger.E008", "paid with 40 credits, 0 granted to 1 accounts",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				w.Reverse("invoice:"+paid.ID.String()+":credits", "x")
			}},
		{"entries for an invoice that does not exist", "invoices.E005", "ledger.E008", "credits_granted for invoice 01900000-0000-7000-8000-000000000000",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				post(t, w, ledger.Posting{Cause: "x", Kind: ledger.KindCreditsGranted, InvoiceID: uuid.MustParse("01900000-0000-7000-8000-000000000000"), Entries: []ledger.Entry{
					{Account: ledger.CreditsIssued(), AmountMinor: 7}, {Account: ledger.Credits(open.AccountID), AmountMinor: -7}}})
			}},
		{"grants of credits that name no invoice", "invoices.E005", "ledger.E008", "credits_granted for no invoice",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				post(t, w, ledger.Posting{Cause: "x", Kind: ledger.KindCreditsGranted, Entries: []ledger.Entry{
					{Account: ledger.CreditsIssued(), AmountMinor: 7}, {Account: ledger.Credits(open.AccountID), AmountMinor: -7}}})
			}},
		{"a changed line", "invoices.E006", "", "open over 16100 USD and 7 credits, its lines over 16100 and 8",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				w.Tamper("UPDATE line_items SET credits = 8 WHERE tenant_id = ? AND invoice_id = ?", open.ID)
			}},
		{"lost lines", "invoices.E006", "", "open over 16100 USD and 7 credits, its lines over 0 and 0",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				w.Tamper("DELETE FROM line_items WHERE tenant_id = ? AND invoice_id = ?", open.ID)
			}},
		{"credit that the invoice counts and nobody applied", "invoices.E008", "invoices.E002 invoices.E003", "partially_paid, by credit 1, credit notes 0, written off 0 USD, its adjustments say 0, 0, 0",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				w.Tamper("UPDATE invoices SET credit_applied_minor = 1, balance_minor = balance_minor - 1, status = 'partially_paid' WHERE tenant_id = ? AND id = ?", open.ID)
			}},
		{"an adjustment without entries", "invoices.E009", "invoices.E002 invoices.E003 ledger.E005", "credit_note over 1610 USD, no entries",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				forget(w, "adjustment:"+lowered(t, w, open).ID)
			}},
		{"an adjustment that was posted as another", "invoices.E009", "", "credit_note over 1610 USD, entries say -1610 owed, 0 of credit, 1610 given up, 0 and 0 of tax returned",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				cause := "adjustment:" + lowered(t, w, open).ID
				forget(w, cause)
				w.Tamper("UPDATE ledger_balances SET amount_minor = amount_minor + 1610 WHERE tenant_id = ? AND code = 'receivable'")
				post(t, w, ledger.Posting{Cause: cause, Kind: ledger.KindCreditNote, CustomerID: open.AccountID, InvoiceID: open.ID, Entries: []ledger.Entry{
					{Account: ledger.BadDebt("USD"), AmountMinor: 1610}, {Account: ledger.Receivable(open.AccountID, "USD"), AmountMinor: -1610}}})
			}},
		{"entries for an adjustment that does not exist", "invoices.E010", "ledger.E008", "written_off for x",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				post(t, w, ledger.Posting{Cause: "x", Kind: ledger.KindWrittenOff, InvoiceID: open.ID, Entries: []ledger.Entry{
					{Account: ledger.BadDebt("USD"), AmountMinor: 5}, {Account: ledger.Bank("USD"), AmountMinor: -5}}})
			}},
		{"a second posting of an adjustment", "invoices.E010", "invoices.E002 invoices.E003 ledger.E008", "credit_note for x",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				lowered(t, w, open)
				post(t, w, ledger.Posting{Cause: "x", Kind: ledger.KindCreditNote, CustomerID: open.AccountID, InvoiceID: open.ID, Entries: []ledger.Entry{
					{Account: ledger.SalesReturns("USD"), AmountMinor: 5}, {Account: ledger.Receivable(open.AccountID, "USD"), AmountMinor: -5}}})
			}},
		{"a lost credit note", "invoices.E011", "invoices.E009", "no note over 1610 USD",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				w.Tamper("DELETE FROM credit_notes WHERE tenant_id = ? AND id = ?", lowered(t, w, open).ID)
			}},
		{"a gap in the numbers of credit notes", "invoices.E012", "", "1 credit notes are numbered INV-CN-2026-NNNNNN, the last is number 2",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				w.Tamper("UPDATE credit_notes SET number = 'INV-CN-2026-000002' WHERE tenant_id = ? AND id = ?", lowered(t, w, open).ID)
			}},
		{"a write-off that nobody else has approved", "invoices.E013", "", "posted over 16100 USD, posted over 16100, not taken back, approved by 0",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				asked, err := w.Invoices.WriteOff(w.Finance.Ctx, invoices.WriteOffInput{Invoice: open.ID.String(), Reason: "x"})
				if err == nil {
					_, err = w.Invoices.ApproveWriteOff(w.Approver.Ctx, invoices.DecideInput{ID: uuid.MustParse(asked.ID), Digest: *asked.Digest})
				}
				if err != nil {
					t.Fatal(err)
				}
				w.AssertBooks(t)
				w.Tamper("UPDATE decisions SET user_id = ?1 WHERE tenant_id = ?0", w.Finance.ID)
			}},
		{"a gap in the numbers", "invoices.E007", "", "2 invoices are numbered INV-2026-NNNNNN, the last is number 3",
			func(t *testing.T, w *billingtest.World, open, paid *invoices.Invoice) {
				w.Tamper("UPDATE invoices SET number = 'INV-2026-000003' WHERE tenant_id = ? AND id = ?", open.ID)
			}},
	} {
		t.Run("find "+tt.name, func(t *testing.T) {
			t.Parallel()
			w := billingtest.New(t)
			paid := w.OpenInvoice("20.00", func(in *invoices.CreateInput) { in.Lines[0].Credits = 40 })
			w.Pay(paid.ID)
			open := w.OpenInvoice("150.00", func(in *invoices.CreateInput) {
				in.Lines[0].Discount, in.Lines[0].TaxRate, in.Lines[0].Credits = "10.00", "0.15", 7
			})
			w.DraftInvoice("5.00")
			w.OpenInvoice("0.00", func(in *invoices.CreateInput) { in.Number = "GIFT-1" })
			w.AssertBooks(t)
			tt.breaks(t, w, open, paid)
			found := w.Verify()
			want := append(strings.Fields(tt.also), tt.check)
			slices.Sort(want)
			if diff := cmp.Diff(want, slices.Sorted(maps.Keys(found))); diff != "" {
				t.Fatal(diff)
			}
			if f := found[tt.check]; !strings.Contains(f.What, "("+tt.what+")") || !strings.HasSuffix(f.Hint, ".") {
				t.Errorf("it says %+v", f)
			}
		})
	}
}

// TestMendedReversals: who reverses something by mistake reverses the reversal, and what was there before stands again, for every proof.
func TestMendedReversals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, check string
		cause       func(paid, void uuid.UUID) string
	}{
		{"of an invoice", "invoices.E001", func(paid, _ uuid.UUID) string { return "invoice:" + paid.String() + ":finalize" }},
		{"of an invoice that is void", "invoices.E001", func(_, void uuid.UUID) string { return "invoice:" + void.String() + ":void" }},
		{"of service credits", "invoices.E004", func(paid, _ uuid.UUID) string { return "invoice:" + paid.String() + ":credits" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := billingtest.New(t)
			paid, void := w.OpenInvoice("20.00", granting(40)).ID, w.OpenInvoice("30.00").ID
			w.Pay(paid)
			if _, err := w.Invoices.Void(w.Owner.Ctx, invoices.VoidInput{Invoice: void.String(), Reason: "x"}); err != nil {
				t.Fatal(err)
			}
			w.AssertBooks(t)
			finds := func(want bool, when string) {
				t.Helper()
				if found := w.Verify()[tt.check]; (found != nil) != want {
					t.Errorf("%s finds %+v once %s", tt.check, found, when)
				}
			}
			w.Reverse(tt.cause(paid, void), "mistaken")
			finds(true, "it was reversed")
			w.Reverse("mistaken", "mended")
			w.AssertBooks(t)
			w.Reverse("mended", "mistaken again")
			finds(true, "its mending was reversed")
			w.Reverse("mistaken again", "mended at last")
			finds(false, "that was mended as well")
		})
	}
}

// TestCheckPlans runs everything that verify asks among some hundred paid invoices, and sees that each statement reads
// its tables a number of times that does not depend on how many rows there are.
func TestCheckPlans(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sent []string
	const joined = "SET LOCAL enable_nestloop = off" // without it, a plan depends on what PostgreSQL believes about the tenant
	guarded := 0
	db, err := database.Open(database.Config{URL: testkit.OwnerURL(), Role: database.AppRole, Trace: func(_ context.Context, statements ...string) {
		mu.Lock()
		defer mu.Unlock()
		for _, query := range statements {
			if query == joined {
				guarded++
			}
			if strings.HasPrefix(query, "SELECT p.object") {
				sent = append(sent, query)
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w := billingtest.NewOn(t, db)
	const n = 150
	for range n {
		inv := w.OpenInvoice("20.00", func(in *invoices.CreateInput) { in.Lines[0].Credits = 1 })
		p := w.Submit(inv.ID)
		w.Approve(p.ID, w.Approver)
	}
	w.SettleAll()
	for _, table := range []string{"invoices", "line_items", "payments", "ledger_transactions", "ledger_entries", "ledger_accounts"} {
		if _, err := testkit.OwnerDB(t).ExecContext(t.Context(), "ANALYZE ?", bun.Ident(table)); err != nil {
			t.Fatal(err)
		}
	}
	w.AssertBooks(t)
	if len(sent) < 15 || guarded != len(sent) {
		t.Fatalf("%d statements were seen, %d of them with plans to rely on", len(sent), guarded)
	}
	for _, query := range sent {
		var did testkit.Plan
		w.Read(func(ctx context.Context, tx bun.Tx) error {
			if _, err := tx.ExecContext(ctx, joined); err != nil {
				return err
			}
			did = testkit.Analyze(ctx, t, tx, query)
			return nil
		})
		// an invoice with its credits has three transactions with seven entries
		if rows, node := did.Most(); rows > 20*n {
			t.Errorf("%s\nreads %d rows in %s", query, rows, node)
		}
	}
}

func TestGifts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		lines   []map[string]any
		cashier int // what a cashier's finalising answers
	}{
		{"credits on a line over nothing", []map[string]any{line("0", "credits", 5)}, http.StatusForbidden},
		{"credits behind a discount of all", []map[string]any{line("10", "discount_amount", "10", "credits", 5)}, http.StatusForbidden},
		{"credits for less than half a minor unit", []map[string]any{line("0.004", "credits", 5)}, http.StatusForbidden},
		{"credits for nothing beside a line that costs", []map[string]any{line("1"), line("0", "credits", 1_000_000)}, http.StatusForbidden},
		{"credits that cost", []map[string]any{line("10", "discount_amount", "9.99", "credits", 5)}, http.StatusOK},
		{"nothing for nothing", []map[string]any{line("0")}, http.StatusOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			cashier := s.client(s.as("cashier", uuid.Nil))
			id := cashier.Post(path, s.body(tt.lines)).Expect(http.StatusCreated).Text("data.id")
			a := cashier.Post(path+id+"/finalize/", "")
			if tt.cashier != http.StatusForbidden {
				a.Expect(tt.cashier)
				return
			}
			a.Refused(http.StatusForbidden, "permission_denied")
			if inv := s.get(uuid.MustParse(id)); inv.Status != invoices.StatusDraft || inv.Number != "" || s.credits() != 0 {
				t.Errorf("the refusal left %s %q and %d credits", inv.Status, inv.Number, s.credits())
			}
			s.client(s.as("finance", uuid.Nil)).Post(path+id+"/finalize/", "").Expect(http.StatusOK)
			if s.get(uuid.MustParse(id)).Number != "INV-2026-000001" {
				t.Error("the refusal has used a number")
			}
		})
	}
	t.Run("are given by programs, which nobody can ask", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.draft([]map[string]any{line("0", "credits", 5)})
		if _, err := s.service.Finalize(tenancy.AsSystem(t.Context(), s.tenant.ID, "worker test"), invoices.FinalizeInput{Invoice: id.String()}); err != nil || s.credits() != 5 {
			t.Errorf("%v, %d credits", err, s.credits())
		}
	})
}
