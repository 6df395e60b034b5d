package paymentmethods

import (
	"encoding/json"
	"fmt"

	"countersign/internal/apps"
	"countersign/internal/keyring"
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
	old := map[string]string{}
	if len(m.Sensitive) > 0 {
		text, err := s.keys.Open(m.place(), m.Sensitive)
		if err == nil {
			err = json.Unmarshal(text, &old)
		}
		if err != nil {
			return fmt.Errorf("open saved method %s: %w", m.ID, err)
		}
	}
	shown, hidden := Details{}, map[string]string{}
	for key, value := range details {
		text, _ := value.(string)
		if IsPersonal(key) {
			if was, ok := old[key]; ok && text == Mask(was) {
				text = was
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
