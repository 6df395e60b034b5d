package statements

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/ledger"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/web"
	"countersign/tenancy"
)

// Period is the time that a statement covers: From inclusive, up to and including To. A zero To is now.
type Period struct{ From, To time.Time }

// Statement is what has happened on an account in a period.
type Statement struct {
	Account  *accounts.Account
	Zone     *time.Location
	Period   Period
	ReadUpTo time.Time // Period.To, or when it was read
	Sections []Section
	// Lines are one page of the movements, in the order of posting; More says that others follow.
	Lines []Line
	More  bool
}

// Section is the sum of one currency, or of service credits. Signs are the ledger's: a positive sum is a debit.
type Section struct {
	Currency string
	Parts    []Part // receivable and customer credit; or service credits
}

// Part is what a statement shows of one ledger account. Debits and credits are both positive.
type Part struct {
	LedgerAccountID        uuid.UUID
	Code                   string
	Opening, Debit, Credit ledger.Sum
}

// Closing is the balance at the end of the period.
func (p Part) Closing() ledger.Sum { return p.Opening.Add(p.Debit).Sub(p.Credit) }

// Sum adds up what get gives of each part.
func (s Section) Sum(get func(Part) ledger.Sum) (sum ledger.Sum) {
	for _, p := range s.Parts {
		sum = sum.Add(get(p))
	}
	return sum
}

// Line is one movement with the balance of its section after it. Signs are the ledger's.
type Line struct {
	Key           ledger.EntryKey
	Code          string
	Currency      string
	Kind          string
	AmountMinor   int64
	Balance       ledger.Sum
	InvoiceID     uuid.UUID // zero: the movement is about no invoice
	InvoiceNumber string
	PaymentID     uuid.UUID // zero: about no payment
	CreatedAt     time.Time
}

// Request says which statement is wanted.
type Request struct {
	Account string // id or external id
	// Period gives the times in the tenant's zone.
	Period   func(zone *time.Location) (Period, error)
	Currency string          // empty: all
	After    ledger.EntryKey // zero: from the beginning
	Size     int             // lines of a page
}

// Read gives the statement of an account; members see their own only, and other accounts are web.ErrNotFound. It asks
// the database twice: whose statement it is, and what it says.
func Read(ctx context.Context, db *bun.DB, q Request) (Statement, error) {
	var tenant tenancy.Tenant
	var account accounts.Account
	if err := tenancy.Fetch(ctx, db, tenancy.SelectCurrent(ctx, &tenant), accounts.SelectByText(ctx, &account, q.Account)); err != nil {
		return Statement{}, err
	}
	if account.ID == uuid.Nil {
		return Statement{}, web.ErrNotFound
	}
	period, err := q.Period(tenant.Location())
	if err != nil {
		return Statement{}, err
	}
	s := Statement{Account: &account, Zone: tenant.Location(), Period: period}
	if err := tenancy.Fetch(ctx, db, s.read(ctx, q)); err != nil {
		return Statement{}, err
	}
	if s.More = len(s.Lines) > q.Size; s.More {
		s.Lines = s.Lines[:q.Size]
	}
	s.addEmpty(q.Currency)
	return s, nil
}

// What the customer sees of his ledger accounts: the sums of each up to the period's end, and one line more than fits a
// page. Being one statement, it sees one moment. $1 tenant, $2 account, $3 currency or empty, $4 from, $5 to or null,
// $6 and $7 the line after which the page begins, $8 how many lines, $9 the account of the member who asks, else null.
const statementQuery = `
WITH period AS (SELECT coalesce($5::timestamptz, now()) AS last), chart AS (
  SELECT a.id, a.code, a.currency FROM ledger_accounts AS a
  WHERE a.tenant_id = $1 AND a.customer_id = $2 AND a.customer_id = coalesce($9::uuid, a.customer_id)
    AND a.code IN ('receivable', 'customer_credit', 'credits') AND ($3 = '' OR a.currency = $3)
), moved AS MATERIALIZED (
  SELECT c.id, c.code, c.currency, e.transaction_id, e.line, e.amount_minor, e.created_at
  FROM chart AS c JOIN ledger_entries AS e ON e.tenant_id = $1 AND e.ledger_account_id = c.id
  WHERE e.created_at <= (SELECT p.last FROM period AS p)
), parts AS (
  SELECT c.id, c.code, c.currency,
    coalesce(sum(m.amount_minor) FILTER (WHERE m.created_at < $4), 0) AS opening,
    coalesce(sum(m.amount_minor) FILTER (WHERE m.created_at >= $4 AND m.amount_minor > 0), 0) AS debit,
    coalesce(-sum(m.amount_minor) FILTER (WHERE m.created_at >= $4 AND m.amount_minor < 0), 0) AS credit
  FROM chart AS c LEFT JOIN moved AS m ON m.id = c.id GROUP BY c.id, c.code, c.currency
), lines AS (
  SELECT m.id, m.code, m.currency, m.transaction_id, m.line, m.amount_minor, m.created_at,
    o.opening + sum(m.amount_minor) OVER (PARTITION BY m.currency ORDER BY m.transaction_id, m.line) AS balance
  FROM moved AS m JOIN (SELECT p.currency, sum(p.opening) AS opening FROM parts AS p GROUP BY p.currency) AS o ON o.currency = m.currency
  WHERE m.created_at >= $4
), page AS (
  SELECT * FROM lines AS l WHERE (l.transaction_id, l.line) > ($6::uuid, $7::smallint) ORDER BY l.transaction_id, l.line LIMIT $8
)
SELECT 'period' AS what, NULL::uuid AS id, '' AS code, '' AS currency, 0::numeric AS opening, 0::numeric AS debit, 0::numeric AS credit,
  NULL::uuid AS transaction_id, 0::smallint AS line, p.last AS at, '' AS kind, NULL::uuid AS invoice_id, '' AS number, NULL::uuid AS payment_id
FROM period AS p
UNION ALL
SELECT 'part', p.id, p.code, p.currency, p.opening, p.debit, p.credit, NULL, 0, now(), '', NULL, '', NULL FROM parts AS p
UNION ALL
SELECT 'line', g.id, g.code, g.currency, g.balance, g.amount_minor, 0, g.transaction_id, g.line, g.created_at, coalesce(t.kind, ''), t.invoice_id, coalesce(i.number, ''), t.payment_id
FROM page AS g
LEFT JOIN ledger_transactions AS t ON t.tenant_id = $1 AND t.id = g.transaction_id
LEFT JOIN invoices AS i ON i.tenant_id = $1 AND i.id = t.invoice_id
ORDER BY transaction_id NULLS FIRST, line, currency, code`

func (s *Statement) read(ctx context.Context, q Request) database.Statement {
	var to any
	if !s.Period.To.IsZero() {
		to = s.Period.To
	}
	return database.Select("read the statement", statementQuery, s.add, tenancy.ID(ctx), s.Account.ID, q.Currency, s.Period.From, to,
		q.After.Transaction, q.After.Line, q.Size+1, auth.MembersAccount(ctx))
}

// add reads one row of statementQuery.
func (s *Statement) add(row database.Row) error {
	var what, code, currency, kind, number string
	var id, transaction, invoice, payment uuid.NullUUID
	var opening, debit, credit ledger.Sum
	var line int16
	var at time.Time
	if err := row.Scan(&what, &id, &code, &currency, &opening, &debit, &credit, &transaction, &line, &at, &kind, &invoice, &number, &payment); err != nil {
		return err
	}
	switch what {
	case "period": // the first row, also of a second attempt
		s.ReadUpTo, s.Sections, s.Lines = at, nil, nil
	case "part":
		section := s.section(currency)
		section.Parts = append(section.Parts, Part{id.UUID, code, opening, debit, credit})
	case "line":
		amount, _ := debit.Minor() // one entry, which is an amount
		s.Lines = append(s.Lines, Line{Key: ledger.EntryKey{Transaction: transaction.UUID, Line: line}, Code: code, Currency: currency, Kind: kind, AmountMinor: amount,
			Balance: opening, InvoiceID: invoice.UUID, InvoiceNumber: number, PaymentID: payment.UUID, CreatedAt: at})
	}
	return nil
}

// section gives the section of a currency, which it adds when there is none yet.
func (s *Statement) section(currency string) *Section {
	i := slices.IndexFunc(s.Sections, func(known Section) bool { return known.Currency == currency })
	if i < 0 {
		s.Sections = append(s.Sections, Section{Currency: currency})
		i = len(s.Sections) - 1
	}
	return &s.Sections[i]
}

// addEmpty lets an account on which nothing was posted have a balance of nothing in its own currency.
func (s *Statement) addEmpty(wanted string) {
	if own := string(s.Account.Currency); wanted == "" || wanted == own {
		s.section(own)
	}
}
