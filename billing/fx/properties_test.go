package fx_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/uptrace/bun"
	"pgregory.net/rapid"

	"countersign/billing/billingtest"
	"countersign/billing/fx"
	"countersign/billing/ledger"
	"countersign/billing/money"
)

// TestConversionProperties converts random amounts at random rates between currencies of every number of decimals. Each
// currency adds up to nothing, no more than half a unit is rounded, and a reversal restores every balance.
func TestConversionProperties(t *testing.T) {
	t.Parallel()
	w := euros(t)
	currencies := []money.Currency{"JPY", "USD", "KWD", "UYW"}
	for _, c := range currencies {
		w.GiveCredit(w.Account.ID, money.New(fx.MaxMinor, c))
	}
	balances := func() map[ledger.Ref]int64 {
		all := map[ledger.Ref]int64{}
		for _, c := range currencies {
			for _, ref := range []ledger.Ref{ledger.CustomerCredit(w.Account.ID, c), ledger.FX(c), ledger.FXDifference(c)} {
				all[ref] = w.Balance(ref)
			}
		}
		return all
	}
	done := 0
	rapid.Check(t, func(rt *rapid.T) {
		pair := rapid.Permutation(currencies).Draw(rt, "pair")
		in := fx.ConvertInput{Account: w.Account.ID.String(), From: money.New(rapid.Int64Range(1, 1_000_000_000_000).Draw(rt, "minor"), pair[0]), To: pair[1],
			Stated: &fx.StatedRate{Rate: decimal.New(rapid.Int64Range(1, 100_000_000_000_000).Draw(rt, "rate"), -10), Source: "drawn", Base: rapid.SampledFrom(pair[:2]).Draw(rt, "base")}}
		in.Reason = "Drawn" // nobody has recorded such a rate: it takes an owner who says why
		far := false
		if rapid.Bool().Draw(rt, "the bank gave") {
			in.Given, far = given(rt, in)
		}
		before := balances()
		made, err := w.FX.Convert(w.Owner.Ctx, in)
		if far != errors.Is(err, fx.ErrGiven) {
			rt.Fatalf("%+v: %v", in, err)
		}
		if far {
			return
		}
		if errors.Is(err, fx.ErrNothing) || errors.Is(err, fx.ErrTooLarge) || errors.Is(err, ledger.ErrBalanceTooLarge) {
			return
		}
		if err != nil {
			rt.Fatal(err)
		}
		done++
		c := conversion(w, uuid.MustParse(made.ID))
		unit := decimal.New(1, -int32(c.ToCurrency.Exponent()))
		if c.Rounding.Abs().Mul(decimal.New(2, 0)).GreaterThan(unit) || !c.Unrounded.Add(c.Rounding).Equal(c.Computed().Decimal()) {
			rt.Fatalf("%s was rounded by %s to %s", c.Unrounded, c.Rounding, c.Computed())
		}
		if c.ComputedMinor+c.DifferenceMinor != c.ToMinor || !in.Given.IsZero() && c.To() != in.Given {
			rt.Fatalf("%+v: the parts are not the whole", c)
		}
		after := balances()
		for _, moved := range []struct {
			ref ledger.Ref
			by  int64
		}{{ledger.CustomerCredit(c.AccountID, c.FromCurrency), c.FromMinor}, {ledger.FX(c.FromCurrency), -c.FromMinor}, {ledger.FX(c.ToCurrency), c.ComputedMinor},
			{ledger.CustomerCredit(c.AccountID, c.ToCurrency), -c.ToMinor}, {ledger.FXDifference(c.ToCurrency), c.DifferenceMinor}} {
			if got := after[moved.ref] - before[moved.ref]; got != moved.by {
				rt.Fatalf("%s moved by %d, want %d", moved.ref, got, moved.by)
			}
		}
		if rapid.Bool().Draw(rt, "stands") && made.To.AmountMinor < 1_000_000 {
			return
		}
		if err := reverse(w, c.ID); err != nil {
			rt.Fatal(err)
		}
		for ref, was := range before {
			if is := w.Balance(ref); is != was {
				rt.Fatalf("%s is %d after the reversal, and was %d", ref, is, was)
			}
		}
	})
	if done == 0 {
		t.Error("nothing was ever converted")
	}
	w.AssertBooks(t)
}

// given draws what the bank gave, about as much as the rate makes, and says whether it is too far from that. It is zero where
// the rate makes nothing or too much.
func given(rt *rapid.T, in fx.ConvertInput) (m money.Money, far bool) {
	computed := in.From.Decimal().Mul(in.Stated.Rate)
	if in.Stated.Base == in.To {
		computed = in.From.Decimal().Div(in.Stated.Rate)
	}
	made, err := money.Round(computed, in.To)
	if err != nil || made.Minor < 1 || made.Minor > fx.MaxMinor/2 {
		return money.Money{}, false
	}
	off := rapid.Int64Range(-made.Minor/15-1, made.Minor/15+1).Draw(rt, "off")
	if made.Minor+off < 1 {
		return money.Money{}, false
	}
	return money.New(made.Minor+off, in.To), off != 1 && off != -1 && max(off, -off)*20 > made.Minor
}

// conversion reads a conversion as it is stored.
func conversion(w *billingtest.World, id uuid.UUID) (c *fx.Conversion) {
	w.Read(func(ctx context.Context, tx bun.Tx) (err error) {
		c, err = fx.Get(ctx, tx, id)
		return err
	})
	return c
}
