package database

import (
	"encoding/binary"
	"testing"

	"github.com/google/uuid"
)

func TestMemoryBeginsAnewWhenItIsFull(t *testing.T) {
	t.Parallel()
	numbered := func(from, n int) []uuid.UUID {
		ids := make([]uuid.UUID, n)
		for i := range ids {
			binary.BigEndian.PutUint64(ids[i][8:], uint64(from+i))
		}
		return ids
	}
	m := &Memory{ids: map[uuid.UUID]struct{}{}}
	missing := func(ids []uuid.UUID) int { return len(m.Missing(len(ids), func(i int) uuid.UUID { return ids[i] })) }
	full, more := numbered(0, memoryMost), numbered(memoryMost, 2)
	m.Add(full)
	if missing(full) != 0 || missing(more) != 2 {
		t.Errorf("%d of a full memory are missing, and %d of the rest", missing(full), missing(more))
	}
	m.Add(more)
	if missing(full) != memoryMost || missing(more) != 0 || len(m.ids) != 2 {
		t.Errorf("a memory that began anew has %d ids, and %d of the new ones are missing", len(m.ids), missing(more))
	}
	m.Forget()
	if missing(more) != 2 {
		t.Error("something is remembered that was to be forgotten")
	}
}
