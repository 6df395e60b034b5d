package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun"

	"countersign/internal/testkit"
)

// histories are the tables in which the program may add rows and nothing else.
var histories = []string{"audit_log", "decisions", "events", "evidence", "ledger_accounts", "ledger_entries", "ledger_transactions", "payment_evidence"}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	// Each query names what breaks a rule. tenant_tables are all tables but the shared ones.
	rules := []struct{ name, query string }{
		{"every tenant's table has tenant_id NOT NULL", `
SELECT relname FROM tenant_tables t WHERE NOT EXISTS (
  SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attname = 'tenant_id' AND a.attnotnull AND a.atttypid = 'uuid'::regtype)`},
		{"every tenant's table has a primary key", `
SELECT relname FROM tenant_tables t WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indisprimary)`},
		{"tenant_id comes first in every primary key and unique index", `
SELECT i.indexrelid::regclass::text FROM tenant_tables t JOIN pg_index i ON i.indrelid = t.oid AND i.indisunique
WHERE pg_get_indexdef(i.indexrelid, 1, false) <> 'tenant_id'`},
		{"a foreign key between tenants' tables begins with both tenant_ids", `
SELECT c.conname FROM pg_constraint c JOIN tenant_tables t ON t.oid = c.conrelid JOIN tenant_tables o ON o.oid = c.confrelid WHERE c.contype = 'f' AND (
  (SELECT attname FROM pg_attribute WHERE attrelid = c.conrelid AND attnum = c.conkey[1]) <> 'tenant_id' OR
  (SELECT attname FROM pg_attribute WHERE attrelid = c.confrelid AND attnum = c.confkey[1]) <> 'tenant_id')`},
		{"a foreign key out of the tenant leads to tenants or users", `
SELECT c.conname FROM pg_constraint c JOIN tenant_tables t ON t.oid = c.conrelid
WHERE c.contype = 'f' AND c.confrelid NOT IN (SELECT oid FROM tenant_tables) AND c.confrelid NOT IN ('tenants'::regclass, 'users'::regclass)`},
		{"row-level security is enabled and forced", `
SELECT c.relname FROM pg_class c WHERE (c.oid IN (SELECT oid FROM tenant_tables) OR c.oid IN ('tenants'::regclass, 'users'::regclass)) AND NOT (c.relrowsecurity AND c.relforcerowsecurity)`},
		{"every tenant's table has the tenant's policy for every command and every role", `
SELECT relname FROM tenant_tables t WHERE NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t.oid AND p.polname = 'tenant' AND p.polcmd = '*' AND p.polpermissive
  AND p.polroles = '{0}'
  AND pg_get_expr(p.polqual, p.polrelid) = '(tenant_id = (NULLIF(current_setting(''app.tenant_id''::text, true), ''''::text))::uuid)')`},
		{"what may be written is what may be seen, also where it is asked for once for each statement", `
SELECT p.polrelid::regclass || ' ' || p.polname FROM pg_policy p WHERE p.polcmd = '*' AND p.polwithcheck IS NOT NULL
  AND regexp_replace(pg_get_expr(p.polqual, p.polrelid), '\( SELECT (.*?) AS "nullif"\)', '\1') <> regexp_replace(pg_get_expr(p.polwithcheck, p.polrelid), '\( SELECT (.*?) AS "nullif"\)', '\1')`},
		{"no other policy opens a table, but for the observer, for one's own memberships and for users, who belong to no one tenant", `
SELECT p.polrelid::regclass || ' ' || p.polname FROM pg_policy p WHERE p.polpermissive AND p.polname <> 'tenant'
  AND NOT (p.polname = 'observer' AND p.polcmd = 'r' AND p.polroles = ARRAY['countersign_observer'::regrole::oid])
  AND NOT (p.polrelid = 'memberships'::regclass AND p.polname = 'own' AND p.polcmd = 'r')
  AND NOT (p.polrelid = 'users'::regclass AND (p.polname, p.polcmd) IN (('joins', 'a'), ('changes', 'w')))
  AND NOT (p.polrelid = 'users'::regclass AND p.polname = 'login' AND p.polcmd = 'r' AND p.polroles = (SELECT ARRAY[relowner] FROM pg_class WHERE oid = p.polrelid))`},
		{"tenant_id defaults to the tenant of the transaction", `
SELECT relname FROM tenant_tables t WHERE NOT EXISTS (SELECT FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
  WHERE d.adrelid = t.oid AND a.attname = 'tenant_id' AND pg_get_expr(d.adbin, d.adrelid) LIKE '%app.tenant_id%')`},
		{"the program's roles are not mighty", `
SELECT rolname FROM pg_roles WHERE rolname IN ('countersign_app', 'countersign_observer')
  AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication OR rolcanlogin)`},
		{"the program's roles own nothing", `
SELECT d.classid::regclass || ' ' || d.objid FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
WHERE r.rolname IN ('countersign_app', 'countersign_observer') AND d.deptype = 'o'`},
		{"the program belongs to no role but the observer", `
SELECT g.rolname FROM pg_auth_members m JOIN pg_roles u ON u.oid = m.member JOIN pg_roles g ON g.oid = m.roleid
WHERE u.rolname IN ('countersign_app', 'countersign_observer') AND (u.rolname, g.rolname) <> ('countersign_app', 'countersign_observer')`},
		{"the program may become the observer, and inherits nothing from it: its policies would open the tables", `
SELECT 'countersign_app' WHERE pg_has_role('countersign_app', 'countersign_observer', 'USAGE') OR NOT pg_has_role('countersign_app', 'countersign_observer', 'MEMBER')`},
		{"nobody truncates, refers to or sets triggers on a table", `
SELECT c.relname || ' ' || x.privilege FROM pg_class c, (VALUES ('TRUNCATE'), ('REFERENCES'), ('TRIGGER')) AS x(privilege), (VALUES ('countersign_app'), ('countersign_observer')) AS r(name)
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND has_table_privilege(r.name, c.oid, x.privilege)`},
		{"the roles create nothing in the schema", `
SELECT r.name FROM (VALUES ('countersign_app'), ('countersign_observer')) AS r(name) WHERE has_schema_privilege(r.name, 'public', 'CREATE')`},
		{"there is no view, which would read as its owner", `
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm')`},
		{"a function that runs as its owner pins its search path", `
SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef
  AND NOT coalesce('search_path=public, pg_temp' = ANY (proconfig), false)`},
		{"a function that runs as its owner is not for everybody", `
SELECT proname FROM pg_proc p WHERE pronamespace = 'public'::regnamespace AND prosecdef
  AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)`},
		{"no column is a float (C-02)", `
SELECT a.attrelid::regclass || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND a.atttypid IN ('real'::regtype, 'double precision'::regtype)`},
	}
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel()
			if found := ask(t, rule.query); len(found) > 0 {
				t.Errorf("not so for: %s", strings.Join(found, ", "))
			}
		})
	}
	t.Run("every tenant's table has its place in this test", func(t *testing.T) {
		t.Parallel()
		if diff := cmp.Diff(slices.Sorted(maps.Keys(walls)), ask(t, "SELECT relname FROM tenant_tables ORDER BY relname")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("only these functions run as their owner", func(t *testing.T) {
		t.Parallel()
		if diff := cmp.Diff([]string{"audit_seal", "login_of", "payments_queue", "revoke_own"}, ask(t, "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef ORDER BY 1")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("history is added to and never changed", func(t *testing.T) {
		t.Parallel()
		for _, table := range histories {
			got := ask(t, `SELECT DISTINCT privilege_type FROM (
				SELECT privilege_type, grantee FROM information_schema.role_table_grants WHERE table_name = '`+table+`'
				UNION SELECT privilege_type, grantee FROM information_schema.role_column_grants WHERE table_name = '`+table+`') g WHERE grantee = 'countersign_app' ORDER BY 1`)
			if diff := cmp.Diff([]string{"INSERT", "SELECT"}, got); diff != "" {
				t.Errorf("%s: %s", table, diff)
			}
		}
	})
	t.Run("the observer sees ids, states and times, and no more", func(t *testing.T) {
		t.Parallel()
		want := []string{
			"audit_unsealed: id tenant_id",
			"inbound_events: redo_at tenant_id",
			"integrity_results: check_id found ran_at tenant_id",
			"outbox: created_at dead_at done_at id next_at task tenant_id",
			"payment_orders: next_ask_at tenant_id",
			"payments: approved_at created_at id in_flight set_aside status tenant_id undecided",
			"refunds: next_ask_at tenant_id",
			"sandbox_callbacks: next_at tenant_id",
			"settlement_queue: approved_at tenant_id",
			"subscription_months: charge_at tenant_id",
			"subscriptions: renew_at tenant_id",
			"tenants: created_at id is_active slug",
		}
		got := ask(t, `SELECT table_name || ': ' || string_agg(column_name, ' ' ORDER BY column_name) FROM information_schema.role_column_grants
			WHERE grantee = 'countersign_observer' AND privilege_type = 'SELECT' GROUP BY table_name ORDER BY 1`)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if got := ask(t, `SELECT table_name || ' ' || privilege_type FROM information_schema.role_column_grants WHERE grantee = 'countersign_observer' AND privilege_type <> 'SELECT'`); len(got) > 0 {
			t.Errorf("the observer may change %v", got)
		}
	})
}

// ask runs a query about the catalogue, in which tenant_tables are the tables that are not shared.
func ask(t *testing.T, query string) []string {
	t.Helper()
	with := `WITH tenant_tables AS (SELECT oid, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname NOT IN (?)) `
	found := []string{}
	if err := testkit.OwnerDB(t).NewRaw(with+query, bun.In(shared)).Scan(t.Context(), &found); err != nil {
		t.Fatal(err)
	}
	return found
}
