package gateways

import (
	"net/http"

	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/web"
)

var inboundList = &web.ListSpec{
	Filters: []web.Filter{
		web.Choice("status", "Only messages that have come this far.", map[string]InboundStatus{"received": InboundReceived, "processed": InboundProcessed,
			"failed": InboundFailed, "ignored": InboundIgnored}),
		web.Text("gateway", "Only messages for this name of a gateway."),
		web.Identifier("payment", "Only messages about this payment."),
	},
	Ordering: map[string]string{"created_at": "id"},
	Default:  "-created_at",
}

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
		{Method: http.MethodGet, Path: "/billing/webhook-events/", Staff: true, Permission: auth.BillingReconcile, Handler: v.listInbound,
			Tag: tag, Summary: "What providers have told us", Response: InboundResponse{}, List: inboundList},
	}
}
