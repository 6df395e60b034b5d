package stripe_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stripe/stripe-go/v76/webhook"

	"countersign/billing/gateways"
	"countersign/billing/gateways/gatewaystest"
	"countersign/billing/gateways/stripe"
)

const webhookSecret = "whsec_countersign_test_0001"

// signed is a webhook as Stripe's own library signs it.
func signed(body string, at time.Time) gateways.Callback {
	p := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(body), Secret: webhookSecret, Timestamp: at})
	return gateways.Callback{Method: http.MethodPost, Header: http.Header{stripe.SignatureHeader: {p.Header}}, Body: p.Payload, Arrived: at}
}

// told is an event about an object.
func told(id, kind, object string) string {
	return fmt.Sprintf(`{"id":%q,"object":"event","api_version":"2025-01-01.acacia","livemode":false,"type":%q,"data":{"object":%s}}`, id, kind, object)
}

// intent is a payment intent of an order, as webhooks show it: the charge is not expanded.
func intent(id, status string, order uuid.UUID, amount, received int64) string {
	return fmt.Sprintf(`{"id":%q,"object":"payment_intent","amount":%d,"amount_capturable":%d,"amount_received":%d,"currency":"usd","status":%q,"latest_charge":"ch_1","metadata":{"countersign_payment":%q}}`,
		id, amount, amount-received, received, status, order)
}

// charge is the charge of an intent, of which something was given back.
func charge(intent string, order uuid.UUID, captured, refunded int64) string {
	return fmt.Sprintf(`{"id":"ch_1","object":"charge","amount":%d,"amount_captured":%d,"amount_refunded":%d,"currency":"usd","payment_intent":%q,"metadata":{"countersign_payment":%q}}`,
		captured, captured, refunded, intent, order)
}

// paid is a genuine webhook about an order that is paid.
func paid(_ testing.TB, o gateways.Order, at time.Time) gateways.Callback {
	return signed(told("evt_"+o.ID.String(), "payment_intent.succeeded", intent("pi_"+o.ID.String(), "succeeded", o.ID, o.Amount.Minor, o.Amount.Minor)), at)
}

// TestSignature takes the vector that was made with another program, and what Stripe does when a secret is changed.
func TestSignature(t *testing.T) {
	t.Parallel()
	const body = `{"id":"evt_1CountersignTest","object":"event","api_version":"2023-10-16","created":1773480413,"type":"checkout.session.completed","data":{"object":{"id":"cs_test_a1","object":"checkout.session","client_reference_id":"inv_01HZX3","payment_status":"paid","amount_total":1250,"currency":"usd"}}}`
	const right = "v1=f87261d20b13641af5acc6f2c265dd6ab39bcae4768ae6c90f91f976f072c4a8"
	at := time.Unix(1773480413, 0)
	g := stripe.New(http.DefaultClient, stripe.URL, time.Now)
	for header, want := range map[string]error{
		"t=1773480413," + right: nil,
		"t=1773480413,v1=" + strings.Repeat("0", 64) + "," + right: nil,
		"t=1773480413,v0=" + strings.TrimPrefix(right, "v1="):      gateways.ErrNotGenuine,
		"t=1773480414," + right:                                    gateways.ErrNotGenuine,
		"t=1773480413,v1=" + strings.Repeat("0", 64):               gateways.ErrNotGenuine,
		right: gateways.ErrNotGenuine,
		"":    gateways.ErrNotGenuine,
	} {
		m, err := g.HandleCallback(t.Context(), credentials("sk_test_a"), gateways.Callback{Header: http.Header{stripe.SignatureHeader: {header}}, Body: []byte(body), Arrived: at})
		if !errors.Is(err, want) || err == nil && (m.ReplayKey != "evt_1CountersignTest" || m.Reference != "evt_1CountersignTest" || m.Result.State != "") {
			t.Errorf("%q: %+v, %v", header, m, err)
		}
	}
}

// TestEvents: what Stripe tells of a payment, and what is none of a payment's business.
func TestEvents(t *testing.T) {
	t.Parallel()
	g, id := stripe.New(http.DefaultClient, stripe.URL, time.Now), uuid.New()
	failed := strings.Replace(intent("pi_1", "requires_payment_method", id, 1000, 0), `"metadata"`, `"last_payment_error":{"code":"card_declined","decline_code":"insufficient_funds","message":"No."},"metadata"`, 1)
	for _, tt := range []struct {
		name, kind, object string
		state              gateways.State
		captured, refunded int64
	}{
		{"paid", "payment_intent.succeeded", intent("pi_1", "succeeded", id, 1000, 1000), gateways.StatePaid, 1000, 0},
		{"held", "payment_intent.amount_capturable_updated", intent("pi_1", "requires_capture", id, 1000, 0), gateways.StateAuthorised, 0, 0},
		{"declined", "payment_intent.payment_failed", failed, gateways.StateFailed, 0, 0},
		{"released", "payment_intent.canceled", intent("pi_1", "canceled", id, 1000, 0), gateways.StateCancelled, 0, 0},
		{"refunded in part", "charge.refunded", charge("pi_1", id, 1000, 400), gateways.StatePartiallyRefunded, 1000, 400},
		{"refunded", "charge.refunded", charge("pi_1", id, 1000, 1000), gateways.StateRefunded, 1000, 1000},
		{"a refund that has failed", "charge.refund.updated", `{"id":"re_1","amount":300,"currency":"usd","status":"failed","payment_intent":"pi_1","failure_reason":"expired_or_canceled_card","metadata":{"countersign_payment":"` + id.String() + `"}}`, gateways.StateRefundFailed, 0, 300},
		{"a refund that has failed, in no currency that is known", "refund.failed", `{"id":"re_1","amount":300,"currency":"???","status":"failed","payment_intent":"pi_1","metadata":{"countersign_payment":"` + id.String() + `"}}`, gateways.StateRefundFailed, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, err := g.HandleCallback(t.Context(), credentials("sk_test_a"), signed(told("evt_1", tt.kind, tt.object), time.Now()))
			if err != nil || m.OrderID != id || m.Reference != "pi_1" || m.Result.State != tt.state || m.Result.Captured.Minor != tt.captured || m.Result.Refunded.Minor != tt.refunded {
				t.Errorf("%+v, %v", m, err)
			}
			if m.Result.Failure != nil && m.Result.Failure.Code == "card_declined" {
				t.Error("the reason is lost")
			}
		})
	}
	for name, body := range map[string]string{
		"a customer":                   told("evt_1", "customer.created", `{"id":"cus_1"}`),
		"a charge without an intent":   told("evt_1", "charge.refunded", `{"id":"ch_1","amount_captured":5,"amount_refunded":5,"currency":"usd"}`),
		"a refund that is on its way":  told("evt_1", "charge.refund.updated", `{"id":"re_1","status":"succeeded","payment_intent":"pi_1"}`),
		"an intent that is only begun": told("evt_1", "payment_intent.created", intent("pi_1", "requires_payment_method", id, 1000, 0)),
	} {
		m, err := g.HandleCallback(t.Context(), credentials("sk_test_a"), signed(body, time.Now()))
		if err != nil || m.Reference != "evt_1" || m.OrderID != uuid.Nil || m.Result.State != "" {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	live := strings.Replace(told("evt_1", "payment_intent.succeeded", intent("pi_1", "succeeded", id, 1000, 1000)), `"livemode":false`, `"livemode":true`, 1)
	if m, err := g.HandleCallback(t.Context(), credentials("sk_test_a"), signed(live, time.Now())); !errors.Is(err, gateways.ErrRefused) {
		t.Errorf("an event about real money in test mode: %+v, %v", m, err)
	}
}

func FuzzHandleCallback(f *testing.F) {
	fixture := gatewaystest.Fixture{Gateway: stripe.New(http.DefaultClient, stripe.URL, time.Now), Credentials: credentials("sk_test_a"), Callback: paid}
	f.Add([]byte(told("evt_1", "charge.refunded", charge("pi_1", uuid.New(), 1<<62, 1))), true)
	f.Add([]byte(told("evt_1", "charge.refund.updated", `{"status":"failed","payment_intent":{"id":"pi_1"}}`)), true)
	gatewaystest.Fuzz(f, fixture, func(body []byte, in *gateways.Callback) {
		in.Header = signed(string(body), in.Arrived).Header
	})
}
