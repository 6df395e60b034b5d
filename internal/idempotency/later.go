package idempotency

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/auth"
	"countersign/internal/database"
)

// An operation that asks somebody outside has two commits (C-20). The first holds the key, without an answer, and what is
// intended, under an id that is called the subject: from then on everybody can see it, and whoever repeats the request
// finds the subject instead of beginning again. Then somebody outside is asked, in no transaction. The second commit
// holds the outcome and the answer. Who may go on after a crash is decided by a lease, which the intention has.

// ErrTaken means that the key stands for a request that has begun before, perhaps a moment ago: Look at it.
var ErrTaken = errors.New("the idempotency key is taken")

const claimFor = `INSERT INTO idempotency_keys (tenant_id, owner_id, scope, key, body_hash, subject_id, shared) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING TRUE`

// Begin claims the key for subject in the transaction of what is intended, before anything else of it. It fails with
// ErrTaken, or with ErrReused when the caller may not see what has begun, and waits for another transaction that has claimed
// the key and is not committed yet.
func Begin(ctx context.Context, _ bun.Tx, once *Once, subject uuid.UUID) error {
	if once.IsEmpty() {
		return nil
	}
	p, ok := auth.From(ctx)
	if !ok {
		return auth.ErrRequired
	}
	claimed := false
	err := database.Send(ctx, database.Select("claim idempotency key", claimFor, func(row database.Row) error { return row.Scan(&claimed) },
		p.TenantID, owner(p), once.scope, once.key, once.bodyHash[:], subject, once.shared))
	if err != nil || claimed {
		return err
	}
	k := kept{once: once}
	if err := database.Send(ctx, selectKept(p, once, &k)); err != nil {
		return err
	}
	if k.bodyHash == nil {
		return ErrReused
	}
	return ErrTaken
}

const finishFor = `UPDATE idempotency_keys SET answer = $3 WHERE tenant_id = $1 AND subject_id = $2 AND answer IS NULL`

// Finish stores the answer to whatever request has begun subject, whoever has brought it to its end. It travels with the
// COMMIT of the outcome. Without such a key, or when there is an answer already, nothing happens.
func Finish(ctx context.Context, subject uuid.UUID, answer any) error {
	raw, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("store the answer: %w", err)
	}
	database.SendWithCommit(ctx, database.Change("store the answer", finishFor, database.ScopeFrom(ctx).TenantID, subject, string(raw)))
	return nil
}

// Begun is what stands under the key of a request.
type Begun[T any] struct {
	Subject  uuid.UUID // zero: the key was never used
	Answered bool
	Answer   T // when it is answered
}

// Look reads, outside a transaction, what was begun under the key. It fails with ErrReused when that was another request.
func Look[T any](ctx context.Context, db *bun.DB, once *Once) (b Begun[T], err error) {
	if once.IsEmpty() {
		return b, nil
	}
	p, ok := auth.From(ctx)
	if !ok {
		return b, auth.ErrRequired
	}
	once.replayed = false
	k := kept{once: once}
	if err = database.Fetch(ctx, db, selectKept(p, once, &k)); err != nil || k.bodyHash == nil {
		return b, err
	}
	b.Subject = k.subject
	if [32]byte(k.bodyHash) != once.bodyHash {
		return b, ErrReused
	}
	if b.Answered = k.answer.Valid; b.Answered {
		b.Answer, err = read[T](k)
	}
	return b, err
}
