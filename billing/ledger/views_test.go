package ledger_test

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

	"countersign/billing/ledger"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

// client calls the ledger's routes as somebody with a role and perhaps more permissions; account makes him a member.
func (b *book) client(role string, account uuid.UUID, permissions ...string) *testkit.Client {
	p := auth.Principal{Kind: auth.KindUser, UserID: uuid.Must(uuid.NewV7()), TenantID: b.tenant, AccountID: account, Permissions: append(auth.PermissionsOf(role), permissions...), Label: role + "@x.test"}
	r := web.NewRouter()
	r.Use(web.RequestID(nil), func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(tenancy.Enter(r.Context(), p)))
		})
	})
	web.Mount(r, ledger.App(b.db, nil).URLs)
	return testkit.NewClient(b.t, r)
}

// follow reads a list to its end and gives one field of every row.
func follow(c *testkit.Client, path, field string) (values []string, pages int) {
	for path != "" {
		a := c.Get(path).Expect(http.StatusOK)
		pages++
		for i := range a.List("results") {
			values = append(values, a.Text(fmt.Sprintf("results.%d.%s", i, field)))
		}
		path, _ = a.At("next").(string)
	}
	return values, pages
}

func TestLedgerViews(t *testing.T) {
	t.Parallel()
	b, neighbour := newBook(t), newBook(t)
	finance := b.client(auth.RoleFinance, uuid.Nil)
	customer := b.customer()
	invoice := uuid.Must(uuid.NewV7())
	b.mustPost(ledger.Posting{Cause: "invoice:1:finalize", Kind: ledger.KindInvoiceFinalized, CustomerID: customer, InvoiceID: invoice, Entries: []ledger.Entry{
		{Account: ledger.Receivable(customer, "USD"), AmountMinor: 92000}, {Account: ledger.Revenue("USD"), AmountMinor: -80000}, {Account: ledger.TaxPayable("USD"), AmountMinor: -12000}}})
	between := b.transactionOf("invoice:1:finalize").CreatedAt
	paid := payment(customer, 50000)
	b.mustPost(paid, move("yen", ledger.Cash("JPY"), ledger.Revenue("JPY"), 920), move("invoice:1:credits", ledger.CreditsIssued(), ledger.Credits(customer), 500))
	receivable := ledger.Receivable(customer, "USD").ID(b.ctx)

	t.Run("list the chart with balances in the digits of each currency", func(t *testing.T) {
		a := finance.Get("/billing/ledger/accounts/").Expect(http.StatusOK)
		got := map[string]string{}
		for i := range a.List("results") {
			at := func(field string) string { return a.Text(fmt.Sprintf("results.%d.%s", i, field)) }
			got[at("code")+" "+at("currency")+" "+at("class")] = at("balance")
		}
		want := map[string]string{"receivable USD asset": "420.00", "revenue USD income": "-800.00", "tax_payable USD liability": "-120.00", "clearing USD asset": "500.00",
			"cash JPY asset": "920", "revenue JPY income": "-920", "credits_issued credit unit": "500", "credits credit unit": "-500"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if then := finance.Get("/billing/ledger/accounts/?code=receivable&as_of=" + url.QueryEscape(web.Time(between))).Expect(http.StatusOK); then.Text("results.0.balance") != "920.00" {
			t.Errorf("the chart of the past is %s", then.Raw)
		}
		finance.Get("/billing/ledger/accounts/?as_of=yesterday").Refused(http.StatusBadRequest, "validation_failed")
		if a.Int("count") != 8 {
			t.Errorf("count is %d", a.Int("count"))
		}
		one := finance.Get("/billing/ledger/accounts/?code=receivable&class=ASSET&owner=" + customer.String()).Expect(http.StatusOK)
		if len(one.List("results")) != 1 || one.Text("results.0.id") != receivable.String() || one.Text("results.0.account_id") != customer.String() {
			t.Errorf("the filters give %s", one.Raw)
		}
	})

	t.Run("give a balance now and at a time", func(t *testing.T) {
		path := "/billing/ledger/accounts/" + receivable.String() + "/"
		for query, want := range map[string]int64{"": 42000, "?as_of=" + url.QueryEscape(web.Time(between)): 92000, "?as_of=2020-01-01": 0, "?as_of=2120-01-01": 42000} {
			if got := finance.Get(path + "balance/" + query).Expect(http.StatusOK).Int("data.balance_minor"); got != want {
				t.Errorf("balance%s is %d, want %d", query, got, want)
			}
		}
		if got := finance.Get(path).Expect(http.StatusOK).Text("data.balance"); got != "420.00" {
			t.Errorf("the account's balance is %s", got)
		}
		for _, asOf := range []string{"yesterday", "0000-01-01", "1899-12-31T23:59:59Z", "2026-02-30", "2026-01-31T12:00:00", "10000-01-01", "-1", "%00", "infinity", "now()"} {
			for _, at := range []string{path + "balance/", "/billing/ledger/trial-balance/"} {
				a := finance.Get(at+"?as_of="+asOf).Refused(http.StatusBadRequest, "validation_failed")
				if _, ok := a.At("errors").(map[string]any)["as_of"]; !ok {
					t.Errorf("as_of is not blamed: %s", a.Raw)
				}
			}
		}
		finance.Get("/billing/ledger/accounts/"+uuid.NewString()+"/").Refused(http.StatusNotFound, "not_found")
		finance.Get("/billing/ledger/accounts/x/balance/").Refused(http.StatusNotFound, "not_found")
	})

	t.Run("show entries by side", func(t *testing.T) {
		a := finance.Get("/billing/ledger/entries/?payment_id=" + paid.PaymentID.String()).Expect(http.StatusOK)
		posted := b.transactionOf(paid.Cause)
		want := []any{}
		for _, e := range []struct {
			line                        int
			account                     ledger.Ref
			code, owner, direction, own string
		}{{2, ledger.Receivable(customer, "USD"), "receivable", customer.String(), "credit", ""}, {1, ledger.Clearing("bank_transfer", "USD"), "clearing", "bank_transfer", "debit", ""}} {
			want = append(want, map[string]any{"id": fmt.Sprintf("%s:%d", posted.ID, e.line), "transaction_id": posted.ID.String(), "cause": paid.Cause, "kind": "payment_settled",
				"ledger_account_id": e.account.ID(b.ctx).String(), "account_code": e.code, "account_owner": e.owner, "direction": e.direction, "amount": "500.00",
				"amount_minor": "50000", "currency": "USD", "payment_id": paid.PaymentID.String(), "invoice_id": nil, "created_at": web.Time(posted.CreatedAt)})
		}
		got := a.List("results")
		for _, row := range got {
			row.(map[string]any)["amount_minor"] = fmt.Sprint(row.(map[string]any)["amount_minor"])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("filter entries", func(t *testing.T) {
		after := url.QueryEscape(web.Time(between.Add(time.Microsecond)))
		for query, want := range map[string]int{"": 9, "?invoice_id=" + invoice.String(): 3, "?account=" + receivable.String(): 2, "?account=" + customer.String(): 3,
			"?account=" + uuid.NewString(): 0, "?created_after=" + after: 6, "?created_before=" + after: 3, "?created_before=2020-01-01": 0, "?created_after=2020-01-01": 9,
			"?account=" + receivable.String() + "&payment_id=" + paid.PaymentID.String(): 1} {
			if got := len(finance.Get("/billing/ledger/entries/" + query).Expect(http.StatusOK).List("results")); got != want {
				t.Errorf("entries/%s gives %d, want %d", query, got, want)
			}
		}
		finance.Get("/billing/ledger/entries/?paymentid=x").Refused(http.StatusBadRequest, "validation_failed")
		finance.Get("/billing/ledger/entries/?cursor=x").Refused(http.StatusBadRequest, "validation_failed")
	})

	t.Run("sum the books to zero", func(t *testing.T) {
		a := finance.Get("/billing/ledger/trial-balance/").Expect(http.StatusOK)
		if a.At("data.balanced") != true || len(a.List("data.totals")) != 3 {
			t.Errorf("the trial balance is %s", a.Raw)
		}
		for i, want := range []string{"920", "1420.00", "500"} {
			at := func(field string) string { return a.Text(fmt.Sprintf("data.totals.%d.%s", i, field)) }
			if at("debit") != want || at("credit") != want || a.Int(fmt.Sprintf("data.totals.%d.sum_minor", i)) != 0 {
				t.Errorf("%s: debit %s, credit %s, want both %s", at("currency"), at("debit"), at("credit"), want)
			}
		}
		then := finance.Get("/billing/ledger/trial-balance/?as_of=" + url.QueryEscape(web.Time(between))).Expect(http.StatusOK)
		if len(then.List("data.rows")) != 3 || then.Text("data.totals.0.debit") != "920.00" {
			t.Errorf("the trial balance of the past is %s", then.Raw)
		}
	})

	t.Run("rebuild for those who reconcile", func(t *testing.T) {
		b.client(auth.RoleCashier, uuid.Nil).Post("/billing/ledger/rebuild/", "").Refused(http.StatusForbidden, "permission_denied")
		b.client(auth.RoleMember, customer).Post("/billing/ledger/rebuild/", "").Refused(http.StatusForbidden, "permission_denied")
		b.client("", uuid.Nil, auth.BillingReconcile).Post("/billing/ledger/rebuild/", "").Refused(http.StatusForbidden, "permission_denied")
		tamper(t, "UPDATE ledger_balances SET amount_minor = 0 WHERE tenant_id = ? AND ledger_account_id = ?", b.tenant, receivable)
		first := finance.With("Idempotency-Key", "once").Post("/billing/ledger/rebuild/", "").Expect(http.StatusOK)
		want := map[string]any{"ledger_account_id": receivable.String(), "code": "receivable", "owner": customer.String(), "account_id": customer.String(), "currency": "USD",
			"before": "0.00", "before_minor": "0", "after": "420.00", "after_minor": "42000", "difference": "420.00", "difference_minor": "42000"}
		if diff := cmp.Diff(fmt.Sprint([]any{want}), fmt.Sprint(first.At("data.drifts"))); diff != "" || first.Int("data.checked") != 2 {
			t.Error(diff, string(first.Raw))
		}
		again := finance.With("Idempotency-Key", "once").Post("/billing/ledger/rebuild/", "").Expect(http.StatusOK)
		if again.Header.Get("Idempotent-Replayed") != "true" || fmt.Sprint(again.At("data")) != fmt.Sprint(first.At("data")) {
			t.Errorf("the repetition answers %s", again.Raw)
		}
		if anew := finance.Post("/billing/ledger/rebuild/", "").Expect(http.StatusOK); len(anew.List("data.drifts")) != 0 || anew.Header.Get("Idempotent-Replayed") != "" {
			t.Errorf("what was wrong is wrong again: %s", anew.Raw)
		}
	})

	t.Run("are closed to members and to roles without the permission", func(t *testing.T) {
		for _, path := range []string{"accounts/", "accounts/" + receivable.String() + "/", "accounts/" + receivable.String() + "/balance/", "entries/", "trial-balance/"} {
			b.client(auth.RoleViewer, uuid.Nil).Get("/billing/ledger/"+path).Refused(http.StatusForbidden, "permission_denied")
			b.client(auth.RoleMember, customer).Get("/billing/ledger/"+path).Refused(http.StatusForbidden, "permission_denied")
		}
	})

	t.Run("show a neighbour nothing", func(t *testing.T) {
		other := neighbour.client(auth.RoleOwner, uuid.Nil)
		for _, path := range []string{"accounts/", "entries/", "entries/?account=" + receivable.String(), "entries/?payment_id=" + paid.PaymentID.String(), "entries/?account=" + customer.String()} {
			if a := other.Get("/billing/ledger/" + path).Expect(http.StatusOK); a.Int("count") != 0 || len(a.List("results")) != 0 {
				t.Errorf("%s shows %s", path, a.Raw)
			}
		}
		other.Get("/billing/ledger/accounts/"+receivable.String()+"/balance/").Refused(http.StatusNotFound, "not_found")
		if a := other.Get("/billing/ledger/trial-balance/").Expect(http.StatusOK); len(a.List("data.rows")) != 0 {
			t.Errorf("the trial balance shows %s", a.Raw)
		}
	})

	t.Run("let row-level security narrow a member to his own entries", func(t *testing.T) {
		other := b.customer()
		b.mustPost(payment(other, 700))
		count := func(account uuid.UUID) (n int) {
			ctx := b.as("member@x.test", auth.PermissionsOf(auth.RoleMember), account)
			if err := tenancy.Read(ctx, b.db, func(ctx context.Context, tx bun.Tx) error {
				return tx.NewRaw("SELECT count(*) FROM ledger_entries WHERE tenant_id = ?", b.tenant).Scan(ctx, &n)
			}); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if mine, his := count(customer), count(other); mine != 3 || his != 1 {
			t.Errorf("the members see %d and %d entries, want 3 and 1", mine, his)
		}
	})
}

func TestEntryPages(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	// groups of many lines, so that pages end within a group
	var postings []ledger.Posting
	for i := range 12 {
		p := ledger.Posting{Cause: fmt.Sprint("c", i), Kind: "test"}
		for _, ref := range []ledger.Ref{ledger.Cash("USD"), ledger.Bank("USD"), ledger.Fees("USD"), ledger.Suspense("USD"), ledger.Rounding("USD")} {
			p.Entries = append(p.Entries, ledger.Entry{Account: ref, AmountMinor: 10})
		}
		p.Entries = append(p.Entries, ledger.Entry{Account: ledger.Revenue("USD"), AmountMinor: -50})
		postings = append(postings, p)
	}
	b.mustPost(postings...)
	c := b.client(auth.RoleFinance, uuid.Nil)
	all, _ := follow(c, "/billing/ledger/entries/?page_size=100", "id")
	if len(all) != 72 {
		t.Fatalf("%d entries, want 72", len(all))
	}
	for _, path := range []string{"/billing/ledger/entries/?page_size=7", "/billing/ledger/entries/?page_size=7&cursor="} {
		got, pages := follow(c, path, "id")
		if diff := cmp.Diff(all, got); diff != "" || pages != 11 {
			t.Errorf("%s: %d pages that differ from the whole: %s", path, pages, diff)
		}
	}
	back, _ := follow(c, "/billing/ledger/entries/?page_size=7&ordering=created_at&cursor=", "id")
	for i := range back {
		if back[i] != all[len(all)-1-i] {
			t.Fatalf("the other way round differs at %d", i)
		}
	}
	filtered, _ := follow(c, "/billing/ledger/entries/?page_size=5&cursor=&account="+ledger.Cash("USD").ID(b.ctx).String(), "id")
	if len(filtered) != 12 {
		t.Errorf("%d entries of cash by cursor, want 12", len(filtered))
	}
}
