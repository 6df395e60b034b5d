package testkit

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/uptrace/bun"
)

// Explain gives the plan of a statement as whoever sent it would get it: one with $n parameters is planned for any values.
func Explain(ctx context.Context, t testing.TB, tx bun.Tx, query string) string {
	t.Helper()
	parameters := 0
	for strings.Contains(query, fmt.Sprintf("$%d", parameters+1)) {
		parameters++
	}
	ask := query
	if parameters > 0 {
		if _, err := tx.ExecContext(ctx, "PREPARE explained AS "+query); err != nil {
			t.Fatal(query, err)
		}
		defer tx.ExecContext(ctx, "DEALLOCATE explained")
		ask = "EXECUTE explained (" + strings.TrimSuffix(strings.Repeat("NULL, ", parameters), ", ") + ")"
	}
	var lines []string
	if err := tx.NewRaw("EXPLAIN "+strings.ReplaceAll(ask, "?", "\\?")).Scan(ctx, &lines); err != nil {
		t.Fatal(query, err)
	}
	return strings.Join(lines, "\n")
}

// Plan is a node of what PostgreSQL did for a statement.
type Plan struct {
	Type    string      `json:"Node Type"`
	Table   string      `json:"Relation Name"`
	Index   string      `json:"Index Name"`
	Rows    json.Number `json:"Actual Rows"`
	Removed json.Number `json:"Rows Removed by Filter"`
	Loops   json.Number `json:"Actual Loops"`
	Plans   []Plan
}

// Analyze runs a statement that has no parameters and says what PostgreSQL did for it.
func Analyze(ctx context.Context, t testing.TB, tx bun.Tx, query string) Plan {
	t.Helper()
	var raw []string
	if err := tx.NewRaw("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) "+strings.ReplaceAll(query, "?", "\\?")).Scan(ctx, &raw); err != nil {
		t.Fatal(query, err)
	}
	var plans []struct{ Plan Plan }
	if err := json.Unmarshal([]byte(raw[0]), &plans); err != nil {
		t.Fatal(query, err)
	}
	return plans[0].Plan
}

// Given is how many rows came out of the node.
func (p Plan) Given() int64 { return whole(p.Rows) * whole(p.Loops) }

// Most gives the largest number of rows that one node has looked at, and the node.
func (p Plan) Most() (int64, string) {
	rows, node := (whole(p.Rows)+whole(p.Removed))*whole(p.Loops), p.Type+" "+p.Table+" "+p.Index
	for _, below := range p.Plans {
		if r, b := below.Most(); r > rows {
			rows, node = r, b
		}
	}
	return rows, node
}

// whole leaves out the fraction that PostgreSQL 18 gives means of several loops.
func whole(n json.Number) int64 {
	text, _, _ := strings.Cut(n.String(), ".")
	var v int64
	fmt.Sscan(text, &v)
	return v
}
