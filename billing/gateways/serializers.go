package gateways

import (
	"maps"

	"countersign/internal/web"
)

// ConfigureRequest is the body of PUT gateways/{name}/. What is left out stays as it is.
type ConfigureRequest struct {
	Gateway     string       `json:"gateway" validate:"max=40"` // what a name of one's own stands for, such as integrator
	DisplayName *string      `json:"display_name" validate:"omitempty,max=100"`
	IsEnabled   *bool        `json:"is_enabled" validate:"required"`
	Settings    web.FreeForm `json:"settings"`  // replaces what was there
	Secrets     web.FreeForm `json:"secrets"`   // changes those that are named; an empty text removes one
	ErrorMap    web.FreeForm `json:"error_map"` // the provider's codes to ours
	NewEndpoint bool         `json:"new_endpoint"`
	Version     *int         `json:"version" validate:"omitempty,gte=0"` // as it was read
}

func (req ConfigureRequest) input(name string) ConfigureInput {
	return ConfigureInput{Name: name, Gateway: req.Gateway, DisplayName: req.DisplayName, IsEnabled: req.IsEnabled, Settings: req.Settings,
		Secrets: req.Secrets, ErrorMap: req.ErrorMap, NewEndpoint: req.NewEndpoint, Version: req.Version}
}

// FieldResponse is a field that a gateway has.
type FieldResponse struct {
	Name       string `json:"name"`
	IsSecret   bool   `json:"is_secret"`
	IsRequired bool   `json:"is_required"`
}

// CapabilitiesResponse says what a gateway can do.
type CapabilitiesResponse struct {
	Begin       bool       `json:"begin"`
	Capture     bool       `json:"capture"`
	PartCapture bool       `json:"part_capture"`
	Release     bool       `json:"release"`
	Refunds     RefundMode `json:"refunds"`
	PartRefund  bool       `json:"part_refund"`
	FetchStatus bool       `json:"fetch_status"`
	Callbacks   bool       `json:"callbacks"`
}

// ConfigResponse is a gateway as staff see it. Secrets only say whether they are set (S0-109).
type ConfigResponse struct {
	Name         string               `json:"name"`
	Gateway      string               `json:"gateway"`
	Mode         Mode                 `json:"mode"`
	DisplayName  string               `json:"display_name"`
	IsConfigured bool                 `json:"is_configured"`
	IsEnabled    bool                 `json:"is_enabled"`
	Settings     map[string]string    `json:"settings"`
	Secrets      map[string]string    `json:"secrets"`
	ErrorMap     map[string]string    `json:"error_map"`
	Endpoint     *string              `json:"endpoint"`
	CallbackPath *string              `json:"callback_path"`
	Fields       []FieldResponse      `json:"fields"`
	Capabilities CapabilitiesResponse `json:"capabilities"`
	Version      int                  `json:"version"`
	CreatedAt    *string              `json:"created_at"`
	UpdatedAt    *string              `json:"updated_at"`
}

func newConfigResponse(v View) ConfigResponse {
	can := v.Capabilities
	r := ConfigResponse{Name: v.Name, Gateway: v.Gateway, Mode: v.Mode, IsEnabled: can.NeedsNoConfig, Settings: map[string]string{}, Secrets: v.Secrets,
		ErrorMap: map[string]string{}, Endpoint: optional(v.Endpoint), CallbackPath: optional(v.CallbackPath()), Fields: []FieldResponse{},
		Capabilities: CapabilitiesResponse{Begin: can.Begin, Capture: can.Capture, PartCapture: can.PartCapture, Release: can.Release, Refunds: can.Refunds,
			PartRefund: can.PartRefund, FetchStatus: can.FetchStatus, Callbacks: can.Callbacks}}
	for _, f := range can.Fields {
		r.Fields = append(r.Fields, FieldResponse{Name: f.Name, IsSecret: f.Secret, IsRequired: f.Required})
	}
	if c := v.Config; c != nil {
		r.DisplayName, r.IsConfigured, r.IsEnabled, r.Version = c.DisplayName, true, c.IsEnabled, c.Version
		maps.Copy(r.Settings, c.Settings)
		maps.Copy(r.ErrorMap, c.ErrorMap)
		r.CreatedAt, r.UpdatedAt = optional(web.Time(c.CreatedAt)), optional(web.Time(c.UpdatedAt))
	}
	return r
}

// optional is nil for an empty text, which answers show as null.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// ListResponse is the answer of gateways/.
type ListResponse struct {
	Gateways []ConfigResponse `json:"gateways"`
}

// InboundResponse is a message of a provider. What it says is not shown.
type InboundResponse struct {
	ID          string        `json:"id"`
	Gateway     string        `json:"gateway"`
	Mode        Mode          `json:"mode"`
	ReplayKey   string        `json:"replay_key"`
	Status      InboundStatus `json:"status"`
	Attempts    int           `json:"attempts"`
	PaymentID   *string       `json:"payment_id"`
	Note        string        `json:"note"`
	ReceivedAt  string        `json:"received_at"`
	ProcessedAt *string       `json:"processed_at"`
}

func newInboundResponse(e *Inbound) InboundResponse {
	r := InboundResponse{ID: e.ID.String(), Gateway: e.Gateway, Mode: e.Mode, ReplayKey: e.ReplayKey, Status: e.Status, Attempts: e.Attempts, Note: e.Note,
		ReceivedAt: web.Time(e.ReceivedAt)}
	if e.PaymentID.Valid {
		r.PaymentID = optional(e.PaymentID.UUID.String())
	}
	if e.ProcessedAt != nil {
		r.ProcessedAt = optional(web.Time(*e.ProcessedAt))
	}
	return r
}
