package billing_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"countersign/billing/gateways"
	"countersign/internal/testkit"
)

// keyed is post for what is done with a key only.
func (x *walk) keyed(by *walker, path string, body map[string]any, code string, status int) testkit.Answer {
	key := x.key()
	a := x.send(by, http.MethodPost, path, body, key)
	x.what = fmt.Sprintf("%s: %s %s %v", x.what, by.name, path, body)
	x.expect(a, status, code)
	if code == done {
		x.remember(&call{by: by, path: path, key: key, body: body, status: status, raw: bare(a)})
	}
	return a
}

// ask sends what a provider is asked for. Its reply may be known later, and then tells what has become of it.
func (x *walk) ask(by *walker, path string, body map[string]any, c *call) testkit.Answer {
	c.by, c.path, c.key, c.body = by, path, x.key(), body
	a := x.send(by, http.MethodPost, path, body, c.key)
	x.what = fmt.Sprintf("%s: %s %s %v", x.what, by.name, path, body)
	x.replied(c, a)
	x.remember(c)
	return a
}

// replied compares an answer with the reply; what is not known is 202.
func (x *walk) replied(c *call, a testkit.Answer) {
	if !c.reply.known {
		x.expect(a, http.StatusAccepted, done)
		return
	}
	x.expect(a, c.reply.status, c.reply.code)
	if c.status, c.raw = c.reply.status, bare(a); a.Status != c.status {
		x.rt.Fatalf("%s: the answer is %d, want %d: %s", x.what, a.Status, c.status, a.Raw)
	}
}

// money is a payment of somebody, with what he sends for it.
func (x *walk) money(method string, staff ...string) (*payment, map[string]any) {
	p, body := &payment{method: method}, map[string]any{}
	if len(x.m.bills) > 0 && x.chance("of an invoice", 65) {
		p.bill = x.bill(payable)
	}
	p.by = x.payer(p.bill, staff...)
	switch b := p.bill; {
	case b != nil:
		p.currency, body["invoice_id"] = b.currency, b.id
		p.amount = max(1, b.rest())
		if part := x.part(p.amount); part != nil {
			p.amount = *part
		}
		if x.chance("too much", 25) {
			p.amount += x.minor("excess", 1, 1500)
			if p.credit = x.chance("as credit", 60); p.credit {
				body["allow_credit"] = true
			}
		}
	default:
		p.currency, p.amount = x.currency(), x.size("amount", 1)
		if x.chance("of a customer", 80) {
			p.account, p.prepay = draw(x, "account", x.m.accounts), x.chance("in advance", 70)
			body["account_id"], body["prepayment"] = p.account, p.prepay
		}
	}
	body["currency"] = p.currency
	x.amount(body, "amount", &p.amount, p.currency)
	return p, body
}

func (x *walk) cash() {
	p, body := x.money("cash", "cashier", "finance", "owner")
	if p.by.account != "" {
		p.by = x.person("cashier", "cashier", "approver")
	}
	body["gateway"], body["reference"] = "cash", x.reference()
	code := x.m.takeCash(p)
	a := x.post(p.by, base+"/payments/", body, code, http.StatusCreated)
	if code == done {
		p.id = a.Text("data.id")
	}
}

func (x *walk) complete() {
	p := most(x, "payment", x.m.payments, func(p *payment) bool { return p.method == "cash" && p.status == pending })
	by := x.person("cashier", "finance", "owner")
	x.post(by, p.path("complete/"), nil, x.m.complete(by, p), http.StatusOK)
}

func (x *walk) remove() {
	p := most(x, "payment", x.m.payments, func(p *payment) bool { return p.method == "cash" && p.status == pending })
	by := p.by
	if x.chance("somebody else", 40) {
		by = x.person("member", "other", "finance", "cashier")
	}
	code := x.m.remove(by, p)
	a := x.send(by, http.MethodDelete, p.path(""), nil, "")
	x.what = fmt.Sprintf("%s: %s deletes %s", x.what, by.name, p.id)
	x.expect(a, http.StatusNoContent, code)
}

func (x *walk) charge() {
	p, body := x.money("card", "finance", "owner", "cashier")
	names := slices.Sorted(maps.Keys(tokens))
	usual := []string{"tok_visa", "tok_visa", "tok_slow", "tok_refund_timeout", "tok_timeout", "tok_async", "tok_3ds", "tok_capture_timeout"}
	name := draw(x, "token", append(usual, names...))
	if name == "tok_down" && !x.chance("down", 5) { // which takes its time
		name = "tok_visa"
	}
	hold := x.chance("hold", 35) || strings.Contains(name, "capture") || strings.Contains(name, "release")
	if body["payment_source"] = name; hold {
		body["capture"] = false
	}
	code := x.m.charge(p, name, hold)
	if code != done {
		x.keyed(p.by, base+"/charges/", body, code, 0)
		return
	}
	a := x.ask(p.by, base+"/charges/", body, &call{of: p, reply: p.order.begun})
	p.id = a.Text("data.id")
}

func (x *walk) hold() *payment {
	return most(x, "payment", x.m.payments, func(p *payment) bool { return p.order != nil && (p.status == authorized || p.status == pending) })
}

func (x *walk) capture() {
	p, body := x.hold(), map[string]any{}
	amount := x.part(p.amount)
	x.amount(body, "amount", amount, p.currency)
	x.operate(p, "capture", amount, body)
}

func (x *walk) release() { x.operate(x.hold(), "release", nil, nil) }

func (x *walk) operate(p *payment, operation string, amount *int64, body map[string]any) {
	by := x.person("finance", "owner")
	code, r := x.m.operate(by, p, operation, amount)
	if code != done {
		x.keyed(by, p.path(operation+"/"), body, code, 0)
		return
	}
	x.ask(by, p.path(operation+"/"), body, &call{of: p, reply: r})
}

// payers are the payments that wait for a payer on the provider's page.
func (x *walk) payers() []*payment {
	return only(x.m.payments, func(p *payment) bool { return p.order != nil && p.order.state == awaiting })
}

func (x *walk) pay() {
	p, approves := draw(x, "payment", x.payers()), x.chance("approves", 75)
	x.m.pay(p, approves)
	x.expect(x.send(x.m.people["owner"], http.MethodPost, base+"/sandbox/orders/"+p.id+"/complete/", map[string]any{"approve": approves}, ""), http.StatusOK, done)
}

// callback brings one of the provider's callbacks that have come due: late, before others, or once more.
func (x *walk) callback() {
	due := x.m.due()
	if x.idle = len(due) == 0; x.idle {
		return
	}
	n := most(x, "callback", due, func(n *news) bool { return !n.of.order.heard[n.name] })
	var body []byte
	err := testkit.OwnerDB(x.tb).NewRaw(`SELECT body FROM sandbox_callbacks WHERE tenant_id = ? AND order_id = ? AND convert_from(body, 'UTF8')::jsonb->>'id' = ? LIMIT 1`,
		x.w.Tenant.ID, n.of.id, "evt_"+n.name+"_"+n.of.id).Scan(x.w.System, &body)
	if err != nil {
		x.rt.Fatal(err)
	}
	x.what = fmt.Sprintf("%s: %s of %s", x.what, body, n.of.order.token)
	for range x.minor("copies", 1, 2) {
		r := httptest.NewRequestWithContext(x.tb.Context(), http.MethodPost, x.sandbox.CallbackPath(), bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Sandbox-Signature", gateways.Sign(x.sandbox.Credentials.Secrets["webhook_secret"], x.w.Clock.Now(), body))
		testkit.NewClient(x.tb, x.w.Handler).Do(r).Expect(http.StatusOK)
	}
	x.m.callback(n)
}

// deliver has the sandbox send what is due, in its own order.
func (x *walk) deliver() {
	x.idle = !x.m.deliver()
	for _, app := range x.w.Apps {
		for _, bell := range app.Doorbells {
			if bell.Name != "sandbox.deliver" {
				continue
			}
			if err := bell.Run(x.w.System); err != nil {
				x.rt.Fatal(err)
			}
		}
	}
}

func (x *walk) sweepSome() { x.sweep(draw(x, "later", []int64{0, 90, 90, 90, 3600, 49 * 3600})) }

// sweep asks for what has come to no end. When that is due is spread at random, so here it is due at once.
func (x *walk) sweep(seconds int64) {
	x.later(seconds)
	_, err := testkit.OwnerDB(x.tb).NewRaw("UPDATE payment_orders SET next_ask_at = ? WHERE tenant_id = ? AND next_ask_at IS NOT NULL", x.w.Clock.Now(), x.w.Tenant.ID).Exec(x.w.System)
	if err == nil {
		err = x.w.Payments.AskAgain(x.w.System)
	}
	if err != nil {
		x.rt.Fatal(err)
	}
	x.idle = !x.m.sweep()
}

func (x *walk) later(seconds int64) {
	x.w.Clock.Move(time.Duration(seconds) * time.Second)
	x.m.clock += seconds
}

func (x *walk) refund() {
	p := most(x, "payment", x.m.payments, func(p *payment) bool { return p.collected() && p.refunded < *p.received })
	r := &refund{of: p, by: x.person("finance", "owner", "approver"), reason: draw(x, "reason", []string{"overpayment", "item_return", "other"}), reply: &reply{}}
	body := map[string]any{"reason": r.reason}
	if payout := p.order == nil; payout && x.chance("paid already", 60) || x.chance("payout", 2) {
		r.payout = x.reference()
		body["payout_reference"] = r.payout
	}
	rest := p.amount
	if p.collected() {
		rest = *p.received - p.refunded - p.held()
	}
	amount := x.part(rest)
	x.amount(body, "amount", amount, p.currency)
	code, path := x.m.refund(r, amount), p.path("refund/")
	if code != done {
		x.keyed(r.by, path, body, code, 0)
		return
	}
	if p.order != nil && r.status == pending {
		x.m.refundAtProvider(r)
	} else {
		r.reply.is(http.StatusCreated, done)
	}
	a := x.ask(r.by, path, body, &call{of: p, refund: r, reply: r.reply})
	r.id = a.Text("data.id")
}

func (x *walk) decideRefund() {
	r := most(x, "refund", x.m.refunds, func(r *refund) bool { return r.status == pendingApproval })
	by, path := x.another(r.by), base+"/refunds/"+r.id+"/"
	body := map[string]any{"digest": x.digest(path)}
	if x.chance("reject", 20) {
		body["reason"] = "Not yet"
		x.post(by, path+"reject/", body, x.m.decideRefund(by, r, false), http.StatusOK)
		return
	}
	x.post(by, path+"approve/", body, x.m.decideRefund(by, r, true), http.StatusOK)
}

// endRefund says that a refund was paid by hand, or takes it back.
func (x *walk) endRefund() {
	r := most(x, "refund", x.m.refunds, func(r *refund) bool { return r.status == pending || r.status == pendingApproval })
	by, path := x.person("owner", "finance", "approver"), base+"/refunds/"+r.id+"/"
	if x.chance("cancel", 35) {
		x.post(by, path+"cancel/", nil, x.m.cancelRefund(by, r), http.StatusOK)
		return
	}
	x.post(by, path+"complete/", map[string]any{"payout_reference": x.reference()}, x.m.completeRefund(r), http.StatusOK)
}

func (x *walk) reverseRefund() {
	r := most(x, "refund", x.m.refunds, func(r *refund) bool { return r.status == succeeded && r.of.order == nil })
	by := x.another(r.by)
	x.post(by, base+"/refunds/"+r.id+"/reverse/", because(), x.m.reverseRefund(by, r), http.StatusOK)
}

// resume has the worker ask for refunds whose outcome is not known.
func (x *walk) resume() {
	x.later(draw(x, "later", []int64{0, 2 * delay}))
	if err := x.w.Payments.ResumeRefunds(x.w.System); err != nil {
		x.rt.Fatal(err)
	}
	x.idle = !x.m.resumeRefunds()
}

// repeat sends a request again under its key: the same is answered with the same bytes (S1-43), another is refused (S1-44),
// and what was not known is asked for.
func (x *walk) repeat() {
	c := draw(x, "call", x.calls)
	if x.chance("unanswered", 30) {
		c = most(x, "call", x.calls, func(c *call) bool { return c.reply != nil && !c.reply.known })
	}
	x.what = fmt.Sprintf("%s: %s %s %v", x.what, c.by.name, c.path, c.body)
	answered := c.reply == nil || c.reply.known
	if answered && x.chance("another body", 20) {
		other := maps.Clone(c.body)
		for _, name := range []string{"reason", "source", "notes"} {
			if _, has := other[name]; has {
				other[name] = "other"
			}
		}
		if minor, has := other["amount_minor"].(int64); has {
			other["amount_minor"] = minor + 1
		}
		if !maps.EqualFunc(other, c.body, func(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
			x.expect(x.send(c.by, http.MethodPost, c.path, other, c.key), 0, "idempotency_key_reused")
			return
		}
	}
	if !answered {
		if c.refund != nil {
			x.m.refundAtProvider(c.refund)
		} else {
			x.m.again(c.of)
		}
	}
	a := x.send(c.by, http.MethodPost, c.path, c.body, c.key)
	switch {
	case c.reply != nil && c.raw == "":
		x.replied(c, a)
	case a.Status != c.status || bare(a) != c.raw:
		x.rt.Fatalf("%s: the answer was\n%d %s\nand is\n%d %s", x.what, c.status, c.raw, a.Status, bare(a))
	}
	if replayed := a.Header.Get("Idempotent-Replayed") == "true"; answered && !replayed {
		x.rt.Fatalf("%s: it does not say that it is a replay", x.what)
	}
}
