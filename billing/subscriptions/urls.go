package subscriptions

import (
	"net/http"

	"countersign/accounts"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
)

func (v *views) urls() []web.Route {
	return []web.Route{
		{Method: http.MethodGet, Path: "/billing/subscriptions/", Permission: auth.BillingView, Handler: v.list,
			Tag: "Subscriptions", Summary: "List subscriptions", Response: Summary{}, List: listSpec, Errors: []*errs.Error{accounts.ErrUnknownAccount}},
		{Method: http.MethodPost, Path: "/billing/subscriptions/", Staff: true, Permission: auth.BillingSubscriptionsManage, Handler: v.create,
			Tag: "Subscriptions", Summary: "Bill an account each month, and charge a saved method for it", NeedsKey: true, Request: CreateRequest{}, Response: Response{}, Status: http.StatusCreated,
			Errors: []*errs.Error{accounts.ErrUnknownAccount, accounts.ErrAccountInactive, money.ErrUnknownCurrency, money.ErrInvalidAmount, money.ErrTooManyDigits, money.ErrOverflow,
				invoices.ErrTooLarge, invoices.ErrNotPositive, invoices.ErrNegative, invoices.ErrTaxRate, payments.ErrUnknownSource, ErrStart,
				idempotency.ErrRequired, idempotency.ErrReused, idempotency.ErrInProgress}},
		{Method: http.MethodGet, Path: "/billing/subscriptions/{id}/", Permission: auth.BillingView, Handler: v.get,
			Tag: "Subscriptions", Summary: "One subscription with the months that were billed", Response: Response{}},
		{Method: http.MethodPost, Path: "/billing/subscriptions/{id}/cancel/", Staff: true, Permission: auth.BillingSubscriptionsManage, Handler: v.cancel,
			Tag: "Subscriptions", Summary: "Bill no further month", Request: CancelRequest{}, Response: Response{},
			Errors: []*errs.Error{ErrCancelled, idempotency.ErrReused, idempotency.ErrInProgress}},
	}
}
