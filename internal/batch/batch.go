// Package batch lets callers that come at the same time share one run, as a database's group commit does: whoever comes
// while a run is under way waits for the next one. There is no timer. Who comes alone runs at once and alone; the more
// come, the more share a run, and the less each costs. When many wait, a second run goes beside the first, so that neither
// the database nor the program is idle while the other works.
package batch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Group runs callers together that have the same key, in at most two runs at a time.
type Group[K comparable, In, Out any] struct {
	run    func(ctx context.Context, key K, in []In) ([]Out, error)
	limit  int
	enough int

	mu     sync.Mutex
	queues map[K]*queue[In, Out] // of keys that are busy
}

// queue holds who waits while others run.
type queue[In, Out any] struct {
	running int // runs
	within  int // callers in them
	waiting []*call[In, Out]
}

// call is one caller.
type call[In, Out any] struct {
	in   In
	out  Out
	err  error
	turn chan []*call[In, Out] // those whom he is to run, himself the first; none: he has been run
}

// NewGroup gives a group whose runs take at most limit callers, and of which a second one goes beside the first when enough
// wait: so many that what each run costs by itself is little among them. When more are in the first, as many must wait, up to
// twice enough: two runs of a size cost less than a large one and a small one. run gives an answer for each of in, in their order, or
// an error that all of them get. Its context is the first caller's, and does not end when that caller goes away.
func NewGroup[K comparable, In, Out any](limit, enough int, run func(ctx context.Context, key K, in []In) ([]Out, error)) *Group[K, In, Out] {
	return &Group[K, In, Out]{run: run, limit: limit, enough: enough, queues: map[K]*queue[In, Out]{}}
}

// Do gives the answer for in, from a run that began after Do was called. It returns early when ctx ends; the run that in
// belongs to by then goes on.
func (g *Group[K, In, Out]) Do(ctx context.Context, key K, in In) (Out, error) {
	c := &call[In, Out]{in: in, turn: make(chan []*call[In, Out], 1)}
	g.mu.Lock()
	q := g.queues[key]
	if q == nil {
		q = &queue[In, Out]{}
		g.queues[key] = q
	}
	q.waiting = append(q.waiting, c)
	if q.running == 0 || q.running == 1 && g.enoughWait(q) {
		q.running++
		g.next(q)
	}
	g.mu.Unlock()
	select {
	case calls := <-c.turn:
		g.lead(ctx, key, q, calls)
	case <-ctx.Done():
		if calls := g.leave(q, c); calls != nil {
			g.lead(ctx, key, q, calls)
			break
		}
		var none Out
		return none, ctx.Err()
	}
	return c.out, c.err
}

// enoughWait says whether a second run is worth it beside the first.
func (g *Group[K, In, Out]) enoughWait(q *queue[In, Out]) bool {
	return len(q.waiting) >= min(max(g.enough, q.within), 2*g.enough)
}

// leave takes a caller out whose context has ended, unless his turn has come: then others rely on him.
func (g *Group[K, In, Out]) leave(q *queue[In, Out], c *call[In, Out]) []*call[In, Out] {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case calls := <-c.turn:
		return calls
	default:
	}
	q.waiting = slices.DeleteFunc(q.waiting, func(other *call[In, Out]) bool { return other == c })
	return nil
}

// ErrPanic is what the others get when a run ends in a panic, which its leader goes on with.
var ErrPanic = errors.New("the run that this call shared has panicked")

// longest is how long a run of several may take.
const longest = 30 * time.Second

// lead runs calls, of which the caller is the first, and hands the turn to those who have come meanwhile. Without calls
// there is nothing left to do.
func (g *Group[K, In, Out]) lead(ctx context.Context, key K, q *queue[In, Out], calls []*call[In, Out]) {
	if len(calls) == 0 {
		return
	}
	in := make([]In, len(calls))
	for i, c := range calls {
		in[i], c.err = c.in, ErrPanic
	}
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, c := range calls[1:] {
			c.turn <- nil
		}
		q.within -= len(calls)
		if len(q.waiting) > 0 && q.running == 1 || g.enoughWait(q) {
			g.next(q)
		} else if q.running--; q.running == 0 {
			delete(g.queues, key)
		}
	}()
	if len(calls) > 1 { // the others must not lose their answer because the first has gone
		shared, cancel := context.WithTimeout(context.WithoutCancel(ctx), longest)
		defer cancel()
		ctx = shared
	}
	out, err := g.run(ctx, key, in)
	for i, c := range calls {
		if c.err = err; err == nil {
			c.out = out[i]
		}
	}
}

// next hands the turn to those who wait, up to the limit.
func (g *Group[K, In, Out]) next(q *queue[In, Out]) {
	n := min(len(q.waiting), g.limit)
	calls := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	q.within += n
	calls[0].turn <- calls
}
