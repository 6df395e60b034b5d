package payments_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/billing/billingtest"
	"countersign/internal/database"
	"countersign/internal/testkit"
)

// gate is a door in front of the COMMIT of decisions and claims, or in front of the first statement of their sets. While
// it is shut, whoever comes waits for the next set.
type gate struct {
	mu      sync.Mutex
	early   bool
	way     chan struct{} // closed: open
	arrived chan database.Scope
}

// gated gives a world whose services, and no other, go through a gate. It is open.
func gated(t *testing.T) (*billingtest.World, *gate) {
	t.Helper()
	g := &gate{way: make(chan struct{}), arrived: make(chan database.Scope, 1000)}
	close(g.way)
	db, err := database.Open(database.Config{URL: testkit.OwnerURL(), Role: database.AppRole, MaxConns: 8, Trace: g.pass})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return billingtest.NewOn(t, db), g
}

func (g *gate) pass(ctx context.Context, statements ...string) {
	g.mu.Lock()
	way, early := g.way, g.early
	g.mu.Unlock()
	if !slices.ContainsFunc(statements, func(s string) bool {
		if early {
			return strings.Contains(s, "SKIP LOCKED")
		}
		return strings.Contains(s, "INSERT INTO decisions (") || strings.Contains(s, "INSERT INTO payments (")
	}) {
		return
	}
	select {
	case <-way:
	default:
		g.arrived <- database.ScopeFrom(ctx)
		<-way
	}
}

// shut shuts the gate until the given function is called or the test ends.
func (g *gate) shut(t *testing.T) (open func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.way = make(chan struct{})
	open = sync.OnceFunc(func() { close(g.way) })
	t.Cleanup(open)
	return open
}

// next waits until one more transaction stands before the gate.
func (g *gate) next(t *testing.T) database.Scope {
	t.Helper()
	select {
	case scope := <-g.arrived:
		return scope
	case <-time.After(time.Minute):
		t.Fatal("no transaction has come to the gate")
		return database.Scope{}
	}
}

// behind runs fn n times at once behind a shut gate: the first alone, then all others, of whom 16 are one set. Those may
// do something while their set stands before the gate. Then it opens the gate and gives what each returns.
func behind[T any](t *testing.T, g *gate, n int, fn func(i int) T, meanwhile func()) []T {
	t.Helper()
	answers := make([]T, n)
	open := g.shut(t)
	var all sync.WaitGroup
	all.Go(func() { answers[0] = fn(0) })
	g.next(t)
	for i := 1; i < n; i++ {
		all.Go(func() { answers[i] = fn(i) })
	}
	g.next(t)
	if meanwhile != nil {
		meanwhile()
	}
	open()
	all.Wait()
	return answers
}
