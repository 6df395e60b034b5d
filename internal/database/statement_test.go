package database_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/database"
	"countersign/internal/testkit"
)

// watched is open with a record of every round trip.
func watched(t *testing.T) (db *bun.DB, trips func() []string) {
	t.Helper()
	var mu sync.Mutex
	var seen []string
	db, err := database.Open(database.Config{URL: testkit.NewDatabase(t), MaxConns: 1, Trace: func(_ context.Context, statements ...string) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, strings.Join(statements, "; "))
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE t (id integer PRIMARY KEY, n integer NOT NULL DEFAULT 0)"); err != nil {
		t.Fatal(err)
	}
	return db, func() []string {
		mu.Lock()
		defer mu.Unlock()
		trips := seen
		seen = nil
		return trips
	}
}

const (
	insert = "INSERT INTO t (id, n) VALUES ($1, $2)"
	add    = "UPDATE t SET n = n + 1 WHERE id = $1"
	look   = "SELECT n FROM t WHERE id = $1"
)

// missing finds no row where there must be one.
func missing() database.Statement {
	return database.SelectOneOr(errWanted, "look", look, func(database.Row) error { return nil }, 404)
}

func into(n *int) func(database.Row) error {
	return func(row database.Row) error { return row.Scan(n) }
}

func TestSend(t *testing.T) {
	t.Parallel()
	t.Run("takes BEGIN, its scope and all statements in one round trip, and what was deferred with COMMIT", func(t *testing.T) {
		t.Parallel()
		db, trips := watched(t)
		trips()
		tenant := uuid.New()
		var first, second int
		err := database.InTx(database.WithScope(t.Context(), database.Scope{TenantID: tenant}), db, func(ctx context.Context, _ bun.Tx) error {
			database.SendWithCommit(ctx, database.Change("add", add, 1))
			database.SendWithNext(ctx, database.Change("insert", insert, 1, 7))
			return database.Send(ctx, database.Select("look", look, into(&first), 1), database.Select("look again", look, into(&second), 2))
		})
		if err != nil || first != 7 || second != 0 {
			t.Errorf("got %d and %d, %v", first, second, err)
		}
		if diff := cmp.Diff([]string{strings.Join([]string{"BEGIN", "SET LOCAL app.tenant_id = '" + tenant.String() + "'", insert, look, look}, "; "), add + "; COMMIT"}, trips()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("changes a row as often as it is told to, and others in one statement", func(t *testing.T) {
		t.Parallel()
		db, trips := watched(t)
		const each = "UPDATE t SET n = 10 * t.n + c.digit FROM (SELECT unnest($1::int[]) AS id, unnest($2::int[]) AS digit) AS c WHERE t.id = c.id"
		appends := database.NewUpdates("append", each, 1)
		trips()
		n := map[int]*int{1: new(int), 2: new(int)}
		err := database.InTx(t.Context(), db, func(ctx context.Context, _ bun.Tx) error {
			return database.Send(ctx, database.Change("insert", insert, 1, 7), database.Change("insert", insert, 2, 7))
		})
		if err == nil {
			err = database.InTx(t.Context(), db, func(ctx context.Context, _ bun.Tx) error {
				for _, row := range [][2]int{{1, 1}, {2, 1}, {1, 2}, {2, 2}, {1, 3}} {
					database.SendRowWithCommit(ctx, appends, row[0], row[1])
				}
				return nil
			})
		}
		if err == nil {
			err = database.Fetch(t.Context(), db, database.Select("look", look, into(n[1]), 1), database.Select("look", look, into(n[2]), 2))
		}
		if err != nil || *n[1] != 7123 || *n[2] != 712 {
			t.Errorf("got %d and %d, %v", *n[1], *n[2], err)
		}
		if got := strings.Count(strings.Join(trips(), "; "), each); got != 3 {
			t.Errorf("%d statements, want 3", got)
		}
	})
	t.Run("reads NULL as the zero id and as no time", func(t *testing.T) {
		t.Parallel()
		db, _ := watched(t)
		ids := [2]uuid.UUID{uuid.New(), uuid.New()}
		want, times := ids[0], [2]sql.NullTime{}
		err := database.InTx(t.Context(), db, func(ctx context.Context, _ bun.Tx) error {
			return database.Send(ctx, database.Select("ids", "SELECT $1::uuid, NULL::uuid, '2026-01-02 03:04:05.678901Z'::timestamptz, NULL::timestamptz", func(row database.Row) error {
				return row.Scan(&ids[0], &ids[1], &times[0], &times[1])
			}, want))
		})
		if err != nil || ids[0] != want || ids[1] != uuid.Nil || times[1].Valid || !times[0].Valid || !times[0].Time.Equal(time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)) {
			t.Errorf("got %v and %v, %v", ids, times, err)
		}
	})
	t.Run("lets what waits go before a statement of another kind", func(t *testing.T) {
		t.Parallel()
		db, trips := watched(t)
		trips()
		n := 0
		err := database.InTx(t.Context(), db, func(ctx context.Context, tx bun.Tx) error {
			database.SendWithNext(ctx, database.Change("insert", insert, 1, 7))
			return tx.NewRaw("SELECT n FROM t WHERE id = 1").Scan(ctx, &n)
		})
		if err != nil || n != 7 {
			t.Errorf("got %d, %v", n, err)
		}
		if diff := cmp.Diff([]string{"BEGIN; " + insert, "SELECT n FROM t WHERE id = 1", "COMMIT"}, trips()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("sends nothing for a transaction of nothing", func(t *testing.T) {
		t.Parallel()
		db, trips := watched(t)
		trips()
		if err := database.InTx(t.Context(), db, func(context.Context, bun.Tx) error { return nil }); err != nil {
			t.Error(err)
		}
		if err := database.InTx(t.Context(), db, func(context.Context, bun.Tx) error { return errWanted }); !errors.Is(err, errWanted) {
			t.Error(err)
		}
		if got := trips(); len(got) > 0 {
			t.Errorf("got %q", got)
		}
	})
	for name, spoil := range map[string]func(ctx context.Context) error{
		"a statement fails": func(ctx context.Context) error { return database.Send(ctx, database.Change("insert", insert, 1, nil)) },
		"a reader fails": func(ctx context.Context) error {
			return database.Send(ctx, database.Select("look", look, func(database.Row) error { return errWanted }, 9))
		},
		"a row is missing": func(ctx context.Context) error { return database.Send(ctx, missing()) },
		"a parameter fits nothing": func(ctx context.Context) error {
			return database.Send(ctx, database.Change("insert", insert, "one", 1))
		},
		"the text is no SQL": func(ctx context.Context) error {
			return database.Send(ctx, database.Change("nonsense", "NONSENSE $1", 1))
		},
		"what travels with COMMIT fails": func(ctx context.Context) error {
			database.SendWithCommit(ctx, database.Change("insert", insert, 9, 9))
			return nil
		},
	} {
		t.Run("keeps nothing when "+name+", and leaves a clean connection", func(t *testing.T) {
			t.Parallel()
			db, _ := watched(t)
			err := database.InTx(t.Context(), db, func(ctx context.Context, _ bun.Tx) error {
				if err := database.Send(ctx, database.Change("insert", insert, 9, 9)); err != nil {
					t.Error(err)
				}
				return spoil(ctx)
			})
			if err == nil || count(t, db) != 0 {
				t.Errorf("got %v and %d rows", err, count(t, db))
			}
			if err := database.InTx(t.Context(), db, func(ctx context.Context, _ bun.Tx) error {
				return database.Send(ctx, database.Change("insert", insert, 1, 1))
			}); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("gives the error that was asked for when it is not one row", func(t *testing.T) {
		t.Parallel()
		db, _ := watched(t)
		err := database.InTx(t.Context(), db, func(ctx context.Context, _ bun.Tx) error {
			n := 0
			return database.Send(ctx, database.SelectOneOr(errWanted, "look", look, into(&n), 404))
		})
		if !errors.Is(err, errWanted) || !strings.HasPrefix(err.Error(), "look: ") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("forgets what was queued when asked to", func(t *testing.T) {
		t.Parallel()
		db, _ := watched(t)
		err := database.InTx(t.Context(), db, func(ctx context.Context, _ bun.Tx) error {
			database.SendWithNext(ctx, database.Change("insert", insert, 1, 1))
			database.SendWithCommit(ctx, database.Change("insert", insert, 2, 1))
			database.AfterCommit(ctx, func() { t.Error("it ran") })
			if err := database.Forget(ctx); err != nil {
				return err
			}
			return nil
		})
		if err != nil || count(t, db) != 0 {
			t.Errorf("got %v and %d rows", err, count(t, db))
		}
	})
	t.Run("survives a connection that died unnoticed", func(t *testing.T) {
		t.Parallel()
		db, _ := watched(t)
		kill := func() {
			t.Helper()
			_, err := testkit.OwnerDB(t).ExecContext(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ?", databaseOf(t, db))
			if err != nil {
				t.Fatal(err)
			}
		}
		for id := range 3 {
			kill()
			if err := database.InTx(t.Context(), db, func(ctx context.Context, _ bun.Tx) error {
				return database.Send(ctx, database.Change("insert", insert, id, 1))
			}); err != nil {
				t.Error(err)
			}
			kill()
			n := 0
			if err := database.Fetch(t.Context(), db, database.Select("look", look, into(&n), 0)); err != nil || n != 1 {
				t.Errorf("got %d, %v", n, err)
			}
		}
	})
}

func databaseOf(t *testing.T, db *bun.DB) (name string) {
	t.Helper()
	if err := db.NewRaw("SELECT current_database()").Scan(t.Context(), &name); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestFetch(t *testing.T) {
	t.Parallel()
	db, trips := watched(t)
	if _, err := db.ExecContext(t.Context(), "INSERT INTO t VALUES (1, 7)"); err != nil {
		t.Fatal(err)
	}
	trips()
	n := 0
	if err := database.Fetch(t.Context(), db, database.Select("look", look, into(&n), 1)); err != nil || n != 7 {
		t.Errorf("got %d, %v", n, err)
	}
	if diff := cmp.Diff([]string{"BEGIN READ ONLY; " + look + "; COMMIT"}, trips()); diff != "" {
		t.Error(diff)
	}
	if err := database.Fetch(t.Context(), db, database.Change("insert", insert, 2, 2)); err == nil || count(t, db) != 1 {
		t.Errorf("writing gives %v and %d rows", err, count(t, db))
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := database.Fetch(cancelled, db, database.Select("look", look, into(&n), 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled request gives %v", err)
	}
	err := database.InTx(t.Context(), db, func(ctx context.Context, _ bun.Tx) error {
		return database.Fetch(ctx, db, database.Select("look", look, into(&n), 1))
	})
	if err == nil || !strings.Contains(err.Error(), "already open") {
		t.Errorf("inside a transaction it gives %v", err)
	}
}

// What was prepared before the schema changed is prepared anew, and the caller sees nothing of it.
func TestSchemaChange(t *testing.T) {
	t.Parallel()
	db, _ := watched(t)
	everything := func() error {
		return database.Fetch(t.Context(), db, database.Select("look", "SELECT * FROM t WHERE id >= $1", func(database.Row) error { return nil }, 0))
	}
	if err := everything(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "ALTER TABLE t ADD COLUMN more text"); err != nil {
		t.Fatal(err)
	}
	if err := everything(); err != nil {
		t.Errorf("sent with others: %v", err)
	}
	if _, err := db.ExecContext(t.Context(), "INSERT INTO t (id, n) VALUES (1, 7)"); err != nil {
		t.Fatal(err)
	}
	look := func() (n any, err error) {
		return n, database.InTx(t.Context(), db, func(ctx context.Context, tx bun.Tx) error {
			return database.Prepared(ctx, tx.NewSelect().TableExpr("t").Column("n").Where("more IS DISTINCT FROM ?", "x"), &n)
		})
	}
	if n, err := look(); err != nil || n != int64(7) {
		t.Fatal(n, err)
	}
	if _, err := db.ExecContext(t.Context(), "ALTER TABLE t ALTER COLUMN n TYPE text"); err != nil {
		t.Fatal(err)
	}
	if n, err := look(); err != nil || n != "7" {
		t.Errorf("prepared by itself, it gives %v, %v", n, err)
	}
}
