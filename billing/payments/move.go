package payments

import (
	"context"

	"countersign/internal/database"
)

var movePayments = database.NewUpdates("move payments", `
UPDATE payments AS p SET status = m.status, received_minor = m.received, applied_minor = m.applied, excess_minor = m.excess, revenue_minor = m.revenue, refunded_minor = m.refunded,
  failure_code = m.code, failure_reason = m.reason,
  approved_at = CASE WHEN m.approved THEN m.at ELSE p.approved_at END,
  processed_at = CASE WHEN m.status = 'succeeded' THEN m.at ELSE p.processed_at END,
  failed_at = CASE WHEN m.status = 'failed' THEN m.at ELSE p.failed_at END,
  cancelled_at = CASE WHEN m.status = 'cancelled' THEN m.at ELSE p.cancelled_at END,
  expired_at = CASE WHEN m.status = 'expired' THEN m.at ELSE p.expired_at END,
  refunded_at = CASE WHEN m.status IN ('partially_refunded', 'refunded') THEN m.at ELSE p.refunded_at END,
  version = p.version + 1, updated_at = m.at
FROM (SELECT unnest($1::uuid[]) AS tenant, unnest($2::uuid[]) AS id, unnest($3::text[]) AS status, unnest($4::bigint[]) AS received, unnest($5::bigint[]) AS applied,
    unnest($6::bigint[]) AS excess, unnest($7::bigint[]) AS revenue, unnest($8::bigint[]) AS refunded, unnest($9::text[]) AS code, unnest($10::text[]) AS reason,
    unnest($11::boolean[]) AS approved, unnest($12::timestamptz[]) AS at) AS m
WHERE p.tenant_id = m.tenant AND p.id = m.id`, 2)

// move takes a locked payment along an edge of the state diagram, with the amounts and the failure that it has by now. The
// database checks the edge once more. The change travels with COMMIT. Only the worker, which settles in sets, and hide move
// payments otherwise (S0-51). It fails with ErrIllegalTransition.
func (p locked) move(ctx context.Context, next Status) error {
	if !p.Status.CanBecome(next) {
		return ErrIllegalTransition.With("from", p.Status).With("to", next)
	}
	approved := p.Status == StatusPendingApproval && next == StatusProcessing
	database.SendRowWithCommit(ctx, movePayments, p.TenantID, p.ID, next, p.ReceivedMinor, p.AppliedMinor, p.ExcessMinor, p.RevenueMinor, p.RefundedMinor,
		p.FailureCode, p.FailureReason, approved, p.at)
	p.Status, p.UpdatedAt = next, p.at
	p.Version++
	switch next {
	case StatusProcessing:
		if approved {
			p.ApprovedAt = p.at
		}
	case StatusSucceeded:
		p.ProcessedAt = p.at
	case StatusFailed:
		p.FailedAt = p.at
	case StatusCancelled:
		p.CancelledAt = p.at
	case StatusExpired:
		p.ExpiredAt = p.at
	case StatusPartiallyRefunded, StatusRefunded:
		p.RefundedAt = p.at
	}
	return nil
}
