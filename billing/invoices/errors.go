package invoices

import (
	"errors"

	"countersign/internal/errs"
)

var (
	// ErrNotFound means an unknown invoice, somebody else's, or for members one that is not finalised.
	ErrNotFound = errs.NotFound("invoice_not_found", "There is no such invoice, or it is not yours.")
	// ErrNotFinalized means that a draft cannot be paid.
	ErrNotFinalized = errs.Invalid("invoice_not_finalized", "This invoice is still a draft. It can be paid once it is finalised.")
	// ErrAlreadyPaid means that nothing is owed any more (S3-27).
	ErrAlreadyPaid = errs.Invalid("invoice_already_paid", "This invoice is already paid.")
	// ErrVoid means that the invoice was cancelled.
	ErrVoid = errs.Invalid("invoice_void", "This invoice was voided. It cannot be paid.")
	// ErrNotDraft means that the invoice was finalised or voided: what was billed stays as it is.
	ErrNotDraft = errs.Conflict("invoice_not_draft", "Only a draft can be changed or finalised. Void this invoice and make a new one.")
	// ErrNotOpen means that an invoice in this state cannot be voided.
	ErrNotOpen = errs.Conflict("invoice_not_open", "Only a draft or an open invoice can be voided.")
	// ErrHasPayments means that money was received for the invoice.
	ErrHasPayments = errs.Conflict("invoice_has_payments", "Money was received for this invoice. Refund it before you void the invoice.")
	// ErrAdjusted means that credit, credit notes or write-offs have lowered the invoice.
	ErrAdjusted = errs.Conflict("invoice_adjusted", "This invoice was lowered by credit, a credit note or a write-off. Take that back before you void the invoice.")
	// ErrNothingOwed means that nothing is left of the invoice that could be paid, credited or written off.
	ErrNothingOwed = errs.Conflict("nothing_owed", "Nothing is owed on this invoice any more.")
	// ErrAboveBalance means that more was to be taken off the invoice than is owed.
	ErrAboveBalance = errs.Invalid("amount_above_balance", "The amount is above what is owed on the invoice, {{.balance}}.")
	// ErrNoCredit means that the customer has no credit in the invoice's currency.
	ErrNoCredit = errs.Conflict("no_credit", "The customer has no credit in {{.currency}}.")
	// ErrServiceCreditsSpent means that the service credits that the invoice has granted cannot be taken back: the customer
	// has used them.
	ErrServiceCreditsSpent = errs.Conflict("service_credits_spent", "This would take back {{.credits}} service credits, and the customer has only {{.left}} left.")
	// ErrAdjustmentNotFound means that no such adjustment lowers this invoice.
	ErrAdjustmentNotFound = errs.NotFound("adjustment_not_found", "There is no such adjustment on this invoice.")
	// ErrAlreadyReversed means that the adjustment was taken back before.
	ErrAlreadyReversed = errs.Conflict("adjustment_already_reversed", "This was already taken back.")
	// ErrCreditNoteNotFound means an unknown credit note, or somebody else's.
	ErrCreditNoteNotFound = errs.NotFound("credit_note_not_found", "There is no such credit note, or it is not yours.")
	// ErrNoteOfRefund means that the note belongs to a refund, and money that went back.
	ErrNoteOfRefund = errs.Conflict("credit_note_of_refund", "This credit note belongs to a refund. It cannot be undone by itself.")
	// ErrAlreadyUncollectible means that the invoice was given up before.
	ErrAlreadyUncollectible = errs.Conflict("invoice_already_uncollectible", "This invoice was already given up.")
	// ErrNotUncollectible means that the invoice was not given up, so that it cannot be opened again.
	ErrNotUncollectible = errs.Conflict("invoice_not_uncollectible", "This invoice was not given up.")
	// ErrWriteOffNotFound means an unknown write-off.
	ErrWriteOffNotFound = errs.NotFound("write_off_not_found", "There is no such write-off.")
	// ErrWriteOffPending means that another write-off of the invoice waits for a second person.
	ErrWriteOffPending = errs.Conflict("write_off_pending", "A write-off of this invoice is already waiting for a decision.")
	// ErrWriteOffDecided means that the write-off does not wait for a decision.
	ErrWriteOffDecided = errs.Conflict("write_off_decided", "This write-off has already been decided.")
	// ErrWriteOffNotPosted means that nothing was written off, or that it was taken back before.
	ErrWriteOffNotPosted = errs.Conflict("write_off_not_posted", "Nothing was written off by this, or it was already taken back.")
	// ErrWriteOffChanged means that what the second person saw is no longer what is there. Reload, look again, decide again.
	ErrWriteOffChanged = errs.Conflict("write_off_changed", "This write-off or its invoice has changed since you opened it. Look at it again before you decide.")
	// ErrOwnWriteOff means that who has asked for a write-off tried to decide about it.
	ErrOwnWriteOff = errs.Forbidden("requester_cannot_decide", "You asked for this write-off, so somebody else must decide about it.")
	// ErrWriteOffPasswordReset means that who asked and who decides may be one person, because one has lately set the password
	// of the other.
	ErrWriteOffPasswordReset = errs.Forbidden("password_reset_among_write_off_deciders", "Of the people who asked for this write-off and decide about it, one has set the password of another within the last seven days. Somebody else must decide.")
	// ErrPaymentPending means that a payment for the invoice is not decided or not settled.
	ErrPaymentPending = errs.Conflict("payment_pending", "A payment for this invoice is already waiting. It must be withdrawn or decided first.")
	// ErrNumberTaken means that another invoice has the number (S2-26).
	ErrNumberTaken = errs.Conflict("invoice_number_taken", "Another invoice has this number.")
	// ErrNumberReserved means that a client's number looks like the ones that finalisation gives.
	ErrNumberReserved = errs.Invalid("invoice_number_reserved", "Numbers of this form are given at finalisation. Leave the number out, or use a series of your own.")
	// ErrExternalIDTaken means that another invoice has the external id.
	ErrExternalIDTaken = errs.Conflict("external_id_taken", "Another record has this external id.")
	// ErrPatientMismatch means that the account belongs to another patient (S2-25).
	ErrPatientMismatch = errs.Invalid("patient_mismatch", "This account does not belong to this patient.")
	// ErrDueBeforeInvoice means that payment would be due before the invoice is dated (S2-27).
	ErrDueBeforeInvoice = errs.Invalid("due_before_invoice_date", "The due date must not be before the invoice date.")
	// ErrInitialStatus means that a new invoice was to be something else than a draft (S2-84).
	ErrInitialStatus = errs.Invalid("initial_status", "A new invoice is a draft. Finalise it with finalize/, pay it with a payment.")
	// ErrNotPositive names a quantity of nothing or less.
	ErrNotPositive = errs.Invalid("not_positive", "This must be more than zero.")
	// ErrNegative names an amount or price below zero.
	ErrNegative = errs.Invalid("negative", "This must not be below zero.")
	// ErrTaxRate means a rate outside 0 to 1.
	ErrTaxRate = errs.Invalid("invalid_tax_rate", "A tax rate is a fraction from 0 to 1: 0.15 is 15 %.")
	// ErrDiscountAboveNet means that a line's discount exceeds its price (S2-43).
	ErrDiscountAboveNet = errs.Invalid("discount_above_net", "The discount must not be above the net amount of the line, {{.net}}.")
	// ErrForms means that one amount was given in two forms that differ.
	ErrForms = errs.Invalid("amounts_disagree", "The amount and its minor units say different things.")
	// ErrTotalsDiffer means that the client's totals are not ours, and that it asked for strict handling (S2-83).
	ErrTotalsDiffer = errs.Invalid("totals_differ", "Your totals differ from those computed from the lines.")
	// ErrComputed says what a client's total would have to be.
	ErrComputed = errs.Invalid("total_differs", "{{.given}} was given, {{.computed}} was computed.")
	// ErrCurrencyNeedsLines means that a draft's currency changes only together with its lines.
	ErrCurrencyNeedsLines = errs.Invalid("currency_needs_lines", "Send the lines again when you change the currency: their amounts are in it.")
	// ErrTooLarge means that an amount of the invoice, or what its lines come to, is beyond what one invoice may be.
	ErrTooLarge = errs.Invalid("invoice_too_large", "The invoice is too large: no amount of it may be above {{.limit}}.")
	// ErrTooManyCredits means that the lines grant more service credits than one invoice may.
	ErrTooManyCredits = errs.Invalid("too_many_credits", "One invoice grants at most {{.limit}} credits.")
)

// ErrMoved means that an invoice is named twice, or was changed by somebody else since it was read without a lock. It is for the worker, who
// begins anew, and never for a client.
var ErrMoved = errors.New("an invoice is not as it was read")
