package tenancy

import (
	"net/http"

	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/web"
)

func (v *views) urls() []web.Route {
	return []web.Route{
		{Method: http.MethodGet, Path: "/tenant/", Staff: true, Permission: auth.BillingView, Handler: v.get,
			Tag: "Tenant", Summary: "The settings of your tenant", Response: Response{}},
		{Method: http.MethodPatch, Path: "/tenant/", Staff: true, Permission: auth.TenantManage, Handler: v.update,
			Tag: "Tenant", Summary: "Change the settings of your tenant", Request: UpdateRequest{}, Response: Response{},
			Errors: []*errs.Error{ErrCountry, ErrTimezone}},
	}
}
