package fx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/internal/audit"
	"countersign/internal/idempotency"
	"countersign/internal/web"
	"countersign/tenancy"
)

// RateAge is how old a recorded rate may be to be used without being named. Seven days: central banks publish on working
// days, and holidays last up to a week.
const RateAge = 7 * 24 * time.Hour

// StatedRate is a rate that comes with the request instead of being recorded before.
type StatedRate struct {
	Rate   decimal.Decimal // positive, with at most ten decimal places
	Source string
	Base   money.Currency // one of the two that are converted; empty: the source currency
}

// ConvertInput is a conversion to be.
type ConvertInput struct {
	Account string // id or external id (Z-36)
	From    money.Money
	To      money.Currency
	// The rate is one of: a recorded one by its id, of either direction; a stated one; the latest that is recorded for
	// this direction and is not older than RateAge.
	RateID uuid.UUID
	Stated *StatedRate
	// Given is what the bank has really given; zero: what the rate makes of From. The difference is posted apart.
	Given money.Money
	// Reason must be there when Given differs, when nobody else has recorded such a rate, and when the account gains more
	// than others may give it.
	Reason string
	Once   *idempotency.Once
}

// Convert turns credit of a customer into credit of another currency (S1-58). It fails with ledger.ErrCreditExceeded when
// there is not so much, with ErrGiven and ErrReason (checkGiven), with ErrRateUnconfirmed (confirm) and with
// ErrGainExceeded (checkGain). It needs billing.reconcile, and tenant.manage for a rate that nobody else has recorded and
// for gains beyond what is allowed.
func (s *Service) Convert(ctx context.Context, in ConvertInput) (ConversionResponse, error) {
	var answer ConversionResponse
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (ConversionResponse, error) { return s.convert(ctx, tx, in) })
		return err
	})
	return answer, err
}

func (s *Service) convert(ctx context.Context, tx bun.Tx, in ConvertInput) (ConversionResponse, error) {
	account, err := accounts.ResolveField(ctx, tx, "account_id", in.Account)
	if err != nil {
		return ConversionResponse{}, err
	}
	rate, err := s.rateFor(ctx, tx, in)
	if err != nil {
		return ConversionResponse{}, err
	}
	o, err := convert(in.From, rate.Rate, rate.Base, in.To)
	if err != nil {
		return ConversionResponse{}, err
	}
	c := &Conversion{TenantID: tenancy.ID(ctx), ID: uuid.Must(uuid.NewV7()), AccountID: account.ID, FromCurrency: in.From.Currency, FromMinor: in.From.Minor,
		ToCurrency: in.To, ToMinor: o.amount.Minor, ComputedMinor: o.amount.Minor, Unrounded: o.unrounded, Rounding: o.rounding, Rate: rate.Rate, RateBase: rate.Base,
		RateID: rate.ID, RateSource: rate.Source, RateAsOf: rate.AsOf, Reason: in.Reason}
	if !in.Given.IsZero() {
		if err := checkGiven(in.Given, o.amount, in.Reason); err != nil {
			return ConversionResponse{}, err
		}
		c.ToMinor, c.DifferenceMinor = in.Given.Minor, in.Given.Minor-o.amount.Minor
	}
	judged, err := confirm(ctx, tx, rate, in.From.Currency, in.To, s.now(), in.Reason)
	if err != nil {
		return ConversionResponse{}, err
	}
	if c.Gain, err = c.gain(judged.measure); err != nil {
		return ConversionResponse{}, err
	}
	if err := checkGain(ctx, tx, c); err != nil {
		return ConversionResponse{}, err
	}
	if err := spendable(ctx, tx, c.AccountID, c.From(), c.To()); err != nil {
		return ConversionResponse{}, err
	}
	if _, err := tx.NewInsert().Model(c).Returning("created_at").Exec(ctx); err != nil {
		return ConversionResponse{}, fmt.Errorf("insert conversion: %w", err)
	}
	if err := ledger.Post(ctx, tx, c.posting()); err != nil {
		return ConversionResponse{}, fmt.Errorf("post conversion %s: %w", c.ID, err)
	}
	after := facts(c)
	if after["rate_confirmed_by"] = judged.confirmedBy; judged.confirmedBy == uuid.Nil {
		after["rate_confirmed_by"] = nil
	}
	err = s.tell(ctx, c, EventConverted, audit.Record{Action: "fx_conversion.create", After: after, Reason: c.Reason})
	return newConversionResponse(*c), err
}

// rateFor gives the rate that a request asks for. One that is not recorded has no id.
func (s *Service) rateFor(ctx context.Context, tx bun.Tx, in ConvertInput) (*Rate, error) {
	now := s.now()
	switch {
	case in.RateID != uuid.Nil:
		r, err := GetRate(ctx, tx, in.RateID)
		switch {
		case errors.Is(err, web.ErrNotFound):
			return nil, ErrUnknownRate.At("rate_id")
		case err == nil && !r.between(in.From.Currency, in.To):
			return nil, ErrRatePair.With("from", in.From.Currency).With("to", in.To).At("rate_id")
		}
		return r, err
	case in.Stated != nil:
		return &Rate{Base: cmp.Or(in.Stated.Base, in.From.Currency), Rate: in.Stated.Rate, Source: in.Stated.Source, AsOf: now}, nil
	}
	r, err := Latest(ctx, tx, in.From.Currency, in.To, now)
	if errors.Is(err, web.ErrNotFound) || err == nil && r.AsOf.Before(now.Add(-RateAge)) {
		return nil, ErrNoRate.With("from", in.From.Currency).With("to", in.To).With("days", int(RateAge/(24*time.Hour))).At("rate")
	}
	return r, err
}

// between says whether a rate is of the two currencies, in whichever direction.
func (r *Rate) between(a, b money.Currency) bool {
	return r.Base == a && r.Quote == b || r.Base == b && r.Quote == a
}

// spendable locks the account's balances of two currencies, and fails with ledger.ErrCreditExceeded when there is less
// credit than spent.
func spendable(ctx context.Context, tx bun.Tx, account uuid.UUID, spent, other money.Money) error {
	credit := ledger.CustomerCredit(account, spent.Currency)
	balances, err := ledger.Lock(ctx, tx, credit, ledger.CustomerCredit(account, other.Currency))
	if err != nil {
		return err
	}
	if -balances[credit] < spent.Minor {
		return ledger.ErrCreditExceeded
	}
	return nil
}

// posting is what the conversion does to the books, see doc.go.
func (c *Conversion) posting() ledger.Posting {
	return ledger.Posting{Cause: c.cause(), Kind: ledger.KindFXConverted, CustomerID: c.AccountID, Entries: []ledger.Entry{
		{Account: ledger.CustomerCredit(c.AccountID, c.FromCurrency), AmountMinor: c.FromMinor},
		{Account: ledger.FX(c.FromCurrency), AmountMinor: -c.FromMinor},
		{Account: ledger.FX(c.ToCurrency), AmountMinor: c.ComputedMinor},
		{Account: ledger.CustomerCredit(c.AccountID, c.ToCurrency), AmountMinor: -c.ToMinor},
		{Account: ledger.FXDifference(c.ToCurrency), AmountMinor: c.DifferenceMinor},
	}}
}

func (c *Conversion) cause() string { return "fx:" + c.ID.String() + ":convert" }

// tell writes the audit record and the event of a change.
func (s *Service) tell(ctx context.Context, c *Conversion, event string, r audit.Record) error {
	if err := s.outbox.Emit(ctx, newConversionEvent(event, c)); err != nil {
		return err
	}
	r.ObjectType, r.ObjectID, r.AccountID = "fx_conversion", c.ID, c.AccountID
	return audit.Write(ctx, r)
}

// facts is what the audit log keeps of a conversion.
func facts(c *Conversion) map[string]any {
	return map[string]any{"from": newEventAmount(c.From()), "to": newEventAmount(c.To()), "difference": newEventAmount(c.Difference()), "rate": c.Rate.String(),
		"rate_base": c.RateBase, "rate_source": c.RateSource, "rate_as_of": c.RateAsOf, "gain": c.Gain.String()}
}
