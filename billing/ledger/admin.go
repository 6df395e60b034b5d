package ledger

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/money"
	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/web"
	"countersign/tenancy"
)

// sections show the books, which nobody changes by hand: the trial balance and the entries.
func (v *views) sections() []admin.Section {
	return []admin.Section{
		{Name: "ledger", Title: "Ledger", Icon: "ledger", Group: admin.GroupMoney, Place: 50, Permission: auth.BillingLedgerView,
			Routes: []web.Route{{Method: http.MethodGet, Path: "/", Handler: v.trialView}}},
		{Name: "ledger-entries", Title: "Ledger entries", Hidden: true, Permission: auth.BillingLedgerView,
			Routes: []web.Route{{Method: http.MethodGet, Path: "/", Handler: v.entriesView}}},
	}
}

// unit is an amount in a ledger account, which is money or counts service credits.
func unit(minor int64, currency string) admin.Cell {
	if currency == UnitCredit {
		return admin.Count(minor)
	}
	return admin.Amount(money.New(minor, money.Currency(currency)))
}

// SumCell is a sum of money or of service credits. It is shown as its plain digits when it is larger than any amount.
func SumCell(s Sum, currency string) admin.Cell {
	if minor, fits := s.Minor(); fits {
		return unit(minor, currency)
	}
	return admin.Text(s.Format(currency))
}

// CodeLabel is what an account of the chart is called, in English: a text of the console's catalogue.
func CodeLabel(code string) string {
	labels := map[string]string{CodeReceivable: "Receivable", CodeCustomerCredit: "Credit of customers", CodeCredits: "Service credits", codeClearing: "Clearing",
		"revenue": "Revenue", "deferred_revenue": "Deferred revenue", "tax_payable": "Tax payable", "bank": "Bank", "cash": "Cash", "discounts": "Discounts",
		"sales_returns": "Returns", "fees": "Fees", "bad_debt": "Bad debt", "rounding": "Rounding", "fx": "Exchange positions", "fx_difference": "Exchange differences", "suspense": "Suspense",
		"voucher_receivable": "Vouchers receivable", "insurer_receivable": "Insurers receivable", "credits_issued": "Credits issued", UnitCredit: "Service credits"}
	if label, ok := labels[code]; ok {
		return label
	}
	return code
}

func (v *views) trialView(w http.ResponseWriter, r *http.Request) error {
	asOf, err := ParseAsOf(r)
	if err != nil {
		return err
	}
	var t Trial
	err = tenancy.Read(r.Context(), v.db, func(ctx context.Context, tx bun.Tx) error {
		t, err = TrialBalance(ctx, tx, asOf)
		return err
	})
	if err != nil {
		return err
	}
	return admin.Render(w, r, "admin/detail", trialPage(admin.ReaderOf(r), t, asOf))
}

func trialPage(r admin.Reader, t Trial, asOf *time.Time) admin.DetailPage {
	page := admin.DetailPage{Title: r.Say("Ledger"), Subtitle: r.Say("Trial balance: what was moved on each account. Debits and credits are equal in every currency."),
		Buttons: []admin.Button{{Title: "Ledger entries", URL: admin.URL("ledger-entries")}}}
	if asOf != nil {
		page.Notes = append(page.Notes, admin.Note{Tone: admin.ToneInfo, Text: r.Say("As of {{.date}}", "date", r.DateTime(*asOf))})
	}
	if !t.Balanced() {
		page.Notes = append(page.Notes, admin.Note{Tone: admin.ToneBad, Text: r.Say("The books do not balance. Stop posting and run `countersign verify`.")})
	}
	for _, total := range t.Totals {
		var rows [][]admin.Cell
		for _, row := range t.Rows {
			if row.Currency == total.Currency {
				rows = append(rows, []admin.Cell{admin.Word(CodeLabel(row.Code)), SumCell(row.DebitMinor, row.Currency), SumCell(row.CreditMinor, row.Currency), SumCell(row.BalanceMinor(), row.Currency)})
			}
		}
		rows = append(rows, []admin.Cell{admin.Word("Total"), SumCell(total.DebitMinor, total.Currency), SumCell(total.CreditMinor, total.Currency), SumCell(total.SumMinor(), total.Currency)})
		page.Tables = append(page.Tables, admin.NewTable(CodeLabel(total.Currency), []string{"Ledger account", "Debit", "Credit", "Balance"}, nil, rows))
	}
	if len(t.Totals) == 0 {
		page.Tables = []admin.Table{{Title: "Trial balance", Empty: "Nothing has been posted yet."}}
	}
	return page
}

func (v *views) entriesView(w http.ResponseWriter, r *http.Request) error {
	l, err := ParseEntryList(r, entrySpec)
	if err != nil {
		return err
	}
	var entries web.Page[PostedEntry]
	owners := map[uuid.UUID]*accounts.Account{}
	err = tenancy.Read(r.Context(), v.db, func(ctx context.Context, tx bun.Tx) error {
		if id, ok := web.Value[uuid.UUID](l.List, "account"); ok {
			if l.AccountIDs, err = AccountsOf(ctx, tx, id); err != nil {
				return err
			}
		}
		if entries, err = Entries(ctx, tx, l); err != nil {
			return err
		}
		owners, err = accounts.ByIDs(ctx, tx, customersOf(entries.Items)...)
		return err
	})
	if err != nil {
		return err
	}
	asItIs := func(_ context.Context, text string) string { return text }
	filters, err := admin.FiltersOf(r, "", []admin.Filter{{Name: "invoice_id", Label: "Invoice", Describe: asItIs}, {Name: "payment_id", Label: "Payment", Describe: asItIs},
		{Name: "account", Label: "Account", Describe: func(ctx context.Context, text string) string { return accounts.Describe(ctx, v.db, text) }}})
	if err != nil {
		return err
	}
	return admin.Render(w, r, "admin/list", admin.ListPage{Title: "Ledger entries", Description: "Each posting has lines whose sum is zero. Nothing here can be changed; mistakes are reversed by a posting of their own.",
		Buttons: []admin.Button{{Title: "Trial balance", URL: admin.URL("ledger")}}, Filters: filters, Table: entryTable(admin.ReaderOf(r), entries.Items, owners),
		Pager: admin.PagerOf(r, l.List, entries.Count, len(entries.Items), entries.Next, entries.Previous),
		Empty: admin.Empty{Title: "Nothing has been posted yet.", Text: "Entries appear when invoices are finalised and payments are settled."}})
}

func customersOf(entries []PostedEntry) []uuid.UUID {
	var ids []uuid.UUID
	for _, e := range entries {
		if e.Account != nil && e.Account.CustomerID != uuid.Nil {
			ids = append(ids, e.Account.CustomerID)
		}
	}
	return ids
}

func entryTable(r admin.Reader, entries []PostedEntry, owners map[uuid.UUID]*accounts.Account) admin.Table {
	var rows [][]admin.Cell
	for _, e := range entries {
		debit, credit := unit(e.AmountMinor, e.Currency), admin.Text("")
		if e.AmountMinor < 0 {
			debit, credit = admin.Text(""), unit(-e.AmountMinor, e.Currency)
		}
		account, what, source := admin.Text(""), admin.Text(""), admin.Text("")
		if e.Account != nil {
			account = admin.Word(CodeLabel(e.Account.Code)).WithNote(e.Account.Owner)
			if a := owners[e.Account.CustomerID]; a != nil {
				account = admin.Word(CodeLabel(e.Account.Code)).WithNote(a.Holder)
			}
		}
		if t := e.Transaction; t != nil {
			what = admin.Word(KindLabel(t.Kind))
			switch {
			case t.PaymentID != uuid.Nil:
				source = admin.LinkTo(r.Say("Payment"), admin.IDURL("payments", t.PaymentID))
			case t.InvoiceID != uuid.Nil:
				source = admin.LinkTo(r.Say("Invoice"), admin.IDURL("invoices", t.InvoiceID))
			}
		}
		rows = append(rows, []admin.Cell{admin.When(e.CreatedAt), what, account, debit, credit, source})
	}
	t := admin.NewTable("", []string{"When", "What", "Ledger account", "Debit", "Credit", "Source"}, nil, rows)
	for i := range t.Columns {
		t.Columns[i].Numeric = i == 3 || i == 4
	}
	for i := range t.Rows {
		t.Rows[i].Cells[3].Numeric, t.Rows[i].Cells[4].Numeric = true, true
	}
	return t
}

// KindLabel is what a kind of posting is called, in English: a text of the console's catalogue.
func KindLabel(kind string) string {
	labels := map[string]string{KindInvoiceFinalized: "Invoice finalised", KindPaymentSettled: "Payment settled", KindPaymentRefunded: "Payment refunded", KindFXConverted: "Credit converted",
		KindCreditsGranted: "Credits granted", KindSubscriptionCreditsGranted: "Credits of the plan granted", KindCreditsUsed: "Credits used", KindReversal: "Reversal",
		KindCreditsReturned: "Credits taken back", KindCreditApplied: "Credit applied", KindCreditNote: "Credit note", KindWrittenOff: "Written off", KindPaymentMoved: "Payment moved to credit"}
	if label, ok := labels[kind]; ok {
		return label
	}
	return kind
}
