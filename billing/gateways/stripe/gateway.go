// Package stripe charges cards through Stripe's PaymentIntents, with stripe-go and the API version that it pins. Each call
// is made with the tenant's own key; no key of the library's is ever set (W-14). Webhooks are believed when they are signed
// with the secret of the tenant's own endpoint.
package stripe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/paymentintent"
	"github.com/stripe/stripe-go/v76/paymentmethod"
	"github.com/stripe/stripe-go/v76/refund"

	"countersign/billing/gateways"
)

const (
	// Host is the only one that the adapter calls (S1-39).
	Host = "api.stripe.com"
	// URL is where its API is.
	URL = "https://" + Host

	keyField     = "secret_key"
	webhookField = "webhook_secret"
	// returnField is where payers' browsers come back to after their bank has asked them, unless the order says otherwise.
	returnField = "return_url"
	// orderKey is under which Stripe keeps our id of an order, so that it is found when its answer was lost.
	orderKey = "countersign_payment"
	// settled is after which time Stripe's search knows everything: it lags behind by a minute, and in bad times by more.
	settled = time.Hour
)

// Gateway is Stripe. It implements gateways.Gateway.
type Gateway struct {
	backend stripego.Backend
	now     func() time.Time
}

// New gives the adapter. client is what gateways.NewClient gives for the host of url.
func New(client *http.Client, url string, now func() time.Time) *Gateway {
	return &Gateway{now: now, backend: stripego.GetBackendWithConfig(stripego.APIBackend, &stripego.BackendConfig{HTTPClient: client, URL: stripego.String(url),
		MaxNetworkRetries: stripego.Int64(0), EnableTelemetry: stripego.Bool(false), LeveledLogger: &stripego.LeveledLogger{Level: stripego.LevelNull}})}
}

// Name implements gateways.Gateway.
func (g *Gateway) Name() string { return "stripe" }

// Capabilities implements gateways.Gateway.
func (g *Gateway) Capabilities() gateways.Capabilities {
	return gateways.Capabilities{Begin: true, Capture: true, PartCapture: true, Release: true, Refunds: gateways.RefundByAPI, PartRefund: true, FetchStatus: true,
		Callbacks: true, PublicKey: true, Modes: []gateways.Mode{gateways.Live, gateways.Test},
		Fields: []gateways.Field{
			{Name: keyField, Secret: true, Required: true, Check: isKey("sk_", "rk_")},
			{Name: webhookField, Secret: true, Check: func(_ gateways.Mode, v string) bool { return strings.HasPrefix(v, "whsec_") }},
			{Name: gateways.PublicKeyField, Check: isKey("pk_")},
			{Name: returnField, Check: func(_ gateways.Mode, v string) bool { return gateways.IsReturnURL(v) }},
		}}
}

// isKey checks the prefix of a key: it says what the key is for, and for which kind of money.
func isKey(kinds ...string) func(gateways.Mode, string) bool {
	return func(mode gateways.Mode, value string) bool {
		return slices.ContainsFunc(kinds, func(kind string) bool { return strings.HasPrefix(value, kind+string(mode)+"_") })
	}
}

// key gives the tenant's key. One for the other kind of money is found here, before any is moved.
func key(c gateways.Credentials) (string, error) {
	k := c.Secrets[keyField]
	if k == "" {
		return "", fmt.Errorf("%w: there is no secret key", gateways.ErrConfiguration)
	}
	if isTest := strings.HasPrefix(k, "sk_test_") || strings.HasPrefix(k, "rk_test_"); isTest != (c.Mode == gateways.Test) {
		return "", fmt.Errorf("%w: the secret key is not one for %s mode", gateways.ErrConfiguration, c.Mode)
	}
	return k, nil
}

// Begin implements gateways.Gateway. Source is a tok_ or a pm_; a token becomes a payment method first, under a key of its
// own.
func (g *Gateway) Begin(ctx context.Context, c gateways.Credentials, o gateways.Order) (gateways.Result, error) {
	k, err := key(c)
	if err != nil {
		return gateways.Result{}, err
	}
	amount, err := toWire(o.Amount)
	if err != nil {
		return gateways.Result{}, err
	}
	method := o.Source
	if strings.HasPrefix(method, "tok_") {
		made, err := (paymentmethod.Client{B: g.backend, Key: k}).New(&stripego.PaymentMethodParams{Params: params(ctx, o.ID.String()+"-method"),
			Type: stripego.String(string(stripego.PaymentMethodTypeCard)), Card: &stripego.PaymentMethodCardParams{Token: stripego.String(method)}})
		if err != nil {
			return refusal(err)
		}
		method = made.ID
	}
	p := &stripego.PaymentIntentParams{Params: params(ctx, o.ID.String()), Amount: stripego.Int64(amount), Currency: stripego.String(strings.ToLower(string(o.Amount.Currency))),
		CaptureMethod: stripego.String(string(stripego.PaymentIntentCaptureMethodAutomatic)), Confirm: stripego.Bool(true), PaymentMethod: stripego.String(method),
		PaymentMethodTypes: stripego.StringSlice([]string{string(stripego.PaymentMethodTypeCard)}), Metadata: map[string]string{orderKey: o.ID.String()}}
	p.AddExpand("latest_charge")
	if o.Hold {
		p.CaptureMethod = stripego.String(string(stripego.PaymentIntentCaptureMethodManual))
	}
	if o.Customer != "" {
		p.Customer = stripego.String(o.Customer)
	}
	if o.Description != "" {
		p.Description = stripego.String(o.Description)
	}
	if url := cmp.Or(o.ReturnURL, c.Settings[returnField]); url != "" {
		p.ReturnURL = stripego.String(url)
	}
	pi, err := (paymentintent.Client{B: g.backend, Key: k}).New(p)
	if err != nil {
		return refusal(err)
	}
	return result(pi)
}

// params are what every POST carries.
func params(ctx context.Context, key string) stripego.Params {
	return stripego.Params{Context: ctx, IdempotencyKey: stripego.String("countersign-" + key)}
}

// Capture implements gateways.Gateway. What is not captured is released.
func (g *Gateway) Capture(ctx context.Context, c gateways.Credentials, o gateways.Operation) (gateways.Result, error) {
	k, err := key(c)
	if err != nil {
		return gateways.Result{}, err
	}
	amount, err := toWire(o.Amount)
	if err != nil {
		return gateways.Result{}, err
	}
	id, err := g.intent(ctx, c, o)
	if err != nil {
		return gateways.Result{}, err
	}
	p := &stripego.PaymentIntentCaptureParams{Params: params(ctx, "capture-"+o.Key), AmountToCapture: stripego.Int64(amount)}
	p.AddExpand("latest_charge")
	pi, err := (paymentintent.Client{B: g.backend, Key: k}).Capture(id, p)
	if err != nil {
		return gateways.Result{}, failure(err)
	}
	return result(pi)
}

// Release implements gateways.Gateway.
func (g *Gateway) Release(ctx context.Context, c gateways.Credentials, o gateways.Operation) (gateways.Result, error) {
	k, err := key(c)
	if err != nil {
		return gateways.Result{}, err
	}
	id, err := g.intent(ctx, c, o)
	if err != nil {
		return gateways.Result{}, err
	}
	p := &stripego.PaymentIntentCancelParams{Params: params(ctx, "release-"+o.Key)}
	p.AddExpand("latest_charge")
	pi, err := (paymentintent.Client{B: g.backend, Key: k}).Cancel(id, p)
	if err != nil {
		return gateways.Result{}, failure(err)
	}
	return result(pi)
}

// Refund implements gateways.Gateway. A refund that Stripe has accepted and not paid out yet counts as given back; should it
// fail later, a webhook says so.
func (g *Gateway) Refund(ctx context.Context, c gateways.Credentials, o gateways.Operation) (gateways.Result, error) {
	k, err := key(c)
	if err != nil {
		return gateways.Result{}, err
	}
	amount, err := toWire(o.Amount)
	if err != nil {
		return gateways.Result{}, err
	}
	id, err := g.intent(ctx, c, o)
	if err != nil {
		return gateways.Result{}, err
	}
	p := &stripego.RefundParams{Params: params(ctx, "refund-"+o.Key), PaymentIntent: stripego.String(id), Amount: stripego.Int64(amount),
		Metadata: map[string]string{orderKey: o.OrderID.String()}}
	if reasons[stripego.RefundReason(o.Reason)] {
		p.Reason = stripego.String(o.Reason)
	}
	p.AddExpand("payment_intent.latest_charge")
	re, err := (refund.Client{B: g.backend, Key: k}).New(p)
	switch {
	case err != nil:
		return gateways.Result{}, failure(err)
	case re.Status == stripego.RefundStatusFailed || re.Status == stripego.RefundStatusCanceled:
		return gateways.Result{}, fmt.Errorf("%w: the refund is %s, %s", gateways.ErrRefused, re.Status, re.FailureReason)
	}
	r, err := g.refunded(ctx, c, re, o.OrderID)
	if err != nil { // money has moved, so this is no failure of the refund
		return gateways.Result{}, fmt.Errorf("%w: refund %s is made: %w", gateways.ErrUnknown, re.ID, err)
	}
	r.Details["refund"], r.Details["refund_status"] = re.ID, string(re.Status)
	return r, nil
}

// refunded is where the order stands after a refund. The answer holds it when Stripe has expanded it.
func (g *Gateway) refunded(ctx context.Context, c gateways.Credentials, re *stripego.Refund, order uuid.UUID) (gateways.Result, error) {
	if pi := re.PaymentIntent; pi != nil && pi.Currency != "" && pi.LatestCharge != nil && pi.LatestCharge.Currency != "" {
		return result(pi)
	}
	if re.PaymentIntent == nil {
		return gateways.Result{}, errors.New("the answer names no payment intent")
	}
	return g.FetchStatus(ctx, c, gateways.Query{OrderID: order, Reference: re.PaymentIntent.ID})
}

// reasons are the only ones that Stripe knows.
var reasons = map[stripego.RefundReason]bool{stripego.RefundReasonDuplicate: true, stripego.RefundReasonFraudulent: true, stripego.RefundReasonRequestedByCustomer: true}

// FetchStatus implements gateways.Gateway. Without a reference the order is searched for by our id. Stripe's search lags
// behind, so a young order that it does not find is unknown, and not one that Stripe has never heard of.
func (g *Gateway) FetchStatus(ctx context.Context, c gateways.Credentials, q gateways.Query) (gateways.Result, error) {
	k, err := key(c)
	if err != nil {
		return gateways.Result{}, err
	}
	intents := paymentintent.Client{B: g.backend, Key: k}
	if q.Reference != "" {
		p := &stripego.PaymentIntentParams{Params: stripego.Params{Context: ctx}}
		p.AddExpand("latest_charge")
		pi, err := intents.Get(q.Reference, p)
		if err != nil {
			return gateways.Result{}, failure(err)
		}
		return result(pi)
	}
	p := &stripego.PaymentIntentSearchParams{SearchParams: stripego.SearchParams{Context: ctx, Limit: stripego.Int64(1), Single: true,
		Query: "metadata['" + orderKey + "']:'" + q.OrderID.String() + "'"}}
	p.AddExpand("data.latest_charge")
	found := intents.Search(p)
	if found.Next() {
		return result(found.PaymentIntent())
	}
	if err := found.Err(); err != nil {
		return gateways.Result{}, failure(err)
	}
	if age, known := ageOf(q.OrderID, g.now()); known && age < settled {
		return gateways.Result{State: gateways.StateUnknown}, nil
	}
	return gateways.Result{State: gateways.StateNone}, nil
}

// ageOf reads how old an order is from its id, which is of version 7.
func ageOf(id uuid.UUID, now time.Time) (time.Duration, bool) {
	if id.Version() != 7 {
		return 0, false
	}
	seconds, nanos := id.Time().UnixTime()
	return now.Sub(time.Unix(seconds, nanos)), true
}

// intent is Stripe's id of the order of an operation.
func (g *Gateway) intent(ctx context.Context, c gateways.Credentials, o gateways.Operation) (string, error) {
	if o.Key == "" {
		return "", fmt.Errorf("%w: an idempotency key is needed", gateways.ErrRefused)
	}
	if o.Reference != "" {
		return o.Reference, nil
	}
	r, err := g.FetchStatus(ctx, c, gateways.Query{OrderID: o.OrderID})
	switch {
	case err != nil:
		return "", err
	case r.State == gateways.StateUnknown:
		return "", fmt.Errorf("%w: Stripe does not find the order yet", gateways.ErrTransient)
	case r.Reference == "":
		return "", fmt.Errorf("%w: there is no such order", gateways.ErrRefused)
	}
	return r.Reference, nil
}
