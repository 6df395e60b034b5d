package payments_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/paymentmethods"
	"countersign/billing/payments"
	"countersign/internal/errs"
)

// objectOf reads a JSON object without floats.
func objectOf(t testing.TB, text string) map[string]any {
	t.Helper()
	var d paymentmethods.Details
	if err := d.Scan(text); err != nil {
		t.Fatal(text, err)
	}
	return d
}

// by stores a payment of the world's account by a gateway, with its details as JSON.
func by(t testing.TB, w *billingtest.World, gateway, details string, change ...func(*payments.Payment)) *payments.Payment {
	t.Helper()
	p, err := tryBy(t, w, gateway, details, change...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func tryBy(t testing.TB, w *billingtest.World, gateway, details string, change ...func(*payments.Payment)) (*payments.Payment, error) {
	t.Helper()
	p := &payments.Payment{TenantID: w.Tenant.ID, ID: uuid.Must(uuid.NewV7()), AccountID: w.Account.ID, Method: paymentmethods.Other, Gateway: gateway, AmountMinor: 100,
		Currency: "USD", Status: payments.StatusCreated, SettlementStatus: "unsettled", ReconciliationStatus: "unmatched", Version: 1}
	for _, f := range change {
		f(p)
	}
	return p, w.Payments.Insert(t, w.System, p, objectOf(t, details))
}

// golden are details as the gateways give them, one with every key that is kept (S0-45 to S0-50).
var golden = map[string]string{
	"click": `{"service_id":12,"merchant_id":34,"merchant_user_id":56,"merchant_trans_id":"order-1","merchant_prepare_id":78,"merchant_confirm_id":90,"pay_doc_id":9007199254740993,
		"payment_id":2147483648,"payment_status":2,"sign_time":"2026-01-20 10:00:00","error_code":0,"error_note":"Success","link":"https://my.click.uz/services/pay","params":{"lang":"uz","try":2}}`,
	"payme": `{"merchant_id":"5e730e8e0b852a417aa49ceb","id":"5305e3bab097f420a62ced0b","transaction":"5123","state":2,"time":1399114284039,"created_time":1399114284040,"perform_time":1399114285002,
		"cancel_time":0,"account":{"order":"7","tries":3,"guest":false},"receivers":[{"id":"5305e3bab097f420a62ced0b","amount":200000},{"id":"4215e6bab097f420a62ced01","amount":300000}],
		"additional":{"a":{"b":[1,"2",null,true]}},"reason":5,"error_code":-31008,"link":"https://checkout.paycom.uz/x","params":{}}`,
	"octo": `{"octo_shop_id":17,"shop_transaction_id":"S-1","octo_payment_uuid":"c6d2a4d8-4e26-4a3a-9b2e-0b1a8c0f7f11","init_time":"2026-01-20 10:00:00","auto_capture":true,"test":false,
		"status":"succeeded","description":"Two lessons","card_type":"uzcard","card_country":"UZ","card_is_physical":true,"rrn":"000123456789","risk_level":3,"refunded_sum":0.1,"transfer_sum":123456.78,
		"return_url":"https://shop.test/back","octo_pay_url":"https://pay2.octo.uz/pay/c6d2","payed_time":"2026-01-20 10:05:00","error":0,"err_message":""}`,
	"stripe": `{"mode":"subscription","billing_reason":"subscription_cycle","session_id":"cs_test_1","client_reference_id":"ref-1","invoice_id":"in_1","subscription_id":"sub_1","customer_id":"cus_1",
		"subscription_data":{"description":"Gold","trial_period_days":14},"items":[{"price_id":"price_1","quantity":2,"adjustable_quantity":{"enabled":true,"minimum":1,"maximum":99}},
		{"price_id":"price_2","quantity":1}],"success_url":"https://shop.test/thanks","cancel_url":"https://shop.test/no","url":"https://checkout.stripe.com/c/pay","payment_intent":"pi_1","charge":"ch_1",
		"refund":"re_1","refund_status":"succeeded","decline_code":"lost_card","stripe_code":"card_declined"}`,
	"sandbox":    `{"sandbox_reference":"sbx_5305e3ba"}`,
	"cash":       `{"data":{"drawer":"3","notes":[{"value":50,"count":2}],"nothing":null,"exact":12345678901234567890.123}}`,
	"integrator": `{"data":{"order":{"id":"A-1","lines":[1,2,3]}},"error_code":"77","error_note":"Too late"}`,
}

// S0-23, S0-53, W-25, W-34: every field of every gateway comes back as it was, and what does not belong there is named.
func TestDetails(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	for gateway, details := range golden {
		t.Run(gateway+" comes back whole", func(t *testing.T) {
			p := by(t, w, gateway, details)
			equal(t, "stored", map[string]any(w.Payment(p.ID).Details), objectOf(t, details))
			got := w.As(w.Viewer).Get(one(p.ID, "")).Expect(http.StatusOK)
			var shown struct {
				Data struct{ Details json.RawMessage }
			}
			if err := json.Unmarshal(got.Raw, &shown); err != nil {
				t.Fatal(err)
			}
			equal(t, "shown", objectOf(t, string(shown.Data.Details)), objectOf(t, details))
		})
	}
	for _, c := range []struct{ name, gateway, details, refused string }{
		{"keys of another gateway", "click", `{"octo_shop_id":1,"rrn":"1","service_id":1}`, "details.octo_shop_id details.rrn"},
		{"signatures and secrets", "octo", `{"signature":"a","hash_key":"b","notify_url":"https://a.test/hook/token","rrn":"1"}`, "details.hash_key details.notify_url details.signature"},
		{"Click's signature", "click", `{"sign_string":"a"}`, "details.sign_string"},
		{"an object for a text", "click", `{"merchant_trans_id":{"a":1}}`, "details.merchant_trans_id"},
		{"a text for a number", "payme", `{"state":"two"}`, "details.state"},
		{"a fraction for a whole number", "payme", `{"state":1.5}`, "details.state"},
		{"an object for a list", "stripe", `{"items":{"0":{"price_id":"a"}}}`, "details.items"},
		{"an unknown key in a list", "stripe", `{"items":[{"price_id":"a","colour":"red"}]}`, "details.items.0.colour"},
		{"a star for a place", "stripe", `{"items":{"*":{"price_id":"a"}}}`, "details.items"},
		{"a number without end", "cash", `{"data":{"n":1e999999}}`, "details.data.n"},
		{"a long text", "cash", `{"data":{"n":"` + strings.Repeat("x", 1001) + `"}}`, "details.data.n"},
		{"a deep nest", "cash", `{"data":{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":1}}}}}}}}}`, "details.data"},
		{"something that is no object", "integrator", `{"data":"text"}`, "details.data"},
	} {
		t.Run(c.name+" are named and left out", func(t *testing.T) {
			_, err := tryBy(t, w, c.gateway, c.details)
			equal(t, "refused", strings.Join(fieldsOf(t, err), " "), c.refused)
		})
	}
	t.Run("texts and numbers become what the gateway's table says", func(t *testing.T) {
		p := by(t, w, "click", `{"service_id":"0012","merchant_trans_id":7,"payment_id":"1e2"}`)
		equal(t, "stored", map[string]any(w.Payment(p.ID).Details), objectOf(t, `{"service_id":12,"merchant_trans_id":"7","payment_id":100}`))
	})
	t.Run("a later answer adds to what is there, sealed or not", func(t *testing.T) {
		p := by(t, w, "octo", `{"octo_shop_id":17,"card_masked_pan":"860012******1234"}`)
		if err := w.Payments.AddDetails(t, w.System, p.ID, objectOf(t, `{"status":"succeeded"}`)); err != nil {
			t.Fatal(err)
		}
		whole, _ := w.Payments.Whole(t, w.System, p.ID)
		equal(t, "details", whole, objectOf(t, `{"octo_shop_id":17,"card_masked_pan":"860012******1234","status":"succeeded"}`))
	})
}

// fieldsOf are the fields that a refusal names.
func fieldsOf(t testing.TB, err error) []string {
	t.Helper()
	var e *errs.Error
	if !errors.As(err, &e) {
		t.Fatalf("no refusal: %v", err)
	}
	return slices.Sorted(maps.Keys(e.Fields))
}
