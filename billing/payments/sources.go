package payments

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/gateways"
	"countersign/billing/paymentmethods"
	"countersign/internal/web"
	"countersign/tenancy"
)

// takeSaved looks whether a charge names a saved method instead of a token (S1-04): one that the caller may see and that has
// a token, else ErrUnknownSource. Without an account or invoice the charge is its account's, and without a gateway it goes
// to the one that made the token. The order keeps the id; the token stays sealed until the provider is asked.
func (s *Service) takeSaved(ctx context.Context, in *ChargeInput) error {
	id, err := uuid.Parse(in.Source)
	if err != nil {
		return nil
	}
	var m paymentmethods.Chargeable
	err = tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		m, err = s.methods.Chargeable(ctx, tx, id)
		return err
	})
	if errors.Is(err, web.ErrNotFound) || err == nil && in.Gateway != "" && m.Gateway != "" && !strings.EqualFold(in.Gateway, m.Gateway) {
		return ErrUnknownSource.At("payment_source")
	}
	if err != nil {
		return err
	}
	in.Source, in.saved = id.String(), m.AccountID
	if in.Gateway == "" {
		in.Gateway = m.Gateway
	}
	if in.Account == "" && in.Invoice == "" {
		in.Account = m.AccountID.String()
	}
	return nil
}

// toBegin is what the provider is asked for with an order that begins. Of a saved method the token is opened here. One that
// was removed meanwhile leaves its id, which no provider knows: it declines.
func (s *Service) toBegin(ctx context.Context, p *Payment, o *order) (gateways.Order, error) {
	asked := gateways.Order{ID: p.ID, Amount: p.Amount(), Source: o.Source, Hold: o.Hold, Description: p.Notes, ReturnURL: o.ReturnURL}
	id, err := uuid.Parse(o.Source)
	if err != nil || o.Operation != opBegin {
		return asked, nil
	}
	err = tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		m, err := s.methods.Chargeable(ctx, tx, id)
		if errors.Is(err, web.ErrNotFound) || err == nil && m.AccountID != p.AccountID {
			return nil
		}
		asked.Source, asked.Customer = m.Token, m.Customer
		return err
	})
	return asked, err
}
