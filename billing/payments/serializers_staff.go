package payments

import (
	"cmp"
	"encoding/json"
	"strings"

	"countersign/billing/money"
	"countersign/billing/paymentmethods"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
)

// CreateRequest is the body of POST payments/: one command for all gateways (C-06, S0-80 to S0-82). What a gateway does not
// use, it refuses.
type CreateRequest struct {
	IdempotencyKey       string       `json:"idempotency_key"`           // or the header Idempotency-Key
	Gateway              string       `json:"gateway" validate:"max=40"` // or payment_method, where that names one
	PaymentMethod        string       `json:"payment_method" validate:"max=40"`
	Amount               web.Number   `json:"amount"`
	AmountMinor          *int64       `json:"amount_minor"`
	Currency             string       `json:"currency" validate:"required,len=3"`
	AccountID            string       `json:"account_id" validate:"max=100"`
	InvoiceID            string       `json:"invoice_id" validate:"max=100"`
	Reference            string       `json:"reference" validate:"max=120"` // of a receipt, a cheque or a transfer
	TransactionReference string       `json:"transaction_reference" validate:"max=120"`
	PaymentSource        string       `json:"payment_source" validate:"max=255"`
	Capture              *bool        `json:"capture"`
	Details              web.FreeForm `json:"details"`
	Notes                string       `json:"notes" validate:"max=1000"`
	PaidAt               string       `json:"paid_at" validate:"max=40"`
	Prepayment           bool         `json:"prepayment"`
	Force                bool         `json:"force"`
	AllowCredit          bool         `json:"allow_credit"` // what is above the invoice's balance is the customer's credit
}

// StepRequest is the body of POST payments/{id}/cancel/, release/ and complete/, which may be left out.
type StepRequest struct {
	Reason string `json:"reason" validate:"max=1000"`
}

// maxDetails is how many bytes of JSON somebody may give with a payment.
const maxDetails = 16 << 10

// check looks at what all gateways have in common.
func (req CreateRequest) check() error {
	if raw, err := json.Marshal(req.Details); err != nil || len(raw) > maxDetails {
		return paymentmethods.ErrDetailsTooLarge.With("limit", maxDetails).At("details")
	}
	return nil
}

// gateway is the gateway that the request names, or that serves its method.
func (req CreateRequest) gateway() (string, error) {
	method, err := paymentmethods.ParseMethod(req.PaymentMethod)
	if req.PaymentMethod != "" && err != nil {
		return "", errs.As(err).At("payment_method")
	}
	name := cmp.Or(strings.ToLower(req.Gateway), string(paymentmethods.GatewayOf(method)))
	if name == "" {
		return "", web.ErrRequired.At("gateway")
	}
	return name, nil
}

func (req CreateRequest) cash(once *idempotency.Once) (CashInput, error) {
	in := CashInput{Account: req.AccountID, Invoice: req.InvoiceID, Amount: amountOf("amount", req.Amount, req.AmountMinor), Reference: cmp.Or(req.Reference, req.TransactionReference),
		Details: req.Details, Notes: req.Notes, Prepayment: req.Prepayment, Force: req.Force, AllowCredit: req.AllowCredit, Once: once}
	var fields errs.Fields
	var err error
	if in.Currency, err = money.ParseCurrency(req.Currency); err != nil {
		fields.Add("currency", errs.As(err))
	}
	if in.Amount == nil {
		fields.Add("amount", web.ErrRequired)
	}
	if req.PaidAt != "" {
		if in.PaidAt, err = web.ParseInstant(req.PaidAt); err != nil {
			fields.Add("paid_at", errs.As(err))
		}
	}
	return in, fields.Err()
}

func (req CreateRequest) manual(once *idempotency.Once) (SubmitManualInput, error) {
	if req.Amount == "" && req.AmountMinor == nil {
		return SubmitManualInput{}, web.ErrRequired.At("amount")
	}
	if req.InvoiceID == "" {
		return SubmitManualInput{}, web.ErrRequired.At("invoice_id")
	}
	return SubmitManualRequest{InvoiceID: req.InvoiceID, PaymentMethod: cmp.Or(req.PaymentMethod, string(paymentmethods.BankTransfer)), TransactionReference: req.TransactionReference,
		Reference: req.Reference, Notes: req.Notes, Amount: req.Amount, AmountMinor: req.AmountMinor, Currency: req.Currency, PaidAt: req.PaidAt, Force: req.Force, Details: req.Details}.input(once)
}

func (req CreateRequest) charge(gateway string, once *idempotency.Once) (ChargeInput, error) {
	in, err := ChargeRequest{AmountMinor: req.AmountMinor, Amount: req.Amount, Currency: req.Currency, PaymentSource: req.PaymentSource, Gateway: gateway, Capture: req.Capture,
		InvoiceID: req.InvoiceID, AccountID: req.AccountID, Prepayment: req.Prepayment, Description: req.Notes, Force: req.Force, AllowCredit: req.AllowCredit}.input(once)
	in.Details = req.Details
	return in, err
}

// plain shows a payment that no provider is asked for, in the form of those that are.
func plain(r Response, test bool) ChargeResponse {
	return ChargeResponse{Response: r, AmountCents: r.AmountMinor, Lifecycle: lifecycle(&Payment{Status: Status(r.Status), SettlementStatus: r.SettlementStatus}), Test: test}
}
