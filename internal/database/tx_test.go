package database_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/database"
	"countersign/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// open gives a pool of one connection, so that what one transaction leaves behind meets the next, with a table t.
func open(t *testing.T, conns int) *bun.DB {
	t.Helper()
	db, err := database.Open(database.Config{URL: testkit.NewDatabase(t), MaxConns: conns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE t (id integer PRIMARY KEY, n integer NOT NULL DEFAULT 0)"); err != nil {
		t.Fatal(err)
	}
	return db
}

func count(t *testing.T, db *bun.DB) (n int) {
	t.Helper()
	if err := db.NewRaw("SELECT count(*) FROM t").Scan(t.Context(), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func exec(ctx context.Context, tx bun.Tx, query string) error {
	_, err := tx.ExecContext(ctx, query)
	return err
}

var errWanted = errors.New("wanted")

func TestInTx(t *testing.T) {
	t.Parallel()
	t.Run("refuses to nest", func(t *testing.T) {
		t.Parallel()
		db := open(t, 1)
		err := database.InTx(t.Context(), db, func(ctx context.Context, _ bun.Tx) error {
			if !database.InTransaction(ctx) {
				t.Error("the context does not say that a transaction is open")
			}
			return database.InTx(ctx, db, func(context.Context, bun.Tx) error { t.Error("a second transaction ran"); return nil })
		})
		if err == nil || !strings.Contains(err.Error(), "already open") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("takes everything back after an error", func(t *testing.T) {
		t.Parallel()
		db := open(t, 1)
		err := database.InTx(t.Context(), db, func(ctx context.Context, tx bun.Tx) error {
			database.AfterCommit(ctx, func() { t.Error("what belongs after a commit ran without one") })
			database.SendWithCommit(ctx, database.Change("change", "INSERT INTO t (id) VALUES ($1)", 2))
			return errors.Join(exec(ctx, tx, "INSERT INTO t (id) VALUES (1)"), errWanted)
		})
		if !errors.Is(err, errWanted) || count(t, db) != 0 {
			t.Errorf("got %v and %d rows", err, count(t, db))
		}
	})
	t.Run("gives the connection back clean after a panic", func(t *testing.T) {
		t.Parallel()
		db := open(t, 1)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is gone")
				}
			}()
			database.InTx(database.WithScope(t.Context(), database.Scope{TenantID: uuid.New()}), db, func(ctx context.Context, tx bun.Tx) error {
				database.SendWithCommit(ctx, database.Change("change", "INSERT INTO t (id) VALUES ($1)", 2))
				if err := exec(ctx, tx, "INSERT INTO t (id) VALUES (1)"); err != nil {
					t.Error(err)
				}
				panic("boom")
			})
		}()
		err := database.InTx(t.Context(), db, func(ctx context.Context, tx bun.Tx) error { return exec(ctx, tx, "INSERT INTO t (id) VALUES (3)") })
		if err != nil || count(t, db) != 1 {
			t.Errorf("got %v and %d rows", err, count(t, db))
		}
	})
	t.Run("is an error when a failed statement was passed over", func(t *testing.T) {
		t.Parallel()
		db := open(t, 1)
		err := database.InTx(t.Context(), db, func(ctx context.Context, tx bun.Tx) error {
			if err := exec(ctx, tx, "INSERT INTO t (id) VALUES (1)"); err != nil {
				return err
			}
			exec(ctx, tx, "SELECT 1 / 0")
			return nil
		})
		if err == nil || count(t, db) != 0 {
			t.Errorf("got %v and %d rows", err, count(t, db))
		}
	})
	t.Run("reads and does not write in Read", func(t *testing.T) {
		t.Parallel()
		db := open(t, 1)
		err := database.Read(t.Context(), db, func(ctx context.Context, tx bun.Tx) error { return exec(ctx, tx, "INSERT INTO t (id) VALUES (1)") })
		if err == nil || count(t, db) != 0 {
			t.Errorf("got %v and %d rows", err, count(t, db))
		}
	})
	t.Run("gives up when the context is cancelled", func(t *testing.T) {
		t.Parallel()
		db := open(t, 1)
		ctx, cancel := context.WithCancel(t.Context())
		err := database.InTx(ctx, db, func(ctx context.Context, tx bun.Tx) error {
			err := exec(ctx, tx, "INSERT INTO t (id) VALUES (1)")
			cancel()
			return err
		})
		if err == nil || count(t, db) != 0 {
			t.Errorf("got %v and %d rows", err, count(t, db))
		}
	})
}

func TestRetry(t *testing.T) {
	t.Parallel()
	t.Run("runs the loser of a deadlock again", func(t *testing.T) {
		t.Parallel()
		db := open(t, 4)
		if _, err := db.ExecContext(t.Context(), "INSERT INTO t (id) VALUES (1), (2)"); err != nil {
			t.Fatal(err)
		}
		var runs atomic.Int64
		var both, done sync.WaitGroup
		both.Add(2)
		lock := func(first, second string) {
			defer done.Done()
			once := sync.OnceFunc(func() { both.Done(); both.Wait() }) // both hold their first row before either asks for the second
			err := database.InTx(t.Context(), db, func(ctx context.Context, tx bun.Tx) error {
				runs.Add(1)
				if err := exec(ctx, tx, "UPDATE t SET n = n + 1 WHERE id = "+first); err != nil {
					return err
				}
				once()
				return exec(ctx, tx, "UPDATE t SET n = n + 1 WHERE id = "+second)
			})
			if err != nil {
				t.Error(err)
			}
		}
		done.Add(2)
		go lock("1", "2")
		go lock("2", "1")
		done.Wait()
		var sum int
		if err := db.NewRaw("SELECT sum(n) FROM t").Scan(t.Context(), &sum); err != nil {
			t.Fatal(err)
		}
		if sum != 4 || runs.Load() < 3 {
			t.Errorf("the sum is %d after %d runs", sum, runs.Load())
		}
	})
	t.Run("stops after four times", func(t *testing.T) {
		t.Parallel()
		db, runs := open(t, 1), 0
		err := database.InTx(t.Context(), db, func(ctx context.Context, tx bun.Tx) error {
			runs++
			return exec(ctx, tx, "DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$")
		})
		if !database.IsRetryable(err) || runs != 4 {
			t.Errorf("got %v after %d runs", err, runs)
		}
	})
	t.Run("leaves other errors alone", func(t *testing.T) {
		t.Parallel()
		db, runs := open(t, 1), 0
		err := database.InTx(t.Context(), db, func(context.Context, bun.Tx) error { runs++; return errWanted })
		if !errors.Is(err, errWanted) || runs != 1 {
			t.Errorf("got %v after %d runs", err, runs)
		}
	})
}

func TestSendWithCommit(t *testing.T) {
	t.Parallel()
	t.Run("travels with the commit, in order, before what runs after it", func(t *testing.T) {
		t.Parallel()
		db, seen := open(t, 2), -1
		err := database.InTx(t.Context(), db, func(ctx context.Context, tx bun.Tx) error {
			database.SendWithCommit(ctx, database.Change("change", "INSERT INTO t (id) VALUES ($1)", 1))
			database.SendWithCommit(ctx, database.Change("change", "UPDATE t SET n = $1 WHERE id = $2", 7, 1))
			database.AfterCommit(ctx, func() {
				if err := db.NewRaw("SELECT n FROM t WHERE id = 1").Scan(t.Context(), &seen); err != nil {
					t.Error(err)
				}
			})
			var n int
			if err := tx.NewRaw("SELECT count(*) FROM t").Scan(ctx, &n); err != nil || n != 0 {
				t.Errorf("%d rows before the commit, %v", n, err)
			}
			return nil
		})
		if err != nil || seen != 7 {
			t.Errorf("got %v, and n is %d", err, seen)
		}
	})
	t.Run("takes everything back when it fails, and leaves a clean connection", func(t *testing.T) {
		t.Parallel()
		db := open(t, 1)
		err := database.InTx(t.Context(), db, func(ctx context.Context, tx bun.Tx) error {
			database.AfterCommit(ctx, func() { t.Error("what belongs after a commit ran without one") })
			database.SendWithCommit(ctx, database.Change("change", "INSERT INTO t (id) VALUES ($1)", 2))
			database.SendWithCommit(ctx, database.Change("change", "INSERT INTO t (id) VALUES ($1)", 1))
			return exec(ctx, tx, "INSERT INTO t (id) VALUES (1)")
		})
		if !database.IsUnique(err, "t_pkey") || count(t, db) != 0 {
			t.Errorf("got %v and %d rows", err, count(t, db))
		}
	})
}

func TestScope(t *testing.T) {
	t.Parallel()
	db := open(t, 1)
	settings := func(ctx context.Context) (found string) {
		t.Helper()
		err := database.Read(ctx, db, func(ctx context.Context, tx bun.Tx) error {
			return tx.NewRaw("SELECT concat_ws('|', current_setting('app.tenant_id', true), current_setting('app.account_id', true), current_setting('app.user_id', true))").Scan(ctx, &found)
		})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	scope := database.Scope{TenantID: uuid.New(), AccountID: uuid.New(), UserID: uuid.New()}
	if got, want := settings(database.WithScope(t.Context(), scope)), scope.TenantID.String()+"|"+scope.AccountID.String()+"|"+scope.UserID.String(); got != want {
		t.Errorf("inside it is %q, want %q", got, want)
	}
	if got := strings.Trim(settings(t.Context()), "|"); got != "" {
		t.Errorf("on the same connection afterwards it is %q", got)
	}
	if got := settings(database.WithScope(t.Context(), database.Scope{TenantID: scope.TenantID})); strings.Contains(got, scope.AccountID.String()) {
		t.Errorf("the account of another transaction is still there: %q", got)
	}
}

func TestTranslate(t *testing.T) {
	t.Parallel()
	down, err := database.Open(database.Config{URL: "postgres://nobody@127.0.0.1:1/none"})
	if err != nil {
		t.Fatal(err)
	}
	defer down.Close()
	if err := database.Translate(down.PingContext(t.Context())); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("a server that is not there gives %v", err)
	}
	if err := database.Translate(errWanted); err != errWanted {
		t.Errorf("another error gives %v", err)
	}
	if database.Translate(nil) != nil || database.Translate(context.Canceled) != context.Canceled {
		t.Error("nothing, or a cancelled context, is translated")
	}
	_, err = database.Open(database.Config{URL: "postgres://u:hunter2@[bad"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a broken address gives %v", err)
	}
}
