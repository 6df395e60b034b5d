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

// Search selects the payments of a gateway whose details meet all conditions. Members are narrowed to account. A search
// in which nothing asks for equality with a keyed value reads the gateway's payments one after the other, and is refused
// when they are too many in the time that l names: ErrSearchTooWide.
func (s *Service) search(ctx context.Context, tx bun.Tx, l web.List, account uuid.UUID, conditions []condition) (web.Page[*Payment], error) {
	q := filtered(ctx, tx, l, account).Where("p.gateway = ?", conditions[0].gateway)
	indexed := false
	for _, c := range conditions {
		indexed = indexed || c.indexed()
	}
	if !indexed {
		if err := narrow(ctx, q); err != nil {
			return web.Page[*Payment]{}, err
		}
	}
	for _, c := range conditions {
		q = c.where(q, s.keys, tenancy.ID(ctx))
	}
	return web.Paginate(ctx, q, l, "p", func(p *Payment) (time.Time, uuid.UUID) { return p.CreatedAt, p.ID })
}

// narrow refuses a search that would read too much.
func narrow(ctx context.Context, q *bun.SelectQuery) error {
	candidates := q.Clone().ColumnExpr("1").Limit(maxSearched + 1)
	var n int
	if err := q.NewSelect().ColumnExpr("count(*)").TableExpr("(?) AS capped", candidates).Scan(ctx, &n); err != nil {
		return fmt.Errorf("count what a search would read: %w", err)
	}
	if n > maxSearched {
		return ErrSearchTooWide.With("limit", maxSearched)
	}
	return nil
}

// indexed says whether the payments that meet the condition are found by their terms.
func (c condition) indexed() bool {
	return (c.field.keyed || c.field.sealed) && (c.op == "=" || c.op == "in")
}

// where adds the condition. Keys and values travel as values, never as SQL. Whatever is stored, the comparison does not
// fail: what is of another type is not met.
func (c condition) where(q *bun.SelectQuery, keys *keyring.Keyring, tenant uuid.UUID) *bun.SelectQuery {
	if c.indexed() {
		terms := make([][]byte, len(c.values))
		for i, v := range c.values {
			terms[i] = keys.Index(tenant, sealedDetails.Purpose(), term(c.gateway, c.path, c.field, v))
		}
		q = q.Where("p.id IN (SELECT t.payment_id FROM payment_terms AS t WHERE t.tenant_id = ? AND t.term IN (?))", tenant, bun.List(terms))
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
