package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/database"
)

// sealBatch is how many records one transaction seals: enough to keep up, short enough that nobody waits for it.
const sealBatch = 500

const unsealed = `
SELECT DISTINCT a.tenant_id FROM audit_log AS a
WHERE a.chain_seq IS NULL AND a.created_at < clock_timestamp() - interval '2 seconds'`

// sealing gives the records their places in the hash chain. They are left alone for two seconds, so that a set is
// sealed at once instead of one record after the other.
func sealing(db *bun.DB) apps.Doorbell {
	return apps.Doorbell{
		Name:    "audit.seal",
		Timeout: time.Minute,
		Waiting: func(ctx context.Context, tx bun.Tx) ([]uuid.UUID, error) {
			var tenants []uuid.UUID
			if err := tx.NewRaw(unsealed).Scan(ctx, &tenants); err != nil {
				return nil, fmt.Errorf("list tenants with unsealed records: %w", err)
			}
			return tenants, nil
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
