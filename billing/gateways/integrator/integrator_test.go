package integrator_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/gateways"
	"countersign/billing/gateways/gatewaystest"
	"countersign/billing/gateways/integrator"
	"countersign/billing/money"
)

var (
	credentials = gateways.Credentials{Mode: gateways.Live, Secrets: map[string]string{"shared_secret": "the secret of acme's own processor"},
		ErrorMap: map[string]string{"77": "declined"}}
	now = time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)
)

func callback(body string, at time.Time) gateways.Callback {
	return gateways.Callback{Method: http.MethodPost, Body: []byte(body), Arrived: now,
		Header: http.Header{integrator.SignatureHeader: {gateways.Sign(credentials.Secrets["shared_secret"], at, []byte(body))}}}
}

func fixture() gatewaystest.Fixture {
	return gatewaystest.Fixture{Gateway: integrator.New(), Credentials: credentials, Callback: func(_ testing.TB, o gateways.Order, at time.Time) gateways.Callback {
		return callback(`{"payment_id":"`+o.ID.String()+`","status":"succeeded"}`, at)
	}}
}

func TestSuite(t *testing.T) {
	t.Parallel()
	gatewaystest.Suite(t, func(testing.TB) gatewaystest.Fixture { return fixture() })
}

func FuzzHandleCallback(f *testing.F) {
	gatewaystest.Fuzz(f, fixture(), func(body []byte, in *gateways.Callback) { *in = callback(string(body), now) })
}

func TestCallback(t *testing.T) {
	t.Parallel()
	id := uuid.New().String()
	handle := func(body string) (gateways.Message, error) {
		return integrator.New().HandleCallback(t.Context(), credentials, callback(body, now))
	}
	t.Run("an error code becomes ours, and its note the reason", func(t *testing.T) { // S0-43
		t.Parallel()
		m, err := handle(`{"payment_id":"` + id + `","status":"failed","error_code":"77","error_note":"Limit of the wallet"}`)
		if err != nil || m.Result.State != gateways.StateFailed || *m.Result.Failure != (gateways.Failure{Code: "declined", Reason: "Limit of the wallet"}) ||
			m.Result.Details["error_code"] != "77" {
			t.Errorf("got %+v, %v", m.Result, err)
		}
		m, err = handle(`{"payment_id":"` + id + `","status":"failed","error_code":77}`)
		if err != nil || m.Result.Failure.Code != "declined" || m.Result.Details["error_code"] != "77" {
			t.Errorf("as a number: %+v, %v", m.Result.Failure, err)
		}
		m, err = handle(`{"payment_id":"` + id + `","status":"failed","error_code":"78"}`)
		if err != nil || m.Result.Failure.Code != "78" {
			t.Errorf("a code without a word of ours: %+v, %v", m.Result.Failure, err)
		}
	})
	t.Run("nested data comes through unchanged", func(t *testing.T) { // S0-44
		t.Parallel()
		data := `{"a":[1,2.50,{"b":null,"z":"ж"}],"big":12345678901234567890}`
		m, err := handle(`{"payment_id":"` + id + `","status":"paid","data":` + data + `}`)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(m.Result.Details["data"])
		if err != nil || string(raw) != data {
			t.Errorf("got %s, %v", raw, err)
		}
	})
	t.Run("an amount is told, or is not", func(t *testing.T) {
		t.Parallel()
		m, err := handle(`{"payment_id":"` + id + `","status":"paid","amount_minor":15000,"currency":"USD"}`)
		if err != nil || m.Result.Captured != money.New(15000, "USD") {
			t.Errorf("got %+v, %v", m.Result, err)
		}
		if m, err = handle(`{"payment_id":"` + id + `","status":"paid"}`); err != nil || m.Result.Captured.Currency != "" {
			t.Errorf("got %+v, %v", m.Result, err)
		}
	})
	t.Run("its own id makes copies of a message one", func(t *testing.T) {
		t.Parallel()
		a, _ := handle(`{"id":"m1","payment_id":"` + id + `","status":"paid"}`)
		b, _ := handle(`{"id":"m1","payment_id":"` + id + `","status":"paid" }`)
		c, _ := handle(`{"id":"m2","payment_id":"` + id + `","status":"paid"}`)
		if a.ReplayKey != b.ReplayKey || a.ReplayKey == c.ReplayKey {
			t.Errorf("%q, %q, %q", a.ReplayKey, b.ReplayKey, c.ReplayKey)
		}
	})
	for name, body := range map[string]string{
		"an unknown status": `{"payment_id":"` + id + `","status":"great"}`, "no payment": `{"status":"paid"}`, "an id that is none": `{"payment_id":"x","status":"paid"}`,
		"an amount without a currency": `{"payment_id":"` + id + `","status":"paid","amount_minor":1}`, "a currency without an amount": `{"payment_id":"` + id + `","status":"paid","currency":"USD"}`,
		"a negative amount": `{"payment_id":"` + id + `","status":"paid","amount_minor":-1,"currency":"USD"}`, "a fraction": `{"payment_id":"` + id + `","status":"paid","amount_minor":1.5,"currency":"USD"}`,
		"a code that is an object": `{"payment_id":"` + id + `","status":"failed","error_code":{}}`, "a list": `[]`, "two objects": `{"payment_id":"` + id + `","status":"paid"}{}`, "no JSON": `status=paid`,
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()
			if m, err := handle(body); !errors.Is(err, gateways.ErrRefused) {
				t.Errorf("got %+v, %v", m, err)
			}
		})
	}
}
