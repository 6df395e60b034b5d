package database

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
)

// Prepared scans what q selects into dest, in the transaction of ctx. Each connection prepares the statement once: its
// texts, times and bytes travel as parameters. bun by itself writes them into the statement, which is then a new one for
// each caller and planned anew. It is for what is asked often and is planned well whatever its values are.
func Prepared(ctx context.Context, q *bun.SelectQuery, dest any) error {
	p := &parameters{Dialect: q.Dialect()}
	text, err := q.AppendQuery(schema.NewQueryGen(p), nil)
	if err != nil {
		return fmt.Errorf("write a statement: %w", err)
	}
	rows, err := ctx.Value(stateKey{}).(*state).tx.QueryContext(ctx, string(text), p.values...)
	if err != nil {
		return err
	}
	return q.DB().ScanRows(ctx, rows, dest)
}

// parameters is bun's dialect, which writes $n where bun's own writes a literal. Numbers and truth values stay as they
// are, such as how long a page is, which the plan goes by.
type parameters struct {
	schema.Dialect
	values []any
}

func (p *parameters) add(b []byte, value any) []byte {
	p.values = append(p.values, value)
	return strconv.AppendInt(append(b, '$'), int64(len(p.values)), 10)
}

// AppendString is part of schema.Dialect.
func (p *parameters) AppendString(b []byte, s string) []byte { return p.add(b, s) }

// AppendTime is part of schema.Dialect.
func (p *parameters) AppendTime(b []byte, t time.Time) []byte { return p.add(b, t) }

// AppendBytes is part of schema.Dialect.
func (p *parameters) AppendBytes(b, bytes []byte) []byte { return p.add(b, bytes) }
