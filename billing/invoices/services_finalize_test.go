package invoices_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// book gives the balances that matter here, in minor units: receivable, discounts, revenue, tax.
func (s *shop) book() []int64 {
	s.t.Helper()
	var out []int64
	err := tenancy.Read(s.ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		for _, ref := range []ledger.Ref{ledger.Receivable(s.account.ID, "BDT"), ledger.Discounts("BDT"), ledger.Revenue("BDT"), ledger.TaxPayable("BDT")} {
			balance, err := ledger.Balance(ctx, tx, ref.ID(ctx), nil)
			if err != nil {
				return err
			}
			minor, fits := balance.Minor()
			if !fits {
				return fmt.Errorf("the balance of %s is %s", ref, balance)
			}
			out = append(out, minor)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func TestFinalize(t *testing.T) {
	t.Parallel()
	t.Run("gives the number, posts the amounts and says so", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.draft([]map[string]any{line("500", "discount_amount", "50", "tax_rate", "0.15"), line("300", "tax_rate", "0.15")})
		a := s.owner().Post(path+id.String()+"/finalize/", "").Expect(http.StatusOK)
		if a.Text("data.status") != "open" || a.Text("data.invoice_number") != "INV-2026-000001" || a.Text("data.total_amount") != "862.50" || a.Text("data.finalized_at") != "2026-01-21T06:00:00.000000Z" {
			t.Errorf("%s", a.Raw)
		}
		if diff := cmp.Diff([]int64{86250, 5000, -80000, -11250}, s.book()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"invoice.created", "invoice.finalized"}, s.events()); diff != "" {
			t.Error(diff)
		}
		s.owner().Post(path+id.String()+"/finalize/", "").Refused(http.StatusConflict, "invoice_not_draft")
	})
	t.Run("replays for a key", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.draft([]map[string]any{line("5")})
		c := s.owner().With("Idempotency-Key", "f-1")
		first := c.Post(path+id.String()+"/finalize/", "").Expect(http.StatusOK)
		second := c.Post(path+id.String()+"/finalize/", "").Expect(http.StatusOK)
		if diff := cmp.Diff(first.At("data"), second.At("data")); diff != "" || second.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("not a replay: %s", diff)
		}
		c.Post(path+s.draft([]map[string]any{line("5")}).String()+"/finalize/", "").Refused(http.StatusConflict, "idempotency_key_reused")
	})
	t.Run("pays an invoice over nothing at once and grants its credits", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.draft([]map[string]any{line("10", "discount_amount", "10", "credits", 5)})
		a := s.owner().Post(path+id.String()+"/finalize/", "").Expect(http.StatusOK)
		if a.Text("data.status") != "paid" || a.At("data.paid_at") == nil {
			t.Errorf("%s", a.Raw)
		}
		if diff := cmp.Diff([]int64{0, 1000, -1000, 0}, s.book()); diff != "" {
			t.Error(diff)
		}
		if got := s.credits(); got != 5 {
			t.Errorf("%d credits", got)
		}
		free := s.draft([]map[string]any{line("0")})
		s.owner().Post(path+free.String()+"/finalize/", "").Expect(http.StatusOK)
		want := []string{"invoice.created", "invoice.finalized", "invoice.paid", "credits.granted", "invoice.created", "invoice.finalized", "invoice.paid"}
		if diff := cmp.Diff(want, s.events()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("counts each year where the tenant is", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.clock.set(time.Date(2026, 12, 31, 17, 59, 0, 0, time.UTC)) // a minute to midnight in Dhaka
		old := s.get(s.open("1")).Number
		s.clock.set(time.Date(2026, 12, 31, 18, 0, 0, 0, time.UTC))
		if got := []string{old, s.get(s.open("1")).Number}; !slices.Equal(got, []string{"INV-2026-000001", "INV-2027-000001"}) {
			t.Errorf("got %v", got)
		}
	})
	t.Run("begins a series without a gap after the prefix has changed, whatever numbers clients have given", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.open("1")
		s.owner().Post(path, s.body([]map[string]any{line("1")}, "invoice_number", "ACME-2026-000001")).Refused(http.StatusBadRequest, "invoice_number_reserved")
		draft := s.draft([]map[string]any{line("1")}, "invoice_number", "ACME-2026-1") // no number of a series
		s.owner().Patch(path+draft.String()+"/", map[string]any{"invoice_number": "ACME-2026-000001"}).Refused(http.StatusBadRequest, "invoice_number_reserved")
		for _, prefix := range []string{"ACME", "INV"} {
			if _, err := tenancy.New(s.db).Update(s.ctx, tenancy.UpdateInput{InvoicePrefix: &prefix}); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"ACME": "ACME-2026-000001", "INV": "INV-2026-000002"}[prefix]
			if got := s.get(s.open("1")).Number; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
	t.Run("refuses an inactive account", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.draft([]map[string]any{line("1")})
		if _, err := testkit.OwnerDB(t).ExecContext(t.Context(), "UPDATE accounts SET is_active = false WHERE tenant_id = ? AND id = ?", s.tenant.ID, s.account.ID); err != nil {
			t.Fatal(err)
		}
		s.owner().Post(path+id.String()+"/finalize/", "").Refused(http.StatusConflict, "account_inactive")
		if got := s.get(id).Status; got != invoices.StatusDraft {
			t.Errorf("it is %s", got)
		}
	})
}

func (s *shop) credits() int64 {
	s.t.Helper()
	var granted ledger.Sum
	err := tenancy.Read(s.ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		granted, err = ledger.Balance(ctx, tx, ledger.Credits(s.account.ID).ID(ctx), nil)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	n, _ := granted.Minor()
	return -n
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const n = 50
	drafts := make([]uuid.UUID, n+1)
	for i := range drafts {
		drafts[i] = s.draft([]map[string]any{line("1")})
	}
	// one of them fails after it has taken a number: somebody has used its cause in the ledger
	broken := drafts[n]
	s.mustTx(func(ctx context.Context, tx bun.Tx) error {
		return ledger.Post(ctx, tx, ledger.Posting{Cause: "invoice:" + broken.String() + ":finalize", Kind: "test",
			Entries: []ledger.Entry{{Account: ledger.Bank("BDT"), AmountMinor: 1}, {Account: ledger.Suspense("BDT"), AmountMinor: -1}}})
	})
	var wg sync.WaitGroup
	for _, id := range drafts {
		wg.Go(func() {
			_, err := s.service.Finalize(s.ctx, invoices.FinalizeInput{Invoice: id.String()})
			if (err != nil) != (id == broken) {
				t.Errorf("%s: %v", id, err)
			}
		})
	}
	wg.Wait()
	var got, want []string
	for i, id := range drafts[:n] {
		got = append(got, s.get(id).Number)
		want = append(want, fmt.Sprintf("INV-2026-%06d", i+1))
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("50 at once, and one that failed, leave a gap or a duplicate: %s", diff)
	}
	if inv := s.get(broken); inv.Number != "" || inv.Status != invoices.StatusDraft {
		t.Errorf("the failed one is %s with number %q", inv.Status, inv.Number)
	}
	if got := s.book()[0]; got != n*100 {
		t.Errorf("receivable is %d", got)
	}
}

func TestVoid(t *testing.T) {
	t.Parallel()
	t.Run("takes back what was posted and keeps the number used", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.open("100", "discount_amount", "10", "tax_rate", "0.15")
		c := s.owner().With("Idempotency-Key", "v-1")
		a := c.Post(path+id.String()+"/void/", map[string]any{"reason": "Wrong customer"}).Expect(http.StatusOK)
		if a.Text("data.status") != "void" || a.Text("data.void_reason") != "Wrong customer" || a.Text("data.balance_amount") != "0.00" || a.At("data.voided_at") == nil ||
			a.Text("data.invoice_number") != "INV-2026-000001" {
			t.Errorf("%s", a.Raw)
		}
		if diff := cmp.Diff([]int64{0, 0, 0, 0}, s.book()); diff != "" {
			t.Error(diff)
		}
		if got := c.Post(path+id.String()+"/void/", map[string]any{"reason": "Wrong customer"}).Expect(http.StatusOK).Header.Get("Idempotent-Replayed"); got != "true" {
			t.Error("not a replay")
		}
		s.owner().Post(path+id.String()+"/void/", map[string]any{"reason": "again"}).Refused(http.StatusConflict, "invoice_not_open")
		if got := s.get(s.open("1")).Number; got != "INV-2026-000002" {
			t.Errorf("the next number is %s", got)
		}
		if got := s.events(); !slices.Equal(got[:3], []string{"invoice.created", "invoice.finalized", "invoice.voided"}) {
			t.Errorf("events are %v", got)
		}
	})
	t.Run("drops a draft without touching the books", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.draft([]map[string]any{line("100")})
		s.owner().Post(path+id.String()+"/void/", map[string]any{}).Refused(http.StatusBadRequest, "validation_failed")
		s.owner().Post(path+id.String()+"/void/", map[string]any{"reason": "Typo"}).Expect(http.StatusOK)
		s.owner().Post(path+id.String()+"/finalize/", "").Refused(http.StatusConflict, "invoice_not_draft")
		if diff := cmp.Diff([]int64{0, 0, 0, 0}, s.book()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("takes who may refund, unless it is a draft", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		cashier, site := w.Join("cashier", auth.RoleCashier, nil), w.Console()
		b, f := w.Browse(site, cashier), w.Browse(site, w.Finance)
		open, draft := w.OpenInvoice("100.00").ID, w.DraftInvoice("5.00").ID
		first, second := "invoices/"+open.String()+"/", "invoices/"+draft.String()+"/"
		cashier.Token()
		before := w.Snapshot()
		w.As(cashier).Post(routes+open.String()+"/void/", map[string]any{"reason": "x"}).Refused(http.StatusForbidden, "permission_denied")
		b.Get(first).Shows("/write-off/").Hides("/void/")
		b.Post(first+"void/", url.Values{"reason": {"x"}}).Expect(http.StatusForbidden)
		if diff := cmp.Diff(before, w.Snapshot()); diff != "" {
			t.Errorf("something was changed (-before +after):\n%s", diff)
		}
		b.Get(second).Shows("/void/")
		b.Follow(b.Post(second+"void/", url.Values{"reason": {"Typed twice"}})).Shows("The invoice is void.")
		w.As(cashier).Post(routes+w.DraftInvoice("5.00").ID.String()+"/void/", map[string]any{"reason": "x"}).Expect(http.StatusOK)
		f.Follow(f.Post(first+"void/", url.Values{"reason": {"Issued twice"}})).Shows("The invoice is void.")
		if _, err := w.Invoices.Void(w.System, invoices.VoidInput{Invoice: w.OpenInvoice("7.00").ID.String(), Reason: "x"}); err != nil {
			t.Errorf("a program voids: %v", err)
		}
		w.AssertBooks(t)
	})
	t.Run("refuses while a payment is pending, and once money came in", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.open("100")
		s.addClaim(id)
		s.owner().Post(path+id.String()+"/void/", map[string]any{"reason": "x"}).Refused(http.StatusConflict, "payment_pending")
		s.apply(invoices.Application{InvoiceID: id, AppliedMinor: 1, Claims: 1})
		s.owner().Post(path+id.String()+"/void/", map[string]any{"reason": "x"}).Refused(http.StatusConflict, "invoice_has_payments")
		s.apply(invoices.Application{InvoiceID: id, AppliedMinor: 9999})
		s.owner().Post(path+id.String()+"/void/", map[string]any{"reason": "x"}).Refused(http.StatusConflict, "invoice_has_payments")
	})
	t.Run("and finalising at once leave one of two states and balanced books", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		for range 10 {
			id := s.draft([]map[string]any{line("100")})
			var wg sync.WaitGroup
			wg.Go(func() { s.service.Finalize(s.ctx, invoices.FinalizeInput{Invoice: id.String()}) })
			wg.Go(func() {
				if _, err := s.service.Void(s.ctx, invoices.VoidInput{Invoice: id.String(), Reason: "race"}); err != nil {
					t.Errorf("a draft and an open invoice can both be voided: %v", err)
				}
			})
			wg.Wait()
			if inv := s.get(id); inv.Status != invoices.StatusVoid {
				t.Errorf("it is %s", inv.Status)
			}
			if diff := cmp.Diff([]int64{0, 0, 0, 0}, s.book()); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestDatabaseGuards(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.open("100", "tax_rate", "0.15")
	tests := []struct{ name, set, constraint string }{
		{"a balance that is not what is left", "balance_minor = 1", "invoices_balance_check"},
		{"a paid amount beside the balance", "paid_minor = 1, status = 'partially_paid'", "invoices_balance_check"},
		{"a total that is not the sum", "tax_minor = 0", "invoices_total_check"},
		{"less tax", "tax_minor = tax_minor - 1, total_minor = total_minor - 1, balance_minor = balance_minor - 1", "invoices_immutable"},
		{"another total", "subtotal_minor = 9999, total_minor = 11499, balance_minor = 11499", "invoices_immutable"},
		{"another number", "number = 'X'", "invoices_immutable"},
		{"another due date", "due_date = due_date + 1", "invoices_immutable"},
		{"more credits", "credits = 1", "invoices_immutable"},
		{"paid without money", "status = 'paid', paid_at = now()", "invoices_amounts_fit_status"},
		{"a draft again", "status = 'draft', finalized_at = NULL", "invoices_transition"},
		{"a clock that stands for no claim", "clock_paused_at = now()", "invoices_clock_check"},
	}
	for _, tt := range tests {
		t.Run("refuse "+tt.name, func(t *testing.T) {
			for who, run := range map[string]func(query string) error{
				"the program": func(query string) error {
					return s.inTx(func(ctx context.Context, tx bun.Tx) error { _, err := tx.ExecContext(ctx, query); return err })
				},
				"the owner": func(query string) error { _, err := testkit.OwnerDB(t).ExecContext(t.Context(), query); return err },
			} {
				err := run(fmt.Sprintf("UPDATE invoices SET %s WHERE tenant_id = '%s' AND id = '%s'", tt.set, s.tenant.ID, id))
				if !database.IsCheck(err, tt.constraint) {
					t.Errorf("%s got %v", who, err)
				}
			}
		})
	}
	for _, query := range []string{"DELETE FROM line_items WHERE tenant_id = ? AND invoice_id = ?",
		"INSERT INTO line_items (tenant_id, id, invoice_id, account_id, line, description, quantity, unit_price, net_minor, total_minor) SELECT tenant_id, gen_random_uuid(), id, account_id, 2, 'more', 1, 1, 1, 1 FROM invoices WHERE tenant_id = ? AND id = ?"} {
		err := s.inTx(func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.ExecContext(ctx, query, s.tenant.ID, id)
			return err
		})
		if !database.IsCheck(err, "line_items_draft") {
			t.Errorf("lines of a finalised invoice: %v", err)
		}
	}
}
