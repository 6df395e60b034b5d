package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"countersign/billing/billingtest"
	"countersign/internal/apps"
)

// deepChecks are those of all apps, as the program has them.
func deepChecks(t *testing.T) []apps.Check {
	t.Helper()
	return program(t, billingtest.New(t)).checks(true)
}

var checkID = regexp.MustCompile(`^[a-z]+\.E\d{3}$`)

// TestDeepChecks holds what docs/verify.md and everybody who reads a finding rely on.
func TestDeepChecks(t *testing.T) {
	t.Parallel()
	list := deepChecks(t)
	if len(list) < 20 {
		t.Fatalf("only %d checks", len(list))
	}
	seen := map[string]bool{}
	for _, c := range list {
		if !checkID.MatchString(c.ID) || seen[c.ID] {
			t.Errorf("%q is no id of its own", c.ID)
		}
		seen[c.ID] = true
		if c.What == "" || strings.HasSuffix(c.What, ".") || c.What[0] < 'a' || c.What[0] > 'z' {
			t.Errorf("%s looks for %q: that is the middle of a sentence, without a full stop", c.ID, c.What)
		}
		if !strings.HasSuffix(c.Hint, ".") {
			t.Errorf("%s says what to do with %q: that is no sentence", c.ID, c.Hint)
		}
	}
	golden(t, "../../docs/verify.md", checksPage(list))
}

const checksIntro = `# How to read ` + "`countersign verify`" + `

    countersign verify [--tenant=shop] [--json]

reads the books of every active tenant whole and proves them: every transaction sums to zero in each currency, every cached balance is the sum
of its entries, what was paid is posted exactly once, every posting is of a kind that is known and has something that caused it, people have
approved what they had to, and numbered series and hash chains have no gap. It changes nothing and may run beside everything else, for each
check is one statement and sees one moment.

    tenant 019b… (shop)
      RESULT    CHECK        FOUND  TIME   LOOKED FOR
      ok        ledger.E001  0      12 ms  a transaction does not sum to zero
      broken    ledger.E005  1      9 ms   a cached balance is not the sum of its entries
                                             8c1f…: cached 15007, true 15000
                                             what to do: Run countersign ledger rebuild, …

| result | means |
|---|---|
| ` + "`ok`" + ` | all of the tenant's rows were read, and none is so |
| ` + "`broken`" + ` | the named objects are so: a bug or fraud. At most a hundred are counted, and five printed; ` + "`--json`" + ` has them all |
| ` + "`unproven`" + ` | the check could not be run, so it says nothing. The others were |

The exit code is 0 when everything is ` + "`ok`" + `, else 1. The same checks run every night as the task ` + "`integrity.prove`" + ` (by hand:
` + "`countersign jobs run --tenant=shop integrity.prove`" + `, or ` + "`POST /api/v1/billing/jobs/tasks/integrity.prove/run/`" + `). What that finds is

* the event ` + "`integrity.broken`" + `, with the first ten objects of each check;
* a record ` + "`integrity.broken`" + ` in the audit log and lines ` + "`the books are broken`" + ` at level error in the program's log;
* a note above the console's background work, and the page *Proof of the books*;
* the figures ` + "`countersign_integrity_findings{check}`" + ` and ` + "`countersign_integrity_last_run_timestamp_seconds{check}`" + ` on ` + "`/metrics`" + `. Two alarms are
  enough: ` + "`countersign_integrity_findings > 0`" + `, and ` + "`time() - countersign_integrity_last_run_timestamp_seconds > 100000`" + `, which is a
  night that nobody has proven.

Nothing is ever mended by an UPDATE: entries, transactions and the audit log cannot be changed. A mistake is corrected by a posting that says
so, a cached balance by ` + "`countersign ledger rebuild`" + `, and what was lost past the program comes from a backup. A transaction that nothing
has caused is mended by its reversal; the two are no finding any more, unless somebody takes the reversal back:

    countersign ledger repair --tenant=shop --transaction=<object> --reason="posted by a script"

reverses what ` + "`ledger.E008`" + ` names and nothing else. What stands for something that has happened is taken back where it happened: a refund, an
invoice, a credit note, a conversion.

An object is the id of what the check is about: a transaction, a ledger account, an invoice, a payment, a record of the audit log. The list is
made from the source by ` + "`go test ./cmd/countersign -run TestDeepChecks -update`" + `.
`

// checksPage is docs/verify.md.
func checksPage(list []apps.Check) string {
	slices.SortFunc(list, func(a, b apps.Check) int { return strings.Compare(a.ID, b.ID) })
	var b strings.Builder
	b.WriteString(checksIntro)
	app := ""
	for _, c := range list {
		if name, _, _ := strings.Cut(c.ID, "."); name != app {
			app = name
			fmt.Fprintf(&b, "\n## %s\n\n| check | looks for | what to do |\n|---|---|---|\n", app)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.ID, c.What, c.Hint)
	}
	return b.String()
}

func TestVerify(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := program(t, w)
	w.Pay(w.OpenInvoice("150.00").ID)
	print := func(result proof) string {
		var out bytes.Buffer
		if err := result.print(&out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	t.Run("lets one check fail and runs the others", func(t *testing.T) {
		checks := append([]apps.Check{{ID: "x.E001", What: "a thing", Run: func(context.Context) (*apps.Finding, error) { return nil, errors.New("no connection") }}}, p.checks(true)...)
		result, err := p.prove(t.Context(), w.Tenant.Slug, checks)
		if err != nil {
			t.Fatal(err)
		}
		if result.OK || result.Unproven != 1 || result.Findings != 0 || len(result.Tenants) != 1 || len(result.Tenants[0].Checks) != len(checks) || result.verdict() == nil {
			t.Errorf("got %+v", result)
		}
		if out := print(result); !strings.Contains(out, "no connection") || strings.Contains(out, "are right") {
			t.Error(out)
		}
	})
	t.Run("prints what is right, and then what is broken", func(t *testing.T) {
		result, err := p.prove(t.Context(), w.Tenant.Slug, p.checks(true))
		if err != nil || result.verdict() != nil || !strings.Contains(print(result), "The books of 1 tenants are right") {
			t.Errorf("%v %s", err, print(result))
		}
		w.Tamper("UPDATE ledger_balances SET amount_minor = amount_minor + 7 WHERE tenant_id = ?")
		result, err = p.prove(t.Context(), w.Tenant.Slug, p.checks(true))
		if err != nil || result.Findings != 1 || result.verdict() == nil {
			t.Fatalf("%v %+v", err, result)
		}
		if out := print(result); !regexp.MustCompile(`broken +ledger\.E005 +1 `).MatchString(out) || !strings.Contains(out, "what to do: Run countersign ledger rebuild") {
			t.Error(out)
		}
	})
}
