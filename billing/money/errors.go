package money

import "countersign/internal/errs"

// ErrCurrencyMismatch means that amounts of two currencies were added, subtracted or compared. Convert one first.
var ErrCurrencyMismatch = errs.Invalid("currency_mismatch", "{{.left}} and {{.right}} are different currencies.")

// ErrUnknownCurrency means that a text is no ISO 4217 code, or one without minor units such as XXX or XAU.
var ErrUnknownCurrency = errs.Invalid("unknown_currency", "Use a three-letter ISO 4217 currency code, such as USD.")

// ErrInvalidAmount means that a text is not a plain decimal number.
var ErrInvalidAmount = errs.Invalid("invalid_amount", "Use a plain decimal number, such as 920.00.")

// ErrTooManyDigits means more decimal places than the currency or the quantity has. We never round what somebody sent.
var ErrTooManyDigits = errs.Invalid("too_many_digits", "At most {{.digits}} decimal places are allowed.")

// ErrOverflow means that an amount, or the result of a calculation, is larger than can be stored.
var ErrOverflow = errs.Invalid("amount_overflow", "The amount is too large.")
