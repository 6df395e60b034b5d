package invoices_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/invoices"
	"countersign/internal/database"
	"countersign/internal/outbox"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

func TestVisibility(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	other := s.newAccount(accounts.CreateAccountInput{Holder: "Other"})
	mine, draft := s.open("10"), s.draft([]map[string]any{line("1")}, "external_id", "draft-1")
	dropped := s.draft([]map[string]any{line("1")})
	s.owner().Post(path+dropped.String()+"/void/", map[string]any{"reason": "x"}).Expect(http.StatusOK)
	theirs := s.draft([]map[string]any{line("5")}, "account_id", other.ID.String())
	s.owner().Post(path+theirs.String()+"/finalize/", "").Expect(http.StatusOK)
	t.Run("a member sees the finalised invoices of his account and nothing else", func(t *testing.T) {
		c := s.client(s.as("member", s.account.ID))
		a := c.Get(path).Expect(http.StatusOK)
		if a.Int("count") != 1 || a.Text("results.0.id") != mine.String() {
			t.Errorf("%s", a.Raw)
		}
		if got := c.Get(path + mine.String() + "/").Expect(http.StatusOK).List("data.line_items"); len(got) != 1 {
			t.Errorf("lines are %v", got)
		}
		for _, ref := range []string{draft.String(), "draft-1", dropped.String(), theirs.String()} {
			c.Get(path+ref+"/").Refused(http.StatusNotFound, "invoice_not_found")
			c.Get(path+ref+"/balance/").Refused(http.StatusNotFound, "invoice_not_found")
		}
		c.Get(path+"?account="+other.ID.String()).Refused(http.StatusBadRequest, "unknown_account")
	})
	t.Run("another tenant sees none of it, and changes none of it", func(t *testing.T) {
		c := newShop(t).owner()
		if got := c.Get(path).Int("count"); got != 0 {
			t.Errorf("%d invoices", got)
		}
		unknown := c.Get(path+uuid.NewString()+"/").Refused(http.StatusNotFound, "invoice_not_found")
		for _, ref := range []string{mine.String(), "draft-1"} {
			a := c.Get(path+ref+"/").Refused(http.StatusNotFound, "invoice_not_found")
			if a.Text("error") != unknown.Text("error") {
				t.Error("a foreign id is told from an unknown one")
			}
			c.Patch(path+ref+"/", map[string]any{"notes": "mine"}).Refused(http.StatusNotFound, "invoice_not_found")
			c.Post(path+ref+"/finalize/", "").Refused(http.StatusNotFound, "invoice_not_found")
			c.Post(path+ref+"/void/", map[string]any{"reason": "x"}).Refused(http.StatusNotFound, "invoice_not_found")
			c.Get(path+ref+"/balance/").Refused(http.StatusNotFound, "invoice_not_found")
		}
	})
	t.Run("malformed references are as unknown as any other", func(t *testing.T) {
		for _, ref := range []string{"nul%00", "%ff", strings.Repeat("x", 500), "0", "DRAFT-1", strings.ToUpper(mine.String()) + "0"} {
			s.owner().Get(path+ref+"/").Refused(http.StatusNotFound, "invoice_not_found")
		}
	})
	t.Run("an external id may hold any character", func(t *testing.T) {
		for _, ref := range []string{"a/b c", "100%", "ключ", uuid.NewString()} {
			id := s.draft([]map[string]any{line("1")}, "external_id", ref)
			if got := s.owner().Get(path + url.PathEscape(ref) + "/").Expect(http.StatusOK).Text("data.id"); got != id.String() {
				t.Errorf("%s gives %s", ref, got)
			}
		}
	})
}

func TestList(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	other := s.newAccount(accounts.CreateAccountInput{Holder: "Other", ExternalID: "cust-2"})
	names := map[string]string{}
	add := func(name string, id uuid.UUID) uuid.UUID { names[id.String()] = name; return id }
	add("draft", s.draft([]map[string]any{line("1")}, "external_id", "order-7"))
	add("open", s.open("10"))
	partial := add("partial", s.open("10"))
	paid := add("paid", s.open("10"))
	s.apply(invoices.Application{InvoiceID: partial, AppliedMinor: 1}, invoices.Application{InvoiceID: paid, AppliedMinor: 1000})
	void := add("void", s.open("10"))
	s.owner().Post(path+void.String()+"/void/", map[string]any{"reason": "x"}).Expect(http.StatusOK)
	late := add("late", s.draft([]map[string]any{line("5")}, "account_id", other.ID.String(), "currency", "USD", "invoice_date", "2026-01-01", "due_date", "2026-01-20"))
	s.owner().Post(path+late.String()+"/finalize/", "").Expect(http.StatusOK)

	tests := []struct{ query, want string }{
		{"", "late void paid partial open draft"},
		{"ordering=created_at", "draft open partial paid void late"},
		{"ordering=due_date&due_before=2026-02-20", "late"},
		{"status=draft", "draft"},
		{"status=pending", "late open"},
		{"status=FINALIZED", "late open"},
		{"status=partial", "partial"},
		{"status=partially_paid", "partial"},
		{"status=paid", "paid"},
		{"status=cancelled", "void"},
		{"status=uncollectible", ""},
		{"overdue=true", "late"},
		{"overdue=false", "void paid partial open draft"},
		{"account=cust-2", "late"},
		{"account=" + other.ID.String(), "late"},
		{"currency=usd", "late"},
		{"due_after=2026-02-20", "void paid partial open draft"},
		{"due_after=2026-02-21", ""},
		{"created_before=2000-01-01", ""},
		{"created_after=2000-01-01&status=draft", "draft"},
		{"search=INV-2026-000002", "partial"},
		{"search=INV-2026-", "late void paid partial open"},
		{"search=order", "draft"},
		{"search=rder", ""},
		{"search=%25", ""},
		{"page_size=2&page=2", "paid partial"},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			var got []string
			for _, row := range s.owner().Get(path + "?" + tt.query).Expect(http.StatusOK).List("results") {
				got = append(got, names[row.(map[string]any)["id"].(string)])
			}
			if text := strings.Join(got, " "); text != tt.want {
				t.Errorf("got %q, want %q", text, tt.want)
			}
		})
	}
	for _, query := range []string{"status=unheard", "currency=XXZ", "due_before=tomorrow", "due_before=0000-01-01", "due_after=1899-12-31", "created_after=0000-01-01", "ordering=total_amount", "stauts=paid", "search=%00"} {
		s.owner().Get(path+"?"+query).Refused(http.StatusBadRequest, "validation_failed")
	}
	s.owner().Get(path+"?account=nobody").Refused(http.StatusBadRequest, "unknown_account")
	t.Run("walks by cursor without counting", func(t *testing.T) {
		next, seen := path+"?page_size=2&cursor=", 0
		for next != "" {
			a := s.owner().Get(next).Expect(http.StatusOK)
			seen += len(a.List("results"))
			next, _ = a.At("next").(string)
			if _, counted := a.Body["count"]; counted {
				t.Error("it counts")
			}
		}
		if seen != 6 {
			t.Errorf("%d rows", seen)
		}
	})
}

func TestStatements(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.addOpen(30, 0)
	id := s.open("10")
	// begin and commit are two of each, and the tenant of a list comes with begin: the page and its count; the invoice,
	// the tenant, the lines and the adjustments
	for at, want := range map[string]int64{path: 4, path + "?page_size=30": 4, path + "?cursor=": 3, path + id.String() + "/": 6, path + id.String() + "/balance/": 3} {
		ctx, n := testkit.Count(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.owner().Do(r).Expect(http.StatusOK)
		if got := n.Load(); got != want {
			t.Errorf("%s costs %d round trips, want %d", at, got, want)
		}
	}
}

// TestListPlans looks at how PostgreSQL runs what the lists really send, with 20,000 invoices of which few are the
// account's. Filters by status and lateness alone are not here: they walk the list.
func TestListPlans(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.addOpen(100, 0)
	crowd := *s
	crowd.account = s.newAccount(accounts.CreateAccountInput{Holder: "Crowd"})
	crowd.addOpen(20_000, 200)
	if _, err := testkit.OwnerDB(t).ExecContext(t.Context(), "ANALYZE invoices"); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var sent []string
	db, err := database.Open(database.Config{URL: testkit.OwnerURL(), Role: database.AppRole, MaxConns: 1, Trace: func(_ context.Context, statements ...string) {
		mu.Lock()
		defer mu.Unlock()
		for _, query := range statements {
			if strings.Contains(query, `"invoices"`) {
				sent = append(sent, query)
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	watched := *s
	watched.service = invoices.New(invoices.Deps{DB: db, Outbox: outbox.New(nil, outbox.NewBell(db)), Now: s.clock.now})
	member := s.as("member", s.account.ID)
	tests := []struct {
		name, query, index string
		as                 context.Context
	}{
		{"the newest", "?cursor=", "invoices_created_at_idx", s.ctx},
		{"the newest with their count", "", "invoices_created_at_idx", s.ctx},
		{"a member's", "?cursor=", "invoices_account_idx", member},
		{"an account's", "?cursor=&account=" + s.account.ID.String(), "invoices_account_idx", s.ctx},
		{"by due date", "?ordering=due_date", "invoices_due_date_idx", s.ctx},
		{"due in some days", "?due_after=2021-01-01&due_before=2021-01-05", "invoices_due_date_idx", s.ctx},
		{"by number", "?search=ACC-000002-000777", "invoices_number_key", s.ctx},
		{"by external id", "?search=ext-ACC-000002-007777", "invoices_external_id_key", s.ctx},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sent = nil
			watched.client(tt.as).Get(path + tt.query).Expect(http.StatusOK)
			if len(sent) == 0 {
				t.Fatal("no statement was seen")
			}
			page := sent[len(sent)-1]
			plan := s.explain(tt.as, page)
			if !strings.Contains(plan, tt.index) || strings.Contains(plan, "Seq Scan on invoices") {
				t.Errorf("%s\n%s", page, plan)
			}
		})
	}
}

// explain gives the plan of query as its sender would get it.
func (s *shop) explain(ctx context.Context, query string) (plan string) {
	s.t.Helper()
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		plan = testkit.Explain(ctx, s.t, tx, query)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return plan
}

func TestPaymentsOfAnInvoice(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.open("10")
	s.service = invoices.New(invoices.Deps{DB: s.db, Outbox: outbox.New(nil, outbox.NewBell(s.db)), Now: s.clock.now,
		Payments: func(_ context.Context, _ bun.IDB, inv *invoices.Invoice) ([]any, error) {
			return []any{map[string]any{"invoice_id": inv.ID, "amount_minor": int64(1)<<53 + 1}}, nil
		}})
	c := s.owner().With("Idempotency-Key", "k")
	for range 2 { // the second is a replay, which must show the same digits
		a := c.Post(path+id.String()+"/void/", map[string]any{"reason": "x"}).Expect(http.StatusOK)
		if a.Int("data.payments.0.amount_minor") != 1<<53+1 || a.Text("data.payments.0.invoice_id") != id.String() {
			t.Errorf("%s", a.Raw)
		}
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.draft([]map[string]any{line("10")}, "notes", "for the eyes of staff")
	s.owner().Patch(path+id.String()+"/", map[string]any{"notes": "still"}).Expect(http.StatusOK)
	s.owner().Post(path+id.String()+"/finalize/", "").Expect(http.StatusOK)
	s.apply(invoices.Application{InvoiceID: id, AppliedMinor: 1})
	var got []struct {
		Action, ActorLabel, Reason, After string
		CreatedAt                         time.Time
	}
	err := testkit.OwnerDB(t).NewRaw("SELECT action, actor_label, reason, after::text AS after FROM audit_log WHERE tenant_id = ? AND object_id = ? ORDER BY id", s.tenant.ID, id).Scan(t.Context(), &got)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range got {
		lines = append(lines, fmt.Sprintf("%s by %s", r.Action, r.ActorLabel))
		if strings.Contains(r.After, "eyes") || strings.Contains(r.After, "still") {
			t.Errorf("the log keeps notes: %s", r.After)
		}
	}
	want := []string{"invoice.create by owner@shop.test", "invoice.update by owner@shop.test", "invoice.finalize by owner@shop.test"} // money that comes in is in the record of the payment's settlement
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
}
