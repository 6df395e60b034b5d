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
	"countersign/internal/database"
	"countersign/internal/web"
)

// This file is what keeps one person from giving a customer what he likes: a rate counts when somebody else has recorded
// one like it, what the bank is said to have given stays near what the rate makes, and what both give a customer above the
// other's rate is bounded for all of his conversions together. Each by itself may be an honest bank's; one after the
// other, there and back, they would make money.

const (
	// MaxDifferencePercent is how far what the bank gave may be from what the rate makes, either way: fees and spreads of
	// banks for everyday currencies stay below. One minor unit is always near enough, which of small amounts is more; what a
	// customer gets by it is a gain.
	MaxDifferencePercent = 5
	// TolerancePercent is how far a rate may be from one that somebody else has recorded.
	TolerancePercent = 10
	// MaxGainPercent is what the gains of an account's conversions of the last GainAge may add up to.
	MaxGainPercent = 10
	// GainAge is for how long a gain counts.
	GainAge = 7 * 24 * time.Hour
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

// judgement is what others' rates say of the one that is to be used.
type judgement struct {
	confirmedBy uuid.UUID // the rate that confirms it; zero: none does, and an owner has said why
	measure     *Rate     // what gains are measured by: the last rate of others, and where there is none the used one itself
}

// confirm looks for the recorded rate that confirms the one to be used: the last one that somebody else has recorded for
// the pair, not older than RateAge, when it is at most TolerancePercent away. Where there is none, who may change the
// tenant's settings converts all the same, if he says why. Errors: ErrRateUnconfirmed, ErrReason.
func confirm(ctx context.Context, tx bun.Tx, rate *Rate, from, to money.Currency, now time.Time, reason string) (judgement, error) {
	by, _ := auth.From(ctx)
	measure, err := lastOf(ctx, tx, from, to, by.UserID, now)
	switch {
	case errors.Is(err, web.ErrNotFound):
		measure = rate
	case err != nil:
		return judgement{}, err
	case measure.confirms(rate):
		return judgement{confirmedBy: measure.ID, measure: measure}, nil
	}
	return judgement{measure: measure}, mayOverrule(by, reason, ErrRateUnconfirmed.With("percent", TolerancePercent).With("days", int(RateAge/(24*time.Hour))))
}

// mayOverrule lets who may change the tenant's settings do what others are refused, if he says why: ErrReason. For
// everybody else it is the refusal.
func mayOverrule(by auth.Principal, reason string, refusal error) error {
	switch {
	case !by.Can(auth.TenantManage):
		return refusal
	case reason == "":
		return ErrReason.At("reason")
	}
	return nil
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

// gain is what the customer gets above what measure makes of his amount, as a part of that: 0.1 is a tenth more. It is zero
// when he gets no more, and cut after fourteen places. Both amounts are rounded half up to the minor unit; what is less than
// one counts as one, so that a part of it can be told.
//
// Of a few minor units, one that rounding adds is a large part. Where the customer gets no more than what the rate makes,
// nobody has chosen that one, so no more counts than what the rate itself is above measure.
func (c *Conversion) gain(measure *Rate) (decimal.Decimal, error) {
	made, err := convert(c.From(), measure.Rate, measure.Base, c.ToCurrency)
	switch {
	case errors.Is(err, ErrTooLarge):
		return decimal.Zero, nil // more than any conversion gives
	case err != nil && !errors.Is(err, ErrNothing):
		return decimal.Zero, err
	}
	above := c.ToMinor - made.amount.Minor
	if above <= 0 {
		return decimal.Zero, nil
	}
	gain, _ := decimal.NewFromInt(above).QuoRem(decimal.NewFromInt(max(1, made.amount.Minor)), places)
	if c.DifferenceMinor <= 0 {
		gain = decimal.Min(gain, c.rateAbove(measure))
	}
	return gain, nil
}

// rateAbove is how much more of the target currency the rate of c makes than measure, as a part of that: 0.1 is a tenth
// more. It is cut after fourteen places.
func (c *Conversion) rateAbove(measure *Rate) decimal.Decimal {
	made, by := decimal.NewFromInt(1), decimal.NewFromInt(1)
	if c.RateBase == c.FromCurrency {
		made = made.Mul(c.Rate)
	} else {
		by = by.Mul(c.Rate)
	}
	if measure.Base == c.FromCurrency {
		by = by.Mul(measure.Rate)
	} else {
		made = made.Mul(measure.Rate)
	}
	above, _ := made.Sub(by).QuoRem(by, places)
	return above
}

const (
	// Conversions of one account that gain something follow one another, so that two at once do not both fit. The locks on
	// balances are not enough: conversions of other currencies have others.
	lockGains = `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`
	// A statement of its own: what others have gained while we waited for the lock is seen only by one that begins now.
	sumGains = `
SELECT coalesce(sum(c.gain), 0) FROM fx_conversions AS c
WHERE c.tenant_id = $1 AND c.account_id = $2 AND c.gain > 0 AND c.created_at > now() - make_interval(hours => $3)
  AND NOT EXISTS (SELECT FROM fx_reversals AS v WHERE v.tenant_id = $1 AND v.conversion_id = c.id)`
)

// checkGain refuses a conversion with which the gains of the account's conversions of the last GainAge come to more than
// MaxGainPercent: ErrGainExceeded. Losses are no gains below zero, and what was taken back has gained nothing. Who may
// change the tenant's settings converts all the same, if he says why (ErrReason), and his gain counts like any other.
// It locks the account's gains until the transaction ends, before any balance; what gains nothing waits for nobody.
func checkGain(ctx context.Context, _ bun.Tx, c *Conversion) error {
	if c.Gain.IsZero() {
		return nil
	}
	var gained decimal.Decimal
	err := database.Send(ctx,
		database.Select("wait for other gains of the account", lockGains, func(database.Row) error { return nil }, "fx:"+c.TenantID.String()+":"+c.AccountID.String()),
		database.Select("sum gains of the account", sumGains, func(row database.Row) error { return row.Scan(&gained) }, c.TenantID, c.AccountID, int(GainAge/time.Hour)))
	if err != nil || gained.Add(c.Gain).Mul(hundred).LessThanOrEqual(decimal.NewFromInt(MaxGainPercent)) {
		return err
	}
	by, _ := auth.From(ctx)
	return mayOverrule(by, c.Reason, ErrGainExceeded.With("gained", percent(gained)).With("gain", percent(c.Gain)).
		With("percent", MaxGainPercent).With("days", int(GainAge/(24*time.Hour))))
}

// percent shows a part of one in percent, with at most two places. It is rounded up, so that what is too much never looks
// as if it were not.
func percent(part decimal.Decimal) string { return part.Mul(hundred).RoundCeil(2).String() }
