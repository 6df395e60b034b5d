package database

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
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
	rows *Rows // whose rows args are, a slice for each column

	otherwise error // when it is not exactly so many rows; nil: any number is right
	exactly   int
}

// Rows is a change of any number of rows that takes an array for each column, $1 to $n. Each caller adds his row, and all
// that a transaction adds are one statement, unless one is changed twice.
type Rows struct {
	what, text string
	key        int // so many of the first columns name the row that is there; zero: it is new
}

// NewRows declares the making of many rows; what names it in errors, as in Select.
func NewRows(what, text string) *Rows { return &Rows{what: what, text: text} }

// NewUpdates declares the change of many rows that are there, each named by its first key columns. A statement changes a row once, even when
// it is told to twice, so who changes a row again in a transaction does it in a statement that follows.
func NewUpdates(what, text string, key int) *Rows { return &Rows{what, text, key} }

// Select is a statement whose rows are read by each, one after the other. what names it in errors: "read accounts".
func Select(what, text string, each func(Row) error, args ...any) Statement {
	return Statement{what: what, text: text, each: each, args: args}
}

// SelectOneOr is Select for exactly one row; otherwise is the error for any other number.
func SelectOneOr(otherwise error, what, text string, each func(Row) error, args ...any) Statement {
	return Statement{what: what, text: text, each: each, args: args, otherwise: otherwise, exactly: 1}
}

// Change is a statement that changes any number of rows.
func Change(what, text string, args ...any) Statement {
	return Statement{what: what, text: text, args: args}
}

// ChangeExactly is Change for n rows; otherwise is the error for any other number.
func ChangeExactly(n int, otherwise error, what, text string, args ...any) Statement {
	return Statement{what: what, text: text, args: args, otherwise: otherwise, exactly: n}
}

// Send runs statements in the transaction of ctx, in their order and in one round trip. The first one that fails ends
// it, and with it the transaction.
func Send(ctx context.Context, statements ...Statement) error {
	return ctx.Value(stateKey{}).(*state).conn.send(ctx, statements, false)
}

// SendWithNext queues a statement that travels before the next one of the transaction of ctx, or by itself before COMMIT
// when there is none. Its error is the error of the call that it travels with; what travels behind one that is checked by
// its answer reads and changes nothing.
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
		if s.otherwise != nil {
			panic("database: " + s.what + " is checked by its answer, which comes after COMMIT: use Send")
		}
	}
	c.deferred = append(c.deferred, statements...)
}

// SendRowWithCommit queues a row like SendWithCommit, beside the rows of r that wait there already: who comes first keeps
// its place among the other changes.
func SendRowWithCommit(ctx context.Context, r *Rows, columns ...any) {
	c := ctx.Value(stateKey{}).(*state).conn
	i := len(c.deferred) - 1
	for i >= 0 && c.deferred[i].rows != r {
		i--
	}
	if i < 0 || r.key > 0 && c.deferred[i].has(columns[:r.key]) {
		i = len(c.deferred)
		c.deferred = append(c.deferred, Statement{what: r.what, text: r.text, rows: r, args: make([]any, len(columns))})
	}
	for column, value := range columns {
		values, _ := c.deferred[i].args[column].([]any)
		c.deferred[i].args[column] = append(values, value)
	}
}

// has says whether one of the rows of s begins with these columns.
func (s Statement) has(key []any) bool {
	for row := range s.args[0].([]any) {
		same := true
		for column, value := range key {
			same = same && s.args[column].([]any)[row] == value
		}
		if same {
			return true
		}
	}
	return false
}

// Forget drops what was queued in the transaction of ctx and not sent, what was to run after its commit, and the error of
// a SelectOneOr that its caller has expected. It is for who finds that the transaction has nothing to change.
// It fails when the transaction is over.
func Forget(ctx context.Context) error {
	st := ctx.Value(stateKey{}).(*state)
	if native := st.conn.Conn.Conn(); native.IsClosed() || len(st.conn.begin) == 0 && native.PgConn().TxStatus() != 'T' {
		return fmt.Errorf("the transaction is over: %w", st.conn.failed)
	}
	st.conn.next, st.conn.deferred, st.conn.failed, st.afterCommit = nil, nil, nil, nil
	return nil
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

// errLost means that the connection broke before anything could have been committed, so that the transaction may run
// again on another.
var errLost = errors.New("the connection to the database broke before anything was committed")

// errBroken means that the connection broke, and that nothing was committed.
var errBroken = errors.New("the connection to the database broke")

// errClaimFirst means that a change was to travel behind a statement whose answer decides whether there is one.
var errClaimFirst = errors.New("database: a change cannot travel behind a statement that may forbid it: send a SELECT first")

// send runs what waits to be sent, statements, and COMMIT if asked, in one round trip. After an error the transaction is
// over: nothing else of it is sent.
func (c *conn) send(ctx context.Context, statements []Statement, ending bool) error {
	if c.failed != nil {
		return c.failed
	}
	c.failed = c.trip(ctx, statements, ending)
	return c.failed
}

func (c *conn) trip(ctx context.Context, statements []Statement, ending bool) error {
	native := c.Conn.Conn()
	beginning, readOnly := c.begin, len(c.begin) > 0 && c.begin[0] == beginReadOnly
	if slices.ContainsFunc(c.next, func(s Statement) bool { return s.otherwise != nil }) && slices.ContainsFunc(statements, func(s Statement) bool { return s.each == nil }) {
		return errClaimFirst
	}
	statements = append(c.next, statements...)
	c.begin, c.next = nil, nil
	defer c.tell(ctx, texts(beginning, statements, ending)...)()
	built, err := c.build(ctx, statements)
	if err != nil {
		return c.lost(err, false)
	}
	finished := false
	defer func() {
		if !finished { // a panic: what is under way on this connection belongs to nobody any more
			native.Close(context.WithoutCancel(ctx))
		}
	}()
	pipeline := native.PgConn().StartPipeline(ctx)
	native.PgConn().Frontend().Send(roomFor(built))
	for _, text := range beginning {
		if prepared := c.frame[text]; prepared != nil {
			pipeline.SendQueryStatement(prepared, nil, nil, nil)
			continue
		}
		pipeline.SendQueryParams(text, nil, nil, nil, nil)
	}
	for _, b := range built {
		pipeline.SendQueryStatement(b.prepared, b.ParamValues, b.ParamFormats, b.ResultFormats)
	}
	if ending {
		pipeline.SendQueryStatement(c.frame[commit], nil, nil, nil)
	}
	err = pipeline.Sync()
	if err == nil {
		err = c.receive(pipeline, len(beginning), statements, ending)
	}
	if closed := pipeline.Close(); err == nil {
		err = closed
	}
	finished = true
	if err != nil {
		return c.lost(err, ending && !readOnly)
	}
	c.sent = true
	return nil
}

// lost says what an error means for the transaction. An error that PostgreSQL itself answers proves that nothing was
// committed: answers come in the order of the statements, and COMMIT is the last. A connection that breaks proves nothing
// once COMMIT was sent. A connection whose plans no longer fit the schema is given up.
func (c *conn) lost(err error, perhapsCommitted bool) error {
	native := c.Conn.Conn()
	pg, answered := errors.AsType[*pgconn.PgError](err)
	if answered && isStale(pg) {
		native.Close(context.Background())
		return err
	}
	switch {
	case !native.IsClosed():
		return err
	case !c.sent && (answered || pgconn.SafeToRetry(err) || !perhapsCommitted):
		return errors.Join(errLost, err)
	case perhapsCommitted && !answered:
		return ErrOutcomeUnknown.Because(err)
	default:
		return errors.Join(errBroken, err)
	}
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
		if err := built[i].encode(native.TypeMap(), s); err != nil {
			return nil, s.wrap(err)
		}
	}
	return built, nil
}

// encode encodes the parameters of s.
func (r *ready) encode(m *pgtype.Map, s Statement) error {
	args, arrays := s.args, map[int][]byte(nil)
	for i := range args {
		arg := args[i]
		if s.rows != nil {
			arg = column(arg.([]any))
		}
		if i >= len(r.prepared.ParamOIDs) {
			break
		}
		if encoded, ok := encodeArray(r.prepared.ParamOIDs[i], arg); ok {
			if arrays == nil {
				arrays, args = map[int][]byte{}, slices.Clone(args)
			}
			arrays[i], args[i] = encoded, nil
		}
	}
	if err := r.Build(m, r.prepared, args); err != nil {
		return err
	}
	for i, encoded := range arrays {
		r.ParamValues[i], r.ParamFormats[i] = encoded, pgtype.BinaryFormatCode
	}
	return nil
}

// room is no message: it makes room for those that follow. pgx begins each round trip with a small buffer, which a set of rows
// made grow parameter by parameter: its bytes were copied four times before they were sent.
type room int

func roomFor(statements []ready) (bytes room) {
	for _, s := range statements {
		bytes += 128 // names, formats and what else stands around the parameters
		for _, value := range s.ParamValues {
			bytes += room(8 + len(value))
		}
	}
	return bytes
}

// Encode is part of pgproto3.FrontendMessage, as are Decode and Frontend.
func (r room) Encode(buffer []byte) ([]byte, error) { return slices.Grow(buffer, int(r)), nil }

// Decode is never called: nobody sends a room.
func (room) Decode([]byte) error { return nil }

// Frontend says whose message it is.
func (room) Frontend() {}

func texts(beginning []string, statements []Statement, ending bool) []string {
	texts := make([]string, 0, len(beginning)+len(statements)+1)
	texts = append(texts, beginning...)
	for _, s := range statements {
		texts = append(texts, s.text)
	}
	if ending {
		texts = append(texts, commit)
	}
	return texts
}

// receive reads the answers in the order in which the statements were sent.
func (c *conn) receive(pipeline *pgconn.Pipeline, beginning int, statements []Statement, ending bool) error {
	for range beginning {
		if _, err := c.answer(pipeline, nil); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
	}
	for _, s := range statements {
		tag, err := c.answer(pipeline, s.each)
		if err != nil {
			return s.wrap(err)
		}
		if s.otherwise != nil && tag.RowsAffected() != int64(s.exactly) {
			return s.wrap(s.otherwise)
		}
	}
	if !ending {
		return nil
	}
	tag, err := c.answer(pipeline, nil)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	// ROLLBACK is what PostgreSQL answers to COMMIT in a failed transaction
	if tag.String() != commit {
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
		if err := each(plainRow{rows}); err != nil {
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
