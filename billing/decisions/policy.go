package decisions

import (
	"slices"

	"countersign/billing/money"
	"countersign/internal/auth"
)

// Claim is what the ladder looks at.
type Claim struct {
	PaymentMethod string
	// Amount is the larger of what was claimed and what the approver says was received, so that neither of the two
	// can talk the other's amount below a threshold.
	Amount  money.Money
	Signals []string
}

// Requirement is what a claim needs before it is approved.
type Requirement struct {
	Approvals        int
	RequiresEvidence bool
	Permission       string
}

// Threshold is the tenant's own limit, for claims that no rung fits. Above it two people approve.
type Threshold struct {
	Above    *int64 // nil: one approval is always enough
	Currency money.Currency
}

// Require climbs the ladder: the first rung that fits decides. Without one, the threshold does; an amount in another
// currency cannot be compared with it and is treated as above, because nobody is exempt by choosing a currency.
func Require(ladder []Policy, threshold Threshold, c Claim) Requirement {
	for _, p := range ladder {
		if p.fits(c) {
			return Requirement{Approvals: p.Approvals, RequiresEvidence: p.RequiresEvidence, Permission: p.Permission}
		}
	}
	r := Requirement{Approvals: 1, Permission: auth.BillingApprove}
	if threshold.Above != nil && (c.Amount.Currency != threshold.Currency || c.Amount.Minor > *threshold.Above) {
		r.Approvals = 2
	}
	return r
}

func (p Policy) fits(c Claim) bool {
	switch {
	case p.PaymentMethod != "" && p.PaymentMethod != c.PaymentMethod:
		return false
	case p.Currency != "" && p.Currency != c.Amount.Currency:
		return false
	case p.FromAmountMinor != nil && c.Amount.Minor < *p.FromAmountMinor:
		return false
	case p.ToAmountMinor != nil && c.Amount.Minor >= *p.ToAmountMinor:
		return false
	case p.Signal != "" && !slices.Contains(c.Signals, p.Signal):
		return false
	}
	return true
}
