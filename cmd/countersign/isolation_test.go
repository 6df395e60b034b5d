package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/database"
	"countersign/internal/testkit"
)

// shared are the tables that are not a tenant's own rows. tenants has a policy of its own; the others hold logins,
// which may belong to several tenants, and keyed hashes.
var shared = []string{"tenants", "users", "login_throttle", "reference_sightings", "bun_migrations", "bun_migration_locks"}

// walls says of each tenant's table what a member, a user of one of the tenant's customers, sees of it: "none", or all
// that is the "tenant"'s, or the rows of his account, which the column names.
var walls = map[string]string{
	"accounts": "id", "memberships": "account_id", "invoices": "account_id", "line_items": "account_id", "payments": "account_id",
	"payment_evidence": "account_id", "evidence": "account_id", "account_payment_methods": "account_id", "events": "account_id",
	"idempotency_keys": "owner_id", "ledger_accounts": "customer_id", "ledger_transactions": "customer_id", "ledger_balances": "customer_id",
	"ledger_entries": "none of others", // by the ledger account it is posted to
	"number_series":  "none", "audit_log": "none", "outbox": "none", "decisions": "none", "approval_policies": "none",
	"credentials": "tenant", "payment_method_configs": "tenant",
}

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
SELECT c.relname FROM pg_class c WHERE (c.oid IN (SELECT oid FROM tenant_tables) OR c.oid = 'tenants'::regclass) AND NOT (c.relrowsecurity AND c.relforcerowsecurity)`},
		{"every tenant's table has the tenant's policy for every command and every role", `
SELECT relname FROM tenant_tables t WHERE NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t.oid AND p.polname = 'tenant' AND p.polcmd = '*' AND p.polpermissive
  AND p.polroles = '{0}' AND p.polwithcheck IS NULL
  AND pg_get_expr(p.polqual, p.polrelid) = '(tenant_id = (NULLIF(current_setting(''app.tenant_id''::text, true), ''''::text))::uuid)')`},
		{"no other policy opens a table, but for the observer and for one's own memberships", `
SELECT p.polrelid::regclass || ' ' || p.polname FROM pg_policy p WHERE p.polpermissive AND p.polname <> 'tenant'
  AND NOT (p.polname = 'observer' AND p.polcmd = 'r' AND p.polroles = ARRAY['countersign_observer'::regrole::oid])
  AND NOT (p.polrelid = 'memberships'::regclass AND p.polname = 'own' AND p.polcmd = 'r')`},
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
	t.Run("only audit_seal runs as its owner", func(t *testing.T) {
		t.Parallel()
		if diff := cmp.Diff([]string{"audit_seal"}, ask(t, "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef")); diff != "" {
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
			"audit_log: chain_seq created_at tenant_id",
			"outbox: created_at dead_at done_at id next_at task tenant_id",
			"payments: approved_at created_at id set_aside status tenant_id",
			"tenants: id is_active slug",
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

// TestWalls tries to climb the walls with SQL as the program's role, and then takes each wall away to see that the
// same attempt would have succeeded. It alters policies, in transactions that are rolled back, so it does not run
// beside other tests.
func TestWalls(t *testing.T) {
	e, foreign := newEstate(t), newEstate(t)
	app, err := database.Open(database.Config{URL: testkit.OwnerURL(), Role: database.AppRole, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { app.Close() })
	tables := slices.Sorted(maps.Keys(walls))
	foreigners := map[string]string{"tenants": rowOf(t, "tenants", "id", foreign.Tenant.ID.String())}
	for _, table := range tables {
		foreigners[table] = rowOf(t, table, "tenant_id", foreign.Tenant.ID.String())
	}
	others, mine := map[string]string{}, e.ledgerAccounts(t)
	for _, table := range tables {
		if column := walls[table]; strings.HasSuffix(column, "id") {
			others[table] = rowOf(t, table, column, e.Other.ID.String())
		}
	}
	inTenant := database.Scope{TenantID: e.Tenant.ID}
	asMember := database.Scope{TenantID: e.Tenant.ID, AccountID: e.Account.ID}
	climb := func(scope database.Scope, attempt func(context.Context, bun.Tx) []string) (found []string) {
		err := database.InTx(database.WithScope(t.Context(), scope), app, func(ctx context.Context, tx bun.Tx) error {
			found = attempt(ctx, tx)
			return errRollback
		})
		if err != errRollback {
			t.Fatal(err)
		}
		return found
	}
	// broken runs an attempt after the owner has taken a policy away, and forgets both.
	broken := func(scope database.Scope, breakWall string, attempt func(context.Context, bun.Tx) []string) (found []string) {
		err := testkit.OwnerDB(t).RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
			for _, statement := range []string{breakWall, "SET LOCAL ROLE countersign_app", "SET LOCAL app.tenant_id = '" + scope.TenantID.String() + "'"} {
				if _, err := tx.ExecContext(ctx, statement); err != nil {
					t.Fatal(statement, err)
				}
			}
			if scope.AccountID != uuid.Nil {
				if _, err := tx.ExecContext(ctx, "SET LOCAL app.account_id = '"+scope.AccountID.String()+"'"); err != nil {
					t.Fatal(err)
				}
			}
			found = attempt(ctx, tx)
			return errRollback
		})
		if err != errRollback {
			t.Fatal(err)
		}
		return found
	}

	for _, table := range append(tables, "tenants") {
		key := "tenant_id"
		if table == "tenants" {
			key = "id"
		}
		attempt := func(ctx context.Context, tx bun.Tx) []string {
			return climbTenant(ctx, t, tx, table, key, foreign.Tenant.ID, foreigners[table])
		}
		t.Run("tenants/"+table, func(t *testing.T) {
			if found := climb(inTenant, attempt); len(found) > 0 {
				t.Errorf("a tenant reaches another: %v", found)
			}
			if found := broken(inTenant, "ALTER POLICY tenant ON "+table+" USING (true)", attempt); len(found) == 0 {
				t.Error("this test sees nothing when the policy is open, so it proves nothing")
			}
			if found := broken(inTenant, "ALTER TABLE "+table+" DISABLE ROW LEVEL SECURITY", attempt); len(found) == 0 {
				t.Error("this test sees nothing when row-level security is off, so it proves nothing")
			}
			if found := climb(database.Scope{}, func(ctx context.Context, tx bun.Tx) []string { return outside(ctx, t, tx, table, foreigners[table]) }); len(found) > 0 {
				t.Errorf("outside a tenant: %v", found)
			}
		})
	}
	for _, table := range tables {
		t.Run("members/"+table, func(t *testing.T) {
			if walls[table] == "tenant" {
				return // nothing to climb
			}
			attempt := func(ctx context.Context, tx bun.Tx) []string {
				return e.climbMember(ctx, t, tx, table, others[table], mine)
			}
			if found := climb(asMember, attempt); len(found) > 0 {
				t.Errorf("a member reaches another account: %v", found)
			}
			if found := broken(asMember, "ALTER POLICY member ON "+table+" USING (true)", attempt); len(found) == 0 {
				t.Error("this test sees nothing when the policy is open, so it proves nothing")
			}
		})
	}
}

var errRollback = fmt.Errorf("roll back what was tried")

// climbTenant tries, from inside one tenant, to see, change and write another's rows.
func climbTenant(ctx context.Context, t *testing.T, tx bun.Tx, table, key string, foreign uuid.UUID, row string) (found []string) {
	t.Helper()
	if n := countRows(ctx, t, tx, "SELECT count(*) FROM ? WHERE ? = ?", bun.Ident(table), bun.Ident(key), foreign); n > 0 {
		found = append(found, fmt.Sprintf("sees %d rows", n))
	}
	if n := countRows(ctx, t, tx, "SELECT count(*) FROM ? WHERE ? <> ?", bun.Ident(table), bun.Ident(key), foreign); n == 0 {
		found = append(found, "does not see its own rows, so it cannot be told whether others are hidden")
	}
	for _, verb := range []string{"UPDATE ? SET ? = ? WHERE ? = ?", "DELETE FROM ? WHERE ? = ?"} {
		args := []any{bun.Ident(table), bun.Ident(key), foreign}
		if strings.HasPrefix(verb, "UPDATE") {
			args = append(args, bun.Ident(key), foreign)
		}
		if n, err := try(ctx, t, tx, verb, args...); err == nil && n > 0 {
			found = append(found, fmt.Sprintf("%s reaches %d rows", verb[:6], n))
		}
	}
	if n, err := try(ctx, t, tx, "UPDATE ? SET ? = ?", bun.Ident(table), bun.Ident(key), foreign); err == nil && n > 0 {
		found = append(found, "gives its rows away")
	}
	if err := insert(ctx, t, tx, table, row); refusedFor(err) != "row-level security" && !guarded(table, err) {
		found = append(found, fmt.Sprintf("writes a foreign row: %v", err))
	}
	return found
}

// outside tries the same without any tenant.
func outside(ctx context.Context, t *testing.T, tx bun.Tx, table, row string) (found []string) {
	t.Helper()
	if n := countRows(ctx, t, tx, "SELECT count(*) FROM ?", bun.Ident(table)); n > 0 {
		found = append(found, fmt.Sprintf("sees %d rows", n))
	}
	if err := insert(ctx, t, tx, table, row); refusedFor(err) != "row-level security" && !guarded(table, err) {
		found = append(found, fmt.Sprintf("writes a row: %v", err))
	}
	return found
}

// climbMember tries, as a member of the first account, to see and write what belongs to the second.
func (e *estate) climbMember(ctx context.Context, t *testing.T, tx bun.Tx, table, row string, ledgerAccounts []string) (found []string) {
	t.Helper()
	wall := walls[table]
	all := countRows(ctx, t, tx, "SELECT count(*) FROM ? WHERE tenant_id = ?", bun.Ident(table), e.Tenant.ID)
	switch wall {
	case "none":
		if all > 0 {
			found = append(found, fmt.Sprintf("sees %d rows", all))
		}
		return found
	case "none of others":
		others := countRows(ctx, t, tx, "SELECT count(*) FROM ? WHERE tenant_id = ? AND ledger_account_id <> ALL (?::uuid[])", bun.Ident(table), e.Tenant.ID, array(ledgerAccounts))
		if others > 0 || all == 0 {
			found = append(found, fmt.Sprintf("sees %d rows, of which %d are not of his account", all, others))
		}
		return found
	}
	column := bun.Ident(wall)
	if n := countRows(ctx, t, tx, "SELECT count(*) FROM ? WHERE tenant_id = ? AND ? IS DISTINCT FROM ?", bun.Ident(table), e.Tenant.ID, column, e.Account.ID); n > 0 {
		found = append(found, fmt.Sprintf("sees %d rows of others", n))
	}
	if all == 0 {
		found = append(found, "does not see his own rows")
	}
	if n, err := try(ctx, t, tx, "UPDATE ? SET ? = ? WHERE tenant_id = ? AND ? = ?", bun.Ident(table), column, e.Account.ID, e.Tenant.ID, column, e.Other.ID); err == nil && n > 0 {
		found = append(found, fmt.Sprintf("changes %d rows", n))
	}
	if err := insert(ctx, t, tx, table, row); refusedFor(err) != "row-level security" && !guarded(table, err) {
		found = append(found, fmt.Sprintf("writes a row of another account: %v", err))
	}
	return found
}

// ledgerAccounts are those of the first customer.
func (e *estate) ledgerAccounts(t *testing.T) (ids []string) {
	t.Helper()
	if err := testkit.OwnerDB(t).NewRaw("SELECT id::text FROM ledger_accounts WHERE tenant_id = ? AND customer_id = ?", e.Tenant.ID, e.Account.ID).Scan(t.Context(), &ids); err != nil {
		t.Fatal(err)
	}
	return ids
}

func array(words []string) string { return "{" + strings.Join(words, ",") + "}" }

// rowOf gives a row of a table as JSON, read as the owner; a table without one cannot be tested and fails.
func rowOf(t *testing.T, table, column, value string) string {
	t.Helper()
	unsealed := ""
	if table == "audit_log" {
		unsealed = " AND chain_seq IS NULL" // rows are written unsealed
	}
	var rows []json.RawMessage
	err := testkit.OwnerDB(t).NewRaw("SELECT to_jsonb(r) FROM ? AS r WHERE ? = ?"+unsealed+" LIMIT 1", bun.Ident(table), bun.Ident(column), value).Scan(t.Context(), &rows)
	if err != nil || len(rows) == 0 {
		t.Fatalf("the estate has no row in %s whose %s is %s: %v", table, column, value, err)
	}
	return string(rows[0])
}

func insert(ctx context.Context, t *testing.T, tx bun.Tx, table, row string) error {
	t.Helper()
	_, err := try(ctx, t, tx, "INSERT INTO ? SELECT * FROM jsonb_populate_record(NULL::?, ?::jsonb)", bun.Ident(table), bun.Ident(table), row)
	return err
}

// try runs a statement that may fail without spoiling the transaction, and takes back what it did.
func try(ctx context.Context, t *testing.T, tx bun.Tx, query string, args ...any) (int64, error) {
	t.Helper()
	run := func(statement string) {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			t.Fatal(statement, err)
		}
	}
	run("SAVEPOINT attempt")
	defer run("ROLLBACK TO SAVEPOINT attempt")
	res, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return n, err
}

func countRows(ctx context.Context, t *testing.T, tx bun.Tx, query string, args ...any) (n int) {
	t.Helper()
	if err := tx.NewRaw(query, args...).Scan(ctx, &n); err != nil {
		t.Fatal(query, err)
	}
	return n
}

// refusedFor names the wall that refused a statement.
func refusedFor(err error) string {
	if err != nil && strings.Contains(err.Error(), "row-level security") {
		return "row-level security"
	}
	return ""
}

// guarded says whether a trigger refused the row before row-level security could: it looks for the invoice of a line,
// and that is hidden.
func guarded(table string, err error) bool {
	return table == "line_items" && database.IsCheck(err, "line_items_draft")
}
