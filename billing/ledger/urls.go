package ledger

import (
	"net/http"

	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
)

// AsOfQuery documents the parameter of balances.
var AsOfQuery = &web.ListSpec{Filters: []web.Filter{web.Instant("as_of", "The balance as it was at this time; now when absent")}}

func (v *views) urls() []web.Route {
	return []web.Route{
		{Method: http.MethodGet, Path: "/billing/ledger/accounts/", Staff: true, Permission: auth.BillingLedgerView, Handler: v.accounts,
			Tag: "Ledger", Summary: "The chart of accounts with balances", Response: AccountResponse{}, List: accountSpec},
		{Method: http.MethodGet, Path: "/billing/ledger/accounts/{id}/", Staff: true, Permission: auth.BillingLedgerView, Handler: v.account,
			Tag: "Ledger", Summary: "One ledger account with its balance", Response: AccountResponse{}},
		{Method: http.MethodGet, Path: "/billing/ledger/accounts/{id}/balance/", Staff: true, Permission: auth.BillingLedgerView, Handler: v.balance,
			Tag: "Ledger", Summary: "The balance of a ledger account, now or at ?as_of=", Response: BalanceResponse{}, Query: AsOfQuery},
		{Method: http.MethodGet, Path: "/billing/ledger/entries/", Staff: true, Permission: auth.BillingLedgerView, Handler: v.entries,
			Tag: "Ledger", Summary: "Entries in the order of posting", Response: EntryResponse{}, List: entrySpec},
		{Method: http.MethodGet, Path: "/billing/ledger/trial-balance/", Staff: true, Permission: auth.BillingLedgerView, Handler: v.trialBalance,
			Tag: "Ledger", Summary: "Debits and credits by code and currency, now or at ?as_of=", Response: TrialResponse{}, Query: AsOfQuery},
		// whoever may make the books agree with the bank may make the shown balances agree with the books; the report names
		// balances, so he must be allowed to read those as well
		{Method: http.MethodPost, Path: "/billing/ledger/rebuild/", Staff: true, Permission: auth.BillingReconcile, Handler: v.rebuild,
			Tag: "Ledger", Summary: "Replay the cached balances and name those that were wrong", Response: RebuildResponse{},
			Errors: []*errs.Error{idempotency.ErrInvalidKey, idempotency.ErrReused, idempotency.ErrInProgress}},
	}
}
