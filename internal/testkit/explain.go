package testkit

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/uptrace/bun"
)

// Explain gives the plan of a statement as whoever sent it would get it: one with $n parameters is planned for any values.
func Explain(ctx context.Context, t testing.TB, tx bun.Tx, query string) string {
	t.Helper()
	parameters := 0
	for strings.Contains(query, fmt.Sprintf("$%d", parameters+1)) {
		parameters++
	}
	ask := query
	if parameters > 0 {
		if _, err := tx.ExecContext(ctx, "PREPARE explained AS "+query); err != nil {
			t.Fatal(query, err)
		}
		defer tx.ExecContext(ctx, "DEALLOCATE explained")
		ask = "EXECUTE explained (" + strings.TrimSuffix(strings.Repeat("NULL, ", parameters), ", ") + ")"
	}
	var lines []string
	if err := tx.NewRaw("EXPLAIN "+strings.ReplaceAll(ask, "?", "\\?")).Scan(ctx, &lines); err != nil {
		t.Fatal(query, err)
	}
	return strings.Join(lines, "\n")
}
