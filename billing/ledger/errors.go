package ledger

import (
	"errors"

	"countersign/internal/errs"
)

var (
	// ErrAlreadyPosted means that a transaction with this cause exists. The caller's transaction is lost: roll it back.
	ErrAlreadyPosted = errs.Conflict("already_posted", "This has already been posted to the ledger.")
	// ErrAlreadyReversed means that the transaction was reversed before, under whatever cause.
	ErrAlreadyReversed = errs.Conflict("already_reversed", "This ledger transaction has already been reversed.")
	// ErrCursor means that a list of entries was asked to go on after something that is no entry.
	ErrCursor = errs.Invalid("invalid_cursor", "This cursor was not made by this list. Start again with cursor=.")
	// ErrAsOf means that as_of is no time.
	ErrAsOf = errs.Invalid("invalid_as_of", "Use a time such as 2026-01-31T12:00:00Z, or a date, which means its first moment in UTC.")
	// ErrInvalidPosting means that the caller's posting cannot be booked: a bug, which the wrapping error describes.
	ErrInvalidPosting = errors.New("invalid ledger posting")
)
