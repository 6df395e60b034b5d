package payments

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/money"
	"countersign/internal/database"
	"countersign/internal/web"
	"countersign/tenancy"
)

// Payments of one account that are checked against the limits follow one another, so that two at once do not both fit.
const lockAccount = `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`

// Attempts that failed count for how many there may be, and not for what they come to: who tries cards is to be stopped.
const recentPayments = `
SELECT count(*) FILTER (WHERE created_at > clock_timestamp() - interval '1 hour'),
  coalesce(extract(epoch FROM min(created_at) FILTER (WHERE created_at > clock_timestamp() - interval '1 hour') + interval '1 hour' - clock_timestamp()), 0)::bigint,
  least(coalesce(sum(amount_minor) FILTER (WHERE live AND currency = $4), 0), 9000000000000000000)::bigint,
  coalesce(extract(epoch FROM max(created_at) FILTER (WHERE live AND currency = $4) + interval '24 hours' - clock_timestamp()), 0)::bigint,
  coalesce(bool_or(live AND currency = $4 AND amount_minor = $5 AND method = $6 AND created_at > clock_timestamp() - make_interval(mins => $7)), false)
FROM (SELECT created_at, amount_minor, currency, method, status NOT IN ('failed', 'cancelled', 'expired') AS live FROM payments
  WHERE tenant_id = $1 AND account_id = $2 AND id >= $3 AND deleted_at IS NULL AND created_at > clock_timestamp() - interval '24 hours') AS p`

// limit refuses a payment that the tenant's limits forbid: ErrAmountLimit, ErrTooMany, or ErrPossibleDuplicate unless the
// caller says that both are meant (S0D-26 to S0D-28). Limits of amounts are in the tenant's own currency, and hold for it. What
// passes says by when it surely has: RetryAfter.
func (s *Service) limit(ctx context.Context, tx bun.Tx, p *Payment, force bool) error {
	t, err := tenancy.Current(ctx, tx)
	if err != nil {
		return err
	}
	return within(ctx, t, p, force)
}

// watched says whether what an account has paid of late decides whether it may pay more.
func watched(t *tenancy.Tenant) bool {
	return t.DailyLimitMinor != nil || t.HourlyPayments != nil || t.DuplicateWindowMinutes > 0
}

// within is limit for a tenant that the caller has read.
func within(ctx context.Context, t *tenancy.Tenant, p *Payment, force bool) error {
	ours := p.Currency == t.DefaultCurrency
	if ours && t.PaymentLimitMinor != nil && p.AmountMinor > *t.PaymentLimitMinor {
		return ErrAmountLimit.With("limit", money.New(*t.PaymentLimitMinor, p.Currency).String()).At("amount")
	}
	if p.AccountID == uuid.Nil || !watched(t) {
		return nil
	}
	var count int
	var seconds, sum, day int64
	var twin bool
	err := database.Send(ctx,
		database.Select("wait for other payments of the account", lockAccount, func(database.Row) error { return nil }, "payments:"+p.TenantID.String()+":"+p.AccountID.String()),
		database.Select("read recent payments", recentPayments, func(row database.Row) error { return row.Scan(&count, &seconds, &sum, &day, &twin) },
			p.TenantID, p.AccountID, web.LowestID(time.Now().Add(-25*time.Hour)), p.Currency, p.AmountMinor, p.Method, t.DuplicateWindowMinutes))
	switch {
	case err != nil:
		return err
	case t.HourlyPayments != nil && count >= *t.HourlyPayments:
		return ErrTooMany.After(time.Duration(max(1, seconds)) * time.Second)
	case ours && t.DailyLimitMinor != nil && sum+p.AmountMinor > *t.DailyLimitMinor:
		refused := ErrAmountLimit.With("limit", money.New(*t.DailyLimitMinor, p.Currency).String()).At("amount")
		if p.AmountMinor <= *t.DailyLimitMinor {
			refused = refused.After(time.Duration(max(1, day)) * time.Second)
		}
		return refused
	case twin && !force:
		return ErrPossibleDuplicate
	}
	return nil
}
