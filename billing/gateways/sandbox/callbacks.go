package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/gateways"
	"countersign/billing/money"
	"countersign/internal/apps"
	"countersign/internal/carddata"
	"countersign/tenancy"
)

// SignatureHeader holds what gateways.Sign gives for the body, under the configuration's secret.
const SignatureHeader = "Sandbox-Signature"

const (
	deliverBatch = 50
	maxAttempts  = 8
	maxError     = 500              // bytes that are kept of why a callback was not taken
	lease        = 30 * time.Second // after which a callback whose deliverer has vanished is sent again
)

// envelope is the body of a callback.
type envelope struct {
	ID              string         `json:"id"` // the same for each copy
	OrderID         uuid.UUID      `json:"order_id"`
	Reference       string         `json:"reference"`
	State           gateways.State `json:"state"`
	Currency        money.Currency `json:"currency"`
	AuthorisedMinor int64          `json:"authorised_minor"`
	CapturedMinor   int64          `json:"captured_minor"`
	RefundedMinor   int64          `json:"refunded_minor"`
	FailureCode     string         `json:"failure_code,omitempty"`
	Refund          string         `json:"refund,omitempty"` // that has failed, when the state is refund_failed
}

// queue writes what a token makes the sandbox say of an order.
func (g *Gateway) queue(ctx context.Context, tx bun.Tx, o *order, list []news, wait time.Duration) error {
	for _, n := range list {
		then := *o
		then.to(n.state)
		body, err := json.Marshal(envelope{ID: "evt_" + n.name + "_" + o.ID.String(), OrderID: o.ID, Reference: o.reference(), State: then.State, Currency: o.Currency,
			AuthorisedMinor: then.AuthorisedMinor, CapturedMinor: then.CapturedMinor, RefundedMinor: then.RefundedMinor, FailureCode: then.FailureCode})
		if err != nil {
			return err
		}
		at := g.now().Add(time.Duration(n.wait) * wait)
		m := &message{TenantID: o.TenantID, ID: uuid.Must(uuid.NewV7()), OrderID: o.ID, Body: body, NextAt: &at}
		if _, err := tx.NewInsert().Model(m).Exec(ctx); err != nil {
			return fmt.Errorf("queue a callback: %w", err)
		}
	}
	return nil
}

// HandleCallback implements gateways.Gateway.
func (g *Gateway) HandleCallback(_ context.Context, c gateways.Credentials, in gateways.Callback) (gateways.Message, error) {
	if err := gateways.Verify(c.Secrets[secretField], in.Header.Get(SignatureHeader), in.Body, in.Arrived); err != nil {
		return gateways.Message{}, err
	}
	var e envelope
	dec := json.NewDecoder(bytes.NewReader(in.Body))
	if err := dec.Decode(&e); err != nil {
		return gateways.Message{}, fmt.Errorf("%w: %w", gateways.ErrRefused, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) || e.ID == "" || e.OrderID == uuid.Nil || e.State == "" {
		return gateways.Message{}, fmt.Errorf("%w: not a message of the sandbox", gateways.ErrRefused)
	}
	o := order{ID: e.OrderID, State: e.State, Currency: e.Currency, AuthorisedMinor: e.AuthorisedMinor, CapturedMinor: e.CapturedMinor, RefundedMinor: e.RefundedMinor, FailureCode: e.FailureCode}
	r := o.result()
	if e.Refund != "" {
		r.Details["refund"] = e.Refund
	}
	return gateways.Message{ReplayKey: e.ID, OrderID: e.OrderID, Reference: e.Reference, Result: r, Answer: thank}, nil
}

func thank(taken error) gateways.Response {
	if taken != nil {
		return gateways.Response{Status: http.StatusServiceUnavailable, ContentType: "application/json", Body: []byte(`{"received":false}`)}
	}
	return gateways.Response{Status: http.StatusOK, ContentType: "application/json", Body: []byte(`{"received":true}`)}
}

// Receiver is who takes callbacks: what serves them over HTTP, without the network. An error, and any status but 2xx, means
// that the callback is sent again.
type Receiver func(ctx context.Context, gateway, endpoint string, in gateways.Callback) (gateways.Response, error)

// Deliveries is the background work that sends what is queued. open gives the tenant's sandbox as it is configured.
func (g *Gateway) Deliveries(open func(ctx context.Context, name string) (gateways.Access, error), receive Receiver) apps.Doorbell {
	return apps.Doorbell{Name: "sandbox.deliver", Waiting: tenancy.Due("sandbox_callbacks", "next_at"), Run: func(ctx context.Context) error {
		for {
			n, err := g.deliver(ctx, open, receive)
			if err != nil || n < deliverBatch {
				return err
			}
		}
	}}
}

// deliver sends what is due in the tenant of ctx, one after the other, and gives how many it has taken.
func (g *Gateway) deliver(ctx context.Context, open func(context.Context, string) (gateways.Access, error), receive Receiver) (int, error) {
	var batch []message
	err := tenancy.InTx(ctx, g.db, func(ctx context.Context, tx bun.Tx) error {
		batch = nil
		return tx.NewRaw(`UPDATE sandbox_callbacks AS sc SET next_at = ?, attempts = attempts + 1
			WHERE sc.tenant_id = ? AND sc.id IN (SELECT c.id FROM sandbox_callbacks AS c WHERE c.tenant_id = ? AND c.next_at <= ?
			  ORDER BY c.next_at, c.id LIMIT ? FOR UPDATE SKIP LOCKED)
			RETURNING sc.tenant_id, sc.id, sc.order_id, sc.body, sc.attempts`,
			g.now().Add(lease), tenancy.ID(ctx), tenancy.ID(ctx), g.now(), deliverBatch).Scan(ctx, &batch)
	})
	if err != nil || len(batch) == 0 {
		return 0, err
	}
	a, err := open(ctx, Name)
	if err != nil {
		return 0, err
	}
	sortByQueue(batch)
	for i := range batch {
		if err := g.mark(ctx, &batch[i], g.send(ctx, a, batch[i].Body, receive)); err != nil {
			return 0, err
		}
	}
	return len(batch), nil
}

// send calls the receiver with the bytes that HTTP would bring, signed now: a callback that comes late is still genuine.
func (g *Gateway) send(ctx context.Context, a gateways.Access, body []byte, receive Receiver) error {
	now := g.now()
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set(SignatureHeader, gateways.Sign(a.Credentials.Secrets[secretField], now, body))
	answer, err := receive(ctx, Name, a.Endpoint, gateways.Callback{Method: http.MethodPost, Header: header, Body: body, Peer: Name, Arrived: now})
	if err != nil {
		return err
	}
	if answer.Status < 200 || answer.Status > 299 {
		return fmt.Errorf("the answer was %d", answer.Status)
	}
	return nil
}

// mark writes down what became of a callback, and when it is sent again.
func (g *Gateway) mark(ctx context.Context, m *message, failure error) error {
	now := g.now()
	m.NextAt, m.LastError = nil, ""
	if failure == nil {
		m.DeliveredAt = &now
	} else {
		m.LastError = carddata.Excerpt(failure.Error(), maxError)
		if m.Attempts < maxAttempts {
			next := now.Add(time.Second << m.Attempts)
			m.NextAt = &next
		}
		slog.WarnContext(ctx, "a callback of the sandbox was not taken", "attempt", m.Attempts, "error", failure)
	}
	return tenancy.InTx(ctx, g.db, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model(m).Column("next_at", "delivered_at", "last_error").Where("sc.tenant_id = ?", m.TenantID).Where("sc.id = ?", m.ID).Exec(ctx)
		if err != nil {
			return fmt.Errorf("mark a callback: %w", err)
		}
		return nil
	})
}
