package evidence

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// PlanOfTwins is how PostgreSQL would look for twins.
func PlanOfTwins(ctx context.Context, db bun.IDB, ids []uuid.UUID) (string, error) {
	var lines []string
	err := db.NewRaw("EXPLAIN "+selectTwins, newTwinArgs(ctx, ids)).Scan(ctx, &lines)
	return strings.Join(lines, "\n"), err
}
