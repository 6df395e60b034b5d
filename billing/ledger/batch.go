package ledger

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/google/uuid"

	"countersign/internal/database"
)

// batch is a set of checked postings as the columns that its statements take.
type batch struct {
	tenant   uuid.UUID
	accounts []batchAccount
	index    map[Ref]int // into accounts
	causes   map[string]bool

	transactions transactionColumns
	lines        lineColumns
}

// batchAccount is an account that the batch touches. The sum of what it moves there is what the database will move, and must fit.
type batchAccount struct {
	ref Ref
	id  uuid.UUID
	sum int64
}

type transactionColumns struct {
	ids, customers, invoices, payments, corrects []uuid.UUID
	causes, kinds                                []string
	lines                                        []int16
}

type lineColumns struct {
	transactions, accounts []uuid.UUID
	numbers                []int16
	amounts                []int64
	currencies             []string
}

func (c *transactionColumns) grow(n int) {
	c.ids, c.customers, c.invoices, c.payments, c.corrects = make([]uuid.UUID, 0, n), make([]uuid.UUID, 0, n), make([]uuid.UUID, 0, n), make([]uuid.UUID, 0, n), make([]uuid.UUID, 0, n)
	c.causes, c.kinds, c.lines = make([]string, 0, n), make([]string, 0, n), make([]int16, 0, n)
}

func (c *lineColumns) grow(n int) {
	c.transactions, c.accounts = make([]uuid.UUID, 0, n), make([]uuid.UUID, 0, n)
	c.numbers, c.amounts, c.currencies = make([]int16, 0, n), make([]int64, 0, n), make([]string, 0, n)
}

func newBatch(tenant uuid.UUID, postings []Posting) (*batch, error) {
	b := &batch{tenant: tenant, index: make(map[Ref]int, len(postings)), causes: make(map[string]bool, len(postings))}
	b.transactions.grow(len(postings))
	b.lines.grow(2 * len(postings)) // as many as nearly all have
	for _, p := range postings {
		if err := b.add(p); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *batch) add(p Posting) error {
	if p.Cause == "" || p.Kind == "" {
		return fmt.Errorf("%w: it needs a cause and a kind, and has %q and %q", ErrInvalidPosting, p.Cause, p.Kind)
	}
	if b.causes[p.Cause] {
		return fmt.Errorf("%w: two postings of one call have the cause %s", ErrInvalidPosting, p.Cause)
	}
	b.causes[p.Cause] = true
	lines, err := b.sum(p)
	if err != nil {
		return err
	}
	id := uuid.Must(uuid.NewV7())
	for i, l := range lines {
		a := &b.accounts[l.account]
		sum, ok := add(a.sum, l.amount)
		if !ok {
			return fmt.Errorf("%w: the batch moves more on %s than can be stored", ErrInvalidPosting, a.ref)
		}
		a.sum = sum
		c := &b.lines
		c.transactions = append(c.transactions, id)
		c.accounts = append(c.accounts, a.id)
		c.numbers = append(c.numbers, int16(i+1))
		c.amounts = append(c.amounts, l.amount)
		c.currencies = append(c.currencies, a.ref.currency)
	}
	t := &b.transactions
	t.ids = append(t.ids, id)
	t.causes = append(t.causes, p.Cause)
	t.kinds = append(t.kinds, p.Kind)
	t.lines = append(t.lines, int16(len(lines)))
	t.customers = append(t.customers, p.CustomerID)
	t.invoices = append(t.invoices, p.InvoiceID)
	t.payments = append(t.payments, p.PaymentID)
	t.corrects = append(t.corrects, p.corrects)
	return nil
}

// batchLine is what a posting moves on one account.
type batchLine struct {
	account int // in batch.accounts
	amount  int64
}

// sum gives one line for each account of a posting and checks that they balance.
func (b *batch) sum(p Posting) ([]batchLine, error) {
	lines := make([]batchLine, 0, len(p.Entries))
	for _, e := range p.Entries {
		account, err := b.account(e.Account)
		if err != nil {
			return nil, fmt.Errorf("posting %s: %w", p.Cause, err)
		}
		i := slices.IndexFunc(lines, func(l batchLine) bool { return l.account == account })
		if i < 0 {
			lines = append(lines, batchLine{account, e.AmountMinor})
			continue
		}
		sum, ok := add(lines[i].amount, e.AmountMinor)
		if !ok {
			return nil, fmt.Errorf("%w: posting %s moves more on %s than can be stored", ErrInvalidPosting, p.Cause, e.Account)
		}
		lines[i].amount = sum
	}
	lines = slices.DeleteFunc(lines, func(l batchLine) bool { return l.amount == 0 })
	if len(lines) == 0 {
		return nil, fmt.Errorf("%w: posting %s moves nothing", ErrInvalidPosting, p.Cause)
	}
	if len(lines) > math.MaxInt16 {
		return nil, fmt.Errorf("%w: posting %s has %d lines", ErrInvalidPosting, p.Cause, len(lines))
	}
	return lines, b.balanced(p.Cause, lines)
}

// balanced checks that the lines sum to zero in each currency. What balances has at least two lines.
func (b *batch) balanced(cause string, lines []batchLine) error {
	currency := func(l batchLine) string { return b.accounts[l.account].ref.currency }
	for i, first := range lines {
		if slices.ContainsFunc(lines[:i], func(l batchLine) bool { return currency(l) == currency(first) }) {
			continue
		}
		var sum int64
		for _, l := range lines[i:] {
			if currency(l) != currency(first) {
				continue
			}
			var ok bool
			if sum, ok = add(sum, l.amount); !ok {
				return fmt.Errorf("%w: the sum of posting %s does not fit", ErrInvalidPosting, cause)
			}
		}
		if sum != 0 {
			return fmt.Errorf("%w: posting %s does not balance: its %s entries sum to %d", ErrInvalidPosting, cause, currency(first), sum)
		}
	}
	return nil
}

// account gives the place of an account among those of the batch.
func (b *batch) account(ref Ref) (int, error) {
	if i, ok := b.index[ref]; ok {
		return i, nil
	}
	if err := ref.check(); err != nil {
		return 0, err
	}
	b.accounts = append(b.accounts, batchAccount{ref: ref, id: ref.id(b.tenant)})
	b.index[ref] = len(b.accounts) - 1
	return len(b.accounts) - 1, nil
}

// What a batch does, in an order that cannot deadlock: all that is missing is made first, by id, and what is there is
// locked afterwards, by id, so nobody who holds a balance waits for one that is still being made.

// It makes accounts, and the balances of those that are customers', as far as they are missing.
const openAccounts = `SELECT ledger_open($1, $2, $3, $4, $5, $6, $7)`

// The trigger on ledger_entries runs at the end of the statement, so it finds the transactions of the same statement. When they
// are sound it moves the balances, one after the other by id.
const insertPostings = `
WITH posted AS (
  INSERT INTO ledger_transactions (tenant_id, id, cause, kind, lines, customer_id, invoice_id, payment_id, corrects, posted_by)
  SELECT $1, r.id, r.cause, r.kind, r.lines, nullif(r.customer_id, $3), nullif(r.invoice_id, $3), nullif(r.payment_id, $3), nullif(r.corrects, $3), $2
  FROM (SELECT unnest($4::uuid[]) AS id, unnest($5::text[]) AS cause, unnest($6::text[]) AS kind, unnest($7::smallint[]) AS lines, unnest($8::uuid[]) AS customer_id,
    unnest($9::uuid[]) AS invoice_id, unnest($10::uuid[]) AS payment_id, unnest($11::uuid[]) AS corrects) AS r
)
INSERT INTO ledger_entries (tenant_id, transaction_id, line, ledger_account_id, amount_minor, currency)
SELECT $1, r.transaction_id, r.line, r.ledger_account_id, r.amount_minor, r.currency
FROM (SELECT unnest($12::uuid[]) AS transaction_id, unnest($13::smallint[]) AS line, unnest($14::uuid[]) AS ledger_account_id, unnest($15::bigint[]) AS amount_minor,
    unnest($16::text[]) AS currency) AS r`

// open makes those of the batch's accounts that may be missing, and gives their ids.
func (b *batch) open(places []int) (database.Statement, []uuid.UUID) {
	slices.SortFunc(places, func(x, y int) int { return bytes.Compare(b.accounts[x].id[:], b.accounts[y].id[:]) })
	n := len(places)
	ids, customers := make([]uuid.UUID, n), make([]uuid.UUID, n)
	codes, owners, currencies, classes := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, place := range places {
		a := b.accounts[place]
		ids[i], customers[i] = a.id, a.ref.customer
		codes[i], owners[i], currencies[i], classes[i] = a.ref.code, a.ref.owner, a.ref.currency, string(a.ref.class)
	}
	return database.Change("open ledger accounts", openAccounts, b.tenant, ids, codes, owners, currencies, classes, customers), ids
}

// post writes the postings, all of whose accounts must be there.
func (b *batch) post(label string) database.Statement {
	t, l := &b.transactions, &b.lines
	return database.Change(fmt.Sprintf("post %d ledger transactions", len(t.ids)), insertPostings, b.tenant, label, uuid.Nil,
		t.ids, t.causes, t.kinds, t.lines, t.customers, t.invoices, t.payments, t.corrects,
		l.transactions, l.numbers, l.accounts, l.amounts, l.currencies)
}

// check finds a Ref that no constructor made, or that was made from nothing.
func (r Ref) check() error {
	switch {
	case r.code == "" || r.currency == "":
		return fmt.Errorf("%w: an entry names no account or no currency: %q", ErrInvalidPosting, r)
	case r.owner == uuid.Nil.String():
		return fmt.Errorf("%w: %s is for a customer, and none is named", ErrInvalidPosting, r.code)
	case r.owner == "" && (r.code == codeClearing || strings.HasSuffix(r.code, "_receivable")):
		return fmt.Errorf("%w: %s needs an owner", ErrInvalidPosting, r.code)
	}
	return nil
}

func add(a, b int64) (int64, bool) {
	sum := a + b
	return sum, (sum > a) == (b > 0)
}
