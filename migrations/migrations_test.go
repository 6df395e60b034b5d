package migrations_test

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun"
	"golang.org/x/sync/errgroup"

	"countersign/internal/database"
	"countersign/internal/testkit"
	"countersign/migrations"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// newDatabase gives an empty database and what moves its schema.
func newDatabase(t *testing.T) (*bun.DB, *database.Migrator) {
	t.Helper()
	db, err := database.Open(database.Config{URL: testkit.NewDatabase(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	m, err := database.NewMigrator(db, migrations.Files)
	if err != nil {
		t.Fatal(err)
	}
	return db, m
}

func TestMigrations(t *testing.T) {
	t.Parallel()
	t.Run("go up, all the way down and up again", func(t *testing.T) {
		t.Parallel()
		db, m := newDatabase(t)
		first, err := m.Up(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(first) == 0 {
			t.Fatal("nothing was applied")
		}
		if _, err := m.Down(t.Context()); err != nil {
			t.Fatal(err)
		}
		var left []string
		if err := db.NewRaw(`SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'bun_%'`).Scan(t.Context(), &left); err != nil {
			t.Fatal(err)
		}
		if len(left) > 0 {
			t.Errorf("the down files leave tables behind: %v", left)
		}
		again, err := m.Up(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(again) != len(first) {
			t.Errorf("second time applied %d of %d migrations", len(again), len(first))
		}
		if pending, err := m.Pending(t.Context()); err != nil || len(pending) > 0 {
			t.Errorf("pending after all were applied: %v %v", pending, err)
		}
	})
}

// The tests run on one version of PostgreSQL. These words are the names that version 15 leaves free and a later one, up to 18, does not.
func TestNamesAreFreeOnLaterVersions(t *testing.T) {
	t.Parallel()
	taken := regexp.MustCompile(`(?i)[^"\w](json_array|json_arrayagg|json_exists|json_object|json_objectagg|json_query|json_scalar|json_serialize|json_table|json_value|merge_action|system_user)\b`)
	err := fs.WalkDir(migrations.Files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(migrations.Files, path)
		if word := taken.FindSubmatch(text); word != nil {
			t.Errorf("%s says %s, which is no name on a later version of PostgreSQL: put it in quotation marks", path, word[1])
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestRolesOfOneServer installs the roles, which all databases of a server share, from several of them at once. It has the
// server for itself: it takes from the roles what the other tests' migrations give them.
func TestRolesOfOneServer(t *testing.T) {
	db, _ := newDatabase(t)
	text, err := migrations.Files.ReadFile("20261101000000_install_roles.tx.up.sql")
	if err != nil {
		t.Fatal(err)
	}
	install, _, _ := strings.Cut(string(text), "--bun:split")
	for range 20 {
		if _, err := db.ExecContext(t.Context(), "ALTER ROLE countersign_app INHERIT; REVOKE countersign_observer FROM countersign_app"); err != nil {
			t.Fatal(err)
		}
		var all errgroup.Group
		for range 6 {
			all.Go(func() error {
				_, err := db.ExecContext(t.Context(), install)
				return err
			})
		}
		if err := all.Wait(); err != nil {
			t.Fatal(err)
		}
		var sees, mayBecome bool
		err := db.NewRaw(`SELECT pg_has_role('countersign_app', 'countersign_observer', 'USAGE'), pg_has_role('countersign_app', 'countersign_observer', 'MEMBER')`).Scan(t.Context(), &sees, &mayBecome)
		if err != nil {
			t.Fatal(err)
		}
		if sees || !mayBecome {
			t.Fatalf("the program sees what the observer sees: %v, may become the observer: %v", sees, mayBecome)
		}
	}
}

// TestWallsAreReadOnce changes the walls back and forth, as an operator may who goes back to the version before.
func TestWallsAreReadOnce(t *testing.T) {
	t.Parallel()
	db, m := newDatabase(t)
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	run := func(file string) {
		text, err := migrations.Files.ReadFile(file + ".sql")
		if err != nil {
			t.Fatal(err)
		}
		for statement := range strings.SplitSeq(string(text), "--bun:split") {
			if _, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
	}
	walls := func() (list []string) {
		err := db.NewRaw(`SELECT concat_ws(' ', polrelid::regclass, polname, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy ORDER BY 1`).Scan(t.Context(), &list)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	const writers, readers = "20261122009910_internal_read_walls_once.", "20261122009970_internal_ask_readers_once."
	everywhere := walls()
	run(readers + "down")
	once := walls()
	if n := strings.Count(strings.Join(everywhere, ""), "SELECT NULLIF") - strings.Count(strings.Join(once, ""), "SELECT NULLIF"); n != 2 {
		t.Errorf("%d walls ask their readers once, want those of payments and invoices", n)
	}
	run(writers + "up")
	if diff := cmp.Diff(once, walls()); diff != "" {
		t.Errorf("repeated, it changes walls: %s", diff)
	}
	if n := strings.Count(strings.Join(once, ""), "SELECT NULLIF") + strings.Count(strings.Join(once, ""), "SELECT (NULLIF"); n != 6+5 {
		t.Errorf("%d walls ask once, want those of six tables, of which five have one between customers", n)
	}
	run(writers + "down")
	for _, wall := range walls() {
		if strings.Contains(wall, "SELECT NULLIF") || strings.Contains(wall, "SELECT (NULLIF") {
			t.Errorf("the way back leaves %s", wall)
		}
	}
	run(writers + "up")
	run(readers + "up")
	if diff := cmp.Diff(everywhere, walls()); diff != "" {
		t.Errorf("there and back is not the same: %s", diff)
	}
}
