package outbox

import (
	"context"
	"log/slog"
	"sync"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// Bell announces commits with new work on Channel, from a goroutine of its own: NOTIFY inside the committing
// transaction would make all commits of the server wait for each other. Rings of one tenant that come while an
// announcement is under way become one.
type Bell struct {
	db      *bun.DB
	mu      sync.Mutex
	waiting map[uuid.UUID]bool
	wake    chan struct{}
}

// NewBell gives a bell that is silent until Run.
func NewBell(db *bun.DB) *Bell {
	return &Bell{db: db, waiting: map[uuid.UUID]bool{}, wake: make(chan struct{}, 1)}
}

// Ring says that tenant has new work. It never blocks.
func (b *Bell) Ring(tenant uuid.UUID) {
	b.mu.Lock()
	b.waiting[tenant] = true
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Run announces rings until ctx ends.
func (b *Bell) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
		}
		b.mu.Lock()
		tenants := b.waiting
		b.waiting = map[uuid.UUID]bool{}
		b.mu.Unlock()
		for tenant := range tenants {
			if _, err := b.db.ExecContext(ctx, "SELECT pg_notify(?, ?)", Channel, tenant.String()); err != nil && ctx.Err() == nil {
				slog.WarnContext(ctx, "work was not announced, the sweep will find it", "tenant", tenant, "error", err)
			}
		}
	}
}
