package payments

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"countersign/billing/gateways"
	"countersign/billing/money"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
)

// RefundRequest is the body of POST payments/{id}/refund/. Without an amount it is all that is left.
type RefundRequest struct {
	Amount          web.Number `json:"amount"`
	AmountMinor     *int64     `json:"amount_minor"`
	AmountCents     *int64     `json:"amount_cents"`
	Quantity        *int64     `json:"quantity"`
	Currency        string     `json:"currency" validate:"omitempty,len=3"`
	Reason          string     `json:"reason" validate:"required,max=40"`
	Note            string     `json:"note" validate:"max=500"`
	PayoutReference string     `json:"payout_reference" validate:"max=120"`
	OverrideWindow  bool       `json:"override_window"`
	CreditNote      *bool      `json:"credit_note"` // true when absent; false: the sale stands, and the invoice's part is owed again
}

func (req RefundRequest) amount() stated {
	return stated{req.Amount, req.AmountMinor, req.AmountCents, req.Quantity}
}

func (req RefundRequest) input(payment uuid.UUID, once *idempotency.Once) (RefundInput, error) {
	in := RefundInput{PaymentID: payment, Amount: req.amount().read(), Reason: RefundReason(req.Reason), Note: strings.TrimSpace(req.Note),
		PayoutReference: strings.TrimSpace(req.PayoutReference), OverrideWindow: req.OverrideWindow,
		OwedAgain: req.CreditNote != nil && !*req.CreditNote, Once: once}
	var fields errs.Fields
	req.amount().check(&fields)
	if !slices.Contains(RefundReasons(), in.Reason) {
		words := make([]string, len(RefundReasons()))
		for i, r := range RefundReasons() {
			words[i] = string(r)
		}
		fields.Add("reason", ErrUnknownRefundReason.With("allowed", strings.Join(words, ", ")))
	}
	if req.Currency != "" {
		var err error
		if in.Currency, err = money.ParseCurrency(req.Currency); err != nil {
			fields.Add("currency", errs.As(err))
		}
	}
	return in, fields.Err()
}

// ApproveRefundRequest is the body of POST refunds/{id}/approve/.
type ApproveRefundRequest struct {
	Digest string `json:"digest" validate:"max=100"`
	Note   string `json:"note" validate:"max=1000"`
}

// RejectRefundRequest is the body of POST refunds/{id}/reject/.
type RejectRefundRequest struct {
	Digest string `json:"digest" validate:"max=100"`
	Reason string `json:"reason" validate:"required,max=1000"`
}

// CompleteRefundRequest is the body of POST refunds/{id}/complete/.
type CompleteRefundRequest struct {
	PayoutReference string `json:"payout_reference" validate:"max=120"`
}

// ReverseRefundRequest is the body of POST refunds/{id}/reverse/.
type ReverseRefundRequest struct {
	Reason string `json:"reason" validate:"required,max=500"`
}

// RefundResponse is a refund, with what the second person looks at. The digest binds his decision; there is one while it
// waits for him.
type RefundResponse struct {
	ID                  string              `json:"id"`
	Status              RefundStatus        `json:"status"`
	PaymentID           string              `json:"payment_id"`
	InvoiceID           *string             `json:"invoice_id"`
	InvoiceNumber       *string             `json:"invoice_number"`
	AccountID           *string             `json:"account_id"`
	Holder              *string             `json:"holder"`
	Amount              string              `json:"amount"`
	AmountMinor         int64               `json:"amount_minor"`
	Currency            string              `json:"currency"`
	Mode                gateways.RefundMode `json:"mode"`
	Reason              RefundReason        `json:"reason"`
	Note                string              `json:"note"`
	PayoutReference     *string             `json:"payout_reference"`
	ProviderReference   *string             `json:"provider_reference"`
	OverridesWindow     bool                `json:"overrides_window"`
	FailureCode         *string             `json:"failure_code"`
	FailureReason       *string             `json:"failure_reason"`
	InvoiceAmount       *string             `json:"from_invoice_amount"` // what the invoice is paid less, by the credit note
	InvoiceAmountMinor  *int64              `json:"from_invoice_amount_minor"`
	CreditAmount        *string             `json:"from_credit_amount"`
	CreditAmountMinor   *int64              `json:"from_credit_amount_minor"`
	RevenueAmount       *string             `json:"from_revenue_amount"`
	RevenueAmountMinor  *int64              `json:"from_revenue_amount_minor"`
	CreditNote          bool                `json:"credit_note"` // false: what went back is owed again
	CreditNoteID        *string             `json:"credit_note_id"`
	PaymentStatus       string              `json:"payment_status"`
	PaymentAmount       string              `json:"payment_amount"` // as received
	PaymentAmountMinor  int64               `json:"payment_amount_minor"`
	RefundedAmount      string              `json:"refunded_amount"` // of the payment, all refunds together
	RefundedAmountMinor int64               `json:"refunded_amount_minor"`
	RefundableAmount    string              `json:"refundable_amount"` // what neither went back nor is held by refunds under way
	RefundableMinor     int64               `json:"refundable_amount_minor"`
	HeldAmount          string              `json:"held_amount"` // by other refunds that are under way
	HeldAmountMinor     int64               `json:"held_amount_minor"`
	RequestedBy         *string             `json:"requested_by"` // null: a program
	Requester           string              `json:"requester"`
	Decisions           []ApprovalResponse  `json:"decisions"`
	Digest              *string             `json:"digest"`
	CreatedAt           string              `json:"created_at"`
	ApprovedAt          *string             `json:"approved_at"`
	SucceededAt         *string             `json:"succeeded_at"`
	FailedAt            *string             `json:"failed_at"`
	CancelledAt         *string             `json:"cancelled_at"`
	ReversedAt          *string             `json:"reversed_at"`
	Reverser            *string             `json:"reverser"`
	ReversalReason      *string             `json:"reversal_reason"`
	MovedAmount         *string             `json:"to_credit_amount"` // of a reversed one, what the invoice owed no longer, so that it is credit
	MovedAmountMinor    *int64              `json:"to_credit_amount_minor"`

	Reversible bool `json:"-"` // it can be taken back; only LookAtRefund says so
}

func newRefundResponse(f *refundFacts) (RefundResponse, error) {
	r, p := f.Refund, f.Payment
	amount := func(minor int64) string { return money.New(minor, r.Currency).String() }
	rest := p.Refundable()
	if rest.Minor -= f.Held; rest.IsPositive() && (r.Status == RefundPendingApproval || r.Status == RefundPending) {
		rest.Minor -= r.AmountMinor
	}
	rest.Minor = max(0, rest.Minor)
	answer := RefundResponse{ID: r.ID.String(), Status: r.Status, PaymentID: r.PaymentID.String(), InvoiceID: optionalID(r.InvoiceID), AccountID: optionalID(r.AccountID),
		Amount: amount(r.AmountMinor), AmountMinor: r.AmountMinor, Currency: string(r.Currency), Mode: r.Mode, Reason: r.Reason, Note: r.Note,
		PayoutReference: optional(r.PayoutReference), ProviderReference: optional(r.ProviderReference), OverridesWindow: r.OverridesWindow,
		FailureCode: optional(r.FailureCode), FailureReason: optional(r.FailureReason), InvoiceAmount: decimalOf(r.InvoiceMinor, r.Currency), InvoiceAmountMinor: r.InvoiceMinor,
		CreditAmount: decimalOf(r.CreditMinor, r.Currency), CreditAmountMinor: r.CreditMinor, RevenueAmount: decimalOf(r.RevenueMinor, r.Currency), RevenueAmountMinor: r.RevenueMinor,
		CreditNote: !r.OwedAgain, CreditNoteID: optionalID(r.CreditNoteID), PaymentStatus: string(p.Status), PaymentAmount: p.Received().String(), PaymentAmountMinor: p.Received().Minor,
		RefundedAmount: amount(p.RefundedMinor), RefundedAmountMinor: p.RefundedMinor, RefundableAmount: rest.String(), RefundableMinor: rest.Minor,
		HeldAmount: amount(f.Held), HeldAmountMinor: f.Held, RequestedBy: optionalID(r.RequestedBy), Requester: r.RequestedLabel, Decisions: []ApprovalResponse{}, CreatedAt: web.Time(r.CreatedAt),
		ApprovedAt: web.OptionalTime(r.ApprovedAt), SucceededAt: web.OptionalTime(r.SucceededAt), FailedAt: web.OptionalTime(r.FailedAt), CancelledAt: web.OptionalTime(r.CancelledAt),
		ReversedAt: web.OptionalTime(r.ReversedAt), Reverser: optional(r.ReversedLabel), ReversalReason: optional(r.ReversalReason), MovedAmount: decimalOf(r.MovedMinor, r.Currency),
		MovedAmountMinor: r.MovedMinor}
	if f.Account != nil {
		answer.Holder = optional(f.Account.Holder)
	}
	if f.Invoice != nil {
		answer.InvoiceNumber = optional(f.Invoice.Number)
	}
	for _, d := range f.Decisions {
		answer.Decisions = append(answer.Decisions, newApproval(d, r.Currency))
	}
	if r.Status == RefundPendingApproval {
		digest, err := f.digest()
		if err != nil {
			return RefundResponse{}, err
		}
		answer.Digest = optional(digest.String())
	}
	return answer, nil
}

func optionalID(id uuid.UUID) *string {
	if id == uuid.Nil {
		return nil
	}
	return optional(id.String())
}
