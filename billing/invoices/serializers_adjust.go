package invoices

import (
	"context"

	"github.com/google/uuid"

	"countersign/billing/money"
	"countersign/internal/auth"
	"countersign/internal/web"
)

// Reductions are what lowers an invoice besides payments.
type Reductions struct {
	CreditAppliedAmount      string `json:"credit_applied_amount"`
	CreditAppliedAmountMinor int64  `json:"credit_applied_amount_minor"`
	CreditedAmount           string `json:"credited_amount"`
	CreditedAmountMinor      int64  `json:"credited_amount_minor"`
	WrittenOffAmount         string `json:"written_off_amount"`
	WrittenOffAmountMinor    int64  `json:"written_off_amount_minor"`
}

func newReductions(inv *Invoice) Reductions {
	return Reductions{CreditAppliedAmount: inv.Amount(inv.CreditAppliedMinor).String(), CreditAppliedAmountMinor: inv.CreditAppliedMinor,
		CreditedAmount: inv.Amount(inv.CreditedMinor).String(), CreditedAmountMinor: inv.CreditedMinor,
		WrittenOffAmount: inv.Amount(inv.WrittenOffMinor).String(), WrittenOffAmountMinor: inv.WrittenOffMinor}
}

// ApplyCreditRequest is the body of POST invoices/{id}/apply_credit/. Without an amount it is as much as both allow.
type ApplyCreditRequest struct {
	Amount      web.Number `json:"amount"`
	AmountMinor *int64     `json:"amount_minor"`
	Currency    string     `json:"currency" validate:"omitempty,len=3"`
}

// UnapplyCreditRequest is the body of POST invoices/{id}/unapply_credit/.
type UnapplyCreditRequest struct {
	AdjustmentID string `json:"adjustment_id" validate:"required,max=100"`
	Reason       string `json:"reason" validate:"required,max=500"`
}

// AdjustmentResponse is what has lowered an invoice besides payments; below zero is what took it back. Members do not see
// who did it, and why something was given up.
type AdjustmentResponse struct {
	ID          string         `json:"id"`
	Kind        AdjustmentKind `json:"kind"`
	Amount      string         `json:"amount"`
	AmountMinor int64          `json:"amount_minor"`
	Currency    string         `json:"currency"`
	Reason      string         `json:"reason"`
	Reverses    *string        `json:"reverses"`
	ReversedBy  *string        `json:"reversed_by"`
	MadeBy      *string        `json:"made_by"`
	CreatedAt   string         `json:"created_at"`
}

func newAdjustmentResponses(ctx context.Context, list []Adjustment) []AdjustmentResponse {
	p, _ := auth.From(ctx)
	reversedBy := map[uuid.UUID]string{}
	for _, a := range list {
		reversedBy[a.Reverses] = a.ID.String()
	}
	out := make([]AdjustmentResponse, len(list))
	for i, a := range list {
		out[i] = AdjustmentResponse{ID: a.ID.String(), Kind: a.Kind, Amount: money.New(a.AmountMinor, a.Currency).String(), AmountMinor: a.AmountMinor,
			Currency: string(a.Currency), ReversedBy: optional(reversedBy[a.ID]), CreatedAt: web.Time(a.CreatedAt)}
		if a.Reverses != uuid.Nil {
			out[i].Reverses = optional(a.Reverses.String())
		}
		if !p.IsMember() {
			out[i].Reason, out[i].MadeBy = a.Reason, optional(a.MadeBy)
		}
	}
	return out
}
