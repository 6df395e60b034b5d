package gatewaystest_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"

	"countersign/billing/gateways"
	"countersign/billing/gateways/gatewaystest"
)

// fake is the smallest gateway that keeps the contract: everything at once, in memory, and no callbacks.
type fake struct {
	sync.Mutex
	orders  map[uuid.UUID]*gateways.Result
	answers map[string]gateways.Result
	asked   map[string]string
	moved   map[uuid.UUID]int
}

func (f *fake) Name() string { return "fake" }

func (f *fake) Capabilities() gateways.Capabilities {
	return gateways.Capabilities{Begin: true, Refunds: gateways.RefundByAPI, PartRefund: true, FetchStatus: true, Modes: []gateways.Mode{gateways.Test}}
}

// once does what has not been done under the key.
func (f *fake) once(key, what string, do func() (gateways.Result, error)) (gateways.Result, error) {
	f.Lock()
	defer f.Unlock()
	if r, ok := f.answers[key]; ok {
		if f.asked[key] != what {
			return gateways.Result{}, gateways.ErrRefused
		}
		return r, nil
	}
	r, err := do()
	if err == nil {
		f.answers[key], f.asked[key] = r, what
	}
	return r, err
}

func (f *fake) Begin(_ context.Context, _ gateways.Credentials, o gateways.Order) (gateways.Result, error) {
	return f.once(o.ID.String(), fmt.Sprint(o.Amount, o.Source), func() (gateways.Result, error) {
		r := gateways.Result{State: gateways.StatePaid, Reference: "f" + o.ID.String(), Captured: o.Amount, Authorised: o.Amount}
		if o.Source == "no" {
			r = gateways.Result{State: gateways.StateFailed, Reference: r.Reference, Failure: &gateways.Failure{Code: "card_declined"}}
		}
		f.orders[o.ID] = &r
		f.moved[o.ID]++
		return r, nil
	})
}

func (f *fake) Capture(context.Context, gateways.Credentials, gateways.Operation) (gateways.Result, error) {
	return gateways.Result{}, gateways.ErrUnsupported
}

func (f *fake) Release(context.Context, gateways.Credentials, gateways.Operation) (gateways.Result, error) {
	return gateways.Result{}, gateways.ErrUnsupported
}

func (f *fake) Refund(_ context.Context, _ gateways.Credentials, o gateways.Operation) (gateways.Result, error) {
	return f.once(o.Key, fmt.Sprint(o.OrderID, o.Amount), func() (gateways.Result, error) {
		r := f.orders[o.OrderID]
		if r == nil {
			return gateways.Result{}, gateways.ErrRefused
		}
		refunded := r.Refunded.Minor + o.Amount.Minor
		if refunded > r.Captured.Minor {
			return gateways.Result{}, gateways.ErrRefused
		}
		r.Refunded, r.State = o.Amount, gateways.StatePartiallyRefunded
		if r.Refunded.Minor = refunded; refunded == r.Captured.Minor {
			r.State = gateways.StateRefunded
		}
		return *r, nil
	})
}

func (f *fake) FetchStatus(_ context.Context, _ gateways.Credentials, q gateways.Query) (gateways.Result, error) {
	f.Lock()
	defer f.Unlock()
	if r := f.orders[q.OrderID]; r != nil {
		return *r, nil
	}
	return gateways.Result{State: gateways.StateNone}, nil
}

func (f *fake) HandleCallback(context.Context, gateways.Credentials, gateways.Callback) (gateways.Message, error) {
	return gateways.Message{}, gateways.ErrUnsupported
}

func TestSuite(t *testing.T) {
	t.Parallel()
	gatewaystest.Suite(t, func(testing.TB) gatewaystest.Fixture {
		f := &fake{orders: map[uuid.UUID]*gateways.Result{}, answers: map[string]gateways.Result{}, asked: map[string]string{}, moved: map[uuid.UUID]int{}}
		return gatewaystest.Fixture{Gateway: f, Pays: "yes", Declined: "no", Effects: func(_ testing.TB, id uuid.UUID) int {
			f.Lock()
			defer f.Unlock()
			return f.moved[id]
		}}
	})
}
