package gateways

import "countersign/internal/outbox"

// The events of this package are for staff. Neither they nor the audit log ever hold a secret.
const (
	EventConfigCreated = "gateway_config.created"
	EventConfigUpdated = "gateway_config.updated"
)

// ConfigEvent is the payload of gateway_config.*.
type ConfigEvent struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Gateway   string `json:"gateway"`
	Mode      Mode   `json:"mode"`
	IsEnabled bool   `json:"is_enabled"`
}

func configEvent(name string, c *Config) outbox.Event {
	return outbox.Event{Type: name, ObjectType: "gateway_config", ObjectID: c.ID,
		Payload: ConfigEvent{ID: c.ID.String(), Name: c.Name, Gateway: c.Gateway, Mode: c.Mode, IsEnabled: c.IsEnabled}}
}
