package payments_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/auth"
)

// This file is what a walk believes: the rules of model.md 5.3, 5.5 and 5.6 once more, in memory and in the plainest
// form, without a line of the code under test. done is the answer of what is not refused.
const done = ""

type model struct {
	people    map[string]*walker
	accounts  []string // ids
	invoices  []*bill
	payments  []*attempt
	proofs    []*proof
	parallel  bool  // several claims for one invoice at once
	threshold int64 // above it two people approve; zero: never
	ladder    rungs
	books     map[string]int64 // code:owner:currency → sum of entries
}

// walker is a person with what the model needs to know of him.
type walker struct {
	*billingtest.Person
	name      string
	account   string // of a member
	dismissed bool   // what he has approved counts no longer
}

func (p *walker) can(permission string) bool {
	return slices.Contains(auth.PermissionsOf(p.Role), permission)
}

type bill struct {
	id, account    string
	currency       money.Currency
	status         invoices.Status
	total, paid    int64
	credits        int64
	claims         int
	finalized, got bool // got: its credits were granted
}

func (b *bill) rest() int64 {
	if b.status == invoices.StatusVoid {
		return 0
	}
	return b.total - b.paid
}

func (b *bill) payable() string {
	switch b.status {
	case invoices.StatusDraft:
		return "invoice_not_finalized"
	case invoices.StatusVoid:
		return "invoice_void"
	case invoices.StatusPaid:
		return "invoice_already_paid"
	}
	return done
}

type attempt struct {
	id                        string
	bill                      *bill
	by                        *walker
	method, reference         string // the reference normalised
	notes                     string
	edits                     int
	amount                    int64
	received, applied, excess *int64
	status                    payments.Status
	proof                     *proof
	retryOf                   string
	verdicts                  []verdict
}

func (a *attempt) pending() bool { return a.status == payments.StatusPendingApproval }

func (a *attempt) live() bool { return a.pending() || a.status == payments.StatusProcessing }

type verdict struct {
	by       *walker
	approve  bool
	received int64
}

// stands says whether an approval still counts.
func (v verdict) stands(n need) bool { return v.by.can(n.permission) && !v.by.dismissed }

// proof is an uploaded receipt.
type proof struct{ id, account, content string }

func (m *model) sameReference(a *attempt) int {
	n := 0
	for _, o := range m.payments {
		if o != a && o.reference == a.reference {
			n++
		}
	}
	return n
}

func (m *model) sameProof(a *attempt) int {
	n := 0
	for _, o := range m.payments {
		if o != a && a.proof != nil && o.proof != nil && o.proof.content == a.proof.content {
			n++
		}
	}
	return n
}

// seen is all that a digest stands for and that changes: two looks have the same digest exactly if this is the same.
func (m *model) seen(a *attempt) string {
	n := m.need(a, a.amount)
	text := fmt.Sprintln(a.id, a.status, a.edits, n.approvals, n.proof, a.bill.status, a.bill.paid, a.bill.claims, m.sameReference(a), m.sameProof(a))
	for _, v := range a.verdicts {
		text += fmt.Sprintln(v.by.name, v.approve, v.received, v.stands(n))
	}
	return text
}

func (m *model) stated(a *attempt) *int64 {
	if len(a.verdicts) == 0 {
		return nil
	}
	return &a.verdicts[0].received
}

// post moves an amount from one account of the books to another.
func (m *model) post(debit, credit string, amount int64) {
	m.books[debit] += amount
	m.books[credit] -= amount
}

func of(code, owner string, currency money.Currency) string {
	return strings.Join([]string{code, owner, string(currency)}, ":")
}

func (m *model) finalize(b *bill) string {
	if b.status != invoices.StatusDraft {
		return "invoice_not_draft"
	}
	b.finalized, b.status = true, invoices.StatusOpen
	m.post(of("receivable", b.account, b.currency), of("revenue", "", b.currency), b.total)
	if b.total == 0 {
		b.status = invoices.StatusPaid
		m.grant(b)
	}
	return done
}

func (m *model) grant(b *bill) {
	if !b.got {
		m.post("credits_issued::credit", of("credits", b.account, "credit"), b.credits)
	}
	b.got = true
}

func (m *model) void(b *bill) string {
	switch {
	case b.paid > 0:
		return "invoice_has_payments"
	case b.claims > 0:
		return "payment_pending"
	case b.status != invoices.StatusDraft && b.status != invoices.StatusOpen:
		return "invoice_not_open"
	}
	if b.finalized {
		m.post(of("revenue", "", b.currency), of("receivable", b.account, b.currency), b.total)
	}
	b.status = invoices.StatusVoid
	return done
}

// submission is a claim as it is sent.
type submission struct {
	by                       *walker
	bill                     *bill
	method, reference, notes string
	currency                 money.Currency
	amount                   *int64
	tooFine                  bool // the amount has more digits than the currency
	proof                    *proof
	retryOf                  *attempt
}

// submit says what becomes of a claim: a refusal, or the claim; again is whether that was there before.
func (m *model) submit(s submission) (code string, a *attempt, again bool) {
	b := s.bill
	if !s.by.can(auth.BillingCreate) {
		return "permission_denied", nil, false
	}
	if s.by.account != "" && (s.by.account != b.account || !b.finalized) {
		return "invoice_not_found", nil, false
	}
	if code := b.payable(); code != done {
		return code, nil, false
	}
	if s.currency != "" && s.currency != b.currency {
		return "currency_mismatch", nil, false
	}
	amount := b.rest()
	if s.amount != nil {
		switch amount = *s.amount; {
		case s.tooFine:
			return "too_many_digits", nil, false
		case amount <= 0:
			return "amount_not_positive", nil, false
		}
	}
	a = &attempt{bill: b, by: s.by, method: s.method, reference: s.reference, notes: s.notes, amount: amount, proof: s.proof, status: payments.StatusPendingApproval}
	if b.claims > 0 {
		for _, o := range m.payments {
			if o.bill == b && o.pending() && o.method == a.method && o.reference == a.reference && o.amount == amount && o.by == s.by && o.notes == s.notes && o.proof == s.proof {
				return done, o, true
			}
		}
		if !m.parallel {
			return "payment_pending", nil, false
		}
	}
	if s.method == "local_wallet" && s.proof == nil {
		return "evidence_required", nil, false
	}
	if r := s.retryOf; r != nil {
		if r.bill != b || r.status != payments.StatusFailed && r.status != payments.StatusCancelled {
			return "invalid_retry", nil, false
		}
		a.retryOf = r.id
	}
	if s.proof != nil && s.proof.account != b.account {
		return "unknown_evidence", nil, false
	}
	for _, o := range m.payments {
		if o.bill == b && o.live() && o.method == a.method && o.reference == a.reference {
			return "payment_pending", nil, false
		}
		if o.bill == b && o.status == payments.StatusSucceeded && o.method == a.method && o.reference == a.reference {
			return "reference_already_counted", nil, false
		}
	}
	b.claims++
	m.payments = append(m.payments, a)
	return done, a, false
}

// look is a digest that somebody remembers, and what it stood for; the zero value is no digest at all.
type look struct {
	of            *attempt
	digest, facts string
}

// mayDecide are the rules that approvals and refusals share.
func (m *model) mayDecide(by *walker, a *attempt, l look) string {
	if code := staff(by, auth.BillingApprove); code != done {
		return code
	}
	if l.digest == "" {
		return "digest_required"
	}
	if !a.pending() {
		return "payment_not_pending"
	}
	if a.by.ID == by.ID {
		return "submitter_cannot_decide"
	}
	if slices.ContainsFunc(a.verdicts, func(v verdict) bool { return v.by == by }) {
		return "already_approved"
	}
	if l.facts != m.seen(a) {
		return "payment_changed"
	}
	return done
}

func staff(by *walker, permission string) string {
	switch {
	case !by.can(permission):
		return "permission_denied"
	case by.account != "":
		return "staff_only"
	}
	return done
}

func (m *model) approve(by *walker, a *attempt, l look, received *int64) string {
	if code := m.mayDecide(by, a, l); code != done {
		return code
	}
	earlier, amount := m.stated(a), a.amount
	switch {
	case received != nil && *received <= 0:
		return "amount_not_positive"
	case received != nil && earlier != nil && *received != *earlier:
		return "received_amount_differs"
	case received != nil:
		amount = *received
	case earlier != nil:
		amount = *earlier
	}
	n := m.need(a, amount)
	switch {
	case !by.can(n.permission):
		return "permission_denied"
	case n.proof && a.proof == nil:
		return "evidence_required"
	}
	a.verdicts = append(a.verdicts, verdict{by, true, amount})
	standing := 0
	for _, v := range a.verdicts {
		if v.stands(n) {
			standing++
		}
	}
	if standing >= n.approvals {
		a.received, a.status = &amount, payments.StatusProcessing
	}
	return done
}

func (m *model) reject(by *walker, a *attempt, l look) string {
	if code := m.mayDecide(by, a, l); code != done {
		return code
	}
	a.verdicts = append(a.verdicts, verdict{by: by})
	a.status = payments.StatusFailed
	a.bill.claims--
	return done
}

func (m *model) withdraw(by *walker, a *attempt) string {
	switch {
	case !by.can(auth.BillingCreate):
		return "permission_denied"
	case by.account != "" && by.account != a.bill.account:
		return "not_found"
	case a.by.ID != by.ID && !by.can(auth.BillingCancel):
		return "not_submitter"
	case !a.pending():
		return "payment_not_pending"
	}
	a.status = payments.StatusCancelled
	a.bill.claims--
	return done
}

func (m *model) editNotes(by *walker, a *attempt, notes string) string {
	switch {
	case !by.can(auth.BillingCreate):
		return "permission_denied"
	case by.account != "" && by.account != a.bill.account:
		return "not_found"
	case a.by.ID != by.ID:
		return "not_submitter"
	case !a.pending(), len(a.verdicts) > 0:
		return "payment_not_pending"
	}
	a.notes = notes
	a.edits++
	return done
}

// approved gives what waits for settlement, in the order in which it is settled.
func (m *model) approved() []*attempt {
	var list []*attempt
	for _, a := range m.payments {
		if a.status == payments.StatusProcessing {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b *attempt) int { return strings.Compare(a.id, b.id) })
	return list
}

func (m *model) settle(list []*attempt) {
	for _, a := range list {
		b := a.bill
		applied := min(*a.received, b.rest())
		excess := *a.received - applied
		a.applied, a.excess, a.status = &applied, &excess, payments.StatusSucceeded
		clearing := of("clearing", a.method, b.currency)
		m.post(clearing, of("receivable", b.account, b.currency), applied)
		m.post(clearing, of("customer_credit", b.account, b.currency), excess)
		b.claims--
		if applied == 0 {
			continue
		}
		b.paid += applied
		b.status = invoices.StatusPartiallyPaid
		if b.rest() == 0 {
			b.status = invoices.StatusPaid
			m.grant(b)
		}
	}
}

// sums gives the books without accounts on which nothing is left.
func (m *model) sums() map[string]int64 {
	left := maps.Clone(m.books)
	maps.DeleteFunc(left, func(_ string, sum int64) bool { return sum == 0 })
	return left
}
