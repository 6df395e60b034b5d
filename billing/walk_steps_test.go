package billing_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/uptrace/bun"

	"countersign/internal/testkit"
)

// This file is what people and workers do about invoices, claims and currencies; walk_steps_providers_test.go about money that
// is taken and given back.

type way struct {
	name string
	do   func()
}

// ways are the steps that make sense now, each as often as it is to be drawn, or all that there are.
func (x *walk) ways(all bool) []way {
	m, ways := x.m, []way{}
	bills := len(m.bills)
	charges := len(only(m.payments, func(p *payment) bool { return p.order != nil }))
	held := len(only(m.payments, func(p *payment) bool {
		return p.order != nil && (p.status == authorized || p.status == pending)
	}))
	waiting := len(only(m.payments, func(p *payment) bool { return p.status == pendingApproval }))
	cash := len(only(m.payments, func(p *payment) bool { return p.method == "cash" && p.status == pending }))
	collected := len(only(m.payments, (*payment).collected))
	deciding := len(only(m.refunds, func(r *refund) bool { return r.status == pendingApproval || r.status == pending }))
	booked := len(only(m.refunds, func(r *refund) bool { return r.status == succeeded && r.of.order == nil }))
	undecided := len(only(m.writeOffs, func(w *writeOff) bool { return w.status == "pending" }))
	for _, w := range []struct {
		name     string
		n, needs int
		do       func()
	}{
		{"draft", 5, 1, x.draft}, {"finalize", 6, bills, x.finalize}, {"void", 2, bills, x.void}, {"apply credit", 5, bills, x.applyCredit},
		{"unapply credit", 2, bills, x.unapply}, {"credit note", 3, bills, x.creditNote}, {"reverse credit note", 2, bills, x.reverseNote},
		{"write off", 4, bills, x.writeOff}, {"decide write-off", 5, undecided, x.decideWriteOff}, {"decide write-off", 1, len(m.writeOffs), x.decideWriteOff}, {"reverse write-off", 1, len(m.writeOffs), x.reverseWriteOff},
		{"give up", 2, bills, x.giveUp}, {"reopen", 1, bills, x.reopen},
		{"claim", 6, bills, x.claim}, {"approve", 7, waiting, x.approve}, {"reject", 1, waiting, x.reject}, {"cancel", 2, waiting + cash, x.cancel},
		{"settle", 4, len(m.approved()), x.settleSome},
		{"cash", 5, 1, x.cash}, {"complete", 2, cash, x.complete}, {"complete what is not there", 1, len(m.payments), x.complete}, {"delete", 1, cash, x.remove}, {"delete anything", 1, len(m.payments), x.remove},
		{"charge", 10, 1, x.charge}, {"capture", 4, held, x.capture}, {"release", 3, held, x.release}, {"release anything", 1, len(m.payments), x.release},
		{"pay", 3, len(x.payers()), x.pay}, {"callback", 5, len(m.news), x.callback}, {"deliver", 1, len(m.news), x.deliver}, {"sweep", 2, charges, x.sweepSome},
		{"refund", 10, collected, x.refund}, {"refund anything", 1, len(m.payments), x.refund}, {"decide refund", 5, deciding, x.decideRefund},
		{"end refund", 3, deciding, x.endRefund}, {"reverse refund", 3, booked, x.reverseRefund}, {"reverse refund", 1, len(m.refunds), x.reverseRefund}, {"resume refunds", 2, deciding, x.resume},
		{"rate", 1, 1, x.rate}, {"convert", 5, 1, x.convert}, {"reverse conversion", 2, len(m.conversions), x.reverseConversion},
		{"repeat", 6, len(x.calls), x.repeat}, {"rule", 1, 1, x.rule},
	} {
		if w.needs > 0 || all {
			ways = append(ways, slices.Repeat([]way{{w.name, w.do}}, w.n)...)
		}
	}
	return ways
}

// size is an amount; every third one is at the edge of a rule about amounts.
func (x *walk) size(name string, least int64) int64 {
	if x.chance("edge", 33) {
		return draw(x, name, []int64{300, 800, 1500}) + x.minor("beside", 0, 1)
	}
	return x.minor(name, least, 3000)
}

func (x *walk) currency() string { return draw(x, "currency", []string{"USD", "USD", "JPY", "KWD"}) }

// amount writes an amount in one of its two forms; no amount is all there is.
func (x *walk) amount(body map[string]any, name string, minor *int64, currency string) {
	switch {
	case minor == nil:
	case x.chance("in minor units", 50):
		body[name+"_minor"] = *minor
	default:
		body[name] = decimal(*minor, currency)
	}
}

// part is nothing said, some of it, all of it, or a little more than there is.
func (x *walk) part(all int64) *int64 {
	n := all
	switch draw(x, "part", []string{"unsaid", "unsaid", "half", "half", "some", "some", "all", "more"}) {
	case "unsaid":
		return nil
	case "half":
		n = all / 2
	case "some":
		n = x.minor("some", 1, max(1, all))
	case "more":
		n = all + 1
	}
	n = max(1, n)
	return &n
}

func (x *walk) bill(wanted func(*bill) bool) *bill { return most(x, "invoice", x.m.bills, wanted) }

func (b *bill) path(more string) string { return base + "/invoices/" + b.id + "/" + more }

func owing(b *bill) bool { return b.owed() == done }

func because() map[string]any { return map[string]any{"reason": "Agreed"} }

func (x *walk) draft() {
	b := &bill{account: draw(x, "account", x.m.accounts), currency: x.currency(), status: draft}
	var lines []any
	for range x.minor("lines", 1, 2) {
		q := draw(x, "quantity", []struct {
			text   string
			fourth int64
		}{{"1", 4}, {"1", 4}, {"2", 8}, {"0.5", 2}, {"1.25", 5}})
		tax := draw(x, "tax", []struct {
			text string
			mill int64
		}{{"0", 0}, {"0.15", 150}, {"0.075", 75}})
		price, units := x.size("price", 0), x.minor("credits", 0, 20)
		net := halfUp(price, q.fourth, 4)
		discount := int64(0)
		if x.chance("discount", 30) {
			discount = x.minor("discount", 0, net)
		}
		taxed := halfUp(net-discount, tax.mill, 1000)
		b.subtotal, b.discount, b.tax, b.units = b.subtotal+net, b.discount+discount, b.tax+taxed, b.units+units
		lines = append(lines, map[string]any{"description": "Work", "quantity": q.text, "unit_price": decimal(price, b.currency), "discount_amount": decimal(discount, b.currency),
			"tax_rate": tax.text, "credits": units})
	}
	b.total = b.subtotal - b.discount + b.tax
	body := map[string]any{"account_id": b.account, "currency": b.currency, "line_items": lines}
	b.id = x.post(x.m.people["owner"], base+"/invoices/", body, done, http.StatusCreated).Text("data.id")
	x.m.bills, x.m.happened = append(x.m.bills, b), true
}

func (x *walk) finalize() {
	b := x.bill(func(b *bill) bool { return b.status == draft })
	x.post(x.m.people["owner"], b.path("finalize/"), nil, x.m.finalize(b), http.StatusOK)
}

func (x *walk) void() {
	b := x.bill(func(b *bill) bool { return b.paid > 0 || b.noted > 0 || b.status == open })
	x.post(x.m.people["finance"], b.path("void/"), because(), x.m.void(b), http.StatusOK)
}

func (x *walk) applyCredit() {
	b := x.bill(func(b *bill) bool { return owing(b) && x.m.credit(b.account, b.currency) > 0 })
	amount, body := x.part(min(b.rest(), max(0, x.m.credit(b.account, b.currency)))), map[string]any{}
	x.amount(body, "amount", amount, b.currency)
	x.post(x.person("owner", "finance"), b.path("apply_credit/"), body, x.m.applyCredit(b, amount), http.StatusOK)
}

func (x *walk) unapply() {
	b := x.bill(func(b *bill) bool { return b.applied > 0 })
	if x.idle = len(b.applications) == 0; x.idle {
		return
	}
	i := int(x.minor("application", 0, int64(len(b.applications)-1)))
	var ids []string
	for _, a := range x.send(x.m.people["owner"], http.MethodGet, b.path(""), nil, "").Expect(http.StatusOK).List("data.adjustments") {
		if a := a.(map[string]any); a["kind"] == "credit_applied" && a["reverses"] == nil {
			ids = append(ids, a["id"].(string))
		}
	}
	body := because()
	body["adjustment_id"] = ids[i]
	x.post(x.person("owner", "finance"), b.path("unapply_credit/"), body, x.m.unapply(b.applications[i]), http.StatusOK)
}

func (x *walk) creditNote() {
	b := x.bill(owing)
	amount, body := x.part(b.rest()), because()
	x.amount(body, "amount", amount, b.currency)
	note, code := x.m.creditNote(b, amount)
	a := x.post(x.person("owner", "finance"), b.path("credit-notes/"), body, code, http.StatusCreated)
	if code == done {
		note.id = a.Text("data.id")
	}
}

func (x *walk) reverseNote() {
	b := x.bill(func(b *bill) bool { return b.noted > 0 })
	notes := only(b.notes, func(n *adjustment) bool { return n.id != "" })
	if x.idle = len(notes) == 0; x.idle {
		return
	}
	n := draw(x, "note", notes)
	x.post(x.person("owner", "finance"), base+"/credit-notes/"+n.id+"/reverse/", because(), x.m.reverseNote(n), http.StatusCreated)
}

func (x *walk) writeOff() {
	b := x.bill(owing)
	amount, body := x.part(b.rest()), because()
	if b.rest() > 0 && x.chance("little", 25) {
		little := x.minor("little", 1, min(300, b.rest()))
		amount = &little
	}
	x.amount(body, "amount", amount, b.currency)
	by := x.person("owner", "finance", "approver")
	w, code := x.m.writeOff(by, b, amount)
	a := x.post(by, b.path("write_off/"), body, code, http.StatusCreated)
	if code == done {
		w.id = a.Text("data.id")
	}
}

func (x *walk) decideWriteOff() {
	w := most(x, "write-off", x.m.writeOffs, func(w *writeOff) bool { return w.status == "pending" })
	by, path := x.another(w.by), base+"/write-offs/"+w.id+"/"
	body := map[string]any{"digest": x.digest(path)}
	if x.chance("reject", 25) {
		body["reason"] = "Not yet"
		x.post(by, path+"reject/", body, x.m.decideWriteOff(by, w, false), http.StatusOK)
		return
	}
	x.post(by, path+"approve/", body, x.m.decideWriteOff(by, w, true), http.StatusOK)
}

// another is mostly somebody else, for decisions that need one.
func (x *walk) another(than *walker) *walker {
	people := []*walker{x.m.people["owner"], x.m.people["finance"], x.m.people["approver"], x.m.people["second"]}
	return most(x, "another", people, func(p *walker) bool { return p != than })
}

// digest is what somebody sees who is about to decide; of what is decided there is none, and any other does.
func (x *walk) digest(path string) string {
	digest, _ := x.send(x.m.people["owner"], http.MethodGet, path, nil, "").Expect(http.StatusOK).At("data.digest").(string)
	if digest == "" {
		return "seen"
	}
	return digest
}

func (x *walk) reverseWriteOff() {
	w := most(x, "write-off", x.m.writeOffs, func(w *writeOff) bool { return w.status == "posted" })
	x.post(x.person("owner", "finance"), base+"/write-offs/"+w.id+"/reverse/", because(), x.m.reverseWriteOff(w), http.StatusOK)
}

func (x *walk) giveUp() {
	b := x.bill(owing)
	x.post(x.person("owner", "finance"), b.path("mark_uncollectible/"), because(), x.m.giveUp(b), http.StatusOK)
}

func (x *walk) reopen() {
	b := x.bill(func(b *bill) bool { return b.status == uncollectible })
	x.post(x.person("owner", "finance"), b.path("reopen/"), because(), x.m.reopen(b), http.StatusOK)
}

func (p *payment) path(more string) string { return base + "/payments/" + p.id + "/" + more }

// reference is one that nobody has used.
func (x *walk) reference() string {
	x.refs++
	return fmt.Sprintf("%s %d", x.w.Tenant.Slug, x.refs)
}

// payer is mostly somebody whose bill it is.
func (x *walk) payer(b *bill, staff ...string) *walker {
	if b == nil || x.chance("staff", 40) {
		return x.person(staff...)
	}
	for _, name := range []string{"member", "other"} {
		if p := x.m.people[name]; (p.account == b.account) != x.chance("a stranger", 5) {
			return p
		}
	}
	return x.person(staff...)
}

func payable(b *bill) bool { return b.payable() == done }

func (x *walk) claim() {
	b := x.bill(payable)
	p := &payment{bill: b, currency: b.currency, method: draw(x, "method", []string{"bank_transfer", "local_wallet"}), by: x.payer(b, "finance", "owner")}
	body := map[string]any{"invoice_id": b.id, "payment_method": p.method, "transaction_reference": x.reference()}
	amount := x.part(b.rest())
	if p.amount = b.rest(); amount != nil {
		if x.chance("much more", 30) {
			*amount += x.minor("excess", 1, 1500)
		}
		p.amount = *amount
	}
	x.amount(body, "amount", amount, b.currency)
	code := x.m.claim(p)
	a := x.post(p.by, base+"/payments/manual/", body, code, http.StatusCreated)
	if code == done {
		p.id = a.Text("data.id")
	}
}

func (x *walk) undecided() *payment {
	claims := only(x.m.payments, func(p *payment) bool { return p.bill != nil && p.order == nil && p.method != "cash" })
	return most(x, "payment", claims, func(p *payment) bool { return p.status == pendingApproval })
}

func (x *walk) approve() {
	p, by := x.undecided(), x.person("approver", "second", "finance", "owner")
	body := map[string]any{"digest": x.digest(p.path(""))}
	var received *int64
	if x.chance("another amount", 30) {
		n := max(1, draw(x, "received", []int64{p.amount - 1, p.amount / 2, p.amount + 700}))
		received = &n
	}
	x.amount(body, "received_amount", received, p.currency)
	x.post(by, p.path("approve/"), body, x.m.approve(by, p, received), http.StatusOK)
}

func (x *walk) reject() {
	p, by := x.undecided(), x.person("approver", "second", "finance", "owner")
	body := because()
	body["digest"] = x.digest(p.path(""))
	x.post(by, p.path("reject/"), body, x.m.reject(by, p), http.StatusOK)
}

func (x *walk) cancel() {
	p := most(x, "payment", only(x.m.payments, func(p *payment) bool { return p.order == nil }), func(p *payment) bool { return p.status == pendingApproval || p.status == pending })
	by := p.by
	if x.chance("somebody else", 40) {
		by = x.person("member", "other", "finance", "cashier")
	}
	x.post(by, p.path("cancel/"), nil, x.m.cancel(by, p), http.StatusOK)
}

// settleSome settles what is approved, while another transaction may work on some of it: that is left out.
func (x *walk) settleSome() {
	var busy []*payment
	crowded := x.chance("crowded", 40)
	free := slices.DeleteFunc(x.m.approved(), func(p *payment) bool {
		taken := crowded && x.chance("busy", 40)
		if taken {
			busy = append(busy, p)
		}
		return taken
	})
	x.settle(free, busy)
}

func (x *walk) settle(free, busy []*payment) {
	err := testkit.OwnerDB(x.tb).RunInTx(x.w.System, nil, func(ctx context.Context, tx bun.Tx) error {
		for _, p := range busy {
			if _, err := tx.NewRaw("SELECT 1 FROM settlement_queue WHERE tenant_id = ? AND payment_id = ? FOR UPDATE", x.w.Tenant.ID, p.id).Exec(ctx); err != nil {
				return err
			}
		}
		for range x.minor("times", 1, 2) { // a queue may bring its task twice
			if err := x.w.Payments.Settle(x.w.System); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		x.rt.Fatal(err)
	}
	x.m.settle(free)
	x.idle = len(free) == 0
}

func (x *walk) rate() {
	pair := draw(x, "pair", [][2]string{{"USD", "JPY"}, {"KWD", "USD"}, {"JPY", "KWD"}, {"JPY", "USD"}})
	r := &rate{base: pair[0], quote: pair[1], text: draw(x, "rate", []string{"1.0833", "154.37", "0.3071", "0.0065", "3.25", "0.5"})}
	body := map[string]any{"base": r.base, "quote": r.quote, "rate": r.text, "source": "bank"}
	r.id = x.post(x.m.people["finance"], base+"/fx/rates/", body, done, http.StatusCreated).Text("data.id")
	x.m.rates, x.m.happened = append(x.m.rates, r), true
}

func (x *walk) convert() {
	type purse struct{ account, currency string }
	var purses []purse
	for _, account := range x.m.accounts {
		for _, currency := range []string{"USD", "JPY", "KWD"} {
			purses = append(purses, purse{account, currency})
		}
	}
	from := most(x, "from", purses, func(p purse) bool { return x.m.credit(p.account, p.currency) > 0 })
	c := &conversion{account: from.account, from: from.currency}
	c.to = draw(x, "to", slices.DeleteFunc([]string{"USD", "JPY", "KWD"}, func(s string) bool { return s == c.from }))
	c.amount = max(0, x.m.credit(c.account, c.from))
	if part := x.part(c.amount); part != nil {
		c.amount = *part
	}
	c.amount = max(1, c.amount)
	body := map[string]any{"account_id": c.account, "from_currency": c.from, "to_currency": c.to, "reason": "Drawn"} // nobody has recorded such a rate: it takes an owner who says why
	x.amount(body, "from_amount", &c.amount, c.from)
	r := &rate{base: c.from, text: draw(x, "stated", []string{"1.0833", "154.37", "0.3071", "0.0065", "3.25", "0.5"})}
	recorded := only(x.m.rates, func(r *rate) bool { return r.base == c.from && r.quote == c.to || r.base == c.to && r.quote == c.from })
	switch {
	case len(recorded) > 0 && x.chance("recorded", 60):
		r = draw(x, "rate", recorded)
		body["rate_id"] = r.id
	default:
		if body["rate"], body["source"] = r.text, "bank"; x.chance("of the target", 50) {
			r.base = c.to
			body["rate_base"] = r.base
		}
	}
	var given *int64
	if x.chance("given", 30) {
		n := max(1, exchange(c.amount, c.from, c.to, r)+x.minor("more", 0, 2)-1)
		given = &n
		x.amount(body, "to_amount", given, c.to)
	}
	a := x.keyed(x.person("owner"), base+"/fx/conversions/", body, x.m.convert(c, r, given), http.StatusCreated)
	if a.Status == http.StatusCreated {
		c.id = a.Text("data.id")
	}
}

func (x *walk) reverseConversion() {
	c := most(x, "conversion", x.m.conversions, func(c *conversion) bool { return !c.reversed })
	x.post(x.person("finance", "owner"), base+"/fx/conversions/"+c.id+"/reverse/", because(), x.m.reverseConversion(c), http.StatusOK)
}
