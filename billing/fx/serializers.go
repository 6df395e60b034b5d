package fx

import (
	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"countersign/billing/money"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
)

// RateRequest is the body of POST fx/rates/: one base is rate quote, in major units of both.
type RateRequest struct {
	Base   string     `json:"base" validate:"required,len=3"`
	Quote  string     `json:"quote" validate:"required,len=3"`
	Rate   web.Number `json:"rate" validate:"required"`
	Source string     `json:"source" validate:"required,max=100"`
	AsOf   string     `json:"as_of"`
}

func (req RateRequest) input(once *idempotency.Once) (RateInput, error) {
	p := parser{}
	in := RateInput{Base: p.currency("base", req.Base), Quote: p.currency("quote", req.Quote), Rate: p.rate("rate", req.Rate), Source: req.Source, Once: once}
	if in.Base == in.Quote && in.Base != "" {
		p.fields.Add("quote", ErrSameCurrency)
	}
	if req.AsOf != "" {
		at, err := web.ParseInstant(req.AsOf)
		if err != nil {
			p.fields.Add("as_of", errs.As(err))
		}
		in.AsOf = at
	}
	return in, p.fields.Err()
}

// ConvertRequest is the body of POST fx/conversions/. The rate is named by rate_id, or stated with its source, or the
// latest that is recorded. rate_base says of which currency one is the stated rate of the other; it is from_currency when
// absent. to_amount is what the bank has really given.
type ConvertRequest struct {
	AccountID       string     `json:"account_id" validate:"required,max=100"`
	FromCurrency    string     `json:"from_currency" validate:"required,len=3"`
	ToCurrency      string     `json:"to_currency" validate:"required,len=3"`
	FromAmount      web.Number `json:"from_amount"`
	FromAmountMinor *int64     `json:"from_amount_minor"`
	RateID          string     `json:"rate_id" validate:"omitempty,uuid"`
	Rate            web.Number `json:"rate"`
	Source          string     `json:"source" validate:"max=100"`
	RateBase        string     `json:"rate_base" validate:"omitempty,len=3"`
	ToAmount        web.Number `json:"to_amount"`
	ToAmountMinor   *int64     `json:"to_amount_minor"`
	Reason          string     `json:"reason" validate:"max=500"`
}

func (req ConvertRequest) input(once *idempotency.Once) (ConvertInput, error) {
	p := parser{}
	from, to := p.currency("from_currency", req.FromCurrency), p.currency("to_currency", req.ToCurrency)
	if from == to && from != "" {
		p.fields.Add("to_currency", ErrSameCurrency)
	}
	in := ConvertInput{Account: req.AccountID, To: to, Reason: req.Reason, Once: once, Stated: p.stated(req, from, to)}
	if req.RateID != "" {
		id, err := web.ParseID(req.RateID)
		if err != nil {
			p.fields.Add("rate_id", ErrUnknownRate)
		}
		in.RateID = id
	}
	if from != "" {
		if in.From = p.amount("from_amount", req.FromAmount, req.FromAmountMinor, from); req.FromAmount == "" && req.FromAmountMinor == nil {
			p.fields.Add("from_amount", errEmpty)
		}
	}
	if to != "" {
		in.Given = p.amount("to_amount", req.ToAmount, req.ToAmountMinor, to)
	}
	return in, p.fields.Err()
}

// ReverseRequest is the body of POST fx/conversions/{id}/reverse/.
type ReverseRequest struct {
	Reason string `json:"reason" validate:"required,max=500"`
}

// parser reads the values of a body and collects what is wrong with them.
type parser struct{ fields errs.Fields }

func (p *parser) currency(field, text string) money.Currency {
	c, err := money.ParseCurrency(text)
	if err != nil {
		p.fields.Add(field, errs.As(err))
	}
	return c
}

// rate reads a rate as the database keeps it: NUMERIC(20,10).
func (p *parser) rate(field string, text web.Number) decimal.Decimal {
	d, err := money.ParseDecimal(string(text), 10, 10)
	switch {
	case err != nil:
		p.fields.Add(field, errs.As(err))
	case !d.IsPositive():
		p.fields.Add(field, ErrNotPositive)
	}
	return d
}

// stated reads the rate that a body states, nil when it states none.
func (p *parser) stated(req ConvertRequest, from, to money.Currency) *StatedRate {
	switch {
	case req.Rate == "" && req.Source == "" && req.RateBase == "":
		return nil
	case req.RateID != "":
		p.fields.Add("rate_id", ErrRateTwice)
		return nil
	}
	s := &StatedRate{Source: req.Source, Base: from}
	if req.Rate == "" {
		p.fields.Add("rate", errEmpty)
	} else {
		s.Rate = p.rate("rate", req.Rate)
	}
	if req.Source == "" {
		p.fields.Add("source", errEmpty)
	}
	if req.RateBase != "" {
		if s.Base = p.currency("rate_base", req.RateBase); s.Base != "" && s.Base != from && s.Base != to {
			p.fields.Add("rate_base", ErrRatePair.With("from", from).With("to", to))
		}
	}
	return s
}

// amount reads an amount that is given in one form, or in both when they agree; zero when it is not given.
func (p *parser) amount(field string, text web.Number, minor *int64, currency money.Currency) money.Money {
	var m money.Money
	switch {
	case text != "":
		var err error
		if m, err = money.Parse(string(text), currency); err != nil {
			p.fields.Add(field, errs.As(err))
			return money.Money{}
		}
		if minor != nil && *minor != m.Minor {
			p.fields.Add(field, ErrForms)
			return money.Money{}
		}
	case minor != nil:
		m = money.New(*minor, currency)
	default:
		return money.Money{}
	}
	switch {
	case !m.IsPositive():
		p.fields.Add(field, ErrNotPositive)
	case m.Minor > MaxMinor:
		p.fields.Add(field, tooLarge(currency))
	}
	return m
}

// RateResponse is a rate as staff see it.
type RateResponse struct {
	ID        string  `json:"id"`
	Base      string  `json:"base"`
	Quote     string  `json:"quote"`
	Rate      string  `json:"rate"`
	Source    string  `json:"source"`
	AsOf      string  `json:"as_of"`
	CreatedBy *string `json:"created_by"` // a user; null: a program
	CreatedAt string  `json:"created_at"`
}

func newRateResponse(r Rate) RateResponse {
	return RateResponse{ID: r.ID.String(), Base: string(r.Base), Quote: string(r.Quote), Rate: r.Rate.String(), Source: r.Source, AsOf: web.Time(r.AsOf),
		CreatedBy: optionalID(r.CreatedBy), CreatedAt: web.Time(r.CreatedAt)}
}

func optionalID(id uuid.UUID) *string {
	if id == uuid.Nil {
		return nil
	}
	text := id.String()
	return &text
}

// AmountResponse is an amount in its currency.
type AmountResponse struct {
	Amount      string `json:"amount"`
	AmountMinor int64  `json:"amount_minor"`
	Currency    string `json:"currency"`
}

func newAmountResponse(m money.Money) AmountResponse {
	return AmountResponse{Amount: m.String(), AmountMinor: m.Minor, Currency: string(m.Currency)}
}

// UsedRateResponse is the rate of a conversion: one base was rate quote, in major units of both.
type UsedRateResponse struct {
	RateID *string `json:"rate_id"` // null: it was stated with the request
	Base   string  `json:"base"`
	Quote  string  `json:"quote"`
	Rate   string  `json:"rate"`
	Source string  `json:"source"`
	AsOf   string  `json:"as_of"`
}

// ConversionResponse is a conversion as it is shown.
type ConversionResponse struct {
	ID             string           `json:"id"`
	AccountID      string           `json:"account_id"`
	Status         string           `json:"status"` // converted or reversed
	From           AmountResponse   `json:"from"`
	To             AmountResponse   `json:"to"`
	Computed       AmountResponse   `json:"computed"`   // what the rate makes of from, rounded half up
	Difference     AmountResponse   `json:"difference"` // to - computed
	Unrounded      string           `json:"unrounded"`  // in the target currency
	Rounding       string           `json:"rounding"`   // computed - unrounded
	Rate           UsedRateResponse `json:"rate"`
	Reason         string           `json:"reason"`
	ReversalReason string           `json:"reversal_reason"`
	CreatedAt      string           `json:"created_at"`
	ReversedAt     *string          `json:"reversed_at"`
}

func newConversionResponse(c Conversion) ConversionResponse {
	status := "converted"
	if c.IsReversed() {
		status = "reversed"
	}
	return ConversionResponse{ID: c.ID.String(), AccountID: c.AccountID.String(), Status: status, From: newAmountResponse(c.From()), To: newAmountResponse(c.To()),
		Computed: newAmountResponse(c.Computed()), Difference: newAmountResponse(c.Difference()), Unrounded: c.Unrounded.String(), Rounding: c.Rounding.String(),
		Rate:   UsedRateResponse{RateID: optionalID(c.RateID), Base: string(c.RateBase), Quote: string(c.RateQuote()), Rate: c.Rate.String(), Source: c.RateSource, AsOf: web.Time(c.RateAsOf)},
		Reason: c.Reason, ReversalReason: c.ReversalReason, CreatedAt: web.Time(c.CreatedAt), ReversedAt: web.OptionalTime(c.ReversedAt)}
}
