package fx

import (
	"github.com/google/uuid"

	"countersign/billing/money"
	"countersign/internal/outbox"
)

// The events of rates and conversions. Rates are the staff's, so theirs names no account.
const (
	EventRateRecorded = "fx.rate_recorded"
	EventConverted    = "fx.converted"
	EventReversed     = "fx.reversed"
)

// RateEvent is the payload of fx.rate_recorded.
type RateEvent struct {
	RateID uuid.UUID      `json:"rate_id"`
	Base   money.Currency `json:"base"`
	Quote  money.Currency `json:"quote"`
	Rate   string         `json:"rate"` // one base is so much quote
}

// EventAmount is an amount in a payload, and in the audit log.
type EventAmount struct {
	AmountMinor int64          `json:"amount_minor"`
	Currency    money.Currency `json:"currency"`
}

func newEventAmount(m money.Money) EventAmount { return EventAmount{m.Minor, m.Currency} }

// ConversionEvent is the payload of fx.converted and fx.reversed.
type ConversionEvent struct {
	ConversionID uuid.UUID      `json:"conversion_id"`
	AccountID    uuid.UUID      `json:"account_id"`
	From         EventAmount    `json:"from"`
	To           EventAmount    `json:"to"`
	Difference   EventAmount    `json:"difference"`
	Rate         string         `json:"rate"`
	RateBase     money.Currency `json:"rate_base"`
}

func newRateEvent(r *Rate) outbox.Event {
	return outbox.Event{Type: EventRateRecorded, ObjectType: "fx_rate", ObjectID: r.ID,
		Payload: RateEvent{RateID: r.ID, Base: r.Base, Quote: r.Quote, Rate: r.Rate.String()}}
}

func newConversionEvent(name string, c *Conversion) outbox.Event {
	return outbox.Event{Type: name, ObjectType: "fx_conversion", ObjectID: c.ID, AccountID: c.AccountID,
		Payload: ConversionEvent{ConversionID: c.ID, AccountID: c.AccountID, From: newEventAmount(c.From()), To: newEventAmount(c.To()),
			Difference: newEventAmount(c.Difference()), Rate: c.Rate.String(), RateBase: c.RateBase}}
}
