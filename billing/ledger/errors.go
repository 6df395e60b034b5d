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
	// ErrBalanceTooLarge means that a customer's balance would be beyond what the books hold. The caller's transaction is
	// lost: roll it back.
	ErrBalanceTooLarge = errs.Invalid("balance_too_large", "With this, the balance of the account would be larger than the books hold.")
	// ErrCreditExceeded means that more of a customer's credit was to be spent than there is. The caller's transaction is
	// lost: roll it back.
	ErrCreditExceeded = errs.Conflict("credit_exceeded", "The customer does not have so much credit.")
	// ErrInvalidPosting means that the caller's posting cannot be booked: a bug, which the wrapping error describes.
	ErrInvalidPosting = errors.New("invalid ledger posting")
)
