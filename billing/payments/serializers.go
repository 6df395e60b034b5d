package payments

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"countersign/billing/decisions"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/paymentmethods"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/outbox"
	"countersign/internal/web"
)

// SubmitManualRequest is the body of POST payments/manual/ (seed 003). transaction_reference and reference are the
// same field under two names; amount defaults to the invoice's open balance.
type SubmitManualRequest struct {
	InvoiceID            string       `json:"invoice_id" validate:"required,max=100"`
	PaymentMethod        string       `json:"payment_method" validate:"required,max=40"`
	TransactionReference string       `json:"transaction_reference" validate:"max=120"`
	Reference            string       `json:"reference" validate:"max=120"`
	Notes                string       `json:"notes" validate:"max=1000"`
	Amount               web.Number   `json:"amount"`
	AmountMinor          *int64       `json:"amount_minor"`
	Currency             string       `json:"currency" validate:"omitempty,len=3"`
	PaidAt               string       `json:"paid_at" validate:"max=40"`
	EvidenceIDs          []string     `json:"evidence_ids" validate:"max=10,dive,uuid"`
	RetryOf              string       `json:"retry_of" validate:"omitempty,uuid"`
	Force                bool         `json:"force"` // even if an equal payment was made a moment ago
	Details              web.FreeForm `json:"details"`
}

func (req SubmitManualRequest) input(once *idempotency.Once) (SubmitManualInput, error) {
	in := SubmitManualInput{Invoice: req.InvoiceID, Notes: req.Notes, Force: req.Force, Once: once, Amount: amountOf("amount", req.Amount, req.AmountMinor)}
	var fields errs.Fields
	method, err := paymentmethods.ParseMethod(req.PaymentMethod)
	if err != nil || !method.IsManual() {
		fields.Add("payment_method", ErrNotManual)
	}
	in.Method = method
	in.Reference = req.TransactionReference
	switch {
	case req.TransactionReference == "" && req.Reference == "":
		fields.Add("transaction_reference", ErrReferenceRequired)
	case req.TransactionReference == "":
		in.Reference = req.Reference
	case req.Reference != "" && req.Reference != req.TransactionReference:
		fields.Add("reference", ErrReferencesDiffer)
	}
	if req.Currency != "" {
		if in.Currency, err = money.ParseCurrency(req.Currency); err != nil {
			fields.Add("currency", errs.As(err))
		}
	}
	if req.PaidAt != "" {
		if in.PaidAt, err = web.ParseInstant(req.PaidAt); err != nil {
			fields.Add("paid_at", errs.As(err))
		}
	}
	for _, text := range req.EvidenceIDs {
		id, err := web.ParseID(text)
		if err != nil {
			fields.Add("evidence_ids", errs.As(err))
			continue
		}
		in.Evidence = append(in.Evidence, id)
	}
	in.RetryOf = retried(req.RetryOf, &fields)
	in.Details = details(req.Details, &fields)
	return in, fields.Err()
}

// retried reads the payment that another one follows; zero: none.
func retried(text string, fields *errs.Fields) uuid.UUID {
	if text == "" {
		return uuid.Nil
	}
	id, err := web.ParseID(text)
	if err != nil {
		fields.Add("retry_of", errs.As(err))
	}
	return id
}

func details(form web.FreeForm, fields *errs.Fields) map[string]string {
	out := map[string]string{}
	for key, value := range form {
		text, ok := value.(string)
		switch {
		case !slices.Contains(detailKeys(), key):
			fields.Add("details."+key, ErrUnknownDetail)
		case !ok || len(text) > 200:
			fields.Add("details."+key, web.ErrWrongType.With("expected", "a text of at most 200 characters"))
		default:
			out[key] = strings.TrimSpace(text)
		}
	}
	return out
}

// ApproveRequest is the body of POST payments/{id}/approve/.
type ApproveRequest struct {
	Digest              string     `json:"digest" validate:"max=100"`
	Note                string     `json:"note" validate:"max=1000"`
	ReceivedAmount      web.Number `json:"received_amount"`
	ReceivedAmountMinor *int64     `json:"received_amount_minor"`
}

// RejectRequest is the body of POST payments/{id}/reject/.
type RejectRequest struct {
	Digest string `json:"digest" validate:"max=100"`
	Reason string `json:"reason" validate:"max=1000"`
}

// EditRequest is the body of PATCH payments/{id}/.
type EditRequest struct {
	Notes *string `json:"notes" validate:"required,max=1000"`
}

// BulkApproveRequest is the body of POST payments/bulk_approve/.
type BulkApproveRequest struct {
	Items []BulkApproveItem `json:"items" validate:"required,min=1,max=100,dive"`
	Note  string            `json:"note" validate:"max=1000"`
}

// BulkApproveItem names a payment and the digest of what was seen of it.
type BulkApproveItem struct {
	ID     string `json:"id" validate:"required,uuid"`
	Digest string `json:"digest" validate:"required,max=100"`
}

// Response is a payment as its account sees it.
type Response struct {
	ID                   string                 `json:"id"`
	PaymentID            string                 `json:"payment_id"`
	ExternalID           *string                `json:"external_id"`
	AccountID            *string                `json:"account_id"`
	InvoiceID            *string                `json:"invoice_id"`
	InvoiceNumber        *string                `json:"invoice_number"`
	Amount               string                 `json:"amount"`
	AmountMinor          int64                  `json:"amount_minor"`
	ReceivedAmount       *string                `json:"received_amount"`
	ReceivedAmountMinor  *int64                 `json:"received_amount_minor"`
	AppliedAmount        *string                `json:"applied_amount"`
	AppliedAmountMinor   *int64                 `json:"applied_amount_minor"`
	CreditAmount         *string                `json:"credit_amount"`
	CreditAmountMinor    *int64                 `json:"credit_amount_minor"`
	RevenueAmount        *string                `json:"revenue_amount"`
	RevenueAmountMinor   *int64                 `json:"revenue_amount_minor"`
	RefundedAmount       string                 `json:"refunded_amount"`
	RefundedAmountMinor  int64                  `json:"refunded_amount_minor"`
	RefundableAmount     string                 `json:"refundable_amount"` // what neither went back nor is held by refunds under way
	RefundableMinor      int64                  `json:"refundable_amount_minor"`
	Currency             string                 `json:"currency"`
	PaymentMethod        string                 `json:"payment_method"`
	Gateway              string                 `json:"gateway"`
	Status               string                 `json:"status"`
	SettlementStatus     string                 `json:"settlement_status"`
	ReconciliationStatus string                 `json:"reconciliation_status"`
	TransactionReference string                 `json:"transaction_reference"`
	Details              paymentmethods.Details `json:"details"`
	Notes                string                 `json:"notes"`
	FailureCode          *string                `json:"failure_code"`
	FailureReason        *string                `json:"failure_reason"`
	RetryOf              *string                `json:"retry_of"`
	ReceiptNumber        *string                `json:"receipt_number"`
	PaidAt               *string                `json:"paid_at"`
	CreatedAt            string                 `json:"created_at"`
	UpdatedAt            string                 `json:"updated_at"`
	SubmittedAt          string                 `json:"submitted_at"`
	ApprovedAt           *string                `json:"approved_at"`
	ProcessedAt          *string                `json:"processed_at"`
	FailedAt             *string                `json:"failed_at"`
	CancelledAt          *string                `json:"cancelled_at"`
	ExpiredAt            *string                `json:"expired_at"`
	RefundedAt           *string                `json:"refunded_at"`
}

// newResponse shows p; inv is its invoice, nil without one.
func newResponse(p *Payment, inv *invoices.Invoice) Response {
	r := Response{ID: p.ID.String(), PaymentID: p.ID.String(), ExternalID: optional(p.ExternalID),
		Amount: p.Amount().String(), AmountMinor: p.AmountMinor,
		ReceivedAmountMinor: p.ReceivedMinor, AppliedAmountMinor: p.AppliedMinor, CreditAmountMinor: p.ExcessMinor,
		ReceivedAmount: decimalOf(p.ReceivedMinor, p.Currency), AppliedAmount: decimalOf(p.AppliedMinor, p.Currency), CreditAmount: decimalOf(p.ExcessMinor, p.Currency),
		RevenueAmountMinor: p.RevenueMinor, RevenueAmount: decimalOf(p.RevenueMinor, p.Currency), ReceiptNumber: optional(p.ReceiptNumber),
		RefundedAmount: money.New(p.RefundedMinor, p.Currency).String(), RefundedAmountMinor: p.RefundedMinor,
		RefundableAmount: money.New(p.Refundable().Minor-p.HeldMinor, p.Currency).String(), RefundableMinor: p.Refundable().Minor - p.HeldMinor, Currency: string(p.Currency),
		PaymentMethod: string(p.Method), Gateway: p.Gateway, Status: string(p.Status), SettlementStatus: p.SettlementStatus, ReconciliationStatus: p.ReconciliationStatus,
		TransactionReference: p.Reference, Details: p.Details, Notes: p.Notes, FailureCode: optional(p.FailureCode), FailureReason: optional(p.FailureReason),
		PaidAt: web.OptionalTime(p.PaidAt), CreatedAt: web.Time(p.CreatedAt), UpdatedAt: web.Time(p.UpdatedAt), SubmittedAt: web.Time(p.CreatedAt),
		ApprovedAt: web.OptionalTime(p.ApprovedAt), ProcessedAt: web.OptionalTime(p.ProcessedAt), FailedAt: web.OptionalTime(p.FailedAt),
		CancelledAt: web.OptionalTime(p.CancelledAt), ExpiredAt: web.OptionalTime(p.ExpiredAt), RefundedAt: web.OptionalTime(p.RefundedAt)}
	if p.AccountID != uuid.Nil {
		r.AccountID = optional(p.AccountID.String())
	}
	if p.InvoiceID != uuid.Nil {
		r.InvoiceID = optional(p.InvoiceID.String())
	}
	if p.RetryOf != uuid.Nil {
		r.RetryOf = optional(p.RetryOf.String())
	}
	if inv != nil {
		r.InvoiceNumber = optional(inv.Number)
	}
	return r
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func decimalOf(minor *int64, currency money.Currency) *string {
	if minor == nil {
		return nil
	}
	return optional(money.New(*minor, currency).String())
}

// Detail is a payment as staff see it: with what they need to decide.
type Detail struct {
	Response
	SubmittedBy       *string            `json:"submitted_by"`
	SetAside          *string            `json:"set_aside"`
	Digest            string             `json:"digest"`
	Signals           []Signal           `json:"signals"`
	Evidence          []EvidenceResponse `json:"evidence"`
	ApprovalsRequired int                `json:"approvals_required"`
	EvidenceRequired  bool               `json:"evidence_required"`
	InvoiceCredits    int64              `json:"invoice_credits"` // service credits that the invoice grants once it is paid
	Approvals         []ApprovalResponse `json:"approvals"`
	Anomalies         []AnomalyResponse  `json:"anomalies"`
	NextAction        *NextAction        `json:"next_action"` // what the payer must do; null: nothing
}

// OwnResponse is one payment as its account sees it.
type OwnResponse struct {
	Response
	NextAction *NextAction `json:"next_action"` // what the payer must do; null: nothing
}

// EvidenceResponse is one file that proves the claim.
type EvidenceResponse struct {
	ID          string `json:"id"`
	Filename    string `json:"filename"`
	ContentType string `json:"content_type"`
	SizeBytes   int64  `json:"size_bytes"`
	SHA256      string `json:"sha256"`
	URL         string `json:"url"`
}

// ApprovalResponse is one person's verdict.
type ApprovalResponse struct {
	Verdict             string  `json:"verdict"`
	UserID              string  `json:"user_id"`
	User                string  `json:"user"`
	Note                string  `json:"note"`
	ReceivedAmount      *string `json:"received_amount"`
	ReceivedAmountMinor *int64  `json:"received_amount_minor"`
	DecidedAt           *string `json:"decided_at"`
}

// newDetail shows the facts. After a decision the digest is that of the facts as they are now.
func newDetail(f *Facts) (Detail, error) {
	digest, err := f.digest()
	if err != nil {
		return Detail{}, err
	}
	p := f.Payment
	d := Detail{Response: newResponse(p, f.Invoice), SetAside: optional(p.SetAside), Digest: digest.String(), Signals: f.Signals,
		Evidence: []EvidenceResponse{}, ApprovalsRequired: f.Requirement.Approvals, EvidenceRequired: f.Requirement.RequiresEvidence, Approvals: []ApprovalResponse{}, Anomalies: newAnomalies(f.Anomalies)}
	if f.Invoice != nil {
		d.InvoiceCredits = f.Invoice.Credits
	}
	if f.order != nil {
		d.NextAction = nextAction(p, f.order.Redirect)
	}
	if d.Signals == nil {
		d.Signals = []Signal{}
	}
	if p.SubmittedBy != uuid.Nil {
		d.SubmittedBy = optional(p.SubmittedBy.String())
	}
	for _, e := range f.Files {
		d.Evidence = append(d.Evidence, EvidenceResponse{ID: e.ID.String(), Filename: e.Filename, ContentType: e.ContentType, SizeBytes: e.SizeBytes,
			SHA256: fmt.Sprintf("%x", e.SHA256), URL: "/api/v1/billing/evidence/" + e.ID.String() + "/"})
	}
	for _, v := range f.Decisions {
		d.Approvals = append(d.Approvals, newApproval(v, p.Currency))
	}
	return d, nil
}

func newApproval(v decisions.Decision, currency money.Currency) ApprovalResponse {
	return ApprovalResponse{Verdict: string(v.Verdict), UserID: v.UserID.String(), User: v.UserLabel, Note: v.Note,
		ReceivedAmount: decimalOf(v.ReceivedMinor, currency), ReceivedAmountMinor: v.ReceivedMinor, DecidedAt: web.OptionalTime(v.CreatedAt)}
}

// StatusResponse is where a payment stands, in all vocabularies.
type StatusResponse struct {
	ID               string `json:"id"`
	Status           string `json:"status"`
	Lifecycle        string `json:"lifecycle"`
	Transaction      string `json:"transaction_status"`
	SettlementStatus string `json:"settlement_status"`
	UpdatedAt        string `json:"updated_at"`
}

// EventsResponse is what happened to a payment, the oldest first.
type EventsResponse struct {
	Events []EventResponse `json:"events"`
	Count  int             `json:"count"`
}

// EventResponse is one event. Actor and reason are null for members.
type EventResponse struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	CreatedAt string          `json:"created_at"`
	Actor     *string         `json:"actor"`
	Reason    *string         `json:"reason"` // that the actor gave, if he did
	Payload   json.RawMessage `json:"payload"`
}

func newEvents(told []outbox.Told, reasons map[string]string, actors bool) EventsResponse {
	answer := EventsResponse{Events: []EventResponse{}}
	for _, e := range told {
		r := EventResponse{ID: e.ID.String(), Type: e.Type, CreatedAt: web.Time(e.CreatedAt), Payload: e.Payload}
		if actors {
			r.Actor, r.Reason = optional(e.Actor), optional(reasons[e.RequestID])
		}
		answer.Events = append(answer.Events, r)
		if e.Also != "" { // each by its name and with an id of its own (S0-73)
			r.ID, r.Type = uuid.NewSHA1(e.ID, []byte(e.Also)).String(), e.Also
			answer.Events = append(answer.Events, r)
		}
	}
	answer.Count = len(answer.Events)
	return answer
}

// CountResponse is how many payments a filter matches.
type CountResponse struct {
	Count int64 `json:"count"`
}

// TransactionResponse is a payment in the words and fields of seed 000 (S0-17 to S0-25).
type TransactionResponse struct {
	ID        string                 `json:"id"`
	TenantID  string                 `json:"tenant_id"`
	Status    string                 `json:"status"`
	Quantity  int64                  `json:"quantity"` // minor units: what came in, or what is claimed as long as nothing has
	Currency  string                 `json:"currency"`
	Gateway   string                 `json:"gateway"`
	Details   paymentmethods.Details `json:"details"`
	CreatedAt string                 `json:"created_at"`
	UpdatedAt string                 `json:"updated_at"`
}

func newTransaction(p *Payment) TransactionResponse {
	return TransactionResponse{ID: p.ID.String(), TenantID: p.TenantID.String(), Status: transactionWord(p.Status), Quantity: p.Received().Minor,
		Currency: string(p.Currency), Gateway: p.Gateway, Details: p.Details, CreatedAt: web.Time(p.CreatedAt), UpdatedAt: web.Time(p.UpdatedAt)}
}

// BulkOutcomeResponse is what became of one item of a bulk approval.
type BulkOutcomeResponse struct {
	ID      string              `json:"id"`
	Success bool                `json:"success"`
	Status  string              `json:"status,omitempty"`
	Code    string              `json:"code,omitempty"`
	Error   string              `json:"error,omitempty"`
	Errors  map[string][]string `json:"errors,omitempty"`
}

// BulkApproveResponse lists the outcomes in the order of the request.
type BulkApproveResponse struct {
	Approved int                   `json:"approved"`
	Refused  int                   `json:"refused"`
	Results  []BulkOutcomeResponse `json:"results"`
}
