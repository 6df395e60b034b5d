// Package integrator lets a tenant connect a processor of his own by configuration, without a change of this program
// (S0-11, S0-42 to S0-44). The tenant registers it under a name, with a shared secret and a map from its error codes to
// ours; he takes the payer there himself, and his processor tells us with a signed callback what became of the payment.
package integrator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"countersign/billing/gateways"
	"countersign/billing/money"
)

const (
	// SignatureHeader holds what gateways.Sign gives for the body, under the shared secret.
	SignatureHeader = "Countersign-Signature"
	secretField     = "shared_secret"
	minSecret       = 16 // characters
	maxText         = 500
)

// Gateway is every integrator of every tenant.
type Gateway struct{ gateways.Unsupported }

// New gives the gateway.
func New() *Gateway { return &Gateway{} }

// Name implements gateways.Gateway.
func (g *Gateway) Name() string { return "integrator" }

// Capabilities implements gateways.Gateway. Refunds happen at the processor, and somebody gives us their reference.
func (g *Gateway) Capabilities() gateways.Capabilities {
	return gateways.Capabilities{Begin: true, Refunds: gateways.RefundByHand, PartRefund: true, Callbacks: true, Named: true,
		Modes:  []gateways.Mode{gateways.Live, gateways.Test},
		Fields: []gateways.Field{{Name: secretField, Secret: true, Required: true, Check: func(_ gateways.Mode, value string) bool { return len(value) >= minSecret }}}}
}

// Begin asks nobody: the payment waits for the processor's callback.
func (g *Gateway) Begin(context.Context, gateways.Credentials, gateways.Order) (gateways.Result, error) {
	return gateways.Result{State: gateways.StateAwaitingCustomer}, nil
}

// notice is the body of a callback. The payment is named by our id, or by the reference under which the processor knows
// it. An amount is compared with ours when it is told.
type notice struct {
	ID          string          `json:"id"` // of the message; without one, equal bodies are one message
	PaymentID   string          `json:"payment_id"`
	Reference   string          `json:"reference"`
	Status      string          `json:"status"`
	AmountMinor *int64          `json:"amount_minor"`
	Currency    string          `json:"currency"`
	ErrorCode   code            `json:"error_code"`
	ErrorNote   string          `json:"error_note"`
	Data        json.RawMessage `json:"data"`
}

// code is a processor's error code: a text, or a number, which is kept as it is written (S0-43).
type code string

// UnmarshalJSON implements json.Unmarshaler.
func (c *code) UnmarshalJSON(raw []byte) error {
	var number json.Number
	if err := json.Unmarshal(raw, &number); err == nil && raw[0] != '"' {
		*c = code(number)
		return nil
	}
	return json.Unmarshal(raw, (*string)(c))
}

// states are the words that a processor may use.
var states = map[string]gateways.State{
	"pending": gateways.StateAwaitingCustomer, "processing": gateways.StateProcessing,
	"succeeded": gateways.StatePaid, "paid": gateways.StatePaid, "completed": gateways.StatePaid,
	"failed": gateways.StateFailed, "cancelled": gateways.StateCancelled, "canceled": gateways.StateCancelled, "expired": gateways.StateExpired,
}

// HandleCallback implements gateways.Gateway. What is signed and makes no sense is gateways.ErrRefused.
func (g *Gateway) HandleCallback(_ context.Context, c gateways.Credentials, in gateways.Callback) (gateways.Message, error) {
	if err := gateways.Verify(c.Secrets[secretField], in.Header.Get(SignatureHeader), in.Body, in.Arrived); err != nil {
		return gateways.Message{}, err
	}
	var n notice
	dec := json.NewDecoder(bytes.NewReader(in.Body))
	if err := dec.Decode(&n); err != nil {
		return gateways.Message{}, fmt.Errorf("%w: not a JSON object: %w", gateways.ErrRefused, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return gateways.Message{}, fmt.Errorf("%w: something follows the JSON object", gateways.ErrRefused)
	}
	result, err := n.result(c.ErrorMap)
	if err != nil {
		return gateways.Message{}, err
	}
	m := gateways.Message{ReplayKey: n.replayKey(in.Body), Reference: n.Reference, Result: result, Answer: answer}
	if n.PaymentID != "" {
		if m.OrderID, err = uuid.Parse(n.PaymentID); err != nil {
			return gateways.Message{}, fmt.Errorf("%w: payment_id is no id", gateways.ErrRefused)
		}
	}
	if m.OrderID == uuid.Nil && m.Reference == "" {
		return gateways.Message{}, fmt.Errorf("%w: neither payment_id nor reference", gateways.ErrRefused)
	}
	return m, nil
}

func (n notice) replayKey(body []byte) string {
	if n.ID != "" && len(n.ID) <= 100 {
		return "id:" + n.ID
	}
	sum := sha256.Sum256(body)
	return "body:" + hex.EncodeToString(sum[:])
}

// result is what the notice says, with the processor's error in our words where the tenant has given one.
func (n notice) result(errorMap map[string]string) (gateways.Result, error) {
	state, known := states[strings.ToLower(n.Status)]
	if !known {
		return gateways.Result{}, fmt.Errorf("%w: unknown status", gateways.ErrRefused)
	}
	if max(len(n.Reference), len(n.ErrorCode), len(n.ErrorNote)) > maxText {
		return gateways.Result{}, fmt.Errorf("%w: reference, error_code and error_note have up to %d bytes", gateways.ErrRefused, maxText)
	}
	r := gateways.Result{State: state, Reference: n.Reference, Details: map[string]any{}}
	if n.AmountMinor != nil || n.Currency != "" {
		currency, err := money.ParseCurrency(n.Currency)
		if err != nil || n.AmountMinor == nil || *n.AmountMinor < 0 {
			return gateways.Result{}, fmt.Errorf("%w: amount_minor and currency belong together", gateways.ErrRefused)
		}
		if state == gateways.StatePaid {
			r.Captured = money.New(*n.AmountMinor, currency)
		}
	}
	for name, text := range map[string]string{"error_code": string(n.ErrorCode), "error_note": n.ErrorNote} {
		if text != "" {
			r.Details[name] = text
		}
	}
	if len(n.Data) > 0 && string(n.Data) != "null" {
		r.Details["data"] = n.Data
	}
	if state == gateways.StateFailed {
		r.Failure = &gateways.Failure{Code: string(n.ErrorCode), Reason: n.ErrorNote}
		if ours := errorMap[string(n.ErrorCode)]; ours != "" {
			r.Failure.Code = ours
		}
		if r.Failure.Code == "" {
			r.Failure.Code = "declined"
		}
	}
	return r, nil
}

// answer tells the processor to send again what could not be taken.
func answer(taken error) gateways.Response {
	if taken != nil {
		return gateways.Response{Status: http.StatusServiceUnavailable, ContentType: "application/json", Body: []byte(`{"received":false}`)}
	}
	return gateways.Response{Status: http.StatusOK, ContentType: "application/json", Body: []byte(`{"received":true}`)}
}
