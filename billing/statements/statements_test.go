package statements_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"pgregory.net/rapid"

	"countersign/billing/billingtest"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

// path is the statement of an account. Without a from it would begin with the month of the world's clock.
func path(account uuid.UUID, query string) string {
	return billingtest.Base + "/billing/accounts/" + account.String() + "/statement/?" + query
}

func post(t testing.TB, w *billingtest.World, postings ...ledger.Posting) {
	t.Helper()
	err := tenancy.InTx(w.System, w.DB, func(ctx context.Context, tx bun.Tx) error { return ledger.Post(ctx, tx, postings...) })
	if err != nil {
		t.Fatal(err)
	}
}

// billed is the posting of an invoice that has no row.
func billed(cause string, customer uuid.UUID, minor int64) ledger.Posting {
	return ledger.Posting{Cause: cause, Kind: ledger.KindInvoiceFinalized, CustomerID: customer,
		Entries: []ledger.Entry{{Account: ledger.Receivable(customer, "USD"), AmountMinor: minor}, {Account: ledger.Revenue("USD"), AmountMinor: -minor}}}
}

// rows gives some fields of a list of objects as lines of text.
func rows(a testkit.Answer, list string, fields ...string) []string {
	out := []string{}
	for i := range a.List(list) {
		line := ""
		for _, f := range fields {
			line += fmt.Sprint(a.At(fmt.Sprintf("%s.%d.%s", list, i, f)), " ")
		}
		out = append(out, line[:len(line)-1])
	}
	return out
}

func TestStatement(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	before := w.OpenInvoice("100.00")
	between := time.Now().UTC()
	inv := w.OpenInvoice("40.00")
	paid := w.Submit(inv.ID)
	w.Approve(paid.ID, w.Approver, func(in *payments.ApproveInput) {
		in.Received = func(cur money.Currency) (*money.Money, error) { m := money.New(4550, cur); return &m, nil }
	})
	w.SettleAll()
	post(t, w, ledger.Posting{Cause: "credits", Kind: ledger.KindCreditsGranted, CustomerID: w.Account.ID,
		Entries: []ledger.Entry{{Account: ledger.CreditsIssued(), AmountMinor: 30}, {Account: ledger.Credits(w.Account.ID), AmountMinor: -30}}})
	from := "from=" + url.QueryEscape(web.Time(between))

	t.Run("opens, moves and closes", func(t *testing.T) {
		t.Parallel()
		a := w.As(w.Member).Get(path(w.Account.ID, from)).Expect(http.StatusOK)
		want := []string{"USD 100.00 40.00 45.50 94.50", "credit 0 0 30 30"}
		if diff := cmp.Diff(want, rows(a, "data.sections", "currency", "opening_balance", "debit", "credit", "closing_balance")); diff != "" {
			t.Error(diff)
		}
		want = []string{
			"receivable invoice_finalized Invoice finalised " + inv.Number + " " + inv.ID.String() + " <nil> 40.00 0.00 40.00 140.00",
			"receivable payment_settled Payment settled " + inv.Number + " " + inv.ID.String() + " " + paid.ID.String() + " 0.00 40.00 -40.00 100.00",
			"customer_credit payment_settled Payment settled " + inv.Number + " " + inv.ID.String() + " " + paid.ID.String() + " 0.00 5.50 -5.50 94.50",
			"credits credits_granted Credits granted <nil> <nil> <nil> 0 30 30 30",
		}
		got := rows(a, "data.movements", "code", "kind", "description", "invoice_number", "invoice_id", "payment_id", "debit", "credit", "change", "balance")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if a.Text("data.timezone") != "Asia/Dhaka" || a.Text("data.account_id") != w.Account.ID.String() || a.Text("data.from") != web.Time(between.Truncate(time.Microsecond)) || a.At("data.next") != nil {
			t.Errorf("the head is wrong: %s", a.Raw)
		}
		want = []string{"customer_credit 0.00 -5.50", "receivable 100.00 100.00"}
		if diff := cmp.Diff(want, rows(a, "data.sections.0.accounts", "code", "opening_balance", "closing_balance")); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("speaks the reader's language", func(t *testing.T) {
		t.Parallel()
		a := w.As(w.Member).With("Accept-Language", "ru").Get(path(w.Account.ID, from)).Expect(http.StatusOK)
		if got := a.Text("data.movements.0.description"); got == "Invoice finalised" || got == "" {
			t.Errorf("the description is %q", got)
		}
	})

	t.Run("is narrowed to a currency", func(t *testing.T) {
		t.Parallel()
		a := w.As(w.Viewer).Get(path(w.Account.ID, from+"&currency=credit")).Expect(http.StatusOK)
		if len(a.List("data.sections")) != 1 || len(a.List("data.movements")) != 1 {
			t.Errorf("credits alone: %s", a.Raw)
		}
		if a := w.As(w.Viewer).Get(path(w.Account.ID, from+"&currency=EUR")).Expect(http.StatusOK); len(a.List("data.sections")) != 0 || len(a.List("data.movements")) != 0 {
			t.Errorf("a currency without movements: %s", a.Raw)
		}
	})

	t.Run("of an account without movements is nothing in its currency", func(t *testing.T) {
		t.Parallel()
		a := w.As(w.OtherMember).Get(path(w.Other.ID, "")).Expect(http.StatusOK)
		if diff := cmp.Diff([]string{"USD 0.00 0.00"}, rows(a, "data.sections", "currency", "opening_balance", "closing_balance")); diff != "" || len(a.List("data.movements")) != 0 {
			t.Error(diff, string(a.Raw))
		}
	})

	t.Run("is for staff and the account's own people", func(t *testing.T) {
		t.Parallel()
		w.As(w.OtherMember).Get(path(w.Account.ID, "")).Refused(http.StatusNotFound, "not_found")
		w.Anonymous().Get(path(w.Account.ID, "")).Refused(http.StatusUnauthorized, "authentication_required")
		n := billingtest.New(t)
		n.As(n.Owner).Get(path(w.Account.ID, "")).Refused(http.StatusNotFound, "not_found")
		w.As(w.Viewer).Get(path(uuid.New(), "")).Refused(http.StatusNotFound, "not_found")
	})

	t.Run("asks the database twice", func(t *testing.T) {
		t.Parallel()
		ctx, n := testkit.Count(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, path(w.Account.ID, from), nil)
		if err != nil {
			t.Fatal(err)
		}
		client := w.As(w.Viewer)
		client.Do(r).Expect(http.StatusOK)
		if n.Load() != 1+2 { // the first asks who asks
			t.Errorf("%d round trips, want 3", n.Load())
		}
	})

	t.Run("refuses a period that ends before it begins, and what is no time", func(t *testing.T) {
		t.Parallel()
		w.As(w.Viewer).Get(path(before.AccountID, "from=2026-02-01&to=2026-01-31")).Refused(http.StatusBadRequest, "validation_failed")
		w.As(w.Viewer).Get(path(before.AccountID, "from=2026-02-01&to=2026-02-01")).Expect(http.StatusOK)
		for _, query := range []string{"from=yesterday", "to=2026-02-30", "from=infinity", "to=1899-12-31", "cursor=x", "page_size=0", "page_size=101", "since=2026-01-01"} {
			w.As(w.Viewer).Get(path(before.AccountID, query)).Refused(http.StatusBadRequest, "validation_failed")
		}
	})
}

// TestDays shows that a day is the tenant's: it begins at midnight in Dhaka, and the last one counts whole.
func TestDays(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	dhaka := w.Tenant.Location()
	for i, at := range []time.Time{
		time.Date(2026, 3, 31, 23, 59, 59, 999_999_000, dhaka), time.Date(2026, 4, 1, 0, 0, 0, 0, dhaka),
		time.Date(2026, 4, 30, 23, 59, 59, 999_999_000, dhaka), time.Date(2026, 5, 1, 0, 0, 0, 0, dhaka),
	} {
		cause := fmt.Sprint("c", i)
		post(t, w, billed(cause, w.Account.ID, 1<<i))
		backdate(w, cause, at)
	}
	for query, want := range map[string]string{
		"from=2026-04-01&to=2026-04-30":           "1 7",
		"to=2026-04-30":                           "1 7",
		"to=2026-04-15":                           "1 3",
		"from=2026-03-31&to=2026-03-31":           "0 1",
		"from=2026-05-01":                         "7 15",
		"from=2026-04-01&to=2026-04-30T18:00:00Z": "1 15",
		"from=2026-03-31T18:00:00Z&to=2026-04-30T17:59:59.999999Z":      "1 7",
		"from=2026-04-01T00:00:00%2B06:00&to=2026-05-01T00:00:00-01:00": "1 15",
	} {
		a := w.As(w.Member).Get(path(w.Account.ID, query)).Expect(http.StatusOK)
		if got := rows(a, "data.sections", "opening_balance_minor", "closing_balance_minor"); len(got) != 1 || got[0] != want {
			t.Errorf("%s gives %v, want %s", query, got, want)
		}
	}
	a := w.As(w.Member).Get(path(w.Account.ID, "from=2026-04-01&to=2026-04-30")).Expect(http.StatusOK)
	if diff := cmp.Diff([]string{"2026-04-01 2026-03-31T18:00:00.000000Z", "2026-04-30 2026-04-30T17:59:59.999999Z"}, rows(a, "data.movements", "date", "at")); diff != "" {
		t.Error(diff)
	}
}

// backdate lets a posting have happened at another time, as nobody can but a superuser.
func backdate(w *billingtest.World, cause string, at time.Time) {
	for _, query := range []string{
		"UPDATE ledger_entries SET created_at = ?1 WHERE tenant_id = ?0 AND transaction_id = (SELECT t.id FROM ledger_transactions t WHERE t.tenant_id = ?0 AND t.cause = ?2)",
		"UPDATE ledger_transactions SET created_at = ?1 WHERE tenant_id = ?0 AND cause = ?2",
	} {
		w.Tamper(query, at, cause)
	}
}

// TestStatementAddsUp takes random movements at random times and random periods: opening balance and movements are the
// closing balance, both are what the ledger gives for these times, and pages show every movement once.
func TestStatementAddsUp(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	staff := w.As(w.Owner)
	start := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(r *rapid.T) {
		customer := w.NewAccount(accountInput()).ID
		for i, hour := range rapid.SliceOfN(rapid.IntRange(0, 100), 0, 12).Draw(r, "hours") {
			minor := rapid.Int64Range(1, 1_000_000).Draw(r, "minor")
			p := billed(uuid.NewString(), customer, minor)
			switch rapid.IntRange(0, 3).Draw(r, "what") {
			case 1: // paid, and too much
				p.Entries = []ledger.Entry{{Account: ledger.Clearing("bank_transfer", "USD"), AmountMinor: 2 * minor}, {Account: ledger.Receivable(customer, "USD"), AmountMinor: -minor},
					{Account: ledger.CustomerCredit(customer, "USD"), AmountMinor: -minor}}
			case 2: // in another currency
				p.Entries = []ledger.Entry{{Account: ledger.Receivable(customer, "JPY"), AmountMinor: minor}, {Account: ledger.Revenue("JPY"), AmountMinor: -minor}}
			case 3: // credit given back for what it had paid
				p.Entries = []ledger.Entry{{Account: ledger.Receivable(customer, "USD"), AmountMinor: minor}, {Account: ledger.CustomerCredit(customer, "USD"), AmountMinor: -minor}}
			}
			post(t, w, p)
			backdate(w, p.Cause, start.Add(time.Duration(hour)*time.Hour+time.Duration(i)*time.Microsecond))
		}
		from := start.Add(time.Duration(rapid.IntRange(-1, 100).Draw(r, "from")) * time.Hour)
		to := from.Add(time.Duration(rapid.IntRange(0, 100).Draw(r, "length")) * time.Hour)
		next := path(customer, "page_size=3&from="+url.QueryEscape(web.Time(from))+"&to="+url.QueryEscape(web.Time(to)))
		running, seen := map[string]int64{}, map[string]bool{}
		var last testkit.Answer
		for first := true; next != ""; first = false {
			last = staff.Get(next).Expect(http.StatusOK)
			for i := range last.List("data.sections") {
				at := func(f string) string { return fmt.Sprintf("data.sections.%d.%s", i, f) }
				currency, opening := last.Text(at("currency")), last.Int(at("opening_balance_minor"))
				if first {
					running[currency] = opening
				}
				if got := opening + last.Int(at("debit_minor")) - last.Int(at("credit_minor")); got != last.Int(at("closing_balance_minor")) {
					r.Fatalf("%s: opening and sums are %d: %s", currency, got, last.Raw)
				}
			}
			for i := range last.List("data.movements") {
				at := func(f string) string { return fmt.Sprintf("data.movements.%d.%s", i, f) }
				currency := last.Text(at("currency"))
				running[currency] += last.Int(at("change_minor"))
				if id := last.Text(at("id")); seen[id] || running[currency] != last.Int(at("balance_minor")) {
					r.Fatalf("movement %s: shown before %v, balance should be %d: %s", id, seen[id], running[currency], last.Raw)
				}
				seen[last.Text(at("id"))] = true
			}
			next, _ = last.At("data.next").(string)
		}
		for i := range last.List("data.sections") {
			at := func(f string) string { return fmt.Sprintf("data.sections.%d.%s", i, f) }
			if currency := last.Text(at("currency")); running[currency] != last.Int(at("closing_balance_minor")) {
				r.Fatalf("%s: opening and movements are %d: %s", currency, running[currency], last.Raw)
			}
			for j := range last.List(at("accounts")) {
				id := last.Text(at(fmt.Sprintf("accounts.%d.ledger_account_id", j)))
				for edge, asOf := range map[string]time.Time{"opening": from.Add(-time.Microsecond), "closing": to} {
					got := staff.Get(billingtest.Base + "/billing/ledger/accounts/" + id + "/balance/?as_of=" + url.QueryEscape(web.Time(asOf))).Expect(http.StatusOK).Int("data.balance_minor")
					if want := last.Int(at(fmt.Sprintf("accounts.%d.%s_balance_minor", j, edge))); got != want {
						r.Fatalf("%s balance of %s is %d, the ledger says %d", edge, id, want, got)
					}
				}
			}
		}
	})
}

// TestPlan asks PostgreSQL how it reads the statement of one customer among many.
func TestPlan(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	var customers []uuid.UUID
	for range 20 {
		customers = append(customers, w.NewAccount(accountInput()).ID)
	}
	for n := range 20 {
		postings := make([]ledger.Posting, 1000)
		for i := range postings {
			postings[i] = billed(fmt.Sprint(n, "-", i), customers[i%len(customers)], 1)
		}
		post(t, w, postings...)
	}
	for _, table := range []string{"ledger_entries", "ledger_transactions", "ledger_accounts", "invoices"} {
		if _, err := testkit.OwnerDB(t).ExecContext(t.Context(), "ANALYZE ?", bun.Ident(table)); err != nil {
			t.Fatal(err)
		}
	}
	assertNoScan(t, w, customers[3])
}
