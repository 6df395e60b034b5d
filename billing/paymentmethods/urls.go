package paymentmethods

import (
	"net/http"

	"countersign/accounts"
	"countersign/billing/money"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/web"
	"countersign/tenancy"
)

var configList = &web.ListSpec{
	Filters: []web.Filter{
		{Name: "country_code", Doc: "A country by code or name, or * for rows that hold everywhere.",
			Parse: func(raw string) (any, error) { return parseCountry(raw) }},
		methodFilter,
		web.Flag("is_enabled", "Only rows that are switched on, or off."),
	},
	Ordering: map[string]string{"created_at": "created_at", "sort_order": "sort_order", "country_code": "country_code"},
	Default:  "-created_at",
}

// availableQuery documents the parameters of the list of methods.
var availableQuery = &web.ListSpec{Filters: []web.Filter{
	web.Text("account", "Staff only: what this account can pay with, by id or external id"),
	web.Text("country", "Staff only: what accounts of this country can pay with"),
}}

var savedList = &web.ListSpec{
	Filters: []web.Filter{
		web.Text("account", "Staff only: the methods of one account, by id or external id."),
		methodFilter,
	},
	Ordering: map[string]string{"created_at": "created_at"},
	Default:  "-created_at",
}

var methodFilter = web.Filter{Name: "payment_method", Doc: "Only this payment method.",
	Parse: func(raw string) (any, error) { return ParseMethod(raw) }}

func (v *views) urls() []web.Route {
	const (
		available = "/billing/payment-methods/available/"
		configs   = "/billing/payment-method-configs/"
		config    = "/billing/payment-method-configs/{id}/"
		methods   = "/billing/payment-methods/"
		method    = "/billing/payment-methods/{id}/"
		tag       = "Payment methods"
	)
	configErrors := []*errs.Error{ErrConfigExists, accounts.ErrUnknownMethod, ErrLimitNeedsCurrency, ErrLimitsCrossed, ErrRestateLimits,
		ErrDetailsTooLarge, tenancy.ErrCountry, money.ErrUnknownCurrency, money.ErrInvalidAmount, money.ErrTooManyDigits}
	savedErrors := []*errs.Error{accounts.ErrUnknownMethod, accounts.ErrUnknownAccount, ErrDetail, ErrSecretDetail}
	return []web.Route{
		{Method: http.MethodGet, Path: available, Permission: auth.BillingView, Handler: v.available,
			Tag: "Payments", Summary: "What an account can pay with", Response: AvailableResponse{}, Query: availableQuery,
			Errors: []*errs.Error{web.ErrStaffOnly, web.ErrUnknownParameter, tenancy.ErrCountry}},

		{Method: http.MethodGet, Path: configs, Staff: true, Permission: auth.BillingMethodsManage, Handler: v.listConfigs,
			Tag: tag, Summary: "The methods of all countries", Response: ConfigResponse{}, List: configList},
		{Method: http.MethodPost, Path: configs, Staff: true, Permission: auth.BillingMethodsManage, Handler: v.createConfig,
			Tag: tag, Summary: "Offer a method in a country, or switch it off there", Request: CreateConfigRequest{}, Response: ConfigResponse{},
			Status: http.StatusCreated, Errors: configErrors},
		{Method: http.MethodGet, Path: config, Staff: true, Permission: auth.BillingMethodsManage, Handler: v.getConfig,
			Tag: tag, Summary: "A method of a country", Response: ConfigResponse{}},
		{Method: http.MethodPatch, Path: config, Staff: true, Permission: auth.BillingMethodsManage, Handler: v.updateConfig,
			Tag: tag, Summary: "Change a method of a country", Request: UpdateConfigRequest{}, Response: ConfigResponse{}, Errors: configErrors},
		{Method: http.MethodDelete, Path: config, Staff: true, Permission: auth.BillingMethodsManage, Handler: v.deleteConfig,
			Tag: tag, Summary: "Remove a method of a country", Status: http.StatusNoContent},

		{Method: http.MethodGet, Path: methods, Permission: auth.BillingView, Handler: v.listSaved,
			Tag: tag, Summary: "Saved methods", Response: SavedResponse{}, List: savedList},
		{Method: http.MethodPost, Path: methods, Permission: auth.BillingCreate, Handler: v.save,
			Tag: tag, Summary: "Save a method", Request: SaveRequest{}, Response: SavedResponse{}, Status: http.StatusCreated, Errors: savedErrors},
		{Method: http.MethodGet, Path: method, Permission: auth.BillingView, Handler: v.getSaved,
			Tag: tag, Summary: "A saved method", Response: SavedResponse{}},
		{Method: http.MethodPatch, Path: method, Permission: auth.BillingCreate, Handler: v.updateSaved,
			Tag: tag, Summary: "Rename a saved method", Request: UpdateSavedRequest{}, Response: SavedResponse{},
			Errors: []*errs.Error{ErrDetail, ErrSecretDetail}},
		{Method: http.MethodDelete, Path: method, Permission: auth.BillingCreate, Handler: v.deleteSaved,
			Tag: tag, Summary: "Forget a saved method", Status: http.StatusNoContent},
		{Method: http.MethodPost, Path: method + "set_default/", Permission: auth.BillingCreate, Handler: v.setDefault,
			Tag: tag, Summary: "Make a saved method the default", Response: SavedResponse{}},
	}
}
