package workers_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/outbox"
	"countersign/internal/testkit"
	"countersign/tenancy"
	"countersign/workers"
)

// pile is what waits behind a doorbell, as a table would keep it.
type pile struct {
	mu      sync.Mutex
	waiting map[uuid.UUID]int
	taken   int
}

func (p *pile) add(tenant uuid.UUID, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting == nil {
		p.waiting = map[uuid.UUID]int{}
	}
	p.waiting[tenant] += n
}

// take empties the tenant's pile and says how much was there.
func (p *pile) take(tenant uuid.UUID) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.waiting[tenant]
	delete(p.waiting, tenant)
	p.taken += n
	return n
}

func (p *pile) total() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

func (p *pile) who(context.Context, bun.Tx) ([]uuid.UUID, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var tenants []uuid.UUID
	for id := range p.waiting {
		tenants = append(tenants, id)
	}
	return tenants, nil
}

func (s *site) bell() string { return "bell" + s.suffix }

// mine leaves out the tenants of other tests, whose announcements are heard everywhere.
func (s *site) mine(run func(ctx context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if tenancy.ID(ctx) != s.tenant {
			return nil
		}
		return run(ctx)
	}
}

func TestDoorbell(t *testing.T) {
	t.Parallel()

	t.Run("is rung by its own events and by no others", func(t *testing.T) {
		var rung, other atomic.Int32
		count := func(n *atomic.Int32) func(context.Context) error {
			return func(context.Context) error { n.Add(1); return nil }
		}
		s := newSite(t, func(s *site) apps.App {
			return apps.App{Doorbells: []apps.Doorbell{{Name: s.bell(), On: []string{s.event()}, Waiting: nobody, Run: s.mine(count(&rung))},
				{Name: s.bell() + ".other", On: []string{s.event() + ".other"}, Waiting: nobody, Run: s.mine(count(&other))}}}
		})
		s.start()
		testkit.Eventually(t, "the event rings", func() bool {
			s.tell(s.event(), 1)   // the worker may not be listening yet
			return rung.Load() > 2 // rings of one moment are one, so some have been answered before
		})
		if other.Load() > 0 {
			t.Error("an event rang a doorbell that does not listen to it")
		}
		testkit.Eventually(t, "the other event rings", func() bool {
			s.tell(s.event()+".other", 1)
			return other.Load() > 0
		})
	})

	t.Run("is rung by the sweep for every tenant that waits", func(t *testing.T) {
		var p pile
		s := newSite(t, func(s *site) apps.App {
			return apps.App{Doorbells: []apps.Doorbell{{Name: s.bell(), Waiting: p.who,
				Run: func(ctx context.Context) error { p.take(tenancy.ID(ctx)); return nil }}}}
		})
		p.add(s.tenant, 3)
		p.add(s.newTenant(), 4)
		s.start()
		testkit.Eventually(t, "everything was taken", func() bool { return p.total() == 7 })
	})

	t.Run("what comes while the work is finishing is not lost", func(t *testing.T) {
		var p pile
		var looks atomic.Int32
		s := newSite(t, func(s *site) apps.App {
			return apps.App{Doorbells: []apps.Doorbell{{Name: s.bell(), On: []string{s.event()}, Waiting: nobody, Run: s.mine(func(context.Context) error {
				p.take(s.tenant)
				if looks.Add(1) == 1 { // it has looked, and has not returned yet
					p.add(s.tenant, 1)
				}
				return nil
			})}}}
		})
		s.start()
		testkit.Eventually(t, "the first look", func() bool {
			if looks.Load() == 0 {
				s.tell(s.event(), 1)
			}
			return looks.Load() > 0
		})
		testkit.Eventually(t, "what came later was taken without another ring", func() bool { return p.total() == 1 })
	})

	t.Run("one handler at a time works for a tenant", func(t *testing.T) {
		var p pile
		var inside, most, runs atomic.Int32
		s := newSite(t, func(s *site) apps.App {
			return apps.App{Doorbells: []apps.Doorbell{{Name: s.bell(), On: []string{s.event()}, Waiting: p.who, Run: s.mine(func(context.Context) error {
				most.Store(max(most.Load(), inside.Add(1)))
				defer inside.Add(-1)
				bell := tenancy.AsSystem(context.Background(), s.tenant, "test")
				err := tenancy.InTx(bell, s.db, func(ctx context.Context, _ bun.Tx) error { // rings while it works
					return s.box.Emit(ctx, outbox.Event{Type: s.event(), ObjectType: "test", ObjectID: uuid.New()})
				})
				if err != nil {
					return err
				}
				if runs.Add(1) == 1 {
					<-time.After(2 * time.Second) // rings of later seconds are new tasks to asynq
				} else {
					p.take(s.tenant)
				}
				return nil
			})}}}
		})
		p.add(s.tenant, 1)
		slow := func(cfg *workers.Config) { cfg.BellLock = 5 * time.Second } // a busy machine may hold up renewing for a while
		s.start(slow)
		s.start(slow)
		testkit.Eventually(t, "the pile was taken", func() bool { return p.total() == 1 })
		if most.Load() != 1 {
			t.Errorf("%d handlers worked side by side", most.Load())
		}
	})

	t.Run("a failing one is rung again after a pause", func(t *testing.T) {
		var p pile
		var runs atomic.Int32
		s := newSite(t, func(s *site) apps.App {
			return apps.App{Doorbells: []apps.Doorbell{{Name: s.bell(), Waiting: p.who, Run: func(ctx context.Context) error {
				switch runs.Add(1) {
				case 1:
					return errors.New("not now")
				case 2:
					panic("nor now")
				}
				p.take(tenancy.ID(ctx))
				return nil
			}}}}
		})
		p.add(s.tenant, 1)
		s.start()
		testkit.Eventually(t, "the pile was taken", func() bool { return p.total() == 1 })
	})

	t.Run("one that cannot say who waits does not silence the others", func(t *testing.T) {
		var p pile
		s := newSite(t, func(s *site) apps.App {
			return apps.App{Doorbells: []apps.Doorbell{
				{Name: "broken" + s.suffix, Run: func(context.Context) error { return nil },
					Waiting: func(ctx context.Context, tx bun.Tx) ([]uuid.UUID, error) {
						_, err := tx.ExecContext(ctx, "SELECT 1/0")
						return nil, err
					}},
				{Name: s.bell(), Waiting: p.who, Run: func(ctx context.Context) error { p.take(tenancy.ID(ctx)); return nil }},
			}}
		})
		p.add(s.tenant, 1)
		s.start()
		testkit.Eventually(t, "the pile was taken", func() bool { return p.total() == 1 })
	})

	t.Run("work whose worker was killed is taken over at once", func(t *testing.T) {
		var p pile
		s := newSite(t, func(s *site) apps.App {
			return apps.App{Doorbells: []apps.Doorbell{{Name: s.bell(), On: []string{s.event()}, Waiting: p.who,
				Run: func(ctx context.Context) error { p.take(tenancy.ID(ctx)); return nil }}}}
		})
		s.kill9(s.bell(), func() { s.ringUntilHeard() })
		p.add(s.tenant, 1)
		s.start()
		testkit.Eventually(t, "the pile was taken", func() bool { return p.total() == 1 })
	})
}
