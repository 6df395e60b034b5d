package ledger_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"countersign/billing/ledger"
)

var (
	entryRow = regexp.MustCompile("^\\| `([a-z_]+)(?::\\w+)?` \\| ([^|]*) ?\\| ([^|]*) ?\\|$")
	shown    = regexp.MustCompile(`^([0-9.]+) (\w+)$`)
)

// TestPage adds up the transactions that docs/ledger.md draws: each is balanced, and its accounts are those of the chart.
func TestPage(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/ledger.md")
	if err != nil {
		t.Fatal(err)
	}
	drawn := 0
	sums := map[string]decimal.Decimal{}
	for line := range strings.SplitSeq(string(raw)+"\n", "\n") {
		row := entryRow.FindStringSubmatch(line)
		if row == nil {
			if len(sums) > 0 && line == "" { // the end of a table
				drawn++
				for currency, sum := range sums {
					if !sum.IsZero() {
						t.Errorf("the %s of table %d sum to %s", currency, drawn, sum)
					}
				}
				clear(sums)
			}
			continue
		}
		if ledger.CodeLabel(row[1]) == row[1] {
			t.Errorf("%s is no account of the chart", row[1])
		}
		for side, text := range row[2:] {
			if text = strings.TrimSpace(text); text == "" {
				continue
			}
			amount := shown.FindStringSubmatch(text)
			if amount == nil {
				t.Fatalf("%q is no amount: %s", text, line)
			}
			n := decimal.RequireFromString(amount[1])
			if side == 1 {
				n = n.Neg()
			}
			sums[amount[2]] = sums[amount[2]].Add(n)
		}
	}
	if drawn < 14 {
		t.Errorf("only %d transactions are drawn", drawn)
	}
}
