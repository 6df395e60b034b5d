package database

import (
	"context"
	"sync"

	"github.com/google/uuid"
)

// memoryMost is how many rows a memory holds: some ten megabytes.
const memoryMost = 1 << 18

// Memory is what this process knows of the rows of one database: the ids of rows that it has seen committed and that are never
// taken away. Who needs such a row asks it before he looks. It is no truth: a backup may have been restored meanwhile. So whoever
// goes by it lets the database refuse what is missing, and then forgets everything and marks the error by Again.
type Memory struct {
	mu  sync.RWMutex
	ids map[uuid.UUID]struct{}
}

// MemoryOf gives the memory of the database of the transaction of ctx. Ids must be those of one kind of row, or differ by how
// they are made.
func MemoryOf(ctx context.Context) *Memory { return ctx.Value(stateKey{}).(*state).conn.memory }

// Missing gives the places of those of n ids that are not remembered.
func (m *Memory) Missing(n int, id func(i int) uuid.UUID) (places []int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for i := range n {
		if _, ok := m.ids[id(i)]; !ok {
			places = append(places, i)
		}
	}
	return places
}

// Add remembers ids of committed rows. When there are too many it begins anew with these.
func (m *Memory) Add(ids []uuid.UUID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.ids)+len(ids) > memoryMost {
		clear(m.ids)
	}
	for _, id := range ids {
		m.ids[id] = struct{}{}
	}
}

// Forget forgets everything.
func (m *Memory) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.ids)
}
