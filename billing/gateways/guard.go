package gateways

import (
	"context"
	"encoding/hex"

	"github.com/google/uuid"

	"countersign/internal/carddata"
	"countersign/internal/keyring"
)

// guarded keeps card data out of what a provider says, whatever becomes of it then (S1-14, S1-65, S0D-24). Every call
// that anybody makes goes through it. What the payer's browser is sent to is left as it is: it would not work otherwise.
type guarded struct {
	Gateway
	keys   *keyring.Keyring
	tenant uuid.UUID
}

func (s *Service) guard(g Gateway, tenant uuid.UUID) Gateway { return guarded{g, s.keys, tenant} }

// Begin implements Gateway.
func (g guarded) Begin(ctx context.Context, c Credentials, o Order) (Result, error) {
	return g.clean(g.Gateway.Begin(ctx, c, o))
}

// Capture implements Gateway.
func (g guarded) Capture(ctx context.Context, c Credentials, o Operation) (Result, error) {
	return g.clean(g.Gateway.Capture(ctx, c, o))
}

// Release implements Gateway.
func (g guarded) Release(ctx context.Context, c Credentials, o Operation) (Result, error) {
	return g.clean(g.Gateway.Release(ctx, c, o))
}

// Refund implements Gateway.
func (g guarded) Refund(ctx context.Context, c Credentials, o Operation) (Result, error) {
	return g.clean(g.Gateway.Refund(ctx, c, o))
}

// FetchStatus implements Gateway.
func (g guarded) FetchStatus(ctx context.Context, c Credentials, q Query) (Result, error) {
	return g.clean(g.Gateway.FetchStatus(ctx, c, q))
}

// HandleCallback implements Gateway.
func (g guarded) HandleCallback(ctx context.Context, c Credentials, in Callback) (Message, error) {
	m, err := g.Gateway.HandleCallback(ctx, c, in)
	m.ReplayKey, m.Reference = g.id(m.ReplayKey), g.reference(m.Reference)
	m.Result, err = g.clean(m.Result, err)
	return m, err
}

func (g guarded) clean(r Result, err error) (Result, error) {
	r.Reference = g.reference(r.Reference)
	if r.Failure != nil {
		r.Failure = &Failure{Code: carddata.Said(r.Failure.Code), Reason: carddata.Said(r.Failure.Reason)}
	}
	if len(r.Details) > 0 {
		r.Details = carddata.Clean(r.Details).(map[string]any)
	}
	return r, err
}

// reference is the provider's id of an order. Those that have a protocol are asked by it, and give none that is card data;
// a tenant's own processor may call an order anything.
func (g guarded) reference(text string) string {
	if g.Capabilities().Named {
		return g.id(text)
	}
	return text
}

// id gives what stands for an id that holds card data, the same each time, and any other as it is.
func (g guarded) id(text string) string {
	if carddata.Said(text) == text {
		return text
	}
	return "hidden:" + hex.EncodeToString(g.keys.Index(g.tenant, "gateways.id", text))
}
