package stripe

import (
	"errors"
	"fmt"
	"net/http"

	stripego "github.com/stripe/stripe-go/v76"

	"countersign/billing/gateways"
	"countersign/billing/money"
)

// result is what a payment intent says, in our words. Amounts that were refunded stand in its charge, which is expanded.
func result(pi *stripego.PaymentIntent) (gateways.Result, error) {
	if pi == nil {
		return gateways.Result{}, fmt.Errorf("%w: the answer holds no payment intent", gateways.ErrUnknown)
	}
	var refunded int64
	r := gateways.Result{Reference: pi.ID, Details: map[string]any{"payment_intent": pi.ID}}
	if pi.LatestCharge != nil && pi.LatestCharge.ID != "" {
		r.Details["charge"], refunded = pi.LatestCharge.ID, pi.LatestCharge.AmountRefunded
	}
	var authorised int64
	switch pi.Status {
	case stripego.PaymentIntentStatusSucceeded:
		r.State, authorised = gateways.StatePaid, pi.Amount
		if refunded > 0 {
			r.State = gateways.StatePartiallyRefunded
		}
		if refunded > 0 && refunded >= pi.AmountReceived {
			r.State = gateways.StateRefunded
		}
	case stripego.PaymentIntentStatusRequiresCapture:
		r.State, authorised = gateways.StateAuthorised, pi.AmountCapturable
	case stripego.PaymentIntentStatusProcessing:
		r.State = gateways.StateProcessing
	case stripego.PaymentIntentStatusCanceled:
		r.State = gateways.StateCancelled
	case stripego.PaymentIntentStatusRequiresAction, stripego.PaymentIntentStatusRequiresConfirmation:
		r.State, r.Redirect = gateways.StateAwaitingCustomer, redirect(pi.NextAction)
	case stripego.PaymentIntentStatusRequiresPaymentMethod:
		r.State = gateways.StateAwaitingCustomer
		if pi.LastPaymentError != nil {
			r.State, r.Failure = gateways.StateFailed, declined(pi.LastPaymentError)
		}
	default:
		r.State = gateways.StateUnknown
	}
	for _, amount := range []struct {
		to    *money.Money
		units int64
	}{{&r.Authorised, authorised}, {&r.Captured, pi.AmountReceived}, {&r.Refunded, refunded}} {
		var err error
		if *amount.to, err = fromWire(amount.units, string(pi.Currency)); err != nil {
			return gateways.Result{}, fmt.Errorf("%w: %w", gateways.ErrUnknown, err)
		}
	}
	return r, nil
}

func redirect(next *stripego.PaymentIntentNextAction) *gateways.Redirect {
	if next == nil || next.RedirectToURL == nil {
		return nil
	}
	return &gateways.Redirect{URL: next.RedirectToURL.URL, Method: http.MethodGet}
}

// declined is why a payer was refused, in our words where we have one.
func declined(e *stripego.Error) *gateways.Failure {
	f := &gateways.Failure{Code: "card_declined", Reason: e.Msg}
	switch {
	case e.DeclineCode == stripego.DeclineCodeInsufficientFunds:
		f.Code = "insufficient_funds"
	case e.Code == stripego.ErrorCodeExpiredCard || e.DeclineCode == stripego.DeclineCodeExpiredCard:
		f.Code = "expired_card"
	}
	return f
}

// refusal turns a payer who is declined, and a token that does not exist, into a result; everything else stays an error.
func refusal(err error) (gateways.Result, error) {
	e, ok := errors.AsType[*stripego.Error](err)
	switch {
	case ok && e.Type == stripego.ErrorTypeCard:
		r := gateways.Result{State: gateways.StateFailed, Failure: declined(e), Details: map[string]any{"decline_code": string(e.DeclineCode), "stripe_code": string(e.Code)}}
		if e.PaymentIntent != nil {
			r.Reference, r.Details["payment_intent"] = e.PaymentIntent.ID, e.PaymentIntent.ID
		}
		return r, nil
	case ok && e.Code == stripego.ErrorCodeResourceMissing && (e.Param == "payment_method" || e.Param == "card[token]"):
		return gateways.Result{State: gateways.StateFailed, Failure: &gateways.Failure{Code: "invalid_token", Reason: e.Msg}}, nil
	}
	return gateways.Result{}, failure(err)
}

// failure says what an error means for the money. The library's own text holds the whole answer, secrets of the intent
// included, so only codes are taken from it.
func failure(err error) error {
	if errors.Is(err, gateways.ErrTransient) || errors.Is(err, gateways.ErrUnknown) {
		return err
	}
	e, ok := errors.AsType[*stripego.Error](err)
	if !ok {
		return fmt.Errorf("%w: %w", gateways.ErrUnknown, err)
	}
	kind := gateways.ErrRefused
	switch status := e.HTTPStatusCode; {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		kind = gateways.ErrConfiguration
	case status == http.StatusTooManyRequests:
		kind = gateways.ErrTransient
	case status == http.StatusConflict || status >= 500: // another request under the key is under way; or it broke in the middle
		kind = gateways.ErrUnknown
	}
	return fmt.Errorf("%w: Stripe answered %d, %s %s %s, to request %s", kind, e.HTTPStatusCode, e.Type, e.Code, e.DeclineCode, e.RequestID)
}
