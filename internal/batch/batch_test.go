package batch_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"countersign/internal/batch"
)

// gate is a run that waits until it is let go, and remembers who was in it.
type gate struct {
	began chan []int
	open  chan error
}

func newGate() (*gate, *batch.Group[string, int, int]) {
	g := &gate{began: make(chan []int), open: make(chan error)}
	return g, batch.NewGroup(3, 16, func(_ context.Context, _ string, in []int) ([]int, error) {
		g.began <- slices.Sorted(slices.Values(in))
		out := make([]int, len(in))
		for i, n := range in {
			out[i] = n * n
		}
		return out, <-g.open
	})
}

// next lets the run that is under way go and gives who was in it.
func (g *gate) next(err error) []int {
	in := <-g.began
	g.open <- err
	return in
}

// waiting gives tests time to see that nothing happens.
const waiting = 20 * time.Millisecond

func TestGroup(t *testing.T) {
	t.Parallel()

	t.Run("who comes while others run shares the next run, up to the limit, and gets his own answer", func(t *testing.T) {
		t.Parallel()
		g, group := newGate()
		var wg sync.WaitGroup
		call := func(n int) {
			wg.Go(func() {
				if got, err := group.Do(t.Context(), "key", n); err != nil || got != n*n {
					t.Errorf("%d gave %d, %v", n, got, err)
				}
			})
		}
		call(1)
		if first := <-g.began; !slices.Equal(first, []int{1}) {
			t.Errorf("the first run had %v", first)
		}
		for n := 2; n <= 6; n++ {
			call(n)
		}
		time.Sleep(waiting)
		g.open <- nil
		second, third := g.next(nil), g.next(nil)
		if len(second) != 3 || len(third) != 2 {
			t.Errorf("then came %v and %v", second, third)
		}
		wg.Wait()
	})
	t.Run("who has another key waits for nobody", func(t *testing.T) {
		t.Parallel()
		g, group := newGate()
		var wg sync.WaitGroup
		wg.Go(func() { group.Do(t.Context(), "one", 1) })
		<-g.began
		wg.Go(func() { group.Do(t.Context(), "other", 2) })
		<-g.began
		g.open <- nil
		g.open <- nil
		wg.Wait()
	})
	t.Run("an error is everybody's who was in the run, and nobody else's", func(t *testing.T) {
		t.Parallel()
		g, group := newGate()
		wanted := errors.New("wanted")
		var wg sync.WaitGroup
		var failed atomic.Int32
		call := func() {
			wg.Go(func() {
				if _, err := group.Do(t.Context(), "key", 1); errors.Is(err, wanted) {
					failed.Add(1)
				}
			})
		}
		call()
		<-g.began
		call()
		call()
		time.Sleep(waiting)
		g.open <- nil
		g.next(wanted)
		wg.Wait()
		if failed.Load() != 2 {
			t.Errorf("%d got the error, want 2", failed.Load())
		}
	})
	t.Run("who goes away holds nobody up, whether he waits, runs or leads", func(t *testing.T) {
		t.Parallel()
		g, group := newGate()
		var wg sync.WaitGroup
		wg.Go(func() { group.Do(t.Context(), "key", 1) })
		<-g.began
		gone, leave := context.WithCancel(t.Context())
		left := make(chan error)
		go func() { _, err := group.Do(gone, "key", 2); left <- err }()
		time.Sleep(waiting)
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("who waited got %v", err)
		}
		wg.Go(func() { group.Do(t.Context(), "key", 3) })
		time.Sleep(waiting)
		gone, leave = context.WithCancel(t.Context())
		go func() { _, err := group.Do(gone, "key", 4); left <- err }()
		time.Sleep(waiting)
		g.open <- nil
		if in := <-g.began; !slices.Equal(in, []int{3, 4}) {
			t.Errorf("the second run had %v", in)
		}
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("who was run got %v", err)
		}
		g.open <- nil
		wg.Wait()
	})
	t.Run("the answers of a run do not depend on whether its first caller stays", func(t *testing.T) {
		t.Parallel()
		began, open := make(chan int), make(chan bool)
		group := batch.NewGroup(3, 16, func(ctx context.Context, _ string, in []int) ([]int, error) {
			began <- len(in)
			<-open
			return in, ctx.Err()
		})
		var wg sync.WaitGroup
		wg.Go(func() { group.Do(t.Context(), "key", 1) })
		<-began
		first, leave := context.WithCancel(t.Context())
		wg.Go(func() { group.Do(first, "key", 2) })
		time.Sleep(waiting)
		wg.Go(func() {
			if got, err := group.Do(t.Context(), "key", 3); err != nil || got != 3 {
				t.Errorf("got %d, %v", got, err)
			}
		})
		time.Sleep(waiting)
		open <- true
		<-began
		leave()
		open <- true
		wg.Wait()
	})
	t.Run("a panic is its leader's, an error for the others, and the next run goes on", func(t *testing.T) {
		t.Parallel()
		began, open := make(chan int), make(chan bool)
		group := batch.NewGroup(3, 16, func(_ context.Context, _ string, in []int) ([]int, error) {
			began <- len(in)
			if <-open {
				panic("boom")
			}
			return in, nil
		})
		var wg sync.WaitGroup
		var panics, errs atomic.Int32
		call := func() {
			wg.Go(func() {
				defer func() {
					if recover() != nil {
						panics.Add(1)
					}
				}()
				if _, err := group.Do(t.Context(), "key", 1); err != nil {
					errs.Add(1)
				}
			})
		}
		call()
		<-began
		for range 4 {
			call()
		}
		time.Sleep(waiting)
		open <- false
		if n := <-began; n != 3 {
			t.Errorf("%d ran, want 3", n)
		}
		open <- true
		if n := <-began; n != 1 {
			t.Errorf("%d ran after the panic, want 1", n)
		}
		open <- false
		wg.Wait()
		if panics.Load() != 1 || errs.Load() != 2 {
			t.Errorf("%d panics and %d errors, want 1 and 2", panics.Load(), errs.Load())
		}
	})
	t.Run("a second run goes beside the first when enough wait, and as many as run, or twice enough", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			type run struct {
				size int
				end  chan struct{}
			}
			var began []run
			group := batch.NewGroup(10, 2, func(_ context.Context, _ string, in []int) ([]int, error) {
				r := run{len(in), make(chan struct{})}
				began = append(began, r)
				<-r.end
				return in, nil
			})
			come := func(n int) {
				for range n {
					go group.Do(t.Context(), "key", 0)
					synctest.Wait()
				}
			}
			want := func(when string, sizes ...int) {
				t.Helper()
				synctest.Wait()
				var got []int
				for _, r := range began {
					got = append(got, r.size)
				}
				if !slices.Equal(got, sizes) {
					t.Errorf("%s: runs of %v, want %v", when, got, sizes)
				}
			}
			come(2)
			want("who comes second waits", 1)
			come(1)
			want("two are enough beside one", 1, 2)
			come(5)
			want("there is no third run", 1, 2)
			close(began[0].end)
			want("when the first ends, more wait than run", 1, 2, 5)
			close(began[1].end)
			come(3)
			want("beside five three are not enough", 1, 2, 5)
			come(1)
			want("twice enough are, whatever runs", 1, 2, 5, 4)
			come(1)
			close(began[2].end)
			want("one waits for the other run's end", 1, 2, 5, 4)
			close(began[3].end)
			want("and then runs alone", 1, 2, 5, 4, 1)
			close(began[4].end)
		})
	})
	t.Run("under load everybody gets the answer that is his", func(t *testing.T) {
		t.Parallel()
		var runs atomic.Int32
		group := batch.NewGroup(10, 16, func(_ context.Context, key int, in []int) ([]int, error) {
			runs.Add(1)
			out := make([]int, len(in))
			for i, n := range in {
				out[i] = n + key
			}
			return out, nil
		})
		var wg sync.WaitGroup
		for caller := range 50 {
			wg.Go(func() {
				for i := range 200 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%7)*50*time.Microsecond+time.Microsecond)
					got, err := group.Do(ctx, i%3, caller)
					cancel()
					if err == nil && got != caller+i%3 {
						t.Errorf("got %d, want %d", got, caller+i%3)
					}
				}
			})
		}
		wg.Wait()
		if n := runs.Load(); n == 0 {
			t.Error("nothing ran")
		}
	})
}
