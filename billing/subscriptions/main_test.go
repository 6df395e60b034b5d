package subscriptions_test

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"countersign/accounts"
	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/paymentmethods"
	"countersign/billing/subscriptions"
	"countersign/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

const (
	base = billingtest.Base + "/billing/subscriptions/"
	// month is longer than any month, and less than two.
	month = 31*24*time.Hour + time.Hour
)

// monthly is a world with the sandbox, in which a program may be told that time has passed.
func monthly(t *testing.T) *billingtest.World {
	t.Helper()
	w := billingtest.NewInTestMode(t)
	w.EnableSandbox()
	return w
}

// card is a saved method of an account with a token of the sandbox's.
func card(t *testing.T, w *billingtest.World, account *accounts.Account, token string) uuid.UUID {
	t.Helper()
	saved, err := w.Methods.Save(w.Owner.Ctx, paymentmethods.SaveInput{Account: account.ID.String(), Method: "card", DisplayName: "A card", Details: paymentmethods.Details{"token": token, "gateway": "sandbox"}})
	if err != nil {
		t.Fatal(err)
	}
	return uuid.MustParse(saved.ID)
}

// hosting is 12.00 USD a month of the first customer's, from a card with a token.
func hosting(t *testing.T, w *billingtest.World, token string) subscriptions.CreateInput {
	t.Helper()
	return subscriptions.CreateInput{Account: w.Account.ID.String(), PaymentSource: card(t, w, w.Account, token),
		Line: invoices.LineInput{Description: "Hosting", Quantity: "1", UnitPrice: "12.00", Credits: 10}}
}

// subscribe makes a subscription from such a card.
func subscribe(t *testing.T, w *billingtest.World, token string) uuid.UUID {
	t.Helper()
	made, err := w.Subscriptions.Create(w.Owner.Ctx, hosting(t, w, token))
	if err != nil {
		t.Fatal(err)
	}
	return uuid.MustParse(made.ID)
}

// work does what the worker does when its doorbells ring.
func work(t *testing.T, w *billingtest.World) {
	t.Helper()
	for _, due := range []func(context.Context) error{w.Subscriptions.Renew, w.Subscriptions.Charge} {
		if err := due(w.System); err != nil {
			t.Fatal(err)
		}
	}
	w.SettleAll()
}

// billed gives the months of a subscription, the oldest first.
func billed(t *testing.T, w *billingtest.World, id uuid.UUID) []subscriptions.Month {
	t.Helper()
	var months []subscriptions.Month
	err := testkit.OwnerDB(t).NewSelect().Model(&months).Where("m.tenant_id = ?", w.Tenant.ID).Where("m.subscription_id = ?", id).OrderExpr("m.month").Scan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return months
}

// count runs a query over the tenant's rows, whose id it takes first.
func count(t *testing.T, w *billingtest.World, query string, args ...any) (n int) {
	t.Helper()
	if err := testkit.OwnerDB(t).NewRaw(query, append([]any{w.Tenant.ID}, args...)...).Scan(t.Context(), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// asked is how many payments the sandbox was asked to begin.
func asked(t *testing.T, w *billingtest.World) int {
	t.Helper()
	return count(t, w, "SELECT count(*) FROM sandbox_requests WHERE tenant_id = ? AND operation = 'begin'")
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// atOnce runs fn n times at once.
func atOnce(t *testing.T, n int, fn func(i int) error) {
	t.Helper()
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			if err := fn(i); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	all.Wait()
}
