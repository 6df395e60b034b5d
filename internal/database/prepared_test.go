package database_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/database"
	"countersign/internal/testkit"
)

// note is a row with a column of each kind that lists are narrowed by.
type note struct {
	bun.BaseModel `bun:"table:notes,alias:nt"`

	ID   uuid.UUID `bun:"id"`
	Text string    `bun:"text"`
	At   time.Time `bun:"at"`
	Hash []byte    `bun:"hash"`
	N    int64     `bun:"n"`
	Done bool      `bun:"done"`
}

func TestPrepared(t *testing.T) {
	t.Parallel()
	db, trips := watched(t)
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE notes (id uuid PRIMARY KEY, text text, at timestamptz, hash bytea, n bigint, done boolean)"); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	notes := []note{
		{ID: uuid.New(), Text: "it's $1 or ?", At: at, Hash: []byte{0, 1}, N: 1, Done: true},
		{ID: uuid.New(), Text: "другой", At: at.Add(time.Second), Hash: []byte("'"), N: -1, Done: false},
	}
	if _, err := db.NewInsert().Model(&notes).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	find := func(q *bun.SelectQuery, n note) *bun.SelectQuery {
		return q.Model((*note)(nil)).Where("nt.id = ?", n.ID).Where("nt.text IN (?)", bun.List([]string{n.Text, "nobody's"})).
			Where("nt.at = ?", n.At).Where("nt.hash = ?", n.Hash).Where("nt.n = ?", n.N).Where("nt.done = ?", n.Done)
	}
	t.Run("finds what bun would find, with each value in its place", func(t *testing.T) {
		err := database.InTx(t.Context(), db, func(ctx context.Context, tx bun.Tx) error {
			for _, n := range notes {
				found := []note{}
				if err := database.Prepared(ctx, find(tx.NewSelect(), n), &found); err != nil {
					return err
				}
				if diff := cmp.Diff([]note{n}, found); diff != "" {
					t.Error(diff)
				}
				count := 0
				capped := find(tx.NewSelect(), n).ColumnExpr("1").Limit(5)
				if err := database.Prepared(ctx, tx.NewSelect().ColumnExpr("count(*)").TableExpr("(?) AS capped", capped), &count); err != nil || count != 1 {
					t.Errorf("counted %d, %v", count, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("sends one text for all texts, times and bytes, and the connection prepares it once", func(t *testing.T) {
		trips()
		one, other := notes[0], notes[0]
		other.ID, other.Text, other.At, other.Hash = uuid.New(), "x", at.Add(time.Hour), []byte{7}
		var held int
		err := database.InTx(t.Context(), db, func(ctx context.Context, tx bun.Tx) error {
			for _, n := range []note{one, other} {
				if err := database.Prepared(ctx, find(tx.NewSelect(), n), &[]note{}); err != nil {
					return err
				}
			}
			return tx.NewRaw("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%nt.text IN ($2, $3)%' AND statement NOT LIKE '%capped%' AND generic_plans >= 2").Scan(ctx, &held)
		})
		if err != nil || held != 1 {
			t.Errorf("%d statements are prepared, %v", held, err)
		}
		sent := trips()
		if len(sent) < 3 || sent[1] != sent[2] || strings.Contains(sent[1], "nobody") {
			t.Errorf("sent %q", sent)
		}
	})
	t.Run("says what PostgreSQL says", func(t *testing.T) {
		err := database.InTx(t.Context(), db, func(ctx context.Context, tx bun.Tx) error {
			return database.Prepared(ctx, tx.NewSelect().Model((*note)(nil)).Where("nt.id = ?", "no id"), &[]note{})
		})
		if _, data := database.IsDatabase(err); err == nil || !data {
			t.Errorf("got %v", err)
		}
	})
}

func TestSlowLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	db, err := database.Open(database.Config{URL: testkit.NewDatabase(t), MaxConns: 1, Slow: database.SlowLog{Logger: slog.New(slog.NewTextHandler(&log, nil)), Limit: 50 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	for name, run := range map[string]func(ctx context.Context, tx bun.Tx) error{
		"bun's": func(ctx context.Context, tx bun.Tx) error {
			return tx.NewSelect().ColumnExpr("pg_sleep(0.1), ? || ?", "o'hidden", "hidden").Scan(ctx, new(any), new(string))
		},
		"prepared": func(ctx context.Context, tx bun.Tx) error {
			return database.Prepared(ctx, tx.NewSelect().ColumnExpr("length(?::text)", "hidden").Where("pg_sleep(0.1) IS NOT NULL"), new(int))
		},
		"several": func(ctx context.Context, tx bun.Tx) error {
			each := func(database.Row) error { return nil }
			return database.Send(ctx, database.Select("one", "SELECT 1", each), database.Select("sleep", "SELECT pg_sleep(0.1), $1::text", each, "hidden"))
		},
		"many rows, of which the first are quick": func(ctx context.Context, tx bun.Tx) error {
			return tx.NewSelect().ColumnExpr("repeat('hidden', 1000) || pg_sleep(CASE WHEN g < 99 THEN 0 ELSE 0.1 END)").TableExpr("generate_series(1, 100) AS g").Scan(ctx, &[]string{})
		},
		"numbers": func(ctx context.Context, tx bun.Tx) error {
			return tx.NewSelect().ColumnExpr("pg_sleep(0.1), ?", 471108154711).Scan(ctx, new(any), new(int))
		},
		"a change": func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.ExecContext(ctx, "DO $$ BEGIN PERFORM pg_sleep(0.1), 'hidden'; END $$")
			return err
		},
	} {
		log.Reset()
		if err := database.InTx(t.Context(), db, run); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		said := log.String()
		if !strings.Contains(said, "slow query") || !strings.Contains(said, "pg_sleep") || strings.Contains(said, "hidden") || strings.Contains(said, "471108154711") {
			t.Errorf("%s: the log says %s", name, said)
		}
	}
	log.Reset()
	for _, calm := range []database.SlowLog{{}, {Logger: slog.New(slog.NewTextHandler(&log, nil)), Limit: time.Hour}} {
		db, err := database.Open(database.Config{URL: testkit.NewDatabase(t), MaxConns: 1, Slow: calm})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		if _, err := db.ExecContext(t.Context(), "SELECT pg_sleep(0.1)"); err != nil || log.Len() > 0 {
			t.Errorf("%v, and the log says %s", err, log.String())
		}
	}
}
