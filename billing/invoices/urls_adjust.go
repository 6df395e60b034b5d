package invoices

import (
	"net/http"
	"slices"

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
			Errors: append(slices.Clone(amount), ErrNoCredit, ledger.ErrCreditExceeded, money.ErrCurrencyMismatch, money.ErrUnknownCurrency)},
		{Method: http.MethodPost, Path: "/billing/invoices/{id}/unapply_credit/", Staff: true, Permission: auth.BillingInvoicesManage, Handler: v.unapplyCredit,
			Tag: "Invoices", Summary: "Give the customer the credit back that paid an invoice", Request: UnapplyCreditRequest{}, Response: Response{},
			Errors: append(slices.Clone(back), ErrNotFound, ErrAdjustmentNotFound)},
		{Method: http.MethodPost, Path: "/billing/invoices/{id}/credit-notes/", Staff: true, Permission: auth.BillingInvoicesManage, Handler: v.createCreditNote,
			Tag: "Invoices", Summary: "Lower what is owed by a credit note", Request: CreditNoteRequest{}, Response: CreditNoteResponse{}, Status: http.StatusCreated, Errors: amount},
		{Method: http.MethodGet, Path: "/billing/credit-notes/", Permission: auth.BillingView, Handler: v.listCreditNotes,
			Tag: "Invoices", Summary: "List credit notes", Response: CreditNoteResponse{}, List: CreditNoteSpec},
		{Method: http.MethodGet, Path: "/billing/credit-notes/{id}/", Permission: auth.BillingView, Handler: v.getCreditNote,
			Tag: "Invoices", Summary: "One credit note", Response: CreditNoteResponse{}, Errors: []*errs.Error{ErrCreditNoteNotFound}},
		{Method: http.MethodPost, Path: "/billing/credit-notes/{id}/reverse/", Staff: true, Permission: auth.BillingInvoicesManage, Handler: v.reverseCreditNote,
			Tag: "Invoices", Summary: "Undo a credit note by another one", Request: ReverseRequest{}, Response: CreditNoteResponse{}, Status: http.StatusCreated,
			Errors: append(slices.Clone(back), ErrCreditNoteNotFound, ErrAdjustmentNotFound, ErrNoteOfRefund)},
	}
}
