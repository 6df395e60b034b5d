package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// Scope is what row-level security compares with. It travels in the context and is set by BEGIN itself, so no
// transaction can forget it: without a scope, a tenant's tables are empty.
type Scope struct {
	TenantID  uuid.UUID
	AccountID uuid.UUID // members only: narrows every read and write to this account
	Accounts  string    // instead of AccountID, when members of several accounts act together: theirs, separated by commas
	UserID    uuid.UUID // when somebody acts for himself: shows him his own login and memberships in all tenants
	Role      string    // a database role to act as instead of the application's; only Observer exists
}

// Observer is the database role that sees, across tenants, which work is waiting and how old it is: ids, states and
// times, never an amount, a name or a text.
const Observer = "countersign_observer"

type scopeKey struct{}

// WithScope returns a context whose transactions run in s.
func WithScope(ctx context.Context, s Scope) context.Context {
	return context.WithValue(ctx, scopeKey{}, s)
}

// ScopeFrom gives the scope of ctx; zero outside a tenant.
func ScopeFrom(ctx context.Context) Scope {
	s, _ := ctx.Value(scopeKey{}).(Scope)
	return s
}

// What begins and ends transactions is prepared by every connection: it is sent with all others.
const (
	begin         = "BEGIN"
	beginReadOnly = "BEGIN READ ONLY"
	commit        = "COMMIT"
)

// begin are the statements that open a transaction in the scope. SET LOCAL and not set_config: a distributed
// PostgreSQL passes only the former on to its nodes. All values are UUIDs of ours, so nothing needs quoting.
func (s Scope) begin(readOnly bool) []string {
	list := make([]string, 1, 4)
	list[0] = begin
	if readOnly {
		list[0] = beginReadOnly
	}
	if s.Role == Observer {
		list = append(list, "SET LOCAL ROLE "+Observer)
	}
	for _, setting := range []struct {
		name string
		id   uuid.UUID
	}{{"app.tenant_id", s.TenantID}, {"app.account_id", s.AccountID}, {"app.user_id", s.UserID}} {
		if setting.id != uuid.Nil {
			list = append(list, "SET LOCAL "+setting.name+" = '"+setting.id.String()+"'")
		}
	}
	if s.Accounts != "" {
		list = append(list, "SET LOCAL app.account_id = '"+s.Accounts+"'")
	}
	return list
}

// connector opens connections whose transactions begin in the scope of their context.
type connector struct {
	driver.Connector
	trace  func(ctx context.Context, statements ...string)
	slow   SlowLog
	memory *Memory
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	dc, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	opened := &conn{Conn: dc.(*stdlib.Conn), trace: c.trace, slow: c.slow, memory: c.memory, frame: map[string]*pgconn.StatementDescription{}}
	for _, text := range []string{begin, beginReadOnly, commit} {
		if opened.frame[text], err = opened.Conn.Conn().Prepare(ctx, text, text); err != nil {
			dc.Close()
			return nil, err
		}
	}
	return opened, nil
}

// conn adds to pgx's connection what saves round trips: BEGIN with its scope travels with the first statement, several
// statements travel together, and what nobody needs the answer of travels with COMMIT.
type conn struct {
	*stdlib.Conn
	trace  func(ctx context.Context, statements ...string)
	slow   SlowLog
	memory *Memory // of all connections to the database

	frame map[string]*pgconn.StatementDescription // begin and commit, prepared

	begin    []string    // of a transaction of which nothing was sent yet
	next     []Statement // to be sent before the next statement
	deferred []Statement // to be sent before COMMIT
	sent     bool        // something of this transaction was answered
	failed   error       // why nothing more of this transaction is sent
}

// BeginTx notes that a transaction begins in the scope of ctx. Only the default isolation is used: rows that decide are
// locked.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if opts.Isolation != 0 {
		return nil, errors.New("transactions run at the default isolation: lock the rows that decide instead")
	}
	c.open(ctx, opts.ReadOnly)
	return &tx{ctx: ctx, conn: c}, nil
}

func (c *conn) open(ctx context.Context, readOnly bool) {
	c.begin, c.next, c.deferred, c.sent, c.failed = ScopeFrom(ctx).begin(readOnly), nil, nil, false, nil
}

// ExecContext and QueryContext send statements with $n parameters through the statement cache, and bun's texts, which
// carry their values inline and are therefore new each time, without preparing them.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.flush(ctx); err != nil {
		return nil, err
	}
	defer c.tell(ctx, query)()
	result, err := c.Conn.ExecContext(ctx, query, withMode(args))
	return result, c.broken(err)
}

// QueryContext: see ExecContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.flush(ctx); err != nil {
		return nil, err
	}
	told := c.tell(ctx, query)
	rows, err := c.Conn.QueryContext(ctx, query, withMode(args))
	if err != nil {
		told()
		return nil, c.broken(err)
	}
	return timed{rows.(*stdlib.Rows), told}, nil
}

// timed tells when all rows were read.
type timed struct {
	*stdlib.Rows
	told func()
}

// Close is part of driver.Rows.
func (t timed) Close() error {
	defer t.told()
	return t.Rows.Close()
}

// flush sends what would have travelled with a statement that cannot travel with others.
func (c *conn) flush(ctx context.Context) error {
	if len(c.begin)+len(c.next) == 0 {
		return c.failed
	}
	return c.send(ctx, nil, false)
}

// broken marks the error of a statement that was sent by itself when the connection has broken.
func (c *conn) broken(err error) error {
	if _, answered := errors.AsType[*pgconn.PgError](err); err == nil || answered || !c.Conn.Conn().IsClosed() {
		return err
	}
	return errors.Join(errBroken, err)
}

// tell tells of a round trip that begins, and gives what tells of its end.
func (c *conn) tell(ctx context.Context, statements ...string) func() {
	c.trace(ctx, statements...)
	began := time.Now()
	return func() { c.slow.since(ctx, began, statements) }
}

func withMode(args []driver.NamedValue) []driver.NamedValue {
	if len(args) > 0 {
		return args
	}
	return []driver.NamedValue{{Ordinal: 1, Value: pgx.QueryExecModeExec}}
}

type tx struct {
	ctx  context.Context
	conn *conn
}

// Commit sends what was deferred together with COMMIT, in one round trip. When a deferred statement fails, nothing
// was committed. A transaction of which nothing was sent costs nothing.
func (t *tx) Commit() error {
	c := t.conn
	if len(c.begin) > 0 && len(c.next)+len(c.deferred) == 0 {
		c.begin = nil
		return nil
	}
	deferred := c.deferred
	c.deferred = nil
	ctx, cancel := context.WithTimeout(t.ctx, endTimeout)
	defer cancel()
	var err error
	if slices.ContainsFunc(c.next, func(s Statement) bool { return s.otherwise != nil }) { // its answer decides whether there is a COMMIT
		err = c.send(ctx, nil, false)
	}
	if err == nil {
		err = c.send(ctx, deferred, true)
	}
	if err != nil {
		return errors.Join(err, t.Rollback())
	}
	return nil
}

// endTimeout is how long COMMIT and ROLLBACK may take: longer than any lock is waited for.
const endTimeout = 30 * time.Second

// Rollback also runs when the request's context is already cancelled, so it uses a context of its own.
func (t *tx) Rollback() error {
	c := t.conn
	c.begin, c.next, c.deferred, c.failed = nil, nil, nil, nil
	native := c.Conn.Conn()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), endTimeout)
	defer cancel()
	switch {
	case native.IsClosed():
		return nil
	case native.PgConn().IsBusy(): // a panic while rows were read
		return native.Close(ctx)
	case native.PgConn().TxStatus() == 'I':
		return nil
	}
	if _, err := native.Exec(ctx, "rollback", pgx.QueryExecModeSimpleProtocol); err != nil {
		return errors.Join(err, native.Close(ctx))
	}
	return nil
}
