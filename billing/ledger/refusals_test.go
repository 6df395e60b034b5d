package ledger_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/uuid"

	"countersign/billing/ledger"
	"countersign/internal/testkit"
)

// TestRefusals tries in plain SQL, as the program's own role, what no program of ours does, and finds the books as they
// were. TestDatabase has the shapes of groups; here are the neighbours, the causes and the caches (S1-23 to S1-27).
func TestRefusals(t *testing.T) {
	t.Parallel()
	b, neighbour := newBook(t), newBook(t)
	customer, theirs := b.customer(), neighbour.customer()
	b.mustPost(move("given", ledger.Receivable(customer, "USD"), ledger.Revenue("USD"), 100), move("credits", ledger.CreditsIssued(), ledger.Credits(customer), 5))
	neighbour.mustPost(move("theirs", ledger.Receivable(theirs, "USD"), ledger.Revenue("USD"), 100))
	given, foreign := b.transactionOf("given"), neighbour.transactionOf("theirs")
	owed, revenue, foreignOwed := ledger.Receivable(customer, "USD").ID(b.ctx), ledger.Revenue("USD").ID(b.ctx), ledger.Receivable(theirs, "USD").ID(neighbour.ctx)

	header := func(tenant, id uuid.UUID, cause string) string {
		return fmt.Sprintf("INSERT INTO ledger_transactions (tenant_id, id, cause, kind, lines, posted_by) VALUES ('%s', '%s', '%s', 'raw', 2, 'raw')", tenant, id, cause)
	}
	entries := func(tenant, transaction uuid.UUID, lines ...string) string {
		var rows []string
		for _, l := range lines {
			rows = append(rows, fmt.Sprintf("('%s', '%s', %s)", tenant, transaction, l))
		}
		return "INSERT INTO ledger_entries (tenant_id, transaction_id, line, ledger_account_id, amount_minor, currency) VALUES " + strings.Join(rows, ", ")
	}
	line := func(n int, account uuid.UUID, amount int64, currency string) string {
		return fmt.Sprintf("%d, '%s', %d, '%s'", n, account, amount, currency)
	}
	id := uuid.Must(uuid.NewV7())
	good := []string{line(1, owed, 5, "USD"), line(2, revenue, -5, "USD")}

	if other := uuid.Must(uuid.NewV7()); b.exec(header(b.tenant, other, "good")+"; "+entries(b.tenant, other, good...)) != nil {
		t.Fatal("a good transaction is refused, so the refusals below prove nothing")
	}

	before := b.hash()
	for name, tt := range map[string]struct{ query, refusal string }{
		"the same cause twice":         {header(b.tenant, id, "given"), "ledger_transactions_cause_key"},
		"the same transaction twice":   {header(b.tenant, given.ID, "another"), "ledger_transactions_pkey"},
		"a line that is there already": {entries(b.tenant, given.ID, line(1, owed, 5, "USD"), line(2, revenue, -5, "USD")), "ledger_entries_pkey"},
		"a group in two statements":    {header(b.tenant, id, "halves") + "; " + entries(b.tenant, id, good[0]) + "; " + entries(b.tenant, id, good[1]), "does not balance"},
		"one half now and none later":  {header(b.tenant, id, "half") + "; " + entries(b.tenant, id, good[0]), "does not balance"},
		"a group that is short by one": {header(b.tenant, id, "cross") + "; " + entries(b.tenant, id, line(1, owed, 5, "USD"), line(2, revenue, -4, "USD")),
			"does not balance"},
		"a line numbered nought":                     {header(b.tenant, id, "nought") + "; " + entries(b.tenant, id, line(0, owed, 5, "USD"), line(1, revenue, -5, "USD")), "ledger_entries_line_check"},
		"a negative line":                            {header(b.tenant, id, "negative") + "; " + entries(b.tenant, id, line(-1, owed, 5, "USD"), line(2, revenue, -5, "USD")), "ledger_entries_line_check"},
		"an entry on another tenant's account":       {header(b.tenant, id, "foreign") + "; " + entries(b.tenant, id, line(1, foreignOwed, 5, "USD"), line(2, revenue, -5, "USD")), "is unknown or has another currency"},
		"entries in another tenant's transaction":    {entries(b.tenant, foreign.ID, good...), "not all of its lines are here"},
		"entries that another tenant owns":           {entries(neighbour.tenant, foreign.ID, line(3, foreignOwed, 5, "USD"), line(4, foreignOwed, -5, "USD")), "row-level security"},
		"a transaction that another tenant owns":     {header(neighbour.tenant, id, "foreign"), "row-level security"},
		"money on a receivable in units":             {header(b.tenant, id, "mixed") + "; " + entries(b.tenant, id, line(1, owed, 5, ledger.UnitCredit), line(2, revenue, -5, ledger.UnitCredit)), "is unknown or has another currency"},
		"an amount beyond 64 bit":                    {header(b.tenant, id, "huge") + "; " + entries(b.tenant, id, fmt.Sprintf("1, '%s', 9223372036854775808, 'USD'", owed), good[1]), "out of range"},
		"amounts that are rounded apart":             {header(b.tenant, id, "fraction") + "; " + entries(b.tenant, id, fmt.Sprintf("1, '%s', 5.4, 'USD'", owed), fmt.Sprintf("2, '%s', -5.6, 'USD'", revenue)), "does not balance"},
		"a reversal of another tenant's transaction": {strings.Replace(strings.Replace(header(b.tenant, id, "back"), "posted_by)", "posted_by, corrects)", 1), "'raw')", "'raw', '"+foreign.ID.String()+"')", 1), "ledger_transactions_corrects_fk"},
		"an account of a customer of another tenant": {fmt.Sprintf("INSERT INTO ledger_accounts (tenant_id, id, code, owner, currency, class, customer_id) VALUES ('%s', '%s', 'receivable', 'x', 'USD', 'asset', '%s')",
			b.tenant, id, theirs), "ledger_accounts_customer_fk"},
		"an account twice": {fmt.Sprintf("INSERT INTO ledger_accounts (tenant_id, id, code, owner, currency, class) VALUES ('%s', '%s', 'revenue', '', 'USD', 'income')", b.tenant, id), "ledger_accounts_code_key"},
		"units in a currency": {fmt.Sprintf("INSERT INTO ledger_accounts (tenant_id, id, code, owner, currency, class) VALUES ('%s', '%s', 'credits_issued', 'x', 'USD', 'unit')", b.tenant, id),
			"ledger_accounts_unit_check"},
		"a class that is none": {fmt.Sprintf("INSERT INTO ledger_accounts (tenant_id, id, code, owner, currency, class) VALUES ('%s', '%s', 'x', '', 'USD', 'gift')", b.tenant, id), "ledger_accounts_class_check"},
		"a cached balance beyond its range": {fmt.Sprintf("UPDATE ledger_balances SET amount_minor = %d WHERE tenant_id = '%s' AND ledger_account_id = '%s'", int64(math.MaxInt64), b.tenant, owed),
			"ledger_balances_range"},
		"a cached balance below its range": {fmt.Sprintf("UPDATE ledger_balances SET amount_minor = %d WHERE tenant_id = '%s' AND ledger_account_id = '%s'", int64(math.MinInt64), b.tenant, owed),
			"ledger_balances_range"},
		"a cached balance of no account": {fmt.Sprintf("INSERT INTO ledger_balances (tenant_id, ledger_account_id, customer_id, code, currency, amount_minor) VALUES ('%s', '%s', '%s', 'receivable', 'USD', 1)", b.tenant, id, customer),
			"ledger_balances_account_fk"},
		"a changed entry":    {fmt.Sprintf("UPDATE ledger_entries SET amount_minor = 1 WHERE tenant_id = '%s'", b.tenant), "permission denied"},
		"a deleted entry":    {fmt.Sprintf("DELETE FROM ledger_entries WHERE tenant_id = '%s'", b.tenant), "permission denied"},
		"triggers off":       {"ALTER TABLE ledger_entries DISABLE TRIGGER ALL", "must be owner"},
		"triggers passed by": {"SET session_replication_role = replica", "permission denied"},
	} {
		t.Run("the database refuses "+name, func(t *testing.T) {
			err := b.exec(tt.query)
			if err == nil || !strings.Contains(err.Error(), tt.refusal) {
				t.Errorf("got %v, want %s", err, tt.refusal)
			}
		})
	}
	if after := b.hash(); after != before {
		t.Error("something of what was refused is there")
	}
	if found := b.verify(); len(found) != 0 {
		t.Errorf("verify finds %v", found)
	}
}

// hash is one text for everything in the books of the tenant.
func (b *book) hash() (sum string) {
	b.t.Helper()
	err := testkit.OwnerDB(b.t).NewRaw(`SELECT md5(concat(
		(SELECT string_agg(r::text, ';' ORDER BY r::text) FROM ledger_accounts r WHERE tenant_id = ?0), (SELECT string_agg(r::text, ';' ORDER BY r::text) FROM ledger_transactions r WHERE tenant_id = ?0),
		(SELECT string_agg(r::text, ';' ORDER BY r::text) FROM ledger_entries r WHERE tenant_id = ?0), (SELECT string_agg(r::text, ';' ORDER BY r::text) FROM ledger_balances r WHERE tenant_id = ?0)))`, b.tenant).Scan(b.t.Context(), &sum)
	if err != nil {
		b.t.Fatal(err)
	}
	return sum
}
