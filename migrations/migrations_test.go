package migrations_test

import (
	"os"
	"testing"

	"countersign/internal/database"
	"countersign/internal/testkit"
	"countersign/migrations"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

func TestMigrations(t *testing.T) {
	t.Parallel()
	t.Run("go up, all the way down and up again", func(t *testing.T) {
		t.Parallel()
		db, err := database.Open(database.Config{URL: testkit.NewDatabase(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		m, err := database.NewMigrator(db, migrations.Files)
		if err != nil {
			t.Fatal(err)
		}
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
