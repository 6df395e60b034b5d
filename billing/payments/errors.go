package payments

import (
	"time"

	"countersign/internal/errs"
)

var (
	// ErrNotFound is the answer for every payment the caller cannot see.
	ErrNotFound = errs.NotFound("not_found", "There is nothing here, or it is not yours.")
	// ErrInvoiceNotFound is the answer for every invoice the caller cannot see (S3-26).
	ErrInvoiceNotFound = errs.NotFound("invoice_not_found", "There is no such invoice, or it is not yours.")
	// ErrPending means that another claim for the invoice is undecided or not settled yet (S3-31).
	ErrPending = errs.Conflict("payment_pending", "A payment for this invoice is already waiting. It must be withdrawn or decided first.")
	// ErrOverpayment means that more was to be paid than the invoice owes and nobody else is paying yet (S1-59, S2-88). With
	// allow_credit what is too much becomes the customer's credit.
	ErrOverpayment = errs.Invalid("overpayment", "Only {{.rest}} of this invoice can be paid. Send allow_credit if the rest shall be the customer's credit.")
	// ErrNotPending means that the payment was already decided. Reload and show its state.
	ErrNotPending = errs.Conflict("payment_not_pending", "This payment has already been decided.")
	// ErrChanged means that what the approver saw is no longer what is there. Reload, look again, decide again.
	ErrChanged = errs.Conflict("payment_changed", "This payment has changed since you opened it. Look at it again before you decide.")
	// ErrFourEyes means that the submitter tried to decide about his own claim.
	ErrFourEyes = errs.Forbidden("submitter_cannot_decide", "You submitted this payment, so somebody else must decide about it.")
	// ErrPasswordReset means that of the people who submitted and decide one has lately set the password of another, so
	// that they may be one person.
	ErrPasswordReset = errs.Forbidden("password_reset_among_deciders", "Of the people who submitted and decide about this payment, one has set the password of another within the last seven days. Somebody else must decide.")
	// ErrNotSubmitter means that somebody else's claim was to be withdrawn.
	ErrNotSubmitter = errs.Forbidden("not_submitter", "Only the person who submitted this payment may withdraw or change it.")
	// ErrReceivedDiffers means that two approvers state different received amounts.
	ErrReceivedDiffers = errs.Conflict("received_amount_differs", "The first approver stated {{.amount}} as received. Approve the same amount or reject.")
	// ErrReferenceRequired means that the claim has no reference (S3-23).
	ErrReferenceRequired = errs.Invalid("reference_required", "Give the reference of the transfer, as the bank or wallet shows it.")
	// ErrReferencesDiffer means that transaction_reference and reference say different things (S3-24).
	ErrReferencesDiffer = errs.Invalid("references_differ", "transaction_reference and reference must be the same when both are given.")
	// ErrReferenceEmpty means that the reference holds neither a letter nor a digit.
	ErrReferenceEmpty = errs.Invalid("reference_without_content", "A reference has at least one letter or digit.")
	// ErrAmountsDiffer means that the forms of an amount, such as amount and amount_cents, say different things.
	ErrAmountsDiffer = errs.Invalid("amounts_differ", "These must say the same when more than one is given: {{.fields}}.")
	// ErrAmountNotPositive means that an amount is zero or negative.
	ErrAmountNotPositive = errs.Invalid("amount_not_positive", "The amount must be more than zero.")
	// ErrAmountTooLarge means that an amount is beyond what one payment may be.
	ErrAmountTooLarge = errs.Invalid("amount_too_large", "The amount is larger than one payment may be.")
	// ErrNotManual means that the method is not one that customers claim (S3-22).
	ErrNotManual = errs.Invalid("not_a_manual_method", "This must be one of: bank_transfer, local_wallet.")
	// ErrReferenceCounted means that a payment by the same method and with the same reference was counted for the invoice, or
	// without an invoice for the customer: a transfer or a receipt counts once (C-08).
	ErrReferenceCounted = errs.Conflict("reference_already_counted", "A payment with this reference has already been counted.")
	// ErrEvidenceRequired means that the method or the ladder asks for a receipt.
	ErrEvidenceRequired = errs.Invalid("evidence_required", "A receipt is required for this payment.")
	// ErrPaidInFuture means that the payer says that he will have paid.
	ErrPaidInFuture = errs.Invalid("paid_in_future", "The time of payment lies in the future.")
	// ErrRetryOf means that retry_of names no payment that came to nothing, for the same invoice or without one of the same customer (S0D-03).
	ErrRetryOf = errs.Invalid("invalid_retry", "retry_of must be a failed, cancelled or expired payment for the same invoice or, without an invoice, of the same customer.")
	// ErrReasonRequired means that a rejection gives no reason.
	ErrReasonRequired = errs.Invalid("reason_required", "Say why the payment is rejected: the customer will read it.")
	// ErrNotDeletable means that the payment has a history and stays (C-11).
	ErrNotDeletable = errs.Conflict("payment_not_deletable", "Only cash that waits to be completed can be deleted.")
	// ErrNotSetAside means that the settlement has not set the payment aside.
	ErrNotSetAside = errs.Conflict("payment_not_set_aside", "The settlement has not set this payment aside.")
	// ErrSearchTooWide means that a search without equality on a keyed field would read more payments than one may. Narrow it by
	// time, or ask for an id.
	ErrSearchTooWide = errs.Invalid("search_too_wide", "This would read more than {{.limit}} payments. Narrow the time by created_after and created_before, or ask for an id with =.")
	// ErrUnknownDetail names a key that the details of a manual payment do not know (S0-23).
	ErrUnknownDetail = errs.Invalid("unknown_field", "This field is unknown here.")

	// ErrIllegalTransition means that the payment is in a state from which there is no such step (S0-14, S1-32).
	ErrIllegalTransition = errs.Conflict("illegal_transition", "There is no such step from the state that the payment is in.")
	// ErrNotUsed means that the gateway does nothing with a field, whose sender believes that it has an effect (C-06).
	ErrNotUsed = errs.Invalid("not_used_by_gateway", "The gateway {{.gateway}} does not use this. Leave it out.")
	// ErrOtherMethod means that the gateway takes another method than the one that was named.
	ErrOtherMethod = errs.Invalid("method_of_another_gateway", "The gateway {{.gateway}} takes {{.method}}.")
	// ErrReceiptRequired means that cash has no reference (S0D-12).
	ErrReceiptRequired = errs.Invalid("receipt_reference_required", "Give the number of the receipt or cheque.")
	// ErrUnsupportedMethod means that no gateway of the tenant's takes this payment (S1-06).
	ErrUnsupportedMethod = errs.Invalid("unsupported_payment_method", "No gateway takes this payment here. The gateways are: {{.allowed}}.")
	// ErrOperationPending means that the provider was asked for something else and has not answered yet.
	ErrOperationPending = errs.Conflict("operation_pending", "The provider is asked for something else at the moment. Wait and try again.").After(time.Second)
	// ErrCaptureTooLarge means that more was to be captured than is held.
	ErrCaptureTooLarge = errs.Invalid("capture_too_large", "Only {{.held}} is held.")
	// ErrCannotCapture means that the gateway does not hold money, or captures only all of it.
	ErrCannotCapture = errs.Invalid("gateway_cannot_capture", "This gateway does not do that: it cannot hold money, or captures only all of it.")

	// ErrCardDeclined means that the payer's bank has refused.
	ErrCardDeclined = errs.PaymentRequired("card_declined", "The card was declined. Try another one.")
	// ErrInsufficientFunds means that there is too little money on the card.
	ErrInsufficientFunds = errs.PaymentRequired("insufficient_funds", "The card has too little money. Try another one.")
	// ErrExpiredCard means that the card has expired.
	ErrExpiredCard = errs.PaymentRequired("expired_card", "The card has expired. Try another one.")
	// ErrReturnURL names an address that a payer's browser is not sent back to.
	ErrReturnURL = errs.Invalid("invalid_return_url", "This must be a whole address that begins with https://.")
	// ErrUnknownSource means that the payment source is the id of no saved method that could pay this: not of this account, or
	// without a token (S1-04).
	ErrUnknownSource = errs.Invalid("unknown_payment_source", "There is no such saved payment method, or it cannot be charged.")
	// ErrInvalidSource means that the provider does not know the payment source (S1-20).
	ErrInvalidSource = errs.PaymentRequired("invalid_payment_source", "The payment source is unknown to the provider, or was used up.")
	// ErrPaymentDeclined means that the provider has refused for a reason of its own, which provider_code names.
	ErrPaymentDeclined = errs.PaymentRequired("payment_declined", "The payment was declined.")
	// ErrGatewayRefused means that the provider's rules forbid it, and would again.
	ErrGatewayRefused = errs.PaymentRequired("gateway_refused", "The provider does not allow this.")
	// ErrNeverReached means that the provider has never heard of the payment. It is failed; use a new key.
	ErrNeverReached = errs.BadGateway("never_reached", "The provider was not reached, and no money was taken. Try again with a new key.")
	// ErrGatewayUnavailable means that the provider was not reached. Nothing has happened; repeat with the same key.
	ErrGatewayUnavailable = errs.BadGateway("gateway_unavailable", "The provider cannot be reached. Repeat this with the same key.").After(5 * time.Second)
	// ErrGatewayMisconfigured means that the provider does not accept the tenant's credentials. Staff are told.
	ErrGatewayMisconfigured = errs.BadGateway("gateway_misconfigured", "The provider does not accept this business at the moment. Repeat this with the same key when that is mended.")

	// ErrRefundNotFound is the answer for every refund that is not the tenant's.
	ErrRefundNotFound = errs.NotFound("refund_not_found", "There is no such refund.")
	// ErrNotRefundable means that the payment has taken no money, or that nothing of it is left to give back (S0-90).
	ErrNotRefundable = errs.Conflict("payment_not_refundable", "There is nothing to give back of this payment.")
	// ErrRefundExceedsPayment means that more was to be given back than is left, refunds that are under way included (S0D-04).
	ErrRefundExceedsPayment = errs.Invalid("refund_exceeds_payment", "Only {{.rest}} of this payment can be given back.")
	// ErrRefundWindowClosed means that the payment is older than the tenant refunds (S0D-05). With override_window it is done
	// all the same, by who may change the tenant's settings.
	ErrRefundWindowClosed = errs.Conflict("refund_window_closed", "This payment is more than {{.days}} days old. Somebody who may change the settings can refund it with override_window.")
	// ErrRefundInCabinet means that the provider gives money back only in its own cabinet, and tells us (W-11).
	ErrRefundInCabinet = errs.Conflict("refund_in_cabinet_only", "Refund this in the cabinet of {{.gateway}}: it has no other way.")
	// ErrPayoutReferenceUnexpected means that a reference was given of money that the provider pays out.
	ErrPayoutReferenceUnexpected = errs.Invalid("payout_reference_unexpected", "The provider pays this refund. Give no payout reference.")
	// ErrPayoutReferenceRequired means that a refund was to be completed without the reference of the payout.
	ErrPayoutReferenceRequired = errs.Invalid("payout_reference_required", "Give the reference of the payout.")
	// ErrUnknownRefundReason means that the reason is none of those that there are.
	ErrUnknownRefundReason = errs.Invalid("unknown_refund_reason", "The reason must be one of: {{.allowed}}.")
	// ErrRefundDecided means that the refund waits for no decision any more. Reload and show its state.
	ErrRefundDecided = errs.Conflict("refund_not_pending", "This refund has already been decided.")
	// ErrRefundUnderWay means that the refund cannot be cancelled any more, or is not one that is completed by hand now.
	ErrRefundUnderWay = errs.Conflict("refund_state", "This is not possible in the state that the refund is in.")
	// ErrOwnRefund means that who has asked for a refund tried to decide about it.
	ErrOwnRefund = errs.Forbidden("refunder_cannot_decide", "You asked for this refund, so somebody else must decide about it.")
	// ErrRefundPasswordReset means that one of the two people has lately set the password of the other, so that they may be one.
	ErrRefundPasswordReset = errs.Forbidden("password_reset_between_refunders", "Of you and the person who asked for this refund, one has set the password of the other within the last seven days. Somebody else must decide.")
	// ErrRefundChanged means that what the second person saw is no longer what is there. Reload, look again, decide again.
	ErrRefundChanged = errs.Conflict("refund_changed", "This refund or its payment has changed since you opened it. Look at it again before you decide.")
	// ErrRefundOwesNothing means that a refund without a credit note was asked for, of a payment without an invoice.
	ErrRefundOwesNothing = errs.Invalid("refund_without_invoice", "This payment has no invoice that could be owed again. Leave credit_note out.")
	// ErrRefundNotReversible means that the refund has not succeeded, that the provider has paid it, or that it was taken back
	// before. Only what somebody has booked by hand can have been a mistake, or what the provider takes back itself.
	ErrRefundNotReversible = errs.Conflict("refund_not_reversible", "Only a refund that was paid by hand, or that the provider says has failed, can be taken back, once.")
	// ErrNotRefunder means that somebody else's undecided refund was to be cancelled.
	ErrNotRefunder = errs.Forbidden("not_refunder", "Only the person who asked for this refund may cancel it while it is undecided. You may reject it.")

	// ErrAmountLimit means that the amount is above what one payment, or all of an account in 24 hours, may be (S0D-28).
	ErrAmountLimit = errs.Invalid("amount_limit", "This is more than is allowed: at most {{.limit}}.")
	// ErrTooMany means that the account has made as many payments in the last hour as it may (S0D-27).
	ErrTooMany = errs.RateLimited("too_many_payments", "This customer has made too many payments within an hour. Wait.")
	// ErrPossibleDuplicate means that the account has just made an equal payment (S0D-26). With force it is made all the same.
	ErrPossibleDuplicate = errs.Conflict("possible_duplicate", "An equal payment of this customer was made a moment ago. If both are meant, send force.")
	// ErrAnomalyNotFound is the answer for every anomaly that is not the tenant's.
	ErrAnomalyNotFound = errs.NotFound("anomaly_not_found", "There is no such anomaly.")
	// ErrAnomalyResolved means that somebody has dealt with the anomaly already. Reload and read the note.
	ErrAnomalyResolved = errs.Conflict("anomaly_resolved", "Somebody has already dealt with this.")
	// ErrPrepaymentOf means that nobody is named who pays in advance, or that an invoice is.
	ErrPrepaymentOf = errs.Invalid("invalid_prepayment", "A prepayment names a customer and no invoice.")
	// ErrOtherAccount means that the invoice is another customer's.
	ErrOtherAccount = errs.Invalid("account_differs", "The invoice belongs to another customer.")
)
