package migrations_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/database"
	"countersign/internal/testkit"
)

// One plan serves all tenants. Among thousands that have a row or two, the largest must not have all of his rows read to
// find one by its id. It does not run beside the others of this package, which change roles.
func TestPlansAreMadeForTheLargestTenant(t *testing.T) {
	owner, app := testkit.OwnerDB(t), testkit.DB(t)
	whale := uuid.New()
	for _, statement := range []string{
		"CREATE TABLE things (tenant_id uuid NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(), name text, PRIMARY KEY (tenant_id, id))",
		"CREATE INDEX things_name_idx ON things (tenant_id, name)",
		"SELECT secure_table('things', 'none', 'SELECT')",
		"INSERT INTO things (tenant_id) SELECT gen_random_uuid() FROM generate_series(1, 20000)",
		"ANALYZE things",
	} {
		if _, err := owner.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(statement, err)
		}
	}
	t.Cleanup(func() { owner.ExecContext(context.WithoutCancel(t.Context()), "DROP TABLE things") })
	explain := func() string {
		t.Helper()
		var plan []string
		err := database.InTx(database.WithScope(t.Context(), database.Scope{TenantID: whale}), app, func(ctx context.Context, tx bun.Tx) error {
			if _, err := tx.ExecContext(ctx, "PREPARE one (uuid, uuid[]) AS SELECT name FROM things WHERE tenant_id = $1 AND id = ANY ($2)"); err != nil {
				return err
			}
			defer tx.ExecContext(ctx, "DEALLOCATE one")
			return tx.NewRaw("EXPLAIN EXECUTE one(?, ARRAY[gen_random_uuid()])", whale).Scan(ctx, &plan)
		})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(plan, "\n")
	}
	const found = "Index Cond: ((tenant_id = $1) AND (id = ANY ($2)))"
	if plan := explain(); !strings.Contains(plan, found) {
		t.Errorf("a row is not found by its id:\n%s", plan)
	}
	for _, statement := range []string{"ALTER TABLE things ALTER COLUMN tenant_id RESET (n_distinct)", "ANALYZE things"} {
		if _, err := owner.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(statement, err)
		}
	}
	if plan := explain(); strings.Contains(plan, found) {
		t.Error("this test sees no difference, so it proves nothing")
	}
}
