package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/database"
	"countersign/internal/web"
)

// sealBatch is how many records one transaction seals: enough to keep up, short enough that nobody waits for it.
const sealBatch = 500

const unsealed = `
SELECT t.id FROM tenants AS t WHERE EXISTS (SELECT FROM audit_unsealed AS u WHERE u.tenant_id = t.id AND u.id < $1)`

// rest is how long records are left alone before they are sealed, so that a set is sealed at once.
const rest = 2 * time.Second

// sealing gives the records their places in the hash chain. Their own table says which
// have none yet.
func sealing(db *bun.DB) apps.Doorbell {
	return apps.Doorbell{
		Name:    "audit.seal",
		Timeout: time.Minute,
		Waiting: func(ctx context.Context, tx bun.Tx) ([]uuid.UUID, error) {
			rows, err := database.Hot(tx).QueryContext(ctx, unsealed, web.LowestID(time.Now().Add(-rest)))
			if err != nil {
				return nil, fmt.Errorf("list tenants with unsealed records: %w", err)
			}
			defer rows.Close()
			var tenants []uuid.UUID
			for rows.Next() {
				var id uuid.UUID
				if err := rows.Scan(&id); err != nil {
					return nil, fmt.Errorf("list tenants with unsealed records: %w", err)
				}
				tenants = append(tenants, id)
			}
			return tenants, rows.Err()
		},
		Run: func(ctx context.Context) error { return Seal(ctx, db) },
	}
}

// Seal seals what the current tenant's log holds, until nothing is left.
func Seal(ctx context.Context, db *bun.DB) error {
	for {
		var n int
		err := database.InTx(ctx, db, func(ctx context.Context, tx bun.Tx) error {
			return tx.NewRaw("SELECT audit_seal(?)", sealBatch).Scan(ctx, &n)
		})
		if err != nil {
			return fmt.Errorf("seal the audit log: %w", err)
		}
		if n == 0 {
			return nil
		}
	}
}
