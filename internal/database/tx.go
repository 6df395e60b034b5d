package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/uptrace/bun"
)

// attempts is how often a transaction that may run again (IsRetryable) is run before the error is shown.
const attempts = 4

// state is what belongs to the transaction of a context.
type state struct {
	conn        *conn
	tx          *sql.Tx
	afterCommit []func()
}

type stateKey struct{}

// InTransaction says whether ctx belongs to an open transaction. Clients of other systems refuse to call out when it does.
func InTransaction(ctx context.Context) bool {
	_, ok := ctx.Value(stateKey{}).(*state)
	return ok
}

// InTx runs fn in one transaction in the scope of ctx and commits it. It refuses to nest, and runs fn again when
// PostgreSQL reports a deadlock or a serialization failure, and after an error that is marked by Again, so fn changes nothing
// outside the transaction and builds its result from scratch. Domain code calls tenancy.InTx.
func InTx(ctx context.Context, db *bun.DB, fn func(ctx context.Context, tx bun.Tx) error) error {
	return inTx(ctx, db, nil, fn)
}

// Read runs fn in one read-only transaction in the scope of ctx. Domain code calls tenancy.Read.
func Read(ctx context.Context, db *bun.DB, fn func(ctx context.Context, tx bun.Tx) error) error {
	return inTx(ctx, db, &sql.TxOptions{ReadOnly: true}, fn)
}

func inTx(ctx context.Context, db *bun.DB, opts *sql.TxOptions, fn func(ctx context.Context, tx bun.Tx) error) error {
	if InTransaction(ctx) {
		return errNested
	}
	var done *state
	err := retry(ctx, func() (err error) {
		done, err = try(ctx, db, opts, fn)
		return err
	})
	if err != nil {
		return err
	}
	for _, f := range done.afterCommit {
		f()
	}
	return nil
}

var errNested = errors.New("a transaction is already open in this context: pass its tx down instead of opening another")

// retry runs a transaction again that lost a race, or its connection before anything was committed.
func retry(ctx context.Context, run func() error) error {
	for attempt := 1; ; attempt++ {
		err := run()
		if err == nil || attempt == attempts || !IsRetryable(err) && !errors.Is(err, errLost) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(attempt) * time.Duration(2+rand.IntN(8)) * time.Millisecond):
		}
	}
}

func try(ctx context.Context, db *bun.DB, opts *sql.TxOptions, fn func(ctx context.Context, tx bun.Tx) error) (*state, error) {
	bc, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("take a connection: %w", err)
	}
	defer bc.Close()
	st := &state{}
	if err := bc.Raw(func(dc any) error { st.conn = dc.(*conn); return nil }); err != nil {
		return nil, fmt.Errorf("take a connection: %w", err)
	}
	// without the context's end: nothing but this goroutine touches the connection; its statements see the end themselves
	tx, err := bc.BeginTx(context.WithoutCancel(ctx), opts)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() // after a commit this does nothing; after a panic it gives the connection back clean
	st.tx = tx.Tx
	if err := fn(context.WithValue(ctx, stateKey{}, st), tx); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := tx.Commit(); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	return st, nil
}

// AfterCommit runs f once the transaction of ctx has committed. It is for hints that may be lost, such as waking a
// relay; work that must happen goes through the outbox.
func AfterCommit(ctx context.Context, f func()) {
	st := ctx.Value(stateKey{}).(*state)
	st.afterCommit = append(st.afterCommit, f)
}

// Hot gives the plain database handle below tx: statements with $n parameters that are prepared once for each
// connection. It is for the few statements that run on every request; everything else is bun.
func Hot(tx bun.Tx) *sql.Tx { return tx.Tx }
