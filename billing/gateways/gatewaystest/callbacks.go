package gatewaystest

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/gateways"
)

// now is when callbacks arrive.
var now = time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)

// arrived is a genuine callback about an order that is paid.
func (f Fixture) arrived(t testing.TB, o gateways.Order, signed time.Time) gateways.Callback {
	t.Helper()
	in := f.Callback(t, o, signed)
	in.Arrived = now
	return in
}

func believes(t *testing.T, f Fixture) {
	o, other := f.order(f.Pays), f.order(f.Pays)
	in := f.arrived(t, o, now)
	m, err := f.Gateway.HandleCallback(t.Context(), f.Credentials, in)
	if err != nil {
		t.Fatal(err)
	}
	if m.ReplayKey == "" || m.OrderID != o.ID && m.Reference == "" || m.Result.State != gateways.StatePaid && !m.Verify {
		t.Errorf("got %+v", m)
	}
	if m.Result.Captured.Currency != "" && m.Result.Captured != amount(full) {
		t.Errorf("it says that %v was paid", m.Result.Captured)
	}
	if taken, failed := m.Answer(nil), m.Answer(errors.New("no")); taken.Status/100 != 2 || failed.Status/100 == 2 && bytes.Equal(failed.Body, taken.Body) {
		t.Errorf("a message that was taken is answered %d, and one that was not %d", taken.Status, failed.Status)
	}
	again, err := f.Gateway.HandleCallback(t.Context(), f.Credentials, f.arrived(t, o, now.Add(time.Second)))
	if err != nil || again.ReplayKey != m.ReplayKey {
		t.Errorf("a copy has the key %q, the first %q: %v", again.ReplayKey, m.ReplayKey, err)
	}
	if different, err := f.Gateway.HandleCallback(t.Context(), f.Credentials, f.arrived(t, other, now)); err != nil || different.ReplayKey == m.ReplayKey {
		t.Errorf("another message has the key %q, the first %q: %v", different.ReplayKey, m.ReplayKey, err)
	}
}

func doubts(t *testing.T, f Fixture) {
	o := f.order(f.Pays)
	genuine := func() gateways.Callback { return f.arrived(t, o, now) }
	changed := genuine()
	changed.Body = bytes.Replace(changed.Body, []byte(o.ID.String()), []byte(uuid.NewString()), 1)
	longer := genuine()
	longer.Body = append(bytes.Clone(longer.Body), ' ')
	bare := genuine()
	bare.Header = http.Header{}
	for name, in := range map[string]gateways.Callback{"with another body": changed, "with a longer body": longer, "without a header": bare,
		"of an hour ago": f.arrived(t, o, now.Add(-time.Hour)), "of the next hour": f.arrived(t, o, now.Add(time.Hour))} {
		if m, err := f.Gateway.HandleCallback(t.Context(), f.Credentials, in); !errors.Is(err, gateways.ErrNotGenuine) {
			t.Errorf("a callback %s: %+v, %v", name, m, err)
		}
	}
	foreign := f.Credentials
	foreign.Secrets = map[string]string{}
	for name, secret := range f.Credentials.Secrets {
		foreign.Secrets[name] = strings.Repeat("x", len(secret))
	}
	if m, err := f.Gateway.HandleCallback(t.Context(), foreign, genuine()); !errors.Is(err, gateways.ErrNotGenuine) {
		t.Errorf("under another tenant's secret: %+v, %v", m, err)
	}
	foreign.Secrets = nil
	if m, err := f.Gateway.HandleCallback(t.Context(), foreign, genuine()); !errors.Is(err, gateways.ErrConfiguration) {
		t.Errorf("without a secret: %+v, %v", m, err)
	}
}

func survives(t *testing.T, f Fixture) {
	in := f.arrived(t, f.order(f.Pays), now)
	for _, body := range [][]byte{nil, {}, []byte("{"), []byte("null"), []byte("[]"), []byte(`{}{}`), []byte("\x00\xff"), bytes.Repeat([]byte("["), 100_000), in.Body[:len(in.Body)/2]} {
		broken := in
		broken.Body = body
		if _, err := f.Gateway.HandleCallback(t.Context(), f.Credentials, broken); err == nil {
			t.Errorf("%.20q was believed", body)
		}
	}
}

// Fuzz feeds HandleCallback with bodies and headers. sign, which may be nil, signs a body as the provider does, so that
// what lies behind the signature is reached.
func Fuzz(f *testing.F, fixture Fixture, sign func(body []byte, in *gateways.Callback)) {
	genuine := fixture.Callback(f, fixture.order(fixture.Pays), now)
	f.Add(genuine.Body, true)
	f.Add([]byte(`{"status":"paid"}`), true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, body []byte, signed bool) {
		in := gateways.Callback{Method: genuine.Method, Header: genuine.Header.Clone(), Body: body, Arrived: now}
		if signed && sign != nil {
			sign(body, &in)
		}
		m, err := fixture.Gateway.HandleCallback(t.Context(), fixture.Credentials, in)
		if err == nil && (m.ReplayKey == "" || m.OrderID == uuid.Nil && m.Reference == "" || m.Answer == nil) {
			t.Errorf("%q is believed as %+v", body, m)
		}
		if err == nil && !signed && !bytes.Equal(body, genuine.Body) {
			t.Errorf("%q is believed without a signature of its own", body)
		}
	})
}
