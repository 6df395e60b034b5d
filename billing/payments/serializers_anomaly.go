package payments

import (
	"github.com/google/uuid"

	"countersign/billing/paymentmethods"
	"countersign/internal/web"
)

// AnomalyResponse is something that was said of a payment and not believed.
type AnomalyResponse struct {
	ID         string                 `json:"id"`
	PaymentID  string                 `json:"payment_id"`
	Kind       string                 `json:"kind"`
	Source     string                 `json:"source"`
	Details    paymentmethods.Details `json:"details"`
	CreatedAt  string                 `json:"created_at"`
	ResolvedAt *string                `json:"resolved_at"` // null: it waits for a person
	ResolvedBy *string                `json:"resolved_by"`
	Note       string                 `json:"note"` // of who has dealt with it
}

func newAnomaly(a Anomaly) AnomalyResponse {
	r := AnomalyResponse{ID: a.ID.String(), PaymentID: a.PaymentID.String(), Kind: a.Kind, Source: a.Source, Details: a.Details, CreatedAt: web.Time(a.CreatedAt),
		ResolvedAt: web.OptionalTime(a.ResolvedAt), ResolvedBy: optionalID(a.ResolvedBy), Note: a.Note}
	if r.Details == nil {
		r.Details = paymentmethods.Details{}
	}
	return r
}

func newAnomalies(list []Anomaly) []AnomalyResponse {
	out := make([]AnomalyResponse, len(list))
	for i, a := range list {
		out[i] = newAnomaly(a)
	}
	return out
}

// AnomalyCaseResponse is an anomaly with the payment that it is about.
type AnomalyCaseResponse struct {
	AnomalyResponse
	Resolver           *string `json:"resolver"` // his name
	PaymentStatus      string  `json:"payment_status"`
	PaymentAmount      string  `json:"payment_amount"`
	PaymentAmountMinor int64   `json:"payment_amount_minor"`
	Currency           string  `json:"currency"`
	Gateway            string  `json:"gateway"`
	AccountID          *string `json:"account_id"`
	Holder             *string `json:"holder"`
	InvoiceID          *string `json:"invoice_id"`
}

func newAnomalyCase(c anomalyCase) AnomalyCaseResponse {
	p := c.payment
	r := AnomalyCaseResponse{AnomalyResponse: newAnomaly(c.Anomaly), PaymentStatus: string(p.Status), PaymentAmount: p.Amount().String(), PaymentAmountMinor: p.AmountMinor,
		Currency: string(p.Currency), Gateway: p.Gateway, AccountID: optionalID(p.AccountID), InvoiceID: optionalID(p.InvoiceID)}
	if c.account != nil {
		r.Holder = optional(c.account.Holder)
	}
	if c.resolver != nil {
		r.Resolver = optional(c.resolver.Name)
	}
	return r
}

// ResolveAnomalyRequest is the body of POST payment-anomalies/{id}/resolve/.
type ResolveAnomalyRequest struct {
	Note string `json:"note" validate:"required,max=1000"`
}

// open says whether the anomaly waits for a person.
func (r AnomalyCaseResponse) open() bool { return r.ResolvedAt == nil }

func (r AnomalyCaseResponse) key() uuid.UUID { return uuid.MustParse(r.ID) }
