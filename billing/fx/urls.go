package fx

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
	return []web.Route{
		{Method: http.MethodGet, Path: "/billing/fx/rates/", Staff: true, Permission: auth.BillingView, Handler: v.rates,
			Tag: "Exchange", Summary: "Recorded rates of exchange", Response: RateResponse{}, List: rateSpec, Errors: []*errs.Error{money.ErrUnknownCurrency}},
		{Method: http.MethodPost, Path: "/billing/fx/rates/", Staff: true, Permission: auth.BillingPricingManage, Handler: v.recordRate,
			Tag: "Exchange", Summary: "Record a rate of exchange", Request: RateRequest{}, Response: RateResponse{}, Status: http.StatusCreated,
			Errors: []*errs.Error{money.ErrUnknownCurrency, money.ErrInvalidAmount, money.ErrTooManyDigits, money.ErrOverflow, ErrNotPositive, ErrSameCurrency,
				idempotency.ErrReused, idempotency.ErrInProgress}},
		{Method: http.MethodGet, Path: "/billing/fx/rates/{id}/", Staff: true, Permission: auth.BillingView, Handler: v.rate,
			Tag: "Exchange", Summary: "One rate of exchange", Response: RateResponse{}},
		{Method: http.MethodGet, Path: "/billing/fx/conversions/", Permission: auth.BillingView, Handler: v.conversions,
			Tag: "Exchange", Summary: "Conversions of customers' credit", Response: ConversionResponse{}, List: conversionSpec,
			Errors: []*errs.Error{accounts.ErrUnknownAccount, money.ErrUnknownCurrency}},
		{Method: http.MethodPost, Path: "/billing/fx/conversions/", Staff: true, Permission: auth.BillingReconcile, Handler: v.convert,
			Tag: "Exchange", Summary: "Turn a customer's credit into credit of another currency", NeedsKey: true, Request: ConvertRequest{}, Response: ConversionResponse{}, Status: http.StatusCreated,
			Errors: []*errs.Error{accounts.ErrUnknownAccount, money.ErrUnknownCurrency, money.ErrInvalidAmount, money.ErrTooManyDigits, money.ErrOverflow, ErrNotPositive,
				ErrForms, ErrSameCurrency, ErrUnknownRate, ErrRatePair, ErrRateTwice, ErrNoRate, ErrNothing, ErrTooLarge, ErrGiven, ErrReason, ErrRateUnconfirmed, ErrGainExceeded, ledger.ErrCreditExceeded, ledger.ErrBalanceTooLarge,
				idempotency.ErrRequired, idempotency.ErrReused, idempotency.ErrInProgress}},
		{Method: http.MethodGet, Path: "/billing/fx/conversions/{id}/", Permission: auth.BillingView, Handler: v.conversion,
			Tag: "Exchange", Summary: "One conversion", Response: ConversionResponse{}},
		{Method: http.MethodPost, Path: "/billing/fx/conversions/{id}/reverse/", Staff: true, Permission: auth.BillingReconcile, Handler: v.reverse,
			Tag: "Exchange", Summary: "Take a conversion back", Request: ReverseRequest{}, Response: ConversionResponse{},
			Errors: []*errs.Error{ledger.ErrAlreadyReversed, ledger.ErrCreditExceeded, ledger.ErrBalanceTooLarge, idempotency.ErrReused, idempotency.ErrInProgress}},
	}
}
