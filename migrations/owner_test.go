package migrations_test

import (
	"context"
	"io/fs"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun"

	"countersign/internal/database"
	"countersign/internal/testkit"
	"countersign/migrations"
)

// until are the migrations before a version.
func until(t *testing.T, version string) fs.FS {
	t.Helper()
	before := fstest.MapFS{}
	entries, err := migrations.Files.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := migrations.Files.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if e.Name() < version {
			before[e.Name()] = &fstest.MapFile{Data: text}
		}
	}
	return before
}

// TestPlainOwnerChangesRows moves the schema, with rows in it, as an owner who is no superuser. Forced row-level security holds for him, and
// what a migration makes of the rows is made all the same.
func TestPlainOwnerChangesRows(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testkit.NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	root, err := database.Open(database.Config{URL: u.String()})
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, q := range []string{
		"CREATE ROLE plain_owner LOGIN CREATEROLE NOSUPERUSER NOBYPASSRLS NOINHERIT",
		"GRANT countersign_app, countersign_observer TO plain_owner WITH ADMIN OPTION",
		"ALTER DATABASE " + u.Path[1:] + " OWNER TO plain_owner",
		"ALTER SCHEMA public OWNER TO plain_owner", // he inherits nothing, so the observer's policies are not his
	} {
		if _, err := root.ExecContext(t.Context(), q); err != nil {
			t.Fatal(q, err)
		}
	}
	u.User = url.User("plain_owner")
	plain, err := database.Open(database.Config{URL: u.String()})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	migrator := func(files fs.FS) *database.Migrator {
		t.Helper()
		m, err := database.NewMigrator(plain, files)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	up := func(files fs.FS) {
		t.Helper()
		if _, err := migrator(files).Up(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	write := func(statements ...string) { // without what else has to be there
		t.Helper()
		err := root.RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
			for _, q := range append([]string{"SET LOCAL session_replication_role = replica"}, statements...) {
				if _, err := tx.ExecContext(ctx, q); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	holds := func(query, want string) {
		t.Helper()
		var got []string
		if err := root.NewRaw(query).Scan(t.Context(), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	const tenant, customer, one, other = "'11111111-1111-4111-8111-111111111111'", "'22222222-2222-4222-8222-222222222222'", "'33333333-3333-4333-8333-333333333333'", "'44444444-4444-4444-8444-444444444444'"

	up(until(t, "20261122"))
	write("INSERT INTO ledger_accounts (tenant_id, id, code, owner, currency, class, customer_id) VALUES ("+tenant+", "+one+", 'receivable', 'x', 'USD', 'asset', "+customer+")",
		"INSERT INTO ledger_balances (tenant_id, ledger_account_id, customer_id) VALUES ("+tenant+", "+one+", "+customer+")",
		"INSERT INTO idempotency_keys (tenant_id, owner_id, scope, key, body_hash, answer) VALUES ("+tenant+", "+customer+", 'payments.charge', 'x', sha256('x'), '{}')",
		"INSERT INTO payments (tenant_id, id, account_id, invoice_id, method, gateway, amount_minor, currency, status, reference, reference_norm) VALUES ("+
			tenant+", "+one+", "+customer+", "+one+", 'bank_transfer', 'manual', 1000, 'USD', 'processing', 'x', 'X')")
	up(until(t, "20261123000500"))
	holds("SELECT code || ' ' || currency FROM ledger_balances", "receivable USD")
	holds("SELECT shared::text || ' ' || answer FROM idempotency_keys", "true {}")
	holds("SELECT payment_id::text FROM settlement_queue", strings.Trim(one, "'"))
	write("INSERT INTO payments (tenant_id, id, method, gateway, amount_minor, received_minor, applied_minor, excess_minor, revenue_minor, refunded_minor, currency, status, processed_at) VALUES ("+
		tenant+", "+other+", 'card', 'sandbox', 1000, 1000, 0, 0, 1000, 300, 'USD', 'partially_refunded', now())",
		"INSERT INTO refunds (tenant_id, id, payment_id, amount_minor, currency, status, mode, reason, by_one, requested_label) VALUES ("+
			tenant+", "+one+", "+other+", 400, 'USD', 'pending', 'api', 'other', true, 'x')")
	up(migrations.Files)
	holds("SELECT (asked_at = created_at)::text || ' ' || asked_minor FROM refunds", "true 300")
	write("INSERT INTO payment_anomalies (tenant_id, id, payment_id, kind, source, fingerprint) VALUES (" + tenant + ", " + one + ", " + other + ", 'refund_failed', 'callback', sha256('x'))")
	if _, err := migrator(migrations.Files).Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	holds("SELECT kind FROM payment_anomalies", "failed_after_success")
}

// TestRowsAreChangedPastTheWalls: a migration that changes rows of a secured table, or reads them for that, says first that its walls do not hold
// for their owner, and in the end that they do.
func TestRowsAreChangedPastTheWalls(t *testing.T) {
	t.Parallel()
	secured, texts := map[string]*regexp.Regexp{}, map[string]string{}
	named := regexp.MustCompile(`secure_table\('(\w+)'|ALTER TABLE (\w+) FORCE ROW LEVEL SECURITY`)
	entries, err := migrations.Files.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		raw, err := migrations.Files.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		texts[e.Name()] = string(raw)
		for _, m := range named.FindAllStringSubmatch(string(raw), -1) {
			table := m[1] + m[2]
			secured[table] = regexp.MustCompile(`\b` + table + `\b`)
		}
	}
	if len(secured) < 40 {
		t.Fatalf("only %d tables are found", len(secured))
	}
	other := regexp.MustCompile(`--[^\n]*|'[^']*'`) // comments and values
	walls := regexp.MustCompile(`^ALTER TABLE (\w+) (NO )?FORCE ROW LEVEL SECURITY$`)
	changes := regexp.MustCompile(`(?i)^(UPDATE|DELETE|INSERT|MERGE|WITH)\b`)
	found := 0
	for file, text := range texts {
		open := []string{}
		bodies := strings.Split(other.ReplaceAllString(strings.ReplaceAll(text, "--bun:split", ";"), ""), "$$") // every second one is a function's
		for i := 0; i < len(bodies); i += 2 {
			for statement := range strings.SplitSeq(bodies[i], ";") {
				statement = strings.TrimSpace(statement)
				if m := walls.FindStringSubmatch(statement); m != nil {
					open = slices.DeleteFunc(open, func(table string) bool { return table == m[1] })
					if m[2] != "" {
						open = append(open, m[1])
					}
				}
				if !changes.MatchString(statement) {
					continue
				}
				for table, word := range secured {
					if !word.MatchString(statement) {
						continue
					}
					if found++; !slices.Contains(open, table) {
						t.Errorf("%s: the walls of %s hold for an owner who is no superuser:\n%s", file, table, statement)
					}
				}
			}
		}
		if len(open) > 0 {
			t.Errorf("%s leaves %v without walls for their owner", file, open)
		}
	}
	if found < 10 {
		t.Errorf("only %d changes of rows are found, so this proves nothing", found)
	}
}
