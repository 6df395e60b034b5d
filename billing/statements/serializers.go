package statements

import (
	"context"
	"net/url"

	"github.com/google/uuid"

	"countersign/billing/ledger"
	"countersign/internal/admin"
	"countersign/internal/i18n"
	"countersign/internal/web"
)

// StatementResponse is the statement of an account. In each section opening balance, debits and credits give the closing
// balance, and so do opening balance and the changes of all movements, whatever page of them is shown.
type StatementResponse struct {
	AccountID string             `json:"account_id"`
	Number    string             `json:"number"`
	Holder    string             `json:"holder"`
	From      string             `json:"from"`
	To        *string            `json:"to"` // up to and including; null: now
	Timezone  string             `json:"timezone"`
	Sections  []SectionResponse  `json:"sections"`
	Movements []MovementResponse `json:"movements"` // in the order of posting
	Next      *string            `json:"next"`      // null: there are no more movements
}

// SectionResponse is one currency, or credit for service credits. A balance of money is what the account owes, and is
// negative when it is owed something; a balance of credits is how many it has. Debits raise what is owed and use credits.
type SectionResponse struct {
	Currency            string         `json:"currency"`
	OpeningBalance      string         `json:"opening_balance"`
	OpeningBalanceMinor ledger.Sum     `json:"opening_balance_minor"`
	Debit               string         `json:"debit"`
	DebitMinor          ledger.Sum     `json:"debit_minor"`
	Credit              string         `json:"credit"`
	CreditMinor         ledger.Sum     `json:"credit_minor"`
	ClosingBalance      string         `json:"closing_balance"`
	ClosingBalanceMinor ledger.Sum     `json:"closing_balance_minor"`
	Accounts            []PartResponse `json:"accounts"`
}

// PartResponse is a ledger account that the section adds up, with the balances that the ledger itself gives for these
// times. They have the ledger's sign: what is owed to the customer is negative.
type PartResponse struct {
	LedgerAccountID     string     `json:"ledger_account_id"`
	Code                string     `json:"code" validate:"oneof=receivable customer_credit credits"`
	Currency            string     `json:"currency"`
	OpeningBalance      string     `json:"opening_balance"`
	OpeningBalanceMinor ledger.Sum `json:"opening_balance_minor"`
	ClosingBalance      string     `json:"closing_balance"`
	ClosingBalanceMinor ledger.Sum `json:"closing_balance_minor"`
}

// MovementResponse is one movement. One of debit and credit is zero; change is what it does to the section's balance, and
// balance is what that is afterwards.
type MovementResponse struct {
	ID            string     `json:"id"`
	TransactionID string     `json:"transaction_id"`
	At            string     `json:"at"`
	Date          string     `json:"date"` // the day in the tenant's time zone
	Code          string     `json:"code" validate:"oneof=receivable customer_credit credits"`
	Kind          string     `json:"kind"`
	Description   string     `json:"description"`
	InvoiceID     *string    `json:"invoice_id"`
	InvoiceNumber *string    `json:"invoice_number"`
	PaymentID     *string    `json:"payment_id"`
	Currency      string     `json:"currency"`
	Debit         string     `json:"debit"`
	DebitMinor    ledger.Sum `json:"debit_minor"`
	Credit        string     `json:"credit"`
	CreditMinor   ledger.Sum `json:"credit_minor"`
	Change        string     `json:"change"`
	ChangeMinor   ledger.Sum `json:"change_minor"`
	Balance       string     `json:"balance"`
	BalanceMinor  ledger.Sum `json:"balance_minor"`
}

func newStatementResponse(ctx context.Context, s Statement, u *url.URL) StatementResponse {
	r := StatementResponse{AccountID: s.Account.ID.String(), Number: s.Account.Number, Holder: s.Account.Holder, From: web.Time(s.Period.From), To: web.OptionalTime(s.Period.To),
		Timezone: s.Zone.String(), Sections: make([]SectionResponse, len(s.Sections)), Movements: make([]MovementResponse, len(s.Lines))}
	for i, section := range s.Sections {
		r.Sections[i] = newSectionResponse(section)
	}
	for i, l := range s.Lines {
		r.Movements[i] = newMovementResponse(ctx, l, s)
	}
	if s.More {
		query := u.Query()
		query.Set("from", r.From)
		query.Set("to", web.Time(s.ReadUpTo)) // what is posted meanwhile belongs to no page of this statement
		query.Set("cursor", s.Lines[len(s.Lines)-1].Key.String())
		next := u.Path + "?" + query.Encode()
		r.Next = &next
	}
	return r
}

func newSectionResponse(s Section) SectionResponse {
	opening, closing := shown(s.Sum(func(p Part) ledger.Sum { return p.Opening }), s.Currency), shown(s.Sum(Part.Closing), s.Currency)
	debit, credit := s.Sum(func(p Part) ledger.Sum { return p.Debit }), s.Sum(func(p Part) ledger.Sum { return p.Credit })
	r := SectionResponse{Currency: s.Currency, OpeningBalance: opening.Format(s.Currency), OpeningBalanceMinor: opening, Debit: debit.Format(s.Currency), DebitMinor: debit,
		Credit: credit.Format(s.Currency), CreditMinor: credit, ClosingBalance: closing.Format(s.Currency), ClosingBalanceMinor: closing, Accounts: make([]PartResponse, len(s.Parts))}
	for i, p := range s.Parts {
		r.Accounts[i] = PartResponse{LedgerAccountID: p.LedgerAccountID.String(), Code: p.Code, Currency: s.Currency, OpeningBalance: p.Opening.Format(s.Currency), OpeningBalanceMinor: p.Opening,
			ClosingBalance: p.Closing().Format(s.Currency), ClosingBalanceMinor: p.Closing()}
	}
	return r
}

// shown turns a sum of the ledger to the customer's side: what he owes, or the service credits that he has.
func shown(sum ledger.Sum, currency string) ledger.Sum {
	if currency == ledger.UnitCredit {
		return ledger.Sum{}.Sub(sum)
	}
	return sum
}

func newMovementResponse(ctx context.Context, l Line, s Statement) MovementResponse {
	debit, credit := l.sides()
	change, balance := shown(ledger.SumOf(l.AmountMinor), l.Currency), shown(l.Balance, l.Currency)
	label := ledger.KindLabel(l.Kind)
	r := MovementResponse{ID: l.Key.String(), TransactionID: l.Key.Transaction.String(), At: web.Time(l.CreatedAt), Date: l.CreatedAt.In(s.Zone).Format("2006-01-02"),
		Code: l.Code, Kind: l.Kind, Description: i18n.Text(i18n.From(ctx), admin.Key(label), label, nil), InvoiceID: optionalID(l.InvoiceID), PaymentID: optionalID(l.PaymentID),
		Currency: l.Currency, Debit: debit.Format(l.Currency), DebitMinor: debit, Credit: credit.Format(l.Currency), CreditMinor: credit,
		Change: change.Format(l.Currency), ChangeMinor: change, Balance: balance.Format(l.Currency), BalanceMinor: balance}
	if l.InvoiceNumber != "" {
		r.InvoiceNumber = &l.InvoiceNumber
	}
	return r
}

// sides gives the amount as a debit or as a credit; the other one is nothing.
func (l Line) sides() (debit, credit ledger.Sum) {
	if l.AmountMinor < 0 {
		return ledger.Sum{}, ledger.Sum{}.Sub(ledger.SumOf(l.AmountMinor))
	}
	return ledger.SumOf(l.AmountMinor), ledger.Sum{}
}

func optionalID(id uuid.UUID) *string {
	if id == uuid.Nil {
		return nil
	}
	text := id.String()
	return &text
}
