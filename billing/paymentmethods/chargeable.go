package paymentmethods

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/web"
)

// open gives what is sealed of a saved method, by key.
func (s *Service) open(m *Saved) (map[string]string, error) {
	sealed := map[string]string{}
	if len(m.Sensitive) == 0 {
		return sealed, nil
	}
	text, err := s.keys.Open(m.place(), m.Sensitive)
	if err == nil {
		err = json.Unmarshal(text, &sealed)
	}
	if err != nil {
		return nil, fmt.Errorf("open saved method %s: %w", m.ID, err)
	}
	return sealed, nil
}

// Chargeable is a saved method that a provider can be asked for.
type Chargeable struct {
	AccountID uuid.UUID
	Token     string // the provider's, opened: never stored and never shown
	Customer  string // the payer's id at the provider; empty: none is needed
	Gateway   string // empty: the tenant's one that takes charges
}

// Chargeable gives a saved method with its token, of the caller's account where he is a member. web.ErrNotFound when there is
// none that the caller may see, or when it has no token.
func (s *Service) Chargeable(ctx context.Context, db bun.IDB, id uuid.UUID) (Chargeable, error) {
	m, err := GetSaved(ctx, db, id)
	if err != nil {
		return Chargeable{}, err
	}
	sealed, err := s.open(m)
	if err != nil {
		return Chargeable{}, err
	}
	if sealed[TokenKey] == "" || !m.Method.isCharged() {
		return Chargeable{}, web.ErrNotFound
	}
	customer, _ := m.Details[CustomerKey].(string)
	gateway, _ := m.Details[GatewayKey].(string)
	return Chargeable{AccountID: m.AccountID, Token: sealed[TokenKey], Customer: customer, Gateway: gateway}, nil
}

// Chargeables gives the saved methods that a provider can be asked for, the newest first, of the caller's account where he is a
// member. all is false when there may be more: no more than limit are opened, to see whether they have a token.
func (s *Service) Chargeables(ctx context.Context, db bun.IDB, limit int) (chargeable []*Saved, all bool, err error) {
	charged := slices.DeleteFunc(Methods(), func(m Method) bool { return !m.isCharged() })
	var list []*Saved
	err = saved(ctx, db).Where("apm.payment_method IN (?)", bun.List(charged)).Where("apm.sensitive IS NOT NULL").OrderExpr("apm.id DESC").Limit(int64(limit)+1).Scan(ctx, &list)
	if err != nil {
		return nil, false, fmt.Errorf("read saved methods: %w", err)
	}
	for _, m := range list[:min(limit, len(list))] {
		sealed, err := s.open(m)
		if err != nil {
			return nil, false, err
		}
		if sealed[TokenKey] != "" {
			chargeable = append(chargeable, m)
		}
	}
	return chargeable, len(list) <= limit, nil
}
