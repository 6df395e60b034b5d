package testkit

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Places that are overheard in every package.
const (
	placeLog      = "the log"
	placeAnswers  = "the answers of errors"
	placePages    = "the console's pages of errors"
	placeQueue    = "the queue"
	placePostgres = "PostgreSQL's log"
)

// leak is a secret where it must not be.
type leak struct {
	kind, place string
	line        string // with all secrets covered; empty for a column
}

func (l leak) String() string {
	if l.line == "" {
		return l.kind + " is in " + l.place
	}
	return l.kind + " is in " + l.place + ": " + l.line
}

// listen makes the log of this test binary heard, down to what is not shown.
func (r *register) listen() {
	slog.SetDefault(slog.New(slog.NewMultiHandler(slog.NewTextHandler(os.Stderr, nil), r.logger().Handler())))
}

func (r *register) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(r.voice(placeLog), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Logger gives a log that is not shown, and heard all the same.
func Logger() *slog.Logger { return heard.logger() }

// Hear gives a writer for what is said in a place, such as the log of another process or a connection to Redis, for the
// search at the end. It is for one at a time.
func Hear(place string) io.Writer { return heard.voice(place) }

// SearchDatabase looks through a database that will be gone when the package's tests have run.
func SearchDatabase(t testing.TB, url string) {
	t.Helper()
	leaks, err := heard.searchDatabase(context.Background(), url)
	if err != nil {
		t.Error(err)
	}
	heard.mu.Lock()
	defer heard.mu.Unlock()
	heard.found = append(heard.found, leaks...)
}

// search looks for what was registered in all that was heard, and in all databases of the server. In each of these
// places something was planted that must be found: what is not, could hide a leak as well, and is reported.
func (r *register) search(ctx context.Context, dir string) (report []string) {
	control := "control" + rand.Text()
	r.secret(secretControl, control)
	planted, err := r.plant(ctx, control)
	if err != nil {
		return []string{err.Error()}
	}
	said, err := os.ReadFile(filepath.Join(dir, "postgres.log"))
	if err != nil {
		return []string{err.Error()}
	}
	r.keep(placePostgres, said)
	leaks := append(r.found, r.searchVoices()...)
	for _, name := range databases(ctx) {
		found, err := r.searchDatabase(ctx, server.pg.DSN("countersign", name))
		if err != nil {
			return []string{fmt.Sprintf("search database %s: %v", name, err)}
		}
		leaks = append(leaks, found...)
	}
	times := map[leak]int{}
	for _, l := range leaks {
		if l.kind != secretControl {
			if alike := (leak{kind: l.kind, place: l.place}); times[alike] < 5 { // some are enough to find where they come from
				times[alike]++
				report = append(report, l.String())
			}
		} else if i := slices.Index(planted, l.place); i >= 0 {
			planted = slices.Delete(planted, i, i+1)
		}
	}
	for _, place := range planted {
		report = append(report, "nothing is found in "+place+", not even what was planted there")
	}
	return report
}

// plant leaves a text in every kind of place, and gives the places.
func (r *register) plant(ctx context.Context, text string) ([]string, error) {
	slog.DebugContext(ctx, "planted", "text", text)
	for _, place := range []string{placeAnswers, placePages, placeQueue} {
		r.keep(place, []byte("planted "+text))
	}
	for _, statement := range []string{
		"CREATE TABLE planted (word text, raw bytea, packed jsonb)",
		"INSERT INTO planted VALUES ('a " + text + " b', convert_to('{\"a\":\"" + text + "\"}', 'UTF8'), '{\"a\": [\"" + text + "\"]}')",
		"DO $$ BEGIN RAISE LOG 'planted " + text + "'; END $$",
	} {
		if _, err := server.owner.ExecContext(ctx, statement); err != nil {
			return nil, fmt.Errorf("plant a secret: %w", err)
		}
	}
	return []string{placeLog, placeAnswers, placePages, placeQueue, placePostgres, "planted.word", "planted.raw", "planted.packed"}, nil
}

func databases(ctx context.Context) (names []string) {
	if err := server.owner.NewRaw("SELECT datname FROM pg_database WHERE NOT datistemplate AND datallowconn").Scan(ctx, &names); err != nil {
		panic(err) // the server has just answered
	}
	return names
}

// searchVoices looks through what was heard, line by line.
func (r *register) searchVoices() (leaks []leak) {
	f := r.finder()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.voices {
		v.mu.Lock()
		for line := range bytes.Lines(v.said.Bytes()) {
			kind := ""
			f.find(line, func(_, _ int, k string) {
				if inTheClear[k][v.place] == "" {
					kind = k
				}
			})
			if kind != "" {
				leaks = append(leaks, leak{kind, v.place, shortened(f.cover(line))})
			}
		}
		v.mu.Unlock()
	}
	return leaks
}

// shortened keeps of a line what a reader needs to find it.
func shortened(line string) string {
	line = strings.TrimSpace(line)
	if at := strings.Index(line, "["); len(line) > 600 && at >= 0 {
		line = line[max(0, at-300):min(len(line), at+300)]
	}
	return line
}

// searchDatabase looks through all columns of all tables.
func (r *register) searchDatabase(ctx context.Context, url string) (leaks []leak, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT c.oid::regclass::text, array_agg(a.attname::text ORDER BY a.attnum) FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
		WHERE c.relkind IN ('r', 'm') AND c.relnamespace::regnamespace::text !~ '^pg_|^information_schema$' AND a.attnum > 0 AND NOT a.attisdropped GROUP BY c.oid`)
	if err != nil {
		return nil, err
	}
	tables := map[string][]string{}
	var name string
	var columns []string
	if _, err := pgx.ForEachRow(rows, []any{&name, &columns}, func() error { tables[name] = columns; return nil }); err != nil {
		return nil, err
	}
	f := r.finder()
	for table, columns := range tables {
		w := &tableSearch{finder: f, table: table, columns: columns, found: map[leak]bool{}}
		if _, err := conn.PgConn().CopyTo(ctx, w, "COPY (SELECT * FROM "+table+") TO STDOUT"); err != nil {
			return nil, fmt.Errorf("read %s: %w", table, err)
		}
		for l := range w.found {
			leaks = append(leaks, l)
		}
	}
	return leaks, nil
}

// tableSearch reads a table in the text format of COPY: a line for each row, and a tab before each column but the first.
type tableSearch struct {
	*finder
	table   string
	columns []string
	rest    []byte // of a row that has not ended
	found   map[leak]bool
}

// Write takes a piece of the table.
func (w *tableSearch) Write(piece []byte) (int, error) {
	w.rest = append(w.rest, piece...)
	for {
		row, rest, whole := bytes.Cut(w.rest, []byte("\n"))
		if !whole {
			w.rest = append(w.rest[:0], row...)
			return len(piece), nil
		}
		w.find(row, func(_, end int, kind string) {
			place := w.table + "." + w.columns[bytes.Count(row[:end], []byte("\t"))]
			if inTheClear[kind][place] == "" {
				w.found[leak{kind: kind, place: place}] = true
			}
		})
		w.rest = rest
	}
}
