package ledger_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/ledger"
	"countersign/internal/database"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// exec runs SQL as the program's role, in the tenant.
func (b *book) exec(query string, args ...any) error {
	return tenancy.InTx(b.ctx, b.db, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	})
}

// TestDatabase shows that the database itself keeps the books, whatever a program does (S1-23 to S1-27).
func TestDatabase(t *testing.T) { // not parallel: TRUNCATE waits for everybody
	b := newBook(t)
	b.mustPost(move("given", ledger.Cash("USD"), ledger.Revenue("USD"), 100), move("euro", ledger.Cash("EUR"), ledger.Revenue("EUR"), 100))
	given := b.transactionOf("given")
	cash, revenue := ledger.Cash("USD").ID(b.ctx), ledger.Revenue("USD").ID(b.ctx)

	// insert writes a header of the given lines and the entries in one statement, as Post does.
	insert := func(lines int, entries string, args ...any) error {
		id := uuid.Must(uuid.NewV7())
		return b.exec(`WITH h AS (INSERT INTO ledger_transactions (tenant_id, id, cause, kind, lines, posted_by) VALUES (?, ?, ?, 'raw', ?, 'raw'))
			INSERT INTO ledger_entries (tenant_id, transaction_id, line, ledger_account_id, amount_minor, currency)
			SELECT ?, ?, l.line, l.account::uuid, l.amount, l.currency FROM (VALUES `+entries+`) AS l(line, account, amount, currency)`,
			append([]any{b.tenant, id, id.String(), lines, b.tenant, id}, args...)...)
	}
	if err := insert(2, "(1, ?, 5, 'USD'), (2, ?, -5, 'USD')", cash, revenue); err != nil {
		t.Fatalf("a good transaction is refused: %v", err)
	}

	for _, tt := range []struct {
		name       string
		constraint string
		err        func() error
	}{
		{"does not balance", "ledger_entries_balance", func() error { return insert(2, "(1, ?, 5, 'USD'), (2, ?, -4, 'USD')", cash, revenue) }},
		{"balances only over two currencies", "ledger_entries_balance", func() error {
			return insert(2, "(1, ?, 5, 'USD'), (2, ?, -5, 'EUR')", cash, ledger.Revenue("EUR").ID(b.ctx))
		}},
		{"has fewer lines than its header says", "ledger_entries_complete", func() error { return insert(3, "(1, ?, 5, 'USD'), (2, ?, -5, 'USD')", cash, revenue) }},
		{"has a gap in its lines", "ledger_entries_complete", func() error { return insert(2, "(1, ?, 5, 'USD'), (3, ?, -5, 'USD')", cash, revenue) }},
		{"leaves one of its lines out", "ledger_entries_complete", func() error { return insert(3, "(1, ?, 5, 'USD'), (3, ?, -5, 'USD')", cash, revenue) }},
		{"is one line", "ledger_transactions_lines_check", func() error { return insert(1, "(1, ?, 5, 'USD')", cash) }},
		{"moves nothing", "ledger_entries_amount_minor_check", func() error { return insert(2, "(1, ?, 0, 'USD'), (2, ?, 0, 'USD')", cash, revenue) }},
		{"is in another currency than its account", "ledger_entries_account", func() error { return insert(2, "(1, ?, 5, 'EUR'), (2, ?, -5, 'EUR')", cash, revenue) }},
		{"names an unknown account", "ledger_entries_account", func() error { return insert(2, "(1, ?, 5, 'USD'), (2, ?, -5, 'USD')", cash, uuid.New()) }},
		{"adds lines to a posted transaction", "ledger_entries_complete", func() error {
			return b.exec(`INSERT INTO ledger_entries (tenant_id, transaction_id, line, ledger_account_id, amount_minor, currency)
				VALUES (?, ?, 3, ?, 5, 'USD'), (?, ?, 4, ?, -5, 'USD')`, b.tenant, given.ID, cash, b.tenant, given.ID, revenue)
		}},
		{"has no header", "ledger_entries_complete", func() error {
			id := uuid.New()
			return b.exec(`INSERT INTO ledger_entries (tenant_id, transaction_id, line, ledger_account_id, amount_minor, currency)
				VALUES (?, ?, 1, ?, 5, 'USD'), (?, ?, 2, ?, -5, 'USD')`, b.tenant, id, cash, b.tenant, id, revenue)
		}},
		{"reverses a transaction a second time", "ledger_transactions_corrects_key", func() error {
			return b.exec(`INSERT INTO ledger_transactions (tenant_id, id, cause, kind, lines, corrects, posted_by)
				VALUES (?, gen_random_uuid(), 'r1', 'raw', 2, ?, 'raw'), (?, gen_random_uuid(), 'r2', 'raw', 2, ?, 'raw')`, b.tenant, given.ID, b.tenant, given.ID)
		}},
	} {
		t.Run("refuses a group that "+tt.name, func(t *testing.T) {
			err := tt.err()
			if !database.IsCheck(err, tt.constraint) && !database.IsUnique(err, tt.constraint) {
				t.Errorf("got %v, want a violation of %s", err, tt.constraint)
			}
		})
	}

	for _, table := range []string{"ledger_entries", "ledger_transactions", "ledger_accounts"} {
		for verb, query := range map[string]string{
			"UPDATE":   "UPDATE " + table + " SET created_at = now() WHERE tenant_id = '" + b.tenant.String() + "'",
			"DELETE":   "DELETE FROM " + table + " WHERE tenant_id = '" + b.tenant.String() + "'",
			"TRUNCATE": "TRUNCATE " + table + " CASCADE",
		} {
			t.Run("refuses "+verb+" of "+table+" for the program and for its owner", func(t *testing.T) {
				if err := b.exec(query); err == nil || !strings.Contains(err.Error(), "permission denied") {
					t.Errorf("the program: %v, want permission denied", err)
				}
				if _, err := testkit.OwnerDB(t).ExecContext(t.Context(), query); err == nil || !strings.Contains(err.Error(), "append-only") {
					t.Errorf("the owner: %v, want append-only", err)
				}
			})
		}
	}

	t.Run("looks at each tenant by himself, when the owner writes for two", func(t *testing.T) {
		other := newBook(t)
		other.mustPost(move("given", ledger.Cash("USD"), ledger.Revenue("USD"), 100))
		theirs := func(ref ledger.Ref) uuid.UUID { return ref.ID(other.ctx) }
		// write posts one transaction for each tenant, under one id, which is the tenant's; headers are whose header is written
		write := func(ours, their uuid.UUID, headers ...uuid.UUID) error {
			_, err := testkit.OwnerDB(t).ExecContext(t.Context(), `WITH h AS (INSERT INTO ledger_transactions (tenant_id, id, cause, kind, lines, posted_by)
					SELECT x, ?0, ?0::text, 'raw', 2, 'raw' FROM unnest(ARRAY[?7]::uuid[]) AS x)
				INSERT INTO ledger_entries (tenant_id, transaction_id, line, ledger_account_id, amount_minor, currency)
				VALUES (?1, ?0, 1, ?3, 5, 'USD'), (?1, ?0, 2, ?4, -5, 'USD'), (?2, ?0, 1, ?5, 5, 'USD'), (?2, ?0, 2, ?6, -5, 'USD')`,
				uuid.Must(uuid.NewV7()), b.tenant, other.tenant, cash, ours, theirs(ledger.Cash("USD")), their, bun.In(headers))
			return err
		}
		both := []uuid.UUID{b.tenant, other.tenant}
		if err := write(revenue, theirs(ledger.Revenue("USD")), both...); err != nil {
			t.Errorf("what is right for both is refused: %v", err)
		}
		for name, err := range map[string]error{"the first's account": write(theirs(ledger.Revenue("USD")), theirs(ledger.Revenue("USD")), both...), "the second's": write(revenue, revenue, both...)} {
			if !database.IsCheck(err, "ledger_entries_account") {
				t.Errorf("%s is the other's: %v", name, err)
			}
		}
		if err := write(revenue, theirs(ledger.Revenue("USD")), b.tenant); !database.IsCheck(err, "ledger_entries_complete") {
			t.Errorf("the second has no transaction of his own: %v", err)
		}
		id := uuid.Must(uuid.NewV7())
		_, err := testkit.OwnerDB(t).ExecContext(t.Context(), `WITH h AS (INSERT INTO ledger_transactions (tenant_id, id, cause, kind, lines, posted_by) VALUES (?1, ?0, ?0::text, 'raw', 2, 'raw'))
			INSERT INTO ledger_entries (tenant_id, transaction_id, line, ledger_account_id, amount_minor, currency) VALUES (?1, ?0, 1, ?2, 5, 'USD'), (?1, ?0, 2, ?3, -5, 'USD')`,
			id, b.tenant, cash, theirs(ledger.Revenue("USD")))
		if !database.IsCheck(err, "ledger_entries_account") {
			t.Errorf("alone, on the other's account: %v", err)
		}
	})

	t.Run("moves customers' balances, whoever writes the entries", func(t *testing.T) {
		b, other := newBook(t), newBook(t)
		owed, abroad, theirs := ledger.Receivable(b.customer(), "USD"), ledger.Receivable(b.customer(), "EUR"), ledger.Receivable(other.customer(), "USD")
		for _, book := range []*book{b, other} {
			book.mustPost(move("USD", ledger.Cash("USD"), ledger.Revenue("USD"), 1), move("EUR", ledger.Cash("EUR"), ledger.Revenue("EUR"), 1))
		}
		b.mustPost(move("owed", owed, ledger.Revenue("USD"), 100), move("abroad", abroad, ledger.Revenue("EUR"), 100))
		other.mustPost(move("owed", theirs, ledger.Revenue("USD"), 100))
		// write posts one transaction of each tenant under one id, as their owner may
		type line struct {
			book   *book
			number int
			ref    ledger.Ref
			amount int64
		}
		write := func(lines ...line) error {
			id, count, rows := uuid.Must(uuid.NewV7()), map[*book]int{}, []string{}
			for _, l := range lines {
				count[l.book]++
				currency := l.ref.String()[len(l.ref.String())-3:]
				rows = append(rows, fmt.Sprintf("('%s'::uuid, '%s'::uuid, %d, '%s'::uuid, %d, '%s')", l.book.tenant, id, l.number, l.ref.ID(l.book.ctx), l.amount, currency))
			}
			headers := []string{}
			for book, n := range count {
				headers = append(headers, fmt.Sprintf("('%s'::uuid, '%s'::uuid, '%s', 'raw', %d, 'raw')", book.tenant, id, id, n))
			}
			_, err := testkit.OwnerDB(t).ExecContext(t.Context(), "WITH h AS (INSERT INTO ledger_transactions (tenant_id, id, cause, kind, lines, posted_by) VALUES "+strings.Join(headers, ", ")+
				") INSERT INTO ledger_entries (tenant_id, transaction_id, line, ledger_account_id, amount_minor, currency) VALUES "+strings.Join(rows, ", "))
			return err
		}
		for name, err := range map[string]error{
			"of one tenant":     write(line{b, 1, owed, 5}, line{b, 2, ledger.Revenue("USD"), -5}),
			"of two":            write(line{b, 1, owed, 7}, line{b, 2, ledger.Revenue("USD"), -7}, line{other, 1, theirs, 9}, line{other, 2, ledger.Revenue("USD"), -9}),
			"in two currencies": write(line{b, 1, owed, 11}, line{b, 2, ledger.Revenue("USD"), -11}, line{b, 3, abroad, 13}, line{b, 4, ledger.Revenue("EUR"), -13}),
			"of none":           b.exec("INSERT INTO ledger_entries (tenant_id, transaction_id, line, ledger_account_id, amount_minor, currency) SELECT tenant_id, transaction_id, line, ledger_account_id, amount_minor, currency FROM ledger_entries WHERE false"),
		} {
			if err != nil {
				t.Errorf("entries %s: %v", name, err)
			}
		}
		if b.cached(owed) != 123 || b.cached(abroad) != 113 || other.cached(theirs) != 109 {
			t.Errorf("the balances are %d, %d and %d", b.cached(owed), b.cached(abroad), other.cached(theirs))
		}
		for _, book := range []*book{b, other} {
			if found := book.verify(); len(found) != 0 {
				t.Errorf("verify finds %v", found)
			}
		}

		tamper(t, "DELETE FROM ledger_balances WHERE tenant_id = ? AND ledger_account_id = ?", b.tenant, owed.ID(b.ctx))
		if err := write(line{b, 1, owed, 5}, line{b, 2, ledger.Revenue("USD"), -5}); !database.IsCheck(err, "ledger_entries_balance_lost") {
			t.Errorf("a balance is lost: %v", err)
		}
		b.mustPost(move("after the loss", owed, ledger.Revenue("USD"), 17)) // this process remembers that the balance is there
		if got := b.cached(owed); got != 17 {
			t.Errorf("the balance that was made anew is %d, want what was posted since", got)
		}
		if found := b.verify(); len(found) != 1 || found["ledger.E005"] == nil {
			t.Errorf("verify finds %v, want ledger.E005 alone: the balance is not the sum of its entries", found)
		}
	})

	t.Run("moves once for programs of the version before, which move themselves", func(t *testing.T) {
		b := newBook(t)
		b.mustPost(move("before", ledger.Cash("USD"), ledger.Revenue("USD"), 1))
		customer := b.customer()
		owed, id := ledger.Receivable(customer, "USD"), uuid.Must(uuid.NewV7())
		err := tenancy.InTx(b.ctx, b.db, func(ctx context.Context, tx bun.Tx) error {
			if _, err := tx.ExecContext(ctx, "SELECT ledger_open(?, ARRAY[?]::uuid[], '{receivable}', ARRAY[?]::text[], '{USD}', '{asset}', ARRAY[?]::uuid[], '{true}')",
				b.tenant, owed.ID(ctx), customer.String(), customer); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `WITH h AS (INSERT INTO ledger_transactions (tenant_id, id, cause, kind, lines, posted_by) VALUES (?0, ?1, 'old', 'raw', 2, 'raw'))
				INSERT INTO ledger_entries (tenant_id, transaction_id, line, ledger_account_id, amount_minor, currency) VALUES (?0, ?1, 1, ?2, 5, 'USD'), (?0, ?1, 2, ?3, -5, 'USD')`,
				b.tenant, id, owed.ID(ctx), ledger.Revenue("USD").ID(ctx)); err != nil {
				return err
			}
			var moved, none int
			if err := tx.NewRaw("SELECT ledger_move(?, ARRAY[?]::uuid[], '{5}'), ledger_move(?, NULL::uuid[], NULL::bigint[])", b.tenant, owed.ID(ctx), b.tenant).Scan(ctx, &moved, &none); err != nil {
				return err
			}
			if moved != 1 || none != 0 {
				t.Errorf("the old program hears that %d and %d balances were moved, want 1 and 0", moved, none)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.cached(owed); got != 5 {
			t.Errorf("the balance is %d, want 5", got)
		}
	})

	t.Run("looks accounts and transactions up by key, whatever the planner believes", func(t *testing.T) {
		for function, want := range map[string][]string{
			"ledger_entries_balance()":                    {"enable_bitmapscan=off", "enable_nestloop=off", "enable_seqscan=off"},
			"ledger_move(uuid, uuid[], text[], bigint[])": {"enable_bitmapscan=off", "enable_hashjoin=off", "enable_mergejoin=off", "enable_nestloop=on", "enable_seqscan=off"},
		} {
			var settings []string
			if err := testkit.OwnerDB(t).NewRaw("SELECT unnest(proconfig) FROM pg_proc WHERE oid = ?::regprocedure", function).Scan(t.Context(), &settings); err != nil {
				t.Fatal(err)
			}
			slices.Sort(settings)
			if !slices.Equal(settings, want) {
				t.Errorf("the settings of %s are %v: its kept plan may scan whole tables", function, settings)
			}
		}
	})
}

// TestSchema holds S1-11 and S1-12, no binary fraction anywhere on disk, and S1-23: an entry has a group, an account, an
// amount whose sign is its direction, and a currency, and of balances there is only a cache.
func TestSchema(t *testing.T) {
	t.Parallel()
	list := func(query string) (lines []string) {
		t.Helper()
		if err := testkit.OwnerDB(t).NewRaw(query).Scan(t.Context(), &lines); err != nil {
			t.Fatal(err)
		}
		return lines
	}
	columns := list("SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public'")
	floats := list(`SELECT table_name || '.' || column_name || ' ' || data_type FROM information_schema.columns
		WHERE table_schema = 'public' AND (data_type IN ('real', 'double precision', 'money') OR udt_name IN ('_float4', '_float8', '_money'))`)
	if len(columns) < 100 || len(floats) > 0 {
		t.Errorf("of %d columns these hold binary fractions: %v", len(columns), floats)
	}
	entry := list(`SELECT column_name || ' ' || data_type || CASE is_nullable WHEN 'YES' THEN ' or null' ELSE '' END FROM information_schema.columns
		WHERE table_schema = 'public' AND table_name = 'ledger_entries' ORDER BY ordinal_position`)
	want := []string{"tenant_id uuid", "transaction_id uuid", "line smallint", "ledger_account_id uuid", "amount_minor bigint", "currency text", "created_at timestamp with time zone"}
	if diff := cmp.Diff(want, entry); diff != "" {
		t.Errorf("the columns of an entry: %s", diff)
	}
	// an invoice's balance is what its other columns come to, by a check
	amounts := list(`SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public'
		AND (column_name LIKE '%balance%' OR table_name LIKE 'ledger%' AND data_type IN ('bigint', 'numeric')) ORDER BY 1`)
	if diff := cmp.Diff([]string{"invoices.balance_minor", "ledger_balances.amount_minor", "ledger_entries.amount_minor"}, amounts); diff != "" {
		t.Errorf("the columns that hold balances, and the amounts of the ledger: %s", diff)
	}
}

// TestCacheDecidesNothing takes the cached balances away, and makes them false: what is answered and what is locked is the
// sum of the entries, of which the cache can be made again (S1-23).
func TestCacheDecidesNothing(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]string{
		"false": "UPDATE ledger_balances SET amount_minor = amount_minor + 7 WHERE tenant_id = ?",
		"lost":  "DELETE FROM ledger_balances WHERE tenant_id = ?",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			customer := b.customer()
			ref := ledger.Receivable(customer, "USD")
			b.mustPost(payment(customer, 100), payment(customer, 23))
			trial := func() (text string) {
				b.read(func(ctx context.Context, tx bun.Tx) error {
					found, err := ledger.TrialBalance(ctx, tx, nil)
					text = fmt.Sprint(found)
					return err
				})
				return text
			}
			before := trial()
			tamper(t, spoil, b.tenant)
			if got := b.cached(ref); got == -123 {
				t.Fatal("the cache is as it was")
			}
			if got := b.balance(ref); got != -123 {
				t.Errorf("the balance is %d, want -123", got)
			}
			if diff := cmp.Diff(before, trial()); diff != "" {
				t.Errorf("the trial balance: %s", diff)
			}
			err := tenancy.InTx(b.ctx, b.db, func(ctx context.Context, tx bun.Tx) error {
				locked, err := ledger.Lock(ctx, tx, ref)
				if locked[ref] != -123 {
					t.Errorf("the locked balance is %d, want -123", locked[ref])
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			tamper(t, spoil, b.tenant)
			if _, err := ledger.Rebuild(b.ctx, b.db, nil); err != nil || b.cached(ref) != -123 {
				t.Errorf("the cache is made again as %d, want -123: %v", b.cached(ref), err)
			}
		})
	}
}
