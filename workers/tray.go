package workers

import (
	"context"
	"sync"
)

// tray collects what needs attention. Putting never blocks, and what is put twice before it is taken is taken once.
type tray[T comparable] struct {
	mu   sync.Mutex
	on   map[T]bool
	wake chan struct{}
}

func newTray[T comparable]() *tray[T] {
	return &tray[T]{on: map[T]bool{}, wake: make(chan struct{}, 1)}
}

func (t *tray[T]) put(list ...T) {
	t.mu.Lock()
	for _, item := range list {
		t.on[item] = true
	}
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// take waits for something and gives all there is; nothing when ctx has ended.
func (t *tray[T]) take(ctx context.Context) map[T]bool {
	select {
	case <-ctx.Done():
		return nil
	case <-t.wake:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.on
	t.on = map[T]bool{}
	return taken
}
