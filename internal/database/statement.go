package database

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/uptrace/bun"
)

// Row is one row of an answer.
type Row interface{ Scan(dest ...any) error }

// Statement is SQL with $n parameters, prepared once for each connection, and what becomes of its answer. Selectors of
// hot paths give statements instead of running them, so that their caller sends several in one round trip.
type Statement struct {
	what string
	text string
	args []any
	each func(Row) error
	one  error // when it is not exactly one row; nil: any number is right
}

// Select is a statement whose rows are read by each, one after the other. what names it in errors: "read accounts".
func Select(what, text string, each func(Row) error, args ...any) Statement {
	return Statement{what: what, text: text, each: each, args: args}
}

// SelectOneOr is Select for exactly one row; otherwise is the error for any other number.
func SelectOneOr(otherwise error, what, text string, each func(Row) error, args ...any) Statement {
	return Statement{what: what, text: text, each: each, args: args, one: otherwise}
}

// ChangeOne is a statement that must change exactly one row: any other number is an error, and fails the transaction.
func ChangeOne(what, text string, args ...any) Statement {
	return ChangeOneOr(errNotOne, what, text, args...)
}

// ChangeOneOr is ChangeOne with the error for any other number.
func ChangeOneOr(otherwise error, what, text string, args ...any) Statement {
	return Statement{what: what, text: text, args: args, one: otherwise}
}

var errNotOne = errors.New("not exactly one row was changed")

// Change is a statement that changes any number of rows.
func Change(what, text string, args ...any) Statement {
	return Statement{what: what, text: text, args: args}
}

// Send runs statements in the transaction of ctx, in their order and in one round trip. The first one that fails ends
// it, and with it the transaction.
func Send(ctx context.Context, statements ...Statement) error {
	return ctx.Value(stateKey{}).(*state).conn.send(ctx, statements, false)
}

// SendWithNext queues a statement that travels before the next one of the transaction of ctx, or with COMMIT when there
// is none. Its error is the error of the call that it travels with.
func SendWithNext(ctx context.Context, s Statement) {
	c := ctx.Value(stateKey{}).(*state).conn
	c.next = append(c.next, s)
}

// SendWithCommit queues changes that nobody needs the answer of. They travel with COMMIT, so they cost no round trip of
// their own; when PostgreSQL refuses one, nothing is committed. How many rows they change is known only after COMMIT, so
// whoever queues one has made sure of its row: by a lock, or by a constraint that refuses the wrong one.
func SendWithCommit(ctx context.Context, statements ...Statement) {
	c := ctx.Value(stateKey{}).(*state).conn
	for _, s := range statements {
		if s.one != nil {
			panic("database: " + s.what + " is checked by its answer, which comes after COMMIT: use Send")
		}
	}
	c.deferred = append(c.deferred, statements...)
}

// Forget drops what was queued in the transaction of ctx and not sent, and what was to run after its commit. It is for who
// finds that the transaction has nothing to change.
func Forget(ctx context.Context) {
	st := ctx.Value(stateKey{}).(*state)
	st.conn.next, st.conn.deferred, st.afterCommit = nil, nil, nil
}

// Defer is SendWithCommit for one statement of any number of rows.
func Defer(ctx context.Context, query string, args ...any) {
	SendWithCommit(ctx, Change("", query, args...))
}

// Fetch runs statements in a read-only transaction of their own in the scope of ctx: everything, from BEGIN to COMMIT,
// is one round trip. Domain code calls tenancy.Fetch.
func Fetch(ctx context.Context, db *bun.DB, statements ...Statement) error {
	if InTransaction(ctx) {
		return errNested
	}
	return retry(ctx, func() error {
		bc, err := db.Conn(ctx)
		if err != nil {
			return fmt.Errorf("take a connection: %w", err)
		}
		defer bc.Close()
		var answer error
		err = bc.Raw(func(dc any) error {
			c := dc.(*conn)
			c.open(ctx, true)
			if answer = c.send(ctx, statements, true); answer != nil {
				return (&tx{ctx, c}).Rollback()
			}
			return nil
		})
		if answer != nil {
			return answer
		}
		return err
	})
}

// errLost means that the connection broke before anything was committed.
var errLost = errors.New("the connection to the database broke before anything was committed")

// send runs what waits to be sent, statements, and COMMIT if asked, in one round trip.
func (c *conn) send(ctx context.Context, statements []Statement, commit bool) error {
	native := c.Conn.Conn()
	begin := c.begin
	if len(c.next) > 0 {
		statements = append(c.next, statements...)
	}
	c.begin, c.next = nil, nil
	readOnly := len(begin) > 0 && begin[0] == beginReadOnly
	built, err := c.build(ctx, statements)
	if err != nil {
		return c.lost(err, false)
	}
	c.tell(ctx, begin, statements, commit)
	pipeline := native.PgConn().StartPipeline(ctx)
	for _, text := range begin {
		pipeline.SendQueryParams(text, nil, nil, nil, nil)
	}
	for _, b := range built {
		pipeline.SendQueryStatement(b.prepared, b.ParamValues, b.ParamFormats, b.ResultFormats)
	}
	if commit {
		pipeline.SendQueryParams("COMMIT", nil, nil, nil, nil)
	}
	err = pipeline.Sync()
	begun := len(begin) == 0
	if err == nil && !begun {
		err = c.receiveBegin(pipeline, len(begin))
		begun = err == nil
	}
	if err == nil {
		err = c.receive(pipeline, statements, commit)
	}
	if closed := pipeline.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return c.lost(err, begun && commit && !readOnly)
	}
	c.sent = true
	return nil
}

// lost tells a connection that broke before anything could have been committed from all other errors: then another
// connection may try again. A connection whose plans no longer fit the schema is given up.
func (c *conn) lost(err error, perhapsCommitted bool) error {
	native := c.Conn.Conn()
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "0A000" && strings.Contains(pg.Message, "cached plan") {
		native.Close(context.Background())
		return err
	}
	if !c.sent && (pgconn.SafeToRetry(err) || native.IsClosed() && !perhapsCommitted) {
		return errors.Join(errLost, err)
	}
	return err
}

// ready is a statement with its encoded parameters.
type ready struct {
	prepared *pgconn.StatementDescription
	pgx.ExtendedQueryBuilder
}

// build prepares statements that this connection has not seen and encodes their parameters.
func (c *conn) build(ctx context.Context, statements []Statement) ([]ready, error) {
	native := c.Conn.Conn()
	built := make([]ready, len(statements))
	for i, s := range statements {
		var err error
		if built[i].prepared, err = native.Prepare(ctx, s.text, s.text); err != nil {
			return nil, s.wrap(err)
		}
		if err := built[i].Build(native.TypeMap(), built[i].prepared, s.args); err != nil {
			return nil, s.wrap(err)
		}
	}
	return built, nil
}

func (c *conn) tell(ctx context.Context, begin []string, statements []Statement, commit bool) {
	texts := make([]string, 0, len(begin)+len(statements)+1)
	texts = append(texts, begin...)
	for _, s := range statements {
		texts = append(texts, s.text)
	}
	if commit {
		texts = append(texts, "COMMIT")
	}
	c.trace(ctx, texts...)
}

func (c *conn) receiveBegin(pipeline *pgconn.Pipeline, n int) error {
	for range n {
		if _, err := c.answer(pipeline, nil); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
	}
	return nil
}

// receive reads the answers in the order in which the statements were sent.
func (c *conn) receive(pipeline *pgconn.Pipeline, statements []Statement, commit bool) error {
	for _, s := range statements {
		tag, err := c.answer(pipeline, s.each)
		if err != nil {
			return s.wrap(err)
		}
		if s.one != nil && tag.RowsAffected() != 1 {
			return s.wrap(s.one)
		}
	}
	if !commit {
		return nil
	}
	tag, err := c.answer(pipeline, nil)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	// ROLLBACK is what PostgreSQL answers to COMMIT in a failed transaction
	if tag.String() != "COMMIT" {
		return fmt.Errorf("commit was answered with %s: a statement had failed before", tag)
	}
	return nil
}

// answer reads the rows of one statement.
func (c *conn) answer(pipeline *pgconn.Pipeline, each func(Row) error) (pgconn.CommandTag, error) {
	results, err := pipeline.GetResults()
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	reader, ok := results.(*pgconn.ResultReader)
	if !ok {
		return pgconn.CommandTag{}, fmt.Errorf("expected rows, got %T", results)
	}
	if each == nil {
		return reader.Close()
	}
	rows := pgx.RowsFromResultReader(c.Conn.Conn().TypeMap(), reader)
	for rows.Next() {
		if err := each(rows); err != nil {
			rows.Close()
			return pgconn.CommandTag{}, err
		}
	}
	return rows.CommandTag(), rows.Err()
}

func (s Statement) wrap(err error) error {
	if s.what == "" {
		return err
	}
	return fmt.Errorf("%s: %w", s.what, err)
}
