package payments

import (
	"context"
	"net/http"

	"github.com/uptrace/bun"

	"countersign/billing/gateways"
	"countersign/billing/invoices"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/tenancy"
)

// ChargeResponse is a payment at a provider, as whoever asks for it sees it (S1-21).
type ChargeResponse struct {
	Response
	AmountCents  int64       `json:"amount_cents"` // the same as amount_minor, under seed 001's name
	Lifecycle    string      `json:"lifecycle"`
	ProviderCode *string     `json:"provider_code"` // of a failure, as the provider says it
	NextAction   *NextAction `json:"next_action"`   // what the payer must do; null: nothing
	Test         bool        `json:"test"`          // no real money
}

// NextAction sends the payer's browser somewhere (S0-27).
type NextAction struct {
	Type        string            `json:"type"`
	RedirectURL string            `json:"redirect_url"`
	Method      string            `json:"method"`
	Form        map[string]string `json:"form,omitempty"` // fields of a POST
}

func nextAction(p *Payment, r *gateways.Redirect) *NextAction {
	if r == nil || p.Status != StatusPending {
		return nil
	}
	return &NextAction{Type: "redirect", RedirectURL: r.URL, Method: r.Method, Form: r.Form}
}

// Reply is the answer to a request that asks a provider for something, as it is stored under the request's key.
type Reply struct {
	HTTP   int            `json:"http"`
	Code   string         `json:"code,omitempty"` // of a refusal
	Charge ChargeResponse `json:"charge"`
}

// answer stores the answers to the requests whose outcome is known by now, whoever has brought it, and gives the one to the
// operation that is under way, or else to the request that began the payment. definite says that the provider has taken
// notice of the operation, refused that it has refused it.
func (s *Service) answer(ctx context.Context, tx bun.Tx, p locked, o *order, refused string, definite bool) (Reply, error) {
	t, err := tenancy.Current(ctx, tx)
	if err != nil {
		return Reply{}, err
	}
	invs, err := invoices.ByIDs(ctx, tx, p.InvoiceID)
	if err != nil {
		return Reply{}, err
	}
	charge := ChargeResponse{Response: newResponse(p.Payment, invs[p.InvoiceID]), AmountCents: p.AmountMinor, Lifecycle: lifecycle(p.Payment),
		NextAction: nextAction(p.Payment, o.Redirect), Test: t.TestMode}
	if code := DeclinedAs(p.Payment).Code; p.Status == StatusFailed && code != p.FailureCode {
		charge.ProviderCode = optional(p.FailureCode)
	}
	begun := Reply{HTTP: http.StatusCreated, Charge: charge}
	switch p.Status {
	case StatusCreated, StatusProcessing:
		begun.HTTP = http.StatusAccepted
	case StatusFailed:
		e := DeclinedAs(p.Payment)
		begun.HTTP, begun.Code = httpOf(e), e.Code
	}
	if begun.HTTP != http.StatusAccepted {
		if err := idempotency.Finish(ctx, p.ID, begun); err != nil {
			return Reply{}, err
		}
	}
	if o.Operation == noOperation || o.Operation == opBegin {
		if definite || refused != "" || p.Status != StatusCreated && p.Status != StatusProcessing {
			o.end()
		}
		return begun, nil
	}
	done := Reply{HTTP: http.StatusOK, Charge: charge}
	switch {
	case refused != "":
		done.HTTP, done.Code = httpOf(refusalOf(refused)), refused
	case p.Status == StatusAuthorized, p.Status == StatusProcessing, p.Status == StatusPending, p.Status == StatusCreated:
		done.HTTP = http.StatusAccepted
		return done, nil
	case o.Operation == opCapture && p.Status != StatusSucceeded, o.Operation == opRelease && p.Status == StatusSucceeded:
		done.HTTP, done.Code = http.StatusConflict, ErrIllegalTransition.Code
	}
	subject := o.OperationID
	o.end()
	return done, idempotency.Finish(ctx, subject, done)
}

// codeDeclined is what a failure is called for which neither the provider nor we have a better word.
const codeDeclined = "payment_declined"

// declines are the failures that have an error of their own.
var declines = []*errs.Error{ErrCardDeclined, ErrInsufficientFunds, ErrExpiredCard, ErrInvalidSource, ErrGatewayRefused, ErrNeverReached, ErrIllegalTransition}

// DeclinedAs gives the error for a payment that has failed at its provider.
func DeclinedAs(p *Payment) *errs.Error { return refusalOf(p.FailureCode) }

func refusalOf(code string) *errs.Error {
	if code == "invalid_token" { // of the provider, not of who signs in with us
		return ErrInvalidSource
	}
	for _, e := range declines {
		if e.Code == code {
			return e
		}
	}
	return ErrPaymentDeclined
}

func httpOf(e *errs.Error) int {
	switch e.Kind {
	case errs.KindBadGateway:
		return http.StatusBadGateway
	case errs.KindConflict:
		return http.StatusConflict
	default:
		return http.StatusPaymentRequired
	}
}

// write writes the reply: a refusal carries the payment all the same.
func (reply Reply) write(w http.ResponseWriter, once *idempotency.Once) error {
	if reply.Code == "" {
		return once.Answer(w, reply.HTTP, reply.Charge, "")
	}
	once.Mark(w)
	return refusalOf(reply.Code).Carry(reply.Charge)
}
