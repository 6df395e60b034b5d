package credits

import (
	"net/http"

	"countersign/billing/ledger"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/web"
)

func (v *views) urls() []web.Route {
	return []web.Route{
		{Method: http.MethodGet, Path: "/billing/credits/balance/", Permission: auth.BillingView, Handler: v.balance,
			Tag: "Credits", Summary: "Service credits and money owed to an account; staff name it with ?account=", Response: BalanceResponse{},
			Query: &web.ListSpec{Filters: transactionSpec.Filters[:1]}, Errors: []*errs.Error{ErrAccountRequired, web.ErrNotFound}},
		{Method: http.MethodGet, Path: "/billing/credits/transactions/", Permission: auth.BillingView, Handler: v.transactions,
			Tag: "Credits", Summary: "What changed an account's credits and money", Response: TransactionResponse{}, List: transactionSpec,
			Errors: []*errs.Error{ErrAccountRequired, web.ErrNotFound}},
		{Method: http.MethodGet, Path: "/billing/accounts/{id}/balance/", Permission: auth.BillingView, Handler: v.ofAccount,
			Tag: "Accounts", Summary: "What an account owes, what it is owed, and its service credits, now or at ?as_of=", Response: AccountBalanceResponse{}, Query: ledger.AsOfQuery},
	}
}
