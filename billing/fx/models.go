package fx

import (
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/uptrace/bun"

	"countersign/billing/money"
)

// Rate says what one major unit of Base is worth in major units of Quote.
type Rate struct {
	bun.BaseModel `bun:"table:fx_rates,alias:r"`

	TenantID  uuid.UUID       `bun:"tenant_id,pk,type:uuid"`
	ID        uuid.UUID       `bun:"id,pk,type:uuid"` // version 7, so ids are in the order of recording
	Base      money.Currency  `bun:"base"`
	Quote     money.Currency  `bun:"quote"`
	Rate      decimal.Decimal `bun:"rate,type:numeric"`
	Source    string          `bun:"source"`
	AsOf      time.Time       `bun:"as_of"`
	CreatedBy uuid.UUID       `bun:"created_by,type:uuid,nullzero"` // zero: a program
	CreatedAt time.Time       `bun:"created_at,nullzero"`
}

// Conversion is a customer's credit that became credit of another currency.
type Conversion struct {
	bun.BaseModel `bun:"table:fx_conversions,alias:c"`

	TenantID        uuid.UUID       `bun:"tenant_id,pk,type:uuid"`
	ID              uuid.UUID       `bun:"id,pk,type:uuid"` // version 7, so ids are in the order of converting
	AccountID       uuid.UUID       `bun:"account_id,type:uuid"`
	FromCurrency    money.Currency  `bun:"from_currency"`
	FromMinor       int64           `bun:"from_minor"`
	ToCurrency      money.Currency  `bun:"to_currency"`
	ToMinor         int64           `bun:"to_minor"`               // what the customer got
	ComputedMinor   int64           `bun:"computed_minor"`         // what the rate makes of it, rounded
	DifferenceMinor int64           `bun:"difference_minor"`       // to - computed; positive: a loss of ours
	Unrounded       decimal.Decimal `bun:"unrounded,type:numeric"` // in major units of ToCurrency
	Rounding        decimal.Decimal `bun:"rounding,type:numeric"`  // computed - unrounded, in major units of ToCurrency
	Rate            decimal.Decimal `bun:"rate,type:numeric"`
	RateBase        money.Currency  `bun:"rate_base"`                  // one of it is Rate of the other currency
	RateID          uuid.UUID       `bun:"rate_id,type:uuid,nullzero"` // zero: the rate was stated with the request
	RateSource      string          `bun:"rate_source"`
	RateAsOf        time.Time       `bun:"rate_as_of"`
	Reason          string          `bun:"reason"`
	CreatedAt       time.Time       `bun:"created_at,nullzero"`
	Gain            decimal.Decimal `bun:"gain,type:numeric"` // what he got above what others' rate makes, as a part of that

	// Of its reversal; zero and empty when there is none.
	ReversedAt     time.Time `bun:"reversed_at,scanonly"`
	ReversalReason string    `bun:"reversal_reason,scanonly"`
}

// From is what the customer gave.
func (c *Conversion) From() money.Money { return money.New(c.FromMinor, c.FromCurrency) }

// To is what the customer got.
func (c *Conversion) To() money.Money { return money.New(c.ToMinor, c.ToCurrency) }

// Computed is what the rate makes of From.
func (c *Conversion) Computed() money.Money { return money.New(c.ComputedMinor, c.ToCurrency) }

// Difference is what the customer got beyond Computed.
func (c *Conversion) Difference() money.Money { return money.New(c.DifferenceMinor, c.ToCurrency) }

// RateQuote is the currency that Rate counts.
func (c *Conversion) RateQuote() money.Currency {
	if c.RateBase == c.FromCurrency {
		return c.ToCurrency
	}
	return c.FromCurrency
}

// IsReversed says whether it was taken back.
func (c *Conversion) IsReversed() bool { return !c.ReversedAt.IsZero() }

// reversal takes a conversion back.
type reversal struct {
	bun.BaseModel `bun:"table:fx_reversals,alias:v"`

	TenantID     uuid.UUID `bun:"tenant_id,pk,type:uuid"`
	ConversionID uuid.UUID `bun:"conversion_id,pk,type:uuid"`
	AccountID    uuid.UUID `bun:"account_id,type:uuid"`
	Reason       string    `bun:"reason"`
	CreatedAt    time.Time `bun:"created_at,nullzero"`
}
