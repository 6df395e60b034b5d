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
	AmountCents          *int64       `json:"amount_cents"`
	Quantity             *int64       `json:"quantity"`
	Currency             string       `json:"currency" validate:"required,len=3"`
	AccountID            string       `json:"account_id" validate:"max=100"`
	InvoiceID            string       `json:"invoice_id" validate:"max=100"`
	Reference            string       `json:"reference" validate:"max=120"` // of a receipt, a cheque or a transfer
	TransactionReference string       `json:"transaction_reference" validate:"max=120"`
	PaymentSource        string       `json:"payment_source" validate:"max=255"`
	ReturnURL            string       `json:"return_url"` // where the payer's browser comes back to, when his bank asks him
	Capture              *bool        `json:"capture"`
	Details              web.FreeForm `json:"details"`
	Notes                string       `json:"notes" validate:"max=1000"`
	PaidAt               string       `json:"paid_at" validate:"max=40"`
	Prepayment           bool         `json:"prepayment"`
	Force                bool         `json:"force"`
	AllowCredit          bool         `json:"allow_credit"`                                 // what is above the invoice's balance is the customer's credit
	RetryOf              string       `json:"retry_of,omitempty" validate:"omitempty,uuid"` // left out where there is none, so that older keys stand for the same request
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

// gateway is the gateway that the request names, or that serves its method, and the method, which may be empty.
func (req CreateRequest) gateway() (string, paymentmethods.Method, error) {
	method, err := paymentmethods.ParseMethod(req.PaymentMethod) // an empty one is none
	if req.PaymentMethod != "" && err != nil {
		return "", "", errs.As(err).At("payment_method")
	}
	name := cmp.Or(strings.ToLower(req.Gateway), string(paymentmethods.GatewayOf(method)))
	if name == "" {
		return "", "", web.ErrRequired.At("gateway")
	}
	return name, method, nil
}

// fits blames what the gateway would not use: whoever sends it believes that it has an effect.
func (req CreateRequest) fits(gateway string, method paymentmethods.Method) error {
	cash, manual := gateway == string(paymentmethods.GatewayCash), gateway == string(paymentmethods.GatewayManual)
	provider := !cash && !manual
	var fields errs.Fields
	for name, unused := range map[string]bool{
		"reference": provider && req.Reference != "", "transaction_reference": provider && req.TransactionReference != "", "paid_at": provider && req.PaidAt != "",
		"payment_source": !provider && req.PaymentSource != "", "capture": !provider && req.Capture != nil, "return_url": !provider && req.ReturnURL != "",
		"prepayment": manual && req.Prepayment, "allow_credit": manual && req.AllowCredit,
	} {
		if unused {
			fields.Add(name, ErrNotUsed.With("gateway", gateway))
		}
	}
	switch {
	case method == "" || manual && method.IsManual():
	case manual:
		fields.Add("payment_method", ErrNotManual)
	case method != methodOf(gateway):
		fields.Add("payment_method", ErrOtherMethod.With("gateway", gateway).With("method", methodOf(gateway)))
	}
	return fields.Err()
}

func (req CreateRequest) amount() stated {
	return stated{req.Amount, req.AmountMinor, req.AmountCents, req.Quantity}
}

func (req CreateRequest) cash(once *idempotency.Once) (CashInput, error) {
	in := CashInput{Account: req.AccountID, Invoice: req.InvoiceID, Amount: req.amount().read(), Reference: cmp.Or(req.Reference, req.TransactionReference),
		Details: req.Details, Notes: req.Notes, Prepayment: req.Prepayment, Force: req.Force, AllowCredit: req.AllowCredit, Once: once}
	var fields errs.Fields
	var err error
	if in.Currency, err = money.ParseCurrency(req.Currency); err != nil {
		fields.Add("currency", errs.As(err))
	}
	if in.Amount == nil {
		fields.Add("amount", web.ErrRequired)
	}
	req.amount().agree(&fields)
	if req.Reference != "" && req.TransactionReference != "" && req.Reference != req.TransactionReference {
		fields.Add("reference", ErrReferencesDiffer)
	}
	if req.PaidAt != "" {
		if in.PaidAt, err = web.ParseInstant(req.PaidAt); err != nil {
			fields.Add("paid_at", errs.As(err))
		}
	}
	in.RetryOf = retried(req.RetryOf, &fields)
	return in, fields.Err()
}

func (req CreateRequest) manual(once *idempotency.Once) (SubmitManualInput, error) {
	if req.amount().missing() {
		return SubmitManualInput{}, web.ErrRequired.At("amount")
	}
	var fields errs.Fields
	if req.amount().agree(&fields); fields.Err() != nil {
		return SubmitManualInput{}, fields.Err()
	}
	if req.InvoiceID == "" {
		return SubmitManualInput{}, web.ErrRequired.At("invoice_id")
	}
	in, err := SubmitManualRequest{InvoiceID: req.InvoiceID, PaymentMethod: cmp.Or(req.PaymentMethod, string(paymentmethods.BankTransfer)), TransactionReference: req.TransactionReference,
		Reference: req.Reference, Notes: req.Notes, Currency: req.Currency, PaidAt: req.PaidAt, RetryOf: req.RetryOf, Force: req.Force, Details: req.Details}.input(once)
	in.Amount = req.amount().read()
	return in, err
}

func (req CreateRequest) charge(gateway string, once *idempotency.Once) (ChargeInput, error) {
	in, err := ChargeRequest{AmountMinor: req.AmountMinor, AmountCents: req.AmountCents, Quantity: req.Quantity, Amount: req.Amount, Currency: req.Currency, PaymentSource: req.PaymentSource, ReturnURL: req.ReturnURL, Gateway: gateway, Capture: req.Capture,
		InvoiceID: req.InvoiceID, AccountID: req.AccountID, Prepayment: req.Prepayment, Description: req.Notes, Force: req.Force, AllowCredit: req.AllowCredit, RetryOf: req.RetryOf}.input(once)
	in.Details = req.Details
	return in, err
}

// plain shows a payment that no provider is asked for, in the form of those that are.
func plain(r Response, test bool) ChargeResponse {
	return ChargeResponse{Response: r, AmountCents: r.AmountMinor, Lifecycle: lifecycle(&Payment{Status: Status(r.Status), SettlementStatus: r.SettlementStatus}), Test: test}
}
