package database

import (
	"context"
	"log/slog"
	"regexp"
	"time"
)

// SlowLog logs round trips that take longer than Limit, waiting for locks included, with their statements. The texts
// that bun writes into statements are left out, since they may be references, names or hashes.
type SlowLog struct {
	Logger *slog.Logger
	Limit  time.Duration // zero: nothing is logged
}

var writtenText = regexp.MustCompile(`'(?:[^']|'')*'`)

// since logs a round trip that began at a time, if it was slow.
func (l SlowLog) since(ctx context.Context, began time.Time, statements []string) {
	took := time.Since(began)
	if l.Limit == 0 || took < l.Limit {
		return
	}
	templates := make([]string, len(statements))
	for i, s := range statements {
		templates[i] = writtenText.ReplaceAllString(s, "?")
	}
	l.Logger.WarnContext(ctx, "slow query", "took", took, "statements", templates)
}
