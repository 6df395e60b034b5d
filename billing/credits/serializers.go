package credits

import (
	"github.com/google/uuid"

	"countersign/billing/ledger"
	"countersign/internal/web"
)

// BalanceResponse is what a customer has. Credits are whole units, never an amount of money.
type BalanceResponse struct {
	Credits int64           `json:"credits"`
	Money   []MoneyResponse `json:"money"`
}

// MoneyResponse is an amount in one currency.
type MoneyResponse struct {
	Currency    string `json:"currency"`
	Amount      string `json:"amount"`
	AmountMinor int64  `json:"amount_minor"`
}

func newBalanceResponse(b Balance) BalanceResponse {
	return BalanceResponse{Credits: b.Credits, Money: newMoneyResponses(b.Money)}
}

// AccountBalanceResponse is where an account stands: what it owes, what it is owed, and its service credits.
type AccountBalanceResponse struct {
	AccountID string          `json:"account_id"`
	AsOf      *string         `json:"as_of"` // null: now
	Due       []MoneyResponse `json:"due"`
	Credit    []MoneyResponse `json:"credit"`
	Credits   int64           `json:"credits"`
}

func newMoneyResponses(list []Owed) []MoneyResponse {
	out := make([]MoneyResponse, len(list))
	for i, m := range list {
		out[i] = MoneyResponse{Currency: m.Currency, Amount: ledger.Format(m.AmountMinor, m.Currency), AmountMinor: m.AmountMinor}
	}
	return out
}

// TransactionResponse is one change, positive when the customer gained. For service credits the currency is credit and
// the amount has no decimals.
type TransactionResponse struct {
	ID          string  `json:"id"`
	Type        string  `json:"type" validate:"oneof=purchase subscription refund deduction adjustment"`
	Amount      string  `json:"amount"`
	AmountMinor int64   `json:"amount_minor"`
	Currency    string  `json:"currency"`
	Description string  `json:"description"`
	ReferenceID *string `json:"reference_id"` // the payment, else the invoice
	CreatedAt   string  `json:"created_at"`
}

func newTransactionResponse(e ledger.PostedEntry) TransactionResponse {
	r := TransactionResponse{ID: e.ID(), AmountMinor: -e.AmountMinor, Amount: ledger.Format(-e.AmountMinor, e.Currency), Currency: e.Currency,
		CreatedAt: web.Time(e.CreatedAt)}
	var kind string
	if t := e.Transaction; t != nil {
		kind = t.Kind
		r.ReferenceID = reference(t.PaymentID, t.InvoiceID)
	}
	r.Type, r.Description = string(typeOf(kind)), describe(kind)
	return r
}

// reference gives the first id that is set.
func reference(ids ...uuid.UUID) *string {
	for _, id := range ids {
		if id != uuid.Nil {
			text := id.String()
			return &text
		}
	}
	return nil
}
