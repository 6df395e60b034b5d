package subscriptions

import "countersign/internal/errs"

var (
	// ErrStart means that the first month of a subscription would begin in the past, or so late that the date is a slip.
	ErrStart = errs.Invalid("subscription_start", "A subscription begins today or later, and at most a year from now.")
	// ErrCancelled means that the subscription was cancelled before.
	ErrCancelled = errs.Conflict("subscription_cancelled", "This subscription was already cancelled.")
)
