package payments

import (
	"github.com/google/uuid"

	"countersign/billing/gateways"
	"countersign/billing/money"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
)

// ChargeRequest is the body of POST charges/ (seed 001). amount_cents, amount_minor and quantity are the same; amount is a decimal.
type ChargeRequest struct {
	IdempotencyKey string     `json:"idempotency_key" required:"true" description:"The header Idempotency-Key may stand for it."`
	AmountCents    *int64     `json:"amount_cents"`
	AmountMinor    *int64     `json:"amount_minor"`
	Quantity       *int64     `json:"quantity"`
	Amount         web.Number `json:"amount"`
	Currency       string     `json:"currency" validate:"required,len=3"`
	PaymentSource  string     `json:"payment_source" validate:"max=255"`
	ReturnURL      string     `json:"return_url"` // where the payer's browser comes back to, when his bank asks him
	Gateway        string     `json:"gateway" validate:"max=40"`
	Capture        *bool      `json:"capture"` // false: hold only; absent: true
	InvoiceID      string     `json:"invoice_id" validate:"max=100"`
	AccountID      string     `json:"account_id" validate:"max=100"`
	Prepayment     bool       `json:"prepayment"`
	Description    string     `json:"description" validate:"max=1000"`
	Force          bool       `json:"force"`
	AllowCredit    bool       `json:"allow_credit"`                                 // what is above the invoice's balance is the customer's credit
	RetryOf        string     `json:"retry_of,omitempty" validate:"omitempty,uuid"` // left out where there is none, so that older keys stand for the same request
}

func (req ChargeRequest) input(once *idempotency.Once) (ChargeInput, error) {
	in := ChargeInput{Account: req.AccountID, Invoice: req.InvoiceID, Source: req.PaymentSource, Gateway: req.Gateway, Hold: req.Capture != nil && !*req.Capture,
		ReturnURL: req.ReturnURL, Prepayment: req.Prepayment, Force: req.Force, AllowCredit: req.AllowCredit, Description: req.Description, Once: once}
	var fields errs.Fields
	var err error
	if in.Currency, err = money.ParseCurrency(req.Currency); err != nil {
		fields.Add("currency", errs.As(err))
	}
	if req.ReturnURL != "" && !gateways.IsReturnURL(req.ReturnURL) {
		fields.Add("return_url", ErrReturnURL)
	}
	in.RetryOf = retried(req.RetryOf, &fields)
	amount := req.amount()
	if amount.missing() {
		fields.Add("amount_cents", web.ErrRequired)
	}
	amount.check(&fields)
	in.Amount = amount.read()
	return in, fields.Err()
}

func (req ChargeRequest) amount() stated {
	return stated{req.Amount, req.AmountMinor, req.AmountCents, req.Quantity}
}

// CaptureRequest is the body of POST payments/{id}/capture/: an amount, or all that is held.
type CaptureRequest struct {
	IdempotencyKey string     `json:"idempotency_key"` // or the header Idempotency-Key
	Amount         web.Number `json:"amount"`
	AmountMinor    *int64     `json:"amount_minor"`
	AmountCents    *int64     `json:"amount_cents"`
	Quantity       *int64     `json:"quantity"`
}

func (req CaptureRequest) amount() stated {
	return stated{req.Amount, req.AmountMinor, req.AmountCents, req.Quantity}
}

func (req CaptureRequest) input(id uuid.UUID, once *idempotency.Once) (CaptureInput, error) {
	var fields errs.Fields
	req.amount().agree(&fields)
	return CaptureInput{ID: id, Amount: req.amount().read(), Once: once}, fields.Err()
}
