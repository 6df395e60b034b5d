package billing_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The states in which a provider knows an order.
const (
	awaiting   = "awaiting_customer"
	authorised = "authorised"
	unknownYet = "unknown"
	delay      = 60        // seconds until an order becomes something by itself, and until its callback comes
	askFor     = 48 * 3600 // after which what is not known is given up
)

// order is what the provider knows of a payment, and what he was asked.
type order struct {
	token, state                   string // empty: he has never heard of it
	hold                           bool
	amount, held, taken, givenBack int64
	failure, becomes               string
	placed                         int64 // when

	operation      string // begin, capture or release, while its answer is not known
	operationMinor int64
	begun, replies *reply          // to who has begun the payment, and to who asks for the operation
	asked          bool            // it is asked for again
	heard          map[string]bool // callbacks, by name
}

// news is a callback. Several of an order with one name are copies of one message.
type news struct {
	of          *payment
	name, state string
	due         int64
	place       int  // in the queue
	delivered   bool // by the provider, as far as he knows
}

// reply is the answer to a request whose outcome is known later.
type reply struct {
	known  bool
	status int
	code   string
}

func (r *reply) is(status int, code string) {
	if !r.known {
		*r = reply{true, status, code}
	}
}

// token is what docs/gateways.md says of a token.
type token struct {
	answers, becomes, fails string
	loses, refuses          string // the operation
	never                   bool
	short                   int64
	news                    []news // due says after how many delays
}

var tokens = map[string]token{
	"tok_visa":                {},
	"tok_slow":                {},
	"tok_down":                {},
	"tok_decline":             {fails: "card_declined"},
	"tok_insufficient_funds":  {fails: "insufficient_funds"},
	"tok_nonsense":            {fails: "invalid_token"},
	"tok_timeout":             {loses: "begin"},
	"tok_timeout_decline":     {loses: "begin", fails: "card_declined"},
	"tok_lost":                {never: true},
	"tok_wrong_amount":        {short: 1},
	"tok_3ds":                 {answers: awaiting},
	"tok_async":               {answers: processing, becomes: paid, news: []news{{name: "outcome", state: paid, due: 1}}},
	"tok_late_decline":        {answers: processing, becomes: failed, news: []news{{name: "outcome", state: failed, due: 1}}},
	"tok_duplicate_callback":  {news: []news{{name: "outcome", state: paid, due: 1}, {name: "outcome", state: paid, due: 1}, {name: "outcome", state: paid, due: 2}}},
	"tok_reordered_callbacks": {answers: processing, becomes: paid, news: []news{{name: "outcome", state: paid, due: 1}, {name: "progress", state: processing, due: 2}}},
	"tok_contradiction":       {news: []news{{name: "contradiction", state: failed, due: 1}}},
	"tok_capture_timeout":     {loses: "capture"},
	"tok_capture_decline":     {refuses: "capture"},
	"tok_release_timeout":     {loses: "release"},
	"tok_refund_timeout":      {loses: "refund"},
	"tok_refund_decline":      {refuses: "refund"},
}

// becomesNow makes the order what somebody's decision has made of it.
func (o *order) becomesNow(state, failure string) {
	o.state, o.held, o.taken, o.failure = state, 0, 0, ""
	switch state {
	case failed:
		o.failure = failure
	case paid:
		o.held = o.amount - tokens[o.token].short
		if o.taken = o.held; o.hold {
			o.state, o.taken = authorised, 0
		}
	}
}

// ripen makes the order what it has become by itself.
func (o *order) ripen(now int64) {
	if o.becomes != "" && now >= o.placed+delay {
		o.becomesNow(o.becomes, "card_declined")
		o.becomes = ""
	}
}

// said is what the provider says of an order.
type said struct {
	state, failure       string
	held, taken, returns int64
}

func (o *order) says() said { return said{o.state, o.failure, o.held, o.taken, o.givenBack} }

// charge asks the provider for money.
func (m *model) charge(p *payment, name string, hold bool) string {
	if code := m.address(p.by, p.bill); code != done {
		return code
	}
	if code := p.fits(); code != done {
		return code
	}
	t := tokens[name]
	o := &order{token: name, hold: hold, amount: p.amount, placed: m.clock, operation: "begin", begun: &reply{}, heard: map[string]bool{}}
	p.order, p.into, p.status = o, of("clearing", "sandbox", p.currency), created
	m.add(p)
	switch {
	case t.never:
	case t.fails != "":
		o.becomesNow(failed, t.fails)
	case t.answers != "":
		o.state = t.answers
	default:
		o.becomesNow(paid, "")
	}
	if !t.never {
		o.becomes = t.becomes
		for _, n := range t.news {
			n.due = m.clock + n.due*delay
			m.queue(p, n)
		}
	}
	if t.never || t.loses == "begin" {
		m.hear(p, said{state: unknownYet})
	} else {
		m.hear(p, o.says())
	}
	m.conclude(p)
	return done
}

func (m *model) queue(p *payment, n news) {
	n.of, n.place = p, len(m.news)
	m.news, m.happened = append(m.news, &n), true
}

// again repeats a request whose answer is not known yet: the provider is asked where the order stands.
func (m *model) again(p *payment) {
	o := p.order
	if o.ripen(m.clock); o.state == "" {
		m.hear(p, said{state: unknownYet})
	} else {
		m.hear(p, o.says())
	}
	m.conclude(p)
}

// hear believes what the provider says as far as it fits to what is known, and keeps the rest.
func (m *model) hear(p *payment, s said) {
	o := p.order
	took := s.state == paid || s.state == partiallyRefunded || s.state == refunded
	over := p.collected() || p.ended()
	kind := ""
	switch {
	case took && p.ended():
		kind = "paid_after_end"
	case took && s.taken != o.expected(p, s.taken), s.state == authorised && s.held != p.amount:
		kind = "wrong_amount"
	case s.state == failed && p.collected():
		kind = "failed_after_success"
	case over && s.state == authorised, (over || p.status == authorized) && (s.state == awaiting || s.state == processing):
		kind = "late"
	}
	if kind != "" {
		m.anomaly(p, kind, fmt.Sprint(s))
		if kind == "wrong_amount" && (p.status == created || p.status == pending) {
			p.status = processing
		}
	} else {
		m.believe(p, s, took)
	}
	if s.state != unknownYet && o.operation == "begin" {
		o.operation = ""
	}
}

func (m *model) believe(p *payment, s said, took bool) {
	before := p.status
	switch {
	case p.ended():
	case s.state == awaiting && p.status == created:
		p.status = pending
	case s.state == unknownYet && p.status == created, s.state == processing && (p.status == created || p.status == pending):
		p.status = processing
	case s.state == authorised && !p.collected():
		p.status = authorized
	case took && p.received == nil:
		m.collect(p, s.taken)
	case s.state == failed:
		p.status = failed
		p.order.failedAs(s.failure)
	case s.state == cancelled && p.status == processing:
		p.status = failed
		p.order.failedAs("cancelled")
	case s.state == cancelled:
		p.status = cancelled
	}
	m.happened = m.happened || p.status != before
}

// expected is what must have been taken.
func (o *order) expected(p *payment, taken int64) int64 {
	switch {
	case p.received != nil:
		return *p.received
	case o.operation == "capture":
		return o.operationMinor
	case o.hold && taken > 0 && taken < p.amount:
		return taken
	}
	return p.amount
}

// failedAs is the answer to who has begun a payment that has failed.
func (o *order) failedAs(code string) {
	status := 402
	switch code {
	case "card_declined", "insufficient_funds":
	case "invalid_token":
		code = "invalid_payment_source"
	case "never_reached":
		status = 502
	default:
		code = "payment_declined"
	}
	o.begun.is(status, code)
}

// conclude answers those whose outcome is known by now, and says whether the provider is asked again.
func (m *model) conclude(p *payment) {
	o := p.order
	if p.status != created && p.status != processing {
		o.begun.is(201, done)
		if o.operation == "begin" {
			o.operation = ""
		}
	}
	switch {
	case o.operation == "" || !p.collected() && !p.ended():
	case (o.operation == "capture") == p.collected():
		m.finish(o, 200, done)
	default:
		m.finish(o, 409, "illegal_transition")
	}
	o.asked = p.underWay()
}

func (m *model) finish(o *order, status int, code string) {
	o.replies.is(status, code)
	o.operation = ""
}

// operate asks for a capture or a release; code is a refusal by ourselves, and otherwise the reply says what has come of it.
func (m *model) operate(by *walker, p *payment, operation string, amount *int64) (code string, r *reply) {
	to := map[string]string{"capture": succeeded, "release": cancelled}[operation]
	switch o := p.order; {
	case o == nil:
		return m.illegal(by, p, to), nil
	case o.operation != "":
		return "operation_pending", nil
	case p.status != authorized && (operation == "capture" || p.status != pending):
		return m.illegal(by, p, to), nil
	}
	o := p.order
	o.operationMinor = p.amount
	if operation == "capture" && amount != nil {
		if o.operationMinor = *amount; *amount > p.amount {
			return "capture_too_large", nil
		}
	}
	o.operation, o.replies, m.happened = operation, &reply{}, true
	o.ripen(m.clock)
	r = o.replies
	possible := o.state == authorised && o.operationMinor <= o.held || operation == "release" && (o.state == awaiting || o.state == processing)
	if !possible || tokens[o.token].refuses == operation {
		m.finish(o, 402, "gateway_refused")
		m.conclude(p)
		return done, r
	}
	if o.state, o.taken = paid, o.operationMinor; operation == "release" {
		o.state, o.taken, o.held, o.becomes = cancelled, 0, 0, ""
	}
	if tokens[o.token].loses != operation {
		m.hear(p, o.says())
	}
	m.conclude(p)
	return done, r
}

// sweep asks for all orders that have come to no end, by id. What a provider has never heard of has failed.
func (m *model) sweep() (some bool) {
	list := only(m.payments, func(p *payment) bool { return p.order != nil && p.order.asked })
	slices.SortFunc(list, func(a, b *payment) int { return strings.Compare(a.id, b.id) })
	for _, p := range list {
		o, was := p.order, p.status
		if o.ripen(m.clock); o.state == "" {
			m.fail(p, failed, "never_reached")
		} else {
			m.hear(p, o.says())
		}
		if m.clock-o.placed >= askFor && !p.doubtful() && p.status == was {
			if p.status == pending && o.state == awaiting { // nobody can pay it any more
				o.state, o.held, o.becomes = cancelled, 0, ""
			}
			switch p.status {
			case created, pending:
				m.fail(p, expired, "")
			case processing:
				m.fail(p, failed, "no_outcome")
			}
		}
		m.conclude(p)
	}
	return len(list) > 0
}

func (m *model) fail(p *payment, status, code string) {
	if p.status, m.happened = status, true; status == failed {
		p.order.failedAs(code)
	}
}

// doubtful says that something was said of it that may mean money.
func (p *payment) doubtful() bool {
	for _, kind := range p.anomalies {
		if kind != "illegal_transition" {
			return true
		}
	}
	return false
}

// callback brings news; a copy changes nothing.
func (m *model) callback(n *news) {
	p := n.of
	if p.order.heard[n.name] {
		return
	}
	p.order.heard[n.name] = true
	then := *p.order
	then.becomesNow(n.state, "card_declined")
	m.hear(p, said{then.state, then.failure, then.held, then.taken, 0})
	m.conclude(p)
}

// due are the callbacks that the provider may have sent by now.
func (m *model) due() []*news {
	return only(m.news, func(n *news) bool { return n.due <= m.clock })
}

// deliver has the provider send what is due, the oldest first and fifty at a time, which come in the order of the queue.
func (m *model) deliver() (some bool) {
	list := only(m.due(), func(n *news) bool { return !n.delivered })
	slices.SortStableFunc(list, func(a, b *news) int { return cmp.Compare(a.due, b.due) })
	for some := range slices.Chunk(list, 50) {
		slices.SortFunc(some, func(a, b *news) int { return cmp.Compare(a.place, b.place) })
		for _, n := range some {
			m.callback(n)
			n.delivered = true
		}
	}
	return len(list) > 0
}

// pay is the payer on the provider's page.
func (m *model) pay(p *payment, approves bool) {
	state := failed
	if approves {
		state = paid
	}
	p.order.becomesNow(state, "card_declined")
	m.queue(p, news{name: "outcome", state: state, due: m.clock})
}

// refundAtProvider asks the provider for a refund that is pending, with its id as the key.
func (m *model) refundAtProvider(r *refund) {
	o := r.of.order
	o.ripen(m.clock)
	r.askAt = m.clock + delay
	switch first := !r.acted; {
	case first && (tokens[o.token].refuses == "refund" || o.state != paid && o.state != partiallyRefunded || r.amount > o.taken-o.givenBack):
		r.status, r.failure, m.happened = failed, "gateway_refused", true
		r.reply.is(402, "gateway_refused")
		return
	case first:
		r.acted = true
		o.givenBack += r.amount
		if o.state = partiallyRefunded; o.givenBack == o.taken {
			o.state = refunded
		}
		if tokens[o.token].loses == "refund" {
			return
		}
	}
	if code := m.bookable(r); code != done { // it is paid, and waits for the books
		m.happened = m.happened || r.failure != code
		r.failure = code
		return
	}
	m.book(r)
	r.reply.is(201, done)
}

// resumeRefunds is what the worker does about refunds that are due.
func (m *model) resumeRefunds() (some bool) {
	due := only(m.refunds, func(r *refund) bool { return r.of.order != nil && r.status == pending && r.askAt <= m.clock })
	slices.SortFunc(due, func(a, b *refund) int { return cmp.Or(cmp.Compare(a.askAt, b.askAt), strings.Compare(a.id, b.id)) })
	for _, r := range due {
		m.refundAtProvider(r)
	}
	return len(due) > 0
}
