package database

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"countersign/internal/errs"
)

// Away is the message of the log line, at level error, that says that PostgreSQL does not answer. It never changes, so that
// operators can be alarmed by it (S0D-22).
const Away = "the database is away"

// ErrUnavailable means that PostgreSQL does not answer. It is an outage, never a wrong credential or a missing row.
var ErrUnavailable = errs.Unavailable("storage_unavailable", "The database does not answer at the moment. Nothing was changed; try again.")

// ErrOutcomeUnknown means that the connection to PostgreSQL broke while a transaction was being committed.
var ErrOutcomeUnknown = errs.Unavailable("outcome_unknown", "The database stopped answering while the change was being stored, so it may have been stored or not. Look first; repeating with the same Idempotency-Key is safe.")

// ErrBusy means that a row stayed locked by somebody else for longer than a request waits.
var ErrBusy = errs.Unavailable("storage_busy", "Somebody else is changing the same record. Nothing was changed; try again.")

// IsUnique says whether err is the violation of one of the named unique constraints or indexes.
func IsUnique(err error, constraints ...string) bool {
	return violates(err, "23505", constraints)
}

// IsForeignKey says whether err is the violation of one of the named foreign keys.
func IsForeignKey(err error, constraints ...string) bool {
	return violates(err, "23503", constraints)
}

// IsCheck says whether err is the violation of one of the named check constraints.
func IsCheck(err error, constraints ...string) bool {
	return violates(err, "23514", constraints)
}

func violates(err error, code string, constraints []string) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == code && (len(constraints) == 0 || slices.Contains(constraints, pg.ConstraintName))
}

// errAgain means that a transaction went by what was true no longer.
var errAgain = errors.New("the transaction went by what is true no longer")

// Again marks an error of a transaction that went by something that it did not lock, or that this process remembered, and that
// was found to have changed. InTx runs it again.
func Again(err error) error { return errors.Join(errAgain, err) }

// IsRetryable says whether err is marked by Again, a lost serialization or deadlock race, or a prepared statement that a
// migration has made stale, after which the same transaction may succeed.
func IsRetryable(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return errors.Is(err, errAgain) || ok && (pg.Code == "40001" || pg.Code == "40P01" || isStale(pg))
}

// isStale says that a statement was prepared before the schema changed.
func isStale(pg *pgconn.PgError) bool {
	return pg.Code == "0A000" && strings.Contains(pg.Message, "cached plan")
}

// IsDatabase says whether err is PostgreSQL's, and data whether it complains about the values that were written: a
// constraint or a value out of range. The rest is a fault of the schema, the program or the server.
func IsDatabase(err error) (is, data bool) {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false, false
	}
	return true, pg.Code[:2] == "22" || pg.Code[:2] == "23"
}

// IsLockTimeout says whether err is a row that stayed locked for longer than a request waits.
func IsLockTimeout(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "55P03"
}

// Translate turns outages into errors with a code and leaves everything else as it is. Bad data cannot be told from a
// bug here: constraints that a caller can violate are translated where they are known, by name.
func Translate(err error) error {
	if err == nil || errs.As(err) != nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if IsLockTimeout(err) {
		return ErrBusy.Because(err)
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code[:2] {
		case "08", "53", "57": // connection, resources, shutdown
			return ErrUnavailable.Because(err)
		}
		return err
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok || pgconn.Timeout(err) || errors.Is(err, errBroken) || errors.Is(err, errLost) {
		return ErrUnavailable.Because(err)
	}
	return err
}
