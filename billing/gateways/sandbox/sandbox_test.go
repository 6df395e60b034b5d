package sandbox_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/gateways"
	"countersign/billing/gateways/gatewaystest"
	"countersign/billing/gateways/sandbox"
	"countersign/billing/money"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

var _ gateways.Gateway = (*sandbox.Gateway)(nil)

// world is a tenant in test mode with the sandbox switched on.
type world struct {
	*billingtest.World
	gateways.Access
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := billingtest.NewInTestMode(t)
	return &world{World: w, Access: w.EnableSandbox()}
}

func order(token string) gateways.Order {
	return gateways.Order{ID: uuid.Must(uuid.NewV7()), Amount: money.New(15000, "USD"), Source: token}
}

func (w *world) begin(t testing.TB, o gateways.Order) (gateways.Result, error) {
	t.Helper()
	return w.Gateway.Begin(t.Context(), w.Credentials, o)
}

func (w *world) status(t testing.TB, id uuid.UUID) gateways.Result {
	t.Helper()
	r, err := w.Gateway.FetchStatus(t.Context(), w.Credentials, gateways.Query{OrderID: id})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// calls are the operations of the log, with what became of each.
func (w *world) calls(t testing.TB, id uuid.UUID) []string {
	t.Helper()
	lines, err := w.Sandbox.Calls(w.System, id)
	if err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, c := range lines {
		list = append(list, c.Operation+" "+c.Outcome)
	}
	return list
}

func TestSuite(t *testing.T) {
	t.Parallel()
	gatewaystest.Suite(t, func(t testing.TB) gatewaystest.Fixture {
		w := newWorld(t)
		return gatewaystest.Fixture{Gateway: w.Gateway, Credentials: w.Credentials, Pays: "tok_visa", Declined: "tok_decline", Drops: "tok_timeout",
			Effects: func(t testing.TB, id uuid.UUID) (n int) {
				for _, c := range w.calls(t, id) {
					if c == "begin acted" {
						n++
					}
				}
				return n
			},
			Callback: func(_ testing.TB, o gateways.Order, at time.Time) gateways.Callback {
				return callback(w.Credentials, o, at)
			}}
	})
}

// callback is what the sandbox says of an order that is paid.
func callback(c gateways.Credentials, o gateways.Order, at time.Time) gateways.Callback {
	body := []byte(`{"id":"evt_outcome_` + o.ID.String() + `","order_id":"` + o.ID.String() + `","reference":"sbx_` + o.ID.String() +
		`","state":"paid","currency":"USD","authorised_minor":10000,"captured_minor":10000,"refunded_minor":0}`)
	return gateways.Callback{Method: http.MethodPost, Body: body, Header: signed(c, body, at)}
}

func signed(c gateways.Credentials, body []byte, at time.Time) http.Header {
	return http.Header{sandbox.SignatureHeader: {gateways.Sign(c.Secrets["webhook_secret"], at, body)}}
}

func FuzzHandleCallback(f *testing.F) {
	c := gateways.Credentials{Mode: gateways.Test, Secrets: map[string]string{"webhook_secret": "fuzz"}}
	at := time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)
	gatewaystest.Fuzz(f, gatewaystest.Fixture{Gateway: sandbox.New(nil, time.Now), Credentials: c, Callback: func(_ testing.TB, o gateways.Order, at time.Time) gateways.Callback { return callback(c, o, at) }},
		func(body []byte, in *gateways.Callback) { in.Header = signed(c, body, at) })
}

func TestTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	later := gateways.Result{State: gateways.StateProcessing}
	tests := map[string]struct {
		first error          // of the first call; nil: want
		want  gateways.State // of the first answer that comes
		code  string
		ends  gateways.State // after the delay
	}{
		"tok_visa":                {nil, gateways.StatePaid, "", gateways.StatePaid},
		"tok_mastercard":          {nil, gateways.StatePaid, "", gateways.StatePaid},
		"tok_decline":             {nil, gateways.StateFailed, "card_declined", gateways.StateFailed},
		"tok_insufficient_funds":  {nil, gateways.StateFailed, "insufficient_funds", gateways.StateFailed},
		"tok_expired_card":        {nil, gateways.StateFailed, "expired_card", gateways.StateFailed},
		"tok_nobody_knows":        {nil, gateways.StateFailed, "invalid_token", gateways.StateFailed},
		"":                        {nil, gateways.StateFailed, "invalid_token", gateways.StateFailed},
		"tok_timeout":             {gateways.ErrUnknown, gateways.StatePaid, "", gateways.StatePaid},
		"tok_timeout_decline":     {gateways.ErrUnknown, gateways.StateFailed, "card_declined", gateways.StateFailed},
		"tok_slow":                {nil, gateways.StatePaid, "", gateways.StatePaid},
		"tok_3ds":                 {nil, gateways.StateAwaitingCustomer, "", gateways.StateAwaitingCustomer},
		"tok_async":               {nil, later.State, "", gateways.StatePaid},
		"tok_late_decline":        {nil, later.State, "", gateways.StateFailed},
		"tok_duplicate_callback":  {nil, gateways.StatePaid, "", gateways.StatePaid},
		"tok_reordered_callbacks": {nil, later.State, "", gateways.StatePaid},
		"tok_contradiction":       {nil, gateways.StatePaid, "", gateways.StatePaid},
		"tok_wrong_amount":        {nil, gateways.StatePaid, "", gateways.StatePaid},
		"tok_capture_timeout":     {nil, gateways.StatePaid, "", gateways.StatePaid},
		"tok_capture_down":        {nil, gateways.StatePaid, "", gateways.StatePaid},
		"tok_capture_decline":     {nil, gateways.StatePaid, "", gateways.StatePaid},
		"tok_release_timeout":     {nil, gateways.StatePaid, "", gateways.StatePaid},
		"tok_refund_timeout":      {nil, gateways.StatePaid, "", gateways.StatePaid},
		"tok_refund_down":         {nil, gateways.StatePaid, "", gateways.StatePaid},
		"tok_refund_decline":      {nil, gateways.StatePaid, "", gateways.StatePaid},
	}
	for token, tt := range tests {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			o := order(token)
			r, err := w.begin(t, o)
			if tt.first != nil {
				if !errors.Is(err, tt.first) {
					t.Fatalf("first: %+v, %v", r, err)
				}
				r, err = w.begin(t, o)
			}
			if err != nil || r.State != tt.want {
				t.Fatalf("got %+v, %v", r, err)
			}
			if tt.code != "" && (r.Failure == nil || r.Failure.Code != tt.code || r.Failure.Reason == "") {
				t.Errorf("failure is %+v", r.Failure)
			}
			if (r.Redirect != nil) != (r.State == gateways.StateAwaitingCustomer) {
				t.Errorf("redirect is %+v", r.Redirect)
			}
			if got := w.status(t, o.ID); got.State != tt.ends {
				t.Errorf("it ends as %s", got.State)
			}
		})
	}
	t.Run("each is tried, and told of in the documentation", func(t *testing.T) {
		t.Parallel()
		page, err := os.ReadFile("../../../docs/gateways.md")
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range sandbox.Tokens() {
			if _, ok := tests[token.Name]; !ok && token.Name != "tok_lost" && token.Name != "tok_down" || token.About == "" {
				t.Errorf("%s is not tried", token.Name)
			}
			if line := "| `" + token.Name + "` | " + token.About + " |"; !strings.Contains(string(page), line) {
				t.Errorf("docs/gateways.md lacks the line %s", line)
			}
		}
	})
	t.Run("tok_lost leaves no trace", func(t *testing.T) {
		t.Parallel()
		o := order("tok_lost")
		for range 3 {
			if r, err := w.begin(t, o); !errors.Is(err, gateways.ErrUnknown) {
				t.Errorf("got %+v, %v", r, err)
			}
		}
		if r := w.status(t, o.ID); r.State != gateways.StateNone || len(w.calls(t, o.ID)) != 0 {
			t.Errorf("got %+v, %v", r, w.calls(t, o.ID))
		}
	})
	t.Run("tok_down works at the third attempt, and has not acted before", func(t *testing.T) {
		t.Parallel()
		o := order("tok_down")
		for range 2 {
			if r, err := w.begin(t, o); !errors.Is(err, gateways.ErrTransient) {
				t.Errorf("got %+v, %v", r, err)
			}
			if r := w.status(t, o.ID); r.State != gateways.StateNone {
				t.Errorf("it stands at %s", r.State)
			}
		}
		if r, err := w.begin(t, o); err != nil || r.State != gateways.StatePaid {
			t.Errorf("got %+v, %v", r, err)
		}
		want := []string{"begin down", "status read", "begin down", "status read", "begin acted"}
		if diff := cmp.Diff(want, w.calls(t, o.ID)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("tok_wrong_amount pays less", func(t *testing.T) {
		t.Parallel()
		if r, err := w.begin(t, order("tok_wrong_amount")); err != nil || r.Captured != money.New(14999, "USD") {
			t.Errorf("got %+v, %v", r, err)
		}
	})
	t.Run("a hold is held by what comes later, too", func(t *testing.T) {
		t.Parallel()
		o := order("tok_async")
		o.Hold = true
		if _, err := w.begin(t, o); err != nil {
			t.Fatal(err)
		}
		if r := w.status(t, o.ID); r.State != gateways.StateAuthorised || r.Captured.Minor != 0 {
			t.Errorf("got %+v", r)
		}
	})
	operations := map[string]func(context.Context, gateways.Credentials, gateways.Operation) (gateways.Result, error){
		"capture": w.Gateway.Capture, "release": w.Gateway.Release, "refund": w.Gateway.Refund}
	for _, token := range []string{"tok_capture_timeout", "tok_release_timeout", "tok_refund_timeout", "tok_capture_down", "tok_refund_down", "tok_capture_decline", "tok_refund_decline"} {
		t.Run(token+" does so", func(t *testing.T) {
			t.Parallel()
			operation, way, _ := strings.Cut(strings.TrimPrefix(token, "tok_"), "_")
			o := order(token)
			o.Hold = operation != "refund"
			if _, err := w.begin(t, o); err != nil {
				t.Fatal(err)
			}
			answers := map[string][]error{"timeout": {gateways.ErrUnknown, nil}, "down": {gateways.ErrTransient, gateways.ErrTransient, nil},
				"decline": {gateways.ErrRefused, gateways.ErrRefused}}
			for i, want := range answers[way] {
				if r, err := operations[operation](t.Context(), w.Credentials, gateways.Operation{Key: token, OrderID: o.ID, Amount: o.Amount}); !errors.Is(err, want) || want == nil && err != nil {
					t.Errorf("attempt %d: %+v, %v", i+1, r, err)
				}
			}
		})
	}
}

func TestTestModeOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	live := billingtest.New(t)
	t.Run("a tenant with real money cannot open it", func(t *testing.T) {
		t.Parallel()
		if _, err := live.Gateways.Open(live.System, sandbox.Name); !errors.Is(err, gateways.ErrWrongMode) {
			t.Errorf("got %v", err)
		}
		live.As(live.Owner).Put(billingtest.Base+"/billing/gateways/sandbox/", map[string]any{"is_enabled": true}).Refused(http.StatusBadRequest, "gateway_wrong_mode")
	})
	t.Run("nor call it with credentials that say test", func(t *testing.T) {
		t.Parallel()
		forged := w.Credentials
		forged.TenantID = live.Tenant.ID
		if r, err := w.Gateway.Begin(t.Context(), forged, order("tok_visa")); !errors.Is(err, gateways.ErrRefused) {
			t.Errorf("got %+v, %v", r, err)
		}
	})
	t.Run("nor with credentials that say live", func(t *testing.T) {
		t.Parallel()
		forged := w.Credentials
		forged.Mode = gateways.Live
		for _, token := range []string{"tok_visa", "tok_lost"} {
			if r, err := w.Gateway.Begin(t.Context(), forged, order(token)); !errors.Is(err, gateways.ErrRefused) {
				t.Errorf("got %+v, %v", r, err)
			}
		}
	})
	t.Run("nor is it called in a transaction", func(t *testing.T) {
		t.Parallel()
		err := tenancy.InTx(w.System, w.DB, func(ctx context.Context, _ bun.Tx) error {
			_, err := w.Gateway.Begin(ctx, w.Credentials, order("tok_visa"))
			return err
		})
		if err == nil || errors.Is(err, gateways.ErrTransient) {
			t.Errorf("got %v", err)
		}
	})
}

func TestSlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.Credentials
	c.Settings = map[string]string{"slow_ms": "60000"}
	o := order("tok_slow")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if r, err := w.Gateway.Begin(ctx, c, o); !errors.Is(err, gateways.ErrUnknown) {
		t.Errorf("got %+v, %v", r, err)
	}
	if r := w.status(t, o.ID); r.State != gateways.StatePaid {
		t.Errorf("it has not acted: %s", r.State)
	}
	if r, err := w.begin(t, o); err != nil || r.State != gateways.StatePaid {
		t.Errorf("again: %+v, %v", r, err)
	}
}
