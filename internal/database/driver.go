package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

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
	UserID    uuid.UUID // during log-in only: shows a user his own memberships in all tenants
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

// begin is the text that opens a transaction in the scope, sent in one round trip. SET LOCAL and not set_config:
// a distributed PostgreSQL passes only the former on to its nodes. All values are UUIDs of ours, so nothing needs quoting.
func (s Scope) begin(opts driver.TxOptions) string {
	var b strings.Builder
	b.WriteString("BEGIN")
	if opts.ReadOnly {
		b.WriteString(" READ ONLY")
	}
	if s.Role == Observer {
		b.WriteString("; SET LOCAL ROLE " + Observer)
	}
	for _, setting := range []struct {
		name string
		id   uuid.UUID
	}{{"app.tenant_id", s.TenantID}, {"app.account_id", s.AccountID}, {"app.user_id", s.UserID}} {
		if setting.id != uuid.Nil {
			fmt.Fprintf(&b, "; SET LOCAL %s = '%s'", setting.name, setting.id)
		}
	}
	return b.String()
}

// connector opens connections whose transactions begin in the scope of their context.
type connector struct {
	driver.Connector
	trace func(ctx context.Context, query string)
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	dc, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: dc.(*stdlib.Conn), trace: c.trace}, nil
}

// conn adds three things to pgx's connection: the scope in BEGIN, statements that travel with COMMIT, and the choice
// of the protocol by the shape of the statement.
type conn struct {
	*stdlib.Conn
	deferred *pgx.Batch
	trace    func(ctx context.Context, query string)
}

// BeginTx opens a transaction in the scope of ctx. Only the default isolation is used: rows that decide are locked.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if opts.Isolation != 0 {
		return nil, errors.New("transactions run at the default isolation: lock the rows that decide instead")
	}
	begin := ScopeFrom(ctx).begin(opts)
	c.trace(ctx, begin)
	_, err := c.Conn.Conn().PgConn().Exec(ctx, begin).ReadAll()
	if err != nil {
		return nil, retryable(err)
	}
	c.deferred = &pgx.Batch{}
	return &tx{ctx: ctx, conn: c}, nil
}

// ExecContext and QueryContext send statements with $n parameters through the statement cache, and bun's texts, which
// carry their values inline and are therefore new each time, without preparing them.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.trace(ctx, query)
	return c.Conn.ExecContext(ctx, query, withMode(args))
}

// QueryContext: see ExecContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.trace(ctx, query)
	return c.Conn.QueryContext(ctx, query, withMode(args))
}

func withMode(args []driver.NamedValue) []driver.NamedValue {
	if len(args) > 0 {
		return args
	}
	return []driver.NamedValue{{Ordinal: 1, Value: pgx.QueryExecModeExec}}
}

func retryable(err error) error {
	if pgconn.SafeToRetry(err) {
		return driver.ErrBadConn
	}
	return err
}

type tx struct {
	ctx  context.Context
	conn *conn
}

// Commit sends what was deferred together with COMMIT, in one round trip. When a deferred statement fails, nothing
// was committed.
func (t *tx) Commit() error {
	batch := t.conn.deferred
	t.conn.deferred = nil
	native := t.conn.Conn.Conn()
	for _, q := range batch.QueuedQueries {
		t.conn.trace(t.ctx, q.SQL)
	}
	t.conn.trace(t.ctx, "commit")
	if batch.Len() == 0 {
		tag, err := native.Exec(t.ctx, "commit", pgx.QueryExecModeSimpleProtocol)
		return committed(tag, err)
	}
	batch.Queue("commit")
	results := native.SendBatch(t.ctx, batch)
	for range batch.Len() - 1 {
		if _, err := results.Exec(); err != nil {
			results.Close()
			return errors.Join(err, t.Rollback())
		}
	}
	tag, err := results.Exec()
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	return committed(tag, err)
}

// committed refuses the answer ROLLBACK, which is what PostgreSQL gives to COMMIT in a failed transaction.
func committed(tag pgconn.CommandTag, err error) error {
	if err != nil {
		return err
	}
	if tag.String() != "COMMIT" {
		return fmt.Errorf("commit was answered with %s: a statement had failed before", tag)
	}
	return nil
}

// Rollback also runs when the request's context is already cancelled, so it uses a context of its own.
func (t *tx) Rollback() error {
	t.conn.deferred = nil
	native := t.conn.Conn.Conn()
	if native.IsClosed() || native.PgConn().TxStatus() == 'I' {
		return nil
	}
	_, err := native.Exec(context.WithoutCancel(t.ctx), "rollback", pgx.QueryExecModeSimpleProtocol)
	return err
}
