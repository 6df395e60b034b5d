package payments

import (
	"context"

	"github.com/google/uuid"

	"countersign/internal/database"
)

// A payment that came to nothing stays as it ended. Who tries again makes a new one, which says by retry_of what it follows,
// whichever way either of them goes (S0D-03).

// refusedAttempt finds a payment that came to nothing: of the same invoice, or without one of the same customer, who may be
// nobody that is known.
const refusedAttempt = `
SELECT TRUE FROM payments WHERE tenant_id = $1 AND id = $2 AND invoice_id IS NOT DISTINCT FROM $3 AND account_id IS NOT DISTINCT FROM $4
  AND status IN ('failed', 'cancelled', 'expired') AND deleted_at IS NULL`

// followed are what refusedAttempt asks for the payment that p follows.
func (p *Payment) followed() []any {
	return []any{p.TenantID, p.RetryOf, database.Nullable(p.InvoiceID), database.Nullable(p.AccountID)}
}

// follow has the next statement fail with ErrRetryOf when p says that it follows a payment which it cannot.
func (p *Payment) follow(ctx context.Context) {
	if p.RetryOf == uuid.Nil {
		return
	}
	found := func(row database.Row) error { return row.Scan(new(bool)) }
	database.SendWithNext(ctx, database.SelectOneOr(ErrRetryOf.At("retry_of"), "look for the refused payment", refusedAttempt, found, p.followed()...))
}
