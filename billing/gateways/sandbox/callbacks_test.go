package sandbox_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/gateways"
	"countersign/internal/apps"
	"countersign/tenancy"
)

// inbox collects callbacks and answers as it is told.
type inbox struct {
	sync.Mutex
	w      *world
	t      testing.TB
	answer func(n int) (int, error) // status of the n-th
	got    []gateways.Message
}

func (i *inbox) receive(ctx context.Context, gateway, endpoint string, in gateways.Callback) (gateways.Response, error) {
	i.Lock()
	defer i.Unlock()
	_, a, err := i.w.Gateways.Endpoint(ctx, gateway, endpoint)
	if err != nil {
		return gateways.Response{}, err
	}
	m, err := a.Gateway.HandleCallback(ctx, a.Credentials, in)
	if err != nil {
		i.t.Error(err)
	}
	i.got = append(i.got, m)
	if i.answer != nil {
		status, err := i.answer(len(i.got))
		return gateways.Response{Status: status}, err
	}
	return m.Answer(nil), nil
}

// states are what the callbacks said, in the order of their arrival.
func (i *inbox) states() []string {
	list := []string{}
	for _, m := range i.got {
		list = append(list, string(m.Result.State))
	}
	return list
}

func (w *world) inbox(t testing.TB) (*inbox, apps.Doorbell) {
	i := &inbox{w: w, t: t}
	return i, w.Sandbox.Deliveries(w.Gateways.Reopen, i.receive)
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	stories := map[string]struct {
		want   []string
		unique int // messages that differ
	}{
		"tok_visa":                {[]string{}, 0},
		"tok_async":               {[]string{"paid"}, 1},
		"tok_late_decline":        {[]string{"failed"}, 1},
		"tok_duplicate_callback":  {[]string{"paid", "paid", "paid"}, 1},
		"tok_reordered_callbacks": {[]string{"paid", "processing"}, 2},
		"tok_contradiction":       {[]string{"failed"}, 1},
	}
	for token, tt := range stories {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			in, bell := w.inbox(t)
			o := order(token)
			if _, err := w.begin(t, o); err != nil {
				t.Fatal(err)
			}
			for range 2 { // what is delivered is not delivered again
				if err := bell.Run(w.System); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(tt.want, in.states()); diff != "" {
				t.Error(diff)
			}
			keys := map[string]bool{}
			for _, m := range in.got {
				if keys[m.ReplayKey] = true; m.OrderID != o.ID || m.Result.Captured.Minor != 0 && m.Result.Captured != o.Amount {
					t.Errorf("got %+v", m)
				}
			}
			if len(keys) != tt.unique {
				t.Errorf("%d messages differ", len(keys))
			}
		})
	}
	t.Run("wait for their time", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		in, bell := w.inbox(t)
		c := w.Credentials
		c.Settings = map[string]string{"callback_delay_ms": "5000"}
		o := order("tok_reordered_callbacks")
		if _, err := w.Gateway.Begin(t.Context(), c, o); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			after time.Duration
			want  []string
			state gateways.State
		}{{0, []string{}, gateways.StateProcessing}, {4 * time.Second, []string{}, gateways.StateProcessing}, {time.Second, []string{"paid"}, gateways.StatePaid},
			{5 * time.Second, []string{"paid", "processing"}, gateways.StatePaid}} {
			w.Clock.Move(step.after)
			if err := bell.Run(w.System); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(step.want, in.states()); diff != "" {
				t.Error(diff)
			}
			if r := w.status(t, o.ID); r.State != step.state {
				t.Errorf("it is %s", r.State)
			}
		}
	})
	t.Run("what is not taken comes again, signed anew", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		in, bell := w.inbox(t)
		in.answer = func(n int) (int, error) {
			switch n {
			case 1:
				return http.StatusServiceUnavailable, nil
			case 2:
				return 0, errors.New("no answer")
			}
			return http.StatusOK, nil
		}
		if _, err := w.begin(t, order("tok_async")); err != nil {
			t.Fatal(err)
		}
		for range 6 {
			if err := bell.Run(w.System); err != nil {
				t.Fatal(err)
			}
			w.Clock.Move(10 * time.Minute) // longer than a signature is good for
		}
		if len(in.got) != 3 {
			t.Errorf("it came %d times", len(in.got))
		}
	})
	t.Run("the observer finds who has some", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		_, bell := w.inbox(t)
		waiting := func() (found bool) {
			err := tenancy.Observe(t.Context(), w.DB, func(ctx context.Context, tx bun.Tx) error {
				tenants, err := bell.Waiting(ctx, tx)
				for _, id := range tenants {
					found = found || id == w.Tenant.ID
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		if waiting() {
			t.Error("nothing waits")
		}
		if _, err := w.begin(t, order("tok_async")); err != nil {
			t.Fatal(err)
		}
		if !waiting() {
			t.Error("a callback waits")
		}
		if err := bell.Run(w.System); err != nil {
			t.Fatal(err)
		}
		if waiting() {
			t.Error("all is sent")
		}
	})
}

func TestComplete(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		approve bool
		want    gateways.State
	}{{true, gateways.StatePaid}, {false, gateways.StateFailed}} {
		t.Run(string(tt.want), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			in, bell := w.inbox(t)
			o := order("tok_3ds")
			if _, err := w.begin(t, o); err != nil {
				t.Fatal(err)
			}
			path := billingtest.Base + "/billing/sandbox/orders/" + o.ID.String() + "/complete/"
			if got := w.As(w.Owner).Post(path, map[string]any{"approve": tt.approve}).Expect(http.StatusOK); got.Text("data.state") != string(tt.want) {
				t.Errorf("got %s", got.Raw)
			}
			w.As(w.Owner).Post(path, map[string]any{"approve": tt.approve}).Refused(http.StatusConflict, "sandbox_order_not_waiting")
			if diff := cmp.Diff([]string{"sandbox_order.complete"}, w.Audited("sandbox_order.")); diff != "" {
				t.Errorf("who has played the payer: %s", diff)
			}
			if err := bell.Run(w.System); err != nil {
				t.Fatal(err)
			}
			if len(in.got) != 1 || in.got[0].Result.State != tt.want || w.status(t, o.ID).State != tt.want {
				t.Errorf("got %+v", in.got)
			}
		})
	}
}
