package outbox

import (
	"context"
	"log/slog"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// Bell announces commits with new work on Channel, from a goroutine of its own: NOTIFY inside the committing
// transaction would make all commits of the server wait for each other. Equal rings that come while an announcement is
// under way become one.
type Bell struct {
	db      *bun.DB
	mu      sync.Mutex
	waiting map[Announcement]bool
	wake    chan struct{}
}

// Announcement says that something waits for a tenant: behind a doorbell, which is named, or as Rows of the outbox.
type Announcement struct {
	Tenant uuid.UUID
	What   string
}

// Rows is what an announcement of new rows in the outbox says.
const Rows = "rows"

// String is how an announcement travels.
func (a Announcement) String() string { return a.Tenant.String() + " " + a.What }

// ParseAnnouncement reads what String has written.
func ParseAnnouncement(text string) (Announcement, error) {
	tenant, what, _ := strings.Cut(text, " ")
	id, err := uuid.Parse(tenant)
	return Announcement{id, what}, err
}

// NewBell gives a bell that is silent until Run.
func NewBell(db *bun.DB) *Bell {
	return &Bell{db: db, waiting: map[Announcement]bool{}, wake: make(chan struct{}, 1)}
}

// Ring says that something new waits. It never blocks.
func (b *Bell) Ring(a Announcement) {
	b.mu.Lock()
	b.waiting[a] = true
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
		waiting := b.waiting
		b.waiting = map[Announcement]bool{}
		b.mu.Unlock()
		for a := range waiting {
			if _, err := b.db.ExecContext(ctx, "SELECT pg_notify(?, ?)", Channel, a.String()); err != nil && ctx.Err() == nil {
				slog.WarnContext(ctx, "work was not announced, the sweep will find it", "tenant", a.Tenant, "error", err)
			}
		}
	}
}
