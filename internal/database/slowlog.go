package database

import (
	"context"
	"log/slog"
	"regexp"
	"time"
)

// SlowLog logs round trips that take longer than Limit, waiting for locks and reading the answer included, with their
// statements. The texts and numbers that bun writes into statements are left out, since they may be references, names,
// hashes or amounts.
type SlowLog struct {
	Logger *slog.Logger
	Limit  time.Duration // zero: nothing is logged
}

// a text, a name or a parameter, a number
var words = regexp.MustCompile(`'(?:[^']|'')*'|[$\pL_][$\pL\d_]*|\d+`)

func withoutValues(statement string) string {
	return words.ReplaceAllStringFunc(statement, func(word string) string {
		if word[0] == '\'' || '0' <= word[0] && word[0] <= '9' {
			return "?"
		}
		return word
	})
}

// since logs a round trip that began at a time, if it was slow.
func (l SlowLog) since(ctx context.Context, began time.Time, statements []string) {
	took := time.Since(began)
	if l.Limit == 0 || took < l.Limit {
		return
	}
	templates := make([]string, len(statements))
	for i, s := range statements {
		templates[i] = withoutValues(s)
	}
	l.Logger.WarnContext(ctx, "slow query", "took", took, "statements", templates)
}
