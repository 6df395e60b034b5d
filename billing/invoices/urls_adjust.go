package invoices

import (
	"net/http"

	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
)

// adjustURLs are what lowers invoices besides payments.
func (v *views) adjustURLs() []web.Route {
	amount := []*errs.Error{ErrNotFound, ErrNotFinalized, ErrVoid, ErrNothingOwed, ErrNotPositive, ErrAboveBalance, ErrForms, money.ErrInvalidAmount, money.ErrTooManyDigits,
		idempotency.ErrReused, idempotency.ErrInProgress}
	back := []*errs.Error{ErrAlreadyReversed, ErrServiceCreditsSpent, idempotency.ErrReused, idempotency.ErrInProgress}
	return []web.Route{
		{Method: http.MethodPost, Path: "/billing/invoices/{id}/apply_credit/", Staff: true, Permission: auth.BillingInvoicesManage, Handler: v.applyCredit,
			Tag: "Invoices", Summary: "Pay an invoice with the customer's credit", Request: ApplyCreditRequest{}, Response: Response{},
			Errors: append(amount, ErrNoCredit, ledger.ErrCreditExceeded, money.ErrCurrencyMismatch, money.ErrUnknownCurrency)},
		{Method: http.MethodPost, Path: "/billing/invoices/{id}/unapply_credit/", Staff: true, Permission: auth.BillingInvoicesManage, Handler: v.unapplyCredit,
			Tag: "Invoices", Summary: "Give the customer the credit back that paid an invoice", Request: UnapplyCreditRequest{}, Response: Response{},
			Errors: append(back, ErrNotFound, ErrAdjustmentNotFound)},
	}
}
