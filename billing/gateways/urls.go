package gateways

import (
	"net/http"

	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/web"
)

func (v *views) urls() []web.Route {
	const (
		list = "/billing/gateways/"
		one  = "/billing/gateways/{name}/"
		tag  = "Gateways"
	)
	return []web.Route{
		{Method: http.MethodGet, Path: list, Staff: true, Permission: auth.BillingGatewaysManage, Handler: v.list,
			Tag: tag, Summary: "The gateways, and what is configured", Response: ListResponse{}},
		{Method: http.MethodGet, Path: one, Staff: true, Permission: auth.BillingGatewaysManage, Handler: v.get,
			Tag: tag, Summary: "A gateway", Response: ConfigResponse{}, Errors: []*errs.Error{ErrUnknownGateway}},
		{Method: http.MethodPut, Path: one, Staff: true, Permission: auth.BillingGatewaysManage, Handler: v.configure,
			Tag: tag, Summary: "Configure a gateway, or register an integrator under a name of your own", Request: ConfigureRequest{}, Response: ConfigResponse{},
			Errors: []*errs.Error{ErrUnknownGateway, ErrGatewayKind, ErrWrongMode, ErrUnknownSetting, ErrInvalidSetting, ErrSettingMissing, ErrUnreadable, ErrConfigChanged}},
	}
}
