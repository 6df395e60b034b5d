package fx

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/uptrace/bun"

	"countersign/billing/money"
	"countersign/internal/auth"
	"countersign/internal/web"
)

// This file is what keeps one person from giving a customer what he likes: a rate counts when somebody else has recorded
// one like it, and what the bank is said to have given stays near what the rate makes.

const (
	// MaxDifferencePercent is how far what the bank gave may be from what the rate makes, either way: fees and spreads of
	// banks for everyday currencies stay below. One minor unit is always allowed, which of small amounts may be more.
	MaxDifferencePercent = 5
	// TolerancePercent is how far a rate may be from one that somebody else has recorded.
	TolerancePercent = 10
)

var hundred = decimal.NewFromInt(100)

// within says whether a is at most percent of b away from it.
func within(a, b decimal.Decimal, percent int64) bool {
	return a.Sub(b).Abs().Mul(hundred).LessThanOrEqual(b.Mul(decimal.NewFromInt(percent)))
}

// checkGiven refuses what the bank cannot have given of computed: ErrGiven. A difference, which is posted as ours, needs a
// reason: ErrReason.
func checkGiven(given, computed money.Money, reason string) error {
	difference, err := given.Sub(computed)
	switch {
	case err != nil:
		return err
	case difference.IsZero():
		return nil
	case difference.Minor != 1 && difference.Minor != -1 && !within(given.Decimal(), computed.Decimal(), MaxDifferencePercent):
		return ErrGiven.With("computed", computed.String()).With("currency", computed.Currency).With("percent", MaxDifferencePercent).At("to_amount")
	case reason == "":
		return ErrReason.At("reason")
	}
	return nil
}

// confirm gives the recorded rate that confirms the one to be used: the last one that somebody else has recorded for the
// pair, not older than RateAge, when it is at most TolerancePercent away. Where there is none, who may change the tenant's
// settings converts all the same, if he says why, and the id is zero. Errors: ErrRateUnconfirmed, ErrReason.
func confirm(ctx context.Context, tx bun.Tx, rate *Rate, from, to money.Currency, now time.Time, reason string) (uuid.UUID, error) {
	by, _ := auth.From(ctx)
	other, err := lastOf(ctx, tx, from, to, by.UserID, now)
	if err != nil && !errors.Is(err, web.ErrNotFound) {
		return uuid.Nil, err
	}
	if err == nil && other.confirms(rate) {
		return other.ID, nil
	}
	if !by.Can(auth.TenantManage) {
		return uuid.Nil, ErrRateUnconfirmed.With("percent", TolerancePercent).With("days", int(RateAge/(24*time.Hour)))
	}
	if reason == "" {
		return uuid.Nil, ErrReason.At("reason")
	}
	return uuid.Nil, nil
}

// lastOf gives the newest rate of a pair, in either direction, that is not older than RateAge and that somebody other than
// by has recorded; web.ErrNotFound when there is none.
func lastOf(ctx context.Context, tx bun.Tx, a, b money.Currency, by uuid.UUID, now time.Time) (*Rate, error) {
	return oneRate(ctx, tx.NewSelect().Where("(r.base = ? AND r.quote = ? OR r.base = ? AND r.quote = ?)", a, b, b, a).
		Where("r.as_of <= ? AND r.as_of >= ?", now, now.Add(-RateAge)).Where("r.created_by IS DISTINCT FROM ?", by).
		OrderExpr("r.as_of DESC, r.id DESC").Limit(1))
}

// confirms says whether a rate of the same pair is like r. One of the other direction is turned over: a × b is 1 where both
// say the same.
func (r *Rate) confirms(used *Rate) bool {
	if r.Base == used.Base {
		return within(used.Rate, r.Rate, TolerancePercent)
	}
	return within(used.Rate.Mul(r.Rate), decimal.NewFromInt(1), TolerancePercent)
}
