package invoices

import (
	"net/http"
	"slices"

	"countersign/billing/decisions"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
)

// adjustURLs are what lowers invoices besides payments.
func (v *views) adjustURLs() []web.Route {
	amount := []*errs.Error{ErrNotFound, ErrNotFinalized, ErrVoid, ErrNothingOwed, ErrPaymentPending, ErrNotPositive, ErrAboveBalance, ErrForms, money.ErrInvalidAmount,
		money.ErrTooManyDigits, idempotency.ErrReused, idempotency.ErrInProgress}
	back := []*errs.Error{ErrAlreadyReversed, ErrServiceCreditsSpent, idempotency.ErrReused, idempotency.ErrInProgress}
	decide := []*errs.Error{decisions.ErrDigestRequired, ErrWriteOffNotFound, ErrWriteOffDecided, ErrOwnWriteOff, ErrWriteOffPasswordReset, ErrWriteOffChanged,
		idempotency.ErrReused, idempotency.ErrInProgress}
	return []web.Route{
		{Method: http.MethodPost, Path: "/billing/invoices/{id}/apply_credit/", Staff: true, Permission: auth.BillingInvoicesManage, Handler: v.applyCredit,
			Tag: "Invoices", Summary: "Pay an invoice with the customer's credit", Request: ApplyCreditRequest{}, Response: Response{},
			Errors: append(slices.Clone(amount), ErrNoCredit, ledger.ErrCreditExceeded, money.ErrCurrencyMismatch, money.ErrUnknownCurrency)},
		{Method: http.MethodPost, Path: "/billing/invoices/{id}/unapply_credit/", Staff: true, Permission: auth.BillingInvoicesManage, Handler: v.unapplyCredit,
			Tag: "Invoices", Summary: "Give the customer the credit back that paid an invoice", Request: UnapplyCreditRequest{}, Response: Response{},
			Errors: append(slices.Clone(back), ErrNotFound, ErrAdjustmentNotFound)},
		{Method: http.MethodPost, Path: "/billing/invoices/{id}/credit-notes/", Staff: true, Permission: auth.BillingRefund, Handler: v.createCreditNote,
			Tag: "Invoices", Summary: "Lower what is owed by a credit note", Request: CreditNoteRequest{}, Response: CreditNoteResponse{}, Status: http.StatusCreated, Errors: amount},
		{Method: http.MethodGet, Path: "/billing/credit-notes/", Permission: auth.BillingView, Handler: v.listCreditNotes,
			Tag: "Invoices", Summary: "List credit notes", Response: CreditNoteResponse{}, List: CreditNoteSpec},
		{Method: http.MethodGet, Path: "/billing/credit-notes/{id}/", Permission: auth.BillingView, Handler: v.getCreditNote,
			Tag: "Invoices", Summary: "One credit note", Response: CreditNoteResponse{}, Errors: []*errs.Error{ErrCreditNoteNotFound}},
		{Method: http.MethodPost, Path: "/billing/credit-notes/{id}/reverse/", Staff: true, Permission: auth.BillingRefund, Handler: v.reverseCreditNote,
			Tag: "Invoices", Summary: "Undo a credit note by another one", Request: ReverseRequest{}, Response: CreditNoteResponse{}, Status: http.StatusCreated,
			Errors: append(slices.Clone(back), ErrCreditNoteNotFound, ErrAdjustmentNotFound, ErrNoteOfRefund)},
		{Method: http.MethodPost, Path: "/billing/invoices/{id}/write_off/", Staff: true, Permission: auth.BillingInvoicesManage, Handler: v.writeOff,
			Tag: "Invoices", Summary: "Give up what is owed; above the tenant's tolerance a second person decides", Request: WriteOffRequest{}, Response: WriteOffResponse{},
			Status: http.StatusCreated, Errors: append(slices.Clone(amount), ErrWriteOffPending)},
		{Method: http.MethodPost, Path: "/billing/invoices/{id}/mark_uncollectible/", Staff: true, Permission: auth.BillingInvoicesManage, Handler: v.markUncollectible,
			Tag: "Invoices", Summary: "Expect no payment any more", Request: ReverseRequest{}, Response: Response{},
			Errors: []*errs.Error{ErrNotFound, ErrNotFinalized, ErrVoid, ErrNothingOwed, ErrPaymentPending, ErrAlreadyUncollectible, idempotency.ErrReused, idempotency.ErrInProgress}},
		{Method: http.MethodPost, Path: "/billing/invoices/{id}/reopen/", Staff: true, Permission: auth.BillingInvoicesManage, Handler: v.reopen,
			Tag: "Invoices", Summary: "Expect payment again", Request: ReverseRequest{}, Response: Response{},
			Errors: []*errs.Error{ErrNotFound, ErrNotUncollectible, ErrNothingOwed, idempotency.ErrReused, idempotency.ErrInProgress}},
		{Method: http.MethodGet, Path: "/billing/write-offs/", Staff: true, Permission: auth.BillingView, Handler: v.listWriteOffs,
			Tag: "Write-offs", Summary: "List write-offs", Response: WriteOffResponse{}, List: WriteOffSpec},
		{Method: http.MethodGet, Path: "/billing/write-offs/{id}/", Staff: true, Permission: auth.BillingView, Handler: v.getWriteOff,
			Tag: "Write-offs", Summary: "One write-off, with the digest that a decision about it needs", Response: WriteOffResponse{}, Errors: []*errs.Error{ErrWriteOffNotFound}},
		{Method: http.MethodPost, Path: "/billing/write-offs/{id}/approve/", Staff: true, Permission: auth.BillingApprove, Handler: v.approveWriteOff,
			Tag: "Write-offs", Summary: "Post a write-off that somebody else has asked for", Request: ApproveWriteOffRequest{}, Response: WriteOffResponse{},
			Errors: append(slices.Clone(decide), ErrNotFinalized, ErrVoid, ErrNothingOwed, ErrAboveBalance, ErrPaymentPending)},
		{Method: http.MethodPost, Path: "/billing/write-offs/{id}/reject/", Staff: true, Permission: auth.BillingApprove, Handler: v.rejectWriteOff,
			Tag: "Write-offs", Summary: "Refuse a write-off that somebody else has asked for", Request: RejectWriteOffRequest{}, Response: WriteOffResponse{}, Errors: decide},
		{Method: http.MethodPost, Path: "/billing/write-offs/{id}/reverse/", Staff: true, Permission: auth.BillingInvoicesManage, Handler: v.reverseWriteOff,
			Tag: "Write-offs", Summary: "Make owed again what was written off", Request: ReverseRequest{}, Response: WriteOffResponse{},
			Errors: []*errs.Error{ErrWriteOffNotFound, ErrWriteOffNotPosted, ErrServiceCreditsSpent, idempotency.ErrReused, idempotency.ErrInProgress}},
	}
}
