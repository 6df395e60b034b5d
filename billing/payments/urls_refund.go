package payments

import (
	"net/http"
	"slices"

	"countersign/billing/decisions"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
)

// refundURLs are what gives money back, for staff.
func (v *Views) refundURLs() []web.Route {
	const tag = "Refunds"
	books := []*errs.Error{ledger.ErrCreditExceeded, invoices.ErrServiceCreditsSpent, idempotency.ErrReused, idempotency.ErrInProgress}
	decide := []*errs.Error{decisions.ErrDigestRequired, ErrRefundNotFound, ErrRefundDecided, ErrOwnRefund, ErrRefundPasswordReset, ErrRefundChanged}
	return []web.Route{
		{Method: http.MethodPost, Path: "/billing/payments/{id}/refund/", Staff: true, Permission: auth.BillingRefund, Handler: v.refund,
			Tag: tag, Summary: "Give money back, all that is left or a part, once for each idempotency key", Request: RefundRequest{}, Response: RefundResponse{}, Status: http.StatusCreated, NeedsKey: true,
			Errors: append(slices.Clone(books), idempotency.ErrRequired, ErrNotRefundable, ErrRefundExceedsPayment, ErrAmountNotPositive, ErrUnknownRefundReason, ErrRefundWindowClosed,
				ErrRefundInCabinet, ErrPayoutReferenceUnexpected, ErrRefundOwesNothing, money.ErrCurrencyMismatch, ErrGatewayRefused, ErrGatewayUnavailable, ErrGatewayMisconfigured)},
		{Method: http.MethodGet, Path: "/billing/payments/{id}/refunds/", Staff: true, Permission: auth.BillingView, Handler: v.refundsOfPayment,
			Tag: tag, Summary: "The refunds of a payment", Response: RefundResponse{}, List: RefundSpec, Errors: []*errs.Error{ErrNotFound}},
		{Method: http.MethodGet, Path: "/billing/refunds/", Staff: true, Permission: auth.BillingView, Handler: v.refunds,
			Tag: tag, Summary: "List refunds", Response: RefundResponse{}, List: RefundSpec},
		{Method: http.MethodGet, Path: "/billing/refunds/{id}/", Staff: true, Permission: auth.BillingView, Handler: v.getRefund,
			Tag: tag, Summary: "One refund, with the digest that a decision about it needs", Response: RefundResponse{}, Errors: []*errs.Error{ErrRefundNotFound}},
		{Method: http.MethodPost, Path: "/billing/refunds/{id}/approve/", Staff: true, Permission: auth.BillingRefund, Handler: v.approveRefund,
			Tag: tag, Summary: "Let a refund go on that somebody else has asked for", Request: ApproveRefundRequest{}, Response: RefundResponse{}, Errors: append(slices.Clone(decide), books...)},
		{Method: http.MethodPost, Path: "/billing/refunds/{id}/reject/", Staff: true, Permission: auth.BillingRefund, Handler: v.rejectRefund,
			Tag: tag, Summary: "Refuse a refund that somebody else has asked for", Request: RejectRefundRequest{}, Response: RefundResponse{},
			Errors: append(slices.Clone(decide), idempotency.ErrReused, idempotency.ErrInProgress)},
		{Method: http.MethodPost, Path: "/billing/refunds/{id}/cancel/", Staff: true, Permission: auth.BillingRefund, Handler: v.cancelRefund,
			Tag: tag, Summary: "Take back a refund that nobody has paid", Response: RefundResponse{},
			Errors: []*errs.Error{ErrRefundNotFound, ErrNotRefunder, ErrRefundUnderWay, idempotency.ErrReused, idempotency.ErrInProgress}},
		{Method: http.MethodPost, Path: "/billing/refunds/{id}/complete/", Staff: true, Permission: auth.BillingRefund, Handler: v.completeRefund,
			Tag: tag, Summary: "Say that a refund was paid by hand", Request: CompleteRefundRequest{}, Response: RefundResponse{},
			Errors: append(slices.Clone(books), ErrRefundNotFound, ErrRefundUnderWay, ErrPayoutReferenceRequired)},
		{Method: http.MethodPost, Path: "/billing/refunds/{id}/reverse/", Staff: true, Permission: auth.BillingRefund, Handler: v.reverseRefund,
			Tag: tag, Summary: "Take a refund back that nobody has paid after all", Request: ReverseRefundRequest{}, Response: RefundResponse{},
			Errors: []*errs.Error{ErrRefundNotFound, ErrRefundNotReversible, ErrOwnRefund, ErrRefundPasswordReset, idempotency.ErrReused, idempotency.ErrInProgress}},
	}
}
