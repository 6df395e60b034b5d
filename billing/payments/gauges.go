package payments

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"countersign/tenancy"
)

// Gauges gives what monitoring watches across all tenants: how many claims wait and for how long. It reads as the
// observer, who sees states and times and no amounts: these are counts and seconds, which
// Prometheus keeps as floats, and never money.
func (s *Service) Gauges(ctx context.Context) (map[string]float64, error) {
	var undecided, unsettled, setAside, oldest, lag float64
	err := tenancy.Observe(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		return tx.NewRaw(`SELECT
			(SELECT count(*) FROM tenants AS t JOIN payments AS p ON p.tenant_id = t.id AND p.undecided)::float8,
			(SELECT coalesce(extract(epoch FROM now() - min(p.created_at)), 0) FROM tenants AS t JOIN payments AS p ON p.tenant_id = t.id AND p.undecided)::float8,
			(SELECT count(*) FROM tenants AS t JOIN settlement_queue AS q ON q.tenant_id = t.id)::float8,
			(SELECT coalesce(extract(epoch FROM now() - min(q.approved_at)), 0) FROM tenants AS t JOIN settlement_queue AS q ON q.tenant_id = t.id)::float8,
			(SELECT count(*) FROM tenants AS t JOIN payments AS p ON p.tenant_id = t.id AND p.set_aside <> '')::float8`).
			Scan(ctx, &undecided, &oldest, &unsettled, &lag, &setAside)
	})
	if err != nil {
		return nil, fmt.Errorf("read what waits: %w", err)
	}
	return map[string]float64{
		"countersign_payments_undecided":                    undecided,
		"countersign_payments_oldest_undecided_age_seconds": max(0, oldest),
		"countersign_payments_unsettled":                    unsettled,
		"countersign_payments_settlement_lag_seconds":       max(0, lag),
		"countersign_payments_set_aside":                    setAside,
	}, nil
}
