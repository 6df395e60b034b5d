package ledger_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"pgregory.net/rapid"

	"countersign/billing/ledger"
)

func TestPostProperties(t *testing.T) {
	t.Parallel()
	first, second := newBook(t), newBook(t)
	a, b := first.customers(3), second.customers(3)
	for i := range a { // so that no order of the moves spends more credit than there is
		first.mustPost(move("prepaid:"+a[i].String(), ledger.Bank("USD"), ledger.CustomerCredit(a[i], "USD"), 1_000_000_000_000_000))
		second.mustPost(move("prepaid:"+b[i].String(), ledger.Bank("USD"), ledger.CustomerCredit(b[i], "USD"), 1_000_000_000_000_000))
	}
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		drawn := rapid.SliceOfN(rapid.Custom(drawMoves), 1, 12).Draw(rt, "postings")
		cut := rapid.IntRange(0, len(drawn)).Draw(rt, "cut")
		order := rapid.Permutation(drawn).Draw(rt, "order")
		// the same postings: here in two batches as drawn, there one by one in another order
		first.mustPost(build(round, drawn[:cut], a)...)
		first.mustPost(build(round, drawn[cut:], a)...)
		for _, d := range order {
			second.mustPost(build(round, []moves{d}, b)...)
		}
		for i := range accountsFor(a) {
			x, y := accountsFor(a)[i], accountsFor(b)[i]
			if sum, other := first.balance(x), second.balance(y); sum != other {
				rt.Fatalf("%s is %d in one order and %d in the other", x, sum, other)
			}
			if i < 9 && first.cached(x) != first.balance(x) {
				rt.Fatalf("the cache of %s is %d, its sum %d", x, first.cached(x), first.balance(x))
			}
		}
		first.read(func(ctx context.Context, tx bun.Tx) error {
			trial, err := ledger.TrialBalance(ctx, tx, nil)
			if !trial.Balanced() {
				rt.Fatalf("the trial balance is not zero: %+v", trial)
			}
			return err
		})
	})
	for _, book := range []*book{first, second} {
		if found := book.verify(); len(found) > 0 {
			t.Errorf("verify: %v", found)
		}
	}
}

// moves is a drawn posting: amounts between accounts of one currency, by their place in accountsFor.
type moves struct {
	ID       string
	Currency int
	From, To []int
	Amounts  []int64
}

func drawMoves(t *rapid.T) moves {
	n := rapid.IntRange(1, 4).Draw(t, "n")
	place := rapid.IntRange(0, 4)
	return moves{
		ID: uuid.NewString(), Currency: rapid.IntRange(0, 1).Draw(t, "currency"),
		From: rapid.SliceOfN(place, n, n).Draw(t, "from"), To: rapid.SliceOfN(place, n, n).Draw(t, "to"),
		Amounts: rapid.SliceOfN(rapid.Int64Range(1, 1_000_000_000), n, n).Draw(t, "amounts"),
	}
}

// accountsFor lists the accounts that drawn postings use: first those of customers.
func accountsFor(customers []uuid.UUID) []ledger.Ref {
	var refs []ledger.Ref
	for _, c := range customers {
		refs = append(refs, ledger.Receivable(c, "USD"), ledger.Receivable(c, "EUR"), ledger.CustomerCredit(c, "USD"))
	}
	return append(refs, ledger.Revenue("USD"), ledger.Revenue("EUR"), ledger.Bank("USD"), ledger.Bank("EUR"))
}

// build makes postings of drawn moves. Moves that cancel each other out are no posting.
func build(round int, drawn []moves, customers []uuid.UUID) []ledger.Posting {
	var postings []ledger.Posting
	for _, d := range drawn {
		usd := []ledger.Ref{ledger.Receivable(customers[0], "USD"), ledger.Receivable(customers[1], "USD"), ledger.CustomerCredit(customers[2], "USD"), ledger.Revenue("USD"), ledger.Bank("USD")}
		eur := []ledger.Ref{ledger.Receivable(customers[0], "EUR"), ledger.Receivable(customers[1], "EUR"), ledger.Receivable(customers[2], "EUR"), ledger.Revenue("EUR"), ledger.Bank("EUR")}
		refs := [][]ledger.Ref{usd, eur}[d.Currency]
		p := ledger.Posting{Cause: fmt.Sprint(round, ":", d.ID), Kind: "test"}
		net := map[ledger.Ref]int64{}
		for i, amount := range d.Amounts {
			from, to := refs[d.From[i]], refs[d.To[i]]
			p.Entries = append(p.Entries, ledger.Entry{Account: to, AmountMinor: amount}, ledger.Entry{Account: from, AmountMinor: -amount})
			net[to] += amount
			net[from] -= amount
		}
		for _, sum := range net {
			if sum != 0 {
				postings = append(postings, p)
				break
			}
		}
	}
	return postings
}
