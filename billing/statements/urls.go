package statements

import (
	"net/http"

	"countersign/billing/ledger"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/web"
)

// querySpec is what a statement may be asked for.
var querySpec = &web.ListSpec{Filters: []web.Filter{
	{Name: "from", Doc: "The first day, which begins at midnight in the tenant's time zone, or a time. The current month's first day when absent.", Parse: parseEdge},
	{Name: "to", Doc: "The last day, which is wholly included, or a time up to and including which is shown. Now when absent.", Parse: parseEdge},
	web.Text("currency", "Only this currency, or credit for service credits."),
	web.PageSize(),
	{Name: "cursor", Doc: "Where the last page ended, from its next.", Parse: func(raw string) (any, error) { return ledger.ParseEntryKey(raw) }},
}}

func (v *views) urls() []web.Route {
	return []web.Route{
		{Method: http.MethodGet, Path: "/billing/accounts/{id}/statement/", Permission: auth.BillingView, Handler: v.statement,
			Tag: "Accounts", Summary: "What an account owed, what has moved since, and what it owes", Response: StatementResponse{}, Query: querySpec,
			Errors: []*errs.Error{web.ErrNotFound, errs.ErrValidation}},
	}
}
