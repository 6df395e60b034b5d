package ledger_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/uuid"

	"countersign/billing/ledger"
	"countersign/internal/auth"
	"countersign/internal/testkit"
)

// during gives the book for one input of a fuzz test, whose lifetime is shorter than the book's.
func (b *book) during(t *testing.T) *testkit.Client {
	book := *b
	book.t = t
	return book.client(auth.RoleFinance, uuid.Nil)
}

// wellAnswered fails for what no input may cause: an internal error, or a refusal without a code.
func wellAnswered(t *testing.T, a testkit.Answer, input string) {
	t.Helper()
	if a.Status >= 500 || a.Status >= 400 && a.Text("code") == "" {
		t.Errorf("%d for %q: %s", a.Status, input, a.Raw)
	}
}

// FuzzAsOf asks for balances at any time: one that is refused, or one at which the books are balanced.
func FuzzAsOf(f *testing.F) {
	b := newBook(f)
	b.mustPost(move("c", ledger.Bank("USD"), ledger.Revenue("USD"), 100))
	bank := ledger.Bank("USD").ID(b.ctx).String()
	for _, at := range []string{"", "2026-01-31", "2026-01-31T12:00:00Z", "2120-01-01T00:00:00.123456789+05:30", "0000-01-01", "1900-01-01", "9999-12-31T23:59:59-23:59", "infinity", "now", "\x00", "\xff"} {
		f.Add(at)
	}
	f.Fuzz(func(t *testing.T, at string) {
		c, query := b.during(t), "?"+url.Values{"as_of": {at}}.Encode()
		trial := c.Get("/billing/ledger/trial-balance/" + query)
		wellAnswered(t, trial, at)
		balance := c.Get("/billing/ledger/accounts/" + bank + "/balance/" + query)
		wellAnswered(t, balance, at)
		if balance.Status != trial.Status {
			t.Fatalf("%q is %d for a balance and %d for the trial balance", at, balance.Status, trial.Status)
		}
		if trial.Status != http.StatusOK {
			return
		}
		if trial.At("data.balanced") != true || balance.At("data.as_of") != trial.At("data.as_of") {
			t.Errorf("at %q: %s %s", at, trial.Raw, balance.Raw)
		}
		if got := balance.Int("data.balance_minor"); got != 0 && got != 100 {
			t.Errorf("at %q the balance is %d", at, got)
		}
	})
}

// FuzzLists sends any value for any parameter of the two lists.
func FuzzLists(f *testing.F) {
	b := newBook(f)
	b.mustPost(move("c", ledger.Bank("USD"), ledger.Revenue("USD"), 100))
	entry := b.transactionOf("c").ID.String() + ":1"
	for _, name := range []string{"code", "owner", "currency", "class", "payment_id", "invoice_id", "account", "created_after", "created_before", "ordering", "page", "page_size", "cursor", "x"} {
		for _, value := range []string{"", "asset", "USD", entry, entry[:37], entry[:36] + ":-32768", entry[:36] + ":99999", uuid.Nil.String(), "2026-01-31", "0000-01-01", "created_at", "1", "-1", "\x00", "\xff", "0x1:1"} {
			f.Add(name, value)
		}
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		c, query := b.during(t), "?"+url.Values{name: {value}}.Encode()
		for _, list := range []string{"accounts/", "entries/"} {
			a := c.Get("/billing/ledger/" + list + query)
			wellAnswered(t, a, fmt.Sprint(list, query))
		}
	})
}
