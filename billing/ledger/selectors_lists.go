package ledger

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/errs"
	"countersign/internal/web"
	"countersign/tenancy"
)

// accountSpec is what the list of ledger accounts allows.
var accountSpec = &web.ListSpec{
	Filters: []web.Filter{
		web.Text("code", "A code of the chart, such as receivable."),
		web.Text("owner", "What the account is kept for: a customer's account, a method, an issuer."),
		web.Text("currency", "A currency, or credit."),
		web.Choice("class", "The class of the account.", map[string]Class{"asset": ClassAsset, "liability": ClassLiability,
			"income": ClassIncome, "expense": ClassExpense, "unit": ClassUnit}),
		web.Instant("as_of", "The balances as they were at this time; now when absent. The accounts are those of today."),
	},
	Ordering: map[string]string{"created_at": "created_at"},
	Default:  "-created_at",
}

// AccountBalance is a row of the chart with the sum of its entries.
type AccountBalance struct {
	Account
	BalanceMinor Sum `bun:"-"`
}

// Accounts lists the chart with balances, which are summed for the rows of the page only.
func Accounts(ctx context.Context, db bun.IDB, l web.List) (web.Page[AccountBalance], error) {
	q := db.NewSelect().Model((*Account)(nil)).Where("a.tenant_id = ?", tenancy.ID(ctx))
	for _, name := range []string{"code", "owner", "currency"} {
		if v, ok := web.Value[string](l, name); ok {
			q = q.Where("a.? = ?", bun.Ident(name), v)
		}
	}
	if class, ok := web.Value[Class](l, "class"); ok {
		q = q.Where("a.class = ?", class)
	}
	page, err := web.Paginate(ctx, q, l, "a", func(a AccountBalance) (time.Time, uuid.UUID) { return a.CreatedAt, a.ID })
	if err != nil {
		return page, err
	}
	ids := make([]uuid.UUID, len(page.Items))
	for i, a := range page.Items {
		ids[i] = a.ID
	}
	var asOf *time.Time
	if at, ok := web.Value[time.Time](l, "as_of"); ok {
		asOf = &at
	}
	sums, err := Balances(ctx, db, ids, asOf)
	for i := range page.Items {
		page.Items[i].BalanceMinor = sums[page.Items[i].ID]
	}
	return page, err
}

// entrySpec is what the list of entries allows. Ids of transactions are in the order of posting, so they stand for it.
var entrySpec = &web.ListSpec{
	Filters: []web.Filter{
		web.Identifier("payment_id", "Entries posted for a payment."),
		web.Identifier("invoice_id", "Entries posted for an invoice."),
		web.Identifier("account", "A ledger account, or a customer's account, which stands for all its ledger accounts."),
		web.Instant("created_after", "Posted at this time or later."),
		web.Instant("created_before", "Posted before this time."),
	},
	Ordering: map[string]string{"created_at": "transaction_id"},
	Default:  "-created_at",
}

// EntryList is a parsed request for a list of entries.
type EntryList struct {
	List web.List
	// AccountIDs narrows the list to these ledger accounts; nil is all, empty is none.
	AccountIDs []uuid.UUID
	after      EntryKey
	url        *url.URL
}

// EntryKey is the place of an entry: its transaction and line. As text it is the entry's id, which is also the cursor.
type EntryKey struct {
	Transaction uuid.UUID
	Line        int16
}

// String is the id of the entry.
func (k EntryKey) String() string {
	return PostedEntry{TransactionID: k.Transaction, Line: k.Line}.ID()
}

// ParseEntryKey reads the id of an entry; ErrCursor when it is none.
func ParseEntryKey(text string) (EntryKey, error) {
	id, line, _ := strings.Cut(text, ":")
	transaction, err := web.ParseID(id)
	if err != nil {
		return EntryKey{}, ErrCursor
	}
	n, err := strconv.ParseInt(line, 10, 16)
	if err != nil {
		return EntryKey{}, ErrCursor
	}
	return EntryKey{transaction, int16(n)}, nil
}

// ParseEntryList reads the query string by spec, of whose filters Entries knows payment_id, invoice_id, created_after
// and created_before. The ordering created_at must stand for transaction_id. The cursor of entries names an entry,
// because one moment may have many; the rest of the list is asked for without it.
func ParseEntryList(r *http.Request, spec *web.ListSpec) (EntryList, error) {
	query := r.URL.Query()
	raw := query.Get("cursor")
	var after EntryKey
	if raw != "" {
		var err error
		if after, err = ParseEntryKey(raw); err != nil {
			var fields errs.Fields
			fields.Add("cursor", ErrCursor)
			return EntryList{}, fields.Err()
		}
		query.Set("cursor", "")
		r = r.Clone(r.Context())
		r.URL.RawQuery = query.Encode()
	}
	l, err := web.ParseList(r, spec)
	return EntryList{List: l, after: after, url: r.URL}, err
}

// Entries lists entries in the order of posting, with their accounts and transactions.
func Entries(ctx context.Context, db bun.IDB, l EntryList) (web.Page[PostedEntry], error) {
	page, err := web.Paginate(ctx, entriesOf(ctx, db, l), l.List, "e", func(e listedEntry) (time.Time, uuid.UUID) { return e.CreatedAt, e.TransactionID })
	if err != nil {
		return web.Page[PostedEntry]{}, err
	}
	found := web.Page[PostedEntry]{Items: make([]PostedEntry, len(page.Items)), Count: page.Count, Next: page.Next, Previous: page.Previous}
	for i, e := range page.Items {
		found.Items[i] = e.PostedEntry
		found.Items[i].Line = e.Line
	}
	if l.List.ByCursor && page.Next != "" {
		query := l.url.Query()
		query.Set("cursor", found.Items[len(found.Items)-1].ID())
		found.Next = l.url.Path + "?" + query.Encode()
	}
	if err := attachAccounts(ctx, db, found.Items); err != nil {
		return found, err
	}
	return found, attachTransactions(ctx, db, found.Items)
}

// listedEntry is an entry whose line stands where lists expect an id: after the transaction, it is what orders them.
type listedEntry struct {
	PostedEntry `bun:",extend"`
	Line        int16 `bun:"id"`
}

// entriesOf selects the rows of the list, from the entries alone: what is joined later is loaded for one page only.
func entriesOf(ctx context.Context, db bun.IDB, l EntryList) *bun.SelectQuery {
	tenant := tenancy.ID(ctx)
	rows := db.NewSelect().TableExpr("ledger_entries AS e").
		ColumnExpr("e.tenant_id, e.transaction_id, e.line AS id, e.ledger_account_id, e.amount_minor, e.currency, e.created_at").
		Where("e.tenant_id = ?", tenant)
	switch {
	case l.AccountIDs == nil:
	case len(l.AccountIDs) == 0:
		rows = rows.Where("false")
	case len(l.AccountIDs) == 1: // equality, so that the index of the account gives the order
		rows = rows.Where("e.ledger_account_id = ?", l.AccountIDs[0])
	default:
		rows = rows.Where("e.ledger_account_id IN (?)", bun.In(l.AccountIDs))
	}
	for _, name := range []string{"payment_id", "invoice_id"} {
		if id, ok := web.Value[uuid.UUID](l.List, name); ok {
			rows = rows.Where("e.transaction_id IN (SELECT t.id FROM ledger_transactions AS t WHERE t.tenant_id = ? AND t.? = ?)", tenant, bun.Ident(name), id)
		}
	}
	if at, ok := web.Value[time.Time](l.List, "created_after"); ok {
		rows = rows.Where("e.created_at >= ?", at).Where("e.transaction_id >= ?", idsFrom(at.Add(-clockSlack)))
	}
	if at, ok := web.Value[time.Time](l.List, "created_before"); ok {
		rows = rows.Where("e.created_at < ?", at).Where("e.transaction_id < ?", idsFrom(at.Add(clockSlack)))
	}
	if l.after.Transaction != uuid.Nil {
		comparison := bun.Safe(">")
		if strings.HasPrefix(l.List.Ordering, "-") {
			comparison = bun.Safe("<")
		}
		line := strconv.Itoa(int(l.after.Line)) // as text, so that all lines are one statement
		rows = rows.Where("(e.transaction_id, e.line) ? (?, ?)", comparison, l.after.Transaction, line)
	}
	return db.NewSelect().TableExpr("(?) AS e", rows)
}

// clockSlack is how far the time in a transaction's id, which is the program's, may be from created_at, which is when
// the database transaction began. It only bounds how much of an index is read: created_at itself decides.
const clockSlack = 24 * time.Hour

// idsFrom is the lowest id of version 7 at a time.
func idsFrom(at time.Time) uuid.UUID {
	var id uuid.UUID
	ms := max(at.UnixMilli(), 0)
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id
}

// AccountsOf gives the ledger accounts that id stands for: itself, or all those of a customer's account.
func AccountsOf(ctx context.Context, db bun.IDB, id uuid.UUID) ([]uuid.UUID, error) {
	ids := []uuid.UUID{}
	err := db.NewSelect().TableExpr("ledger_accounts AS a").ColumnExpr("a.id").Where("a.tenant_id = ?", tenancy.ID(ctx)).
		Where("(a.id = ? OR a.customer_id = ?)", id, id).OrderExpr("a.id").Scan(ctx, &ids)
	if err != nil {
		return nil, fmt.Errorf("read ledger accounts of %s: %w", id, err)
	}
	return ids, nil
}

// attachTransactions loads the headers of entries, in one statement.
func attachTransactions(ctx context.Context, db bun.IDB, entries []PostedEntry) error {
	byID := map[uuid.UUID]*Transaction{}
	ids := []uuid.UUID{}
	for _, e := range entries {
		if _, ok := byID[e.TransactionID]; !ok {
			byID[e.TransactionID] = nil
			ids = append(ids, e.TransactionID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var found []Transaction
	err := db.NewSelect().Model(&found).Where("t.tenant_id = ?", tenancy.ID(ctx)).Where("t.id IN (?)", bun.In(ids)).Scan(ctx)
	if err != nil {
		return fmt.Errorf("read ledger transactions: %w", err)
	}
	for i := range found {
		byID[found[i].ID] = &found[i]
	}
	for i := range entries {
		entries[i].Transaction = byID[entries[i].TransactionID]
	}
	return nil
}
