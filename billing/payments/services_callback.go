package payments

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/gateways"
	"countersign/internal/apps"
	"countersign/internal/database"
	"countersign/tenancy"
)

// Callback takes what a provider says by itself: it is checked by the adapter, stored before anything is done about it,
// and believed as far as it fits to what is known. However many copies come, and in whatever order, one has the effect
// and all have the same answer (S1-37, W-06). What is not genuine changes nothing (S0-58). It fails with web.ErrNotFound
// for an endpoint that we never gave out; everything else that goes wrong is a Response that makes the provider come again.
func (s *Service) Callback(ctx context.Context, gateway, endpoint string, in gateways.Callback) (gateways.Response, error) {
	ctx, a, err := s.gateways.Endpoint(ctx, gateway, endpoint)
	if err != nil {
		return gateways.Response{}, err
	}
	m, err := a.Gateway.HandleCallback(ctx, a.Credentials, in)
	if err != nil {
		slog.WarnContext(ctx, "a callback is not taken", "gateway", a.Name, "error", err)
		if m.Answer != nil {
			return m.Answer(err), nil
		}
		return refusedCallback(err), nil
	}
	stored, err := s.gateways.Receive(ctx, a, in, m)
	if err != nil {
		return gateways.Response{}, err
	}
	if stored.Done() {
		return stored.Answered(), nil
	}
	answer, err := s.effect(ctx, a, m, stored.ID)
	if err != nil {
		if err := s.failed(ctx, stored, err); err != nil {
			slog.ErrorContext(ctx, "and that could not be noted", "inbound_id", stored.ID, "error", err)
		}
		return m.Answer(err), nil
	}
	return answer, nil
}

// failed says that a message had no effect yet.
func (s *Service) failed(ctx context.Context, e *gateways.Inbound, why error) error {
	slog.ErrorContext(ctx, "a callback had no effect yet", "gateway", e.Gateway, "inbound_id", e.ID, "error", why)
	return s.gateways.Fail(ctx, e.ID, why)
}

// redoDoorbell does again what messages of providers should have done (S1-02).
func (s *Service) redoDoorbell() apps.Doorbell {
	return apps.Doorbell{Name: "payments.callbacks", Timeout: 5 * time.Minute, Waiting: gateways.TenantsToRedo, Run: s.RedoCallbacks}
}

// RedoCallbacks gives the stored messages of the tenant of ctx their effect that have had none in their time: whoever took them
// has died, or it failed. A provider that has been told that we have a message need not send it again.
func (s *Service) RedoCallbacks(ctx context.Context) error {
	for {
		due, err := s.gateways.ToRedo(ctx, sweepSize)
		if err != nil {
			return err
		}
		for _, e := range due {
			ctx := gateways.InNameOf(ctx, e.TenantID, e.Gateway)
			a, m, err := s.gateways.Understand(ctx, e)
			if err == nil {
				_, err = s.effect(ctx, a, m, e.ID)
			}
			if err == nil {
				continue
			}
			if ctx.Err() != nil {
				return err
			}
			if err := s.failed(ctx, e, err); err != nil {
				return err
			}
		}
		if len(due) < sweepSize {
			return nil
		}
	}
}

// refusedCallback answers what is not believed or not understood.
func refusedCallback(err error) gateways.Response {
	status := http.StatusBadRequest
	switch {
	case errors.Is(err, gateways.ErrNotGenuine):
		status = http.StatusForbidden
	case errors.Is(err, gateways.ErrConfiguration), errors.Is(err, gateways.ErrTransient):
		status = http.StatusServiceUnavailable
	}
	return gateways.Response{Status: status, ContentType: "application/json", Body: []byte(`{"received":false}`)}
}

// effect applies a stored message and marks it, in one commit.
func (s *Service) effect(ctx context.Context, a gateways.Access, m gateways.Message, inbound uuid.UUID) (gateways.Response, error) {
	said := m.Result
	said.Reference = cmp.Or(said.Reference, m.Reference)
	if m.Verify {
		var err error
		if said, err = a.Gateway.FetchStatus(ctx, a.Credentials, gateways.Query{OrderID: m.OrderID, Reference: m.Reference}); err != nil {
			return gateways.Response{}, err
		}
	}
	var answer gateways.Response
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		e, err := s.gateways.Take(ctx, tx, inbound)
		if err != nil {
			return err
		}
		if e.Done() {
			answer = e.Answered()
			return nil
		}
		answer = m.Answer(nil)
		out := gateways.Outcome{Response: answer}
		id, err := orderedPayment(ctx, a.Name, m)
		switch {
		case err != nil:
			return err
		case id == uuid.Nil:
			out.Ignored = "there is no such payment at this gateway"
		default:
			out.PaymentID = id
			if err := s.news(ctx, tx, id, said); err != nil {
				return err
			}
		}
		s.gateways.Finish(ctx, e, out)
		return nil
	})
	return answer, err
}

// news applies what a provider says by itself.
func (s *Service) news(ctx context.Context, tx bun.Tx, id uuid.UUID, said gateways.Result) error {
	p, err := lock(ctx, tx, id)
	if err != nil {
		return err
	}
	o, err := lockOrder(ctx, tx, id)
	if err != nil {
		return err
	}
	return s.believe(ctx, tx, p, o, said, sourceCallback)
}

const orderOf = `SELECT payment_id FROM payment_orders WHERE tenant_id = $1 AND name = $2 AND (payment_id = $3 OR $3 = '00000000-0000-0000-0000-000000000000'::uuid AND provider_id = $4)`

// orderedPayment finds the payment that a message is about among those that this gateway was asked for.
func orderedPayment(ctx context.Context, name string, m gateways.Message) (id uuid.UUID, err error) {
	err = database.Send(ctx, database.Select("look for the payment of a callback", orderOf, func(row database.Row) error { return row.Scan(&id) },
		tenancy.ID(ctx), name, m.OrderID, m.Reference))
	return id, err
}
