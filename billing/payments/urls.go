package payments

import (
	"net/http"

	"countersign/billing/decisions"
	"countersign/billing/invoices"
	"countersign/billing/paymentmethods"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
)

func (v *Views) urls() []web.Route {
	const tag = "Payments"
	decision := []*errs.Error{decisions.ErrDigestRequired, ErrChanged, ErrNotPending, ErrFourEyes, ErrPasswordReset, decisions.ErrAlreadyDecided, ErrEvidenceRequired}
	charging := []*errs.Error{ErrCardDeclined, ErrInsufficientFunds, ErrExpiredCard, ErrInvalidSource, ErrUnknownSource, ErrPaymentDeclined, ErrGatewayRefused, ErrGatewayUnavailable, ErrGatewayMisconfigured,
		ErrNeverReached, idempotency.ErrReused, idempotency.ErrInProgress}
	return append(append(v.refundURLs(), v.anomalyURLs()...), []web.Route{
		{Method: http.MethodPost, Path: "/billing/charges/", Permission: auth.BillingCreate, Handler: v.charge,
			Tag: "Charges", Summary: "Ask a provider for money, once for each idempotency key", Request: ChargeRequest{}, Response: ChargeResponse{}, Status: http.StatusCreated, Later: true,
			Errors: append([]*errs.Error{idempotency.ErrRequired, idempotency.ErrKeysDiffer, ErrUnsupportedMethod, ErrInvoiceNotFound, invoices.ErrAlreadyPaid, ErrPending, ErrAmountLimit, ErrTooMany,
				ErrPossibleDuplicate, ErrReturnURL, ErrRetryOf}, charging...)},
		{Method: http.MethodPost, Path: "/billing/payments/{id}/capture/", Staff: true, Permission: auth.BillingCreate, Handler: v.capture,
			Tag: "Charges", Summary: "Take what is held, or a part of it", Request: CaptureRequest{}, Response: ChargeResponse{}, Later: true, NeedsKey: true,
			Errors: append([]*errs.Error{idempotency.ErrRequired, ErrIllegalTransition, ErrCaptureTooLarge, ErrCannotCapture, ErrOperationPending}, charging...)},
		{Method: http.MethodPost, Path: "/billing/payments/{id}/release/", Staff: true, Permission: auth.BillingCancel, Handler: v.release,
			Tag: "Charges", Summary: "Give up what is held, or what the payer has not finished", Request: StepRequest{}, Optional: true, Response: ChargeResponse{}, Later: true,
			Errors: append([]*errs.Error{ErrIllegalTransition, ErrOperationPending}, charging...)},
		{Method: http.MethodGet, Path: "/billing/payments/", Permission: auth.BillingView, Handler: v.list,
			Tag: tag, Summary: "Payments, newest first", List: listSpec(words()), Response: Response{}},
		{Method: http.MethodPost, Path: "/billing/payments/", Staff: true, Permission: auth.BillingCreate, Handler: v.create,
			Tag: tag, Summary: "Record cash, submit a transfer, or ask a provider, whatever the gateway is", Request: CreateRequest{}, Response: ChargeResponse{}, Status: http.StatusCreated, Later: true,
			Errors: append([]*errs.Error{ErrUnsupportedMethod, ErrInvoiceNotFound, invoices.ErrAlreadyPaid, ErrPending, web.ErrRequired, idempotency.ErrRequired, idempotency.ErrKeysDiffer, ErrReferenceRequired, ErrReceiptRequired, ErrReferenceCounted, ErrNotUsed, ErrOtherMethod, ErrOtherAccount, ErrAmountLimit, ErrTooMany,
				ErrPossibleDuplicate, ErrReturnURL, ErrRetryOf, paymentmethods.ErrDetailsTooLarge}, charging...)},
		{Method: http.MethodGet, Path: "/billing/payments/count/", Permission: auth.BillingView, Handler: v.count,
			Tag: tag, Summary: "How many payments a filter matches", Query: listSpec(words()), Response: CountResponse{}},
		{Method: http.MethodPost, Path: "/billing/payments/search/", Permission: auth.BillingView, Handler: v.search,
			Tag: tag, Summary: "Payments by what their gateway has said of them", Request: SearchRequest{}, List: searchSpec(), Response: Response{}, Errors: []*errs.Error{ErrSearchTooWide}},
		{Method: http.MethodPost, Path: "/billing/payments/manual/", Permission: auth.BillingCreate, Handler: v.submitManual,
			Tag: tag, Summary: "Submit a bank transfer or wallet payment for an invoice", Request: SubmitManualRequest{}, Files: "evidence", Response: Response{}, Status: http.StatusCreated,
			Errors: []*errs.Error{ErrInvoiceNotFound, invoices.ErrAlreadyPaid, invoices.ErrNothingOwed, invoices.ErrVoid, invoices.ErrNotFinalized, ErrPending, paymentmethods.ErrMethodUnavailable, ErrEvidenceRequired,
				ErrRetryOf, ErrAmountLimit, ErrTooMany, ErrPossibleDuplicate}},
		{Method: http.MethodPost, Path: "/billing/payments/bulk_approve/", Staff: true, Permission: auth.BillingApprove, Handler: v.bulkApprove,
			Tag: tag, Summary: "Approve several payments, each on its own", Request: BulkApproveRequest{}, Response: BulkApproveResponse{}},
		{Method: http.MethodGet, Path: "/billing/payments/{id}/", Permission: auth.BillingView, Handler: v.get,
			Tag: tag, Summary: "One payment; staff also see digest, signals and approvals", Response: Detail{}, MemberResponse: OwnResponse{}},
		{Method: http.MethodPatch, Path: "/billing/payments/{id}/", Permission: auth.BillingCreate, Handler: v.edit,
			Tag: tag, Summary: "Change the notes of your own undecided payment", Request: EditRequest{}, Response: Response{}, Errors: []*errs.Error{ErrNotPending, ErrNotSubmitter}},
		{Method: http.MethodDelete, Path: "/billing/payments/{id}/", Permission: auth.BillingCreate, Handler: v.delete,
			Tag: tag, Summary: "Delete cash that nobody has completed", Status: http.StatusNoContent, Errors: []*errs.Error{ErrNotDeletable, ErrNotSubmitter}},
		{Method: http.MethodGet, Path: "/billing/payments/{id}/status/", Permission: auth.BillingView, Handler: v.status,
			Tag: tag, Summary: "Where a payment stands, in all vocabularies", Response: StatusResponse{}},
		{Method: http.MethodGet, Path: "/billing/payments/{id}/events/", Permission: auth.BillingView, Handler: v.events,
			Tag: tag, Summary: "What happened to a payment, the oldest first; staff also see who did it", Response: EventsResponse{}},
		{Method: http.MethodPost, Path: "/billing/payments/{id}/approve/", Staff: true, Permission: auth.BillingApprove, Handler: v.approve,
			Tag: tag, Summary: "Approve what you saw", Request: ApproveRequest{}, Response: Detail{}, Errors: append([]*errs.Error{ErrReceivedDiffers}, decision...)},
		{Method: http.MethodPost, Path: "/billing/payments/{id}/reject/", Staff: true, Permission: auth.BillingApprove, Handler: v.reject,
			Tag: tag, Summary: "Reject what you saw, with a reason", Request: RejectRequest{}, Response: Detail{}, Errors: append([]*errs.Error{ErrReasonRequired}, decision...)},
		{Method: http.MethodPost, Path: "/billing/payments/{id}/cancel/", Permission: auth.BillingCreate, Handler: v.cancel,
			Tag: tag, Summary: "Take back a payment that has not taken money", Request: StepRequest{}, Optional: true, Response: Response{}, Errors: append([]*errs.Error{ErrNotPending, ErrNotSubmitter, ErrIllegalTransition, ErrOperationPending}, charging...)},
		{Method: http.MethodPost, Path: "/billing/payments/{id}/complete/", Staff: true, Permission: auth.BillingCreate, Handler: v.complete,
			Tag: tag, Summary: "Say that cash which somebody else has taken is there", Request: StepRequest{}, Optional: true, Response: Response{}, Errors: []*errs.Error{ErrFourEyes, ErrPasswordReset, ErrIllegalTransition}},
		{Method: http.MethodPost, Path: "/billing/payments/{id}/resume/", Staff: true, Permission: auth.BillingJobsManage, Handler: v.resume,
			Tag: tag, Summary: "Give a payment that was set aside back to the worker", Response: Response{}, Errors: []*errs.Error{ErrNotSetAside}},
		{Method: http.MethodGet, Path: "/billing/invoices/{id}/payments/", Permission: auth.BillingView, Handler: v.ofInvoice,
			Tag: "Invoices", Summary: "The payments for an invoice", List: listSpec(words()), Response: Response{}, Errors: []*errs.Error{invoices.ErrNotFound}},
		{Method: http.MethodGet, Path: "/billing/transactions/", Permission: auth.BillingView, Handler: v.transactions,
			Tag: "Transactions", Summary: "Payments in the words of the transactions interface", List: listSpec(transactionWords()), Response: TransactionResponse{}},
		{Method: http.MethodGet, Path: "/billing/transactions/{id}/", Permission: auth.BillingView, Handler: v.transaction,
			Tag: "Transactions", Summary: "One payment in the words of the transactions interface", Response: TransactionResponse{}},
	}...)
}
