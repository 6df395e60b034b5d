package workers

import (
	"context"
	"sync"

	"github.com/google/uuid"
)

// tray collects tenants that need attention. Putting never blocks, and a tenant that is put twice before it is taken
// is taken once.
type tray struct {
	mu      sync.Mutex
	tenants map[uuid.UUID]bool
	wake    chan struct{}
}

func newTray() *tray { return &tray{tenants: map[uuid.UUID]bool{}, wake: make(chan struct{}, 1)} }

func (t *tray) put(tenants ...uuid.UUID) {
	t.mu.Lock()
	for _, id := range tenants {
		t.tenants[id] = true
	}
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// take waits for tenants and gives all there are; none when ctx has ended.
func (t *tray) take(ctx context.Context) map[uuid.UUID]bool {
	select {
	case <-ctx.Done():
		return nil
	case <-t.wake:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.tenants
	t.tenants = map[uuid.UUID]bool{}
	return taken
}
