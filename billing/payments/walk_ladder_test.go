package payments_test

import (
	"countersign/billing/decisions"
	"countersign/billing/payments"
	"countersign/internal/auth"
)

// thresholds are the amounts above which a tenant may ask for two people.
var thresholds = []int64{800, 1500, 2500}

// rungs is a ladder as the tenant sets it, and what it means in the words of the model.
type rungs struct {
	name  string
	rungs []decisions.Policy
	need  func(m *model, a *attempt, amount int64) (need, bool)
}

type need struct {
	approvals  int
	proof      bool
	permission string
}

func simple(approvals int) need { return need{approvals: approvals, permission: auth.BillingApprove} }

func ladders() []rungs {
	return []rungs{
		{name: "none"},
		{"large dollars by two admins", []decisions.Policy{{Rank: 10, Currency: "USD", FromAmountMinor: ptr(int64(1500)), Approvals: 2, Permission: auth.TenantManage}},
			func(_ *model, a *attempt, amount int64) (need, bool) {
				return need{approvals: 2, permission: auth.TenantManage}, a.bill.currency == "USD" && amount >= 1500
			}},
		{"two for used references", []decisions.Policy{{Rank: 10, Signal: payments.SignalReferenceUsed, Approvals: 2, Permission: auth.BillingApprove}},
			func(m *model, a *attempt, _ int64) (need, bool) { return simple(2), m.sameReference(a) > 0 }},
		{"receipts for yen, two for wallets", []decisions.Policy{
			{Rank: 10, Currency: "JPY", Approvals: 1, RequiresEvidence: true, Permission: auth.BillingApprove},
			{Rank: 20, PaymentMethod: "local_wallet", Approvals: 2, Permission: auth.BillingApprove}},
			func(_ *model, a *attempt, _ int64) (need, bool) {
				if a.bill.currency == "JPY" {
					return need{1, true, auth.BillingApprove}, true
				}
				return simple(2), a.method == "local_wallet"
			}},
	}
}

func (m *model) need(a *attempt, received int64) need {
	amount := max(a.amount, received)
	for _, v := range a.verdicts {
		amount = max(amount, v.received)
	}
	if m.ladder.need != nil {
		if n, fits := m.ladder.need(m, a, amount); fits {
			return n
		}
	}
	if m.threshold > 0 && (a.bill.currency != "USD" || amount > m.threshold) {
		return simple(2)
	}
	return simple(1)
}
