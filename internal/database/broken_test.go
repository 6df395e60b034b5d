package database_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"

	"countersign/internal/database"
	"countersign/internal/testkit"
)

// mute stands between a pool of one connection and PostgreSQL. After a request that holds the armed bytes, PostgreSQL
// still gets everything, and the program hears nothing more.
type mute struct{ word atomic.Pointer[[]byte] }

func (m *mute) arm(word string) { m.word.Store(new([]byte(word))) }

// committing is how COMMIT is called on the wire: it is a prepared statement.
var committing = func() string {
	sum := sha256.Sum256([]byte("COMMIT"))
	return fmt.Sprintf("stmt_%x", sum[:24])
}()

func muted(t *testing.T) (*bun.DB, *mute) {
	t.Helper()
	dsn := testkit.NewDatabase(t)
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	socket, dir, m := fmt.Sprintf(".s.PGSQL.%d", config.Port), t.TempDir(), &mute{}
	listener, err := net.Listen("unix", filepath.Join(dir, socket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", filepath.Join(config.Host, socket))
			if err != nil {
				client.Close()
				return
			}
			go m.carry(client, server)
		}
	}()
	address, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	query := address.Query()
	query.Set("host", dir)
	address.RawQuery = query.Encode()
	db, err := database.Open(database.Config{URL: address.String(), MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE t (id serial PRIMARY KEY, n integer NOT NULL DEFAULT 0)"); err != nil {
		t.Fatal(err)
	}
	return db, m
}

func (m *mute) carry(client, server net.Conn) {
	var silent atomic.Bool
	go func() {
		defer client.Close()
		buf := make([]byte, 1<<16)
		for {
			n, err := server.Read(buf)
			if err != nil || silent.Load() {
				return
			}
			client.Write(buf[:n])
		}
	}()
	defer server.Close()
	buf := make([]byte, 1<<16)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if word := m.word.Load(); word != nil && bytes.Contains(buf[:n], *word) {
			m.word.Store(nil)
			silent.Store(true)
		}
		server.Write(buf[:n])
	}
}

const one = "INSERT INTO t (n) VALUES ($1)"

func TestBrokenConnection(t *testing.T) {
	t.Parallel()
	queue := func(ctx context.Context, _ bun.Tx) error {
		database.SendWithCommit(ctx, database.Change("change", one, 1))
		return nil
	}
	t.Run("does nothing twice when all of a transaction was sent at once", func(t *testing.T) {
		t.Parallel()
		db, m := muted(t)
		if err := database.InTx(t.Context(), db, queue); err != nil {
			t.Fatal(err)
		}
		m.arm(committing)
		if err := database.InTx(t.Context(), db, queue); !errors.Is(err, database.ErrOutcomeUnknown) || count(t, db) != 2 {
			t.Errorf("got %v and %d rows", err, count(t, db))
		}
	})
	t.Run("does not say what nobody knows", func(t *testing.T) {
		t.Parallel()
		db, m := muted(t)
		err := database.InTx(t.Context(), db, func(ctx context.Context, _ bun.Tx) error {
			err := database.Send(ctx, database.Change("insert", one, 1))
			m.arm(committing)
			return err
		})
		if !errors.Is(database.Translate(err), database.ErrOutcomeUnknown) || count(t, db) != 1 {
			t.Errorf("got %v and %d rows", err, count(t, db))
		}
	})
	t.Run("in the middle is an outage and keeps nothing", func(t *testing.T) {
		t.Parallel()
		db, m := muted(t)
		for name, second := range map[string]func(ctx context.Context, tx bun.Tx) error{
			"a statement that travels": func(ctx context.Context, _ bun.Tx) error {
				return database.Send(ctx, database.Change("insert", one+" -- second", 1))
			},
			"bun's": func(ctx context.Context, tx bun.Tx) error {
				return exec(ctx, tx, "INSERT INTO t (n) VALUES (1) -- second")
			},
		} {
			err := database.InTx(t.Context(), db, func(ctx context.Context, tx bun.Tx) error {
				if err := database.Send(ctx, database.Change("insert", one, 1)); err != nil {
					return err
				}
				m.arm("second")
				return second(ctx, tx)
			})
			if !errors.Is(database.Translate(err), database.ErrUnavailable) || count(t, db) != 0 {
				t.Errorf("%s: got %v and %d rows", name, err, count(t, db))
			}
		}
	})
	t.Run("before anything was changed is not noticed", func(t *testing.T) {
		t.Parallel()
		db, m := muted(t)
		look := database.Select("look", "SELECT n FROM t WHERE id >= $1", func(database.Row) error { return nil }, 0)
		if err := database.Fetch(t.Context(), db, look); err != nil {
			t.Fatal(err)
		}
		m.arm(committing)
		if err := database.Fetch(t.Context(), db, look); err != nil {
			t.Errorf("reading gives %v", err)
		}
	})
}

func TestPanic(t *testing.T) {
	t.Parallel()
	for name, panics := range map[string]func(ctx context.Context, tx bun.Tx) error{
		"while rows are read": func(ctx context.Context, _ bun.Tx) error {
			return database.Send(ctx, database.Change("insert", insert, 1, 1), database.Select("look", look, func(database.Row) error { panic("boom") }, 1))
		},
		"between two statements": func(ctx context.Context, _ bun.Tx) error {
			if err := database.Send(ctx, database.Change("insert", insert, 1, 1)); err != nil {
				return err
			}
			panic("boom")
		},
	} {
		t.Run(name+" leaves nothing behind", func(t *testing.T) {
			t.Parallel()
			db, _ := watched(t)
			func() {
				defer func() { recover() }()
				database.InTx(t.Context(), db, panics)
				t.Error("it did not panic")
			}()
			for range 3 {
				n := 0
				if err := database.Fetch(t.Context(), db, database.Select("look", look, into(&n), 1)); err != nil || n != 0 {
					t.Errorf("got %d, %v", n, err)
				}
			}
		})
	}
}

// What went wrong in a transaction cannot be passed over: nothing that follows is sent.
func TestErrorsStay(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]database.Statement{
		"a parameter that fits nothing": database.Change("insert", insert, "one", 1),
		"a row that is not there":       missing(),
		"a constraint":                  database.Change("insert", insert, 1, nil),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, _ := watched(t)
			err := database.InTx(t.Context(), db, func(ctx context.Context, tx bun.Tx) error {
				if database.Send(ctx, spoil) == nil {
					t.Error("it was taken")
				}
				database.SendWithCommit(ctx, database.Change("change", insert, 2, 2))
				if database.Send(ctx, database.Change("insert", insert, 3, 3)) == nil || exec(ctx, tx, "INSERT INTO t VALUES (4)") == nil {
					t.Error("another statement was sent")
				}
				return nil
			})
			if err == nil || count(t, db) != 0 {
				t.Errorf("got %v and %d rows", err, count(t, db))
			}
		})
	}
	t.Run("a queued condition is looked at before COMMIT", func(t *testing.T) {
		t.Parallel()
		db, _ := watched(t)
		err := database.InTx(t.Context(), db, func(ctx context.Context, _ bun.Tx) error {
			database.SendWithNext(ctx, missing())
			database.SendWithCommit(ctx, database.Change("change", insert, 2, 2))
			return nil
		})
		if err == nil || count(t, db) != 0 {
			t.Errorf("got %v and %d rows", err, count(t, db))
		}
	})
	t.Run("no change travels behind a condition", func(t *testing.T) {
		t.Parallel()
		db, _ := watched(t)
		err := database.InTx(t.Context(), db, func(ctx context.Context, _ bun.Tx) error {
			n := 0
			database.SendWithNext(ctx, database.SelectOneOr(errWanted, "look", look, into(&n), 404))
			err := database.Send(ctx, database.Change("insert", insert, 1, 1))
			if err == nil || errors.Is(err, errWanted) || !strings.Contains(err.Error(), "SELECT first") {
				t.Errorf("got %v", err)
			}
			return err
		})
		if err == nil || count(t, db) != 0 {
			t.Errorf("got %v and %d rows", err, count(t, db))
		}
	})
}
