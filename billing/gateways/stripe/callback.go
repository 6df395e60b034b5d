package stripe

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/google/uuid"
	stripego "github.com/stripe/stripe-go/v76"

	"countersign/billing/gateways"
	"countersign/billing/money"
)

// SignatureHeader is where Stripe puts its signature: what gateways.Verify reads.
const SignatureHeader = "Stripe-Signature"

// event is as much of a webhook as is read. Accounts that were made lately send later versions of the API than the library
// knows, so nothing is demanded of the rest.
type event struct {
	ID       string             `json:"id"`
	Type     stripego.EventType `json:"type"`
	Livemode bool               `json:"livemode"`
	Data     struct {
		Object json.RawMessage `json:"object"`
	} `json:"data"`
}

// HandleCallback implements gateways.Gateway. Events that say nothing about money of a payment are taken and have no effect:
// Stripe would send them again for days.
func (g *Gateway) HandleCallback(_ context.Context, c gateways.Credentials, in gateways.Callback) (gateways.Message, error) {
	if err := gateways.Verify(c.Secrets[webhookField], in.Header.Get(SignatureHeader), in.Body, in.Arrived); err != nil {
		return gateways.Message{}, err
	}
	var e event
	if err := json.Unmarshal(in.Body, &e); err != nil {
		return gateways.Message{}, fmt.Errorf("%w: %w", gateways.ErrRefused, err)
	}
	switch {
	case e.ID == "" || e.Type == "":
		return gateways.Message{}, fmt.Errorf("%w: not an event", gateways.ErrRefused)
	case e.Livemode != (c.Mode == gateways.Live):
		return gateways.Message{}, fmt.Errorf("%w: the event is not one of %s mode", gateways.ErrRefused, c.Mode)
	}
	m := gateways.Message{ReplayKey: e.ID, Reference: e.ID, Answer: thank} // no payment has the reference of an event
	if err := e.read(&m); err != nil {
		return gateways.Message{}, err
	}
	return m, nil
}

// read says what the event means for a payment, if it is about one.
func (e event) read(m *gateways.Message) error {
	switch e.Type {
	case stripego.EventTypePaymentIntentSucceeded, stripego.EventTypePaymentIntentPaymentFailed, stripego.EventTypePaymentIntentCanceled, stripego.EventTypePaymentIntentProcessing,
		stripego.EventTypePaymentIntentAmountCapturableUpdated, stripego.EventTypePaymentIntentRequiresAction:
		return readObject(e, m, func(pi *stripego.PaymentIntent) (string, map[string]string, gateways.Result, error) {
			r, err := result(pi)
			return pi.ID, pi.Metadata, r, err
		})
	case stripego.EventTypeChargeRefunded:
		return readObject(e, m, func(ch *stripego.Charge) (string, map[string]string, gateways.Result, error) {
			r, err := refundedCharge(ch)
			return intentID(ch.PaymentIntent), ch.Metadata, r, err
		})
	case stripego.EventTypeChargeRefundUpdated, "refund.updated", "refund.failed":
		return readObject(e, m, func(re *stripego.Refund) (string, map[string]string, gateways.Result, error) {
			if re.Status != stripego.RefundStatusFailed && re.Status != stripego.RefundStatusCanceled {
				return "", nil, gateways.Result{}, nil
			}
			// money that had left comes back: there is no such step of a payment, so people look at it
			r := gateways.Result{State: gateways.StateRefundFailed, Details: map[string]any{"refund": re.ID, "refund_status": string(re.Status)},
				Failure: &gateways.Failure{Code: "refund_failed", Reason: string(re.FailureReason)}}
			if back, err := fromWire(re.Amount, string(re.Currency)); err == nil && back.IsPositive() { // they are told in any case
				r.Refunded = back
			}
			return intentID(re.PaymentIntent), re.Metadata, r, nil
		})
	}
	return nil
}

// readObject reads the object of an event into m: Stripe's id of the order, what we have noted of it there, and what is said.
// Without an id it is not about an order.
func readObject[T any](e event, m *gateways.Message, meaning func(*T) (string, map[string]string, gateways.Result, error)) error {
	object := new(T)
	if err := json.Unmarshal(e.Data.Object, object); err != nil {
		return fmt.Errorf("%w: event %s: %w", gateways.ErrRefused, e.ID, err)
	}
	intent, metadata, r, err := meaning(object)
	if err != nil {
		return fmt.Errorf("%w: event %s: %w", gateways.ErrRefused, e.ID, err)
	}
	if intent == "" {
		return nil
	}
	m.Reference, m.Result = intent, r
	m.Result.Reference = intent
	if id, err := uuid.Parse(metadata[orderKey]); err == nil {
		m.OrderID = id
	}
	return nil
}

func intentID(pi *stripego.PaymentIntent) string {
	if pi == nil {
		return ""
	}
	return pi.ID
}

// refundedCharge is what a charge says of which something was given back.
func refundedCharge(ch *stripego.Charge) (gateways.Result, error) {
	r := gateways.Result{State: gateways.StatePaid, Details: map[string]any{"charge": ch.ID}}
	switch {
	case ch.AmountRefunded > 0 && ch.AmountRefunded >= ch.AmountCaptured:
		r.State = gateways.StateRefunded
	case ch.AmountRefunded > 0:
		r.State = gateways.StatePartiallyRefunded
	}
	for _, amount := range []struct {
		to    *money.Money
		units int64
	}{{&r.Captured, ch.AmountCaptured}, {&r.Refunded, ch.AmountRefunded}} {
		var err error
		if *amount.to, err = fromWire(amount.units, string(ch.Currency)); err != nil {
			return gateways.Result{}, err
		}
	}
	return r, nil
}

// thank is what Stripe wants to read: any success, or it comes again.
func thank(taken error) gateways.Response {
	if taken != nil {
		return gateways.Response{Status: http.StatusServiceUnavailable, ContentType: "application/json", Body: []byte(`{"received":false}`)}
	}
	return gateways.Response{Status: http.StatusOK, ContentType: "application/json", Body: []byte(`{"received":true}`)}
}
