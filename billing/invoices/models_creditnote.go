package invoices

import (
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/ledger"
	"countersign/billing/money"
)

// CreditNote is the document about a part of an invoice that is owed no longer because the sale is taken back, or with
// Reverses the document that undoes another. It is never changed.
type CreditNote struct {
	bun.BaseModel `bun:"table:credit_notes,alias:cn"`

	TenantID    uuid.UUID      `bun:"tenant_id,pk,type:uuid"`
	ID          uuid.UUID      `bun:"id,pk,type:uuid"` // the adjustment's
	Number      string         `bun:"number"`
	InvoiceID   uuid.UUID      `bun:"invoice_id,type:uuid"`
	AccountID   uuid.UUID      `bun:"account_id,type:uuid"`
	AmountMinor int64          `bun:"amount_minor"` // net and tax; all three are below zero when it undoes another
	NetMinor    int64          `bun:"net_minor"`
	TaxMinor    int64          `bun:"tax_minor"`
	Currency    money.Currency `bun:"currency"`
	Reason      string         `bun:"reason"`
	RefundID    uuid.UUID      `bun:"refund_id,type:uuid,nullzero"` // the refund that gave the money back; zero: it lowered what was owed
	Reverses    uuid.UUID      `bun:"reverses,type:uuid,nullzero"`
	IssuedBy    string         `bun:"issued_by"`
	CreatedAt   time.Time      `bun:"created_at,nullzero"`
}

// entries are the sale and the tax that the note takes back; the other side is what the customer owes, or the money that
// he gets.
func (n *CreditNote) entries() []ledger.Entry {
	return []ledger.Entry{{Account: ledger.SalesReturns(n.Currency), AmountMinor: n.NetMinor}, {Account: ledger.TaxPayable(n.Currency), AmountMinor: n.TaxMinor}}
}

// credited is what the notes of an invoice have taken back so far.
type credited struct{ Net, Tax int64 }

// taxOf gives the tax in minor of what the invoice was over, when so much was credited before: the invoice's share of tax,
// half up over all notes together, and never more net or tax than is left, so that notes over the whole invoice take back its tax exactly.
func (inv *Invoice) taxOf(minor int64, before credited) int64 {
	tax := money.Share(inv.TaxMinor, before.Net+before.Tax+minor, inv.TotalMinor) - before.Tax
	netLeft, taxLeft := inv.TotalMinor-inv.TaxMinor-before.Net, inv.TaxMinor-before.Tax
	return min(max(tax, 0, minor-netLeft), minor, taxLeft)
}
