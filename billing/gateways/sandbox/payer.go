package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/gateways"
	"countersign/billing/money"
	"countersign/internal/apps"
	"countersign/internal/audit"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/web"
	"countersign/tenancy"
)

// Complete does what the payer does on the provider's page: he approves or declines. What comes of it is told by a
// callback, as a real provider does, and who has played the payer stands in the audit log (S0-15). It fails with
// web.ErrNotFound, gateways.ErrWrongMode or ErrOrderNotWaiting.
func (g *Gateway) Complete(ctx context.Context, id uuid.UUID, approve bool) (gateways.Result, error) {
	var r gateways.Result
	err := tenancy.InTx(ctx, g.db, func(ctx context.Context, tx bun.Tx) error {
		o, err := g.lock(ctx, tx, call{order: id})
		if errors.Is(err, errNoOrder) {
			return web.ErrNotFound
		}
		if err != nil {
			return err
		}
		t, err := tenancy.Current(ctx, tx)
		if err != nil {
			return err
		}
		switch {
		case !t.TestMode:
			return gateways.ErrWrongMode.With("gateway", Name).With("mode", gateways.Live)
		case o.State != gateways.StateAwaitingCustomer:
			return ErrOrderNotWaiting
		}
		outcome := gateways.StateFailed
		if approve {
			outcome = gateways.StatePaid
		}
		o.to(outcome)
		if err := g.queue(ctx, tx, o, []news{{"outcome", outcome, 0}}, 0); err != nil {
			return err
		}
		if err := g.save(ctx, tx, o); err != nil {
			return err
		}
		r = o.result()
		return audit.Write(ctx, audit.Record{Action: "sandbox_order.complete", ObjectType: "sandbox_order", ObjectID: id,
			Before: map[string]any{"state": gateways.StateAwaitingCustomer}, After: map[string]any{"state": o.State}})
	})
	return r, err
}

// Call is a line of the sandbox's log.
type Call struct {
	Operation string // begin, capture, release, refund or status
	Key       string
	Outcome   string // acted, replayed, refused, down or read
	At        time.Time
}

// Calls gives what the sandbox was asked about an order, the oldest first, for tests and integrators. Requests that were
// lost on the way are not there.
func (g *Gateway) Calls(ctx context.Context, id uuid.UUID) ([]Call, error) {
	var lines []request
	err := tenancy.Read(ctx, g.db, func(ctx context.Context, tx bun.Tx) error {
		lines = nil
		return tx.NewSelect().Model(&lines).Where("sr.tenant_id = ?", tenancy.ID(ctx)).Where("sr.order_id = ?", id).OrderExpr("sr.id").Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("read the sandbox's log: %w", err)
	}
	calls := make([]Call, len(lines))
	for i, l := range lines {
		calls[i] = Call{Operation: l.Operation, Key: l.Key, Outcome: l.Outcome, At: l.CreatedAt}
	}
	return calls, nil
}

// sortByQueue puts callbacks in the order in which they were queued.
func sortByQueue(batch []message) {
	slices.SortFunc(batch, func(a, b message) int { return cmp.Compare(a.ID.String(), b.ID.String()) })
}

// App hands the routes to the project. Deliveries is added by whoever has a receiver.
func (g *Gateway) App(doorbells ...apps.Doorbell) apps.App {
	return apps.App{Name: "sandbox", Doorbells: doorbells, URLs: []web.Route{
		{Method: http.MethodPost, Path: "/billing/sandbox/orders/{id}/complete/", Staff: true, Permission: auth.BillingCreate, Handler: g.complete,
			Tag: "Gateways", Summary: "Approve or decline a sandbox order, as its payer", Request: CompleteRequest{}, Response: OrderResponse{},
			Errors: []*errs.Error{gateways.ErrWrongMode, ErrOrderNotWaiting}},
	}}
}

// CompleteRequest is the body of POST sandbox/orders/{id}/complete/.
type CompleteRequest struct {
	Approve *bool `json:"approve" validate:"required"`
}

// OrderResponse is an order as the sandbox knows it.
type OrderResponse struct {
	ID        string         `json:"id"`
	Reference string         `json:"reference"`
	State     gateways.State `json:"state"`
	Captured  string         `json:"captured_amount"`
	Minor     int64          `json:"captured_amount_minor"`
	Currency  money.Currency `json:"currency"`
}

func (g *Gateway) complete(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	var req CompleteRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	done, err := g.Complete(r.Context(), id, *req.Approve)
	if err != nil {
		return err
	}
	return web.OK(w, OrderResponse{ID: id.String(), Reference: done.Reference, State: done.State, Captured: done.Captured.String(), Minor: done.Captured.Minor, Currency: done.Captured.Currency})
}
