package audit_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/audit"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// newTenant gives a tenant whose log holds one record: of its creation.
func newTenant(t *testing.T) uuid.UUID {
	t.Helper()
	tenant, err := tenancy.New(testkit.DB(t)).Create(t.Context(), "test", tenancy.CreateInput{Slug: "a" + uuid.NewString()[:12], Name: "Test", Country: "BD", DefaultCurrency: "BDT"})
	if err != nil {
		t.Fatal(err)
	}
	return tenant.ID
}

func owner(tenant uuid.UUID) auth.Principal {
	return auth.Principal{Kind: auth.KindUser, UserID: uuid.New(), TenantID: tenant, Permissions: auth.PermissionsOf(auth.RoleOwner), Label: "owner@x.test"}
}

func write(t *testing.T, p auth.Principal, records ...audit.Record) {
	t.Helper()
	for _, r := range records { // each in a commit of its own
		err := tenancy.InTx(tenancy.Enter(t.Context(), p), testkit.DB(t), func(ctx context.Context, _ bun.Tx) error { return audit.Write(ctx, r) })
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAuditLog(t *testing.T) {
	t.Parallel()
	tenant := newTenant(t)
	p := owner(tenant)
	object := uuid.New()
	write(t, p,
		audit.Record{Action: "payment.approve", ObjectType: "payment", ObjectID: object, Before: map[string]any{"status": "pending_approval"},
			After: map[string]any{"status": "processing"}, Reason: "seen in the bank"},
		audit.Record{Action: "invoice.void", ObjectType: "invoice", ObjectID: uuid.New()})
	who := p
	router := web.NewRouter()
	router.Use(web.RequestID(nil), func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(tenancy.Enter(r.Context(), who)))
		})
	})
	web.Mount(router, audit.App(testkit.DB(t)).URLs)
	client := testkit.NewClient(t, router)

	all := client.Get("/billing/audit-log/").Expect(http.StatusOK)
	if all.Int("count") != 3 || all.Text("results.0.action") != "invoice.void" || all.At("results.0.before") != nil || all.At("results.0.chain_seq") != nil {
		t.Errorf("log: %s", all.Raw)
	}
	one := client.Get("/billing/audit-log/?object_id=" + object.String())
	got := map[string]any{}
	for _, path := range []string{"results.0.actor.kind", "results.0.actor.id", "results.0.actor.label", "results.0.object.type", "results.0.object.id",
		"results.0.before.status", "results.0.after.status", "results.0.reason"} {
		got[path] = one.At(path)
	}
	want := map[string]any{"results.0.actor.kind": "user", "results.0.actor.id": p.UserID.String(), "results.0.actor.label": "owner@x.test",
		"results.0.object.type": "payment", "results.0.object.id": object.String(), "results.0.before.status": "pending_approval",
		"results.0.after.status": "processing", "results.0.reason": "seen in the bank"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for query, n := range map[string]int64{"action=payment.approve": 1, "object_type=invoice": 1, "actor=owner@x.test": 2, "actor=" + p.UserID.String(): 2,
		"actor=test": 1, "created_after=2020-01-01": 3, "created_before=2020-01-01": 0} {
		if got := client.Get("/billing/audit-log/?" + query).Expect(http.StatusOK).Int("count"); got != n {
			t.Errorf("?%s finds %d records, want %d", query, got, n)
		}
	}
	client.Get("/billing/audit-log/?color=red").Refused(http.StatusBadRequest, "validation_failed")

	if err := audit.Seal(tenancy.AsSystem(t.Context(), tenant, "test"), testkit.DB(t)); err != nil {
		t.Fatal(err)
	}
	if seq := client.Get("/billing/audit-log/").Int("results.0.chain_seq"); seq != 3 {
		t.Errorf("the last record is number %d of the chain, want 3", seq)
	}

	who.Permissions = auth.PermissionsOf(auth.RoleFinance)
	client.Get("/billing/audit-log/").Refused(http.StatusForbidden, "permission_denied")
	who.Permissions, who.AccountID = auth.PermissionsOf(auth.RoleOwner), uuid.New()
	client.Get("/billing/audit-log/").Refused(http.StatusForbidden, "staff_only")
}

func TestVerify(t *testing.T) {
	t.Parallel()
	// tamper changes the log as only somebody with the database's own powers can.
	tamper := func(t *testing.T, statement string, args ...any) {
		t.Helper()
		err := testkit.OwnerDB(t).RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
			for _, q := range []string{"ALTER TABLE audit_log DISABLE TRIGGER USER", statement, "ALTER TABLE audit_log ENABLE TRIGGER USER"} {
				a := args
				if q != statement {
					a = nil
				}
				if _, err := tx.ExecContext(ctx, q, a...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name   string
		change string // gets the tenant
		want   map[int64]audit.FaultKind
	}{
		{name: "finds nothing wrong with an untouched log"},
		{"finds a changed record", `UPDATE audit_log SET after = '{"n": 99}' WHERE tenant_id = ? AND chain_seq = 4`, map[int64]audit.FaultKind{4: audit.FaultChanged}},
		{"finds a changed actor", `UPDATE audit_log SET actor_label = 'nobody' WHERE tenant_id = ? AND chain_seq = 1`, map[int64]audit.FaultKind{1: audit.FaultChanged}},
		{"finds a changed last record", `UPDATE audit_log SET created_at = created_at - interval '1 day' WHERE tenant_id = ? AND chain_seq = 6`,
			map[int64]audit.FaultKind{6: audit.FaultChanged}},
		{"finds a missing record", `DELETE FROM audit_log WHERE tenant_id = ? AND chain_seq = 3`, map[int64]audit.FaultKind{4: audit.FaultGap}},
		{"finds a missing first record", `DELETE FROM audit_log WHERE tenant_id = ? AND chain_seq = 1`, map[int64]audit.FaultKind{2: audit.FaultGap}},
		{"finds a record that was removed although the rest was renumbered",
			`WITH gone AS (DELETE FROM audit_log WHERE tenant_id = ?0 AND chain_seq = 6 RETURNING id)
			UPDATE audit_log SET chain_seq = 60 WHERE tenant_id = ?0 AND chain_seq = 5`, map[int64]audit.FaultKind{60: audit.FaultGap}},
		{"finds a missing last record", `DELETE FROM audit_log WHERE tenant_id = ? AND chain_seq = 6`, map[int64]audit.FaultKind{6: audit.FaultCut}},
		{"finds a replaced hash", `UPDATE audit_log SET chain_hash = sha256('x') WHERE tenant_id = ? AND chain_seq = 3`,
			map[int64]audit.FaultKind{3: audit.FaultChanged, 4: audit.FaultLink}},
		{"finds a record that was changed and hashed again",
			`UPDATE audit_log AS a SET reason = 'x', chain_hash = sha256(p.chain_hash || convert_to(audit_content(jsonb_populate_record(a, '{"reason": "x"}')), 'UTF8'))
			FROM audit_log AS p WHERE p.tenant_id = ?0 AND p.chain_seq = 2 AND a.tenant_id = ?0 AND a.chain_seq = 3`,
			map[int64]audit.FaultKind{4: audit.FaultChanged}},
	} {
		t.Run(test.name, func(t *testing.T) {
			tenant := newTenant(t)
			p := owner(tenant)
			for n := range 5 {
				write(t, p, audit.Record{Action: "test.write", ObjectType: "test", ObjectID: uuid.New(), After: map[string]any{"n": n, "text": "Ünïcödé ?"}})
			}
			ctx := tenancy.AsSystem(t.Context(), tenant, "test")
			if err := audit.Seal(ctx, testkit.DB(t)); err != nil {
				t.Fatal(err)
			}
			write(t, p, audit.Record{Action: "test.late", ObjectType: "test", ObjectID: uuid.New()})
			if test.change != "" {
				tamper(t, test.change, tenant)
			}
			report, err := audit.Verify(ctx, testkit.DB(t))
			if err != nil {
				t.Fatal(err)
			}
			got := map[int64]audit.FaultKind{}
			for _, f := range report.Faults {
				got[f.Seq] = f.Kind
			}
			if test.want == nil {
				test.want = map[int64]audit.FaultKind{}
				if report.Sealed != 6 || report.Unsealed != 1 || report.HeadSeq != 6 || len(report.HeadHash) != 32 {
					t.Errorf("report: %+v", report)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" || report.OK() != (len(test.want) == 0) {
				t.Errorf("OK is %v; %s", report.OK(), diff)
			}
			check := audit.App(testkit.DB(t)).Checks[0]
			found, err := check.Run(ctx)
			switch {
			case err != nil || !check.Deep:
				t.Error(err)
			case (found == nil) != report.OK():
				t.Errorf("the command verify says %v", found)
			case found != nil && !strings.Contains(found.What, fmt.Sprintf("record %d: %s", report.Faults[0].Seq, report.Faults[0].Kind)):
				t.Errorf("the command verify says %q", found.What)
			}
		})
	}
}

func TestSealing(t *testing.T) {
	t.Parallel()
	tenant := newTenant(t)
	bell := audit.App(testkit.DB(t)).Doorbells[0]
	waits := func() bool {
		var found bool
		err := tenancy.Observe(t.Context(), testkit.DB(t), func(ctx context.Context, tx bun.Tx) error {
			tenants, err := bell.Waiting(ctx, tx)
			for _, id := range tenants {
				found = found || id == tenant
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if waits() {
		t.Error("a record is to be sealed at once")
	}
	testkit.Eventually(t, "the record is old enough to be sealed", waits)
	if err := bell.Run(tenancy.AsSystem(t.Context(), tenant, "test")); err != nil {
		t.Fatal(err)
	}
	if waits() {
		t.Error("the record still waits")
	}
}

// TestSealedRecords: nobody changes a record, its owner neither, and sealing may change nothing else of it.
func TestSealedRecords(t *testing.T) {
	t.Parallel()
	tenant := newTenant(t)
	owner := testkit.OwnerDB(t)
	system := tenancy.AsSystem(t.Context(), tenant, "test")
	for range 4 {
		err := tenancy.InTx(system, testkit.DB(t), func(ctx context.Context, _ bun.Tx) error {
			return audit.Write(ctx, audit.Record{Action: "test.change", ObjectType: "test", ObjectID: uuid.New(), After: map[string]any{"n": 1}})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := func(when string, statements map[string]string) {
		t.Helper()
		for name, statement := range statements {
			if _, err := owner.ExecContext(t.Context(), statement, tenant); err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s %s: got %v, want append-only", name, when, err)
			}
		}
	}
	always := map[string]string{
		"an update of nothing": "UPDATE audit_log SET action = action WHERE tenant_id = ?",
		"an update of a text":  "UPDATE audit_log SET reason = 'another' WHERE tenant_id = ?",
		"a deletion":           "DELETE FROM audit_log WHERE tenant_id = ?",
	}
	const seal = "UPDATE audit_log SET chain_seq = 9, chain_hash = sha256('x'), "
	refused("before it is sealed", always)
	var contents []string
	if err := owner.NewRaw("SELECT attname FROM pg_attribute WHERE attrelid = 'audit_log'::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT LIKE 'chain_%'").Scan(t.Context(), &contents); err != nil {
		t.Fatal(err)
	}
	for _, column := range contents { // a new one too
		refused("with the seal", map[string]string{column: seal + column + " = " + column + " WHERE tenant_id = ?"})
	}

	sealed := 0
	for n := 2; n > 0; sealed += n { // two at a time, so that the chain goes on from batch to batch
		err := tenancy.InTx(system, testkit.DB(t), func(ctx context.Context, tx bun.Tx) error {
			return tx.NewRaw("SELECT audit_seal(2)").Scan(ctx, &n)
		})
		if err != nil || n > 2 {
			t.Fatalf("sealed %d, %v", n, err)
		}
	}
	report, err := audit.Verify(system, testkit.DB(t))
	if err != nil || !report.OK() || sealed < 4 || report.Sealed != int64(sealed) || report.Unsealed != 0 || report.HeadSeq != int64(sealed) {
		t.Errorf("%d are sealed: %+v, %v", sealed, report, err)
	}
	refused("after it was sealed", always)
	refused("after it was sealed", map[string]string{"a broken seal": "UPDATE audit_log SET chain_seq = NULL, chain_hash = NULL WHERE tenant_id = ?"})
}
