package idempotency_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/idempotency"
	"countersign/internal/testkit"
)

// shared is the wish of a call that moves money.
func shared(t *testing.T, key, scope, body string) *idempotency.Once {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("Idempotency-Key", key)
	o, err := idempotency.Shared(r, scope, uuid.Nil, body)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestShared: the key of a call that moves money is the tenant's and the operation's, whoever sends it (S1-47).
func TestShared(t *testing.T) {
	t.Parallel()
	first := someone(t, uuid.Nil)
	p, _ := auth.From(first)
	account := uuid.New()
	as := func(account uuid.UUID) context.Context {
		by := p
		by.UserID, by.AccountID = uuid.New(), account
		return database.WithScope(auth.With(t.Context(), by), database.Scope{TenantID: p.TenantID, AccountID: account})
	}
	colleague, member, family, stranger := as(uuid.Nil), as(account), as(account), as(uuid.New())

	// at runs a request in one commit, in two, or in a set of one.
	runs := map[string]func(ctx context.Context, o *idempotency.Once) (answer, error){
		"at once": func(ctx context.Context, o *idempotency.Once) (answer, error) { return do(ctx, t, o, nil) },
		"later": func(ctx context.Context, o *idempotency.Once) (answer, error) {
			db, id, got := testkit.DB(t), uuid.New(), answer{}
			begun, err := idempotency.Look[answer](ctx, db, o)
			if err != nil || begun.Answered {
				return begun.Answer, err
			}
			err = database.InTx(ctx, db, func(ctx context.Context, tx bun.Tx) error {
				if err := idempotency.Begin(ctx, tx, o, id); err != nil {
					return err
				}
				got = answer{effects.Add(1)}
				return idempotency.Finish(ctx, id, got)
			})
			return got, err
		},
		"in a set": func(ctx context.Context, o *idempotency.Once) (answer, error) {
			results, err := many(ctx, t, nil, asked{ctx, o})
			if err != nil {
				return answer{}, idempotency.InProgress(err, o)
			}
			return results[0].Answer, results[0].Err
		},
	}
	for name, run := range runs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made, err := run(first, shared(t, "k", name, "body"))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := run(colleague, shared(t, "k", name, "body")); err != nil || got != made {
				t.Errorf("a colleague gets %v, %v; want %v", got, err, made)
			}
			if _, err := run(colleague, shared(t, "k", name, "other")); !errors.Is(err, idempotency.ErrReused) {
				t.Errorf("another body: %v", err)
			}
			if got, err := run(colleague, shared(t, "k", name+" 2", "body")); err != nil || got == made {
				t.Errorf("another operation: %v, %v", got, err)
			}
			if name == "in a set" { // which is asked for nobody in particular
				return
			}
			if _, err := run(stranger, shared(t, "k", name, "body")); !errors.Is(err, idempotency.ErrReused) {
				t.Errorf("a member, of what staff did: %v", err)
			}
			made, err = run(member, shared(t, "m", name, "body"))
			if err != nil {
				t.Fatal(err)
			}
			for who, ctx := range map[string]context.Context{"somebody of the same account": family, "staff": first} {
				if got, err := run(ctx, shared(t, "m", name, "body")); err != nil || got != made {
					t.Errorf("%s: %v, %v; want %v", who, got, err, made)
				}
			}
			if _, err := run(stranger, shared(t, "m", name, "body")); !errors.Is(err, idempotency.ErrReused) {
				t.Errorf("somebody of another account: %v", err)
			}
		})
	}
}
