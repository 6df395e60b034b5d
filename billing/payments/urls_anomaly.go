package payments

import (
	"net/http"

	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
)

// anomalyURLs are what was said of payments and not believed, for staff.
func (v *Views) anomalyURLs() []web.Route {
	const tag = "Anomalies"
	return []web.Route{
		{Method: http.MethodGet, Path: "/billing/payment-anomalies/", Staff: true, Permission: auth.BillingView, Handler: v.anomalies,
			Tag: tag, Summary: "What was said of payments and not believed; the open ones unless status says otherwise", Response: AnomalyCaseResponse{}, List: AnomalySpec},
		{Method: http.MethodGet, Path: "/billing/payment-anomalies/{id}/", Staff: true, Permission: auth.BillingView, Handler: v.getAnomaly,
			Tag: tag, Summary: "One anomaly with its payment", Response: AnomalyCaseResponse{}, Errors: []*errs.Error{ErrAnomalyNotFound}},
		{Method: http.MethodPost, Path: "/billing/payment-anomalies/{id}/resolve/", Staff: true, Permission: auth.BillingReconcile, Handler: v.resolveAnomaly,
			Tag: tag, Summary: "Say how somebody has dealt with an anomaly", Request: ResolveAnomalyRequest{}, Response: AnomalyCaseResponse{},
			Errors: []*errs.Error{ErrAnomalyNotFound, ErrAnomalyResolved, idempotency.ErrReused, idempotency.ErrInProgress}},
	}
}
