package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"countersign/tenancy"
)

// TrialRow is what was moved on all accounts of one code in one currency. Debits and credits are both positive.
type TrialRow struct {
	Code        string `bun:"code"`
	Currency    string `bun:"currency"`
	DebitMinor  Sum    `bun:"debit_minor"`
	CreditMinor Sum    `bun:"credit_minor"`
}

// BalanceMinor is debits minus credits.
func (r TrialRow) BalanceMinor() Sum { return r.DebitMinor.Sub(r.CreditMinor) }

// TrialTotal is the sum of a currency over the whole chart.
type TrialTotal struct {
	Currency    string
	DebitMinor  Sum
	CreditMinor Sum
}

// SumMinor is debits minus credits: zero, or the books are broken.
func (t TrialTotal) SumMinor() Sum { return t.DebitMinor.Sub(t.CreditMinor) }

// Trial is a trial balance: rows by code and currency, totals by currency.
type Trial struct {
	Rows   []TrialRow
	Totals []TrialTotal
}

// Balanced says whether every currency sums to zero.
func (t Trial) Balanced() bool {
	for _, total := range t.Totals {
		if !total.SumMinor().IsZero() {
			return false
		}
	}
	return true
}

// TrialBalance sums all entries of the tenant, up to and including asOf when it is given. It reads the whole ledger.
// Entries of an unknown account, which only a broken database can hold, appear under the code "unknown".
func TrialBalance(ctx context.Context, db bun.IDB, asOf *time.Time) (Trial, error) {
	tenant := tenancy.ID(ctx)
	sums := db.NewSelect().TableExpr("ledger_entries AS e").
		ColumnExpr("e.ledger_account_id AS id, e.currency").
		ColumnExpr("coalesce(sum(e.amount_minor) FILTER (WHERE e.amount_minor > 0), 0) AS debit").
		ColumnExpr("coalesce(-sum(e.amount_minor) FILTER (WHERE e.amount_minor < 0), 0) AS credit").
		Where("e.tenant_id = ?", tenant).GroupExpr("e.ledger_account_id, e.currency")
	if asOf != nil {
		sums = sums.Where("e.created_at <= ?", *asOf)
	}
	var t Trial
	err := db.NewSelect().TableExpr("(?) AS s", sums).
		ColumnExpr("coalesce(a.code, 'unknown') AS code, s.currency, sum(s.debit) AS debit_minor, sum(s.credit) AS credit_minor").
		Join("LEFT JOIN ledger_accounts AS a ON a.tenant_id = ? AND a.id = s.id", tenant).
		GroupExpr("1, 2").OrderExpr("s.currency, 1").Scan(ctx, &t.Rows)
	if err != nil {
		return t, fmt.Errorf("sum the ledger: %w", err)
	}
	for _, r := range t.Rows { // sorted by currency
		if n := len(t.Totals); n == 0 || t.Totals[n-1].Currency != r.Currency {
			t.Totals = append(t.Totals, TrialTotal{Currency: r.Currency})
		}
		total := &t.Totals[len(t.Totals)-1]
		total.DebitMinor = total.DebitMinor.Add(r.DebitMinor)
		total.CreditMinor = total.CreditMinor.Add(r.CreditMinor)
	}
	return t, nil
}
