package main_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/billing/gateways"
	"countersign/internal/embedded"
)

// hand is a worker behind a cutter of its own.
type hand struct {
	*lane     // where its work comes from
	guard     *cutter
	redis     *embedded.Redis
	workerEnv []string
}

func (s *shop) hand(t *testing.T) *hand {
	t.Helper()
	redis, err := embedded.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	guard, dsn := newCutter(t, s.direct)
	return &hand{lane: s.lane(t), guard: guard, redis: redis, workerEnv: append(slices.Clone(s.env), "DATABASE_URL="+dsn, "REDIS_URL=redis://"+redis.Addr())}
}

// works starts a worker.
func (h *hand) works() *process { return h.start(h.t, h.workerEnv, "worker") }

// struckDown starts a worker and waits until the blade has fallen on it. With kill it dies of it, and Redis forgets that
// it ever was.
func (h *hand) struckDown(b *blade, kill bool) *process {
	h.t.Helper()
	begun := make(chan *process, 1)
	if kill {
		b.before = func() { (<-begun).kill() }
	}
	h.guard.put(b)
	p := h.works()
	begun <- p
	b.wait(h.t)
	if kill {
		flush(h.t, h.redis)
	}
	return p
}

// retires ends a worker in order, once it has begun: before that a signal ends it as it ends any program.
func (h *hand) retires(p *process) {
	h.t.Helper()
	p.says("msg=working")
	p.interrupt()
	if code := p.wait(); code != 0 {
		h.t.Errorf("exit %d after an interrupt", code)
	}
}

// testSettler strikes a worker while it settles a set of approved payments.
func testSettler(t *testing.T, s *shop) {
	h := s.hand(t)
	for _, after := range []bool{false, true} {
		for _, kill := range []bool{false, true} {
			what := fmt.Sprintf("after COMMIT: %v, killed: %v", after, kill)
			set := []request{h.approving(), h.approving(), h.approving()}
			for _, r := range set {
				h.must(http.StatusOK, r)
			}
			p := h.struckDown(&blade{about: "settle", after: after}, kill)
			const waiting, done = "key answered, payment processing", "key answered, payment succeeded" + settled
			stands := waiting
			if after {
				stands = done
			}
			for _, r := range set {
				if got := h.where(r); kill && got != stands || !kill && got != stands && got != done { // who lives goes on
					t.Errorf("%s:\n got %s\nwant %s", what, got, stands)
				}
			}
			if kill {
				p = h.works()
			}
			for _, r := range set {
				until(t, "the set is settled", func() bool { return h.where(r) != waiting })
				if got := h.where(r); got != done {
					t.Errorf("%s, in the end:\n got %s\nwant %s", what, got, done)
				}
				if got := h.told(r); got != 1 {
					t.Errorf("%s: %d events say that the payment has succeeded", what, got)
				}
				if got := h.as(h.olga).get("/billing/invoices/" + r.invoice + "/").text("status"); got != "paid" {
					t.Errorf("%s: the invoice is %s", what, got)
				}
			}
			h.retires(p)
		}
	}
}

// told counts the events that say that the payment of a request has succeeded.
func (l *lane) told(r request) (n int) {
	l.t.Helper()
	err := l.db.NewRaw("SELECT count(*) FROM events e JOIN payments p ON p.id = e.object_id WHERE p.invoice_id = ? AND e.type = 'payment.succeeded'", r.invoice).Scan(l.t.Context(), &n)
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

// forgotten is a request that nobody repeats until a worker has looked after it.
type forgotten struct {
	request
	what   string
	status int
	stands string
	anew   int // what the same gets under another key
}

// testSweeper lets requests fall at each point, repeats none, and strikes down worker after worker that looks after them.
// In the end everything is answered, and who repeats his request is told what has become of it.
func testSweeper(t *testing.T, s *shop) {
	h := s.hand(t)
	var all []forgotten
	for _, op := range []struct {
		name   string
		begin  func() request
		status int
		done   string // the provider was asked
		never  string // the provider was not reached; empty: the worker asks
		anew   int
	}{
		{"charge", func() request { return h.charging(true) }, http.StatusCreated, "key answered, payment succeeded" + paid + settled, "key answered, payment failed", http.StatusCreated},
		{"capture", func() request { return h.capturing(h.charged(false)) }, http.StatusOK, "key answered, payment succeeded" + captured + settled, "key answered, payment authorized" + held, http.StatusOK},
		{"release", func() request { return h.releasing(h.charged(false)) }, http.StatusOK, "key answered, payment cancelled" + released, "key answered, payment authorized" + held, http.StatusOK},
		{"refund", func() request { return h.refunding(h.charged(true)) }, http.StatusCreated, "key answered, payment partially_refunded, refund succeeded" + given + back, "", 0},
	} {
		for _, b := range []*blade{{about: "claim", after: true}, {about: "provider"}, {about: "provider", after: true}, {about: "answer"}} {
			f := forgotten{request: op.begin(), what: fmt.Sprintf("%s, %s, after %v", op.name, b.about, b.after), status: op.status, stands: op.done}
			if asked := b.about == "answer" || b.about == "provider" && b.after; !asked && op.never != "" {
				f.status, f.stands, f.anew = http.StatusBadGateway, op.never, op.anew
			}
			if _, err := h.struck(f.request, b); err != nil {
				t.Fatal(err)
			}
			all = append(all, f)
		}
	}
	h.server.kill()
	for _, about := range []string{"lease", "provider", "answer"} {
		for _, after := range []bool{false, true} {
			for _, f := range all {
				h.later(f.request)
			}
			h.struckDown(&blade{about: about, after: after}, true)
		}
	}
	for _, f := range all {
		h.later(f.request)
	}
	p := h.works()
	h.begin()
	for _, f := range all {
		until(t, f.what+": the worker has ended it", func() bool { return strings.HasPrefix(h.where(f.request), "key answered") })
		h.truth(f.what, f.request, f.status, f.stands)
		if f.anew > 0 {
			f.key += "-anew"
			h.must(f.anew, f.request)
		}
	}
	h.retires(p)
}

// testTakers kills servers while they take a provider's message, and workers while they do it again. The provider sends again
// only what nobody has stored.
func testTakers(t *testing.T, s *shop) {
	h := s.hand(t)
	const secret = "the secret of acme, who knocks once"
	path := h.as(h.olga).do(http.StatusOK, "PUT", "/billing/gateways/acme/", map[string]any{"gateway": "integrator", "is_enabled": true, "secrets": map[string]any{"shared_secret": secret}}).text("callback_path")
	const pending, done = "key answered, payment pending", "key answered, payment succeeded" + settled
	for _, tt := range []struct {
		server blade
		stands string
		stored bool
		worker *blade // nil: it lives
	}{
		{blade{about: "received"}, pending, false, nil},
		{blade{about: "received", after: true}, pending, true, nil},
		{blade{about: "received", after: true}, pending, true, &blade{about: "effect"}},
		{blade{about: "received", after: true}, pending, true, &blade{about: "effect", after: true}},
		{blade{about: "effect"}, pending, true, nil},
		{blade{about: "effect", after: true}, done, true, nil},
	} {
		what := fmt.Sprintf("%s, after COMMIT: %v, and a worker that dies: %v", tt.server.about, tt.server.after, tt.worker != nil)
		r := h.bill(h.olga)
		r.path, r.body = "/billing/charges/", map[string]any{"gateway": "acme", "amount": decimal(r.minor), "currency": "PKR", "invoice_id": r.invoice}
		text := fmt.Sprintf(`{"id":%q,"payment_id":%q,"status":"succeeded","amount_minor":%d,"currency":"PKR"}`, r.key, h.must(http.StatusCreated, r).text("id"), r.minor)
		tell := func() (reply, error) {
			header := map[string]string{"Countersign-Signature": gateways.Sign(secret, time.Now(), []byte(text))}
			return h.as("").try("POST", path, header, "application/json", strings.NewReader(text))
		}
		b := tt.server
		b.before = h.server.kill
		h.cutter.put(&b)
		if answer, err := tell(); err == nil {
			t.Errorf("%s: the dead answer: %s", what, answer.raw)
		}
		b.wait(t)
		if got := h.where(r); got != tt.stands {
			t.Errorf("%s:\n got %s\nwant %s", what, got, tt.stands)
		}
		if tt.stored {
			if _, err := h.db.NewRaw("UPDATE inbound_events SET redo_at = redo_at - interval '2 minutes' WHERE redo_at IS NOT NULL").Exec(t.Context()); err != nil {
				t.Fatal(err)
			}
			if tt.worker != nil {
				h.struckDown(tt.worker, true)
			}
			if h.where(r) != done {
				p := h.works()
				until(t, what+": it is done", func() bool { return h.where(r) == done })
				h.retires(p)
			}
		}
		h.begin()
		for range 2 { // and what comes late has the same answer
			if answer, err := tell(); err != nil || answer.status != http.StatusOK {
				t.Errorf("%s: it comes again: %v, %d %s", what, err, answer.status, answer.raw)
			}
		}
		if got := h.where(r); got != done || h.told(r) != 1 {
			t.Errorf("%s, in the end, %d times told:\n got %s\nwant %s", what, h.told(r), got, done)
		}
	}
}
