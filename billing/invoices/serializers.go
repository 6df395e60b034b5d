package invoices

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"countersign/billing/money"
	"countersign/internal/idempotency"
	"countersign/internal/web"
)

// LineRequest is a line of an invoice's body. total_price and tax_amount are compared with ours and never used.
type LineRequest struct {
	Description         string     `json:"description" validate:"required,max=500"`
	Quantity            web.Number `json:"quantity" validate:"required"`
	UnitPrice           web.Number `json:"unit_price" validate:"required"`
	DiscountAmount      web.Number `json:"discount_amount"`
	DiscountAmountMinor *int64     `json:"discount_amount_minor"`
	TaxRate             web.Number `json:"tax_rate"`
	TaxAmount           web.Number `json:"tax_amount"`
	TotalPrice          web.Number `json:"total_price"`
	Credits             int64      `json:"credits" validate:"gte=0,lte=1000000000000"`
	ServiceType         string     `json:"service_type" validate:"max=100"`
	ServiceID           string     `json:"service_id" validate:"max=100"`
	BillingCode         string     `json:"billing_code" validate:"max=100"`
}

func (req LineRequest) input() LineInput {
	return LineInput{Description: req.Description, Quantity: string(req.Quantity), UnitPrice: string(req.UnitPrice), Discount: string(req.DiscountAmount),
		DiscountMinor: req.DiscountAmountMinor, TaxRate: string(req.TaxRate), Credits: req.Credits, ServiceType: req.ServiceType, ServiceID: req.ServiceID,
		BillingCode: req.BillingCode, TotalPrice: string(req.TotalPrice), TaxAmount: string(req.TaxAmount)}
}

func lineInputs(lines []LineRequest) []LineInput {
	in := make([]LineInput, len(lines))
	for i, line := range lines {
		in[i] = line.input()
	}
	return in
}

// CreateRequest is the body of POST invoices/. The totals are the sender's own: they are compared with ours, and
// differences come back as warnings.
type CreateRequest struct {
	AccountID      string        `json:"account_id" validate:"required,max=100"`
	PatientID      string        `json:"patient_id" validate:"max=100"`
	ExternalID     string        `json:"external_id" validate:"max=100"`
	InvoiceNumber  string        `json:"invoice_number" validate:"max=60"`
	Currency       string        `json:"currency" validate:"omitempty,len=3"`
	InvoiceDate    string        `json:"invoice_date" validate:"omitempty,datetime=2006-01-02"`
	DueDate        string        `json:"due_date" validate:"omitempty,datetime=2006-01-02"`
	Notes          string        `json:"notes" validate:"max=5000"`
	Status         string        `json:"status"`
	LineItems      []LineRequest `json:"line_items" validate:"required,min=1,max=500,dive"`
	SubtotalAmount web.Number    `json:"subtotal_amount"`
	TaxAmount      web.Number    `json:"tax_amount"`
	TotalAmount    web.Number    `json:"total_amount"`
	PaidAmount     web.Number    `json:"paid_amount"`
	BalanceAmount  web.Number    `json:"balance_amount"`
}

func (req CreateRequest) input(strict bool, once *idempotency.Once) (CreateInput, error) {
	if req.Status != "" && !strings.EqualFold(req.Status, string(StatusDraft)) {
		return CreateInput{}, ErrInitialStatus.At("status")
	}
	return CreateInput{Account: req.AccountID, PatientID: req.PatientID, ExternalID: req.ExternalID, Number: req.InvoiceNumber, Currency: req.Currency,
		InvoiceDate: day(req.InvoiceDate), DueDate: day(req.DueDate), Notes: req.Notes, Lines: lineInputs(req.LineItems), Strict: strict, Once: once,
		Claimed: Claimed{Subtotal: string(req.SubtotalAmount), Tax: string(req.TaxAmount), Total: string(req.TotalAmount), Paid: string(req.PaidAmount),
			Balance: string(req.BalanceAmount)}}, nil
}

// day reads a date that the validator has seen; zero when none is given.
func day(text string) time.Time {
	t, _ := time.Parse(time.DateOnly, text)
	return t
}

// UpdateRequest is the body of PATCH invoices/{id}/. What is absent stays; an empty text clears; lines are replaced as
// a whole.
type UpdateRequest struct {
	ExternalID     *string       `json:"external_id" validate:"omitempty,max=100"`
	InvoiceNumber  *string       `json:"invoice_number" validate:"omitempty,max=60"`
	Currency       string        `json:"currency" validate:"omitempty,len=3"`
	InvoiceDate    string        `json:"invoice_date" validate:"omitempty,datetime=2006-01-02"`
	DueDate        string        `json:"due_date" validate:"omitempty,datetime=2006-01-02"`
	Notes          *string       `json:"notes" validate:"omitempty,max=5000"`
	LineItems      []LineRequest `json:"line_items" validate:"omitempty,min=1,max=500,dive"`
	SubtotalAmount web.Number    `json:"subtotal_amount"`
	TaxAmount      web.Number    `json:"tax_amount"`
	TotalAmount    web.Number    `json:"total_amount"`
	PaidAmount     web.Number    `json:"paid_amount"`
	BalanceAmount  web.Number    `json:"balance_amount"`
}

func (req UpdateRequest) input(ref string, strict bool) UpdateInput {
	in := UpdateInput{Invoice: ref, ExternalID: req.ExternalID, Number: req.InvoiceNumber, Currency: req.Currency, InvoiceDate: day(req.InvoiceDate),
		DueDate: day(req.DueDate), Notes: req.Notes, Strict: strict,
		Claimed: Claimed{Subtotal: string(req.SubtotalAmount), Tax: string(req.TaxAmount), Total: string(req.TotalAmount), Paid: string(req.PaidAmount),
			Balance: string(req.BalanceAmount)}}
	if req.LineItems != nil {
		in.Lines = lineInputs(req.LineItems)
	}
	return in
}

// VoidRequest is the body of POST invoices/{id}/void/.
type VoidRequest struct {
	Reason string `json:"reason" validate:"required,max=500"`
}

// LineResponse is a line as it is shown. total_price is net, line_total is what it adds to the invoice's total.
type LineResponse struct {
	ID                  string `json:"id"`
	Line                int    `json:"line"`
	Description         string `json:"description"`
	Currency            string `json:"currency"` // of all amounts of the line
	Quantity            string `json:"quantity"`
	UnitPrice           string `json:"unit_price"`
	TotalPrice          string `json:"total_price"`
	TotalPriceMinor     int64  `json:"total_price_minor"`
	DiscountAmount      string `json:"discount_amount"`
	DiscountAmountMinor int64  `json:"discount_amount_minor"`
	TaxRate             string `json:"tax_rate"`
	TaxAmount           string `json:"tax_amount"`
	TaxAmountMinor      int64  `json:"tax_amount_minor"`
	LineTotal           string `json:"line_total"`
	LineTotalMinor      int64  `json:"line_total_minor"`
	Credits             int64  `json:"credits"`
	ServiceType         string `json:"service_type"`
	ServiceID           string `json:"service_id"`
	BillingCode         string `json:"billing_code"`
}

func newLineResponse(inv *Invoice, li *LineItem) LineResponse {
	return LineResponse{ID: li.ID.String(), Line: li.Line, Description: li.Description, Currency: string(inv.Currency), Quantity: li.Quantity.String(),
		UnitPrice: FormatUnitPrice(li.UnitPrice, inv.Currency), TotalPrice: inv.Amount(li.NetMinor).String(), TotalPriceMinor: li.NetMinor,
		DiscountAmount: inv.Amount(li.DiscountMinor).String(), DiscountAmountMinor: li.DiscountMinor, TaxRate: li.TaxRate.String(),
		TaxAmount: inv.Amount(li.TaxMinor).String(), TaxAmountMinor: li.TaxMinor, LineTotal: inv.Amount(li.TotalMinor).String(), LineTotalMinor: li.TotalMinor,
		Credits: li.Credits, ServiceType: li.ServiceType, ServiceID: li.ServiceID, BillingCode: li.BillingCode}
}

// FormatUnitPrice shows at least the digits of the currency, and more when the price has more: it may be a fraction of a
// minor unit, so it has no form in minor units.
func FormatUnitPrice(price decimal.Decimal, currency money.Currency) string {
	digits := currency.Exponent()
	if text := price.String(); !strings.Contains(text, ".") || len(text)-strings.Index(text, ".")-1 < digits {
		return price.StringFixed(int32(digits))
	}
	return price.String()
}

// Summary is an invoice as lists show it.
type Summary struct {
	ID                  string  `json:"id"`
	ExternalID          *string `json:"external_id"`
	InvoiceNumber       *string `json:"invoice_number"`
	Status              Status  `json:"status"`
	AccountID           string  `json:"account_id"`
	Currency            string  `json:"currency"`
	InvoiceDate         string  `json:"invoice_date"`
	DueDate             string  `json:"due_date"`
	IsOverdue           bool    `json:"is_overdue"`
	SubtotalAmount      string  `json:"subtotal_amount"`
	SubtotalAmountMinor int64   `json:"subtotal_amount_minor"`
	DiscountAmount      string  `json:"discount_amount"`
	DiscountAmountMinor int64   `json:"discount_amount_minor"`
	TaxAmount           string  `json:"tax_amount"`
	TaxAmountMinor      int64   `json:"tax_amount_minor"`
	TotalAmount         string  `json:"total_amount"`
	TotalAmountMinor    int64   `json:"total_amount_minor"`
	PaidAmount          string  `json:"paid_amount"`
	PaidAmountMinor     int64   `json:"paid_amount_minor"`
	Reductions
	BalanceAmount      string  `json:"balance_amount"`
	BalanceAmountMinor int64   `json:"balance_amount_minor"`
	Credits            int64   `json:"credits"`
	Notes              string  `json:"notes"`
	VoidReason         string  `json:"void_reason"`
	CreatedAt          string  `json:"created_at"`
	UpdatedAt          string  `json:"updated_at"`
	FinalizedAt        *string `json:"finalized_at"`
	PaidAt             *string `json:"paid_at"`
	VoidedAt           *string `json:"voided_at"`
}

// clock is what being overdue depends on besides the invoice.
type clock struct {
	now time.Time
	loc *time.Location
}

func newSummary(inv *Invoice, c clock) Summary {
	return Summary{ID: inv.ID.String(), ExternalID: optional(inv.ExternalID), InvoiceNumber: optional(inv.Number), Status: inv.Status, AccountID: inv.AccountID.String(),
		Currency: string(inv.Currency), InvoiceDate: inv.InvoiceDate.Format(time.DateOnly), DueDate: inv.DueDate.Format(time.DateOnly), IsOverdue: inv.IsOverdue(c.now, c.loc),
		SubtotalAmount: inv.Amount(inv.SubtotalMinor).String(), SubtotalAmountMinor: inv.SubtotalMinor,
		DiscountAmount: inv.Amount(inv.DiscountMinor).String(), DiscountAmountMinor: inv.DiscountMinor,
		TaxAmount: inv.Amount(inv.TaxMinor).String(), TaxAmountMinor: inv.TaxMinor,
		TotalAmount: inv.Amount(inv.TotalMinor).String(), TotalAmountMinor: inv.TotalMinor,
		PaidAmount: inv.Amount(inv.PaidMinor).String(), PaidAmountMinor: inv.PaidMinor, Reductions: newReductions(inv),
		BalanceAmount: inv.Amount(inv.BalanceMinor).String(), BalanceAmountMinor: inv.BalanceMinor,
		Credits: inv.Credits, Notes: inv.Notes, VoidReason: inv.VoidReason, CreatedAt: web.Time(inv.CreatedAt), UpdatedAt: web.Time(inv.UpdatedAt),
		FinalizedAt: web.OptionalTime(inv.FinalizedAt), PaidAt: web.OptionalTime(inv.PaidAt), VoidedAt: web.OptionalTime(inv.VoidedAt)}
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// Response is an invoice with everything that belongs to it. Payments are in the form of their own list; they are kept
// as JSON here, so that a replayed answer has the same digits.
type Response struct {
	Summary
	LineItems       []LineResponse       `json:"line_items"`
	Payments        []json.RawMessage    `json:"payments"`
	Adjustments     []AdjustmentResponse `json:"adjustments"`
	InsuranceClaims []json.RawMessage    `json:"insurance_claims"`
	Warnings        []Warning            `json:"warnings,omitempty"`
}

// BalanceResponse is what is left to pay.
type BalanceResponse struct {
	InvoiceID        string `json:"invoice_id"`
	Status           Status `json:"status"`
	Currency         string `json:"currency"`
	TotalAmount      string `json:"total_amount"`
	TotalAmountMinor int64  `json:"total_amount_minor"`
	PaidAmount       string `json:"paid_amount"`
	PaidAmountMinor  int64  `json:"paid_amount_minor"`
	Reductions
	BalanceAmount      string `json:"balance_amount"`
	BalanceAmountMinor int64  `json:"balance_amount_minor"`
}

func newBalanceResponse(inv *Invoice) BalanceResponse {
	return BalanceResponse{InvoiceID: inv.ID.String(), Status: inv.Status, Currency: string(inv.Currency),
		TotalAmount: inv.Amount(inv.TotalMinor).String(), TotalAmountMinor: inv.TotalMinor,
		PaidAmount: inv.Amount(inv.PaidMinor).String(), PaidAmountMinor: inv.PaidMinor,
		Reductions:    newReductions(inv),
		BalanceAmount: inv.Amount(inv.BalanceMinor).String(), BalanceAmountMinor: inv.BalanceMinor}
}
