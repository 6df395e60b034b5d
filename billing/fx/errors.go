package fx

import "countersign/internal/errs"

var (
	// ErrSameCurrency means that both currencies of a rate or of a conversion are one.
	ErrSameCurrency = errs.Invalid("fx_same_currency", "The two currencies must be different.")
	// ErrUnknownRate blames a field of a body that names no rate of the tenant.
	ErrUnknownRate = errs.Invalid("unknown_fx_rate", "There is no such rate.")
	// ErrRatePair means that a rate, or the base of one, is not of the two currencies that are converted.
	ErrRatePair = errs.Invalid("fx_rate_pair", "This is not a rate between {{.from}} and {{.to}}.")
	// ErrRateTwice means that a rate was both named and stated.
	ErrRateTwice = errs.Invalid("fx_rate_twice", "Name a recorded rate with rate_id, or state rate and source, but not both.")
	// ErrNoRate means that no rate was named or stated, and that none of late is recorded for this direction. A rate of
	// the other direction is used only when it is named.
	ErrNoRate = errs.Invalid("fx_no_rate", "No rate from {{.from}} to {{.to}} of the last {{.days}} days is recorded. Name another with rate_id, or state rate and source.")
	// ErrNothing means that the amount, converted and rounded, is nothing.
	ErrNothing = errs.Invalid("fx_comes_to_nothing", "At this rate the amount comes to nothing in the target currency.")
	// ErrTooLarge means that an amount is beyond what one conversion may be.
	ErrTooLarge = errs.Invalid("fx_too_large", "The conversion is too large: no amount of it may be above {{.limit}}.")
	// ErrGiven means that to_amount is too far from what the rate makes: a rate was mistaken, or an amount.
	ErrGiven = errs.Invalid("fx_amounts_disagree", "The rate makes {{.computed}} {{.currency}} of it, and what the bank gave may be at most {{.percent}} % away from that.")
	// ErrReason means that a conversion needs a reason: its amounts differ from its rate, nobody else has recorded such a
	// rate, or the account gains more than others may give it.
	ErrReason = errs.Invalid("fx_reason_required", "Say why: what the bank gave differs from the rate, nobody else has recorded such a rate, or the account's conversions gain too much.")
	// ErrRateUnconfirmed means that the rate is the caller's word alone. Let somebody else record it, or an owner convert.
	ErrRateUnconfirmed = errs.Forbidden("fx_rate_unconfirmed",
		"Nobody but you has recorded a rate of these currencies in the last {{.days}} days that is at most {{.percent}} % away from this one. Let somebody else record it, or let an owner convert.")
	// ErrGainExceeded means that an account's conversions would together give it too much above the rates of others. Let
	// somebody else record the rate, by which it is measured then, or an owner convert.
	ErrGainExceeded = errs.Conflict("fx_gain_exceeded",
		"This account's conversions of the last {{.days}} days have gained {{.gained}} % above the rates that others have recorded, this one would gain {{.gain}} %, and together at most {{.percent}} % are allowed. Let somebody else record the rate, or let an owner convert and say why.")
	// ErrNotPositive names an amount or rate of nothing or less.
	ErrNotPositive = errs.Invalid("not_positive", "This must be more than zero.")
	// ErrForms means that one amount was given in two forms that differ.
	ErrForms = errs.Invalid("amounts_disagree", "The amount and its minor units say different things.")

	errEmpty = errs.Invalid("required", "This field is required.")
)
