package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/ledger"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

func TestPost(t *testing.T) {
	t.Parallel()

	t.Run("books an invoice and its payment", func(t *testing.T) {
		t.Parallel()
		b := newBook(t)
		customer, invoice := b.customer(), uuid.Must(uuid.NewV7())
		receivable := ledger.Receivable(customer, "USD")
		b.mustPost(ledger.Posting{Cause: "invoice:1:finalize", Kind: ledger.KindInvoiceFinalized, CustomerID: customer, InvoiceID: invoice, Entries: []ledger.Entry{
			{receivable, 10350}, {ledger.Discounts("USD"), 1000}, {ledger.Revenue("USD"), -10000}, {ledger.TaxPayable("USD"), -1350}}})
		if got := b.balance(receivable); got != 10350 {
			t.Errorf("after the invoice the customer owes %d, want 10350", got)
		}
		b.mustPost(payment(customer, 10350))
		for ref, want := range map[ledger.Ref]int64{receivable: 0, ledger.Discounts("USD"): 1000, ledger.Revenue("USD"): -10000,
			ledger.TaxPayable("USD"): -1350, ledger.Clearing("bank_transfer", "USD"): 10350} {
			if got := b.balance(ref); got != want {
				t.Errorf("%s is %d, want %d", ref, got, want)
			}
		}
		if got := b.transactionOf("invoice:1:finalize"); got.InvoiceID != invoice || got.CustomerID != customer || got.PostedBy != "owner@x.test" || got.Lines != 4 {
			t.Errorf("the header is %+v", got)
		}
	})

	t.Run("makes one line of an account's entries and none of nothing", func(t *testing.T) {
		t.Parallel()
		b := newBook(t)
		b.mustPost(ledger.Posting{Cause: "c", Kind: "test", Entries: []ledger.Entry{
			{ledger.Cash("USD"), 700}, {ledger.Fees("USD"), 0}, {ledger.Cash("USD"), 300}, {ledger.Suspense("USD"), 5}, {ledger.Suspense("USD"), -5}, {ledger.Revenue("USD"), -1000}}})
		got := map[string]int64{}
		for _, e := range b.transactionOf("c").Entries {
			got[e.Account.Code] = e.AmountMinor
		}
		if diff := cmp.Diff(map[string]int64{"cash": 1000, "revenue": -1000}, got); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("balances each currency by itself", func(t *testing.T) {
		t.Parallel()
		b := newBook(t)
		b.mustPost(ledger.Posting{Cause: "fx", Kind: "test", Entries: []ledger.Entry{
			{ledger.Bank("EUR"), 900}, {ledger.FX("EUR"), -900}, {ledger.FX("USD"), 1000}, {ledger.Bank("USD"), -1000}}})
		if b.balance(ledger.Bank("EUR")) != 900 || b.balance(ledger.Bank("USD")) != -1000 {
			t.Error("the currencies are mixed up")
		}
	})

	t.Run("counts service credits in units", func(t *testing.T) {
		t.Parallel()
		b := newBook(t)
		customer := b.customer()
		b.mustPost(move("invoice:1:credits", ledger.CreditsIssued(), ledger.Credits(customer), 500))
		if got := b.cached(ledger.Credits(customer)); got != -500 {
			t.Errorf("cached credits are %d, want -500", got)
		}
	})

	t.Run("caches customers' balances and no others", func(t *testing.T) {
		t.Parallel()
		b := newBook(t)
		customer := b.customer()
		b.mustPost(payment(customer, 100), payment(customer, 250))
		if got := b.cached(ledger.Receivable(customer, "USD")); got != -350 {
			t.Errorf("cached receivable is %d, want -350", got)
		}
		var rows int
		b.read(func(ctx context.Context, tx bun.Tx) error {
			return tx.NewRaw("SELECT count(*) FROM ledger_balances WHERE tenant_id = ?", b.tenant).Scan(ctx, &rows)
		})
		if rows != 1 {
			t.Errorf("%d balances are cached, want 1", rows)
		}
	})

	t.Run("does nothing for no postings", func(t *testing.T) {
		t.Parallel()
		newBook(t).mustPost()
	})

	t.Run("refuses what cannot be booked", func(t *testing.T) {
		t.Parallel()
		b := newBook(t)
		cash, revenue := ledger.Cash("USD"), ledger.Revenue("USD")
		good := move("twice", cash, revenue, 1)
		for _, tt := range []struct {
			name     string
			says     string
			postings []ledger.Posting
		}{
			{"no cause", "needs a cause", []ledger.Posting{move("", cash, revenue, 1)}},
			{"no kind", "needs a cause and a kind", []ledger.Posting{{Cause: "c", Entries: good.Entries}}},
			{"no entries", "moves nothing", []ledger.Posting{{Cause: "c", Kind: "test"}}},
			{"only zeros", "moves nothing", []ledger.Posting{move("c", cash, revenue, 0)}},
			{"one account on both sides", "moves nothing", []ledger.Posting{move("c", cash, cash, 5)}},
			{"one side", "does not balance", []ledger.Posting{{Cause: "c", Kind: "test", Entries: []ledger.Entry{{cash, 5}}}}},
			{"a cent too much", "USD entries sum to 1", []ledger.Posting{{Cause: "c", Kind: "test", Entries: []ledger.Entry{{cash, 501}, {revenue, -500}}}}},
			{"two currencies for one sum", "does not balance", []ledger.Posting{move("c", cash, ledger.Revenue("EUR"), 5)}},
			{"money for credits", "does not balance", []ledger.Posting{move("c", cash, ledger.CreditsIssued(), 5)}},
			{"a cause twice in one call", "two postings", []ledger.Posting{good, good}},
			{"an account made by nobody", "names no account", []ledger.Posting{move("c", ledger.Ref{}, revenue, 5)}},
			{"no currency", "no currency", []ledger.Posting{move("c", ledger.Cash(""), ledger.Revenue(""), 5)}},
			{"a receivable of nobody", "none is named", []ledger.Posting{move("c", ledger.Receivable(uuid.Nil, "USD"), revenue, 5)}},
			{"clearing of nothing", "needs an owner", []ledger.Posting{move("c", ledger.Clearing("", "USD"), revenue, 5)}},
			{"more than fits", "more", []ledger.Posting{{Cause: "c", Kind: "test", Entries: []ledger.Entry{{cash, math.MaxInt64}, {cash, 1}, {revenue, -1}}}}},
			{"more than fits over the batch", "more", []ledger.Posting{move("c1", cash, revenue, math.MaxInt64), move("c2", cash, revenue, 1)}},
		} {
			err := b.post(tt.postings...)
			if !errors.Is(err, ledger.ErrInvalidPosting) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: got %v, want an invalid posting that says %q", tt.name, err, tt.says)
			}
		}
		if got := b.balance(cash); got != 0 {
			t.Errorf("something was booked: cash is %d", got)
		}
	})

	t.Run("refuses members, who do not see both sides", func(t *testing.T) {
		t.Parallel()
		b := newBook(t)
		customer := b.customer()
		b.ctx = b.as("member@x.test", auth.PermissionsOf(auth.RoleMember), customer)
		if err := b.post(payment(customer, 5)); !errors.Is(err, ledger.ErrInvalidPosting) {
			t.Errorf("got %v, want a refusal", err)
		}
	})

	t.Run("counts a cause once", func(t *testing.T) {
		t.Parallel()
		b := newBook(t)
		p := move("payment:1:settle", ledger.Cash("USD"), ledger.Revenue("USD"), 100)
		b.mustPost(p)
		if err := b.post(move("other", ledger.Cash("USD"), ledger.Revenue("USD"), 100), p); !errors.Is(err, ledger.ErrAlreadyPosted) {
			t.Errorf("got %v, want ErrAlreadyPosted", err)
		}
		if got := b.balance(ledger.Cash("USD")); got != 100 {
			t.Errorf("cash is %d, want 100: the refused call left something behind", got)
		}
	})

	t.Run("keeps causes and accounts of tenants apart", func(t *testing.T) {
		t.Parallel()
		mine, theirs := newBook(t), newBook(t)
		p := move("payment:1:settle", ledger.Cash("USD"), ledger.Revenue("USD"), 100)
		mine.mustPost(p)
		theirs.mustPost(p, move("payment:2:settle", ledger.Cash("USD"), ledger.Revenue("USD"), 11))
		if mine.balance(ledger.Cash("USD")) != 100 || theirs.balance(ledger.Cash("USD")) != 111 {
			t.Error("a tenant sees entries of the other")
		}
		foreign := mine.transactionOf("payment:1:settle").ID
		err := tenancy.InTx(theirs.ctx, theirs.db, func(ctx context.Context, tx bun.Tx) error { return ledger.Reverse(ctx, tx, foreign, "r", "x") })
		if !errors.Is(err, web.ErrNotFound) {
			t.Errorf("reversing a neighbour's transaction: %v, want not found", err)
		}
	})

	t.Run("takes two round trips with begin and commit, however many postings", func(t *testing.T) {
		t.Parallel()
		b := newBook(t)
		customers := b.customers(50)
		for _, n := range []int{1, 10, 400} {
			postings := make([]ledger.Posting, n)
			for i := range postings {
				postings[i] = payment(customers[i%len(customers)], int64(i+1))
			}
			ctx, count := testkit.Count(b.ctx)
			if err := tenancy.InTx(ctx, b.db, func(ctx context.Context, tx bun.Tx) error { return ledger.Post(ctx, tx, postings...) }); err != nil {
				t.Fatal(err)
			}
			if got := count.Load(); got != 2 {
				t.Errorf("%d postings took %d round trips, want 2", n, got)
			}
		}
	})
}

func TestReverse(t *testing.T) {
	t.Parallel()
	reverse := func(b *book, id uuid.UUID, cause, reason string) error {
		return tenancy.InTx(b.ctx, b.db, func(ctx context.Context, tx bun.Tx) error { return ledger.Reverse(ctx, tx, id, cause, reason) })
	}

	t.Run("posts the negation, points at it and is audited", func(t *testing.T) {
		t.Parallel()
		b := newBook(t)
		customer := b.customer()
		p := payment(customer, 500)
		b.mustPost(p)
		original := b.transactionOf(p.Cause)
		if err := reverse(b, original.ID, "payment:1:void", "typed twice"); err != nil {
			t.Fatal(err)
		}
		got := b.transactionOf("payment:1:void")
		if got.Corrects != original.ID || got.Kind != ledger.KindReversal || got.PaymentID != p.PaymentID || got.CustomerID != customer {
			t.Errorf("the reversal is %+v", got)
		}
		if b.balance(ledger.Receivable(customer, "USD")) != 0 || b.cached(ledger.Receivable(customer, "USD")) != 0 || b.balance(ledger.Clearing("bank_transfer", "USD")) != 0 {
			t.Error("the balances are not what they were before")
		}
		var reason string
		b.read(func(ctx context.Context, tx bun.Tx) error {
			return tx.NewRaw("SELECT reason FROM audit_log WHERE tenant_id = ? AND action = 'ledger.reverse' AND object_id = ?", b.tenant, original.ID).Scan(ctx, &reason)
		})
		if reason != "typed twice" {
			t.Errorf("the audited reason is %q", reason)
		}
	})

	t.Run("happens once, also under another cause and in parallel", func(t *testing.T) {
		t.Parallel()
		b := newBook(t)
		b.mustPost(move("c", ledger.Cash("USD"), ledger.Revenue("USD"), 5))
		id := b.transactionOf("c").ID
		outcomes := parallel(4, func(i int) error { return reverse(b, id, fmt.Sprint("void:", i), "race") })
		if outcomes[nil] != 1 || outcomes[ledger.ErrAlreadyReversed] != 3 {
			t.Errorf("outcomes are %v, want one success and three already_reversed", outcomes)
		}
		if got := b.balance(ledger.Cash("USD")); got != 0 {
			t.Errorf("cash is %d, want 0", got)
		}
	})

	t.Run("needs a reason and a transaction", func(t *testing.T) {
		t.Parallel()
		b := newBook(t)
		if err := reverse(b, uuid.Must(uuid.NewV7()), "c", ""); !errors.Is(err, ledger.ErrInvalidPosting) {
			t.Errorf("without a reason: %v", err)
		}
		if err := reverse(b, uuid.Must(uuid.NewV7()), "c", "x"); !errors.Is(err, web.ErrNotFound) {
			t.Errorf("of nothing: %v", err)
		}
	})
}

// parallel runs fn n times at once and counts the outcomes by the error they match.
func parallel(n int, fn func(i int) error) map[error]int {
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = fn(i) })
	}
	wg.Wait()
	outcomes := map[error]int{}
	for _, err := range errs {
		switch {
		case errors.Is(err, ledger.ErrAlreadyPosted):
			err = ledger.ErrAlreadyPosted
		case errors.Is(err, ledger.ErrAlreadyReversed):
			err = ledger.ErrAlreadyReversed
		}
		outcomes[err]++
	}
	return outcomes
}

func TestPostConcurrently(t *testing.T) {
	t.Parallel()

	t.Run("eight writers on the same new accounts lose nothing and never deadlock", func(t *testing.T) {
		t.Parallel()
		b := newBook(t)
		customers := b.customers(20)
		const writers, rounds = 8, 6
		ctxs := make([]context.Context, writers)
		for i := range ctxs {
			ctxs[i] = b.ctx
		}
		var runs sync.Map // how often each closure ran: more than once is a lost deadlock race
		outcomes := parallel(writers, func(w int) error {
			for r := range rounds {
				postings := make([]ledger.Posting, len(customers))
				for i := range customers { // each writer in an order of its own
					postings[i] = payment(customers[(i*7+w*3+r)%len(customers)], 1)
				}
				ran := 0
				err := tenancy.InTx(ctxs[w], b.db, func(ctx context.Context, tx bun.Tx) error {
					ran++
					return ledger.Post(ctx, tx, postings...)
				})
				runs.Store([2]int{w, r}, ran)
				if err != nil {
					return err
				}
			}
			return nil
		})
		if outcomes[nil] != writers {
			t.Fatalf("outcomes: %v", outcomes)
		}
		runs.Range(func(key, ran any) bool {
			if ran != 1 {
				t.Errorf("the transaction %v ran %v times: a deadlock", key, ran)
			}
			return true
		})
		for _, c := range customers {
			ref := ledger.Receivable(c, "USD")
			if sum, cached := b.balance(ref), b.cached(ref); sum != -writers*rounds || cached != sum {
				t.Errorf("sum %d and cache %d, want both %d", sum, cached, -writers*rounds)
			}
		}
	})

	t.Run("one cause at once is posted once", func(t *testing.T) {
		t.Parallel()
		b := newBook(t)
		p := payment(b.customer(), 77)
		outcomes := parallel(8, func(int) error { return b.post(p) })
		if outcomes[nil] != 1 || outcomes[ledger.ErrAlreadyPosted] != 7 {
			t.Errorf("outcomes are %v, want one success and seven already_posted", outcomes)
		}
		if got := b.balance(ledger.Clearing("bank_transfer", "USD")); got != 77 {
			t.Errorf("clearing is %d, want 77", got)
		}
	})
}
