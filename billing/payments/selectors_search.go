package payments

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"countersign/internal/keyring"
	"countersign/internal/web"
	"countersign/tenancy"
)

// maxSearched is how many payments a search reads that no index answers: more would keep the caller waiting for seconds.
const maxSearched = 100_000

// search selects the payments of a gateway whose details meet all conditions. Members are narrowed to account. A search
// that no index answers reads the gateway's payments one after the other, and is refused when they are too many in the
// time that l names: ErrSearchTooWide.
func (s *Service) search(ctx context.Context, tx bun.Tx, l web.List, account uuid.UUID, conditions []condition) (web.Page[*Payment], error) {
	q := filtered(ctx, tx, l, account).Where("p.gateway = ?", conditions[0].gateway)
	few := false
	for _, c := range conditions {
		if few || !c.indexed() {
			continue
		}
		terms := tx.NewSelect().TableExpr("payment_terms AS t").Where("t.tenant_id = ?", tenancy.ID(ctx)).Where("t.term IN (?)", bun.List(c.terms(ctx, s.keys)))
		var err error
		if few, err = atMost(ctx, terms, maxSearched); err != nil {
			return web.Page[*Payment]{}, err
		}
	}
	if !few {
		narrow, err := atMost(ctx, q, maxSearched)
		if err != nil {
			return web.Page[*Payment]{}, err
		}
		if !narrow {
			return web.Page[*Payment]{}, ErrSearchTooWide.With("limit", maxSearched)
		}
	}
	for _, c := range conditions {
		q = c.where(ctx, q, s.keys)
	}
	return web.Paginate(ctx, q, l, "p", func(p *Payment) (time.Time, uuid.UUID) { return p.CreatedAt, p.ID })
}

// atMost says whether q selects no more than limit rows, and reads no more to know.
func atMost(ctx context.Context, q *bun.SelectQuery, limit int64) (bool, error) {
	capped := q.Clone().ColumnExpr("1").Limit(limit + 1)
	var n int64
	if err := q.NewSelect().ColumnExpr("count(*)").TableExpr("(?) AS capped", capped).Scan(ctx, &n); err != nil {
		return false, fmt.Errorf("count what a search would read: %w", err)
	}
	return n <= limit, nil
}

// indexed says whether the payments that meet the condition are found by their terms.
func (c condition) indexed() bool {
	return (c.field.keyed || c.field.sealed) && (c.op == "=" || c.op == "in")
}

// terms are what the payments that meet the condition are found by.
func (c condition) terms(ctx context.Context, keys *keyring.Keyring) [][]byte {
	terms := make([][]byte, len(c.values))
	for i, v := range c.values {
		terms[i] = keys.Index(tenancy.ID(ctx), sealedDetails.Purpose(), term(c.gateway, c.path, c.field, v))
	}
	return terms
}

// where adds the condition. Keys and values travel as values, never as SQL. Whatever is stored, the comparison does not
// fail: what is of another type is not met.
func (c condition) where(ctx context.Context, q *bun.SelectQuery, keys *keyring.Keyring) *bun.SelectQuery {
	if c.indexed() {
		q = q.Where("p.id IN (SELECT t.payment_id FROM payment_terms AS t WHERE t.tenant_id = ? AND t.term IN (?))", tenancy.ID(ctx), bun.List(c.terms(ctx, keys)))
	}
	if c.field.sealed { // nothing plain to compare
		return q
	}
	value, kind := c.stored()
	return q.Where("CASE WHEN jsonb_typeof(p.details #> ARRAY[?]::text[]) = ? THEN ? END", bun.List(c.path), kind, c.compare(value))
}

// stored gives the stored value in the type of the values, and the JSON type that it must have for that.
func (c condition) stored() (value schema.QueryWithArgs, kind string) {
	path := bun.List(c.path)
	switch c.values[0].(type) {
	case json.Number:
		return bun.SafeQuery("(p.details #>> ARRAY[?]::text[])::numeric", path), "number"
	case bool:
		return bun.SafeQuery("(p.details #>> ARRAY[?]::text[])::boolean", path), "boolean"
	case time.Time:
		return bun.SafeQuery("instant_or_null(p.details #>> ARRAY[?]::text[])", path), "string"
	default: // bytewise, whatever the language of the database
		return bun.SafeQuery(`(p.details #>> ARRAY[?]::text[]) COLLATE "C"`, path), "string"
	}
}

func (c condition) compare(value schema.QueryWithArgs) schema.QueryWithArgs {
	operands := make([]string, len(c.values))
	for i, v := range c.values {
		operands[i] = inSQL(v)
	}
	as := bun.Safe(sqlType(c.values[0]))
	switch c.op {
	case "between":
		return bun.SafeQuery("? BETWEEN ?::? AND ?::?", value, operands[0], as, operands[1], as)
	case "in":
		return bun.SafeQuery("? = ANY (ARRAY[?]::?[])", value, bun.List(operands), as)
	case "!=":
		return bun.SafeQuery("? <> ?::?", value, operands[0], as)
	case "=":
		return bun.SafeQuery("? = ?::?", value, operands[0], as)
	case ">":
		return bun.SafeQuery("? > ?::?", value, operands[0], as)
	case "<":
		return bun.SafeQuery("? < ?::?", value, operands[0], as)
	case ">=":
		return bun.SafeQuery("? >= ?::?", value, operands[0], as)
	default:
		return bun.SafeQuery("? <= ?::?", value, operands[0], as)
	}
}

func sqlType(value any) string {
	switch value.(type) {
	case json.Number:
		return "numeric"
	case bool:
		return "boolean"
	case time.Time:
		return "timestamptz"
	default:
		return "text"
	}
}

// inSQL is a value as text: times with all that PostgreSQL keeps.
func inSQL(value any) string {
	if t, ok := value.(time.Time); ok {
		return web.Time(t)
	}
	return asText(value)
}
