package audit

import (
	"net/http"

	"countersign/internal/auth"
	"countersign/internal/web"
)

func (v *views) urls() []web.Route {
	return []web.Route{
		{Method: http.MethodGet, Path: "/billing/audit-log/", Staff: true, Permission: auth.BillingAuditView, Handler: v.list,
			Tag: "Audit", Summary: "Who did what, the newest first", Response: EntryResponse{}, List: &entriesSpec},
	}
}
