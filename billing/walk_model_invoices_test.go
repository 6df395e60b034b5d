package billing_test

import (
	"slices"
	"strings"
)

// This file and the three beside it are what a walk believes: the rules of model.md 5.3, 5.5 and 5.6 and of docs/ledger.md,
// docs/charges.md and docs/fx.md once more, in memory and in the plainest form, without a line of the code under test.
// Amounts are minor units. done is the answer of what is not refused.
const done = ""

type model struct {
	people   map[string]*walker
	accounts []string // ids
	rules    rules

	bills       []*bill
	payments    []*payment
	deleted     []*payment
	refunds     []*refund
	writeOffs   []*writeOff
	rates       []*rate
	conversions []*conversion
	news        []*news // of the provider, in the order in which it is queued

	books    map[string]int64 // code:owner:currency → sum of entries
	clock    int64            // seconds since the walk began
	happened bool             // something has changed since it was last looked
}

// rules are what the tenant has set.
type rules struct {
	twoAbove, twoRefundAbove, tolerance int64 // of dollars; zero: of refunds and approvals one person is enough
	parallel, automatic                 bool  // several claims for one invoice, and credit that pays as soon as there is an invoice
}

const (
	draft         = "draft"
	open          = "open"
	partiallyPaid = "partially_paid"
	paid          = "paid"
	void          = "void"
	uncollectible = "uncollectible"
)

type bill struct {
	id, account, currency      string
	status                     string
	subtotal, discount, tax    int64
	total                      int64
	paid, noted, applied, lost int64 // by payments, credit notes and credit, and what was given up
	notedTax                   int64
	units, granted             int64      // service credits that it is worth, and that it has brought
	payments                   []*payment // for it, whatever became of them
	finalized                  bool
	applications               []*adjustment // of credit, in the order in which they were made
	notes                      []*adjustment
	pendingWriteOff            bool
}

// adjustment is something that has lowered a bill, and can be taken back.
type adjustment struct {
	bill        *bill
	id          string // of a credit note
	amount, tax int64
	reversed    bool
	of          *refund // of a note that gave money back
}

type writeOff struct {
	id, status string // pending, posted, rejected, reversed
	bill       *bill
	amount     int64
	by         *walker
	byOne      bool
}

func (b *bill) rest() int64 {
	if b.status == void {
		return 0
	}
	return b.total - b.paid - b.noted - b.applied - b.lost
}

// owed says why nothing can be taken off a bill.
func (b *bill) owed() string {
	switch {
	case b.status == draft:
		return "invoice_not_finalized"
	case b.status == void:
		return "invoice_void"
	case b.rest() == 0:
		return "nothing_owed"
	}
	return done
}

// payable says why it takes no payment.
func (b *bill) payable() string {
	if b.status == paid {
		return "invoice_already_paid"
	}
	return b.owed()
}

// move books an amount from one account to another.
func (m *model) move(debit, credit string, amount int64) {
	m.books[debit] += amount
	m.books[credit] -= amount
}

func of(code, owner, currency string) string {
	return strings.Join([]string{code, owner, currency}, ":")
}

func (b *bill) receivable() string { return of("receivable", b.account, b.currency) }

// credit is what we owe a customer in a currency.
func (m *model) credit(account, currency string) int64 {
	return -m.books[of("customer_credit", account, currency)]
}

// halfUp is a × b / c, rounded half up.
func halfUp(a, b, c int64) int64 {
	if c == 0 {
		return 0
	}
	return (2*a*b + c) / (2 * c)
}

// closed is what a bill becomes when nothing of it is left: paid, but for one of which two people have given a part up, or of
// which there is nothing but what was given up.
func (m *model) closed(b *bill) string {
	if b.paid+b.applied == 0 && b.lost > 0 || slices.ContainsFunc(m.writeOffs, func(w *writeOff) bool { return w.bill == b && w.status == "posted" && !w.byOne }) {
		return uncollectible
	}
	return paid
}

// restate gives a bill the status of its amounts, and its customer the service credits of a bill in that status. revived says
// that somebody has paid on it, or owes it anew.
func (m *model) restate(b *bill, revived bool) {
	switch {
	case b.rest() == 0 && b.status == paid:
	case b.rest() == 0:
		b.status = m.closed(b)
	case b.status == uncollectible && !revived:
	case b.paid+b.applied > 0:
		b.status = partiallyPaid
	default:
		b.status = open
	}
	m.grant(b)
	m.happened = true
}

func (m *model) grant(b *bill) {
	var units int64
	if b.status == paid {
		units = b.units - halfUp(b.units, b.noted, b.total)
	}
	m.move("credits_issued::credit", of("credits", b.account, "credit"), units-b.granted)
	b.granted = units
}

func (m *model) finalize(b *bill) string {
	if b.status != draft {
		return "invoice_not_draft"
	}
	b.finalized, b.status = true, open
	m.move(b.receivable(), of("revenue", "", b.currency), b.subtotal)
	m.move(of("discounts", "", b.currency), b.receivable(), b.discount)
	m.move(b.receivable(), of("tax_payable", "", b.currency), b.tax)
	if b.total == 0 {
		b.status = paid
	}
	m.grant(b)
	if credit := m.credit(b.account, b.currency); m.rules.automatic && b.total > 0 && credit > 0 {
		m.spend(b, min(credit, b.rest()))
	}
	m.happened = true
	return done
}

func (m *model) void(b *bill) string {
	switch {
	case b.paid > 0:
		return "invoice_has_payments"
	case b.noted > 0 || b.applied > 0 || b.lost > 0:
		return "invoice_adjusted"
	case b.claims() > 0:
		return "payment_pending"
	case b.status != draft && b.status != open:
		return "invoice_not_open"
	}
	if b.finalized {
		m.move(of("revenue", "", b.currency), b.receivable(), b.subtotal)
		m.move(b.receivable(), of("discounts", "", b.currency), b.discount)
		m.move(of("tax_payable", "", b.currency), b.receivable(), b.tax)
	}
	b.status, m.happened = void, true
	return done
}

// stated is what somebody wants to take off a bill: all of it, or what he says.
func (b *bill) stated(amount *int64) (int64, string) {
	switch {
	case amount == nil:
		return b.rest(), done
	case *amount <= 0:
		return 0, "not_positive"
	case *amount > b.rest():
		return 0, "amount_above_balance"
	}
	return *amount, done
}

func (m *model) applyCredit(b *bill, amount *int64) string {
	if code := b.lowerable(); code != done {
		return code
	}
	minor, code := b.stated(amount)
	credit := m.credit(b.account, b.currency)
	switch {
	case code != done:
		return code
	case credit == 0:
		return "no_credit"
	case amount == nil:
		minor = min(minor, credit)
	case minor > credit:
		return "credit_exceeded"
	}
	m.spend(b, minor)
	return done
}

func (m *model) spend(b *bill, amount int64) {
	b.applied += amount
	b.applications = append(b.applications, &adjustment{bill: b, amount: amount})
	m.move(of("customer_credit", b.account, b.currency), b.receivable(), amount)
	m.restate(b, true)
}

// takeBack undoes an adjustment: what was closed by it is open again.
func (m *model) takeBack(a *adjustment, lowered *int64, from string) string {
	if a.reversed {
		return "adjustment_already_reversed"
	}
	closed := a.bill.rest() == 0
	*lowered -= a.amount
	a.reversed = true
	m.move(a.bill.receivable(), from, a.amount)
	m.restate(a.bill, closed)
	return done
}

func (m *model) unapply(a *adjustment) string {
	return m.takeBack(a, &a.bill.applied, of("customer_credit", a.bill.account, a.bill.currency))
}

// taxIn is the tax in so much of the sale: its share, half up over all notes together, and never more net or tax than is
// left.
func (b *bill) taxIn(amount int64) int64 {
	share := halfUp(b.tax, b.noted+amount, b.total) - b.notedTax
	taxLeft := b.tax - b.notedTax
	netLeft := b.total - b.tax - (b.noted - b.notedTax)
	return min(max(share, 0, amount-netLeft), amount, taxLeft)
}

// note takes a part of the sale back; against is who gets its worth.
func (m *model) note(b *bill, amount int64, against string) *adjustment {
	a := &adjustment{bill: b, amount: amount, tax: b.taxIn(amount)}
	b.noted += amount
	b.notedTax += a.tax
	b.notes = append(b.notes, a)
	m.move(of("sales_returns", "", b.currency), against, amount-a.tax)
	m.move(of("tax_payable", "", b.currency), against, a.tax)
	return a
}

func (m *model) creditNote(b *bill, amount *int64) (*adjustment, string) {
	if code := b.lowerable(); code != done {
		return nil, code
	}
	minor, code := b.stated(amount)
	if code != done {
		return nil, code
	}
	a := m.note(b, minor, b.receivable())
	m.restate(b, false)
	return a, done
}

func (m *model) reverseNote(a *adjustment) string {
	if a.of != nil {
		return "credit_note_of_refund"
	}
	returns := of("sales_returns", "", a.bill.currency)
	code := m.takeBack(a, &a.bill.noted, returns)
	if code == done {
		a.bill.notedTax -= a.tax
		m.move(returns, of("tax_payable", "", a.bill.currency), a.tax)
	}
	return code
}

// lowerable says why people can take nothing off a bill.
func (b *bill) lowerable() string {
	if code := b.owed(); code != done || b.claims() == 0 {
		return code
	}
	return "payment_pending"
}

func (m *model) writeOff(by *walker, b *bill, amount *int64) (*writeOff, string) {
	if code := b.lowerable(); code != done {
		return nil, code
	}
	minor, code := b.stated(amount)
	if code != done {
		return nil, code
	}
	w := &writeOff{status: "pending", bill: b, amount: minor, by: by, byOne: b.currency == "USD" && b.lost+minor <= m.rules.tolerance}
	switch {
	case w.byOne:
		m.lose(w)
	case b.pendingWriteOff:
		return nil, "write_off_pending"
	default:
		b.pendingWriteOff = true
	}
	m.writeOffs, m.happened = append(m.writeOffs, w), true
	return w, done
}

func (m *model) lose(w *writeOff) {
	w.status = "posted"
	w.bill.lost += w.amount
	m.move(of("bad_debt", "", w.bill.currency), w.bill.receivable(), w.amount)
	m.restate(w.bill, false)
}

func (m *model) decideWriteOff(by *walker, w *writeOff, approve bool) string {
	switch {
	case w.status != "pending":
		return "write_off_decided"
	case w.by == by:
		return "requester_cannot_decide"
	}
	if approve {
		if code := w.bill.lowerable(); code != done {
			return code
		}
		if w.amount > w.bill.rest() {
			return "amount_above_balance"
		}
		m.lose(w)
	} else {
		w.status = "rejected"
	}
	w.bill.pendingWriteOff, m.happened = false, true
	return done
}

func (m *model) reverseWriteOff(w *writeOff) string {
	if w.status != "posted" {
		return "write_off_not_posted"
	}
	w.status = "reversed"
	return m.takeBack(&adjustment{bill: w.bill, amount: w.amount}, &w.bill.lost, of("bad_debt", "", w.bill.currency))
}

func (m *model) giveUp(b *bill) string {
	if code := b.lowerable(); code != done {
		return code
	}
	if b.status == uncollectible {
		return "invoice_already_uncollectible"
	}
	b.status, m.happened = uncollectible, true
	return done
}

func (m *model) reopen(b *bill) string {
	switch {
	case b.status != uncollectible:
		return "invoice_not_uncollectible"
	case b.rest() == 0:
		return "nothing_owed"
	}
	m.restate(b, true)
	return done
}
