package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

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
	"number_series":  "none", "audit_log": "none", "audit_unsealed": "none", "audit_heads": "none", "outbox": "none", "decisions": "none", "approval_policies": "none",
	"credentials": "tenant", "payment_method_configs": "tenant",
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

var errRollback = errors.New("roll back what was tried")

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
	var rows []json.RawMessage
	err := testkit.OwnerDB(t).NewRaw("SELECT to_jsonb(r) FROM ? AS r WHERE ? = ? LIMIT 1", bun.Ident(table), bun.Ident(column), value).Scan(t.Context(), &rows)
	if err != nil || len(rows) == 0 {
		t.Fatalf("the estate has no row in %s whose %s is %s: %v", table, column, value, err)
	}
	return string(rows[0])
}

func insert(ctx context.Context, t *testing.T, tx bun.Tx, table, row string) error {
	t.Helper()
	var columns string // those that the program may write
	err := tx.NewRaw(`SELECT coalesce(string_agg(quote_ident(attname), ', '), '') FROM pg_attribute WHERE attrelid = ?::regclass AND attnum > 0
		AND has_column_privilege('countersign_app', attrelid, attnum, 'INSERT')`, table).Scan(ctx, &columns)
	if err != nil {
		t.Fatal(err)
	}
	if columns == "" {
		return errNoGrant
	}
	_, err = try(ctx, t, tx, "INSERT INTO ? (?) SELECT ? FROM jsonb_populate_record(NULL::?, ?::jsonb)", bun.Ident(table), bun.Safe(columns), bun.Safe(columns), bun.Ident(table), row)
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

// errNoGrant means that the program writes nothing at all into a table.
var errNoGrant = errors.New("no column may be written")

// refusedFor names the wall that refused a statement.
func refusedFor(err error) string {
	if err == errNoGrant || err != nil && strings.Contains(err.Error(), "row-level security") {
		return "row-level security"
	}
	return ""
}

// guarded says whether a trigger refused the row before row-level security could: it looks for the invoice of a line,
// and that is hidden.
func guarded(table string, err error) bool {
	return table == "line_items" && database.IsCheck(err, "line_items_draft")
}
