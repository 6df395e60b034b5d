package database

import (
	"context"
	"log/slog"
	"time"

	"github.com/uptrace/bun"
)

// SlowQueryLog logs statements that take longer than Limit. It logs bun's template and never the values, which may be
// references, names or hashes.
type SlowQueryLog struct {
	Logger *slog.Logger
	Limit  time.Duration
}

// BeforeQuery is part of bun's hook interface.
func (SlowQueryLog) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

// AfterQuery is part of bun's hook interface.
func (h SlowQueryLog) AfterQuery(ctx context.Context, event *bun.QueryEvent) {
	if took := time.Since(event.StartTime); took > h.Limit {
		h.Logger.WarnContext(ctx, "slow query", "took", took, "operation", event.Operation(), "template", event.QueryTemplate)
	}
}
