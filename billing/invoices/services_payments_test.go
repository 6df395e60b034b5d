package invoices_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"golang.org/x/sync/errgroup"

	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/internal/database"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// tryApply locks the invoices, applies and posts the grants, as settlement does, and gives those that are paid now.
func (s *shop) tryApply(ctx context.Context, apps ...invoices.Application) (paid []*invoices.Invoice, err error) {
	ids := make([]uuid.UUID, len(apps))
	for i, app := range apps {
		ids[i] = app.InvoiceID
	}
	err = tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		locked, err := invoices.LockOwed(ctx, tx, ids...)
		if err != nil {
			return err
		}
		outcome, err := s.service.ApplyPayments(ctx, locked, apps, uuid.New(), s.clock.now())
		if err != nil {
			return err
		}
		if err := database.Send(ctx, outcome.Change); err != nil {
			return err
		}
		paid = nil
		for _, app := range apps {
			if inv := locked[app.InvoiceID]; app.AppliedMinor > 0 && inv.Status == invoices.StatusPaid {
				paid = append(paid, &inv.Invoice)
			}
		}
		return ledger.Post(ctx, tx, outcome.Grants...)
	})
	return paid, err
}

func (s *shop) apply(apps ...invoices.Application) []*invoices.Invoice {
	s.t.Helper()
	paid, err := s.tryApply(tenancy.AsSystem(s.t.Context(), s.tenant.ID, "worker test"), apps...)
	if err != nil {
		s.t.Fatal(err)
	}
	return paid
}

func (s *shop) dropClaim(id uuid.UUID) error {
	return s.inTx(func(ctx context.Context, tx bun.Tx) error {
		invoices.DropClaim(ctx, tx, id, s.clock.now())
		return nil
	})
}

func TestLock(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a, b := s.open("1"), s.draft([]map[string]any{line("2")}, "external_id", uuid.NewString())
	foreign := newShop(t).open("1")
	s.mustTx(func(ctx context.Context, tx bun.Tx) error {
		locked, err := invoices.Lock(ctx, tx, b, a, foreign, uuid.New())
		if err != nil {
			return err
		}
		if len(locked) != 2 || locked[a] == nil || locked[b] == nil {
			t.Errorf("locked %v", locked)
		}
		for id, inv := range locked {
			want := s.get(id)
			if diff := cmp.Diff(want, inv); diff != "" {
				t.Errorf("a locked invoice is not as it is: %s", diff)
			}
		}
		byRef, err := invoices.LockReference(ctx, tx, s.get(b).ExternalID)
		if err != nil || byRef.ID != b || byRef.At.IsZero() {
			t.Errorf("by external id, even one that looks like an id: %v, %v", byRef, err)
		}
		id, err := invoices.ResolveID(ctx, tx, a.String())
		if err != nil || id != a {
			t.Errorf("by id: %v, %v", id, err)
		}
		for _, ref := range []string{"", "unknown", "nul\x00", strings.Repeat("x", 500), "\xff", foreign.String(), uuid.Nil.String()} {
			if _, err := invoices.LockReference(ctx, tx, ref); !errors.Is(err, invoices.ErrNotFound) {
				t.Errorf("lock %q: %v", ref, err)
			}
			if _, err := invoices.ResolveID(ctx, tx, ref); !errors.Is(err, invoices.ErrNotFound) {
				t.Errorf("resolve %q: %v", ref, err)
			}
		}
		numbers := map[string]uuid.UUID{}
		err = database.Send(ctx, invoices.SelectByNumbers(ctx, numbers, "INV-2026-000001", "INV-2026-000009"))
		if diff := cmp.Diff(map[string]uuid.UUID{"INV-2026-000001": a}, numbers); diff != "" || err != nil {
			t.Errorf("by number: %s, %v", diff, err)
		}
		return nil
	})
	// a member never gets hold of a draft or of somebody else's
	err := tenancy.InTx(s.as("member", s.account.ID), s.db, func(ctx context.Context, tx bun.Tx) error {
		if _, err := invoices.LockReference(ctx, tx, b.String()); !errors.Is(err, invoices.ErrNotFound) {
			t.Errorf("a draft: %v", err)
		}
		if _, err := invoices.ResolveID(ctx, tx, b.String()); !errors.Is(err, invoices.ErrNotFound) {
			t.Errorf("the id of a draft: %v", err)
		}
		_, err := invoices.LockReference(ctx, tx, a.String())
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCheckPayable(t *testing.T) {
	t.Parallel()
	want := map[invoices.Status]error{invoices.StatusDraft: invoices.ErrNotFinalized, invoices.StatusOpen: nil, invoices.StatusPartiallyPaid: nil,
		invoices.StatusPaid: invoices.ErrAlreadyPaid, invoices.StatusVoid: invoices.ErrVoid, invoices.StatusUncollectible: nil}
	for _, status := range invoices.Statuses() {
		if got := invoices.CheckPayable(&invoices.Invoice{Status: status, BalanceMinor: 1}); !errors.Is(got, want[status]) {
			t.Errorf("%s: got %v", status, got)
		}
	}
	if got := invoices.CheckPayable(&invoices.Invoice{Status: invoices.StatusUncollectible}); !errors.Is(got, invoices.ErrNothingOwed) {
		t.Errorf("written off whole: got %v", got)
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	t.Run("stop the clock until the last one is gone", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.open("100")
		due := time.Date(2026, 2, 20, 18, 0, 0, 0, time.UTC) // when the due date ends in Dhaka
		s.clock.set(due.Add(-time.Hour))
		s.addClaim(id)
		s.clock.set(due.Add(48 * time.Hour))
		if s.overdue(id) {
			t.Error("overdue while a claim is pending")
		}
		s.addClaim(id)
		s.clock.set(due.Add(50 * time.Hour))
		if err := s.dropClaim(id); err != nil {
			t.Fatal(err)
		}
		if inv := s.get(id); inv.PendingClaims != 1 || inv.ClockPausedFor != 0 || !inv.ClockPausedAt.Equal(due.Add(-time.Hour)) {
			t.Errorf("after the first: %d claims, stood %v since %v", inv.PendingClaims, inv.ClockPausedFor, inv.ClockPausedAt)
		}
		s.clock.set(due.Add(71*time.Hour + 1500*time.Microsecond))
		if err := s.dropClaim(id); err != nil {
			t.Fatal(err)
		}
		if inv := s.get(id); inv.PendingClaims != 0 || inv.ClockPausedFor != 72*time.Hour+1500*time.Microsecond || !inv.ClockPausedAt.IsZero() {
			t.Errorf("after the second: %d claims, stood %v since %v", inv.PendingClaims, inv.ClockPausedFor, inv.ClockPausedAt)
		}
		s.clock.set(due.Add(72 * time.Hour))
		if s.overdue(id) {
			t.Error("overdue before the time that it stood is over")
		}
		s.clock.set(due.Add(73 * time.Hour))
		if !s.overdue(id) {
			t.Error("not overdue after the time that it stood")
		}
		if err := s.dropClaim(id); err == nil {
			t.Error("a claim was dropped that is not there")
		}
	})
	t.Run("never make the time that it stood negative", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.open("100")
		s.addClaim(id)
		s.clock.set(s.clock.now().Add(-time.Minute)) // another server's clock
		if err := s.dropClaim(id); err != nil {
			t.Fatal(err)
		}
		if inv := s.get(id); inv.ClockPausedFor != 0 {
			t.Errorf("stood %v", inv.ClockPausedFor)
		}
	})
	t.Run("are refused for what takes no payment", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.draft([]map[string]any{line("1")})
		err := s.inTx(func(ctx context.Context, tx bun.Tx) error {
			locked, err := invoices.Lock(ctx, tx, id)
			if err != nil {
				return err
			}
			return invoices.AddClaim(ctx, tx, locked[id], s.clock.now())
		})
		if !errors.Is(err, invoices.ErrNotFinalized) {
			t.Errorf("got %v", err)
		}
	})
}

// overdue asks the invoice and the list, which must agree.
func (s *shop) overdue(id uuid.UUID) bool {
	s.t.Helper()
	one := s.owner().Get(path + id.String() + "/").At("data.is_overdue").(bool)
	late, fine := s.owner().Get(path+"?overdue=true").Int("count"), s.owner().Get(path+"?overdue=false").Int("count")
	if one != (late == 1) || one == (fine == 1) {
		s.t.Errorf("the invoice says overdue=%v, the lists have %d that are and %d that are not", one, late, fine)
	}
	return one
}

func TestApplyPayments(t *testing.T) {
	t.Parallel()
	t.Run("moves an invoice to partially paid and paid, and grants its credits once", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.open("920", "credits", 500)
		s.addClaim(id)
		s.clock.set(s.clock.now().Add(time.Hour))
		if paid := s.apply(invoices.Application{InvoiceID: id, AppliedMinor: 80000, Claims: 1}); len(paid) != 0 {
			t.Errorf("paid %v", paid)
		}
		inv := s.get(id)
		if inv.Status != invoices.StatusPartiallyPaid || inv.PaidMinor != 80000 || inv.BalanceMinor != 12000 || inv.PendingClaims != 0 || inv.ClockPausedFor != time.Hour {
			t.Errorf("%+v", inv)
		}
		if s.credits() != 0 {
			t.Error("credits were granted early")
		}
		s.addClaim(id)
		paid := s.apply(invoices.Application{InvoiceID: id, AppliedMinor: 12000, Claims: 1})
		if inv = s.get(id); len(paid) != 1 || inv.Status != invoices.StatusPaid || inv.BalanceMinor != 0 || !inv.PaidAt.Equal(s.clock.now()) {
			t.Errorf("%+v", inv)
		}
		if got := s.credits(); got != 500 {
			t.Errorf("%d credits", got)
		}
		want := []string{"invoice.created", "invoice.finalized", "invoice.partially_paid", "invoice.paid", "credits.granted"}
		if diff := cmp.Diff(want, s.events()); diff != "" {
			t.Error(diff)
		}
		b := s.owner().Get(path + id.String() + "/balance/")
		if b.Text("data.total_amount") != "920.00" || b.Text("data.paid_amount") != "920.00" || b.Text("data.credited_amount") != "0.00" || b.Int("data.balance_amount_minor") != 0 {
			t.Errorf("%s", b.Raw)
		}
	})
	t.Run("finds rows that were written elsewhere while it waited for them", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.open("10")
		var many errgroup.Group
		s.mustTx(func(ctx context.Context, tx bun.Tx) error {
			locked, err := invoices.Lock(ctx, tx, id)
			if err != nil {
				return err
			}
			var pid int
			if err := tx.NewRaw("SELECT pg_backend_pid()").Scan(ctx, &pid); err != nil {
				return err
			}
			for range 16 {
				many.Go(func() error {
					_, err := s.tryApply(tenancy.AsSystem(t.Context(), s.tenant.ID, "worker test"), invoices.Application{InvoiceID: id, AppliedMinor: 1})
					return err
				})
			}
			testkit.Eventually(t, "somebody waits for the row", func() bool {
				var waits bool
				err := testkit.OwnerDB(t).NewRaw("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE ? = ANY (pg_blocking_pids(pid)))", pid).Scan(t.Context(), &waits)
				return err == nil && waits
			})
			return invoices.AddClaim(ctx, tx, locked[id], s.clock.now())
		})
		if err := many.Wait(); err != nil {
			t.Error(err)
		}
		if inv := s.get(id); inv.PaidMinor != 16 {
			t.Errorf("%+v", inv)
		}
	})
	t.Run("takes a settlement that comes too late when nothing is applied", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.open("10")
		s.addClaim(id)
		s.apply(invoices.Application{InvoiceID: id, AppliedMinor: 1000})
		if inv := s.get(id); inv.Status != invoices.StatusPaid || inv.PendingClaims != 1 {
			t.Fatalf("%+v", inv)
		}
		s.apply(invoices.Application{InvoiceID: id, Claims: 1})
		if inv := s.get(id); inv.Status != invoices.StatusPaid || inv.PendingClaims != 0 || inv.PaidMinor != 1000 {
			t.Errorf("%+v", inv)
		}
		gone := s.open("10")
		if _, err := s.service.Void(s.ctx, invoices.VoidInput{Invoice: gone.String(), Reason: "x"}); err != nil {
			t.Fatal(err)
		}
		s.apply(invoices.Application{InvoiceID: gone})
		if inv := s.get(gone); inv.Status != invoices.StatusVoid {
			t.Errorf("%+v", inv)
		}
	})
	t.Run("refuses the caller's mistakes and changes nothing", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		id := s.open("10")
		draft := s.draft([]map[string]any{line("10")})
		tests := map[string][]invoices.Application{
			"above the balance":    {{InvoiceID: id, AppliedMinor: 1001}},
			"below nothing":        {{InvoiceID: id, AppliedMinor: -1}},
			"claims without claim": {{InvoiceID: id, AppliedMinor: 1, Claims: 1}},
			"a draft":              {{InvoiceID: draft, AppliedMinor: 1}},
			"twice":                {{InvoiceID: id, AppliedMinor: 1}, {InvoiceID: id, AppliedMinor: 1}},
			"unknown":              {{InvoiceID: uuid.New(), AppliedMinor: 1}},
		}
		for name, apps := range tests {
			if _, err := s.tryApply(tenancy.AsSystem(t.Context(), s.tenant.ID, "worker test"), apps...); err == nil {
				t.Errorf("%s: not refused", name)
			}
		}
		if inv := s.get(id); inv.PaidMinor != 0 || inv.Status != invoices.StatusOpen {
			t.Errorf("%+v", inv)
		}
	})
	t.Run("refuses rows that are not as they were read", func(t *testing.T) {
		t.Parallel()
		for name, c := range map[string]struct {
			read   func(inv, other *invoices.Owing)
			change bool
		}{
			"one that has changed":   {read: func(_, _ *invoices.Owing) {}, change: true},
			"one of another version": {read: func(inv, _ *invoices.Owing) { inv.Version-- }},
			"one where another lies": {read: func(inv, other *invoices.Owing) { id := inv.ID; *inv = *other; inv.ID = id }},
		} {
			s := newShop(t)
			a, b := s.open("10"), s.open("10")
			var read map[uuid.UUID]*invoices.Owing
			s.mustTx(func(ctx context.Context, tx bun.Tx) (err error) {
				read, err = invoices.Owed(ctx, tx, a, b)
				return err
			})
			c.read(read[a], read[b])
			if c.change {
				s.addClaim(a)
			}
			err := s.inTx(func(ctx context.Context, tx bun.Tx) error {
				outcome, err := s.service.ApplyPayments(ctx, read, []invoices.Application{{InvoiceID: a, AppliedMinor: 1}}, uuid.New(), s.clock.now())
				if err != nil {
					return err
				}
				return database.Send(ctx, outcome.Change)
			})
			if !errors.Is(err, invoices.ErrMoved) {
				t.Errorf("%s: %v", name, err)
			}
			if s.get(a).PaidMinor+s.get(b).PaidMinor != 0 {
				t.Errorf("%s: it was paid", name)
			}
		}
	})
	t.Run("reads of each row what Lock reads, and nothing of the row before", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		paid, paused, fresh := s.open("10"), s.open("10"), s.open("10")
		s.addClaim(paused)
		s.apply(invoices.Application{InvoiceID: paid, AppliedMinor: 1000})
		draft := s.draft([]map[string]any{line("10")})
		for _, ids := range [][]uuid.UUID{{paid, fresh, paused, draft}, {draft, paused, fresh, paid}} {
			s.mustTx(func(ctx context.Context, tx bun.Tx) error {
				want, err := invoices.Lock(ctx, tx, ids...)
				if err != nil {
					return err
				}
				for _, read := range []func(context.Context, bun.Tx, ...uuid.UUID) (map[uuid.UUID]*invoices.Owing, error){invoices.Owed, invoices.LockOwed} {
					got, err := read(ctx, tx, ids...)
					if err != nil {
						return err
					}
					for _, id := range ids {
						w, g := want[id], got[id]
						whole := *w // of which only some is read
						g.ExternalID, g.NumberIsOurs, g.InvoiceDate, g.DueDate, g.CreatedAt, g.UpdatedAt = w.ExternalID, w.NumberIsOurs, w.InvoiceDate, w.DueDate, w.CreatedAt, w.UpdatedAt
						g.SubtotalMinor, g.DiscountMinor, g.TaxMinor, g.VoidedAt = w.SubtotalMinor, w.DiscountMinor, w.TaxMinor, w.VoidedAt
						if diff := cmp.Diff(whole, g.Invoice); diff != "" {
							t.Error(diff)
						}
					}
				}
				return nil
			})
		}
	})
	t.Run("costs the same number of statements whatever the set", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.addOpen(311, 0)
		var ids []uuid.UUID
		if err := testkit.OwnerDB(t).NewRaw("SELECT id FROM invoices WHERE tenant_id = ?", s.tenant.ID).Scan(t.Context(), &ids); err != nil {
			t.Fatal(err)
		}
		counts := map[int]int64{}
		for _, n := range []int{1, 10, 300} {
			apps := make([]invoices.Application, n)
			for i := range apps {
				apps[i] = invoices.Application{InvoiceID: ids[i], AppliedMinor: 1000}
			}
			ids = ids[n:]
			ctx, count := testkit.Count(tenancy.AsSystem(t.Context(), s.tenant.ID, "worker test"))
			paid, err := s.tryApply(ctx, apps...)
			if err != nil || len(paid) != n {
				t.Fatalf("%d paid, %v", len(paid), err)
			}
			counts[n] = count.Load()
		}
		// round trips: begin comes with the lock, audit records and events go with commit
		if diff := cmp.Diff(map[int]int64{1: 4, 10: 4, 300: 4}, counts); diff != "" {
			t.Error(diff)
		}
	})
}

// addOpen puts n open invoices over 10.00 with one credit each straight into the table, due a day after each other,
// and paid ones among them: of every share rows all but the first. A share of zero makes all open.
func (s *shop) addOpen(n, share int) {
	s.t.Helper()
	_, err := testkit.OwnerDB(s.t).ExecContext(s.t.Context(), `
		INSERT INTO invoices (tenant_id, id, account_id, external_id, number, status, currency, invoice_date, due_date, subtotal_minor, discount_minor, tax_minor, total_minor,
		  paid_minor, balance_minor, credits, created_at, finalized_at, paid_at)
		SELECT ?0, gen_random_uuid(), ?1, 'ext-' || ?4 || to_char(n, '"-"FM000000'), ?4 || to_char(n, '"-"FM000000'), CASE WHEN open THEN 'open' ELSE 'paid' END, 'BDT', '2020-01-01', date '2020-01-01' + n % 2000, 1000, 0, 0, 1000,
		  CASE WHEN open THEN 0 ELSE 1000 END, CASE WHEN open THEN 1000 ELSE 0 END, 1, timestamptz '2020-01-01' + n * interval '1 hour', now(), CASE WHEN open THEN NULL ELSE now() END
		FROM (SELECT n, ?3 = 0 OR n % greatest(?3, 1) = 0 AS open FROM generate_series(1, ?2) AS n) AS rows`, s.tenant.ID, s.account.ID, n, share, s.account.Number)
	if err != nil {
		s.t.Fatal(err)
	}
}
