package payments

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
)

// settleDoorbell rings when a payment is approved. It names a tenant and no payment: the worker takes what waits.
func (s *Service) settleDoorbell() apps.Doorbell {
	return apps.Doorbell{Name: "payments.settle", On: []string{EventApproved, EventResumed}, Queue: "critical", Timeout: 2 * time.Minute,
		Waiting: tenantsWaiting, Run: s.Settle}
}

// tenantsWaiting gives the tenants with approved payments. It runs as the observer, once a second.
func tenantsWaiting(ctx context.Context, tx bun.Tx) ([]uuid.UUID, error) {
	var tenants []uuid.UUID
	err := tx.NewRaw(`SELECT t.id FROM tenants AS t WHERE EXISTS (
		SELECT FROM settlement_queue AS q WHERE q.tenant_id = t.id)`).Scan(ctx, &tenants)
	if err != nil {
		return nil, fmt.Errorf("look for approved payments: %w", err)
	}
	return tenants, nil
}
