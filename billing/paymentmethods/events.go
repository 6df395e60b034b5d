package paymentmethods

import "countersign/internal/outbox"

// The events of this package. Those of rows are for staff; those of saved methods belong to the account.
const (
	EventConfigCreated  = "payment_method_config.created"
	EventConfigUpdated  = "payment_method_config.updated"
	EventConfigDeleted  = "payment_method_config.deleted"
	EventSaved          = "payment_method.saved"
	EventUpdated        = "payment_method.updated"
	EventDeleted        = "payment_method.deleted"
	EventDefaultChanged = "payment_method.default_changed"
)

// ConfigEvent is the payload of payment_method_config.*: the row as it is afterwards, or was before it was deleted.
type ConfigEvent struct {
	ID            string `json:"id"`
	CountryCode   string `json:"country_code"`
	PaymentMethod Method `json:"payment_method"`
	IsEnabled     bool   `json:"is_enabled"`
}

func configEvent(name string, c *Config) outbox.Event {
	return outbox.Event{Type: name, ObjectType: "payment_method_config", ObjectID: c.ID,
		Payload: ConfigEvent{ID: c.ID.String(), CountryCode: c.CountryCode, PaymentMethod: c.Method, IsEnabled: c.IsEnabled}}
}

// SavedEvent is the payload of payment_method.*.
type SavedEvent struct {
	ID            string `json:"id"`
	AccountID     string `json:"account_id"`
	PaymentMethod Method `json:"payment_method"`
	IsDefault     bool   `json:"is_default"`
}

func savedEvent(name string, m *Saved) outbox.Event {
	return outbox.Event{Type: name, ObjectType: "payment_method", ObjectID: m.ID, AccountID: m.AccountID,
		Payload: SavedEvent{ID: m.ID.String(), AccountID: m.AccountID.String(), PaymentMethod: m.Method, IsDefault: m.IsDefault}}
}
