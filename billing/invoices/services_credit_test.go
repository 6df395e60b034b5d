package invoices_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/database"
	"countersign/internal/errs"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// routes is where invoices are, in a world.
const routes = billingtest.Base + "/billing/invoices/"

// overpay gives the world's first customer credit in dollars.
func overpay(t testing.TB, w *billingtest.World, minor int64) {
	t.Helper()
	inv := w.OpenInvoice("1.00")
	w.Pay(inv.ID, func(in *payments.SubmitManualInput) {
		in.Amount = func(c money.Currency) (*money.Money, error) { m := money.New(minor+100, c); return &m, nil }
	})
	if got := creditOf(w); got < minor {
		t.Fatalf("the customer has %d of credit", got)
	}
}

// creditOf is what the first customer has to spend.
func creditOf(w *billingtest.World) int64 {
	return -w.Balance(ledger.CustomerCredit(w.Account.ID, "USD"))
}

// serviceCreditsOf is how many service credits he has.
func serviceCreditsOf(w *billingtest.World) int64 { return -w.Balance(ledger.Credits(w.Account.ID)) }

// granting makes an invoice grant service credits.
func granting(n int64) func(*invoices.CreateInput) {
	return func(in *invoices.CreateInput) { in.Lines[0].Credits = n }
}

// noCause is the proof that finds what tests post that nothing in this program does, such as the use of service credits.
const noCause = "ledger.E008"

// useCredits spends service credits, as a program that sells them does.
func useCredits(t testing.TB, w *billingtest.World, n int64) {
	t.Helper()
	post(t.(*testing.T), w, ledger.Posting{Cause: "use:" + uuid.NewString(), Kind: ledger.KindCreditsUsed, CustomerID: w.Account.ID, Entries: []ledger.Entry{
		{Account: ledger.Credits(w.Account.ID), AmountMinor: n}, {Account: ledger.CreditsIssued(), AmountMinor: -n}}})
}

// amounts is how an invoice stands, in one line.
func amounts(inv *invoices.Invoice) string {
	return fmt.Sprintf("%s: %d paid, %d credited, %d by credit, %d written off, %d left", inv.Status, inv.PaidMinor, inv.CreditedMinor, inv.CreditAppliedMinor, inv.WrittenOffMinor, inv.BalanceMinor)
}

func stands(t testing.TB, w *billingtest.World, id uuid.UUID, want string) {
	t.Helper()
	if got := amounts(w.Invoice(id)); got != want {
		t.Errorf("the invoice is %s, want %s", got, want)
	}
}

type body = map[string]any

func TestApplyCredit(t *testing.T) {
	t.Parallel()
	t.Run("spends what the entries say, whatever the cache does", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		w.GiveCredit(w.Account.ID, money.New(1000, "USD"))
		inv, owner := w.OpenInvoice("90.00"), w.As(w.Finance)
		w.Tamper("UPDATE ledger_balances SET amount_minor = -9000 WHERE tenant_id = ? AND code = 'customer_credit'")
		owner.Post(routes+inv.ID.String()+"/apply_credit/", body{"amount": "90.00"}).Refused(http.StatusConflict, "credit_exceeded")
		w.Tamper("DELETE FROM ledger_balances WHERE tenant_id = ? AND code = 'customer_credit'")
		owner.Post(routes+inv.ID.String()+"/apply_credit/", body{}).Expect(http.StatusOK)
		stands(t, w, inv.ID, "partially_paid: 0 paid, 0 credited, 1000 by credit, 0 written off, 8000 left")
		w.AssertBooks(t)
	})
	t.Run("pays as much as both allow, grants what is bought, and is taken back", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		overpay(t, w, 3000)
		inv := w.OpenInvoice("50.00", granting(7))
		events, owner := len(w.Events()), w.As(w.Finance)
		a := owner.Post(routes+inv.ID.String()+"/apply_credit/", body{}).Expect(http.StatusOK)
		stands(t, w, inv.ID, "partially_paid: 0 paid, 0 credited, 3000 by credit, 0 written off, 2000 left")
		for at, want := range map[string]any{"data.credit_applied_amount": "30.00", "data.balance_amount": "20.00", "data.adjustments.0.kind": "credit_applied", "data.adjustments.0.amount": "30.00",
			"data.adjustments.0.currency": "USD", "data.adjustments.0.reverses": nil, "data.adjustments.0.reversed_by": nil, "data.adjustments.0.made_by": w.Finance.Email} {
			if got := a.At(at); got != want {
				t.Errorf("%s is %v, want %v", at, got, want)
			}
		}
		owner.Post(routes+inv.ID.String()+"/apply_credit/", body{}).Refused(http.StatusConflict, "no_credit")
		overpay(t, w, 2500)
		owner.Post(routes+inv.ID.String()+"/apply_credit/", body{"amount": "20.01"}).Refused(http.StatusBadRequest, "amount_above_balance")
		second := owner.Post(routes+inv.ID.String()+"/apply_credit/", body{"amount_minor": 2000, "amount": "20.00", "currency": "usd"}).Expect(http.StatusOK).Text("data.adjustments.1.id")
		stands(t, w, inv.ID, "paid: 0 paid, 0 credited, 5000 by credit, 0 written off, 0 left")
		if credit, units := creditOf(w), serviceCreditsOf(w); credit != 500 || units != 7 {
			t.Errorf("the customer has %d of credit and %d service credits", credit, units)
		}
		w.AssertBooks(t)
		owner.Post(routes+inv.ID.String()+"/apply_credit/", body{}).Refused(http.StatusConflict, "nothing_owed")

		undo := body{"adjustment_id": second, "reason": "The wrong invoice"}
		useCredits(t, w, 1)
		owner.Post(routes+inv.ID.String()+"/unapply_credit/", undo).Refused(http.StatusConflict, "service_credits_spent")
		stands(t, w, inv.ID, "paid: 0 paid, 0 credited, 5000 by credit, 0 written off, 0 left")
		w.Pay(w.OpenInvoice("1.00", granting(1)).ID)
		back := owner.Post(routes+inv.ID.String()+"/unapply_credit/", undo).Expect(http.StatusOK)
		if back.At("data.paid_at") != nil || back.Text("data.adjustments.2.amount") != "-20.00" || back.Text("data.adjustments.2.reverses") != second ||
			back.At("data.adjustments.1.reversed_by") != back.At("data.adjustments.2.id") || back.Text("data.adjustments.2.reason") != "The wrong invoice" {
			t.Errorf("%s", back.Raw)
		}
		stands(t, w, inv.ID, "partially_paid: 0 paid, 0 credited, 3000 by credit, 0 written off, 2000 left")
		if credit, units := creditOf(w), serviceCreditsOf(w); credit != 2500 || units != 0 {
			t.Errorf("the customer has %d of credit and %d service credits", credit, units)
		}
		owner.Post(routes+inv.ID.String()+"/unapply_credit/", undo).Refused(http.StatusConflict, "adjustment_already_reversed")
		owner.Post(routes+inv.ID.String()+"/unapply_credit/", body{"adjustment_id": back.Text("data.adjustments.2.id"), "reason": "x"}).Refused(http.StatusNotFound, "adjustment_not_found")
		w.AssertBooks(t, noCause)

		// the payment of the rest grants what was taken back
		w.Pay(inv.ID)
		stands(t, w, inv.ID, "paid: 2000 paid, 0 credited, 3000 by credit, 0 written off, 0 left")
		if units := serviceCreditsOf(w); units != 7 {
			t.Errorf("the customer has %d service credits", units)
		}
		w.AssertBooks(t, noCause)
		want := []string{"invoice.credit_applied", "invoice.credit_applied", "invoice.paid", "credits.granted", "invoice.credit_unapplied", "credits.returned"}
		got := slices.DeleteFunc(w.Events()[events:], func(e string) bool { return !slices.Contains(want, e) })
		want = []string{"invoice.credit_applied", "invoice.paid", "invoice.credit_applied", "invoice.paid", "credits.granted", "invoice.paid", "credits.granted", "invoice.credit_unapplied", "credits.returned",
			"invoice.paid", "credits.granted"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"invoice.apply_credit", "invoice.apply_credit", "invoice.unapply_credit"}, w.Audited("invoice.apply_credit", "invoice.unapply")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("is refused where it makes no sense", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		overpay(t, w, 500)
		owner, open := w.As(w.Owner), w.OpenInvoice("10.00")
		void := w.OpenInvoice("10.00")
		if _, err := w.Invoices.Void(w.Owner.Ctx, invoices.VoidInput{Invoice: void.ID.String(), Reason: "x"}); err != nil {
			t.Fatal(err)
		}
		euros := w.OpenInvoice("10.00", func(in *invoices.CreateInput) { in.Currency = "EUR" })
		foreign := w.OpenInvoice("10.00", func(in *invoices.CreateInput) { in.Account = w.Other.ID.String() })
		for _, tt := range []struct {
			name   string
			id     string
			body   body
			status int
			code   string
		}{
			{"a draft", w.DraftInvoice("10.00").ID.String(), body{}, 400, "invoice_not_finalized"},
			{"a void invoice", void.ID.String(), body{}, 400, "invoice_void"},
			{"an invoice in another currency than the credit", euros.ID.String(), body{}, 409, "no_credit"},
			{"somebody else's credit", foreign.ID.String(), body{}, 409, "no_credit"},
			{"another currency", open.ID.String(), body{"currency": "EUR"}, 400, "currency_mismatch"},
			{"no currency at all", open.ID.String(), body{"currency": "QQQ"}, 400, "unknown_currency"},
			{"nothing", open.ID.String(), body{"amount": "0"}, 400, "not_positive"},
			{"less than nothing", open.ID.String(), body{"amount_minor": -1}, 400, "not_positive"},
			{"two amounts", open.ID.String(), body{"amount_minor": 1, "amount": "1.00"}, 400, "amounts_disagree"},
			{"more than there is", open.ID.String(), body{"amount": "5.01"}, 409, "credit_exceeded"},
			{"an unknown invoice", uuid.NewString(), body{}, 404, "invoice_not_found"},
		} {
			a := owner.Post(routes+tt.id+"/apply_credit/", tt.body)
			if a.Status != tt.status || a.Body["code"] != tt.code {
				t.Errorf("%s: %s", tt.name, a.Raw)
			}
		}
		w.As(w.Member).Post(routes+open.ID.String()+"/apply_credit/", body{}).Refused(http.StatusForbidden, "permission_denied")
		w.As(w.Viewer).Post(routes+open.ID.String()+"/apply_credit/", body{}).Refused(http.StatusForbidden, "permission_denied")
		neighbour := billingtest.New(t)
		neighbour.As(neighbour.Owner).Post(routes+open.ID.String()+"/apply_credit/", body{}).Refused(http.StatusNotFound, "invoice_not_found")
		stands(t, w, open.ID, "open: 0 paid, 0 credited, 0 by credit, 0 written off, 1000 left")

		applied := owner.Post(routes+open.ID.String()+"/apply_credit/", body{}).Expect(http.StatusOK).Text("data.adjustments.0.id")
		owner.Post(routes+open.ID.String()+"/void/", body{"reason": "x"}).Refused(http.StatusConflict, "invoice_adjusted")
		owner.Post(routes+euros.ID.String()+"/unapply_credit/", body{"adjustment_id": applied, "reason": "x"}).Refused(http.StatusNotFound, "adjustment_not_found")
		neighbour.As(neighbour.Owner).Post(routes+open.ID.String()+"/unapply_credit/", body{"adjustment_id": applied, "reason": "x"}).Refused(http.StatusNotFound, "invoice_not_found")
		w.AssertBooks(t)
	})
	t.Run("is shown to the customer without who did it and why", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		overpay(t, w, 500)
		inv := w.OpenInvoice("10.00")
		id := w.As(w.Owner).Post(routes+inv.ID.String()+"/apply_credit/", body{}).Expect(http.StatusOK).Text("data.adjustments.0.id")
		w.As(w.Owner).Post(routes+inv.ID.String()+"/unapply_credit/", body{"adjustment_id": id, "reason": "Our secret"}).Expect(http.StatusOK)
		seen := w.As(w.Member).Get(routes + inv.ID.String() + "/").Expect(http.StatusOK)
		if len(seen.List("data.adjustments")) != 2 || seen.At("data.adjustments.1.made_by") != nil || strings.Contains(string(seen.Raw), "secret") || strings.Contains(string(seen.Raw), w.Owner.Email) {
			t.Errorf("%s", seen.Raw)
		}
		balance := w.As(w.Member).Get(routes + inv.ID.String() + "/balance/").Expect(http.StatusOK)
		if balance.Text("data.credit_applied_amount") != "0.00" || balance.Int("data.written_off_amount_minor") != 0 {
			t.Errorf("%s", balance.Raw)
		}
		w.As(w.OtherMember).Get(routes+inv.ID.String()+"/").Refused(http.StatusNotFound, "invoice_not_found")
	})
	t.Run("happens once for each key", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		overpay(t, w, 500)
		inv := w.OpenInvoice("10.00")
		owner := w.As(w.Owner).With("Idempotency-Key", "k")
		first := owner.Post(routes+inv.ID.String()+"/apply_credit/", body{"amount": "1.00"}).Expect(http.StatusOK)
		again := owner.Post(routes+inv.ID.String()+"/apply_credit/", body{"amount": "1.00"}).Expect(http.StatusOK)
		if again.Header.Get("Idempotent-Replayed") != "true" || first.Text("data.adjustments.0.id") != again.Text("data.adjustments.0.id") {
			t.Errorf("%s", again.Raw)
		}
		owner.Post(routes+inv.ID.String()+"/apply_credit/", body{"amount": "2.00"}).Refused(http.StatusConflict, "idempotency_key_reused")
		undo := body{"adjustment_id": first.Text("data.adjustments.0.id"), "reason": "x"}
		for range 2 {
			owner.Post(routes+inv.ID.String()+"/unapply_credit/", undo).Expect(http.StatusOK)
		}
		stands(t, w, inv.ID, "open: 0 paid, 0 credited, 0 by credit, 0 written off, 1000 left")
		w.AssertBooks(t)
	})
	t.Run("at finalisation, where the tenant says so", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		overpay(t, w, 1500)
		w.As(w.Owner).Patch(billingtest.Base+"/tenant/", body{"apply_credit_automatically": true}).Expect(http.StatusOK)
		whole, part, none := w.OpenInvoice("10.00", granting(3)), w.OpenInvoice("10.00"), w.OpenInvoice("10.00")
		stands(t, w, whole.ID, "paid: 0 paid, 0 credited, 1000 by credit, 0 written off, 0 left")
		stands(t, w, part.ID, "partially_paid: 0 paid, 0 credited, 500 by credit, 0 written off, 500 left")
		stands(t, w, none.ID, "open: 0 paid, 0 credited, 0 by credit, 0 written off, 1000 left")
		if units := serviceCreditsOf(w); units != 3 {
			t.Errorf("%d service credits", units)
		}
		w.AssertBooks(t)
	})
}

// TestCreditRaces lets two spend one credit, and credit and a payment pay one invoice.
func TestCreditRaces(t *testing.T) {
	t.Parallel()
	t.Run("one credit for two invoices", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		overpay(t, w, 1000)
		list := []*invoices.Invoice{w.OpenInvoice("10.00"), w.OpenInvoice("10.00"), w.OpenInvoice("10.00"), w.OpenInvoice("10.00")}
		errors := together(len(list), func(i int) error {
			_, err := w.Invoices.ApplyCredit(w.Owner.Ctx, invoices.ApplyCreditInput{Invoice: list[i].ID.String()})
			return err
		})
		if won := count(errors, nil); won != 1 || count(errors, invoices.ErrNoCredit) != len(list)-1 {
			t.Errorf("%d were paid by one credit: %v", won, errors)
		}
		if left := creditOf(w); left != 0 {
			t.Errorf("%d of credit are left", left)
		}
		w.AssertBooks(t)
	})
	t.Run("one credit for one invoice, twice", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		overpay(t, w, 1500)
		inv := w.OpenInvoice("10.00", granting(5))
		errors := together(4, func(int) error {
			_, err := w.Invoices.ApplyCredit(w.Owner.Ctx, invoices.ApplyCreditInput{Invoice: inv.ID.String()})
			return err
		})
		if won := count(errors, nil); won != 1 || count(errors, invoices.ErrNothingOwed) != 3 {
			t.Errorf("it was paid %d times: %v", won, errors)
		}
		if units := serviceCreditsOf(w); units != 5 {
			t.Errorf("%d service credits", units)
		}
		w.AssertBooks(t)
	})
	t.Run("credit and a payment that is settled", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		overpay(t, w, 1000)
		inv := w.OpenInvoice("10.00", granting(5))
		p := w.Submit(inv.ID)
		w.Approve(p.ID, w.Approver)
		errors := together(2, func(i int) error {
			if i == 0 {
				return w.Payments.Settle(w.System)
			}
			_, err := w.Invoices.ApplyCredit(w.Owner.Ctx, invoices.ApplyCreditInput{Invoice: inv.ID.String()})
			return err
		})
		if errors[0] != nil || !isOf(errors[1], invoices.ErrPaymentPending) && !isOf(errors[1], invoices.ErrNothingOwed) { // before it was settled, and after
			t.Errorf("%v", errors)
		}
		w.SettleAll()
		if inv := w.Invoice(inv.ID); inv.Status != invoices.StatusPaid || inv.BalanceMinor != 0 {
			t.Error(amounts(inv))
		}
		if credit, units := creditOf(w), serviceCreditsOf(w); credit != 1000 || units != 5 {
			t.Errorf("%d of credit and %d service credits", credit, units)
		}
		w.AssertBooks(t)
	})
	t.Run("credit and a claim of as much: one of them pays", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		overpay(t, w, 1000)
		inv := w.OpenInvoice("10.00")
		errors := together(2, func(i int) (err error) {
			if i == 0 {
				_, err = w.Payments.SubmitManual(w.Member.Ctx, w.Claim(inv.ID))
				return err
			}
			_, err = w.Invoices.ApplyCredit(w.Owner.Ctx, invoices.ApplyCreditInput{Invoice: inv.ID.String()})
			return err
		})
		if claimed := errors[0] == nil; claimed && !isOf(errors[1], invoices.ErrPaymentPending) || !claimed && (errors[1] != nil || !isOf(errors[0], invoices.ErrAlreadyPaid)) {
			t.Errorf("%v", errors)
		}
		w.AssertBooks(t)
	})
	t.Run("one taking back, twice", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		overpay(t, w, 1000)
		inv := w.OpenInvoice("10.00", granting(5))
		made, err := w.Invoices.ApplyCredit(w.Owner.Ctx, invoices.ApplyCreditInput{Invoice: inv.ID.String()})
		if err != nil {
			t.Fatal(err)
		}
		errors := together(4, func(int) error {
			_, err := w.Invoices.UnapplyCredit(w.Owner.Ctx, invoices.UnapplyCreditInput{Invoice: inv.ID.String(), Adjustment: uuid.MustParse(made.Adjustments[0].ID), Reason: "x"})
			return err
		})
		if won := count(errors, nil); won != 1 || count(errors, invoices.ErrAlreadyReversed) != 3 {
			t.Errorf("it was taken back %d times: %v", won, errors)
		}
		w.AssertBooks(t)
	})
}

// together runs do n times at once and gives what came of each.
func together(n int, do func(i int) error) []error {
	out := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { out[i] = do(i) })
	}
	wg.Wait()
	return out
}

func count(list []error, want *errs.Error) (n int) {
	for _, err := range list {
		if want == nil && err == nil || want != nil && isOf(err, want) {
			n++
		}
	}
	return n
}

func isOf(err error, want *errs.Error) bool { return err != nil && errors.Is(err, want) }

// TestAdjustmentGuards tries in plain SQL what the program never does.
func TestAdjustmentGuards(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	overpay(t, w, 1000)
	inv, other, draft := w.OpenInvoice("50.00"), w.OpenInvoice("50.00"), w.DraftInvoice("50.00")
	made, err := w.Invoices.ApplyCredit(w.Owner.Ctx, invoices.ApplyCreditInput{Invoice: inv.ID.String(), Amount: cents(600)})
	if err != nil {
		t.Fatal(err)
	}
	first := made.Adjustments[0].ID
	undone, err := w.Invoices.ApplyCredit(w.Owner.Ctx, invoices.ApplyCreditInput{Invoice: inv.ID.String(), Amount: cents(100)})
	if err == nil {
		undone, err = w.Invoices.UnapplyCredit(w.Owner.Ctx, invoices.UnapplyCreditInput{Invoice: inv.ID.String(), Adjustment: uuid.MustParse(undone.Adjustments[1].ID), Reason: "x"})
	}
	if err != nil {
		t.Fatal(err)
	}
	back := undone.Adjustments[2].ID
	insert := func(values string) string {
		return "INSERT INTO invoice_adjustments (tenant_id, id, invoice_id, account_id, kind, amount_minor, currency, reverses, made_by) SELECT '" + w.Tenant.ID.String() + "', gen_random_uuid(), " + values
	}
	account := w.Account.ID.String()
	for _, tt := range []struct{ name, query, constraint string }{
		{"more credit than the total", "UPDATE invoices SET credit_applied_minor = 5001, balance_minor = total_minor - 5001 WHERE tenant_id = ?0 AND id = '" + inv.ID.String() + "'", "amount_minor_check"},
		{"an amount beside the balance", "UPDATE invoices SET written_off_minor = 1 WHERE tenant_id = ?0 AND id = '" + inv.ID.String() + "'", "invoices_balance_check"},
		{"less than nothing written off", "UPDATE invoices SET written_off_minor = -1, balance_minor = balance_minor + 1 WHERE tenant_id = ?0 AND id = '" + inv.ID.String() + "'", "amount_minor_check"},
		{"open though credit has paid", "UPDATE invoices SET status = 'open' WHERE tenant_id = ?0 AND id = '" + inv.ID.String() + "'", "invoices_amounts_fit_status"},
		{"partially paid by nothing", "UPDATE invoices SET status = 'partially_paid' WHERE tenant_id = ?0 AND id = '" + other.ID.String() + "'", "invoices_amounts_fit_status"},
		{"void though credit has paid", "UPDATE invoices SET status = 'void', voided_at = now(), balance_minor = 0 WHERE tenant_id = ?0 AND id = '" + inv.ID.String() + "'", "invoices_amounts_fit_status"},
		{"a time of payment before it is paid", "UPDATE invoices SET paid_at = now() WHERE tenant_id = ?0 AND id = '" + inv.ID.String() + "'", "invoices_paid_at_check"},
		{"a draft with credit", "UPDATE invoices SET credit_applied_minor = 1, balance_minor = total_minor - 1 WHERE tenant_id = ?0 AND id = '" + draft.ID.String() + "'", "invoices_amounts_fit_status"},
		{"a second taking back", insert("invoice_id, account_id, kind, -100, currency, reverses, 'x' FROM invoice_adjustments WHERE tenant_id = ?0 AND id = '" + back + "'"), "invoice_adjustments_reverses_key"},
		{"a taking back of what took back", insert("invoice_id, account_id, kind, -amount_minor, currency, id, 'x' FROM invoice_adjustments WHERE tenant_id = ?0 AND id = '" + back + "'"), "invoice_adjustments_amount_check"},
		{"a part taken back", insert("invoice_id, account_id, kind, -1, currency, id, 'x' FROM invoice_adjustments WHERE tenant_id = ?0 AND id = '" + first + "'"), "invoice_adjustments_reverses_fk"},
		{"a taking back on another invoice", insert("'" + other.ID.String() + "', account_id, kind, -amount_minor, currency, id, 'x' FROM invoice_adjustments WHERE tenant_id = ?0 AND id = '" + first + "'"), "invoice_adjustments_reverses_fk"},
		{"less than nothing", insert("id, account_id, 'credit_applied', -1, currency, NULL, 'x' FROM invoices WHERE tenant_id = ?0 AND id = '" + inv.ID.String() + "'"), "invoice_adjustments_amount_check"},
		{"nothing", insert("id, account_id, 'credit_applied', 0, currency, NULL, 'x' FROM invoices WHERE tenant_id = ?0 AND id = '" + inv.ID.String() + "'"), "invoice_adjustments_amount_check"},
		{"another kind", insert("id, account_id, 'present', 1, currency, NULL, 'x' FROM invoices WHERE tenant_id = ?0 AND id = '" + inv.ID.String() + "'"), "invoice_adjustments_kind_check"},
		{"another currency", insert("id, account_id, 'credit_applied', 1, 'EUR', NULL, 'x' FROM invoices WHERE tenant_id = ?0 AND id = '" + inv.ID.String() + "'"), "invoice_adjustments_invoice"},
		{"another account", insert("id, '" + w.Other.ID.String() + "', 'credit_applied', 1, currency, NULL, 'x' FROM invoices WHERE tenant_id = ?0 AND id = '" + inv.ID.String() + "'"), "invoice_adjustments_invoice"},
		{"a draft", insert("id, '" + account + "', 'credit_applied', 1, currency, NULL, 'x' FROM invoices WHERE tenant_id = ?0 AND id = '" + draft.ID.String() + "'"), "invoice_adjustments_invoice"},
	} {
		err := plainSQL(w, tt.query)
		if !database.IsCheck(err, tt.constraint) && !database.IsUnique(err, tt.constraint) && !database.IsForeignKey(err, tt.constraint) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for _, query := range []string{"UPDATE invoice_adjustments SET amount_minor = 1 WHERE tenant_id = ?", "DELETE FROM invoice_adjustments WHERE tenant_id = ?"} {
		if err := plainSQL(w, query); err == nil {
			t.Errorf("the program: %s was taken", query)
		}
		if _, err := testkit.OwnerDB(t).NewRaw(query, w.Tenant.ID).Exec(t.Context()); err == nil {
			t.Errorf("the owner: %s was taken", query)
		}
	}
	w.AssertBooks(t)
}

// plainSQL runs a statement as the program's role.
func plainSQL(w *billingtest.World, query string) error {
	return tenancy.InTx(w.System, w.DB, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewRaw(query, w.Tenant.ID).Exec(ctx)
		return err
	})
}

// cents states an amount.
func cents(minor int64) invoices.Stated { return invoices.Stated{Minor: &minor} }
