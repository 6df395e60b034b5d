package paymentmethods

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/audit"
	"countersign/internal/keyring"
	"countersign/internal/web"
	"countersign/tenancy"
)

// sealedSaved is the column that only the ring opens: what is personal in the details of a saved method, by key. It is
// null when nothing is.
var sealedSaved = apps.SealedColumn{Table: "account_payment_methods", Column: "sensitive"}

func (m *Saved) place() keyring.Place {
	return keyring.Place{Tenant: m.TenantID, Purpose: sealedSaved.Purpose(), Row: m.ID}
}

// setSaved gives a saved method its details, checked before: what is personal is sealed, and of it the details keep how it
// ends. What comes back as it was shown stays as it was.
func (s *Service) setSaved(m *Saved, details Details) error {
	old, err := s.open(m)
	if err != nil {
		return err
	}
	shown, hidden := Details{}, map[string]string{}
	for key, value := range details {
		text, _ := value.(string)
		if IsPersonal(key) || key == TokenKey {
			if was, ok := old[key]; ok && text == Mask(was) {
				text = was
			}
			if key == TokenKey && !token.MatchString(text) { // how another one was shown
				return ErrSecretDetail.At("details." + key)
			}
			hidden[key], text = text, Mask(text)
		}
		shown[key] = text
	}
	m.Details, m.Sensitive = shown, nil
	if len(hidden) == 0 {
		return nil
	}
	text, err := json.Marshal(hidden)
	if err != nil {
		return fmt.Errorf("write sealed details: %w", err)
	}
	m.Sensitive = s.keys.Seal(m.place(), text)
	return nil
}

// sealPlain seals what was saved before there was a column for it, each method in a transaction of its own, so that it may
// be stopped and begun again beside running traffic. It gives how many it has sealed.
func (s *Service) sealPlain(ctx context.Context) (sealed int, err error) {
	const batch = 200
	for after := uuid.Nil; ; {
		var candidates []*Saved
		err := tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
			return saved(ctx, tx).Where("apm.sensitive IS NULL").Where("apm.details <> '{}'").Where("apm.id > ?", after).OrderExpr("apm.id").Limit(batch).Scan(ctx, &candidates)
		})
		if err != nil {
			return sealed, fmt.Errorf("look for saved methods that are not sealed: %w", err)
		}
		for _, m := range candidates {
			if after = m.ID; !m.isPlain() {
				continue
			}
			changed, err := s.changeSaved(ctx, m.ID, s.sealOne)
			switch {
			case errors.Is(err, web.ErrNotFound): // it was deleted meanwhile
			case err != nil:
				return sealed, err
			case len(changed.Sensitive) > 0:
				sealed++
			}
		}
		if len(candidates) < batch {
			return sealed, nil
		}
	}
}

// isPlain says that a saved method holds something personal in the clear.
func (m *Saved) isPlain() bool {
	return len(m.Sensitive) == 0 && slices.ContainsFunc(slices.Collect(maps.Keys(m.Details)), IsPersonal)
}

// sealOne seals a saved method, unless its customer has done so meanwhile by saving it.
func (s *Service) sealOne(ctx context.Context, tx bun.Tx, m *Saved) error {
	if !m.isPlain() {
		return nil
	}
	if err := s.setSaved(m, m.Details); err != nil {
		return err
	}
	_, err := tx.NewUpdate().Model(m).Column("details", "sensitive").Where("apm.tenant_id = ?", m.TenantID).Where("apm.id = ?", m.ID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("seal saved method %s: %w", m.ID, err)
	}
	return audit.Write(ctx, audit.Record{Action: "payment_method.seal", ObjectType: "payment_method", ObjectID: m.ID, AccountID: m.AccountID})
}
