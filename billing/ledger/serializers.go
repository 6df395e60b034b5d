package ledger

import (
	"time"

	"github.com/google/uuid"

	"countersign/internal/web"
)

// AccountResponse is a row of the chart with its balance. A positive balance is a debit.
type AccountResponse struct {
	ID           string  `json:"id"`
	Code         string  `json:"code"`
	Owner        string  `json:"owner"` // empty: the tenant's own
	Currency     string  `json:"currency"`
	Class        string  `json:"class"`
	AccountID    *string `json:"account_id"` // the customer's account; null for accounts of the tenant
	Balance      string  `json:"balance"`
	BalanceMinor Sum     `json:"balance_minor"`
	CreatedAt    string  `json:"created_at"`
}

func newAccountResponse(a AccountBalance) AccountResponse {
	return AccountResponse{ID: a.ID.String(), Code: a.Code, Owner: a.Owner, Currency: a.Currency, Class: string(a.Class), AccountID: optionalID(a.CustomerID),
		Balance: a.BalanceMinor.Format(a.Currency), BalanceMinor: a.BalanceMinor, CreatedAt: web.Time(a.CreatedAt)}
}

func optionalID(id uuid.UUID) *string {
	if id == uuid.Nil {
		return nil
	}
	text := id.String()
	return &text
}

// BalanceResponse is the balance of a ledger account at a time.
type BalanceResponse struct {
	ID           string  `json:"id"`
	Code         string  `json:"code"`
	Owner        string  `json:"owner"`
	Currency     string  `json:"currency"`
	AsOf         *string `json:"as_of"` // null: now
	Balance      string  `json:"balance"`
	BalanceMinor Sum     `json:"balance_minor"`
}

func newBalanceResponse(a *Account, minor Sum, asOf *time.Time) BalanceResponse {
	return BalanceResponse{ID: a.ID.String(), Code: a.Code, Owner: a.Owner, Currency: a.Currency, AsOf: ShowAsOf(asOf),
		Balance: minor.Format(a.Currency), BalanceMinor: minor}
}

// ShowAsOf is how answers show the time of a balance: null is now.
func ShowAsOf(asOf *time.Time) *string {
	if asOf == nil {
		return nil
	}
	text := web.Time(*asOf)
	return &text
}

// EntryResponse is one line of a transaction. The amount has no sign: direction says which side it is on.
type EntryResponse struct {
	ID              string  `json:"id"`
	TransactionID   string  `json:"transaction_id"`
	Cause           string  `json:"cause"`
	Kind            string  `json:"kind"`
	LedgerAccountID string  `json:"ledger_account_id"`
	AccountCode     string  `json:"account_code"`
	AccountOwner    string  `json:"account_owner"`
	Direction       string  `json:"direction" validate:"oneof=debit credit"`
	Amount          string  `json:"amount"`
	AmountMinor     int64   `json:"amount_minor"`
	Currency        string  `json:"currency"`
	PaymentID       *string `json:"payment_id"`
	InvoiceID       *string `json:"invoice_id"`
	CreatedAt       string  `json:"created_at"`
}

func newEntryResponse(e PostedEntry) EntryResponse {
	r := EntryResponse{ID: e.ID(), TransactionID: e.TransactionID.String(), LedgerAccountID: e.AccountID.String(),
		Direction: "debit", AmountMinor: e.AmountMinor, Currency: e.Currency, CreatedAt: web.Time(e.CreatedAt)}
	if e.AmountMinor < 0 {
		r.Direction, r.AmountMinor = "credit", -e.AmountMinor
	}
	r.Amount = Format(r.AmountMinor, e.Currency)
	if e.Account != nil {
		r.AccountCode, r.AccountOwner = e.Account.Code, e.Account.Owner
	}
	if t := e.Transaction; t != nil {
		r.Cause, r.Kind, r.PaymentID, r.InvoiceID = t.Cause, t.Kind, optionalID(t.PaymentID), optionalID(t.InvoiceID)
	}
	return r
}

// TrialResponse is a trial balance.
type TrialResponse struct {
	AsOf     *string              `json:"as_of"` // null: now
	Balanced bool                 `json:"balanced"`
	Rows     []TrialRowResponse   `json:"rows"`
	Totals   []TrialTotalResponse `json:"totals"`
}

// TrialRowResponse is what was moved on all accounts of one code in one currency.
type TrialRowResponse struct {
	Code         string `json:"code"`
	Currency     string `json:"currency"`
	Debit        string `json:"debit"`
	DebitMinor   Sum    `json:"debit_minor"`
	Credit       string `json:"credit"`
	CreditMinor  Sum    `json:"credit_minor"`
	Balance      string `json:"balance"` // debit minus credit
	BalanceMinor Sum    `json:"balance_minor"`
}

// TrialTotalResponse is the sum of a currency. sum is debit minus credit and must be zero.
type TrialTotalResponse struct {
	Currency    string `json:"currency"`
	Debit       string `json:"debit"`
	DebitMinor  Sum    `json:"debit_minor"`
	Credit      string `json:"credit"`
	CreditMinor Sum    `json:"credit_minor"`
	Sum         string `json:"sum"`
	SumMinor    Sum    `json:"sum_minor"`
}

func newTrialResponse(t Trial, asOf *time.Time) TrialResponse {
	r := TrialResponse{AsOf: ShowAsOf(asOf), Balanced: t.Balanced(), Rows: make([]TrialRowResponse, len(t.Rows)), Totals: make([]TrialTotalResponse, len(t.Totals))}
	for i, row := range t.Rows {
		balance := row.BalanceMinor()
		r.Rows[i] = TrialRowResponse{Code: row.Code, Currency: row.Currency, Debit: row.DebitMinor.Format(row.Currency), DebitMinor: row.DebitMinor,
			Credit: row.CreditMinor.Format(row.Currency), CreditMinor: row.CreditMinor, Balance: balance.Format(row.Currency), BalanceMinor: balance}
	}
	for i, total := range t.Totals {
		sum := total.SumMinor()
		r.Totals[i] = TrialTotalResponse{Currency: total.Currency, Debit: total.DebitMinor.Format(total.Currency), DebitMinor: total.DebitMinor,
			Credit: total.CreditMinor.Format(total.Currency), CreditMinor: total.CreditMinor, Sum: sum.Format(total.Currency), SumMinor: sum}
	}
	return r
}

// RebuildResponse is what a rebuild of the cached balances has found.
type RebuildResponse struct {
	Checked int             `json:"checked"` // balances that were compared with their entries
	Drifts  []DriftResponse `json:"drifts"`  // those that were wrong, and are right now
}

// DriftResponse is one cached balance that was wrong. Positive amounts are debits; difference is after minus before.
type DriftResponse struct {
	LedgerAccountID string  `json:"ledger_account_id"`
	Code            string  `json:"code"`
	Owner           string  `json:"owner"`
	AccountID       *string `json:"account_id"` // the customer's account
	Currency        string  `json:"currency"`
	Before          string  `json:"before"`
	BeforeMinor     int64   `json:"before_minor"`
	After           string  `json:"after"`
	AfterMinor      int64   `json:"after_minor"`
	Difference      string  `json:"difference"`
	DifferenceMinor Sum     `json:"difference_minor"`
}

func newRebuildResponse(done Rebuilt) RebuildResponse {
	r := RebuildResponse{Checked: done.Checked, Drifts: make([]DriftResponse, len(done.Drifts))}
	for i, d := range done.Drifts {
		difference := SumOf(d.TrueMinor).Sub(SumOf(d.CachedMinor))
		r.Drifts[i] = DriftResponse{LedgerAccountID: d.AccountID.String(), Code: d.Code, Owner: d.Owner, AccountID: optionalID(d.CustomerID), Currency: d.Currency,
			Before: Format(d.CachedMinor, d.Currency), BeforeMinor: d.CachedMinor, After: Format(d.TrueMinor, d.Currency), AfterMinor: d.TrueMinor,
			Difference: difference.Format(d.Currency), DifferenceMinor: difference}
	}
	return r
}
