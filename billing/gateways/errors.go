package gateways

import "countersign/internal/errs"

// What a caller of ours can act on. How calls of a gateway fail stands in gateway.go.
var (
	// ErrUnknownGateway means that this build has no such gateway, and the tenant has registered none of this name.
	ErrUnknownGateway = errs.NotFound("gateway_not_found", "There is no gateway of this name.")
	// ErrNotConfigured means that the tenant has not configured the gateway, or has switched it off.
	ErrNotConfigured = errs.Invalid("gateway_not_configured", "The gateway {{.gateway}} is not switched on here.")
	// ErrWrongMode means that the gateway does not work with the kind of money that the tenant takes: the sandbox never with
	// real money.
	ErrWrongMode = errs.Invalid("gateway_wrong_mode", "The gateway {{.gateway}} does not work in {{.mode}} mode.")

	// ErrGatewayKind means that what a name stands for was not said, cannot have names of one's own, or is something else.
	ErrGatewayKind = errs.Invalid("invalid_gateway_kind", "Under a name of your own you can register: {{.allowed}}. What a name stands for does not change.")
	// ErrUnknownSetting names a setting or a secret that the gateway does not have.
	ErrUnknownSetting = errs.Invalid("unknown_setting", "The gateway has no such field here. It has: {{.allowed}}.")
	// ErrInvalidSetting names a value that cannot be right.
	ErrInvalidSetting = errs.Invalid("invalid_setting", "This value does not fit here.")
	// ErrSettingMissing names a field without which the gateway cannot be switched on.
	ErrSettingMissing = errs.Invalid("setting_missing", "The gateway needs this before it can be switched on.")
	// ErrUnreadable means that the key that has sealed the gateway's secrets is not configured any more. All secrets are given
	// anew, and the provider is told a new callback path; or the key is put back.
	ErrUnreadable = errs.Conflict("gateway_secrets_unreadable", "The stored secrets cannot be opened any more. Give all of them anew, or ask the operator for their key.")
	// ErrConfigChanged means that somebody else has changed the configuration since the caller read it.
	ErrConfigChanged = errs.Conflict("gateway_config_changed", "Somebody has changed this configuration meanwhile. Read it again.")
)
