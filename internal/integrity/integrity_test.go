package integrity_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/payments"
	"countersign/internal/apps"
	"countersign/internal/audit"
	"countersign/internal/integrity"
	"countersign/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// prove runs the nightly task as a worker does, and says whether it is done with.
func prove(w *billingtest.World, s *integrity.Service) (done bool, err error) {
	task := s.App().Tasks[0]
	err = task.Run(w.System, apps.Job{Done: func(context.Context, bun.Tx) error { done = true; return nil }})
	return done, err
}

// alarms are the payloads of the events of a tenant, the oldest first.
func alarms(t *testing.T, w *billingtest.World) (list []integrity.Broken) {
	t.Helper()
	var raw []string
	if err := testkit.OwnerDB(t).NewRaw("SELECT payload::text FROM events WHERE tenant_id = ? AND type = ? ORDER BY id", w.Tenant.ID, integrity.EventBroken).Scan(t.Context(), &raw); err != nil {
		t.Fatal(err)
	}
	for _, text := range raw {
		var b integrity.Broken
		if err := json.Unmarshal([]byte(text), &b); err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	return list
}

// books is a tenant with an invoice that is paid, one that is not, and a sealed audit log.
func books(t *testing.T) (w *billingtest.World, settled *payments.Payment) {
	t.Helper()
	w = billingtest.New(t)
	settled = w.Pay(w.OpenInvoice("150.00").ID)
	w.OpenInvoice("20.00")
	if err := audit.Seal(w.System, w.DB); err != nil {
		t.Fatal(err)
	}
	return w, settled
}

func transactionOf(t *testing.T, w *billingtest.World, payment uuid.UUID) (id uuid.UUID) {
	t.Helper()
	if err := testkit.OwnerDB(t).NewRaw("SELECT id FROM ledger_transactions WHERE tenant_id = ? AND payment_id = ?", w.Tenant.ID, payment).Scan(t.Context(), &id); err != nil {
		t.Fatal(err)
	}
	return id
}

// TestAlarm breaks a sum as a superuser: everybody who should hear of it does, and names the group (S1-28). It runs
// beside no other test, because it reads the log and the figures of the whole program.
func TestAlarm(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(io.MultiWriter(&log, testkit.Hear("the log")), nil)))
	defer slog.SetDefault(before)
	w, settled := books(t)
	neighbour, _ := books(t)
	run := func(w *billingtest.World) {
		t.Helper()
		if done, err := prove(w, w.Integrity); err != nil || !done {
			t.Fatalf("done %v: %v", done, err)
		}
	}
	gauges := func() map[string]map[string]float64 {
		t.Helper()
		got, err := w.Integrity.Gauges(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	never := gauges()[integrity.GaugeRan]["ledger.E001"]

	run(w)
	run(neighbour)
	if got := alarms(t, w); len(got) != 0 || strings.Contains(log.String(), "level=ERROR") || len(w.Audited("integrity.")) != 0 {
		t.Fatalf("books that are right raise an alarm: %+v %s", got, &log)
	}
	got := gauges()
	for id, n := range got[integrity.GaugeFound] {
		if n != 0 {
			t.Errorf("the figure of %s is %v", id, n)
		}
	}
	if ran := got[integrity.GaugeRan]["ledger.E001"]; ran <= never || time.Since(time.Unix(int64(ran), 0)).Abs() > time.Minute {
		t.Errorf("the last run was at %v, before any at %v", ran, never)
	}
	site := w.Console()
	finance := w.Browse(site, w.Finance)
	finance.Get("integrity/").Expect(http.StatusOK).Shows("ledger.E001", "audit.E001", "payments.E001", "The books are right.", "Proven").Hides("Broken", "Never")
	finance.Get("jobs/").Hides("The books are broken")

	broken := transactionOf(t, w, settled.ID)
	w.Tamper("UPDATE ledger_entries SET amount_minor = amount_minor - 100 WHERE tenant_id = ? AND transaction_id = ? AND amount_minor < 0", broken)
	run(w)
	run(neighbour)
	if len(alarms(t, neighbour)) != 0 {
		t.Error("the neighbour's books raise an alarm")
	}
	told := alarms(t, w)
	if len(told) != 1 {
		t.Fatalf("%d alarms, want 1", len(told))
	}
	want := integrity.Finding{Check: "ledger.E001", What: "a transaction does not sum to zero", Count: 1, Places: []apps.Place{{Object: broken, Detail: "USD entries sum to -100"}}}
	if len(told[0].Findings) == 0 || told[0].Count < 1 {
		t.Fatalf("the alarm says %+v", told[0])
	}
	if diff := cmp.Diff(want, told[0].Findings[0]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"integrity.broken"}, w.Audited("integrity.")); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), broken.String()) || !strings.Contains(log.String(), w.Tenant.ID.String()) {
		t.Errorf("the log says %s", &log)
	}
	if n := gauges()[integrity.GaugeFound]["ledger.E001"]; n != 1 {
		t.Errorf("the figure is %v", n)
	}
	finance.Get("jobs/").Shows("The books are broken")
	finance.Get("integrity/").Shows(broken.String(), "USD entries sum to -100", "Broken", "compare the entries with their cause")
	neighbour.Browse(neighbour.Console(), neighbour.Owner).Get("integrity/").Shows("The books are right.").Hides("Broken")
	w.Browse(site, w.Viewer).Get("integrity/").Expect(http.StatusForbidden)

	w.Tamper("UPDATE ledger_entries SET amount_minor = amount_minor + 100 WHERE tenant_id = ? AND transaction_id = ? AND amount_minor < 0", broken)
	run(w)
	if n := gauges()[integrity.GaugeFound]["ledger.E001"]; n != 0 || len(alarms(t, w)) != 1 {
		t.Errorf("mended books: the figure is %v, and %d alarms", n, len(alarms(t, w)))
	}
}

// TestEveryApp breaks something in each app's tables: the one task finds all of it, and names what it is.
func TestEveryApp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, check string
		tamper      func(w *billingtest.World, p *payments.Payment) uuid.UUID
	}{
		{"a posting that was lost", "payments.E001", func(w *billingtest.World, p *payments.Payment) uuid.UUID {
			w.Tamper("DELETE FROM ledger_entries WHERE tenant_id = ? AND transaction_id = (SELECT t.id FROM ledger_transactions t WHERE t.tenant_id = ?0 AND t.payment_id = ?1)", p.ID)
			w.Tamper("DELETE FROM ledger_transactions WHERE tenant_id = ? AND payment_id = ?", p.ID)
			return p.ID
		}},
		{"a payment that was lost", "payments.E003", func(w *billingtest.World, p *payments.Payment) uuid.UUID {
			id := transactionOf(t, w, p.ID)
			w.Tamper("DELETE FROM payments WHERE tenant_id = ? AND id = ?", p.ID)
			return id
		}},
		{"a payment of another amount", "payments.E002", func(w *billingtest.World, p *payments.Payment) uuid.UUID {
			w.Tamper("UPDATE payments SET received_minor = 1, applied_minor = 1, excess_minor = 0 WHERE tenant_id = ? AND id = ?", p.ID)
			return p.ID
		}},
		{"an invoice that was paid by hand", "invoices.E002", func(w *billingtest.World, p *payments.Payment) uuid.UUID {
			open := w.OpenInvoice("7.00").ID
			w.Tamper("UPDATE invoices SET status = 'partially_paid', paid_minor = 100, balance_minor = 600 WHERE tenant_id = ? AND id = ?", open)
			return open
		}},
		{"a record of the audit log", "audit.E001", func(w *billingtest.World, _ *payments.Payment) (id uuid.UUID) {
			w.Tamper("UPDATE audit_log SET actor_label = 'nobody' WHERE tenant_id = ? AND chain_seq = 2")
			if err := testkit.OwnerDB(t).NewRaw("SELECT id FROM audit_log WHERE tenant_id = ? AND chain_seq = 2", w.Tenant.ID).Scan(t.Context(), &id); err != nil {
				t.Fatal(err)
			}
			return id
		}},
		{"a cached balance", "ledger.E005", func(w *billingtest.World, _ *payments.Payment) (id uuid.UUID) {
			w.Tamper("UPDATE ledger_balances SET amount_minor = amount_minor + 1 WHERE tenant_id = ? AND code = 'receivable'")
			if err := testkit.OwnerDB(t).NewRaw("SELECT ledger_account_id FROM ledger_balances WHERE tenant_id = ? AND code = 'receivable'", w.Tenant.ID).Scan(t.Context(), &id); err != nil {
				t.Fatal(err)
			}
			return id
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, p := books(t)
			object := tt.tamper(w, p)
			if done, err := prove(w, w.Integrity); err != nil || !done {
				t.Fatalf("done %v: %v", done, err)
			}
			told := alarms(t, w)
			if len(told) != 1 {
				t.Fatalf("%d alarms, want 1", len(told))
			}
			for _, f := range told[0].Findings {
				if f.Check == tt.check {
					if f.Count != 1 || f.Places[0].Object != object {
						t.Errorf("it names %+v, want %s", f.Places, object)
					}
					return
				}
			}
			t.Errorf("the alarm says %+v, want %s", told[0].Findings, tt.check)
		})
	}
}

// TestUnproven takes a check that cannot be run: the task is tried again, unless another check has found something, which
// must not wait.
func TestUnproven(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	failing := apps.Check{ID: "x.E001", Deep: true, Run: func(context.Context) (*apps.Finding, error) { return nil, errors.New("no connection") }}
	finding := apps.Check{ID: "x.E002", Deep: true, What: "a thing is broken", Run: func(context.Context) (*apps.Finding, error) {
		return &apps.Finding{Places: make([]apps.Place, 30)}, nil
	}}
	service := func(checks ...apps.Check) *integrity.Service {
		s := integrity.New(w.DB, w.Outbox)
		s.Prove([]apps.App{{Checks: append(checks, apps.Check{ID: "x.W001", Run: nil})}})
		return s
	}
	if done, err := prove(w, service(failing)); err == nil || done || len(alarms(t, w)) != 0 {
		t.Errorf("a check that cannot be run: done %v, %v", done, err)
	}
	if done, err := prove(w, service(failing, finding)); err != nil || !done {
		t.Errorf("with a finding: done %v, %v", done, err)
	}
	told := alarms(t, w)
	if len(told) != 1 || told[0].Count != 30 || len(told[0].Findings[0].Places) != 10 || len(told[0].Unproven) != 1 || told[0].Unproven[0] != "x.E001" {
		t.Errorf("the alarm says %+v", told)
	}
	if done, err := prove(w, w.Integrity); err != nil || !done {
		t.Fatal(err)
	}
	var kept int
	w.Read(func(ctx context.Context, tx bun.Tx) error {
		return tx.NewRaw("SELECT count(*) FROM integrity_results WHERE tenant_id = ? AND check_id LIKE 'x.%'", w.Tenant.ID).Scan(ctx, &kept)
	})
	if kept != 0 {
		t.Error("what is no longer checked is still shown")
	}
}
