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

// none says whether nothing was lowered.
func (r Reductions) none() bool {
	return r.CreditAppliedAmountMinor == 0 && r.CreditedAmountMinor == 0 && r.WrittenOffAmountMinor == 0
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
// who did it, and why, but of credit notes, which are documents for them.
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
			Currency: string(a.Currency), Reverses: optionalID(a.Reverses), ReversedBy: optional(reversedBy[a.ID]), CreatedAt: web.Time(a.CreatedAt)}
		if !p.IsMember() {
			out[i].MadeBy = optional(a.MadeBy)
		}
		if !p.IsMember() || a.Kind == CreditNoted {
			out[i].Reason = a.Reason
		}
	}
	return out
}

// CreditNoteRequest is the body of POST invoices/{id}/credit-notes/. Without an amount it is over all that is owed.
type CreditNoteRequest struct {
	Amount      web.Number `json:"amount"`
	AmountMinor *int64     `json:"amount_minor"`
	Reason      string     `json:"reason" validate:"required,max=500"`
}

// ReverseRequest is the body of what takes something back.
type ReverseRequest struct {
	Reason string `json:"reason" validate:"required,max=500"`
}

// WriteOffRequest is the body of POST invoices/{id}/write_off/. Without an amount it is all that is owed.
type WriteOffRequest struct {
	Amount      web.Number `json:"amount"`
	AmountMinor *int64     `json:"amount_minor"`
	Reason      string     `json:"reason" validate:"required,max=500"`
}

// ApproveWriteOffRequest is the body of POST write-offs/{id}/approve/.
type ApproveWriteOffRequest struct {
	Digest string `json:"digest" validate:"max=200"`
	Note   string `json:"note" validate:"max=500"`
}

// RejectWriteOffRequest is the body of POST write-offs/{id}/reject/.
type RejectWriteOffRequest struct {
	Digest string `json:"digest" validate:"max=200"`
	Reason string `json:"reason" validate:"required,max=500"`
}

// WriteOffResponse is a request to give something up, with what the second person looks at. The digest binds his decision;
// there is one while it waits.
type WriteOffResponse struct {
	ID             string             `json:"id"`
	Status         WriteOffStatus     `json:"status"`
	InvoiceID      string             `json:"invoice_id"`
	InvoiceNumber  string             `json:"invoice_number"`
	InvoiceStatus  Status             `json:"invoice_status"`
	AccountID      string             `json:"account_id"`
	Holder         string             `json:"holder"`
	Amount         string             `json:"amount"`
	AmountMinor    int64              `json:"amount_minor"`
	Currency       string             `json:"currency"`
	InvoiceTotal   string             `json:"invoice_total_amount"`
	InvoiceMinor   int64              `json:"invoice_total_amount_minor"`
	InvoiceBalance string             `json:"invoice_balance_amount"`
	BalanceMinor   int64              `json:"invoice_balance_amount_minor"`
	Reason         string             `json:"reason"`
	RequestedBy    string             `json:"requested_by"`
	Requester      string             `json:"requester"`
	WithinLimit    bool               `json:"within_tolerance"`
	Digest         *string            `json:"digest"`
	Decisions      []DecisionResponse `json:"decisions"`
	CreatedAt      string             `json:"created_at"`
	DecidedAt      *string            `json:"decided_at"`
	ReversedAt     *string            `json:"reversed_at"`
}

// DecisionResponse is one person's word about a write-off.
type DecisionResponse struct {
	Verdict   string  `json:"verdict"`
	UserID    string  `json:"user_id"`
	User      string  `json:"user"`
	Note      string  `json:"note"`
	DecidedAt *string `json:"decided_at"`
}

func newWriteOffResponse(f *writeOffFacts) (WriteOffResponse, error) {
	w, inv := f.WriteOff, f.Invoice
	answer := WriteOffResponse{ID: w.ID.String(), Status: w.Status, InvoiceID: w.InvoiceID.String(), InvoiceNumber: inv.Number, InvoiceStatus: inv.Status,
		AccountID: w.AccountID.String(), Holder: f.Account.Holder, Amount: inv.Amount(w.AmountMinor).String(), AmountMinor: w.AmountMinor, Currency: string(w.Currency),
		InvoiceTotal: inv.Amount(inv.TotalMinor).String(), InvoiceMinor: inv.TotalMinor, InvoiceBalance: inv.Balance().String(), BalanceMinor: inv.BalanceMinor,
		Reason: w.Reason, RequestedBy: w.RequestedBy.String(), Requester: w.RequestedLabel, WithinLimit: w.ByOne, Decisions: []DecisionResponse{},
		CreatedAt: web.Time(w.CreatedAt), DecidedAt: web.OptionalTime(w.DecidedAt), ReversedAt: web.OptionalTime(w.ReversedAt)}
	for _, d := range f.Decisions {
		answer.Decisions = append(answer.Decisions, DecisionResponse{Verdict: string(d.Verdict), UserID: d.UserID.String(), User: d.UserLabel, Note: d.Note, DecidedAt: web.OptionalTime(d.CreatedAt)})
	}
	if w.Status == WriteOffPending {
		digest, err := f.digest()
		if err != nil {
			return WriteOffResponse{}, err
		}
		answer.Digest = optional(digest.String())
	}
	return answer, nil
}

// CreditNoteResponse is a credit note; all amounts are below zero when it undoes another. Members do not see who issued it.
type CreditNoteResponse struct {
	ID             string  `json:"id"`
	Number         string  `json:"number"`
	InvoiceID      string  `json:"invoice_id"`
	InvoiceNumber  string  `json:"invoice_number"`
	AccountID      string  `json:"account_id"`
	Amount         string  `json:"amount"`
	AmountMinor    int64   `json:"amount_minor"`
	NetAmount      string  `json:"net_amount"`
	NetAmountMinor int64   `json:"net_amount_minor"`
	TaxAmount      string  `json:"tax_amount"`
	TaxAmountMinor int64   `json:"tax_amount_minor"`
	Currency       string  `json:"currency"`
	Reason         string  `json:"reason"`
	RefundID       *string `json:"refund_id"`
	Reverses       *string `json:"reverses"`
	ReversedBy     *string `json:"reversed_by"`
	IssuedBy       *string `json:"issued_by"`
	CreatedAt      string  `json:"created_at"`
}

func newCreditNoteResponse(ctx context.Context, n *CreditNote, invoice string, reversedBy uuid.UUID) CreditNoteResponse {
	amount := func(minor int64) string { return money.New(minor, n.Currency).String() }
	answer := CreditNoteResponse{ID: n.ID.String(), Number: n.Number, InvoiceID: n.InvoiceID.String(), InvoiceNumber: invoice, AccountID: n.AccountID.String(),
		Amount: amount(n.AmountMinor), AmountMinor: n.AmountMinor, NetAmount: amount(n.NetMinor), NetAmountMinor: n.NetMinor, TaxAmount: amount(n.TaxMinor), TaxAmountMinor: n.TaxMinor,
		Currency: string(n.Currency), Reason: n.Reason, RefundID: optionalID(n.RefundID), Reverses: optionalID(n.Reverses), ReversedBy: optionalID(reversedBy), CreatedAt: web.Time(n.CreatedAt)}
	if p, _ := auth.From(ctx); !p.IsMember() {
		answer.IssuedBy = optional(n.IssuedBy)
	}
	return answer
}

func optionalID(id uuid.UUID) *string {
	if id == uuid.Nil {
		return nil
	}
	return optional(id.String())
}
