package decisions

import (
	"fmt"
	"slices"

	"countersign/billing/money"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/web"
)

// LadderRequest is the body of PUT approval-policies/.
type LadderRequest struct {
	// Rules is required, and may be empty: a body that lacks it by mistake must not take the ladder away.
	Rules []PolicyRequest `json:"rules" validate:"required,max=100,dive"`
}

// PolicyRequest is one rule. Amounts are in the rule's currency and need one.
type PolicyRequest struct {
	Rank             int        `json:"rank" validate:"gte=0,lte=100000"`
	PaymentMethod    string     `json:"payment_method" validate:"omitempty,oneof=cash card mobile_banking voucher bank_transfer local_wallet paypal gateway_link other"`
	Currency         string     `json:"currency" validate:"omitempty,len=3"`
	FromAmount       web.Number `json:"from_amount"`
	ToAmount         web.Number `json:"to_amount"`
	Signal           string     `json:"signal" validate:"max=60"`
	Approvals        int        `json:"approvals" validate:"gte=1,lte=2"`
	RequiresEvidence bool       `json:"requires_evidence"`
	Permission       string     `json:"permission" validate:"max=60"`
}

// cash is the method without receipts and signals: whoever takes it has it in his hand.
const cash = "cash"

func (req LadderRequest) input() ([]Policy, error) {
	var fields errs.Fields
	rungs := make([]Policy, len(req.Rules))
	for i, r := range req.Rules {
		at := func(field string) string { return fmt.Sprintf("rules.%d.%s", i, field) }
		p := Policy{Rank: r.Rank, PaymentMethod: r.PaymentMethod, Signal: r.Signal, Approvals: r.Approvals, RequiresEvidence: r.RequiresEvidence, Permission: r.Permission}
		if p.Permission == "" {
			p.Permission = auth.BillingApprove
		}
		if !slices.ContainsFunc(auth.Permissions(), func(known auth.Permission) bool { return known.Name == p.Permission }) {
			fields.Add(at("permission"), ErrUnknownPermission)
		}
		if r.Currency != "" {
			currency, err := money.ParseCurrency(r.Currency)
			if err != nil {
				fields.Add(at("currency"), money.ErrUnknownCurrency)
			}
			p.Currency = currency
		}
		if r.PaymentMethod == cash && r.RequiresEvidence {
			fields.Add(at("requires_evidence"), ErrNotUsed.With("gateway", cash))
		}
		if r.PaymentMethod == cash && r.Signal != "" {
			fields.Add(at("signal"), ErrNotUsed.With("gateway", cash))
		}
		p.FromAmountMinor = amount(r.FromAmount, p.Currency, at("from_amount"), &fields)
		p.ToAmountMinor = amount(r.ToAmount, p.Currency, at("to_amount"), &fields)
		if p.FromAmountMinor != nil && p.ToAmountMinor != nil && *p.ToAmountMinor < *p.FromAmountMinor {
			fields.Add(at("to_amount"), ErrBandCrossed)
		}
		rungs[i] = p
	}
	return rungs, fields.Err()
}

func amount(text web.Number, currency money.Currency, field string, fields *errs.Fields) *int64 {
	if text == "" {
		return nil
	}
	m, err := money.Parse(string(text), currency)
	if err != nil || m.Minor < 0 {
		fields.Add(field, money.ErrInvalidAmount)
		return nil
	}
	return &m.Minor
}

// PolicyResponse is one rule as staff see it.
type PolicyResponse struct {
	Rank             int     `json:"rank"`
	PaymentMethod    *string `json:"payment_method"`
	Currency         *string `json:"currency"`
	FromAmount       *string `json:"from_amount"`
	FromAmountMinor  *int64  `json:"from_amount_minor"`
	ToAmount         *string `json:"to_amount"`
	ToAmountMinor    *int64  `json:"to_amount_minor"`
	Signal           *string `json:"signal"`
	Approvals        int     `json:"approvals"`
	RequiresEvidence bool    `json:"requires_evidence"`
	Permission       string  `json:"permission"`
}

// LadderResponse is the whole ladder, by rank.
type LadderResponse struct {
	Rules []PolicyResponse `json:"rules"`
}

func newPolicyResponse(p Policy) PolicyResponse {
	optional := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	decimal := func(minor *int64) *string {
		if minor == nil {
			return nil
		}
		return optional(money.New(*minor, p.Currency).String())
	}
	return PolicyResponse{Rank: p.Rank, PaymentMethod: optional(p.PaymentMethod), Currency: optional(string(p.Currency)),
		FromAmount: decimal(p.FromAmountMinor), FromAmountMinor: p.FromAmountMinor, ToAmount: decimal(p.ToAmountMinor), ToAmountMinor: p.ToAmountMinor,
		Signal: optional(p.Signal), Approvals: p.Approvals, RequiresEvidence: p.RequiresEvidence, Permission: p.Permission}
}
