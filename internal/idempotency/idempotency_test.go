package idempotency_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/idempotency"
	"countersign/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

type answer struct {
	N int64 `json:"n"`
}

// someone acts in a new tenant; account is zero for staff.
func someone(t *testing.T, account uuid.UUID) context.Context {
	t.Helper()
	tenant := uuid.New()
	_, err := testkit.OwnerDB(t).ExecContext(t.Context(), "INSERT INTO tenants (id, slug, name, country, default_currency) VALUES (?, ?, 'T', 'BD', 'USD')", tenant, "t-"+tenant.String())
	if err != nil {
		t.Fatal(err)
	}
	return within(t.Context(), tenant, account)
}

func within(ctx context.Context, tenant, account uuid.UUID) context.Context {
	ctx = auth.With(ctx, auth.Principal{Kind: auth.KindUser, TenantID: tenant, AccountID: account})
	return database.WithScope(ctx, database.Scope{TenantID: tenant, AccountID: account})
}

func once(t *testing.T, key, scope string, target uuid.UUID, body any) *idempotency.Once {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	o, err := idempotency.FromRequest(r, scope, target, body)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestRequired(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	if _, err := idempotency.Required(r, "s", uuid.Nil, "body"); !errors.Is(err, idempotency.ErrRequired) {
		t.Errorf("without a key: %v", err)
	}
	r.Header.Set("Idempotency-Key", " ")
	if _, err := idempotency.Required(r, "s", uuid.Nil, "body"); !errors.Is(err, idempotency.ErrInvalidKey) {
		t.Errorf("with a key that is none: %v", err)
	}
	r.Header.Set("Idempotency-Key", "k")
	if once, err := idempotency.Required(r, "s", uuid.Nil, "body"); err != nil || once == nil {
		t.Errorf("with a key: %v", err)
	}
}

var effects atomic.Int64

func do(ctx context.Context, t *testing.T, o *idempotency.Once, fail error) (got answer, err error) {
	t.Helper()
	err = database.InTx(ctx, testkit.DB(t), func(ctx context.Context, tx bun.Tx) (err error) {
		got, err = idempotency.Do(ctx, tx, o, func() (answer, error) { return answer{effects.Add(1)}, fail })
		return err
	})
	return got, err
}

func TestDo(t *testing.T) {
	t.Parallel()
	target := uuid.New()
	t.Run("gives a repetition the first answer and has one effect", func(t *testing.T) {
		t.Parallel()
		ctx := someone(t, uuid.Nil)
		first, err := do(ctx, t, once(t, "k", "s", target, "body"), nil)
		if err != nil {
			t.Fatal(err)
		}
		again := once(t, "k", "s", target, "body")
		second, err := do(ctx, t, again, nil)
		if err != nil || second != first || !again.Replayed() {
			t.Errorf("got %v, %v, replayed %v; want %v", second, err, again.Replayed(), first)
		}
	})
	t.Run("refuses another body and another object", func(t *testing.T) {
		t.Parallel()
		ctx := someone(t, uuid.Nil)
		do(ctx, t, once(t, "k", "s", target, "body"), nil)
		for _, o := range []*idempotency.Once{once(t, "k", "s", target, "other"), once(t, "k", "s", uuid.New(), "body")} {
			if _, err := do(ctx, t, o, nil); !errors.Is(err, idempotency.ErrReused) {
				t.Errorf("got %v", err)
			}
		}
	})
	t.Run("keeps tenants, accounts and operations apart (S1-47)", func(t *testing.T) {
		t.Parallel()
		ctx := someone(t, uuid.Nil)
		first, _ := do(ctx, t, once(t, "k", "s", target, "body"), nil)
		p, _ := auth.From(ctx)
		member := within(t.Context(), p.TenantID, uuid.New())
		for name, c := range map[string]struct {
			ctx   context.Context
			scope string
		}{"another tenant": {someone(t, uuid.Nil), "s"}, "an account": {member, "s"}, "another operation": {ctx, "s2"}} {
			if got, err := do(c.ctx, t, once(t, "k", c.scope, target, "body"), nil); err != nil || got == first {
				t.Errorf("%s: got %v, %v", name, got, err)
			}
		}
	})
	t.Run("frees the key when nothing happened", func(t *testing.T) {
		t.Parallel()
		ctx, wanted := someone(t, uuid.Nil), errors.New("wanted")
		if _, err := do(ctx, t, once(t, "k", "s", target, "body"), wanted); !errors.Is(err, wanted) {
			t.Errorf("got %v", err)
		}
		o := once(t, "k", "s", target, "other body")
		if _, err := do(ctx, t, o, nil); err != nil || o.Replayed() {
			t.Errorf("got %v, replayed %v", err, o.Replayed())
		}
	})
	t.Run("does nothing without a key", func(t *testing.T) {
		t.Parallel()
		ctx := someone(t, uuid.Nil)
		first, _ := do(ctx, t, once(t, "", "s", target, "body"), nil)
		if second, err := do(ctx, t, once(t, "", "s", target, "body"), nil); err != nil || second == first {
			t.Errorf("got %v, %v", second, err)
		}
	})
	t.Run("has one effect for twenty at once (S1-34)", func(t *testing.T) {
		t.Parallel()
		ctx := someone(t, uuid.Nil)
		var ran atomic.Int64
		var all sync.WaitGroup
		answers := make([]answer, 20)
		for i := range answers {
			o := once(t, "k", "s", target, "body")
			all.Go(func() {
				err := database.InTx(ctx, testkit.DB(t), func(ctx context.Context, tx bun.Tx) (err error) {
					answers[i], err = idempotency.Do(ctx, tx, o, func() (answer, error) {
						if _, err := tx.ExecContext(ctx, "SELECT 1"); err != nil { // an effect begins with a statement, and the claim with it
							return answer{}, err
						}
						return answer{ran.Add(1)}, nil
					})
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, got := range answers {
			if got.N != 1 || ran.Load() != 1 {
				t.Errorf("got %v after %d effects", got, ran.Load())
			}
		}
	})
}

func TestFromRequest(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", " ", "a b", strings.Repeat("x", 256), "é", "a\tb"} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header["Idempotency-Key"] = []string{key}
		if _, err := idempotency.FromRequest(r, "s", uuid.Nil, nil); !errors.Is(err, idempotency.ErrInvalidKey) {
			t.Errorf("%q gives %v", key, err)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header["Idempotency-Key"] = []string{"a", "b"}
	if _, err := idempotency.FromRequest(r, "s", uuid.Nil, nil); !errors.Is(err, idempotency.ErrInvalidKey) {
		t.Errorf("two keys give %v", err)
	}
}
