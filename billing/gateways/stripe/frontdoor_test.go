package stripe_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/gateways"
	"countersign/billing/gateways/stripe"
	"countersign/billing/ledger"
	"countersign/internal/testkit"
)

const routes = billingtest.Base + "/billing/"

// witness stands before Stripe. Every request that changes something must be one that stripe-mock accepts, which knows
// Stripe's own description of the API and nothing of what was asked before; who answers is the fake, which remembers.
type witness struct {
	*httptest.Server
	t      *testing.T
	mock   string
	fake   *fake
	mu     sync.Mutex
	asked  []string // method and path of what was asked for
	keys   []string // the idempotency keys, in the same order
	answer func(mock answered, w http.ResponseWriter, r *http.Request)
}

// answered is what stripe-mock says.
type answered struct {
	status int
	header http.Header
	body   []byte
}

func newWitness(t *testing.T) *witness {
	w := &witness{t: t, mock: startMock(t), fake: newFake(t)}
	w.answer = func(_ answered, out http.ResponseWriter, r *http.Request) { w.fake.ServeHTTP(out, r) }
	w.Server = httptest.NewServer(w)
	t.Cleanup(w.Close)
	return w
}

// ServeHTTP implements http.Handler.
func (w *witness) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	w.asked, w.keys = append(w.asked, r.Method+" "+r.URL.Path), append(w.keys, r.Header.Get("Idempotency-Key"))
	w.mu.Unlock()
	forwarded, err := http.NewRequestWithContext(r.Context(), r.Method, w.mock+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		w.t.Error(err)
		return
	}
	forwarded.Header = r.Header.Clone()
	res, err := http.DefaultClient.Do(forwarded)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		w.t.Errorf("stripe-mock refuses %s %s %s: %d %s", r.Method, r.URL, body, res.StatusCode, said)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	w.answer(answered{res.StatusCode, res.Header, said}, out, r)
}

// posts gives the keys of the POSTs to paths that end so.
func (w *witness) posts(suffix string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	keys := []string{}
	for i, what := range w.asked {
		if strings.HasPrefix(what, http.MethodPost) && strings.HasSuffix(what, suffix) {
			keys = append(keys, w.keys[i])
		}
	}
	return keys
}

// shop is a tenant whose charges go to Stripe.
func shop(t *testing.T, w *witness) *billingtest.World {
	t.Helper()
	s := billingtest.NewWithProviders(t, at(w.URL, time.Now))
	s.As(s.Owner).Put(routes+"gateways/stripe/", map[string]any{"is_enabled": true, "secrets": map[string]any{"secret_key": "sk_test_shop", "webhook_secret": webhookSecret}}).Expect(http.StatusOK)
	return s
}

// tell sends a webhook to the shop's endpoint.
func tell(t *testing.T, s *billingtest.World, body string) testkit.Answer {
	t.Helper()
	a, err := s.Gateways.Open(s.System, "stripe")
	if err != nil {
		t.Fatal(err)
	}
	return s.Anonymous().With(stripe.SignatureHeader, signed(body, s.Clock.Now()).Header.Get(stripe.SignatureHeader)).Post(a.CallbackPath(), body)
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// g07 is seed 001's own body, lines 47 to 52.
const g07 = `{
  "idempotency_key": "uuid-gen-by-client",
  "amount_cents": 1000,
  "currency": "USD",
  "payment_source": "tok_visa"
}`

// TestGoldenCharge sends seed 001's body unchanged through the front door (G-07, S1-06, S1-15, S1-19): Stripe is asked once
// under a key that follows from the payment, and the repetition has the same answer.
func TestGoldenCharge(t *testing.T) {
	t.Parallel()
	w := newWitness(t)
	s := shop(t, w)
	first := s.As(s.Member).Post(routes+"charges/", g07).Expect(http.StatusCreated)
	id := first.Text("data.id")
	for path, want := range map[string]any{"data.status": "succeeded", "data.lifecycle": "CAPTURED", "data.amount": "10.00", "data.currency": "USD", "data.gateway": "stripe"} {
		equal(t, path, first.At(path), want)
	}
	second := s.As(s.Member).Post(routes+"charges/", g07).Expect(http.StatusCreated)
	equal(t, "the answer to the repetition", second.At("data"), first.At("data"))
	equal(t, "it says so", second.Header.Get("Idempotent-Replayed"), "true")
	equal(t, "the keys at Stripe", w.posts("/payment_intents"), []string{"countersign-" + id})
	equal(t, "and of the token", w.posts("/payment_methods"), []string{"countersign-" + id + "-method"})
	equal(t, "taken", w.fake.moved[id], 1)
	equal(t, "clearing", s.Balance(ledger.Clearing("stripe", "USD")), int64(1000))
	s.AssertBooks(t)
}

// use gives the shop another key of Stripe's.
func use(s *billingtest.World, key string) {
	s.As(s.Owner).Put(routes+"gateways/stripe/", map[string]any{"is_enabled": true, "secrets": map[string]any{"secret_key": key}}).Expect(http.StatusOK)
}

// TestEveryCallAtStripe: the calls that serve all gateways create, read, refund and cancel at Stripe as well (S0-01).
func TestEveryCallAtStripe(t *testing.T) {
	t.Parallel()
	w := newWitness(t)
	s := shop(t, w)
	create := func(more map[string]any) (map[string]any, testkit.Answer) {
		in := map[string]any{"gateway": "stripe", "payment_method": "card", "payment_source": "tok_visa", "amount": "10.00", "currency": "USD", "account_id": s.Account.ID.String(), "idempotency_key": uuid.NewString()}
		maps.Copy(in, more)
		return in, s.As(s.Owner).Post(routes+"payments/", in).Expect(http.StatusCreated)
	}
	in, first := create(nil)
	id := first.Text("data.id")
	for path, want := range map[string]any{"data.status": "succeeded", "data.lifecycle": "CAPTURED", "data.amount": "10.00", "data.currency": "USD", "data.gateway": "stripe", "data.payment_method": "card"} {
		equal(t, path, first.At(path), want)
	}
	again := s.As(s.Owner).Post(routes+"payments/", in).Expect(http.StatusCreated)
	equal(t, "the answer to the repetition", again.At("data"), first.At("data"))
	equal(t, "the keys at Stripe", w.posts("/payment_intents"), []string{"countersign-" + id})
	equal(t, "taken", w.fake.moved[id], 1)
	equal(t, "read", s.As(s.Viewer).Get(routes+"payments/"+id+"/").Expect(http.StatusOK).Text("data.gateway"), "stripe")
	back := s.As(s.Owner).With("Idempotency-Key", "r").Post(routes+"payments/"+id+"/refund/", map[string]any{"reason": "item_return"}).Expect(http.StatusCreated)
	equal(t, "refunded", back.Text("data.payment_status"), "refunded")
	_, held := create(map[string]any{"capture": false, "force": true})
	equal(t, "held", held.Text("data.lifecycle"), "AUTHORIZED")
	off := s.As(s.Owner).Post(routes+"payments/"+held.Text("data.id")+"/cancel/", "").Expect(http.StatusOK)
	equal(t, "cancelled", off.Text("data.status"), "cancelled")
	equal(t, "releases", len(w.posts("/cancel")), 1)
	equal(t, "clearing", s.Balance(ledger.Clearing("stripe", "USD")), int64(0))
	s.AssertBooks(t)
}

// TestChargeWhileStripeIsAway: while no connection comes about, nothing has happened, which the answer says. When Stripe is back,
// the same request goes on, although the search does not know yet that Stripe has never heard of it, and the money is taken once
// (S0-83).
func TestChargeWhileStripeIsAway(t *testing.T) {
	t.Parallel()
	for _, swept := range []bool{false, true} {
		t.Run(fmt.Sprintf("the sweeper comes before: %t", swept), func(t *testing.T) {
			t.Parallel()
			closed, err := net.Listen("tcp", "127.0.0.2:0") // where nobody else's connections begin
			if err != nil {
				t.Fatal(err)
			}
			address := closed.Addr().String()
			closed.Close()
			w := newWitness(t)
			w.URL = "http://" + address
			s := shop(t, w)
			for range 2 {
				a := s.As(s.Member).Post(routes+"charges/", g07).Refused(http.StatusBadGateway, "gateway_unavailable")
				equal(t, "how long to wait", a.Header.Get("Retry-After"), "5")
			}
			made := s.As(s.Member).Get(routes + "payments/").Expect(http.StatusOK)
			equal(t, "payments", made.Int("count"), int64(1))
			equal(t, "status", made.Text("results.0.status"), "created")
			id := made.Text("results.0.id")

			open, err := net.Listen("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			back := httptest.NewUnstartedServer(w)
			back.Listener.Close()
			back.Listener = open
			back.Start()
			t.Cleanup(back.Close)
			if swept {
				s.Clock.Move(2 * time.Minute)
				if err := s.Payments.AskAgain(s.System); err != nil {
					t.Fatal(err)
				}
			}
			a := s.As(s.Member).Post(routes+"charges/", g07).Expect(http.StatusCreated)
			equal(t, "the payment", a.Text("data.id"), id)
			equal(t, "its end", a.Text("data.lifecycle"), "CAPTURED")
			again := s.As(s.Member).Post(routes+"charges/", g07).Expect(http.StatusCreated)
			equal(t, "the answer to the repetition", again.At("data"), a.At("data"))
			equal(t, "the keys at Stripe", w.posts("/payment_intents"), []string{"countersign-" + id})
			equal(t, "taken", w.fake.moved[id], 1)
			equal(t, "clearing", s.Balance(ledger.Clearing("stripe", "USD")), int64(1000))
			s.AssertBooks(t)
		})
	}
}

// TestKeyThatStripeRefuses: staff are told, nothing has happened, and the same requests go on with a key that Stripe accepts
// (S0D-23).
func TestKeyThatStripeRefuses(t *testing.T) {
	t.Parallel()
	w := newWitness(t)
	s := shop(t, w)
	alarms := func() int64 {
		return s.As(s.Owner).Get(routes + "events/?type=payment.gateway_alarm").Expect(http.StatusOK).Int("count")
	}
	use(s, "sk_test_revoked")
	s.As(s.Member).Post(routes+"charges/", g07).Refused(http.StatusBadGateway, "gateway_misconfigured")
	made := s.As(s.Member).Get(routes + "payments/").Expect(http.StatusOK)
	equal(t, "status", made.Text("results.0.status"), "created")
	equal(t, "alarms", alarms(), int64(1))
	use(s, "sk_test_shop")
	a := s.As(s.Member).Post(routes+"charges/", g07).Expect(http.StatusCreated)
	id := a.Text("data.id")
	equal(t, "the payment", id, made.Text("results.0.id"))
	equal(t, "taken", w.fake.moved[id], 1)

	use(s, "sk_test_revoked")
	refund := func() testkit.Answer {
		return s.As(s.Owner).With("Idempotency-Key", "r").Post(routes+"payments/"+id+"/refund/", map[string]any{"amount": "4.00", "reason": "item_return"})
	}
	refund().Refused(http.StatusBadGateway, "gateway_misconfigured")
	equal(t, "alarms", alarms(), int64(2))
	equal(t, "nothing was given back", s.Balance(ledger.Clearing("stripe", "USD")), int64(1000))
	use(s, "sk_test_shop")
	equal(t, "refunded", refund().Expect(http.StatusCreated).Text("data.payment_status"), "partially_refunded")
	equal(t, "refunds", len(w.posts("/refunds")), 1)
	equal(t, "clearing", s.Balance(ledger.Clearing("stripe", "USD")), int64(600))
	s.AssertBooks(t)
}

// TestChargeWhoseAnswerIsLost: the same request finds what Stripe has done, and does not do it again, whether Stripe's search knows of
// it by then or only its key (S1-36, S0D-21).
func TestChargeWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	body := strings.Replace(g07, "tok_visa", "tok_drop", 1)
	lost := func(t *testing.T, searches bool) (w *witness, s *billingtest.World, id string) {
		w = newWitness(t)
		w.fake.searches = searches
		s = shop(t, w)
		return w, s, s.As(s.Member).Post(routes+"charges/", body).Expect(http.StatusAccepted).Text("data.id")
	}
	found := func(t *testing.T, w *witness, s *billingtest.World, id string) {
		t.Helper()
		again := s.As(s.Member).Post(routes+"charges/", body).Expect(http.StatusCreated)
		equal(t, "the same payment", again.Text("data.id"), id)
		equal(t, "lifecycle", again.Text("data.lifecycle"), "CAPTURED")
		keys := w.posts("/payment_intents")
		equal(t, "keys at Stripe", slices.Compact(keys), []string{"countersign-" + id})
		equal(t, "taken", w.fake.moved[id], 1)
		s.AssertBooks(t)
	}
	for _, searches := range []bool{true, false} {
		t.Run(fmt.Sprintf("the search knows it: %t", searches), func(t *testing.T) {
			t.Parallel()
			w, s, id := lost(t, searches)
			found(t, w, s, id)
		})
	}
	t.Run("so late that Stripe may have forgotten the key", func(t *testing.T) {
		t.Parallel()
		w, s, id := lost(t, false)
		asked := len(w.posts("/payment_intents"))
		s.Clock.Move(21 * time.Hour)
		s.As(s.Member).Post(routes+"charges/", body).Expect(http.StatusAccepted)
		equal(t, "asked for the money", len(w.posts("/payment_intents")), asked)
		equal(t, "taken", w.fake.moved[id], 1)
	})
	t.Run("what would be asked has changed meanwhile", func(t *testing.T) {
		t.Parallel()
		w, s, id := lost(t, false)
		s.As(s.Owner).Put(routes+"gateways/stripe/", map[string]any{"is_enabled": true, "settings": map[string]any{"return_url": "https://shop.test/new"}}).Expect(http.StatusOK)
		s.As(s.Member).Post(routes+"charges/", body).Expect(http.StatusAccepted) // and not refused: something has arrived under the key
		w.fake.mu.Lock()
		w.fake.searches = true
		w.fake.mu.Unlock()
		found(t, w, s, id)
	})
}

// TestHoldAtStripe holds money, takes a part of it, gives that back in two parts, and gives another hold up: each step is one
// call, under a key that its repetition has too.
func TestHoldAtStripe(t *testing.T) {
	t.Parallel()
	w := newWitness(t)
	s := shop(t, w)
	hold := func() string {
		a := s.As(s.Owner).Post(routes+"charges/", map[string]any{"idempotency_key": uuid.NewString(), "amount_cents": 1000, "currency": "USD", "payment_source": "tok_visa", "capture": false, "force": true})
		equal(t, "held", a.Expect(http.StatusCreated).Text("data.lifecycle"), "AUTHORIZED")
		return a.Text("data.id")
	}
	step := func(id, what, key string, body map[string]any, status int) testkit.Answer {
		return s.As(s.Owner).With("Idempotency-Key", key).Post(routes+"payments/"+id+"/"+what+"/", body).Expect(status)
	}
	id := hold()
	equal(t, "a hold posts nothing", s.Balance(ledger.Clearing("stripe", "USD")), int64(0))
	for range 2 {
		equal(t, "captured", step(id, "capture", "c", map[string]any{"amount": "7.00"}, http.StatusOK).Text("data.lifecycle"), "CAPTURED")
	}
	equal(t, "captures", len(w.posts("/capture")), 1)
	equal(t, "clearing", s.Balance(ledger.Clearing("stripe", "USD")), int64(700))
	for _, r := range []struct{ key, amount, status string }{{"r1", "3.00", "partially_refunded"}, {"r2", "4.00", "refunded"}} {
		a := step(id, "refund", r.key, map[string]any{"amount": r.amount, "reason": "item_return"}, http.StatusCreated)
		equal(t, "refunded", a.Text("data.payment_status"), r.status)
		equal(t, "replayed", step(id, "refund", r.key, map[string]any{"amount": r.amount, "reason": "item_return"}, http.StatusCreated).At("data"), a.At("data"))
		keys := w.posts("/refunds")
		equal(t, "the key at Stripe", keys[len(keys)-1], "countersign-refund-"+a.Text("data.id"))
	}
	equal(t, "refunds", len(w.posts("/refunds")), 2)
	equal(t, "clearing", s.Balance(ledger.Clearing("stripe", "USD")), int64(0))
	other := hold()
	for range 2 {
		equal(t, "given up", step(other, "release", "l", map[string]any{}, http.StatusOK).Text("data.status"), "cancelled")
	}
	equal(t, "releases", len(w.posts("/cancel")), 1)
	for _, key := range w.keys {
		if key != "" && !strings.HasPrefix(key, "countersign-") {
			t.Errorf("the key %q is not ours", key)
		}
	}
	s.AssertBooks(t)
}

// TestStripeItself charges at stripe-mock alone. What it answers is a fixture that is always the same, of an intent without a
// payment method: nothing was taken, and so it is shown.
func TestStripeItself(t *testing.T) {
	t.Parallel()
	w := newWitness(t)
	w.answer = func(mock answered, out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", mock.header.Get("Content-Type"))
		out.WriteHeader(mock.status)
		out.Write(mock.body)
	}
	s := shop(t, w)
	a := s.As(s.Member).Post(routes+"charges/", g07)
	equal(t, "answer", a.Status, http.StatusCreated)
	equal(t, "status", a.Text("data.status"), "pending")
	equal(t, "posted", s.Balance(ledger.Clearing("stripe", "USD")), int64(0))
	equal(t, "keys", w.posts("/payment_intents"), []string{"countersign-" + a.Text("data.id")})
	s.AssertBooks(t)
}

// TestWebhooks: what Stripe tells by itself is checked, stored, and has its effect once, in whatever order and however often
// it comes (S1-37, S0-58, S0-92).
func TestWebhooks(t *testing.T) {
	t.Parallel()
	w := newWitness(t)
	s := shop(t, w)
	payment := func(id string) testkit.Answer {
		return s.As(s.Owner).Get(routes + "payments/" + id + "/").Expect(http.StatusOK)
	}
	t.Run("the payer approves on Stripe's page", func(t *testing.T) {
		a := s.As(s.Member).Post(routes+"charges/", strings.Replace(strings.Replace(g07, "tok_visa", "tok_3ds", 1), "uuid-gen", "3ds", 1)).Expect(http.StatusCreated)
		id := a.Text("data.id")
		equal(t, "what the payer must do", a.Text("data.next_action.type"), "redirect")
		reference := ""
		for pi, order := range w.fake.intents {
			if order["metadata"].(object)["countersign_payment"] == id {
				reference = pi
			}
		}
		succeeded := told("evt_3ds", "payment_intent.succeeded", intent(reference, "succeeded", uuid.MustParse(id), 1000, 1000))
		s.Owner.Token()
		before := s.Snapshot()
		tellWith := func(header string) testkit.Answer {
			a, err := s.Gateways.Open(s.System, "stripe")
			if err != nil {
				t.Fatal(err)
			}
			return s.Anonymous().With(stripe.SignatureHeader, header).Post(a.CallbackPath(), succeeded)
		}
		tellWith(gateways.Sign("whsec_of_somebody_else", s.Clock.Now(), []byte(succeeded))).Expect(http.StatusForbidden)
		tellWith(gateways.Sign(webhookSecret, s.Clock.Now().Add(-10*time.Minute), []byte(succeeded))).Expect(http.StatusForbidden)
		equal(t, "what nobody has signed", s.Snapshot(), before)
		for range 3 {
			tell(t, s, succeeded).Expect(http.StatusOK)
		}
		tell(t, s, told("evt_progress", "payment_intent.processing", intent(reference, "processing", uuid.MustParse(id), 1000, 0))).Expect(http.StatusOK)
		equal(t, "status", payment(id).Text("data.status"), "succeeded")
		equal(t, "late news", payment(id).Text("data.anomalies.0.kind"), "late")
		equal(t, "succeeded", s.Events("payment.succeeded"), []string{"payment.succeeded"})
		equal(t, "clearing", s.Balance(ledger.Clearing("stripe", "USD")), int64(1000))
	})
	t.Run("a refund of ours, and one that somebody has made in the dashboard", func(t *testing.T) {
		id := s.As(s.Member).Post(routes+"charges/", strings.Replace(g07, "uuid-gen", "refunded", 1)).Expect(http.StatusCreated).Text("data.id")
		s.As(s.Owner).With("Idempotency-Key", "r").Post(routes+"payments/"+id+"/refund/", map[string]any{"amount": "4.00", "reason": "item_return"}).Expect(http.StatusCreated)
		reference := payment(id).Text("data.details.payment_intent")
		tell(t, s, told("evt_ours", "charge.refunded", charge(reference, uuid.MustParse(id), 1000, 400))).Expect(http.StatusOK)
		tell(t, s, told("evt_nobody", "customer.created", `{"id":"cus_1"}`)).Expect(http.StatusOK)
		equal(t, "anomalies", len(payment(id).List("data.anomalies")), 0)
		for _, order := range []string{"evt_theirs", "evt_theirs", "evt_theirs_again"} {
			tell(t, s, told(order, "charge.refunded", charge(reference, uuid.MustParse(id), 1000, 1000))).Expect(http.StatusOK)
		}
		equal(t, "status", payment(id).Text("data.status"), "partially_refunded")
		equal(t, "anomalies", len(payment(id).List("data.anomalies")), 1)
		equal(t, "kind", payment(id).Text("data.anomalies.0.kind"), "refunded_elsewhere")
		tell(t, s, told("evt_failed", "refund.failed", `{"id":"re_1","status":"failed","payment_intent":"`+reference+`","failure_reason":"declined"}`)).Expect(http.StatusOK)
		equal(t, "a refund that has failed", payment(id).Text("data.anomalies.1.kind"), "refund_failed")
		equal(t, "refunds", s.Events("refund.succeeded"), []string{"refund.succeeded"})
	})
	s.AssertBooks(t)
}
