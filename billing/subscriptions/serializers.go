package subscriptions

import (
	"time"

	"github.com/google/uuid"

	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
)

// CreateRequest is the body of POST subscriptions/: a line for each month, and the saved method that pays it.
type CreateRequest struct {
	AccountID     string     `json:"account_id" validate:"required,max=100"`
	Description   string     `json:"description" validate:"required,max=400"`
	Quantity      web.Number `json:"quantity"` // absent: 1
	UnitPrice     web.Number `json:"unit_price" validate:"required"`
	TaxRate       web.Number `json:"tax_rate"` // a fraction: 0.15 is 15 %
	Credits       int64      `json:"credits" validate:"gte=0,lte=1000000000000"`
	Currency      string     `json:"currency" validate:"omitempty,len=3"`
	PaymentSource string     `json:"payment_source" validate:"required,uuid"` // the id of a saved method
	StartsOn      string     `json:"starts_on"`
}

func (req CreateRequest) input(once *idempotency.Once) (CreateInput, error) {
	in := CreateInput{Account: req.AccountID, Once: once,
		Line: invoices.LineInput{Description: req.Description, Quantity: string(req.Quantity), UnitPrice: string(req.UnitPrice), TaxRate: string(req.TaxRate), Credits: req.Credits}}
	if req.Quantity == "" {
		in.Line.Quantity = "1"
	}
	var fields errs.Fields
	var err error
	if in.PaymentSource, err = web.ParseID(req.PaymentSource); err != nil {
		fields.Add("payment_source", payments.ErrUnknownSource)
	}
	if req.Currency != "" {
		if in.Currency, err = money.ParseCurrency(req.Currency); err != nil {
			fields.Add("currency", errs.As(err))
		}
	}
	if req.StartsOn != "" {
		if in.StartsOn, err = web.ParseDate(req.StartsOn); err != nil {
			fields.Add("starts_on", errs.As(err))
		}
	}
	return in, fields.Err()
}

// CancelRequest is the body of POST subscriptions/{id}/cancel/.
type CancelRequest struct {
	Reason string `json:"reason" validate:"max=500"`
}

// Summary is a subscription as lists show it. amount is what a month comes to, with tax.
type Summary struct {
	ID            string  `json:"id"`
	AccountID     string  `json:"account_id"`
	Description   string  `json:"description"`
	Status        Status  `json:"status"`
	Quantity      string  `json:"quantity"`
	UnitPrice     string  `json:"unit_price"`
	TaxRate       string  `json:"tax_rate"`
	Credits       int64   `json:"credits"`
	Amount        string  `json:"amount"`
	AmountMinor   int64   `json:"amount_minor"`
	Currency      string  `json:"currency"`
	PaymentSource string  `json:"payment_source"`
	StartsOn      string  `json:"starts_on"`
	MonthsBilled  int     `json:"months_billed"`
	NextMonthOn   *string `json:"next_month_on"` // the first day of the month that is billed next; null: none is
	CancelledAt   *string `json:"cancelled_at"`
	CancelReason  string  `json:"cancel_reason"`
	CreatedAt     string  `json:"created_at"`
}

func newSummary(s *Subscription) Summary {
	sum := Summary{ID: s.ID.String(), AccountID: s.AccountID.String(), Description: s.Description, Status: s.Status, Quantity: s.Quantity.String(), UnitPrice: invoices.FormatUnitPrice(s.UnitPrice, s.Currency),
		TaxRate: s.TaxRate.String(), Credits: s.Credits, Amount: s.Amount().String(), AmountMinor: s.AmountMinor, Currency: string(s.Currency), PaymentSource: s.PaymentSource.String(),
		StartsOn: s.StartsOn.Format(time.DateOnly), MonthsBilled: s.MonthsBilled, CancelledAt: web.OptionalTime(s.CancelledAt), CancelReason: s.CancelReason, CreatedAt: web.Time(s.CreatedAt)}
	if s.Status == StatusActive {
		next := s.firstDay(s.MonthsBilled + 1).Format(time.DateOnly)
		sum.NextMonthOn = &next
	}
	return sum
}

// MonthResponse is a month that was billed. What became of the charge stands in the payment.
type MonthResponse struct {
	Month       int     `json:"month"` // from 1
	StartsOn    string  `json:"starts_on"`
	EndsOn      string  `json:"ends_on"`
	InvoiceID   string  `json:"invoice_id"`
	PaymentID   *string `json:"payment_id"`   // what the provider was asked for last; null: nothing
	FailureCode string  `json:"failure_code"` // why nothing was charged
	ChargeAt    *string `json:"charge_at"`    // when the provider is asked, or what became of it is looked at again; null: never
}

func newMonthResponse(m *Month) MonthResponse {
	res := MonthResponse{Month: m.Number, StartsOn: m.StartsOn.Format(time.DateOnly), EndsOn: m.EndsOn.Format(time.DateOnly), InvoiceID: m.InvoiceID.String(),
		FailureCode: m.FailureCode, ChargeAt: web.OptionalTime(m.ChargeAt)}
	if m.PaymentID != uuid.Nil {
		id := m.PaymentID.String()
		res.PaymentID = &id
	}
	return res
}

// Response is a subscription with its months, the newest first.
type Response struct {
	Summary
	Months []MonthResponse `json:"months"`
}

func newResponse(s *Subscription, months []*Month) Response {
	res := Response{Summary: newSummary(s), Months: make([]MonthResponse, len(months))}
	for i, m := range months {
		res.Months[i] = newMonthResponse(m)
	}
	return res
}
