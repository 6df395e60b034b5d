package integrity

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/database"
)

// result is what a check of a tenant has found when it was run last.
type result struct {
	Check  string
	Found  int
	Places []apps.Place
	RanAt  time.Time

	encoded string // places as they are stored
}

func newResult(c apps.Check, f *apps.Finding) result {
	r := result{Check: c.ID, encoded: "[]"}
	if f == nil {
		return r
	}
	r.Found = len(f.Places)
	raw, _ := json.Marshal(first(f.Places)) // ids and texts
	r.encoded = string(raw)
	return r
}

func first(places []apps.Place) []apps.Place { return places[:min(len(places), named)] }

const results = `SELECT r.check_id, r.found, r.places, r.ran_at FROM integrity_results AS r WHERE r.tenant_id = $1`

// latest gives the last results of the current tenant, by check.
func latest(ctx context.Context, _ bun.Tx) (map[string]result, error) {
	found := map[string]result{}
	err := database.Send(ctx, database.Select("read what the proofs have found", results, func(row database.Row) error {
		var r result
		var places []byte
		if err := row.Scan(&r.Check, &r.Found, &places, &r.RanAt); err != nil {
			return err
		}
		err := json.Unmarshal(places, &r.Places)
		found[r.Check] = r
		return err
	}, database.ScopeFrom(ctx).TenantID))
	return found, err
}

// Report adds to what a check of the current tenant has found last, for who comes upon such a place between two runs. It is
// shown until the next run, which looks for itself. It travels with COMMIT; nobody's time of the last run changes.
func Report(ctx context.Context, check string, place apps.Place) {
	raw, _ := json.Marshal([]apps.Place{place}) // an id and a text
	database.SendWithCommit(ctx, database.Change("report what is broken", report, database.ScopeFrom(ctx).TenantID, check, string(raw)))
}

// A check that was never run gets the time from which on it counts as run, see gauges.
const report = `
INSERT INTO integrity_results AS r (tenant_id, check_id, found, places, ran_at)
SELECT $1, $2, 1, $3::jsonb, t.created_at FROM tenants AS t WHERE t.id = $1
ON CONFLICT (tenant_id, check_id) DO UPDATE SET found = r.found + 1, places = excluded.places`

// A check that was never run in a tenant counts as run when the tenant was made: the next night is not over yet.
const gauges = `
SELECT c.id, coalesce(sum(r.found), 0)::float8, extract(epoch FROM min(coalesce(r.ran_at, t.created_at)))::float8
FROM unnest($1::text[]) AS c(id) CROSS JOIN tenants AS t LEFT JOIN integrity_results AS r ON r.tenant_id = t.id AND r.check_id = c.id
WHERE t.is_active GROUP BY c.id`

// Gauges gives, by check, how much it has found in all tenants together, and when it was run last in the tenant in which
// that is the longest ago, as seconds since 1970. It reads as the observer. These are counts and seconds, which
// Prometheus keeps as floats, and never money.
func (s *Service) Gauges(ctx context.Context) (map[string]map[string]float64, error) {
	ids := make([]string, len(s.checks))
	for i, c := range s.checks {
		ids[i] = c.ID
	}
	found, ran := map[string]float64{}, map[string]float64{}
	err := database.Fetch(database.WithScope(ctx, database.Scope{Role: database.Observer}), s.db, database.Select("read what the proofs have found", gauges, func(row database.Row) error {
		var id string
		var n, at float64
		err := row.Scan(&id, &n, &at)
		found[id], ran[id] = n, at
		return err
	}, ids))
	if err != nil {
		return nil, fmt.Errorf("read what the proofs have found: %w", err)
	}
	return map[string]map[string]float64{GaugeFound: found, GaugeRan: ran}, nil
}

// The names of the gauges.
const (
	GaugeFound = "countersign_integrity_findings"
	GaugeRan   = "countersign_integrity_last_run_timestamp_seconds"
)

// GaugeHelp says what they count.
func GaugeHelp() map[string]string {
	return map[string]string{
		GaugeFound: "What the last proofs of all tenants' books have found, by check. Anything but 0 is a bug or fraud.",
		GaugeRan:   "When the check was run last, in the tenant in which that is the longest ago.",
	}
}
