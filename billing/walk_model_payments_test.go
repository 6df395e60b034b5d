package billing_test

import (
	"slices"
	"strings"

	"countersign/billing/billingtest"
	"countersign/internal/auth"
)

// walker is a person with what the model needs to know of him.
type walker struct {
	*billingtest.Person
	name    string
	account string // of a member
}

func (p *walker) can(permission string) bool {
	return slices.Contains(auth.PermissionsOf(p.Role), permission)
}

const (
	created           = "created"
	pending           = "pending"
	pendingApproval   = "pending_approval"
	processing        = "processing"
	authorized        = "authorized"
	succeeded         = "succeeded"
	partiallyRefunded = "partially_refunded"
	refunded          = "refunded"
	failed            = "failed"
	cancelled         = "cancelled"
	expired           = "expired"
	reversed          = "reversed"
)

// payment is a claim, cash, or a charge, which has an order.
type payment struct {
	id                                 string
	bill                               *bill // nil: none
	account, currency                  string
	method                             string // bank_transfer, local_wallet, cash or card
	into                               string // the account of the books where its money is
	amount                             int64
	by                                 *walker
	prepay, credit                     bool // in advance; and what is too much may be the customer's credit
	status                             string
	received, applied, excess, revenue *int64
	refunded                           int64
	approvals                          []approval
	refunds                            []*refund
	order                              *order
	anomalies                          map[string]string // kinds, by what was said
}

type approval struct {
	by       *walker
	received int64
}

func (p *payment) collected() bool {
	return p.status == succeeded || p.status == partiallyRefunded || p.status == refunded
}

func (p *payment) ended() bool {
	return p.status == failed || p.status == cancelled || p.status == expired
}

// address says why nobody can pay that bill at the moment, or not this way.
func (m *model) address(by *walker, b *bill) string {
	switch {
	case b == nil:
		return done
	case by.account != "" && (b.account != by.account || !b.finalized):
		return "invoice_not_found"
	case b.payable() != done:
		return b.payable()
	case b.claims() > 0 && !m.rules.parallel:
		return "payment_pending"
	}
	return done
}

// underWay says that the payment may still bring money: its bill counts it.
func (p *payment) underWay() bool {
	return p.status == created || p.status == pending || p.status == pendingApproval || p.status == processing || p.status == authorized
}

func (b *bill) claims() int { return len(only(b.payments, (*payment).underWay)) }

// fits says why a payment that is not only claimed is more than its bill owes beside what is under way for it.
func (p *payment) fits() string {
	if p.bill == nil || p.credit {
		return done
	}
	rest := p.bill.rest()
	for _, o := range only(p.bill.payments, (*payment).underWay) {
		if o.received != nil {
			rest -= *o.received
		} else {
			rest -= o.amount
		}
	}
	switch {
	case p.amount <= rest:
		return done
	case rest <= 0:
		return "payment_pending"
	}
	return "overpayment"
}

func (m *model) add(p *payment) {
	p.anomalies = map[string]string{}
	if p.bill != nil {
		p.account = p.bill.account
		p.bill.payments = append(p.bill.payments, p)
	}
	m.payments, m.happened = append(m.payments, p), true
}

func (m *model) claim(p *payment) string {
	if code := m.address(p.by, p.bill); code != done {
		return code
	}
	p.into, p.status = of("clearing", p.method, p.currency), pendingApproval
	m.add(p)
	return done
}

func (m *model) needed(p *payment, received int64) int {
	amount := max(p.amount, received)
	for _, a := range p.approvals {
		amount = max(amount, a.received)
	}
	if m.rules.twoAbove > 0 && (p.currency != "USD" || amount > m.rules.twoAbove) {
		return 2
	}
	return 1
}

func (p *payment) mayDecide(by *walker) string {
	switch {
	case p.status != pendingApproval:
		return "payment_not_pending"
	case p.by == by:
		return "submitter_cannot_decide"
	case slices.ContainsFunc(p.approvals, func(a approval) bool { return a.by == by }):
		return "already_approved"
	}
	return done
}

func (m *model) approve(by *walker, p *payment, received *int64) string {
	if p.status != pendingApproval {
		m.tried(by, p, processing)
	}
	if code := p.mayDecide(by); code != done {
		return code
	}
	amount := p.amount
	if len(p.approvals) > 0 {
		amount = p.approvals[0].received
	}
	if received != nil {
		if len(p.approvals) > 0 && *received != amount {
			return "received_amount_differs"
		}
		amount = *received
	}
	p.approvals = append(p.approvals, approval{by, amount})
	if len(p.approvals) >= m.needed(p, amount) {
		p.status, p.received = processing, &amount
	}
	m.happened = true
	return done
}

func (m *model) reject(by *walker, p *payment) string {
	if p.status != pendingApproval {
		m.tried(by, p, failed)
	}
	code := p.mayDecide(by)
	if code == done {
		p.status, m.happened = failed, true
	}
	return code
}

// cancel takes back a claim, or cash that nobody has seen yet.
func (m *model) cancel(by *walker, p *payment) string {
	switch {
	case by.account != "" && by.account != p.account:
		return "not_found"
	case p.by != by && !by.can(auth.BillingCancel):
		return "not_submitter"
	case p.status != pendingApproval && (p.status != pending || p.order != nil):
		m.tried(by, p, cancelled)
		return "payment_not_pending"
	}
	p.status, m.happened = cancelled, true
	return done
}

// remove deletes cash that nobody has completed: it comes to the end of what is cancelled, and nobody sees it.
func (m *model) remove(by *walker, p *payment) string {
	switch {
	case by.account != "" && by.account != p.account:
		return "not_found"
	case p.by != by && !by.can(auth.BillingCancel):
		return "not_submitter"
	case p.method != "cash" || p.status != pending:
		return "payment_not_deletable"
	}
	p.status, m.happened = cancelled, true
	m.payments = slices.DeleteFunc(m.payments, func(o *payment) bool { return o == p })
	m.deleted = append(m.deleted, p)
	return done
}

// approved gives what waits for settlement, in the order in which it is settled.
func (m *model) approved() []*payment {
	list := only(m.payments, func(p *payment) bool { return p.order == nil && p.status == processing })
	slices.SortFunc(list, func(a, b *payment) int { return strings.Compare(a.id, b.id) })
	return list
}

func (m *model) settle(list []*payment) {
	for _, p := range list {
		m.collect(p, *p.received)
	}
}

// collect is what follows from money that is there, once for each payment: on its bill as far as that owes something, and
// for the rest in the customer's credit; without a bill in revenue, or in the credit of who pays in advance.
func (m *model) collect(p *payment, received int64) {
	var applied, excess int64
	switch {
	case p.bill != nil && p.bill.payable() == done:
		applied = min(received, p.bill.rest())
		excess = received - applied
	case p.bill != nil || p.prepay:
		excess = received
	default:
		p.revenue = &received
		m.move(p.into, of("revenue", "", p.currency), received)
	}
	p.received, p.applied, p.excess, p.status = &received, &applied, &excess, succeeded
	if excess > 0 {
		m.move(p.into, of("customer_credit", p.account, p.currency), excess)
	}
	if applied > 0 {
		m.move(p.into, p.bill.receivable(), applied)
		p.bill.paid += applied
		m.restate(p.bill, true)
	}
	m.happened = true
}

// takeCash is money on the counter: who may approve has decided with that, for others, and where two people are needed, somebody else
// completes it.
func (m *model) takeCash(p *payment) string {
	if code := m.address(p.by, p.bill); code != done {
		return code
	}
	if code := p.fits(); code != done {
		return code
	}
	p.into, p.status = of("cash", "", p.currency), pending
	m.add(p)
	if p.by.can(auth.BillingApprove) && m.needed(p, p.amount) < 2 {
		m.collect(p, p.amount)
	}
	return done
}

func (m *model) complete(by *walker, p *payment) string {
	switch {
	case p.method != "cash" || p.status != pending:
		return m.illegal(by, p, succeeded)
	case p.by == by:
		return "submitter_cannot_decide"
	case m.needed(p, p.amount) > 1 && !by.can(auth.BillingApprove):
		return "permission_denied"
	}
	m.collect(p, p.amount)
	return done
}

// illegal is a step that there is not; that somebody has asked for it is kept, once.
func (m *model) illegal(by *walker, p *payment, to string) string {
	m.tried(by, p, to)
	return "illegal_transition"
}

func (m *model) tried(by *walker, p *payment, to string) {
	m.anomaly(p, "illegal_transition", to+" "+by.name)
}

func (m *model) anomaly(p *payment, kind, said string) {
	if p.anomalies[kind+said] == "" {
		p.anomalies[kind+said], m.happened = kind, true
	}
}

// refund is money that goes back; it holds its amount until it has failed or is cancelled.
type refund struct {
	id, status            string // pending_approval, pending, succeeded, failed, cancelled, reversed
	of                    *payment
	amount                int64
	reason, payout        string
	by                    *walker
	bill, credit, revenue int64 // what it took back of each, once it has succeeded
	note                  *adjustment
	two                   bool // somebody else had to let it go on
	failure               string
	reply                 *reply // to who asked for it
	askAt                 int64  // when the worker asks its provider
	acted                 bool   // the provider has paid it
}

func (p *payment) held() int64 { return p.refundsThatAre(pendingApproval, pending) }

func (p *payment) refundsThatAre(statuses ...string) (sum int64) {
	for _, r := range p.refunds {
		if slices.Contains(statuses, r.status) {
			sum += r.amount
		}
	}
	return sum
}

// split says what a refund takes back: of what was paid too much first when that is its reason, and otherwise last.
func (r *refund) split() (bill, credit, revenue int64) {
	value := func(n *int64) int64 {
		if n == nil {
			return 0
		}
		return *n
	}
	onBill, inCredit, inRevenue := value(r.of.applied), value(r.of.excess), value(r.of.revenue)
	for _, o := range r.of.refunds {
		if o.status == succeeded {
			onBill, inCredit, inRevenue = onBill-o.bill, inCredit-o.credit, inRevenue-o.revenue
		}
	}
	if r.reason == "overpayment" {
		credit = min(r.amount, inCredit)
		bill = min(r.amount-credit, onBill)
		return bill, credit, r.amount - credit - bill
	}
	bill = min(r.amount, onBill)
	revenue = min(r.amount-bill, inRevenue)
	return bill, r.amount - bill - revenue, revenue
}

// bookable says why the books would not take a refund: nobody gives back credit that the customer has spent.
func (m *model) bookable(r *refund) string {
	if _, credit, _ := r.split(); credit > m.credit(r.of.account, r.of.currency) {
		return "credit_exceeded"
	}
	return done
}

// refund asks for money to go back. A refund that a provider pays is pending afterwards.
func (m *model) refund(r *refund, amount *int64) string {
	p := r.of
	if !p.collected() {
		m.tried(r.by, p, refunded)
		return "payment_not_refundable"
	}
	rest := *p.received - p.refunded - p.held()
	r.amount = rest
	if amount != nil {
		r.amount = *amount
	}
	switch {
	case rest == 0 && (amount == nil || *amount == *p.received):
		if p.status == refunded {
			m.tried(r.by, p, refunded)
		}
		return "payment_not_refundable"
	case r.amount <= 0:
		return "amount_not_positive"
	case r.amount > rest:
		return "refund_exceeds_payment"
	case p.order != nil && r.payout != "":
		return "payout_reference_unexpected"
	}
	if code := m.bookable(r); code != done {
		return code
	}
	r.status = pending
	if above := m.rules.twoRefundAbove; above > 0 && (p.currency != "USD" || p.refunded+p.refundsThatAre(pendingApproval, pending, reversed)+r.amount > above) {
		r.status, r.two = pendingApproval, true
	}
	p.refunds, m.refunds, m.happened = append(p.refunds, r), append(m.refunds, r), true
	if r.status == pending && r.payout != "" {
		m.book(r)
	}
	return done
}

// book is what follows from money that has left, once for each refund.
func (m *model) book(r *refund) {
	p := r.of
	r.bill, r.credit, r.revenue = r.split()
	if r.bill > 0 {
		b := p.bill
		r.note = m.note(b, r.bill, p.into)
		r.note.of = r
		b.paid -= r.bill
		m.restate(b, false)
	}
	m.move(of("customer_credit", p.account, p.currency), p.into, r.credit)
	m.move(of("sales_returns", "", p.currency), p.into, r.revenue)
	p.refunded += r.amount
	p.status = partiallyRefunded
	if p.refunded == *p.received {
		p.status = refunded
	}
	r.status, r.failure, m.happened = succeeded, "", true
}

func (m *model) decideRefund(by *walker, r *refund, approve bool) string {
	switch {
	case r.status != pendingApproval:
		return "refund_not_pending"
	case r.by == by:
		return "refunder_cannot_decide"
	case !approve:
		r.status, r.failure, m.happened = failed, "rejected", true
		return done
	case m.bookable(r) != done:
		return m.bookable(r)
	}
	r.status, r.askAt, m.happened = pending, m.clock, true
	if r.payout != "" {
		m.book(r)
	}
	return done
}

func (m *model) cancelRefund(by *walker, r *refund) string {
	switch {
	case r.status == pendingApproval && r.by != by:
		return "not_refunder"
	case r.status == pendingApproval, r.status == pending && r.of.order == nil:
		r.status, m.happened = cancelled, true
		return done
	}
	return "refund_state"
}

func (m *model) completeRefund(r *refund) string {
	if r.status != pending || r.of.order != nil {
		return "refund_state"
	}
	if code := m.bookable(r); code != done {
		return code
	}
	m.book(r)
	return done
}

// reverseRefund takes back what was booked by hand, with all that followed from it.
func (m *model) reverseRefund(by *walker, r *refund) string {
	p := r.of
	switch {
	case r.status != succeeded || p.order != nil:
		return "refund_not_reversible"
	case r.two && r.by == by:
		return "refunder_cannot_decide"
	}
	if n := r.note; n != nil {
		b := n.bill
		n.reversed = true
		b.paid, b.noted, b.notedTax = b.paid+n.amount, b.noted-n.amount, b.notedTax-n.tax
		m.move(p.into, of("sales_returns", "", b.currency), n.amount-n.tax)
		m.move(p.into, of("tax_payable", "", b.currency), n.tax)
		m.restate(b, false)
	}
	m.move(p.into, of("customer_credit", p.account, p.currency), r.credit)
	m.move(p.into, of("sales_returns", "", p.currency), r.revenue)
	p.refunded -= r.amount
	p.status = partiallyRefunded
	if p.refunded == 0 {
		p.status = succeeded
	}
	r.status, m.happened = reversed, true
	return done
}
