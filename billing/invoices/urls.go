package invoices

import (
	"net/http"

	"countersign/accounts"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
)

func (v *views) urls() []web.Route {
	return append([]web.Route{
		{Method: http.MethodGet, Path: "/billing/invoices/", Permission: auth.BillingView, Handler: v.list,
			Tag: "Invoices", Summary: "List invoices", Response: Summary{}, List: ListSpec,
			Errors: []*errs.Error{accounts.ErrUnknownAccount}},
		{Method: http.MethodPost, Path: "/billing/invoices/", Staff: true, Permission: auth.BillingInvoicesManage, Handler: v.create,
			Tag: "Invoices", Summary: "Create a draft", Request: CreateRequest{}, Response: Response{}, Status: http.StatusCreated,
			Errors: []*errs.Error{accounts.ErrUnknownAccount, accounts.ErrAccountInactive, ErrPatientMismatch, money.ErrUnknownCurrency, money.ErrInvalidAmount,
				money.ErrTooManyDigits, money.ErrOverflow, ErrTooLarge, ErrTooManyCredits, ErrNotPositive, ErrNegative, ErrTaxRate, ErrDiscountAboveNet, ErrForms, ErrTotalsDiffer, ErrDueBeforeInvoice,
				ErrInitialStatus, ErrNumberTaken, ErrNumberReserved, ErrExternalIDTaken, idempotency.ErrReused, idempotency.ErrInProgress}},
		{Method: http.MethodGet, Path: "/billing/invoices/{id}/", Permission: auth.BillingView, Handler: v.get,
			Tag: "Invoices", Summary: "One invoice with its lines and payments", Response: Response{}, Errors: []*errs.Error{ErrNotFound}},
		{Method: http.MethodPatch, Path: "/billing/invoices/{id}/", Staff: true, Permission: auth.BillingInvoicesManage, Handler: v.update,
			Tag: "Invoices", Summary: "Change a draft", Request: UpdateRequest{}, Response: Response{},
			Errors: []*errs.Error{ErrNotFound, ErrNotDraft, ErrCurrencyNeedsLines, ErrTooLarge, ErrTooManyCredits, ErrTotalsDiffer, ErrDueBeforeInvoice, ErrNumberTaken, ErrNumberReserved, ErrExternalIDTaken}},
		{Method: http.MethodPost, Path: "/billing/invoices/{id}/finalize/", Staff: true, Permission: auth.BillingInvoicesManage, Handler: v.finalize,
			Tag: "Invoices", Summary: "Give a draft its number and make it due", Response: Response{},
			Errors: []*errs.Error{ErrNotFound, ErrNotDraft, ledger.ErrBalanceTooLarge, accounts.ErrAccountInactive, idempotency.ErrReused, idempotency.ErrInProgress}},
		{Method: http.MethodPost, Path: "/billing/invoices/{id}/void/", Staff: true, Permission: auth.BillingInvoicesManage, Handler: v.void,
			Tag: "Invoices", Summary: "Cancel a draft, or with billing.refund an unpaid invoice", Request: VoidRequest{}, Response: Response{},
			Errors: []*errs.Error{ErrNotFound, ErrNotOpen, ErrHasPayments, ErrAdjusted, ErrPaymentPending, idempotency.ErrReused, idempotency.ErrInProgress}},
		{Method: http.MethodGet, Path: "/billing/invoices/{id}/balance/", Permission: auth.BillingView, Handler: v.balance,
			Tag: "Invoices", Summary: "What is left to pay", Response: BalanceResponse{}, Errors: []*errs.Error{ErrNotFound}},
	}, v.adjustURLs()...)
}
