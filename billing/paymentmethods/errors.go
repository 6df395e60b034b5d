package paymentmethods

import "countersign/internal/errs"

var (
	// ErrMethodUnavailable means that the account is not offered this method in this currency.
	ErrMethodUnavailable = errs.Invalid("payment_method_unavailable", "This payment method is not available here. Ask for the methods that are.")
	// ErrBelowMinimum means that the method is offered from a higher amount on.
	ErrBelowMinimum = errs.Invalid("amount_below_minimum", "With this method the smallest amount is {{.limit}} {{.currency}}.")
	// ErrAboveMaximum means that the method is offered up to a lower amount only.
	ErrAboveMaximum = errs.Invalid("amount_above_maximum", "With this method the largest amount is {{.limit}} {{.currency}}.")

	// ErrConfigExists means that the country has a row for the method: change that one.
	ErrConfigExists = errs.Conflict("method_config_exists", "This country already has a row for this payment method.")
	// ErrLimitNeedsCurrency means that a limit stands on a row for all currencies.
	ErrLimitNeedsCurrency = errs.Invalid("limit_needs_currency", "Name the currency of the row before its limits.")
	// ErrRestateLimits means that a row's currency was changed under limits in the old one.
	ErrRestateLimits = errs.Invalid("restate_limits", "The limits are in the old currency. Give both anew, or 0 to remove one.")
	// ErrLimitsCrossed means that the minimum is above the maximum.
	ErrLimitsCrossed = errs.Invalid("limits_crossed", "The minimum is above the maximum.")
	// ErrDetailsTooLarge means that bank or wallet details have more bytes than a row keeps.
	ErrDetailsTooLarge = errs.Invalid("details_too_large", "This is too much: at most {{.limit}} bytes as JSON.")

	// ErrDetail names a detail of a saved method that is not a short text under a short key.
	ErrDetail = errs.Invalid("invalid_detail", "Keep at most {{.entries}} short texts here, under keys of small letters, digits and underscores.")
	// ErrSecretDetail names a detail that would hold a secret, which is never stored (S3-56).
	ErrSecretDetail = errs.Invalid("secret_detail_rejected", "Never send PINs, passwords or codes here; it was not stored.")
)
