package billing_test

import (
	"context"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// marked finds a posting that docs/ledger.md draws: its name, and its table. What is not posted yet is marked otherwise.
var marked = regexp.MustCompile("<!-- posting: (\\w+) -->\n\n\\| account \\| debit \\| credit \\|\n\\|---\\|---\\|---\\|\n((?:\\|.*\n)+)")

// drawn are all tables of entries on the page, marked or not.
var drawn = regexp.MustCompile(`\| account \| debit \| credit \|`)

// teller makes what a story is about. The ledger's last transaction of the kind is what is drawn.
type teller struct {
	*billingtest.World
	t *testing.T
}

func (w teller) staff(path string, body map[string]any) testkit.Answer {
	w.t.Helper()
	a := w.As(w.Owner).With("Idempotency-Key", uuid.NewString()).Post(billingtest.Base+"/billing/"+path, body)
	if a.Status >= 300 {
		w.t.Fatalf("%s: %d %s", path, a.Status, a.Raw)
	}
	return a
}

// bill is the invoice of the page: 100.00 less 10.00 discount, plus 15 % tax, with 30 service credits.
func (w teller) bill() string {
	return w.OpenInvoice("100.00", func(in *invoices.CreateInput) {
		in.Lines[0].Discount, in.Lines[0].TaxRate, in.Lines[0].Credits = "10.00", "0.15", 30
	}).ID.String()
}

// pay claims and settles a payment of an invoice.
func (w teller) pay(invoice string, minor int64) string {
	return w.Pay(uuid.MustParse(invoice), func(in *payments.SubmitManualInput) {
		in.Amount = func(c money.Currency) (*money.Money, error) { m := money.New(minor, c); return &m, nil }
	}).ID.String()
}

// refund gives money of a payment back by hand.
func (w teller) refund(payment, amount, reason string, note bool) string {
	return w.staff("payments/"+payment+"/refund/", map[string]any{"amount": amount, "reason": reason, "credit_note": note, "payout_reference": "BANK 1"}).Text("data.id")
}

func (w teller) reverse(path string) {
	w.staff(path+"/reverse/", map[string]any{"reason": "A mistake"})
}

// charge takes 25.00 at the sandbox.
func (w teller) charge(prepayment bool) string {
	w.EnableSandbox()
	return w.staff("charges/", map[string]any{"amount": "25.00", "currency": "USD", "payment_source": "tok_visa", "account_id": w.Account.ID.String(), "prepayment": prepayment}).Text("data.id")
}

// convert turns credit of 10.00 USD into so'm, of which the bank gives as many.
func (w teller) convert(given string) string {
	w.GiveCredit(w.Account.ID, money.New(1000, "USD"))
	return w.staff("fx/conversions/", map[string]any{"account_id": w.Account.ID.String(), "from_currency": "USD", "to_currency": "UZS", "from_amount": "10.00", "rate": "12500", "source": "cbu.uz", "to_amount": given, "reason": "The bank's letter"}).Text("data.id")
}

func (w teller) writeOff() string {
	tolerance := int64(10_000)
	w.Configure(tenancy.UpdateInput{WriteOffToleranceMinor: &tolerance})
	invoice := w.bill()
	w.pay(invoice, 5000)
	return w.staff("invoices/"+invoice+"/write_off/", map[string]any{"reason": "Too little to go on about"}).Text("data.id")
}

// stories are what docs/ledger.md draws: each makes it happen through the services, and says which kind of posting it was.
var stories = map[string]func(w teller) string{
	"invoice_finalised": func(w teller) string { w.bill(); return ledger.KindInvoiceFinalized },
	"invoice_void": func(w teller) string {
		w.staff("invoices/"+w.bill()+"/void/", map[string]any{"reason": "Withdrawn"})
		return ledger.KindReversal
	},
	"payment_exact":     func(w teller) string { w.pay(w.bill(), 10350); return ledger.KindPaymentSettled },
	"payment_too_much":  func(w teller) string { w.pay(w.bill(), 12000); return ledger.KindPaymentSettled },
	"payment_too_small": func(w teller) string { w.pay(w.bill(), 5000); return ledger.KindPaymentSettled },
	"payment_cash": func(w teller) string {
		w.staff("payments/", map[string]any{"gateway": "cash", "amount": "103.50", "currency": "USD", "reference": w.Reference(), "invoice_id": w.bill()})
		return ledger.KindPaymentSettled
	},
	"charge_revenue":    func(w teller) string { w.charge(false); return ledger.KindPaymentSettled },
	"charge_prepayment": func(w teller) string { w.charge(true); return ledger.KindPaymentSettled },
	"credits_granted":   func(w teller) string { w.pay(w.bill(), 10350); return ledger.KindCreditsGranted },
	"credits_returned": func(w teller) string {
		w.refund(w.pay(w.bill(), 10350), "34.50", "item_return", true)
		return ledger.KindCreditsReturned
	},
	"credit_applied": func(w teller) string {
		w.pay(w.bill(), 12000)
		w.staff("invoices/"+w.bill()+"/apply_credit/", map[string]any{})
		return ledger.KindCreditApplied
	},
	"credit_note": func(w teller) string {
		w.staff("invoices/"+w.bill()+"/credit-notes/", map[string]any{"amount": "46.00", "reason": "Less was delivered"})
		return ledger.KindCreditNote
	},
	"write_off": func(w teller) string { w.writeOff(); return ledger.KindWrittenOff },
	"write_off_reversed": func(w teller) string {
		w.reverse("write-offs/" + w.writeOff())
		return ledger.KindReversal
	},
	"refund_with_note": func(w teller) string {
		w.refund(w.pay(w.bill(), 10350), "46.00", "item_return", true)
		return ledger.KindPaymentRefunded
	},
	"refund_owed_again": func(w teller) string {
		w.refund(w.pay(w.bill(), 10350), "46.00", "duplicate", false)
		return ledger.KindPaymentRefunded
	},
	"refund_overpayment": func(w teller) string {
		w.refund(w.pay(w.bill(), 12000), "16.50", "overpayment", true)
		return ledger.KindPaymentRefunded
	},
	"refund_both": func(w teller) string {
		w.refund(w.pay(w.bill(), 12000), "62.50", "overpayment", true)
		return ledger.KindPaymentRefunded
	},
	"refund_revenue": func(w teller) string {
		w.staff("payments/"+w.charge(false)+"/refund/", map[string]any{"amount": "10.00", "reason": "item_return"})
		return ledger.KindPaymentRefunded
	},
	"refund_reversed": func(w teller) string {
		w.reverse("refunds/" + w.refund(w.pay(w.bill(), 10350), "46.00", "item_return", true))
		return ledger.KindReversal
	},
	"payment_moved": func(w teller) string {
		invoice := w.bill()
		refund := w.refund(w.pay(invoice, 10350), "46.00", "duplicate", false)
		w.pay(invoice, 4600)
		w.reverse("refunds/" + refund)
		return ledger.KindPaymentMoved
	},
	"conversion":            func(w teller) string { w.convert("125000.00"); return ledger.KindFXConverted },
	"conversion_difference": func(w teller) string { w.convert("124990.00"); return ledger.KindFXConverted },
}

// table draws the tenant's last posting of a kind as the page does, line by line.
func (w teller) table(kind string) []string {
	var rows []struct {
		Code, Owner, Currency string
		Minor                 int64 `bun:"amount_minor"`
	}
	w.Read(func(ctx context.Context, tx bun.Tx) error {
		return tx.NewRaw(`SELECT a.code, a.owner, e.currency, e.amount_minor FROM ledger_entries AS e JOIN ledger_accounts AS a ON a.tenant_id = ?0 AND a.id = e.ledger_account_id
			WHERE e.tenant_id = ?0 AND e.transaction_id = (SELECT t.id FROM ledger_transactions AS t WHERE t.tenant_id = ?0 AND t.kind = ?1 ORDER BY t.id DESC LIMIT 1) ORDER BY e.line`,
			w.Tenant.ID, kind).Scan(ctx, &rows)
	})
	lines := []string{}
	for _, r := range rows {
		account := r.Code
		switch r.Owner {
		case "":
		case w.Account.ID.String():
			account += ":A"
		default:
			account += ":" + r.Owner
		}
		if r.Minor < 0 {
			lines = append(lines, "| `"+account+"` | | "+ledger.Format(-r.Minor, r.Currency)+" "+r.Currency+" |")
			continue
		}
		lines = append(lines, "| `"+account+"` | "+ledger.Format(r.Minor, r.Currency)+" "+r.Currency+" | |")
	}
	return lines
}

// TestDrawnPostings makes happen what docs/ledger.md draws, and compares what the ledger holds then with each table.
func TestDrawnPostings(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../docs/ledger.md")
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string][]string{}
	for _, m := range marked.FindAllStringSubmatch(string(raw), -1) {
		tables[m[1]] = slices.Sorted(strings.Lines(m[2]))
	}
	names := slices.Sorted(maps.Keys(stories))
	if diff := cmp.Diff(names, slices.Sorted(maps.Keys(tables))); diff != "" {
		t.Errorf("what is told here and what is drawn (-told +drawn):\n%s", diff)
	}
	if all, later := len(drawn.FindAllString(string(raw), -1)), strings.Count(string(raw), "<!-- not posted yet -->"); all != len(tables)+later {
		t.Errorf("%d tables are drawn, %d are checked and %d are of what is not posted yet", all, len(tables), later)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := teller{billingtest.NewInTestMode(t), t}
			kind := stories[name](w)
			held := w.table(kind)
			if len(held) < 2 {
				t.Fatalf("nothing of the kind %s is posted", kind)
			}
			want := []string{}
			for _, line := range held {
				want = append(want, line+"\n")
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, tables[name]); diff != "" {
				t.Errorf("the ledger holds\n%s\n(-held +drawn)\n%s", strings.Join(held, "\n"), diff)
			}
			w.AssertBooks(t)
		})
	}
}
