package credits_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts/accountstest"
	"countersign/billing/credits"
	"countersign/billing/ledger"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// client calls the routes as somebody with a role; account makes him a member.
func client(t *testing.T, tenant uuid.UUID, role string, account uuid.UUID) *testkit.Client {
	p := auth.Principal{Kind: auth.KindUser, UserID: uuid.Must(uuid.NewV7()), TenantID: tenant, AccountID: account, Permissions: auth.PermissionsOf(role), Label: role + "@x.test"}
	r := web.NewRouter()
	r.Use(web.RequestID(nil), func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(tenancy.Enter(r.Context(), p)))
		})
	})
	web.Mount(r, credits.App(testkit.DB(t)).URLs)
	return testkit.NewClient(t, r)
}

func post(t *testing.T, ctx context.Context, postings ...ledger.Posting) {
	t.Helper()
	err := tenancy.InTx(ctx, testkit.DB(t), func(ctx context.Context, tx bun.Tx) error { return ledger.Post(ctx, tx, postings...) })
	if err != nil {
		t.Fatal(err)
	}
}

func TestCredits(t *testing.T) {
	t.Parallel()
	tenant, neighbour := accountstest.NewTenant(t), accountstest.NewTenant(t)
	mine, other := tenant.NewAccount(t, "Mine"), tenant.NewAccount(t, "Other")
	invoice, payment := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	post(t, tenant.System,
		ledger.Posting{Cause: "1", Kind: ledger.KindCreditsGranted, CustomerID: mine.ID, InvoiceID: invoice,
			Entries: []ledger.Entry{{Account: ledger.CreditsIssued(), AmountMinor: 500}, {Account: ledger.Credits(mine.ID), AmountMinor: -500}}},
		ledger.Posting{Cause: "2", Kind: ledger.KindCreditsUsed, CustomerID: mine.ID,
			Entries: []ledger.Entry{{Account: ledger.Credits(mine.ID), AmountMinor: 20}, {Account: ledger.CreditsIssued(), AmountMinor: -20}}},
		ledger.Posting{Cause: "3", Kind: ledger.KindPaymentSettled, CustomerID: mine.ID, InvoiceID: invoice, PaymentID: payment,
			Entries: []ledger.Entry{{Account: ledger.Clearing("bank_transfer", "USD"), AmountMinor: 92550}, {Account: ledger.Receivable(mine.ID, "USD"), AmountMinor: -92000},
				{Account: ledger.CustomerCredit(mine.ID, "USD"), AmountMinor: -550}}},
		ledger.Posting{Cause: "4", Kind: ledger.KindSubscriptionCreditsGranted, CustomerID: other.ID,
			Entries: []ledger.Entry{{Account: ledger.CreditsIssued(), AmountMinor: 7}, {Account: ledger.Credits(other.ID), AmountMinor: -7}}})

	member := client(t, tenant.ID, auth.RoleMember, mine.ID)
	staff := client(t, tenant.ID, auth.RoleViewer, uuid.Nil)

	t.Run("show a member his own balance and staff the one they name", func(t *testing.T) {
		want := map[string]any{"credits": "480", "money": []any{map[string]any{"currency": "USD", "amount": "5.50", "amount_minor": "550"}}}
		for _, a := range []testkit.Answer{member.Get("/billing/credits/balance/"), member.Get("/billing/credits/balance/?account=" + mine.ID.String()),
			staff.Get("/billing/credits/balance/?account=" + mine.ID.String())} {
			a.Expect(http.StatusOK)
			if diff := cmp.Diff(fmt.Sprint(want), fmt.Sprint(a.At("data"))); diff != "" {
				t.Error(diff)
			}
		}
		empty := client(t, tenant.ID, auth.RoleMember, tenant.NewAccount(t, "New").ID).Get("/billing/credits/balance/").Expect(http.StatusOK)
		if empty.Int("data.credits") != 0 || len(empty.List("data.money")) != 0 {
			t.Errorf("a new account has %s", empty.Raw)
		}
	})

	t.Run("show where an account stands: what it owes and what it is owed", func(t *testing.T) {
		path := "/billing/accounts/" + mine.ID.String() + "/balance/"
		for _, c := range []*testkit.Client{member, staff} {
			a := c.Get(path).Expect(http.StatusOK)
			if a.Int("data.due.0.amount_minor") != -92000 || a.Int("data.credit.0.amount_minor") != 550 || a.Int("data.credits") != 480 {
				t.Errorf("the account stands at %s", a.Raw)
			}
			later := c.Get(path + "?as_of=2120-01-01").Expect(http.StatusOK)
			for _, part := range []string{"due", "credit", "credits"} {
				if fmt.Sprint(later.At("data."+part)) != fmt.Sprint(a.At("data."+part)) {
					t.Errorf("as of a time to come it stands at %s", later.Raw)
				}
			}
			if past := c.Get(path + "?as_of=2020-01-01").Expect(http.StatusOK); past.Int("data.due.0.amount_minor") != 0 || past.Int("data.credits") != 0 || past.Text("data.as_of") != "2020-01-01T00:00:00.000000Z" {
				t.Errorf("before anything happened it stood at %s", past.Raw)
			}
		}
		member.Get(path+"?as_of=yesterday").Refused(http.StatusBadRequest, "validation_failed")
		client(t, tenant.ID, auth.RoleMember, other.ID).Get(path).Refused(http.StatusNotFound, "not_found")
		client(t, neighbour.ID, auth.RoleOwner, uuid.Nil).Get(path).Refused(http.StatusNotFound, "not_found")
	})

	t.Run("list what changed them, newest first, positive when the customer gained", func(t *testing.T) {
		a := member.Get("/billing/credits/transactions/").Expect(http.StatusOK)
		var got []string
		for i := range a.List("results") {
			at := func(field string) any { return a.At(fmt.Sprintf("results.%d.%s", i, field)) }
			got = append(got, fmt.Sprint(at("type"), " ", at("amount"), " ", at("amount_minor"), " ", at("currency"), " ", at("reference_id")))
		}
		want := []string{"adjustment 5.50 550 USD " + payment.String(), "deduction -20 -20 credit <nil>", "purchase 500 500 credit " + invoice.String()}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if got := len(staff.Get("/billing/credits/transactions/?currency=credit&account=" + mine.ID.String()).Expect(http.StatusOK).List("results")); got != 2 {
			t.Errorf("%d transactions in credits, want 2", got)
		}
		his := staff.Get("/billing/credits/transactions/?account=" + other.ID.String()).Expect(http.StatusOK)
		if len(his.List("results")) != 1 || his.Text("results.0.type") != "subscription" {
			t.Errorf("the other account has %s", his.Raw)
		}
		first := member.Get("/billing/credits/transactions/?page_size=2&cursor=").Expect(http.StatusOK)
		if rest := member.Get(first.Text("next")).Expect(http.StatusOK); len(rest.List("results")) != 1 || rest.At("next") != nil {
			t.Errorf("the second page is %s", rest.Raw)
		}
	})

	t.Run("hide other accounts and other tenants", func(t *testing.T) {
		for _, path := range []string{"/billing/credits/balance/", "/billing/credits/transactions/"} {
			member.Get(path+"?account="+other.ID.String()).Refused(http.StatusNotFound, "not_found")
			client(t, neighbour.ID, auth.RoleOwner, uuid.Nil).Get(path+"?account="+mine.ID.String()).Refused(http.StatusNotFound, "not_found")
			staff.Get(path).Refused(http.StatusBadRequest, "validation_failed")
			client(t, tenant.ID, "", uuid.Nil).Get(path).Refused(http.StatusForbidden, "permission_denied")
		}
	})
}
