package payments

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"countersign/internal/auth"
	"countersign/internal/batch"
	"countersign/internal/database"
)

// Requests that come at the same time share a transaction where they can: the commit, and most of the work before it, is
// the same for one and for many. Whoever is refused holds back no other.

// maxTogether is how many requests are one transaction. A second transaction goes beside the first when so many wait, or as many as
// are in it: for one that writes two dozen statements it takes more to pay than for one that reads.
const (
	maxTogether  = 100
	enoughReads  = 8
	enoughWrites = 16
)

// outcome is what became of one request of a set.
type outcome[T any] struct {
	answer T
	err    error
}

// errAlone means that a request cannot share a transaction: what it is about is locked by somebody else or by another
// request of the set, its key is in use, or the set has failed and this one may not be why.
var errAlone = errors.New("do this in a transaction of its own")

// alone says whether a request is to be done again by itself. After a panic it is not known whose fault that was, and the
// transaction was rolled back.
func alone(err error) bool { return errors.Is(err, errAlone) || errors.Is(err, batch.ErrPanic) }

// settled gives what becomes of the requests of a set whose transaction ended with err; places are those that were in it.
// When it is not known whether it was committed, none of them may be done again.
func settled[T any](out []outcome[T], places []int, err error) []outcome[T] {
	if err == nil {
		return out
	}
	if !errors.Is(err, database.ErrOutcomeUnknown) {
		err = errors.Join(errAlone, err)
	}
	for _, i := range places {
		out[i] = outcome[T]{err: err}
	}
	return out
}

// signature is who makes a request, and from where.
type signature struct {
	by      auth.Principal
	request auth.Request
}

// sign is the signature of who acts in ctx.
func sign(ctx context.Context) signature {
	p, _ := auth.From(ctx)
	return signature{p, auth.RequestFrom(ctx)}
}

// as gives a context of the same transaction in which whoever signed acts.
func (s signature) as(ctx context.Context) context.Context {
	return auth.WithRequest(auth.With(ctx, s.by), s.request)
}

// crowd are those whose submissions share a transaction: members of any accounts of a tenant, or its staff.
type crowd struct {
	tenant  uuid.UUID
	members bool
}
