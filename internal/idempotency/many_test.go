package idempotency_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/idempotency"
	"countersign/internal/testkit"
)

// asked is one request of a set.
type asked struct {
	by   context.Context
	once *idempotency.Once
}

// result is what a set has for a request.
type result struct {
	Asked, Repeated, Replayed bool
	Answer                    answer
	Err                       error
}

// many runs requests in one transaction of ctx, the way payments do. Who is new gets an answer of his own, or is refused.
func many(ctx context.Context, t *testing.T, refuse func(i int) bool, list ...asked) ([]result, error) {
	t.Helper()
	out := make([]result, len(list))
	var keys idempotency.Many
	for i, r := range list {
		out[i].Asked = keys.Ask(r.by, r.once)
	}
	p, _ := auth.From(ctx)
	err := database.InTx(ctx, testkit.DB(t), func(ctx context.Context, tx bun.Tx) error {
		if err := database.Send(ctx, keys.Statement(p.TenantID)); err != nil {
			return err
		}
		for i, r := range list {
			if !out[i].Asked {
				continue
			}
			acting, _ := auth.From(r.by)
			by := auth.With(ctx, acting)
			out[i].Answer, out[i].Repeated, out[i].Err = idempotency.Stored[answer](by, &keys, r.once)
			if r.once != nil {
				out[i].Replayed = r.once.Replayed()
			}
			if out[i].Repeated || refuse != nil && refuse(i) {
				continue
			}
			out[i].Answer = answer{effects.Add(1)}
			if err := idempotency.Keep(by, r.once, out[i].Answer); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

func TestMany(t *testing.T) {
	t.Parallel()
	target := uuid.New()
	// people gives two of staff, and a member of each of two accounts, of one tenant.
	people := func(t *testing.T) (staff [2]context.Context, members [2]context.Context) {
		p, _ := auth.From(someone(t, uuid.Nil))
		for i := range 2 {
			p.UserID, p.AccountID = uuid.New(), uuid.Nil
			ctx := database.WithScope(t.Context(), database.Scope{TenantID: p.TenantID})
			staff[i] = auth.With(ctx, p)
			p.AccountID = uuid.New()
			members[i] = auth.With(ctx, p)
		}
		return staff, members
	}
	must := func(t *testing.T, ctx context.Context, list ...asked) []result {
		t.Helper()
		out, err := many(ctx, t, nil, list...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	fresh := func(r result) bool { return r.Asked && !r.Repeated && !r.Replayed && r.Err == nil && r.Answer.N > 0 }

	t.Run("gives each repetition its own first answer, and everybody else his first", func(t *testing.T) {
		t.Parallel()
		staff, members := people(t)
		list := func() []asked {
			return []asked{{staff[0], once(t, "k", "s", target, "body")}, {staff[1], once(t, "k", "s", target, "body")}, {members[0], once(t, "k", "s", target, "body")},
				{members[1], once(t, "k", "s", target, "body")}, {staff[0], once(t, "k2", "s", target, "body")}, {staff[0], once(t, "k", "s2", target, "body")}}
		}
		first := must(t, staff[0], list()[:4]...)
		for i, r := range first {
			if !fresh(r) {
				t.Errorf("request %d has %+v at first", i, r)
			}
		}
		for i, r := range must(t, staff[0], list()...) {
			switch {
			case i >= 4 && !fresh(r):
				t.Errorf("request %d has another key or operation, and got %+v", i, r)
			case i < 4 && (!r.Repeated || !r.Replayed || r.Err != nil || r.Answer != first[i].Answer):
				t.Errorf("request %d is repeated and got %+v, want %+v", i, r, first[i].Answer)
			}
		}
	})
	t.Run("shares keys with Do", func(t *testing.T) {
		t.Parallel()
		staff, _ := people(t)
		stored, err := do(staff[0], t, once(t, "k", "s", target, "body"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := must(t, staff[0], asked{staff[0], once(t, "k", "s", target, "body")})[0]; !got.Repeated || got.Answer != stored {
			t.Errorf("got %+v, want %+v", got, stored)
		}
		kept := must(t, staff[0], asked{staff[0], once(t, "k2", "s", target, "body")})[0]
		again := once(t, "k2", "s", target, "body")
		if got, err := do(staff[0], t, again, nil); err != nil || got != kept.Answer || !again.Replayed() {
			t.Errorf("got %v, %v, want %v", got, err, kept.Answer)
		}
	})
	t.Run("refuses another body and another object, and nobody else", func(t *testing.T) {
		t.Parallel()
		staff, members := people(t)
		must(t, staff[0], asked{staff[0], once(t, "k", "s", target, "body")}, asked{members[0], once(t, "k", "s", target, "body")})
		got := must(t, staff[0], asked{staff[0], once(t, "k", "s", target, "other")}, asked{members[0], once(t, "k", "s", uuid.New(), "body")}, asked{staff[1], once(t, "k", "s", target, "other")})
		for i, r := range got[:2] {
			if !r.Repeated || r.Replayed || !errors.Is(r.Err, idempotency.ErrReused) || r.Answer != (answer{}) {
				t.Errorf("request %d got %+v", i, r)
			}
		}
		if !fresh(got[2]) {
			t.Errorf("a colleague's key is refused: %+v", got[2])
		}
	})
	t.Run("takes a key once in a set, whoever of the account has it", func(t *testing.T) {
		t.Parallel()
		staff, members := people(t)
		colleague, _ := auth.From(members[0])
		colleague.UserID = uuid.New()
		got := must(t, staff[0], asked{members[0], once(t, "k", "s", target, "body")}, asked{auth.With(members[0], colleague), once(t, "k", "s", target, "body")},
			asked{members[1], once(t, "k", "s", target, "body")}, asked{members[0], once(t, "k", "s2", target, "body")})
		if !fresh(got[0]) || got[1].Asked || !fresh(got[2]) || !fresh(got[3]) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("asks nothing without a key, however many have none", func(t *testing.T) {
		t.Parallel()
		staff, _ := people(t)
		for range 2 {
			for i, r := range must(t, staff[0], asked{staff[0], nil}, asked{staff[0], &idempotency.Once{}}, asked{staff[0], once(t, "", "s", target, "body")}) {
				if !fresh(r) {
					t.Errorf("request %d got %+v", i, r)
				}
			}
		}
	})
	t.Run("leaves the keys of who is refused free", func(t *testing.T) {
		t.Parallel()
		staff, _ := people(t)
		_, err := many(staff[0], t, func(i int) bool { return i == 0 }, asked{staff[0], once(t, "k", "s", target, "body")}, asked{staff[0], once(t, "k2", "s", target, "body")})
		if err != nil {
			t.Fatal(err)
		}
		got := must(t, staff[0], asked{staff[0], once(t, "k", "s", target, "other")}, asked{staff[0], once(t, "k2", "s", target, "other")})
		if !fresh(got[0]) || !errors.Is(got[1].Err, idempotency.ErrReused) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("is in progress when somebody else uses a key meanwhile", func(t *testing.T) {
		t.Parallel()
		staff, _ := people(t)
		mine := once(t, "k", "s", target, "body")
		_, err := many(staff[0], t, func(i int) bool {
			must(t, staff[0], asked{staff[0], once(t, "k", "s", target, "other")}) // committed between the look and the COMMIT
			return false
		}, asked{staff[0], mine})
		if got := idempotency.InProgress(err, mine); err == nil || !errors.Is(got, idempotency.ErrInProgress) {
			t.Errorf("got %v", got)
		}
		if got := must(t, staff[0], asked{staff[0], once(t, "k", "s", target, "body")})[0]; !errors.Is(got.Err, idempotency.ErrReused) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("is not in progress after any other error", func(t *testing.T) {
		t.Parallel()
		for _, err := range []error{nil, errors.New("some error"), idempotency.ErrReused} {
			if got := idempotency.InProgress(err, once(t, "k", "s", target, "body")); !errors.Is(got, err) || errors.Is(got, idempotency.ErrInProgress) {
				t.Errorf("%v becomes %v", err, got)
			}
		}
	})
	t.Run("forgets a replay that a transaction found in vain", func(t *testing.T) {
		t.Parallel()
		staff, _ := people(t)
		o := once(t, "k", "s", target, "body")
		o.MarkReplayed()
		if got := must(t, staff[0], asked{staff[0], o})[0]; !fresh(got) {
			t.Errorf("got %+v", got)
		}
	})
}
