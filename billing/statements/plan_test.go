package statements_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/billingtest"
	"countersign/billing/statements"
	"countersign/internal/database"
)

func accountInput() accounts.CreateAccountInput {
	return accounts.CreateAccountInput{Holder: "Somebody"}
}

var scans = regexp.MustCompile(`Seq Scan on \w+`)

// assertNoScan explains the very statement that Read sends, as it is planned for any parameters.
func assertNoScan(t *testing.T, w *billingtest.World, customer uuid.UUID) {
	t.Helper()
	var plan []string
	w.Read(func(ctx context.Context, tx bun.Tx) error {
		hot := database.Hot(tx)
		for _, query := range []string{"SET LOCAL plan_cache_mode = force_generic_plan",
			"PREPARE statement_plan (uuid, uuid, text, timestamptz, timestamptz, uuid, smallint, bigint, uuid) AS " + statements.Query} {
			if _, err := hot.ExecContext(ctx, query); err != nil {
				return err
			}
		}
		defer tx.ExecContext(ctx, "DEALLOCATE statement_plan")
		return tx.NewRaw("EXPLAIN EXECUTE statement_plan (?, ?, '', ?, NULL, ?, 0, 26, NULL)", w.Tenant.ID, customer, time.Now().AddDate(0, -1, 0), uuid.Nil).Scan(ctx, &plan)
	})
	text := strings.Join(plan, "\n")
	if found := scans.FindString(text); found != "" || !strings.Contains(text, "ledger_entries_account_idx") {
		t.Errorf("%s\n%s", found, text)
	}
}
