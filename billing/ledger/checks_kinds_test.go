package ledger_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"countersign/billing/ledger"
)

// TestCauses: no transaction is of a kind that nobody posts, or without a cause, and only what is meant to be is reversed.
func TestCauses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		breaks func(b *book)
		want   []string // details of what is found
		also   string   // other proofs that see the same damage
	}{
		{"an unknown kind, written by the program's own role", func(b *book) {
			customer := b.customer()
			debit, credit := ledger.BadDebt("USD"), ledger.CustomerCredit(customer, "USD")
			b.mustPost(move("chart", ledger.Bank("USD"), credit, 1), move("chart:2", debit, ledger.Bank("USD"), 1)) // makes the accounts
			if err := b.exec(`WITH h AS (INSERT INTO ledger_transactions (tenant_id, id, cause, kind, lines, customer_id, posted_by) VALUES (?0, ?1, 'x:1', 'x', 2, ?2, 'x'))
				INSERT INTO ledger_entries (tenant_id, transaction_id, line, ledger_account_id, amount_minor, currency) VALUES (?0, ?1, 1, ?3, 500, 'USD'), (?0, ?1, 2, ?4, -500, 'USD')`,
				b.tenant, uuid.Must(uuid.NewV7()), customer, debit.ID(b.ctx), credit.ID(b.ctx)); err != nil {
				b.t.Fatal(err)
			}
		}, []string{"x for x:1"}, ""},
		{"a known kind without its cause", func(b *book) { b.mustPost(move("nothing", ledger.Bank("USD"), ledger.Cash("USD"), 5)) }, []string{"test for nothing"}, ""},
		{"a reversal that nobody asked for", func(b *book) { b.mustReverseAs("stands", "elsewhere") }, []string{"reversal of test for elsewhere"}, ""},
		{"a reversal of another than its cause says", func(b *book) { b.mustReverseAs("stands", "other:reverse") }, []string{"reversal of test for other:reverse"}, ""},
		{"a reversal of nothing", func(b *book) {
			p := move("stands:reverse", ledger.Bank("USD"), ledger.Cash("USD"), 5)
			p.Kind = ledger.KindReversal
			b.mustPost(p)
		}, []string{"reversal for stands:reverse"}, ""},
		{"another kind that names what it corrects", func(b *book) {
			tamper(b.t, "UPDATE ledger_transactions SET corrects = ? WHERE tenant_id = ? AND cause = 'other'", b.transactionOf("stands").ID, b.tenant)
		}, []string{"test of test for other"}, "ledger.E006"},
		{"nothing when a mistake is reversed", func(b *book) {
			b.mustPost(move("nothing", ledger.Bank("USD"), ledger.Cash("USD"), 5))
			b.mustReverseAs("nothing", "mended")
		}, nil, ""},
		{"nothing when a reversal that was a mistake is reversed", func(b *book) {
			b.mustReverseAs("stands", "elsewhere")
			b.mustReverseAs("elsewhere", "mended")
		}, nil, ""},
		{"that a mending was taken back", func(b *book) {
			b.mustReverseAs("stands", "elsewhere")
			b.mustReverseAs("elsewhere", "mended")
			b.mustReverseAs("mended", "again")
		}, []string{"reversal of reversal for again"}, ""},
	} {
		t.Run("finds "+tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			for _, cause := range []string{"stands", "other", "reversed"} {
				b.mustPost(move(cause, ledger.Bank("USD"), ledger.Revenue("USD"), 100))
			}
			b.mustReverse("reversed")
			if found := b.verify(); len(found) > 0 {
				t.Fatalf("before anything is broken: %v", found)
			}
			tt.breaks(b)
			found := b.verify()
			var got []string
			if f := found["ledger.E008"]; f != nil {
				for _, p := range f.Places {
					got = append(got, p.Detail)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			delete(found, "ledger.E008")
			if also := strings.Join(slices.Sorted(maps.Keys(found)), " "); also != tt.also {
				t.Errorf("others find %q, want %q", also, tt.also)
			}
		})
	}
}
