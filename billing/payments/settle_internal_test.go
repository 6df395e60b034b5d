package payments

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"

	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/internal/errs"
)

// drawnSet are payments for invoices, as a settlement finds them.
type drawnSet struct {
	payments []*approved
	invoices map[uuid.UUID]*invoices.Owing
}

func drawSet(t *rapid.T) drawnSet {
	d := drawnSet{invoices: map[uuid.UUID]*invoices.Owing{}}
	statuses := []invoices.Status{invoices.StatusOpen, invoices.StatusPartiallyPaid, invoices.StatusUncollectible, invoices.StatusPaid, invoices.StatusVoid}
	var ids []uuid.UUID
	for range rapid.IntRange(1, 4).Draw(t, "invoices") {
		inv := &invoices.Owing{Invoice: invoices.Invoice{ID: uuid.New(), Currency: "USD", Status: rapid.SampledFrom(statuses).Draw(t, "status")}}
		if inv.Status != invoices.StatusPaid && inv.Status != invoices.StatusVoid {
			inv.BalanceMinor = rapid.Int64Range(1, 1000).Draw(t, "balance")
		}
		d.invoices[inv.ID] = inv
		ids = append(ids, inv.ID)
	}
	for range rapid.IntRange(1, 12).Draw(t, "payments") {
		received := rapid.Int64Range(1, 700).Draw(t, "received")
		d.payments = append(d.payments, &approved{id: uuid.New(), account: uuid.New(), invoice: rapid.SampledFrom(ids).Draw(t, "invoice"), method: "bank_transfer",
			amount: received, received: received, currency: "USD"})
	}
	return d
}

// byInvoice gives what each invoice gets, and how many claims it settles.
func byInvoice(applications []invoices.Application) map[uuid.UUID]invoices.Application {
	m := map[uuid.UUID]invoices.Application{}
	for _, a := range applications {
		m[a.InvoiceID] = a
	}
	return m
}

func TestAllocate(t *testing.T) {
	t.Parallel()
	t.Run("shares every payment and never pays an invoice above its balance", rapid.MakeCheck(func(t *rapid.T) {
		d := drawSet(t)
		applications, err := allocate(d.payments, d.invoices)
		if err != nil {
			t.Fatal(err)
		}
		applied, claims, received := map[uuid.UUID]int64{}, map[uuid.UUID]int{}, map[uuid.UUID]int64{}
		for _, p := range d.payments {
			if p.applied < 0 || p.excess < 0 || p.applied+p.excess != p.received {
				t.Fatalf("%d received, %d applied, %d in excess", p.received, p.applied, p.excess)
			}
			applied[p.invoice] += p.applied
			received[p.invoice] += p.received
			claims[p.invoice]++
		}
		if len(applications) != len(claims) {
			t.Fatalf("%d of %d invoices", len(applications), len(claims))
		}
		for id, a := range byInvoice(applications) {
			want := min(received[id], d.invoices[id].BalanceMinor)
			if a.AppliedMinor != want || applied[id] != want || a.Claims != claims[id] {
				t.Fatalf("the invoice gets %d with %d claims, its payments give %d with %d, want %d", a.AppliedMinor, a.Claims, applied[id], claims[id], want)
			}
		}
	}))
	t.Run("gives an invoice the same in whatever order its payments come", rapid.MakeCheck(func(t *rapid.T) {
		d := drawSet(t)
		first, err := allocate(d.payments, d.invoices)
		if err != nil {
			t.Fatal(err)
		}
		shuffled := rapid.Permutation(d.payments).Draw(t, "order")
		second, err := allocate(shuffled, d.invoices)
		if err != nil {
			t.Fatal(err)
		}
		for id, a := range byInvoice(second) {
			if byInvoice(first)[id] != a {
				t.Fatalf("%+v and %+v", byInvoice(first)[id], a)
			}
		}
	}))
	t.Run("posts what balances", rapid.MakeCheck(func(t *rapid.T) {
		d := drawSet(t)
		if _, err := allocate(d.payments, d.invoices); err != nil {
			t.Fatal(err)
		}
		for _, p := range d.payments {
			sum, entries := int64(0), p.posting().Entries
			for _, e := range entries {
				sum += e.AmountMinor
			}
			if sum != 0 || len(entries) < 2 || slices.ContainsFunc(entries, func(e ledger.Entry) bool { return e.AmountMinor == 0 }) {
				t.Fatalf("%+v", entries)
			}
		}
	}))
	t.Run("refuses two currencies and a missing invoice", func(t *testing.T) { // S1-57
		inv := &invoices.Owing{Invoice: invoices.Invoice{ID: uuid.New(), Currency: "EUR", Status: invoices.StatusOpen, BalanceMinor: 5}}
		p := &approved{id: uuid.New(), invoice: inv.ID, currency: "USD", received: 1}
		if _, err := allocate([]*approved{p}, map[uuid.UUID]*invoices.Owing{inv.ID: inv}); errs.As(err) == nil || errs.As(err).Code != "currency_mismatch" {
			t.Errorf("the answer is %v", err)
		}
		if _, err := allocate([]*approved{p}, nil); err == nil {
			t.Error("a payment without its invoice was taken")
		}
	})
}

func TestNormalise(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"ft-2026/01 a": "FT202601A", " -- ": "", "a_b": "AB", "বিকাশ ১২": "বকশ১২", "Ünï": "ÜNÏ"} {
		if got := normalise(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		once := normalise(rapid.String().Draw(t, "reference"))
		if twice := normalise(once); twice != once {
			t.Fatalf("%q becomes %q", once, twice)
		}
	})
}

func TestNumbersIn(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"inv-2026-000012":         {"INV-2026-000012"},
		"for INV/2026/1, thanks":  {"INV/2026/1"},
		"2026 and 2027":           {"2026", "2027"},
		"no number 123":           nil,
		"":                        nil,
		"x-1234-y INV-2026-00001": {"X-1234-Y", "INV-2026-00001"},
	} {
		if got := numbersIn(text); !slices.Equal(got, want) {
			t.Errorf("%q holds %q, want %q", text, got, want)
		}
	}
}

func TestPassing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  error
		want bool
	}{
		{"a violated constraint is the payment's own fault", fmt.Errorf("write: %w", &pgconn.PgError{Code: "23514"}), false},
		{"a value out of range is the payment's own fault", &pgconn.PgError{Code: "22003"}, false},
		{"a deadlock is nobody's fault", &pgconn.PgError{Code: "40P01"}, true},
		{"a missing table is not the payment's fault", &pgconn.PgError{Code: "42P01"}, true},
		{"a full disk is not the payment's fault", &pgconn.PgError{Code: "53100"}, true},
		{"a refusal of the rules is", money.ErrCurrencyMismatch, false},
		{"a cancelled context is not", context.Canceled, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := passing(tt.err); got != tt.want {
				t.Errorf("passing(%v) is %v, want %v", tt.err, got, tt.want)
			}
		})
	}
}
