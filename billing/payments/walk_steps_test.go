package payments_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun"

	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// This file is what people and workers do on a walk.

func (x *walk) draft() {
	b := &bill{account: draw(x, "account", x.m.accounts), currency: draw(x, "currency", []money.Currency{"USD", "JPY", "KWD"}), status: invoices.StatusDraft,
		total: x.size("total", 0), credits: x.minor("credits", 0, 20)}
	line := body("description", "Work", "quantity", "1", "unit_price", money.New(b.total, b.currency).String(), "credits", b.credits)
	a := x.post(x.m.people["owner"], base+"/invoices/", body("account_id", b.account, "currency", b.currency, "line_items", []any{line}), done, http.StatusCreated)
	b.id = a.Text("data.id")
	x.m.invoices = append(x.m.invoices, b)
}

// size is an amount; every other one is at the edge of a rule about amounts.
func (x *walk) size(name string, least int64) int64 {
	if x.chance("edge", 50) {
		return draw(x, name, thresholds) + x.minor("beside", 0, 1)
	}
	return x.minor(name, least, 5000)
}

func (x *walk) open() {
	b := x.bill(90, func(b *bill) bool { return b.status == invoices.StatusDraft })
	x.post(x.m.people["owner"], base+"/invoices/"+b.id+"/finalize/", body(), x.m.finalize(b), http.StatusOK)
}

func (x *walk) void() {
	b := x.bill(50, func(b *bill) bool { return b.claims > 0 || b.paid > 0 })
	x.post(x.m.people["finance"], base+"/invoices/"+b.id+"/void/", body("reason", "mistaken"), x.m.void(b), http.StatusOK)
}

func (x *walk) submit() {
	s := submission{bill: x.bill(85, func(b *bill) bool { return b.payable() == done }), method: draw(x, "method", []string{"bank_transfer", "bank_transfer", "local_wallet"})}
	s.by = x.person("member", "member", "member", "colleague", "colleague", "other", "finance", "owner", "viewer")
	if s.by.account != "" && s.by.account != s.bill.account && !x.chance("stranger", 7) {
		s.by = x.m.people[map[string]string{"member": "other", "colleague": "other", "other": "member"}[s.by.name]]
	}
	spelled := x.w.Tenant.Slug + draw(x, "reference", []string{" a", " b", " c", " d", " e", " f", " g", " h"})
	s.reference = strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(spelled))
	if x.chance("spelled otherwise", 50) {
		spelled = strings.ToUpper(strings.ReplaceAll(spelled, " ", "-")) + "."
	}
	s.notes = draw(x, "notes", []string{"", "", "at the counter"})
	fields := body("invoice_id", s.bill.id, "payment_method", s.method, "transaction_reference", spelled, "notes", s.notes)
	switch draw(x, "amount", []string{"none", "none", "none", "less", "less", "rest", "more", "any", "any", "wrong"}) {
	case "less":
		s.amount = ptr(max(1, s.bill.rest()/2))
	case "rest":
		s.amount = ptr(s.bill.rest())
	case "more":
		s.amount = ptr(s.bill.rest() + x.minor("excess", 1, 1000))
	case "any":
		s.amount = ptr(x.size("minor", 1))
	case "wrong":
		if s.amount = ptr(int64(0)); x.chance("zero", 50) {
			break
		}
		s.amount, s.tooFine = ptr(int64(1)), true
		fields["amount"] = "1." + strings.Repeat("0", s.bill.currency.Exponent()) + "1"
	}
	if s.amount != nil && !s.tooFine {
		x.amount(fields, "amount", *s.amount, s.bill.currency)
	}
	if x.chance("with a currency", 20) {
		s.currency = draw(x, "stated", []money.Currency{s.bill.currency, s.bill.currency, "USD"})
		fields["currency"] = s.currency
	}
	if x.chance("with a receipt", 50) {
		s.proof = draw(x, "receipt", x.m.proofs)
		if own := only(x.m.proofs, func(p *proof) bool { return p.account == s.bill.account }); !x.chance("anybody's", 10) {
			s.proof = draw(x, "receipt", own)
		}
		fields["evidence_ids"] = []string{s.proof.id}
	}
	if len(x.m.payments) > 0 && x.chance("as a retry", 20) {
		s.retryOf = draw(x, "retried", x.m.payments)
		if refused := only(x.m.payments, func(a *attempt) bool { return a.bill == s.bill && !a.live() }); len(refused) > 0 && x.chance("refused", 80) {
			s.retryOf = draw(x, "retried", refused)
		}
		fields["retry_of"] = s.retryOf.id
	}
	x.claim(s, fields)
	if !x.chance("again", 25) {
		return
	}
	fields = maps.Clone(fields) // what was sent stays as it was, to be repeated
	switch draw(x, "changed", []string{"nothing", "submitter", "notes", "amount", "receipt"}) {
	case "submitter":
		s.by = x.person("member", "colleague", "finance")
	case "notes":
		s.notes = "for the second time"
		fields["notes"] = s.notes
	case "amount":
		s.amount, s.tooFine = ptr(x.size("minor", 1)), false
		delete(fields, "amount")
		delete(fields, "amount_minor")
		x.amount(fields, "amount", *s.amount, s.bill.currency)
	case "receipt":
		s.proof = draw(x, "receipt", x.m.proofs)
		fields["evidence_ids"] = []string{s.proof.id}
	}
	x.claim(s, fields)
}

// amount writes an amount in one of its two forms.
func (x *walk) amount(fields map[string]any, name string, minor int64, currency money.Currency) {
	if x.chance("in minor units", 50) {
		fields[name+"_minor"] = minor
		return
	}
	fields[name] = money.New(minor, currency).String()
}

func (x *walk) claim(s submission, fields map[string]any) {
	code, a, again := x.m.submit(s)
	if again { // the natural key: an answer, and nothing happens (C-08)
		answer := x.send(s.by, http.MethodPost, list+"manual/", fields, "")
		if answer.Expect(http.StatusCreated).Text("data.id") != a.id || answer.Header.Get("Idempotent-Replayed") != "true" {
			x.rt.Fatalf("the same claim again: %v %s", answer.Header, answer.Raw)
		}
		if traces := x.traces(); traces != x.trace {
			x.rt.Fatalf("the same claim again: traces were %+v and are %+v", x.trace, traces)
		}
		return
	}
	answer := x.post(s.by, list+"manual/", fields, code, http.StatusCreated)
	if code == done {
		a.id = answer.Text("data.id")
	}
}

// look looks at a payment as staff and remembers what there was to see: a digest changes exactly if something does that
// it stands for.
func (x *walk) look(a *attempt) look {
	l := look{a, x.send(x.m.people["viewer"], http.MethodGet, list+a.id+"/", nil, "").Expect(http.StatusOK).Text("data.digest"), x.m.seen(a)}
	for _, o := range x.looks {
		if (o.digest == l.digest) != (o.facts == l.facts) {
			x.rt.Fatalf("the digests %.8s and %.8s stand for\n%s\n%s", o.digest, l.digest, o.facts, l.facts)
		}
	}
	x.looks = append(x.looks, l)
	return l
}

// glance is what somebody decides by: mostly what is there now, sometimes what was, something else or nothing.
func (x *walk) glance(a *attempt) look {
	if x.chance("by an old look", 25) {
		if own := only(x.looks, func(l look) bool { return l.of == a }); len(own) > 0 && x.chance("its own", 85) {
			return draw(x, "look", own)
		} else if len(x.looks) > 0 {
			return draw(x, "look", x.looks)
		}
	}
	if x.chance("blindly", 3) {
		return look{}
	}
	return x.look(a)
}

func (x *walk) approve() {
	a := x.attempt()
	by := x.decider("approver", "second", "finance", "owner", "approver", "second", "finance", "owner", "approver", "second", "viewer", "member")
	l := x.glance(a)
	fields := body("digest", l.digest, "note", draw(x, "note", []string{"", "seen"}))
	var received *int64
	if x.chance("stating what came", 35) {
		received = ptr(max(0, draw(x, "received", []int64{a.amount, a.amount - 1, a.amount / 2, a.amount / 2, a.amount + 700, 0})))
		x.amount(fields, "received_amount", *received, a.bill.currency)
	}
	x.post(by, list+a.id+"/approve/", fields, x.m.approve(by, a, l, received), http.StatusOK)
}

func (x *walk) reject() {
	a := x.attempt()
	by := x.decider("approver", "second", "finance", "owner", "viewer", "member")
	l := x.glance(a)
	x.post(by, list+a.id+"/reject/", body("digest", l.digest, "reason", "no such line"), x.m.reject(by, a, l), http.StatusOK)
}

func (x *walk) withdraw() {
	a := x.attempt()
	by := a.by
	if x.chance("somebody else", 50) {
		by = x.person(x.names...)
	}
	x.post(by, list+a.id+"/cancel/", body(), x.m.withdraw(by, a), http.StatusOK)
}

func (x *walk) edit() {
	a := x.attempt()
	by := a.by
	if x.chance("somebody else", 30) {
		by = x.person(x.names...)
	}
	notes := draw(x, "notes", []string{"at the counter", "by phone"})
	answer := x.send(by, http.MethodPatch, list+a.id+"/", body("notes", notes), "")
	x.expect(answer, by.name+" edits "+a.id, x.m.editNotes(by, a, notes), http.StatusOK)
}

// bulk approves some payments, the same one twice perhaps; each is decided by itself.
func (x *walk) bulk() {
	by := x.decider("approver", "second", "finance", "owner")
	n := x.minor("how many", 1, 4)
	var chosen []*attempt
	var looks []look
	var items []any
	for range n {
		a := x.attempt()
		l := x.glance(a)
		if l.digest == "" {
			l = x.look(a)
		}
		chosen, looks = append(chosen, a), append(looks, l)
		items = append(items, body("id", a.id, "digest", l.digest))
	}
	var want []string
	effect := false
	for i, a := range chosen {
		want = append(want, x.m.approve(by, a, looks[i], nil))
		effect = effect || want[i] == done
	}
	answer := x.send(by, http.MethodPost, list+"bulk_approve/", body("items", items), "").Expect(http.StatusOK)
	var got []string
	for _, r := range answer.List("data.results") {
		code, _ := r.(map[string]any)["code"].(string)
		got = append(got, code)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		x.rt.Fatalf("%s approves %d at once (-want +got):\n%s", by.name, n, diff)
	}
	tried := slices.Contains(got, "payment_not_pending") // which is kept (S1-32)
	if traces := x.traces(); !tried && (traces != x.trace) != effect || tried && !effect && traces.Decisions != x.trace.Decisions {
		x.rt.Fatalf("%s approves %v at once: traces were %+v and are %+v", by.name, got, x.trace, traces)
	}
	x.trace = x.traces()
}

func (x *walk) settleAll() { x.settle(x.m.approved(), nil) }

// settleSome settles while another transaction works on some of the payments: those are left out.
func (x *walk) settleSome() {
	var busy []*attempt
	free := slices.DeleteFunc(x.m.approved(), func(a *attempt) bool {
		if x.chance("busy", 50) {
			busy = append(busy, a)
			return true
		}
		return false
	})
	x.settle(free, busy)
}

func (x *walk) settle(free, busy []*attempt) {
	tx, err := testkit.OwnerDB(x.tb).BeginTx(x.w.System, nil)
	if err != nil {
		x.rt.Fatal(err)
	}
	defer tx.Rollback()
	if len(busy) > 0 {
		ids := []string{}
		for _, a := range busy {
			ids = append(ids, a.id)
		}
		if _, err := tx.NewRaw("SELECT 1 FROM settlement_queue WHERE tenant_id = ? AND payment_id IN (?) FOR UPDATE", x.w.Tenant.ID, bun.List(ids)).Exec(x.w.System); err != nil {
			x.rt.Fatal(err)
		}
	}
	if err := x.w.Payments.Settle(x.w.System); err != nil {
		x.rt.Fatal(err)
	}
	x.m.settle(free)
	x.trace = x.traces()
}

// redeliver gives the worker its task twice more, as a queue may.
func (x *walk) redeliver() {
	x.settleAll()
	before := x.w.Snapshot()
	for range 2 {
		if err := x.w.Payments.App().Doorbells[0].Run(x.w.System); err != nil {
			x.rt.Fatal(err)
		}
	}
	if diff := cmp.Diff(before, x.w.Snapshot()); diff != "" {
		x.rt.Fatalf("settling what is settled did something:\n%s", diff)
	}
}

// repeat sends a request again under its key: the same is answered as before, another is refused (S1-43, S1-44).
func (x *walk) repeat() {
	c := draw(x, "call", x.calls)
	if fields := c.body.(map[string]any); len(fields) > 0 && x.chance("another body", 30) {
		other := body("note", "another", "reason", "another", "notes", "another")
		for k := range other {
			if _, ok := fields[k]; !ok {
				delete(other, k)
			}
		}
		if len(other) == 0 {
			return
		}
		for k, v := range fields {
			if _, ok := other[k]; !ok {
				other[k] = v
			}
		}
		x.expect(x.send(c.by, http.MethodPost, c.path, other, c.key), "another body for "+c.path, "idempotency_key_reused", 0)
		return
	}
	a := x.send(c.by, http.MethodPost, c.path, c.body, c.key).Expect(c.status)
	if diff := cmp.Diff(c.data, a.At("data")); diff != "" || a.Header.Get("Idempotent-Replayed") != "true" {
		x.rt.Fatalf("%s again: %v\n%s", c.path, a.Header, diff)
	}
	if traces := x.traces(); traces != x.trace {
		x.rt.Fatalf("%s again: traces were %+v and are %+v", c.path, x.trace, traces)
	}
}

// dismiss takes somebody's membership away, or gives it back.
func (x *walk) dismiss() {
	p := x.person("approver", "second", "finance")
	p.dismissed = !p.dismissed
	force(x.tb, "UPDATE memberships SET is_active = ? WHERE tenant_id = ? AND user_id = ?", !p.dismissed, x.w.Tenant.ID, p.ID)
}

func (x *walk) allowParallel(allow bool) {
	x.m.parallel = allow
	x.w.Configure(tenancy.UpdateInput{AllowParallelClaims: &allow})
	x.trace = x.traces()
}

// policy changes what the tenant asks for.
func (x *walk) policy() {
	switch draw(x, "what", []string{"parallel", "threshold", "threshold", "ladder"}) {
	case "parallel":
		x.allowParallel(!x.m.parallel)
	case "threshold":
		x.m.threshold = draw(x, "threshold", append(thresholds, 0))
		x.w.Configure(tenancy.UpdateInput{TwoApprovalThresholdMinor: &x.m.threshold})
	case "ladder":
		x.m.ladder = draw(x, "ladder", ladders())
		if _, err := x.w.Decisions.SetLadder(x.w.Owner.Ctx, x.m.ladder.rungs); err != nil {
			x.rt.Fatal(err)
		}
	}
	x.trace = x.traces()
}
