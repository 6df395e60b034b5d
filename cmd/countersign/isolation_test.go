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

// shared are the tables whose rows are not one tenant's. tenants and users have policies of their own, which are climbed
// all the same; the others hold keyed hashes and the state of the schema.
var shared = []string{"tenants", "users", "login_throttle", "reference_sightings", "bun_migrations", "bun_migration_locks"}

// walls says of each tenant's table what a member, a user of one of the tenant's customers, sees of it: "none", or all
// that is the "tenant"'s, or the rows of his account, which the column names.
var walls = map[string]string{
	"accounts": "id", "memberships": "account_id", "invoices": "account_id", "line_items": "account_id", "invoice_adjustments": "account_id", "credit_notes": "account_id", "payments": "account_id",
	"payment_evidence": "account_id", "payment_orders": "account_id", "payment_terms": "account_id", "payment_anomalies": "none", "settlement_queue": "account_id", "evidence": "account_id", "account_payment_methods": "account_id", "events": "account_id",
	"idempotency_keys": "owner_id", "ledger_accounts": "customer_id", "ledger_transactions": "customer_id", "ledger_balances": "customer_id",
	"fx_rates": "none", "fx_conversions": "account_id", "fx_reversals": "account_id",
	"subscriptions": "account_id", "subscription_months": "account_id",
	"ledger_entries": "none of others", // by the ledger account it is posted to
	"number_series":  "none", "audit_log": "none", "audit_unsealed": "none", "audit_heads": "none", "outbox": "none", "decisions": "none", "approval_policies": "none", "integrity_results": "none", "write_offs": "none", "refunds": "none",
	"gateway_configs": "none", "inbound_events": "none", "sandbox_orders": "none", "sandbox_requests": "none", "sandbox_callbacks": "none", "password_resets": "none", "credentials": "tenant", "payment_method_configs": "tenant",
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
	foreigners := map[string]string{"tenants": rowOf(t, "tenants", "id", foreign.Tenant.ID.String()),
		"users": rowOf(t, "users", "home_tenant_id", foreign.Tenant.ID.String())}
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
	asMembers := func(other uuid.UUID) database.Scope {
		return database.Scope{TenantID: e.Tenant.ID, Accounts: e.Account.ID.String() + "," + other.String()}
	}
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

	for _, table := range append(tables, "tenants", "users") {
		key := "tenant_id"
		switch table {
		case "tenants":
			key = "id"
		case "users":
			key = "home_tenant_id"
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
			if found := climb(asMembers(uuid.New()), attempt); len(found) > 0 {
				t.Errorf("members of two accounts reach a third: %v", found)
			}
			if found := climb(asMembers(e.Other.ID), attempt); len(found) == 0 && strings.HasSuffix(walls[table], "id") {
				t.Error("members of two accounts do not reach both")
			}
			if found := broken(asMember, "ALTER POLICY member ON "+table+" USING (true)", attempt); len(found) == 0 {
				t.Error("this test sees nothing when the policy is open, so it proves nothing")
			}
		})
	}
}

// TestPeopleWalls is TestWalls for what is different about users: they may belong to several tenants, members see those
// of their account, and nobody reads a password's hash.
func TestPeopleWalls(t *testing.T) {
	e, foreign := newEstate(t), newEstate(t)
	inTenant := []string{"SET LOCAL app.tenant_id = '" + e.Tenant.ID.String() + "'"}
	asMember := append(inTenant, "SET LOCAL app.account_id = '"+e.Account.ID.String()+"'")
	asOneself := append(asMember, "SET LOCAL app.user_id = '"+e.First.User+"'")
	row := rowOf(t, "users", "id", e.Second.User)
	for _, tt := range []struct {
		name  string
		scope []string
		sees  []string // whom he must see
		hides []string // and whom not
		// changes is how many users a change of all reaches
		changes int64
		joins   bool
		// broken are changes of a policy, each of which opens what this test looks at
		broken []string
	}{
		{"a tenant", inTenant, []string{e.First.User, e.Second.User, e.Owner.ID.String()}, []string{foreign.First.User}, 2, true,
			[]string{"ALTER POLICY tenant ON users USING (true)", "ALTER POLICY changes ON users USING (true) WITH CHECK (true)", "DROP POLICY tenant ON users", "DROP POLICY joins ON users"}},
		{"a member", asMember, []string{e.First.User, e.Member.ID.String()}, []string{e.Second.User, e.Owner.ID.String(), foreign.First.User}, 0, false,
			[]string{"ALTER POLICY tenant ON users USING (true)", "ALTER POLICY member ON memberships USING (true)", "ALTER POLICY changes ON users USING (true)",
				"ALTER POLICY joins ON users WITH CHECK (true)"}},
		{"oneself", asOneself, []string{e.First.User}, []string{e.Second.User, e.Owner.ID.String(), foreign.First.User}, 1, false,
			[]string{"ALTER POLICY changes ON users USING (true)", "ALTER POLICY changes ON users USING (false)"}},
		{"nobody", nil, nil, []string{e.First.User, e.Owner.ID.String()}, 0, false, []string{"ALTER POLICY tenant ON users USING (true)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			attempt := func(breakWall ...string) (found []string) {
				err := testkit.OwnerDB(t).RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
					for _, statement := range slices.Concat(breakWall, []string{"SET LOCAL ROLE countersign_app"}, tt.scope) {
						if _, err := tx.ExecContext(ctx, statement); err != nil {
							t.Fatal(statement, err)
						}
					}
					for _, list := range []struct {
						ids  []string
						want int
					}{{tt.sees, 1}, {tt.hides, 0}} {
						for _, id := range list.ids {
							if n := countRows(ctx, t, tx, "SELECT count(*) FROM users WHERE id = ?", id); n != list.want {
								found = append(found, fmt.Sprintf("sees %d of %s, want %d", n, id, list.want))
							}
						}
					}
					if n, err := try(ctx, t, tx, "UPDATE users SET name = 'taken'"); err != nil || n != tt.changes {
						found = append(found, fmt.Sprintf("changes %d users, want %d (%v)", n, tt.changes, err))
					}
					if n, err := try(ctx, t, tx, "UPDATE users SET home_tenant_id = ?", foreign.Tenant.ID); err == nil && n > 0 {
						found = append(found, fmt.Sprintf("gives %d users away", n))
					}
					// where this may be written, it fails because there is such a user
					if err := insert(ctx, t, tx, "users", row); (refusedFor(err) == "") != tt.joins {
						found = append(found, fmt.Sprintf("writes a user: %v", err))
					}
					return errRollback
				})
				if err != errRollback {
					t.Fatal(err)
				}
				return found
			}
			if found := attempt(); len(found) > 0 {
				t.Error(found)
			}
			for _, breakWall := range tt.broken {
				if found := attempt(breakWall); len(found) == 0 {
					t.Errorf("after %s this test sees nothing, so it proves nothing", breakWall)
				}
			}
		})
	}
	t.Run("nobody reads a password's hash, and nobody changes an e-mail address", func(t *testing.T) {
		for _, scope := range [][]string{inTenant, asMember, asOneself} {
			err := testkit.OwnerDB(t).RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
				for _, statement := range append([]string{"SET LOCAL ROLE countersign_app"}, scope...) {
					if _, err := tx.ExecContext(ctx, statement); err != nil {
						t.Fatal(statement, err)
					}
				}
				for _, refused := range []string{"SELECT password_hash FROM users", "SELECT u FROM users u", "SELECT 1 FROM users WHERE password_hash LIKE '$a%'",
					"UPDATE users SET name = password_hash", "UPDATE users SET email = 'a@b.test'", "UPDATE users SET is_active = false", "UPDATE users SET password_version = 1"} {
					if _, err := try(ctx, t, tx, refused); err == nil || !strings.Contains(err.Error(), "permission denied") {
						t.Errorf("%s: %v", refused, err)
					}
				}
				return errRollback
			})
			if err != errRollback {
				t.Fatal(err)
			}
		}
	})
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
		AND attgenerated = '' AND has_column_privilege('countersign_app', attrelid, attnum, 'INSERT')`, table).Scan(ctx, &columns)
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
